"""A 1C base behind a folder of EnterpriseData messages, as БСП's «синхронизация данных через универсальный формат» does it: numbered messages that
confirm each other, objects that go out until they are confirmed, ids that never change. It is as strict as that, and can be restored from a backup.

Built from the facts about the format; no live base has confirmed it."""
import copy
import threading
import uuid
import xml.etree.ElementTree as ET
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from xml.sax.saxutils import escape

MSG = "http://www.1c.ru/SSL/Exchange/Message"
FORMAT = "http://v8.1c.ru/edi/edi_stnd/EnterpriseData"
PLAN = "СинхронизацияДанныхЧерезУниверсальныйФормат"


class Refused(Exception):
    """The message is not what БСП would take."""


def tag(name, *inner, **fields):
    return f"<{name}>{''.join(inner)}{''.join(f'<{k}>{escape(str(v))}</{k}>' for k, v in fields.items() if v is not None)}</{name}>"


class Base:
    """What a base keeps. `restore` takes all of it back to what `snapshot` gave."""

    def __init__(self):
        self.sent = self.received = 0
        self.orders, self.clients, self.goods, self.documents = {}, {}, {}, {}
        # Object id → the message that it first went in; None before.
        self.queue = {}
        self.next_number = 1


class Node:
    def __init__(self, folder, code="УТ", peer="TL", versions=("1.8", "1.10", "1.15"), sends=None, takes=None):
        self.folder, self.code, self.peer, self.versions = Path(folder), code, peer, versions
        self.takes = takes or ["Справочник.Контрагенты", "Справочник.Номенклатура", "Документ.ЗаказКлиента"]
        self.sends = sends or ["Справочник.Контрагенты", "Документ.ЗаказКлиента", "Документ.ПБДСРасчетыСКонтрагентами",
                               "Документ.РБДСРасчетыСКонтрагентами", "Документ.РеализацияТоваровУслуг", "УдалениеОбъекта"]
        self.lock = threading.RLock()
        self.base = Base()
        self.version = None
        self.met = None
        # Seconds by which its clock is ahead.
        self.ahead = 0
        self.taken = []
        # Objects to write otherwise: a test's way to a changed format.
        self.spoil = lambda xml: xml

    @property
    def incoming(self):
        return self.folder / f"Message_{self.peer}_{self.code}.xml"

    @property
    def outgoing(self):
        return self.folder / f"Message_{self.code}_{self.peer}.xml"

    def snapshot(self):
        with self.lock:
            return copy.deepcopy(self.base)

    def restore(self, snapshot):
        with self.lock:
            self.base = copy.deepcopy(snapshot)

    # What people do in it.

    def client(self, name, inn=None, kpp=None, id=None):
        with self.lock:
            id = id or str(uuid.uuid4())
            self.base.clients[id] = {"name": name, "inn": inn, "kpp": kpp}
            self.register(id)
            return id

    def rename(self, id, name):
        with self.lock:
            self.base.clients[id]["name"] = name
            self.register(id)

    def document(self, id, kind, number, amount, orders, date="2026-11-20T10:00:00", deleted=False):
        """`orders`: order id → what it gives to it."""
        with self.lock:
            new = dict(kind=kind, number=number, amount=amount, orders=dict(orders), date=date, deleted=deleted)
            if self.base.documents.get(id) != new:
                self.base.documents[id] = new
                self.register(id)

    def register(self, id):
        self.base.queue[id] = None

    # The exchange.

    def run(self):
        """One exchange: read what lies there, write what there is to say."""
        with self.lock:
            if not self.folder.exists():
                return
            news = self.read() if self.incoming.exists() else False
            if news or any(number is None for number in self.base.queue.values()) or not self.outgoing.exists():
                self.write()

    def read(self):
        root = ET.fromstring(self.incoming.read_bytes())
        if root.tag != "Message":
            raise Refused(f"root {root.tag}")
        header = root.find(f"{{{MSG}}}Header")
        text = lambda name, place=header: place.findtext(f"{{{MSG}}}{name}")
        confirmation = header.find(f"{{{MSG}}}Confirmation")
        if text("ExchangePlan", confirmation) != PLAN or text("To", confirmation) != self.code or text("From", confirmation) != self.peer:
            raise Refused("another plan or node")
        number, received = int(text("MessageNo", confirmation)), int(text("ReceivedNo", confirmation))
        theirs = [v.text for v in header.findall(f"{{{MSG}}}AvailableVersion")]
        common = [v for v in self.versions if v in theirs]
        if not common:
            raise Refused("no version in common")
        self.version = common[-1]
        base = self.base
        for id, sent in list(base.queue.items()):
            if sent is not None and sent <= received:
                del base.queue[id]
        # Their confirmation is ahead: this base was restored from a backup (БСП raises its number).
        base.sent = max(base.sent, received)
        if text("Format") == FORMAT or number == 0:
            return False
        if text("Format") != f"{FORMAT}/{self.version}":
            raise Refused(f"format {text('Format')}, agreed on {self.version}")
        # Every exchange is answered, also one that says nothing new.
        is_met, self.met = self.met == number, number
        if number <= base.received:
            return not is_met
        body = root.find(f"{{{FORMAT}/{self.version}}}Body")
        if body is None:
            raise Refused("no body")
        for object in body:
            self.apply(object)
        base.received = number
        return True

    def apply(self, element):
        space = f"{{{FORMAT}/{self.version}}}"
        text = lambda path, place=element: place.findtext("/".join(space + part for part in path.split("/")))
        kind, id = element.tag.removeprefix(space), text("КлючевыеСвойства/Ссылка")
        if kind not in self.takes:
            raise Refused(f"objects {kind} are not taken here")
        uuid.UUID(id)
        base = self.base
        if kind == "Справочник.Номенклатура":
            base.goods[id] = {"name": text("КлючевыеСвойства/Наименование"), "article": text("КлючевыеСвойства/Артикул") or ""}
        elif kind == "Справочник.Контрагенты":
            # Found by its id, else by INN and КПП, else made. What is found keeps its own data.
            base.clients.setdefault(id, {"name": text("КлючевыеСвойства/Наименование"), "inn": text("КлючевыеСвойства/ИНН"),
                                         "kpp": text("КлючевыеСвойства/КПП")})
        else:
            client = text("Контрагент/Ссылка")
            if client not in base.clients:
                raise Refused("an order of a counterparty that is not there")
            if not text("КлючевыеСвойства/Организация/ИНН") or not text("Валюта/ДанныеКлассификатора/Код"):
                raise Refused("an order without organization or currency")
            lines = []
            for row in element.find(space + "Товары"):
                good = text("ДанныеНоменклатуры/Номенклатура/Ссылка", row)
                if good not in base.goods:
                    raise Refused("a good that is not there")
                lines.append((base.goods[good]["article"], Decimal(text("Количество", row)), Decimal(text("Цена", row)), Decimal(text("Сумма", row))))
            total = Decimal(text("Сумма"))
            if total != sum(line[3] for line in lines):
                raise Refused("the lines do not add up to the total")
            number = text("КлючевыеСвойства/Номер")
            if id not in base.orders:
                own, base.next_number = f"УТ-{base.next_number:06}", base.next_number + 1
                base.orders[id] = {"onec": own, "deleted": False, "posted": True}
                self.taken.append(number)
            base.orders[id].update(number=number, client=client, lines=lines, total=total, comment=text("Комментарий"))
            # It has a number of its own now: that is news for the other side.
            self.register(id)

    def write(self):
        base = self.base
        base.sent += 1
        body = ""
        for id in list(base.queue):
            if base.queue[id] is None:
                base.queue[id] = base.sent
            body += self.spoil(self.object(id))
        is_first = self.version is None
        format = FORMAT if is_first else f"{FORMAT}/{self.version}"
        if is_first:
            base.sent, body = 0, ""
            for id in base.queue:
                base.queue[id] = None
        head = f"<msg:Format>{format}</msg:Format><msg:CreationDate>{datetime.now(timezone.utc) + timedelta(seconds=self.ahead):%Y-%m-%dT%H:%M:%SZ}</msg:CreationDate>"
        head += (f"<msg:Confirmation><msg:ExchangePlan>{PLAN}</msg:ExchangePlan><msg:To>{self.peer}</msg:To><msg:From>{self.code}</msg:From>"
                 f"<msg:MessageNo>{base.sent}</msg:MessageNo><msg:ReceivedNo>{base.received}</msg:ReceivedNo></msg:Confirmation>")
        head += "".join(f"<msg:AvailableVersion>{v}</msg:AvailableVersion>" for v in self.versions)
        head += "<msg:AvailableObjectTypes>" + "".join(
            f"<msg:ObjectType><msg:Name>{name}</msg:Name>" + ("<msg:Sending>*</msg:Sending>" if name in self.sends else "")
            + ("<msg:Receiving>*</msg:Receiving>" if name in self.takes else "") + "</msg:ObjectType>"
            for name in sorted({*self.sends, *self.takes})) + "</msg:AvailableObjectTypes>"
        inner = "" if is_first else f'<Body xmlns="{format}">{body}</Body>'
        draft = self.outgoing.with_suffix(".tmp")
        draft.write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n<Message xmlns:msg="{MSG}"><msg:Header>{head}</msg:Header>{inner}</Message>', "utf-8")
        draft.rename(self.outgoing)

    # Its objects.

    def object(self, id):
        base = self.base
        if id in base.clients:
            client = base.clients[id]
            tables = [("ИсторияНаименований", "НаименованиеПолное", client.get("names")), ("ИсторияКПП", "КПП", client.get("kpps"))]
            return tag("Справочник.Контрагенты", tag("КлючевыеСвойства", self.keys(id)),
                       *(tag(table, "".join(tag("Строка", Период=f"{day}T00:00:00", **{field: value}) for day, value in rows)) for table, field, rows in tables if rows))
        if id in base.orders:
            order = base.orders[id]
            if order["deleted"]:
                return self.deletion("ЗаказКлиента", id)
            return tag("Документ.ЗаказКлиента", tag("КлючевыеСвойства", Ссылка=id, Номер=order["onec"], Дата="2026-11-20T10:00:00"),
                       self.currency(), tag("Контрагент", self.keys(order["client"])),
                       tag("ДополнительныеРеквизиты", "".join(tag("Строка", tag("Свойство", Наименование=name), ЗначениеСвойства=value)
                                                              for name, value in order.get("attributes", {}).items())),
                       Сумма=order["total"], Проведен=str(order["posted"]).lower())
        if id in base.documents:
            document = base.documents[id]
            if document["deleted"]:
                return self.deletion("Документ", id)
            keys = tag("КлючевыеСвойства", Ссылка=id, Номер=document["number"], Дата=document["date"])
            link = lambda order: tag("Заказ", tag("ЗаказКлиента", tag("КлючевыеСвойства", Ссылка=order)))
            if document["kind"] == "РеализацияТоваровУслуг":
                rows = "".join(tag("Строка", link(order), Сумма=amount) for order, amount in document["orders"].items())
                return tag("Документ.РеализацияТоваровУслуг", keys, self.currency(), tag("Товары", rows), Сумма=document["amount"])
            rows = "".join(tag("Строка", link(order), Сумма=part) for order, amount in document["orders"].items()
                           for part in (Decimal(amount) - 1, Decimal(1)))
            common = tag("ОбщиеДанные", Сумма=document["amount"], ДатаВыписки=document["date"], НазначениеПлатежа="Оплата по счёту")
            return tag(f"Документ.{document['kind']}", keys, self.currency(), common, tag("РасшифровкаПлатежа", rows))
        return self.deletion("Документ", id)

    def keys(self, id):
        client = self.base.clients[id]
        fields = {"Ссылка": id, "Наименование": client["name"], "НаименованиеПолное": client["name"], "ИНН": client["inn"], "КПП": client["kpp"]}
        return "".join(f"<{k}>{escape(str(v))}</{k}>" for k, v in fields.items() if v)

    @staticmethod
    def currency():
        return tag("Валюта", tag("ДанныеКлассификатора", Код="643", Наименование="руб."))

    @staticmethod
    def deletion(kind, id):
        return tag("УдалениеОбъекта", tag("ОбъектСсылка", tag("СсылкаНаОбъект", tag(kind, Ссылка=id))))
