"""Statements on the page and as downloads of exactly what is shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from flask import Response, make_response, render_template, request

from bank.accounts import store as account_store
from bank.accounts.store import Account, Holder
from bank.errors import Missing
from bank.language import gettext as _
from bank.payments.model import next_month
from bank.statements import service
from bank.statements.errors import InvalidPeriod, PeriodTooLong, TooLongForPdf
from bank.statements.model import Days, Latest, Period, Statement, read_days, read_latest
from bank.statements.render import FORMATS
from bank.web.current import bank, settings
from bank.web.pages import today

_LATEST_LINES = 20


class NoSuchFormat(Missing):
    """Statements do not come in this format."""

    code = "no_such_format"

    def __init__(self) -> None:
        super().__init__(_("Statements come as pdf, xlsx or csv."))


def answer(
    account: Account, layout: str, back: str, card: object = None, holders: Sequence[Holder] = ()
) -> str | tuple[str, int] | Response:
    """The statement that the address asks for (`last=20`, or `from=` and `to=`), as a page or a download (`as=pdf`).

    `card` is shown on top of the page: for staff, whom they serve. `holders` are the account's, where they are known.
    """
    asked = {name: request.args.get(name, "") for name in ("last", "from", "to")}
    about = {
        "account": account,
        "layout": layout,
        "card": card,
        "back": back,
        "asked": asked,
        "presets": presets(today()),
    }
    try:
        period = _period(asked)
        with bank().reader(patiently=True) as reader:
            people = holders or account_store.holders(reader, account.id)
            names = tuple(holder.name for holder in people)
            made_at = bank().clock.now().astimezone(settings().business_timezone)
            bank_name = settings().bank_name
            if isinstance(period, Days):
                statement = service.between(
                    reader, account, period.first, period.last, holders=names, bank_name=bank_name, made_at=made_at
                )
            else:
                statement = service.last(
                    reader, account, period.count, holders=names, bank_name=bank_name, made_at=made_at
                )
        if wanted := request.args.get("as"):
            return _download(statement, wanted)
    except (InvalidPeriod, PeriodTooLong, TooLongForPdf) as problem:
        return render_template("statement.html", **about, problem=str(problem), statement=None), 422
    return render_template("statement.html", **about, problem=None, statement=statement)


def presets(day: date) -> list[tuple[str, Days]]:
    """Periods that people ask for most, in words, as they lie on this day.

    >>> [str(period.slug) for _, period in presets(date(2026, 3, 5))]
    ['2026-03', '2026-02', '2025-12-01-to-2026-02-28', '2026', '2025']
    """
    this_month, this_year = day.replace(day=1), day.replace(month=1, day=1)
    last_month = _month_before(this_month)
    return [
        (_("This month"), Days(this_month, next_month(this_month, 1) - timedelta(days=1))),
        (_("Last month"), Days(last_month, this_month - timedelta(days=1))),
        (_("Last 3 months"), Days(_month_before(_month_before(last_month)), this_month - timedelta(days=1))),
        (_("This year"), Days(this_year, day.replace(month=12, day=31))),
        (_("Last year"), Days(date(day.year - 1, 1, 1), date(day.year - 1, 12, 31))),
    ]


def _month_before(first: date) -> date:
    return (first - timedelta(days=1)).replace(day=1)


def _period(asked: dict[str, str]) -> Period:
    if asked["from"] or asked["to"]:
        return read_days(asked["from"] or "1900-01-01", asked["to"] or today().isoformat())
    return read_latest(asked["last"]) if asked["last"] else Latest(_LATEST_LINES)


def _download(statement: Statement, wanted: str) -> Response:
    rendering = FORMATS.get(wanted)
    if rendering is None:
        raise NoSuchFormat
    response = make_response(rendering.render(statement))
    response.headers["Content-Type"] = rendering.content_type
    response.headers["Content-Disposition"] = f'attachment; filename="{rendering.filename(statement)}"'
    return response
