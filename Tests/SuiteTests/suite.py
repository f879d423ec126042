"""Runs the real suite for a test: five processes, their own PostgreSQL, a Telegram server, a mailbox, a 1C client."""
import itertools
import json
import os
import queue
import re
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.etree import ElementTree

import requests
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

BIN = Path(os.environ["THROUGHLINE_BIN"])
TOKEN = "700:AAtest-token"
POLLED = "701:AApolled-token"
SECRET = "webhook-secret"
SERVICES = ["crm-core", "bot-gateway", "accounting-bridge", "bi-aggregator", "notifier"]


def wait_for(check, seconds=30, what="the condition"):
    """Polls until `check` answers something true; its answer."""
    end = time.monotonic() + seconds
    tick = threading.Event()
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        tick.wait(0.05)


looks = itertools.count()


def free_base():
    """A port base whose whole range is free now, below the ephemeral ports. Each process looks from another place on, and each time from the next."""
    bases = range(20000, 32000, 500)
    first = (os.getpid() + next(looks)) % len(bases)
    for base in [*bases[first:], *bases[:first]]:
        offsets = [0, 1, 2, 3, 4, 303, 352]
        held = []
        try:
            for offset in offsets:
                s = socket.socket()
                held.append(s)
                # As the services do: connections that have just ended there are in nobody's way.
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", base + offset))
                s.listen(1)
            return base
        except OSError:
            continue
        finally:
            for s in held:
                s.close()
    raise RuntimeError("no free ports")


