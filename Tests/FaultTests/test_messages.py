"""What is said is repeated, turned round, changed or nonsense. Only what fits the chain is ever taken."""
import json
import os
import uuid

import pytest
from load import EVENTS
from peers import Liar
from waiting import lasting, wait_for

COUNT = EVENTS // 3


@pytest.fixture
def liar(load):
    """Half of the log is taken; then the publisher is gone and one who holds its key sits at its doors."""
    talker, taker = load.publish(COUNT), load.subscribe()
    load.drain()
    taker.kill()
    talker.kill()
    talker = load.publish(COUNT)
    wait_for(lambda: talker.told("said") and load.head()[2] == 2 * COUNT)
    talker.kill()
    liar = Liar(load)
    load.subscribe().ready()
    liar.welcome(liar.asked(b"HELLO"))
    liar.heard()
    # It believes the welcome: before that it takes nothing, and the two come by different sockets.
    liar.asked(b"PULLPAGE")
    yield liar
    liar.close()


def back(load, liar, row, note):
    """The true publisher comes back."""
    liar.close()
    load.standby()
    row.holds(load, load.drain(), note)


def test_frames_repeated_and_turned_round(load, liar, row):
    parts = [(first, liar.true(first, 10)) for first in range(COUNT + 1, COUNT + 201, 10)]
    for first, bodies in reversed(parts):
        liar.say(first, bodies)
    for first, bodies in parts + parts:
        liar.say(first, bodies)
    liar.say(1, liar.true(1, 20))
    load.taking(COUNT + 200)
    assert load.taken_count() == COUNT + 200
    back(load, liar, row, "20 messages backwards, then twice, then from the start")


def changed(body):
    event = json.loads(body)
    event["data"]["number"] += 1_000_000
    return json.dumps(event).encode()


def test_a_changed_body(load, liar, row):
    """Live it is not taken; from the log too it is not, and the stream stops and says so."""
    first, taker = COUNT + 1, load.members[-1]
    lie = [changed(liar.bodies[first])]
    liar.say(first, lie, after=liar.links[first])
    asked = liar.asked(b"PULLPAGE")
    assert asked["seq"] == first
    liar.push.send_multipart(liar.frames(first, lie, "PAGE", after=liar.links[first]))
    wait_for(lambda: "QUARANTINED" in taker.words)
    assert load.taken_count() == COUNT
    taker.kill()
    load.subscribe()
    back(load, liar, row, "QUARANTINED; taken from the true log after a restart")


def test_a_history_of_its_own(load, liar, row):
    """The chain of what follows is right in itself and does not begin where ours ends."""
    first, taker = COUNT + 1, load.members[-1]
    lie = [changed(liar.bodies[first])]
    liar.say(first, lie, before=bytes(range(16)))
    liar.asked(b"PULLPAGE")
    liar.push.send_multipart(liar.frames(first, lie, "PAGE", before=bytes(range(16))))
    wait_for(lambda: "FORKED" in taker.words)
    assert load.taken_count() == COUNT
    back(load, liar, row, "FORKED; it fitted again when the true publisher was back")


def test_two_bodies_under_one_number(load, liar, row):
    liar.say(1, [changed(liar.bodies[1])])
    liar.say(COUNT, [changed(liar.bodies[COUNT])])
    liar.say(COUNT + 1, liar.true(COUNT + 1, 5))
    load.taking(COUNT + 5)
    assert load.taken_count() == COUNT + 5
    back(load, liar, row, "the second is not taken")


def test_garbage(load, liar, row):
    """Frames that are none, headers that lie, numbers beyond reason; then the truth, which is taken."""
    topic, header = b"e/load-p/main/", liar.frames(COUNT + 1, liar.true(COUNT + 1, 1))[1]
    good = json.loads(header)

    def lying(**other):
        return json.dumps({**good, **other}).encode()
    for frames in [
        [topic], [topic, b""], [topic, os.urandom(300)], [topic, b"{" * 5000], [topic, header], [topic, header, b"{}", b"{}"],
        [topic, lying(n=-1)], [topic, lying(seq=0), b"{}"], [topic, lying(seq=-(2**63)), b"{}"], 
        [topic, lying(seq=2**64), b"{}"], [topic, lying(v=2), b"{}"], [topic, lying(kind="OTHER", n=500)] + [b"{}"] * 500,
        [topic, lying(chainBefore="zz"), b"{}"], [topic, lying(lane="other"), b"{}"], [topic, lying(stream="x"), b"{}"],
        [topic, lying(head=10**400), b"{}"], [topic, b"\xff\xfe" + header, b"{}"], [topic, lying(epoch=-1), b"{}"],
    ]:
        liar.pub.send_multipart(frames)
    for kind in [b"WELCOME", b"PAGE", b"EVT", b"BCN", b"CTL", b"OTHER", b""]:
        for header in [b"", b"{}", os.urandom(100), b"[" * 10000, json.dumps({"from": "load-p"}).encode()]:
            liar.push.send_multipart([kind, header])
    lasting(1)
    assert load.members[-1].lives, load.members[-1].words
    assert load.taken_count() == COUNT
    back(load, liar, row, "18 kinds of frames, 35 letters")


