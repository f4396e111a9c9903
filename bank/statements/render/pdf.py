"""A statement as PDF: A4, its table's head on every page, letters of most scripts embedded.

Everything is measured before anything is drawn, so each page knows how many there are. The same statement
gives the same bytes: its creation date is the statement's own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from fpdf import FPDF
from fpdf.enums import Align, XPos, YPos
from fpdf.prefs import ViewerPreferences
from uharfbuzz import Face  # type: ignore[import-untyped]  # it ships no py.typed

from bank import language
from bank.language import gettext, ngettext, short_day, whole
from bank.language import marked as _
from bank.money import Money
from bank.statements.errors import TooLongForPdf
from bank.statements.model import Days, Statement, StatementLine
from bank.statements.render.scripts import NAME, TEXT, showable

# DejaVu Sans 2.37, as in the npm package dejavu-fonts-ttf 2.37.3: Latin, Greek, Cyrillic, Armenian, Georgian,
# Hebrew, Arabic, Lao and more. SHA256SUMS beside the files has their digests.
_FONTS: Final = Path(__file__).parent.parent / "fonts"
_FAMILY: Final = "DejaVuSans"
_REGULAR: Final = "DejaVuSans.ttf"
_BOLD: Final = "DejaVuSans-Bold.ttf"

# Millimetres.
_LEFT, _TOP, _WIDTH = 18.0, 16.0, 174.0
_BOTTOM: Final = 276.0
_FOOT: Final = 281.0
_DAY_WIDTH: Final = 27.0
_GAP: Final = 5.0
_LINE, _SMALL_LINE, _PADDING = 4.4, 3.6, 1.5
_HEAD_HEIGHT: Final = 7.5
_MOST_HOLDER_LINES: Final = 20

#: So many long lines of Arabic take some seconds of a processor.
MOST_LINES: Final = 1000

_INK: Final = (28, 33, 40)
_MUTED: Final = (96, 104, 115)
_ACCENT: Final = (23, 62, 99)
_TINT: Final = (240, 244, 248)
_RULE: Final = (214, 220, 227)

# Hebrew and the like, Arabic and the like, Arabic digits (Unicode Standard Annex 9).
_FROM_THE_RIGHT: Final = frozenset(("R", "AL", "AN"))

_UNSHOWN: Final = _(
    "[Square brackets] stand for letters that this file cannot show. The CSV and Excel downloads have them."
)


def render(statement: Statement) -> bytes:
    """The statement's PDF file.

    Raises:
        TooLongForPdf: it has more than `MOST_LINES` lines.
    """
    if len(statement.lines) > MOST_LINES:
        raise TooLongForPdf(MOST_LINES)
    return _Paper(statement).draw()


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the table, measured: its description's lines and its height in millimetres."""

    day: str
    lines: tuple[str, ...]
    small: tuple[str, ...]
    amount: str
    balance: Money
    bold: bool = False

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE + len(self.small) * _SMALL_LINE + 2 * _PADDING


