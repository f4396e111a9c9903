"""The door's algorithm for SQLite, whose one write lock the caller already holds.

The same steps in the same order as postgresql_0001_door.sql and mysql_0001_door.sql; tests/storage proves them alike.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from bank.storage.dialects.base import Answer, Message

Row = sa.Row[Any]
Reason = tuple[str, dict[str, Any]]


def post_one(tx: sa.Connection, item: Message) -> Answer:
    """Post one entry, or remember why not; a key that came before is answered as it was then."""
    known = _first(
        tx,
        "SELECT id, digest, refusal, refusal_facts FROM journal_entries WHERE caller = ? AND idempotency_key = ?",
        item["caller"],
        item["key"],
    )
    if known:
        if known.digest != item["digest"]:
            return ["key_reused", None, None, None]
        return ["replayed", known.id, known.refusal, known.refusal_facts and json.loads(known.refusal_facts)]

    accounts = _accounts(tx, item)
    hold = _hold(tx, item)
    reason = _against_reversal(tx, item) or _against_hold(item, accounts, hold) or _against_postings(item, accounts)
    if reason:
        return ["refused", _insert_entry(tx, item, None, reason), *reason]
    change = item["hold_minor"] if item["hold_op"] == "reserve" else hold and -(item["hold_minor"] or hold.remaining)
    entry_id = _insert_entry(tx, item, change, None)
    if change:
        _apply_hold(tx, entry_id, item, change)
    for posting in item["postings"]:
        _apply_posting(tx, entry_id, item, posting, accounts[posting["account"]])
    return ["posted", entry_id, None, None]


def _first(tx: sa.Connection, statement: str, *values: Any) -> Row | None:
    return tx.exec_driver_sql(statement, values).first()


def _accounts(tx: sa.Connection, item: Message) -> dict[int, Row]:
    ids = {posting["account"] for posting in item["postings"]} | ({item["hold_account"]} - {None})
    found = (_first(tx, "SELECT * FROM ledger_accounts WHERE id = ?", account_id) for account_id in ids)
    return {account.id: account for account in found if account}


def _hold(tx: sa.Connection, item: Message) -> Row | None:
    if item["hold_id"] is None:
        return None
    return _first(tx, "SELECT * FROM holds WHERE id = ? AND account_id = ?", item["hold_id"], item["hold_account"])


def _against_reversal(tx: sa.Connection, item: Message) -> Reason | None:
    if item["reverses"] is None:
        return None
    facts = {"entry": item["reverses"]}
    original = _first(tx, "SELECT refusal, reverses FROM journal_entries WHERE id = ?", item["reverses"])
    if not original:
        return "unknown_entry", facts
    moved = _first(tx, "SELECT 1 FROM postings WHERE entry_id = ?", item["reverses"])
    if original.refusal is not None or original.reverses is not None or not moved:
        return "not_reversible", facts
    if _first(tx, "SELECT 1 FROM journal_entries WHERE reverses = ?", item["reverses"]):
        return "already_reversed", facts
    return None


def _against_hold(item: Message, accounts: dict[int, Row], hold: Row | None) -> Reason | None:
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


def _against_reserving(item: Message, account: Row) -> Reason | None:
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


def _against_postings(item: Message, accounts: dict[int, Row]) -> Reason | None:
    """Of all that stands against it, the first posting's first reason: status before limits before funds."""
    for against in (_against_status, _against_payment_limit, _against_daily_limit, _against_funds):
        for posting in item["postings"]:
            if reason := against(item, posting, accounts.get(posting["account"])):
                return reason
    return None


def _against_status(_: Message, posting: Message, account: Row | None) -> Reason | None:
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


def _limited(item: Message, posting: Message, account: Row) -> bool:
    return item["limit_per_payment"] is not None and _guarded(posting, account)


def _guarded(posting: Message, account: Row) -> bool:
    return account.floor is not None and posting["side"] != account.normal_side


def _spent(item: Message, account: Row) -> int:
    return account.spent if account.spent_day is not None and account.spent_day >= item["booking_date"] else 0


def _against_payment_limit(item: Message, posting: Message, account: Row | None) -> Reason | None:
    if account is None or not _limited(item, posting, account):
        return None
    limit = item["limit_per_payment"] if account.limit_per_payment is None else account.limit_per_payment
    facts = {"account": account.id, "limit": limit, "needed": posting["minor"], "currency": account.currency}
    return ("over_payment_limit", facts) if posting["minor"] > limit else None


def _against_daily_limit(item: Message, posting: Message, account: Row | None) -> Reason | None:
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


def _against_funds(item: Message, posting: Message, account: Row | None) -> Reason | None:
    if account is None or not _guarded(posting, account):
        return None
    captured = item["hold_minor"] if item["hold_op"] == "capture" and item["hold_account"] == account.id else 0
    available = account.balance - account.held + captured - account.floor
    facts = {"account": account.id, "available": available, "needed": posting["minor"], "currency": account.currency}
    return ("insufficient_funds", facts) if posting["minor"] > available else None


def _insert_entry(tx: sa.Connection, item: Message, change: int | None, reason: Reason | None) -> int:
    values = {
        "caller": item["caller"],
        "idempotency_key": item["key"],
        **{name: item[name] for name in ("digest", "kind", "narrative", "booking_date", "value_date", "booked_at")},
        "reverses": None if reason else item["reverses"],
        "hold_id": None if reason else item["hold_id"],
        "hold_change": change,
        "refusal": reason and reason[0],
        "refusal_facts": reason and json.dumps(reason[1]),
    }
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    inserted = tx.exec_driver_sql(f"INSERT INTO journal_entries ({names}) VALUES ({marks})", tuple(values.values()))
    return int(inserted.lastrowid)


def _apply_hold(tx: sa.Connection, entry_id: int, item: Message, change: int) -> None:
    if item["hold_op"] == "reserve":
        tx.exec_driver_sql(
            "INSERT INTO holds (id, account_id, minor_units, remaining, expires_at) VALUES (?, ?, ?, ?, ?)",
            (entry_id, item["hold_account"], change, change, item["hold_expires_at"]),
        )
    else:
        tx.exec_driver_sql("UPDATE holds SET remaining = remaining + ? WHERE id = ?", (change, item["hold_id"]))
    tx.exec_driver_sql("UPDATE ledger_accounts SET held = held + ? WHERE id = ?", (change, item["hold_account"]))


def _apply_posting(tx: sa.Connection, entry_id: int, item: Message, posting: Message, account: Row) -> None:
    limited = _limited(item, posting, account)
    limit_day = max(account.spent_day or item["booking_date"], item["booking_date"]) if limited else None
    minor = posting["minor"]
    balance = account.balance + (minor if posting["side"] == account.normal_side else -minor)
    tx.exec_driver_sql(
        "UPDATE ledger_accounts SET balance = ?, version = ?, spent = ?, spent_day = ? WHERE id = ?",
        (
            balance,
            account.version + 1,
            _spent(item, account) + minor if limited else account.spent,
            limit_day or account.spent_day,
            account.id,
        ),
    )
    tx.exec_driver_sql(
        "INSERT INTO postings (account_id, seq, entry_id, side, minor_units, balance_after, booking_date, limit_day)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (account.id, account.version + 1, entry_id, posting["side"], minor, balance, item["booking_date"], limit_day),
    )
