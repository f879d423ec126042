"""A system that tells of an order while the bridge still counts it as not given, as after a death between the two: that it has it is said once, and before
what it has told."""
import pytest
from suite import running, wait_for
from systems import Folder


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
