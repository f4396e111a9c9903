"""Customers: find, register, edit, deactivate, activate, hand out a one-time code."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from bank.accounts import service as accounts
from bank.accounts import store as account_store
from bank.audit import store as audit
from bank.customers import service as customers
from bank.customers import store as customer_store
from bank.identity import logins
from bank.web.access import ANY_STAFF, EXECUTIVE, open_to
from bank.web.current import author, bank, current, settings
from bank.web.forms import AccountForm, ConfirmForm, CustomerEditForm, CustomerForm, ReasonForm
from bank.web.money import settle
from bank.web.staff import staff
from bank.web.staff.look_up import customer_of

View = str | tuple[str, int] | AnyResponse

_PAGE_LINES = 50


@staff.route("/customers", methods=["GET", "POST"])
@open_to(*ANY_STAFF)
def find_customers() -> View:
    """Look customers up by number or part of the name; by an identity number too, when it is sent as a form."""
    if request.method == "POST":
        return _look_up(request.form.get("q", "").strip()[:200])
    text = request.args.get("q", "").strip()[:200]
    after = request.args.get("after") or None
    found = []
    if text:
        with bank().reader() as reader:
            found = customers.find(reader, text, after=after, limit=_PAGE_LINES + 1)
    more = found[_PAGE_LINES - 1].number if len(found) > _PAGE_LINES else None
    return render_template("staff/customers.html", text=text, found=found[:_PAGE_LINES], more=more)


def _look_up(text: str) -> View:
    """Go to the customer of a customer number or identity number, or on to those of a name.

    What may be an identity number never stands in an address: those stay in logs and browsers.
    """
    with bank().reader() as reader:
        exact = customers.find_one(reader, text, current().identities)
    if exact:
        return redirect(url_for(".show_customer", number=exact.number), 303)
    if any(letter.isdigit() for letter in text):
        return render_template("staff/customers.html", text=text, found=[], more=None)
    return redirect(url_for(".find_customers", q=text), 303)


@staff.get("/customers/status")
@open_to(*EXECUTIVE)
def list_customers() -> View:
    """All customers by status, a page at a time."""
    status = request.args.get("status") or None
    if status not in (None, "active", "inactive"):
        status = None
    after = request.args.get("after") or None
    with bank().reader() as reader:
        found = customer_store.page_after(reader, status=status, after=after, limit=_PAGE_LINES + 1)
    more = found[_PAGE_LINES - 1].number if len(found) > _PAGE_LINES else None
    return render_template("staff/customer_status.html", found=found[:_PAGE_LINES], more=more, status=status)


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

    return settle(form, act, "staff/customer_form.html", customer=None)


@staff.get("/customers/<number>")
@open_to(*ANY_STAFF)
def show_customer(number: str) -> View:
    """One customer with accounts; executives also see what was done."""
    customer = customer_of(number)
    with bank().reader() as reader:
        held = account_store.of_customer(reader, customer.id)
        enrolled_at = logins.enrolled_at(reader, customer.id)
        records = audit.page_before(reader, str(customer), before=None, limit=_PAGE_LINES)
    identity = current().identities.masked(customer.identity_sealed)
    return render_template(
        "staff/customer.html", customer=customer, held=held, enrolled_at=enrolled_at, identity=identity, records=records
    )


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
        return url_for(".show_customer", number=number)

    return settle(form, act, "staff/customer_form.html", customer=customer)


@staff.route("/customers/<number>/deactivate", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def deactivate_customer(number: str) -> View:
    """Deactivate, with a reason; accounts left without an active owner are frozen."""
    return _set_active(number, False)


@staff.route("/customers/<number>/activate", methods=["GET", "POST"])
@open_to(*EXECUTIVE)
def activate_customer(number: str) -> View:
    """Activate again, with a reason."""
    return _set_active(number, True)


def _set_active(number: str, active: bool) -> View:
    customer = customer_of(number)
    form = ReasonForm()

    def act() -> str:
        change = accounts.activate_customer if active else accounts.deactivate_customer
        bank().run(change, customer.id, by=author(), reason=form.reason.text)
        return url_for(".show_customer", number=number)

    title = f"{'Activate' if active else 'Deactivate'} {customer.name}"
    back = url_for(".show_customer", number=number)
    return settle(form, act, "staff/reason.html", title=title, button=title.split(maxsplit=1)[0], back=back)


@staff.route("/customers/<number>/code", methods=["GET", "POST"])
@open_to(*ANY_STAFF)
def issue_code(number: str) -> View:
    """A one-time code for the customer to set a password with; shown once, on the answer to this very form."""
    customer = customer_of(number)
    form = ConfirmForm()
    if not form.is_submitted():
        return render_template("staff/code.html", customer=customer, form=form, code=None)
    if not form.validate():
        return render_template("staff/code.html", customer=customer, form=form, code=None), 422
    if not customer.active:
        raise customers.CustomerInactive
    code = bank().run(logins.issue_code, customer.id, seconds=settings().one_time_code_seconds, by=author())
    return render_template("staff/code.html", customer=customer, form=form, code=code)


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

    return settle(form, act, "staff/account_form.html", customer=customer)
