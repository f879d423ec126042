"""The product's figures: durable webhook accepts against pgbench, and the way from a message to a metric against one commit.

Everything runs on this machine in one run; a ratio says more than a number. Loads are bounded in count and time.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import zmq

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "Tests/SuiteTests"))
import bus  # noqa: E402
import catalog  # noqa: E402
import demonstrations  # noqa: E402
import journal  # noqa: E402
import systems_away  # noqa: E402
from suite import SECRET, SERVICES, Suite, wait_for  # noqa: E402

figures = []


def figure(name, value, unit, goal=None, holds=None):
    figures.append({"name": name, "value": round(value, 3), "unit": unit, "goal": goal, "holds": holds})
    if not arguments.json:
        mark = "" if holds is None else "  holds" if holds else "  MISSED"
        print(f"{name:<52} {value:>12,.2f} {unit:<8} {'goal ' + goal if goal else '':<16}{mark}", flush=True)


def note(words):
    if not arguments.json:
        print(words, flush=True)


figure.note = note


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Server:
    """The suite's own PostgreSQL, as its administrator reaches it."""

    def __init__(self, suite):
        password = (suite.folder / "data/keys/database-admin.secret").read_text().strip()
        self.url = f"postgres://throughline:{password}@127.0.0.1:{suite.base + 352}/throughline"
        self.folder = suite.folder
        self.run("CREATE SCHEMA bench; CREATE TABLE bench.row (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
                 "connection text NOT NULL, dedupe_key text NOT NULL, received_at timestamptz NOT NULL DEFAULT now(), "
                 "body bytea NOT NULL, UNIQUE (connection, dedupe_key))")
        self.script = self.folder / "insert.sql"
        self.script.write_text(
            "\\set k random(1, 9000000000000)\n"
            "INSERT INTO bench.row (connection, dedupe_key, body) VALUES ('bench', :k, decode(repeat('61', 300), 'hex')) "
            "ON CONFLICT DO NOTHING;\n")
        bins = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
        self.pgbench = str(bins[-1]) if bins else "pgbench"

    def run(self, statement):
        return subprocess.run(["psql", "-X", "-A", "-t", "-q", "-c", statement, self.url], check=True, capture_output=True, text=True).stdout.strip()

    def rate(self, clients, seconds):
        """Transactions a second of single-row inserts."""
        out = subprocess.run(
            [self.pgbench, "-n", "-M", "prepared", "-f", self.script, "-c", str(clients), "-j", "2", "-T", str(seconds), self.url],
            check=True, capture_output=True, text=True).stdout
        return float(re.search(r"tps = ([0-9.]+)", out)[1])

    def commits(self, count):
        """Milliseconds of each of `count` single commits, one after the other, on a connection of its own."""
        for old in self.folder.glob("commits.*"):
            old.unlink()
        subprocess.run(
            [self.pgbench, "-n", "-M", "prepared", "-f", self.script, "-c", "1", "-t", str(count), "-l",
             "--log-prefix", self.folder / "commits", self.url], check=True, capture_output=True)
        return [int(line.split()[2]) / 1000 for log in self.folder.glob("commits.*") for line in log.read_text().splitlines()]


def memory(suite, when, goal_mb=None):
    total = 0
    for name, pid in sorted(suite.pids().items()):
        if name not in SERVICES:
            continue
        status = Path(f"/proc/{pid}/status").read_text()
        resident = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024
        total += resident
        figure(f"resident memory {when}, {name}", resident, "MB")
    figure(f"resident memory {when}, five services", total, "MB", goal_mb and f"< {goal_mb}", goal_mb and total < goal_mb)


