"""1C as a client of «обмен с сайтом», as strict as its configurations are (reference a.1–a.7): what it compares, counts and refuses here is what the
published configurations compare, count and refuse. Not a copy of any: the wire's behaviour alone."""
import base64
import io
import socket
import zipfile
from decimal import Decimal
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import requests

NAMESPACE = "urn:1C.ru:commerceml_2"


class Profile:
    """How one configuration speaks."""

    def __init__(self, name, schema="2.07", namespace=NAMESPACE, encoding="utf-8", bom=True, agent="1C+Enterprise/8.3", closes=False, asks_init=False,
                 imports_sale=True, container=False, subordinates=False, statuses=False, two_lines=False, extra="", catalog=True, orders=True, zips=False):
        self.name, self.schema, self.namespace, self.encoding, self.bom, self.agent = name, schema, namespace, encoding, bom, agent
        # `closes`: a connection per request. `asks_init`: before it fetches orders. `imports_sale`: calls import after a file of orders.
        self.closes, self.asks_init, self.imports_sale, self.container = closes, asks_init, imports_sale, container
        self.subordinates, self.statuses, self.two_lines, self.extra = subordinates, statuses, two_lines, extra
        self.catalog, self.orders, self.zips = catalog, orders, zips


PROFILES = {p.name: p for p in [
    Profile("УТ 11", two_lines=True),
    Profile("УТ 11 zip", two_lines=True, zips=True),
    Profile("УТ 10.3", schema="2.03", namespace=None, encoding="windows-1251", bom=False, agent="1C+Enterprise/8.2"),
    Profile("УНФ", schema="2.08", imports_sale=False, statuses=True),
    Profile("УНФ 2.10", schema="2.10", namespace="urn:1C.ru:commerceml_210", asks_init=True, container=True, subordinates=True, statuses=True,
            extra="&version=2.09&cmlVersion=2.10"),
    Profile("Розница", schema="2.04", orders=False),
    Profile("МойСклад", schema="2.04", namespace=None, agent="1C+Enterprise/8.2", closes=True, imports_sale=False),
    Profile("Битрикс", schema="2.09", asks_init=True, container=True, statuses=True),
]}


class Failed(Exception):
    """The exchange was broken off, as 1C breaks it off."""


