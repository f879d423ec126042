"""Two hosts with a cable between them. Each host is a network name space with a TUN device; this process carries the packets from
one to the other, and so decides what becomes of each. The kernels' own TCP does the rest."""
import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import threading
import time

from rooms import Room

TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 1, 0x1000, 0x40000000


class Direction:
    """What becomes of packets on their way to one side."""

    def __init__(self):
        self.cut, self.delay, self.jitter, self.loss, self.bytes_a_second = False, 0.0, 0.0, 0.0, None
        self.free_at = 0.0

    def due(self, size, now, chance):
        """When a packet arrives; None: never. A jitter puts packets out of order."""
        if self.cut or chance.random() < self.loss:
            return None
        if self.bytes_a_second:
            # A queue of two seconds; what does not fit is dropped, as a modem does.
            start = max(now, self.free_at)
            if start - now > 2:
                return None
            self.free_at = now = start + size / self.bytes_a_second
        return now + max(0, chance.uniform(self.delay - self.jitter, self.delay + self.jitter))


class Wire:
    ADDRESSES = ["10.213.77.1", "10.213.77.2"]

    def __init__(self):
        self.rooms = [Room("net"), Room("net")]
        self.there, self.back = Direction(), Direction()
        self.ends = [self.plug(room, index) for index, room in enumerate(self.rooms)]
        self.open, self.chance = True, random.Random(5)
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()

    def plug(self, room, index):
        """The host's end of the cable. A name space is entered by a thread alone, which ends with that."""
        opened, failed = [], []

        def enter():
            try:
                space = os.open(f"/proc/{room.holder.pid}/ns/net", os.O_RDONLY)
                try:
                    if ctypes.CDLL(None, use_errno=True).setns(space, CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
                    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"wire", IFF_TUN | IFF_NO_PI))
                    opened.append(device)
                finally:
                    os.close(space)
            except Exception as error:  # Only what the platform refuses is a reason to skip; a mistake of ours is not.
                failed.append(error)
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        for words in ["link set lo up", f"addr add {self.ADDRESSES[index]}/30 dev wire", "link set wire up"]:
            room.run("ip", *words.split())
        return opened[0]

    def carry(self):
        flying, number = [], 0
        while self.open:
            now = time.monotonic()
            while flying and flying[0][0] <= now:
                _, _, end, packet = heapq.heappop(flying)
                try:
                    os.write(end, packet)
                except OSError:
                    pass
            wait = min(0.2, flying[0][0] - now) if flying else 0.2
            for end in select.select(self.ends, [], [], wait)[0]:
                try:
                    packet = os.read(end, 4096)
                except OSError:
                    continue
                first = end == self.ends[0]
                due = (self.there if first else self.back).due(len(packet), time.monotonic(), self.chance)
                if due is not None:
                    number += 1
                    heapq.heappush(flying, (due, number, self.ends[1] if first else self.ends[0], packet))

    def both(self, **settings):
        for direction in [self.there, self.back]:
            for name, value in settings.items():
                setattr(direction, name, value)

    def close(self):
        self.open = False
        self.thread.join()
        for end in self.ends:
            os.close(end)
        for room in self.rooms:
            room.close()
