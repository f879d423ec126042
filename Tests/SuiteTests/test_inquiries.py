"""Prices by 1C's own rules and receipts by a booking's id: asked of the base, answered or refused in words, and nothing else waits for it."""
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import requests
from suite import running, wait_for
from systems import Folder, OData, inquiries, odata

BOOKING = "B-2026/11 «А»"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inquiries")
    folder.chmod(0o755)
    world = type("World", (), {})()
    world.rules, world.program_rules = inquiries.Rules(), inquiries.Rules()
    world.service = inquiries.Service(world.rules)
    asked = f'inquiries: {{ url: "{world.service.url}/", login: "Вопросы", password: "пароль", timeoutSeconds: 2 }}'
    world.odata, world.folder = OData(folder, "ut11", odata.UT, 4000), Folder(folder)
    world.program = inquiries.Program(world.program_rules, world.folder.folder)
    bases = [world.odata.settings.removesuffix(" }") + f", {asked} }}", world.folder.settings,
             '- { base: silent, driver: commerceml, login: exchange, password: "обмен", firstNumber: 9000 }']
    organizations = "".join(f'\n  - {{ code: {code}, name: "ООО {code}", inn: "7707083893", kpp: "770701001", base: {base} }}'
                            for code, base in [("ut", "odata-ut11"), ("books", "folder-json"), ("silent", "silent")])
    with running(folder, books=(organizations, "\nonec:" + "".join(f"\n  {b}" for b in bases))) as suite:
        world.suite = suite
        for system in (world.odata, world.folder):
            system.begin(suite)
        world.odata.good("A-1", "Станок")
        world.token = suite.token()
        world.line = [{"sku": "A-1", "name": "Станок", "quantity": "1", "price": "10.00"}]
        wait_for((world.folder.folder / "questions").is_dir, what="the folder to be set up")
        yield world


@pytest.fixture(autouse=True)
def sound(world):
    yield
    world.service.fault, world.service.delay = None, 0.0
    # The breaker forgets what the test before has done.
    wait_for(lambda: ask(world).status_code == 200, 30, "the base to be asked again")


