"""The same demands on every accounting system that the bridge speaks to, whichever language it speaks."""
import os
import signal
import uuid
from datetime import UTC, datetime

import pytest
import requests
from suite import running, wait_for
from systems import CommerceML, EnterpriseData, Folder, OData, odata

KINDS = {
    "commerceml": CommerceML, "folder-json": Folder, "folder-csv": lambda folder: Folder(folder, "csv"),
    "odata-ut11": lambda folder: OData(folder, "ut11", odata.UT, 4000), "odata-unf": lambda folder: OData(folder, "unf", odata.UNF, 5000),
    "odata-ut114": lambda folder: OData(folder, "ut114", odata.UT114, 8000),
    "odata-bp3": lambda folder: OData(folder, "bp3", odata.BP, 7000),
    "enterprise": EnterpriseData,
}


@pytest.fixture(scope="module")
def systems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("systems")
    folder.chmod(0o755)
    found = {name: make(folder) for name, make in KINDS.items()}
    organizations = "".join(
        f'\n  - {{ code: {s.organization}, name: "ООО {name}", inn: "7707083893", kpp: "770701001", base: {s.base} }}' for name, s in found.items())
    bases = "\nonec:" + "".join(f"\n  {s.settings}" for s in found.values())
    with running(folder, books=(organizations, bases)) as suite:
        for system in found.values():
            system.begin(suite)
        yield found


@pytest.fixture(params=KINDS)
def system(request, systems):
    return systems[request.param]


@pytest.fixture
def active(request, systems):
    return systems[request.param]


goes_to_it = pytest.mark.parametrize("active", [name for name in KINDS if name != "commerceml"], indirect=True)


def ordered(system, name, **more):
    name = f"{name}-{system.base}"
    for line in more.get("lines") or [{"sku": name, "name": name}]:
        system.good(line["sku"], line["name"])
    return system.suite.order(system.suite.token(), name, organization=system.organization, **more)


def state(system, order):
    return system.suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", system.suite.token())


def story(system, order):
    return system.suite.get("accounting-bridge", f"/api/v1/order-stories/{order['number']}", system.suite.token())


def base(system):
    return next(b for b in system.suite.get("accounting-bridge", "/api/v1/bases", system.suite.token())["items"] if b["base"] == system.base)


def alarms(system):
    """Those of the exchange itself; what other tests have left aside is not meant."""
    return [a for a in base(system)["alarms"] if a["kind"] not in ("refusals", "documents")]


def taken(system, order):
    def works():
        system.works()
        return system.taken.get(order["number"])
    return wait_for(works, what="the order to be taken")


def becomes(system, order, **wanted):
    def found():
        now = state(system, order)
        return now if all(now[key] == value for key, value in wanted.items()) else None
    try:
        return wait_for(found, 20)
    except AssertionError:
        raise AssertionError({key: (state(system, order)[key], value) for key, value in wanted.items()}) from None


def only_who_tells(system):
    if not system.tells_strangers:
        pytest.skip("it is only asked, and only for orders of ours")


def test_an_order_arrives_once_with_all_its_lines(system):
    lines = [{"sku": "TV-16", "name": "Станок; \"ТВ\"\n16", "quantity": "2", "price": "450000.00", "unit": "шт", "vat": "20"},
             {"sku": "FR-12", "name": "Фреза, 12 мм", "quantity": "1.5", "price": "1250.50"}]
    order = ordered(system, "lines", lines=lines, comment="Позвонить = заранее", address="Москва, ул. Лесная, 5")
    got = taken(system, order)
    assert sorted(got.lines) == [("FR-12", 1.5, 1250.5), ("TV-16", 2, 450000)] and got.total == got.total.__class__("901875.75")
    assert got.client == f"lines-{system.base}"
    wait_for(lambda: state(system, order)["status"] in ("sent", "accepted"), what="the order to be sure of it")
    system.works()
    assert base(system)["waiting"] == 0 and base(system)["duplicatesPrevented"] == 0
    exchanges = system.suite.get("accounting-bridge", "/api/v1/exchanges", system.suite.token(), order=order["number"])["items"]
    assert exchanges and all(e["result"] == "ok" and e["base"] == system.base for e in exchanges)
    # EnterpriseData confirms what it has taken by a message of its own.
    directions = {"commerceml": [{"in"}], "enterprisedata": [{"out"}, {"in", "out"}]}.get(system.driver, [{"out"}])
    assert {e["direction"] for e in exchanges} in directions


