"""What the branch looks up: customers, accounts with their holders, tills, the trial balance; and an account's status."""

from __future__ import annotations

import uuid
from importlib.metadata import version
from typing import Annotated, Literal

from flask import Response
from pydantic import Field, StringConstraints

from bank.accounts import service as accounts
from bank.accounts import store as account_store
from bank.accounts.service import NoSuchAccount, WrongStatus
from bank.accounts.store import Holder as StoredHolder
from bank.api import api
from bank.api.accounts import Account
from bank.api.current import account_of, author, bank, caller, staff_member
from bank.api.entries import Reason
from bank.api.guard import EXECUTIVE, TILL, needs
from bank.api.look_up import require_reason
from bank.api.operations import operation
from bank.api.schemas import Currency, Day, Instant, Model, Money, Text, Whole
from bank.customers import service as customers
from bank.customers import store as customer_store
from bank.customers import warnings
from bank.customers.service import CustomerInactive, NoSuchCustomer
from bank.customers.store import Customer as StoredCustomer
from bank.customers.warnings import ReasonNeeded
from bank.ledger import store as ledger_store
from bank.ledger import verify
from bank.payments.service import NoTill
from bank.storage import migrate
from bank.storage.engine import kind_and_version


class Holder(Model):
    """A customer who may use an account."""

    customer: str = Field(description="The customer's number.", examples=["1102000005"])
    name: str
    role: Literal["owner", "authorised"]
    status: Literal["active", "inactive"]


class Held(Account):
    """An account with who may use it, and its own limits where it has any."""

    overdraft: Money
    limit_per_payment: Money | None
    limit_per_day: Money | None
    holders: list[Holder] = Field(description="Owners first, by number.")


class FoundCustomer(Model):
    """A customer, as lists name them."""

    number: str
    name: str
    city: str
    status: Literal["active", "inactive"]


class CustomersQuery(Model):
    """Whom to find."""

    name: Annotated[Text, StringConstraints(min_length=1, max_length=200)] = Field(
        description="A part of the name, or the customer's number."
    )
    after: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,12}$")] | None = Field(
        None, description="The last number of the page before."
    )
    limit: Whole = Field(50, ge=1, le=200, description="The most for this page.")


class FoundCustomers(Model):
    """Customers by number; `next` leads on."""

    customers: list[FoundCustomer]
    next: str | None


class Warning(Model):  # noqa: A001  # it is what the branch calls it
    """What to know before serving the customer."""

    told: str
    needs_reason: bool
    raised_at: Instant


class CustomerRecord(FoundCustomer):
    """A customer's record; of the identity number nothing is told here."""

    birth_date: Day | None
    address: str
    region: str
    postcode: str
    email: str
    phone: str
    since: Instant
    warnings: list[Warning]
    accounts: list[Account]


class Opening(Model):
    """Why a record is opened that a warning guards."""

    reason: Reason


class StatusOrder(Model):
    """What may pass over the account from now on, and why."""

    status: Literal["open", "debits_frozen", "frozen"]
    reason: Reason


class Till(Model):
    """One's own till."""

    number: str
    balance: Money


class TrialQuery(Model):
    """As of when."""

    day: Day | None = Field(None, description="At the end of this day; left out: now.")


class TrialLine(Model):
    """One line of the chart of accounts in one currency."""

    code: str = Field(examples=["current"])
    currency: Currency
    accounts: int
    debit: Money
    credit: Money


class TrialBalance(Model):
    """Debits and credits by line; in each currency they add up to the same."""

    lines: list[TrialLine]


class LastVerification(Model):
    """How the ledger's last verification ended."""

    at: Instant
    entries: int
    findings: int


class SystemStatus(Model):
    """What runs here, and whether the books were found sound."""

    release: str
    database: str
    schema_revision: str | None
    schema_wanted: str
    business_date: Day
    verification: LastVerification | None


@api.get("/branch/accounts/<number>")
@needs("branch:read")
@operation("Branch", answer=Held, refuses=(NoSuchAccount, ReasonNeeded))
def show_held_account(number: str) -> Held:
    """An account with its holders and limits."""
    ledger = account_of(number).ledger
    per_payment, per_day = ledger.own_limits
    return Held.model_validate(
        {
            **dict(Account.of(account_of(number))),
            "overdraft": Money.of(ledger.overdraft),
            "limit_per_payment": per_payment and Money.of(per_payment),
            "limit_per_day": per_day and Money.of(per_day),
            "holders": [_holder(each) for each in caller().holders],
        }
    )


def _holder(holder: StoredHolder) -> Holder:
    return Holder.model_validate(
        {"customer": holder.number, "name": holder.name, "role": holder.role, "status": holder.status}
    )


