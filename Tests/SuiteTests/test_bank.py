"""Bank statements: money that a base of 1C cannot tell is seen in the bank's file, matched by rule or by hand, and counted once."""
import html
import os
import re
import signal
import threading
from pathlib import Path

import pytest
import requests
from client_bank_exchange_1c import Statement
from suite import OneC, wait_for

ACCOUNT = "40702810200000000001"


def statement(*documents, received=None, account=ACCOUNT, day="31.01.2026", encoding="cp1251", made="10:00:00"):
    """A file of one day, made at a time of it; a document is (number, amount, inn, purpose)."""
    total = received or f"{sum(float(d[1]) for d in documents):.2f}"
    lines = ["1CClientBankExchange", "ВерсияФормата=1.03", "Кодировка=Windows", f"ДатаСоздания={day}", f"ВремяСоздания={made}", f"РасчСчет={account}", "СекцияРасчСчет", f"ДатаНачала={day}",
             f"ДатаКонца={day}", f"РасчСчет={account}", f"ВсегоПоступило={total}", "ВсегоСписано=0.00", "КонецРасчСчет"]
    for number, amount, inn, purpose in documents:
        lines += ["СекцияДокумент=Платежное поручение", f"Номер={number}", f"Дата={day}", f"Сумма={amount}", "ПлательщикСчет=40702810900000000009",
                  f"ДатаПоступило={day}", f"ПлательщикИНН={inn}", "Плательщик1=ООО Плательщик", f"ПолучательСчет={account}",
                  f"НазначениеПлатежа={purpose}", "КонецДокумента"]
    return "\r\n".join(lines + ["КонецФайла", ""]).encode(encoding)


def load(suite, token, data, status=201, **post):
    answer = requests.post(suite.url("accounting-bridge") + "/api/v1/bank-statements", headers={"Authorization": f"Bearer {token}"}, timeout=60,
                           **(post or {"data": data}))
    assert answer.status_code == status, answer.text
    return answer.json()


def asked(suite, token, name, inn, price="1000.00", organization="ip"):
    """An order of a firm, in the base that cannot tell partial payments."""
    lead = suite.lead(token, name)
    known = [c for c in suite.get("crm-core", "/api/v1/companies", token, limit=200)["items"] if c["inn"] == inn]
    company = known[0] if known else suite.post(
        "crm-core", "/api/v1/companies", token, {"name": f"ООО {name}", "inn": inn, "kpp": "770701001"}, status=201)
    deal = suite.post("crm-core", f"/api/v1/leads/{lead['id']}/convert", token, {"companyId": company["id"]})
    line = {"sku": name, "name": name, "quantity": "1", "price": price}
    order = suite.post("crm-core", f"/api/v1/deals/{deal['id']}/orders", token,
                       {"currency": "RUB", "organization": organization, "lines": [line]}, key=name, status=201)
    wait_for(lambda: suite.offered({order["number"]}), what="the order to reach the bridge")
    return {**order, "journeyId": lead["journeyId"]}


def seen(suite, token, order):
    got = suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)
    return got["payment"], (got["owed"] or {}).get("amount")


def facts(suite, order):
    return sorted(row[0] for row in suite.sql(
        "bi_aggregator", f"SELECT amount::numeric(12,2) FROM fact WHERE metric = 'money.received' AND counted AND key LIKE '%/{order['number']}'"))


def test_a_partial_payment_is_seen_counted_once_and_taken_back_when_it_vanishes(suite):
    token = suite.token()
    order = asked(suite, token, "bank-partly", "7736050003")
    first = statement(("11", "300.00", "7736050003", f"Оплата по счету № {order['number']} от 30.01.2026"))
    report = load(suite, token, first)
    assert (report["found"], report["matched"], report["unmatched"], report["refused"]) == (1, 1, 0, [])
    assert report["documents"][0]["allocations"][0]["rule"] == "number"
    wait_for(lambda: seen(suite, token, order) == ("partly", "700.00"), what="the partial payment")
    again = load(suite, token, first)
    assert (again["matched"], again["duplicates"]) == (1, 1)
    # The same day again with one more: the first stays, the second closes the order.
    both = statement(("11", "300.00", "7736050003", f"Оплата по счету № {order['number']} от 30.01.2026"), ("12", "700.00", "7736050003", "Доплата"),
                     encoding="utf-8")
    assert load(suite, token, both)["duplicates"] == 1
    wait_for(lambda: seen(suite, token, order) == ("full", "0.00"), what="the order to be paid")
    wait_for(lambda: facts(suite, order) == ["300.00", "700.00"], what="the figures")
    # The morning's file, loaded after the evening's, takes nothing away; the next one does.
    assert load(suite, token, statement(("12", "700.00", "7736050003", "Доплата"), made="09:00:00"))["vanished"] == 0
    gone = load(suite, token, statement(("12", "700.00", "7736050003", "Доплата"), made="18:00:00"))
    assert gone["vanished"] == 1
    wait_for(lambda: seen(suite, token, order) == ("partly", "300.00"), what="the vanished payment to be taken back")
    wait_for(lambda: facts(suite, order) == ["700.00"], what="the figure without it")
    # The morning's file again does not bring back what the evening's has taken away.
    assert load(suite, token, both)["vanished"] == 0
    assert seen(suite, token, order) == ("partly", "300.00")
    # A file that disagrees with its own turnovers tells of nothing that it lacks.
    assert load(suite, token, statement(received="5.00"))["vanished"] == 0
    steps = suite.get("crm-core", f"/api/v1/journeys/{order['journeyId']}", token)["steps"]
    assert any("В выписке банка найдена оплата 300,00" in s["summary"].replace("\u00a0", " ") for s in steps)
    assert all(s["causedBy"] for s in steps[1:])


