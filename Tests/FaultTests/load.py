"""A publisher and its subscribers as real processes, and the oracle: what was said against what was done, with an order per key.

The oracle is Jepsen's total-queue: all that is in the publisher's ledger is in the subscriber's exactly once, nothing else is, and
each key's numbers stand there in the order that the log gave them."""
import json
import os
import signal
import subprocess
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from waiting import wait_for

BIN = Path(os.environ.get("THROUGHLINE_BIN", ".build/debug")).absolute()
EVENTS = int(os.environ.get("THROUGHLINE_FAULT_EVENTS", "2000"))


class Member:
    """One process of `bus-load`. It dies with its test."""

    def __init__(self, log, arguments, inside=(), environment=None):
        self.log = Path(log)
        with open(f"{log}.out", "wb") as out, open(f"{log}.err", "wb") as err:
            self.process = subprocess.Popen(
                [*inside, "setpriv", "--pdeathsig", "KILL", BIN / "bus-load", *map(str, arguments)], stdout=out, stderr=err,
                env={**os.environ, **(environment or {})})
        self.pid = self.process.pid

    @property
    def lives(self):
        return self.process.poll() is None

    def told(self, state):
        """Its lines of this state."""
        lines = [json.loads(line) for line in Path(f"{self.log}.out").read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if line["state"] == state]

    @property
    def words(self):
        """What it complained of."""
        return Path(f"{self.log}.err").read_text()

    def ready(self, seconds=20):
        wait_for(lambda: self.told("ready") or not self.lives, seconds, "a member to be ready")
        assert self.lives, self.words
        return self

    def stop(self):
        """Asks it to end, and waits."""
        self.process.terminate()
        self.process.wait(20)

    def kill(self):
        if self.lives:
            self.process.kill()
        self.process.wait(20)

    def died(self, seconds=30):
        wait_for(lambda: not self.lives, seconds, "the process to die")

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def wake(self):
        self.process.send_signal(signal.SIGCONT)

    def resident(self):
        """Megabytes."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * 4 / 1024


@dataclass
class Verdict:
    said: int
    taken: int
    lost: int
    doubled: int
    unexpected: int
    disordered: int

    def holds(self):
        return not (self.lost or self.doubled or self.unexpected or self.disordered)


class Load:
    def __init__(self, folder, cluster, database="postgres", subscribers=1, taker=None):
        """`taker`: the subscribers' own cluster."""
        self.folder = Path(folder)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.publishers, self.takers = (cluster, database), (taker or cluster, database)
        self.subscribers = subscribers
        self.members, self.next, self.tcp = [], 0, None
        self.inside = {"publish": (), "subscribe": ()}
        subprocess.run([BIN / "bus-load", "keys", "--folder", self.folder, "--subscribers", str(subscribers)], check=True)

    def start(self, what, place, options, environment=None):
        cluster, database = place
        words = [what, "--folder", self.folder, "--database", cluster.url(database), "--subscribers", self.subscribers]
        if self.tcp:
            words += ["--tcp", self.tcp]
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), value]
        member = Member(self.folder / f"{len(self.members)}-{what}", words, self.inside[what], environment)
        self.members.append(member)
        return member

    def publish(self, count=EVENTS, environment=None, **options):
        """Numbers are never said again: what a killed publisher did not commit is not taken up by the next."""
        options = {"count": count, "first": self.next, "batch": 10, **options}
        self.next += count
        return self.start("publish", self.publishers, options, environment)

    def subscribe(self, environment=None, **options):
        return self.start("subscribe", self.takers, options, environment)

    def standby(self):
        """A publisher that only serves what was said, once it leads."""
        return self.publish(0)

    def end(self):
        for member in self.members:
            member.kill()

    # What the databases say.

    def ask(self, place, statement):
        """Rows, or None while the database does not answer."""
        cluster, database = place
        run = cluster.psql(statement, database)
        return [line.split("\t") for line in run.stdout.splitlines()] if run.returncode == 0 else None

    def said_count(self):
        rows = self.ask(self.publishers, "SELECT count(*) FROM load_p.ledger")
        return int(rows[0][0]) if rows else None

    def taken_count(self, index=1):
        rows = self.ask(self.takers, f"SELECT count(*) FROM load_s{index}.ledger")
        return int(rows[0][0]) if rows else None

    def taking(self, count=1, index=1, seconds=30):
        wait_for(lambda: (self.taken_count(index) or 0) >= count, seconds, f"{count} events to be taken")

    def cursor(self, index=1):
        rows = self.ask(self.takers, f"SELECT seq FROM load_s{index}.subscription_cursor WHERE lane = 'main'")
        return int(rows[0][0]) if rows else None

    def head(self):
        """Epoch, term and number of the log's last event."""
        rows = self.ask(self.publishers, "SELECT epoch, term, seq FROM load_p.stream_head WHERE lane = 'main'")
        return tuple(map(int, rows[0])) if rows else None

    def drain(self, seconds=30, index=1, parked=0):
        """Waits until all that living publishers have to say is said and taken; seconds it took."""
        begun = time.monotonic()
        talkers = [m for m in self.members if m.lives and "publish" in m.log.name]

        def drained():
            if not all(m.told("said") for m in talkers if m.lives):
                return False
            said = self.said_count()
            return said is not None and self.taken_count(index) == said - parked
        try:
            wait_for(drained, seconds, "the load to drain")
        except AssertionError as error:
            raise AssertionError(f"{error}: said {self.said_count()}, taken {self.taken_count(index)}, head {self.head()}, "
                                 f"cursor {self.cursor(index)}; " + self.complaints()) from None
        return time.monotonic() - begun

    def complaints(self):
        """How each began to complain, and how it ended."""
        def said(member):
            words = member.words
            return words if len(words) < 1600 else words[:800] + "\n…\n" + words[-800:]
        return "\n".join(f"{m.log.name} {'lives' if m.lives else m.process.returncode}: {said(m)}" for m in self.members[-4:])

    def verdict(self, index=1):
        said = Counter(int(r[0]) for r in self.ask(self.publishers, "SELECT number FROM load_p.ledger"))
        logged = self.ask(
            self.publishers, "SELECT e.key, convert_from(e.body, 'UTF8')::json->'data'->>'number' FROM load_p.event_no AS n "
            "JOIN load_p.event AS e ON e.day = n.event_day AND e.id = n.event_id "
            "WHERE e.type = 'load.said.v1' ORDER BY n.lane, n.seq")
        rows = self.ask(self.takers, f"SELECT key, number FROM load_s{index}.ledger ORDER BY place")
        taken = Counter(int(number) for _, number in rows)
        # What was said and what stands in the log is one transaction: else the order below would mean nothing.
        assert Counter(int(number) for _, number in logged) == said, "the log is not what was said"
        places = defaultdict(list)
        for place, (_, number) in enumerate(logged):
            places[number].append(place)
        last, disordered = {}, 0
        for key, number in rows:
            place = places[number].pop(0) if places[number] else -1
            disordered += place >= 0 and place < last.get(key, -1)
            last[key] = max(place, last.get(key, -1))
        strangers = {n: c for n, c in taken.items() if n not in said}
        return Verdict(
            said=said.total(), taken=taken.total(), lost=(said - taken).total(),
            doubled=sum(max(0, c - said[n]) for n, c in taken.items() if n in said),
            unexpected=sum(strangers.values()), disordered=disordered)
