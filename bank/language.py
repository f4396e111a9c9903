"""The reader's language: its sentences, figures, days and lists, alike on pages, in files and in messages.

English is the language of the code. A sentence is marked where it is written, `_("Enter an amount.")`, and comes out in
the language of whoever reads it; the catalogues lie in bank/translations, which docs/how-to/translate.md explains.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final

from babel import Locale, dates, lists, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

#: Each language that is complete, as its own readers call it.
LANGUAGES: Final = {"en": "English", "es": "Español"}
CATALOGUES: Final = Path(__file__).parent / "translations"

_DEFAULT: Final = "en"
_LONG_DAY: Final = {"en": "d MMMM y", "es": "d 'de' MMMM 'de' y"}
_SHORT_DAY: Final = {"en": "d MMM y", "es": "d MMM y"}
_DAY_OF_WEEK: Final = {"en": "EEEE d MMMM y", "es": "EEEE, d 'de' MMMM 'de' y"}
_MONTH: Final = {"en": "MMMM y", "es": "MMMM 'de' y"}
_current: ContextVar[str] = ContextVar("language", default=_DEFAULT)


def current() -> str:
    """The code of the language being read, like `es`."""
    return _current.get()


def choose(language: str) -> None:
    """Read in `language` from here on, in this thread or task; one that is not complete is English."""
    _current.set(language if language in LANGUAGES else _DEFAULT)


@contextmanager
def read_in(language: str) -> Iterator[None]:
    """Read in `language` for as long as the body lasts."""
    before = _current.set(language)
    try:
        yield
    finally:
        _current.reset(before)


def locale() -> Locale:
    """The reader's language as Babel knows it."""
    return _locale(current())


def gettext(sentence: str, **values: object) -> str:
    """The sentence in the reader's language, `%(name)s` in it replaced by the value of that name."""
    told: str = translations(current()).ugettext(sentence)
    return told % values if values else told


def ngettext(one: str, many: str, n: int, **values: object) -> str:
    """The sentence for `n` things, which it may name as `%(n)s`."""
    told: str = translations(current()).ungettext(one, many, n)
    return told % {"n": whole(n), **values}


def marked(sentence: str) -> str:
    """The sentence as it is, for the catalogues: whoever shows it passes it to `gettext`."""
    return sentence


def symbols() -> tuple[str, str]:
    """What stands before decimals and what between thousands: a point and a comma, or the other way round."""
    return _symbols(current())


def whole(number: int) -> str:
    """A whole number, thousands grouped: `39,333`."""
    return f"{number:,}".replace(",", symbols()[1])


def long_day(day: date) -> str:
    """A day that no reader takes for another: `5 March 2026`."""
    return _day(day, _LONG_DAY)


def short_day(day: date) -> str:
    """A day in a narrow column: `5 Mar 2026`."""
    return _day(day, _SHORT_DAY)


def day_of_week(day: date) -> str:
    """A day with its weekday: `Thursday 5 March 2026`."""
    return _day(day, _DAY_OF_WEEK)


def month(day: date) -> str:
    """The month of a day: `March 2026`."""
    return _day(day, _MONTH)


def minute(moment: datetime) -> str:
    """An instant to the minute, with the name of its zone: `5 Mar 2026, 14:05 UTC`."""
    return f"{short_day(moment.date())}, {moment:%H:%M} {moment.tzname()}"


def long_minute(moment: datetime) -> str:
    """An instant to the minute, its month spelt out: `5 March 2026, 14:05 UTC`."""
    return f"{long_day(moment.date())}, {moment:%H:%M} {moment.tzname()}"


def lasting(span: timedelta) -> str:
    """A span of time in its largest unit: `3 days`."""
    return dates.format_timedelta(span, locale=locale())


def together(things: Iterable[str]) -> str:
    """Things in a row: `Ana, Zoë and Samuel`."""
    return lists.format_list(list(things), locale=locale())


def folded(text: str) -> str:
    """Text as it is looked for: without case, accents or odd blanks, in any script.

    >>> folded("  Zoë   O’Brien ")
    "zoe o'brien"
    """
    decomposed = unicodedata.normalize("NFKD", text.replace("’", "'").casefold())
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(unicodedata.normalize("NFKC", bare).split())


def _day(day: date, patterns: dict[str, str]) -> str:
    pattern = patterns.get(current(), patterns[_DEFAULT])
    # Years as they are written in files' names, with four digits.
    return dates.format_date(day, pattern.replace("y", "yyyy"), locale=locale())


@cache
def _symbols(language: str) -> tuple[str, str]:
    return numbers.get_decimal_symbol(_locale(language)), numbers.get_group_symbol(_locale(language))


@cache
def _locale(language: str) -> Locale:
    return Locale.parse(language)


@cache
def translations(language: str) -> NullTranslations:
    """The language's catalogue, read from the very file that translators write."""
    path = CATALOGUES / f"{language}.po"
    if not path.exists():
        return NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)