def test_what_fits_nothing_waits_for_a_person_who_is_remembered(suite):
    token = suite.token()
    order, later = asked(suite, token, "bank-third-1", "5032002200"), asked(suite, token, "bank-third-2", "5032002200", price="55.00")
    report = load(suite, token, statement(("21", "1000.00", "7704217370", f"За ООО по счету {order['number']}"), day="02.02.2026"))
    waiting = report["documents"][0]
    assert waiting["state"] == "unmatched" and "ИНН плательщика другой" in waiting["reason"]
    assert waiting["id"] in [p["id"] for p in suite.get("accounting-bridge", "/api/v1/bank-payments", token, state="unmatched")["items"]]
    path = f"/api/v1/bank-payments/{waiting['id']}/match"
    for body, word in [({"orders": []}, "1 to 100"), ({"orders": [{"orderNumber": "99999999999"}]}, "no open order"),
                       ({"orders": [{"orderNumber": order["number"], "amount": {"amount": "1000.01", "currency": "RUB"}}]}, "at most")]:
        assert word in suite.post("accounting-bridge", path, token, body, status=422)["detail"]
    matched = suite.post("accounting-bridge", path, token, {"orders": [{"orderNumber": order["number"]}]}, status=200)
    assert matched["allocations"][0]["rule"] == "person" and matched["allocations"][0]["by"] == "Администратор"
    wait_for(lambda: seen(suite, token, order) == ("full", "0.00"), what="the order to be paid")
    # The same payer again: known by now.
    report = load(suite, token, statement(("22", "55.00", "7704217370", "Оплата"), day="03.02.2026"))
    assert [a["orderNumber"] for a in report["documents"][0]["allocations"]] == [later["number"]]
    undone = requests.delete(suite.url("accounting-bridge") + path, headers={"Authorization": f"Bearer {token}"}, timeout=20)
    assert undone.json()["state"] == "unmatched"
    wait_for(lambda: seen(suite, token, order)[0] != "full", what="the match to be undone")
    # An order of the same payer that comes now changes nothing about what a person has undone.
    asked(suite, token, "bank-third-3", "7704217370")
    state = lambda: suite.get("accounting-bridge", f"/api/v1/bank-payments/{waiting['id']}", token)["state"]
    wait_for(lambda: suite.sql("accounting_bridge", "SELECT count(*) FROM order_out WHERE match_again") == [["0"]], what="the orders to be tried")
    assert state() == "unmatched"


def test_a_document_whose_day_the_bank_corrects_pays_its_order_once(suite):
    token = suite.token()
    order = asked(suite, token, "bank-corrected", "7702070139")
    load(suite, token, statement(("81", "1000.00", "7702070139", f"счет {order['number']}"), day="11.02.2026"))
    wait_for(lambda: seen(suite, token, order) == ("full", "0.00"), what="the order to be paid")
    both = statement(day="11.02.2026", made="20:00:00").decode("cp1251").replace("ДатаКонца=11.02.2026", "ДатаКонца=12.02.2026")
    moved = statement(("81", "1000.00", "7702070139", f"счет {order['number']}"), day="12.02.2026").decode("cp1251")
    section = moved[moved.index("СекцияДокумент"):moved.index("КонецФайла")]
    file = both.replace("ВсегоПоступило=0.00", "ВсегоПоступило=1000.00").replace("КонецФайла", section + "КонецФайла")
    report = load(suite, token, file.encode("cp1251"))
    assert (report["vanished"], report["matched"]) == (1, 1)
    wait_for(lambda: seen(suite, token, order) == ("full", "0.00") and facts(suite, order) == ["1000.00"], what="the corrected day to count once")


