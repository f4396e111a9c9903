"""What the surviving database holds, read whole, and how the customers' accounts stood when the drill began."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bank.ledger import verify
from bank.ledger.tables import journal_entries, ledger_accounts, postings
from tests.builders import a_bank


@dataclass(frozen=True, slots=True)
class Line:
    """A posting on a customer's account: `minor` is what it changed, below zero when it went out."""

    account: str
    seq: int
    minor: int
    balance_after: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A journal entry since the drill began, with its postings on customers' accounts."""

    id: int
    key: str
    kind: str
    reference: str
    refused: bool
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Opening:
    """Each account's balance in minor units and its number of postings; the newest entry."""

    accounts: dict[str, tuple[int, int]]
    last_entry: int

    @classmethod
    def of(cls, plan: dict[str, Any]) -> Opening:
        """As the plan says."""
        told = plan["opening"]
        accounts = {number: (balance, version) for number, (balance, version) in told["accounts"].items()}
        return cls(accounts, told["last_entry"])

    @property
    def total(self) -> int:
        """All customers' money."""
        return sum(balance for balance, _ in self.accounts.values())


@dataclass(frozen=True, slots=True)
class LedgerRead:
    """The entries since the opening, the accounts' rows as (balance, number of postings), and what `verify` found."""

    entries: tuple[Entry, ...]
    accounts: dict[str, tuple[int, int]]
    findings: tuple[str, ...] = ()


def read_ledger(url: str, opening: Opening) -> LedgerRead:
    """Read the database at `url` as of one instant, and verify its whole ledger."""
    bank = a_bank(url)
    try:
        with bank.snapshot() as reader:
            accounts = _accounts(reader, opening)
            return LedgerRead(_entries(reader, opening), accounts, tuple(map(str, verify.verify(reader))))
    finally:
        bank.engine.dispose()


def _accounts(reader: sa.Connection, opening: Opening) -> dict[str, tuple[int, int]]:
    c = ledger_accounts.c
    query = sa.select(c.number, c.balance, c.version).where(c.number.in_(list(opening.accounts)))
    return {number: (balance, version) for number, balance, version in reader.execute(query)}


def _entries(reader: sa.Connection, opening: Opening) -> tuple[Entry, ...]:
    lines: defaultdict[int, list[Line]] = defaultdict(list)
    p, a = postings.c, ledger_accounts.c
    query = sa.select(p.entry_id, a.number, p.seq, p.side, p.minor_units, p.balance_after).join_from(
        postings, ledger_accounts
    )
    for entry_id, number, seq, side, minor, after in reader.execute(query.where(a.number.in_(list(opening.accounts)))):
        # A customer's account is the bank's debt: a credit raises it.
        lines[entry_id].append(Line(number, seq, minor if side == "credit" else -minor, after))
    e = journal_entries.c
    asked = sa.select(e.id, e.idempotency_key, e.kind, e.narrative, e.refusal).where(e.id > opening.last_entry)
    return tuple(
        Entry(entry_id, key, kind, narrative, refusal is not None, tuple(lines[entry_id]))
        for entry_id, key, kind, narrative, refusal in reader.execute(asked.order_by(e.id))
    )
