"""Tills and the vault: what went through a till on a day, and cash from one to another."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from typing import Any, Final

from flask import Response, g, render_template, request, url_for
from flask.typing import ResponseReturnValue as View

from bank.errors import Unavailable
from bank.language import marked
from bank.ledger import store as ledger_store
from bank.ledger.store import LedgerAccount
from bank.ledger.tables import ledger_accounts
from bank.money import Money
from bank.payments import counting, till_days, tills, vault
from bank.payments.model import Receipt, kind_words
from bank.payments.service import NoTill
from bank.payments.till_days import TillMovement
from bank.payments.vault import NoSuchTill, TillRow
from bank.web.access import EXECUTIVE, TILL, open_to
from bank.web.current import author, bank, settings, visitor
from bank.web.fields import ReasonForm, read_day
from bank.web.lists import MOST_ROWS, Column, List, TooManyRows, download
from bank.web.money import settle
from bank.web.pages import today
from bank.web.paging import read_place
from bank.web.staff import staff
from bank.web.staff.forms import MoneyForm

_PAGE_LINES: Final = 50

MOVEMENTS: Final = (
    Column[TillMovement]("at", marked("When"), lambda row: row.booked_at),
    Column[TillMovement]("entry", marked("Entry"), lambda row: row.entry_id),
    Column[TillMovement]("kind", marked("What"), lambda row: kind_words(row.kind, received=row.received is not None)),
    Column[TillMovement]("number", marked("Account"), lambda row: row.number),
    Column[TillMovement]("name", marked("Who"), lambda row: row.name),
    Column[TillMovement]("in", marked("In"), lambda row: row.received),
    Column[TillMovement]("out", marked("Out"), lambda row: row.paid),
    Column[TillMovement]("total", marked("In the till"), lambda row: row.total),
)

TILLS: Final = List(
    "tills",
    (
        Column("number", marked("Till"), lambda till: till.number, ledger_accounts.c.number),
        Column("name", marked("Whose"), lambda till: till.name),
        Column("balance", marked("In it"), lambda till: till.balance, ledger_accounts.c.balance),
        Column("counted", marked("Last counted"), lambda till: till.counted_at),
        Column("difference", marked("Difference"), lambda till: till.difference),
    ),
    "number",
    ledger_accounts.c.number,
    vault.of_row,
)


def till_now() -> LedgerAccount | None:
    """The till of whoever is signed in, read once for a page; None for those without one."""
    if "till" not in g:
        here = visitor()
        till_id = getattr(here.person, "till_account_id", None) if here else None
        g.till = None
        # The page that says that the database is away must not ask it for more.
        with suppress(Unavailable):
            if till_id is not None:
                with bank().reader() as reader:
                    g.till = ledger_store.account(reader, till_id)
    till: LedgerAccount | None = g.till
    return till


@staff.app_context_processor
def _for_every_page() -> dict[str, object]:
    return {"till_now": till_now}


@staff.app_template_filter()
def clock_time(moment: datetime) -> str:
    """The time of day at the branch."""
    return f"{moment.astimezone(settings().business_timezone):%H:%M}"


@staff.get("/till")
@open_to(*TILL)
def show_till() -> View:
    """One's own till: the running total, and the day's movements, newest first (`day=2026-03-31`, `as=csv`)."""
    return _show_day(own_till().number)


@staff.get("/tills/<number>")
@open_to(*EXECUTIVE)
def show_any_till(number: str) -> View:
    """The same of any till, or of the vault."""
    return _show_day(number)


def _show_day(number: str) -> View:
    day = read_day(request.args["day"]) if request.args.get("day") else today()
    before = read_place(request.args.get("before"))
    wanted = request.args.get("as")
    till = till_of(number)
    with bank().reader() as reader:
        limit = MOST_ROWS + 1 if wanted else _PAGE_LINES + 1
        rows = till_days.movements(reader, till.id, day, before=None if wanted else before, limit=limit)
        kinds = till_days.sums(reader, till.id, day, till.balance.currency)
        counts = counting.page_before(reader, till.id, before=None, limit=5)
    if wanted:
        if len(rows) > MOST_ROWS:
            raise TooManyRows
        return download(f"{number.lower()}-{day}", MOVEMENTS, reversed(rows), wanted)
    older = rows[_PAGE_LINES - 1].seq if len(rows) > _PAGE_LINES else None
    nothing = Money(0, till.balance.currency)
    return render_template(
        "staff/till.html",
        till=till,
        own=request.endpoint == "staff.show_till",
        day=day,
        rows=rows[:_PAGE_LINES],
        before=before,
        older=older,
        received=sum((kind.received for kind in kinds), nothing),
        paid=sum((kind.paid for kind in kinds), nothing),
        counts=counts,
        address=_address(day if request.args.get("day") else None, number),
    )


def _address(day: date | None, number: str) -> Callable[..., str]:
    """Addresses of this very page with something else asked of it."""
    kept: dict[str, Any] = {"day": day and day.isoformat()}
    if request.endpoint == "staff.show_any_till":
        kept["number"] = number
    return lambda **asked: url_for(str(request.endpoint), **kept, **asked)


@staff.route("/till/supply", methods=["GET", "POST"])
@open_to(*TILL)
def supply_till() -> View:
    """Take cash from the vault into one's till."""
    return _carry(lambda **how: vault.supply_till(bank(), own_till().id, **how), url_for(".show_till"), "supply")