def test_what_becomes_of_an_order_comes_back(system):
    order = ordered(system, "back")
    number = order["number"]
    taken(system, order)
    system.tell(number, "10.00")
    becomes(system, order, status="accepted", onecNumber=system.onec_number(number), payment="none", owed={"amount": "10.00", "currency": "RUB"})
    system.tell(number, "10.00", payments=[("p1", "4.00")])
    becomes(system, order, payment="partly", paid={"amount": "4.00", "currency": "RUB"}, owed={"amount": "6.00", "currency": "RUB"})
    system.tell(number, "10.00", payments=[("p1", "4.00"), ("p2", "6.00")], shipments=[("s1", "10.00")])
    becomes(system, order, payment="full", shipment="full", owed={"amount": "0.00", "currency": "RUB"})
    system.tell(number, "10.00", payments=[("p1", "4.00"), ("p2", "6.00")], shipments=[("s1", "10.00")], refunds=[("r1", "6.00")])
    if system.driver == "odata":
        links = {d["kind"]: d["link"] for d in state(system, order)["documents"]}
        assert all(link.startswith(f"{system.server.url}/#e1cib/data/") and "?ref=" in link for link in links.values()), links
    if system.tells_refunds:
        becomes(system, order, refunded={"amount": "6.00", "currency": "RUB"})
    steps = system.suite.get("crm-core", f"/api/v1/journeys/{order['journeyId']}", system.suite.token())["steps"]
    assert all(step["causedBy"] for step in steps[1:])


def test_what_the_goods_have_cost_makes_the_margin_and_a_return_changes_it(system):
    order = ordered(system, "cost")
    taken(system, order)
    if not system.tells_cost:
        system.tell(order["number"], "10.00", shipments=[("c1", "10.00")])
        becomes(system, order, shipment="full", cost=None, margin=None)
        assert "не сообщает себестоимость" in state(system, order)["marginUnknown"]
        return
    rub = lambda amount: {"amount": amount, "currency": "RUB"}
    system.tell(order["number"], "10.00", shipments=[("c1", "10.00")], cost="6.25")
    becomes(system, order, revenue=rub("10.00"), cost=rub("6.25"), margin=rub("3.75"))
    system.tell(order["number"], "10.00", shipments=[("c1", "10.00")], returns=[("c2", "4.00")], cost="3.75")
    becomes(system, order, revenue=rub("6.00"), cost=rub("3.75"), margin=rub("2.25"))
    if system.tells_returns:
        becomes(system, order, returned=rub("4.00"), shipment="partly")
    if system.driver == "odata":
        # Nothing stands in the register any more, then revenue without its cost, which is reckoned later.
        with system.onec.lock:
            system.onec.sets[system.names["costs"]].clear()
        becomes(system, order, revenue=rub("0.00"), cost=rub("0.00"), margin=rub("0.00"))
        system.tell(order["number"], "10.00", shipments=[("c1", "10.00")], cost="0.00")
        becomes(system, order, revenue=rub("10.00"), cost=None, margin=None)


def test_a_kind_of_order_reaches_it_and_departments_close_one_for_signing(system):
    """What it has no field for its comment says."""
    order = ordered(system, "signing", kind="signing")
    taken(system, order)
    if system.driver in ("odata", "enterprisedata"):
        comments = [o["Комментарий"] for o in system.orders().values()] if system.driver == "odata" else [o["comment"] for o in system.node.base.orders.values()]
        assert any("Вид заказа: Подписание документов." in c and order["number"] in c for c in comments), comments
    if not system.tells_marks:
        return
    system.mark(order["number"], "10.00", Бухгалтерия=True, Юристы=False)
    becomes(system, order, status="accepted")
    wait_for(lambda: {f["department"]: f["done"] for f in state(system, order)["flags"]} == {"Бухгалтерия": True, "Юристы": False}, what="the first mark")
    system.mark(order["number"], "10.00", Бухгалтерия=True, Юристы=True)
    becomes(system, order, status="closed")
    system.mark(order["number"], "10.00", Бухгалтерия=True, Юристы=False)
    becomes(system, order, status="accepted")


def test_the_same_told_again_is_no_news_and_a_cancellation_is(system):
    order = ordered(system, "again")
    taken(system, order)
    reported = lambda: system.suite.sql("accounting_bridge", f"SELECT count(*) FROM event WHERE type = 'onec.order.reported.v1' AND convert_from(body, 'UTF8') LIKE '%\"number\":\"{order['number']}\"%'")[0][0]
    for _ in range(3):
        system.tell(order["number"], "10.00", payments=[("a1", "10.00")])
    becomes(system, order, payment="full")
    # One that is asked may have told of the bare order before.
    told = int(reported())
    assert told in ((1, 2) if system.driver == "odata" else (1,))
    system.tell(order["number"], "10.00", payments=[("a1", "10.00")], cancelled=True)
    becomes(system, order, status="cancelled")
    assert int(reported()) == told + 1


