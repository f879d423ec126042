"""The table of faults: a row for each, also for those that could not be tried and why."""
import os
import platform
from datetime import date

COLUMNS = ["fault", "said", "taken", "lost", "doubled", "out of order", "recovered in, s", "note"]


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
        for title, found in [("Failed", self.failed), ("Not tried", self.skipped)]:
            if found:
                lines += ["", f"## {title}", ""] + [f"- {name}: {why}" for name, why in found]
        return lines

    def write(self, file):
        with open(file, "w") as out:
            out.write("\n".join(["# Faults", ""] + self.head() + self.lines()) + "\n")
