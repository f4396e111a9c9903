"""The customers' table and its reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from bank.language import folded
from bank.storage.dialects import dialect_of
from bank.storage.metadata import MYSQL_OPTIONS, ExactText, Id, Instant, metadata

customers = sa.Table(
    "customers",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("number", ExactText(12), nullable=False, unique=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("search_name", sa.String(400), nullable=False, index=True),
    # The older app kept only an age: its customers have no birth date until somebody asks for it.
    sa.Column("birth_date", sa.Date),
    sa.Column("address", sa.String(300), nullable=False),
    sa.Column("city", sa.String(100), nullable=False),
    sa.Column("region", sa.String(100), nullable=False),
    sa.Column("postcode", sa.String(20), nullable=False),
    sa.Column("email", sa.String(254), nullable=False),
    sa.Column("phone", sa.String(40), nullable=False),
    sa.Column("identity_sealed", sa.Text),
    sa.Column("identity_digest", sa.String(64), unique=True),
    sa.Column("status", sa.String(10), nullable=False, server_default="active"),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("status IN ('active', 'inactive')", name="status"),
    **MYSQL_OPTIONS,
)


customer_warnings = sa.Table(
    "customer_warnings",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("customer_id", Id, sa.ForeignKey("customers.id"), nullable=False, index=True),
    sa.Column("told", sa.String(300), nullable=False),
    # Whoever opens this customer's record says why; the audit trail keeps it.
    sa.Column("needs_reason", sa.Boolean, nullable=False),
    sa.Column("raised_by", sa.String(100), nullable=False),
    sa.Column("raised_at", Instant, nullable=False),
    sa.Column("lifted_by", sa.String(100)),
    sa.Column("lifted_at", Instant),
    **MYSQL_OPTIONS,
)


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer as recorded; the identity number is sealed."""

    id: int
    number: str
    name: str
    birth_date: date | None
    address: str
    city: str
    region: str
    postcode: str
    email: str
    phone: str
    identity_sealed: str | None
    status: str
    created_at: datetime

    @property
    def active(self) -> bool:
        """May this customer's accounts be used?"""
        return self.status == "active"

    def __str__(self) -> str:
        """How an audit record names the customer."""
        return f"customer:{self.id}"


_COLUMNS = [customers.c[field] for field in Customer.__dataclass_fields__]


def by_id(reader: sa.Connection, customer_id: int) -> Customer | None:
    """The customer, if there is one."""
    return _first(reader, sa.select(*_COLUMNS).where(customers.c.id == customer_id))


def by_number(reader: sa.Connection, number: str) -> Customer | None:
    """The customer of this number, if there is one."""
    return _first(reader, sa.select(*_COLUMNS).where(customers.c.number == number))


def by_identity(reader: sa.Connection, digests: list[str]) -> Customer | None:
    """The customer whose identity number has one of these digests, if there is one."""
    return _first(reader, sa.select(*_COLUMNS).where(customers.c.identity_digest.in_(digests)))


def lock(tx: sa.Connection, customer_id: int) -> Customer | None:
    """The customer, locked until the transaction ends."""
    return _first(tx, dialect_of(tx).lock(sa.select(*_COLUMNS).where(customers.c.id == customer_id)))


def named_like(reader: sa.Connection, name: str, *, after: str | None, limit: int) -> list[Customer]:
    """The first `limit` customers after number `after` whose name contains `name`, by number."""
    looked_for = folded(name)
    if not looked_for:
        return []
    pattern = looked_for.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    query = sa.select(*_COLUMNS).where(customers.c.search_name.like(f"%{pattern}%", escape="\\"))
    return _page(reader, query, after, limit)


def listing(*, status: str | None) -> sa.Select[Any]:
    """The query of all customers of one status, or of both; each row is a `Customer`'s fields."""
    query = sa.select(*_COLUMNS)
    return query if status is None else query.where(customers.c.status == status)


def _page(reader: sa.Connection, query: sa.Select[Any], after: str | None, limit: int) -> list[Customer]:
    if after is not None:
        query = query.where(customers.c.number > after)
    return [Customer(*row) for row in reader.execute(query.order_by(customers.c.number).limit(limit))]


def _first(reader: sa.Connection, query: sa.Select[Any]) -> Customer | None:
    row = reader.execute(query).first()
    return Customer(*row) if row else None
