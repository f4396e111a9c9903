"""What the address names, or a page that says there is no such thing, or one that asks why it is opened."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from flask import redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from bank.accounts import store as account_store
from bank.accounts.service import NoSuchAccount
from bank.accounts.store import Account, Holder
from bank.customers import store as customer_store
from bank.customers import warnings
from bank.customers.model import customer_status
from bank.customers.service import NoSuchCustomer
from bank.customers.store import Customer
from bank.customers.warnings import CustomerWarning
from bank.errors import Forbidden
from bank.identity import staff as staff_members
from bank.identity.staff import NoSuchStaff, Staff
from bank.language import gettext
from bank.web.current import bank, settings, staff_member
from bank.web.pages import today
from bank.web.staff import staff

#: So long a reason counts, for this member of staff and this customer.
REASON_MINUTES: Final = 15


class ReasonNeeded(Forbidden):
    """This customer's record is opened only for a reason, which is kept."""

    code = "reason_needed"

    def __init__(self, number: str) -> None:
        super().__init__(gettext("Say why you open this customer's record."))
        self.number = number


@staff.errorhandler(ReasonNeeded)
def _ask_why(needed: ReasonNeeded) -> AnyResponse:
    """Ask for the reason, then go on to what was asked for: after a form, to the page with the form."""
    wanted = request.full_path.rstrip("?") if request.method == "GET" else request.path
    return redirect(url_for("staff.open_record", number=needed.number, next=wanted), 303)


staff.add_app_template_filter(customer_status)


@dataclass(frozen=True, slots=True)
class PersonCard:
    """Whom a page is about: one customer, or an account and its holders; and what to know before serving them."""

    people: Sequence[Customer | Holder]
    account: Account | None
    warnings: Sequence[CustomerWarning]


def person_card(about: Account | Customer) -> PersonCard:
    """What `staff/_person.html` shows, in at most two queries."""
    with bank().reader() as reader:
        if isinstance(about, Customer):
            return PersonCard([about], None, warnings.standing(reader, [about.id]))
        holders = account_store.holders(reader, about.id)
        return PersonCard(holders, about, warnings.standing(reader, [holder.customer_id for holder in holders]))


@staff.app_template_filter()
def age(born: date) -> int:
    """Full years since birth, today."""
    now = today()
    return now.year - born.year - ((now.month, now.day) < (born.month, born.day))


def customer_of(number: str) -> Customer:
    """The customer of this number, whose record this member of staff opens.

    Raises:
        NoSuchCustomer: there is none.
        ReasonNeeded: a warning asks for a reason first.
    """
    customer = known_customer(number)
    require_reason([customer.id])
    return customer


def known_customer(number: str) -> Customer:
    """The customer of this number, of whom nothing is shown yet.

    Raises:
        NoSuchCustomer: there is none.
    """
    with bank().reader() as reader:
        customer = customer_store.by_number(reader, number)
    if customer is None:
        raise NoSuchCustomer
    return customer


def account_of(number: str) -> Account:
    """The customers' account of this number, which this member of staff opens.

    Raises:
        NoSuchAccount: there is none.
        ReasonNeeded: a warning about a holder asks for a reason first.
    """
    with bank().reader() as reader:
        account = account_store.by_number(reader, number)
        holders = account_store.holders(reader, account.id) if account else []
    if account is None:
        raise NoSuchAccount
    require_reason([holder.customer_id for holder in holders])
    return account


def require_reason(customer_ids: Collection[int]) -> None:
    """Let a page be opened for so long after the reason, and a form be sent that was opened within that time.

    Raises:
        ReasonNeeded: a warning about one of these customers asks for a reason first.
    """
    lasts = timedelta(minutes=REASON_MINUTES)
    if request.method == "POST":
        lasts += timedelta(seconds=settings().staff_idle_seconds)
    with bank().reader() as reader:
        since = bank().clock.now() - lasts
        unexplained = warnings.unexplained(reader, list(customer_ids), str(staff_member()), since=since)
    if unexplained:
        raise ReasonNeeded(unexplained.number)


def staff_of(user_id: str) -> Staff:
    """The member of staff with this user id.

    Raises:
        NoSuchStaff: there is none.
    """
    with bank().reader() as reader:
        person = staff_members.by_user_id(reader, user_id)
    if person is None:
        raise NoSuchStaff
    return person
