"""Orders that were made in 1C itself: they are their client's, and a deal's when a person says so."""
import contextlib
import os
import re
import signal
import threading
import uuid
from decimal import Decimal

import pytest
import requests
from suite import OneC, running, wait_for
from systems import CommerceML, EnterpriseData, OData, odata
from test_bank import load, statement


def tell(suite, *told, login="exchange", password="обмен", **what):
    onec = OneC(suite, login, password)
    onec.open()
    answer = onec.call("file", OneC.made_there(*told, **what), filename=f"{uuid.uuid4()}.xml")
    assert answer.text.startswith("success"), answer.text


def born(suite, key):
    return suite.get("crm-core", f"/api/v1/orders/{key}", suite.token())


def appears(suite, key, ready=lambda order: True):
    def found():
        answer = requests.get(suite.url("crm-core") + f"/api/v1/orders/{key}", headers={"Authorization": f"Bearer {suite.token()}"}, timeout=20)
        return answer.json() if answer.status_code == 200 and ready(answer.json()) else None
    return wait_for(found, what="the order that 1C made")


def call(suite, method, path, body=None, login="admin"):
    return requests.request(method, suite.url("crm-core") + path, json=body, timeout=20, headers={"Authorization": f"Bearer {suite.token(login)}"})


def client_of(suite, name, inn):
    return suite.post("crm-core", "/api/v1/companies", suite.token(), {"name": name, "inn": inn, "kpp": "770701001"}, status=201)


def deal_of(suite, company=None):
    lead = suite.lead(suite.token(), f"born-{uuid.uuid4()}")
    deal = suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", suite.token(), {"companyId": company} if company else {})
    return {**deal, "journeyId": lead["journeyId"]}