class _Paper:
    """One statement on paper."""

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self.pdf = _document(statement)
        self.unshown = False
        self._widths: dict[tuple[str, float, str], float] = {}
        self.figures_width = self._figures_width()
        self.words_width = _WIDTH - _DAY_WIDTH - 2 * self.figures_width - 2 * _GAP

    def draw(self) -> bytes:
        """Measure all rows, deal them out to pages, then draw page by page."""
        self.pdf.add_page()
        table_top = self._draw_front()
        pages = self._paginate(list(self._rows()), table_top)
        for number, rows in enumerate(pages, start=1):
            if number > 1:
                self.pdf.add_page()
                table_top = self._draw_continuation()
            self._draw_table(rows, table_top)
            self._draw_foot(number, len(pages))
        return bytes(self.pdf.output())

    # Words and their widths

    def _shown(self, text: str, told: str = TEXT) -> str:
        shown = showable(text, letters(), told)
        self.unshown = self.unshown or shown != text
        return shown

    def _figures_width(self) -> float:
        """The width that the widest amount needs; a column of small ones is not made narrower than looks well."""
        self._font(8.8, bold=True)
        figures = [self.statement.opening.figure, self.statement.closing.figure]
        figures += [figure for line in self.statement.lines for figure in (line.amount.figure, line.balance.figure)]
        longest = max(map(len, figures))
        # Digits are equally wide, so the longest figures are the widest, give or take a comma.
        return max(27.0, *(self._width(figure) for figure in figures if len(figure) == longest))

    def _font(self, size: float, *, bold: bool = False, colour: tuple[int, int, int] = _INK) -> None:
        self.pdf.set_font(_FAMILY, "B" if bold else "", size)
        self.pdf.set_text_color(*colour)

    def _width(self, text: str) -> float:
        """The text's width in the current font; the same words come again and again."""
        key = (self.pdf.font_style, self.pdf.font_size_pt, text)
        if key not in self._widths:
            self._shape(text)
            self._widths[key] = self.pdf.get_string_width(text)
        return self._widths[key]

    def _wrapped(self, text: str, width: float) -> tuple[str, ...]:
        """The text's lines in the current font. (FPDF would shape the text anew for each of its letters.)"""
        lines: list[str] = []
        room = 0.0
        for word in text.split(" "):
            first, *rest = self._pieces(word, width)
            needed = self._width(" ") + self._width(first)
            if lines and needed <= room:
                lines[-1] += f" {first}"
                room -= needed
            else:
                rest = [first, *rest]
            if rest:
                lines += rest
                room = width - self._width(rest[-1])
        return tuple(lines)

    def _pieces(self, word: str, width: float) -> list[str]:
        """The word, cut only where it alone is too long; never before what stands above or below a letter."""
        if self._width(word) <= width:
            return [word]
        pieces = [""]
        room = width
        for character in word:
            needed = 0.0 if unicodedata.combining(character) else self._width(character)
            if needed > room:
                pieces.append("")
                room = width
            pieces[-1] += character
            room -= needed
        return pieces

    def _shape(self, text: str) -> None:
        """Join letters and order them from the right where the script does; it costs time, so only there."""
        self.pdf.set_text_shaping(_needs_shaping(text))

    def _text(self, x: float, y: float, width: float, text: str, align: Align = Align.L, height: float = _LINE) -> None:
        self._shape(text)
        self.pdf.set_xy(x, y)
        self.pdf.cell(width, height, text, align=align, new_x=XPos.LEFT, new_y=YPos.TOP)

    def _fitted(self, x: float, y: float, width: float, text: str, size: float) -> None:
        """Bold text, smaller if it would not fit."""
        self._font(size, bold=True)
        if (needed := self._width(text)) > width:
            self._font(size * width / needed, bold=True)
        self._text(x, y, width, text, height=_LINE + 1)

    # Rows

    def _rows(self) -> Iterator[_Row]:
        statement, period = self.statement, self.statement.period
        first, last = (short_day(period.first), short_day(period.last)) if isinstance(period, Days) else ("", "")
        yield _Row(first, (gettext("Opening balance"),), (), "", statement.opening, bold=True)
        for line in statement.lines:
            yield self._row(line)
        yield _Row(last, (gettext("Closing balance"),), (), "", statement.closing, bold=True)

    def _row(self, line: StatementLine) -> _Row:
        self._font(8.8)
        words = self._wrapped(self._shown(line.description), self.words_width)
        self._font(7)
        small = self._wrapped(" · ".join(self._details(line)), self.words_width)
        return _Row(short_day(line.booking_date), words, small, line.amount.figure, line.balance)

    def _details(self, line: StatementLine) -> Iterator[str]:
        if line.kind != line.description:
            yield self._shown(line.kind)
        yield gettext("Ref %(reference)s", reference=line.reference)
        if line.value_date != line.booking_date:
            yield gettext("value date %(day)s", day=short_day(line.value_date))

    def _paginate(self, rows: list[_Row], table_top: float) -> list[list[_Row]]:
        """Deal out the rows; a page after the first begins with the balance brought forward."""
        pages = [rows[:1]]
        y = table_top + _HEAD_HEIGHT + rows[0].height
        for before, row, after in zip(rows, rows[1:], [*rows[2:], None], strict=False):
            # The closing balance never stands alone on a page.
            needed = row.height + (after.height if after is not None and after is rows[-1] else 0)
            if y + needed > _BOTTOM:
                forward = _Row("", (gettext("Balance brought forward"),), (), "", before.balance, bold=True)
                pages.append([forward])
                y = self._continuation_top() + _HEAD_HEIGHT + forward.height
            pages[-1].append(row)
            y += row.height
        return pages

    # Drawing

    def _draw_front(self) -> float:
        """The first page's top: bank, holders, account and totals. Answers where the table begins."""
        statement = self.statement
        self._fitted(_LEFT, _TOP + 1, _WIDTH - 45, self._shown(statement.bank_name, NAME), 16)
        self._font(9.5, colour=_MUTED)
        self._text(_LEFT, _TOP + 2, _WIDTH, gettext("Account statement"), Align.R)
        self._line(_TOP + 11, _ACCENT, 0.6)
        top = _TOP + 17
        return self._draw_totals(max(self._draw_holders(top), self._draw_account(top)) + 6)

    def _draw_holders(self, y: float) -> float:
        for line in self._holder_lines():
            self._text(_LEFT, y, 82, line, height=5)
            y += 5.2
        return y

    def _holder_lines(self) -> list[str]:
        self._font(10.5, bold=True)
        lines: list[str] = []
        for number, holder in enumerate(self.statement.holders):
            wrapped = self._wrapped(self._shown(holder, NAME), 82)
            if len(lines) + len(wrapped) > _MOST_HOLDER_LINES:
                more = len(self.statement.holders) - number
                told = ngettext("and %(n)s more: see the CSV download", "and %(n)s more: see the CSV download", more)
                return [*lines, told]
            lines += wrapped
        return lines

    def _draw_account(self, y: float) -> float:
        statement = self.statement
        for label, value in (
            (gettext("Account"), f"{statement.account_number} ({statement.product.lower()})"),
            (gettext("Currency"), statement.currency),
            (gettext("Period"), str(statement.period)),
            (gettext("Made"), statement.made_at_words),
        ):
            self._font(8.2, colour=_MUTED)
            self._text(_LEFT + 88, y, 18, label)
            self._font(8.2)
            for line in self._wrapped(value, 68):
                self._text(_LEFT + 106, y, 68, line)
                y += 4.9
        return y

    def _draw_totals(self, y: float) -> float:
        statement, width = self.statement, _WIDTH / 4
        self._rectangle(y, 15, _TINT)
        for place, (label, amount) in enumerate(
            (
                (gettext("Opening balance"), statement.opening),
                (gettext("Paid in"), statement.total_in),
                (gettext("Paid out"), statement.total_out),
                (gettext("Closing balance"), statement.closing),
            )
        ):
            x = _LEFT + place * width + 4
            self._font(7.5, colour=_MUTED)
            self._text(x, y + 2.4, width - 6, label)
            self._fitted(x, y + 7, width - 6, amount.figure, 11)
        return y + 21

    def _continuation_top(self) -> float:
        return _TOP + 13

    def _draw_continuation(self) -> float:
        """The top of a page after the first."""
        statement = self.statement
        self._font(8.5, bold=True)
        self._text(_LEFT, _TOP, 80, self._clipped(self._shown(statement.bank_name, NAME), 80))
        self._font(8.5, colour=_MUTED)
        self._text(_LEFT, _TOP, _WIDTH, f"{statement.account_number} · {statement.period}", Align.R)
        self._line(_TOP + 7, _ACCENT, 0.6)
        return self._continuation_top()

    def _clipped(self, text: str, width: float) -> str:
        return self._wrapped(text, width)[0]

    def _draw_table(self, rows: list[_Row], y: float) -> None:
        self._draw_head(y)
        y += _HEAD_HEIGHT
        for row in rows:
            self._draw_row(row, y)
            y += row.height
            self._line(y, _RULE, 0.15)
        if not self.statement.lines:
            self._font(8.8, colour=_MUTED)
            self._text(_LEFT, y + 3, _WIDTH, gettext("Nothing was booked in this period."))

    def _draw_head(self, y: float) -> None:
        self._font(7.5, bold=True, colour=_ACCENT)
        self._columns(
            y,
            gettext("Date"),
            gettext("Description"),
            gettext("Amount"),
            gettext("Balance"),
            height=_HEAD_HEIGHT - 2,
        )
        self._line(y + _HEAD_HEIGHT - 1, _ACCENT, 0.3)

    def _columns(self, y: float, day: str, words: str, amount: str, balance: str, height: float = _LINE) -> None:
        self._text(_LEFT, y, _DAY_WIDTH, day, height=height)
        self._text(_LEFT + _DAY_WIDTH, y, self.words_width, words, height=height)
        right = _LEFT + _WIDTH - self.figures_width
        self._text(right - _GAP - self.figures_width, y, self.figures_width, amount, Align.R, height)
        self._text(right, y, self.figures_width, balance, Align.R, height)

    def _draw_row(self, row: _Row, y: float) -> None:
        y += _PADDING
        self._font(8.8, bold=row.bold)
        self._columns(y, row.day, row.lines[0], row.amount, row.balance.figure)
        for line in row.lines[1:]:
            y += _LINE
            self._text(_LEFT + _DAY_WIDTH, y, self.words_width, line)
        y += _LINE
        self._font(7, colour=_MUTED)
        for line in row.small:
            self._text(_LEFT + _DAY_WIDTH, y, self.words_width, line, height=_SMALL_LINE)
            y += _SMALL_LINE

    def _draw_foot(self, number: int, pages: int) -> None:
        self._font(7, colour=_MUTED)
        note = (
            gettext(_UNSHOWN)
            if self.unshown
            else gettext("All amounts in %(currency)s; a minus means paid out.", currency=self.statement.currency)
        )
        self._line(_FOOT - 1.5, _RULE, 0.15)
        self._text(_LEFT, _FOOT, _WIDTH - 30, note)
        self._text(
            _LEFT,
            _FOOT,
            _WIDTH,
            gettext("Page %(number)s of %(pages)s", number=whole(number), pages=whole(pages)),
            Align.R,
        )

    def _line(self, y: float, colour: tuple[int, int, int], width: float) -> None:
        self.pdf.set_draw_color(*colour)
        self.pdf.set_line_width(width)
        self.pdf.line(_LEFT, y, _LEFT + _WIDTH, y)

    def _rectangle(self, y: float, height: float, colour: tuple[int, int, int]) -> None:
        self.pdf.set_fill_color(*colour)
        self.pdf.rect(_LEFT, y, _WIDTH, height, style="F")


