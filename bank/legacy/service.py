"""Bring the older bank in: customers, accounts, staff, history; safe to stop at any instant and to run again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, TypeVar

import sqlalchemy as sa

from bank.accounts import service as accounts
from bank.accounts import store as account_store
from bank.audit import store as audit
from bank.audit.model import Author
from bank.clock import Clock
from bank.customers import service as customers
from bank.customers import store as customer_store
from bank.customers.identity_number import IdentityNumbers, SealedIdentity
from bank.identity import staff
from bank.ledger import service as ledger
from bank.ledger import store as ledger_store
from bank.ledger.model import Declined, JournalEntry, Outcome, Posting, Replayed, Side
from bank.ledger.tables import ledger_accounts
from bank.legacy.errors import AnotherOlderBank, NumberTaken
from bank.legacy.history import Movement, Place
from bank.legacy.people import NewCustomer
from bank.legacy.plan import NewAccount, NewStaff, Plan
from bank.legacy.report import Finding
from bank.money import Money
from bank.payments.tills import open_till
from bank.storage.facts import fact, learn
from bank.storage.transaction import Bank

T = TypeVar("T")
Progress = Callable[[int], object]

CALLER: Final = "import:legacy"
#: Who the audit trail names for what the older app's own log says: it kept no names.
OLDER_APP: Final = "legacy"
_FACT: Final = "legacy_import"
_TILL: Final = "till-legacy"
# The door walks all versions of a row that its transaction made: long batches on one till are slow.
_BATCH: Final = 100

_LOG_ACTIONS: Final = {
    "Customer Created": "customer.registered",
    "Customer Data Updated": "customer.edited",
    "Customer Deactivated": "customer.deactivated",
    "Customer Activated": "customer.activated",
}


@dataclass(frozen=True, slots=True)
class Imported:
    """What was done: entries booked now, entries found booked before, and the whole report."""

    booked: int
    booked_before: int
    findings: tuple[Finding, ...]


def refuse_if_impossible(reader: sa.Connection, plan: Plan) -> None:
    """Look for what would keep the older bank out, before anything is written.

    Raises:
        AnotherOlderBank: a different one was brought in before.
        NumberTaken: one of its numbers belongs to somebody here.
    """
    known = fact(reader, _FACT)
    if known == plan.fingerprint:
        return
    if known is not None:
        raise AnotherOlderBank
    for what, column, numbers in (
        ("Customer", customer_store.customers.c.number, [person.old.number for person in plan.customers]),
        ("Account", ledger_accounts.c.number, [account.old.number for account in plan.accounts]),
    ):
        for some in _batches(numbers, 500):
            if taken := reader.execute(sa.select(column).where(column.in_(some)).order_by(column).limit(1)).scalar():
                raise NumberTaken(what, taken)


def bring_in(bank: Bank, plan: Plan, *, by: Author, progress: Progress) -> Imported:
    """Write the plan; what is there already is left as it is. `progress` is told how many more steps are done.

    Raises:
        AnotherOlderBank: a different one was brought in before.
        NumberTaken: one of its numbers belongs to somebody here.
    """
    bank.run(_claim, plan)
    identities = IdentityNumbers(bank.settings.identity_keys)
    findings: list[Finding] = []
    for people in _batches(plan.customers, _BATCH):
        findings += bank.run(_bring_in_customers, people, identities, bank.clock, by)
        progress(len(people))
    for some in _batches(plan.accounts, _BATCH):
        bank.run(_bring_in_accounts, some, bank.clock, by)
        progress(len(some))
    findings += bank.run(_bring_in_staff, plan.staff, plan.currency, by)
    booked = booked_before = 0
    for movement, outcome in _book(bank, plan, by, progress):
        first = outcome.first if isinstance(outcome, Replayed) else outcome
        if isinstance(first, Declined):
            findings.append(_declined(movement, first))
        elif isinstance(outcome, Replayed):
            booked_before += 1
        else:
            booked += 1
    for some in _batches(plan.accounts, _BATCH):
        bank.run(_set_statuses, some, bank.clock, by)
        progress(len(some))
    return Imported(booked, booked_before, (*_proof(bank, plan), *plan.findings, *findings))


def steps(plan: Plan) -> int:
    """How many steps `bring_in` tells its progress of."""
    return len(plan.customers) + 2 * len(plan.accounts) + len(plan.movements)


def reconciliation(plan: Plan) -> Iterator[Finding]:
    """For each account, whether its history explains its balance."""
    for account in plan.accounts:
        difference = account.difference.minor_units
        kind = "stored_above_history" if difference > 0 else "stored_below_history" if difference else "history_agrees"
        yield Finding(
            kind,
            "account",
            account.old.number,
            amount=account.difference,
            stored=account.stored,
            history=account.history,
        )


def _claim(tx: sa.Connection, plan: Plan) -> None:
    refuse_if_impossible(tx, plan)
    if fact(tx, _FACT) is None:
        learn(tx, _FACT, plan.fingerprint)


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _bring_in_customers(
    tx: sa.Connection, people: list[NewCustomer], identities: IdentityNumbers, clock: Clock, by: Author
) -> list[Finding]:
    findings = []
    for person in people:
        known = customer_store.by_number(tx, person.old.number)
        other = customer_store.by_identity(tx, identities.digests(person.identity)) if person.identity else None
        taken = other is not None and other.number != person.old.number
        if taken:
            findings.append(Finding("ssn_taken", "customer", person.old.number))
        if known is None:
            sealed = identities.seal(person.identity) if person.identity and not taken else None
            _bring_in_customer(tx, person, sealed, clock, by)
    return findings


def _bring_in_customer(
    tx: sa.Connection, person: NewCustomer, identity: SealedIdentity | None, clock: Clock, by: Author
) -> None:
    old = person.old
    customer = customers.bring_in(
        tx,
        person.details,
        identity,
        number=old.number,
        by=by,
        action="customer.imported",
        status="active" if old.active else "inactive",
        since=person.created_at,
        notes={"note": f"age {old.age} recorded by the older app", **person.cut_texts},
    )
    for row in person.log:
        at = row.at or person.created_at
        author = Author(OLDER_APP, at, clock.business_date(at))
        action = _LOG_ACTIONS.get(row.message, "customer.noted")
        audit.record(tx, action, str(customer), by=author, details={"older_log": row.id, "message": row.message})


def _bring_in_accounts(tx: sa.Connection, some: list[NewAccount], clock: Clock, by: Author) -> None:
    there = _ids(tx, [account.old.number for account in some])
    for account in some:
        if account.old.number in there:
            continue
        owner = customer_store.by_number(tx, account.owner_number)
        assert owner is not None, account.owner_number
        accounts.bring_in(
            tx,
            owner,
            account.product,
            account.stored.currency,
            number=account.old.number,
            floor=account.floor.minor_units,
            by=by,
            action="account.imported",
            opened=(account.opened_at, clock.business_date(account.opened_at)),
        )


def _ids(reader: sa.Connection, numbers: Iterable[str]) -> dict[str, int]:
    """The ledger ids of those of these accounts that exist."""
    table = ledger_accounts.c
    found: dict[str, int] = {}
    for some in _batches(numbers, 500):
        rows = reader.execute(sa.select(table.number, table.id).where(table.number.in_(some)))
        found |= {row.number: row.id for row in rows}
    return found


def _bring_in_staff(tx: sa.Connection, people: Iterable[NewStaff], currency: str, by: Author) -> list[Finding]:
    findings = []
    mine = _done(tx, "staff.added")
    for person in people:
        if known := staff.by_user_id(tx, person.user_id):
            if str(known) not in mine:
                findings.append(Finding("staff_user_id_taken", "staff", person.user_id))
            continue
        till = open_till(tx, person.user_id, currency, by=by) if person.role.handles_cash else None
        staff.bring_in(
            tx,
            user_id=person.user_id,
            name=person.name,
            role=person.role,
            bcrypt_hash=person.bcrypt_hash,
            till_account_id=till,
            by=by,
        )
    return findings


def _done(reader: sa.Connection, *actions: str) -> set[str]:
    """The subjects to which this import, now or in an earlier run, did one of `actions`."""
    table = audit.audit_records.c
    return set(reader.execute(sa.select(table.subject).where(table.who == CALLER, table.action.in_(actions))).scalars())


def _book(bank: Bank, plan: Plan, by: Author, progress: Progress) -> Iterator[tuple[Movement, Outcome]]:
    own = bank.run(_own_accounts, plan.currency, by)
    with bank.reader() as reader:
        ids = _ids(reader, [account.old.number for account in plan.accounts])
    places: dict[Place, int] = {**own, **{account.old.id: ids[account.old.number] for account in plan.accounts}}
    for movements in _batches(plan.movements, _BATCH):
        batch = [_entry(movement, places, plan.currency, bank.clock) for movement in movements]
        yield from zip(movements, ledger.post(bank, batch), strict=True)
        progress(len(movements))


def _own_accounts(tx: sa.Connection, currency: str, by: Author) -> dict[Place, int]:
    """The bank's own side: one till for all cash of the older branch, and suspense."""
    suspense = ledger.bank_account(tx, "suspense", currency, at=by.at)
    if till := ledger_store.account_by_number(tx, _TILL):
        return {"cash": till.id, "suspense": suspense.id}
    name = "Cash of the older branch"
    till_id = ledger.open_account(
        tx, number=_TILL, name=name, chart_code="cash", currency=currency, floor=None, opened_at=by.at
    )
    return {"cash": till_id, "suspense": suspense.id}


