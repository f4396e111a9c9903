"""What is recorded of a customer; pure rules."""

from __future__ import annotations

import unicodedata
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final

from bank.language import gettext
from bank.language import marked as _

STATUSES: Final = {"active": _("active"), "inactive": _("deactivated")}


def customer_status(status: str) -> str:
    """May the customer's accounts be used, in words."""
    return gettext(STATUSES[status])


#: Overrides, embeddings and isolates of writing direction: they could turn around the figures beside a text. Marks of
#: direction and joiners are not among them, for they are part of how some languages are written.
DIRECTION: Final = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])


@dataclass(frozen=True, slots=True)
class CustomerDetails:
    """What staff type about a customer; `birth_date` None: the older app never asked."""

    name: str
    birth_date: date | None
    address: str
    city: str
    region: str = ""
    postcode: str = ""
    email: str = ""
    phone: str = ""

    def __post_init__(self) -> None:
        for field, value in asdict(self).items():
            if isinstance(value, str):
                object.__setattr__(self, field, tidy(value))

    def changes_from(self, old: Any) -> dict[str, list[str]]:
        """The fields that differ from `old`, each with the old and the new value as text."""
        return {
            field: [str(getattr(old, field)), str(value)]
            for field, value in asdict(self).items()
            if getattr(old, field) != value
        }


def tidy(text: str) -> str:
    """The text in composed form (NFC), without control characters, directions, or blanks at the ends or in a row.

    >>> tidy("  Zoe\\u0308   O'Brien ")
    "Zoë O'Brien"
    """
    composed = unicodedata.normalize("NFC", text.translate(DIRECTION))
    printable = "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in composed)
    return " ".join(printable.split())
