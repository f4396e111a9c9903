"""Statements on the page and as downloads of exactly what is shown."""

from __future__ import annotations

from flask import Response, make_response, render_template, request

from bank.accounts import store as account_store
from bank.accounts.store import Account
from bank.errors import Missing
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
        super().__init__("Statements come as pdf, xlsx or csv.")


def answer(account: Account, layout: str, back: str) -> str | tuple[str, int] | Response:
    """The statement that the address asks for (`last=20`, or `from=` and `to=`), as a page or a download (`as=pdf`)."""
    asked = {name: request.args.get(name, "") for name in ("last", "from", "to")}
    try:
        period = _period(asked)
        with bank().reader() as reader:
            holders = tuple(holder.name for holder in account_store.holders(reader, account.id))
            made_at = bank().clock.now().astimezone(settings().business_timezone)
            bank_name = settings().bank_name
            if isinstance(period, Days):
                statement = service.between(
                    reader, account, period.first, period.last, holders=holders, bank_name=bank_name, made_at=made_at
                )
            else:
                statement = service.last(
                    reader, account, period.count, holders=holders, bank_name=bank_name, made_at=made_at
                )
        if wanted := request.args.get("as"):
            return _download(statement, wanted)
    except (InvalidPeriod, PeriodTooLong, TooLongForPdf) as problem:
        page = render_template(
            "statement.html",
            account=account,
            layout=layout,
            back=back,
            asked=asked,
            problem=str(problem),
            statement=None,
        )
        return page, 422
    return render_template(
        "statement.html", account=account, layout=layout, back=back, asked=asked, problem=None, statement=statement
    )


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
