"""What was spent on what; and putting a movement into another category."""

from __future__ import annotations

from datetime import date, timedelta

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue as View
from flask_babel import lazy_gettext as _
from wtforms import BooleanField, SelectField
from wtforms.validators import AnyOf

from bank.accounts import store as account_store
from bank.accounts.service import NoSuchAccount
from bank.accounts.store import Account
from bank.errors import Invalid
from bank.language import gettext
from bank.payments.model import next_month
from bank.spending import figures, service
from bank.spending.figures import Share, Year
from bank.spending.rules import CATEGORIES, category_name
from bank.web.access import CUSTOMER, open_to
from bank.web.current import author, bank, settings
from bank.web.current import customer as this_customer
from bank.web.customer import charts, customer
from bank.web.customer.look_up import own_entry
from bank.web.fields import OperationForm, choices, read_day
from bank.web.money import settle
from bank.web.pages import today

#: Categories are added up over at most two years at once.
_MOST_DAYS = 731


class InvalidRange(Invalid):
    """The days to add up are the wrong way round, or too many."""

    code = "invalid_range"


class CategoryForm(OperationForm):
    """A category, for this movement or for all that are called like it."""

    category = SelectField(
        _("Category"), validate_choice=False, validators=[AnyOf(list(CATEGORIES), message=_("Choose one of the list."))]
    )
    all_alike = BooleanField(_("Also for all others that are called like this"))


@customer.get("/spending")
@open_to(CUSTOMER)
def show_spending() -> View:
    """Money in and out by month and by category, and the balance over a year; of one account or of all."""
    first = today().replace(day=1)
    asked = {
        "account": request.args.get("account", ""),
        "from": request.args.get("from", ""),
        "to": request.args.get("to", ""),
    }
    problem = None
    try:
        days = _range(asked["from"], asked["to"], first)
    except Invalid as refused:
        problem, days = str(refused), (first, next_month(first, 1) - timedelta(days=1))
    me = this_customer().id
    with bank().reader(patiently=True) as reader:
        mine = [each for each in account_store.of_customer(reader, me) if each.ledger.currency == settings().currency]
        chosen = _chosen(mine, asked["account"])
        ids = [each.id for each in mine]
        year = figures.year(reader, chosen, ids, today()) if chosen else None
        shares = figures.shares(reader, chosen, ids, *days, me) if chosen else []
    page = render_template(
        "customer/spending.html",
        accounts=mine,
        chosen=chosen,
        by_id={each.id: each for each in mine},
        asked=asked,
        days=days,
        problem=problem,
        year=year,
        shares=shares,
        names={share.category: category_name(share.category) for share in shares},
        charts=_charts(year, shares) if year and year.moved else None,
    )
    return (page, 422) if problem else page


def _chosen(mine: list[Account], number: str) -> list[Account]:
    if not number:
        return mine
    found = [each for each in mine if each.number == number]
    if not found:
        raise NoSuchAccount
    return found


def _range(first: str, last: str, month: date) -> tuple[date, date]:
    """The days to add up; without any, this month's.

    Raises:
        Invalid: one is no day, they are the wrong way round, or too many.
    """
    if not first and not last:
        return month, next_month(month, 1) - timedelta(days=1)
    start = read_day(first) if first else read_day(last).replace(day=1)
    end = read_day(last) if last else max(today(), start)
    if end < start:
        raise InvalidRange(gettext("Choose a last day that is not before the first day."))
    if (end - start).days > _MOST_DAYS:
        raise InvalidRange(gettext("Choose two years or less."))
    return start, end


def _charts(year: Year, shares: list[Share]) -> dict[str, object]:
    spent = [
        (category_name(each.category), each.spent)
        for each in shares
        if each.spent.minor_units and each.category != "own"
    ]
    words = gettext("In"), gettext("Out")
    return {
        "months": charts.two_bars([(month.first, month.received, month.spent) for month in year.months], words),
        "balance": charts.line(year.balances),
        "categories": charts.rows(spent) if spent else None,
        "width": charts.WIDTH,
        "height": charts.HEIGHT,
    }


@customer.route("/movements/<id:entry_id>/category", methods=["GET", "POST"])
@open_to(CUSTOMER)
def change_category(entry_id: int) -> View:
    """Put a movement of the customer's into another category; others' movements do not exist."""
    me = this_customer().id
    entry, mine = own_entry(entry_id)
    form = CategoryForm()
    if not form.is_submitted():
        with bank().reader() as reader:
            form.category.data = service.filed(reader, entry, mine, customer_id=me)[0].category
    form.category.choices = choices((code, category_name(code)) for code in CATEGORIES)
    back = url_for(".show_movement", entry_id=entry.id)

    def act() -> str:
        bank().run(
            service.file_under,
            entry,
            mine,
            form.category.data,
            all_alike=bool(form.all_alike.data),
            customer_id=me,
            by=author(),
        )
        return back

    return settle(form, act, "customer/category.html", entry=entry, back=back)
