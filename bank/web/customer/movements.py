"""A movement's own page: the receipt, and what became of a payment whose answer was lost."""

from __future__ import annotations

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue as View

from bank.cases import store as case_store
from bank.ledger import store as ledger_store
from bank.ledger.model import Side
from bank.payments import scheduled
from bank.spending import service as spending
from bank.spending.rules import category_name
from bank.web.access import CUSTOMER, open_to
from bank.web.current import bank
from bank.web.current import customer as this_customer
from bank.web.customer import customer
from bank.web.customer.look_up import own_entry


@customer.get("/movements/<id:entry_id>")
@open_to(CUSTOMER)
def show_movement(entry_id: int) -> View:
    """The receipt of a movement on one of the customer's accounts; others' do not exist."""
    me = this_customer().id
    entry, mine = own_entry(entry_id)
    with bank().reader() as reader:
        filed = {each.account_id: each for each in spending.filed(reader, entry, mine, customer_id=me)}
        case = case_store.about_entry(reader, me, entry_id)
    sides = [posting for posting in entry.postings if posting.account_id in mine]
    # Of a movement between one's own accounts, as of any other, what was paid is told first.
    side = next((posting for posting in sides if posting.side is Side.DEBIT), sides[0])
    return render_template(
        "customer/movement.html",
        entry=entry,
        mine=mine,
        side=side,
        received=side.side is Side.CREDIT,
        other=filed[side.account_id].other,
        category=category_name(filed[side.account_id].category),
        case=case,
    )


@customer.get("/operations/<operation>")
@open_to(CUSTOMER)
def check_operation(operation: str) -> View:
    """What became of a payment whose answer was lost."""
    place, refusal = _became_of(operation)
    if place:
        return redirect(place)
    return render_template("operation.html", layout="layout.html", refusal=refusal, operation=operation[:40])


def place_of(operation: str) -> str | None:
    """Where the payment that was made by this operation is shown, now or on its day; None when none was."""
    return _became_of(operation)[0]


def _became_of(operation: str) -> tuple[str | None, str | None]:
    """The place of the payment that was made by this operation, or else why it was refused, if it was."""
    with bank().reader() as reader:
        answer = ledger_store.answer_by_key(reader, str(this_customer()), operation[:255])
        later = None if answer else scheduled.by_operation(reader, this_customer().id, operation[:50])
    if answer:
        bank().secure()
    if later:
        return url_for(".show_scheduled", scheduled_id=later), None
    entry_id, refusal = answer or (None, None)
    return url_for(".show_movement", entry_id=entry_id) if entry_id and not refusal else None, refusal
