"""The cases' table and its reads."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from bank.cases.model import Case
from bank.customers.store import customer_warnings, customers
from bank.identity.store import staff
from bank.storage.dialects import dialect_of
from bank.storage.metadata import MYSQL_OPTIONS, ExactText, Id, Instant, metadata

# What waits for the branch: a customer's report of a problem, a till that did not balance.
cases = sa.Table(
    "cases",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("operation", ExactText(100), nullable=False, unique=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("customer_id", Id, index=True),
    sa.Column("account_id", Id),
    sa.Column("entry_id", Id, index=True),
    sa.Column("told", sa.String(1000), nullable=False),
    sa.Column("opened_by", sa.String(100), nullable=False),
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("taken_by", sa.String(100)),
    sa.Column("taken_at", Instant),
    sa.Column("answer", sa.String(1000)),
    sa.Column("closed_by", sa.String(100)),
    sa.Column("closed_at", Instant),
    sa.Index("ix_cases_closed_at", "closed_at", "id"),
    sa.CheckConstraint("kind IN ('problem', 'till_difference')", name="kind"),
    **MYSQL_OPTIONS,
)

_opener, _worker = staff.alias("opener"), staff.alias("worker")


def _is(person: sa.FromClause, who: sa.Column[str]) -> sa.ColumnElement[bool]:
    """Does a text like `staff:3` name this person?"""
    return sa.literal("staff:") + sa.cast(person.c.id, sa.String(20)) == who


_guarded = (
    sa.exists()
    .where(
        customer_warnings.c.customer_id == cases.c.customer_id,
        customer_warnings.c.needs_reason,
        customer_warnings.c.lifted_at.is_(None),
    )
    .label("guarded")
)
_QUERY = sa.select(
    cases.c.id, cases.c.kind, cases.c.customer_id, cases.c.entry_id, cases.c.told, cases.c.opened_by, cases.c.opened_at,
    cases.c.taken_by, cases.c.taken_at, cases.c.answer, cases.c.closed_by, cases.c.closed_at,
    customers.c.number, customers.c.name, _opener.c.name.label("opener_name"), _worker.c.name.label("worker_name"), _guarded,
).select_from(
    cases.outerjoin(customers, customers.c.id == cases.c.customer_id)
    .outerjoin(_opener, _is(_opener, cases.c.opened_by))
    .outerjoin(_worker, _is(_worker, cases.c.taken_by))
)  # fmt: skip


def of_row(row: Any) -> Case:
    """The case in a row of `queue`."""
    return Case(*row)


def queue(kinds: Collection[str], *, closed: bool) -> sa.Select[Any]:
    """The cases of these kinds that wait for an answer, or those that had theirs."""
    answered = cases.c.closed_at.is_not(None) if closed else cases.c.closed_at.is_(None)
    return _QUERY.where(answered, cases.c.kind.in_(kinds))


def by_id(reader: sa.Connection, case_id: int) -> Case | None:
    """The case, if there is one."""
    return _first(reader, _QUERY.where(cases.c.id == case_id))


def lock(tx: sa.Connection, case_id: int) -> Case | None:
    """The case, locked until the transaction ends."""
    tx.execute(dialect_of(tx).lock(sa.select(cases.c.id).where(cases.c.id == case_id)))
    return by_id(tx, case_id)


def by_operation(reader: sa.Connection, operation: str) -> Case | None:
    """The case that this operation opened, if it did."""
    return _first(reader, _QUERY.where(cases.c.operation == operation))


def of_customer(reader: sa.Connection, customer_id: int, *, before: int | None, limit: int) -> list[Case]:
    """The `limit` cases that this customer reported just before id `before` (None: the newest), newest first."""
    query = _QUERY.where(cases.c.customer_id == customer_id)
    if before is not None:
        query = query.where(cases.c.id < before)
    return _all(reader, query.order_by(cases.c.id.desc()).limit(limit))


def about_entry(reader: sa.Connection, customer_id: int, entry_id: int) -> Case | None:
    """The newest case that this customer reported about the entry, if any."""
    query = _QUERY.where(cases.c.customer_id == customer_id, cases.c.entry_id == entry_id)
    return _first(reader, query.order_by(cases.c.id.desc()).limit(1))


def difference_of(reader: sa.Connection, entry_id: int) -> Case | None:
    """The case about the till difference that this entry booked, if there is one."""
    return _first(reader, _QUERY.where(cases.c.entry_id == entry_id, cases.c.kind == "till_difference"))


def count_open(reader: sa.Connection, kinds: Collection[str]) -> int:
    """How many cases of these kinds wait for an answer."""
    query = sa.select(sa.func.count()).where(cases.c.closed_at.is_(None), cases.c.kind.in_(kinds))
    return reader.execute(query).scalar_one()


def _first(reader: sa.Connection, query: sa.Select[Any]) -> Case | None:
    return next(iter(_all(reader, query)), None)


def _all(reader: sa.Connection, query: sa.Select[Any]) -> list[Case]:
    return [Case(*row) for row in reader.execute(query)]
