"""What a case is about, how it stands, and who may work on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bank.language import gettext
from bank.language import marked as _

PROBLEM: Final = "problem"
TILL_DIFFERENCE: Final = "till_difference"

KINDS: Final = {PROBLEM: _("Problem with a movement"), TILL_DIFFERENCE: _("Till difference")}

STATES: Final = {
    "waiting": _("waiting"),
    "taken": _("being looked at"),
    "closed": _("answered"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """Something that waits for the branch. `opened_by` and the others are written like `staff:3`; the names are staff's."""

    id: int
    kind: str
    customer_id: int | None
    entry_id: int | None
    told: str
    opened_by: str
    opened_at: datetime
    taken_by: str | None
    taken_at: datetime | None
    answer: str | None
    closed_by: str | None
    closed_at: datetime | None
    customer_number: str | None
    customer_name: str | None
    opener_name: str | None
    worker_name: str | None
    #: A warning about the customer asks for a reason before the record is opened.
    guarded: bool

    @property
    def state(self) -> str:
        """`waiting`, `taken` or `closed`."""
        return "closed" if self.closed_at else "taken" if self.taken_by else "waiting"

    def __str__(self) -> str:
        """How an audit record names the case."""
        return f"case:{self.id}"


def kinds_for(role: str) -> tuple[str, ...]:
    """What somebody of this role works on: a till that did not balance is for executives alone.

    >>> kinds_for("teller")
    ('problem',)
    """
    return (PROBLEM, TILL_DIFFERENCE) if role == "executive" else (PROBLEM,)


def kind_name(kind: str) -> str:
    """What a case is about, in words."""
    return gettext(KINDS[kind])


def state_name(state: str) -> str:
    """How a case stands, in words."""
    return gettext(STATES[state])
