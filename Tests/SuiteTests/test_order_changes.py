"""A cancellation or another content of an order: taken as long as 1C cannot have it, refused with the reason once it may."""
import re

import requests
from suite import OneC, running, wait_for
from test_bank import asked, load, seen, statement


def state(suite, order):
    return suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", suite.token())


def ask(suite, order, verb, body=None, status=202, key=None, login="admin"):
    return suite.post("crm-core", f"/api/v1/orders/{order['orderId']}/{verb}", suite.token(login), body or {}, key=key or f"{verb}-{order['number']}-{hash(str(body))}", status=status)


def answered(suite, order, kind, wanted):
    change = lambda: next((c for c in reversed(state(suite, order)["changes"]) if c["kind"] == kind and c["state"] == wanted), None)
    return wait_for(change, what=f"{kind} to be {wanted}")


def test_an_order_that_1c_has_not_fetched_is_taken_back(suite):
    order = suite.order(suite.token(), "changes-1")
    asked = ask(suite, order, "cancel", {"reason": "клиент передумал"})
    assert asked["changes"][-1]["kind"] == "cancel"
    taken = answered(suite, order, "cancel", "taken")
    assert taken["reason"] == "клиент передумал" and taken["by"] == "Администратор" and taken["answeredAt"]
    assert state(suite, order)["status"] == "cancelled"
    assert order["number"] not in OneC(suite).take_orders(), "1C never hears of it"
    story = suite.get("accounting-bridge", f"/api/v1/order-stories/{order['number']}", suite.token())
    assert "отменён в CRM до передачи" in story["verdict"] and not story["isWrong"] and story["repairs"] == []
    assert suite.post("crm-core", f"/api/v1/orders/{order['orderId']}/cancel", suite.token(), {}, key="again", status=409)
    def told():
        steps = [s["summary"] for s in suite.get("crm-core", f"/api/v1/journeys/{order['journeyId']}", suite.token())["steps"]]
        return any("просит отменить заказ" in s for s in steps) and any("выполнена: 1С его ещё не получала" in s for s in steps)
    wait_for(told, what="both steps")


def test_an_order_that_waits_becomes_another_one(suite):
    order = suite.order(suite.token(), "changes-2", bookingId="бронь-2")
    lines = [{"sku": "B-1", "name": "Фреза", "quantity": "2", "price": "7.50"}]
    assert ask(suite, order, "revisions", {"lines": []}, status=422)
    ask(suite, order, "revisions", {"lines": lines, "comment": "другое"})
    answered(suite, order, "revision", "taken")
    # What it is booked under stays with it, for the receipts that name it.
    assert suite.sql("accounting_bridge", f"SELECT request->>'bookingId' FROM order_out WHERE number = '{order['number']}'") == [["бронь-2"]]
    now = state(suite, order)
    assert (now["askedTotal"]["amount"], now["lines"][0]["name"], now["status"]) == ("15.00", "Фреза", "requested")
    onec = OneC(suite)
    onec.open()
    [document] = [d for d in onec.documents() if d.findtext("{*}Номер") == order["number"]]
    assert document.findtext("{*}Сумма") == "15.00" and document.findtext("{*}Товары/{*}Товар/{*}Наименование") == "Фреза"
    # Fetched and not confirmed: 1C may have it, so that it is changed there.
    ask(suite, order, "cancel", {"reason": "поздно"})
    refused = answered(suite, order, "cancel", "refused")
    assert "передаётся в 1С" in refused["reason"], refused
    onec.call("success")
    wait_for(lambda: state(suite, order)["status"] == "sent", what="the order to be sent")
    ask(suite, order, "revisions", {"lines": lines, "comment": "ещё раз"})
    assert "уже в 1С" in answered(suite, order, "revision", "refused")["reason"]
    assert state(suite, order)["status"] == "sent"
    # Cancelled there, it is here, and owed no more.
    owed = lambda: [i for i in suite.get("bi-aggregator", "/api/v1/metrics/receivables.owed/origin", suite.token(), where="currency:RUB", period="all", limit=200)["items"]
                    if i["number"] == order["number"]]
    wait_for(owed, what="it to be owed")
    onec.open()
    onec.send(order["number"], "15.00", extra=[("Отменен", "true")])
    wait_for(lambda: state(suite, order)["status"] == "cancelled", what="1C's own cancellation")
    wait_for(lambda: not owed(), what="it to be owed no more")