def test_what_cannot_be_understood_is_parked_and_settles_when_it_is_told_right(system):
    order = ordered(system, "broken")
    taken(system, order)
    system.tell(order["number"], "10.00", payments=[("b1", "10.00")], broken=True)
    told = wait_for(lambda: (lambda s: s if s["repairs"] else None)(story(system, order)), what="the trouble to be told")
    assert system.trouble in told["verdict"] and told["isWrong"]
    assert state(system, order)["payment"] in ("none", "unknown")
    kind = told["repairs"][0]["kind"]
    planned = system.suite.post("accounting-bridge", "/api/v1/replays", system.suite.token(), {"filter": {"order": order["number"], "kind": kind}, "dryRun": True}, status=201)
    assert planned["count"] == 1
    if kind != "report" or system.driver == "folder":
        assert any("фантик" in reason or "не читается" in reason for reason in planned["differences"]["wouldFail"]), planned
    system.tell(order["number"], "10.00", payments=[("b1", "10.00")])
    becomes(system, order, payment="full")
    wait_for(lambda: not story(system, order)["repairs"], what="the trouble to be settled")


def test_an_order_that_is_not_ours_is_parked_and_done_again_when_it_is_known(system):
    only_who_tells(system)
    number = str(int(ordered(system, "before")["number"]) + 1)
    system.tell(number, "10.00", payments=[("early", "10.00")])
    waiting = lambda: [p for p in system.suite.get("accounting-bridge", "/api/v1/parked", system.suite.token(), limit=200)["items"]
                       if p["number"] == number and p["base"] == system.base]
    parked = wait_for(waiting, what="the stranger to be parked")
    assert len(parked) == 1 and "нам неизвестен" in parked[0]["reason"]
    order = ordered(system, "after-all")
    assert order["number"] == number
    planned = system.suite.post("accounting-bridge", "/api/v1/replays", system.suite.token(), {"filter": {"order": number}, "dryRun": True}, status=201)
    assert planned["differences"]["wouldSucceed"] == 1, planned
    system.suite.post("accounting-bridge", f"/api/v1/replays/{planned['id']}/apply", system.suite.token(), {}, status=202)
    becomes(system, order, payment="full")
    assert not waiting()


def test_an_order_that_was_made_there(system):
    """It is taken once, told of as all others are, and never given back."""
    key, client = str(uuid.uuid4()), (str(uuid.uuid4()), f"Полевой цветок {system.base}", "")
    where = system.suite.url("crm-core") + f"/api/v1/orders/{key}"
    number = f"СВ-{key[:4]}/7"

    def becomes(**wanted):
        def found():
            answer = requests.get(where, headers={"Authorization": f"Bearer {system.suite.token()}"}, timeout=20)
            order = answer.json() if answer.status_code == 200 else {}
            return order if order and all(order[field] == value for field, value in wanted.items()) else None
        return wait_for(found, what=f"the order that was made there to have {wanted}")

    system.bear(key, number, "31.00", client, payments=[("10", "10.00")])
    order = becomes(payment="partly")
    assert (order["origin"], order["base"], order["dealId"], order["onecNumber"]) == ("onec", system.base, None, number)
    assert order["number"] == f"{number.replace('/', '-')} ({system.base}, 2026)" and order["organization"] == system.organization
    system.bear(key, number, "41.00", client, payments=[("10", "10.00"), ("31", "31.00")])
    becomes(payment="full", total={"amount": "41.00", "currency": "RUB"})
    # Its client's card waits to be linked as any other.
    cards = lambda: [c for c in system.suite.get("crm-core", "/api/v1/onec-cards", system.suite.token(), state="waiting", limit=200)["items"] if c["onecId"] == client[0]]
    assert wait_for(cards, what="the card")[0]["name"] == client[1]
    after = ordered(system, "after-own")
    taken(system, after)
    assert [n for n in system.taken if "СВ-" in n] == []
    items = system.suite.get("crm-core", "/api/v1/born-orders", system.suite.token(), limit=200)["items"]
    assert [i["client"] for i in items if i["order"]["onecNumber"] == number] == [client[1]]
    told = system.suite.get("accounting-bridge", "/api/v1/order-stories/" + requests.utils.quote(order["number"]), system.suite.token())
    assert "сделан в 1С" in told["lines"][0]["words"] or any("сделан в 1С" in line["words"] for line in told["lines"])


