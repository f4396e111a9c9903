"""A small branch to test with: staff, customers and accounts, made by the bank's own services."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from bank.accounts import service as accounts
from bank.accounts import store as account_store
from bank.accounts.store import Account
from bank.audit.model import Author
from bank.cases import service as cases
from bank.customers import service as customers
from bank.customers.identity_number import IdentityNumbers, read_identity_number
from bank.customers.model import CustomerDetails
from bank.customers.store import Customer
from bank.identity import logins, sessions, staff, tokens
from bank.identity.staff import Role, Staff
from bank.identity.store import sessions as session_rows
from bank.ledger import store as ledger_store
from bank.ledger.store import LedgerAccount
from bank.money import Money
from bank.payments import counting, drafts, payees, scheduled, tills, vault
from bank.payments import service as payments
from bank.payments.drafts import Draft
from bank.payments.model import TransferOrder
from bank.settings import DEVELOPMENT_IDENTITY_KEY, Settings
from bank.storage.metadata import metadata
from bank.storage.transaction import Bank

CURRENCY = "USD"

#: What a till begins with, in minor units: no test pays more out than that.
FLOAT = 100_000_00

#: Nobody can log in with this, and making it costs nothing; tests of the log-in set a real one.
NO_HASH = "no hash"

IDENTITY_NUMBERS = {"alice": "012-34-5678", "bob": "045-67-8901"}

_keys = itertools.count(1)


class SteppedClock:
    """The bank's clock, which a test can put forward."""

    def __init__(self, business_timezone: ZoneInfo) -> None:
        self.business_timezone = business_timezone
        self.ahead = timedelta(0)

    def step(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def business_date(self, instant: datetime | None = None) -> date:
        return (instant or self.now()).astimezone(self.business_timezone).date()


def settings_for(url: str, **changed: Any) -> Settings:
    """Settings of a bank in development whose password hashes take little memory."""
    plain = {
        "secret_key": "x" * 40,
        "identity_keys": (DEVELOPMENT_IDENTITY_KEY,),
        "password_memory_kib": 8192,
        "pool_size": 12,
        # However busy this machine is.
        "statement_seconds": 15,
    }
    return Settings(database_url=url, **{**plain, **changed})


def a_bank(url: str, **changed: Any) -> Bank:
    """The bank on the database at `url`, with a clock to step."""
    opened = Bank.open(settings_for(url, **changed))
    if url.startswith("sqlite"):
        # What a test writes need not outlive the machine.
        sa.event.listen(opened.engine, "connect", lambda file, _: file.execute("PRAGMA synchronous = OFF"))
    return Bank(opened.settings, SteppedClock(opened.settings.business_timezone), opened.engine)  # type: ignore[arg-type]  # it tells the time


@dataclass
class Branch:
    """An executive, a teller, a cashier; Alice with two accounts and money, Bob with one; `people` by name."""

    bank: Bank
    people: dict[str, Staff | Customer] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)

    @classmethod
    def open(cls, bank: Bank) -> Branch:
        branch = cls(bank)
        for role in Role:
            branch.add_staff(role.value, f"{role.value.upper()}-1", role)
        branch.add_staff("spare", "SPARE-1", Role.TELLER)
        branch.supply("teller", FLOAT)
        branch.supply("cashier", FLOAT)
        for name, full_name in (("alice", "Alice Moreau"), ("bob", "Bob Nakamura")):
            branch.add_customer(name, full_name, IDENTITY_NUMBERS[name])
        branch.open_account("alice", "current", 100_00)
        branch.open_account("alice", "savings", 20_00)
        branch.open_account("bob", "current", 50_00)
        return branch

    def author(self, name: str = "executive") -> Author:
        """This person, now."""
        now = self.bank.clock.now()
        return Author(str(self.people[name]), now, self.bank.clock.business_date(now))

    def _opener(self) -> Author:
        now = self.bank.clock.now()
        return Author("test", now, self.bank.clock.business_date(now))

    def add_staff(self, name: str, user_id: str, role: Role, password_hash: str = NO_HASH) -> Staff:
        """A member of staff who need not change the password."""

        def use_case(tx: sa.Connection) -> Staff:
            by = self._opener()
            person = tills.take_on(
                tx, user_id=user_id, name=f"{name.title()} Person", role=role, password_hash=password_hash,
                currency=CURRENCY, by=by,
            )  # fmt: skip
            staff.set_password(tx, person.id, password_hash, must_change=False, by=by)
            found = staff.by_id(tx, person.id)
            assert found is not None
            return found

        self.people[name] = person = self.bank.run(use_case)
        return person

    def supply(self, name: str, minor_units: int) -> int:
        """Cash for somebody's till, delivered to the vault just before; answers the entry's id."""
        till_id, amount = self.staff(name).till_account_id, Money(minor_units, CURRENCY)
        assert till_id is not None
        vault.receive(self.bank, amount, key=a_key(), by=self.author())
        return vault.supply_till(self.bank, till_id, amount, key=a_key(), by=self.author(name)).entry_id

    def till(self, name: str) -> LedgerAccount:
        """Somebody's till as it stands."""
        till_id = self.staff(name).till_account_id
        assert till_id is not None
        with self.bank.reader() as reader:
            found = ledger_store.account(reader, till_id)
        assert found is not None
        return found

    def count_till(self, name: str, counted: int, reason: str = "") -> int:
        """Somebody counts their till and finds `counted` minor units; answers the count's id."""
        till = self.till(name)
        return self.bank.run(
            counting.count, till.id, Money(counted, CURRENCY), {}, seen=till.version, reason=reason, key=a_key(),
            by=self.author(name),
        )  # fmt: skip

    def report(self, name: str, entry_id: int, told: str = "I did not do this.") -> int:
        """A customer reports a problem with a movement; answers the case's id."""
        return self.bank.run(
            cases.report, self.customer(name).id, entry_id, told, operation=a_key(), by=self.author(name)
        )

    def add_customer(self, name: str, full_name: str, identity_number: str) -> Customer:
        """A customer without an account."""
        identities = IdentityNumbers(self.bank.settings.identity_keys)
        number = read_identity_number(identity_number)
        details = CustomerDetails(full_name, date(1988, 4, 12), "14 Harbor Street", "Portland", "ME", "04101")
        customer = self.bank.run(
            customers.register, details, identities.seal(number), identities.digests(number), by=self._opener()
        )
        self.people[name] = customer
        return customer

    def open_account(self, owner: str, product: str, balance: int = 0) -> Account:
        """An account of the customer, with `balance` minor units from the teller's till; known as `alice_current`."""
        account = self.bank.run(accounts.open_account, self.customer(owner), product, CURRENCY, by=self._opener())
        self.accounts[f"{owner}_{product}"] = account
        if balance:
            self.deposit(account, balance)
        return account

    def customer(self, name: str) -> Customer:
        person = self.people[name]
        assert isinstance(person, Customer)
        return person

    def staff(self, name: str) -> Staff:
        person = self.people[name]
        assert isinstance(person, Staff)
        return person

    def deposit(self, account: Account, minor_units: int) -> int:
        """Cash into the teller's till; answers the entry's id."""
        teller = self.staff("teller")
        amount = Money(minor_units, CURRENCY)
        return payments.deposit(
            self.bank, account, amount, till_id=teller.till_account_id, key=a_key(), by=self.author("teller")
        ).entry_id

    def transfer(self, payer: str, payee: str, minor_units: int, *, by: str = "teller") -> int:
        """From one account to another, by the teller or somebody else; answers the entry's id."""
        order = TransferOrder(
            self.accounts[payer].id, self.accounts[payee].id, Money(minor_units, CURRENCY), "Lunch", a_key()
        )
        return payments.transfer(self.bank, order, by=self.author(by)).entry_id

    def schedule(self, payer: str, payee: str, minor_units: int, *, days: int = 1, repeats: str = "once") -> int:
        """A payment by Alice, so many days from today; answers its id."""
        order = TransferOrder(
            self.accounts[payer].id, self.accounts[payee].id, Money(minor_units, CURRENCY), "Rent", a_key(),
            self.customer("alice").id,
        )  # fmt: skip
        by = self.author("alice")
        due_on = by.business_date + timedelta(days=days)
        return scheduled.schedule(self.bank, order, due_on=due_on, repeats=repeats, payee_name="Bob Nakamura", by=by)

    def payee(self, customer: str, account: str, name: str, name_check: str = "match", *, saved: bool = True) -> int:
        """How the customer calls the account; answers the payee's id."""

        def use_case(tx: sa.Connection) -> int:
            me, by = self.customer(customer).id, self.author(customer)
            named = payees.name(tx, me, self.accounts[account].id, name, name_check, by=by)
            (payees.save if saved else payees.remove)(tx, me, named.id, by=by)
            return named.id

        return self.bank.run(use_case)

    def draft(self, customer: str, paying: str, receiving: str, operation: str, name_check: str = "own") -> str:
        """A payment that the customer prepares, whom it goes to being said; answers its operation id."""
        from_id, to_id = self.accounts[paying].id, self.accounts[receiving].id
        draft = Draft(operation, self.customer(customer).id, from_id, to_id, "Somebody", name_check)
        self.bank.run(drafts.keep, draft, at=self.bank.clock.now())
        return operation

    def hold(self, account: str, minor_units: int) -> int:
        """Reserve; answers the hold's id."""
        return payments.place_hold(
            self.bank, self.accounts[account], Money(minor_units, CURRENCY), expires_at=None, key=a_key(),
            by=self.author(), reason="Court order",
        ).entry_id  # fmt: skip

    def code_for(self, name: str) -> str:
        """A one-time code for the customer."""
        seconds = self.bank.settings.one_time_code_seconds
        return self.bank.run(logins.issue_code, self.customer(name).id, seconds=seconds, by=self.author("teller"))

    def session_of(self, name: str) -> str:
        """The token of a new session, without any password."""
        person = self.people[name]
        kind = "staff" if isinstance(person, Staff) else "customer"
        _, token = self.bank.run(
            sessions.start, kind, person.id, by=self.author(name), network_address="192.0.2.7", device="test"
        )
        return token

    def token_of(self, name: str, *scopes: str, days: int = 30, called: str = "Test") -> tuple[int, str]:
        """A token of this person's, of every scope unless some are named; answers its id and itself."""
        person = self.people[name]
        kind = "staff" if isinstance(person, Staff) else "customer"
        return self.bank.run(
            tokens.make, kind, person.id, name=called, scopes=scopes or tuple(tokens.SCOPES[kind]), days=days,
            by=self.author(name),
        )  # fmt: skip

    def session_id_of(self, name: str) -> int:
        """The id of a new session."""
        self.session_of(name)
        return int(self.rows(sa.select(sa.func.max(session_rows.c.id)))[0][0])

    def number(self, account: str) -> str:
        """The account's number, as in an address."""
        return self.accounts[account].number

    def balance(self, account: str) -> int:
        """What is booked, in minor units."""
        return self.state(account).ledger.balance

    def state(self, account: str) -> Account:
        """The account as it stands."""
        with self.bank.reader() as reader:
            found = account_store.by_id(reader, self.accounts[account].id)
        assert found is not None
        return found

    def rows(self, query: sa.Select[Any]) -> list[Any]:
        """What a query finds."""
        with self.bank.reader() as reader:
            return list(reader.execute(query))

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        with self.bank.reader() as reader:
            return {
                table.name: sorted(map(tuple, reader.execute(sa.select(table))), key=repr)
                for table in metadata.sorted_tables
            }

    def run(self, use_case: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A use case as the executive, now."""
        return self.bank.run(use_case, *args, by=self.author(), **kwargs)


def a_key() -> str:
    """An operation id that no form has had."""
    return f"00000000-0000-4000-8000-{next(_keys):012d}"
