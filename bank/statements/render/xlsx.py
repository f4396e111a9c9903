"""A statement as an Excel workbook: facts on top, then a table; amounts are numbers, all text is text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, date
from decimal import Decimal
from typing import Any, Final

from xlsxwriter import Workbook  # type: ignore[import-untyped]  # it ships no py.typed

from bank.language import gettext as _
from bank.money import Money, exponent
from bank.statements.model import Statement
from bank.statements.render.table import COLUMNS, Value, facts

# Excel keeps fifteen significant digits. A figure with more of them is written as text rather than changed.
# https://support.microsoft.com/en-us/office/excel-specifications-and-limits-1672b34d-7043-467e-8e27-269d656771c3
_MOST_DIGITS: Final = 10**15

# Excel's calendar begins here.
_FIRST_YEAR: Final = 1900


def render(statement: Statement) -> bytes:
    """The statement's workbook, of one sheet."""
    file = io.BytesIO()
    # In memory: what customers did never lies in a temporary file, and a statement's size is bounded.
    with Workbook(file, {"in_memory": True}) as book:
        book.set_properties(
            {
                "title": statement.title,
                "author": statement.bank_name,
                "created": statement.made_at.astimezone(UTC).replace(tzinfo=None),
            }
        )
        _Sheet(book, statement.currency).write(statement)
    return file.getvalue()


class _Sheet:
    """The one sheet and its formats."""

    def __init__(self, book: Any, currency: str) -> None:
        decimals = exponent(currency)
        self.sheet = book.add_worksheet(_("Statement"))
        self.plain = book.add_format({"align": "left"})
        self.bold = book.add_format({"bold": True, "align": "left"})
        self.title = book.add_format({"bold": True, "bottom": 1})
        self.title_of_figures = book.add_format({"bold": True, "bottom": 1, "align": "right"})
        self.day = book.add_format({"num_format": "yyyy-mm-dd", "align": "left"})
        self.amount = book.add_format({"num_format": "#,##0" + "." * bool(decimals) + "0" * decimals, "align": "right"})

    def write(self, statement: Statement) -> None:
        """Fill the sheet."""
        top = facts(statement)
        for row, (label, value) in enumerate(top):
            self.sheet.write_string(row, 0, label, self.bold)
            self._write(row, 1, value)
        self._write_table(len(top) + 1, statement)

    def _write_table(self, first_row: int, statement: Statement) -> None:
        for number, column in enumerate(COLUMNS):
            self.sheet.set_column(number, number, column.width)
            self.sheet.write_string(
                first_row, number, column.title, self.title_of_figures if column.figures else self.title
            )
        for row, line in enumerate(statement.lines, start=first_row + 1):
            self._write_row(row, [column.value(line) for column in COLUMNS])
        self._lay_out(first_row, last_row=first_row + len(statement.lines))

    def _write_row(self, row: int, values: Sequence[Value]) -> None:
        for column, value in enumerate(values):
            self._write(row, column, value)

    def _write(self, row: int, column: int, value: Value) -> None:
        match value:
            case Money() if abs(value.minor_units) < _MOST_DIGITS:
                # A Decimal is written digit by digit, where a float might end in …0001.
                self.sheet.write_number(row, column, Decimal(value.plain), self.amount)
            case Money():
                self.sheet.write_string(row, column, value.plain, self.amount)
            case date() if value.year >= _FIRST_YEAR:
                self.sheet.write_datetime(row, column, value, self.day)
            case int():
                self.sheet.write_number(row, column, value, self.plain)
            case _:
                self.sheet.write_string(row, column, str(value), self.plain)

    def _lay_out(self, first_row: int, last_row: int) -> None:
        """The table's head stays in sight, on screen and on each printed page."""
        last_column = len(COLUMNS) - 1
        self.sheet.freeze_panes(first_row + 1, 0)
        self.sheet.autofilter(first_row, 0, last_row, last_column)
        self.sheet.repeat_rows(first_row)
        self.sheet.set_landscape()
        self.sheet.set_paper(9)  # A4
        self.sheet.fit_to_pages(1, 0)
        # Account numbers and references are digits that nobody adds up.
        self.sheet.ignore_errors({"number_stored_as_text": f"A1:G{last_row + 1}"})