def test_an_order_made_in_1c_is_its_clients_and_a_deals_when_a_person_says_so(suite):
    company = client_of(suite, "ООО Ромашка-Н", "7728168971")
    key, card = str(uuid.uuid4()), str(uuid.uuid4())
    client = (card, "Ромашка-Н", "7728168971")
    tell(suite, key, "НФНФ-000017", "31.00", client, payments=[("p1", "10.00")])
    order = appears(suite, key, lambda o: o["payment"] == "partly")
    assert order["origin"] == "onec" and order["dealId"] is None and order["journeyId"] is None
    assert order["number"] == f"НФНФ-000017 (unf, 2026)" and order["onecNumber"] == "НФНФ-000017"
    assert order["total"] == {"amount": "31.00", "currency": "RUB"} and order["owed"]["amount"] == "21.00"
    assert [(line["sku"], line["quantity"], line["price"], line["sum"]["amount"]) for line in order["lines"]] == [("A-Ящик", "2", "15.5", "31.00")]
    # Told again it is the same, also with another sum.
    tell(suite, key, "НФНФ-000017", "41.00", client, payments=[("p1", "10.00")])
    appears(suite, key, lambda o: o["total"]["amount"] == "41.00")
    mine = [e for e in call(suite, "GET", "/api/v1/born-orders?linked=false&limit=200").json()["items"] if e["order"]["id"] == key]
    assert len(mine) == 1 and mine[0]["client"] == "Ромашка-Н"
    # By INN the card is the company's, so that its act of reconciliation has the payment.
    wait_for(lambda: [line for act in suite.get("crm-core", f"/api/v1/companies/{company['id']}/settlements", suite.token())["acts"]
                      for line in act["lines"] if line["orderNumber"] == order["number"] and line["credit"]["amount"] == "10.00"], what="the act")
    # 1C is not asked for it, and it is not changed from here.
    assert order["number"] not in OneC(suite).take_orders()
    refused = requests.post(suite.url("crm-core") + f"/api/v1/orders/{key}/cancel", json={}, timeout=20,
                            headers={"Authorization": f"Bearer {suite.token()}", "Idempotency-Key": key})
    assert refused.status_code == 409 and "сделан в 1С" in refused.json()["detail"]
    # A deal of somebody else's is refused, and so is one that is not there.
    other = deal_of(suite, client_of(suite, "ООО Чужая", "7736050003")["id"])
    assert "другого клиента" in call(suite, "POST", f"/api/v1/orders/{key}/deal", {"dealId": other["id"]}).json()["detail"]
    assert call(suite, "POST", f"/api/v1/orders/{key}/deal", {"dealId": str(uuid.uuid4())}).status_code == 404
    deal = deal_of(suite, company["id"])
    assert call(suite, "POST", f"/api/v1/orders/{key}/deal", {"dealId": deal["id"]}, login="olga").status_code == 403
    linked = call(suite, "POST", f"/api/v1/orders/{key}/deal", {"dealId": deal["id"]})
    assert linked.status_code == 200 and linked.json()["dealId"] == deal["id"], linked.text
    assert key in suite.get("crm-core", f"/api/v1/deals/{deal['id']}", suite.token())["orderIds"]
    # What 1C says from then on is the deal's.
    tell(suite, key, "НФНФ-000017", "41.00", client, payments=[("p1", "10.00"), ("p2", "31.00")])
    appears(suite, key, lambda o: o["payment"] == "full" and o["dealId"] == deal["id"])
    wait_for(lambda: len(suite.sql("bi_aggregator", f"SELECT 1 FROM fact WHERE metric = 'money.received' AND counted AND key LIKE '%/{order['number']}'")) == 2, what="the report")
    # In the report it is the deal's, also what was paid before: its channel and its manager, and the line's step.
    def money():
        rows = suite.sql("bi_aggregator", f"SELECT channel, manager, organization, count(*) FROM fact WHERE metric = 'money.received' AND counted AND key LIKE '%/{order['number']}' GROUP BY 1, 2, 3")
        return rows if len(rows) == 1 else None
    manager = suite.get("crm-core", f"/api/v1/deals/{deal['id']}", suite.token())["responsible"]
    assert wait_for(money, what="one slice") == [["site", manager, "ooo", "2"]]
    cell = lambda: suite.sql("bi_aggregator", """SELECT sum::numeric(10,2) FROM cell WHERE metric = 'money.received' AND grain = 'total' AND by_dimensions = 'channel' AND dimensions::jsonb ->> 'channel' = 'none'""")
    assert cell() in ([], [["0.00"]]), "nothing is left where it was before"
    paid = lambda: suite.sql("bi_aggregator", f"SELECT counted FROM fact WHERE metric = 'funnel.reached' AND key = 'paid/{deal['journeyId']}'")
    assert wait_for(paid, what="the step") == [["t"]]
    assert not [m for m in suite.mailbox.letters if "оплат" in str(m["Subject"]).lower() and "10,00" in m.get_content()], "old money is no news"
    steps = suite.get("crm-core", f"/api/v1/journeys/{deal['journeyId']}", suite.token())["steps"]
    assert [s["summary"] for s in steps if s["kind"] == "crm.order.linked"] == [f"К сделке отнесён заказ {order['number']}, сделанный в 1С (Администратор)"]
    assert call(suite, "POST", f"/api/v1/orders/{key}/deal", {"dealId": other["id"]}).status_code == 409
    off = call(suite, "DELETE", f"/api/v1/orders/{key}/deal")
    assert off.status_code == 200 and off.json()["dealId"] is None
    wait_for(lambda: paid() == [["f"]], what="the step to be taken back")
    wait_for(lambda: money() == [["none", "none", "ooo", "2"]], what="the money to be no deal's")


def test_who_may_see_and_link(suite):
    """Those of other managers' deals are not shown; one of no deal is everybody's to find and to put to a deal of his own."""
    key = str(uuid.uuid4())
    tell(suite, key, "МЕН-000001", "31.00", (str(uuid.uuid4()), "Ландыш", ""))
    number = appears(suite, key)["number"]
    found = lambda login, **where: [e["order"]["id"] for e in suite.get("crm-core", "/api/v1/born-orders", suite.token(login), limit=200, **where)["items"]]
    assert key in found("maria") and key in found("maria", linked="false") and key not in found("maria", linked="true")
    hits = lambda login, text: [h["id"] for h in suite.get("crm-core", "/api/v1/search", suite.token(login), q=text)["items"]]
    assert key in hits("maria", number) and key in hits("oleg", "МЕН-000001")
    deal = deal_of(suite)
    owner = next(u for u in ("maria", "oleg") if suite.sql("crm_core", f"SELECT 1 FROM deal d JOIN staff s ON s.id = d.responsible_id WHERE d.id = '{deal['id']}' AND s.login = '{u}'"))
    other = "oleg" if owner == "maria" else "maria"
    assert call(suite, "POST", f"/api/v1/orders/{key}/deal", {"dealId": deal["id"]}, login=other).status_code == 404
    assert call(suite, "POST", f"/api/v1/orders/{key}/deal", {"dealId": deal["id"]}, login=owner).status_code == 200
    assert key in found(owner, linked="true") and key not in found(other) and key not in found(other, linked="true")
    assert call(suite, "GET", f"/api/v1/orders/{key}", login=other).status_code == 404 and key not in hits(other, number)
    assert call(suite, "DELETE", f"/api/v1/orders/{key}/deal", login=other).status_code == 404
    assert call(suite, "GET", "/api/v1/born-orders?linked=perhaps").status_code == 400


