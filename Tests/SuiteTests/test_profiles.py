"""Every kind of client that speaks «обмен с сайтом», with its own strictness: a conformance run for each."""
import pytest
from suite import running, wait_for
from systems import site_exchange

PROFILES = site_exchange.PROFILES
WITH_ORDERS = [name for name, profile in PROFILES.items() if profile.orders]


def code(name):
    return f"base{list(PROFILES).index(name)}"


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    organizations = "".join(f'\n  - {{ code: {code(name)}, name: "ООО", base: {code(name)} }}' for name in PROFILES)
    bases = "\nonec:" + "".join(f'\n  - {{ base: {code(name)}, driver: commerceml, login: "{code(name)}", password: "обмен", firstNumber: {1 + 10000 * i} }}'
                                for i, name in enumerate(PROFILES))
    with running(tmp_path_factory.mktemp("profiles"), books=(organizations, bases)) as suite:
        suite.admin = suite.token()
        yield suite


@pytest.fixture(scope="module")
def clients(suite):
    return {name: site_exchange.Client(profile, f"{suite.url('accounting-bridge')}/1c/{code(name)}/exchange", code(name), "обмен")
            for name, profile in PROFILES.items()}


@pytest.fixture
def client(request, clients):
    return clients[request.param]


orders = pytest.mark.parametrize("client", WITH_ORDERS, indirect=True)
every = pytest.mark.parametrize("client", PROFILES, indirect=True)


def ordered(suite, client, name):
    order = suite.order(suite.admin, f"{name}-{code(client.profile.name)}", organization=code(client.profile.name))
    wait_for(lambda: suite.offered({order["number"]}), what="the order to be offered")
    return order


def becomes(suite, order, **wanted):
    def now():
        found = suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", suite.admin)
        return all(found[key] == value for key, value in wanted.items())
    wait_for(now, what=str(wanted))


@orders
def test_orders_come_once_though_sessions_are_broken_off_and_repeated(suite, client):
    mine = [ordered(suite, client, f"once-{i}") for i in range(3)]
    numbers = [o["number"] for o in mine]
    first, _ = client.load_orders(loses_success=True)
    assert set(first) <= set(numbers) and first
    for _ in range(20):
        _, more = client.load_orders()
        if not more:
            break
    assert set(client.stored) >= set(numbers) and all(client.stored[n] == 10 for n in numbers)
    for order in mine:
        becomes(suite, order, status="sent")
    assert client.load_orders() == ([], False), "nothing is left"


@orders
def test_one_order_that_1c_stumbles_over_blocks_nobody(suite, client):
    bad, *good = [ordered(suite, client, f"stumble-{i}") for i in range(3)]
    for _ in range(30):
        client.load_orders(stumbles_over={bad["number"]})
        if set(client.stored) >= {o["number"] for o in good} and not suite.offered({bad["number"]}):
            break
    assert set(client.stored) >= {o["number"] for o in good} and bad["number"] not in client.stored
    becomes(suite, bad, status="failed")


@orders
def test_what_it_can_tell_comes_back(suite, client):
    order = ordered(suite, client, "state")
    for _ in range(20):
        if not client.load_orders()[1]:
            break
    client.send_state(order["number"], "10.00")
    becomes(suite, order, status="accepted", onecNumber=f"ОС-{order['number']}")
    client.send_state(order["number"], "10.00", paid="4.00")
    found = suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", suite.admin)
    if client.profile.subordinates:
        becomes(suite, order, payment="partly", paid={"amount": "4.00", "currency": "RUB"})
    else:
        assert found["paid"] is None and found["paidUnknown"], "what it cannot tell is unknown, not zero"
    client.send_state(order["number"], "10.00", paid="10.00")
    becomes(suite, order, payment="full")
    client.send_state(order["number"], "10.00", paid="10.00", cancelled=True)
    becomes(suite, order, status="cancelled")


def loads_all(client):
    for _ in range(30):
        if not client.load_orders()[1]:
            return


def story(suite, order):
    return suite.get("accounting-bridge", f"/api/v1/order-stories/{order['number']}", suite.admin)


