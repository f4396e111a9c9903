"""What a file of payments says, and what is wrong with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from bank.language import gettext as _
from bank.money import Money

MOST_NAME: Final = 140
MOST_REFERENCE: Final = 140
MOST_KEY_BYTES: Final = 100


@dataclass(frozen=True, slots=True)
class Bounds:
    """The largest file that is read: its bytes, its payments."""

    bytes: int
    payments: int


#: A page must answer within a request; a command may take its time.
ON_THE_WEB: Final = Bounds(4 * 1024 * 1024, 10_000)
BY_COMMAND: Final = Bounds(64 * 1024 * 1024, 200_000)


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps a file from being taken: where it stands (`line` None: the whole file), in which field, and why."""

    line: int | None
    field: str
    says: str

    def __str__(self) -> str:
        if self.line is None:
            return self.says
        if not self.field:
            return _("Line %(line)s: %(says)s", line=self.line, says=self.says)
        return _("Line %(line)s, %(field)s: %(says)s", line=self.line, field=self.field, says=self.says)


@dataclass(frozen=True, slots=True)
class Line:
    """One payment; `key` is the file's own word for it (of pain.001 the EndToEndId), empty when it has none."""

    line: int
    payer: str
    payee: str
    payee_name: str
    amount: Money
    reference: str
    key: str = ""


@dataclass(slots=True)
class Reading:
    """What was read of a file, in the file's order.

    `format` is `csv` or the name of the message, like `pain.001.001.09`; `encoding` and `separator` say how a CSV was
    taken to be written, `message_id` is the one of a pain.001.
    """

    format: str
    encoding: str = ""
    separator: str = ""
    message_id: str = ""
    lines: list[Line] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, line: int | None, field: str, says: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(line, field, says))

    def identity(self, content: bytes) -> str:
        """What makes two files one: a message's own id, or else every byte."""
        what = f"pain.001:{self.message_id}".encode() if self.message_id else content
        return hashlib.sha256(what).hexdigest()
