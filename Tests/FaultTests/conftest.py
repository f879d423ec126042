import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from cluster import Cluster
from load import BIN, Load
from report import Report

TABLE = Report()


@pytest.fixture(scope="session")
def work():
    if not (BIN / "bus-load").exists():
        pytest.skip(f"no bus-load in {BIN}: build it, or set THROUGHLINE_BIN")
    # Not pytest's own folder: the server's user has to get in, and a socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def shared(work):
    """A cluster for the tests that do no harm to it: each has a database of its own."""
    cluster = Cluster(work / "pg").make().start()
    TABLE.postgres = cluster.version()
    TABLE.libzmq = libzmq()
    yield cluster
    cluster.stop()


def libzmq():
    run = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libzmq5"], capture_output=True, text=True)
    return run.stdout or "?"


@pytest.fixture
def clusters(work, shared):
    """Makes clusters of the test's own; they end with it."""
    made = []

    def make(name, **options):
        cluster = Cluster(work / f"{name}{time.monotonic_ns() % 10**9}", **options)
        made.append(cluster)
        return cluster
    make.made = made
    yield make
    for cluster in made:
        cluster.stop()
        shutil.rmtree(cluster.folder, ignore_errors=True)


@pytest.fixture
def loads(work):
    """Makes loads; their processes end with the test."""
    made = []

    def make(*words, **options):
        made.append(Load(work / f"bus{time.monotonic_ns() % 10**9}", *words, **options))
        return made[-1]
    yield make
    for one in made:
        one.end()
        shutil.rmtree(one.folder, ignore_errors=True)


@pytest.fixture
def load(shared, loads):
    """A load in a database of its own."""
    name = f"load{time.monotonic_ns()}"
    assert shared.psql(f"CREATE DATABASE {name}").returncode == 0
    one = loads(shared, name)
    yield one
    one.end()
    shared.psql(f"DROP DATABASE {name} WITH (FORCE)")


class Row:
    """Puts a test's outcome into the table, and then asks for it to be good."""

    def __init__(self, part, fault):
        self.part, self.fault = part, fault

    def holds(self, load, recovered, note="", index=1):
        verdict = load.verdict(index)
        TABLE.add(self.part, self.fault, verdict, recovered, note)
        assert verdict.holds(), verdict

    def shown(self, verdict, note):
        TABLE.add(self.part, self.fault, verdict, note=note)

    def stopped(self, note):
        TABLE.add(self.part, self.fault, note=note)


@pytest.fixture
def row(request):
    return Row(part(request.node), fault(request.node))


def part(item):
    return Path(item.fspath).stem.removeprefix("test_")


def fault(item):
    name = item.name.removeprefix("test_").replace("[", " (").replace("]", ")")
    return name.replace("_", " ")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and not hasattr(report, "wasxfail"):
        TABLE.skipped.append((fault(item), report.longrepr[2].removeprefix("Skipped: ")))
    elif report.skipped:
        TABLE.failed.append((fault(item), f"known: {report.wasxfail}"))
    elif report.failed:
        TABLE.failed.append((fault(item), (str(call.excinfo.value) if call.excinfo else "passed, although it is known to fail").split("\n")[0][:200]))


def pytest_terminal_summary(terminalreporter):
    for line in TABLE.lines():
        terminalreporter.write_line(line)


def pytest_sessionfinish():
    if file := os.environ.get("THROUGHLINE_FAULT_REPORT"):
        TABLE.write(file)