def delays(suite, server, count):
    """From the moment a client's first message is posted until its lead stands, and until the figure has moved."""
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.setsockopt(zmq.RCVTIMEO, 10000)
    socket.subscribe("metric/leads.created/total")
    socket.connect(f"tcp://127.0.0.1:{suite.base + 303}")
    to_metric, seen, posted = [], 0, {}
    wait_for(lambda: suite.say(900_000, 900_000, "/start").status_code == 200)
    while True:
        cell = json.loads(socket.recv_multipart()[1])
        if cell["by"] == []:
            seen = cell["value"]
            break
    commits = server.commits(count)
    for index in range(count):
        number = 910_000 + index
        start = time.time()
        posted[number] = start
        assert suite.say(number, number, "/start").status_code == 200
        while True:
            cell = json.loads(socket.recv_multipart()[1])
            if cell["by"] == [] and cell["value"] > seen:
                seen = cell["value"]
                break
        to_metric.append((time.time() - start) * 1000)
    rows = suite.sql("crm_core", "SELECT extract(epoch FROM s.at), c.external FROM journey_step s JOIN "
                     "(SELECT journey_id, min(text) AS external FROM chat_message GROUP BY 1) c USING (journey_id) "
                     f"WHERE s.kind = 'crm.lead.created' ORDER BY s.at DESC LIMIT {count}")
    starts = sorted(posted.values())
    to_lead = [(float(at) - start) * 1000 for at, start in zip(sorted(float(r[0]) for r in rows), starts)]
    for name, share in [("p50", .5), ("p99", .99)]:
        commit = percentile(commits, share)
        figure(f"one pgbench commit, {name}", commit, "ms")
        figure(f"message to lead, {name}", percentile(to_lead, share), "ms")
        figure(f"message to lead to metric, {name}", percentile(to_metric, share), "ms")
        figure(f"message to metric / one commit, {name}", percentile(to_metric, share) / commit, "times")
    socket.close()


def accepts(suite, server, seconds):
    best = max((server.rate(clients, max(3, seconds // 2)), clients) for clients in (1, 4, 16, 32, 64))
    rounds = []
    for number in range(2):
        rounds.append(flood(suite, seconds, 100_000_000 * (number + 1)))
        best = max(best, (server.rate(best[1], max(3, seconds // 2)), best[1]))
    figure(f"pgbench single-row inserts, best ({best[1]} clients)", best[0], "/s")
    figure("webhook accepts, durable before the answer, best", max(rounds), "/s")
    figure("accepts / pgbench single-row inserts", max(rounds) / best[0], "times", ">= 0.7", max(rounds) / best[0] >= 0.7)
    memory(suite, "under load")
    left = lambda: int(suite.sql("bot_gateway", "SELECT count(*) FROM incoming WHERE state = 'new'")[0][0])
    waiting, begin = left(), time.monotonic()
    wait_for(lambda: left() < waiting * 0.7 or left() == 0, 300, "a third of the backlog worked")
    figure("updates worked into talks and leads", (waiting - left()) / max(0.001, time.monotonic() - begin), "/s")


def flood(suite, seconds, first):
    """Accepted updates a second; each that was acknowledged is looked for in the database."""
    before = int(suite.sql("bot_gateway", "SELECT count(*) FROM incoming")[0][0])
    start = time.monotonic()
    out = subprocess.run(
        ["wrk", "-t1", "-c64", f"-d{seconds}s", "-s", str(HERE / "updates.lua"), suite.url("bot-gateway") + "/telegram/shop/webhook"],
        env={**os.environ, "WEBHOOK_SECRET": SECRET, "FIRST_UPDATE": str(first)}, check=True, capture_output=True, text=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    answered = int(re.search(r"(\d+) requests in", out)[1]) - (int(bad[1]) if bad else 0)
    took = time.monotonic() - start
    stored = int(suite.sql("bot_gateway", "SELECT count(*) FROM incoming")[0][0]) - before
    assert stored >= answered, f"{answered} were acknowledged, {stored} are stored"
    return answered / took


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--json", action="store_true", help="a line per figure: {name, value, unit, goal, holds}")
parser.add_argument("--quick", action="store_true", help="smaller backlogs: 1,000 and 100,000 events instead of a million")
parser.add_argument("--demonstrations", action="store_true", help="only the mission's demonstrations that the bridge to 1C carries")
parser.add_argument("--seconds", type=int, default=10, help="length of the load")
arguments = parser.parse_args()


def measure(folder):
    os.chmod(folder, 0o755)
    suite = Suite(folder)
    try:
        begin = time.monotonic()
        suite.start()
        figure("first start until ready", time.monotonic() - begin, "s", "< 15", time.monotonic() - begin < 15)
        time.sleep(5)  # an idle suite is what is measured
        memory(suite, "idle", 250)
        server = Server(suite)
        delays(suite, server, 200)
        accepts(suite, server, arguments.seconds)
        catalog.measure(suite, figure, arguments.quick)
        bus.measure(server, figure, arguments.quick)
        journal.measure(suite, server, figure, arguments.quick)
    finally:
        suite.stop()


if arguments.demonstrations:
    demonstrations.play(figure)
else:
    with tempfile.TemporaryDirectory(prefix="throughline-bench-") as place:
        measure(place)
    systems_away.measure(figure, percentile, arguments.quick)
if arguments.json:
    for one in figures:
        print(json.dumps(one))
