"""What staff fill in."""

from __future__ import annotations

import re
from datetime import date, timedelta

from flask_babel import lazy_gettext as _
from wtforms import Field
from wtforms.validators import Optional, ValidationError

from bank.accounts.model import HOLDER_ROLES, PRODUCTS, STATUSES
from bank.customers.identity_number import read_identity_number
from bank.customers.model import CustomerDetails
from bank.identifiers import read_number
from bank.identity.staff import ROLES, read_user_id
from bank.language import gettext
from bank.money import Money, parse_amount
from bank.web.current import bank, settings
from bank.web.fields import (
    AmountField,
    DayField,
    OperationForm,
    ReadField,
    ReasonForm,
    TextField,
    at_most,
    one_of,
    required,
)
from bank.web.forms import LogInForm, email_field, phone_field

_EARLIEST_BIRTH = date(1880, 1, 1)
_LONGEST_HOLD = timedelta(days=3652)


class MoneyForm(OperationForm):
    """Cash over the counter."""

    amount = AmountField(_("Amount"))
    note = TextField(_("Note (optional)"), validators=[Optional(), at_most(100)])


class CloseForm(ReasonForm):
    """Closing an account: its number is typed again, since money is paid out."""

    number = ReadField(_("Type the account number again"), read=read_number)


class HoldForm(ReasonForm):
    """Money to be kept from being spent."""

    amount = AmountField(_("Amount"))
    expires_on = DayField(_("Until the end of (optional)"), validators=[Optional()])

    def validate_expires_on(self, field: DayField) -> None:
        """A day that is not over yet, and not beyond what a calendar can count on."""
        if field.value is None:
            return
        today = bank().clock.business_date()
        if not today <= field.value <= today + _LONGEST_HOLD:
            raise ValidationError(gettext("Enter today or a later day, at most ten years ahead."))


class LimitsForm(ReasonForm):
    """An account's own limits; empty fields mean the bank's."""

    per_payment = AmountField(_("Limit for one payment (optional)"), validators=[Optional()])
    per_day = AmountField(_("Limit for one day (optional)"), validators=[Optional()])


def read_overdraft(text: str) -> Money:
    """An amount, or 0 for none.

    Raises:
        InvalidAmount: it is neither.
    """
    none = re.fullmatch(r"0+(\.0*)?", text, re.ASCII)
    return Money(0, settings().currency) if none else parse_amount(text, settings().currency)


class OverdraftForm(ReasonForm):
    """How far below zero an account may go."""

    overdraft = ReadField(_("Overdraft"), read=read_overdraft)


class FreezeForm(ReasonForm):
    """What may still pass over an account."""

    status = one_of(
        _("The account is"),
        [(code, _(STATUSES[code])) for code in ("open", "debits_frozen", "frozen")],
        _("Choose what may pass over the account."),
    )


class HolderForm(OperationForm):
    """Another customer who may use an account."""

    customer = ReadField(_("Customer number"), read=read_number)
    role = one_of(
        _("As"), [(code, _(words)) for code, words in HOLDER_ROLES.items()], _("Choose owner or authorised user.")
    )


class AccountForm(OperationForm):
    """A new account, perhaps with a first deposit."""

    product = one_of(_("Product"), [(code, _(words)) for code, words in PRODUCTS.items()], _("Choose a product."))


class CustomerForm(OperationForm):
    """What is recorded of a customer."""

    name = TextField(_("Full name"), validators=[required(_("Enter the customer's name.")), at_most(200)])
    birth_date = DayField(_("Birth date"))
    identity_number = ReadField(_("Identity number"), read=read_identity_number)
    address = TextField(_("Address"), validators=[required(_("Enter the address.")), at_most(300)])
    city = TextField(_("City"), validators=[required(_("Enter the city.")), at_most(100)])
    region = TextField(_("State or region (optional)"), validators=[Optional(), at_most(100)])
    postcode = TextField(_("Postcode (optional)"), validators=[Optional(), at_most(20)])
    email = email_field()
    phone = phone_field()

    def validate_name(self, field: Field) -> None:
        """A name has letters, of any script."""
        if not any(letter.isalpha() for letter in field.data or ""):
            raise ValidationError(gettext("Enter the customer's name."))

    def validate_birth_date(self, field: DayField) -> None:
        """Born before today, and not before anybody now alive."""
        if field.value is not None and not _EARLIEST_BIRTH <= field.value <= bank().clock.business_date():
            raise ValidationError(gettext("Enter a birth date in the past."))

    def details(self) -> CustomerDetails:
        """What was typed."""
        texts = {
            name: self[name].data or "" for name in ("name", "address", "city", "region", "postcode", "email", "phone")
        }
        return CustomerDetails(birth_date=self.birth_date.value, **texts)


class CustomerEditForm(CustomerForm):
    """The same, where an unknown birth date may stay unknown and the identity number is typed only to correct it."""

    birth_date = DayField(_("Birth date"), validators=[Optional()])
    identity_number = ReadField(
        _("New identity number (only to correct it)"), read=read_identity_number, validators=[Optional()]
    )


class WarningForm(OperationForm):
    """What staff should know before they serve a customer."""

    told = TextField(_("Warning"), validators=[required(_("Enter what staff should know.")), at_most(300)])
    kind = one_of(
        _("Opening the customer's record"),
        [("shows", _("shows the warning")), ("guards", _("shows it, and takes a reason that stays in the records"))],
        _("Choose what opening the record takes."),
    )


class StaffLogInForm(LogInForm):
    """The same for staff."""

    user = TextField(_("User id"), validators=[required(_("Enter your user id.")), at_most(60)])


class StaffForm(OperationForm):
    """A new member of staff."""

    user_id = ReadField(_("User id"), read=read_user_id)
    name = TextField(_("Full name"), validators=[required(_("Enter the name.")), at_most(200)])
    role = one_of(_("Role"), [(code, _(words)) for code, words in ROLES.items()], _("Choose a role."))


class RoleForm(OperationForm):
    """Another role for a member of staff."""

    role = one_of(_("Role"), [(code, _(words)) for code, words in ROLES.items()], _("Choose a role."))
