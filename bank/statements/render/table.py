"""What the spreadsheet formats share: the facts on top and the table's columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from bank.money import Money
from bank.statements.model import Statement, StatementLine

Value = str | int | date | Money


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: its title, its width in characters, and what stands in it."""

    title: str
    width: int
    value: Callable[[StatementLine], Value]


COLUMNS: Final = (
    Column("Booking date", 17, lambda line: line.booking_date),
    Column("Value date", 14, lambda line: line.value_date),
    Column("Type", 18, lambda line: line.kind),
    Column("Description", 50, lambda line: line.description),
    Column("Reference", 12, lambda line: line.reference),
    Column("Amount", 20, lambda line: line.amount),
    Column("Balance", 20, lambda line: line.balance),
)


def facts(statement: Statement) -> list[tuple[str, Value]]:
    """Everything a statement says outside its lines, labelled."""
    return [
        ("Bank", statement.bank_name),
        ("Account", statement.account_number),
        ("Product", statement.product),
        *(("Holder", holder) for holder in statement.holders),
        ("Currency", statement.currency),
        ("Period", str(statement.period)),
        ("Made", statement.made_at_words),
        ("Transactions", len(statement.lines)),
        ("Opening balance", statement.opening),
        ("Paid in", statement.total_in),
        ("Paid out", statement.total_out),
        ("Closing balance", statement.closing),
    ]