def test_one_of_ours_under_another_number_is_no_second_one(suite):
    order = suite.order(suite.token(), "renumbered", lines=[{"sku": "r", "name": "r", "quantity": "1", "price": "10.00"}])
    onec = OneC(suite)
    assert order["number"] in onec.take_orders()
    onec.open()
    onec.send(order["number"], "10.00")
    here = lambda: suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", suite.token())
    wait_for(lambda: here()["onecNumber"], what="the order in 1C")
    # Somebody has written another number into it: its id tells.
    tell(suite, f"guid-{order['number']}", f"0{order['number']}-Б", "10.00", (str(uuid.uuid4()), "Фиалка", ""), payments=[("rn", "10.00")])
    wait_for(lambda: here()["payment"] == "full", what="its payment")
    assert suite.sql("crm_core", f"SELECT count(*) FROM sales_order WHERE onec_id = 'guid-{order['number']}'") == [["1"]]
    # What is no order is none, whatever number it has.
    bill = OneC.made_there(str(uuid.uuid4()), "СЧ-000009", "31.00", (str(uuid.uuid4()), "Фиалка", "")).replace("Заказ товара".encode(), "Счет на оплату".encode())
    onec.open()
    onec.call("file", bill, filename="bill.xml")
    parked = lambda: [p for p in suite.get("accounting-bridge", "/api/v1/parked", suite.token(), limit=200)["items"] if p["number"] == "СЧ-000009"]
    assert "неизвестен" in wait_for(parked, what="the bill to be set aside")[0]["reason"]


def test_a_card_that_is_linked_and_unlinked(suite):
    """Cards of the site exchange may have ids of any kind; the bank finds the order all the same, before and after."""
    company = client_of(suite, "ООО Незабудка", "5024002119")
    key, card = str(uuid.uuid4()), "карта-Незабудки"
    tell(suite, key, "НЗБ-1", "31.00", (card, "Незабудка", "5024002119"))
    appears(suite, key)
    terms = lambda: suite.sql("accounting_bridge", f"SELECT request #>> '{{counterparty,id}}' FROM order_out WHERE id = '{key}'")[0][0]
    wait_for(lambda: terms() == company["id"], what="the client's id")
    place = f"/api/v1/onec-cards/unf/{requests.utils.quote(card)}"
    assert call(suite, "POST", f"{place}/unlink", {}).json()["state"] == "waiting"
    wait_for(lambda: terms() == key, what="the order's own id")
    told = load(suite, suite.token(), statement(("7", "31.00", "5024002119", "за товар"), account="40702810900000000077"))
    assert (told["found"], told["matched"]) == (1, 1), told


def test_a_huge_one_with_a_hostile_number(suite):
    """More lines than an event has room for, and a number full of what pages and addresses stumble over: taken, with as many lines as fit, and found."""
    key, number = str(uuid.uuid4()), """<b>'"#?%&;/\\000"""
    escaped = number.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    lines = [(f"Станок {i} " + "й" * 240, "1", "1.00", "1.00") for i in range(1200)]
    tell(suite, key, escaped, "1200.00", (str(uuid.uuid4()), "Крапива", ""), lines=lines)
    order = appears(suite, key)
    assert order["onecNumber"] == number and order["total"]["amount"] == "1200.00" and 50 < len(order["lines"]) < 1000
    web = requests.Session()
    web.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    for path in ("/orders", f"/orders/{key}"):
        page = web.get(suite.url("crm-core") + path, timeout=20)
        assert page.status_code == 200 and "<b>'" not in page.text and "&lt;b&gt;" in page.text, path
    story = web.get(suite.url("crm-core") + "/journal/order/" + requests.utils.quote(order["number"], safe=""), timeout=20)
    assert story.status_code == 200 and "сделан в 1С" in story.text and "<b>'" not in story.text
    listed = web.get(suite.url("crm-core") + "/journal", params={"order": order["number"]}, timeout=20)
    assert listed.status_code == 200 and "<b>'" not in listed.text


