"""Customers' accounts and their holders; the money itself is in the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from bank.customers.store import customers
from bank.ledger.store import ENTRIES, Entry, LedgerAccount, entry_of_rows
from bank.ledger.tables import journal_entries, ledger_accounts, postings
from bank.storage.metadata import MYSQL_OPTIONS, Id, Instant, metadata
from bank.storage.prepared import prepared

# An account is its ledger account: they share their id.
accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", Id, sa.ForeignKey("ledger_accounts.id"), primary_key=True, autoincrement=False),
    sa.Column("product", sa.String(20), nullable=False),
    sa.Column("opened_on", sa.Date, nullable=False),
    sa.Column("closed_on", sa.Date),
    # Who froze it: `customer` when all its owners were deactivated, so that activating one opens it again.
    sa.Column("frozen_for", sa.String(10)),
    sa.CheckConstraint("frozen_for IN ('staff', 'customer')", name="frozen_for"),
    sa.CheckConstraint("product IN ('current', 'savings')", name="product"),
    **MYSQL_OPTIONS,
)

account_holders = sa.Table(
    "account_holders",
    metadata,
    sa.Column("account_id", Id, sa.ForeignKey("accounts.id"), primary_key=True, autoincrement=False),
    sa.Column("customer_id", Id, sa.ForeignKey("customers.id"), primary_key=True, autoincrement=False, index=True),
    sa.Column("role", sa.String(10), nullable=False),
    sa.Column("since", Instant, nullable=False),
    sa.CheckConstraint("role IN ('owner', 'authorised')", name="role"),
    **MYSQL_OPTIONS,
)


@dataclass(frozen=True, slots=True)
class Account:
    """What a customer holds: a product with its ledger account."""

    ledger: LedgerAccount
    product: str
    opened_on: date
    closed_on: date | None
    frozen_for: str | None

    @property
    def id(self) -> int:
        """The same as its ledger account's."""
        return self.ledger.id

    @property
    def number(self) -> str:
        """What people type to pay into it."""
        return self.ledger.number

    def __str__(self) -> str:
        """How an audit record names the account."""
        return f"account:{self.id}"


@dataclass(frozen=True, slots=True)
class Holder:
    """A customer who may use an account, as owner or authorised by one."""

    customer_id: int
    number: str
    name: str
    status: str
    role: str
    birth_date: date | None


_LEDGER_COLUMNS = [ledger_accounts.c[field] for field in LedgerAccount.__dataclass_fields__]
_COLUMNS = [accounts.c.product, accounts.c.opened_on, accounts.c.closed_on, accounts.c.frozen_for]
_QUERY = sa.select(*_COLUMNS, *_LEDGER_COLUMNS).join_from(accounts, ledger_accounts)
_HOLDER_COLUMNS = [
    customers.c.id, customers.c.number, customers.c.name, customers.c.status, account_holders.c.role, customers.c.birth_date,
]  # fmt: skip
_HOLDER_ORDER = account_holders.c.role.desc(), customers.c.number
_OF_CUSTOMER = prepared(
    _QUERY.join(account_holders, account_holders.c.account_id == accounts.c.id)
    .where(account_holders.c.customer_id == sa.bindparam("customer"))
    .order_by(sa.case((ledger_accounts.c.status == "closed", 1), else_=0), ledger_accounts.c.number)
)
_HELD_BY = prepared(
    _QUERY.join(account_holders, account_holders.c.account_id == accounts.c.id).where(
        account_holders.c.customer_id == sa.bindparam("customer"),
        ledger_accounts.c.number == sa.bindparam("number"),
    )
)
_HOLDERS = prepared(
    sa.select(*_HOLDER_COLUMNS)
    .join_from(account_holders, customers)
    .where(account_holders.c.account_id == sa.bindparam("account"))
    .order_by(*_HOLDER_ORDER)
)


def of_row(row: Sequence[Any]) -> Account:
    """The account of one row of `listing`."""
    split = len(_COLUMNS)
    return Account(LedgerAccount(*row[split:]), *row[:split])


def _accounts(reader: sa.Connection, query: sa.Select[Any]) -> list[Account]:
    return [of_row(row) for row in reader.execute(query)]


def by_number(reader: sa.Connection, number: str) -> Account | None:
    """The customers' account of this number, if there is one."""
    return next(iter(_accounts(reader, _QUERY.where(ledger_accounts.c.number == number))), None)


def by_id(reader: sa.Connection, account_id: int) -> Account | None:
    """The customers' account of this id, if there is one."""
    return next(iter(_accounts(reader, _QUERY.where(accounts.c.id == account_id))), None)


