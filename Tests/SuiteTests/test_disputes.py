"""One version of truth: standing disputes as ready reports, and books, CRM and report compared document by document."""
import html
import os
import re
import signal

import requests
from suite import OneC, wait_for
from test_bank import asked, load, seen, statement


def page(suite, path="/disputes"):
    browser = requests.Session()
    browser.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    return html.unescape(browser.get(suite.url("crm-core") + path, timeout=60).text), browser


def test_one_case_of_each_dispute_is_one_row_of_its_report(suite):
    token = suite.token()
    reports = lambda: dict(re.findall(r'<h2 class="h6">([^<]+) <span class="badge [^"]+">(\d+)</span>', page(suite)[0]))
    assert set(reports().values()) == {"0"}
    won, partly, healthy = (asked(suite, token, f"dispute-{n}", "7736050003", price=p) for n, p in [("won", "100.00"), ("partly", "200.00"), ("ok", "300.00")])
    deal = lambda order: suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)["dealId"]
    suite.post("crm-core", f"/api/v1/deals/{deal(won)}/stage", token, {"stage": "won"})
    suite.post("crm-core", f"/api/v1/deals/{deal(healthy)}/stage", token, {"stage": "won"})
    load(suite, token, statement(("1", "50.00", "7736050003", f"счет {partly['number']}"), ("2", "300.00", "7736050003", f"счет {healthy['number']}"),
                                 ("3", "77.00", "7704217370", "Оплата"), day="01.02.2026"))
    wait_for(lambda: seen(suite, token, partly)[0] == "partly" and seen(suite, token, healthy)[0] == "full", what="the payments")
    suite.post("accounting-bridge", "/api/v1/payment-claims", token, {"amount": {"amount": "55.55", "currency": "RUB"}, "date": "2026-02-01"}, status=201)
    suite.post("accounting-bridge", "/api/v1/payment-claims", token, {"amount": {"amount": "55.56", "currency": "RUB"}, "date": "2026-02-01"}, status=201)
    told = suite.get("crm-core", "/api/v1/disputes", token)
    assert [r["orderNumber"] for r in told["wonUnpaid"]] == [won["number"]]
    assert [(r["orderNumber"], r["paid"]["amount"]) for r in told["partlyUnchanged"]] == [(partly["number"], "50.00")]
    assert reports() == {"Выиграно в CRM, денег в отчёте нет": "1", "Оплачено, менеджер не видит": "1",
                         "Оплачено частично, статус не изменился": "1", "Клиент говорит, что оплатил": "2", "Изменено в 1С задним числом": "0"}
    assert 'class="badge text-bg-warning">2<' in page(suite)[0], "also of two rows it is seen"
    # Settled, each goes.
    suite.post("crm-core", f"/api/v1/deals/{deal(partly)}/stage", token, {"stage": "agreed"})
    load(suite, token, statement(("4", "100.00", "7736050003", f"счет {won['number']}"), day="02.02.2026"))
    wait_for(lambda: suite.get("crm-core", "/api/v1/disputes", token) == {"wonUnpaid": [], "partlyUnchanged": []}, what="both to be settled")


