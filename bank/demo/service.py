"""Load the demonstration through the same services and the same door as everything else."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from bank.accounts import service as accounts
from bank.accounts.store import Account
from bank.audit.model import Author
from bank.customers import service as customers
from bank.customers.identity_number import IdentityNumbers, read_identity_number
from bank.demo.story import CUSTOMERS, STAFF, TRANSFERS, DemoCustomer
from bank.errors import Conflict, Forbidden
from bank.identity import logins
from bank.identity import staff as staff_members
from bank.identity.passwords import Passwords
from bank.identity.staff import Staff
from bank.identity.store import staff
from bank.ledger.tables import ledger_accounts
from bank.money import Money, exponent
from bank.payments import service as payments
from bank.payments import tills
from bank.payments.model import TransferOrder
from bank.storage.facts import fact, learn
from bank.storage.transaction import Bank

_WHO = "demo"
_DAYS = 90


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
    now = bank.clock.now()
    bank.run(learn, "demo", "loaded")
    team = [
        bank.run(_take_on, bank, index, by=_author(bank, now - timedelta(days=_DAYS))) for index in range(len(STAFF))
    ]
    teller = next(person for person in team if person.role.handles_cash)
    held = [_open(bank, person, teller, at=now - timedelta(days=_DAYS - 1)) for person in CUSTOMERS]
    for number, (days, payer, payee, cents, reference) in enumerate(TRANSFERS):
        amount = Money(_units(bank, cents // 100) + cents % 100, bank.settings.currency)
        order = TransferOrder(held[payer].id, held[payee].id, amount, reference, f"demo-transfer-{number}")
        payments.transfer(bank, order, by=_author(bank, now - timedelta(days=days)))


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


def _open(bank: Bank, person: DemoCustomer, teller: Staff, *, at: datetime) -> Account:
    by = _author(bank, at)
    first, *others = bank.run(_register, bank, person, by=by)
    for account, units in zip((first, *others), (person.current, person.savings), strict=False):
        amount = Money(_units(bank, units or 0), bank.settings.currency)
        at_till = replace(by, who=str(teller))
        payments.deposit(
            bank, account, amount, till_id=teller.till_account_id, key=f"demo-opening-{account.number}", by=at_till
        )
    return first


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


def _passwords(bank: Bank) -> Passwords:
    return Passwords(memory_kib=bank.settings.password_memory_kib, at_once=bank.settings.password_hashers)


def _author(bank: Bank, at: datetime) -> Author:
    return Author(_WHO, at, bank.clock.business_date(at))
