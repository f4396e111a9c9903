"""Statements as files, the same as on the bank's pages."""

from __future__ import annotations

import re
from calendar import monthrange
from typing import Any, Final

from flask import Response

from bank.accounts.service import NoSuchAccount
from bank.api import api, current
from bank.api.current import bank, settings
from bank.api.guard import needs
from bank.api.operations import operation
from bank.api.problems import NoSuchResource
from bank.language import gettext as _
from bank.statements import service
from bank.statements.errors import InvalidPeriod, PeriodTooLong, StatementsBusy, TooLongForPdf
from bank.statements.model import Days, Period, read_days, read_latest
from bank.statements.render import FORMATS

_MEDIA_TYPES: Final = tuple(each.content_type.partition(";")[0] for each in FORMATS.values())
_LONGEST: Final = 40


@api.get(f"/accounts/<number>/statements/<period>.<any({', '.join(FORMATS)}):extension>")
@needs("statements:read", "branch:read")
@operation(
    "Statements",
    files=_MEDIA_TYPES,
    refuses=(NoSuchAccount, NoSuchResource, InvalidPeriod, PeriodTooLong, TooLongForPdf, StatementsBusy),
    answer_headers={"Content-Disposition": "The file's name."},
)
def download_statement(number: str, period: str, extension: str) -> Response:
    """A statement of a period, as a file.

    Its words are in the language that Accept-Language asks for, if the bank speaks it.
    """
    account, asked = current.account_of(number), read_period(period)
    about: dict[str, Any] = {
        "holders": tuple(holder.name for holder in current.caller().holders),
        "bank_name": settings().bank_name,
        "made_at": bank().clock.now().astimezone(settings().business_timezone),
    }
    with bank().reader(patiently=True) as reader:
        if isinstance(asked, Days):
            statement = service.between(reader, account, asked.first, asked.last, **about)
        else:
            statement = service.last(reader, account, asked.count, **about)
    rendering = FORMATS[extension]
    response = Response(rendering.render(statement), content_type=rendering.content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{rendering.filename(statement)}"'
    return response


def read_period(text: str) -> Period:
    """A period as files are named by it.

    >>> str(read_period("2026-02")), str(read_period("2026")), read_period("last-20").slug
    ('1 February 2026 to 28 February 2026', '1 January 2026 to 31 December 2026', 'last-20')

    Raises:
        InvalidPeriod: it is none.
    """
    if len(text) <= _LONGEST:
        if found := re.fullmatch(r"last-(\d{1,9})", text, re.ASCII):
            return read_latest(found[1])
        first, to, last = text.partition("-to-")
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", first, re.ASCII):
            return read_days(first, last if to else first)
        if re.fullmatch(r"\d{4}(-\d{2})?", text, re.ASCII):
            return _whole(text)
    raise InvalidPeriod(_("Write the period as 2026, 2026-03, 2026-03-31, 2026-03-01-to-2026-04-02 or last-20."))


def _whole(text: str) -> Days:
    """A year or a month."""
    year, _dash, month = text.partition("-")
    first = read_days(f"{year}-{month or '01'}-01", f"{year}-{month or '01'}-01").first
    last_month = first.month if month else 12
    return Days(first, first.replace(month=last_month, day=monthrange(first.year, last_month)[1]))