def _entry(movement: Movement, places: dict[Place, int], currency: str, clock: Clock) -> JournalEntry:
    day = clock.business_date(movement.at)
    amount = Money(movement.minor_units, currency)
    return JournalEntry(
        caller=CALLER,
        idempotency_key=movement.key,
        kind=movement.kind,
        narrative=movement.narrative,
        booking_date=day,
        value_date=day,
        booked_at=movement.at,
        postings=(
            Posting(places[movement.payer], Side.DEBIT, amount),
            Posting(places[movement.payee], Side.CREDIT, amount),
        ),
    )


def _declined(movement: Movement, refusal: Declined) -> Finding:
    kind = "refused" if refusal.entry_id else "changed_since_import"
    return Finding(kind, "movement", movement.key, str(refusal.error))


def _set_statuses(tx: sa.Connection, some: list[NewAccount], clock: Clock, by: Author) -> None:
    ids = _ids(tx, [account.old.number for account in some if account.status != "open"])
    done = _done(tx, "account.closed", "account.frozen")
    for account in some:
        account_id = ids.get(account.old.number)
        if account_id is None or f"account:{account_id}" in done:
            continue
        whose = "customer" if account.frozen_for == "customer" else "account"
        ledger_account = ledger_store.lock(tx, account_id)
        # Less came in than the older app had: what was to be closed is not empty.
        status = "frozen" if ledger_account.balance else account.status
        ledger.set_status(tx, account_id, status, by=by, reason=f"The {whose} was deactivated in the older app")
        closed_at = account.old.last_update or account.opened_at
        values = {
            "frozen_for": account.frozen_for or "staff" if status == "frozen" else None,
            "closed_on": clock.business_date(closed_at) if status == "closed" else None,
        }
        tx.execute(account_store.accounts.update().where(account_store.accounts.c.id == account_id).values(values))


def _proof(bank: Bank, plan: Plan) -> Iterator[Finding]:
    """Each account's line of the report with what was really brought in, looked up in the ledger."""
    with bank.snapshot() as reader:
        ids = _ids(reader, [account.old.number for account in plan.accounts])
        moved = ledger_store.moved_by(reader, CALLER)
    for line in reconciliation(plan):
        assert line.stored is not None
        brought_in = Money(moved.get(ids[line.number], 0), line.stored.currency)
        yield replace(line, brought_in=brought_in)
        if brought_in != line.stored:
            yield replace(line, kind="not_equal", amount=brought_in - line.stored, brought_in=brought_in)
