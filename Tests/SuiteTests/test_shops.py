"""Orders of internet shops, fetched as 1C fetches them: each becomes a lead once, a changed one goes on in the same talk, and nothing is confirmed that is not kept."""
import os
import signal

import pytest
import requests
from suite import running, wait_for
from systems import shop

SHOPS = {"market": {}, "old-shop": {"encoding": "windows-1251", "namespace": None, "newline": "\r\n"}, "bitrix": {"container": True}}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = type("World", (), {})()
    world.shops = {name: shop.Shop(**how) for name, how in SHOPS.items()}
    listed = "\nshops:" + "".join(f'\n  - {{ name: {name}, url: "{s.url}", login: 1c, password: "обмен", pollSeconds: 1 }}' for name, s in world.shops.items())
    with running(tmp_path_factory.mktemp("shops"), books=('\n  - { code: ooo, name: "ООО", base: ut }', '\nonec:\n  - { base: ut, driver: commerceml, login: ut, password: "ut" }' + listed)) as suite:
        world.suite = suite
        yield world


@pytest.fixture(params=SHOPS)
def seller(request, world):
    yield world.shops[request.param]
    world.shops[request.param].fault = None


def lead(world, number):
    found = world.suite.get("crm-core", "/api/v1/search", world.suite.token(), q=number)["items"]
    ids = [item["id"] for item in found if item["kind"] == "lead"]
    return world.suite.get("crm-core", f"/api/v1/leads/{ids[0]}", world.suite.token()) if ids else None


def leads(world, number):
    return world.suite.sql("crm_core", f"SELECT count(*) FROM lead WHERE text LIKE '%Заказ № {number} %'")[0][0]


def state(world, name):
    return next(s for s in world.suite.get("bot-gateway", "/api/v1/shops", world.suite.token())["items"] if s["name"] == name)


def name_of(world, seller):
    return next(name for name, s in world.shops.items() if s is seller)


def test_an_order_becomes_a_lead_with_who_and_what(world, seller):
    number = f"{name_of(world, seller)}-1"
    seller.order(number, lines=[("A-1", "Станок «ТВ»", "2", "450.00"), ("B-2", "Фреза & Ко", "1", "10.50")], total="910.50")
    found = wait_for(lambda: lead(world, number), what="the lead")
    assert (found["name"], found["phone"], found["email"]) == ("Иванов Иван", "+79161234567", "ivan@example.ru")
    assert f"Заказ № {number} на 910.50 RUB" in found["text"] and "– Станок «ТВ» (A-1) × 2 = 900.00" in found["text"] and "Фреза & Ко" in found["text"]
    assert found["answers"]["Способ доставки"] == "Курьер" and found["answers"]["Адрес"] == "Москва, Лесная, 5" and found["answers"]["Сумма"] == "910.50 RUB"
    wait_for(lambda: number in seller.confirmed, what="the shop to hear of it")
    assert seller.waiting == {} and seller.inits > 0
    kept = world.suite.sql("bot_gateway", f"SELECT count(*) FROM incoming WHERE connection = '{name_of(world, seller)}' AND state = 'kept'")
    assert int(kept[0][0]) >= 1, "the answer stands as it came"
    assert wait_for(lambda: state(world, name_of(world, seller))["orders"] >= 1) and state(world, name_of(world, seller))["failure"] is None


def test_the_same_again_is_no_news_and_a_change_goes_on_in_the_same_talk(world, seller):
    number = f"{name_of(world, seller)}-2"
    seller.order(number)
    wait_for(lambda: lead(world, number), what="the lead")
    wait_for(lambda: number in seller.confirmed, what="the shop to hear of it")
    seller.order(number)
    wait_for(lambda: seller.confirmed.count(number) == 2, what="it to be told again")
    seller.order(number, requisites=[("Статус заказа", "Оплачен")])
    wait_for(lambda: seller.confirmed.count(number) == 3, what="the change to be told")
    wait_for(lambda: lead(world, number)["answers"].get("Статус заказа") == "Оплачен", what="the change")
    # And back to what it was: that is news, too.
    seller.order(number)
    talk = lambda: world.suite.sql("bot_gateway", f"SELECT count(*) FROM message m JOIN conversation c ON c.id = m.conversation_id WHERE c.external_id = 'order:{number}'")
    wait_for(lambda: seller.confirmed.count(number) == 4, what="the change back to be told")
    assert talk() == [["3"]] and leads(world, number) == "1"


