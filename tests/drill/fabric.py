"""The packet fabric: one TUN device for each host, and one process that carries every packet between them.

It applies delay, jitter, loss and cuts for each pair and direction. When whoever started it is gone, it sweeps all away.
"""

from __future__ import annotations

import errno
import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.drill import namespaces

_TUNSETIFF = 0x400454CA
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000
_LONGEST_PACKET = 65_536
#: Taken from one device before the others have their turn.
_AT_ONCE = 64
_PRIORITY = 10

Pair = tuple[bytes, bytes]


@dataclass(slots=True)
class Way:
    """From one host to another: seconds, and the share that is lost."""

    delay: float
    jitter: float = 0.0
    loss: float = 0.0
    #: A packet never overtakes the one before it.
    last_due: float = 0.0


@dataclass(slots=True)
class Fabric:
    """Who is where, how far apart, and what is under way."""

    devices: dict[bytes, int] = field(default_factory=dict)
    normal: dict[Pair, float] = field(default_factory=dict)
    ways: dict[Pair, Way] = field(default_factory=dict)
    cuts: set[Pair] = field(default_factory=set)
    under_way: list[tuple[float, int, Pair, bytes]] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    carried: int = 0
    dropped: int = 0
    late: float = 0.0
    _numbered: int = 0

    # What it is asked

    def obey(self, question: dict[str, Any]) -> dict[str, Any]:
        """Do what one line asks; answers what to say."""
        pair = tuple(socket.inet_aton(address) for address in question.get("pair", ()))
        match question["do"]:
            case "begin":
                self._begin(question["hosts"], question["delays"])
            case "link":
                seconds = question["delay_ms"] / 1000, question["jitter_ms"] / 1000
                self.ways[pair] = Way(*seconds, question["loss"])  # type: ignore[index]
            case "cut":
                self.cuts.add(pair)  # type: ignore[arg-type]
            case "heal":
                self._heal()
            case "forget":
                self.late = 0.0
        return {"carried": self.carried, "dropped": self.dropped, "late_us_max": int(self.late * 1e6)}

    def _begin(self, hosts: dict[str, str], delays: list[tuple[str, str, float]]) -> None:
        for host, address in hosts.items():
            with namespaces.inside(host):
                self.devices[socket.inet_aton(address)] = a_device()
        self.normal = {(socket.inet_aton(one), socket.inet_aton(other)): ms / 1000 for one, other, ms in delays}
        self._heal()

    def _heal(self) -> None:
        self.cuts.clear()
        self.ways = {pair: Way(delay) for pair, delay in self.normal.items()}

    # What it carries

    def take(self, source: int, origin: bytes) -> None:
        """Take what a host has sent, up to a few packets, and set the hour of each one's arrival."""
        for _ in range(_AT_ONCE):
            try:
                packet = os.read(source, _LONGEST_PACKET)
            except BlockingIOError:
                return
            pair = (origin, packet[16:20])
            way = self.ways.get(pair)
            # Whatever is not IPv4 between two of our hosts: what a host says to its neighbours by IPv6, say.
            if way is None or packet[0] >> 4 != 4:
                continue
            if pair in self.cuts or (way.loss and self.chance.random() < way.loss):
                self.dropped += 1
                continue
            due = time.monotonic() + way.delay + (self.chance.random() * way.jitter if way.jitter else 0.0)
            way.last_due = due = max(due, way.last_due)
            self._numbered += 1
            heapq.heappush(self.under_way, (due, self._numbered, pair, packet))

    def deliver(self) -> None:
        """Hand over all whose hour has come; what is on its way when the way is cut is lost."""
        while self.under_way and self.under_way[0][0] <= (now := time.monotonic()):
            due, _, pair, packet = heapq.heappop(self.under_way)
            if pair in self.cuts:
                self.dropped += 1
                continue
            try:
                os.write(self.devices[pair[1]], packet)
            except OSError as problem:
                if problem.errno not in (errno.EAGAIN, errno.ENOBUFS, errno.EIO):
                    raise
                self.dropped += 1
                continue
            self.carried += 1
            self.late = max(self.late, now - due)

    def seconds_to_wait(self) -> float | None:
        """Until the next packet is due; None when none is under way."""
        return max(0.0, self.under_way[0][0] - time.monotonic()) if self.under_way else None


def a_device() -> int:
    """The device `eth0` of the namespace that this thread is in."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", b"eth0", _IFF_TUN | _IFF_NO_PI))
    return device


def serve(control: socket.socket) -> bool:
    """Carry packets until told to end: True; or until the other side of `control` is gone: False."""
    fabric = Fabric()
    asked = b""
    while True:
        origins = {device: address for address, device in fabric.devices.items()}
        # `epoll` and `poll` wait in whole milliseconds.
        ready, _, _ = select.select([control.fileno(), *origins], [], [], fabric.seconds_to_wait())
        fabric.deliver()
        for device in ready:
            if device != control.fileno():
                fabric.take(device, origins[device])
        fabric.deliver()
        if control.fileno() in ready:
            part = control.recv(65_536)
            if not part:
                return False
            *lines, asked = (asked + part).split(b"\n")
            for line in lines:
                question = json.loads(line)
                control.sendall(json.dumps(fabric.obey(question)).encode() + b"\n")
                if question["do"] == "end":
                    return True


def main() -> None:
    """Serve the descriptor that the first argument names."""
    with suppress(OSError):
        # A packet that waits for a processor is a link that is longer than it should be.
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_PRIORITY))
    with socket.socket(fileno=int(sys.argv[1])) as control:
        in_order = serve(control)
    if not in_order:
        namespaces.sweep()


if __name__ == "__main__":
    main()