def test_books_crm_and_report_agree_and_each_difference_is_its_document(suite):
    token = suite.token()
    order = asked(suite, token, "recon", "7710140679", price="1000.00", organization="ooo")
    onec = OneC(suite)
    onec.open()
    onec.send(order["number"], "1000.00", payments=[("recon-1", "400.00", "true"), ("recon-2", "100.00", "false")])
    check = lambda: suite.get("crm-core", "/api/v1/reconciliation", token)
    wait_for(lambda: check()["checked"] >= 4 and check()["differences"] == [], what="all to agree")
    # Goods, too: the report counts none of them, the CRM and 1C have to agree.
    onec.open()
    onec.send(order["number"], "1000.00", payments=[("recon-1", "400.00", "true"), ("recon-2", "100.00", "false")], shipments=[("recon-3", "250.00", "true")])
    wait_for(lambda: suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)["shipped"]["amount"] == "250.00" and check()["differences"] == [], what="all to agree")
    suite.sql("crm_core", "UPDATE document SET amount_minor = 1 WHERE onec_id = 'recon-3'")
    [row] = check()["differences"]
    assert (row["key"], row["books"]["amount"], row["crm"]["amount"], row["client"]) == (f"unf/shipment/recon-3/{order['number']}", "250.00", "0.01", row["client"]) and row["client"]
    suite.sql("crm_core", "UPDATE document SET amount_minor = 25000 WHERE onec_id = 'recon-3'")
    key = f"unf/payment/recon-1/{order['number']}"
    suite.sql("bi_aggregator", f"UPDATE fact SET counted = false WHERE metric = 'money.received' AND key = '{key}'")
    [row] = check()["differences"]
    assert (row["key"], row["report"], row["crm"]["amount"], row["words"]) == (key, None, "400.00", "в CRM учтено, в отчёте нет")
    suite.sql("crm_core", "UPDATE document SET amount_minor = 40001 WHERE onec_id = 'recon-1'")
    [row] = check()["differences"]
    assert (row["books"]["amount"], row["crm"]["amount"]) == ("400.00", "400.01")
    shown, browser = page(suite, "/disputes?check=1")
    assert "расхождений: 1" in shown and "400,01" in shown
    fields = dict(re.findall(r'name="(csrf|service|source|text)" value="([^"]*)"', shown[shown.index('action="/replays"'):]))
    plan = browser.post(suite.url("crm-core") + "/replays", data=fields, timeout=30)
    assert plan.status_code == 200 and "/replays/crm-core/" in plan.url, "one click to a plan"
    # Whoever keeps the books mends what stands between them and the CRM; what a message says only those change who know its contract.
    accountant = suite.token("olga")
    planned = suite.post("crm-core", "/api/v1/replays", accountant, {"filter": {"source": "taken", "text": "recon-1"}, "dryRun": True}, status=201)
    assert planned["count"] >= 1 and suite.get("crm-core", f"/api/v1/replays/{planned['id']}", accountant)["state"] == "planned"
    changed = {"filter": {"source": "taken", "text": "recon-1"}, "changes": {planned["id"]: {}}, "dryRun": True}
    suite.post("crm-core", "/api/v1/replays", accountant, changed, status=403)
    suite.post("crm-core", "/api/v1/replays", suite.token("maria"), {"filter": {"text": "recon-1"}, "dryRun": True}, status=403)
    assert requests.get(suite.url("crm-core") + "/api/v1/reconciliation", headers={"Authorization": f"Bearer {suite.token('maria')}"}, timeout=20).status_code == 403


def seed(suite, count):
    """So many orders with a payment each, that books, CRM and report have alike, as if they had come long ago."""
    ids = "('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid"
    suite.sql("accounting_bridge", f"""
        INSERT INTO order_out (id, number, base, request, state, requested_at, last_event, told_payments, told_documents)
        SELECT {ids}, (70000000 + n)::text, 'unf', jsonb_build_object('organization', 'ooo', 'currency', 'RUB'), 'sent', now(), {ids}, true,
            jsonb_build_array(jsonb_build_object('kind', 'payment', 'onecId', 'seed-' || n, 'posted', true, 'cancelled', false,
                'amount', jsonb_build_object('amount', '10.00', 'currency', 'RUB')))
        FROM generate_series(1, {count}) AS n""")
    suite.sql("crm_core", f"""
        INSERT INTO sales_order (id, number, kind, origin, organization, base, currency, asked_minor, lines, status, tells_payments)
        SELECT {ids}, (70000000 + n)::text, 'goods', 'crm', 'ooo', 'unf', 'RUB', 1000, '[]', 'accepted', true FROM generate_series(1, {count}) AS n""")
    suite.sql("crm_core", f"""
        INSERT INTO document (base, kind, onec_id, order_id, amount_minor, currency, posted, cancelled, as_of)
        SELECT 'unf', 'payment', 'seed-' || n, {ids}, 1000, 'RUB', true, false, now() FROM generate_series(1, {count}) AS n""")
    suite.sql("bi_aggregator", f"""
        INSERT INTO fact (metric, key, at, day, amount, unit, currency, kind, ref)
        SELECT 'money.received', 'unf/payment/seed-' || n || '/' || (70000000 + n), now(), now()::date, 10, 'RUB', 'RUB', 'document', 'seed' FROM generate_series(1, {count}) AS n""")