@api.put("/accounts/<number>/status")
@needs("branch:write", roles=EXECUTIVE)
@operation(
    "Branch", body=StatusOrder, answer=Account, refuses=(NoSuchAccount, ReasonNeeded, WrongStatus, CustomerInactive)
)
def set_account_status(number: str, body: StatusOrder) -> Account:
    """Freeze what leaves the account (`debits_frozen`) or both ways (`frozen`), or lift it (`open`)."""
    account = account_of(number)
    bank().run(accounts.freeze, account, body.status, by=author(), reason=body.reason)
    with bank().reader() as reader:
        now = account_store.by_id(reader, account.id)
    assert now is not None
    return Account.of(now)


@api.get("/branch/customers")
@needs("branch:read")
@operation("Branch", query=CustomersQuery, answer=FoundCustomers)
def find_customers(query: CustomersQuery) -> FoundCustomers:
    """Customers of this name or number."""
    with bank().reader() as reader:
        found = customers.find(reader, query.name.strip(), after=query.after, limit=query.limit + 1)
    page = found[: query.limit]
    return FoundCustomers(
        customers=[FoundCustomer.model_validate(_listed(each)) for each in page],
        next=page[-1].number if len(found) > query.limit else None,
    )


def _listed(customer: StoredCustomer) -> dict[str, str]:
    return {"number": customer.number, "name": customer.name, "city": customer.city, "status": customer.status}


@api.get("/branch/customers/<customer_number>")
@needs("branch:read")
@operation("Branch", answer=CustomerRecord, refuses=(NoSuchCustomer, ReasonNeeded))
def show_customer(customer_number: str) -> CustomerRecord:
    """A customer's record."""
    customer = _known(customer_number)
    with bank().reader() as reader:
        require_reason(reader, [customer.id], staff_member(), bank().clock.now())
        standing = warnings.standing(reader, [customer.id])
        held = account_store.of_customer(reader, customer.id)
    return CustomerRecord.model_validate(
        {
            **_listed(customer),
            "birth_date": customer.birth_date,
            "address": customer.address,
            "region": customer.region,
            "postcode": customer.postcode,
            "email": customer.email,
            "phone": customer.phone,
            "since": customer.created_at,
            "warnings": [
                Warning(told=each.told, needs_reason=each.needs_reason, raised_at=each.raised_at) for each in standing
            ],
            "accounts": [Account.of(each) for each in held],
        }
    )


@api.post("/branch/customers/<customer_number>/openings")
@needs("branch:read")
@operation("Branch", body=Opening, status=204, refuses=(NoSuchCustomer,))
def open_record(customer_number: str, body: Opening) -> Response:
    """Say why the record of a customer is opened whom a warning guards; it is open for fifteen minutes then.

    Said again, it is kept again.
    """
    customer, operation_id = _known(customer_number), str(uuid.uuid4())
    bank().run(warnings.open_record, customer.id, by=author(), reason=body.reason, operation=operation_id)
    return Response(status=204)


def _known(number: str) -> StoredCustomer:
    with bank().reader() as reader:
        customer = customer_store.by_number(reader, number)
    if customer is None:
        raise NoSuchCustomer
    return customer


@api.get("/branch/till")
@needs("branch:read", roles=TILL)
@operation("Branch", answer=Till, refuses=(NoTill,))
def show_till() -> Till:
    """What is in one's own till."""
    till_id = staff_member().till_account_id
    if till_id is None:
        raise NoTill
    with bank().reader() as reader:
        till = ledger_store.account(reader, till_id)
    assert till is not None
    return Till(number=till.number, balance=Money.of(till.balance_money))


@api.get("/branch/trial-balance")
@needs("branch:read", roles=EXECUTIVE)
@operation("Branch", query=TrialQuery, answer=TrialBalance)
def show_trial_balance(query: TrialQuery) -> TrialBalance:
    """Debits and credits by line of the chart of accounts, now or at the end of a day."""
    with bank().reader(patiently=True) as reader:
        lines = ledger_store.trial_balance(reader, query.day)
    return TrialBalance(
        lines=[
            TrialLine(
                code=line.chart_code,
                currency=line.currency,
                accounts=line.accounts,
                debit=Money.of(line.debit),
                credit=Money.of(line.credit),
            )
            for line in lines
        ]
    )


@api.get("/branch/status")
@needs("branch:read", roles=EXECUTIVE)
@operation("Branch", answer=SystemStatus)
def show_status() -> SystemStatus:
    """The release, the database with its schema, and how the ledger's last verification ended."""
    with bank().reader() as reader:
        revision, database, last = migrate.current(reader), kind_and_version(reader), verify.last(reader)
    return SystemStatus(
        release=version("retail-bank"),
        database=database,
        schema_revision=revision,
        schema_wanted=migrate.head(),
        business_date=bank().clock.business_date(),
        verification=LastVerification(at=last.at, entries=last.entries, findings=last.findings) if last else None,
    )
