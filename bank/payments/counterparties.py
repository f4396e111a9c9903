"""Who stands on the other side of a movement, as one customer may know them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from bank.accounts.model import product_name
from bank.accounts.store import account_holders, accounts
from bank.customers.store import customers
from bank.language import together
from bank.ledger.model import Side
from bank.ledger.tables import journal_entries, ledger_accounts, postings
from bank.payments.store import payees

#: An account's movement: the account's id and the entry's.
Movement = tuple[int, int]
#: The order of the owners in what `with_others` finds, who are named in it.
OWNERS: Final = customers.c.number


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
    """Who paid or was paid, for each movement that these entries made on the accounts `mine`.

    Whom the customer paid is called as the customer calls them, for the holder's name is not theirs to see; who paid
    the customer is called by the account's owners. A movement without another customer's account (cash, a fee), or
    with several, is left out: what happened says enough.
    """
    if not mine or not entry_ids:
        return {}
    found = defaultdict(list)
    for row in reader.execute(with_others(movements_of(mine, entry_ids), customer_id).order_by(OWNERS)):
        found[row.account_id, row.entry_id].append(row)
    return {movement: other for movement, rows in found.items() if (other := other_of_rows(rows))}


def movements_of(mine: Collection[int], entry_ids: Collection[int]) -> sa.Subquery:
    """The movements that these entries made on the accounts `mine`, for `with_others`."""
    return (
        sa.select(postings.c.account_id, postings.c.entry_id, postings.c.side, journal_entries.c.kind)
        .join_from(postings, journal_entries)
        .where(postings.c.entry_id.in_(list(entry_ids)), postings.c.account_id.in_(list(mine)))
        .subquery("these")
    )


def with_others(these: sa.FromClause, customer_id: int | sa.BindParameter[int]) -> sa.Select[Any]:
    """The query of movements (`account_id`, `entry_id`, `side`, `kind`, and what else they have) with the other side of each.

    `other_of_rows` reads what it finds: a row for each owner of each account of the other side, at least one. Whoever
    orders them puts `OWNERS` last.
    """
    other, theirs, owners = postings.alias("other"), account_holders.alias("theirs"), account_holders.alias("owners")
    mine_too = sa.and_(theirs.c.account_id == accounts.c.id, theirs.c.customer_id == customer_id)
    return (
        sa.select(
            *these.c,
            accounts.c.id.label("other_id"),
            other.c.seq.label("other_seq"),
            ledger_accounts.c.number,
            accounts.c.product,
            payees.c.name.label("payee_name"),
            theirs.c.customer_id.label("mine_too"),
            customers.c.name.label("owner_name"),
        )
        .select_from(these)
        .outerjoin(other, sa.and_(other.c.entry_id == these.c.entry_id, other.c.side != these.c.side))
        .outerjoin(accounts, accounts.c.id == other.c.account_id)
        .outerjoin(ledger_accounts, ledger_accounts.c.id == accounts.c.id)
        .outerjoin(payees, sa.and_(payees.c.account_id == accounts.c.id, payees.c.customer_id == customer_id))
        .outerjoin(theirs, mine_too)
        .outerjoin(owners, sa.and_(owners.c.account_id == accounts.c.id, owners.c.role == "owner"))
        .outerjoin(customers, customers.c.id == owners.c.customer_id)
    )


def other_of_rows(rows: Sequence[Any]) -> Counterparty | None:
    """Who is on the other side of the one movement in these rows of `with_others`, as `of_entries` says."""
    theirs = [row for row in rows if row.other_id is not None]
    if len({(row.other_id, row.other_seq) for row in theirs}) != 1:
        return None
    row = theirs[0]
    if row.mine_too:
        name = product_name(row.product)
    elif (row.side == Side.CREDIT) != (row.kind == "reversal"):
        name = together(row.owner_name for row in theirs if row.owner_name is not None)
    else:
        # The customer paid them first: what comes back of one's own payment names nobody either.
        name = row.payee_name or ""
    return Counterparty(name, row.number, bool(row.mine_too), row.other_id)