def _needs_shaping(text: str) -> bool:
    """Is any of it written from the right, set above or below a letter, or invisible?

    >>> _needs_shaping("Přílišná"), _needs_shaping("راتب"), _needs_shaping("o\u0323\u0301")
    (False, True, True)
    """
    return not text.isascii() and any(
        unicodedata.bidirectional(character) in _FROM_THE_RIGHT
        or unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf")
        for character in text
    )


@cache
def letters() -> frozenset[int]:
    """The code points that both weights of the font have."""
    return frozenset.intersection(
        *(frozenset(Face((_FONTS / name).read_bytes()).unicodes) for name in (_REGULAR, _BOLD))
    )


def _document(statement: Statement) -> FPDF:
    """An empty A4 document that says what it is, in which language and when it was made."""
    pdf = FPDF(unit="mm", format="A4")
    pdf.set_auto_page_break(False)
    pdf.alias_nb_pages("")  # "{nb}" in a narrative is just text
    pdf.c_margin = 0
    pdf.set_lang(language.current())
    pdf.set_title(statement.title)
    pdf.set_author(statement.bank_name)
    pdf.set_creation_date(statement.made_at)
    pdf.viewer_preferences = ViewerPreferences(display_doc_title=True)
    pdf.add_font(_FAMILY, "", _FONTS / _REGULAR)
    pdf.add_font(_FAMILY, "B", _FONTS / _BOLD)
    return pdf
