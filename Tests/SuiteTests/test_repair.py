"""«Почему мне не выставили счёт?»: what was set aside between the CRM and 1C is found by what people say, explained in plain words, and done again once."""
import contextlib
import html
import re
import subprocess

import requests
from suite import OneC, wait_for


def story(suite, number):
    return suite.get("accounting-bridge", f"/api/v1/order-stories/{number}", suite.token())


def plan(suite, token, **filter):
    return suite.post("accounting-bridge", "/api/v1/replays", token, {"filter": filter, "dryRun": True}, status=201)


def test_a_changed_format_is_found_in_three_clicks_and_settles_when_1c_mends_it(suite):
    token = suite.token()
    order = suite.order(token, "why-no-invoice")
    assert "ждёт, пока 1С unf его заберёт" in story(suite, order["number"])["verdict"]
    onec = OneC(suite)
    onec.take_orders()
    assert "ещё не прислала его номер" in story(suite, order["number"])["verdict"]
    # «Изменили формат и забыли предупредить»: the currency comes as a word that nobody knows.
    real = onec.call
    onec.call = lambda mode, body=None, **more: real(mode, body and body.replace("<Валюта>руб<".encode(), "<Валюта>фантик<".encode()), **more)
    onec.open()
    onec.send(order["number"], "10.00")
    onec.call = real
    browser = requests.Session()
    browser.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    page = lambda path: html.unescape(browser.get(suite.url("crm-core") + path, timeout=20).text)
    found = page("/journal?q=why-no-invoice")
    link = re.search(r'href="(/journal/order/\d+)"', found)[1]
    shown = page(link)
    assert link.endswith(f"/{order['number']}")
    for words in ["Заказ отдан 1С", "1С подтвердила, что забрала заказ", "валюта «фантик» неизвестна", "Повторить"]:
        assert words in shown, words
    verdict = re.search(r'id="verdict">(.*?)</div>', shown, re.S)[1]
    assert "не удалось понять: валюта «фантик» неизвестна" in verdict
    # Done again before it is mended: it says so, and nothing is lost.
    fields = dict(re.findall(r'name="(csrf|kind|ref|number)" value="([^"]+)"', shown[shown.index('action="/journal/repair"'):]))
    again = browser.post(suite.url("crm-core") + "/journal/repair", data=fields, timeout=20)
    assert "валюта «фантик» неизвестна" in html.unescape(again.text) and "Повторить" in again.text
    assert browser.post(suite.url("crm-core") + "/journal/repair", data={**fields, "csrf": "x"}, timeout=20).status_code == 403
    # 1C mends it and sends it anew: what was parked is settled by that.
    onec.open()
    onec.send(order["number"], "10.00")
    after = story(suite, order["number"])
    assert after["verdict"] == f"Заказ в 1С: НФ-{order['number']}." and after["repairs"] == [] and not after["isWrong"]
    assert any("Улажено: 1С прислала заново" in line["words"] for line in after["lines"])
    by_client = suite.get("accounting-bridge", "/api/v1/exchanges", token, counterparty="why-no-inv")["items"]
    assert {"sale.query", "sale.success", "sale.file"} <= {e["kind"] for e in by_client}
    assert suite.get("accounting-bridge", "/api/v1/exchanges", token, order=order["number"], status="parked")["items"] == []


def test_a_document_that_came_too_early_is_done_again_exactly_once(suite):
    token = suite.token()
    onec = OneC(suite)
    number = int(suite.order(token, "before-it")["number"]) + 1
    onec.open()
    onec.send(number, "10.00", payments=[("early", "4.00", "true")])
    onec.open()
    onec.send(number, "10.00", payments=[("early", "10.00", "true")])
    waiting = [p for p in suite.get("accounting-bridge", "/api/v1/parked", token, limit=200)["items"] if p["number"] == str(number)]
    assert len(waiting) == 1, "the newest tells all that the older one did"
    order = suite.order(token, "too-early")
    assert order["number"] == str(number)
    onec.take_orders()
    planned = plan(suite, token, order=order["number"], kind="document")
    assert (planned["count"], planned["differences"]["wouldSucceed"], planned["state"]) == (1, 1, "planned")
    assert f"заказ {number} = НФ-{number}, оплата 10,00" in list(planned["differences"]["says"])[0].replace("\u00a0", " ")
    assert suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)["payment"] == "none", "a look changes nothing"
    done = suite.post("accounting-bridge", f"/api/v1/replays/{planned['id']}/apply", token, {}, status=202)
    assert done["state"] == "applied" and done["items"][0]["outcome"] == "done"
    wait_for(lambda: suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)["payment"] == "full", what="the early payment")
    suite.post("accounting-bridge", f"/api/v1/replays/{planned['id']}/apply", token, {}, status=409)
    assert plan(suite, token, order=order["number"])["count"] == 0, "nothing is left to do"
    facts = lambda: suite.sql("bi_aggregator", f"SELECT count(*) FROM fact WHERE metric = 'money.received' AND counted AND key LIKE '%/{number}'")
    wait_for(lambda: facts() == [["1"]], what="the one fact")


