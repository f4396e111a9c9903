"""What customers asked and were answered, in Jepsen's shape: one JSON object a line.

`invoke` begins an operation of a process, which has one at a time; `ok` says that it was done, `fail` that it was not,
`info` that nobody knows. Instants are seconds since the run began.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TextIO


@dataclass(frozen=True, slots=True)
class Event:
    """A line. `tries` of a completion: [began at, region, status or why there was none, milliseconds] of each attempt."""

    at: float
    process: int
    type: str
    f: str
    value: dict[str, Any]
    home: str = ""
    region: str = ""
    attempt: int = 0
    latency_ms: float | None = None
    status: int | str | None = None
    tries: list[list[Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Operation:
    """What was asked, and how it ended; a process that was cut off in the middle leaves one without an end."""

    asked: Event
    ended: Event | None

    @property
    def outcome(self) -> str:
        """`ok`, `fail` or `info`."""
        return self.ended.type if self.ended else "info"

    @property
    def told(self) -> dict[str, Any]:
        """What the end says."""
        return self.ended.value if self.ended else {}


_NAMES = {each.name for each in fields(Event)}


class Writer:
    """Appends events to a file, each at once: what a process that is killed had seen is still there."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, event: Event) -> None:
        """Append a line; fields that say nothing are left out."""
        told = {name: value for name, value in asdict(event).items() if value not in ("", None, [])}
        self._file.write(json.dumps(told, separators=(",", ":")) + "\n")
        self._file.flush()


def read(path: Path) -> list[Event]:
    """All events; a last line that was cut off is left out.

    Raises:
        ValueError: another line is none.
    """
    lines = path.read_text().split("\n")
    whole = lines[:-1]
    return [Event(**{name: value for name, value in json.loads(line).items() if name in _NAMES}) for line in whole]


def operations(history: Iterable[Event]) -> Iterator[Operation]:
    """Each operation, in the order in which they were asked.

    Raises:
        ValueError: a process asked again before it was answered, or was answered what it had not asked.
    """
    asked: list[Event] = []
    open_now: dict[int, int] = {}
    ended: dict[int, Event] = {}
    for event in history:
        if event.type == "invoke":
            if event.process in open_now:
                raise ValueError(f"process {event.process} asked twice at once, at {event.at}")
            open_now[event.process] = len(asked)
            asked.append(event)
            continue
        number = open_now.pop(event.process, None)
        if number is None or asked[number].f != event.f:
            raise ValueError(f"process {event.process} was answered what it had not asked, at {event.at}")
        ended[number] = event
    return (Operation(event, ended.get(number)) for number, event in enumerate(asked))