class Telegram:
    """A Bot API server: keeps what bots send; errors can be planted."""

    def __init__(self):
        outer = self
        self.sent = queue.Queue()
        self.log = []
        self.plan = []
        self.updates = queue.Queue()
        self.waiting = []
        self.number = 1000

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                bot, method = self.path.rsplit("/", 2)[1:]
                status, answer = outer.answer(method, json.loads(body or b"{}"), bot)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.handler = Handler
        self.come(0)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def come(self, port):
        self.server = ThreadingHTTPServer(("127.0.0.1", port), self.handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @contextmanager
    def away(self):
        """Nobody listens as long as the block lasts."""
        port = self.server.server_address[1]
        self.server.shutdown()
        self.server.server_close()
        try:
            yield
        finally:
            self.come(port)

    def answer(self, method, body, bot):
        if method == "getUpdates":
            return 200, {"ok": True, "result": self.poll(body.get("offset", 0))}
        if method == "sendMessage" and self.plan:
            return self.plan.pop(0)
        if method != "sendMessage":
            return 200, {"ok": True, "result": True}
        self.number += 1
        self.log.append(body)
        self.sent.put(body)
        return 200, {"ok": True, "result": {"message_id": self.number, "chat": {"id": body["chat_id"]}, "date": 1}}

    def poll(self, offset):
        """Long polling: an offset confirms what is below it."""
        try:
            self.waiting.append(self.updates.get(timeout=0.3))
        except queue.Empty:
            pass
        self.waiting = [u for u in self.waiting if u["update_id"] >= offset]
        return self.waiting

    def next(self, seconds=20):
        return self.sent.get(timeout=seconds)


class Mailbox:
    def __init__(self):
        self.letters = []
        self.controller = Controller(self, hostname="127.0.0.1", port=0, auth_required=True, auth_require_tls=False,
                                     authenticator=self.check)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.controller.port = s.getsockname()[1]
        self.controller.start()
        self.url = f"smtp://crm:mail-password@127.0.0.1:{self.controller.port}"

    def check(self, server, session, envelope, mechanism, data):
        return AuthResult(success=(data.login, data.password) == (b"crm", b"mail-password"))

    async def handle_DATA(self, server, session, envelope):
        import email
        import email.policy
        self.letters.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"


class Suite:
    def __init__(self, folder, onec=True, books=None):
        """`onec`: whether a 1C keeps the books. `books`: other lists of organizations and bases, in YAML."""
        self.folder = Path(folder)
        self.base = free_base()
        self.telegram = Telegram()
        self.mailbox = Mailbox()
        self.config = self.folder / "suite.yaml"
        organizations = """
  - { code: ooo, name: "ООО Станкоторг", inn: "7707083893", kpp: "770701001", base: unf }
  - { code: ip, name: "ИП Петров", base: ut }"""
        bases = """
onec:
  - { base: unf, driver: commerceml, login: exchange, password: "обмен", firstNumber: 500 }
  - { base: ut, driver: commerceml, login: ut, password: "ut" }"""
        if not onec:
            organizations, bases = """
  - { code: ip, name: "ИП Петров" }""", ""
        if books:
            organizations, bases = books
        self.config.write_text(f"""
company: {{ name: "Станкоторг", currency: RUB, timeZone: Europe/Moscow, locale: ru }}
organizations:{organizations}
users:
  - {{ login: admin, name: "Администратор", password: "admin-password", role: admin, email: admin@example.ru }}
  - {{ login: maria, name: "Мария Петрова", password: "maria-password", role: manager, email: maria@example.ru }}
  - {{ login: olga, name: "Ольга Белова", password: "olga-password", role: accountant }}
  - {{ login: oleg, name: "Олег Ким", password: "oleg-password", role: manager, email: oleg@example.ru }}
apiKeys:
  - {{ name: site-form, key: "form-key", roles: [bot], channels: [site] }}
  - {{ name: reports, key: "reader-key", roles: [reader] }}
bots:
  - {{ name: shop, channel: telegram, token: "{TOKEN}", receive: webhook, webhookSecret: "{SECRET}", upstream: "{self.telegram.url}", flow: lead }}
  - {{ name: polled, channel: telegram, token: "{POLLED}", receive: poll, upstream: "{self.telegram.url}", flow: lead }}{bases}
smtp: {{ url: "{self.mailbox.url}", from: "crm@example.ru" }}
""")
        self.secrets = [TOKEN, POLLED, SECRET, "admin-password", "form-key", "reader-key", "mail-password"]
        self.process = None

    def url(self, service):
        return f"http://127.0.0.1:{self.base + SERVICES.index(service)}"

    def start(self):
        self.output = open(self.folder / "suite.log", "ab")
        self.process = subprocess.Popen(
            [BIN / "throughline", "up", "--data", self.folder / "data", "--config", self.config,
             "--port-base", str(self.base)], stdout=self.output, stderr=self.output)
        wait_for(self.ready, 120, "the suite's readiness")

    def ready(self):
        assert self.process.poll() is None, (self.folder / "suite.log").read_text()[-3000:]
        try:
            return all(requests.get(self.url(s) + "/readyz", timeout=2).status_code == 200 for s in SERVICES)
        except requests.RequestException:
            return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(40)

    def pids(self):
        """Service name → pid, of this suite alone."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if str(self.folder / "data").encode() in words:
                    found[Path(words[0].decode()).name] = int(entry.name)
        return found

    def postgres_pid(self):
        return int((self.folder / "data/postgres/postmaster.pid").read_text().split("\n")[0])

    def database_url(self, role):
        """As that service's own role reaches it."""
        password = (self.folder / f"data/keys/database-{role.replace('_', '-') if role != 'bi_reader' else role}.secret").read_text().strip()
        return f"postgres://{role}:{password}@127.0.0.1:{self.base + 352}/throughline?options=-csearch_path%3D{role}"

    def psql(self, role, statement):
        return subprocess.run(
            ["psql", "-X", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", statement, self.database_url(role)],
            capture_output=True, text=True, timeout=30)

    def sql(self, role, statement):
        """Rows of a statement, run as a service's own role."""
        run = self.psql(role, statement)
        assert run.returncode == 0, run.stderr
        return [line.split("\t") for line in run.stdout.splitlines()]

    def sql_error(self, role, statement):
        run = self.psql(role, statement)
        assert run.returncode != 0, run.stdout
        return run.stderr

    # What outsiders do.

    def update(self, number, **kinds):
        return requests.post(
            self.url("bot-gateway") + "/telegram/shop/webhook", json={"update_id": number, **kinds},
            headers={"X-Telegram-Bot-Api-Secret-Token": SECRET}, timeout=20)

    def say(self, number, chat, text, name="Иван"):
        return self.update(number, message={
            "message_id": number, "from": {"id": chat, "is_bot": False, "first_name": name},
            "chat": {"id": chat, "type": "private"}, "date": int(time.time()), "text": text})

    def token(self, login="admin"):
        answer = requests.post(
            self.url("crm-core") + "/api/v1/sessions", json={"login": login, "password": f"{login}-password"}, timeout=20)
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]

    def get(self, service, path, token, **params):
        answer = requests.get(self.url(service) + path, params=params,
                              headers={"Authorization": f"Bearer {token}"}, timeout=20)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.json()

    def post(self, service, path, token, body, key=None, status=None):
        headers = {"Authorization": f"Bearer {token}"}
        if key:
            headers["Idempotency-Key"] = key
        answer = requests.post(self.url(service) + path, json=body, headers=headers, timeout=20)
        assert answer.status_code == status if status else answer.ok, (path, answer.status_code, answer.text)
        return answer.json()

    def lead(self, token, name):
        """A request from the site's form; its lead."""
        body = {"channel": "site", "conversationId": name, "messageId": "1", "sender": {"name": name}}
        journey = self.post("bot-gateway", "/api/v1/messages", "form-key", body, status=202)["journeyId"]
        return wait_for(lambda: (self.get("crm-core", "/api/v1/leads", token, journeyId=journey)["items"] or [None])[0])

    def order(self, token, name, lines=None, company=None, **more):
        """A request that became a deal and an order, of 10.00 roubles when no lines are given, ready for 1C."""
        lead = self.lead(token, name)
        deal = self.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", token, {"companyId": company} if company else {})
        lines = lines or [{"sku": name, "name": name, "quantity": "1", "price": "10.00"}]
        order = self.post("crm-core", f"/api/v1/deals/{deal['id']}/orders", token, {"currency": "RUB", "lines": lines, **more},
                          key=name, status=201)
        wait_for(lambda: self.sql("accounting_bridge", f"SELECT 1 FROM order_out WHERE number = '{order['number']}'"))
        return {**order, "dealId": deal["id"], "journeyId": lead["journeyId"]}

    def offered(self, numbers):
        """Whether the bridge offers all these orders to 1C now."""
        return numbers <= {row[0] for row in self.sql("accounting_bridge", "SELECT number FROM order_out WHERE state = 'ready'")}


@contextmanager
def running(folder, **how):
    """A suite that lives as long as the block."""
    folder.chmod(0o755)
    suite = Suite(folder, **how)
    try:
        suite.start()
        yield suite
    finally:
        suite.stop()


class OneC:
    """1C as УНФ with subordinate documents speaks to a site."""

    def __init__(self, suite, login="exchange", password="обмен"):
        self.url = suite.url("accounting-bridge") + "/1c/exchange"
        self.http = requests.Session()
        self.http.auth = (login.encode(), password.encode())

    def call(self, mode, body=None, type="sale", **params):
        params = {"type": type, "mode": mode, **params}
        if body is None:
            return self.http.get(self.url, params=params, timeout=30)
        return self.http.post(self.url, params=params, data=body, timeout=30)

    def open(self):
        lines = self.call("checkauth").text.split("\n")
        assert lines[0] == "success", lines
        self.http.cookies.set(lines[1], lines[2])

    def documents(self):
        text = self.call("query").content
        assert text.startswith(b"<?xml")
        return [document for document in ElementTree.fromstring(text) if document.tag.endswith("Документ")]

    def fetch(self):
        return [{child.tag.split("}")[1]: child.text for child in document} for document in self.documents()]

    def take_orders(self, refuses=()):
        """Sessions until nothing is left, at most 40; nothing that holds one of `refuses` is acknowledged. The numbers taken."""
        taken = []
        for _ in range(40):
            self.open()
            numbers = [document["Номер"] for document in self.fetch()]
            if not numbers:
                break
            if not set(numbers) & set(refuses):
                self.call("success")
                taken += numbers
        return taken

    @staticmethod
    def written(number, total, payments=(), shipments=(), extra=(), encoding="utf-8", due=None, refunds=()):
        """A file with what has become of an order."""
        def requisites(pairs):
            return "<ЗначенияРеквизитов>" + "".join(
                f"<ЗначениеРеквизита><Наименование>{k}</Наименование><Значение>{v}</Значение></ЗначениеРеквизита>"
                for k, v in pairs) + "</ЗначенияРеквизитов>"
        children = "".join(
            f"<ПодчиненныйДокумент><Ид>{id}</Ид><Дата>2026-11-20T9:05:00</Дата><ХозОперация>{kind}</ХозОперация>"
            f"<Сумма>{amount}</Сумма><Валюта>руб</Валюта>"
            # УНФ writes a payment's own day there: it is nobody's due date.
            f"<СрокПлатежа>2026-11-20</СрокПлатежа>{requisites([('Проведен', posted)])}</ПодчиненныйДокумент>"
            for id, kind, amount, posted in
            [(i, "Выплата безналичных денег", a, p) for i, a, p in payments]
            + [(i, "Возврат безналичных денег", a, p) for i, a, p in refunds] + [(i, "Отпуск товара", a, p) for i, a, p in shipments])
        xml = (f'<?xml version="1.0" encoding="{encoding}"?><КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_210" ВерсияСхемы="2.10">'
               f"<Контейнер><Документ><Ид>guid-{number}</Ид><Номер>{number}</Номер><Дата>2026-11-20</Дата><ХозОперация>Заказ товара</ХозОперация>"
               f"<Валюта>руб</Валюта><Сумма>{total}</Сумма><СрокПлатежа>{due or '0001-01-01'}</СрокПлатежа><ПодчиненныеДокументы>{children}</ПодчиненныеДокументы>"
               f"{requisites([('Номер по 1С', 'НФ-' + str(number)), ('Проведен', 'true'), *extra])}</Документ></Контейнер></КоммерческаяИнформация>")
        return (b"\xef\xbb\xbf" if encoding == "utf-8" else b"") + xml.encode(encoding)

    @staticmethod
    def made_there(key, number, total, client, payments=(), lines=(("Ящик", "2", "15.50", "31.00"),), seller=None):
        """A file with an order that was made in 1C itself."""
        card, name, inn = client
        money = "".join(f"<ПодчиненныйДокумент><Ид>{id}</Ид><Дата>2026-11-20T09:00:00</Дата><ХозОперация>Выплата безналичных денег</ХозОперация>"
                        f"<Сумма>{amount}</Сумма><Валюта>руб</Валюта></ПодчиненныйДокумент>" for id, amount in payments)
        goods = "".join(f"<Товар><Ид>{n}</Ид><Артикул>A-{n}</Артикул><Наименование>{n}</Наименование><Количество>{q}</Количество>"
                        f"<ЦенаЗаЕдиницу>{p}</ЦенаЗаЕдиницу><Сумма>{s}</Сумма></Товар>" for n, q, p, s in lines)
        sold = f"<Контрагент><Роль>Продавец</Роль><Наименование>мы</Наименование><ИНН>{seller}</ИНН></Контрагент>" if seller else ""
        return ('<?xml version="1.0" encoding="utf-8"?><КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_210" ВерсияСхемы="2.10"><Контейнер>'
                f"<Документ><Ид>{key}</Ид><Номер>{number}</Номер><Дата>2026-11-19</Дата><ХозОперация>Заказ товара</ХозОперация><Валюта>руб</Валюта>"
                f"<Сумма>{total}</Сумма><Контрагенты>{sold}<Контрагент><Ид>{card}</Ид><Наименование>{name}</Наименование><ИНН>{inn}</ИНН><Роль>Покупатель</Роль></Контрагент></Контрагенты>"
                f"<Товары>{goods}</Товары><ПодчиненныеДокументы>{money}</ПодчиненныеДокументы><ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>Номер по 1С</Наименование>"
                f"<Значение>{number}</Значение></ЗначениеРеквизита><ЗначениеРеквизита><Наименование>Проведен</Наименование><Значение>true</Значение></ЗначениеРеквизита>"
                "</ЗначенияРеквизитов></Документ></Контейнер></КоммерческаяИнформация>").encode()

    def send(self, number, total, payments=(), chunk=None, **what):
        data = self.written(number, total, payments, **what)
        for start in range(0, len(data), chunk or len(data)):
            answer = self.call("file", data[start:start + (chunk or len(data))], filename=f"orders-{number}.xml")
            assert answer.text.startswith("success"), answer.text
        return data