def test_a_refused_order_waits_again_and_reaches_1c_once(suite):
    token = suite.token()
    bad, good = suite.order(token, "refused-once"), suite.order(token, "good-beside")
    onec = OneC(suite)
    # 1C stumbles over one order and never acknowledges what holds it.
    wait_for(lambda: onec.take_orders(refuses={bad["number"]}) is not None and story(suite, bad["number"])["state"] == "refused", 60)
    assert "не подтверждает этот заказ" in story(suite, bad["number"])["verdict"]
    status = lambda: suite.get("crm-core", f"/api/v1/orders/{bad['orderId']}", token)["status"]
    wait_for(lambda: status() == "failed", what="the failure to be told")
    planned = plan(suite, token, base="unf", kind="order", counterparty="refused-once")
    assert [i["key"] for i in planned["items"]] == [bad["number"]] and planned["differences"]["wouldSucceed"] == 1
    cancelled = plan(suite, token, source="exchanges", error="не подтверждает")
    assert suite.post("accounting-bridge", f"/api/v1/replays/{cancelled['id']}/cancel", token, {}, status=200)["state"] == "cancelled"
    suite.post("accounting-bridge", f"/api/v1/replays/{planned['id']}/apply", token, {}, status=202)
    wait_for(lambda: status() == "requested", what="the order to wait again")
    taken = onec.take_orders()
    assert taken.count(bad["number"]) == 1
    wait_for(lambda: status() == "sent", what="the order to be taken")
    steps = suite.get("crm-core", f"/api/v1/journeys/{bad['journeyId']}", token)["steps"]
    assert any("снова ждёт 1С" in s["summary"] for s in steps) and all(s["causedBy"] for s in steps[1:])
    assert good["number"] not in taken, "it had been taken before"


def test_a_filter_must_choose_and_be_understood(suite):
    token = suite.token()
    for filter, status in [({"source": "exchanges"}, 409), ({"kind": "everything"}, 409), ({"base": 5}, 400)]:
        suite.post("accounting-bridge", "/api/v1/replays", token, {"filter": filter, "dryRun": True}, status=status)
    listed = suite.get("accounting-bridge", "/api/v1/replays", token)["items"]
    assert {"applied", "cancelled"} <= {r["state"] for r in listed}


def test_what_needs_nothing_is_dismissed_with_a_reason_and_stays_on_record(suite):
    token = suite.token()
    onec = OneC(suite)
    onec.open()
    onec.send(88888888, "1.00")
    parked = next(p for p in suite.get("accounting-bridge", "/api/v1/parked", token, limit=200)["items"] if p["number"] == "88888888")
    path = suite.url("accounting-bridge") + f"/api/v1/parked/{parked['id']}/dismiss"
    dismiss = lambda body: requests.post(path, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=20).status_code
    assert (dismiss({"reason": " "}), dismiss({}), dismiss({"reason": "заказ прежнего сайта"}), dismiss({"reason": "ещё раз"})) == (422, 400, 204, 404)
    assert all(p["id"] != parked["id"] for p in suite.get("accounting-bridge", "/api/v1/parked", token, limit=200)["items"])
    assert suite.sql("accounting_bridge", f"SELECT settled_by FROM parked_document WHERE id = '{parked['id']}'") == [["Администратор: заказ прежнего сайта"]]