def test_any_number_of_documents_is_compared_page_by_page(suite):
    token = suite.token()
    check = lambda: suite.get("crm-core", "/api/v1/reconciliation", token)
    before = check()
    seed(suite, 1000)
    now = check()
    assert now["checked"] == before["checked"] + 1000 and now["found"] == before["found"], now["differences"][:3]
    assert {s["base"] for s in now["sources"]} == {"unf", "ut"} and not any(s["isAsked"] or s["unread"] for s in now["sources"])
    # One that each of them lacks, on different pages; and more than are listed.
    suite.sql("bi_aggregator", "UPDATE fact SET counted = false WHERE key = 'unf/payment/seed-150/70000150'")
    suite.sql("crm_core", "UPDATE document SET posted = false WHERE onec_id = 'seed-550'")
    suite.sql("accounting_bridge", "UPDATE order_out SET told_documents = '[]' WHERE number = '70000950'")
    now = check()
    assert now["found"] == before["found"] + 3
    assert {d["orderNumber"] for d in now["differences"]} >= {"70000150", "70000550", "70000950"}
    suite.sql("bi_aggregator", "UPDATE fact SET amount = 11 WHERE key LIKE 'unf/payment/seed-%'")
    now = check()
    assert now["found"] >= 999 and len(now["differences"]) == 200
    for service, statement in [("bi_aggregator", "DELETE FROM fact WHERE key LIKE 'unf/payment/seed-%'"), ("crm_core", "DELETE FROM document WHERE onec_id LIKE 'seed-%'"),
                               ("accounting_bridge", "DELETE FROM order_out WHERE number LIKE '7000%' AND length(number) = 8")]:
        suite.sql(service, statement)


def test_a_comparison_is_kept_and_the_night_makes_its_own(suite):
    """By a person now; at night by itself, with a pass that only reads. A service that does not answer is said, and nothing is called equal."""
    token = suite.token()
    made = suite.post("crm-core", "/api/v1/reconciliation/runs", token, {}, status=201)
    assert made["by"] == "Администратор" and made["failed"] is None and made["checked"] >= 0
    kept = suite.get("crm-core", "/api/v1/reconciliation/runs", token)["items"]
    assert made in kept
    # The night's: once a day.
    nights = [run for run in kept if run["by"] is None]
    assert len(nights) == len({run["day"] for run in nights})
    assert requests.post(suite.url("crm-core") + "/api/v1/reconciliation/runs", headers={"Authorization": f"Bearer {suite.token('maria')}"}, timeout=20).status_code == 403
    browser = requests.Session()
    browser.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    page = browser.get(suite.url("crm-core") + "/disputes", timeout=30).text
    assert "Последняя сверка" in page and "сверено документов" in page
    owners = browser.get(suite.url("crm-core") + "/clients", timeout=30).text
    assert "Кто за что отвечает" in owners and "документ не той базы откладывается" in owners


def test_while_a_service_is_away_nothing_is_called_equal(suite):
    os.kill(suite.pids()["bi-aggregator"], signal.SIGSTOP)
    try:
        run = suite.post("crm-core", "/api/v1/reconciliation/runs", suite.token(), {}, status=201)
    finally:
        os.kill(suite.pids()["bi-aggregator"], signal.SIGCONT)
    assert run["failed"] == "мост 1С или отчёты не отвечали" and run["differences"] == [] and run["checked"] == 0


