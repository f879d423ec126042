"""The table of faults: a row for each, also for those that could not be tried and why."""
import os
import platform
from datetime import date

COLUMNS = ["fault", "said", "taken", "lost", "doubled", "out of order", "recovered in, s", "note"]


# What the list of faults names and nothing here tries, so that nobody takes silence for a proof.
UNTRIED = [
    ("an OOM kill under a flood", "it is a SIGKILL, which is tried at every marked step; limits of memory are asserted in the flow's rows"),
    ("SIGSTOP for 60 s", "12 s are tried, longer than every limit that a pause can pass; more is the same"),
    ("two schema versions living side by side, and a downgrade", "not supported: services of one schema are stopped, migrated and started"),
    ("max_connections reached", "a session that cannot begin is tried with descriptors; the server's own refusal is the same passing error"),
    ("serialization failures at 5 %", "no transaction of ours is serializable; deadlocks and lock time-outs are passing errors, tried one by one"),
    ("a handler that loops or takes all memory", "the watch over handlers ends the process after 120 s, which then is a death as by SIGKILL; not waited for here"),
    ("the ZAP thread's death", "no way into the thread from outside; that nobody gets in without it is libzmq's enforcement of the domain"),
    ("DNS failure, a peer's other address", "peers are named by address here; a connection that ends for good is made again, which is tried"),
    ("leap smear, a drift of 5 %", "jumps forth and back are tried; nothing that is ordered or timed out reads the wall clock"),
]


class Report:
    def __init__(self):
        self.parts = {}
        self.skipped = []
        self.failed = []
        self.postgres = self.libzmq = "?"

    def add(self, part, fault, verdict=None, recovered=None, note=""):
        numbers = ["–"] * 5 if verdict is None else [
            verdict.said, verdict.taken, verdict.lost, verdict.doubled + verdict.unexpected, verdict.disordered]
        seconds = "–" if recovered is None else f"{recovered:.1f}"
        self.parts.setdefault(part, []).append([fault, *map(str, numbers), seconds, note])

    def head(self):
        return [f"Run on {date.today()}: {platform.system()} {platform.release().split('-')[0]} on {os.cpu_count()} cores, "
                f"PostgreSQL {self.postgres}, libzmq {self.libzmq}.", "",
                "Each row is one fault on real processes under a seeded load: *said* and *taken* are events in the ledgers of the "
                "publisher and of the subscriber, *doubled* counts also what was never said, *out of order* is per key, and "
                "*recovered* is from the fault's end until everything said was taken. A dash: the stream had to stop visibly, "
                "and did."]

    def lines(self):
        lines = []
        for part, rows in self.parts.items():
            lines += ["", f"## {part.capitalize()}", "", "| " + " | ".join(COLUMNS) + " |",
                      "|---|" + "---:|" * 6 + "---|"]
            lines += ["| " + " | ".join(row) + " |" for row in rows]
        for title, found in [("Failed", self.failed), ("Skipped here", self.skipped), ("Not tried", UNTRIED)]:
            if found:
                lines += ["", f"## {title}", ""] + [f"- {name}: {why}" for name, why in found]
        return lines

    def write(self, file):
        with open(file, "w") as out:
            out.write("\n".join(["# Faults", ""] + self.head() + self.lines()) + "\n")
