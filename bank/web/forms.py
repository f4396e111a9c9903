"""Forms: every field is bounded here, whatever the browser checked."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, Final

from flask import request
from flask_wtf import FlaskForm
from wtforms import Field, HiddenField, PasswordField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than the stubs.
from wtforms.validators import AnyOf, DataRequired, InputRequired, Length, Optional, Regexp, ValidationError

from bank.accounts.service import PRODUCTS
from bank.customers.identity_number import read_identity_number
from bank.customers.model import CustomerDetails, tidy
from bank.errors import Invalid
from bank.identifiers import read_number
from bank.identity.passwords import MOST_CHARACTERS
from bank.identity.staff import Role, read_user_id
from bank.money import Money, parse_amount
from bank.web.current import bank, settings

OPERATION: Final = re.compile(r"[0-9a-f-]{36}\Z")
_EARLIEST_BIRTH = date(1880, 1, 1)
_LONGEST_HOLD = timedelta(days=3652)


def tidied(text: str | None) -> str | None:
    """A WTForms filter: the text without stray blanks and control characters."""
    return tidy(text) if text else text


def choices(pairs: Iterable[tuple[str, str]]) -> list[Any]:
    """What a field offers to choose from, each a value with its words."""
    return [SelectChoice(value, words) for value, words in pairs]


def one_of(label: str, pairs: Iterable[tuple[str, str]], sentence: str) -> RadioField:
    """A field that shows all it offers; `sentence` is said when none of them comes back."""
    offered = choices(pairs)
    known = AnyOf([choice.value for choice in offered], message=sentence)
    return RadioField(label, choices=offered, validate_choice=False, validators=[InputRequired(sentence), known])


def required(what: str) -> DataRequired:
    """The field must be filled in, with more than blanks; the sentence says with what."""
    return DataRequired(f"Enter {what}.")


class TextField(StringField):
    """A line of text, without stray blanks."""

    def __init__(self, label: str, validators: list[Any], **kwargs: Any) -> None:
        super().__init__(label, validators, filters=[tidied], **kwargs)

    @property
    def text(self) -> str:
        """What was typed; empty when nothing was."""
        return self.data or ""


class SecretField(PasswordField):
    """A password, exactly as typed; never drawn again."""

    @property
    def text(self) -> str:
        """What was typed."""
        return self.data or ""


class ReadField(StringField):
    """A text that one of the bank's readers turns into a value, or explains why it cannot."""

    def __init__(self, label: str, read: Any, **kwargs: Any) -> None:
        super().__init__(label, **kwargs)
        self._read = read
        self.value: Any = None

    def pre_validate(self, form: Any) -> None:
        """Read what was typed.

        Raises:
            ValidationError: with the reader's sentence.
        """
        typed = (self.data or "").strip()
        if not typed and self.flags.optional:
            return
        if len(typed) > 400:
            raise ValidationError("This is too long.")
        try:
            self.value = self._read(typed)
        except Invalid as problem:
            raise ValidationError(str(problem)) from problem


class AmountField(ReadField):
    """An amount of the bank's currency; `value` is Money. docs/reference/amounts.md says what is read."""

    def __init__(self, label: str, **kwargs: Any) -> None:
        super().__init__(label, read=lambda text: parse_amount(text, settings().currency), **kwargs)

    @property
    def money(self) -> Money:
        """What was typed, exactly."""
        assert isinstance(self.value, Money)
        return self.value


class DayField(ReadField):
    """A day as the browser's date field sends it; `value` is a date."""

    def __init__(self, label: str, **kwargs: Any) -> None:
        super().__init__(label, read=read_day, **kwargs)


def read_day(text: str) -> date:
    """A typed day like 2026-03-31.

    Raises:
        Invalid: it is no day of the calendar.
    """
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise Invalid("Enter a day as year, month and day, like 2026-03-31.")


class PageForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF ships no types.
    """A form of a page: texts only. Flask-WTF by itself would also take files and JSON, whose values are no texts."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc]  # Flask-WTF ships no types.
        """How WTForms comes to what was sent."""

        def wrap_formdata(self, form: FlaskForm, _formdata: object) -> Any:
            """The fields that were sent as texts."""
            return request.form if form.is_submitted() else None


def operation_in_address() -> str | None:
    """The operation id that the page's address carries, so that going back finds the same form."""
    asked = request.args.get("operation", "")
    return asked if OPERATION.match(asked) else None


class OperationForm(PageForm):
    """A form that does something once: refresh, back and double click give the same result."""

    operation = HiddenField(validators=[Regexp(OPERATION, message="Reload the page and send the form again.")])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.is_submitted():
            self.operation.data = operation_in_address() or str(uuid.uuid4())

    @property
    def key(self) -> str:
        """The operation's id."""
        return self.operation.data or ""

    def renew(self) -> None:
        """A new operation: what was refused under the old one stays refused."""
        self.operation.data = str(uuid.uuid4())


class ReasonForm(OperationForm):
    """An act that must be explained."""

    reason = TextField("Reason", validators=[required("a reason"), Length(max=200)])


class MoneyForm(OperationForm):
    """Cash over the counter."""

    amount = AmountField("Amount")
    note = TextField("Note (optional)", validators=[Optional(), Length(max=100)])


class TransferForm(OperationForm):
    """A payment from one account to another."""

    from_account = SelectField("From", choices=[], validate_choice=False)
    to_account = ReadField("To account number", read=read_number)
    amount = AmountField("Amount")
    reference = TextField("Reference (optional)", validators=[Optional(), Length(max=100)])

    def validate_from_account(self, field: SelectField) -> None:
        """One of the accounts on offer."""
        offered: Any = field.choices
        if field.data not in [choice.value for choice in offered]:
            raise ValidationError("Choose the account to pay from.")


class CloseForm(ReasonForm):
    """Closing an account: its number is typed again, since money is paid out."""

    number = ReadField("Type the account number again", read=read_number)


class HoldForm(ReasonForm):
    """Money to be kept from being spent."""

    amount = AmountField("Amount")
    expires_on = DayField("Until the end of (optional)", validators=[Optional()])

    def validate_expires_on(self, field: DayField) -> None:
        """A day that is not over yet, and not beyond what a calendar can count on."""
        if field.value is None:
            return
        today = bank().clock.business_date()
        if not today <= field.value <= today + _LONGEST_HOLD:
            raise ValidationError("Enter today or a later day, at most ten years ahead.")


class LimitsForm(ReasonForm):
    """An account's own limits; empty fields mean the bank's."""

    per_payment = AmountField("Limit for one payment (optional)", validators=[Optional()])
    per_day = AmountField("Limit for one day (optional)", validators=[Optional()])


def read_overdraft(text: str) -> Money:
    """An amount, or 0 for none.

    Raises:
        InvalidAmount: it is neither.
    """
    none = re.fullmatch(r"0+(\.0*)?", text, re.ASCII)
    return Money(0, settings().currency) if none else parse_amount(text, settings().currency)


class OverdraftForm(ReasonForm):
    """How far below zero an account may go."""

    overdraft = ReadField("Overdraft", read=read_overdraft)


class FreezeForm(ReasonForm):
    """What may still pass over an account."""

    status = one_of(
        "The account is",
        [("open", "open"), ("debits_frozen", "frozen for what leaves it"), ("frozen", "frozen both ways")],
        "Choose what may pass over the account.",
    )


class HolderForm(OperationForm):
    """Another customer who may use an account."""

    customer = ReadField("Customer number", read=read_number)
    role = one_of("As", [("owner", "owner"), ("authorised", "authorised user")], "Choose owner or authorised user.")


class AccountForm(OperationForm):
    """A new account, perhaps with a first deposit."""

    product = one_of("Product", PRODUCTS.items(), "Choose a product.")


