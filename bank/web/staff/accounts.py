"""Accounts: find, list, freeze, limit, share, hold, close and reopen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Final

from flask import Response, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue as View

from bank.accounts import service as accounts
from bank.accounts import store as account_store
from bank.accounts.model import STATUSES, account_status, product_name
from bank.accounts.store import Account
from bank.accounts.store import accounts as accounts_table
from bank.audit import store as audit
from bank.customers import store as customer_store
from bank.customers.service import NoSuchCustomer
from bank.errors import Invalid
from bank.identifiers import read_number
from bank.identity.staff import Role
from bank.language import gettext, marked
from bank.ledger import service as ledger
from bank.ledger import store as ledger_store
from bank.ledger.tables import ledger_accounts
from bank.money import Money
from bank.payments import service as payments
from bank.web import statement
from bank.web.access import ANY_STAFF, EXECUTIVE, TILL, open_to
from bank.web.current import author, bank, settings, staff_member
from bank.web.fields import ReasonForm
from bank.web.lists import Column, List
from bank.web.money import settle
from bank.web.paging import read_place
from bank.web.staff import staff
from bank.web.staff.forms import CloseForm, FreezeForm, HolderForm, HoldForm, LimitsForm, OverdraftForm
from bank.web.staff.look_up import account_of, holders_of, known_customer, person_card

_PAGE_LINES = 50


ACCOUNTS: Final = List(
    "accounts",
    (
        Column("number", marked("Number"), lambda account: account.number, ledger_accounts.c.number),
        Column("product", marked("Product"), lambda account: product_name(account.product), accounts_table.c.product),
        Column(
            "status", marked("Status"), lambda account: account_status(account.ledger.status), ledger_accounts.c.status
        ),
        Column("opened", marked("Opened"), lambda account: account.opened_on, accounts_table.c.opened_on),
        Column("balance", marked("Balance"), lambda account: account.ledger.balance_money, ledger_accounts.c.balance),
        Column("currency", marked("Currency"), lambda account: account.ledger.currency, ledger_accounts.c.currency),
    ),
    "number",
    ledger_accounts.c.number,
    account_store.of_row,
)


@staff.get("/accounts")
@open_to(*ANY_STAFF)
def find_account() -> View:
    """Look an account up by its own number or its holder's; what is looked up by a form is in `find_customers`."""
    text = request.args.get("q", "").strip()[:60]
    problem = None
    if text:
        try:
            number = read_number(text)
            with bank().reader() as reader:
                if account_store.by_number(reader, number):
                    return redirect(url_for(".show_account", number=number))
                if customer_store.by_number(reader, number):
                    return redirect(url_for(".show_customer", number=number))
            problem = gettext("There is neither an account nor a customer of this number.")
        except Invalid as unreadable:
            problem = str(unreadable)
    page = render_template("staff/customers.html", text=text, found=None, problem=problem)
    return (page, 422) if problem else page


@staff.get("/accounts/status")
@open_to(*EXECUTIVE)
def list_accounts() -> View:
    """All accounts, or those of one status, to sort, page through and download; `as=json` is for programs."""
    status = request.args.get("status")
    status = status if status in STATUSES else None
    shown = ACCOUNTS.show(account_store.listing(status=status), status=status)
    if isinstance(shown, Response):
        return shown
    if request.args.get("as") == "json":
        further = shown.address(after=shown.more, **{"as": "json"}) if shown.more else None
        return jsonify(accounts=[_as_json(account) for account in shown.rows], more=further)
    return render_template("staff/account_status.html", shown=shown, statuses=STATUSES)


def _as_json(account: Account) -> dict[str, str | None]:
    return {
        "number": account.number,
        "product": account.product,
        "status": account.ledger.status,
        "opened_on": account.opened_on.isoformat(),
        "closed_on": account.closed_on.isoformat() if account.closed_on else None,
        "balance": account.ledger.balance_money.plain,
        "currency": account.ledger.currency,
    }


@staff.get("/accounts/<number>")
@open_to(*ANY_STAFF)
def show_account(number: str) -> View:
    """One account: state, holders, holds, movements; executives also see what was done."""
    account = account_of(number)
    before = read_place(request.args.get("before"))
    card = person_card(account)
    executive = staff_member().role is Role.EXECUTIVE
    with bank().reader() as reader:
        movements = ledger_store.page_before(reader, account.id, seq=before, limit=_PAGE_LINES + 1)
        holds = ledger_store.active_holds(reader, account.id) if account.ledger.held else []
        records = audit.page_before(reader, str(account), before=None, limit=_PAGE_LINES) if executive else []
    older = movements[_PAGE_LINES - 1].seq if len(movements) > _PAGE_LINES else None
    return render_template(
        "staff/account.html",
        account=account,
        card=card,
        movements=movements[:_PAGE_LINES],
        older=older,
        holds=holds,
        records=records,
        usual_limits=[
            Money(limit, settings().currency)
            for limit in (settings().limit_per_payment_minor, settings().limit_per_day_minor)
        ],
    )


@staff.get("/accounts/<number>/statement")
@open_to(*ANY_STAFF)
def show_statement(number: str) -> View:
    """A statement of the period asked for, to read or download."""
    account = account_of(number)
    back = url_for(".show_account", number=number)
    return statement.answer(account, "staff/layout.html", back, person_card(account), holders_of(account))