def test_one_that_is_too_large_keeps_none_of_its_file_away(suite):
    small, large = str(uuid.uuid4()), str(uuid.uuid4())
    client = (str(uuid.uuid4()), "Клевер", "")
    inner = re.compile("<Контейнер>.*</Контейнер>", re.DOTALL)
    body = OneC.made_there(large, "БОЛ-1", "1.00", client, lines=[("й" * 200_000, "1", "1.00", "1.00")] * 5).decode()
    after = inner.search(OneC.made_there(small, "БОЛ-2", "31.00", client).decode())[0]
    onec = OneC(suite)
    onec.open()
    assert onec.call("file", inner.sub(lambda found: found[0] + after, body).encode(), filename="large.xml").text.startswith("success")
    appears(suite, small)
    parked = lambda: [p for p in suite.get("accounting-bridge", "/api/v1/parked", suite.token(), limit=200)["items"] if "запись «Документ» больше" in p["reason"]]
    [before] = wait_for(parked, what="the large one to be set aside")
    assert call(suite, "GET", f"/api/v1/orders/{large}").status_code == 404
    # Read once more it is as large as it was: it stays on the list.
    token = suite.token()
    planned = suite.post("accounting-bridge", "/api/v1/replays", token, {"filter": {"kind": "document", "error": "запись «Документ» больше"}, "dryRun": True}, status=201)
    suite.post("accounting-bridge", f"/api/v1/replays/{planned['id']}/apply", token, {}, status=202)
    wait_for(lambda: [p for p in parked() if p["id"] != before["id"]], what="it to be set aside anew")
    assert len(parked()) == 1


def test_numbers_that_1c_uses_again_are_two_orders(suite):
    client = (str(uuid.uuid4()), "Лютик", "")
    first, second = str(uuid.uuid4()), "не-ключ"
    tell(suite, first, "000/Я-5", "31.00", client)
    tell(suite, second, "000/Я-5", "31.00", client)
    one = appears(suite, first)
    assert one["number"] == f"000-Я-5 (unf, 2026)"
    numbers = lambda: {e["order"]["number"] for e in call(suite, "GET", "/api/v1/born-orders?limit=200").json()["items"] if e["order"]["number"].startswith("000-Я-5")}
    wait_for(lambda: len(numbers()) == 2, what="both orders")
    assert all(re.fullmatch(r"000-Я-5 \(unf, 2026(, [0-9a-f]{8})?\)", n) for n in numbers())


def test_one_of_another_organization_is_not_taken(suite):
    key = str(uuid.uuid4())
    tell(suite, key, "ЧУЖ-1", "31.00", (str(uuid.uuid4()), "Пион", ""), seller="7736050003")
    told = wait_for(lambda: suite.sql("accounting_bridge", "SELECT understood::text FROM exchange WHERE understood::text LIKE '%ЧУЖ-1%'"), what="the journal")
    assert "сделан в 1С и не берётся" in told[0][0]
    assert call(suite, "GET", f"/api/v1/orders/{key}").status_code == 404
    # One that cannot be read is set aside by name, and taken when it comes right.
    tell(suite, key, "НАШ-2", "сто", (str(uuid.uuid4()), "Пион", ""))
    parked = lambda: [p for p in suite.get("accounting-bridge", "/api/v1/parked", suite.token(), limit=200)["items"] if p["number"] == "НАШ-2"]
    assert "неизвестен" in wait_for(parked, what="it to be parked")[0]["reason"]
    tell(suite, key, "НАШ-2", "100", (str(uuid.uuid4()), "Пион", ""))
    appears(suite, key)
    wait_for(lambda: not parked(), what="it to be settled")


