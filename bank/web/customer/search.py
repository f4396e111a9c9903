"""What is looked for among movements, as the address says it; and the movements found, as a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Final

from flask import Response, current_app, request
from flask_babel import lazy_gettext as _
from markupsafe import Markup, escape
from werkzeug.datastructures import MultiDict
from wtforms import Form, SelectField
from wtforms.validators import Optional, ValidationError
from wtforms.widgets import Select

from bank import language
from bank.accounts.store import Account
from bank.errors import Unavailable
from bank.language import gettext, marked
from bank.money import InvalidAmount, parse_amount
from bank.spending.movements import Movement, Search
from bank.spending.rules import CATEGORIES, category_name
from bank.statements.errors import StatementsBusy
from bank.turns import Turns
from bank.web.current import settings
from bank.web.fields import AmountField, DayField, TextField, at_most, choices
from bank.web.lists import Column, download
from bank.web.pages import today

DIRECTIONS: Final = {"in": _("Received"), "out": _("Paid")}

#: A file holds no more movements than this.
MOST_IN_A_FILE: Final = 5_000
_MAKING: Final = Turns(2, patience_seconds=5, busy=StatementsBusy)


class SearchesBusy(Unavailable):
    """Too many are looking through their movements at this moment."""

    code = "searches_busy"

    def __init__(self) -> None:
        super().__init__(gettext("Many people are searching at the moment. Try again in a few seconds."))


# A search may look at thousands of movements: some at once, so that nobody's searches keep all others' pages waiting.
_SEARCHING: Final = Turns(3, patience_seconds=1, busy=SearchesBusy)


@contextmanager
def searching(*, far: bool) -> Iterator[None]:
    """Take a place where a search may go far through an account; take it before a connection to the database.

    Raises:
        SearchesBusy: none came free.
    """
    with _SEARCHING.taken() if far else nullcontext():
        yield


class _Select(Select):
    """WTForms' own; but with so many options it takes longer than all movements of the page."""

    @classmethod
    def render_option(cls, choice: Any, **_attributes: Any) -> Markup:  # type: ignore[override]  # The stubs are older.
        """The same option, written down at once: both its words are escaped, and there is nothing else to it."""
        mark = " selected" if choice.selected else ""
        return Markup(f'<option{mark} value="{escape(choice.value)}">{escape(choice.label)}</option>')  # noqa: S704


class SearchForm(Form):
    """What to look for; it is sent by GET, so that the address can be kept."""

    q = TextField(_("Name, reference or amount"), validators=[Optional(), at_most(100)])
    direction = SelectField(_("In or out"), choices=[], validate_choice=False, widget=_Select())
    category = SelectField(_("Category"), choices=[], validate_choice=False, widget=_Select())
    least = AmountField(_("Amount from"), validators=[Optional()])
    most = AmountField(_("Amount to"), validators=[Optional()])
    from_day = DayField(_("From day"), name="from", id="from_day", validators=[Optional()])
    to_day = DayField(_("To day"), name="to", id="to_day", validators=[Optional()])

    #: Nothing is looked for.
    blank = False

    def __init__(self, asked: MultiDict[str, str]) -> None:
        super().__init__(asked)
        self.direction.choices = choices(
            [("", gettext("In and out")), *((code, str(words)) for code, words in DIRECTIONS.items())]
        )
        self.category.choices = choices([("", gettext("All")), *((code, category_name(code)) for code in CATEGORIES)])

    def validate_direction(self, field: SelectField) -> None:
        """One of those on offer, or none."""
        _one_of(field)

    def validate_category(self, field: SelectField) -> None:
        """One of those on offer, or none."""
        _one_of(field)

    def validate_most(self, field: AmountField) -> None:
        """Not below the least."""
        if self.least.value and field.value and field.value.minor_units < self.least.value.minor_units:
            raise ValidationError(gettext("Enter an amount that is not below the first one."))

    def validate_to_day(self, field: DayField) -> None:
        """Not before the first day."""
        if self.from_day.value and field.value and field.value < self.from_day.value:
            raise ValidationError(gettext("Choose a last day that is not before the first day."))

    def search(self) -> Search:
        """What the fields say; they are valid."""
        return Search(
            text=self.q.text,
            least=_minor(self.least),
            most=_minor(self.most),
            direction=self.direction.data or "",
            first=self.from_day.value,
            last=self.to_day.value,
            category=self.category.data or "",
            figure=_figure(self.q.text),
        )

    def asked(self) -> dict[str, str]:
        """What was typed, for the addresses of further pages and files."""
        return {field.name: field.data for field in self if field.data}


def search_form() -> SearchForm:
    """What the address asks for; mostly nothing, for which one form will do for everybody."""
    kept: dict[str, SearchForm] = current_app.extensions.setdefault("blank search forms", {})
    blank = kept.get(language.current()) or kept.setdefault(language.current(), _blank())
    return blank if all(field.name not in request.args for field in blank) else SearchForm(request.args)


def _blank() -> SearchForm:
    form = SearchForm(MultiDict())
    form.blank = form.validate()
    return form


def _one_of(field: SelectField) -> None:
    offered: Any = field.choices
    if (field.data or "") not in [choice.value for choice in offered]:
        raise ValidationError(gettext("Choose one of the list."))


def _minor(field: AmountField) -> int | None:
    return field.value.minor_units if field.value else None


def _figure(text: str) -> int | None:
    """The amount that was typed into the search box, if it is one."""
    try:
        return parse_amount(text, settings().currency).minor_units
    except InvalidAmount:
        return None


# As a file

COLUMNS: Final = (
    Column[Movement]("day", marked("Booking date"), lambda each: each.posting.booking_date),
    Column[Movement]("kind", marked("Type"), lambda each: each.kind),
    Column[Movement]("name", marked("Name"), lambda each: each.title),
    Column[Movement]("told", marked("Description"), lambda each: each.written),
    Column[Movement]("category", marked("Category"), lambda each: category_name(each.category)),
    Column[Movement]("reference", marked("Reference"), lambda each: str(each.posting.entry_id)),
    Column[Movement]("amount", marked("Amount"), lambda each: each.posting.signed),
    Column[Movement]("balance", marked("Balance"), lambda each: each.posting.balance_after),
)


def file_of(account: Account, movements: Sequence[Movement], wanted: str) -> Response:
    """The movements as a file to keep, `movements-0006-2026-03-31.csv`.

    Raises:
        StatementsBusy: too many files are being made.
        NoSuchFile: there is no such format.
    """
    with _MAKING.taken():
        return download(f"movements-{account.number[-4:]}-{today().isoformat()}", COLUMNS, movements, wanted)
