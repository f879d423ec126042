"""What a base's exchange plan registers for us is read at once, and a mapping is tried on what is past before it is switched on."""
import re
from pathlib import Path

import pytest
import requests
from suite import running, wait_for
from systems import OData, odata

NODE = "ExchangePlan_Обмен(guid'11111111-2222-4333-8444-555555555555')"
UT11 = (Path(__file__).parents[2] / "Services/accounting-bridge/Mappings/ut11.yaml").read_text("utf-8")


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    folder = tmp_path_factory.mktemp("changes")
    folder.chmod(0o755)
    system = OData(folder, "ut11", odata.UT, 1, exchangeNode=f'"{NODE}"')
    system.onec.plans[NODE] = {}
    # A release that does not have what the mapping calls optional.
    del system.onec.schema["Document_ВозвратТоваровОтКлиента"], system.onec.sets["Document_ВозвратТоваровОтКлиента"]
    system.names = {name: value for name, value in system.names.items() if name != "returns"}
    books = (f'\n  - {{ code: {system.organization}, name: "ООО Станкоторг", inn: "7707083893", kpp: "770701001", base: {system.base} }}', f"\nonec:\n  {system.settings}")
    with running(folder, books=books) as suite:
        system.begin(suite)
        system.token = suite.token()
        yield system


def told(system, name, **more):
    """An order that 1C has, and that nobody will ask for again today."""
    system.good(name)
    order = system.suite.order(system.token, name, organization=system.organization)
    wait_for(lambda: order["number"] in system.taken, what="the order")
    system.tell(order["number"], "10.00", **more)
    wait_for(lambda: state(system, order)["status"] == "accepted", what="the order to be told of")
    wait_for(lambda: all(money.startswith("10") for money in [state(system, order)["total"]["amount"]]), what="its sum")
    quiet(system)
    return order


def quiet(system):
    wait_for(lambda: not system.onec.plans[NODE], what="all that was registered to be confirmed")
    # A round that was under way meanwhile plans them once more.
    # At two in the night all of them are asked for once more: until that is over there is no peace.
    def peace():
        soon = system.suite.sql("accounting_bridge", "SELECT 1 FROM order_out WHERE ask_at < now() + interval '5 hours'")
        if soon:
            system.suite.sql("accounting_bridge", "UPDATE order_out SET ask_at = now() + interval '6 hours'")
        return not soon
    wait_for(peace, what="peace")


def state(system, order):
    return system.suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", system.token)


def becomes(system, order, **wanted):
    wait_for(lambda: all(state(system, order)[key] == value for key, value in wanted.items()), what=f"{wanted}")


def try_mapping(system, body, status=200, base=None):
    answer = requests.post(system.suite.url("accounting-bridge") + f"/api/v1/bases/{base or system.base}/mapping-trials",
                           json=body, headers={"Authorization": f"Bearer {system.token}"}, timeout=60)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_client_s_new_name_is_known_at_once(system):
    """All cards are read every six hours; what the exchange plan tells is not waited for."""
    order = told(system, "renamed")
    key = next(k for k, o in system.orders().items() if o["Комментарий"].startswith(f"Throughline № {order['number']}."))
    card = system.orders()[key]["Контрагент_Key"]
    name = lambda: system.suite.sql("accounting_bridge", f"SELECT name FROM counterparty_card WHERE onec_id = '{card}'")
    with system.onec.lock:
        system.onec.sets["Catalog_Контрагенты"][card]["Description"] = "ООО «Новое имя»"
        system.onec.changed("Catalog_Контрагенты", card)
    wait_for(lambda: name() == [["ООО «Новое имя»"]], what="the new name")
    wait_for(lambda: not system.onec.plans[NODE], what="it to be confirmed")


