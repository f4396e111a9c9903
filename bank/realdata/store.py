"""What of a folder is in the bank already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

import sqlalchemy as sa

from bank.audit.store import audit_records
from bank.customers.store import customers
from bank.ledger.tables import journal_entries, ledger_accounts

T = TypeVar("T")


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, `size` at a time."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def account_ids(reader: sa.Connection, numbers: Iterable[str]) -> dict[str, int]:
    """The ledger ids of those of these accounts that exist, by number."""
    return _ids(reader, ledger_accounts, numbers)


def customer_ids(reader: sa.Connection, numbers: Iterable[str]) -> dict[str, int]:
    """The ids of those of these customers that exist, by number."""
    return _ids(reader, customers, numbers)


def _ids(reader: sa.Connection, table: sa.Table, numbers: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in batches(numbers, 500):
        rows = reader.execute(sa.select(table.c.number, table.c.id).where(table.c.number.in_(some)))
        found |= {row.number: row.id for row in rows}
    return found


def imported(reader: sa.Connection, who: str, action: str) -> set[str]:
    """The subjects (like `account:17`) to which `who` has done `action`."""
    mine = (audit_records.c.who == who, audit_records.c.action == action)
    return set(reader.execute(sa.select(audit_records.c.subject).where(*mine)).scalars())


def booked_keys(reader: sa.Connection, caller: str) -> set[str]:
    """The idempotency keys of all that `caller` has had booked."""
    booked = (journal_entries.c.caller == caller, journal_entries.c.refusal.is_(None))
    return set(reader.execute(sa.select(journal_entries.c.idempotency_key).where(*booked)).scalars())
