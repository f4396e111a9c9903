"""The customer's payees: saved, checked, renamed, removed."""

from __future__ import annotations

import sqlalchemy as sa
from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue as View
from flask_babel import lazy_gettext as _

from bank.audit.model import Author
from bank.errors import Invalid
from bank.identifiers import read_number
from bank.language import gettext
from bank.payments import look_ups, payees
from bank.payments.look_ups import OWN
from bank.payments.name_check import MATCH
from bank.web.access import CUSTOMER, open_to
from bank.web.current import author, bank
from bank.web.current import customer as this_customer
from bank.web.customer import customer
from bank.web.fields import ConfirmForm, OperationForm, ReadField, TextField, at_most, required
from bank.web.money import settle


class OwnAccount(Invalid):
    """One's own accounts need not be saved."""

    code = "own_account"

    def __init__(self) -> None:
        super().__init__(gettext("This is your own account: you find it under Pay without saving it."))


class PayeeForm(OperationForm):
    """Somebody to pay."""

    name = TextField(_("Name of whoever you pay"), [required(_("Enter the name of whoever you pay.")), at_most(200)])
    to_account = ReadField(_("Account number"), read=read_number)


class PayeeNameForm(OperationForm):
    """What the customer calls a payee."""

    name = TextField(_("Name"), [required(_("Enter a name.")), at_most(200)])


@customer.get("/payees")
@open_to(CUSTOMER)
def list_payees() -> View:
    """Everybody whom this customer has saved."""
    with bank().reader() as reader:
        return render_template("customer/payees.html", payees=payees.of_customer(reader, this_customer().id))


@customer.route("/payees/new", methods=["GET", "POST"])
@open_to(CUSTOMER)
def add_payee() -> View:
    """Check name and number; what matches is saved, anything else is said first."""
    form = PayeeForm()

    def act() -> str:
        me, by = this_customer().id, author()
        found = look_ups.find(bank(), me, form.name.text, form.to_account.value, by=by)
        if found.name_check == OWN or found.payee is None:
            raise OwnAccount
        if found.name_check == MATCH:
            bank().run(payees.save, me, found.payee.id, by=by)
        return url_for(".check_payee", payee_id=found.payee.id)

    return settle(form, act, "customer/payee_form.html")


@customer.route("/payees/<id:payee_id>/check", methods=["GET", "POST"])
@open_to(CUSTOMER)
def check_payee(payee_id: int) -> View:
    """What the check of the name found; a payee that is not saved yet can be."""
    form = ConfirmForm()
    with bank().reader() as reader:
        payee = payees.by_id(reader, this_customer().id, payee_id)
        holder = None if payee.saved else look_ups.holders_name(reader, payee)

    def act() -> str:
        bank().run(_save, this_customer().id, payee_id, request.form.get("use") == "holder", author())
        return url_for(".check_payee", payee_id=payee_id)

    shown = {"payee": payee, "holder": holder}
    # Where a new payee ends: an address without an operation, to come back to.
    if not form.is_submitted():
        return render_template("customer/payee_check.html", form=form, **shown)
    return settle(form, act, "customer/payee_check.html", **shown)


@customer.route("/payees/<id:payee_id>/rename", methods=["GET", "POST"])
@open_to(CUSTOMER)
def rename_payee(payee_id: int) -> View:
    """Call a payee otherwise."""
    payee = _saved(payee_id)
    form = PayeeNameForm(name=payee.name)

    def act() -> str:
        bank().run(payees.rename, this_customer().id, payee_id, form.name.text, by=author())
        return url_for(".list_payees")

    return settle(form, act, "customer/payee_name.html", payee=payee)


@customer.route("/payees/<id:payee_id>/remove", methods=["GET", "POST"])
@open_to(CUSTOMER)
def remove_payee(payee_id: int) -> View:
    """Take a payee from the list."""
    with bank().reader() as reader:
        payee = payees.by_id(reader, this_customer().id, payee_id)

    def act() -> str:
        bank().run(payees.remove, this_customer().id, payee_id, by=author())
        return url_for(".list_payees")

    return settle(ConfirmForm(), act, "customer/payee_remove.html", payee=payee)


def _saved(payee_id: int) -> payees.Payee:
    with bank().reader() as reader:
        payee = payees.by_id(reader, this_customer().id, payee_id)
    if not payee.saved:
        raise payees.NoSuchPayee
    return payee


def _save(tx: sa.Connection, customer_id: int, payee_id: int, as_holder: bool, by: Author) -> None:
    if as_holder:
        look_ups.use_holders_name(tx, customer_id, payee_id, by=by)
    payees.save(tx, customer_id, payee_id, by=by)
