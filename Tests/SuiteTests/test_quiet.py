"""Hours in which nothing is sent, and how fast it goes in the others, in the running product."""
import datetime
import time
from zoneinfo import ZoneInfo

from suite import running, wait_for
from systems import Folder

MOSCOW = ZoneInfo("Europe/Moscow")


def hours(start, end):
    """A span of the company's clock around now, in hours from now."""
    now = datetime.datetime.now(MOSCOW)
    return "-".join((now + datetime.timedelta(hours=h)).strftime("%H:%M") for h in (start, end))


def base(suite, name):
    return next(b for b in suite.get("accounting-bridge", "/api/v1/bases", suite.token())["items"] if b["base"] == name)


def test_quiet_hours_send_nothing_read_on_and_are_no_alarm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quiet")
    folder.chmod(0o755)
    system = Folder(folder)
    quiet, loud = (system.settings.replace(" }", f', quietHours: "{hours(*span)}", ratePerMinute: {rate} }}') for span, rate in [((-2, 3), 120), ((5, 6), 60)])
    organizations = f'\n  - {{ code: {system.organization}, name: "ООО", inn: "7707083893", kpp: "770701001", base: {system.base} }}'
    with running(folder, books=(organizations, f"\nonec:\n  {quiet}")) as suite:
        system.begin(suite)
        orders = [suite.order(suite.token(), f"quiet-{i}", organization=system.organization) for i in range(3)]
        # It is read all the same; ten readings later nothing has been sent.
        seen = set()

        def read():
            seen.add(base(suite, system.base)["lastRead"])
            return len(seen) >= 10
        wait_for(read, 120, "it to be read")
        state = base(suite, system.base)
        assert not list((system.folder / "orders").glob("order-*")) and state["waiting"] == 3 and state["alarms"] == []
        assert state["quietHours"] and (state["drainSeconds"] is None or state["drainSeconds"] > 2 * 3600)
        suite.stop()
        suite.config.write_text(suite.config.read_text().replace(quiet, loud))
        begun = time.time()
        suite.start()
        wait_for(lambda: len(list((system.folder / "orders").glob("order-*"))) == 3, 60, "all of them to go")
        assert time.time() - begun > 2, "one a second, at most"
        system.works()
        assert [n for n in system.taken] == [o["number"] for o in orders]
        wait_for(lambda: base(suite, system.base)["drainSeconds"] == 0, what="nothing to be left")
