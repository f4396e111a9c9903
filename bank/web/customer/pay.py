"""Paying in steps: whom, how much, check, and then it is sent; each step has an address of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue as View

from bank.accounts import store as account_store
from bank.accounts.model import product_name
from bank.accounts.store import Account
from bank.audit.model import Author
from bank.errors import BankError, Unavailable
from bank.ledger import store as ledger_store
from bank.ledger.model import Side
from bank.money import Money, exponent
from bank.payments import drafts, look_ups, payees, scheduled, sending
from bank.payments import service as payments
from bank.payments.drafts import Draft, NoSuchDraft
from bank.payments.look_ups import OWN, Recipient
from bank.payments.model import KINDS, TransferOrder
from bank.payments.name_check import CLOSE, NONE
from bank.payments.payees import Payee
from bank.payments.sending import Instruction
from bank.web import logs, signed_in
from bank.web.access import CUSTOMER, asks_with_the_act, open_to
from bank.web.current import author, bank, settings, visitor
from bank.web.current import customer as this_customer
from bank.web.customer import customer
from bank.web.customer.look_up import own_account
from bank.web.customer.movements import place_of
from bank.web.customer.pay_forms import NOW, SOMEBODY_NEW, PayForm, PaymentForm, account_choices
from bank.web.fields import ConfirmForm, OperationForm, choices, operation_in_address
from bank.web.money import settle
from bank.web.pages import today


@dataclass(frozen=True, slots=True)
class Parties:
    """Both sides of a draft; `payee` is how the customer calls the other's account, None for one's own."""

    paying: Account
    receiving: Account
    payee: Payee | None


@customer.route("/pay", methods=["GET", "POST"])
@open_to(CUSTOMER)
@asks_with_the_act
def pay() -> View:
    """Whom to pay. With an amount the form is the whole payment, and makes it."""
    if request.method == "GET":
        return _choose()
    if not signed_in.in_use() and (stopped := signed_in.let_in()):
        return stopped
    refused: BankError | None = None
    try:
        if paid := _pay_now():
            return paid
    except Unavailable:
        raise
    except BankError as error:
        refused = error
    if visitor() is None and (stopped := signed_in.let_in()):
        return stopped
    return _send(refused) if "amount" in request.form else _choose()


@customer.route("/pay/<operation>/name", methods=["GET", "POST"])
@open_to(CUSTOMER)
def name_payee(operation: str) -> View:
    """Say that the name is not the account holder's, before anything is paid."""
    draft, parties = _prepared(operation)
    if draft.name_check not in (CLOSE, NONE) or parties.payee is None:
        return redirect(url_for(".pay_amount", operation=operation))
    payee = parties.payee
    with bank().reader() as reader:
        holder = look_ups.holders_name(reader, payee)

    def act() -> str:
        if request.form.get("use") == "holder":
            bank().run(_use_holders_name, draft, payee, author())
        return url_for(".pay_amount", operation=operation)

    return _step(ConfirmForm(), act, "customer/pay_name.html", draft=draft, payee=payee, holder=holder)


@customer.route("/pay/<operation>", methods=["GET", "POST"])
@open_to(CUSTOMER)
def pay_amount(operation: str) -> View:
    """How much, with which reference, when; whom was said before."""
    if place := place_of(operation):
        return redirect(place)
    draft, parties = _prepared(operation)
    form = PaymentForm()
    form.from_account.choices = account_choices([parties.paying])
    if not form.is_submitted():
        form.operation.data = operation
        _fill_in(form, draft)
    form.from_account.data, form.to_account.data = parties.paying.number, parties.receiving.number
    form.available = parties.paying.ledger.available

    def act() -> str:
        found = replace(
            draft,
            operation=_unused(operation),
            minor_units=form.amount.money.minor_units,
            reference=form.reference.text,
            due_on=form.due_on.value if form.later else None,
            repeats=form.when.data if form.later else "once",
        )
        bank().run(_keep, found, parties.payee if form.save.data else None, author())
        return url_for(".check_payment", operation=found.operation)

    return _step(form, act, "customer/pay_amount.html", draft=draft, parties=parties, **_hints())


@customer.get("/pay/<operation>/check")
@open_to(CUSTOMER)
def check_payment(operation: str) -> View:
    """All of it once more, before it is sent."""
    if place := place_of(operation):
        return redirect(place)
    draft, parties = _prepared(operation)
    if draft.minor_units is None:
        return redirect(url_for(".pay_amount", operation=operation))
    amount = Money(draft.minor_units, settings().currency)
    return render_template("customer/pay_check.html", draft=draft, parties=parties, amount=amount)


