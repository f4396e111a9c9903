"""Pay a file that was confirmed, in slices, each payment once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import sqlalchemy as sa

from bank.accounts.service import NoSuchAccount
from bank.audit import store as audit
from bank.audit.model import Author
from bank.errors import BankError
from bank.ledger import service as ledger
from bank.ledger.errors import AccountClosed, AccountFrozen
from bank.ledger.model import Declined, JournalEntry, Limits, Outcome, Replayed
from bank.payment_files import parties, store
from bank.payment_files.errors import OwnFile
from bank.payment_files.service import BRANCH, existing, find
from bank.payment_files.store import Decision, KeptLine, PaymentFile, payment_files
from bank.payments.service import PayeeCannotReceive, entry_by, move
from bank.settings import Settings
from bank.storage.transaction import Bank

#: Payments in one database transaction: short enough for others to come in between.
SLICE: Final = 100

Progress = Callable[[int], object]


def pay(
    bank: Bank,
    owner: str,
    file_id: int,
    *,
    by: Author,
    seconds: float | None = None,
    progress: Progress = lambda _count: None,
) -> PaymentFile:
    """Confirm the file, and pay it from where it is, until all is decided or `seconds` are over.

    Safe to stop at any instant, to call again, and to call twice at once: each slice of payments is one database
    transaction with what became of them, and takes the file's row for itself.

    Raises:
        NoSuchPaymentFile: there is none, or it was not confirmed within a week.
        OwnFile: it is the branch's, and whoever confirms it has sent it.
    """
    stop_at = time.monotonic() + seconds if seconds is not None else None
    file = bank.run(_confirm, owner, file_id, by)
    while file.finished_at is None:
        before = file.decided
        file = bank.run(_pay_slice, bank.settings, owner, file_id, _now(bank, by))
        progress(file.decided - before)
        if stop_at is not None and time.monotonic() > stop_at:
            break
    return file


def _now(bank: Bank, by: Author) -> Author:
    """The same author at this instant: a long file may be paid past midnight."""
    now = bank.clock.now()
    return Author(by.who, now, bank.clock.business_date(now), by.request_id)


def _confirm(tx: sa.Connection, owner: str, file_id: int, by: Author) -> PaymentFile:
    file = existing(store.lock(tx, owner, file_id))
    if file.confirmed_at is not None:
        return file
    find(tx, owner, file_id, by=by)
    # A teller who has become an executive since. A command is one person's, who can see to the database anyway.
    if owner == BRANCH and file.uploaded_by == by.who and by.who.startswith("staff:"):
        raise OwnFile
    _change(tx, file, confirmed_by=by.who, confirmed_at=by.at)
    audit.record(tx, "payment_file.confirmed", str(file), by=by, details={"payments": file.payments})
    return existing(store.by_id(tx, owner, file_id))


def _pay_slice(tx: sa.Connection, settings: Settings, owner: str, file_id: int, by: Author) -> PaymentFile:
    file = existing(store.lock(tx, owner, file_id))
    if file.finished_at is not None:
        return file
    lines = store.lines_after(tx, file.id, file.decided, limit=SLICE)
    store.decide(tx, file.id, _decide(tx, settings, file, lines, by))
    decided_now = file.decided + len(lines)
    _change(tx, file, decided=decided_now, finished_at=by.at if decided_now >= file.payments else None)
    if decided_now >= file.payments:
        counts = {result or "waiting": count for result, (count, _sums) in store.results(tx, file.id).items()}
        audit.record(tx, "payment_file.finished", str(file), by=by, details=counts)
    return existing(store.by_id(tx, owner, file_id))


def _change(tx: sa.Connection, file: PaymentFile, **values: object) -> None:
    tx.execute(payment_files.update().where(payment_files.c.id == file.id).values(**values))


def _decide(
    tx: sa.Connection, settings: Settings, file: PaymentFile, lines: list[KeptLine], by: Author
) -> dict[int, Decision]:
    """Put the payments through the door, but for those from accounts that the customer may not use any more."""
    customer_id = None if file.owner == BRANCH else int(file.owner.removeprefix("customer:"))
    usable = parties.held_by(tx, customer_id) if customer_id is not None else {line.from_account_id for line in lines}
    owners = parties.owners_of(
        tx, (account for line in lines for account in (line.from_account_id, line.to_account_id))
    )
    limits = Limits(settings.limit_per_payment_minor, settings.limit_per_day_minor)
    asking = Author(file.owner, by.at, by.business_date, by.request_id)
    allowed = [line for line in lines if line.from_account_id in usable]
    entries = []
    for line in allowed:
        paying = owners.get(line.from_account_id, set())
        is_own = paying == owners.get(line.to_account_id) and (customer_id is None or customer_id in paying)
        entries.append(_entry(file, line, None if is_own else limits, asking))
    outcomes = dict(zip((line.position for line in allowed), ledger.post_in(tx, entries), strict=True))
    return {line.position: _decision(line, outcomes.get(line.position)) for line in lines}


def _entry(file: PaymentFile, line: KeptLine, limits: Limits | None, asking: Author) -> JournalEntry:
    postings = move(line.from_account_id, line.to_account_id, line.amount)
    return entry_by(asking, _key(file, line), "transfer", line.reference or "Transfer", postings, limits=limits)


def _key(file: PaymentFile, line: KeptLine) -> str:
    """A CSV's own key, wherever it stands in whichever file; else the payment's place in this file."""
    if file.read_as["format"] == "csv" and line.own_key:
        return f"file-key:{line.own_key}"
    return f"file:{file.identity}:{line.position}"


def _decision(line: KeptLine, outcome: Outcome | None) -> Decision:
    """What the line's row says from now on; `outcome` None: the customer may not use the account any more."""
    try:
        if outcome is None:
            raise NoSuchAccount
        entry_id = _entry_id(line, outcome)
    except BankError as refused:
        remembered = outcome.first if isinstance(outcome, Replayed) else outcome
        entry = remembered.entry_id if isinstance(remembered, Declined) else None
        return Decision("refused", entry, {"code": refused.code, "facts": getattr(refused, "facts", {})})
    return Decision("again" if isinstance(outcome, Replayed) else "paid", entry_id, None)


def _entry_id(line: KeptLine, outcome: Outcome) -> int:
    try:
        return outcome.or_raise()
    except (AccountFrozen, AccountClosed) as refused:
        # The state of somebody else's account is not for the payer to know.
        if refused.facts["account"] == line.to_account_id:
            raise PayeeCannotReceive from refused
        raise
