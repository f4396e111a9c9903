"""A statement and its lines: values that add up, or cannot be constructed."""

from __future__ import annotations

import re
import unicodedata
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from bank.customers.model import DIRECTION
from bank.language import gettext as _
from bank.language import long_day, long_minute, ngettext, whole
from bank.money import Money
from bank.statements.errors import InvalidPeriod

MOST_LATEST: Final = 1000


@dataclass(frozen=True, slots=True)
class Days:
    """From one day to another, both included.

    Raises:
        InvalidPeriod: the first day is after the last.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise InvalidPeriod(_("Choose a first day that is not after the last day."))

    def __str__(self) -> str:
        """The period in words.

        >>> str(Days(date(2026, 3, 1), date(2026, 3, 31)))
        '1 March 2026 to 31 March 2026'
        """
        return _("%(first)s to %(last)s", first=long_day(self.first), last=long_day(self.last))

    @property
    def slug(self) -> str:
        """The period in a file's name: as short as says it.

        >>> Days(date(2026, 3, 1), date(2026, 3, 31)).slug, Days(date(2026, 1, 1), date(2026, 12, 31)).slug
        ('2026-03', '2026')
        >>> Days(date(2026, 3, 1), date(2026, 4, 2)).slug
        '2026-03-01-to-2026-04-02'
        """
        first, last = self.first, self.last
        if (first.month, first.day, last.month, last.day) == (1, 1, 12, 31) and first.year == last.year:
            return f"{first.year:04}"
        if first.day == 1 and last == first.replace(day=monthrange(first.year, first.month)[1]):
            return f"{first.year:04}-{first.month:02}"
        return first.isoformat() if first == last else f"{first.isoformat()}-to-{last.isoformat()}"


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest `count` lines, whatever their days.

    Raises:
        InvalidPeriod: `count` is not from 1 to 1,000.
    """

    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_LATEST:
            raise InvalidPeriod(_("Choose a number of transactions from 1 to %(most)s.", most=whole(MOST_LATEST)))

    def __str__(self) -> str:
        """The period in words."""
        return ngettext("Last transaction", "Last %(n)s transactions", self.count)

    @property
    def slug(self) -> str:
        """The period in a file's name."""
        return f"last-{self.count}"


Period = Days | Latest


def read_days(first: str, last: str) -> Days:
    """A period from two typed days like `2026-03-31`.

    Raises:
        InvalidPeriod: one is no day of the calendar, or they are the wrong way round.
    """
    return Days(
        _read_day(first, _("Enter the first day as year, month and day, like 2026-03-31.")),
        _read_day(last, _("Enter the last day as year, month and day, like 2026-03-31.")),
    )


def _read_day(text: str, otherwise: str) -> date:
    """ISO 8601's plain form only: Python would also read weeks, and digits of other scripts."""
    typed = text.strip()
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", typed, re.ASCII):
            return date.fromisoformat(typed)
    except ValueError:
        pass
    raise InvalidPeriod(otherwise)


def read_latest(text: str) -> Latest:
    """A typed number of transactions.

    Raises:
        InvalidPeriod: it is no whole number from 1 to 1,000.
    """
    typed = text.strip()
    return Latest(int(typed) if re.fullmatch(r"\d{1,9}", typed, re.ASCII) else 0)


def one_line(text: str) -> str:
    """Text as every rendering shows it: composed letters, no control characters, single blanks.

    >>> one_line("  Rent\\tMarch\\r\\n ")
    'Rent March'
    """
    composed = unicodedata.normalize("NFC", text.translate(DIRECTION))
    line = " ".join("".join(" " if _breaks_files(character) else character for character in composed).split())
    # Format characters alone, such as a joiner between nothing, show nothing.
    return line if any(unicodedata.category(character) != "Cf" for character in line) else ""


def _breaks_files(character: str) -> bool:
    """Controls, halves of characters (Cs) and Unicode's noncharacters: XML refuses them, terminals obey some."""
    return unicodedata.category(character) in ("Cc", "Cs") or ord(character) & 0xFFFE == 0xFFFE


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One posting as its customer reads it; `amount` is above zero when the account received it."""

    booking_date: date
    value_date: date
    description: str
    kind: str
    reference: str
    amount: Money
    balance: Money

    def __post_init__(self) -> None:
        if not self.description:
            raise AssertionError("a line says what it is for")


@dataclass(frozen=True, slots=True)
class Statement:
    """An account's lines from an opening to a closing balance; oldest first."""

    bank_name: str
    account_number: str
    product: str
    holders: tuple[str, ...]
    currency: str
    period: Period
    made_at: datetime
    opening: Money
    lines: tuple[StatementLine, ...]

    def __post_init__(self) -> None:
        if self.made_at.tzinfo is None:
            raise AssertionError("an instant needs its time zone")
        balance = self.opening.minor_units
        for line in self.lines:
            balance += line.amount.minor_units
            if line.balance != Money(balance, self.currency) or line.amount.currency != self.currency:
                raise AssertionError(f"line {line.reference} does not continue the balance before it")

    @property
    def title(self) -> str:
        """What it is called in a list of files."""
        return _("Account statement %(number)s, %(period)s", number=self.account_number, period=self.period)

    @property
    def closing(self) -> Money:
        """The opening balance and all lines together."""
        return self.lines[-1].balance if self.lines else self.opening

    @property
    def total_in(self) -> Money:
        """All that the account received."""
        return self._total(line.amount.minor_units for line in self.lines if line.amount.minor_units > 0)

    @property
    def total_out(self) -> Money:
        """All that went out, above zero."""
        return self._total(-line.amount.minor_units for line in self.lines if line.amount.minor_units < 0)

    def _total(self, minor_units: Iterable[int]) -> Money:
        return Money(sum(minor_units), self.currency)

    @property
    def made_at_words(self) -> str:
        """When it was made, to the minute, with the zone of `made_at`."""
        return long_minute(self.made_at)