def test_the_pages(suite):
    company = client_of(suite, "ООО Василёк", "7702070139")
    key = str(uuid.uuid4())
    tell(suite, key, "СТР-000001", "31.00", (str(uuid.uuid4()), "Василёк", "7702070139"))
    appears(suite, key)
    session = requests.Session()
    session.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    listed = session.get(suite.url("crm-core") + "/orders", timeout=20).text
    assert "СТР-000001" in listed and "Василёк" in listed
    page = session.get(suite.url("crm-core") + f"/orders/{key}", timeout=20).text
    assert "сделан в 1С" in page and "К какой сделке относится" in page and "Ящик" in page
    deal = deal_of(suite, company["id"])
    csrf = re.search(r'name="csrf" value="([^"]+)"', page).group(1)
    wrong = session.post(suite.url("crm-core") + f"/orders/{key}/link", data={"csrf": csrf, "deal": "99999999"}, timeout=20).text
    assert "сделки с таким номером нет" in wrong
    done = session.post(suite.url("crm-core") + f"/orders/{key}/link", data={"csrf": csrf, "deal": str(deal["number"])}, timeout=20)
    assert done.url.endswith(f"/deals/{deal['id']}") and "СТР-000001" in done.text and "отвязать от сделки" in done.text


COUNT = 200


@pytest.fixture(scope="module")
def bearers(tmp_path_factory):
    """Three ways in which a base tells of its own orders: a file of its own, when it is asked, and a message."""
    folder = tmp_path_factory.mktemp("bearers")
    folder.chmod(0o755)
    found = [CommerceML(folder), OData(folder, "ut11", odata.UT, 4000), EnterpriseData(folder)]
    organizations = "".join(f'\n  - {{ code: {s.organization}, name: "ООО {s.base}", inn: "7707083893", kpp: "770701001", base: {s.base} }}' for s in found)
    with running(folder, books=(organizations, "\nonec:" + "".join(f"\n  {s.settings}" for s in found))) as suite:
        for system in found:
            system.begin(suite)
        yield suite, found


def test_money_that_came_before_its_order(bearers):
    """A message tells of a payment whose order comes with a later one, or could not be read at first."""
    suite, (_, _, message) = bearers
    key, client = str(uuid.uuid4()), (str(uuid.uuid4()), "Астра", "")
    with message.node.lock:
        message.node.document(str(uuid.uuid4()), "ПБДСРасчетыСКонтрагентами", "early", "31.00", {key: "31.00"})

    def kept():
        message.node.run()
        return suite.sql("accounting_bridge", f"SELECT 1 FROM told_stranger WHERE key = '{key}'")
    wait_for(kept, what="the payment to be kept")
    message.bear(key, "РАН-1", "сто", client)
    parked = lambda: [p for p in suite.get("accounting-bridge", "/api/v1/parked", suite.token(), limit=200)["items"] if p["number"] == "РАН-1"]
    assert "не читается" in wait_for(parked, what="the order to be set aside")[0]["reason"]
    message.bear(key, "РАН-1", "31.00", client)
    appears(suite, key, lambda o: o["payment"] == "full")
    wait_for(lambda: not parked(), what="it to be settled")