def _choose() -> View:
    form, me = PayForm(), this_customer().id
    with bank().reader() as reader:
        accounts, saved = _open_accounts(reader), payees.of_customer(reader, me)
        form.offer(accounts, saved)
        # An operation that is new here prepared nothing yet.
        before = drafts.find(reader, me, form.key) if form.is_submitted() or operation_in_address() else None
        if not form.is_submitted():
            _prefill(reader, form, before)

    def act() -> str:
        paying, recipient = own_account(form.from_account.data), _recipient(form, accounts, saved)
        if recipient.account_id == paying.id:
            raise payments.SameAccount
        draft = before or _like(form.again.data or "")
        draft = replace(
            draft,
            operation=_unused(form.key),
            from_account_id=paying.id,
            to_account_id=recipient.account_id,
            payee_name=recipient.name,
            name_check=recipient.name_check,
        )
        bank().run(drafts.keep, draft, at=bank().clock.now())
        doubtful = recipient.name_check in (CLOSE, NONE) and not (recipient.payee and recipient.payee.saved)
        return url_for(".name_payee" if doubtful else ".pay_amount", operation=draft.operation)

    return settle(form, act, "customer/pay.html", accounts=accounts, saved=saved)


def _pay_now() -> View | None:
    """Make a payment that is whole and due now, by one message to the database; None when it is anything else.

    Raises:
        BankError: what `sending.send` raises; nothing moved.
    """
    form = PaymentForm()
    # Whose account it is, the database says.
    form.from_account.choices = choices([(form.from_account.data or "", "")])
    if "amount" not in request.form or not form.validate() or form.later:
        return None
    asked = Instruction(form.from_account.data, form.to_account.value, form.amount.money, form.reference.text, form.key)
    try:
        receipt = sending.send(bank(), asked, signed_in.credential())
    except sending.PlannedAlready as planned:
        place = url_for(".show_scheduled", scheduled_id=planned.scheduled_id)
    else:
        place = url_for(".show_movement", entry_id=receipt.entry_id)
        logs.event("paid", entry=receipt.entry_id)
    signed_in.note_use()
    return redirect(place, 303)


def _send(refused: BankError | None) -> View:
    """Schedule a payment, or say what is wrong with one: the form as it came, and why it was refused."""
    form, me = PaymentForm(), this_customer().id
    with bank().reader() as reader:
        form.from_account.choices = account_choices(_open_accounts(reader))
        draft = drafts.find(reader, me, form.key)
        parties = _parties(reader, draft) if draft else None
    if parties and (form.from_account.data, form.to_account.data) != (parties.paying.number, parties.receiving.number):
        draft = parties = None

    def act() -> str:
        if refused:
            raise refused
        paying, number = own_account(form.from_account.data), form.to_account.value
        look_ups.count_payment(bank(), me, number, by=author())
        with bank().reader() as reader:
            receiving = account_store.by_number(reader, number)
            if receiving is None:
                raise payments.UnknownPayee
            called = _called(reader, receiving)
        order = TransferOrder(paying.id, receiving.id, form.amount.money, form.reference.text, form.key, me)
        made = scheduled.schedule(
            bank(), order, due_on=form.due_on.value, repeats=form.when.data, payee_name=called, by=author()
        )
        return url_for(".show_scheduled", scheduled_id=made)

    answer = settle(form, act, "customer/pay_amount.html", draft=draft, parties=parties, **_hints())
    if draft and form.key != draft.operation:
        # What was refused under its operation stays so: the form goes on under another one.
        bank().run(drafts.keep, replace(draft, operation=form.key), at=bank().clock.now())
    return answer


def _step(form: OperationForm, act: Callable[[], str], template: str, **values: Any) -> View:
    """A step whose operation is in its path already."""
    return (
        settle(form, act, template, **values) if form.is_submitted() else render_template(template, form=form, **values)
    )


def _open_accounts(reader: sa.Connection) -> list[Account]:
    mine = account_store.of_customer(reader, this_customer().id)
    return [account for account in mine if account.ledger.status != "closed"]


def _prepared(operation: str) -> tuple[Draft, Parties]:
    """This customer's draft and its parties; others' do not exist.

    Raises:
        NoSuchDraft: there is none, or it pays from an account that the customer no longer holds.
    """
    with bank().reader() as reader:
        draft = drafts.find(reader, this_customer().id, operation)
        parties = _parties(reader, draft) if draft else None
    if draft is None or parties is None:
        raise NoSuchDraft
    return draft, parties


