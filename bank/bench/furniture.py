"""A bank to measure: people, accounts, tokens and payees in bulk, and money on the accounts by the door itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from bank.accounts.store import account_holders, accounts
from bank.audit.model import Author
from bank.customers.store import customers
from bank.identifiers import with_check_digit
from bank.identity import tokens
from bank.identity.passwords import Passwords
from bank.identity.store import api_tokens, customer_logins
from bank.ledger import service as ledger
from bank.ledger.model import JournalEntry, Posted, Posting, Side
from bank.ledger.tables import ledger_accounts
from bank.money import Money
from bank.payments.store import payees
from bank.storage.dialects import dialect_of
from bank.storage.dialects.base import in_transaction
from bank.storage.engine import make_engine
from bank.storage.transaction import Bank

WHO: Final = "cli:bench"
#: On each account at first, in minor units: no run spends it.
EACH: Final = 10_000_000_00
#: How many others each customer pays, in turn.
PAYEES: Final = 20
PASSWORD: Final = "a bench in the park"  # noqa: S105
#: As little as the settings allow: log-ins are not what is measured.
PASSWORD_MEMORY_KIB: Final = 8192
_FIRST_CUSTOMER: Final = 120_000_000
_FIRST_ACCOUNT: Final = 360_000_000
_AT_ONCE: Final = 500
_ROWS: Final = 5_000
#: Since when the bank is open.
AGE: Final = timedelta(days=730)


@dataclass(frozen=True, slots=True)
class Person:
    """A customer with one account and one token, who may pay the accounts of `pays`, by their numbers."""

    number: str
    account_id: int
    account: str
    token: str
    pays: tuple[str, ...]


def furnish(bank: Bank, migrator_url: str, accounts_in_all: int, *, people: int = 0) -> list[Person]:
    """Fill an empty bank with accounts, each with its holder and money on it; answers the first `people` of them.

    They can log in with PASSWORD, have a token, and know whom they pay and account 1. `migrator_url` is who may write every row.
    """
    now = bank.clock.now()
    began = now - AGE
    engine = make_engine(migrator_url)
    try:
        with engine.connect() as tx, in_transaction(tx, dialect_of(tx).begin):
            for table, rows in (*_accounts(accounts_in_all, bank.settings.currency, began), *_people(people, now)):
                for some in _in_batches(rows):
                    tx.execute(table.insert(), some)
                if "id" in table.c and table is not accounts:
                    dialect_of(tx).continue_ids(tx, table.name, "id")
    finally:
        engine.dispose()
    _fund(bank, accounts_in_all, began)
    return [
        Person(
            _customer(i),
            i,
            account_number(i),
            _token(i),
            tuple(account_number(payee) for payee in _payees_of(i, people)),
        )
        for i in range(1, people + 1)
    ]


def _in_batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The rows, a few thousand at a time: of a large bank, memory should not hold all."""
    while some := list(itertools.islice(rows, _ROWS)):
        yield some


def _customer(i: int) -> str:
    return with_check_digit(_FIRST_CUSTOMER + i)


def account_number(i: int) -> str:
    """The number of account `i`, which customer `i` holds."""
    return with_check_digit(_FIRST_ACCOUNT + i)


def _token(i: int) -> str:
    return f"bank_c{i:043d}"


def _digest(i: int) -> str:
    read = tokens.read_secret(_token(i))
    assert read is not None
    return read[1]


def _payees_of(i: int, people: int) -> list[int]:
    """Who comes next in the round."""
    return sorted({(i + step - 1) % people + 1 for step in range(1, PAYEES + 1)} - {i})


Rows = Iterator[tuple[sa.Table, Iterator[dict[str, Any]]]]


def _accounts(count: int, currency: str, began: datetime) -> Rows:
    ids = range(1, count + 1)
    nowhere = dict.fromkeys(("address", "city", "region", "postcode", "email", "phone"), "")
    plain = {"name": "Current account", "chart_code": "current", "normal_side": "credit", "currency": currency}
    yield (
        customers,
        (
            {
                "id": i,
                "number": _customer(i),
                "name": f"Person {i}",
                "search_name": f"person {i}",
                "created_at": began,
                **nowhere,
            }
            for i in ids
        ),
    )
    yield (
        ledger_accounts,
        ({"id": i, "number": account_number(i), "floor": 0, "opened_at": began, **plain} for i in ids),
    )
    yield accounts, ({"id": i, "product": "current", "opened_on": began.date()} for i in ids)
    yield account_holders, ({"account_id": i, "customer_id": i, "role": "owner", "since": began} for i in ids)


def _people(count: int, now: datetime) -> Rows:
    ids = range(1, count + 1)
    word = Passwords(memory_kib=PASSWORD_MEMORY_KIB, at_once=1).hash(PASSWORD)
    yield (
        customer_logins,
        ({"customer_id": i, "password_hash": word, "enrolled_at": now, "changed_at": now} for i in ids),
    )
    yield (
        payees,
        (
            {"customer_id": i, "account_id": payee, "name": f"Person {payee}", "name_check": "match", "created_at": now}
            for i in ids
            # The first one is paid by everybody, when all are to pay one.
            for payee in {1, *_payees_of(i, count)} - {i}
        ),
    )
    program = {"kind": "customer", "name": "bench", "scopes": "accounts:read payments:write", "created_at": now}
    yield (
        api_tokens,
        (
            {"id": i, "token_digest": _digest(i), "person_id": i, "expires_at": now + timedelta(days=2), **program}
            for i in ids
        ),
    )


def _fund(bank: Bank, count: int, at: datetime) -> None:
    """Put money on every account, a few hundred in an entry: from the books' opening, as an import does."""
    by = Author(WHO, at, bank.clock.business_date(at))
    own = bank.run(ledger.bank_account, "opening_balances", bank.settings.currency, at=at)
    each = Money(EACH, bank.settings.currency)
    for first in range(1, count + 1, _AT_ONCE):
        some = range(first, min(first + _AT_ONCE, count + 1))
        entry = JournalEntry(
            caller=by.who,
            idempotency_key=f"open-{first}",
            kind="opening_balance",
            narrative="Opening balance",
            booking_date=by.business_date,
            value_date=by.business_date,
            booked_at=at,
            postings=(
                Posting(own.id, Side.DEBIT, Money(EACH * len(some), bank.settings.currency)),
                *(Posting(account_id, Side.CREDIT, each) for account_id in some),
            ),
        )
        [outcome] = ledger.post(bank, [entry])
        assert isinstance(outcome, Posted), outcome
