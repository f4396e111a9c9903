"""Statements as files: all three formats, read back, say exactly what the statement says."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import time
import zipfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import openpyxl
import pypdf
import pytest
import uharfbuzz
from fpdf.fonts import TTFFont
from hypothesis import given, settings
from hypothesis import strategies as st

import bank.statements
from bank.language import short_day
from bank.money import Money
from bank.statements.errors import TooLongForPdf
from bank.statements.model import Days, Latest, Period, Statement, StatementLine, one_line
from bank.statements.render import FORMATS, pdf
from bank.statements.render.scripts import showable

FONTS = Path(bank.statements.__file__).parent / "fonts"
HEADINGS = ["Booking date", "Value date", "Type", "Description", "Reference", "Amount", "Balance"]
MARCH = Days(date(2026, 3, 1), date(2026, 3, 31))
FORMULAS = ['=HYPERLINK("http://x","y")', "+1+1", "-1+1", "@SUM(A1)", "=cmd|' /C calc'!A0", "＝1+1"]


def a_statement(
    *moves: tuple[str, int],
    opening: int = 12_500,
    currency: str = "USD",
    holders: tuple[str, ...] = ("Ana Lima",),
    period: Period = MARCH,
    bank_name: str = "Harbour Bank",
    number: str = "3602000001",
) -> Statement:
    """A statement of (description, minor units), spread over March."""
    balance = opening
    lines = []
    for place, (description, amount) in enumerate(moves):
        day = date(2026, 3, 1) + timedelta(days=place * 30 // len(moves))
        balance += amount
        lines.append(
            StatementLine(
                booking_date=day,
                value_date=day + timedelta(days=place % 2),
                description=description,
                kind="Transfer in" if amount > 0 else "Transfer out",
                reference=str(9000 + place),
                amount=Money(amount, currency),
                balance=Money(balance, currency),
            )
        )
    return Statement(
        bank_name=bank_name,
        account_number=number,
        product="Current account",
        holders=tuple(map(one_line, holders)),
        currency=currency,
        period=period,
        made_at=datetime(2026, 4, 1, 8, 5, 9, tzinfo=UTC),
        opening=Money(opening, currency),
        lines=tuple(lines),
    )


def many(count: int) -> Statement:
    words = ("Rent March", "Groceries at the corner shop", "Salary", "Miete für März – Zoë", "Electricity 2026/3")
    return a_statement(*((words[i % 5], (-1) ** i * (i * 7919 % 99_999 + 1)) for i in range(count)), opening=10**7)


def read_csv(made: Statement) -> tuple[list[list[str]], list[list[str]]]:
    """The facts and the table, heading first."""
    content = FORMATS["csv"].render(made)
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    return rows[: rows.index([])], rows[rows.index([]) + 1 :]


def read_xlsx(made: Statement) -> tuple[list[list[Any]], list[list[Any]]]:
    """The same of the workbook, as openpyxl's cells."""
    book = openpyxl.load_workbook(io.BytesIO(FORMATS["xlsx"].render(made)))
    rows = [list(row) for row in book.active.iter_rows()]
    empty = next(place for place, row in enumerate(rows) if all(cell.value is None for cell in row))
    return [row[:2] for row in rows[:empty]], rows[empty + 1 :]


def read_pdf(made: Statement) -> list[str]:
    """The text of each page."""
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(FORMATS["pdf"].render(made))).pages]


def rows_of(pages: list[str]) -> list[tuple[str, ...]]:
    """The table's rows as (day, description, amount, balance)."""
    row = re.compile(r"^(\d{1,2} \w{3} \d{4}) (.+) (-?[\d,]+(?:\.\d+)?) (-?[\d,]+(?:\.\d+)?)$", re.MULTILINE)
    return [match.groups() for page in pages for match in row.finditer(page)]


def plain(cell: Any, currency: str) -> Decimal:
    """A cell's amount, rounded to what its number format shows."""
    return Decimal(str(cell.value)).quantize(Decimal(Money(1, currency).plain))


