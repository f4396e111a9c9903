"""Home, an account with its movements, and statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue as View

from bank.accounts import store as account_store
from bank.accounts.store import Account
from bank.errors import Invalid
from bank.language import gettext, whole
from bank.ledger import feed
from bank.ledger import store as ledger_store
from bank.ledger.feed import Place
from bank.ledger.store import HoldRow
from bank.money import Money
from bank.payments import scheduled
from bank.payments.model import Scheduled
from bank.spending import movements
from bank.spending.movements import Found, Search
from bank.web import statement
from bank.web.access import CUSTOMER, open_to
from bank.web.current import bank
from bank.web.current import customer as this_customer
from bank.web.customer import customer
from bank.web.customer.lines import Line, lines_of
from bank.web.customer.look_up import own_account
from bank.web.customer.search import MOST_IN_A_FILE, SearchForm, file_of, search_form, searching
from bank.web.lists import FILES, NoSuchFile
from bank.web.pages import today
from bank.web.paging import InvalidPlace, read_place

_PAGE_LINES = 20
_LATEST_LINES = 5
_COMING_DAYS = 30
_REFUSED_DAYS = 14


class TooManyForAFile(Invalid):
    """More movements were found than one file holds."""

    code = "too_many_for_a_file"

    def __init__(self) -> None:
        super().__init__(
            gettext("Choose fewer days: one file holds at most %(most)s movements.", most=whole(MOST_IN_A_FILE))
        )


@dataclass(frozen=True, slots=True)
class Coming:
    """A payment that is due soon, and what will be left on its account if nothing else happens."""

    payment: Scheduled
    left: Money


@dataclass(frozen=True, slots=True)
class Day:
    """The movements of one day; `total` only where all of the day's are shown."""

    day: date
    lines: Sequence[Line]
    total: Money | None
    continued: bool


@customer.get("/home")
@open_to(CUSTOMER)
def home() -> View:
    """The customer's accounts, each with what may be spent; what is coming, and what happened last."""
    me, now = this_customer(), bank().clock.now()
    until = today() + timedelta(days=_COMING_DAYS)
    with bank().reader() as reader:
        accounts = account_store.of_customer(reader, me.id)
        mine = [account.id for account in accounts]
        waiting, refused = scheduled.coming_and_refused(
            reader, me.id, until=until, since=now - timedelta(days=_REFUSED_DAYS)
        )
        latest = movements.latest(reader, mine, limit=_LATEST_LINES, customer_id=me.id)
        holds = _holds(reader, accounts)
    return render_template(
        "customer/home.html",
        accounts=accounts,
        by_id={account.id: account for account in accounts},
        latest=lines_of(latest),
        holds=holds,
        coming=_coming(accounts, waiting),
        refused=refused,
    )


def _holds(reader: sa.Connection, accounts: Sequence[Account]) -> list[HoldRow]:
    """The holds on these accounts, which say themselves whether there are any to ask for."""
    held = [account.id for account in accounts if account.ledger.held]
    return ledger_store.active_holds(reader, *held) if held else []


def _coming(accounts: Sequence[Account], payments: Sequence[Scheduled]) -> list[Coming]:
    """Each payment with what it leaves, after those before it; between own accounts one receives what the other pays."""
    left = {account.id: account.ledger.available for account in accounts}
    found = []
    for payment in payments:
        if payment.from_account_id not in left:
            continue
        left[payment.from_account_id] -= payment.amount
        if payment.to_account_id in left:
            left[payment.to_account_id] += payment.amount
        found.append(Coming(payment, left[payment.from_account_id]))
    return found


@customer.get("/accounts/<number>")
@open_to(CUSTOMER)
def show_account(number: str) -> View:
    """One account with its movements, newest day first, or those looked for; `as=csv` gives these as a file."""
    account, form = own_account(number), search_form()
    before = read_place(request.args.get("before"))
    if not (form.blank or form.validate()):
        return _account_page(account, form, Search(), Found([])), 422
    search, wanted = form.search(), request.args.get("as")
    if wanted and wanted not in FILES:
        raise NoSuchFile
    far = search.looks_closer or bool(wanted)
    with searching(far=far), bank().reader(patiently=far) as reader:
        place = feed.place_of(reader, account.id, before) if before is not None else None
        if place is None and before is not None:
            raise InvalidPlace
        start, limit = (None, MOST_IN_A_FILE) if wanted else (place, _PAGE_LINES)
        found = _find(reader, account, search, start, limit)
    if not wanted:
        return _account_page(account, form, search, found, place)
    if found.older:
        return _account_page(account, form, search, Found([]), problem=str(TooManyForAFile())), 422
    return file_of(account, found.movements, wanted)


def _find(reader: sa.Connection, account: Account, search: Search, before: Place | None, limit: int) -> Found:
    return movements.find(reader, account.id, search, before=before, limit=limit, customer_id=this_customer().id)


def _account_page(
    account: Account,
    form: SearchForm,
    search: Search,
    found: Found,
    place: Place | None = None,
    problem: str | None = None,
) -> str:
    asked = form.asked()
    first_page = place is None and not search.narrows and not form.errors and not problem
    with bank().reader() as reader:
        days = _days(reader, account, found, place, totals=not search.looks_closer)
        holds = _holds(reader, [account]) if first_page else []
        holders = account_store.holders(reader, account.id) if first_page else []
    address: dict[str, Any] = {"number": account.number, **asked}
    return render_template(
        "customer/account.html",
        account=account,
        form=form,
        search=search,
        days=days,
        shown=len(found.movements),
        older=url_for(".show_account", **address, before=found.older[1]) if found.older else None,
        searched_back_to=found.searched_back_to,
        files={name: url_for(".show_account", **{**address, "as": name}) for name in FILES},
        earlier=place,
        holds=holds,
        holders=holders,
        problem=problem,
    )


def _days(reader: sa.Connection, account: Account, found: Found, place: Place | None, *, totals: bool) -> list[Day]:
    """The movements by their days; the first one's heading may stand on the page before already."""
    days = []
    for day, of_day in groupby(lines_of(found.movements), key=lambda line: line.movement.posting.booking_date):
        lines, continued = list(of_day), place is not None and place[0] == day
        total = Money(sum(line.movement.posting.signed.minor_units for line in lines), account.ledger.currency)
        days.append(Day(day, lines, total if totals and not continued else None, continued))
    # Only a day that goes on on the next page is not here as a whole.
    if days and days[-1].total and found.splits_a_day:
        day = days[-1].day
        whole = feed.day_totals(reader, account.id, day, day)[day]
        days[-1] = replace(days[-1], total=Money(whole, account.ledger.currency))
    return days


@customer.get("/accounts/<number>/statement")
@open_to(CUSTOMER)
def show_statement(number: str) -> View:
    """A statement of the period asked for, to read or download."""
    return statement.answer(own_account(number), "layout.html", url_for(".show_account", number=number))
