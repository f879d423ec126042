"""An order's invoice from the request to the money: each state, and whose word made it."""
import os
import re
import signal
from datetime import date, timedelta

import requests
from suite import OneC, wait_for
from test_bank import asked, load, statement

DAY = (date.today() - timedelta(days=2)).isoformat()


def state(suite, order):
    return suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", suite.token())


def call(suite, order, method, path, body=None, login="admin"):
    return requests.request(method, suite.url("crm-core") + f"/api/v1/orders/{order['orderId']}/invoice{path}", json=body, timeout=20,
                            headers={"Authorization": f"Bearer {suite.token(login)}"})


def becomes(suite, order, wanted):
    def found():
        now = state(suite, order)["invoice"]
        return now if now["state"] == wanted else None
    return wait_for(found, what=f"the invoice to be {wanted}")


def history(suite, order):
    return [(s["state"], s["source"]) for s in state(suite, order)["invoice"]["history"]]


def in_1c(suite, order, **what):
    onec = OneC(suite)
    onec.open()
    onec.send(order["number"], "10.00", **what)


def taken(suite, name):
    order = suite.order(suite.token(), name)
    assert order["number"] in OneC(suite).take_orders()
    return order


def test_each_state_and_whose_word_it_was(suite):
    order = suite.order(suite.token(), "invoice")
    assert state(suite, order)["invoice"]["state"] == "requested"
    early = call(suite, order, "POST", "", {"state": "sent"})
    assert early.status_code == 409 and "запрошен" in early.json()["detail"]
    assert order["number"] in OneC(suite).take_orders()
    in_1c(suite, order)
    becomes(suite, order, "issued")
    assert call(suite, order, "POST", "", {"state": "paid"}).status_code == 422
    assert call(suite, order, "POST", "", {"state": "sent", "note": "x" * 501}).status_code == 422
    sent = call(suite, order, "POST", "", {"state": "sent", "note": "на почту директору"})
    assert sent.status_code == 201 and sent.json()["invoice"]["state"] == "sent"
    # Twice is once.
    assert call(suite, order, "POST", "", {"state": "sent"}).json()["invoice"]["history"] == sent.json()["invoice"]["history"]
    assert call(suite, order, "POST", "", {"state": "agreed"}).json()["invoice"]["state"] == "agreed"
    assert call(suite, order, "DELETE", "/agreed").json()["invoice"]["state"] == "sent"
    assert call(suite, order, "POST", "", {"state": "agreed"}).status_code == 201
    in_1c(suite, order, payments=[("i1", "4.00", "true")])
    becomes(suite, order, "partly")
    in_1c(suite, order, payments=[("i1", "4.00", "true"), ("i2", "6.00", "true")])
    paid = becomes(suite, order, "paid")
    assert call(suite, order, "POST", "", {"state": "sent"}).status_code == 409
    assert history(suite, order) == [("requested", "manager"), ("issued", "onec"), ("sent", "manager"), ("agreed", "manager"), ("sent", "manager"),
                                     ("agreed", "manager"), ("partly", "onec"), ("paid", "onec")]
    assert paid["history"][2]["note"] == "на почту директору" and paid["history"][2]["by"] == "Администратор" and paid["history"][1]["by"] == "1С unf"
    # Money that is taken back opens it again, where it was.
    in_1c(suite, order, payments=[("i1", "4.00", "false"), ("i2", "6.00", "false")])
    assert becomes(suite, order, "agreed")["history"][-1]["source"] == "onec"


def test_the_bank_the_clock_and_a_cancellation_have_their_word_too(suite):
    # The base that this organization's orders go to tells no payments.
    order = asked(suite, suite.token(), "invoice-bank", "7736050003", price="10.00")
    load(suite, suite.token(), statement(("77", "10.00", "7736050003", f"Оплата по счету № {order['number']}")))
    paid = becomes(suite, order, "paid")["history"][-1]
    assert (paid["source"], paid["by"]) == ("bank", "выписка банка")
    late = taken(suite, "invoice-late")
    in_1c(suite, late, payments=[("l1", "1.00", "true")], due=DAY)
    assert becomes(suite, late, "overdue")["state"] == "overdue" and state(suite, late)["payment"] == "partly"
    in_1c(suite, late, payments=[("l1", "1.00", "true")], due=DAY, extra=[("Отменен", "true")])
    becomes(suite, late, "cancelled")
    assert history(suite, late)[-1] == ("cancelled", "onec")
    withdrawn = suite.order(suite.token(), "invoice-withdrawn")
    suite.post("crm-core", f"/api/v1/orders/{withdrawn['orderId']}/cancel", suite.token(), {"reason": "ошибка"}, key="withdrawn", status=202)
    assert becomes(suite, withdrawn, "cancelled")["history"][-1]["source"] == "manager"