def ask(world, lines=(("TV-16", "2"),), organization="ut", login="admin", **more):
    body = {"organization": organization, "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines], **more}
    return requests.post(world.suite.url("accounting-bridge") + "/api/v1/prices", json=body, timeout=30,
                         headers={"Authorization": f"Bearer {world.token if login == 'admin' else world.suite.token(login)}"})


def receipts(world, **params):
    return requests.get(world.suite.url("accounting-bridge") + "/api/v1/receipts", params=params, timeout=60,
                        headers={"Authorization": f"Bearer {world.suite.token()}"})


def answering(world):
    """The program behind the folder, at work beside the test."""
    done = threading.Event()

    def work():
        while not done.wait(0.05):
            world.program.works()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return lambda: (done.set(), thread.join())


def test_a_price_is_the_bases_own_with_its_discounts_and_the_next_step(world):
    world.rules.own["7736050003"], world.rules.bought["7736050003"] = Decimal(10), Decimal(480000)
    answer = ask(world, [("TV-16", "2"), ("FR-12", "1.5")], client={"inn": "7736050003", "kpp": "770701001", "name": "ООО Ромашка"}).json()
    first, second = answer["lines"]
    assert (first["price"], first["listPrice"], first["discountPercent"], first["discountName"]) == ("405000", "450000", "10", "по соглашению")
    assert first["sum"] == {"amount": "810000.00", "currency": "RUB"} and second["price"] == "1125.45" and second["sum"]["amount"] == "1688.18"
    assert answer["total"]["amount"] == "811688.18" and answer["base"] == "odata-ut11"
    assert answer["nextDiscount"] == {"percent": "5", "remaining": {"amount": "20000.00", "currency": "RUB"}}
    # At the border exactly the step is reached; at the top there is no next one.
    world.rules.bought["7707083893"] = Decimal(500000)
    edge = ask(world, client={"inn": "7707083893"}).json()
    assert edge["lines"][0]["discountPercent"] == "5" and edge["nextDiscount"]["remaining"]["amount"] == "500000.00"
    world.rules.bought["7707083893"] = Decimal(1000000)
    assert ask(world, client={"inn": "7707083893"}).json()["nextDiscount"] is None
    kind, question = world.rules.asked[-1]
    assert kind == "prices" and question["organization"] == {"code": "ut", "inn": "7707083893", "kpp": "770701001"} and question["currency"] == "RUB"
    exchange = world.suite.get("accounting-bridge", f"/api/v1/exchanges/{answer['exchangeId']}", world.suite.token())
    assert exchange["exchange"]["kind"] == "inquiry.prices" and "цены: 2 из 2, всего 811688.18 RUB" in exchange["exchange"]["understood"]
    assert "пароль" not in exchange["request"]


def test_a_good_without_a_price_is_named_and_makes_no_total(world):
    answer = ask(world, [("TV-16", "1"), ("нет такого", "1")]).json()
    assert answer["lines"][1]["price"] is None and answer["lines"][1]["priceUnknown"] == "нет цены на этот товар"
    assert answer["total"] is None and answer["totalUnknown"]


def test_a_program_behind_a_folder_answers_too(world):
    stop = answering(world)
    try:
        answer = ask(world, organization="books")
        assert answer.status_code == 200 and answer.json()["lines"][0]["price"] == "450000", answer.text
        world.program_rules.receipts.append({"id": "R-1", "at": "2026-11-20T10:00:00", "amount": "10.00", "bookingId": "books-1"})
        found = receipts(world, booking="books-1").json()
        assert [(r["id"], r["base"]) for r in found["items"]] == [("R-1", "folder-json")] and found["unasked"] == []
        pdf = printed(world, "folder-json", "R-1")
        assert pdf.content == inquiries.PDF and pdf.headers["content-type"] == "application/pdf"
    finally:
        stop()
    left = [f for part in ("questions", "answers") for f in (world.folder.folder / part).iterdir()]
    assert left == []
    silent = ask(world, organization="books")
    assert silent.status_code == 503 and "не ответила за 10 с" in silent.json()["detail"]
    assert not list((world.folder.folder / "questions").iterdir()), "nobody waits for it any more"


def printed(world, base, id):
    return requests.get(world.suite.url("accounting-bridge") + f"/api/v1/receipts/{base}/{requests.utils.quote(id, safe='')}/print", timeout=30,
                        headers={"Authorization": f"Bearer {world.suite.token()}"})


def test_receipts_are_found_by_the_bookings_id_and_by_its_order(world):
    order = world.suite.order(world.suite.token(), "booked", lines=world.line, organization="ut", bookingId=BOOKING)
    state = world.suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", world.suite.token())
    assert state["bookingId"] == BOOKING
    wait_for(lambda: receipts(world, order=order["number"]).status_code == 200, what="the bridge to be asked")
    own = {"at": "2026-11-26T12:30:00", "amount": "10.00", "bookingId": BOOKING, "orderNumber": order["number"], "shift": "17", "method": "Карта",
           "fiscalDrive": "9960440300000000", "fiscalDocument": "1045", "fiscalSign": "3912345678"}
    world.rules.receipts += [{"id": "чек/1", "number": "1045", **own}, {"id": "чек/2", "number": "1046", "kind": "return", **own, "amount": "4.00"},
                             {"id": "чужой", "number": "1", **own, "bookingId": "другая", "orderNumber": "1"}]
    # Before the order has come to the bridge all bases are asked; then the one that keeps its money.
    def asked_one():
        found = receipts(world, booking=BOOKING).json()
        return found if not found["unasked"] else None
    found = wait_for(asked_one, 40, "the order to be known")
    assert [(r["id"], r["kind"], r["amount"]["amount"], r["base"]) for r in found["items"]] == [
        ("чек/1", "sale", "10.00", "odata-ut11"), ("чек/2", "return", "4.00", "odata-ut11")]
    assert found["items"][0]["at"] == "2026-11-26T09:30:00.000Z" and found["items"][0]["fiscalSign"] == "3912345678"
    assert [r["id"] for r in receipts(world, order=order["number"]).json()["items"]] == ["чек/1", "чек/2"]
    # One that was paid before there was an order names the booking alone; the order's receipts have it, too.
    world.rules.receipts.append({"id": "предоплата", "at": "2026-11-25T12:30:00", "amount": "1.00", "bookingId": BOOKING})
    assert [r["id"] for r in receipts(world, order=order["number"]).json()["items"]] == ["предоплата", "чек/1", "чек/2"]
    assert printed(world, "odata-ut11", "чек/1").content == inquiries.PDF
    assert printed(world, "odata-ut11", "нет").json()["detail"] == "1С odata-ut11: такого чека нет"
    assert printed(world, "silent", "чек/1").status_code == 409
    for wrong in ({}, {"booking": "a", "order": "1"}, {"booking": "x" * 65}):
        assert receipts(world, **wrong).status_code == 400


def test_the_booking_reaches_every_system(world):
    order = world.suite.order(world.suite.token(), "booked-ut", lines=world.line, organization="ut", bookingId=BOOKING)
    wait_for(lambda: order["number"] in world.odata.taken, what="the order to be taken")
    comment = next(o["Комментарий"] for o in world.odata.orders().values() if order["number"] in o["Комментарий"])
    assert f"Бронь: {BOOKING}." in comment
    order = world.suite.order(world.suite.token(), "booked-books", organization="books", bookingId=BOOKING)
    file = world.folder.folder / "orders" / f"order-{order['number']}.json"
    wait_for(file.exists, what="the order's file")
    assert json.loads(file.read_text())["booking"] == BOOKING
    deal = world.suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", world.suite.token())["dealId"]
    line = [{"sku": "A", "name": "A", "quantity": "1", "price": "1"}]
    for wrong in ("", "x" * 65):
        answer = requests.post(world.suite.url("crm-core") + f"/api/v1/deals/{deal}/orders", json={"currency": "RUB", "lines": line, "bookingId": wrong},
                               headers={"Authorization": f"Bearer {world.suite.token()}", "Idempotency-Key": f"k{len(wrong)}"}, timeout=20)
        assert answer.status_code == 422 and "bookingId" in answer.json()["detail"]


@pytest.mark.parametrize("answer, words", [
    ({"lines": []}, "строк столько же, сколько в вопросе: 1"),
    ({"lines": [{"sku": "другой", "price": "1"}]}, "ответ об артикуле «другой», а спрошен «TV-16»"),
    ({"lines": [{"sku": "TV-16"}]}, "нет ни цены (price), ни причины (refused)"),
    ({"lines": [{"sku": "TV-16", "price": 12.5}]}, "суммы тоже"),
    ({"lines": [{"sku": "TV-16", "price": "-1"}]}, "не число от нуля"),
    ({"lines": [{"sku": "TV-16", "price": "9" * 15}]}, "не число от нуля"),
    ({"lines": [{"sku": "TV-16", "price": "900000000000000"}]}, "сумма слишком велика"),
    ({"lines": [{"sku": "TV-16", "price": "1"}], "nextDiscount": {"percent": "5"}}, "percent и remaining"),
    ({"error": "контрагент заблокирован"}, "контрагент заблокирован"),
    ([1], "не объект JSON"),
])
def test_an_answer_that_is_none_is_named_and_kept(world, answer, words):
    world.service.fault, world.service.words = "say", json.dumps(answer, ensure_ascii=False).encode()
    refused = ask(world)
    assert refused.status_code == 422 and words in refused.json()["detail"], refused.text
    kept = world.suite.get("accounting-bridge", "/api/v1/exchanges", world.suite.token(), kind="inquiry.prices", limit=1)["items"][0]
    assert kept["result"] == "failed" and words in kept["reason"]
    whole = world.suite.get("accounting-bridge", f"/api/v1/exchanges/{kept['id']}", world.suite.token())
    assert whole["answer"] == world.service.words.decode()


@pytest.mark.parametrize("receipt, words", [
    ({"at": "2026-11-26T12:30:00", "amount": "1.00", "bookingId": "b"}, "нет поля id"),
    ({"id": "1", "amount": "1.00", "bookingId": "b"}, "нет поля at"),
    ({"id": "1", "at": "вчера", "amount": "1.00", "bookingId": "b"}, "(at) не читается"),
    ({"id": "1", "at": "2026-11-26T12:30:00", "bookingId": "b"}, "нет суммы"),
    ({"id": "1", "at": "2026-11-26T12:30:00", "amount": "1.00", "bookingId": "другая"}, "не о той брони"),
    ({"id": "1", "at": "2026-11-26T12:30:00", "amount": "1.00", "bookingId": "b", "currency": "фантик"}, "валюта «фантик» неизвестна"),
])
def test_a_receipt_that_is_none_is_named(world, receipt, words):
    stop = answering(world)
    try:
        world.service.fault, world.service.words = "say", json.dumps({"receipts": [receipt]}, ensure_ascii=False).encode()
        found = receipts(world, booking="b").json()
    finally:
        stop()
    assert found["items"] == [] and [u["base"] for u in found["unasked"]] == ["odata-ut11"] and words in found["unasked"][0]["reason"], found


@pytest.mark.parametrize("fault, words", [
    ("down", "не ответила"), ("html", "страница HTML"), ("busy", "503"), ("licence", "нет свободной лицензии"), ("slow", "не ответила")])
def test_a_base_that_does_not_answer_is_left_alone_for_a_while_and_orders_go_on(world, fault, words):
    world.service.fault, world.service.delay = fault, 3.0
    away = ask(world)
    assert away.status_code == 503 and words in away.json()["detail"] and away.json()["type"].endswith("/base-away")
    # The first pause is half a second at least.
    again = ask(world)
    assert again.status_code == 503 and "снова спросим через" in again.json()["detail"]
    order = world.suite.order(world.suite.token(), f"beside-{fault}", lines=world.line, organization="ut")
    wait_for(lambda: order["number"] in world.odata.taken, what="an order to pass beside it")


def test_a_base_is_not_asked_by_too_many_at_once(world):
    # What the tests before have given up on it may still be busy with.
    wait_for(lambda: world.service.under_way == 0, what="it to be idle")
    world.service.fault, world.service.delay, world.service.most = "slow", 1.0, 0
    with ThreadPoolExecutor(12) as pool:
        found = [answer.status_code for answer in pool.map(lambda _: ask(world), range(12))]
    assert set(found) == {200, 429} and world.service.most <= 4, (found, world.service.most)


def test_an_answer_without_an_end_is_not_read(world):
    world.service.fault, world.service.words = "say", b'{"lines": "' + b"x" * (9 * 1024 * 1024) + b'"}'
    away = ask(world)
    assert away.status_code == 503, away.text


def test_who_may_ask_and_what(world):
    assert ask(world, organization="silent").status_code == 409
    assert ask(world, organization="нет").status_code == 422
    assert ask(world, []).status_code == 422 and ask(world, [("A", "1")] * 201).status_code == 422
    assert ask(world, [("A", "0")]).status_code == 422 and ask(world, [("", "1")]).status_code == 422
    assert requests.post(world.suite.url("accounting-bridge") + "/api/v1/prices", json={}, timeout=20).status_code == 401
    headers = {"Authorization": f"Bearer {world.suite.token()}"}
    base = world.suite.url("accounting-bridge") + "/api/v1/bases/odata-ut11"
    assert requests.post(base + "/pause", headers=headers, timeout=20).status_code == 204
    paused = ask(world)
    assert paused.status_code == 409 and "приостановил Администратор" in paused.json()["detail"]
    assert requests.post(base + "/resume", headers=headers, timeout=20).status_code == 204


def test_a_manager_asks_for_the_price_on_the_deals_page_and_opens_the_receipt(world):
    """As in a browser: the form of the deal, then its order's receipts."""
    import re
    web = requests.Session()
    page = web.post(world.suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    assert page.ok
    order = world.suite.order(world.suite.token(), "page", lines=world.line, organization="ut", bookingId="page-1")
    deal = world.suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", world.suite.token())["dealId"]
    root = world.suite.url("crm-core")
    html = web.get(f"{root}/deals/{deal}", timeout=20).text
    csrf = re.search(r'name="csrf" value="([^"]+)"', html)[1]
    form = {"csrf": csrf, "kind": "signing", "name": "Фреза", "sku": "FR-12", "quantity": "2", "booking": "page-1"}
    html = web.post(f"{root}/deals/{deal}/prices", data=form, timeout=30).text
    assert 'name="price" value="1250.5"' in html and "Цена 1С:" in html and "До скидки" in html and 'value="FR-12"' in html
    assert '<option value="signing" selected>' in html
    html = web.post(f"{root}/deals/{deal}/prices", data={**form, "sku": ""}, timeout=30).text
    assert "укажите артикул" in html and 'value="Фреза"' in html
    world.service.fault = "busy"
    assert "1С odata-ut11 не ответила" in web.post(f"{root}/deals/{deal}/prices", data=form, timeout=30).text
    world.service.fault = None
    wait_for(lambda: ask(world).status_code == 200, 30, "the base to be asked again")
    assert web.post(f"{root}/deals/{deal}/prices", data={**form, "csrf": "чужой"}, timeout=30).status_code == 403
    world.rules.receipts.append({"id": "стр/1", "number": "77", "at": "2026-11-26T12:30:00", "amount": "10.00", "orderNumber": order["number"], "bookingId": "page-1"})
    html = web.get(f"{root}/orders/{order['orderId']}/receipts", timeout=30).text
    assert "Чек № 77" in html and "page-1" in html
    link = re.search(r'href="(/orders/[^"]+/receipts/[^"]+)"', html)[1]
    world.rules.receipts.append({"id": "другого", "at": "2026-11-26T12:30:00", "amount": "10.00", "orderNumber": "1", "bookingId": "другая"})
    assert web.get(root + link.rsplit("/", 1)[0] + "/" + requests.utils.quote("другого"), timeout=30).status_code == 404
    pdf = web.get(root + link, timeout=30)
    assert pdf.content == inquiries.PDF and pdf.headers["content-disposition"].startswith("attachment")