def assert_all_three_equal(made: Statement) -> None:
    csv_facts, csv_table = read_csv(made)
    xlsx_facts, xlsx_table = read_xlsx(made)
    lines = [
        [line.booking_date, line.value_date, line.kind, line.description, line.reference, line.amount, line.balance]
        for line in made.lines
    ]
    sums = [made.opening, made.total_in, made.total_out, made.closing]
    words = [made.bank_name, made.account_number, made.product, *made.holders, made.currency, str(made.period)]

    assert csv_table == [HEADINGS, *([v.plain if isinstance(v, Money) else str(v) for v in row] for row in lines)]
    assert [value for _, value in csv_facts][-4:] == [amount.plain for amount in sums]
    assert [value for _, value in csv_facts][: len(words)] == words

    assert [cell.value for cell in xlsx_table[0]] == HEADINGS
    for cells, row in zip(xlsx_table[1:], lines, strict=True):
        assert [cell.value.date() for cell in cells[:2]] == row[:2]
        assert [cell.value for cell in cells[2:5]] == row[2:5]
        assert [plain(cell, made.currency) for cell in cells[5:]] == [Decimal(v.plain) for v in row[5:]]
    assert [plain(row[1], made.currency) for row in xlsx_facts[-4:]] == [Decimal(amount.plain) for amount in sums]
    assert [row[1].value for row in xlsx_facts][: len(words)] == words

    pages = read_pdf(made)
    shown = [
        (short_day(line.booking_date), line.description, *(a.figure for a in row[5:]))
        for line, row in zip(made.lines, lines, strict=True)
    ]
    assert rows_of(pages) == shown
    front = pages[0].splitlines()
    labels = ["Opening balance", "Paid in", "Paid out", "Closing balance"]
    assert [front[front.index(label) + 1] for label in labels] == [amount.figure for amount in sums]
    for word in words[:-3]:
        assert word.lower() in pages[0].lower()
    assert f"Currency {made.currency}" in front
    assert f"Period {made.period}" in front


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD"])
def test_all_three_formats_say_exactly_what_the_statement_says(currency):
    assert_all_three_equal(
        a_statement(
            ("Rent March", -45_98),
            ("Salary ACME, Ltd", 9_651),
            ('The "Anchor" pub; two pints', -1),
            ("Transfer 7 of 12", 123_456_789),
            ("Überweisung an Ștefan Ćosić", -30),
            currency=currency,
            holders=("Ana Lima", "Jürgen O’Brien-Müller"),
        )
    )


def test_an_empty_period_is_a_statement_too():
    made = a_statement()

    assert_all_three_equal(made)
    assert "Nothing was booked in this period." in read_pdf(made)[0]


def test_an_overdrawn_account_keeps_its_minus_everywhere():
    assert_all_three_equal(a_statement(("Rent", -100), ("Fee", -5), opening=-12_300_00))


def test_the_newest_lines_have_no_days_at_their_ends():
    made = a_statement(("Rent", -100), period=Latest(20))

    assert_all_three_equal(made)
    assert "\nOpening balance 125.00\n" in read_pdf(made)[0]


@pytest.mark.parametrize("units", [2**53 - 1, 2**53 + 1, 10**15 - 1, 10**15, 10**15 + 1, 9 * 10**18 + 7])
def test_amounts_that_no_spreadsheet_number_holds_stay_exact(units):
    made = a_statement(("All of it", -units), ("And back", units), opening=units)

    assert_all_three_equal(made)
    [_, first, *_] = read_xlsx(made)[1]
    assert first[5].data_type == ("n" if units < 10**15 else "s")


def test_a_number_in_the_workbook_is_written_digit_by_digit():
    # As a double in sixteen digits it would be 9999999999999.971.
    made = a_statement(("Much", 999_999_999_999_997), opening=0)

    with zipfile.ZipFile(io.BytesIO(FORMATS["xlsx"].render(made))) as archive:
        assert archive.read("xl/worksheets/sheet1.xml").count(b"<v>9999999999999.97</v>") == 4


