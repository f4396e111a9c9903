"""The door's algorithm for SQLite, whose one write lock the caller already holds.

The same steps in the same order as postgresql_0001_door.sql and mysql_0001_door.sql; tests/storage proves them alike.
An account is read once in a batch and written once, at its end.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from bank.storage.dialects.base import Answer, Message

Reason = tuple[str, dict[str, Any]]


@dataclass(slots=True)
class Account:
    """A ledger account as the batch has left it so far."""

    id: int
    normal_side: str
    currency: str
    status: str
    floor: int | None
    limit_per_payment: int | None
    limit_per_day: int | None
    balance: int
    held: int
    version: int
    spent: int
    spent_day: str | None


class Hold(NamedTuple):
    """What a hold still reserves, and until when."""

    remaining: int
    expires_at: str | None


_ACCOUNT: Final = f"SELECT {', '.join(Account.__dataclass_fields__)} FROM ledger_accounts WHERE id = ?"
_KNOWN: Final = (
    "SELECT id, digest, refusal, refusal_facts FROM journal_entries WHERE caller = ? AND idempotency_key = ?"
)
_HOLD: Final = "SELECT remaining, expires_at FROM holds WHERE id = ? AND account_id = ?"
_ENTRY: Final = (
    "INSERT INTO journal_entries (caller, idempotency_key, digest, kind, narrative, booking_date, value_date, booked_at,"
    " reverses, hold_id, hold_change, refusal, refusal_facts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_POSTING: Final = (
    "INSERT INTO postings (account_id, seq, entry_id, side, minor_units, balance_after, booking_date, limit_day)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_MOVED: Final = "UPDATE ledger_accounts SET balance = ?, held = ?, version = ?, spent = ?, spent_day = ? WHERE id = ?"


def post_all(cursor: sqlite3.Cursor, batch: Sequence[Message]) -> list[Answer]:
    """Post each entry in turn, or remember why not; a key that came before is answered as it was then."""
    accounts: dict[int, Account | None] = {}
    answers = [_post_one(cursor, item, accounts) for item in batch]
    cursor.executemany(
        _MOVED,
        [(a.balance, a.held, a.version, a.spent, a.spent_day, a.id) for a in accounts.values() if a is not None],
    )
    return answers


def _post_one(cursor: sqlite3.Cursor, item: Message, accounts: dict[int, Account | None]) -> Answer:
    known = cursor.execute(_KNOWN, (item["caller"], item["key"])).fetchone()
    if known:
        entry_id, digest, refusal, facts = known
        if digest != item["digest"]:
            return ["key_reused", None, None, None]
        return ["replayed", entry_id, refusal, facts and json.loads(facts)]

    for account_id in _touched(item):
        if account_id not in accounts:
            row = cursor.execute(_ACCOUNT, (account_id,)).fetchone()
            accounts[account_id] = Account(*row) if row else None
    hold = _hold(cursor, item)
    reason = _against_reversal(cursor, item) or _against_hold(item, accounts, hold) or _against_postings(item, accounts)
    if reason:
        return ["refused", _insert_entry(cursor, item, None, reason), *reason]
    change = item["hold_minor"] if item["hold_op"] == "reserve" else hold and -(item["hold_minor"] or hold.remaining)
    entry_id = _insert_entry(cursor, item, change, None)
    if change:
        _apply_hold(cursor, entry_id, item, change, accounts)
    cursor.executemany(_POSTING, [_moved(entry_id, item, posting, accounts) for posting in item["postings"]])
    return ["posted", entry_id, None, None]


def _touched(item: Message) -> list[int]:
    ids = [posting["account"] for posting in item["postings"]]
    return ids if item["hold_account"] is None else [*ids, item["hold_account"]]


def _hold(cursor: sqlite3.Cursor, item: Message) -> Hold | None:
    if item["hold_id"] is None:
        return None
    row = cursor.execute(_HOLD, (item["hold_id"], item["hold_account"])).fetchone()
    return Hold(*row) if row else None


def _against_reversal(cursor: sqlite3.Cursor, item: Message) -> Reason | None:
    if item["reverses"] is None:
        return None
    asked = (item["reverses"],)
    facts = {"entry": item["reverses"]}
    original = cursor.execute("SELECT refusal, reverses FROM journal_entries WHERE id = ?", asked).fetchone()
    if not original:
        return "unknown_entry", facts
    moved = cursor.execute("SELECT 1 FROM postings WHERE entry_id = ?", asked).fetchone()
    if original != (None, None) or not moved:
        return "not_reversible", facts
    if cursor.execute("SELECT 1 FROM journal_entries WHERE reverses = ?", asked).fetchone():
        return "already_reversed", facts
    return None


def _against_hold(item: Message, accounts: dict[int, Account | None], hold: Hold | None) -> Reason | None:
    if item["hold_op"] is None:
        return None
    account = accounts.get(item["hold_account"])
    if account is None:
        return "unknown_account", {"account": item["hold_account"]}
    if item["hold_op"] == "reserve":
        return _against_reserving(item, account)
    facts = {"hold": item["hold_id"]}
    if hold is None:
        return "unknown_hold", facts
    if hold.remaining == 0:
        return "hold_ended", facts
    over = hold.expires_at is not None and hold.expires_at <= item["booked_at"]
    if item["hold_op"] == "expire" and not over:
        return "hold_not_expired", facts
    if item["hold_op"] == "capture" and over:
        return "hold_expired", facts
    if item["hold_op"] == "capture" and item["hold_minor"] > hold.remaining:
        return "hold_too_small", {**facts, "remaining": hold.remaining, "currency": account.currency}
    return None


def _against_reserving(item: Message, account: Account) -> Reason | None:
    facts = {"account": account.id}
    if account.currency != item["hold_currency"]:
        return "currency_mismatch", facts
    if account.status == "closed":
        return "account_closed", facts
    if account.status != "open":
        return "account_frozen", facts
    if account.floor is not None:
        available = account.balance - account.held - account.floor
        if available < item["hold_minor"]:
            return "insufficient_funds", {
                **facts,
                "available": available,
                "needed": item["hold_minor"],
                "currency": account.currency,
            }
    return None


def _against_postings(item: Message, accounts: dict[int, Account | None]) -> Reason | None:
    """Of all that stands against it, the first posting's first reason: status before limits before funds."""
    for against in (_against_status, _against_payment_limit, _against_daily_limit, _against_funds):
        for posting in item["postings"]:
            if reason := against(item, posting, accounts.get(posting["account"])):
                return reason
    return None


