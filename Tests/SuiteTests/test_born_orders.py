"""Orders that were made in 1C itself: they are their client's, and a deal's when a person says so."""
import re
import uuid

import requests
from suite import OneC, wait_for


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
    steps = suite.get("crm-core", f"/api/v1/journeys/{deal['journeyId']}", suite.token())["steps"]
    assert [s["summary"] for s in steps if s["kind"] == "crm.order.linked"] == [f"К сделке отнесён заказ {order['number']}, сделанный в 1С (Администратор)"]
    assert call(suite, "POST", f"/api/v1/orders/{key}/deal", {"dealId": other["id"]}).status_code == 409
    off = call(suite, "DELETE", f"/api/v1/orders/{key}/deal")
    assert off.status_code == 200 and off.json()["dealId"] is None


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