def test_sessions_that_bring_nothing_are_said_once(suite):
    """УНФ deletes what it has not got through with: its next attempt is a session with an empty folder, and the changes never come again (reference 24)."""
    onec = OneC(suite)
    base = lambda: next(b for b in suite.get("accounting-bridge", "/api/v1/bases", suite.token())["items"] if b["base"] == "unf")
    causes = lambda: [a["cause"] for a in base()["alarms"] if a["kind"] == "empty"]

    def empty(type):
        _, name, value = onec.call("checkauth", type=type).text.split("\n")[:3]
        onec.http.cookies.set(name, value)
        onec.call("init", type=type)
    for _ in range(4):
        empty("sale")
    assert wait_for(causes, 40, "the alarm")[0].startswith("три сеанса обмена заказами подряд")
    onec.take_orders()
    wait_for(lambda: not causes(), 40, "its end")
    empty("catalog")
    assert onec.call("file", b"x", type="catalog", filename="../import.xml").text.startswith("failure")
    empty("catalog")
    onec.open()
    assert "выгрузите изменения заново" in wait_for(causes, 40, "the second alarm")[0]
    said = suite.sql("accounting_bridge", "SELECT count(*) FROM event WHERE type = 'onec.exchange.failing.v1' AND convert_from(body, 'UTF8') LIKE '%сеанс%'")
    assert said == [["2"]]
    # Orders that go well say nothing about goods that are lost; goods that come again do.
    onec.take_orders()
    empty("catalog")
    assert causes()
    assert onec.call("file", b"<x/>", type="catalog", filename="import.xml").text.startswith("success")
    wait_for(lambda: not causes(), 40, "its end")


def test_a_file_whose_reading_was_cut_off_is_answered_and_read_by_itself(suite):
    """The database holds up the reading while 1C waits: УНФ would drop its changes for good at a `failure`."""
    token = suite.token()
    order = suite.order(token, "cut-off")
    onec = OneC(suite)
    onec.take_orders()
    onec.open()
    with held(suite, f"SELECT 1 FROM order_out WHERE number = '{order['number']}' FOR UPDATE"):
        onec.send(order["number"], "10.00", payments=[("cut-off", "10.00", "true")])
        state = lambda: suite.sql("accounting_bridge", f"SELECT state FROM onec_file WHERE filename = 'orders-{order['number']}.xml'")
        assert state() == [["unread"]]
        kept = suite.get("accounting-bridge", "/api/v1/exchanges", token, kind="sale.file", limit=1)["items"][0]
        assert any("будет прочитан позже" in words for words in kept["understood"])
    # The same piece again, for УНФ repeats what was not answered in time: it is one file all the same.
    onec.send(order["number"], "10.00", payments=[("cut-off", "10.00", "true")])
    suite.sql("accounting_bridge", f"UPDATE onec_file SET state = 'unread', touched_at = now() - interval '1 hour' WHERE filename = 'orders-{order['number']}.xml'")
    wait_for(lambda: suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)["payment"] == "full", 30, "the payment")
    wait_for(lambda: state() == [["done"]], what="the file to be done with")
    assert story(suite, order["number"])["repairs"] == []
    # One whose reading has ended the process three times is not begun a fourth time.
    suite.sql("accounting_bridge", f"UPDATE onec_file SET state = 'unread', begun = 3, touched_at = now() - interval '1 hour' WHERE filename = 'orders-{order['number']}.xml'")
    wait_for(lambda: state() == [["parked"]], what="it to be set aside")
    parked = suite.get("accounting-bridge", "/api/v1/parked", token, limit=200)["items"]
    assert any("обрывалось 3 раз" in p["reason"] for p in parked)