@staff.route("/till/return", methods=["GET", "POST"])
@open_to(*TILL)
def return_from_till() -> View:
    """Give cash of one's till to the vault; `all=1` writes the whole of it into the form."""
    return _carry(lambda **how: vault.return_from_till(bank(), own_till().id, **how), url_for(".show_till"), "return")


@staff.route("/vault/receive", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def receive_cash() -> View:
    """Take in cash that was delivered to the bank."""
    return _carry(lambda **how: vault.receive(bank(), **how), url_for(".show_vault"), "receive")


@staff.route("/vault/hand-back", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def hand_cash_back() -> View:
    """Hand cash of the vault to whoever collects it."""
    return _carry(lambda **how: vault.hand_back(bank(), **how), url_for(".show_vault"), "hand back")


def _carry(move: Callable[..., Receipt], back: str, what: str) -> View:
    form = MoneyForm()
    till = till_now()
    if not form.is_submitted():
        form.amount.render_kw = {"autofocus": True}
        if request.args.get("all") and till and till.balance > 0:
            form.amount.data = till.balance_money.figure

    def act() -> str:
        receipt = move(amount=form.amount.money, key=form.key, by=author(), note=form.note.text)
        return url_for(".show_entry", entry_id=receipt.entry_id)

    with bank().reader() as reader:
        kept = vault.held(reader, settings().currency)
    return settle(form, act, "staff/till_move.html", what=what, back=back, till=till, kept=kept)


@staff.get("/vault")
@open_to(*EXECUTIVE)
def show_vault() -> View:
    """The vault and all tills."""
    shown = TILLS.show(vault.listing())
    if isinstance(shown, Response):
        return shown
    with bank().reader() as reader:
        kept = vault.held(reader, settings().currency)
    return render_template("staff/vault.html", shown=shown, kept=kept)


@staff.route("/tills/<number>/guard", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def guard_till(number: str) -> View:
    """Let a till that was opened without a guard pay out no more than it holds."""
    till = till_of(number)
    form = ReasonForm()

    def act() -> str:
        bank().run(tills.guard, till.id, by=author(), reason=form.reason.text)
        return url_for(".show_vault")

    return settle(form, act, "staff/till_guard.html", till=till, back=url_for(".show_vault"))


def own_till() -> LedgerAccount:
    """The till of this member of staff.

    Raises:
        NoTill: they have none.
    """
    till = till_now()
    if till is None:
        raise NoTill
    return till


def till_of(number: str) -> TillRow:
    """The till or vault of this number.

    Raises:
        NoSuchTill: there is none.
    """
    with bank().reader() as reader:
        till = vault.by_number(reader, number)
    if till is None:
        raise NoSuchTill
    return till
