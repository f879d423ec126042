"""What cannot be understood gets its documented answer, is kept, and stops nothing."""
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from suite import SECRET, OneC, wait_for

SAMPLES = Path(__file__).parents[3] / "shared/data"


def hook(suite, body, secret=SECRET):
    return requests.post(suite.url("bot-gateway") + "/telegram/shop/webhook", data=body,
                         headers={"X-Telegram-Bot-Api-Secret-Token": secret}, timeout=30)


def test_the_webhook_refuses_in_words(suite):
    assert hook(suite, b'{"update_id":1}', secret="wrong").status_code == 401
    for body in [b'{"update_id":1,', b"", b"[]", b'{"message":{}}', b"[" * 10_000 + b"]" * 10_000]:
        answer = hook(suite, body)
        assert answer.status_code == 400 and answer.json()["type"].endswith("/bad-request"), body[:20]
    assert hook(suite, b'{"update_id":2,"x":"' + b"a" * 10_000_000 + b'"}').status_code == 413
    assert hook(suite, b'{"update_id":3,"something_new":{"x":1}}').status_code == 200
    nul = '{"update_id":4,"message":{"message_id":4,"from":{"id":5,"first_name":"a\\u0000b"},"chat":{"id":5,"type":"private"},"date":1,"text":"a\\u0000b"}}'
    assert hook(suite, nul.encode()).status_code == 200
    assert suite.telegram.next()["chat_id"] == 5, "what came after still works"


def test_1c_gets_an_answer_for_everything(suite):
    stranger = OneC(suite, password="wrong")
    answer = stranger.call("checkauth")
    assert answer.status_code == 401 and answer.text.startswith("failure")
    onec = OneC(suite)
    onec.open()
    assert onec.call("init").text.count("\n") == 1, "УТ wants exactly two lines"
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'
    for name, body in [("bomb.xml", bomb), ("deep.xml", b"<a>" * 5000), ("not.xml", b"hello"), ("zip.xml", b"PK\x03\x04xx")]:
        assert onec.call("file", body, filename=name).text == "success", name
        # Kept whole: `failure` might make 1C drop its changes for good.
        assert onec.call("import", filename=name).text == "success", name
    onec.call("file", "<КоммерческаяИнформация><Документ><Номер>1".encode(), filename="cut.xml")
    assert onec.call("import", filename="cut.xml").text == "success"
    onec.send(999999, "1.00", encoding="windows-1251")
    assert onec.call("something-new").text == "success"
    token = suite.token()
    parked = suite.get("accounting-bridge", "/api/v1/parked", token)["items"]
    assert any("999999" in (p["number"] or p["reason"]) for p in parked)
    assert any("DOCTYPE" in p["reason"] for p in parked) and any("обрывается" in p["reason"] for p in parked)
    exchanges = suite.get("accounting-bridge", "/api/v1/exchanges", token, limit=200)["items"]
    assert {"sale.checkauth", "sale.file", "sale.import"} <= {e["kind"] for e in exchanges}
    raw = suite.get("accounting-bridge", f"/api/v1/exchanges/{exchanges[-1]['id']}", token)
    assert raw["answer"]


def test_the_api_says_what_is_wrong(suite):
    url = suite.url("bot-gateway") + "/api/v1/messages"
    headers = {"Authorization": "Bearer form-key"}
    assert requests.post(url, data=b"{", headers=headers, timeout=20).status_code == 400
    assert requests.post(url, json={"channel": "site"}, headers=headers, timeout=20).status_code == 400
    other = {"channel": "vk", "conversationId": "1", "messageId": "1"}
    assert requests.post(url, json=other, headers=headers, timeout=20).status_code == 403
    login = suite.url("crm-core") + "/api/v1/sessions"
    codes = [requests.post(login, json={"login": "nobody", "password": "x"}, timeout=20).status_code for _ in range(10)]
    assert codes[0] == 401 and codes[-1] == 429
    assert wait_for(suite.ready)


def test_who_tries_many_logins_is_slowed_down_alone(suite):
    """Everybody comes through one proxy, which says for whom."""
    login = lambda address, name, password: requests.post(
        suite.url("crm-core") + "/api/v1/sessions", json={"login": name, "password": password}, timeout=20, headers={"X-Forwarded-For": address}).status_code
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda number: login("198.51.100.5", f"guess-{number}", "x"), range(60))) == {401}
    assert login("198.51.100.5", "olga", "olga-password") == 429
    assert login("198.51.100.6", "olga", "olga-password") == 201


