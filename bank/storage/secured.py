"""Secured payments: none is confirmed before the other region has it, so that none is lost with a region."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

#: The fact by which a primary says that it has no copy, and confirms payments without one.
ALONE: Final = "alone"
YES: Final = "yes"
NO: Final = "no"


@dataclass(slots=True)
class Call:
    """One call of the bank: does it move money, and if so, up to where in the log is that?"""

    refuse_if_away: Callable[[], None]
    moves: bool = False
    #: In the database's own words; None: not known. ALONE: wherever it is, nobody else is to have it.
    place: str | None = None


_call: ContextVar[Call | None] = ContextVar("call", default=None)


@contextmanager
def call(refuse_if_away: Callable[[], None]) -> Iterator[Call]:
    """Watch for money that is moved within the body; `refuse_if_away` raises before, when it could not be secured."""
    this = Call(refuse_if_away)
    token = _call.set(this)
    try:
        yield this
    finally:
        _call.reset(token)


def moving() -> None:
    """Say that money is about to be moved.

    Raises:
        OtherRegionAway: it could not be secured, so it is not moved.
    """
    this = _call.get()
    if this is not None:
        this.refuse_if_away()
        this.moves = True


def wanted() -> bool:
    """Is it to be told where in the log this call's commit is?"""
    this = _call.get()
    return this is not None and this.moves


def committed(place: str | None) -> None:
    """Say up to where in the log the other region must have it; None if that is not known."""
    this = _call.get()
    if this is not None:
        this.place = place


def place() -> str | None:
    """Up to where in the log this call has written, as far as that was told."""
    this = _call.get()
    return this.place if this else None
