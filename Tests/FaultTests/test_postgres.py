"""Databases crash, lose their sessions, fill up, and come back older than they were."""
import os
import signal
import subprocess

import pytest
from cluster import BINARIES
from load import EVENTS
from rooms import SmallDisk
from waiting import lasting, wait_for


def test_an_immediate_restart_under_load(clusters, loads, row):
    cluster = clusters("pg").make().start()
    load = loads(cluster)
    # Slow enough to be still under way after the third.
    load.publish(rate=100)
    load.subscribe()
    for _ in range(3):
        load.taking((load.taken_count() or 0) + EVENTS // 10)
        cluster.stop()
        cluster.start()
    row.holds(load, load.drain(), "three times")


def test_a_backend_killed_by_9(clusters, loads, row):
    """The server then ends every session and recovers, as after a crash."""
    cluster = clusters("pg").make().start()
    load = loads(cluster)
    load.publish(rate=400)
    load.subscribe()
    for name in ["load-p", "load-s1"]:
        load.taking((load.taken_count() or 0) + EVENTS // 10)
        pid = cluster.psql(f"SELECT pid FROM pg_stat_activity WHERE application_name = '{name}' LIMIT 1").stdout
        os.kill(int(pid), signal.SIGKILL)
        wait_for(cluster.answers, 30)
    row.holds(load, load.drain(), "one of each side's")


def test_a_crash_right_after_the_last_event(clusters, loads, row):
    """Effects are committed without a flush: the last ones fall back with the cursor, and have to be done again."""
    cluster, taker = clusters("pg").make().start(), clusters("taker").make()
    with open(taker.data / "postgresql.auto.conf", "a") as settings:
        settings.write("wal_writer_delay = '10s'\nwal_writer_flush_after = '1GB'\n")
    load = loads(cluster, taker=taker.start())
    load.publish(EVENTS // 3)
    load.subscribe()
    load.drain()
    taker.stop()
    taker.start()
    fallen = EVENTS // 3 - load.taken_count()
    row.holds(load, load.drain(12), f"{fallen} effects fell back")


def test_every_session_terminated(load, row):
    load.publish(rate=1000).ready()
    load.subscribe().ready()
    for _ in range(8):
        lasting(0.3)
        load.ask(load.takers, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                              "WHERE datname = current_database() AND pid <> pg_backend_pid()")
    row.holds(load, load.drain(), "eight times")


def test_a_transaction_held_in_another_database(load, shared, row):
    """An xid and a snapshot held elsewhere in the cluster delay nothing: its delay against that without."""
    taker = load.subscribe(expect=EVENTS // 2).ready()
    talker = load.publish(EVENTS // 2, rate=400)
    free = wait_for(lambda: taker.told("done"), 30)[0]["p50"]
    # In order: after a death each event is looked at alone for a while, which would be measured too.
    talker.stop()
    taker.stop()
    held = shared.session("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id()")
    try:
        taker = load.subscribe(expect=EVENTS // 2).ready()
        load.publish(EVENTS // 2, rate=400)
        load.drain()
        blocked = wait_for(lambda: taker.told("done"), 10)[0]["p50"]
        assert held.poll() is None
        row.holds(load, 0, f"delay {blocked / free:.1f} times that without it ({free:.0f} ms)")
        # A real hold would last as long as that session.
        assert blocked < max(free * 3 + 20, 1000)
    finally:
        held.kill()


def stops(load, taker, word, seconds=30):
    """The stream says why it stands, and stands."""
    wait_for(lambda: word in taker.words, seconds, f"the subscriber to say {word}")
    before = (load.cursor(), load.taken_count())
    lasting(2)
    assert (load.cursor(), load.taken_count()) == before and taker.lives
    return before[0]


def test_a_failover_that_lost_the_tail(clusters, loads, row):
    old, takers = clusters("old").make().start(), clusters("taker").make().start()
    load = loads(old, taker=takers)
    talker, taker = load.publish(EVENTS // 3), load.subscribe()
    load.drain()
    standby = old.base_backup(clusters("standby").folder, "-R")
    standby.start()
    wait_for(lambda: standby.psql("SELECT count(*) FROM load_p.ledger").stdout.strip() == str(EVENTS // 3))
    standby.stop(signal.SIGINT)
    load.publish(EVENTS // 3)
    talker.kill()
    load.drain()
    for member in load.members:
        if member is not taker:
            member.kill()
    old.stop()
    standby.start()
    try:
        standby.command(BINARIES / "pg_ctl", "promote", "-D", standby.data)
        load.publishers = (standby, "postgres")
        load.publish(EVENTS)
        place = stops(load, taker, "FORKED")
        assert place == EVENTS // 3 * 2 == load.taken_count()
        row.stopped(f"FORKED at #{place}: nothing skipped, nothing of the other history taken")
    finally:
        standby.stop()


def test_an_older_copy_restored(clusters, loads, row):
    """Point-in-time restore of the publisher, with the subscriber ahead."""
    old, takers = clusters("old").make().start(), clusters("taker").make().start()
    load = loads(old, taker=takers)
    talker, taker = load.publish(EVENTS // 3), load.subscribe()
    load.drain()
    copy = old.base_backup(clusters("copy").folder)
    talker.kill()
    talker = load.publish(EVENTS // 3)
    load.drain()
    talker.kill()
    old.stop()
    copy.start()
    try:
        load.publishers = (copy, "postgres")
        load.standby()
        place = stops(load, taker, "FORKED", 30)
        assert place == EVENTS // 3 * 2 == load.taken_count()
        row.stopped(f"FORKED: the subscriber is at #{place}, the publisher's last is #{load.head()[2]}")
    finally:
        copy.stop()


def test_a_dump_restored_into_a_new_cluster(clusters, loads, row):
    old, takers = clusters("old").make().start(), clusters("taker").make().start()
    # The old cluster's transaction numbers are far beyond the new one's.
    for _ in range(20):
        old.psql("DO $$ BEGIN FOR i IN 1..300 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")
    load = loads(old, taker=takers)
    talker = load.publish(EVENTS // 2)
    load.subscribe()
    load.taking(EVENTS // 4)
    talker.kill()
    # Said and not numbered: it is numbered over there.
    unnumbered(load, 50)
    epoch = load.head()[0]
    dump = load.folder / "dump"
    with open(dump, "wb") as out:
        subprocess.run([BINARIES / "pg_dump", "-Fc", "-d", old.url()], stdout=out, check=True)
    old.stop()
    new = clusters("new").make().start()
    subprocess.run([BINARIES / "pg_restore", "-d", new.url(), dump], check=True, capture_output=True)
    load.publishers = (new, "postgres")
    load.publish(EVENTS // 2)
    took = load.drain()
    assert load.head()[0] == epoch + 1
    row.holds(load, took, f"epoch {epoch} became {epoch + 1}; 50 events that had no number came along")


def unnumbered(load, count):
    """Copies of the last events under new ids and numbers, by SQL: nobody runs who could number them."""
    first = load.next
    load.next += count
    done = load.ask(load.publishers, f"""
        WITH said AS (
            SELECT n, id, e.*, 'k' || n % 100 AS key, convert_to((e.said || jsonb_build_object('id', id, 'partitionkey', 'k' || n % 100,
                'data', e.said->'data' || jsonb_build_object('number', n)))::text, 'UTF8') AS bytes
            FROM (SELECT n, gen_random_uuid() AS id FROM generate_series({first}, {first + count - 1}) AS n) AS g,
                (SELECT stream, lane, type, at, convert_from(body, 'UTF8')::jsonb AS said
                 FROM load_p.event ORDER BY event.id DESC LIMIT 1) AS e),
        ledger AS (INSERT INTO load_p.ledger (number, key) SELECT n, key FROM said)
        INSERT INTO load_p.event (stream, lane, key, type, event_id, at, digest, body)
        SELECT stream, lane, key, type, id, at, sha256(bytes), bytes FROM said ORDER BY n""")
    assert done is not None


def test_a_byte_flipped_in_the_log(load, row):
    """The log refuses to be believed: the chain tells."""
    talker = load.publish(EVENTS // 3)
    wait_for(lambda: talker.told("said") and load.head()[2] == EVENTS // 3)
    talker.kill()
    load.ask(load.publishers, "UPDATE load_p.event SET body = set_byte(body, 300, get_byte(body, 300) # 1) "
                              f"WHERE id = (SELECT max(id) FROM load_p.event) - 100")
    load.standby()
    taker = load.subscribe()
    place = stops(load, taker, "QUARANTINED")
    assert place < EVENTS // 3 - 100
    row.stopped(f"QUARANTINED after #{place}: nothing of its page was taken")


def test_a_full_disk(work, clusters, loads, row):
    if os.getuid() != 0:
        pytest.skip("a disk of its own needs root")
    try:
        disk = SmallDisk(work / "disk", 160)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no loop mount here: {error}")
    try:
        cluster = clusters("full", data=disk.place / "data", inside=disk.room.inside).make().start()
        load = loads(cluster)
        talker = load.publish(EVENTS * 2, rate=500, size=4000)
        load.subscribe()
        load.taking(EVENTS // 10)
        disk.fill()
        # The log of transactions needs a new file sooner or later; then the server gives up and recovers, or ends.
        lasting(4)
        said = load.said_count()
        assert "No space left" in (cluster.folder / "log").read_text() + talker.words
        disk.clear()
        ended = cluster.process.poll() is not None
        if ended:
            cluster.start()
        wait_for(cluster.answers, 30)
        row.holds(load, load.drain(60), f"4 s without room{'; the server had ended itself' if ended else ''}"
                                        f"{'' if said else '; it did not answer'}")
        assert talker.lives
    finally:
        for cluster in [c for c in clusters.made if c.inside]:
            cluster.stop()
        disk.close()
