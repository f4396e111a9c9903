"""A statement as CSV: facts on top, an empty line, then a table with one row per line."""

from __future__ import annotations

from collections.abc import Iterable

from bank.spreadsheets import Cell, as_csv
from bank.statements.model import Statement
from bank.statements.render.table import COLUMNS, facts


def render(statement: Statement) -> bytes:
    """The statement's CSV file."""
    rows: list[Iterable[Cell]] = [
        *facts(statement),
        (),
        [column.title for column in COLUMNS],
        *([column.value(line) for column in COLUMNS] for line in statement.lines),
    ]
    return as_csv(rows)
