"""Clocks jump. `libfaketime` stands before a process's clock; the monotonic one is left alone, as a jump leaves it."""
import glob
import os
import time

import pytest
from load import EVENTS
from waiting import lasting, wait_for


@pytest.fixture
def clock(work):
    """An environment, and a way to set what its clock is wrong by, in seconds."""
    library = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not library:
        pytest.skip("libfaketime is not installed (Debian: faketime)")

    class Clock:
        pids = []
        file = work / "clock"
        environment = {"LD_PRELOAD": library[0], "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1",
                       "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}

        def jump(self, seconds):
            self.file.write_text(f"{seconds:+d}\n")
    clock = Clock()
    clock.jump(0)
    yield clock
    # What the library leaves in shared memory when its process is killed.
    for pid in clock.pids:
        for left in glob.glob(f"/dev/shm/*faketime_*_{pid}"):
            os.unlink(left)


def wrong(load):
    """By how many hours the last event's time is off."""
    return load.ask(load.publishers, "SELECT round(extract(epoch FROM at - now()) / 3600) FROM load_p.event ORDER BY id DESC LIMIT 1")[0][0]


def test_services_clocks_jump(load, clock, row):
    load.publish(EVENTS * 2, rate=350, environment=clock.environment)
    load.subscribe(environment=clock.environment)
    clock.pids += [member.pid for member in load.members]
    load.taking(EVENTS // 20)
    for hours in [1, -1, 24 * 400, -24 * 400, 0]:
        clock.jump(hours * 3600)
        if abs(hours) == 1:
            wait_for(lambda: wrong(load) == str(hours), 10, "an event of the moved clock")
        else:
            lasting(0.8)
    row.holds(load, load.drain(), "±1 hour, ±400 days, and back")


def test_the_databases_clock_jumps(clusters, loads, clock, row):
    """Its days name partitions, and those of three days are there."""
    cluster = clusters("clock", environment=[f"{k}={v}" for k, v in clock.environment.items()]).make().start()
    clock.pids.append(cluster.process.pid)
    load = loads(cluster)
    load.publish(rate=350)
    load.subscribe()
    load.taking(EVENTS // 20)
    seen = []
    for hours in [1, -1, 24, -24, 0]:
        clock.jump(hours * 3600)
        lasting(0.8)
        seen.append(int(cluster.psql("SELECT extract(epoch FROM clock_timestamp())").stdout.split(".")[0]) - time.time())
    assert abs(seen[0] - 3600) < 60 and abs(seen[3] + 24 * 3600) < 60, f"the clock could not be moved: {seen}"
    row.holds(load, load.drain(), "±1 hour, ±1 day, and back")
