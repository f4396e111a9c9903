"""Payments of a later day: what is to come, what became of it, and taking one back."""

from __future__ import annotations

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue as View

from bank.payments import scheduled
from bank.payments.model import Scheduled
from bank.web.access import CUSTOMER, open_to
from bank.web.current import author, bank
from bank.web.current import customer as this_customer
from bank.web.customer import customer
from bank.web.fields import ConfirmForm
from bank.web.money import settle
from bank.web.paging import read_place

_PAGE_LINES = 20


@customer.get("/scheduled")
@open_to(CUSTOMER)
def list_scheduled() -> View:
    """The customer's payments that wait for their day, and those that came to an end."""
    before = read_place(request.args.get("before"))
    me = this_customer().id
    with bank().reader() as reader:
        waiting = scheduled.coming(reader, me) if before is None else []
        ended = scheduled.decided_before(reader, me, before=before, limit=_PAGE_LINES + 1)
    older = ended[_PAGE_LINES - 1].id if len(ended) > _PAGE_LINES else None
    return render_template(
        "customer/scheduled.html", waiting=waiting, ended=ended[:_PAGE_LINES], older=older, before=before
    )


@customer.get("/scheduled/<id:scheduled_id>")
@open_to(CUSTOMER)
def show_scheduled(scheduled_id: int) -> View:
    """One scheduled payment and what became of it; others' do not exist."""
    return render_template("customer/scheduled_payment.html", payment=_mine(scheduled_id))


@customer.route("/scheduled/<id:scheduled_id>/cancel", methods=["GET", "POST"])
@open_to(CUSTOMER)
def cancel_scheduled(scheduled_id: int) -> View:
    """Take it back before its day; making it again undoes that."""
    payment = _mine(scheduled_id)

    def act() -> str:
        bank().run(scheduled.cancel, this_customer().id, scheduled_id, by=author())
        return url_for(".show_scheduled", scheduled_id=scheduled_id)

    return settle(ConfirmForm(), act, "customer/scheduled_cancel.html", payment=payment)


def _mine(scheduled_id: int) -> Scheduled:
    with bank().reader() as reader:
        return scheduled.of_customer(reader, this_customer().id, scheduled_id)