def of_customer(reader: sa.Connection, customer_id: int) -> list[Account]:
    """The accounts this customer owns or is authorised for, open ones first, by number."""
    return [of_row(row) for row in reader.execute(_OF_CUSTOMER, {"customer": customer_id})]


def held_by(reader: sa.Connection, customer_id: int, number: str) -> Account | None:
    """The account of this number, if this customer owns it or is authorised for it."""
    row = reader.execute(_HELD_BY, {"customer": customer_id, "number": number}).first()
    return of_row(row) if row else None


def as_known_to(
    reader: sa.Connection, customer_id: int, account_ids: Collection[int]
) -> dict[int, tuple[Account, bool]]:
    """The customers' accounts of these ids, each with whether this customer may use it."""
    c = account_holders.c
    mine = sa.and_(c.account_id == accounts.c.id, c.customer_id == customer_id)
    query = _QUERY.add_columns(c.customer_id).outerjoin(account_holders, mine)
    rows = reader.execute(query.where(accounts.c.id.in_(list(account_ids))))
    return {account.id: (account, row[-1] is not None) for row in rows for account in [of_row(row[:-1])]}


def entry_of_customer(reader: sa.Connection, entry_id: int, customer_id: int) -> tuple[Entry | None, list[Account]]:
    """The entry of this id, if there is one, and those of the accounts that it moved which this customer may use."""
    query = (
        ENTRIES.add_columns(account_holders.c.customer_id, *_COLUMNS, *_LEDGER_COLUMNS)
        .outerjoin(
            account_holders,
            sa.and_(
                account_holders.c.account_id == postings.c.account_id, account_holders.c.customer_id == customer_id
            ),
        )
        .outerjoin(accounts, accounts.c.id == account_holders.c.account_id)
        .where(journal_entries.c.id == entry_id)
    )
    rows = reader.execute(query).all()
    split = len(ENTRIES.selected_columns)
    return entry_of_rows(rows), [of_row(row[split + 1 :]) for row in rows if row[split] is not None]


def with_holders(reader: sa.Connection, number: str) -> tuple[Account, list[Holder]] | None:
    """The customers' account of this number, if there is one, and who may use it: owners first, by number."""
    query = (
        _QUERY.add_columns(*_HOLDER_COLUMNS)
        .outerjoin(account_holders, account_holders.c.account_id == accounts.c.id)
        .outerjoin(customers, customers.c.id == account_holders.c.customer_id)
        .where(ledger_accounts.c.number == number)
        .order_by(*_HOLDER_ORDER)
    )
    rows = reader.execute(query).all()
    split = len(_QUERY.selected_columns)
    return (of_row(rows[0][:split]), [Holder(*row[split:]) for row in rows if row[split]]) if rows else None


def listing(*, status: str | None) -> sa.Select[Any]:
    """The query of all customers' accounts of one status, or of all; `of_row` reads what it finds."""
    return _QUERY if status is None else _QUERY.where(ledger_accounts.c.status == status)


def holders(reader: sa.Connection, account_id: int) -> list[Holder]:
    """Who may use the account: owners first, by number."""
    return [Holder(*row) for row in reader.execute(_HOLDERS, {"account": account_id})]


def holders_of(reader: sa.Connection, account_ids: Collection[int]) -> dict[int, list[Holder]]:
    """Who may use each of these accounts: owners first, by number; what is no customers' account is left out."""
    c = account_holders.c
    query = sa.select(c.account_id, *_HOLDER_COLUMNS).join_from(account_holders, customers)
    found = defaultdict[int, list[Holder]](list)
    for account_id, *holder in reader.execute(
        query.where(c.account_id.in_(list(account_ids))).order_by(*_HOLDER_ORDER)
    ):
        found[account_id].append(Holder(*holder))
    return found


def owners(reader: sa.Connection, account_id: int) -> set[int]:
    """The ids of the customers who own the account."""
    c = account_holders.c
    return set(reader.execute(sa.select(c.customer_id).where(c.account_id == account_id, c.role == "owner")).scalars())


def owner_names(reader: sa.Connection, account_ids: Collection[int]) -> dict[int, list[str]]:
    """What the owners of each of these accounts are called; what is no customers' account is left out."""
    found = defaultdict[int, list[str]](list)
    if account_ids:
        query = (
            sa.select(account_holders.c.account_id, customers.c.name)
            .join_from(account_holders, customers)
            .where(account_holders.c.account_id.in_(list(account_ids)), account_holders.c.role == "owner")
            .order_by(customers.c.number)
        )
        for account_id, name in reader.execute(query):
            found[account_id].append(name)
    return found
