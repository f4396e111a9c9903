"""Load the demonstration through the same services and the same door as everything else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Final

import sqlalchemy as sa

from bank.accounts import service as accounts
from bank.accounts import store as account_store
from bank.accounts.store import Account
from bank.audit.model import Author
from bank.customers import service as customers
from bank.customers.identity_number import IdentityNumbers, read_identity_number
from bank.demo.lives import ANA, first_day, happenings
from bank.demo.story import CUSTOMERS, HOLD, PAYEES, SCHEDULED, STAFF, TILL, TODAY, TRANSFERS, VAULT, DemoCustomer
from bank.errors import Conflict, Forbidden
from bank.identity import logins
from bank.identity import staff as staff_members
from bank.identity.passwords import Passwords
from bank.identity.staff import Staff
from bank.identity.store import staff
from bank.ledger import service as ledger
from bank.ledger.model import JournalEntry, Posting, Side
from bank.ledger.tables import ledger_accounts
from bank.money import Money, exponent
from bank.payments import payees, scheduled, tills, vault
from bank.payments import service as payments
from bank.payments.model import TransferOrder
from bank.storage.facts import fact, learn
from bank.storage.transaction import Bank

_WHO = "demo"
_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Places:
    """The ledger accounts that money of the demonstration moves between, by their ids."""

    current: Sequence[int]
    savings: int
    till: int
    other_banks: int
    interest: int


class NoDemoInProduction(Forbidden):
    """Demo passwords are published."""

    code = "no_demo_in_production"

    def __init__(self) -> None:
        super().__init__("Demo data has published passwords, so it is not loaded with BANK_ENV=production.")


class NotEmptyBank(Conflict):
    """The database already holds a bank."""

    code = "not_empty_bank"

    def __init__(self) -> None:
        super().__init__("This database already holds a bank. The demonstration needs an empty one.")


def is_empty(reader: sa.Connection) -> bool:
    """Has nothing happened in this database yet?"""
    people = reader.execute(sa.select(staff.c.id).limit(1)).first()
    return people is None and reader.execute(sa.select(ledger_accounts.c.id).limit(1)).first() is None


def load(bank: Bank) -> None:
    """Fill an empty bank with the demonstration.

    Raises:
        NoDemoInProduction: this is the real thing.
        NotEmptyBank: something is there already.
    """
    if bank.settings.production:
        raise NoDemoInProduction
    with bank.reader() as reader:
        if not is_empty(reader):
            raise NotEmptyBank
    bank.run(learn, "demo", "loaded")
    now = bank.clock.now()
    first = first_day(bank.clock.business_date(now))
    opening = _at(bank, first)
    team = [bank.run(_take_on, bank, index, by=_author(bank, opening)) for index in range(len(STAFF))]
    teller = next(person for person in team if person.role.handles_cash)
    _bring_cash(bank, team, at=opening)
    held = [_open(bank, person, teller, at=opening) for person in CUSTOMERS]
    places = bank.run(_places, bank, held, teller, by=_author(bank, opening))
    entries = list(_entries(bank, places, first, now))
    for start in range(0, len(entries), _BATCH):
        for outcome in ledger.post(bank, entries[start : start + _BATCH]):
            outcome.or_raise()
    _look_ahead(bank, [accounts_of[0] for accounts_of in held], now)


def _bring_cash(bank: Bank, team: Sequence[Staff], *, at: datetime) -> None:
    """Cash in the vault, and in each till."""
    executive = next(person for person in team if not person.role.handles_cash)
    amount = Money(_units(bank, VAULT), bank.settings.currency)
    vault.receive(bank, amount, key="demo-vault", by=replace(_author(bank, at), who=str(executive)))
    for person in team:
        if person.till_account_id is not None:
            begins_with = Money(_units(bank, TILL), bank.settings.currency)
            by = replace(_author(bank, at), who=str(person))
            vault.supply_till(bank, person.till_account_id, begins_with, key="demo-till", by=by)


def _places(tx: sa.Connection, bank: Bank, held: list[list[Account]], teller: Staff, *, by: Author) -> Places:
    currency = bank.settings.currency
    assert teller.till_account_id is not None
    return Places(
        [accounts_of[0].id for accounts_of in held],
        held[ANA][1].id,
        teller.till_account_id,
        ledger.bank_account(tx, "clearing", currency, at=by.at).id,
        ledger.bank_account(tx, "interest_paid", currency, at=by.at).id,
    )


def _entries(bank: Bank, places: Places, first: date, now: datetime) -> Iterator[JournalEntry]:
    """Everything that happened, oldest first, as the ledger takes it."""
    today = bank.clock.business_date(now)
    found: list[tuple[datetime, str, int, int, int, str]] = []
    for each in happenings(first, today - timedelta(days=1)):
        mine = places.current[each.person]
        payer, payee = {
            "transfer_in": (places.other_banks, mine),
            "transfer_out": (mine, places.other_banks),
            "withdrawal": (mine, places.till),
            "interest": (places.interest, places.savings),
            "saving": (mine, places.savings),
        }[each.kind]
        kind = "transfer" if each.kind == "saving" else each.kind
        found.append((_at(bank, each.day), kind, payer, payee, each.cents, each.narrative))
    for days, payer_of, payee_of, cents, reference in TRANSFERS:
        day = today - timedelta(days=days)
        found.append((_at(bank, day), "transfer", places.current[payer_of], places.current[payee_of], cents, reference))
    found += [
        (now, "transfer_out", places.current[person], places.other_banks, cents, what) for person, cents, what in TODAY
    ]
    for number, (at, kind, payer_id, payee_id, cents, narrative) in enumerate(sorted(found, key=lambda each: each[0])):
        amount = Money(_minor(bank, cents), bank.settings.currency)
        day = bank.clock.business_date(at)
        yield JournalEntry(
            caller=_WHO,
            idempotency_key=f"demo-{number}",
            kind=kind,
            narrative=narrative,
            booking_date=day,
            value_date=day,
            booked_at=at,
            postings=(Posting(payer_id, Side.DEBIT, amount), Posting(payee_id, Side.CREDIT, amount)),
        )


def _look_ahead(bank: Bank, held: Sequence[Account], now: datetime) -> None:
    """What is saved, reserved and still to come."""
    by = _author(bank, now)
    with bank.reader() as reader:
        people = [next(iter(account_store.owners(reader, account.id))) for account in held]
    for customer, payee in PAYEES:
        bank.run(_save_payee, people[customer], held[payee].id, CUSTOMERS[payee].details.name, by=by)
    for number, (payer, payee, cents, reference, days, repeats) in enumerate(SCHEDULED):
        amount = Money(_minor(bank, cents), bank.settings.currency)
        order = TransferOrder(
            held[payer].id, held[payee].id, amount, reference, f"demo-scheduled-{number}", people[payer]
        )
        name = CUSTOMERS[payee].details.name
        due_on = by.business_date + timedelta(days=days)
        scheduled.schedule(bank, order, due_on=due_on, repeats=repeats, payee_name=name, by=by)
    holder, cents, reason, days = HOLD
    amount = Money(_minor(bank, cents), bank.settings.currency)
    expires_at = now + timedelta(days=days)
    payments.place_hold(bank, held[holder], amount, expires_at=expires_at, key="demo-hold", by=by, reason=reason)


def _save_payee(tx: sa.Connection, customer_id: int, account_id: int, called: str, *, by: Author) -> None:
    payee = payees.name(tx, customer_id, account_id, called, "match", by=by)
    payees.save(tx, customer_id, payee.id, by=by)


def is_demo(reader: sa.Connection) -> bool:
    """Was the demonstration loaded here?"""
    return fact(reader, "demo") is not None


def _take_on(tx: sa.Connection, bank: Bank, index: int, *, by: Author) -> Staff:
    person = STAFF[index]
    stored = _passwords(bank).hash(person.password)
    added = tills.take_on(
        tx,
        user_id=person.user_id,
        name=person.name,
        role=person.role,
        password_hash=stored,
        currency=bank.settings.currency,
        by=by,
    )
    staff_members.set_password(tx, added.id, stored, must_change=False, by=by)
    return added


def _open(bank: Bank, person: DemoCustomer, teller: Staff, *, at: datetime) -> list[Account]:
    by = _author(bank, at)
    opened = bank.run(_register, bank, person, by=by)
    for account, units in zip(opened, (person.current, person.savings), strict=False):
        amount = Money(_units(bank, units or 0), bank.settings.currency)
        at_till = replace(by, who=str(teller))
        payments.deposit(
            bank, account, amount, till_id=teller.till_account_id, key=f"demo-opening-{account.number}", by=at_till
        )
    return opened


def _register(tx: sa.Connection, bank: Bank, person: DemoCustomer, *, by: Author) -> list[Account]:
    identities = IdentityNumbers(bank.settings.identity_keys)
    number = read_identity_number(person.identity_number)
    customer = customers.register(tx, person.details, identities.seal(number), identities.digests(number), by=by)
    products = ["current", "savings"] if person.savings is not None else ["current"]
    opened = [accounts.open_account(tx, customer, product, bank.settings.currency, by=by) for product in products]
    if person.password is not None:
        code = logins.issue_code(tx, customer.id, seconds=3600, by=by)
        logins.redeem_code(tx, customer.id, code, _passwords(bank).hash(person.password), by=by)
    return opened


def _units(bank: Bank, whole: int) -> int:
    """Whole units of the bank's currency as minor units."""
    return whole * int(10 ** exponent(bank.settings.currency))


def _minor(bank: Bank, cents: int) -> int:
    """Minor units of a currency with two decimals as the bank's own."""
    return _units(bank, cents // 100) + cents % 100


def _at(bank: Bank, day: date) -> datetime:
    """An instant of the day, in the middle of the bank's hours."""
    return datetime.combine(day, time(12), bank.settings.business_timezone)


def _passwords(bank: Bank) -> Passwords:
    return Passwords(memory_kib=bank.settings.password_memory_kib, at_once=bank.settings.password_hashers)


def _author(bank: Bank, at: datetime) -> Author:
    return Author(_WHO, at, bank.clock.business_date(at))
