"""Who stands on the other side of a movement, as one customer may know them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bank.accounts.model import product_name
from bank.accounts.store import account_holders, accounts, owner_names
from bank.language import together
from bank.ledger.model import Side
from bank.ledger.tables import journal_entries, ledger_accounts, postings
from bank.payments.store import payees

#: An account's movement: the account's id and the entry's.
Movement = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Counterparty:
    """The other side of a movement. `name` is empty when the customer never named whom they paid: the number says it.

    `own`: the other account is this customer's too, and `name` is what it is called.
    """

    name: str
    number: str
    own: bool
    account_id: int


def of_entries(
    reader: sa.Connection, mine: Collection[int], entry_ids: Collection[int], customer_id: int
) -> dict[Movement, Counterparty]:
    """Who paid or was paid, for each movement that these entries made on the accounts `mine`, in two queries.

    Whom the customer paid is called as the customer calls them, for the holder's name is not theirs to see; who paid
    the customer is called by the account's owners. A movement without another customer's account (cash, a fee), or
    with several, is left out: what happened says enough.
    """
    others = _others(reader, mine, entry_ids, customer_id)
    owners = owner_names(reader, {row.other_id for row in others.values() if _may_see_owners(row)})
    return {movement: _counterparty(row, owners) for movement, row in others.items()}


def _others(
    reader: sa.Connection, mine: Collection[int], entry_ids: Collection[int], customer_id: int
) -> dict[Movement, Any]:
    if not mine or not entry_ids:
        return {}
    other = postings.alias("other")
    query = (
        sa.select(
            postings.c.account_id,
            postings.c.entry_id,
            postings.c.side,
            journal_entries.c.kind,
            other.c.account_id.label("other_id"),
            ledger_accounts.c.number,
            accounts.c.product,
            payees.c.name.label("payee_name"),
            account_holders.c.customer_id.label("mine_too"),
        )
        .select_from(postings)
        .join(journal_entries, journal_entries.c.id == postings.c.entry_id)
        .join(other, sa.and_(other.c.entry_id == postings.c.entry_id, other.c.side != postings.c.side))
        .join(ledger_accounts, ledger_accounts.c.id == other.c.account_id)
        .join(accounts, accounts.c.id == other.c.account_id)
        .outerjoin(payees, sa.and_(payees.c.account_id == accounts.c.id, payees.c.customer_id == customer_id))
        .outerjoin(
            account_holders,
            sa.and_(account_holders.c.account_id == accounts.c.id, account_holders.c.customer_id == customer_id),
        )
        .where(postings.c.entry_id.in_(list(entry_ids)), postings.c.account_id.in_(list(mine)))
    )
    found = defaultdict(list)
    for row in reader.execute(query):
        found[row.account_id, row.entry_id].append(row)
    return {movement: rows[0] for movement, rows in found.items() if len(rows) == 1}


def _may_see_owners(row: Any) -> bool:
    """Did they pay this customer first? What comes back of the customer's own payment names nobody."""
    return not row.mine_too and (row.side == Side.CREDIT) != (row.kind == "reversal")


def _counterparty(row: Any, owners: dict[int, list[str]]) -> Counterparty:
    if row.mine_too:
        name = product_name(row.product)
    elif _may_see_owners(row):
        name = together(owners[row.other_id])
    else:
        name = row.payee_name or ""
    return Counterparty(name, row.number, bool(row.mine_too), row.other_id)