def test_every_real_update_is_taken_and_none_is_parked(suite):
    files = sorted((SAMPLES / "telegram").rglob("*.json"))
    if not files:
        pytest.skip("the sample updates are not there")
    taken = 0
    for number, file in enumerate(files, 50_000):
        content = json.loads(file.read_text())
        update = content if isinstance(content, dict) and "update_id" in content else {"message": content}
        body = json.dumps({**update, "update_id": number}).encode()
        assert hook(suite, body).status_code == 200, file
        assert hook(suite, body).status_code == 200, "Telegram repeats what it is not sure of"
        taken += 1
    print(f"{taken} real updates taken")
    suite.say(60_000, 60_000, "/start")
    wait_for(lambda: any(m["chat_id"] == 60_000 for m in suite.telegram.log), what="the answer behind them")
    rows = suite.sql("bot_gateway", "SELECT state, count(*) FROM incoming WHERE dedupe_key::bigint BETWEEN 50000 AND 59999 GROUP BY 1")
    counts = dict(rows)
    assert sum(int(n) for n in counts.values()) == taken and set(counts) <= {"done", "kept"}, counts


def test_every_real_order_file_is_stored_and_answered(suite):
    files = sorted((SAMPLES / "commerceml").glob("*.xml"))
    if not files:
        pytest.skip("the sample files are not there")
    onec = OneC(suite)
    for file in files:
        onec.open()
        raw = file.read_bytes()
        for start in range(0, len(raw), 50_000):
            assert onec.call("file", raw[start:start + 50_000], filename=file.name).text == "success", file
        assert onec.call("import", filename=file.name).text.split("\n")[0] in ("success", "failure"), "never progress"
        kept = suite.sql("accounting_bridge", f"SELECT sum(octet_length(e.request)) FROM file_piece p JOIN exchange e ON e.id = p.exchange_id WHERE p.filename = '{file.name}'")
        assert int(kept[0][0]) == len(raw), "every byte is kept"
    print(f"{len(files)} real files answered")


def test_a_wrong_signature_opens_nothing(suite):
    token = suite.token()
    head, body, signature = token.split(".")
    forged = ".".join([head, body, signature[:-4] + ("AAAA" if not signature.endswith("AAAA") else "BBBB")])
    for service, path in [("crm-core", "/api/v1/leads"), ("accounting-bridge", "/api/v1/exchanges"),
                          ("bi-aggregator", "/api/v1/metrics"), ("notifier", "/api/v1/notifications"),
                          ("bot-gateway", "/api/v1/conversations")]:
        assert requests.get(suite.url(service) + path, headers={"Authorization": f"Bearer {forged}"}, timeout=20).status_code == 401
        assert requests.get(suite.url(service) + path, headers={"Authorization": f"Bearer {token}"}, timeout=20).status_code == 200


def test_an_ended_session_stays_ended_everywhere(suite):
    token = suite.token()
    headers = {"Authorization": f"Bearer {token}"}
    assert requests.delete(suite.url("crm-core") + "/api/v1/sessions/current", headers=headers, timeout=20).status_code == 204
    places = [("crm-core", "/api/v1/leads"), ("notifier", "/api/v1/notifications"), ("bi-aggregator", "/api/v1/metrics")]
    for service, path in places:
        wait_for(lambda: requests.get(suite.url(service) + path, headers=headers, timeout=20).status_code == 401)
    suite.stop()
    suite.start()
    for service, path in places:
        assert requests.get(suite.url(service) + path, headers=headers, timeout=20).status_code == 401, "also after a restart"


