"""What one request has seen and written, so that the next is shown nothing older."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from itsdangerous import BadSignature, URLSafeSerializer

if TYPE_CHECKING:
    from bank.storage.replica import Near


#: How a program carries what it has seen.
HEADER: Final = "Bank-Position"


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest state that a session was shown.

    All of it is on whatever copy of this database has reached `position`; if that is empty, on the copy that has not
    been started again since `incarnation`.
    """

    database: str
    incarnation: str
    position: str


@dataclass(slots=True)
class Request:
    """One request's reading: where it may read, where it does, and what it is to say that it showed."""

    near: Near | None
    seen: Seen | None = None
    #: It changes nothing, so it may be shown what the replica has.
    reads: bool = False
    #: It shows nothing of anybody's, so any state will do.
    of_no_session: bool = False
    #: Its reads go to the replica, as it was since this start; empty: to the primary.
    incarnation: str = ""
    #: Has it read the primary since `written`?
    read_primary: bool = False
    written: str | None = None
    #: When the state was the newest that it shows, if the primary is away; else None.
    as_of: datetime | None = None

    def position(self) -> Seen | None:
        """What the caller should bring the next time; None when only the primary is surely new enough."""
        return self.near.seen_by(self) if self.near else None


_here: ContextVar[Request | None] = ContextVar("request", default=None)


def here() -> Request | None:
    """The request that is being answered."""
    return _here.get()


def enter(request: Request | None) -> None:
    """Answer this request from now on, or none."""
    _here.set(request)


@contextmanager
def request(near: Near | None, seen: Seen | None = None, *, reads: bool = False) -> Iterator[Request]:
    """Answer one request within the body; `seen` is what its caller brought."""
    this = Request(near, seen, reads)
    token = _here.set(this)
    try:
        yield this
    finally:
        _here.reset(token)


def wanted() -> bool:
    """Is it of use to know where a write lies? Only on a server that reads near, and for a request's answer."""
    this = _here.get()
    return this is not None and this.near is not None


def wrote(position: str | None) -> None:
    """Remember where what this request wrote lies; None or empty if that is not known."""
    this = _here.get()
    if this is not None:
        this.written = position or None
        # All that was committed before is there as well; whatever is read from here on is not on the replica yet.
        this.read_primary = not position
        this.incarnation = ""


def written() -> str | None:
    """Where the last write of this request lies, if that is known."""
    this = _here.get()
    return this.written if this else None


def as_of() -> datetime | None:
    """When what this request shows was the newest state, if the primary is away."""
    this = _here.get()
    return this.as_of if this else None


def closed() -> bool:
    """Is the primary away, so that no payment can be made?"""
    this = _here.get()
    return this is not None and this.near is not None and this.near.primary.away


def seal(secret_key: str, seen: Seen) -> str:
    """What was seen, as text that a caller may carry and cannot change."""
    return str(_sealing(secret_key).dumps([seen.database, seen.incarnation, seen.position]))


def unseal(secret_key: str, text: str) -> Seen | None:
    """What the text says was seen; None for any that this bank has not sealed."""
    try:
        database, incarnation, position = map(str, _sealing(secret_key).loads(text))
    except (BadSignature, TypeError, ValueError):
        return None
    return Seen(database, incarnation, position)


def _sealing(secret_key: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret_key, salt="what a session has seen")