def test_what_is_said_of_an_invoice_that_is_partly_paid_is_seen_too(suite):
    """Money has the last word on its state; who has sent it, and with which words, is not lost for that."""
    order = taken(suite, "invoice-said")
    in_1c(suite, order, payments=[("s1", "1.00", "true")])
    becomes(suite, order, "partly")
    said = call(suite, order, "POST", "", {"state": "sent", "note": "ещё раз на почту"}).json()["invoice"]
    assert said["state"] == "partly" and [(s["state"], s["by"], s["note"]) for s in said["said"]] == [("sent", "Администратор", "ещё раз на почту")]
    web = requests.Session()
    web.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    page = web.get(f"{suite.url('crm-core')}/deals/{order['dealId']}", timeout=20).text
    assert "✓ отправлен" in page and "ещё раз на почту" in page
    assert call(suite, order, "DELETE", "/sent").json()["invoice"]["said"] == []


def test_an_order_that_is_older_than_the_history_has_its_beginning(suite):
    """After an upgrade nobody can say whose word the state was; the next word is told apart from it."""
    order = taken(suite, "invoice-old")
    in_1c(suite, order)
    becomes(suite, order, "issued")
    suite.sql("crm_core", f"DELETE FROM invoice_step WHERE order_id = '{order['orderId']}'; UPDATE sales_order SET payment = NULL, owed_minor = NULL")
    os.kill(suite.pids()["crm-core"], signal.SIGKILL)
    wait_for(suite.ready, 60, "the CRM")
    wait_for(lambda: history(suite, order) == [("issued", "before")], what="its beginning")
    # So does the deal's state of payment.
    wait_for(lambda: suite.get("crm-core", f"/api/v1/deals/{order['dealId']}", suite.token())["payment"] == "none", what="the deal's payment")
    assert call(suite, order, "POST", "", {"state": "sent"}).status_code == 201
    assert history(suite, order) == [("issued", "before"), ("sent", "manager")]


def test_a_manager_says_it_on_the_deals_page(suite):
    order = taken(suite, "invoice-page")
    in_1c(suite, order)
    becomes(suite, order, "issued")
    web = requests.Session()
    web.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    page = f"{suite.url('crm-core')}/deals/{order['dealId']}"
    html = web.get(page, timeout=20).text
    csrf = re.search(r'name="csrf" value="([^"]+)"', html)[1]
    assert "Счёт: <b>выставлен</b>" in html and "Отметить: отправлен" in html
    form = f"{suite.url('crm-core')}/orders/{order['orderId']}/invoice"
    assert "Счёт: <b>отправлен</b>" in web.post(form, data={"csrf": csrf, "state": "sent"}, timeout=20).text
    assert "Счёт: <b>выставлен</b>" in web.post(form, data={"csrf": csrf, "state": "sent", "undo": "true"}, timeout=20).text
    assert web.post(form, data={"csrf": "чужой", "state": "sent"}, timeout=20).status_code == 403
    # Another manager's deal is not his to speak of.
    assert sorted(call(suite, order, "POST", "", {"state": "sent"}, login=login).status_code for login in ("maria", "oleg")) == [201, 404]


def test_a_deal_says_how_it_is_paid(suite):
    """Partly is a state of its own: 30 of 100 leaves 70, the second payment closes it, money that goes back opens it again (PAY-05)."""
    order = suite.order(suite.token(), "deal-paid", lines=[{"sku": "p", "name": "p", "quantity": "1", "price": "100000.00"}])
    deal = lambda: suite.get("crm-core", f"/api/v1/deals/{order['dealId']}", suite.token())
    says = lambda payment, owed: wait_for(
        lambda: (deal()["payment"], [m["amount"] for m in deal()["owed"]]) == (payment, owed), what=f"the deal to be {payment}, {owed}")
    says("none", ["100000.00"])
    assert order["number"] in OneC(suite).take_orders()
    onec = OneC(suite)
    onec.open()
    onec.send(order["number"], "100000.00", payments=[("a", "30000.00", "true")])
    says("partly", ["70000.00"])
    page = requests.Session()
    page.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    for path in (f"/deals/{order['dealId']}", "/"):
        text = page.get(suite.url("crm-core") + path, timeout=20).text
        assert re.search(r"оплата: частично, остаток 70\s000,00\s₽", text.replace("&nbsp;", " ")), path
    onec.open()
    onec.send(order["number"], "100000.00", payments=[("a", "30000.00", "true"), ("b", "70000.00", "true")])
    says("full", [])
    onec.open()
    onec.send(order["number"], "100000.00", payments=[("a", "30000.00", "true"), ("b", "70000.00", "true")], refunds=[("r", "10000.00", "true")])
    says("partly", ["10000.00"])
    # A second order that is cancelled leaves it as it is; one that is not paid does not.
    second = suite.post("crm-core", f"/api/v1/deals/{order['dealId']}/orders", suite.token(),
                        {"currency": "RUB", "lines": [{"sku": "q", "name": "q", "quantity": "1", "price": "5.00"}]}, key="deal-paid-2", status=201)
    says("partly", ["10005.00"])
    suite.post("crm-core", f"/api/v1/orders/{second['orderId']}/cancel", suite.token(), {}, key="deal-paid-3", status=202)
    says("partly", ["10000.00"])