def test_a_payment_that_came_before_its_order_finds_it(suite):
    token = suite.token()
    report = load(suite, token, statement(("31", "1000.00", "7830002293", "Предоплата"), day="04.02.2026"))
    assert report["unmatched"] == 1
    order = asked(suite, token, "bank-early", "7830002293")
    wait_for(lambda: seen(suite, token, order) == ("full", "0.00"), what="the early payment to find its order")


def test_the_bank_and_the_books_telling_the_same_payment_count_once(suite):
    token = suite.token()
    order = asked(suite, token, "bank-once", "7710140679", organization="ooo")
    load(suite, token, statement(("41", "400.00", "7710140679", f"счет {order['number']}"), day="05.02.2026"))
    wait_for(lambda: ("bank" in [d["base"] for d in suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)["documents"]]))
    onec = OneC(suite)
    onec.open()
    onec.send(order["number"], "1000.00", payments=[("bank-once-1", "400.00", "true")])
    wait_for(lambda: seen(suite, token, order) == ("partly", "600.00") and facts(suite, order) == ["400.00"], what="one payment, told twice")
    documents = suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", token)["documents"]
    assert sorted(d["base"] for d in documents) == ["bank", "unf"]


def test_a_statement_cut_off_by_a_death_is_loaded_again_and_counts_once(suite):
    token = suite.token()
    order = asked(suite, token, "bank-death", "7728168971", price="600.00")
    file = statement(*((f"9{n}", "1.00", "7728168971", f"счет {order['number']}") for n in range(600)), day="14.02.2026")
    kept = lambda: int(suite.sql("accounting_bridge", "SELECT count(*) FROM bank_payment WHERE date = '2026-02-14'")[0][0])
    failed = []

    def first():
        try:
            load(suite, token, file)
        except Exception as error:
            failed.append(error)

    loading = threading.Thread(target=first)
    loading.start()
    wait_for(lambda: kept() > 0, what="reading to begin")
    os.kill(suite.pids()["accounting-bridge"], signal.SIGKILL)
    loading.join()
    assert failed and kept() < 600, "it died in the middle"
    wait_for(suite.ready, 60, "the suite")
    report = load(suite, token, file)
    assert (report["found"], report["matched"], report["unmatched"]) == (600, 600, 0) and report["duplicates"] > 0
    assert kept() == 600
    wait_for(lambda: seen(suite, token, order) == ("full", "0.00"), 60, "the order to be paid, exactly")
    wait_for(lambda: len(facts(suite, order)) == 600, 60, "each payment to count once")


@pytest.mark.parametrize("data,words", [
    (b"", "первая строка"), (b"<html>login</html>", "первая строка"), (statement(("1", "1.00", "1", "x"))[:-40], "обрывается"),
    (b"1CClientBankExchange\r\n" + b"\x00\xff" * 100, "обрывается")])
def test_what_is_no_statement_is_refused_in_words_and_kept(suite, data, words):
    token = suite.token()
    problem = load(suite, token, data, status=422)
    assert words in problem["detail"]
    kept = suite.get("accounting-bridge", "/api/v1/exchanges", token, kind="bank.statement", limit=1)["items"][0]
    assert kept["result"] == "refused" and words in kept["reason"] and kept["requestBytes"] == len(data)


def test_limits_and_rights_of_statements(suite):
    token = suite.token()
    assert "байт" in load(suite, token, b"1CClientBankExchange\r\n" + b"x" * (16 * 1024 * 1024), status=422)["detail"]
    load(suite, token, b"x" * (18 * 1024 * 1024), status=413)
    manager = suite.token("maria")
    load(suite, manager, statement(), status=403)
    kept = suite.get("accounting-bridge", "/api/v1/exchanges", token, kind="bank.statement", limit=1)["items"][0]["id"]
    look = lambda who: requests.get(suite.url("accounting-bridge") + f"/api/v1/exchanges/{kept}", headers={"Authorization": f"Bearer {who}"}, timeout=20).status_code
    assert (look(token), look(manager)) == (200, 403), "a statement holds wages too"
    out = statement(("54", "1.00", "7736050003", "Зарплата"), day="08.03.2026").decode("cp1251")
    out = out.replace("ДатаПоступило", "ДатаСписано").replace("ПлательщикСчет=40702810900000000009", f"ПлательщикСчет={ACCOUNT}").replace(
        f"ПолучательСчет={ACCOUNT}", "ПолучательСчет=40702810900000000009").replace("ВсегоПоступило=1.00", "ВсегоПоступило=0.00").replace("ВсегоСписано=0.00", "ВсегоСписано=1.00")
    assert load(suite, token, out.encode("cp1251"))["outgoing"] == 1
    seen_by = lambda who: [p["direction"] for p in suite.get("accounting-bridge", "/api/v1/bank-payments", who, state="outgoing")["items"]]
    assert seen_by(token) == ["out"] and seen_by(manager) == []
    load(suite, "reader-key", statement(), status=403)
    bad = load(suite, token, statement(("51", "много", "7736050003", "Оплата"), ("52", "1.00", "7736050003", "Оплата"), received="1.00", day="06.02.2026"))
    assert [r["line"] for r in bad["refused"]] == [14] and bad["found"] == 1
    form = load(suite, token, None, files={"file": ("kl_to_1c.txt", statement(("53", "1.00", "7736050003", "Оплата"), day="07.02.2026"))})
    assert form["found"] == 1


