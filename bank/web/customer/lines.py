"""A movement as a line of the feed: every word of it looked up once, and not each time that the template asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from flask import url_for
from markupsafe import Markup

from bank.language import gettext
from bank.spending.movements import Movement
from bank.spending.rules import category_name
from bank.web.pages import drawn

ICONS: Final = {
    "income": "banknote", "housing": "house", "groceries": "shopping-cart", "eating_out": "utensils", "transport": "bus",
    "health": "heart-pulse", "bills": "plug", "leisure": "ticket", "people": "users", "cash": "coins", "fees": "percent",
    "own": "arrow-left-right", "other": "receipt",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """What the feed says of one movement, in the reader's language; `amount` has its sign and currency."""

    movement: Movement
    received: bool
    icon: Markup
    address: str
    title: str
    detail: str
    category: str
    amount: str
    balance: str


def lines_of(movements: Iterable[Movement]) -> list[Line]:
    """The movements as lines, in their order."""
    # Made once: putting an address together takes longer than any other part of a line.
    before_id = url_for("customer.show_movement", entry_id=0).removesuffix("0")
    return [_line(movement, before_id) for movement in movements]


def _line(movement: Movement, before_id: str) -> Line:
    posting, signed = movement.posting, movement.posting.signed
    received = signed.minor_units > 0
    return Line(
        movement,
        received,
        drawn(ICONS.get(movement.category, "receipt")),
        f"{before_id}{posting.entry_id}",
        movement.title,
        movement.detail,
        category_name(movement.category),
        f"+{signed}" if received else str(signed),
        gettext("Balance %(amount)s", amount=posting.balance_after.figure),
    )
