"""Who has changed a document, a card or a good is told, where the base keeps versions of its objects (ONEC-15)."""
import os
import re
import signal

import pytest
import requests
from suite import wait_for
from systems import odata
# The same base with an exchange plan, of this module's own.
from test_odata_changes import NODE, becomes, quiet, system, told

assert system
GOODS = "Catalog_Номенклатура"
PETROVA = "Петрова А. С."


@pytest.fixture
def versions(system):
    """The base keeps versions of its payments, orders and cards, and Петрова works in it."""
    onec = system.onec
    with onec.lock:
        onec.user = onec.add("Catalog_Пользователи", Description=PETROVA)
        onec.versioned = {system.names["payments"], system.names["orders"], "Catalog_Контрагенты", GOODS}
    yield onec
    with onec.lock:
        onec.user, onec.users, onec.versioned, onec.forbidden = None, "Catalog_Пользователи", set(), set()
    system.server.fault = None


def less(system, order, payment):
    """A payment of last month is made smaller, as an accountant does it."""
    with system.onec.lock:
        key = system.documents[f"{order['number']}-{payment}"]
        system.onec.sets[system.names["payments"]][key]["РасшифровкаПлатежа"][0]["Сумма"] -= 4
        system.onec.changed(system.names["payments"], key)
    becomes(system, order, payment="partly")


def late(system, order):
    return [c for c in system.suite.get("accounting-bridge", "/api/v1/late-changes", system.token)["items"] if c["orderNumber"] == order["number"]]


def asked_late(system, order):
    return wait_for(lambda: [c for c in late(system, order) if c["by"] or "byUnknown" in c], what="its author to have been asked")


def paid(system, name):
    order = told(system, name, payments=[("p1", "10.00")])
    becomes(system, order, payment="full")
    quiet(system)
    return order


def story(system, order):
    return [line["words"] for line in system.suite.get("accounting-bridge", f"/api/v1/order-stories/{order['number']}", system.token)["lines"]]


