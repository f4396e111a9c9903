"""Customers: look up, list, register, edit, warn about, deactivate, activate, hand out a one-time code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue as View

from bank.accounts import service as accounts
from bank.accounts import store as account_store
from bank.accounts.store import Account
from bank.audit import store as audit
from bank.customers import service as customers
from bank.customers import store as customer_store
from bank.customers import warnings
from bank.customers.model import customer_status
from bank.customers.store import Customer
from bank.customers.store import customers as customers_table
from bank.errors import Conflict
from bank.identifiers import InvalidNumber, read_number
from bank.identity import logins
from bank.identity import staff as staff_members
from bank.identity.staff import Role
from bank.language import gettext, marked
from bank.web.access import ANY_STAFF, EXECUTIVE, open_to
from bank.web.current import author, bank, current, settings, staff_member
from bank.web.fields import ConfirmForm, ReasonForm
from bank.web.lists import Column, List
from bank.web.money import settle
from bank.web.signed_in import own_path
from bank.web.staff import staff
from bank.web.staff.forms import AccountForm, CustomerEditForm, CustomerForm, WarningForm
from bank.web.staff.look_up import customer_of, known_customer, person_card

_PAGE_LINES = 50

CUSTOMERS: Final = List(
    "customers",
    (
        Column("number", marked("Number"), lambda customer: customer.number, customers_table.c.number),
        Column("name", marked("Name"), lambda customer: customer.name, customers_table.c.search_name),
        Column("city", marked("City"), lambda customer: customer.city, customers_table.c.city),
        Column("status", marked("Status"), lambda customer: customer_status(customer.status), customers_table.c.status),
        Column("since", marked("Since"), lambda customer: customer.created_at, customers_table.c.created_at),
    ),
    "number",
    customers_table.c.number,
    lambda row: Customer(*row),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up found: customers, a page of them, or the one account of the number."""

    people: list[Customer]
    account: Account | None = None
    more: str | None = None


@staff.route("/customers", methods=["GET", "POST"])
@open_to(*ANY_STAFF)
def find_customers() -> View:
    """Look up customers by number or part of the name, accounts by number, and by an identity number in a form."""
    if request.method == "POST":
        return _look_up(request.form.get("q", "").strip()[:200])
    text = request.args.get("q", "").strip()[:200]
    return _draw(text, _named(text, request.args.get("after") or None))


def _look_up(text: str) -> View:
    """Go to the customer or the account of a number, or on to the customers of a name.

    What may be an identity number never stands in an address: those stay in logs and browsers. Whoever is still
    typing is shown a list instead.
    """
    exact = _exact(text)
    if request.headers.get("HX-Request"):
        return _draw(text, exact or _named(text, None))
    if exact and exact.account:
        return redirect(url_for(".show_account", number=exact.account.number), 303)
    if exact:
        return redirect(url_for(".show_customer", number=exact.people[0].number), 303)
    if any(letter.isdigit() for letter in text):
        return _draw(text, Found([]))
    return redirect(url_for(".find_customers", q=text), 303)


def _exact(text: str) -> Found | None:
    with bank().reader() as reader:
        if customer := customers.find_one(reader, text, current().identities):
            return Found([customer])
        try:
            account = account_store.by_number(reader, read_number(text))
        except InvalidNumber:
            return None
    return Found([], account) if account else None


def _named(text: str, after: str | None) -> Found:
    """A page of the customers of this name, or the one of this number."""
    if not text:
        return Found([])
    with bank().reader() as reader:
        people = customers.find(reader, text, after=after, limit=_PAGE_LINES + 1)
    more = people[_PAGE_LINES - 1].number if len(people) > _PAGE_LINES else None
    return Found(people[:_PAGE_LINES], more=more)


def _draw(text: str, found: Found) -> str:
    return render_template(
        "staff/customers.html", text=text, found=found, problem=None, masked_identity=current().identities.masked
    )