def test_three_departments_three_sums_and_the_documents_between_them(suite):
    """EX-8: the manager says 1 000 000, the store 950 000, the books 800 000; the card explains it, and the act is 1C's own sum."""
    token = suite.token()
    order = asked(suite, token, "three-truths", "7728168971", price="1000000.00", organization="ooo")
    own = suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)["dealId"]
    company = suite.get("crm-core", f"/api/v1/deals/{own}", token)["companyId"]
    onec = OneC(suite)
    onec.take_orders()
    onec.open()
    onec.send(order["number"], "1000000.00", payments=[("tt-1", "500000.00", "true"), ("tt-2", "350000.00", "true"), ("tt-3", "1.00", "false")],
              shipments=[("tt-4", "950000.00", "true")], refunds=[("tt-5", "50000.00", "true")])
    path = f"/api/v1/companies/{company}/settlements"
    told = wait_for(lambda: (lambda a: a if len((a["acts"] or [{"lines": []}])[0]["lines"]) == 4 else None)(suite.get("crm-core", path, token)), what="the documents")
    [act] = told["acts"]
    rub = lambda text: {"amount": text, "currency": "RUB"}
    assert (act["opening"], act["debit"], act["credit"], act["closing"]) == (rub("0.00"), rub("1000000.00"), rub("850000.00"), rub("150000.00"))
    assert act["lines"][-1]["balance"] == act["closing"]
    assert [(d["kind"], d["amount"]["amount"]) for d in told["differences"]] == [("not_shipped", "50000.00"), ("not_paid", "200000.00")]
    later = suite.get("crm-core", path, token, **{"from": "2026-12-01"})["acts"][0]
    assert (later["opening"], later["lines"], later["closing"]) == (rub("150000.00"), [], rub("150000.00"))
    assert requests.get(suite.url("crm-core") + path + "?from=gestern", headers={"Authorization": f"Bearer {token}"}, timeout=20).status_code == 400
    shown, _ = page(suite, f"/companies/{company}")
    shown = shown.replace("\u00a0", " ")
    for words in ["1 000 000,00 ₽", "950 000,00 ₽", "850 000,00 ₽", "Почему суммы разные", "Заказано и не отгружено: 50 000,00 ₽", "Взаиморасчёты", "150 000,00 ₽"]:
        assert words in shown, words


def test_what_1c_changes_after_the_fact_is_flagged(suite):
    """A payment of long ago loses a part, another vanishes: both are seen with what was and what is, and the money follows."""
    token = suite.token()
    order = asked(suite, token, "late", "7736050003", price="1000.00", organization="ooo")
    onec = OneC(suite)
    onec.take_orders()
    state = lambda: suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)
    send = lambda *payments: (onec.open(), onec.send(order["number"], "1000.00", payments=payments))
    send(("late-1", "400.00", "true"), ("late-2", "100.00", "true"))
    wait_for(lambda: state()["paid"] == {"amount": "500.00", "currency": "RUB"}, what="both payments")
    send(("late-1", "300.00", "true"))
    wait_for(lambda: state()["paid"] == {"amount": "300.00", "currency": "RUB"}, what="the money that is left")
    told = [c for c in suite.get("accounting-bridge", "/api/v1/late-changes", token)["items"] if c["orderNumber"] == order["number"]]
    assert [c["words"].replace("\u00a0", " ") for c in told] == ["отменён или удалён", "сумма 400,00 ₽ → 300,00 ₽"]
    lines = suite.get("accounting-bridge", f"/api/v1/order-stories/{order['number']}", token)["lines"]
    assert sum("Задним числом: оплата" in line["words"] for line in lines) == 2
    shown, _ = page(suite)
    assert "Изменено в 1С задним числом" in shown and "отменён или удалён" in shown
    check = lambda: suite.get("crm-core", "/api/v1/reconciliation", token)
    wait_for(lambda: not [d for d in check()["differences"] if d["orderNumber"] == order["number"]], what="books, CRM and report to agree")


def test_a_comparison_that_lasts_is_waited_for_by_the_page_and_by_nobody_else(suite):
    """The report is slow to answer: the page says so, refreshes, and has the answer when there is one."""
    browser = requests.Session()
    browser.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    page = lambda check: browser.get(suite.url("crm-core") + f"/disputes?check={check}", timeout=30).text
    os.kill(suite.pids()["bi-aggregator"], signal.SIGSTOP)
    try:
        waits = page("1")
    finally:
        os.kill(suite.pids()["bi-aggregator"], signal.SIGCONT)
    assert 'id="comparing"' in waits and "/disputes?check=wait" in waits and 'id="compared"' not in waits
    assert "Сверено документов" in wait_for(lambda: (lambda html: html if 'id="compared"' in html else None)(page("wait")), what="the answer")
