"""Orders of other kinds (EX-3): a prepayment is closed by 1C when its money has come, an order for signing when every department has marked it."""
from pathlib import Path

import pytest
from lxml import etree
from suite import OneC, wait_for


def asked(suite, token, name, kind):
    lead = suite.lead(token, name)
    deal = suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", token, {})
    line = {"sku": "", "name": name, "quantity": "1", "price": "10000.00"}
    order = suite.post("crm-core", f"/api/v1/deals/{deal['id']}/orders", token, {"currency": "RUB", "kind": kind, "lines": [line]}, key=name, status=201)
    wait_for(lambda: suite.offered({order["number"]}), what="the order to reach the bridge")
    return {**order, "journeyId": lead["journeyId"], "dealId": deal["id"]}


def test_a_prepayment_reaches_1c_as_such_and_closes_with_its_money_not_before(suite):
    token = suite.token()
    order = asked(suite, token, "prepaid", "prepayment")
    onec = OneC(suite)
    onec.open()
    text = onec.call("query").text
    document = next(d for d in text.split("<Документ>") if f"<Номер>{order['number']}<" in d)
    assert "<Значение>Предварительная оплата</Значение>" in document
    onec.call("success")
    see = lambda: suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)
    onec.open()
    onec.send(order["number"], "10000.00", payments=[("prepaid-1", "3000.00", "true")], extra=[("Статус заказа", "В работе")])
    wait_for(lambda: see()["payment"] == "partly", what="the partial prepayment")
    assert (see()["status"], see()["owed"]["amount"]) == ("accepted", "7000.00"), "a part does not close it"
    onec.open()
    onec.send(order["number"], "10000.00", payments=[("prepaid-1", "3000.00", "true"), ("prepaid-2", "7000.00", "true")],
              extra=[("Статус заказа", "Закрыт")])
    wait_for(lambda: (see()["payment"], see()["status"]) == ("full", "closed"), what="the order to be closed")


def test_an_order_for_signing_waits_for_every_department_and_a_mark_may_be_taken_back(suite):
    token = suite.token()
    order = asked(suite, token, "signing", "signing")
    onec = OneC(suite)
    onec.take_orders()
    see = lambda: suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)
    flags = lambda: {f["department"]: f["done"] for f in see()["flags"]}

    def mark(**done):
        onec.open()
        onec.send(order["number"], "10000.00", extra=[
            pair for department, is_done in done.items() for pair in
            [(f"Исполнено: {department}", "true" if is_done else "false")] + ([(f"Исполнил: {department}", "Анна Котова")] if is_done else [])])

    mark(Бухгалтерия=True, Юристы=False)
    wait_for(lambda: flags() == {"Бухгалтерия": True, "Юристы": False}, what="the first mark")
    assert see()["status"] == "accepted", "one department is still to come"
    first = next(f for f in see()["flags"] if f["department"] == "Бухгалтерия")
    assert first["by"] == "Анна Котова" and first["at"]
    mark(Бухгалтерия=True, Юристы=True)
    wait_for(lambda: see()["status"] == "closed", what="the order to be done")
    mark(Бухгалтерия=True, Юристы=False)
    wait_for(lambda: see()["status"] == "accepted" and not flags()["Юристы"], what="the mark to be taken back")
    said = [s["summary"] for s in suite.get("crm-core", f"/api/v1/journeys/{order['journeyId']}", token)["steps"] if s["kind"] == "crm.order.flagged"]
    assert said == [f"Бухгалтерия: исполнено по заказу {order['number']} (Анна Котова)",
                    f"Юристы: исполнено по заказу {order['number']} (Анна Котова)",
                    f"Юристы: отметка «исполнено» по заказу {order['number']} снята (1С unf)"]


SCHEMAS = Path(__file__).resolve().parents[3] / "shared/data/xsd"


@pytest.mark.skipif(not SCHEMAS.exists(), reason="the schemas are not beside the repository")
def test_what_we_write_is_valid_by_the_schemas(suite):
    token = suite.token()
    company = suite.post("crm-core", "/api/v1/companies", token, {"name": 'ООО "Схема" & Ко', "inn": "7825706086", "kpp": "782501001"}, status=201)
    lead = suite.lead(token, "schema")
    deal = suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", token, {"companyId": company["id"]})
    lines = [{"sku": "A<1>", "name": "Станок «Ш» & ключ", "quantity": "1.5", "price": "10.3333", "unit": "кг", "vat": "20", "discount": "1.00"},
             {"sku": "", "name": "Доставка", "quantity": "1", "price": "0.00"}]
    order = suite.post("crm-core", f"/api/v1/deals/{deal['id']}/orders", token,
                       {"currency": "RUB", "lines": lines, "comment": "Звонить\nзаранее", "address": "Тула, ул. Ленина, 1"}, key="schema", status=201)
    wait_for(lambda: suite.offered({order["number"]}), what="the order to reach the bridge")
    asked(suite, token, "schema-prepaid", "prepayment")
    onec = OneC(suite)
    onec.open()
    data = onec.call("query").content
    assert not data.startswith(b"\xef\xbb\xbf"), "a BOM may not be eaten (reference 33)"
    document = etree.fromstring(data)
    for name in ["commerceml-2.08.xsd", "commerceml-2.09.xsd"]:
        schema = etree.XMLSchema(etree.parse(str(SCHEMAS / name)))
        assert schema.validate(document), (name, schema.error_log.last_error)