def test_a_planted_formula_stays_text():
    made = a_statement(*((formula, -1) for formula in FORMULAS), holders=("=1+1", "-Ana"))

    _, table = read_csv(made)
    assert [row[3] for row in table[1:]] == [f"'{formula}" for formula in FORMULAS]
    assert [row[5] for row in table[1:]] == ["-0.01"] * len(FORMULAS)
    assert [value for label, value in read_csv(made)[0] if label == "Holder"] == ["'=1+1", "'-Ana"]

    cells = [row[3] for row in read_xlsx(made)[1][1:]]
    assert [(cell.value, cell.data_type) for cell in cells] == [(formula, "s") for formula in FORMULAS]
    with zipfile.ZipFile(io.BytesIO(FORMATS["xlsx"].render(made))) as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")


def test_a_planted_formula_stays_text_where_semicolons_separate():
    made = a_statement(("x;=1+1;", -100))

    lines = FORMATS["csv"].render(made).decode("utf-8-sig").splitlines()
    assert "'=1+1" in [cell for row in csv.reader(lines, delimiter=";") for cell in row]
    assert read_csv(made)[1][1][5] == "-1.00"


@pytest.mark.parametrize(
    "text", ["_x0041_", "a_x000D_b", "<b>&amp;", "http://example.org", "{nb} pages", "**bold**", "000123"]
)
def test_text_that_a_format_gives_a_meaning_is_only_text(text):
    assert_all_three_equal(a_statement((text, -1), (text, 2), holders=(text,)))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("王小明", "[name in Chinese characters]"),
        ("山田 たろう", "[name in Japanese characters]"),
        ("김민준", "[name in Korean letters]"),
        ("अनीता देवी", "[name in Devanagari letters]"),
        ("สมชาย ใจดี", "[name in Thai letters]"),
        ("王小明 (Xiaoming Wang)", "[name in Chinese characters] (Xiaoming Wang)"),
        ("Li 王 𐍈", "Li [name in Chinese characters and Gothic letters]"),
        ("Ana 🎂👍🏽", "Ana [emoji]"),
        ("\ue000", "[name in characters without a name]"),
    ],
)
def test_letters_that_the_pdf_lacks_are_named_and_the_other_files_have_them(name, shown):
    made = a_statement((name, -1), holders=(name,))
    page = " ".join(read_pdf(made)[0].split())

    assert f"Account statement {shown} Account 3602000001" in page
    assert f"1 Mar 2026 {shown.replace('[name', '[text')} -0.01 124.99" in page
    assert "[Square brackets] stand for letters that this file cannot show." in page
    assert ["Holder", name] in read_csv(made)[0]
    assert name in [row[1].value for row in read_xlsx(made)[0]]
    assert read_csv(made)[1][1][3] == read_xlsx(made)[1][1][3].value == name


def test_a_statement_that_shows_everything_says_nothing_of_missing_letters():
    assert "brackets" not in read_pdf(a_statement(("Rent", -1)))[0]


@pytest.mark.parametrize(
    "name", ["محمد علي", "דוד לוי", "Нгуен Ольга", "Ελένη Παππά", "Գոհար", "ნინო", "Nguyễn Thị Ánh", "Ọlá"]
)
def test_letters_that_the_pdf_has_are_shown(name):
    page = read_pdf(a_statement((name, -1), holders=(name,)))[0]

    assert "[" not in page
    assert page.count(name) == 2


def test_a_decomposed_name_is_shown_composed():
    decomposed = "Zoe\u0308 A\u0301vila"
    made = a_statement((one_line(decomposed), -1), holders=(decomposed,))

    assert made.holders == ("Zoë Ávila",)
    assert_all_three_equal(made)