def test_a_payment_of_a_quiet_order_is_read_because_the_base_says_that_it_changed(system):
    order, other = told(system, "quiet-1"), told(system, "quiet-2")
    confirmed = lambda: int(system.suite.sql("accounting_bridge", "SELECT count(*) FROM exchange WHERE kind = 'odata.received' AND result = 'ok'")[0][0])
    before = confirmed()
    system.tell(order["number"], "10.00", payments=[("q1", "10.00")])
    becomes(system, order, payment="full")
    assert confirmed() > before
    # Its sum is another now: nothing of the order's own document has changed.
    key = system.documents[f"{order['number']}-q1"]
    quiet(system)
    with system.onec.lock:
        rows = system.onec.sets[system.names["payments"]][key]["РасшифровкаПлатежа"]
        rows[0]["Сумма"] -= 4
        system.onec.changed(system.names["payments"], key)
    becomes(system, order, payment="partly", paid={"amount": "6.00", "currency": "RUB"})
    assert state(system, other)["payment"] == "none"


def test_a_document_that_was_deleted_is_noticed(system):
    assert [a for b in system.suite.get("accounting-bridge", "/api/v1/bases", system.token)["items"] for a in b["alarms"]] == [], "nothing is missed"
    order = told(system, "deleted", payments=[("d1", "10.00")])
    becomes(system, order, payment="full")
    quiet(system)
    key = system.documents[f"{order['number']}-d1"]
    with system.onec.lock:
        del system.onec.sets[system.names["payments"]][key]
        system.onec.changed(system.names["payments"], key)
    becomes(system, order, payment="none")


def test_what_was_said_and_not_confirmed_is_said_again(system):
    order = told(system, "unconfirmed")
    halves = []

    def meets(method, name):
        # Exactly three: with five in a row it would not be asked for until the next check.
        if name != "SelectChanges" or len(halves) == 3:
            return False
        halves.append(name)
        return True
    system.server.meets = meets
    system.server.fault = "half"
    try:
        system.tell(order["number"], "10.00", payments=[("u1", "10.00")])
        wait_for(lambda: len(halves) == 3, what="the halves")
    finally:
        system.server.fault, system.server.meets = None, lambda method, name: True
    becomes(system, order, payment="full")
    wait_for(lambda: not system.onec.plans[NODE], what="the confirmation")


def test_every_request_to_1c_stands_in_the_journal_once(system):
    """Counted on both sides (JRN-01), while orders are given, read and changed."""
    def both():
        with system.onec.lock:
            served = system.server.served
            kept = int(system.suite.sql("accounting_bridge", f"SELECT count(*) FROM exchange WHERE base = '{system.base}' AND kind LIKE 'odata.%' AND result <> 'open'")[0][0])
            return served, kept
    for i in range(3):
        order = told(system, f"journal-{i}", payments=[(f"j{i}", "10.00")])
        becomes(system, order, payment="full")
    # Between two rounds nothing is under way.
    for _ in range(200):
        served, kept = both()
        if served == kept:
            break
    assert served == kept and served > 20, (served, kept)


