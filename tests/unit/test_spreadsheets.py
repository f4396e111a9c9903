"""Files that spreadsheets open: no text is a formula, whatever separates cells for whoever opens it; figures stay exact."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from bank.money import Money
from bank.spreadsheets import as_xlsx, harmless

SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("x;=1+1;", "x;'=1+1;"),
        ("x|@SUM(A1)", "x|'@SUM(A1)"),
        ("x,  +1", "x,  '+1"),
        ("x\t-1", "x\t'-1"),
        ("x\r\n=1", "x\r\n'=1"),
        ('x;"=1+1', "x;\"'=1+1"),
        ("x;＝1+1", "x;'＝1+1"),
        ("a;=1;=2", "a;'=1;'=2"),
    ],
)
def test_a_formula_gets_an_apostrophe_wherever_it_could_begin(text, written):
    assert harmless(text) == written


@pytest.mark.parametrize("text", ["", "Rent", "a=b", "Rent - March", "Nájem 12000,-", "x; y, z", "me@example.org", "-"])
def test_what_begins_no_formula_stays_as_it_is(text):
    assert harmless(text) == text


@given(st.text(alphabet='=+-@＝a1 ;,|\t"\n'))
def test_no_separator_makes_a_cell_of_it_that_begins_like_a_formula(text):
    for separator in ";,|\t":
        for quotes in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            rows = csv.reader(io.StringIO(harmless(text), newline=""), delimiter=separator, quoting=quotes)
            cells = [cell.strip().lstrip('"') for row in rows for cell in row]
            assert not any(cell.startswith(SIGNS) and cell != "-" for cell in cells), (separator, cells)


def test_a_figure_that_excel_would_round_is_written_as_text():
    exact, long = Money(999_999_999_999_999, "USD"), Money(1_234_567_890_123_456_789, "USD")

    sheet = load_workbook(io.BytesIO(as_xlsx(["Amount"], [[exact], [long], [Money(5, "JPY")]]))).active

    assert [cell.value for cell in sheet["A"]] == ["Amount", 9999999999999.99, "12345678901234567.89", 5]
    assert [cell.number_format for cell in sheet["A"]][1::2] == ["#,##0.00", "#,##0"]
