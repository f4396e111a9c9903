"""A bank with some of everything in it: for tests that verify, tamper or move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from bank.accounts import service as accounts
from bank.audit.model import Author
from bank.customers import service as customers
from bank.customers.identity_number import SealedIdentity
from bank.customers.model import CustomerDetails
from bank.storage.transaction import Bank
from tests.ledger import NOON, OWNER
from tests.scenario import Scenario

NAMES = {"alice": "Zoë Ålund-O’Brien", "bob": "李小龍 😀", "carol": "عائشة بنت محمد"}

STORY = """
    deposit  alice  100.00  as first
    deposit  bob     20.00
    deposit  carol    7.00
    pay      alice  bob  30.00  narrative='Für Elise 🎹'  as paid
    transfer alice  bob   5.00  as mistake
    reverse  mistake  as undone
    withdraw bob   500.00  as poor  refused insufficient_funds account=bob available=50.00 needed=500.00
    hold     alice  30.00  expires=+1h  as dinner
    capture  dinner 20.00  as part
    hold     bob     5.00  as room
    release  room  as freed
    entry    debit alice 1.00 credit fee_income 1.00  as fee
"""


@dataclass(frozen=True, slots=True)
class Furnished:
    """The bank, and the ids of what is in it by name: accounts and entries."""

    bank: Bank
    ids: Mapping[str, int]


def furnish(bank: Bank) -> Furnished:
    """Let three customers in every script open accounts, pay, be refused, reserve and reverse."""
    story = Scenario(bank)
    ids = {}
    for name, full_name in NAMES.items():
        currency = "EUR" if name == "carol" else "USD"
        ids[f"{name}_customer"], account = bank.run(a_customer, full_name, currency, by=OWNER)
        story.accounts[name] = account
        story.currencies[account] = currency
    story.play(STORY)
    return Furnished(bank, {**ids, **story.accounts, **story.entries})


def a_customer(tx: sa.Connection, name: str, currency: str, *, by: Author) -> tuple[int, int]:
    """Register a customer with a current account; answers the customer's id and the account's."""
    sealed = SealedIdentity(sealed=f"sealed {name}", digest=name.encode().hex()[:64])
    details = CustomerDetails(
        name=name, birth_date=NOON.date().replace(year=1980), address="1 High Street", city="Umeå"
    )
    customer = customers.register(tx, details, sealed, [], by=by)
    return customer.id, accounts.open_account(tx, customer, "current", currency, by=by).id
