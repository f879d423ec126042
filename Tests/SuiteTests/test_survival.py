"""Processes die while a burst is under way; nothing is lost and nothing comes twice."""
import os
import random
import signal
import threading
import time

import requests
from suite import SERVICES, OneC, wait_for

COUNT = int(os.environ.get("THROUGHLINE_BURST", "1000"))
KILLS = int(os.environ.get("THROUGHLINE_KILLS", "20"))


class Burst:
    """Posts updates until each was acknowledged, as Telegram does; about fifty a second."""

    def __init__(self, suite, first, count):
        self.suite, self.left, self.lock = suite, list(range(first, first + count)), threading.Lock()
        random.Random(1).shuffle(self.left)
        self.threads = [threading.Thread(target=self.work) for _ in range(8)]
        for thread in self.threads:
            thread.start()

    def work(self):
        pause = threading.Event()
        while True:
            with self.lock:
                if not self.left:
                    return
                number = self.left.pop()
            try:
                done = self.suite.say(number, number, "Нужен станок").status_code == 200
            except requests.RequestException:
                done = False
            if not done:
                with self.lock:
                    self.left.append(number)
            pause.wait(0.15)

    def end(self):
        for thread in self.threads:
            thread.join(300)
        assert not self.left


def all_leads(suite, token):
    found, after = [], None
    while True:
        page = suite.get("crm-core", "/api/v1/leads", token, limit=200, **({"after": after} if after else {}))
        found += page["items"]
        after = page["next"]
        if not after:
            return found


def all_events(suite):
    seen, after = [], ""
    while True:
        page = suite.get("crm-core", "/api/v1/events", "reader-key", after=after, limit=200)
        if not page["items"]:
            return seen
        seen += page["items"]
        after = page["next"]


def drained(suite):
    try:
        return all(s["phase"] == "LIVE" and s["seq"] == s["head"] for name in SERVICES
                   for s in requests.get(suite.url(name) + "/readyz", timeout=5).json()["subscriptions"])
    except requests.RequestException:
        return False


def lines_are_whole(suite, count):
    """Every lead once; each line begins with its opening and every step names a cause that is there."""
    token = suite.token()
    found = wait_for(lambda: (lambda l: l if len(l) >= count else None)(all_leads(suite, token)), 240, "all leads")
    assert len(found) == count and len({l["journeyId"] for l in found}) == count
    wait_for(lambda: drained(suite), 240, "all streams at their heads")
    # A stream that is at its head may get one more from another that was asked a moment later: the last step of each line is waited for.
    ours = {l["journeyId"] for l in found}
    counted = lambda all: sum(e["type"] == "bi.fact.counted.v1" and e.get("correlationid") in ours for e in all)
    events = wait_for(lambda: (lambda all: all if counted(all) >= count else None)(all_events(suite)), 120, "the last step of each line")
    assert len({(e["source"], e["id"]) for e in events}) == len(events), "no event twice"
    journeys = {}
    for event in events:
        if event.get("correlationid"):
            journeys.setdefault(event["correlationid"], []).append(event)
    for lead in found:
        kinds = [e["type"] for e in journeys[lead["journeyId"]]]
        for kind in ["bot.journey.opened.v1", "bot.message.received.v1", "crm.lead.created.v1", "bi.fact.counted.v1"]:
            assert kinds.count(kind) == 1, (lead["journeyId"], kind, kinds)
        ids = {e["id"] for e in journeys[lead["journeyId"]]}
        assert all(e.get("causationid") in ids for e in journeys[lead["journeyId"]] if e["type"] != "bot.journey.opened.v1")
    total = suite.get("bi-aggregator", "/api/v1/metrics/leads.created", token)["items"]
    assert total[0]["value"] == count, "each lead counts once"
    return token, found


def test_every_service_killed_twenty_times(suite):
    burst = Burst(suite, 100_000, COUNT)
    chance = random.Random(2)
    kills = {name: 0 for name in SERVICES}
    pause = threading.Event()
    end = time.monotonic() + 300
    while min(kills.values()) < KILLS and time.monotonic() < end:
        name = chance.choice([n for n in SERVICES if kills[n] < KILLS])
        pid = suite.pids().get(name)
        if pid:
            os.kill(pid, signal.SIGKILL)
            kills[name] += 1
        pause.wait(chance.uniform(0.05, 0.4))
    assert min(kills.values()) == KILLS, kills
    burst.end()
    wait_for(suite.ready, 60)
    lines_are_whole(suite, COUNT)


