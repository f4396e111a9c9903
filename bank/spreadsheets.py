"""Tables as files that spreadsheets open: every value stays what it is, and no text runs as a formula."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from xlsxwriter import Workbook  # type: ignore[import-untyped]  # it ships no py.typed

from bank.money import Money, exponent

Cell = str | int | date | datetime | Money | None

# What begins a formula in Excel, LibreOffice or Google Sheets; the full-width signs are what some East Asian
# editions read like the plain ones. A cell also begins wherever a reader sees a separator that the writer did not
# mean: Excel splits at semicolons in much of Europe. A price may end in a minus, as in "100,-".
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA_START: Final = re.compile(r'(?:\A|[;,|\t\r\n])[\s"]*(?=[=+\-@＝＋－＠])(?!-\Z)')
# Excel keeps fifteen digits: a longer figure is written as text rather than changed.
_LONGEST: Final = 10**15
_WIDEST_PIXELS: Final = 400


def harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula, whatever it takes for the end of a cell.

    >>> harmless("=1+1"), harmless("Rent; =1+1"), harmless("Rent - 100,-")
    ("'=1+1", "Rent; '=1+1", 'Rent - 100,-')
    """
    return _FORMULA_START.sub(r"\g<0>'", text)


def as_csv(rows: Iterable[Iterable[Cell]]) -> bytes:
    """The rows as CSV (RFC 4180).

    * UTF-8 with a byte order mark: without it Excel reads the file in the computer's old code page and garbles names.
    * Days are ISO 8601. Amounts are plain figures with a point, `-1234.56`, that programs and spreadsheets read.
    * All text is quoted. What a spreadsheet would run as a formula gets an apostrophe before it; figures need none.
    """
    return "".join(f"{','.join(map(_csv_cell, row))}\r\n" for row in rows).encode("utf-8-sig")


def _csv_cell(value: Cell) -> str:
    match value:
        case None:
            return ""
        case Money():
            return value.plain
        case date():
            return value.isoformat()
        case int():
            return str(value)
        case str():
            return '"' + harmless(value).replace('"', '""') + '"'


def as_xlsx(heading: Sequence[str], rows: Iterable[Iterable[Cell]]) -> bytes:
    """The rows as an Excel workbook, to sort and filter by its heading; amounts are numbers, days days, all text text."""
    file = io.BytesIO()
    with Workbook(file, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        head = book.add_format({"bold": True, "bottom": 1})
        day = book.add_format({"num_format": "yyyy-mm-dd", "align": "left"})
        figures = {decimals: book.add_format({"num_format": _figure(decimals)}) for decimals in range(5)}
        for column, words in enumerate(heading):
            sheet.write_string(0, column, words, head)
        line = 0
        for line, row in enumerate(rows, start=1):
            for column, value in enumerate(row):
                match value:
                    case Money() if abs(value.minor_units) < _LONGEST:
                        sheet.write_number(line, column, Decimal(value.plain), figures[exponent(value.currency)])
                    case Money():
                        sheet.write_string(line, column, value.plain)
                    case datetime():
                        # Excel knows no zones.
                        sheet.write_string(line, column, value.isoformat())
                    case date():
                        sheet.write_datetime(line, column, value, day)
                    case int():
                        sheet.write_number(line, column, value)
                    case str():
                        sheet.write_string(line, column, value)
        sheet.autofit(_WIDEST_PIXELS)
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, line, len(heading) - 1)
    return file.getvalue()


def _figure(decimals: int) -> str:
    return "#,##0" + "." * bool(decimals) + "0" * decimals
