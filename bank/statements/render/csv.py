"""A statement as CSV (RFC 4180): facts on top, an empty line, then a table with one row per line.

* UTF-8 with a byte order mark: without it Excel reads the file in the computer's old code page and garbles names.
* Days are ISO 8601. Amounts are plain figures with a point, `-1234.56`, that programs and spreadsheets read.
* All text is quoted. What a spreadsheet would run as a formula gets an apostrophe before it; figures need none.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from bank.money import Money
from bank.spreadsheets import harmless
from bank.statements.model import Statement
from bank.statements.render.table import COLUMNS, Value, facts


def render(statement: Statement) -> bytes:
    """The statement's CSV file."""
    rows: list[Iterable[Value]] = [
        *facts(statement),
        (),
        [column.title for column in COLUMNS],
        *([column.value(line) for column in COLUMNS] for line in statement.lines),
    ]
    return "".join(f"{','.join(map(_cell, row))}\r\n" for row in rows).encode("utf-8-sig")


def _cell(value: Value) -> str:
    match value:
        case Money():
            return value.plain
        case date():
            return value.isoformat()
        case int():
            return str(value)
        case str():
            return '"' + harmless(value).replace('"', '""') + '"'