def test_what_a_client_says_he_paid_is_followed(suite):
    token = suite.token()
    order = asked(suite, token, "bank-claim", "7825706086", price="777.00")
    claim = {"amount": {"amount": "777.00", "currency": "RUB"}, "date": "2026-02-08", "payerInn": "7825706086", "orderNumber": order["number"]}
    ask = lambda **more: suite.post("accounting-bridge", "/api/v1/payment-claims", token, {**claim, **more}, status=201)
    assert ask(date="2030-01-01")["claim"]["finding"] == "no_statement"
    load(suite, token, statement(("61", "777.00", "7825706086", f"счет {order['number']}"), day="08.02.2026"))
    found = ask()
    assert found["claim"]["finding"] == "matched" and order["number"] in found["words"] and found["payments"][0]["number"] == "61"
    assert ask(amount={"amount": "778.00", "currency": "RUB"})["claim"]["finding"] == "not_found"
    load(suite, token, statement(("62", "779.00", "7706107510", "Оплата"), day="09.02.2026"))
    waits = ask(amount={"amount": "779.00", "currency": "RUB"}, payerInn="7706107510")
    assert waits["claim"]["finding"] == "unmatched" and "не привязаны" in waits["words"]
    assert [c["finding"] for c in suite.get("accounting-bridge", "/api/v1/payment-claims", token, limit=2)["items"]] == ["unmatched", "not_found"]
    suite.post("accounting-bridge", "/api/v1/payment-claims", token, {**claim, "date": "yesterday"}, status=422)


def test_an_accountant_works_the_bank_on_a_page(suite):
    token = suite.token()
    order = asked(suite, token, "bank-page", "7841322249", price="432.10")
    browser = requests.Session()
    browser.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    page = lambda path="/journal/bank": browser.get(suite.url("crm-core") + path, timeout=20).text
    csrf = re.search(r'action="/journal/bank".*?name="csrf" value="([^"]+)"', page(), re.S)[1]
    file = statement(("71", "432.10", "7706107510", "Оплата за друга"), day="10.02.2026")
    answer = browser.post(suite.url("crm-core") + "/journal/bank", data={"csrf": csrf}, files={"file": ("k.txt", file)}, timeout=60)
    assert "документов 1: сопоставлено 0, ждут человека 1" in answer.text
    payment = re.search(r'name="payment" value="([0-9a-f-]+)"', answer.text)[1]
    stale = browser.post(suite.url("crm-core") + "/journal/match", data={"csrf": "x", "payment": payment, "orderNumber": order["number"]}, timeout=20)
    assert stale.status_code == 403
    wrong = browser.post(suite.url("crm-core") + "/journal/match", data={"csrf": csrf, "payment": payment, "orderNumber": "99999999999"}, timeout=20)
    assert "there is no open order 99999999999" in html.unescape(wrong.text)
    browser.post(suite.url("crm-core") + "/journal/match", data={"csrf": csrf, "payment": payment, "orderNumber": order["number"]}, timeout=20)
    wait_for(lambda: seen(suite, token, order) == ("full", "0.00"), what="the payment matched on the page")
    traced = browser.post(suite.url("crm-core") + "/journal/claims", data={"csrf": csrf, "amount": "432,10", "date": "2026-02-10"}, timeout=20)
    assert f"учтены по заказу № {order['number']}" in html.unescape(traced.text)


SAMPLES = Path(__file__).resolve().parents[3] / "shared/data/bank"