@contextlib.contextmanager
def held(suite, statement):
    """Somebody's transaction that has it locked."""
    process = subprocess.Popen(["psql", "-X", "-q", suite.database_url("accounting_bridge")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write(f"SET idle_in_transaction_session_timeout = 0; BEGIN; {statement};\n\\echo locked\n")
    process.stdin.flush()
    for line in process.stdout:
        if line.strip() == "locked":
            break
    try:
        yield
    finally:
        process.stdin.close()
        process.wait(20)


def test_one_document_that_is_too_much_stops_nothing(suite):
    token = suite.token()
    huge, small = suite.order(token, "huge"), suite.order(token, "small-beside")
    onec = OneC(suite)
    onec.take_orders()
    onec.open()
    # Both in one file, the impossible one first.
    pieces, real = [], onec.call
    onec.call = lambda mode, body=None, **more: pieces.append(body) or type("Answer", (), {"text": "success"})
    onec.send(huge["number"], "10.00", payments=[(f"p{i}-{'x' * 60}", "0.01", "true") for i in range(2000)])
    onec.send(small["number"], "10.00", payments=[("s1", "10.00", "true")])
    onec.call = real
    first, second = (piece.decode("utf-8-sig") for piece in pieces)
    both = first.replace("</КоммерческаяИнформация>", "") + second[second.index("<Контейнер>"):]
    assert onec.call("file", both.encode(), filename="both.xml").text == "success"
    wait_for(lambda: suite.get("crm-core", f"/api/v1/orders/{small['orderId']}", token)["payment"] == "full", what="the one behind it")
    told = story(suite, huge["number"])
    assert "больше, чем помещается в одно сообщение" in told["verdict"] and told["repairs"]
    alarm = lambda: [a["cause"] for b in suite.get("accounting-bridge", "/api/v1/bases", token)["items"] for a in b["alarms"] if a["kind"] == "documents"]
    assert "не разобрано" in wait_for(alarm, what="the alarm")[0]


def test_an_order_that_is_asked_for_again_stays_what_it_is(suite):
    """Messages that were done are done again: the bridge has the order already."""
    token = suite.token()
    order = suite.order(token, "asked-twice")
    OneC(suite).take_orders()
    status = lambda: suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)["status"]
    wait_for(lambda: status() == "sent", what="the order to be sent")
    planned = plan(suite, token, source="taken", types=["crm.order.requested.v1"], text=f'"number":"{order["number"]}"')
    assert planned["count"] == 1
    done = suite.post("accounting-bridge", f"/api/v1/replays/{planned['id']}/apply", token, {}, status=202)
    wait_for(lambda: suite.get("accounting-bridge", f"/api/v1/replays/{done['id']}", token)["state"] == "applied", what="it to be done again")
    refused = suite.sql("accounting_bridge", f"SELECT count(*) FROM event WHERE type = 'onec.order.refused.v1' AND key = '{order['orderId']}'")
    assert refused == [["0"]] and status() == "sent"


def test_a_base_that_does_not_come_for_five_minutes_is_alarmed_once(suite):
    token = suite.token()
    order = suite.order(token, "silent-base")
    alarms = lambda: [a["cause"] for b in suite.get("accounting-bridge", "/api/v1/bases", token)["items"] if b["base"] == "unf" for a in b["alarms"] if a["kind"] == "silence"]
    wait_for(lambda: suite.sql("accounting_bridge", f"SELECT 1 FROM order_out WHERE number = '{order['number']}'"), what="the order to come to the bridge")
    assert alarms() == []
    letters = lambda: [m for m in suite.mailbox.letters if "не работает" in str(m["Subject"])]
    before = len(letters())
    suite.sql("accounting_bridge", f"UPDATE order_out SET requested_at = now() - interval '6 minutes' WHERE number = '{order['number']}'")
    earlier = lambda: suite.sql("accounting_bridge", "UPDATE onec_session SET started_at = started_at - interval '6 minutes' WHERE base = 'unf'; "
                                "UPDATE base_state SET last_contact = now() - interval '301 seconds', resumed_at = NULL WHERE base = 'unf'")
    earlier()
    # Bringing goods, and a mere log-in, is no asking for orders.
    for type in ("catalog", "sale"):
        OneC(suite).call("checkauth", type=type)
    assert wait_for(alarms, 40, "the alarm") == ["1С не обращается за заказами дольше 5 минут"]
    wait_for(lambda: len(letters()) == before + 1, what="the letter")
    assert order["number"] in OneC(suite).take_orders()
    wait_for(lambda: not alarms(), 40, "its end")
    assert len(letters()) == before + 1, "once"
    # A base that came every hour for ten days and comes no more is missed, though nothing waits for it; a pause that it has had before is no silence.
    of = lambda base: [a["cause"] for b in suite.get("accounting-bridge", "/api/v1/bases", token)["items"] if b["base"] == base for a in b["alarms"] if a["kind"] == "silence"]
    for base, minutes in [("unf", 80), ("ut", 100)]:
        suite.sql("accounting_bridge", f"DELETE FROM onec_session WHERE base = '{base}' AND started_at > now() - interval '2 hours'; "
                  f"INSERT INTO onec_session (id, base, type, started_at, batch, acknowledged) SELECT gen_random_uuid(), '{base}', 'sale', "
                  f"now() - interval '3 hours' - n * interval '1 hour', '{{}}', true FROM generate_series(0, 240) AS n; "
                  f"INSERT INTO base_state (base, last_contact) VALUES ('{base}', now() - interval '{minutes} minutes') "
                  "ON CONFLICT (base) DO UPDATE SET last_contact = excluded.last_contact")
    assert "перестала обращаться" in wait_for(lambda: of("ut"), 40, "the alarm")[0]
    assert of("unf") == []
    suite.sql("accounting_bridge", "DELETE FROM onec_session WHERE base = 'ut'; UPDATE base_state SET last_contact = now() WHERE base = 'ut'")
    wait_for(lambda: not of("ut"), 40, "its end")


def test_what_was_refused_is_planned_again_in_the_browser(suite):
    """Chosen by base, kind and client, on the page of replays."""
    token = suite.token()
    order = suite.order(token, "browser-plan")
    suite.sql("accounting_bridge", f"UPDATE order_out SET state = 'refused', reason = 'нет склада', refused_at = now() WHERE number = '{order['number']}'")
    browser = requests.Session()
    browser.post(suite.url("crm-core") + "/login", data={"login": "olga", "password": "olga-password"}, timeout=20)
    page = browser.get(suite.url("crm-core") + "/replays", timeout=20).text
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)[1]
    assert '<option value="exchanges">' in page and '<option value="order">отклонённые заказы' in page
    plan = browser.post(suite.url("crm-core") + "/replays", timeout=30, data={
        "csrf": csrf, "service": "crm-core", "source": "exchanges", "base": "unf", "kind": "order", "counterparty": "browser-plan", "error": "склада", "type": "passed.over"})
    assert plan.status_code == 200 and "/replays/accounting-bridge/" in plan.url and "1 сообщение" in plan.text, plan.text
    assert "клиент: browser-plan" in plan.text
    applied = browser.post(f"{plan.url}/apply", data={"csrf": csrf}, timeout=30)
    assert applied.status_code == 200
    wait_for(lambda: suite.sql("accounting_bridge", f"SELECT state FROM order_out WHERE number = '{order['number']}'") == [["ready"]], what="it to be offered again")


