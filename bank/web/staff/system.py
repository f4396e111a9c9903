"""For operators: is the ledger sound, is the schema up to date, what runs here; and the trial balance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from importlib.metadata import version
from typing import Final

from flask import Response, render_template, request
from flask.typing import ResponseReturnValue as View

from bank.accounts import verify as accounts_verify
from bank.demo.service import is_demo
from bank.errors import Invalid
from bank.language import gettext, marked
from bank.ledger import store as ledger_store
from bank.ledger import verify
from bank.ledger.invariants import INVARIANTS
from bank.ledger.model import CHART
from bank.ledger.store import TrialLine
from bank.money import Money
from bank.storage import migrate
from bank.storage.engine import kind_and_version
from bank.web.access import EXECUTIVE, open_to
from bank.web.current import bank, settings
from bank.web.fields import read_day
from bank.web.lists import Column, download
from bank.web.pages import today
from bank.web.staff import staff


@staff.app_template_filter()
def chart_line(code: str) -> str:
    """A line of the chart of accounts as people read it."""
    return gettext(CHART[code].name)


_COLUMNS: Final = (
    Column[TrialLine]("line", marked("Line"), lambda line: chart_line(line.chart_code)),
    Column[TrialLine]("code", marked("Code"), lambda line: line.chart_code),
    Column[TrialLine]("currency", marked("Currency"), lambda line: line.currency),
    Column[TrialLine]("accounts", marked("Accounts"), lambda line: line.accounts),
    Column[TrialLine]("debit", marked("Debit"), lambda line: line.debit),
    Column[TrialLine]("credit", marked("Credit"), lambda line: line.credit),
)

#: What a verification proves, by the name of its breach.
PROOFS: Final = {
    **{invariant.kind: invariant.proves for invariant in (*INVARIANTS, *accounts_verify.INVARIANTS)},
    "wrong_digest": verify.DIGESTS_PROVE,
}


@staff.get("/system")
@open_to(*EXECUTIVE)
def show_system() -> View:
    """The ledger's invariants and last verification, the schema, the database, the release."""
    with bank().reader() as reader:
        revision = migrate.current(reader)
        return render_template(
            "staff/system.html",
            totals=_totals(ledger_store.trial_balance(reader)),
            verification=verify.last(reader),
            proofs=PROOFS,
            revision=revision,
            wanted=migrate.head(),
            is_behind=migrate.is_behind(revision),
            database=kind_and_version(reader),
            pool_size=settings().pool_size,
            release=version("retail-bank"),
            now=bank().clock.now(),
            zone=settings().business_timezone.key,
            business_date=bank().clock.business_date(),
            is_demo=is_demo(reader),
        )


@staff.get("/trial-balance")
@open_to(*EXECUTIVE)
def show_trial_balance() -> View:
    """Debits and credits by line of the chart of accounts: now, or at the end of a day (`day=2026-03-31`)."""
    typed = request.args.get("day", "").strip()[:40]
    try:
        day = read_day(typed) if typed else None
    except Invalid as problem:
        page = render_template("staff/trial_balance.html", day=None, typed=typed, problem=str(problem), totals={})
        return page, 422
    with bank().reader(patiently=True) as reader:
        lines = ledger_store.trial_balance(reader, day)
    if wanted := request.args.get("as"):
        return _file(lines, day, wanted)
    return render_template("staff/trial_balance.html", day=day, typed=typed, problem=None, totals=_totals(lines))


def _file(lines: list[TrialLine], day: date | None, wanted: str) -> Response:
    return download(f"trial-balance-{(day or today()).isoformat()}", _COLUMNS, lines, wanted)


def _totals(lines: Iterable[TrialLine]) -> dict[str, tuple[list[TrialLine], Money, Money]]:
    """By currency: its lines, and what their debits and their credits add up to."""
    by_currency: dict[str, list[TrialLine]] = defaultdict(list)
    for line in lines:
        by_currency[line.currency].append(line)
    return {
        currency: (
            of_currency,
            sum((line.debit for line in of_currency), Money(0, currency)),
            sum((line.credit for line in of_currency), Money(0, currency)),
        )
        for currency, of_currency in sorted(by_currency.items())
    }