def test_an_order_that_1c_would_double_is_refused_in_words(suite):
    token = suite.token()
    body = {"channel": "site", "conversationId": "firm", "messageId": "1", "sender": {"name": "Анна"}}
    journey = suite.post("bot-gateway", "/api/v1/messages", "form-key", body, status=202)["journeyId"]
    lead = wait_for(lambda: (suite.get("crm-core", "/api/v1/leads", token, journeyId=journey)["items"] or [None])[0])
    company = suite.post("crm-core", "/api/v1/companies", token, {"name": "ООО Без КПП", "inn": "7707083893"}, status=201)
    deal = suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", token, {"companyId": company["id"]})
    line = {"sku": "F", "name": "Фреза", "quantity": "1", "price": "10.00"}
    path = f"/api/v1/deals/{deal['id']}/orders"
    refused = suite.post("crm-core", path, token, {"currency": "RUB", "lines": [line]}, key="firm-1", status=422)
    assert "КПП" in refused["detail"]
    suite.post("crm-core", "/api/v1/companies", token, {"name": "ООО", "inn": "7707083894"}, status=422)
    huge = {**line, "quantity": "99999999999", "price": "99999999999"}
    suite.post("crm-core", path, token, {"currency": "RUB", "lines": [huge]}, key="firm-2", status=422)
    suite.post("crm-core", path, token, {"currency": "RUB", "lines": []}, key="firm-3", status=422)
    answer = requests.patch(suite.url("crm-core") + f"/api/v1/companies/{company['id']}", json={"kpp": "770701001"},
                            headers={"Authorization": f"Bearer {token}", "If-Match": str(company["version"])}, timeout=20)
    assert answer.status_code == 200
    asked = suite.post("crm-core", path, token, {"currency": "RUB", "lines": [line]}, key="firm-1", status=201)
    suite.post("crm-core", path, token, {"currency": "RUB", "lines": [line, line]}, key="firm-1", status=422)
    assert suite.post("crm-core", path, token, {"currency": "RUB", "lines": [line]}, key="firm-1", status=201) == asked
    wait_for(lambda: suite.offered({asked["number"]}), what="the order to reach the bridge")
    stale = requests.patch(suite.url("crm-core") + f"/api/v1/companies/{company['id']}", json={"name": "x"},
                           headers={"Authorization": f"Bearer {token}", "If-Match": str(company["version"])}, timeout=20)
    assert stale.status_code == 412


def test_a_key_that_only_writes_reads_nothing(suite):
    mine = {"Authorization": "Bearer form-key"}
    for service, path in [("crm-core", "/api/v1/leads"), ("crm-core", "/api/v1/deals"), ("crm-core", "/api/v1/search?q=1"),
                          ("crm-core", "/api/v1/companies"), ("crm-core", "/api/v1/contacts"), ("crm-core", "/api/v1/users"),
                          ("bi-aggregator", "/api/v1/metrics"), ("accounting-bridge", "/api/v1/exchanges"),
                          ("notifier", "/api/v1/notifications")]:
        status = requests.get(suite.url(service) + path, headers=mine, timeout=20).status_code
        assert status == 403 or (status == 404 and path == "/api/v1/contacts"), (path, status)
    suite.say(81_001, 81_001, "/start")
    wait_for(lambda: any(c["channel"] == "shop" for c in suite.get("bot-gateway", "/api/v1/conversations", suite.token(), limit=200)["items"]))
    seen = suite.get("bot-gateway", "/api/v1/conversations", "form-key", limit=200)["items"]
    assert {c["channel"] for c in seen} <= {"site"}, "narrowed to its channel"


def test_a_cookie_does_not_write_through_the_api(suite):
    session = requests.Session()
    login = {"login": "admin", "password": "admin-password"}
    token = session.post(suite.url("crm-core") + "/api/v1/sessions", json=login, timeout=20).json()["token"]
    assert session.get(suite.url("crm-core") + "/api/v1/leads", timeout=20).status_code == 200
    company = {"name": "Чужая форма"}
    assert session.post(suite.url("crm-core") + "/api/v1/companies", json=company, timeout=20).status_code == 401
    headers = {"Authorization": f"Bearer {token}"}
    assert session.post(suite.url("crm-core") + "/api/v1/companies", json=company, headers=headers, timeout=20).status_code == 201
    assert session.post(suite.url("crm-core") + "/api/v1/sessions", json=login, timeout=20).status_code == 201