def test_what_a_shop_does_with_an_order_that_is_over_opens_no_second_lead(world, seller):
    name = name_of(world, seller)
    number = f"{name}-over"
    seller.order(number)
    found = wait_for(lambda: lead(world, number), what="the lead")
    world.suite.post("crm-core", f"/api/v1/leads/{found['id']}/reject", world.suite.token(), {"reason": "передумал"})
    wait_for(lambda: world.suite.sql("bot_gateway", f"SELECT journey_open FROM conversation WHERE external_id = 'order:{number}'") == [["f"]], what="the journey to end")
    wait_for(lambda: number in seller.confirmed, what="the shop to hear of it")
    seller.order(number, requisites=[("Статус заказа", "Отменен")])
    wait_for(lambda: seller.confirmed.count(number) == 2, what="the change to be told")
    talk = world.suite.sql("bot_gateway", f"SELECT count(*) FROM message m JOIN conversation c ON c.id = m.conversation_id WHERE c.external_id = 'order:{number}'")
    assert talk == [["2"]]
    journeys = world.suite.sql("bot_gateway", f"SELECT c.journey_open, count(DISTINCT m.journey_id) FROM message m JOIN conversation c ON c.id = m.conversation_id WHERE c.external_id = 'order:{number}' GROUP BY 1")
    assert journeys == [["f", "1"]]


def test_an_enormous_order_is_a_lead_all_the_same_and_an_idle_shop_fills_nothing(world, seller):
    name = name_of(world, seller)
    number = f"{name}-huge"
    seller.order(number, lines=[(f"A-{i}", f"Станок {'Ъ' * 200}", "1", "1.00") for i in range(300)], comment="Ъ" * 60_000,
                 requisites=[(f"Поле {i}", "Ъ" * 900) for i in range(100)])
    found = wait_for(lambda: lead(world, number), what="the lead")
    assert f"Заказ № {number}" in found["text"]
    wait_for(lambda: number in seller.confirmed, what="the shop to hear of it")
    # It is never confirmed, and told again and again, each time with another date: one copy is enough.
    seller.fault = "deaf"
    seller.order(f"{name}-again")
    wait_for(lambda: lead(world, f"{name}-again"), what="the lead")
    kept = lambda: world.suite.sql("bot_gateway", f"SELECT count(*) FROM incoming WHERE connection = '{name}' AND state = 'kept'")
    before, failures = kept(), state(world, name)["failures"]
    wait_for(lambda: state(world, name)["failures"] > failures + 2, what="some rounds")
    assert kept() == before


@pytest.mark.parametrize("fault, words", [("down", "не отвечает"), ("html", "не пускает"), ("half", "XML не читается"), ("closed", "ответил 401")])
def test_an_outage_is_said_and_over_when_it_is_over(world, seller, fault, words):
    name = name_of(world, seller)
    number = f"{name}-{fault}"
    seller.fault = fault
    seller.order(number)
    failing = wait_for(lambda: (lambda s: s if s["failures"] else None)(state(world, name)), what="the failure")
    assert words in failing["failure"], failing
    assert lead(world, number) is None and number not in seller.confirmed
    seller.fault = None
    wait_for(lambda: lead(world, number), what="the lead")
    wait_for(lambda: state(world, name)["failures"] == 0, what="its end")