@orders
@pytest.mark.parametrize("fault", ["down", "late", "half", "html", "changed"])
def test_what_goes_wrong_on_its_way_is_kept_and_what_comes_after_it_is_right(suite, client, fault):
    order = ordered(suite, client, f"fault-{fault}")
    loads_all(client)
    client.fault, client.failed = fault, False
    try:
        client.send_state(order["number"], "10.00", paid="10.00")
    except site_exchange.Failed:
        pass
    # УНФ comes once with nothing; then it is told anew, as a person would have it do.
    for _ in range(2):
        client.send_state(order["number"], "10.00", paid="10.00")
    becomes(suite, order, payment="full", status="accepted")
    wait_for(lambda: not story(suite, order)["repairs"], what="nothing of it to be left aside")
    found = suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", suite.admin)
    assert len([d for d in found["documents"] if d["kind"] == "payment"]) == (1 if client.profile.subordinates else 0), "once"


@orders
def test_a_closed_period_holds_up_one_order_and_no_other(suite, client):
    """An order of a day that is closed cannot be written there: the exchange is broken off each time, until the accountant opens the day."""
    order = ordered(suite, client, "closed")
    client.closed_until = "9999-12-31"
    for _ in range(3):
        client.load_orders()
    assert order["number"] not in client.stored
    client.closed_until = "0000-00-00"
    loads_all(client)
    if order["number"] not in client.stored:
        # Set aside by name meanwhile: a person lets it go again.
        planned = suite.post("accounting-bridge", "/api/v1/replays", suite.admin, {"filter": {"order": order["number"]}, "dryRun": True}, status=201)
        suite.post("accounting-bridge", f"/api/v1/replays/{planned['id']}/apply", suite.admin, {}, status=202)
        wait_for(lambda: suite.offered({order["number"]}), what="it to be offered again")
        loads_all(client)
    assert client.stored[order["number"]] == 10


@orders
def test_what_is_unposted_or_moved_into_the_past_there_is_seen_here(suite, client):
    order = ordered(suite, client, "unposted")
    loads_all(client)
    client.send_state(order["number"], "10.00", paid="10.00")
    becomes(suite, order, payment="full")
    client.send_state(order["number"], "10.00", paid="10.00", posted=False)
    wait_for(lambda: "не проведён" in story(suite, order)["verdict"], what="the order to be not posted")
    client.send_state(order["number"], "10.00", paid="10.00", paid_on="2025-01-31")
    if client.profile.subordinates:
        late = lambda: [c for c in suite.get("accounting-bridge", "/api/v1/late-changes", suite.admin)["items"] if c["orderNumber"] == order["number"]]
        assert "31.01.2025" in wait_for(late, what="the change of the past")[0]["words"]


@orders
def test_a_base_restored_from_a_backup_gets_what_it_has_lost_and_makes_no_double(suite, client):
    backup = client.snapshot()
    order = ordered(suite, client, "restored")
    loads_all(client)
    becomes(suite, order, status="sent")
    client.restore(backup)
    loads_all(client)
    assert order["number"] not in client.stored, "it does not know what it has lost"
    planned = suite.post("accounting-bridge", "/api/v1/replays", suite.admin, {"filter": {"order": order["number"], "kind": "sent"}, "dryRun": True}, status=201)
    suite.post("accounting-bridge", f"/api/v1/replays/{planned['id']}/apply", suite.admin, {}, status=202)
    wait_for(lambda: suite.offered({order["number"]}), what="it to be offered again")
    loads_all(client)
    assert client.stored[order["number"]] == 10
    client.send_state(order["number"], "10.00", paid="10.00")
    becomes(suite, order, payment="full")


@every
def test_its_goods_are_taken(suite, client):
    client.send_goods(40)
    found = lambda: suite.get("accounting-bridge", "/api/v1/goods", suite.admin, base=code(client.profile.name), limit=200)["items"]
    goods = wait_for(lambda: found() if len(found()) == 40 else None, what="the goods")
    offer = next(g for g in goods if g["sku"] == f"{client.profile.name}-7")["offers"][0]
    assert offer["prices"][0]["amount"] == "7.5" and offer["prices"][0]["currency"] == "RUB"


@every
def test_what_it_asks_and_we_do_not_know_is_answered_success(client):
    client.enter("catalog")
    for type, mode in [("catalog", "deactivate"), ("catalog", "complete"), ("sale", "info"), ("reference", "checkauth")]:
        assert client.ask(type, mode).startswith("success"), (type, mode)


def test_a_password_that_is_wrong_is_said_in_its_own_words(suite, clients):
    stranger = site_exchange.Client(PROFILES["УТ 11"], clients["УТ 11"].url, "base0", "нет")
    with pytest.raises(site_exchange.Failed, match="failure"):
        stranger.enter("sale")