def test_the_database_restarted_in_immediate_mode(suite):
    before = len(all_leads(suite, suite.token()))
    burst = Burst(suite, 300_000, COUNT // 4)
    pause = threading.Event()
    for _ in range(3):
        pause.wait(1)
        # A server that is recovering still is not killed once more: it has no pid to be read.
        wait_for(lambda: suite.psql("crm_core", "SELECT 1").returncode == 0, 60, "the database")
        os.kill(suite.postgres_pid(), signal.SIGQUIT)
        wait_for(suite.ready, 60)
    burst.end()
    wait_for(suite.ready, 60)
    lines_are_whole(suite, before + COUNT // 4)


def test_1c_away_stops_nobody_else(suite):
    """Orders wait while 1C does not come; chats, leads and letters go on; then all drain in order."""
    token = suite.token()
    numbers, delays, letters = [], [], len(suite.mailbox.letters)
    while not suite.telegram.sent.empty():
        suite.telegram.next()
    for index in range(20):
        body = {"channel": "site", "conversationId": f"away-{index}", "messageId": "1", "text": "Нужна фреза",
                "sender": {"name": "Анна", "phone": f"8 916 000-01-{index:02}"}}
        journey = suite.post("bot-gateway", "/api/v1/messages", "form-key", body, status=202)["journeyId"]
        lead = wait_for(lambda: (suite.get("crm-core", "/api/v1/leads", token, journeyId=journey)["items"] or [None])[0])
        wait_for(lambda: suite.get("crm-core", f"/api/v1/leads/{lead['id']}", token)["name"])
        deal = suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", token, {"title": f"Фреза {index}"})
        order = {"currency": "RUB", "lines": [{"sku": "F", "name": "Фреза", "quantity": "1", "price": "10.00"}]}
        numbers.append(suite.post("crm-core", f"/api/v1/deals/{deal['id']}/orders", token, order, key=f"away-{index}")["number"])
        start = time.monotonic()
        suite.say(400_000 + index, 400_000 + index, "/start")
        suite.telegram.next()
        delays.append(time.monotonic() - start)
    assert sorted(delays)[10] < 2 and max(delays) < 15, f"the bot answers while 1C is away: {delays}"
    wait_for(lambda: len(suite.mailbox.letters) >= letters + 20, 60, "the letters of twenty leads")
    base = lambda: next(b for b in suite.get("accounting-bridge", "/api/v1/bases", token)["items"] if b["base"] == "unf")
    # The last order may still be on its way to the bridge.
    wait_for(lambda: base()["waiting"] == 20, what="all twenty to wait")
    assert base()["waitingSince"]
    line = suite.get("crm-core", f"/api/v1/journeys/{journey}", token)
    assert any(g["waitingFor"] == "onec.order.sent" and g["owner"] == "1С unf" for g in line["gaps"])
    onec, taken = OneC(suite), []

    def drain():
        onec.open()
        orders = onec.fetch()
        taken.extend(o["Номер"] for o in orders)
        onec.call("success")
        return not orders
    wait_for(drain, 60, "the queue to drain")
    assert taken == numbers == sorted(numbers, key=int), "in order, each once"
    wait_for(lambda: all(any(h["kind"] == "order" for h in suite.get("crm-core", "/api/v1/search", token, q=n)["items"]) for n in numbers))


def test_an_order_number_is_never_used_twice_also_after_a_restore(suite):
    token = suite.token()
    deal = next(d for d in suite.get("crm-core", "/api/v1/deals", token)["items"] if d["title"].startswith("Фреза"))
    ask = lambda key: int(suite.post("crm-core", f"/api/v1/deals/{deal['id']}/orders", token, {"currency": "RUB", "lines": [
        {"sku": "F", "name": "Фреза", "quantity": "1", "price": "10.00"}]}, key=key)["number"])
    first = ask("restore-1")
    assert ask("restore-2") == first + 1
    # The database of an hour ago: the counter and the orders since are gone.
    suite.sql("crm_core", f"DELETE FROM invoice_step USING sales_order o WHERE o.id = order_id AND o.number::bigint >= {first}")
    suite.sql("crm_core", f"DELETE FROM sales_order WHERE number::bigint >= {first}")
    suite.sql("crm_core", f"UPDATE order_counter SET last = {first - 1}")
    suite.stop()
    suite.start()
    token = suite.token()
    deal_orders = ask("restore-3")
    assert deal_orders == first + 2


def test_after_ctrl_c_nothing_runs_and_nothing_is_lost(suite):
    before = len(all_leads(suite, suite.token()))
    suite.stop()
    assert suite.process.returncode == 0
    assert suite.pids() == {}
    suite.start()
    assert len(all_leads(suite, suite.token())) == before


def test_a_killed_supervisor_leaves_nothing_and_comes_back(suite):
    before = len(all_leads(suite, suite.token()))
    suite.process.kill()
    suite.process.wait(20)
    wait_for(lambda: suite.pids() == {}, 20, "the services to end with their supervisor")
    suite.start()
    assert len(all_leads(suite, suite.token())) == before


def test_no_token_stands_in_a_log(suite):
    text = (suite.folder / "suite.log").read_text()
    for secret in suite.secrets:
        assert secret not in text
