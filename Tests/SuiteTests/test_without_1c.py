"""A company that works without 1C: orders stand at once, payments are written down by hand, figures follow, nothing complains."""
import re

import pytest
import requests
from suite import running, wait_for


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    with running(tmp_path_factory.mktemp("suite"), onec=False) as suite:
        yield suite


def money(amount, currency="RUB"):
    return {"amount": amount, "currency": currency}


def made(suite, token, name):
    """A deal of an order of 100.00 roubles."""
    lead = suite.lead(token, name)
    deal = suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", token, {})
    line = {"sku": name, "name": name, "quantity": "4", "price": "25.00"}
    asked = suite.post("crm-core", f"/api/v1/deals/{deal['id']}/orders", token, {"currency": "RUB", "lines": [line]}, key=name, status=201)
    assert asked["status"] == "accepted", "nobody has to be asked"
    return lead, deal, asked["orderId"]


def test_payments_by_hand_are_money_and_receivables(suite):
    token = suite.token()
    lead, deal, order = made(suite, token, "by-hand")
    path = f"/api/v1/orders/{order}/documents"
    see = lambda: suite.get("crm-core", f"/api/v1/orders/{order}", token)
    assert (see()["payment"], see()["owed"]) == ("none", money("100.00"))
    paid = suite.post("crm-core", path, token, {"kind": "payment", "amount": money("30.00"), "number": "7"}, key="p-1", status=201)
    assert (paid["payment"], paid["paid"], paid["owed"]) == ("partly", money("30.00"), money("70.00"))
    again = suite.post("crm-core", path, token, {"kind": "payment", "amount": money("30.00"), "number": "7"}, key="p-1", status=201)
    assert again["paid"] == money("30.00"), "a second press writes nothing"
    facts = lambda metric: suite.sql("bi_aggregator", f"SELECT amount::numeric(12,2) FROM fact WHERE metric = '{metric}' AND counted ORDER BY 1")
    wait_for(lambda: facts("money.received") == [["30.00"]] and facts("receivables.owed") == [["70.00"]], what="the figures")
    mistake = suite.post("crm-core", path, token, {"kind": "payment", "amount": money("700.00")}, key="p-2", status=201)
    assert mistake["payment"] == "over"
    document = next(d for d in mistake["documents"] if d["amount"] == money("700.00"))
    answer = requests.delete(suite.url("crm-core") + f"{path}/{document['onecId']}", headers={"Authorization": f"Bearer {token}"}, timeout=20)
    assert answer.status_code == 200 and answer.json()["owed"] == money("70.00")
    assert [d["cancelled"] for d in answer.json()["documents"] if d["onecId"] == document["onecId"]] == [True], "it stays to be seen"
    suite.post("crm-core", path, token, {"kind": "payment", "amount": money("70.00")}, key="p-3", status=201)
    suite.post("crm-core", path, token, {"kind": "shipment", "amount": money("100.00")}, key="p-4", status=201)
    suite.post("crm-core", f"/api/v1/deals/{deal['id']}/stage", token, {"stage": "won"})
    wait_for(lambda: facts("money.received") == [["30.00"], ["70.00"]] and facts("receivables.owed") == [], what="nothing is owed")
    assert see()["payment"] == see()["shipment"] == "full"
    assert suite.sql("crm_core", f"SELECT closed_at IS NOT NULL FROM journey WHERE id = '{lead['journeyId']}'") == [["t"]]
    journey = suite.get("crm-core", f"/api/v1/journeys/{lead['journeyId']}", token)
    assert not journey["gaps"] and any("30" in step["summary"] for step in journey["steps"])


def test_what_cannot_be_written_down_is_refused_in_words(suite):
    token = suite.token()
    _, _, order = made(suite, token, "refusals")
    path = f"/api/v1/orders/{order}/documents"
    wrong = [({"kind": "bribe", "amount": money("1.00")}, "kind is"), ({"kind": "payment", "amount": money("1.00", "KZT")}, "RUB"),
             ({"kind": "payment", "amount": money("0.00")}, "above zero"), ({"kind": "payment", "amount": money("-5.00")}, "above zero"),
             ({"kind": "payment", "amount": money("1.00"), "date": "2999-01-01"}, "future"),
             ({"kind": "payment", "amount": money("1.00"), "date": "2026-02-31"}, "day"),
             ({"kind": "payment", "amount": money("1.00"), "number": "1" * 51}, "50")]
    for number, (entry, words) in enumerate(wrong):
        refused = suite.post("crm-core", path, token, entry, key=f"w-{number}", status=422)
        assert words in refused["detail"], refused
    manager = suite.token("maria")
    suite.post("crm-core", path, manager, {"kind": "payment", "amount": money("1.00")}, key="m", status=403)
    suite.post("crm-core", "/api/v1/orders/00000000-0000-7000-8000-000000000000/documents", token,
               {"kind": "payment", "amount": money("1.00")}, key="n", status=404)


def test_the_page_of_a_deal_writes_a_payment_down(suite):
    token = suite.token()
    _, deal, order = made(suite, token, "page")
    person = requests.Session()
    answer = person.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    page = person.get(suite.url("crm-core") + f"/deals/{deal['id']}", timeout=20).text
    assert "Новый заказ" in page and "Передать в 1С" not in page, answer.status_code
    form = re.search(rf'action="/orders/{order}/documents".*?</form>', page, re.S)[0]
    fields = dict(re.findall(r'name="(csrf|key)" value="([^"]+)"', form))
    person.post(suite.url("crm-core") + f"/orders/{order}/documents", data={**fields, "kind": "payment", "amount": "12,50"}, timeout=20)
    page = person.get(suite.url("crm-core") + f"/deals/{deal['id']}", timeout=20).text
    assert "12,50" in page and "87,50" in page and "отменить" in page
    assert "оформлен" in page and "1С" not in re.sub(r"<title>.*?</title>", "", page, flags=re.S), "nothing on it speaks of 1C"
    assert re.search(r"оплата · \d\d\.\d\d\.\d{4}", page), "a document without a number borrows none"
    back = re.search(rf'action="/orders/{order}/documents/cancel".*?</form>', page, re.S)[0]
    fields = dict(re.findall(r'name="(csrf|document)" value="([^"]+)"', back))
    person.post(suite.url("crm-core") + f"/orders/{order}/documents/cancel", data=fields, timeout=20)
    page = person.get(suite.url("crm-core") + f"/deals/{deal['id']}", timeout=20).text
    assert "отменено" in page and "100,00" in page
    wait_for(lambda: "Больше не учитывается" in person.get(suite.url("crm-core") + f"/deals/{deal['id']}", timeout=20).text,
             what="the line to say that it was taken back")


def test_nothing_complains(suite):
    report = suite.get("accounting-bridge", "/api/v1/bus", suite.token())
    assert report["service"] == "accounting-bridge"
    log = (suite.folder / "suite.log").read_text()
    assert not re.search(r" (warning|error|critical) ", log), [line for line in log.splitlines() if re.search(r" (warning|error|critical) ", line)][:5]