def test_another_base_cannot_speak_of_an_order(system, systems):
    only_who_tells(system)
    other = next(s for s in systems.values() if s is not system)
    order = ordered(other, f"foreign-{system.base}")
    taken(other, order)
    system.tell(order["number"], "10.00", payments=[("stolen", "10.00")])
    parked = lambda: [p for p in system.suite.get("accounting-bridge", "/api/v1/parked", system.suite.token(), limit=200)["items"]
                      if p["number"] == order["number"] and p["base"] == system.base]
    assert f"ведёт база {other.base}" in wait_for(parked, what="it to be parked")[0]["reason"]
    assert state(other, order)["payment"] in ("none", "unknown")


def test_what_a_restored_system_has_lost_is_given_again_and_what_it_has_is_left(system):
    wait_for(lambda: (system.works(), base(system)["waiting"] == 0)[1], what="nothing of the tests before to be under way")
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    lost, kept = ordered(system, "lost"), ordered(system, "kept")
    for order in (lost, kept):
        taken(system, order)
        wait_for(lambda: story(system, order)["state"] == "sent", what="the order to be sent")
    planned = system.suite.post("accounting-bridge", "/api/v1/replays", system.suite.token(),
                                {"filter": {"base": system.base, "kind": "sent", "from": since}, "dryRun": True}, status=201)
    assert planned["count"] == 2
    if system.driver == "folder":
        assert all("верните его в orders" in reason for reason in planned["differences"]["wouldFail"]), planned
        return
    assert planned["differences"]["wouldSucceed"] == 2, planned
    system.forget(lost["number"])
    system.suite.post("accounting-bridge", f"/api/v1/replays/{planned['id']}/apply", system.suite.token(), {}, status=202)
    assert taken(system, lost).lines[0][0] == f"lost-{system.base}"
    wait_for(lambda: {story(system, order)["state"] for order in (lost, kept)} == {"sent"}, what="both to be sent again")
    told = {row[0]: int(row[1]) for row in system.suite.sql("accounting_bridge", "SELECT o.number, count(*) FROM order_out o JOIN event e ON e.key = o.id::text "
            f"WHERE e.type = 'onec.order.sent.v1' AND o.number IN ('{lost['number']}', '{kept['number']}') GROUP BY 1")}
    if system.driver == "odata":
        assert told == {lost["number"]: 2, kept["number"]: 1}, "what was there all the time is no news"
    system.tell(lost["number"], "10.00", payments=[("again", "10.00")])
    becomes(system, lost, payment="full")
    system.tell(kept["number"], "10.00")
    becomes(system, kept, status="accepted")
    # Nobody asks for what stands in a base unless he says so.
    planned = system.suite.post("accounting-bridge", "/api/v1/replays", system.suite.token(), {"filter": {"order": kept["number"]}, "dryRun": True}, status=201)
    assert planned["count"] == 0


@goes_to_it
def test_while_it_is_away_orders_wait_and_it_is_said_once(active):
    active.down()
    try:
        orders = [ordered(active, f"away-{i}") for i in range(3)]
        failing = wait_for(lambda: (lambda b: b if alarms(active) and b["breaker"] == "open" else None)(base(active)), 30, "the alarm")
        # Whichever side met it first says it for both.
        assert [a["kind"] for a in alarms(active)] in (["connection"], ["reading"]) and failing["waiting"] == 3
        assert failing["drainSeconds"] is None and failing["drainSecondsUnknown"]
        # It is tried now and then; for that moment the story says so.
        wait_for(lambda: "не работает" in story(active, orders[0])["verdict"], what="the story to say why it waits")
    finally:
        active.up()
    sequence = []
    for order in orders:
        taken(active, order)
        sequence.append(order["number"])
    assert [n for n in active.taken if n in sequence] == sequence, "in their order"
    wait_for(lambda: not alarms(active), what="the end of the alarm")
    said = active.suite.sql("accounting_bridge", f"SELECT count(*) FROM event WHERE type = 'onec.exchange.failing.v1' AND convert_from(body, 'UTF8') LIKE '%\"base\":\"{active.base}\"%' "
                               "AND convert_from(body, 'UTF8') NOT LIKE ALL(ARRAY['%\"kind\":\"refusals\"%', '%\"kind\":\"documents\"%'])")
    assert said == [["1"]]


