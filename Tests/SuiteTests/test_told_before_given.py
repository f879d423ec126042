"""A system that tells of an order while the bridge still counts it as not given, as after a death between the two: that it has it is said once, and before
what it has told."""
import threading
from datetime import UTC, datetime

import pytest
from suite import running, wait_for
from systems import Folder, OData, odata


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    folder = tmp_path_factory.mktemp("early")
    folder.chmod(0o755)
    system = Folder(folder)
    # Orders are never sent here; what the system tells is read all day.
    system.settings = system.settings.replace(" }", ', quietHours: "00:00-23:59" }')
    books = (f'\n  - {{ code: {system.organization}, name: "ООО Станкоторг", inn: "7707083893", kpp: "770701001", base: {system.base} }}', f"\nonec:\n  {system.settings}")
    with running(folder, books=books) as suite:
        system.begin(suite)
        system.token = suite.token()
        yield system


@pytest.mark.parametrize("state", ["ready", "sending", "doubtful"])
def test_what_is_told_before_it_was_given_is_given(system, state):
    order = system.suite.order(system.token, f"early-{state}", organization=system.organization)
    number = order["number"]
    system.suite.sql("accounting_bridge", f"UPDATE order_out SET state = '{state}' WHERE number = '{number}'")
    for _ in range(2):
        system.tell(number, "10.00", payments=[("p-" + state, "10.00")])
    states = lambda: system.suite.get("crm-core", f"/api/v1/orders/{order['orderId']}", system.token)
    wait_for(lambda: states()["payment"] == "full", what="the payment")
    said = [step["kind"] for step in system.suite.get("crm-core", f"/api/v1/journeys/{order['journeyId']}", system.token)["steps"]]
    assert said.count("onec.order.sent") == 1 and said.index("onec.order.sent") < said.index("onec.order.reported"), said
    assert system.suite.sql("accounting_bridge", f"SELECT state FROM order_out WHERE number = '{number}'") == [["sent"]]
    assert not list((system.folder / "orders").glob(f"*{number}*")), "it is not given to whom has it"


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asked")
    folder.chmod(0o755)
    system = OData(folder, "unf", odata.UNF, 1)
    books = (f'\n  - {{ code: {system.organization}, name: "ООО Станкоторг", inn: "7707083893", kpp: "770701001", base: {system.base} }}', f"\nonec:\n  {system.settings}")
    with running(folder, books=books) as suite:
        system.begin(suite)
        system.token = suite.token()
        yield system


def test_what_was_read_before_a_base_lost_it_is_no_word_that_it_has_it(asked):
    """The reading that is under way has found the order; then the base is restored, and a person has what it lost given again."""
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    asked.good("lost")
    order = asked.suite.order(asked.token, "lost", organization=asked.organization)
    number = order["number"]
    state = lambda: asked.suite.sql("accounting_bridge", f"SELECT state FROM order_out WHERE number = '{number}'")[0][0]
    wait_for(lambda: state() == "sent", what="the order to be given")
    # Each reading stops behind the order's own row, each look for one order before its answer.
    server, say, readings, read, look = asked.server, asked.server.say, [], threading.Semaphore(0), threading.Event()
    def held(handler, *answer, **more):
        name = server.name(handler.path)
        if name == asked.names["payments"]:
            readings.append(name)
            read.acquire(timeout=60)
        elif name.startswith(f"{asked.names['orders']}(guid"):
            look.wait(60)
        return say(handler, *answer, **more)
    server.say = held
    try:
        wait_for(lambda: len(readings) == 1, what="a reading")
        asked.tell(number, "12.00")
        read.release()
        wait_for(lambda: len(readings) == 2, what="the reading that finds the news")
        asked.forget(number)
        planned = asked.suite.post("accounting-bridge", "/api/v1/replays", asked.token, {"filter": {"base": asked.base, "kind": "sent", "from": since}, "dryRun": True},
                                   status=201)
        asked.suite.post("accounting-bridge", f"/api/v1/replays/{planned['id']}/apply", asked.token, {}, status=202)
        wait_for(lambda: state() == "doubtful", what="it to be looked for")
        read.release()
        wait_for(lambda: len(readings) == 3, what="the old reading to be over")
        assert state() == "doubtful"
    finally:
        look.set()
        read.release(1000)
        server.say = say
    wait_for(lambda: number in asked.taken and state() == "sent", what="the order to be given again")
