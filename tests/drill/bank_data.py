"""The customers of the drill: a bank made by the bank's own services, and the plan by which programs act for them."""

from __future__ import annotations

import random
from typing import Any, Final

import sqlalchemy as sa

from bank.accounts import service as accounts
from bank.identity.store import api_tokens
from bank.ledger.tables import journal_entries, ledger_accounts
from bank.payments.store import payees
from tests.builders import Branch, a_bank

CUSTOMERS: Final = 40
#: So many of them have next to nothing, so that some payments are rightly refused.
POOR: Final = 3
#: So many have browsers, and so open page after page in them; the others have programs alone.
BROWSERS: Final = 12
RICH_MINOR: Final = 5_000_00
POOR_MINOR: Final = 4_00
PAYEES: Final = 15
#: The auditor's: each token has a rate of calls of its own.
AUDITORS_TOKENS: Final = 8


def make_bank(url: str, *, customers: int = CUSTOMERS, seed: int = 1) -> dict[str, Any]:
    """Fill the empty, migrated bank at `url`, the application's; answers the plan of who is there, which is JSON.

    Half of the customers live in each region. Each has an account, a token, a session of a browser and payees; an
    auditor may use all their accounts, and so reads all balances by one call.
    """
    bank = a_bank(url)
    try:
        return _furnish(Branch.open(bank), customers, random.Random(seed))
    finally:
        bank.engine.dispose()


def _furnish(branch: Branch, customers: int, rng: random.Random) -> dict[str, Any]:
    names = [f"customer{number}" for number in range(customers)]
    auditor = branch.add_customer("auditor", "Ada Auditor", "900-00-0000")
    plans = []
    for number, name in enumerate(names):
        branch.add_customer(name, f"Person {number}", f"{100 + number}-45-6789")
        opening = POOR_MINOR if number < POOR else RICH_MINOR
        account = branch.open_account(name, "current", opening)
        branch.bank.run(accounts.add_holder, account, auditor, "authorised", by=branch.author())
        plans.append(
            {
                "name": name,
                "home": ("east", "west")[number % 2],
                "account": account.number,
                "browses": POOR <= number < POOR + BROWSERS,
                "token": branch.token_of(name, "accounts:read", "payments:write")[1],
                "session": branch.session_of(name),
            }
        )
    _befriend(branch, names, plans, rng)
    tokens = [branch.token_of("auditor", "accounts:read")[1] for _ in range(AUDITORS_TOKENS)]
    # A token's first use of a day is written down: not what is measured here, and once a day with real customers.
    today = branch.bank.clock.business_date()
    branch.bank.run(lambda tx: tx.execute(api_tokens.update().values(last_used_on=today)))
    return {"currency": "USD", "customers": plans, "auditor": tokens, "opening": _opening(branch, plans)}


def _befriend(branch: Branch, names: list[str], plans: list[dict[str, Any]], rng: random.Random) -> None:
    """Let each customer know whom they pay: a number that nobody named is looked at longer, and seldom."""
    now, rows = branch.bank.clock.now(), []
    for name, plan in zip(names, plans, strict=True):
        others = rng.sample([each for each in names if each != name], min(PAYEES, len(names) - 1))
        plan["pays"] = [branch.number(f"{other}_current") for other in others]
        for other in others:
            account_id = branch.accounts[f"{other}_current"].id
            named = {"name": f"Person {other.removeprefix('customer')}", "name_check": "match", "created_at": now}
            rows.append({"customer_id": branch.customer(name).id, "account_id": account_id, **named})
    branch.bank.run(lambda tx: tx.execute(payees.insert(), rows))


def _opening(branch: Branch, plans: list[dict[str, Any]]) -> dict[str, Any]:
    """How the customers' accounts stand before anybody pays: balance in minor units, and number of postings."""
    numbers = [plan["account"] for plan in plans]
    c = ledger_accounts.c
    query = sa.select(c.number, c.balance, c.version).where(c.number.in_(numbers))
    [(last,)] = branch.rows(sa.select(sa.func.max(journal_entries.c.id)))
    accounts = {number: [balance, version] for number, balance, version in branch.rows(query)}
    return {"accounts": accounts, "last_entry": last}