def _against_status(_: Message, posting: Message, account: Account | None) -> Reason | None:
    facts = {"account": posting["account"]}
    if account is None:
        return "unknown_account", facts
    if account.currency != posting["currency"]:
        return "currency_mismatch", facts
    if account.status == "closed":
        return "account_closed", facts
    if account.status == "frozen" or (account.status == "debits_frozen" and posting["side"] != account.normal_side):
        return "account_frozen", facts
    return None


def _limited(item: Message, posting: Message, account: Account) -> bool:
    return item["limit_per_payment"] is not None and _guarded(posting, account)


def _guarded(posting: Message, account: Account) -> bool:
    return account.floor is not None and posting["side"] != account.normal_side


def _spent(item: Message, account: Account) -> int:
    return account.spent if account.spent_day is not None and account.spent_day >= item["booking_date"] else 0


def _against_payment_limit(item: Message, posting: Message, account: Account | None) -> Reason | None:
    if account is None or not _limited(item, posting, account):
        return None
    limit = item["limit_per_payment"] if account.limit_per_payment is None else account.limit_per_payment
    facts = {"account": account.id, "limit": limit, "needed": posting["minor"], "currency": account.currency}
    return ("over_payment_limit", facts) if posting["minor"] > limit else None


def _against_daily_limit(item: Message, posting: Message, account: Account | None) -> Reason | None:
    if account is None or not _limited(item, posting, account):
        return None
    limit = item["limit_per_day"] if account.limit_per_day is None else account.limit_per_day
    spent = _spent(item, account)
    facts = {
        "account": account.id,
        "limit": limit,
        "spent": spent,
        "needed": posting["minor"],
        "currency": account.currency,
    }
    return ("over_daily_limit", facts) if spent + posting["minor"] > limit else None


def _against_funds(item: Message, posting: Message, account: Account | None) -> Reason | None:
    if account is None or account.floor is None or not _guarded(posting, account):
        return None
    captured = item["hold_minor"] if item["hold_op"] == "capture" and item["hold_account"] == account.id else 0
    available = account.balance - account.held + captured - account.floor
    facts = {"account": account.id, "available": available, "needed": posting["minor"], "currency": account.currency}
    return ("insufficient_funds", facts) if posting["minor"] > available else None


def _insert_entry(cursor: sqlite3.Cursor, item: Message, change: int | None, reason: Reason | None) -> int:
    asked = (
        item["caller"], item["key"], item["digest"], item["kind"], item["narrative"], item["booking_date"], item["value_date"],
        item["booked_at"],
    )  # fmt: skip
    came_of_it = (
        (None, None, None, reason[0], json.dumps(reason[1]))
        if reason
        else (item["reverses"], item["hold_id"], change, None, None)
    )
    cursor.execute(_ENTRY, asked + came_of_it)
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _apply_hold(
    cursor: sqlite3.Cursor, entry_id: int, item: Message, change: int, accounts: dict[int, Account | None]
) -> None:
    if item["hold_op"] == "reserve":
        cursor.execute(
            "INSERT INTO holds (id, account_id, minor_units, remaining, expires_at) VALUES (?, ?, ?, ?, ?)",
            (entry_id, item["hold_account"], change, change, item["hold_expires_at"]),
        )
    else:
        cursor.execute("UPDATE holds SET remaining = remaining + ? WHERE id = ?", (change, item["hold_id"]))
    account = accounts[item["hold_account"]]
    assert account is not None
    account.held += change


def _moved(
    entry_id: int, item: Message, posting: Message, accounts: dict[int, Account | None]
) -> tuple[int | str | None, ...]:
    """Move the account by the posting, and answer the posting's row."""
    account = accounts[posting["account"]]
    assert account is not None
    minor, side, day = posting["minor"], posting["side"], item["booking_date"]
    limit_day = None
    if _limited(item, posting, account):
        account.spent = _spent(item, account) + minor
        limit_day = account.spent_day = max(account.spent_day or day, day)
    account.balance += minor if side == account.normal_side else -minor
    account.version += 1
    return account.id, account.version, entry_id, side, minor, account.balance, day, limit_day
