"""The part of deploy/compose-check that talks to the running containers: one line end to end, then kills and restarts."""
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import requests
import zmq

HERE = Path(__file__).parent
os.environ.setdefault("THROUGHLINE_BIN", "/nonexistent")
sys.path.insert(0, str(HERE.parents[1] / "Tests/SuiteTests"))
from suite import SERVICES, OneC, wait_for  # noqa: E402

ENGINE, COMPOSE, PROJECT = os.environ["ENGINE"], os.environ["COMPOSE"].split(), os.environ["COMPOSE_PROJECT_NAME"]
SECRET = "webhook-secret"
CONTAINERS = ["postgres", *SERVICES]


def run(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if check and done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout


def compose(*words):
    return run(*COMPOSE, "-p", PROJECT, *words)


def container(service):
    """The running container of a service; both ways of joining its name are in use."""
    names = run(ENGINE, "ps", "-a", "--format", "{{.Names}}").split()
    return next(n for n in names if n in (f"{PROJECT}_{service}_1", f"{PROJECT}-{service}-1"))


class Composed:
    """Reached through the published ports, as from outside."""

    def url(self, service):
        return f"http://127.0.0.1:{os.environ[f'THROUGHLINE_PORT_808{SERVICES.index(service)}']}"

    def ready(self):
        try:
            return all(requests.get(self.url(s) + "/readyz", timeout=3).status_code == 200 for s in SERVICES)
        except requests.RequestException:
            return False

    def call(self, method, service, path, token, body=None, key=None, **params):
        headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
        answer = requests.request(method, self.url(service) + path, json=body, headers=headers, params=params, timeout=20)
        assert answer.ok, (path, answer.status_code, answer.text)
        return answer.json()

    def token(self):
        body = {"login": "admin", "password": "check-password"}
        return requests.post(self.url("crm-core") + "/api/v1/sessions", json=body, timeout=20).json()["token"]

    def update(self, number, **kinds):
        return requests.post(self.url("bot-gateway") + "/telegram/shop/webhook", json={"update_id": number, **kinds},
                             headers={"X-Telegram-Bot-Api-Secret-Token": SECRET}, timeout=20)

    def message(self, number, chat, **rest):
        return self.update(number, message={
            "message_id": number, "from": {"id": chat, "is_bot": False, "first_name": "Иван"},
            "chat": {"id": chat, "type": "private"}, "date": int(time.time()), **rest})


def settings():
    Path(os.environ["THROUGHLINE_SETTINGS"]).write_text(f"""
company: {{ name: "Проверка", currency: RUB, timeZone: Europe/Moscow, locale: ru }}
organizations: [{{ code: ooo, name: "ООО Проверка", inn: "7707083893", kpp: "770701001", base: unf }}]
users:
  - {{ login: admin, name: "Администратор", password: "check-password", roles: [admin, manager], email: admin@example.ru }}
bots: [{{ name: shop, channel: telegram, token: "1:AA", receive: webhook, webhookSecret: "{SECRET}", upstream: "http://127.0.0.1:9", flow: lead }}]
onec: [{{ base: unf, driver: commerceml, login: exchange, password: "обмен", firstNumber: 500 }}]
""")


def line(suite, first, number):
    """From a Telegram update to the money in the report."""
    suite.message(first, first, text="/start check")
    suite.update(first + 1, callback_query={"id": "1", "from": {"id": first, "is_bot": False, "first_name": "Иван"}, "chat_instance": "x",
                 "data": "consent", "message": {"message_id": 1, "date": 0, "chat": {"id": first, "type": "private"}}})
    suite.message(first + 2, first, text="Иван Петров")
    suite.message(first + 3, first, contact={"phone_number": "79161234567", "first_name": "Иван", "user_id": first})
    suite.message(first + 4, first, text="Токарный станок")
    token = suite.token()
    lead = wait_for(lambda: next((x for x in suite.call("GET", "crm-core", "/api/v1/leads", token)["items"]
                                  if x["complete"] and x["status"] == "new"), None), 60, "the complete lead")
    deal = suite.call("POST", "crm-core", f"/api/v1/leads/{lead['id']}/convert", token, {"title": "Станок"})
    goods = {"currency": "RUB", "lines": [{"sku": "T", "name": "Станок", "quantity": "1", "price": "1000.00"}]}
    order = suite.call("POST", "crm-core", f"/api/v1/deals/{deal['id']}/orders", token, goods, key=f"check-{first}")
    assert order["number"] == number, order
    onec = OneC(suite)
    wait_for(lambda: (onec.open(), onec.fetch())[1], 60, "the order in the exchange")
    onec.call("success")
    onec.send(order["number"], "1000.00", payments=[(f"p{first}", "1000.00", "true")])
    wait_for(lambda: suite.call("GET", "crm-core", f"/api/v1/orders/{order['orderId']}", token)["payment"] == "full", 60, "the payment")


def money(key):
    """Subscribes as a BI consumer with a key of its own: beyond loopback the topics demand one."""
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RCVTIMEO, 30000)
    socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = (key[k].encode() for k in ("serverKey", "publicKey", "secretKey"))
    socket.subscribe("metric/money.received/total")
    socket.connect(f"tcp://127.0.0.1:{os.environ['THROUGHLINE_PORT_8383']}")
    return socket


def received(socket, amount):
    while True:
        cell = json.loads(socket.recv_multipart()[1])
        if cell["by"] == [] and cell["value"] == amount:
            return


settings()
suite = Composed()
compose("up", "-d", "--no-build")
wait_for(suite.ready, 180, "five ready services")
print("up: five services are ready")
for service in SERVICES:
    assert run(ENGINE, "exec", container(service), "id", "-u").strip() == "10001", "no service runs as root"
secrets = run(ENGINE, "exec", container("notifier"), "sh", "-c", "ls /data/keys").split()
assert "notifier.secret" in secrets and "crm-core.secret" not in secrets and "session.seed" not in secrets, secrets
said = compose("run", "--rm", "prepare", "throughline", "keys", "add", "check", "--role", "reader", "--json",
               "--data", "/suite/bi-aggregator")
key = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
time.sleep(3)  # a new key is known within seconds
topics = money(key)
line(suite, 1000, "500")
received(topics, "1000.00")
print("line: a Telegram update became money.received on the topic")

for service in CONTAINERS:
    run(ENGINE, "kill", "--signal", "KILL", container(service))
    # Docker's restart policy does not bring back what a person killed; both engines start it so.
    threading.Event().wait(1)
    run(ENGINE, "start", container(service), check=False)
    wait_for(suite.ready, 120, f"the suite after {service} was killed")
    print(f"killed and back: {service}")
for service in CONTAINERS:
    compose("restart", service)
    wait_for(suite.ready, 120, f"the suite after {service} was restarted")
print("restarted: every container")
topics.close()
topics = money(key)
line(suite, 2000, "501")
received(topics, "2000.00")
print("line: whole again after all of it, nothing lost, the next order number is the next")
compose("down")
print("compose-check: passed")
