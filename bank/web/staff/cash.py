"""The cash desk: deposits, withdrawals, transfers, receipts, reversals."""

from __future__ import annotations

from collections.abc import Callable

from flask import redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from bank.accounts import store as account_store
from bank.accounts.store import Account
from bank.ledger import store as ledger_store
from bank.payments import service as payments
from bank.payments.model import Receipt, TransferOrder
from bank.web.access import ANY_STAFF, EXECUTIVE, TILL, open_to
from bank.web.current import author, bank, staff_member
from bank.web.forms import MoneyForm, ReasonForm, TransferForm, choices
from bank.web.money import settle
from bank.web.staff import staff
from bank.web.staff.look_up import account_of

View = str | tuple[str, int] | AnyResponse


@staff.route("/accounts/<number>/deposit", methods=["GET", "POST"])
@open_to(*TILL)
def deposit(number: str) -> View:
    """Take cash for the account."""
    return _cash(number, payments.deposit, title="Deposit cash", button="Deposit")


@staff.route("/accounts/<number>/withdraw", methods=["GET", "POST"])
@open_to(*TILL)
def withdraw(number: str) -> View:
    """Pay cash out of the account."""
    return _cash(number, payments.withdraw, title="Withdraw cash", button="Pay out")


def _cash(number: str, move: Callable[..., Receipt], *, title: str, button: str) -> View:
    account = account_of(number)
    form = MoneyForm()

    def act() -> str:
        till_id = staff_member().till_account_id
        told = {"till_id": till_id, "key": form.key, "by": author(), "narrative": form.note.text}
        return _to(move(bank(), account, form.amount.money, **told))

    return settle(form, act, "staff/cash.html", title=title, button=button, **_about(account))


@staff.route("/accounts/<number>/transfer", methods=["GET", "POST"])
@open_to(*TILL)
def transfer(number: str) -> View:
    """Pay from this account to any other."""
    account = account_of(number)
    form = TransferForm(from_account=number)
    form.from_account.choices = choices([(number, f"{account.ledger.name} {number}")])

    def act() -> str:
        with bank().reader() as reader:
            receiving = account_store.by_number(reader, form.to_account.value)
        if receiving is None:
            raise payments.UnknownPayee
        order = TransferOrder(account.id, receiving.id, form.amount.money, form.reference.text, form.key)
        return _to(payments.transfer(bank(), order, by=author()))

    return settle(form, act, "staff/transfer.html", **_about(account))


@staff.get("/entries/<id:entry_id>")
@open_to(*ANY_STAFF)
def show_entry(entry_id: int) -> View:
    """The receipt of any entry, with both sides."""
    with bank().reader() as reader:
        entry = ledger_store.entry(reader, entry_id)
    if entry is None:
        raise payments.NoSuchEntry
    return render_template("staff/entry.html", entry=entry)


@staff.route("/entries/<id:entry_id>/reverse", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def reverse_entry(entry_id: int) -> View:
    """Book the opposite, once, with a reason."""
    with bank().reader() as reader:
        entry = ledger_store.entry(reader, entry_id)
    if entry is None:
        raise payments.NoSuchEntry
    form = ReasonForm()

    def act() -> str:
        return _to(payments.reverse(bank(), entry_id, key=form.key, by=author(), reason=form.reason.text))

    back = url_for(".show_entry", entry_id=entry_id)
    return settle(form, act, "staff/reverse.html", entry=entry, back=back)


@staff.get("/operations/<operation>")
@open_to(*ANY_STAFF)
def check_operation(operation: str) -> View:
    """What became of a movement whose answer was lost."""
    with bank().reader() as reader:
        found = ledger_store.entry_by_key(reader, str(staff_member()), operation[:255])
        entry = ledger_store.entry(reader, found) if found else None
    if entry and not entry.refusal:
        return redirect(url_for(".show_entry", entry_id=entry.id))
    return render_template("operation.html", layout="staff/layout.html", entry=entry, operation=operation[:40])


def _to(receipt: Receipt) -> str:
    return url_for(".show_entry", entry_id=receipt.entry_id)


def _about(account: Account) -> dict[str, object]:
    with bank().reader() as reader:
        holders = account_store.holders(reader, account.id)
    return {"account": account, "holders": holders, "back": url_for(".show_account", number=account.number)}
