"""Peers that are not `bus-load`: with a key or without, speaking the bus's language or something else."""
import hashlib
import json
import subprocess
import sys
import threading
from pathlib import Path

import zmq

LINGER = 0


def secret(load, name):
    return (Path(load.folder) / f"{name}.secret").read_bytes().strip()


def door(load, name, which):
    """Where a member's door is: `pub` or `pull`."""
    if not load.tcp:
        return f"ipc://{load.folder}/{name}.{which}"
    host, port = load.tcp.split(",")[0 if name == "load-p" else 1].split(":")
    return f"tcp://{host}:{int(port) + (which == 'pull')}"


def connect(load, kind, name="load-p", key=None, server=None, plain=False, prepare=None):
    """A socket at a member's door: with `key`, a secret; without one, with a key that nobody knows; or without CURVE at all."""
    which = "pub" if kind in (zmq.SUB, zmq.XSUB) else "pull"
    peer = zmq.Context.instance().socket(kind)
    peer.linger = LINGER
    if not plain:
        key = key or zmq.curve_keypair()[1]
        peer.curve_secretkey, peer.curve_publickey = key, zmq.curve_public(key)
        peer.curve_serverkey = server or zmq.curve_public(secret(load, name))
    if kind == zmq.PUSH:
        peer.immediate = True
    if prepare:
        prepare(peer)
    peer.connect(door(load, name, which))
    return peer


def hears(peer, milliseconds):
    """Whether anything comes within that time."""
    return bool(peer.poll(milliseconds))


def link_after(link, seq, body):
    return hashlib.sha256(link + seq.to_bytes(8, "big") + hashlib.sha256(body).digest()).digest()[:16]


class Liar:
    """Sits at the publisher's doors with the publisher's own key, and says what it likes."""

    def __init__(self, load):
        self.load = load
        self.context = zmq.Context()
        self.pub, self.pull = self.door(zmq.XPUB, "pub"), self.door(zmq.PULL, "pull")
        self.push = connect(load, zmq.PUSH, "load-s1", key=secret(load, "load-p"))
        rows = load.ask(load.publishers,
                        "SELECT n.seq, encode(n.link, 'hex'), encode(e.body, 'hex') FROM load_p.event_no AS n "
                        "JOIN load_p.event AS e ON e.day = n.event_day AND e.id = n.event_id WHERE n.lane = 'main' ORDER BY n.seq")
        self.links = {0: bytes(16)} | {int(r[0]): bytes.fromhex(r[1]) for r in rows}
        self.bodies = {int(r[0]): bytes.fromhex(r[2]) for r in rows}
        self.epoch, self.term, self.head = load.head()

    def door(self, kind, which):
        socket = self.context.socket(kind)
        socket.linger = LINGER
        socket.curve_server, socket.curve_secretkey = True, secret(self.load, "load-p")
        if which == "pub":
            socket.xpub_verbose = True
        socket.bind(door(self.load, "load-p", which))
        return socket

    def frames(self, first, bodies, kind="EVT", before=None, after=None, **other):
        link = before = before or self.links[first - 1]
        for offset, body in enumerate(bodies):
            link = link_after(link, first + offset, body)
        header = {"v": 1, "kind": kind, "stream": "load-p", "lane": "main", "epoch": self.epoch, "term": self.term, "seq": first,
                  "n": len(bodies), "head": self.head, "chainBefore": before.hex(), "chainAfter": (after or link).hex(), **other}
        if kind == "PAGE":
            header |= {"from": "load-p", "oldest": 1}
        return [b"PAGE" if kind == "PAGE" else b"e/load-p/main/", json.dumps(header).encode(), *bodies]

    def say(self, first, bodies, **other):
        self.pub.send_multipart(self.frames(first, bodies, **other))

    def true(self, first, count):
        return [self.bodies[seq] for seq in range(first, first + count)]

    def asked(self, kind, milliseconds=10000):
        """The next letter of this kind; others are passed over."""
        while self.pull.poll(milliseconds):
            frames = self.pull.recv_multipart()
            if frames[0] == kind and json.loads(frames[1])["lane"] == "main":
                return json.loads(frames[1])
        raise AssertionError(f"no {kind} came")

    def welcome(self, hello, **other):
        self.push.send_multipart([b"WELCOME", json.dumps({
            "from": "load-p", "stream": "load-p", "lane": "main", "status": "MATCH", "seq": hello["seq"], "epoch": self.epoch,
            "term": self.term, "head": self.head, "oldest": 1, **other}).encode()])

    def heard(self, milliseconds=10000):
        """Waits until the subscriber has asked for the stream: what is said before that reaches nobody."""
        while self.pub.poll(milliseconds):
            if self.pub.recv() == b"\x01e/load-p/main/":
                return
        raise AssertionError("nobody listens")

    def close(self):
        self.push.close()
        self.context.destroy(linger=0)


def another(what, load):
    """A peer in a process of its own: one that is killed, or that its own libzmq does not survive."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", sys.executable, __file__, what, load.folder], stderr=subprocess.DEVNULL)


class Apart:
    tcp = None

    def __init__(self, folder):
        self.folder = folder


def heartbeats(peer):
    peer.setsockopt(zmq.HEARTBEAT_IVL, 5)
    peer.setsockopt(zmq.HEARTBEAT_TTL, 1000)
    peer.setsockopt(zmq.SNDHWM, 0)


def flood(load):
    """Letters and subscriptions without end, with heartbeats on."""
    key = secret(load, "load-s1")
    letters = connect(load, zmq.PUSH, key=key, prepare=heartbeats)
    topics = connect(load, zmq.SUB, key=key, prepare=heartbeats)

    def subscribe():
        for number in range(10**6):
            topics.subscribe(f"e/load-p/main/{number % 1000}")
            topics.unsubscribe(f"e/load-p/main/{(number - 500) % 1000}")
    threading.Thread(target=subscribe, daemon=True).start()
    header = json.dumps({"from": "load-s1", "stream": "load-p", "lane": "bulk", "seq": 0}).encode()
    while True:
        letters.send_multipart([b"POS", header])


def topic(load):
    peer = connect(load, zmq.SUB, key=secret(load, "load-s1"))
    peer.subscribe("e/load-p/" + "x" * 1_000_000)
    letters = connect(load, zmq.PUSH, key=secret(load, "load-s1"))
    letters.send_multipart([b"HELLO", b"x" * 1_000_000])
    threading.Event().wait()


if __name__ == "__main__":
    {"flood": flood, "topic": topic}[sys.argv[1]](Apart(sys.argv[2]))