def test_nul_anywhere_in_a_message_stops_nothing(suite):
    nul = "а\0б"
    body = {"channel": "site", "conversationId": "nul", "messageId": "1", "text": nul, "externalOrderNumber": nul,
            "sender": {"name": nul, "email": nul}, "answers": {f"need{nul}": nul}, "attribution": {"campaign": nul}}
    journey = suite.post("bot-gateway", "/api/v1/messages", "form-key", body, status=202)["journeyId"]
    token = suite.token()
    lead = wait_for(lambda: next((x for x in suite.get("crm-core", "/api/v1/leads", token, journeyId=journey)["items"] if x["complete"]), None))
    assert (lead["name"], lead["text"], lead["externalOrderNumber"]) == ("аб", "аб", "аб")
    assert requests.post(suite.url("crm-core") + "/api/v1/sessions", json={"login": nul, "password": nul}, timeout=20).status_code in (400, 401)
    assert requests.get(suite.url("accounting-bridge") + "/1c/exchange?type=%00&mode=%00", timeout=20).status_code == 401
    assert suite.get("crm-core", "/api/v1/leads", token, journeyId=journey)["items"], "and the next one is answered"


def test_nul_in_a_path_is_no_name_and_a_cyrillic_one_is(suite):
    """The router leaves a path encoded; what stands in it goes to the database."""
    headers = {"Authorization": f"Bearer {suite.token()}"}
    call = lambda service, path, method="get": requests.request(method, suite.url(service) + path, headers=headers, json={}, timeout=20).status_code
    for service, path, method in [("accounting-bridge", "/api/v1/order-stories/%00", "get"), ("accounting-bridge", "/api/v1/bases/a%00b/pause", "post"),
                                  ("accounting-bridge", "/api/v1/receipts/a%00/%00/print", "get"), ("accounting-bridge", "/api/v1/bases/%D1%83%D1%82/pause", "post"),
                                  ("bi-aggregator", "/api/v1/metrics/%00", "get"), ("crm-core", "/api/v1/orders/%00", "get"),
                                  ("accounting-bridge", "/api/v1/order-stories/%FF%zz%", "get")]:
        assert call(service, path, method) in (404, 409), path


def test_one_bad_order_holds_up_nobody(suite):
    token, onec = suite.token(), OneC(suite)
    onec.take_orders()
    orders = [suite.order(token, f"q-{n}") for n in range(5)]
    bad = orders[1]["number"]
    assert suite.offered({o["number"] for o in orders})
    taken = onec.take_orders(refuses={bad})
    assert sorted(taken) == sorted(o["number"] for o in orders if o["number"] != bad)
    see = lambda: suite.get("crm-core", f"/api/v1/orders/{orders[1]['orderId']}", token)
    failed = wait_for(lambda: (lambda o: o if o["status"] == "failed" else None)(see()))
    assert "не подтверждает" in failed["failure"]


def test_a_base_that_takes_nothing_fails_no_order(suite):
    token, onec = suite.token(), OneC(suite)
    onec.take_orders()
    numbers = [suite.order(token, f"b-{n}")["number"] for n in range(3)]
    assert onec.take_orders(refuses=set(numbers)) == []
    assert suite.offered(set(numbers))
    assert sorted(onec.take_orders()) == sorted(numbers), "all of them when it works again"


def test_a_payment_for_two_orders_pays_each_its_share(suite):
    token, onec = suite.token(), OneC(suite)
    first, second = suite.order(token, "two-1"), suite.order(token, "two-2")
    onec.take_orders()
    for order, share in [(first, "4.00"), (second, "6.00")]:
        onec.open()
        onec.send(order["number"], "10.00", payments=[("one-payment", share, "true")])
    paid = lambda o: (suite.get("crm-core", f"/api/v1/orders/{o['orderId']}", token)["paid"] or {}).get("amount")
    wait_for(lambda: (paid(first), paid(second)) == ("4.00", "6.00"), what="each order's own share")


def test_a_payment_that_cannot_be_read_is_set_aside_not_dropped(suite):
    token, onec = suite.token(), OneC(suite)
    order = suite.order(token, "odd")
    onec.take_orders()
    onec.open()
    onec.send(order["number"], "10.00", payments=[("odd-1", "4.00", "true"), ("odd-2", "шесть", "true")])
    see = lambda: suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)
    wait_for(lambda: (see()["paid"] or {}).get("amount") == "4.00")
    onec.open()
    onec.send(order["number"], "10.00", payments=[("odd-1", "4.00", "true"), ("odd-2", "шесть", "true")])
    aside = suite.sql("accounting_bridge", f"SELECT reason FROM parked_document WHERE number = '{order['number']}'")
    assert len(aside) == 1 and "шесть" in aside[0][0], "once, with its reason"