@pytest.mark.skipif(not SAMPLES.exists(), reason="the sample files are not beside the repository")
@pytest.mark.parametrize("name,encoding", [("kilylabs__one_day.txt", "cp1251"), ("kilylabs__one_day_utf8.txt", "utf-8")])
def test_another_reader_reads_the_same(suite, name, encoding):
    data = (SAMPLES / name).read_bytes()
    day = lambda said: "-".join(reversed(said.split("."))) if isinstance(said, str) else str(said)
    theirs = [(d.number, f"{d.amount:.2f}", day(d.payer.date_charged or d.receiver.date_received or d.date), d.payment.purpose, d.document_type)
              for d in Statement.from_text(data.decode(encoding).replace("\r\n", "\n")).documents]
    ours = load(suite, suite.token(), data)
    assert ours["refused"] == [] and ours["found"] == len(theirs) and ours["accounts"][0]["agrees"]
    read = [(d["number"], d["amount"]["amount"], d["date"], d["purpose"], d["kind"]) for d in ours["documents"]]
    assert sorted(read) == sorted(theirs)


PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 64


def test_a_photo_of_a_payment_order_waits_for_a_person_and_is_then_traced(suite):
    token = suite.token()
    order = asked(suite, token, "bank-photo", "7825706086", price="345.00")
    load(suite, token, statement(("71", "345.00", "7825706086", f"Оплата по счету № {order['number']}"), day="12.02.2026"))
    headers = {"Authorization": f"Bearer {token}"}
    root = suite.url("accounting-bridge") + "/api/v1/payment-claims"
    post = lambda photo, **fields: requests.post(root, data=fields, files={"photo": ("чек.png", photo)}, headers=headers, timeout=20)
    other = asked(suite, token, "bank-photo-other", "7704407589", price="346.00")
    load(suite, token, statement(("72", "346.00", "7704407589", f"Оплата по счету № {other['number']}"), day="13.02.2026"))
    # What it said at first holds: another client's payment of that sum is not its.
    foreign = post(PNG, payerInn="7825706086").json()["claim"]["id"]
    read = requests.post(f"{root}/{foreign}/trace", json={"amount": {"amount": "346.00", "currency": "RUB"}}, headers=headers, timeout=20).json()["claim"]
    assert read["finding"] in ("not_found", "no_statement") and read["payerInn"] == "7825706086" and read["readBy"] == "Администратор"
    waits = post(PNG, orderNumber=order["number"])
    claim = waits.json()["claim"]
    assert waits.status_code == 201 and claim["finding"] == "photo" and claim["amount"] is None and claim["hasPhoto"] and "Впишите с него сумму" in waits.json()["words"]
    photo = requests.get(f"{root}/{claim['id']}/photo", headers=headers, timeout=20)
    assert photo.content == PNG and photo.headers["content-type"] == "image/png" and photo.headers["x-content-type-options"] == "nosniff"
    assert requests.get(f"{root}/{claim['id']}/photo", headers={"Authorization": "Bearer reader-key"}, timeout=20).status_code == 403
    # With its sum it is traced at once.
    assert post(PNG, amount="345,00", date="2026-02-12").json()["claim"]["finding"] == "matched"
    for wrong, status in [(b"<html>", 422), (b"\x89PNG" + b"x" * (8 * 1024 * 1024), 413)]:
        assert post(wrong).status_code == status
    assert requests.post(root, json={"orderNumber": "1"}, headers=headers, timeout=20).status_code == 422
    # In the browser: the photo waits, a person reads it and enters its sum.
    browser = requests.Session()
    browser.post(suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    page = browser.get(suite.url("crm-core") + "/journal/bank", timeout=20).text
    assert f"/journal/claims/{claim['id']}" in page and "Фото платёжки" in page
    assert browser.get(suite.url("crm-core") + f"/journal/claims/{claim['id']}", timeout=20).content == PNG
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)[1]
    form = {"csrf": (None, csrf), "claim": (None, claim["id"]), "amount": (None, "345,00"), "date": (None, "2026-02-12"), "number": (None, "")}
    traced = browser.post(suite.url("crm-core") + "/journal/claims", files=form, timeout=20)
    assert "Деньги пришли 12.02.2026" in traced.text and order["number"] in traced.text
    # A second person who had the page open does not overwrite it.
    twice = browser.post(suite.url("crm-core") + "/journal/claims", files={**form, "amount": (None, "1,00")}, timeout=20)
    assert "уже прочитано" in twice.text
    again = suite.get("accounting-bridge", "/api/v1/payment-claims", token, limit=200)["items"]
    mine = next(c for c in again if c["id"] == claim["id"])
    assert mine["finding"] == "matched" and mine["hasPhoto"] and mine["orderNumber"] == order["number"]
    assert claim["id"] not in browser.get(suite.url("crm-core") + "/journal/bank", timeout=20).text