def test_a_description_of_fifteen_megabytes_is_read_as_it_comes(system):
    """A configuration describes thousands of kinds; ours are found among them, and the bridge does not grow by it."""
    def resident():
        with open(f"/proc/{system.suite.pids()['accounting-bridge']}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024
    before = resident()
    system.server.padding = 160_000
    assert len(system.onec.metadata(system.server.padding).encode()) > 15_000_000
    answer = try_mapping(system, {"yaml": UT11})
    system.server.padding = 0
    assert answer["missing"] == []
    size = system.suite.sql("accounting_bridge", "SELECT understood::text FROM exchange WHERE kind = 'odata.metadata' ORDER BY id DESC LIMIT 1")[0][0]
    assert int(re.search(r"описание базы: (\d+) байт", size)[1]) > 15_000_000
    assert resident() - before < 32, (before, resident())


def test_a_mapping_is_tried_on_what_is_past(system):
    order = told(system, "trial", payments=[("t1", "4.00")])
    becomes(system, order, payment="partly")
    same = try_mapping(system, {"mapping": "ut11"})
    assert same["read"] == same["same"] >= 1 and same["missing"] == same["different"] == same["unreadable"] == [], same
    before = system.suite.sql("accounting_bridge", "SELECT count(*) FROM event")
    # Payments from another field, a field that is not there, a sum that is none.
    other = try_mapping(system, {"yaml": UT11.replace("order: ОбъектРасчетов_Key, isSettled: true, amount: Сумма, number: НомерВходящегоДокумента", "order: ОбъектРасчетов_Key, amount: Сумма"), "orders": 1})
    assert other["read"] == 1 and [d["number"] for d in other["different"]] == [order["number"]]
    assert "оплата t1: не находится" in other["different"][0]["changes"][0]
    missing = try_mapping(system, {"yaml": UT11.replace("total: СуммаДокумента", "total: Всего")})
    assert missing["missing"] == ["у объекта Document_ЗаказКлиента нет поля Всего"] and missing["read"] == 0
    unreadable = try_mapping(system, {"yaml": UT11.replace("total: СуммаДокумента", "total: Комментарий")})
    assert unreadable["unreadable"] and "Комментарий" in unreadable["unreadable"][0]["reason"]
    assert system.suite.sql("accounting_bridge", "SELECT count(*) FROM event") == before, "nothing was said"
    assert state(system, order)["payment"] == "partly"


def test_what_is_no_mapping_is_refused_by_name(system):
    assert "either mapping or yaml" in try_mapping(system, {}, 422)["detail"]
    assert "there is no mapping «нет»" in try_mapping(system, {"mapping": "нет"}, 422)["detail"]
    assert "order is missing" in try_mapping(system, {"yaml": "name: x\ntitle: x\nversion: 1\n"}, 422)["detail"]
    assert "at most" in try_mapping(system, {"yaml": "#" * 300_000}, 413)["detail"]
    assert "from 1 to 500" in try_mapping(system, {"mapping": "ut11", "orders": 501}, 422)["detail"]
    try_mapping(system, {"mapping": "ut11"}, 404, base="nobody")


def test_before_a_comparison_a_base_is_asked_for_all_its_orders_once_more(system):
    """Also for one that nobody would ask for today, of which the base has not said that it changed."""
    order = told(system, "anew", payments=[("n1", "4.00")])
    becomes(system, order, paid={"amount": "4.00", "currency": "RUB"})
    quiet(system)
    with system.onec.lock:
        system.onec.plans[NODE] = {}
        for document in system.onec.sets[system.names["payments"]].values():
            if document["Number"] == "n1":
                document["РасшифровкаПлатежа"][0]["Сумма"] += 2
    before = system.suite.get("crm-core", "/api/v1/reconciliation", system.token)
    assert before["sources"][0]["isAsked"] and state(system, order)["paid"]["amount"] == "4.00"
    asked = system.suite.post("accounting-bridge", f"/api/v1/bases/{system.base}/read-again", system.token, {})["asked"]
    assert asked >= 1
    becomes(system, order, paid={"amount": "6.00", "currency": "RUB"})
    wait_for(lambda: system.suite.get("crm-core", "/api/v1/reconciliation", system.token)["sources"][0]["unread"] == 0, what="all to be read")
    refused = requests.post(system.suite.url("accounting-bridge") + f"/api/v1/bases/{system.base}/read-again",
                            headers={"Authorization": f"Bearer {system.suite.token('maria')}"}, timeout=20)
    assert refused.status_code == 403
    # The night does it by itself, once; until two o'clock, and a little after, it is still to come.
    day, is_night = system.suite.sql("accounting_bridge", "SELECT asked_anew = (now() AT TIME ZONE 'Europe/Moscow')::date, "
                                     f"(now() AT TIME ZONE 'Europe/Moscow')::time < '02:10' FROM base_state WHERE base = '{system.base}'")[0]
    assert day == "t" or is_night == "t"


def test_without_the_plan_orders_are_read_all_the_same(system):
    with system.onec.lock:
        changes = system.onec.plans.pop(NODE)
    base = lambda: next(b for b in system.suite.get("accounting-bridge", "/api/v1/bases", system.token)["items"] if b["base"] == system.base)
    system.good("no-plan")
    order = system.suite.order(system.token, "no-plan", organization=system.organization)
    wait_for(lambda: order["number"] in system.taken, what="the order")
    system.tell(order["number"], "10.00", payments=[("n1", "10.00")])
    becomes(system, order, payment="full")
    wait_for(lambda: any("ExchangePlan_Обмен" in a["cause"] for a in base()["alarms"]), what="the lack to be named")
    with system.onec.lock:
        system.onec.plans[NODE] = changes