def test_a_copy_of_one_of_ours_is_an_order_of_its_own(bearers):
    """Somebody copies our order in 1C, with the marks that stand on it; and one that is gone from the base is gone here."""
    suite, (_, asked, _) = bearers
    asked.good("copied")
    order = suite.order(suite.token(), "copied", organization=asked.organization)
    own = wait_for(lambda: asked.key(order["number"]), what="the order in 1C")
    wait_for(lambda: suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", suite.token())["onecNumber"], what="its number")
    copy = str(uuid.uuid4())
    with asked.onec.lock:
        fields = {k: v for k, v in asked.orders()[own].items() if k not in ("Ref_Key", "DataVersion", "DeletionMark", "Number")}
        asked.onec.add(asked.names["orders"], Ref_Key=copy, Number="КОП-1", **fields)
    asked.look()
    assert appears(suite, copy)["origin"] == "onec"
    assert suite.sql("accounting_bridge", "SELECT count(*) FROM order_out WHERE base = 'odata-ut11' AND (origin = 'crm' OR onec_number = 'КОП-1')") == [["2"]]
    # An organization that the base does not have holds up nothing; a firm's that is not ours is not taken.
    strange = str(uuid.uuid4())
    with asked.onec.lock:
        other = asked.onec.add("Catalog_Организации", ИНН="7736050003", Description="ООО Чужая")
        asked.onec.add(asked.names["orders"], Ref_Key=strange, Number="ЧУЖ-1", **{**fields, "Организация_Key": other, "Комментарий": ""})
        del asked.orders()[copy]
    asked.look()
    appears(suite, copy, lambda o: o["status"] == "cancelled")
    assert not suite.sql("accounting_bridge", f"SELECT 1 FROM order_out WHERE id = '{strange}'")


def test_many_of_them_through_deaths(bearers):
    """The bridge and the CRM die while they are taken: each is there once, to the kopeck, with its payment, and the report has the same money."""
    suite, (site, asked, message) = bearers
    before = suite.sql("bi_aggregator", "SELECT count(*) FROM fact WHERE metric = 'orders.sent'")
    orders = [(f"{i:04}", f"{i + 1}.{i % 100:02}") for i in range(COUNT)]
    client = lambda i: (f"00000000-0000-4000-8000-{i % 7:012}", f"Клиент {i % 7}", "")
    key = lambda system, number: str(uuid.uuid5(uuid.NAMESPACE_URL, f"{system.base}/{number}"))
    whole = [OneC.made_there(key(site, n), f"С-{n}", total, client(int(n)), payments=[(f"{n}-p", total)]).decode() for n, total in orders]
    inner = re.compile("<Контейнер>.*</Контейнер>", re.DOTALL)
    body = inner.sub(lambda _: "".join(inner.search(one)[0] for one in whole), whole[0]).encode()
    site.onec.open()

    def send():
        with contextlib.suppress(requests.RequestException):
            site.onec.call("file", body, filename="own.xml")
    sent = threading.Thread(target=send, daemon=True)
    with message.node.lock:
        for n, total in orders:
            card, name, inn = client(int(n))
            message.node.base.clients.setdefault(card, {"name": name, "inn": inn, "kpp": ""})
            message.node.base.orders[key(message, n)] = {"onec": f"С-{n}", "number": None, "client": card, "total": Decimal(total), "lines": [], "deleted": False,
                                                          "posted": True, "comment": ""}
            message.node.register(key(message, n))
            message.node.document(key(message, f"p{n}"), "ПБДСРасчетыСКонтрагентами", f"{n}-p", total, {key(message, n): total})
    for n, total in orders:
        asked.bear(key(asked, n), f"С-{n}", total, client(int(n)), payments=[(f"{n}-p", total)], asks=False)
    sent.start()
    message.node.run()
    asked.look()
    for name in ("accounting-bridge", "crm-core", "accounting-bridge", "accounting-bridge"):
        threading.Event().wait(0.7)
        os.kill(suite.pids()[name], signal.SIGKILL)
        wait_for(suite.ready, 60, name)
    sent.join(60)
    # What was not acknowledged its base sends again.
    site.onec = OneC(suite)
    site.onec.open()
    wait_for(lambda: site.onec.call("file", body, filename="own.xml").text.startswith("success"), what="the file to be taken")
    asked.look()

    def told():
        message.node.run()
        rows = suite.sql("crm_core", """
            SELECT o.base, count(*), count(DISTINCT o.onec_number), sum(o.total_minor), sum(d.amount_minor) FROM sales_order o
            LEFT JOIN document d ON d.order_id = o.id AND d.kind = 'payment' AND d.counts AND d.posted AND NOT d.cancelled
            WHERE o.origin = 'onec' AND o.payment = 'full' AND o.onec_number ~ '^С-[0-9]{4}$' GROUP BY 1 ORDER BY 1""")
        return rows if len(rows) == 3 and all(int(row[1]) >= COUNT for row in rows) else None
    minor = sum(int(Decimal(total) * 100) for _, total in orders)
    assert wait_for(told, 120, "all of them") == sorted([base, str(COUNT), str(COUNT), str(minor), str(minor)] for base in ("enterprise", "odata-ut11", "unf"))
    report = lambda: suite.sql("bi_aggregator", "SELECT round(sum(amount) * 100)::bigint FROM fact WHERE metric = 'money.received' AND counted AND key ~ '/С-[0-9]{4} '") == [[str(3 * minor)]]
    wait_for(report, 60, "the report")
    # None of them was handed to anybody, and none counts as handed over.
    assert suite.sql("bi_aggregator", "SELECT count(*) FROM fact WHERE metric = 'orders.sent'") == before
    assert suite.sql("accounting_bridge", "SELECT count(*) FROM order_out WHERE origin = 'onec' AND state <> 'sent'") == [["0"]]