def test_causes_that_come_together_are_told_each_and_none_twice(suite):
    letters = lambda: [m.get_content() if hasattr(m, "get_content") else str(m) for m in suite.mailbox.letters if "отложено" in str(m["Subject"])]
    token = suite.token()
    alarm = lambda: [a["cause"] for b in suite.get("accounting-bridge", "/api/v1/bases", token)["items"] if b["base"] == "ut" for a in b["alarms"] if a["kind"] == "documents"]
    assert alarm() == []
    before = len(letters())
    reasons = ["валюта «{0}» неизвестна", "Объект не найден (133:8f3ab2{0}-0011-4a2b-9c3d-0242ac120002)"]
    park = lambda i: "; ".join(
        f"INSERT INTO parked_document (id, base, exchange_id, number, reason) VALUES (gen_random_uuid(), 'ut', gen_random_uuid(), 'together-{i}', '{reason.format(i)}')" for reason in reasons)
    suite.sql("accounting_bridge", "; ".join(park(i) for i in range(60)))
    wait_for(lambda: len(letters()) == before + 2, what="a letter for each cause")
    suite.sql("accounting_bridge", "; ".join(park(i) for i in range(100, 120)))
    wait_for(lambda: alarm() and alarm()[0].endswith("(всего 160)"), what="the count")
    suite.sql("accounting_bridge", "UPDATE parked_document SET settled_at = now(), settled_by = 'test' WHERE base = 'ut'")
    wait_for(lambda: not alarm(), what="the end of it")
    assert len(letters()) == before + 2