@staff.route("/accounts/<number>/freeze", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def freeze_account(number: str) -> View:
    """Freeze both ways or debits only, or lift it."""
    account = account_of(number)
    form = FreezeForm(status=account.ledger.status)
    return _change(
        account,
        form,
        "staff/freeze.html",
        lambda: bank().run(accounts.freeze, account, form.status.data, by=author(), reason=form.reason.text),
    )


@staff.route("/accounts/<number>/limits", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def change_limits(number: str) -> View:
    """The account's own limits, or back to the bank's."""
    account = account_of(number)
    form = LimitsForm()
    if not form.is_submitted():
        # As they are: whoever changes one of them must not lose the other.
        for field, limit in zip((form.per_payment, form.per_day), account.ledger.own_limits, strict=True):
            field.data = limit.figure if limit else ""

    def act() -> None:
        per_payment, per_day = form.per_payment.value, form.per_day.value
        bank().run(
            ledger.set_limits,
            account.id,
            per_payment=per_payment and per_payment.minor_units,
            per_day=per_day and per_day.minor_units,
            by=author(),
            reason=form.reason.text,
        )

    return _change(account, form, "staff/limits.html", act)


@staff.route("/accounts/<number>/overdraft", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def change_overdraft(number: str) -> View:
    """How far below zero the account may go."""
    account = account_of(number)
    form = OverdraftForm()
    return _change(
        account,
        form,
        "staff/overdraft.html",
        lambda: bank().run(
            ledger.set_floor, account.id, -form.overdraft.value.minor_units, by=author(), reason=form.reason.text
        ),
    )


@staff.route("/accounts/<number>/holders/add", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def add_holder(number: str) -> View:
    """Let another customer use the account."""
    account = account_of(number)
    form = HolderForm()

    def act() -> None:
        bank().run(accounts.add_holder, account, known_customer(form.customer.value), form.role.data, by=author())

    return _change(account, form, "staff/holder.html", act, missing_is_input=True)


@staff.route("/accounts/<number>/holders/<customer_number>/remove", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def remove_holder(number: str, customer_number: str) -> View:
    """Stop a customer from using the account."""
    account, leaving = account_of(number), known_customer(customer_number)
    form = ReasonForm()
    act = lambda: bank().run(accounts.remove_holder, account, leaving.id, by=author(), reason=form.reason.text)  # noqa: E731
    title = gettext("Remove %(name)s from this account", name=leaving.name)
    return _change(account, form, "staff/reason.html", act, title=title, button=gettext("Remove"), danger=True)


@staff.route("/accounts/<number>/hold", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def place_hold(number: str) -> View:
    """Keep part of the money from being spent, until a day or until it is released."""
    account = account_of(number)
    form = HoldForm()

    def act() -> None:
        day = form.expires_on.value
        expires_at = None
        if day is not None:
            midnight = datetime.combine(day + timedelta(days=1), time.min, tzinfo=settings().business_timezone)
            expires_at = midnight.astimezone(UTC)
        payments.place_hold(
            bank(),
            account,
            form.amount.money,
            expires_at=expires_at,
            key=form.key,
            by=author(),
            reason=form.reason.text,
        )

    return _change(account, form, "staff/hold.html", act)


@staff.route("/accounts/<number>/holds/<id:hold_id>/release", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def release_hold(number: str, hold_id: int) -> View:
    """Give back what a hold still reserves."""
    account = account_of(number)
    form = ReasonForm()

    def act() -> None:
        payments.release_hold(bank(), account, hold_id, key=form.key, by=author(), reason=form.reason.text)

    return _change(
        account, form, "staff/reason.html", act, title=gettext("Release this hold"), button=gettext("Release")
    )


@staff.route("/accounts/<number>/close", methods=["GET", "POST"])
@open_to(*EXECUTIVE, *TILL)
def close_account(number: str) -> View:
    """Close the account; what is on it is paid out in cash, so with money on it only somebody with a till can."""
    account = account_of(number)
    form = CloseForm()

    def act() -> str:
        if form.number.value != number:
            raise WrongNumber
        till_id = staff_member().till_account_id
        receipt = payments.close_account(
            bank(), account, till_id=till_id, key=form.key, by=author(), reason=form.reason.text
        )
        return url_for(".show_entry", entry_id=receipt.entry_id) if receipt else url_for(".show_account", number=number)

    return settle(
        form,
        act,
        "staff/close.html",
        account=account,
        card=person_card(account),
        back=url_for(".show_account", number=number),
    )


@staff.route("/accounts/<number>/reopen", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def reopen_account(number: str) -> View:
    """Open a closed account again."""
    account = account_of(number)
    form = ReasonForm()
    act = lambda: bank().run(accounts.reopen, account, by=author(), reason=form.reason.text)  # noqa: E731
    return _change(
        account, form, "staff/reason.html", act, title=gettext("Reopen this account"), button=gettext("Reopen")
    )


class WrongNumber(Invalid):
    """The number typed again is another account's."""

    code = "wrong_number"

    def __init__(self) -> None:
        super().__init__(gettext("Type this account's own number, to be sure that it is the one to close."))


def _change(
    account: Account,
    form: ReasonForm | HolderForm,
    template: str,
    act: Callable[[], object],
    *,
    missing_is_input: bool = False,
    **values: object,
) -> View:
    """Do `act`, then show the account."""
    back = url_for(".show_account", number=account.number)

    def do() -> str:
        try:
            act()
        except NoSuchCustomer as missing:
            if missing_is_input:
                raise Invalid(str(missing)) from missing
            raise
        return back

    return settle(form, do, template, account=account, card=person_card(account), back=back, **values)