class Client:
    """One base, with what it has stored. `fault` names what goes wrong on its side with the next file:

    `down`: the connection ends in the middle of the file · `late`: it is sent, and the base does not wait for the answer · `half`: the session ends after half
    of it · `html`: a web server's page stands in its place · `changed`: an update of the configuration has renamed a field."""

    def __init__(self, profile, url, login, password):
        self.profile, self.url, self.http, self.cookie, self.tail = profile, url, requests.Session(), None, ""
        self.http.auth = (login.encode(), password.encode())
        self.http.headers.update({"User-Agent": profile.agent, "Accept": "text/html, image/gif, */*", **({"Connection": "close"} if profile.closes else {})})
        # Orders by the site's number: the only thing it looks them up by.
        self.stored, self.loads = {}, 0
        self.fault, self.failed = None, False
        # No document of this day or before is made.
        self.closed_until = "0000-00-00"

    def ask(self, type, mode, body=None, **params):
        query = "&".join([f"type={type}", f"mode={mode}"] + [f"{k}={requests.utils.quote(v)}" for k, v in params.items()]) + self.profile.extra + self.tail
        headers = {"Cookie": self.cookie} if self.cookie else {}
        if body is None:
            answer = self.http.get(f"{self.url}?{query}", headers=headers, timeout=60)
        else:
            answer = self.http.post(f"{self.url}?{query}", data=body, headers={**headers, "Content-Type": "application/octet-stream"}, timeout=60)
        if body is not None and answer.status_code != 200:
            raise Failed(f"{mode}: {answer.status_code}")
        return answer.content.decode(answer.encoding or "utf-8")

    def enter(self, type):
        self.cookie, self.tail = None, ""
        lines = self.ask(type, "checkauth").split("\n")
        if lines[0].strip().lower() != "success" or len(lines) < 3:
            raise Failed(f"checkauth: {lines}")
        self.cookie = f"{lines[1]}={lines[2]}"
        if len(lines) > 3 and lines[3].startswith("sessid="):
            self.tail = "&" + lines[3]

    def init(self, type):
        """The limits: УТ counts the lines, and stops when there are not exactly two."""
        answer = self.ask(type, "init")
        lines = answer.split("\n")
        if self.profile.two_lines and len(lines) != 2:
            raise Failed(f"init: Параметры обмена не получены: {lines}")
        zips = lines[0].strip().lower() == "zip=yes" and self.profile.zips
        limit = int(lines[1].replace("file_limit=", "").strip() or 0) if len(lines) > 1 else 0
        return zips, limit

    # Orders from the site.

    def load_orders(self, loses_success=False, stumbles_over=()):
        """One session. The whole answer is loaded or, from the first document that is wrong, broken off: what stood before it is stored."""
        self.enter("sale")
        if self.profile.asks_init:
            self.init("sale")
        text = self.ask("sale", "query")
        if not text.startswith("<?xml"):
            raise Failed("query: ответ не читается")
        root = ElementTree.fromstring(text.encode())
        found = [d for d in root.iter() if d.tag.split("}")[-1] == "Документ"]
        known, fresh = set(self.stored), []
        for document in found:
            value = lambda name: next((e.text or "" for e in document if e.tag.split("}")[-1] == name), "")
            number = value("Номер")
            if value("ХозОперация").lower() != "заказ товара" or not value("Валюта") or number in stumbles_over:
                return fresh, False
            if number not in known and value("Дата")[:10] <= self.closed_until:
                # «Дата запрета изменения»: it cannot be written, and the whole exchange is broken off.
                return fresh, False
            assert len(number) <= 11, "the column has eleven characters"
            if number not in known:
                # Looked up before the loop: twice in one answer would be two orders.
                assert number not in fresh, "the same number twice in one answer"
                self.stored[number] = Decimal(value("Сумма"))
                fresh.append(number)
        if not loses_success:
            if self.ask("sale", "success").startswith("failure"):
                raise Failed("success")
        return fresh, bool(found)

    def snapshot(self):
        return dict(self.stored)

    def restore(self, backup):
        """From a backup: what it has stored since is gone, and it does not know that."""
        self.stored = dict(backup)

    # To the site.

    def upload(self, type, files):
        """The files in one session: cut in pieces, or zipped, then imported. After one that failed УНФ has deleted its files: its next attempt opens a
        session, finds the folder empty, and counts the changes as delivered (reference 24)."""
        self.enter(type)
        zips, limit = self.init(type)
        if self.failed and self.profile.name.startswith("УНФ"):
            self.failed = False
            return
        fault, self.fault = self.fault, None
        try:
            self.send(type, files, zips, limit, fault)
        except Failed:
            self.failed = True
            raise

    def send(self, type, files, zips, limit, fault):
        if fault == "html":
            files = {name: b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>" for name in files}
        elif fault == "changed":
            files = {name: body.replace("Сумма>".encode(self.profile.encoding), "СуммаДок>".encode(self.profile.encoding)) for name, body in files.items()}
        sent = files
        if zips:
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, body in files.items():
                    archive.writestr(name, body)
            sent = {"v8_4A3B_1.zip": packed.getvalue()}
        if fault in ("down", "late"):
            return self.drop(type, *next(iter(sent.items())), whole=fault == "late")
        if fault == "half":
            sent = {name: body[:len(body) // 2] for name, body in sent.items()}
        for name, body in sent.items():
            for start in range(0, len(body), limit or len(body)):
                answer = self.ask(type, "file", body[start:start + (limit or len(body))], filename=name).split("\n")[0].strip().lower()
                if answer != "success":
                    raise Failed(f"file {name}: {answer}")
        if fault == "half":
            raise Failed("the base was shut down")
        if type == "sale" and not self.profile.imports_sale:
            return
        for name in files:
            self.loads = 0
            # УТ asks again without a pause.
            while (answer := self.ask(type, "import", filename=name).split("\n")[0].strip().lower()) == "progress":
                self.loads += 1
                assert self.loads < 1000, "a hot loop"
            if answer != "success":
                raise Failed(f"import {name}: {answer}")

    def drop(self, type, name, body, whole):
        """A request whose connection the base ends by itself: before all of it is sent, or before it is answered."""
        parts = urlsplit(self.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as line:
            login = base64.b64encode(f"{self.http.auth[0].decode()}:{self.http.auth[1].decode()}".encode()).decode()
            head = (f"POST {parts.path}?type={type}&mode=file&filename={quote(name)} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Basic {login}\r\n"
                    f"Cookie: {self.cookie}\r\nContent-Length: {len(body)}\r\nContent-Type: application/octet-stream\r\n\r\n")
            line.sendall(head.encode() + (body if whole else body[:len(body) // 2]))
            if whole:
                # It was on its way when the base gave up.
                line.recv(1)
        raise Failed("the connection was lost")

    def root(self, inner):
        space = f' xmlns="{self.profile.namespace}"' if self.profile.namespace else ""
        text = f'<?xml version="1.0" encoding="{self.profile.encoding}"?>\n<КоммерческаяИнформация{space} ВерсияСхемы="{self.profile.schema}">{inner}</КоммерческаяИнформация>'
        return (b"\xef\xbb\xbf" if self.profile.bom else b"") + text.encode(self.profile.encoding)

    def send_state(self, number, total, paid=None, cancelled=False, posted=True, paid_on="2026-11-20"):
        """An order's state, as this configuration can tell it. `paid`: in full when it equals the total."""
        def requisites(pairs):
            return "<ЗначенияРеквизитов>" + "".join(
                f"<ЗначениеРеквизита><Наименование>{k}</Наименование><Значение>{v}</Значение></ЗначениеРеквизита>" for k, v in pairs) + "</ЗначенияРеквизитов>"
        own = [("Номер по 1С", f"ОС-{number}"), ("Дата по 1С", "2026-11-20T9:05:00"), ("ПометкаУдаления", "false"), ("Проведен", str(posted).lower())]
        full = paid is not None and Decimal(paid) == Decimal(total)
        if cancelled:
            own.append(("Отменен", "true"))
        if self.profile.statuses:
            own += [("Оплачен", str(full).lower()), ("Статус заказа", "Отменен" if cancelled else "В работе")]
        elif full:
            own += [("Номер оплаты по 1С", f"П-{number}"), ("Дата оплаты по 1С", "2026-11-20")]
        children = ""
        if self.profile.subordinates:
            payments = "" if paid is None else (f"<ПодчиненныйДокумент><Ид>p-{number}</Ид><Дата>{paid_on}T9:05:00</Дата><ХозОперация>Выплата безналичных денег</ХозОперация>"
                                                f"<Сумма>{paid}</Сумма><Валюта>руб</Валюта></ПодчиненныйДокумент>")
            children = f"<ПодчиненныеДокументы>{payments}</ПодчиненныеДокументы>"
        document = (f"<Документ><Ид>guid-{number}</Ид><Номер>{number}</Номер><Дата>2026-11-20</Дата><ХозОперация>Заказ товара</ХозОперация><Роль>Продавец</Роль>"
                    f"<Валюта>руб</Валюта><Курс>1</Курс><Сумма>{total}</Сумма>{children}{requisites(own)}</Документ>")
        if self.profile.container:
            document = f"<Контейнер>{document}</Контейнер>"
        self.upload("sale", {f"orders-{number}_1.xml": self.root(document)})

    def send_goods(self, count):
        goods = "".join(f"<Товар><Ид>{self.profile.name}-{n}</Ид><Артикул>{self.profile.name}-{n}</Артикул><Наименование>Товар {n}</Наименование>"
                        f'<БазоваяЕдиница Код="796 ">шт</БазоваяЕдиница></Товар>' for n in range(count))
        offers = "".join(f"<Предложение><Ид>{self.profile.name}-{n}</Ид><Цены><Цена><ИдТипаЦены>r</ИдТипаЦены><ЦенаЗаЕдиницу>{n}.50</ЦенаЗаЕдиницу>"
                         f"<Валюта>руб</Валюта></Цена></Цены><Количество>{n}</Количество></Предложение>" for n in range(count))
        self.upload("catalog", {
            "import0_1.xml": self.root(f'<Каталог СодержитТолькоИзменения="true"><Ид>k</Ид><Товары>{goods}</Товары></Каталог>'),
            "offers0_1.xml": self.root(f'<ПакетПредложений СодержитТолькоИзменения="true"><Ид>k#</Ид><Предложения>{offers}</Предложения></ПакетПредложений>')})
