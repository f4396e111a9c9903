"""Payments as rows of text: separated by commas, semicolons or tabs, as spreadsheets save them."""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from typing import Final

from bank.customers.model import tidy
from bank.errors import Invalid
from bank.identifiers import read_number
from bank.language import folded, together, whole
from bank.language import gettext as _
from bank.money import Money, parse_amount
from bank.payment_files.model import MOST_KEY_BYTES, MOST_NAME, MOST_REFERENCE, Bounds, Line, Reading

#: The columns by their names in the header, and whether a file may leave one out.
COLUMNS: Final = {
    "payer account": False,
    "payee account": False,
    "payee name": True,
    "amount": False,
    "currency": True,
    "reference": True,
    "key": True,
}
#: What may stand between the columns, and what a reader is told of it.
SEPARATORS: Final = {",": "comma", ";": "semicolon", "\t": "tab"}


def read(content: bytes, bounds: Bounds, currency: str) -> Reading:
    """The payments in the rows below the header; amounts are written as in the reader's language."""
    reading = Reading("csv")
    text = _decoded(content, reading)
    if text is None:
        return reading
    header = text.partition("\n")[0]
    reading.separator = max(SEPARATORS, key=lambda each: len(_named(header, each) & set(COLUMNS)))
    rows = _rows(text, reading)
    _number, names = next(rows, (1, []))
    columns = [_name(each) for each in names]
    _check_header(columns, reading)
    if reading.problems:
        return reading
    keys: dict[str, int] = {}
    for count, (number, values) in enumerate(rows, start=1):
        if count > bounds.payments:
            most = whole(bounds.payments)
            reading.refuse(None, "", _("There are more than %(most)s payments. Send them in parts.", most=most))
            break
        if len(values) != len(columns):
            told = _("%(found)d values stand here in place of %(wanted)d.", found=len(values), wanted=len(columns))
            reading.refuse(number, "", told)
            continue
        line = _payment(number, dict(zip(columns, values, strict=True)), currency, reading)
        if line and line.key and (first := keys.setdefault(line.key, number)) != number:
            reading.refuse(number, "key", _("Line %(line)s has the same key.", line=first))
        elif line:
            reading.lines.append(line)
    return reading


def _decoded(content: bytes, reading: Reading) -> str | None:
    encodings = ("utf-16",) if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else ("utf-8-sig", "windows-1252")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        reading.encoding = encoding.removesuffix("-sig").upper()
        return text
    reading.refuse(None, "", _("This is neither text (CSV) nor XML. Save the payments as CSV, in UTF-8."))
    return None


def _rows(text: str, reading: Reading) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank with the number of its first line."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=reading.separator, strict=True)
    while True:
        number = rows.line_num + 1
        try:
            values = next(rows)
        except StopIteration:
            return
        except csv.Error:
            # Where the row ends cannot be known any more, so nothing behind it can be read.
            reading.refuse(number, "", _("The quotation marks here do not go together. What follows was not read."))
            return
        if any(value.strip() for value in values):
            yield number, values


def _named(header: str, separator: str) -> set[str]:
    return {_name(each.strip(' "')) for each in header.split(separator)}


def _name(column: str) -> str:
    return folded(column.replace("_", " "))


def _check_header(columns: list[str], reading: Reading) -> None:
    missing = [name for name, optional in COLUMNS.items() if not optional and name not in columns]
    strange = [name for name in columns if name not in COLUMNS]
    if missing:
        told = _("The first line lacks these columns: %(names)s.", names=together(missing))
        reading.refuse(1, "", told)
    if strange:
        known = together(COLUMNS)
        told = _("“%(name)s” is no column of such a file. These are: %(known)s.", name=strange[0][:40], known=known)
        reading.refuse(1, "", told)
    if len(set(columns)) != len(columns):
        reading.refuse(1, "", _("A column stands in the first line twice."))


def _payment(number: int, row: dict[str, str], currency: str, reading: Reading) -> Line | None:
    before = len(reading.problems)
    code = row.get("currency", "").strip().upper() or currency
    payer, payee = (_account(number, column, row[column], reading) for column in ("payer account", "payee account"))
    amount = _amount(number, row["amount"], code, reading)
    name = _text(number, "payee name", row, MOST_NAME, reading)
    reference = _text(number, "reference", row, MOST_REFERENCE, reading)
    key = tidy(row.get("key", ""))
    if len(key.encode()) > MOST_KEY_BYTES:
        reading.refuse(number, "key", _("This is longer than %(most)d bytes.", most=MOST_KEY_BYTES))
    if amount is None or len(reading.problems) > before:
        return None
    return Line(number, payer, payee, name, amount, reference, key)


def _account(number: int, column: str, typed: str, reading: Reading) -> str:
    try:
        return read_number(typed)
    except Invalid as problem:
        reading.refuse(number, column, str(problem))
        return ""


def _amount(number: int, typed: str, currency: str, reading: Reading) -> Money | None:
    if not re.fullmatch("[A-Z]{3}", currency):
        reading.refuse(number, "currency", _("Write the currency as its three letters, like USD."))
        return None
    try:
        return parse_amount(typed, currency)
    except Invalid as problem:
        reading.refuse(number, "amount", str(problem))
        return None


def _text(number: int, column: str, row: dict[str, str], most: int, reading: Reading) -> str:
    text = tidy(row.get(column, ""))
    if len(text) > most:
        reading.refuse(number, column, _("This is longer than %(most)d characters.", most=most))
    return text
