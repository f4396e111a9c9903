"""Fields that read what people type, and what all forms share."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from flask import request
from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField, RadioField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than the stubs.
from wtforms.validators import AnyOf, DataRequired, InputRequired, Length, Regexp, ValidationError

from bank.customers.model import tidy
from bank.errors import Invalid
from bank.language import gettext
from bank.money import Money, parse_amount
from bank.web.current import settings

OPERATION: Final = re.compile(r"[0-9a-f-]{36}\Z")


def tidied(text: str | None) -> str | None:
    """A WTForms filter: the text without stray blanks and control characters."""
    return tidy(text) if text else text


def choices(pairs: Iterable[tuple[str, str]], group: str | None = None) -> list[Any]:
    """What a field offers to choose from, each a value with its words; `group` is the heading they stand under."""
    return [SelectChoice(value, words, optgroup=group) for value, words in pairs]


def one_of(label: str, pairs: Iterable[tuple[str, str]], sentence: str) -> RadioField:
    """A field that shows all it offers; `sentence` is said when none of them comes back."""
    offered = choices(pairs)
    known = AnyOf([choice.value for choice in offered], message=sentence)
    return RadioField(label, choices=offered, validate_choice=False, validators=[InputRequired(sentence), known])


def required(sentence: str) -> DataRequired:
    """The field must be filled in, with more than blanks; the sentence says with what."""
    return DataRequired(sentence)


def at_most(characters: int) -> Length:
    """The field holds no longer text."""
    return Length(max=characters, message=_("Enter at most %(max)d characters."))


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
            raise ValidationError(gettext("This is too long."))
        try:
            self.value = self._read(typed)
        except Invalid as problem:
            raise ValidationError(str(problem)) from problem


class AmountField(ReadField):
    """An amount of the bank's currency; `value` is Money. docs/reference/amounts.md says what is read."""

    def __init__(self, label: str, **kwargs: Any) -> None:
        kwargs.setdefault("read", lambda text: parse_amount(text, settings().currency))
        super().__init__(label, **kwargs)

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
    raise Invalid(gettext("Enter a day as year, month and day, like 2026-03-31."))


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

    operation = HiddenField(validators=[Regexp(OPERATION, message=_("Reload the page and send the form again."))])

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

    reason = TextField(_("Reason"), validators=[required(_("Enter a reason.")), at_most(200)])


class ConfirmForm(OperationForm):
    """One button."""
