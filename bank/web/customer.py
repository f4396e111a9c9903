"""What customers see and do: accounts, movements, payments, statements, their password."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from bank.accounts import store as account_store
from bank.accounts.service import NoSuchAccount
from bank.accounts.store import Account
from bank.identity import logins
from bank.identity.passwords import WeakPassword, require_strong
from bank.ledger import store as ledger_store
from bank.payments import service as payments
from bank.payments.model import TransferOrder
from bank.payments.service import NoSuchEntry
from bank.web import log_in, statement
from bank.web.access import CUSTOMER, open_to
from bank.web.current import author, bank, current, session_id, settings
from bank.web.current import customer as this_customer
from bank.web.forms import ChangePasswordForm, TransferForm, choices
from bank.web.money import settle
from bank.web.paging import read_place

customer = Blueprint("customer", __name__)

View = str | tuple[str, int] | AnyResponse

_PAGE_LINES = 20


@customer.get("/home")
@open_to(CUSTOMER)
def home() -> View:
    """The customer's accounts, each with what may be spent."""
    with bank().reader() as reader:
        accounts = account_store.of_customer(reader, this_customer().id)
    return render_template("customer/home.html", accounts=accounts)


@customer.get("/accounts/<number>")
@open_to(CUSTOMER)
def show_account(number: str) -> View:
    """One account with its movements, newest first."""
    account = _own(number)
    before = read_place(request.args.get("before"))
    with bank().reader() as reader:
        movements = ledger_store.page_before(reader, account.id, seq=before, limit=_PAGE_LINES + 1)
        holds = ledger_store.active_holds(reader, account.id) if before is None else []
        holders = account_store.holders(reader, account.id)
    older = movements[_PAGE_LINES - 1].seq if len(movements) > _PAGE_LINES else None
    shown = movements[:_PAGE_LINES]
    return render_template(
        "customer/account.html",
        account=account,
        movements=shown,
        older=older,
        before=before,
        holds=holds,
        holders=holders,
    )


@customer.get("/accounts/<number>/statement")
@open_to(CUSTOMER)
def show_statement(number: str) -> View:
    """A statement of the period asked for, to read or download."""
    return statement.answer(_own(number), "layout.html", url_for(".show_account", number=number))


@customer.route("/pay", methods=["GET", "POST"])
@open_to(CUSTOMER)
def pay() -> View:
    """Pay to an account by its number, one's own or another's."""
    form = TransferForm()
    with bank().reader() as reader:
        accounts = [
            account
            for account in account_store.of_customer(reader, this_customer().id)
            if account.ledger.status != "closed"
        ]
    form.from_account.choices = choices((account.number, _described(account)) for account in accounts)
    if not form.is_submitted():
        form.from_account.data = request.args.get("from") or form.from_account.data
        form.to_account.data = request.args.get("to", "")

    def act() -> str:
        paying = _own(form.from_account.data)
        with bank().reader() as reader:
            receiving = account_store.by_number(reader, form.to_account.value)
        if receiving is None:
            raise payments.UnknownPayee
        order = TransferOrder(
            paying.id, receiving.id, form.amount.money, form.reference.text, form.key, this_customer().id
        )
        return url_for(".show_movement", entry_id=payments.transfer(bank(), order, by=author()).entry_id)

    return settle(form, act, "customer/pay.html", accounts=accounts)


@customer.get("/movements/<id:entry_id>")
@open_to(CUSTOMER)
def show_movement(entry_id: int) -> View:
    """The receipt of a movement on one of the customer's accounts; others' do not exist."""
    with bank().reader() as reader:
        entry = ledger_store.entry(reader, entry_id)
        mine = {account.id for account in account_store.of_customer(reader, this_customer().id)}
    if entry is None or not mine & {posting.account_id for posting in entry.postings}:
        raise NoSuchEntry
    return render_template("customer/movement.html", entry=entry, mine=mine)


@customer.get("/operations/<operation>")
@open_to(CUSTOMER)
def check_operation(operation: str) -> View:
    """What became of a payment whose answer was lost."""
    with bank().reader() as reader:
        found = ledger_store.entry_by_key(reader, str(this_customer()), operation[:255])
        entry = ledger_store.entry(reader, found) if found else None
    if entry and not entry.refusal:
        return redirect(url_for(".show_movement", entry_id=entry.id))
    return render_template("operation.html", layout="layout.html", entry=entry, operation=operation[:40])


@customer.route("/password", methods=["GET", "POST"])
@open_to(CUSTOMER)
def change_password() -> View:
    """Another password; all other sessions end."""
    form = ChangePasswordForm()
    if not form.validate_on_submit():
        return render_template("password.html", form=form, layout="layout.html"), 422 if form.is_submitted() else 200
    me = this_customer()
    try:
        log_in.require_present_password(_stored_hash(), form.old.text, account=me.number)
        require_strong(form.new.text, about=[settings().bank_name, me.name, me.number])
    except log_in.LogInRefused:
        form.old.errors = ["This is not your present password, or it was tried too often."]
    except WeakPassword as problem:
        form.new.errors = [str(problem)]
    else:
        new_hash = current().passwords.hash(form.new.text)
        bank().run(logins.change_password, me.id, new_hash, by=author(), keep_session=session_id())
        return redirect(url_for(".password_changed"), 303)
    return render_template("password.html", form=form, layout="layout.html"), 422


@customer.get("/password/changed")
@open_to(CUSTOMER)
def password_changed() -> View:
    """Said once it is done."""
    return render_template("password_changed.html", layout="layout.html")


@customer.post("/logout")
@open_to(CUSTOMER)
def log_out() -> View:
    """End the session on the server."""
    return log_in.log_out(make_response(redirect(url_for("public.welcome"), 303)))


def _own(number: str) -> Account:
    with bank().reader() as reader:
        account = account_store.held_by(reader, this_customer().id, number)
    if account is None:
        raise NoSuchAccount
    return account


def _stored_hash() -> str | None:
    with bank().reader() as reader:
        return logins.password_hash(reader, this_customer().id)


def _described(account: Account) -> str:
    return f"{account.ledger.name} {account.number}: {account.ledger.available} available"
