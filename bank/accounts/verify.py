"""What must hold between customers' accounts and the ledger accounts that they are."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from bank.language import marked as _
from bank.ledger.invariants import Invariant
from bank.ledger.verify import Finding, breaches

_PRODUCTS = "('current', 'savings')"

INVARIANTS: Final = (
    Invariant(
        "account_without_ledger",
        "account",
        _("Each customer's account is kept in the ledger."),
        "A customer holds it as a {product} account, but the ledger has none of that kind.",
        """SELECT c.id AS subject, c.product AS product
           FROM accounts c LEFT JOIN ledger_accounts a ON a.id = c.id AND a.chart_code = c.product
           WHERE a.id IS NULL""",
    ),
    Invariant(
        "ledger_without_account",
        "account",
        _("Each account that the ledger keeps for a customer is a customer's."),
        "The ledger keeps it as a customer's {chart_code} account, but no customer's account is it.",
        f"""SELECT a.id AS subject, a.chart_code AS chart_code
            FROM ledger_accounts a LEFT JOIN accounts c ON c.id = a.id
            WHERE a.chart_code IN {_PRODUCTS} AND c.id IS NULL""",
    ),
    Invariant(
        "no_floor",
        "account",
        _("Every customer's account is guarded against being overdrawn."),
        "It is a customer's, and nothing keeps it from being overdrawn.",
        f"SELECT a.id AS subject FROM ledger_accounts a WHERE a.chart_code IN {_PRODUCTS} AND a.floor IS NULL",
    ),
    Invariant(
        "unknown_holder",
        "account",
        _("Each holder of an account is a customer."),
        "Its holder {customer} does not exist, or the account itself does not.",
        """SELECT h.account_id AS subject, h.customer_id AS customer
           FROM account_holders h LEFT JOIN accounts c ON c.id = h.account_id
                LEFT JOIN customers u ON u.id = h.customer_id
           WHERE c.id IS NULL OR u.id IS NULL""",
    ),
)


def verify(reader: sa.Connection) -> list[Finding]:
    """All that is broken between accounts and ledger; `reader` must see one instant throughout."""
    return list(breaches(reader, INVARIANTS))
