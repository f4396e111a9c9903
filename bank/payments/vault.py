"""The vault: cash that no till holds. Tills take from it and give to it; executives take in and hand back what is delivered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bank.audit.model import Author
from bank.errors import Missing
from bank.identity.store import staff
from bank.language import gettext as _
from bank.ledger import service as ledger
from bank.ledger import store as ledger_store
from bank.ledger.model import Outcome, Posting
from bank.ledger.store import LedgerAccount
from bank.ledger.tables import ledger_accounts
from bank.money import Money
from bank.payments.model import KINDS, Receipt
from bank.payments.service import TillTooLow, VaultTooLow, entry_by, move, out_of_cash, receipt_of
from bank.payments.store import till_counts
from bank.storage.transaction import Bank

_Sides = Callable[[sa.Connection, int], tuple[Posting, Posting]]


class NoSuchTill(Missing):
    """There is no such till, or none this person may see."""

    code = "no_such_till"

    def __init__(self) -> None:
        super().__init__(_("There is no such till."))


@dataclass(frozen=True, slots=True)
class TillRow:
    """A till as it stands. `name` is whose it is, None: nobody's at present; the last three are of its last count."""

    id: int
    number: str
    balance: Money
    guarded: bool
    name: str | None
    count_id: int | None
    counted_at: datetime | None
    difference: Money | None


def supply_till(bank: Bank, till_id: int, amount: Money, *, key: str, by: Author, note: str = "") -> Receipt:
    """Take cash out of the vault into a till.

    Raises:
        VaultTooLow: there is less in the vault.
    """
    return _carry(
        bank, "till_supply", amount, lambda _tx, vault: move(till_id, vault, amount), key=key, by=by, note=note
    )


def return_from_till(bank: Bank, till_id: int, amount: Money, *, key: str, by: Author, note: str = "") -> Receipt:
    """Give cash out of a till to the vault.

    Raises:
        TillTooLow: there is less in the till.
    """
    with out_of_cash(till_id, TillTooLow):
        return _carry(
            bank, "till_return", amount, lambda _tx, vault: move(vault, till_id, amount), key=key, by=by, note=note
        )


def receive(bank: Bank, amount: Money, *, key: str, by: Author, note: str = "") -> Receipt:
    """Take in cash that was delivered to the bank, which it owes whoever cleared it."""

    def sides(tx: sa.Connection, vault_id: int) -> tuple[Posting, Posting]:
        return move(vault_id, ledger.bank_account(tx, "clearing", amount.currency, at=by.at).id, amount)

    return _carry(bank, "vault_supply", amount, sides, key=key, by=by, note=note)


def hand_back(bank: Bank, amount: Money, *, key: str, by: Author, note: str = "") -> Receipt:
    """Hand cash of the vault to whoever collects it.

    Raises:
        VaultTooLow: there is less in the vault.
    """

    def sides(tx: sa.Connection, vault_id: int) -> tuple[Posting, Posting]:
        return move(ledger.bank_account(tx, "clearing", amount.currency, at=by.at).id, vault_id, amount)

    return _carry(bank, "vault_return", amount, sides, key=key, by=by, note=note)


def _carry(bank: Bank, kind: str, amount: Money, sides: _Sides, *, key: str, by: Author, note: str) -> Receipt:
    def use_case(tx: sa.Connection) -> tuple[Outcome, int]:
        vault = ledger.bank_account(tx, "vault", amount.currency, at=by.at)
        [outcome] = ledger.post_in(tx, [entry_by(by, key, kind, note or KINDS[kind], sides(tx, vault.id))])
        return outcome, vault.id

    outcome, vault_id = bank.run(use_case)
    with out_of_cash(vault_id, VaultTooLow):
        return receipt_of(outcome)


def held(reader: sa.Connection, currency: str) -> LedgerAccount | None:
    """The vault as it stands; None before anything was put in."""
    return ledger_store.account_by_number(reader, f"vault-{currency}")


def by_number(reader: sa.Connection, number: str) -> TillRow | None:
    """The till or vault of this number, if there is one."""
    kept_here = ledger_accounts.c.chart_code.in_(("cash", "vault"))
    row = reader.execute(_QUERY.where(kept_here, ledger_accounts.c.number == number)).first()
    return of_row(row) if row else None


def listing() -> sa.Select[Any]:
    """The query of all tills; `of_row` reads what it finds."""
    return _QUERY.where(ledger_accounts.c.chart_code == "cash")


def of_row(row: Sequence[Any]) -> TillRow:
    """The till of one row of `listing`."""
    till_id, number, balance, currency, floor, name, count_id, counted_at, counted, expected = row
    return TillRow(
        till_id,
        number,
        Money(balance, currency),
        floor is not None,
        name,
        count_id,
        counted_at,
        Money(counted - expected, currency) if count_id else None,
    )


_LAST_COUNT = (
    sa.select(sa.func.max(till_counts.c.id))
    .where(till_counts.c.till_account_id == ledger_accounts.c.id)
    .correlate(ledger_accounts)
    .scalar_subquery()
)
_QUERY = sa.select(
    ledger_accounts.c.id, ledger_accounts.c.number, ledger_accounts.c.balance, ledger_accounts.c.currency,
    ledger_accounts.c.floor, staff.c.name, till_counts.c.id, till_counts.c.counted_at, till_counts.c.counted, till_counts.c.expected,
).select_from(
    ledger_accounts.outerjoin(staff, staff.c.till_account_id == ledger_accounts.c.id)
    .outerjoin(
        till_counts, sa.and_(till_counts.c.till_account_id == ledger_accounts.c.id, till_counts.c.id == _LAST_COUNT)
    )
)  # fmt: skip
