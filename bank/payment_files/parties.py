"""Whose accounts a file's numbers are: whether its owner may pay from them, and whom they pay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeVar

import sqlalchemy as sa

from bank.accounts import store as account_store
from bank.accounts.store import account_holders, accounts
from bank.audit.model import Author
from bank.customers import store as customer_store
from bank.language import gettext as _
from bank.ledger.tables import ledger_accounts
from bank.payment_files.model import Line, Reading
from bank.payments.look_ups import UNKNOWN, TooManyNameChecks, count_try
from bank.payments.name_check import MATCH, NONE, check
from bank.payments.service import SameAccount, UnknownPayee
from bank.payments.store import name_checks, payees
from bank.settings import Settings

_AT_ONCE: Final = 500

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Party:
    """An account that stands in a file."""

    id: int
    currency: str


@dataclass(slots=True)
class Parties:
    """The accounts by number, and how each payee's number and name were found to go together, where they were compared."""

    accounts: dict[str, Party] = field(default_factory=dict)
    name_checks: dict[tuple[str, str], str] = field(default_factory=dict)


def of_customer(tx: sa.Connection, settings: Settings, reading: Reading, customer_id: int, by: Author) -> Parties:
    """Find the parties of a customer's file; what is wrong with them goes to the reading's problems.

    The file must tell no more than the customer could find out one by one. A payee's number together with the right
    name costs nothing, for whoever knows both learns nothing. Anything else about a number that is new to the customer
    (no such account, another name, none) is a look-up, and when the day's look-ups are used up, nothing more is looked
    at: `tx` must be committed, whatever the problems, so that they stay counted.
    """
    customer_store.lock(tx, customer_id)
    found = Parties(_accounts(tx, reading.lines))
    mine = held_by(tx, customer_id)
    known = _known(tx, customer_id, found, mine)
    owners = _owners(tx, found, (line.payee for line in reading.lines if line.payee not in known))
    for line in reading.lines:
        paying = found.accounts.get(line.payer)
        if paying is None or paying.id not in mine:
            reading.refuse(line.line, "", _("%(number)s is no account that you can pay from.", number=line.payer))
            continue
        asked = (line.payee, line.payee_name)
        if line.payee not in known and asked not in found.name_checks:
            result = _compare(line, found, owners)
            try:
                if result != MATCH:
                    count_try(tx, settings, customer_id, line.payee, result, by.at)
            except TooManyNameChecks as too_many:
                reading.refuse(line.line, "", str(too_many))
                told = _("What stands behind line %(line)s was not looked at.", line=line.line)
                reading.refuse(None, "", told)
                return found
            found.name_checks[asked] = result
        _check(line, found, reading)
    return found


def of_anybody(reader: sa.Connection, reading: Reading) -> Parties:
    """Find the parties of a file that staff or operations bring: any customers' accounts."""
    found = Parties(_accounts(reader, reading.lines))
    owners = _owners(reader, found, (line.payee for line in reading.lines if line.payee_name))
    for line in reading.lines:
        if line.payer not in found.accounts:
            told = _("No customer has an account of the number %(number)s to pay from.", number=line.payer)
            reading.refuse(line.line, "", told)
            continue
        if line.payee_name:
            found.name_checks[line.payee, line.payee_name] = _compare(line, found, owners)
        _check(line, found, reading)
    return found


def held_by(reader: sa.Connection, customer_id: int) -> set[int]:
    """The accounts that the customer may use."""
    c = account_holders.c
    return set(reader.execute(sa.select(c.account_id).where(c.customer_id == customer_id)).scalars())


def owners_of(reader: sa.Connection, account_ids: Iterable[int]) -> dict[int, set[int]]:
    """Which customers own each account."""
    c = account_holders.c
    found: dict[int, set[int]] = {}
    for some in batches(sorted(set(account_ids))):
        query = sa.select(c.account_id, c.customer_id).where(c.account_id.in_(some), c.role == "owner")
        for account_id, customer_id in reader.execute(query):
            found.setdefault(account_id, set()).add(customer_id)
    return found


def _check(line: Line, found: Parties, reading: Reading) -> None:
    paying = found.accounts[line.payer]
    if line.payee not in found.accounts:
        reading.refuse(line.line, "", str(UnknownPayee()))
    elif line.payer == line.payee:
        reading.refuse(line.line, "", str(SameAccount()))
    elif line.amount.currency != paying.currency:
        told = _("Account %(number)s is kept in %(currency)s.", number=line.payer, currency=paying.currency)
        reading.refuse(line.line, "", told)


def _compare(line: Line, found: Parties, owners: dict[int, list[str]]) -> str:
    account = found.accounts.get(line.payee)
    if account is None:
        return UNKNOWN
    return check(line.payee_name, owners.get(account.id, [])).result if line.payee_name else NONE


def _accounts(reader: sa.Connection, lines: list[Line]) -> dict[str, Party]:
    numbers = dict.fromkeys(number for line in lines for number in (line.payer, line.payee))
    found: dict[str, Party] = {}
    for some in batches(numbers):
        c = ledger_accounts.c
        query = sa.select(c.number, c.id, c.currency).join_from(ledger_accounts, accounts).where(c.number.in_(some))
        found |= {number: Party(account_id, currency) for number, account_id, currency in reader.execute(query)}
    return found


def _known(reader: sa.Connection, customer_id: int, found: Parties, mine: set[int]) -> set[str]:
    """The numbers that tell the customer nothing new: of own accounts, and of those named, paid or tried before."""
    tried, named = name_checks.c, payees.c
    numbers = sa.select(tried.number).where(tried.customer_id == customer_id, tried.result != UNKNOWN)
    by_id = set(reader.execute(sa.select(named.account_id).where(named.customer_id == customer_id)).scalars()) | mine
    return set(reader.execute(numbers).scalars()) | {
        number for number, account in found.accounts.items() if account.id in by_id
    }


def _owners(reader: sa.Connection, found: Parties, numbers: Iterable[str]) -> dict[int, list[str]]:
    ids = {found.accounts[number].id for number in numbers if number in found.accounts}
    owners: dict[int, list[str]] = {}
    for some in batches(ids):
        owners |= account_store.owner_names(reader, some)
    return owners


def batches(items: Iterable[T], size: int = _AT_ONCE) -> Iterator[list[T]]:
    """The items, some at a time: no database takes a query of any length."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