def test_limits_are_said_and_kept(suite):
    url = suite.url("bot-gateway") + "/api/v1/messages"
    headers = {"Authorization": "Bearer form-key"}
    body = {"channel": "site", "conversationId": "limits", "messageId": "1", "text": "а" * 40_000}
    answer = requests.post(url, json=body, headers=headers, timeout=20)
    assert answer.status_code == 422 and "65536" in answer.json()["detail"]
    assert requests.post(url, json={**body, "text": "x" * 300_000}, headers=headers, timeout=20).status_code == 413
    assert requests.post(url, json={**body, "text": "x" * 60_000}, headers=headers, timeout=20).status_code == 202
    token = suite.token()
    for limit in ["0", "201", "x"]:
        assert requests.get(suite.url("crm-core") + "/api/v1/leads", params={"limit": limit},
                            headers={"Authorization": f"Bearer {token}"}, timeout=20).status_code == 400


def test_a_failing_exchange_is_told_once_per_cause(suite):
    onec = OneC(suite)
    told = lambda: sum("не работает" in str(m["Subject"]) for m in suite.mailbox.letters)
    onec.open()
    onec.send(1, "1.00")  # an exchange that works ends whatever failed before
    before = told()
    for name in ["a.xml", "b.xml", "c.xml"]:
        onec.open()
        onec.call("file", b"this is no XML", filename=name)
    wait_for(lambda: told() > before, what="the letter to the administrator")
    onec.open()
    onec.send(2, "1.00")
    onec.call("file", b"neither is this", filename="d.xml")
    wait_for(lambda: told() > before + 1, what="the next failure's letter")
    assert told() == before + 2, "once per cause"


def test_what_telegram_says_is_heeded(suite):
    while not suite.telegram.sent.empty():
        suite.telegram.next()
    suite.telegram.plan = [(429, {"ok": False, "error_code": 429, "description": "Too Many Requests", "parameters": {"retry_after": 1}})]
    suite.say(70_001, 70_001, "/start")
    assert suite.telegram.next()["chat_id"] == 70_001, "after retry_after it leaves"
    suite.telegram.plan = [(502, {"not": "an answer of Telegram's"})]
    suite.say(70_002, 70_002, "/start")
    state = lambda chat: suite.sql("bot_gateway", f"SELECT state FROM outbox WHERE chat = '{chat}' AND method = 'sendMessage'")
    wait_for(lambda: state(70_002) == [["unknown"]], what="the mark of an unknown outcome")
    suite.telegram.plan = [(403, {"ok": False, "error_code": 403, "description": "Forbidden: bot was blocked by the user"})]
    suite.say(70_003, 70_003, "/start")
    wait_for(lambda: state(70_003) == [["failed"]], what="the mark of a refusal")
    suite.say(70_004, 70_004, "/start")
    assert suite.telegram.next()["chat_id"] == 70_004
    assert all(m["chat_id"] != 70_002 for m in suite.telegram.log), "what may have arrived is not sent again"


def test_a_connection_that_ends_says_so(suite):
    """A client with a pool that asks for the end of a connection is told that it ends."""
    answer = requests.get(suite.url("accounting-bridge") + "/healthz", headers={"Connection": "close"}, timeout=20)
    assert answer.headers["Connection"] == "close"
    assert "Connection" not in requests.get(suite.url("accounting-bridge") + "/healthz", timeout=20).headers


def test_who_knocks_without_the_password_fills_no_journal(suite):
    """And shuts nobody out: behind a proxy a base has his address."""
    def knock(password):
        return requests.get(suite.url("accounting-bridge") + "/1c/exchange?type=sale&mode=checkauth", auth=("ut", password), timeout=20,
                            headers={"X-Forwarded-For": "203.0.113.9"})
    kept = lambda: [reason for [reason] in suite.sql("accounting_bridge", "SELECT reason FROM exchange WHERE status = 401 ORDER BY id")]
    before = len(kept())
    for number in range(65):
        assert knock(f"guess {number}").status_code == 401
    assert len(kept()) == before + 60 and "203.0.113.9) 15 минут не записываются" in kept()[-1]
    assert knock("ut").text.splitlines()[0] == "success"