def test_an_order_that_the_bridge_refuses_is_mended_by_a_revision(suite):
    order = suite.order(suite.token(), "changes-3")
    suite.sql("accounting_bridge", f"UPDATE order_out SET state = 'refused', reason = 'нет такого товара', refused_at = now() WHERE number = '{order['number']}'")
    suite.sql("crm_core", f"UPDATE sales_order SET status = 'failed', failure = 'нет такого товара' WHERE number = '{order['number']}'")
    ask(suite, order, "revisions", {"lines": [{"sku": "C", "name": "Есть", "quantity": "1", "price": "3.00"}]})
    answered(suite, order, "revision", "taken")
    assert (state(suite, order)["status"], state(suite, order)["failure"]) == ("requested", None)
    assert order["number"] in OneC(suite).take_orders()


def test_money_of_a_cancelled_order_is_for_another_again(suite):
    """A payment of the bank's was matched to it by its sum: it waits anew, and finds the order that took its place."""
    token = suite.token()
    order = asked(suite, token, "changes-money", "7736050003", price="123.00")
    assert load(suite, token, statement(("77", "123.00", "7736050003", "Оплата"), day="03.02.2026"))["matched"] == 1
    wait_for(lambda: seen(suite, token, order)[0] == "full", what="the payment")
    ask(suite, order, "cancel")
    answered(suite, order, "cancel", "taken")
    payment = lambda: next(p for p in suite.get("accounting-bridge", "/api/v1/bank-payments", token, inn="7736050003")["items"] if p["number"] == "77")
    wait_for(lambda: payment()["state"] == "unmatched" and payment()["allocations"] == [], what="the payment to wait")
    wait_for(lambda: state(suite, order)["paid"]["amount"] == "0.00", what="the order to be unpaid")
    other = asked(suite, token, "changes-money-2", "7736050003", price="123.00")
    wait_for(lambda: seen(suite, token, other)[0] == "full", what="the payment to find it")


def test_a_manager_cancels_on_the_page_of_the_deal(suite):
    order = suite.order(suite.token(), "changes-4")
    browser = requests.Session()
    browser.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    url = suite.url("crm-core") + f"/deals/{order['dealId']}"
    page = browser.get(url, timeout=20).text
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)[1]
    assert f'action="/orders/{order["orderId"]}/cancel"' in page
    browser.post(suite.url("crm-core") + f"/orders/{order['orderId']}/cancel", data={"csrf": csrf}, timeout=20)
    answered(suite, order, "cancel", "taken")
    page = browser.get(url, timeout=20).text
    assert "Отменён" in page and "cancel-order" not in page
    assert requests.post(suite.url("crm-core") + f"/api/v1/orders/{order['orderId']}/cancel", json={}, timeout=20).status_code == 401


def test_without_1c_nobody_has_to_be_asked(tmp_path_factory):
    with running(tmp_path_factory.mktemp("own-changes"), onec=False) as suite:
        token = suite.token()
        lead = suite.lead(token, "own")
        deal = suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", token, {})
        order = suite.post("crm-core", f"/api/v1/deals/{deal['id']}/orders", token, {"currency": "RUB", "lines": [{"sku": "", "name": "Услуга", "quantity": "1", "price": "5.00"}]},
                           key="own", status=201)
        revised = ask(suite, order, "revisions", {"lines": [{"sku": "", "name": "Услуга", "quantity": "2", "price": "5.00"}]})
        assert revised["changes"][-1]["state"] == "taken" and revised["askedTotal"]["amount"] == "10.00"
        cancelled = ask(suite, order, "cancel")
        assert cancelled["status"] == "cancelled"
