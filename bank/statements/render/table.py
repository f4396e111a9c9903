"""What the spreadsheet formats share: the facts on top and the table's columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from bank.language import gettext
from bank.language import marked as _
from bank.money import Money
from bank.statements.model import Statement, StatementLine

Value = str | int | date | Money


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: its name, its width in characters, and what stands in it."""

    name: str
    width: int
    value: Callable[[StatementLine], Value]
    figures: bool = False

    @property
    def title(self) -> str:
        """What stands above it, in the reader's language."""
        return gettext(self.name)


COLUMNS: Final = (
    Column(_("Booking date"), 17, lambda line: line.booking_date),
    Column(_("Value date"), 14, lambda line: line.value_date),
    Column(_("Type"), 18, lambda line: line.kind),
    Column(_("Description"), 50, lambda line: line.description),
    Column(_("Reference"), 12, lambda line: line.reference),
    Column(_("Amount"), 20, lambda line: line.amount, figures=True),
    Column(_("Balance"), 20, lambda line: line.balance, figures=True),
)


def facts(statement: Statement) -> list[tuple[str, Value]]:
    """Everything a statement says outside its lines, labelled."""
    return [
        (gettext("Bank"), statement.bank_name),
        (gettext("Account"), statement.account_number),
        (gettext("Product"), statement.product),
        *((gettext("Holder"), holder) for holder in statement.holders),
        (gettext("Currency"), statement.currency),
        (gettext("Period"), str(statement.period)),
        (gettext("Made"), statement.made_at_words),
        (gettext("Transactions"), len(statement.lines)),
        (gettext("Opening balance"), statement.opening),
        (gettext("Paid in"), statement.total_in),
        (gettext("Paid out"), statement.total_out),
        (gettext("Closing balance"), statement.closing),
    ]