def _parties(reader: sa.Connection, draft: Draft) -> Parties | None:
    found = account_store.as_known_to(reader, draft.customer_id, [draft.from_account_id, draft.to_account_id])
    paying, mine = found.get(draft.from_account_id, (None, False))
    receiving, _own = found.get(draft.to_account_id, (None, False))
    if paying is None or not mine or receiving is None:
        return None
    payee = None if draft.name_check == OWN else payees.by_account(reader, draft.customer_id, draft.to_account_id)
    return Parties(paying, receiving, payee)


def _prefill(reader: sa.Connection, form: PayForm, before: Draft | None) -> None:
    """What was chosen before, or what the link that led here says."""
    parties = _parties(reader, before) if before else None
    paying, to = request.args.get("from"), request.args.get("to", "")
    if parties:
        paying, to = parties.paying.number, parties.receiving.number
    form.from_account.data = paying or form.from_account.data
    form.again.data = request.args.get("again", "")
    form.to.data = to if to in form.offered or (len(form.offered) > 2 and not to) else SOMEBODY_NEW
    if to and form.to.data == SOMEBODY_NEW:
        found = account_store.by_number(reader, to)
        known = found and payees.by_account(reader, this_customer().id, found.id)
        form.to_account.data, form.name.data = to, known.name if known else ""


def _recipient(form: PayForm, accounts: list[Account], saved: list[Payee]) -> Recipient:
    """Who was chosen, or the somebody new who was typed, after a check of the name."""
    for payee in saved:
        if payee.number == form.to.data:
            return Recipient(payee.account_id, payee.number, payee.name, payee.name_check, payee)
    for account in accounts:
        if account.number == form.to.data:
            return Recipient(account.id, account.number, "", OWN)
    return look_ups.find(bank(), this_customer().id, form.name.text, form.to_account.value, by=author())


def _like(entry_id: str) -> Draft:
    """A draft of the amount and reference of a payment that the customer made before; else of nothing."""
    blank = Draft("", this_customer().id, 0, 0, "", OWN)
    if not (entry_id.isascii() and entry_id.isdigit() and len(entry_id) <= 18):
        return blank
    with bank().reader() as reader:
        entry = ledger_store.entry(reader, int(entry_id))
        mine = {account.id for account in account_store.of_customer(reader, this_customer().id)}
    paid = [side for side in entry.postings if side.side is Side.DEBIT and side.account_id in mine] if entry else []
    if entry is None or not paid:
        return blank
    reference = "" if entry.narrative == KINDS.get(entry.kind) else entry.narrative[:100]
    return replace(blank, minor_units=paid[0].amount.minor_units, reference=reference)


def _fill_in(form: PaymentForm, draft: Draft) -> None:
    if draft.minor_units is not None:
        form.amount.data = Money(draft.minor_units, settings().currency).figure
    form.reference.data = draft.reference
    form.when.data = draft.repeats if draft.due_on else NOW
    form.due_on.data = draft.due_on.isoformat() if draft.due_on else ""


def _hints() -> dict[str, Any]:
    """Until when a payment can be scheduled, and how an amount is written."""
    currency = settings().currency
    return {"last_day": scheduled.last_day(today()), "example": Money(125050 if exponent(currency) else 1250, currency)}


def _unused(operation: str) -> str:
    """The operation, or a new one when something was paid or refused by it."""
    with bank().reader() as reader:
        used = ledger_store.entry_by_key(reader, str(this_customer()), operation)
        used = used or scheduled.by_operation(reader, this_customer().id, operation)
    return str(uuid.uuid4()) if used else operation


def _called(reader: sa.Connection, receiving: Account) -> str:
    """How the customer calls the account, for the payment's own page."""
    if account_store.held_by(reader, this_customer().id, receiving.number):
        return product_name(receiving.product)
    payee = payees.by_account(reader, this_customer().id, receiving.id)
    return payee.name if payee else ""


def _keep(tx: sa.Connection, draft: Draft, to_save: Payee | None, by: Author) -> None:
    drafts.keep(tx, draft, at=by.at)
    if to_save:
        payees.save(tx, draft.customer_id, to_save.id, by=by)


def _use_holders_name(tx: sa.Connection, draft: Draft, payee: Payee, by: Author) -> None:
    named = look_ups.use_holders_name(tx, draft.customer_id, payee.id, by=by)
    drafts.keep(tx, replace(draft, payee_name=named.name, name_check=named.name_check), at=by.at)
