"""Forms that customers and staff share: logging in, passwords, transfers."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import Field, SelectField
from wtforms.validators import Optional, Regexp, ValidationError

from bank.identifiers import read_number
from bank.identity.passwords import MOST_CHARACTERS
from bank.language import gettext
from bank.web.fields import (
    AmountField,
    OperationForm,
    PageForm,
    ReadField,
    SecretField,
    TextField,
    at_most,
    required,
)


class LogInForm(PageForm):
    """Who comes in; what was typed as password is never shown again."""

    user = TextField(_("Customer number"), validators=[required(_("Enter your number.")), at_most(60)])
    password = SecretField(_("Password"), validators=[required(_("Enter your password.")), at_most(1024)])


class NewPasswordForm(PageForm):
    """A new password, twice."""

    new = SecretField(
        _("New password"), validators=[required(_("Enter a new password.")), at_most(4 * MOST_CHARACTERS)]
    )
    again = SecretField(_("New password again"), validators=[required(_("Enter the new password again."))])

    def validate_again(self, field: Field) -> None:
        """Both are the same."""
        if field.data != self.new.data:
            raise ValidationError(gettext("Type the same new password twice."))


class ChangePasswordForm(NewPasswordForm):
    """A new password, by whoever knows the old one."""

    old = SecretField(_("Present password"), validators=[required(_("Enter your present password.")), at_most(1024)])


def email_field() -> TextField:
    """Where somebody reads letters on a screen."""
    an_address = Regexp(r"[^@\s]+@[^@\s]+\Z", message=_("Enter an email address like name@example.org."))
    return TextField(_("Email (optional)"), validators=[Optional(), at_most(254), an_address])


def phone_field() -> TextField:
    """Where somebody answers."""
    a_number = Regexp(r"\+?[0-9 ()/.-]{5,40}\Z", message=_("Enter a phone number of digits, blanks and hyphens."))
    return TextField(_("Phone (optional)"), validators=[Optional(), a_number])


class ContactForm(PageForm):
    """Where and how a customer can be reached, changed by whoever knows the password."""

    email = email_field()
    phone = phone_field()
    address = TextField(_("Address"), validators=[required(_("Enter the address.")), at_most(300)])
    city = TextField(_("City"), validators=[required(_("Enter the city.")), at_most(100)])
    region = TextField(_("State or region (optional)"), validators=[Optional(), at_most(100)])
    postcode = TextField(_("Postcode (optional)"), validators=[Optional(), at_most(20)])
    password = SecretField(_("Your password"), validators=[required(_("Enter your password.")), at_most(1024)])


class EnrolForm(NewPasswordForm):
    """A first or forgotten password, by the code from the branch."""

    user = TextField(_("Customer number"), validators=[required(_("Enter your customer number.")), at_most(60)])
    code = TextField(
        _("One-time code from the branch"), validators=[required(_("Enter the one-time code.")), at_most(60)]
    )


class TransferForm(OperationForm):
    """A payment from one account to another."""

    from_account = SelectField(_("From"), choices=[], validate_choice=False)
    to_account = ReadField(_("To account number"), read=read_number)
    amount = AmountField(_("Amount"))
    reference = TextField(_("Reference (optional)"), validators=[Optional(), at_most(100)])

    def validate_from_account(self, field: SelectField) -> None:
        """One of the accounts on offer."""
        offered: Any = field.choices
        if field.data not in [choice.value for choice in offered]:
            raise ValidationError(gettext("Choose the account to pay from."))
