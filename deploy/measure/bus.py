"""The bus against the machine's own limits and its peers: throughput, delay, and what a backlog costs.

Each figure is a ratio within one run. The load is `bus-load`: a publisher and subscribers, each in its own process and schema, each
writing a row of its own as its effect, all durable as the bus promises.
"""
import json
import os
import re
import statistics
import subprocess
import tempfile
import threading
from pathlib import Path

import peers

BODY = 400


class Member:
    """A running `bus-load`; its lines are read as they come."""

    def __init__(self, *words):
        binary = Path(os.environ["THROUGHLINE_BIN"]) / "bus-load"
        self.process = subprocess.Popen([binary, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.lines, self.news = [], threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append(json.loads(line))
                self.news.notify_all()

    def wait(self, state, seconds=300):
        """The first line of this state."""
        def there():
            return next((line for line in self.lines if line["state"] == state), None)
        with self.news:
            if not self.news.wait_for(there, seconds):
                raise AssertionError(f"no «{state}» within {seconds} s: {self.lines[-1:]}")
            return there()

    def go(self):
        """One that was `held` goes on."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def megabytes(self):
        """The most it has ever held."""
        return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[1]) / 1024

    def end(self):
        self.process.terminate()
        self.process.wait(20)


class Bus:
    """Publisher and subscribers with fresh schemas."""

    def __init__(self, server, subscribers=1):
        self.server, self.subscribers, self.members = server, subscribers, []
        self.folder = tempfile.TemporaryDirectory(prefix="tl-bus-")
        names = ["load_p"] + [f"load_s{n}" for n in range(1, subscribers + 1)]
        server.run("".join(f"DROP SCHEMA IF EXISTS {name} CASCADE;" for name in names))
        self.place = ["--folder", self.folder.name, "--database", server.url, "--subscribers", subscribers]
        Member("keys", *self.place).process.wait(20)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for member in self.members:
            member.end()
        self.folder.cleanup()

    def subscribe(self, index=1, **options):
        return self.start("subscribe", index=index, **options)

    def publish(self, **options):
        return self.start("publish", size=BODY, **options)

    def start(self, role, **options):
        words = [word for name, value in options.items() for word in [f"--{name.replace('_', '-')}", value][:1 if value is True else 2]]
        member = Member(role, *self.place, *words)
        self.members.append(member)
        member.wait("ready", 60)
        return member


def throughput(server, count, subscribers=1):
    """Events a second from the first publish until the last subscriber has applied all; they know each other by then."""
    with Bus(server, subscribers) as bus:
        takers = [bus.subscribe(n, expect=count) for n in range(1, subscribers + 1)]
        publisher = bus.publish(count=count, batch=200, writers=2, held=True)
        for taker in takers:
            taker.wait("first")
        publisher.go()
        said = publisher.wait("said")
        return count / ((max(taker.wait("done")["at"] for taker in takers) - said["from"]) / 1e9)


def delay(server, count, warm_up=700, rate=100):
    with Bus(server) as bus:
        taker = bus.subscribe(expect=count + warm_up, warm_up=warm_up)
        bus.publish(count=count + warm_up, batch=1, writers=4, rate=rate)
        return taker.wait("done")


def unnest(server, seconds):
    """Rows a second of PostgreSQL alone: 200 rows a transaction."""
    server.run("CREATE TABLE IF NOT EXISTS bench.bulk (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL, body bytea NOT NULL)")
    script = server.folder / "unnest.sql"
    script.write_text(
        "INSERT INTO bench.bulk (key, body) SELECT * FROM unnest(array_fill('key'::text, ARRAY[200]), "
        f"array_fill(decode(repeat('61', {BODY}), 'hex'), ARRAY[200]));\n")
    return 200 * transactions(server, script, seconds)


def unnest_events(server, seconds):
    """The same into the layout of our own log: its columns, its day's partition, its two indexes."""
    server.run(
        "DROP TABLE IF EXISTS bench.event CASCADE; CREATE TABLE bench.event (id bigint GENERATED ALWAYS AS IDENTITY, "
        "day date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), "
        "stream text NOT NULL, lane text NOT NULL, key text NOT NULL, type text NOT NULL, event_id uuid NOT NULL, correlation uuid, "
        "causation uuid, at timestamptz NOT NULL, digest bytea NOT NULL CHECK (octet_length(digest) = 32), body bytea NOT NULL, "
        "PRIMARY KEY (day, id)) PARTITION BY RANGE (day); CREATE INDEX ON bench.event (xid, stream, lane); "
        "CREATE TABLE bench.event_all PARTITION OF bench.event DEFAULT")
    script = server.folder / "unnest_events.sql"
    script.write_text(
        "INSERT INTO bench.event (stream, lane, type, key, event_id, at, digest, body) SELECT 'load-p', 'main', 'load.said.v1', * FROM unnest("
        "array_fill('key'::text, ARRAY[200]), array_fill(gen_random_uuid(), ARRAY[200]), array_fill(now(), ARRAY[200]), "
        f"array_fill(decode(repeat('61', 32), 'hex'), ARRAY[200]), array_fill(decode(repeat('61', {BODY}), 'hex'), ARRAY[200]));\n")
    return 200 * transactions(server, script, seconds)


def promised(server, seconds):
    """Events a second of which PostgreSQL alone could write all that the bus promises for each: the publisher's effect and its log, then
    the subscriber's copy and its effect, 200 at a time. No bus can be faster that keeps them; reading and numbering are not counted."""
    server.run(
        "DROP TABLE IF EXISTS bench.ledger, bench.copies; CREATE TABLE bench.ledger (number bigint NOT NULL, key text NOT NULL, "
        "place bigserial); CREATE TABLE bench.copies (first bigint NOT NULL, last bigint NOT NULL, event_ids uuid[] NOT NULL, "
        "ats timestamptz[] NOT NULL, links bytea[] NOT NULL, bodies bytea[] COMPRESSION lz4 NOT NULL)")
    effect = ("INSERT INTO bench.ledger (number, key) SELECT * FROM unnest(array_fill(1::bigint, ARRAY[200]), "
              "array_fill('key'::text, ARRAY[200]));\n")
    script = server.folder / "promised.sql"
    script.write_text(
        f"BEGIN;\n{effect}{(server.folder / 'unnest_events.sql').read_text()}COMMIT;\nBEGIN;\n"
        "INSERT INTO bench.copies VALUES (1, 200, array_fill(gen_random_uuid(), ARRAY[200]), array_fill(now(), ARRAY[200]), "
        f"array_fill(decode(repeat('61', 32), 'hex'), ARRAY[200]), array_fill(decode(repeat('61', {BODY}), 'hex'), ARRAY[200]));\n"
        f"{effect}COMMIT;\n")
    return 200 * transactions(server, script, seconds)


def transactions(server, script, seconds):
    """Transactions a second of two clients."""
    out = subprocess.run([server.pgbench, "-n", "-M", "prepared", "-f", script, "-c", "2", "-j", "2", "-T", str(seconds), server.url],
                         check=True, capture_output=True, text=True).stdout
    return float(re.search(r"tps = ([0-9.]+)", out)[1])


def settled(server):
    """Nothing is left to be tidied up in the background of what is measured next."""
    for statement in ["VACUUM ANALYZE", "CHECKPOINT"]:
        server.run(statement)


def commits(server, rate, seconds):
    """Milliseconds of each single commit at a pace; a machine that is woken for each is slower than one that is kept busy."""
    for old in server.folder.glob("paced.*"):
        old.unlink()
    subprocess.run([server.pgbench, "-n", "-M", "prepared", "-f", server.script, "-c", "1", "-R", str(rate), "-T", str(seconds), "-l",
                    "--log-prefix", server.folder / "paced", server.url], check=True, capture_output=True)
    rows = [line.split() for log in server.folder.glob("paced.*") for line in log.read_text().splitlines()]
    # The time less what it waited behind its schedule.
    return sorted((int(row[2]) - int(row[6])) / 1000 for row in rows)


def backlog(server, figure, count, live):
    """A subscriber that was away: how fast it catches up, what that holds in memory, and what it costs a live one."""
    with Bus(server, 2) as bus:
        publisher = bus.publish(count=count, batch=200, writers=2)
        publisher.wait("said", 600)
        watcher = bus.subscribe(2, expect=count)
        watcher.wait("done", 600)
        bus.members.remove(watcher)
        watcher.end()
        bus.members.remove(publisher)
        publisher.end()
        calm = p99 = None
        if live:
            # One subscriber takes what is said now, first alone; then the other one catches up meanwhile.
            calm = taken_live(bus, count)
            settled(server)
            watcher = bus.subscribe(2, expect=LIVE, warm_up=700)
            bus.publish(first=count + LIVE, count=LIVE, batch=1, writers=4, rate=100)
        else:
            bus.publish(count=0)
        taker = bus.subscribe(1, expect=count)
        done = taker.wait("done", 600)
        rate = count / ((done["at"] - done["first"]) / 1e9)
        if live:
            p99 = watcher.wait("done", 120)["p99"]
        held_by = [(name, member.megabytes()) for name, member in [("subscriber", taker), ("publisher", bus.members[-2])]]
        if live:
            # Before and after: a machine that is shared is another one a minute later.
            for member in list(bus.members):
                bus.members.remove(member)
                member.end()
            calm = (calm + taken_live(bus, count + 2 * LIVE)) / 2
        figure(f"refill of a backlog of {count:,}", rate, "/s")
        for name, most in held_by:
            figure(f"{name}'s memory at a backlog of {count:,}", most, "MB", "< 64", most < 64)
        return rate, p99, calm


LIVE = 3000


def taken_live(bus, first):
    """The p99 of a live subscriber with nobody catching up beside it."""
    settled(bus.server)
    watcher = bus.subscribe(2, expect=LIVE, warm_up=700)
    publisher = bus.publish(first=first, count=LIVE, batch=1, writers=4, rate=100)
    p99 = watcher.wait("done", 120)["p99"]
    for member in [watcher, publisher]:
        bus.members.remove(member)
        member.end()
    return p99


def measure(server, figure, quick):
    count = 100_000
    # In turn and three times: a machine that is shared is twice as fast in one minute as in the next.
    rounds = [(throughput(server, count), unnest(server, 4), unnest_events(server, 4), promised(server, 4),
               peers.rabbitmq(count, BODY), peers.jetstream(count, BODY)) for _ in range(1 if quick else 3)]
    alone, rows, events, most = (statistics.median(column) for column in list(zip(*rounds))[:4])
    figure("events published and applied, 1 publisher, 1 subscriber", alone, "/s")
    figure("PostgreSQL alone, INSERT … unnest of 200 rows", rows, "/s")
    figure("bus / INSERT … unnest", alone / rows, "times", ">= 0.3", alone / rows >= 0.3)
    figure("PostgreSQL alone, the same into our log's own layout", events, "/s")
    figure("bus / INSERT … unnest into our log's own layout", alone / events, "times")
    figure("PostgreSQL alone, all that the bus writes for each event", most, "/s")
    figure("bus / PostgreSQL alone, all that the bus writes", alone / most, "times")
    for place, name, goal in [(4, "RabbitMQ", 1.0), (5, "NATS JetStream", None)]:
        measured = [each[place] for each in rounds]
        rate = statistics.median(each["rate"] for each in measured)
        figure(f"{name} {measured[0]['version']}", rate, "/s")
        figure.note(f"    it flushes: {measured[0]['flushes']}")
        ratio = alone / rate
        figure(f"bus / {name}", ratio, "times", goal and f">= {goal}", None if goal is None else ratio >= goal)
    for subscribers in (2, 4):
        many = throughput(server, count // 2, subscribers)
        figure(f"events published and applied by each of {subscribers} subscribers", many, "/s")
        figure(f"{subscribers} subscribers / 1 subscriber", many / alone, "times")
    settled(server)
    commit = commits(server, 100, 8)
    calm = delay(server, 800)
    for name, share, limit in [("p50", .5, 6), ("p99", .99, 20)]:
        one = commit[min(len(commit) - 1, int(len(commit) * share))]
        figure(f"one pgbench commit at 100 /s, {name}", one, "ms")
        figure(f"published to applied at 100 /s, {name}", calm[name], "ms")
        figure(f"published to applied / one commit, {name}", calm[name] / one, "times", f"<= {limit}", calm[name] / one <= limit)
    held(server, figure)
    backlog(server, figure, 1000, False)
    large = 100_000 if quick else 1_000_000
    if not quick:
        backlog(server, figure, 100_000, False)
    rate, p99, without = backlog(server, figure, large, True)
    figure("refill / live throughput", rate / alone, "times", ">= 0.5", rate / alone >= 0.5)
    figure("live p99 without that refill", without, "ms")
    figure("live p99 beside that refill / without", p99 / without, "times", "< 2", p99 / without < 2)


def held(server, figure):
    """A transaction that holds a number in another database of the cluster must delay nothing. In turn, and three times: what is compared
    are two delays of a few milliseconds on a machine that is shared."""
    other = server.url.rsplit("/", 1)[0] + "/held"
    alone, beside = [], []
    for _ in range(3):
        alone.append(delay(server, 300)["p50"])
        server.run("CREATE DATABASE held")
        holder = subprocess.Popen(["psql", "-X", "-q", "-c", "CREATE TABLE h (n int)", "-c",
                                   "BEGIN; INSERT INTO h VALUES (1); SELECT pg_sleep(120); COMMIT", other])
        try:
            beside.append(delay(server, 300)["p50"])
        finally:
            holder.terminate()
            holder.wait(20)
            server.run("DROP DATABASE held WITH (FORCE)")
    ratio = statistics.median(beside) / statistics.median(alone)
    figure("p50 beside a held transaction / without", ratio, "times", "about 1", ratio < 1.5)