class CustomerForm(OperationForm):
    """What is recorded of a customer."""

    name = TextField("Full name", validators=[required("the customer's name"), Length(max=200)])
    birth_date = DayField("Birth date")
    identity_number = ReadField("Identity number", read=read_identity_number)
    address = TextField("Address", validators=[required("the address"), Length(max=300)])
    city = TextField("City", validators=[required("the city"), Length(max=100)])
    region = TextField("State or region (optional)", validators=[Optional(), Length(max=100)])
    postcode = TextField("Postcode (optional)", validators=[Optional(), Length(max=20)])
    email = TextField(
        "Email (optional)",
        validators=[
            Optional(),
            Length(max=254),
            Regexp(r"[^@\s]+@[^@\s]+\Z", message="Enter an email address like name@example.org."),
        ],
    )
    phone = TextField(
        "Phone (optional)",
        validators=[
            Optional(),
            Regexp(r"\+?[0-9 ()/.-]{5,40}\Z", message="Enter a phone number of digits, blanks and hyphens."),
        ],
    )

    def validate_name(self, field: Field) -> None:
        """A name has letters, of any script."""
        if not any(letter.isalpha() for letter in field.data or ""):
            raise ValidationError("Enter the customer's name.")

    def validate_birth_date(self, field: DayField) -> None:
        """Born before today, and not before anybody now alive."""
        if field.value is not None and not _EARLIEST_BIRTH <= field.value <= bank().clock.business_date():
            raise ValidationError("Enter a birth date in the past.")

    def details(self) -> CustomerDetails:
        """What was typed."""
        texts = {
            name: self[name].data or "" for name in ("name", "address", "city", "region", "postcode", "email", "phone")
        }
        return CustomerDetails(birth_date=self.birth_date.value, **texts)


class CustomerEditForm(CustomerForm):
    """The same, where an unknown birth date may stay unknown and the identity number is typed only to correct it."""

    birth_date = DayField("Birth date", validators=[Optional()])
    identity_number = ReadField(
        "New identity number (only to correct it)", read=read_identity_number, validators=[Optional()]
    )


class LogInForm(PageForm):
    """Who comes in; what was typed as password is never shown again."""

    user = TextField("Customer number", validators=[required("your number"), Length(max=60)])
    password = SecretField("Password", validators=[required("your password"), Length(max=1024)])


class StaffLogInForm(LogInForm):
    """The same for staff."""

    user = TextField("User id", validators=[required("your user id"), Length(max=60)])


class NewPasswordForm(PageForm):
    """A new password, twice."""

    new = SecretField("New password", validators=[required("a new password"), Length(max=4 * MOST_CHARACTERS)])
    again = SecretField("New password again", validators=[required("the new password again")])

    def validate_again(self, field: Field) -> None:
        """Both are the same."""
        if field.data != self.new.data:
            raise ValidationError("Type the same new password twice.")


class ChangePasswordForm(NewPasswordForm):
    """A new password, by whoever knows the old one."""

    old = SecretField("Present password", validators=[required("your present password"), Length(max=1024)])


class EnrolForm(NewPasswordForm):
    """A first or forgotten password, by the code from the branch."""

    user = TextField("Customer number", validators=[required("your customer number"), Length(max=60)])
    code = TextField("One-time code from the branch", validators=[required("the one-time code"), Length(max=60)])


class StaffForm(OperationForm):
    """A new member of staff."""

    user_id = ReadField("User id", read=read_user_id)
    name = TextField("Full name", validators=[required("the name"), Length(max=200)])
    role = one_of("Role", [(role.value, role.value) for role in Role], "Choose a role.")


class RoleForm(OperationForm):
    """Another role for a member of staff."""

    role = one_of("Role", [(role.value, role.value) for role in Role], "Choose a role.")


class ConfirmForm(OperationForm):
    """One button."""
