"""What the address names, or a page that says there is no such thing, or one that asks why it is opened."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from flask import g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from bank.accounts import store as account_store
from bank.accounts.service import NoSuchAccount
from bank.accounts.store import Account, Holder
from bank.customers import store as customer_store
from bank.customers import warnings
from bank.customers.model import customer_status
from bank.customers.service import NoSuchCustomer
from bank.customers.store import Customer
from bank.customers.warnings import REASON_MINUTES, CustomerWarning, ReasonNeeded
from bank.identity import staff as staff_members
from bank.identity.staff import NoSuchStaff, Staff
from bank.web.current import bank, settings, staff_member
from bank.web.pages import today
from bank.web.staff import staff


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
    """What `staff/_person.html` shows of whom this request has opened."""
    if isinstance(about, Customer):
        return PersonCard([about], None, _warnings([about.id]))
    holders = holders_of(about)
    return PersonCard(holders, about, _warnings([holder.customer_id for holder in holders]))


def holders_of(account: Account) -> Sequence[Holder]:
    """Who may use an account that `account_of` opened, owners first."""
    found: Sequence[Holder] = g.holders[account.id]
    return found


def _warnings(customer_ids: Collection[int]) -> Sequence[CustomerWarning]:
    """The warnings about these customers, as they were when this request opened their records."""
    known = g.setdefault("warnings", {})
    people = frozenset(customer_ids)
    if people and people not in known:
        with bank().reader() as reader:
            known[people] = warnings.standing(reader, sorted(people))
    found: Sequence[CustomerWarning] = known.get(people, ())
    return found


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
        found = account_store.with_holders(reader, number)
    if found is None:
        raise NoSuchAccount
    account, holders = found
    g.setdefault("holders", {})[account.id] = holders
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
    asking = [warning for warning in _warnings(customer_ids) if warning.needs_reason]
    if not asking:
        return
    with bank().reader() as reader:
        since = bank().clock.now() - lasts
        unexplained = warnings.unexplained(reader, asking, str(staff_member()), since=since)
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