@goes_to_it
def test_a_person_pauses_and_resumes_it(active):
    token = active.suite.token()
    call = lambda verb: requests.post(
        active.suite.url("accounting-bridge") + f"/api/v1/bases/{active.base}/{verb}", headers={"Authorization": f"Bearer {token}"}, timeout=20)
    assert call("pause").status_code == 204
    order = ordered(active, "paused")
    assert base(active)["pausedBy"] == "Администратор" and base(active)["waiting"] == 1
    assert "приостановил Администратор" in story(active, order)["verdict"]
    active.works()
    assert order["number"] not in active.taken
    assert call("resume").status_code == 204
    taken(active, order)
    wait_for(lambda: base(active)["waiting"] == 0, what="the order to be sure of it")


@goes_to_it
def test_a_death_while_an_order_is_given_makes_no_double(active):
    """Killed again and again while a dozen orders are on their way: each arrives once, and each is sure of it."""
    orders = [ordered(active, f"death-{i}") for i in range(2)]
    for round in range(4):
        orders += [ordered(active, f"death-{round}-{i}") for i in range(2)]
        os.kill(active.suite.pids()["accounting-bridge"], signal.SIGKILL)
        active.works()
        wait_for(active.suite.ready, 60, "the bridge")
    for order in orders:
        taken(active, order)
        wait_for(lambda: state(active, order)["status"] in ("sent", "accepted"), what="the order to be sure of it")
    assert base(active)["waiting"] == 0 and base(active)["doubtful"] == 0


@pytest.mark.parametrize("active", [name for name in KINDS if name.startswith("folder")], indirect=True)
def test_what_it_gives_back_waits_for_a_person_and_goes_again(active):
    order = ordered(active, "given-back")
    taken(active, order)
    becomes(active, order, status="sent")
    active.refuse(order["number"], "нет такого товара")
    becomes(active, order, status="failed")
    assert story(active, order)["verdict"] == "Заказ не передан в 1С: нет такого товара."
    # The same again is no news, and nothing to settle.
    active.refuse(order["number"], "нет такого товара")
    reports = active.folder / "reports"
    wait_for(lambda: not [f for f in reports.rglob("report-*") if f.is_file()], what="the report to be read")
    assert [r["kind"] for r in story(active, order)["repairs"]] == ["order"]
    planned = active.suite.post("accounting-bridge", "/api/v1/replays", active.suite.token(), {"filter": {"order": order["number"]}, "dryRun": True}, status=201)
    active.suite.post("accounting-bridge", f"/api/v1/replays/{planned['id']}/apply", active.suite.token(), {}, status=202)
    again = active.folder / "orders" / f"order-{order['number']}.{active.format}"
    wait_for(again.exists, what="the order to come again")
    assert active.read(again)["key"] in active.keys, "under the key that it knows"
    active.keys.discard(active.read(again)["key"])
    active.works()
    active.tell(order["number"], "10.00")
    becomes(active, order, status="accepted")


@pytest.mark.parametrize("active", ["folder-json"], indirect=True)
def test_a_report_that_is_too_large_is_kept_and_named(active):
    """The journal holds no more than its beginning: the file itself is all there is."""
    content = b" " * (16 * 1024 * 1024 + 1)
    active.put(content, "enormous.json")
    kept = lambda: [f for f in (active.folder / "reports/.unreadable").iterdir() if f.name.endswith("enormous.json")]
    assert wait_for(kept, what="the file to be set aside")[0].read_bytes() == content
    waiting = lambda: [p for p in active.suite.get("accounting-bridge", "/api/v1/parked", active.suite.token(), limit=200)["items"] if "16777216" in p["reason"]]
    wait_for(waiting, what="it to be named")


@pytest.mark.parametrize("active", ["folder-json"], indirect=True)
def test_a_share_that_is_not_mounted_swallows_nothing(active):
    """An empty folder in its place: no order is written there."""
    active.down()
    active.folder.mkdir(mode=0o777)
    os.chmod(active.folder, 0o777)
    try:
        order = ordered(active, "unmounted")
        wait_for(lambda: any(".throughline" in a["cause"] or "папки" in a["cause"] for a in base(active)["alarms"]), what="the alarm")
        assert not list(active.folder.rglob("order-*")) and base(active)["waiting"] == 1
    finally:
        for left in sorted(active.folder.rglob("*"), reverse=True):
            left.rmdir() if left.is_dir() else left.unlink()
        active.folder.rmdir()
        active.up()
    taken(active, order)
    wait_for(lambda: not alarms(active), what="the end of the alarm")
