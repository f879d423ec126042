"""Peers that have no business here, or more of it than is good: the publisher lives, and its own load goes on meanwhile."""
import contextlib
import json
import os
import resource
import socket
import subprocess
import time

import pytest
import zmq
from load import BIN, EVENTS
from peers import another, connect, hears, secret
from test_network import free_ports
from waiting import lasting, wait_for


@pytest.fixture
def busy(load):
    """A load that is under way while the strangers come."""
    load.talker, load.taker = load.publish(EVENTS // 2, rate=600), load.subscribe()
    load.taking(1)
    return load


@pytest.fixture
def busy_tcp(load):
    return over_tcp(load, rate=600)


def over_tcp(load, rate):
    port = free_ports()
    load.tcp = f"127.0.0.1:{port},127.0.0.1:{port + 2}"
    load.talker, load.taker = load.publish(EVENTS // 2, rate=rate), load.subscribe()
    load.taking(1)
    return load


def lives(load, row, note):
    assert load.talker.lives and load.taker.lives, load.complaints()
    row.holds(load, load.drain(60), note)


def test_without_curve_or_with_a_wrong_key(busy, row):
    own = secret(busy, "load-s1")
    peers = [connect(busy, zmq.SUB, plain=True), connect(busy, zmq.SUB), connect(busy, zmq.SUB, key=secret(busy, "load-s1"),
             server=zmq.curve_keypair()[0]), connect(busy, zmq.PUSH, plain=True), connect(busy, zmq.PUSH)]
    for peer in peers[:3]:
        peer.subscribe("")
        peer.subscribe("e/load-p/main/")
    known = connect(busy, zmq.SUB, key=own)
    known.subscribe("e/load-p/main/")
    assert hears(known, 5000), "a key that is known hears"
    lasting(2)
    assert not any(hears(peer, 0) for peer in peers[:3])
    assert not any(peer.poll(0, zmq.POLLOUT) for peer in peers[3:]), "no letter of theirs is taken"
    lives(busy, row, "none, an unknown key, another server's key: nothing heard, nothing taken")


def test_forbidden_subscriptions(busy, row):
    peer = connect(busy, zmq.SUB, key=secret(busy, "load-s1"))
    for prefix in ["", "cmd.x", "e/", "e/other/", "e/load-p", "e/load-p/main/" + "x" * 300]:
        peer.subscribe(prefix)
    assert not hears(peer, 2500)
    lives(busy, row, "six prefixes, with a known key: nothing heard")


def test_letters_in_a_foreign_name(busy, row):
    """load-s1 has a key; it says it is another, and moves that one's place: nobody is answered."""
    peer = connect(busy, zmq.PUSH, key=secret(busy, "load-s1"))
    place = {"stream": "load-p", "lane": "main", "epoch": 1, "seq": 5, "link": "00" * 16}
    for name in ["load-p", "load-s2", "", "load-s1 "]:
        for kind in [b"HELLO", b"PULLPAGE", b"POS", b"CTL", b"BCN", b"PAGE"]:
            peer.send_multipart([kind, json.dumps({"from": name, "what": "copies", **place}).encode(), b"{}"])
    peer.send_multipart([b"CTL", json.dumps({"from": "load-s1", "what": "copies", **place}).encode(), b"{}"])
    lasting(1)
    lives(busy, row, "24 of them; and copies that nobody had allowed")
    log = busy.ask(busy.publishers, "SELECT count(*) FROM load_p.event")
    assert int(log[0][0]) == busy.said_count()


def test_letters_of_nonsense(busy, row):
    peer = connect(busy, zmq.PUSH, key=secret(busy, "load-s1"))
    for kind in [b"HELLO", b"PULLPAGE", b"POS", b"CTL", b"WELCOME", b"", os.urandom(50), b"x" * 100_000]:
        for header in [b"", b"{}", b"[" * 10000, os.urandom(500), b'{"from":"load-s1","stream":"load-p","lane":"main","seq":-1,'
                       b'"epoch":-1,"link":"zz"}', b'{"from":"load-s1","seq":1e400}']:
            peer.send_multipart([kind, header])
            peer.send_multipart([kind, header] + [b"x"] * 600)
    lasting(1)
    lives(busy, row, "96 of them, with a known key")


@pytest.mark.parametrize("seq", [2**63 - 1, -2**63])
def test_letters_with_numbers_at_the_end_of_their_range(busy, row, seq):
    peer = connect(busy, zmq.PUSH, key=secret(busy, "load-s1"))
    for kind in [b"HELLO", b"PULLPAGE", b"POS"]:
        peer.send_multipart([kind, json.dumps({"from": "load-s1", "stream": "load-p", "lane": "bulk", "epoch": 2**63 - 1,
                                               "seq": seq, "link": "00" * 16}).encode()])
    lasting(2)
    lives(busy, row, "HELLO, PULLPAGE and POS of a known key")


@pytest.mark.parametrize("seq", [1, 10**7])
def test_questions_in_a_loop(busy, row, seq):
    """A page from the beginning, or one that is not there yet, again and again, as fast as it goes: neither the answers nor the
    questions may fill the publisher's memory."""
    busy.taking(200)
    before = busy.talker.resident()
    peer = connect(busy, zmq.PUSH, key=secret(busy, "load-s1"))
    ask = json.dumps({"from": "load-s1", "stream": "load-p", "lane": "main", "seq": seq}).encode()
    end, asked, most = time.monotonic() + 5, 0, 0
    while time.monotonic() < end:
        for _ in range(1000):
            peer.send_multipart([b"PULLPAGE", ask])
        asked += 1000
        most = max(most, busy.talker.resident())
    grown = most - before
    lives(busy, row, f"{asked} in 5 s; the publisher grew by {grown:.0f} MB")
    assert grown < 64


def test_many_subscriptions(busy, row):
    before = busy.talker.resident()
    peer = connect(busy, zmq.SUB, key=secret(busy, "load-s1"), prepare=lambda s: s.setsockopt(zmq.SNDHWM, 0))
    for number in range(10_000):
        peer.subscribe(f"e/load-p/main/{number}/{'x' * 150}")
    lasting(2)
    grown = busy.talker.resident() - before
    assert grown < 64
    lives(busy, row, f"10 000 of a known key; the publisher grew by {grown:.0f} MB")


def test_a_topic_of_a_megabyte(busy, row):
    apart = another("topic", busy)
    lasting(1)
    assert apart.poll() is None
    apart.kill()
    apart.wait()
    lives(busy, row, "as a subscription, and as a letter")


def test_two_thousand_connections(load, row):
    """They say nothing; each is dropped after the three seconds of its handshake. The load lasts longer than a slow machine
    takes to let all of them in."""
    over_tcp(load, rate=30)
    host, port = load.tcp.split(",")[0].split(":")
    held = []
    try:
        for number in range(2000):
            held.append(socket.create_connection((host, int(port) + number % 2), timeout=10))
        memory = load.talker.resident()
        load.taking(load.taken_count() + 50)

        def gone():
            return len(os.listdir(f"/proc/{load.talker.pid}/fd")) < 200
        wait_for(gone, 20, "silent connections to be dropped")
    finally:
        for one in held:
            one.close()
    lives(load, row, f"the publisher held {memory:.0f} MB")
    assert memory < 128


def test_descriptors_run_out(load, row):
    """Neither side gets one more: no door opens, no session begins. What has begun goes on, and the rest when there are some again."""
    over_tcp(load, rate=100)
    members = [load.talker, load.taker]
    own = resource.prlimit(load.talker.pid, resource.RLIMIT_NOFILE)
    for one in members:
        highest = max(int(name) for name in os.listdir(f"/proc/{one.pid}/fd"))
        resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (highest + 1, own[1]))
    host, port = load.tcp.split(",")[0].split(":")
    held = [socket.create_connection((host, int(port)), timeout=10) for _ in range(20)]
    try:
        # Each loses a session, which it cannot begin anew.
        for place in (load.publishers, load.takers):
            load.ask(place, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^load-' AND datname = current_database()")
        lasting(3)
        assert all(one.lives for one in members), load.complaints()
    finally:
        for one in held:
            one.close()
        for one in filter(lambda one: one.lives, members):
            resource.prlimit(one.pid, resource.RLIMIT_NOFILE, own)
    lives(load, row, "of the publisher and of the subscriber, their sessions ended meanwhile")


def test_garbage_on_the_port(busy_tcp, row):
    host, port = busy_tcp.tcp.split(",")[0].split(":")
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00"
    for number, said in enumerate([
            os.urandom(4096), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x01\x00", b"\xff" * 64, b"\xff" + bytes(8) + b"\x7f\x01\x00",
            greeting + b"NULL".ljust(20, b"\0") + bytes(32), greeting + b"CURVE".ljust(20, b"\0") + bytes(32) + b"\x06" + b"\xff" * 8,
            greeting + b"CURVE".ljust(20, b"\0") + bytes(32) + b"\x04\xc8\x05HELLO" + os.urandom(194), b""] * 5):
        with socket.create_connection((host, int(port) + number % 2), timeout=5) as one:
            # It may have hung up on us already, at any of these steps.
            with contextlib.suppress(OSError):
                one.sendall(said)
                if number % 3 == 0:
                    one.shutdown(socket.SHUT_WR)
    lives(busy_tcp, row, "45 connections: noise, HTTP, old versions of ZMTP, half a handshake")


def test_slow_loris(busy_tcp, row):
    """A greeting, a byte a time: it is dropped after the three seconds that a handshake may take."""
    host, port = busy_tcp.tcp.split(",")[0].split(":")
    slow = [socket.create_connection((host, int(port)), timeout=5) for _ in range(50)]
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32)
    begun = time.monotonic()
    dropped = set()
    for byte in range(24):
        for index, one in enumerate(slow):
            try:
                one.send(greeting[byte:byte + 1])
            except OSError:
                dropped.add(index)
        lasting(0.25)
    for one in slow:
        one.close()
    assert len(dropped) == 50, f"{len(dropped)} of 50 dropped after {time.monotonic() - begun:.0f} s"
    lives(busy_tcp, row, "50 at a time, all dropped")


def test_pings_of_a_peer_that_dies_under_load(busy, row):
    """Heartbeats of the other side can abort libzmq 4.3.4 when a receiver is full and the peer dies: ours is never full."""
    for _ in range(4):
        apart = another("flood", busy)
        lasting(1)
        apart.kill()
        apart.wait()
    lives(busy, row, "letters and subscriptions by the ten thousand with heartbeats on, killed four times")


def test_a_key_rotated_under_load(busy, row):
    old = secret(busy, "load-s1")
    spy = connect(busy, zmq.SUB, key=old)
    spy.subscribe("e/load-p/main/")
    assert hears(spy, 5000)
    subprocess.run([BIN / "bus-load", "keys", "--folder", busy.folder, "--rotate", "load-s1"], check=True)
    begun = time.monotonic()
    last = begun
    while time.monotonic() - begun < 10:
        if hears(spy, 500):
            spy.recv_multipart()
            last = time.monotonic()
        if time.monotonic() - last > 4:
            break
    assert time.monotonic() - last > 2, "the old key still hears after 10 s"
    again = connect(busy, zmq.SUB, key=old)
    again.subscribe("e/load-p/main/")
    assert not hears(again, 2500), "nor does it get in anew"
    lives(busy, row, f"the old key was cut off after {last - begun:.1f} s")


def test_all_keys_rotated_at_once(busy, row):
    """Keys of all members anew at once, twice."""
    for _ in range(2):
        subprocess.run([BIN / "bus-load", "keys", "--folder", busy.folder], check=True)
        lasting(3)
    lives(busy, row, "all keys, twice")