def test_a_number_at_the_end_of_its_range(load, liar, row):
    liar.say(2**63 - 1, [b"{}"], before=bytes(16), after=bytes(16))
    lasting(1)
    assert load.members[-1].lives, "the subscriber died of it"
    back(load, liar, row, "")


def test_a_frame_over_the_limit(load, liar, row):
    """It ends the connection for good; the subscriber connects anew, to hear the truth."""
    liar.say(COUNT + 1, [b"x" * (600 * 1024)])
    lasting(1)
    liar.push.send_multipart(liar.frames(COUNT + 1, [b"x" * (600 * 1024)], "PAGE"))
    back(load, liar, row, "600 KiB live and as a page")


def insert(load, key, kind, body):
    """Into the log, as a service of another make might."""
    done = load.ask(load.publishers, f"""
        INSERT INTO load_p.event (stream, lane, key, type, event_id, at, digest, body) VALUES ('load-p', 'main', '{key}',
        '{kind}', gen_random_uuid(), now(), sha256('\\x{body.hex()}'), '\\x{body.hex()}')""")
    assert done is not None, key


def test_events_that_nobody_can_read(load, row):
    """They stand rightly in the log: what has no handler is passed, what cannot be read is parked, each with a key of its own."""
    talker = load.publish(COUNT)
    wait_for(lambda: talker.told("said"))
    talker.kill()
    body = last_body(load)
    event = json.loads(body)
    other = {**event, "type": "load.said.v2"}
    bodies = {
        "no JSON": b"\x00\x01\x02", "half": body.encode()[:50], "not UTF-8": body.encode().replace(b"xxx", b"\xff\xfe\xff", 1),
        "deep": b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "an unknown type": json.dumps(other).encode(),
        "a number beyond reason": body.encode().replace(b'"number":', b'"number":1e400,"n":'),
        "no data": json.dumps({k: v for k, v in event.items() if k != "data"}).encode(),
        "twice the same member": body.encode().replace(b'"id":', b'"id":"x","id":', 1), "empty": b"",
        "at the limit": json.dumps({**other, "data": "x" * 255_000}).encode(),
    }
    for key, bytes_ in bodies.items():
        kind = "load.said.v2" if key in ("an unknown type", "at the limit") else "load.broken.v1"
        own = bytes_.replace(event["id"].encode(), str(uuid.uuid4()).encode())
        insert(load, key, kind, own.replace(event["partitionkey"].encode(), key.encode()))
    load.publish(COUNT)
    load.subscribe()
    took = load.drain(60)
    parked = load.ask(load.takers, "SELECT count(*) FROM load_s1.parked WHERE NOT behind")
    row.holds(load, took, f"{len(bodies)} of them: {parked[0][0]} parked, the others passed")


@pytest.mark.parametrize("what", ["the id of another", "a NUL in its type"])
def test_an_event_that_cannot_be_done_and_has(load, row, what):
    """It is parked; what comes after it flows."""
    talker = load.publish(COUNT)
    wait_for(lambda: talker.told("said"))
    talker.kill()
    event = {**json.loads(last_body(load)), "data": {}}
    if what == "a NUL in its type":
        event["type"] = "load.nul\u0000.v1"
    for key in ["one", "two"]:
        insert(load, key, "load.broken.v1", json.dumps({**event, "partitionkey": key}).encode())
    load.publish(COUNT)
    load.subscribe()
    row.holds(load, load.drain(), "")


def last_body(load):
    return load.ask(load.publishers, "SELECT convert_from(body, 'UTF8') FROM load_p.event ORDER BY id DESC LIMIT 1")[0][0]
