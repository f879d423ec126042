"""More is said than can be taken; what is missed is asked for again, and what is no longer kept is never skipped."""
import pytest
from load import EVENTS
from waiting import lasting, wait_for


def highest(member, check, seconds):
    """The most memory it held until `check` was true."""
    seen = [0]

    def look():
        seen[0] = max(seen[0], member.resident())
        return check()
    wait_for(look, seconds)
    return seen[0]


def test_a_subscriber_a_hundred_times_slower(loads, shared, row):
    """One takes 20 ms for each event; the other one does not feel it, nor does the publisher's memory."""
    assert shared.psql("CREATE DATABASE slow").returncode == 0
    load = loads(shared, "slow", subscribers=2)
    try:
        slow, quick = load.subscribe(slow=20).ready(), load.subscribe(index=2).ready()
        talker = load.publish(EVENTS * 4, batch=100)
        memory = highest(talker, lambda: talker.told("said") and load.taken_count(2) == EVENTS * 4, 60)
        behind = EVENTS * 4 - load.taken_count()
        assert behind > EVENTS * 3, "the slow one is far behind by now"
        assert memory < 96
        slow.kill()
        load.subscribe()
        load.drain(60)
        assert load.verdict(2).holds()
        row.holds(load, load.drain(), f"{behind} behind when the quick one was done; the publisher held {memory:.0f} MB at most")
    finally:
        load.end()
        shared.psql("DROP DATABASE slow WITH (FORCE)")


def test_a_publisher_whose_subscriber_reads_nothing(load, row):
    """Frozen, it leaves its queue at the publisher to fill: large events, so that bytes count and not messages."""
    taker = load.subscribe().ready()
    talker = load.publish(1, size=4000).ready()
    load.drain()
    talker.kill()
    talker = load.publish(EVENTS * 7, batch=100, size=4000).ready()
    taker.pause()
    memory = highest(talker, lambda: talker.told("said"), 90)
    taker.wake()
    took = load.drain(60)
    row.holds(load, took, f"{EVENTS * 7 * 4 // 1000} MB were said to it; the publisher held {memory:.0f} MB at most")
    assert memory < 64


def test_the_largest_events(load, row):
    load.subscribe()
    load.publish(EVENTS // 50, size=255_000, batch=5)
    row.holds(load, load.drain(), "255 KB each")


def test_a_hole_that_retention_left(load, row):
    """A day goes that the subscriber has not taken: as the keeper does it when the log is too large."""
    talker, taker = load.publish(EVENTS // 3), load.subscribe()
    load.drain()
    taker.kill()
    talker.kill()
    talker = load.publish(EVENTS // 3)
    wait_for(lambda: talker.told("said") and load.head()[2] == EVENTS // 3 * 2)
    talker.kill()
    # Yesterday, all this; and yesterday is gone.
    load.ask(load.publishers, "UPDATE load_p.event_run SET day = day - 1; UPDATE load_p.day_range SET day = day - 1")
    talker = load.publish(EVENTS // 3)
    wait_for(lambda: talker.told("said") and load.head()[2] == EVENTS // 3 * 3)
    talker.kill()
    load.ask(load.publishers, "DELETE FROM load_p.day_range WHERE day < (SELECT max(day) FROM load_p.day_range)")
    load.standby()
    taker = load.subscribe()
    wait_for(lambda: "HOLE" in taker.words, 20, "the subscriber to say HOLE")
    lasting(2)
    assert load.cursor() == load.taken_count() == EVENTS // 3
    row.stopped(f"HOLE after #{load.cursor()}: nothing beyond it was taken")


def test_a_log_of_which_nothing_is_kept(load, row):
    """A quiet publisher: all its days have gone, all was taken. It starts again, and nobody has lost anything."""
    talker, taker = load.publish(EVENTS // 3), load.subscribe()
    load.drain()
    talker.kill()
    load.ask(load.publishers, "DELETE FROM load_p.day_range")
    talker = load.standby().ready()
    lasting(3)
    assert "FORKED" not in taker.words, taker.words
    talker.kill()
    load.publish(EVENTS // 3)
    took = load.drain()
    row.holds(load, took, "all days dropped; then more was said")
