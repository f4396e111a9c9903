"""The forms of a payment: whom, then how much and when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from flask import request
from flask_babel import lazy_gettext as _
from wtforms import BooleanField, Field, HiddenField, RadioField, SelectField
from wtforms.validators import ValidationError

from bank.accounts.model import product_name
from bank.accounts.store import Account
from bank.identifiers import masked, read_number
from bank.language import LANGUAGES, gettext, read_in
from bank.ledger.errors import InsufficientFunds
from bank.money import Money, parse_amount
from bank.payments.payees import Payee
from bank.web.current import settings
from bank.web.fields import AmountField, DayField, OperationForm, ReadField, TextField, at_most, choices
from bank.web.forms import TransferForm

#: In place of a number: somebody who is not among the payees.
SOMEBODY_NEW: Final = "new"
NOW: Final = "now"
#: When, and how often: the words of a schedule, and `now`.
WHEN: Final = ((NOW, _("Now")), ("once", _("Once, on a later day")), ("monthly", _("Every month, from a later day on")))


class PayForm(OperationForm):
    """From which account, and to whom."""

    from_account = SelectField(_("From"), choices=[], validate_choice=False)
    to = SelectField(_("To"), choices=[], validate_choice=False)
    name = TextField(_("Name of whoever you pay"), validators=[at_most(200)])
    to_account = ReadField(_("To account number"), read=read_number)
    #: The movement whose amount and reference are taken over.
    again = HiddenField()

    def offer(self, accounts: list[Account], saved: list[Payee]) -> None:
        """Fill in what there is to choose from."""
        self.from_account.choices = account_choices(accounts)
        self.to.choices = [
            *choices([("", gettext("Choose"))]),
            *choices(((each.number, f"{each.name} {masked(each.number)}") for each in saved), gettext("Your payees")),
            *account_choices(accounts, gettext("Your own accounts")),
            *choices([(SOMEBODY_NEW, gettext("Somebody new"))], gettext("Not in the list")),
        ]

    @property
    def offered(self) -> set[str]:
        """The values of `to`."""
        offered: Any = self.to.choices
        return {choice.value for choice in offered if choice.value}

    def validate(self, extra_validators: Any = None) -> bool:
        """Read name and number only of somebody new."""
        if self.to.data != SOMEBODY_NEW:
            self.name.data = self.to_account.data = ""
            self.to_account.flags.optional = True
        return bool(super().validate(extra_validators))

    def validate_from_account(self, field: SelectField) -> None:
        """One of the accounts on offer."""
        need_one_of(field)

    def validate_to(self, field: SelectField) -> None:
        """One of the accounts on offer, or somebody new."""
        if field.data not in self.offered:
            raise ValidationError(gettext("Choose whom to pay."))

    def validate_name(self, field: Field) -> None:
        """Somebody new has a name."""
        if self.to.data == SOMEBODY_NEW and not field.data:
            raise ValidationError(gettext("Enter the name of whoever you pay."))


def _read_amount(text: str) -> Money:
    """Read an amount in the language that it was written in: a point in one is a comma in another."""
    language = request.form.get("written_in", "")
    if language not in LANGUAGES:
        return parse_amount(text, settings().currency)
    with read_in(language):
        return parse_amount(text, settings().currency)


class PaymentForm(TransferForm):
    """All of a payment; `available` is what there is, where that is to be said before the payment is sent."""

    available: Money | None = None

    amount = AmountField(_("Amount"), read=_read_amount)
    when = RadioField(_("When"), choices=choices(WHEN), default=NOW, validate_choice=False)
    due_on = DayField(_("First or only day"))
    save = BooleanField(_("Save as a payee"), default=True)

    def validate(self, extra_validators: Any = None) -> bool:
        """Read the day only of a payment that has one."""
        self.when.data = self.when.data or NOW
        if self.when.data == NOW:
            self.due_on.data = ""
            self.due_on.flags.optional = True
        return bool(super().validate(extra_validators))

    def validate_amount(self, field: AmountField) -> None:
        """What is paid at once is there."""
        if self.available is None or self.later or field.value is None or field.money <= self.available:
            return
        facts = {"available": self.available.minor_units, "needed": field.money.minor_units}
        raise ValidationError(str(InsufficientFunds({**facts, "currency": field.money.currency})))

    def validate_when(self, field: RadioField) -> None:
        """One of what is on offer."""
        if field.data not in dict(WHEN):
            raise ValidationError(gettext("Choose when to pay."))

    @property
    def later(self) -> bool:
        """Is it for a later day?"""
        return bool(self.when.data != NOW)


def account_choices(accounts: Iterable[Account], group: str | None = None) -> list[Any]:
    """Accounts by name, number and what may be spent."""
    return choices(((account.number, _described(account)) for account in accounts), group)


def need_one_of(field: SelectField) -> None:
    """Refuse an account that is not on offer.

    Raises:
        ValidationError: it is not.
    """
    offered: Any = field.choices
    if field.data not in [choice.value for choice in offered]:
        raise ValidationError(gettext("Choose the account to pay from."))


def _described(account: Account) -> str:
    return gettext(
        "%(name)s %(number)s, %(available)s",
        name=product_name(account.product),
        number=masked(account.number),
        available=account.ledger.available,
    )