@staff.get("/customers/status")
@open_to(*EXECUTIVE)
def list_customers() -> View:
    """All customers, or those of one status, to sort, page through and download."""
    status = request.args.get("status")
    status = status if status in ("active", "inactive") else None
    shown = CUSTOMERS.show(customer_store.listing(status=status), status=status)
    return shown if isinstance(shown, Response) else render_template("staff/customer_status.html", shown=shown)


@staff.route("/customers/new", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def register_customer() -> View:
    """Take on a customer."""
    form = CustomerForm()

    def act() -> str:
        number = form.identity_number.value
        identities = current().identities
        customer = bank().run(
            customers.register, form.details(), identities.seal(number), identities.digests(number), by=author()
        )
        return url_for(".show_customer", number=customer.number)

    return settle(form, act, "staff/customer_form.html", customer=None, card=None)


@staff.get("/customers/<number>")
@open_to(*ANY_STAFF)
def show_customer(number: str) -> View:
    """One customer with accounts; executives also see what was done."""
    customer = customer_of(number)
    card = person_card(customer)
    executive = staff_member().role is Role.EXECUTIVE
    with bank().reader() as reader:
        held = account_store.of_customer(reader, customer.id)
        enrolled_at = logins.enrolled_at(reader, customer.id)
        records = audit.page_before(reader, str(customer), before=None, limit=_PAGE_LINES) if executive else []
        raised_by = staff_members.names(reader, [warning.raised_by for warning in card.warnings])
    return render_template(
        "staff/customer.html",
        customer=customer,
        card=card,
        held=held,
        enrolled_at=enrolled_at,
        identity=current().identities.masked(customer.identity_sealed),
        records=records,
        raised_by=raised_by,
    )


@staff.route("/customers/<number>/open", methods=["GET", "POST"])
@open_to(*ANY_STAFF)
def open_record(number: str) -> View:
    """Say why a record is opened that a warning guards; then go on to the page that was asked for."""
    customer = known_customer(number)
    form = ReasonForm()
    wanted = own_path(request.args.get("next")) or url_for(".show_customer", number=number)

    def act() -> str:
        bank().run(warnings.open_record, customer.id, by=author(), reason=form.reason.text, operation=form.key)
        return wanted

    return settle(form, act, "staff/open_record.html", customer=customer, back=url_for(".home"))


@staff.route("/customers/<number>/warnings/new", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def raise_warning(number: str) -> View:
    """Tell all staff what to know before they serve this customer."""
    customer = customer_of(number)
    form = WarningForm()

    def act() -> str:
        needs_reason = form.kind.data == "guards"
        told = form.told.text
        bank().run(warnings.warn, customer.id, told, needs_reason=needs_reason, by=author(), operation=form.key)
        return url_for(".show_customer", number=number)

    return settle(form, act, "staff/warning_form.html", card=person_card(customer), back=_back(number))


@staff.route("/customers/<number>/warnings/<id:warning_id>/lift", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def lift_warning(number: str, warning_id: int) -> View:
    """Take a warning back, with a reason."""
    customer = customer_of(number)
    form = ReasonForm()

    def act() -> str:
        bank().run(warnings.lift, customer.id, warning_id, by=author(), reason=form.reason.text)
        return _back(number)

    card = person_card(customer)
    if not form.is_submitted() and warning_id not in {warning.id for warning in card.warnings}:
        raise warnings.NoSuchWarning
    return settle(
        form,
        act,
        "staff/reason.html",
        title=gettext("Lift the warning"),
        button=gettext("Lift"),
        card=card,
        back=_back(number),
    )


class ShownAlready(Conflict):
    """The identity number was shown for this reason once."""

    code = "shown_already"

    def __init__(self) -> None:
        super().__init__(gettext("The number was shown once for this reason. Give a reason again to see it again."))


@staff.route("/customers/<number>/identity", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def show_identity(number: str) -> View:
    """The identity number in full, for a reason that is kept; shown once, on the answer to this very form."""
    customer = customer_of(number)
    form = ReasonForm()
    if customer.identity_sealed is None:
        return redirect(_back(number))
    about = {"card": person_card(customer), "back": _back(number)}
    if form.is_submitted() and form.validate():
        # Opened first: of a number whose key is lost, nothing was shown.
        identity = current().identities.open(customer.identity_sealed)
        if bank().run(warnings.show_identity, customer.id, by=author(), reason=form.reason.text, operation=form.key):
            return render_template("staff/identity.html", form=form, identity=identity, **about)

    def act() -> str:
        raise ShownAlready

    return settle(form, act, "staff/identity.html", identity=None, **about)


@staff.route("/customers/<number>/edit", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def edit_customer(number: str) -> View:
    """Correct what is recorded; the old values stay in the audit trail."""
    customer = customer_of(number)
    known = {
        name: getattr(customer, name) for name in ("name", "address", "city", "region", "postcode", "email", "phone")
    }
    form = CustomerEditForm(data=None if request.method == "POST" else {**known, "birth_date": customer.birth_date})

    def act() -> str:
        typed = form.identity_number.value
        identities = current().identities
        bank().run(
            customers.edit,
            customer.id,
            form.details(),
            by=author(),
            identity=identities.seal(typed) if typed else None,
            known_digests=identities.digests(typed) if typed else None,
        )
        return _back(number)

    return settle(form, act, "staff/customer_form.html", customer=customer, card=person_card(customer))


@staff.route("/customers/<number>/deactivate", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def deactivate_customer(number: str) -> View:
    """Deactivate, with a reason; accounts left without an active owner are frozen."""
    customer = customer_of(number)
    title = gettext("Deactivate %(name)s", name=customer.name)
    told = gettext("Accounts that are left without an active owner are frozen. The customer is logged out.")
    return _set_active(customer, False, title=title, button=gettext("Deactivate"), told=told, danger=True)


@staff.route("/customers/<number>/activate", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def activate_customer(number: str) -> View:
    """Activate again, with a reason."""
    customer = customer_of(number)
    title = gettext("Activate %(name)s", name=customer.name)
    return _set_active(customer, True, title=title, button=gettext("Activate"))


def _set_active(customer: Customer, active: bool, **words: object) -> View:
    form = ReasonForm()

    def act() -> str:
        change = accounts.activate_customer if active else accounts.deactivate_customer
        bank().run(change, customer.id, by=author(), reason=form.reason.text)
        return _back(customer.number)

    return settle(form, act, "staff/reason.html", card=person_card(customer), back=_back(customer.number), **words)


@staff.route("/customers/<number>/code", methods=["GET", "POST"])
@open_to(*ANY_STAFF)
def issue_code(number: str) -> View:
    """A one-time code for the customer to set a password with; shown once, on the answer to this very form."""
    customer = customer_of(number)
    form = ConfirmForm()
    about = {"card": person_card(customer), "customer": customer, "form": form}
    if not form.is_submitted():
        return render_template("staff/code.html", **about, code=None)
    if not form.validate():
        return render_template("staff/code.html", **about, code=None), 422
    if not customer.active:
        raise customers.CustomerInactive
    code = bank().run(logins.issue_code, customer.id, seconds=settings().one_time_code_seconds, by=author())
    return render_template("staff/code.html", **about, code=code)


@staff.route("/customers/<number>/accounts/new", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def open_account(number: str) -> View:
    """Open an account; the first money comes as a deposit at the till, so that the ledger knows it."""
    customer = customer_of(number)
    form = AccountForm()

    def act() -> str:
        account = bank().run(
            accounts.open_account, customer, form.product.data, settings().currency, by=author(), operation=form.key
        )
        return url_for(".show_account", number=account.number)

    return settle(form, act, "staff/account_form.html", card=person_card(customer), back=_back(number))


def _back(number: str) -> str:
    return url_for(".show_customer", number=number)
