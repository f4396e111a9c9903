"""The cash desk: deposits, withdrawals, transfers, receipts, reversals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue as View

from bank.accounts import store as account_store
from bank.accounts.model import product_name
from bank.accounts.store import Account, Holder
from bank.customers import store as customer_store
from bank.errors import Invalid
from bank.identity import staff as staff_members
from bank.language import gettext, together
from bank.ledger import store as ledger_store
from bank.ledger.model import CHART
from bank.ledger.store import Entry, EntryPosting
from bank.money import Money, parse_amount
from bank.payments import service as payments
from bank.payments.model import Receipt, TransferOrder
from bank.web.access import ANY_STAFF, EXECUTIVE, TILL, open_to
from bank.web.current import author, bank, staff_member
from bank.web.fields import ReasonForm, choices
from bank.web.forms import TransferForm
from bank.web.money import settle
from bank.web.staff import staff
from bank.web.staff.forms import MoneyForm
from bank.web.staff.look_up import account_of, person_card, require_reason


@staff.route("/accounts/<number>/deposit", methods=["GET", "POST"])
@open_to(*TILL)
def deposit(number: str) -> View:
    """Take cash for the account."""
    return _cash(number, payments.deposit, "deposit")


@staff.route("/accounts/<number>/withdraw", methods=["GET", "POST"])
@open_to(*TILL)
def withdraw(number: str) -> View:
    """Pay cash out of the account."""
    return _cash(number, payments.withdraw, "withdraw")


def _cash(number: str, move: Callable[..., Receipt], what: str) -> View:
    account = account_of(number)
    form = MoneyForm()
    # What will be available is worked out here while the amount is typed.
    form.amount.render_kw = _AS_TYPED | {"hx-get": request.path, "autofocus": not form.is_submitted()}

    def act() -> str:
        till_id = staff_member().till_account_id
        told = {"till_id": till_id, "key": form.key, "by": author(), "narrative": form.note.text}
        return _to(move(bank(), account, form.amount.money, **told))

    return settle(form, act, "staff/cash.html", what=what, after=_after(form, account, what), **_about(account))


#: The amount alone is asked about: nothing else of the form may stand in an address.
_AS_TYPED: Final = {
    "hx-include": "this",
    "hx-trigger": "input changed delay:300ms",
    "hx-target": "#after",
    "hx-select": "#after > *",
    "hx-sync": "this:replace",
}


def _after(form: MoneyForm, account: Account, what: str) -> Money | None:
    """What will be available once this is booked; None while no amount can be read."""
    typed = form.amount.data if form.is_submitted() else request.args.get("amount")
    try:
        amount = parse_amount((typed or "")[:100], account.ledger.currency)
    except Invalid:
        return None
    return account.ledger.available + (amount if what == "deposit" else -amount)


@staff.route("/accounts/<number>/transfer", methods=["GET", "POST"])
@open_to(*TILL)
def transfer(number: str) -> View:
    """Pay from this account to any other."""
    account = account_of(number)
    form = TransferForm(from_account=number)
    form.from_account.choices = choices([(number, f"{product_name(account.product)} {number}")])
    if not form.is_submitted():
        form.to_account.render_kw = {"autofocus": True}

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
    """The receipt of any entry: both sides, who booked it, and what may come next."""
    entry, holders = _entry(entry_id)
    return render_template("staff/entry.html", entry=entry, sides=_sides(entry, holders), by=_author_of(entry, holders))


@staff.route("/entries/<id:entry_id>/reverse", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def reverse_entry(entry_id: int) -> View:
    """Book the opposite, once, with a reason."""
    entry, holders = _entry(entry_id)
    form = ReasonForm()

    def act() -> str:
        return _to(payments.reverse(bank(), entry_id, key=form.key, by=author(), reason=form.reason.text))

    back = url_for(".show_entry", entry_id=entry_id)
    shown = {"sides": _sides(entry, holders), "by": _author_of(entry, holders)}
    return settle(form, act, "staff/reverse.html", entry=entry, back=back, **shown)


@staff.get("/operations/<operation>")
@open_to(*ANY_STAFF)
def check_operation(operation: str) -> View:
    """What became of a movement whose answer was lost."""
    with bank().reader() as reader:
        answer = ledger_store.answer_by_key(reader, str(staff_member()), operation[:255])
    if answer:
        bank().secure()
    entry_id, refusal = answer or (None, None)
    if entry_id and not refusal:
        return redirect(url_for(".show_entry", entry_id=entry_id))
    return render_template("operation.html", layout="staff/layout.html", refusal=refusal, operation=operation[:40])


def _to(receipt: Receipt) -> str:
    return url_for(".show_entry", entry_id=receipt.entry_id)


def _about(account: Account) -> dict[str, object]:
    return {
        "account": account,
        "card": person_card(account),
        "back": url_for(".show_account", number=account.number),
    }


def _entry(entry_id: int) -> tuple[Entry, Holders]:
    """The entry, which tells names and balances, and who holds its accounts: their records are opened by reading it.

    Raises:
        NoSuchEntry: there is none.
        ReasonNeeded: a warning about one of them asks for a reason first.
    """
    with bank().reader() as reader:
        entry = ledger_store.entry(reader, entry_id)
        if entry is None:
            raise payments.NoSuchEntry
        holders = account_store.holders_of(reader, {posting.account_id for posting in entry.postings})
    people = {holder.customer_id for of_one in holders.values() for holder in of_one}
    booked_by = _customer_who_booked(entry)
    require_reason(people if booked_by is None else people | {booked_by})
    return entry, holders


def _customer_who_booked(entry: Entry) -> int | None:
    kind, _colon, key = entry.caller.partition(":")
    return int(key) if kind == "customer" and key.isdigit() else None


#: Who may use each account of an entry that is a customers'.
Holders = dict[int, list[Holder]]


@dataclass(frozen=True, slots=True)
class Side:
    """One side of an entry as it is read: `customers` is the number of a customers' account, `till` that of cash."""

    words: str
    customers: str | None
    till: str | None
    posting: EntryPosting


def _sides(entry: Entry, holders: Holders) -> list[Side]:
    return [_side(posting, holders.get(posting.account_id)) for posting in entry.postings]


def _side(posting: EntryPosting, holders: list[Holder] | None) -> Side:
    if holders is not None:
        owners = [holder.name for holder in holders if holder.role == "owner"]
        return Side(together(owners), posting.number, None, posting)
    if posting.chart_code == "cash":
        number = posting.number.removeprefix("till-")
        return Side(gettext("Till %(number)s", number=number), None, posting.number, posting)
    kept = posting.number if posting.chart_code == "vault" else None
    return Side(gettext(CHART[posting.chart_code].name), None, kept, posting)


def _author_of(entry: Entry, holders: Holders) -> tuple[str, str | None]:
    """Who booked it, and their number when it was a customer."""
    booked_by = _customer_who_booked(entry)
    for holder in (holder for of_one in holders.values() for holder in of_one):
        if holder.customer_id == booked_by:
            return holder.name, holder.number
    with bank().reader() as reader:
        customer = customer_store.by_id(reader, booked_by) if booked_by is not None else None
        names = staff_members.names(reader, [entry.caller])
    return (customer.name, customer.number) if customer else (names.get(entry.caller, entry.caller), None)
