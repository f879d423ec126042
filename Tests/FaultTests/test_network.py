"""The publisher on one host, the subscriber on another, and a cable that fails. Packets vanish without a word: nobody is told."""
import os
import socket
import time

import pytest
from load import EVENTS
from waiting import lasting, wait_for
from wire import Wire


@pytest.fixture
def wire(work):
    if os.getuid() != 0:
        pytest.skip("hosts of its own need root")
    try:
        wire = Wire()
    except OSError as error:
        pytest.skip(f"no network name spaces with a TUN device here: {error}")
    yield wire
    wire.close()


@pytest.fixture
def apart(wire, load):
    """The load on two hosts."""
    load.tcp = ",".join(f"{address}:7000" for address in Wire.ADDRESSES)
    load.inside = {"publish": wire.rooms[0].inside, "subscribe": wire.rooms[1].inside}
    return load


def flowing(load):
    talker, taker = load.publish(EVENTS // 2, rate=700), load.subscribe()
    load.taking(EVENTS // 10)
    return talker, taker


@pytest.mark.parametrize("way", ["both ways", "to the subscriber", "to the publisher"])
def test_packets_dropped(apart, wire, row, way):
    flowing(apart)
    cut = {"both ways": [wire.there, wire.back], "to the subscriber": [wire.there], "to the publisher": [wire.back]}[way]
    for direction in cut:
        direction.cut = True
    lasting(8)
    for direction in cut:
        direction.cut = False
    row.holds(apart, apart.drain(), "8 s")


def test_a_half_open_connection(apart, wire, row):
    """The publisher's host dies behind a cut: the subscriber's connections lead to nobody, and nobody says so."""
    talker, _ = flowing(apart)
    wire.both(cut=True)
    talker.kill()
    lasting(2)
    apart.publish(EVENTS // 3)
    lasting(2)
    wire.both(cut=False)
    row.holds(apart, apart.drain(), "the publisher was killed and started again behind a cut")


def test_a_bad_line(apart, wire, row):
    wire.both(delay=0.2, jitter=0.1, loss=0.05)
    apart.publish(EVENTS // 3, rate=700)
    apart.subscribe()
    # libzmq gives a handshake three seconds; on this line it needs a few attempts.
    apart.taking(1, seconds=90)
    row.holds(apart, apart.drain(60), "200 ± 100 ms, 5 % lost, out of order, all the time")


def test_a_narrow_line(apart, wire, row):
    apart.publish(EVENTS // 10, rate=700)
    apart.subscribe()
    apart.taking(1)
    wire.both(bytes_a_second=1250)
    before = apart.taken_count()
    lasting(6)
    slow = apart.taken_count() - before
    wire.both(bytes_a_second=None)
    row.holds(apart, apart.drain(), f"10 kbit/s for 6 s: {slow} came through; then free")


def test_a_peer_that_cannot_be_reached_at_the_start(apart, wire, row):
    wire.both(cut=True)
    apart.publish(EVENTS // 3)
    taker = apart.subscribe().ready()
    lasting(6)
    assert taker.lives and apart.taken_count() == 0
    wire.both(cut=False)
    row.holds(apart, apart.drain(), "for 6 s")


def test_a_port_in_use_at_the_start(load, row):
    port = free_ports()
    load.tcp = f"127.0.0.1:{port},127.0.0.1:{port + 2}"
    squatter = socket.socket()
    squatter.bind(("0.0.0.0", port))
    squatter.listen()
    load.subscribe()
    talker = load.publish(EVENTS // 3)
    lasting(2)
    assert talker.lives and not talker.told("ready"), talker.words
    squatter.close()
    row.holds(load, load.drain(), "for 2 s: tried again until it was free")


def test_a_port_in_use_for_good(load, row):
    port = free_ports()
    load.tcp = f"127.0.0.1:{port},127.0.0.1:{port + 2}"
    with socket.socket() as squatter:
        squatter.bind(("0.0.0.0", port))
        squatter.listen()
        talker = load.publish(1)
        begun = time.monotonic()
        talker.died(40)
        assert "bind" in talker.words and str(port) in talker.words, talker.words
    row.stopped(f"ends itself after {time.monotonic() - begun:.0f} s and names the door")


def free_ports():
    """The first of four ports that are free now, below the ephemeral ones."""
    for base in range(21000 + os.getpid() % 100 * 100, 32000, 4):
        try:
            for port in range(base, base + 4):
                with socket.socket() as one:
                    one.bind(("0.0.0.0", port))
            return base
        except OSError:
            continue
    raise RuntimeError("no free ports")