@pytest.mark.parametrize("weight", ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf"])
@given(text=st.text())
@settings(deadline=None)
def test_no_text_is_ever_drawn_with_a_letter_that_the_font_lacks(weight, text):
    shown = showable(one_line(text), pdf.letters(), "text")

    assert 0 not in glyphs(weight, shown), f"a box in {shown!r}"


def test_that_test_would_see_a_box():
    assert 0 in glyphs("DejaVuSans.ttf", "王")


def glyphs(weight: str, text: str) -> list[int]:
    """The font's glyphs that the text is drawn with, by number; 0 is the box."""
    buffer = uharfbuzz.Buffer()
    buffer.add_str(text)
    buffer.guess_segment_properties()
    uharfbuzz.shape(uharfbuzz.Font(font_faces()[weight]), buffer)
    return [info.codepoint for info in buffer.glyph_infos]


@cache
def font_faces() -> dict[str, uharfbuzz.Face]:
    return {path.name: uharfbuzz.Face(path.read_bytes()) for path in FONTS.glob("*.ttf")}


@given(text=st.text())
@settings(deadline=None, max_examples=25)
def test_any_text_can_be_drawn(text):
    made = a_statement((one_line(text) or "-", -1), holders=(text,), bank_name=one_line(text))

    assert len(read_pdf(made)) == 1


@given(st.text())
def test_what_the_font_has_is_never_replaced(text):
    assert showable(text, range(0x110000), "text") == text.rstrip()


@given(st.lists(st.tuples(st.text(), st.integers(-(10**16), 10**16).filter(bool)), max_size=5), st.text())
@settings(deadline=None)
def test_any_text_survives_the_spreadsheets(moves, holder):
    made = a_statement(*((one_line(text) or "-", amount) for text, amount in moves), holders=(holder,))

    table = read_xlsx(made)[1][1:]
    assert [row[3].value for row in table] == [line.description for line in made.lines]
    assert [plain(row[5], "USD") for row in table] == [Decimal(line.amount.plain) for line in made.lines]
    table = read_csv(made)[1][1:]
    descriptions = [line.description.replace("'", "") for line in made.lines]
    assert [row[3].replace("'", "") for row in table] == descriptions
    assert [row[5] for row in table] == [line.amount.plain for line in made.lines]


def test_excel_is_told_that_the_csv_is_utf8():
    content = FORMATS["csv"].render(a_statement(("Zoë", -1)))

    assert content.startswith(b"\xef\xbb\xbf")
    assert content.count(b"\r\n") == content.count(b"\n")


@pytest.mark.parametrize("extension", FORMATS)
def test_the_same_statement_gives_the_same_file(extension):
    first = FORMATS[extension].render(many(30))
    time.sleep(1.1)  # a file that notes the time notes the second

    assert FORMATS[extension].render(many(30)) == first


@pytest.mark.parametrize(
    ("period", "number", "name"),
    [
        (MARCH, "3602000001", "statement-0001-2026-03.csv"),
        (Days(date(2026, 3, 1), date(2026, 3, 30)), "360200000", "statement-0000-2026-03-01-to-2026-03-30.csv"),
        (Latest(20), "3602000001", "statement-0001-last-20.csv"),
        (Latest(20), 'suspense/"USD\r\n', "statement-eUSD-last-20.csv"),
    ],
)
def test_a_files_name_has_four_digits_and_the_period(period, number, name):
    assert FORMATS["csv"].filename(a_statement(period=period, number=number)) == name


def test_each_format_says_what_it_is():
    assert {key: form.content_type for key, form in FORMATS.items()} == {
        "pdf": "application/pdf",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "csv": "text/csv; charset=utf-8",
    }


def test_the_pdf_says_its_title_language_and_time():
    reader = pypdf.PdfReader(io.BytesIO(FORMATS["pdf"].render(a_statement())))

    assert reader.metadata.title == "Account statement 3602000001, 1 March 2026 to 31 March 2026"
    assert reader.metadata.author == "Harbour Bank"
    assert reader.metadata.creation_date == datetime(2026, 4, 1, 8, 5, 9, tzinfo=UTC)
    assert reader.trailer["/Root"]["/Lang"] == "en"
    assert reader.trailer["/Root"]["/ViewerPreferences"]["/DisplayDocTitle"]


def test_every_page_of_the_pdf_has_a_head_its_number_and_the_balance_so_far():
    made = many(200)
    pages = read_pdf(made)

    assert_all_three_equal(made)
    assert len(pages) > 5
    for number, page in enumerate(pages, start=1):
        assert "Date Description Amount Balance" in page
        assert f"Page {number} of {len(pages)}" in page
    balances = ["", *(rows_of([page])[-1][3] for page in pages if rows_of([page]))]
    for page, before in list(zip(pages, balances, strict=False))[1:]:
        assert f"Balance brought forward {before}" in page


@pytest.mark.parametrize("count", range(15, 40))
def test_no_number_of_lines_leaves_the_closing_balance_alone_on_a_page(count):
    pages = read_pdf(many(count))

    assert len(rows_of(pages)) == count
    assert rows_of(pages[-1:])
    assert "Closing balance" in pages[-1]


def test_long_words_and_many_holders_stay_on_the_paper():
    holders = tuple(f"Holder number {number} with a rather long name indeed" for number in range(40))
    made = a_statement(("x" * 200, -1), (("wide " * 40).strip(), 1), holders=holders, bank_name="Bank " * 40)
    content = pypdf.PdfReader(io.BytesIO(FORMATS["pdf"].render(made)))
    ends: list[float] = []

    def note(text: str, _: Any, matrix: list[float], _font: Any, size: float) -> None:
        if text.strip():
            ends.append(matrix[5])

    text = "".join(page.extract_text(visitor_text=note) for page in content.pages)

    assert min(ends) > 30
    assert max(ends) < 842 - 30
    assert "more: see the CSV download" in text
    assert text.count("x") >= 200
    assert text.count("wide") == 40


@given(st.text(alphabet=st.sampled_from("a \u0301اب😀x-é"), max_size=300), st.floats(10, 100))
@settings(deadline=None, max_examples=50)
def test_a_text_is_broken_at_blanks_and_loses_nothing(text, width):
    paper = pdf._Paper(a_statement())
    words = showable(one_line(text), pdf.letters(), "text")
    paper._font(8.8)

    lines = paper._wrapped(words, width)

    assert "".join(lines).replace(" ", "") == words.replace(" ", "")
    if all(paper._width(word) <= width for word in words.split()):
        assert " ".join(lines) == words
    # Letters that touch across a blank may stand a hair closer or wider than each by itself.
    assert all(paper._width(line) < width + 1 or " " not in line for line in lines)


def shapings(monkeypatch: pytest.MonkeyPatch, *descriptions: str) -> int:
    """How often the statement's text is shaped: joined and ordered, at a hundred times the cost of plain letters."""
    calls = []
    shape = TTFFont.perform_harfbuzz_shaping
    monkeypatch.setattr(TTFFont, "perform_harfbuzz_shaping", lambda *args: calls.append(1) or shape(*args))
    FORMATS["pdf"].render(a_statement(*((text, -1) for text in descriptions)))
    return len(calls)


def test_letters_with_mere_accents_are_not_shaped(monkeypatch):
    assert shapings(monkeypatch, "Nguyễn Thị Ánh", "Přílišná účtenka", "Ελένη Παππά", "Нгуен Ольга", "Ștefan") == 0


def test_long_text_is_shaped_by_lines_and_words_never_by_letters(monkeypatch):
    texts = [
        f"إيجار شهر مارس للشقة في الشارع القديم رقم {number} دفعة الكهرباء والماء عن الطابق" for number in range(50)
    ]

    # By letters it would be above 100 for each text.
    assert 2 * len(texts) < shapings(monkeypatch, *texts) < 20 * len(texts)


def test_a_pdf_holds_a_thousand_lines_and_the_other_files_more():
    with pytest.raises(TooLongForPdf, match="take the CSV or XLSX.* 1,000 transactions"):
        FORMATS["pdf"].render(many(1001))
    assert len(read_csv(many(1001))[1]) == len(read_xlsx(many(1001))[1]) == 1002


def test_a_statement_of_a_thousand_lines_is_made_in_seconds(capsys):
    made = many(1000)
    took = {}
    for extension, form in FORMATS.items():
        started = time.perf_counter()
        form.render(made)
        took[extension] = time.perf_counter() - started
    with capsys.disabled():
        print("1,000 lines:", ", ".join(f"{key} {seconds:.2f} s" for key, seconds in took.items()))

    # Half a second on an idle machine; the bound is for the busiest.
    assert max(took.values()) < 15


def test_the_fonts_are_the_ones_that_were_chosen_with_their_licence():
    lines = (FONTS / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split() for line in lines)}

    assert sums == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in FONTS.iterdir()
        if path.name != "SHA256SUMS"
    }
    assert sums.keys() == {"DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "LICENSE"}
