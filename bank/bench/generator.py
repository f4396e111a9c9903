"""The load over HTTP: one process, prepared requests, as many connections as asked, the next request when one is answered."""

from __future__ import annotations

import re
import selectors
import socket
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

_HOST: Final = "127.0.0.1"
_PATIENCE_SECONDS: Final = 60
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LAST: Final = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class WrongAnswer(AssertionError):
    """The server answered otherwise than a measurement needs it; nothing of the run counts."""


@dataclass(slots=True)
class Driven:
    """What came back in how many seconds; waits and CPU in seconds. `bodies` is what the answers' bodies were read as."""

    seconds: float
    waits: array[float]
    cpu: float


@dataclass(slots=True)
class _Line:
    """A connection, and what has come of the answer that it waits for."""

    socket: socket.socket
    sent_at: float = 0.0
    come: bytes = b""


@dataclass(slots=True)
class Generator:
    """Sends what `make` makes to a port of this machine; every answer must begin with `expected` and please `look`."""

    port: int
    connections: int
    make: Callable[[], bytes]
    expected: bytes
    look: Callable[[bytes], None] | None = None
    _lines: list[_Line] = field(default_factory=list)

    def drive(self, *, seconds: float = float("inf"), most: int | None = None) -> Driven:
        """Keep every connection busy for so long, or until so many requests were sent; then wait for what is under way.

        Raises:
            WrongAnswer: an answer is not the expected one.
        """
        waits = array("d")
        left = most
        clock = time.perf_counter
        with selectors.DefaultSelector() as ready:
            self._lines = [_Line(self._connect()) for _ in range(self.connections)]
            cpu, began = time.process_time(), clock()
            until = began + seconds
            try:
                for line in self._lines:
                    if left is None or left > 0:
                        left = None if left is None else left - 1
                        ready.register(line.socket, selectors.EVENT_READ, line)
                        self._send(line)
                while ready.get_map():
                    found = ready.select(_PATIENCE_SECONDS)
                    if not found:
                        raise WrongAnswer(f"no answer within {_PATIENCE_SECONDS} seconds")
                    for key, _ in found:
                        line = key.data
                        if not self._complete(line):
                            continue
                        now = clock()
                        waits.append(now - line.sent_at)
                        if now >= until or left == 0:
                            ready.unregister(line.socket)
                            continue
                        left = None if left is None else left - 1
                        self._again(line, ready)
                return Driven(clock() - began, waits, time.process_time() - cpu)
            finally:
                for line in self._lines:
                    line.socket.close()

    def _again(self, line: _Line, ready: selectors.BaseSelector) -> None:
        if _LAST.search(line.come, 0, line.come.find(b"\r\n\r\n") + 4):
            ready.unregister(line.socket)
            line.socket.close()
            line.socket = self._connect()
            ready.register(line.socket, selectors.EVENT_READ, line)
        self._send(line)

    def _send(self, line: _Line) -> None:
        request = self.make()
        line.come = b""
        line.sent_at = time.perf_counter()
        line.socket.sendall(request)

    def _complete(self, line: _Line) -> bool:
        """Take what has come. Is it the whole answer, and the right one?"""
        some = line.socket.recv(262_144)
        line.come = line.come + some if line.come else some
        head = line.come.find(b"\r\n\r\n")
        if head >= 0 and (length := _LENGTH.search(line.come, 0, head + 2)):
            missing = head + 4 + int(length[1]) - len(line.come)
            if missing <= 0:
                self._judge(line.come, head)
                return True
        if not some:
            raise WrongAnswer(f"the server closed the connection after {line.come[:500]!r}")
        return False

    def _judge(self, answer: bytes, head: int) -> None:
        if not answer.startswith(self.expected):
            raise WrongAnswer(f"expected {self.expected!r}, and got {answer[:1000]!r}")
        if self.look:
            self.look(answer[head + 4 :])

    def _connect(self) -> socket.socket:
        line = socket.create_connection((_HOST, self.port), timeout=_PATIENCE_SECONDS)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return line