def test_who_made_a_payment_smaller_is_told(system, versions):
    order = paid(system, "who")
    less(system, order, "p1")
    with versions.lock:
        # Data of another base that this one did not take are no author's change.
        versions.user = versions.add("Catalog_Пользователи", Description="Обмен")
        versions.version(system.names["payments"], system.documents[f"{order['number']}-p1"], kind="НепринятыеДанныеПоКоллизии")
    [change] = asked_late(system, order)
    assert change["by"] == PETROVA and "byUnknown" not in change
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", change["byAt"]) and change["words"].replace("\u00a0", " ") == "сумма 10,00 ₽ → 6,00 ₽"
    assert any("Задним числом: оплата" in words and f"(последним записал в 1С: {PETROVA}, " in words for words in story(system, order))
    browser = requests.Session()
    browser.post(system.suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    assert f"Последним записал в 1С: {PETROVA}, " in browser.get(system.suite.url("crm-core") + "/disputes", timeout=20).text


def test_who_changed_the_order_itself_is_told(system, versions):
    order = told(system, "who-order")
    with versions.lock:
        key = system.key(order["number"])
        system.orders()[key]["Posted"] = False
        versions.changed(system.names["orders"], key)
    wait_for(lambda: [w for w in story(system, order) if "проведение отменено" in w and PETROVA in w], what="who has unposted it")
    assert not late(system, order), "an order that is worked on is not of the past"


def test_who_renamed_a_client_is_told(system, versions):
    order = told(system, "who-renamed")
    card = system.orders()[system.key(order["number"])]["Контрагент_Key"]
    with versions.lock:
        versions.sets["Catalog_Контрагенты"][card]["Description"] = "ООО «Переименованное»"
        versions.changed("Catalog_Контрагенты", card)
    said = lambda: system.suite.sql("accounting_bridge", "SELECT 1 FROM counterparty_card WHERE name = 'ООО «Переименованное»'")
    wait_for(said, what="the new name")
    by = lambda: system.suite.sql("crm_core", "SELECT by_whom FROM client_change WHERE new_value = 'ООО «Переименованное»'")
    wait_for(lambda: [b for [b] in by() if b.startswith(f"1С {system.base}, {PETROVA}, ")], what="who it was, and when")


def test_whose_word_stands_against_ours_is_told(system, versions):
    """Renamed here and there: both values stand in the conflict, and who wrote the other."""
    order = told(system, "who-conflict")
    card = system.orders()[system.key(order["number"])]["Контрагент_Key"]
    linked = lambda: system.suite.sql("crm_core", f"SELECT client_id FROM external_id WHERE external_id = '{card}'")
    [[client]] = wait_for(linked, what="the card to be linked")
    version = system.suite.get("crm-core", f"/api/v1/contacts/{client}", system.token)["version"]
    answer = requests.patch(system.suite.url("crm-core") + f"/api/v1/contacts/{client}", json={"name": "Наше новое имя"},
                            headers={"Authorization": f"Bearer {system.token}", "If-Match": f'"{version}"'}, timeout=20)
    assert answer.ok, answer.text
    with versions.lock:
        versions.sets["Catalog_Контрагенты"][card]["Description"] = "Их новое имя"
        versions.changed("Catalog_Контрагенты", card)
    conflicts = lambda: [c for c in system.suite.get("crm-core", "/api/v1/client-conflicts", system.token)["items"] if c["onecValue"] == "Их новое имя"]
    [conflict] = wait_for(conflicts, what="the conflict")
    assert conflict["crmValue"] == "Наше новое имя" and conflict["by"].startswith(f"1С {system.base}, {PETROVA}, ")


def good(system, sku, name, **fields):
    """A good that both sides know."""
    with system.onec.lock:
        key = system.onec.add(GOODS, Артикул=sku, Description=name, **fields)
    wait_for(lambda: copy(system, key), what="the good to be known")
    return key


def copy(system, key):
    return system.suite.sql("accounting_bridge", f"SELECT name, sku, is_deleted FROM good WHERE base = '{system.base}' AND id = '{key}'")


def change(system, key, **fields):
    with system.onec.lock:
        system.onec.sets[GOODS][key].update(fields)
        system.onec.changed(GOODS, key)


def renames(system, key):
    return [c for c in system.suite.get("accounting-bridge", "/api/v1/good-changes", system.token)["items"] if c["goodId"] == key]


def test_who_renamed_a_good_is_told(system, versions):
    key = good(system, "ФР-1", "Станок фрезерный")
    change(system, key, Description="Станок фрезерный 6Р13")
    [told] = wait_for(lambda: [c for c in renames(system, key) if c["by"]], what="who has renamed it")
    assert (told["field"], told["old"], told["new"], told["name"]) == ("name", "Станок фрезерный", "Станок фрезерный 6Р13", "Станок фрезерный 6Р13")
    assert told["by"] == PETROVA and "byUnknown" not in told and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", told["byAt"])
    [shown] = system.suite.get("accounting-bridge", f"/api/v1/goods?q=ФР-1&base={system.base}", system.token)["items"]
    assert shown["changes"] == [told]
    browser = requests.Session()
    browser.post(system.suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    page = browser.get(system.suite.url("crm-core") + "/journal/goods", timeout=20).text
    assert page.count(f"до этого назывался «Станок фрезерный», ") == 2 and page.count(f"последним записал в 1С: {PETROVA}, ") == 2


def test_what_else_of_a_good_is_changed_is_told(system, versions):
    key = good(system, "ШЛ-1", "Шлифовальный")
    change(system, key, Артикул="ШЛ-2", DeletionMark=True)
    wait_for(lambda: len(renames(system, key)) == 2 and all(c["by"] == PETROVA for c in renames(system, key)), what="both changes")
    assert {(c["field"], c["old"], c["new"]) for c in renames(system, key)} == {("sku", "ШЛ-1", "ШЛ-2"), ("deleted", "false", "true")}
    change(system, key, DeletionMark=False)
    wait_for(lambda: len(renames(system, key)) == 3, what="the mark to be taken away")
    assert renames(system, key)[0]["old"] == "true"


def read_anew(system):
    """All goods are read once more, as after a day."""
    system.suite.sql("accounting_bridge", f"UPDATE base_state SET goods_read_at = NULL, goods_place = NULL WHERE base = '{system.base}'")
    done = lambda: system.suite.sql("accounting_bridge", f"SELECT goods_read_at IS NOT NULL FROM base_state WHERE base = '{system.base}'") == [["t"]]
    wait_for(done, 90, "all goods to be read")


def test_a_base_that_tells_of_no_changes_is_read_anew(system, versions):
    """What was not registered in the exchange plan is found when all goods are read; groups are none, and a page ends after 500."""
    with system.onec.lock:
        keys = [system.onec.add(GOODS, Артикул=f"РД-{n}", Description=f"Редкий {n}") for n in range(1100)]
        group = system.onec.add(GOODS, Description="Редкие", IsFolder=True)
        system.onec.plans[NODE] = {}
    read_anew(system)
    assert all(copy(system, key) for key in (keys[0], keys[-1])) and not copy(system, group)
    assert system.suite.sql("accounting_bridge", "SELECT count(*) FROM good WHERE sku LIKE 'РД-%'") == [["1100"]]
    with system.onec.lock:
        change(system, keys[700], Description="Редкий, переименованный")
        system.onec.plans[NODE] = {}
    read_anew(system)
    [told] = wait_for(lambda: [c for c in renames(system, keys[700]) if c["by"]], what="who it was")
    assert told["by"] == PETROVA and told["old"] == "Редкий 700"
    assert system.suite.sql("accounting_bridge", "SELECT count(*) FROM good_change h JOIN good g ON g.id = h.good_id WHERE g.sku LIKE 'РД-%'") == [["1"]]


def test_goods_are_read_though_the_bridge_dies_between_two_pages(system):
    """Of those read before it died nothing is called a change, and what was renamed meanwhile is one."""
    with system.onec.lock:
        keys = sorted(system.onec.add(GOODS, Артикул=f"СМ-{n}", Description=f"Смертный {n}") for n in range(1600))
        system.onec.plans[NODE] = {}
    read_anew(system)
    system.suite.sql("accounting_bridge", f"UPDATE base_state SET goods_read_at = NULL, goods_place = NULL WHERE base = '{system.base}'")
    place = lambda: system.suite.sql("accounting_bridge", f"SELECT goods_place FROM base_state WHERE base = '{system.base}' AND goods_place <> ''")
    wait_for(place, 90, "the first page")
    os.kill(system.suite.pids()["accounting-bridge"], signal.SIGKILL)
    with system.onec.lock:
        change(system, keys[-1], Description="Смертный, переименованный")
        system.onec.plans[NODE] = {}
    done = lambda: system.suite.sql("accounting_bridge", f"SELECT goods_read_at IS NOT NULL FROM base_state WHERE base = '{system.base}'") == [["t"]]
    wait_for(done, 120, "all goods to be read")
    changes = "SELECT h.good_id FROM good_change h JOIN good g ON g.base = h.base AND g.id = h.good_id WHERE g.sku LIKE 'СМ-%'"
    assert system.suite.sql("accounting_bridge", changes) == [[keys[-1]]]
    wait_for(system.suite.ready, 60, "the bridge")


def test_absurd_goods_are_cut_or_passed_over_and_stop_nothing(system):
    with system.onec.lock:
        nameless = system.onec.add(GOODS, Артикул="АБ-0", Description="")
        huge = system.onec.add(GOODS, Артикул="🏗" * 3000, Description="\u0000🏗" * 3000)
        sly = system.onec.add(GOODS, Артикул="'; DROP TABLE good; --", Description="<script>alert(1)</script>")
        wrong = system.onec.add(GOODS, Артикул=17, Description=["не текст"])
    wait_for(lambda: copy(system, huge) and copy(system, sly), what="those that can be kept")
    assert not copy(system, nameless) and not copy(system, wrong)
    assert (len(copy(system, huge)[0][0]), len(copy(system, huge)[0][1])) == (1000, 1000)
    browser = requests.Session()
    browser.post(system.suite.url("crm-core") + "/login", data={"login": "admin", "password": "admin-password"}, timeout=20)
    assert "<script>alert" not in browser.get(system.suite.url("crm-core") + "/journal/goods?q=script", timeout=20).text
    key = good(system, "АБ-1", "Обычный")
    assert copy(system, key)[0][0] == "Обычный"
    with system.onec.lock:
        for absurd in (nameless, huge, sly, wrong):
            del system.onec.sets[GOODS][absurd]


def test_a_good_of_which_no_version_is_kept_says_so(system):
    key = good(system, "ТК-1", "Токарный")
    change(system, key, Description="Токарный 16К20")
    [told] = wait_for(lambda: [c for c in renames(system, key) if "byUnknown" in c], what="its author to have been asked")
    assert told["by"] is None and "историю изменений" in told["byUnknown"]


def test_a_group_is_not_taken_for_the_good_of_its_name(system):
    with system.onec.lock:
        system.onec.add(GOODS, Description="Прессы", IsFolder=True)
        key = system.onec.add(GOODS, Артикул="", Description="Прессы")
    lines = [{"sku": "", "name": "Прессы", "quantity": "1", "price": "10.00"}]
    order = system.suite.order(system.token, "press", organization=system.organization, lines=lines)
    wait_for(lambda: order["number"] in system.taken, what="the order")
    assert system.orders()[system.key(order["number"])]["Товары"][0]["Номенклатура_Key"] == key


def test_a_base_that_keeps_no_versions_says_so(system):
    order = paid(system, "no-versions")
    less(system, order, "p1")
    [change] = asked_late(system, order)
    assert change["by"] is None and "историю изменений" in change["byUnknown"]
    assert any("кто изменил, неизвестно: 1С не хранит версии" in words for words in story(system, order))


def test_versions_from_before_the_last_reading_are_not_the_change(system, versions):
    order = paid(system, "old-version")
    with versions.lock:
        versions.version(system.names["payments"], system.documents[f"{order['number']}-p1"])
        for row in versions.sets[odata.VERSIONS].values():
            row["ДатаВерсии"] = "2026-11-01T10:00:00"
        versions.versioned = set()
    less(system, order, "p1")
    [change] = asked_late(system, order)
    assert change["by"] is None and change["byUnknown"]


def test_a_user_without_a_right_to_the_versions_loses_nothing_else(system, versions):
    order = paid(system, "no-right")
    versions.forbidden = {odata.VERSIONS}
    less(system, order, "p1")
    [change] = asked_late(system, order)
    assert change["by"] is None and "Недостаточно прав" in change["byUnknown"]
    assert [a for b in system.suite.get("accounting-bridge", "/api/v1/bases", system.token)["items"] for a in b["alarms"]] == []


def test_a_version_without_an_author_or_with_a_nameless_one_is_said_so(system, versions):
    order, other = paid(system, "no-author"), paid(system, "nameless")
    versions.user = None
    less(system, order, "p1")
    [change] = asked_late(system, order)
    assert "не назван её автор" in change["byUnknown"]
    versions.user = versions.add("Catalog_Пользователи", Description="")
    less(system, other, "p1")
    [change] = asked_late(system, other)
    assert "нет имени" in change["byUnknown"]


def test_an_author_whose_kind_is_not_published_costs_one_session_and_no_more(system, versions):
    """What a node of an exchange has written; asked for what it does not have the base ends the session, which keeps its licence."""
    order, other = paid(system, "node"), paid(system, "node-2")
    before = len(system.server.sessions)
    versions.users = "ExchangePlan_Полный"
    for one in (order, other):
        less(system, one, "p1")
        [change] = asked_late(system, one)
        assert "не показывает имя автора" in change["byUnknown"]
    assert len(system.server.sessions) <= before + 1


def test_versions_that_do_not_come_hold_up_nothing(system, versions):
    """The last that asks for authors: after it nobody does for a while."""
    order, other = paid(system, "silent"), paid(system, "silent-2")
    system.server.meets = lambda method, name: name == odata.VERSIONS
    system.server.fault = "down"
    less(system, order, "p1")
    wait_for(lambda: late(system, order), what="the change")
    less(system, other, "p1")
    wait_for(lambda: late(system, other), what="the next")
    [change] = late(system, order)
    assert change["by"] is None and "byUnknown" not in change, "it is asked again after a while"
    assert [a for b in system.suite.get("accounting-bridge", "/api/v1/bases", system.token)["items"] for a in b["alarms"]] == []


def test_goods_that_the_user_may_not_see_hold_up_nothing(system):
    """At the very end: until the next check of the base they are not asked for."""
    system.onec.forbidden = {GOODS}
    try:
        system.suite.sql("accounting_bridge", f"UPDATE base_state SET goods_read_at = NULL, goods_place = NULL WHERE base = '{system.base}'")
        alarms = lambda: [a for b in system.suite.get("accounting-bridge", "/api/v1/bases", system.token)["items"] for a in b["alarms"]]
        [alarm] = wait_for(lambda: [a for a in alarms() if a["kind"] == "format"], 90, "it to be said")
        assert f"{GOODS} не читается" in alarm["cause"] and "Недостаточно прав" in alarm["cause"]
    finally:
        system.onec.forbidden = set()
