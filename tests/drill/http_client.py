"""HTTP/1.1 for many customers in one process: connections that are kept, and a time within which to be answered."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

#: A connection that nobody used for so long is not used again: load balancers close idle ones after a minute.
_IDLE_SECONDS: Final = 30.0
_MOST_HEAD_BYTES: Final = 65_536


class NoAnswer(Exception):
    """There was none, or only part of one: `refused`, `timeout`, `closed` or `unreadable`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers with names in small letters, body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """The first header of this name, or nothing."""
        return next((value for found, value in self.headers if found == name), "")

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")


@dataclass(slots=True)
class _Line:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used_at: float = 0.0

    @property
    def usable(self) -> bool:
        fresh = time.monotonic() - self.used_at < _IDLE_SECONDS
        return fresh and not self.reader.at_eof() and not self.writer.is_closing()


@dataclass(slots=True)
class Client:
    """Asks regions at their addresses."""

    addresses: dict[str, tuple[str, int]]
    _idle: dict[str, list[_Line]] = field(default_factory=dict)

    async def ask(self, region: str, request: bytes, seconds: float) -> Answer:
        """Send the request and wait so long for the whole answer.

        Raises:
            NoAnswer: there was none in time. What was asked may have been done.
        """
        line: _Line | None = None
        try:
            async with asyncio.timeout(seconds):
                line = self._kept(region) or await self._connect(region)
                line.writer.write(request)
                answer, reusable = await _read(line.reader)
        except TimeoutError as error:
            raise NoAnswer("timeout") from error
        except OSError as error:
            raise NoAnswer("closed" if line else "refused") from error
        except asyncio.IncompleteReadError as error:
            raise NoAnswer("closed") from error
        except (ValueError, IndexError, asyncio.LimitOverrunError) as error:
            raise NoAnswer("unreadable") from error
        else:
            if reusable:
                line.used_at = time.monotonic()
                self._idle.setdefault(region, []).append(line)
                line = None
            return answer
        finally:
            if line:
                line.writer.transport.abort()

    def close(self) -> None:
        """Close what is kept."""
        for line in (line for lines in self._idle.values() for line in lines):
            line.writer.transport.abort()
        self._idle.clear()

    def _kept(self, region: str) -> _Line | None:
        kept = self._idle.setdefault(region, [])
        while kept:
            line = kept.pop()
            if line.usable:
                return line
            line.writer.transport.abort()
        return None

    async def _connect(self, region: str) -> _Line:
        host, port = self.addresses[region]
        return _Line(*await asyncio.open_connection(host, port, limit=_MOST_HEAD_BYTES))


async def _read(reader: asyncio.StreamReader) -> tuple[Answer, bool]:
    """The answer, and whether the connection can be used again."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ", 2)[1])
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in head[1:-2])]
    named = dict(headers)
    if "transfer-encoding" in named:
        raise ValueError("an answer in chunks")
    length = named.get("content-length")
    bodiless = status in (204, 304)
    body = b"" if bodiless else await (reader.readexactly(int(length)) if length is not None else reader.read())
    closes = named.get("connection", "").lower() == "close" or (length is None and not bodiless)
    return Answer(status, headers, body), not closes