def test_a_death_before_it_is_confirmed_makes_no_second_lead(world, seller):
    name = name_of(world, seller)
    number = f"{name}-deaf"
    seller.fault = "deaf"
    seller.order(number)
    wait_for(lambda: lead(world, number), what="the lead")
    os.kill(world.suite.pids()["bot-gateway"], signal.SIGKILL)
    wait_for(world.suite.ready, 60, "the gateway")
    seller.fault = None
    wait_for(lambda: number in seller.confirmed, what="the shop to hear of it")
    assert world.suite.sql("bot_gateway", f"SELECT count(*) FROM message m JOIN conversation c ON c.id = m.conversation_id WHERE c.external_id = 'order:{number}'") == [["1"]]


def test_a_managers_answer_and_an_order_told_twice_make_nothing_again(world, seller):
    name = name_of(world, seller)
    number = f"{name}-answered"
    seller.order(number)
    wait_for(lambda: lead(world, number), what="the lead")
    wait_for(lambda: number in seller.confirmed, what="the shop to hear of it")
    talk = world.suite.sql("bot_gateway", f"SELECT id FROM conversation WHERE external_id = 'order:{number}'")[0][0]
    world.suite.post("bot-gateway", f"/api/v1/conversations/{talk}/messages", world.suite.token(), {"text": "Собираем"})
    heard = lambda: world.suite.sql("bot_gateway", f"SELECT count(*) FROM message WHERE conversation_id = '{talk}' AND direction = 'in'")
    seller.order(number)
    wait_for(lambda: seller.confirmed.count(number) == 2, what="it to be told again")
    assert heard() == [["1"]]
    # Twice in one answer, in two versions, and never confirmed: the last word, once.
    seller.fault = "deaf"
    seller.order(number, requisites=[("Статус заказа", "Новый")])
    first = seller.waiting[number]
    seller.order(number, requisites=[("Статус заказа", "Собран")])
    with seller.lock:
        seller.waiting[number] = first + seller.waiting[number]
    failures = state(world, name)["failures"]
    wait_for(lambda: state(world, name)["failures"] > failures + 2, what="some rounds")
    assert heard() == [["2"]] and lead(world, number)["answers"]["Статус заказа"] == "Собран"
    # A day that no calendar has is no day; the order is one all the same.
    seller.fault = None
    seller.order(f"{name}-absurd")
    with seller.lock:
        seller.waiting[f"{name}-absurd"] = seller.waiting[f"{name}-absurd"].replace("<Дата>2026-11-20<", "<Дата>999999999-1<")
    wait_for(lambda: lead(world, f"{name}-absurd"), what="the lead")


def test_what_is_no_order_is_set_aside_and_holds_up_nobody(world, seller):
    name = name_of(world, seller)
    good = f"{name}-good"
    with seller.lock:
        bad = "<Документ><ХозОперация>Возврат товара</ХозОперация><Номер>77</Номер></Документ><Документ><ХозОперация>Заказ товара</ХозОперация></Документ>"
        seller.waiting["77"] = f"<Контейнер>{bad}</Контейнер>" if seller.container else bad
    seller.order(good)
    wait_for(lambda: lead(world, good), what="the lead")
    wait_for(lambda: good in seller.confirmed, what="the shop to hear of it")
    parked = world.suite.sql("bot_gateway", f"SELECT reason FROM incoming WHERE connection = '{name}' AND state = 'parked' AND dedupe_key LIKE 'document:%' ORDER BY id")
    assert [row[0] for row in parked] == ["документ «Возврат товара» — не заказ товара", "у заказа нет номера, или он длиннее 100 байт"]


def test_a_shops_name_is_nobody_elses_channel(world):
    answer = requests.post(world.suite.url("bot-gateway") + "/api/v1/messages", json={"channel": "market", "conversationId": "1", "messageId": "1"},
                           headers={"Authorization": f"Bearer {world.suite.token()}"}, timeout=20)
    assert answer.status_code == 422 and "fetch ourselves" in answer.json()["detail"]
