"""Exact amounts: integers of a currency's minor unit; parse, format, divide."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from bank import language
from bank.errors import Invalid
from bank.language import gettext as _

# ISO 4217 gives most currencies two decimals; these are the others.
# https://www.six-group.com/en/products-services/financial-information/data-standards.html
EXPONENTS: Final = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}

#: No single amount may be larger, so that no sum of amounts leaves a 64-bit integer.
MAX_MINOR_UNITS: Final = 10**15


class InvalidAmount(Invalid):
    """An amount that cannot be read exactly."""

    code = "invalid_amount"


def exponent(currency: str) -> int:
    """How many decimals `currency` has by ISO 4217.

    >>> exponent("USD"), exponent("JPY"), exponent("KWD")
    (2, 0, 3)
    """
    return EXPONENTS.get(currency, 2)


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """`minor_units` of `currency`: Money(1250, "USD") is twelve dollars fifty."""

    minor_units: int
    currency: str

    def __str__(self) -> str:
        """The amount as the bank writes it in the reader's language.

        >>> str(Money(-123456, "USD")), str(Money(500, "JPY"))
        ('-1,234.56 USD', '500 JPY')
        """
        return f"{self.figure} {self.currency}"

    @property
    def figure(self) -> str:
        """The amount without its currency, thousands grouped: `1,234.56`."""
        return _figure(self.minor_units, self.currency, *language.symbols())

    @property
    def plain(self) -> str:
        """The amount for machines and spreadsheets: `1234.56`."""
        return _figure(self.minor_units, self.currency, ".", "")

    def __add__(self, other: Money) -> Money:
        return Money(self.minor_units + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor_units - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor_units, self.currency)

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise AssertionError(f"{self} and {other} are of different currencies")
        return other.minor_units


def _figure(minor_units: int, currency: str, point: str, group: str) -> str:
    decimals = exponent(currency)
    whole, fraction = divmod(abs(minor_units), 10**decimals)
    sign = "-" if minor_units < 0 else ""
    digits = f"{whole:,}".replace(",", group)
    return f"{sign}{digits}{point}{fraction:0{decimals}d}" if decimals else f"{sign}{digits}"


def parse_amount(text: str, currency: str) -> Money:
    """Read a positive amount as people type it in their language; in English: digits, commas between thousands, a point.

    Blanks around it are ignored. Nothing is rounded or guessed: what is not exactly
    an amount of `currency` is refused. The rule in full: docs/reference/amounts.md.

    >>> parse_amount(" 1,250.5 ", "USD")
    Money(minor_units=125050, currency='USD')

    Raises:
        InvalidAmount: with a sentence that says what to type instead.
    """
    typed = text.strip()
    example = Money(125000 if exponent(currency) else 1250, currency).figure
    if not typed:
        raise InvalidAmount(_("Enter an amount."))
    if typed[0] in "-\N{MINUS SIGN}":
        raise InvalidAmount(_("Enter an amount above zero, without a minus sign."))
    match = _typed_amount(*language.symbols()).fullmatch(typed)
    if not match:
        raise InvalidAmount(
            _(
                "Enter the amount in digits like %(example)s: a point before the decimals, commas only between thousands.",
                example=example,
            )
        )
    decimals = exponent(currency)
    fraction = match["fraction"] or ""
    if len(fraction) > decimals:
        raise InvalidAmount(
            _(
                "Enter at most %(decimals)s digits after the point: %(currency)s has no smaller unit.",
                decimals=decimals,
                currency=currency,
            )
            if decimals
            else _("Enter a whole amount: %(currency)s has no smaller unit.", currency=currency)
        )
    whole = re.sub(r"\D", "", match["whole"]).lstrip("0")
    largest = Money(MAX_MINOR_UNITS, currency)
    # The length is looked at first: Python refuses to read integers of thousands of digits.
    if len(whole) > len(str(MAX_MINOR_UNITS)) or int(whole + fraction.ljust(decimals, "0") or "0") > MAX_MINOR_UNITS:
        raise InvalidAmount(
            _("Enter %(largest)s or less: the bank books no larger amount at once.", largest=largest.figure)
        )
    minor_units = int(whole + fraction.ljust(decimals, "0") or "0")
    if minor_units == 0:
        raise InvalidAmount(_("Enter an amount above zero."))
    return Money(minor_units, currency)


@cache
def _typed_amount(point: str, group: str) -> re.Pattern[str]:
    grouped = rf"[1-9]\d{{0,2}}(?:{re.escape(group)}\d{{3}})+"
    return re.compile(rf"(?P<whole>\d+|{grouped})(?:{re.escape(point)}(?P<fraction>\d+))?", re.ASCII)


def allocate(total: Money, parts: int) -> list[Money]:
    """Divide `total` into `parts` amounts that add back up to it exactly.

    The first amounts carry the odd minor units.

    >>> [part.minor_units for part in allocate(Money(10_000, "GBP"), 3)]
    [3334, 3333, 3333]
    """
    share, odd = divmod(total.minor_units, parts)
    return [Money(share + (1 if index < odd else 0), total.currency) for index in range(parts)]
