"""A payment by session or token on SQLite: who asks, whose account it is, and the message for the door.

The same steps in the same order as postgresql_0003_send.sql and mysql_0003_send.sql; tests/storage proves them alike.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bank.storage.dialects.base import Answer, Message

_UTC = "%Y-%m-%d %H:%M:%S.%f"
_TOUCH_AFTER = timedelta(seconds=60)


def judge(tx: sa.Connection, item: Message) -> Message | Answer:
    """What the door is to be told, or why it is not told; the caller holds the write lock."""
    means, person_id = _who(tx, item)
    customer_id = person_id and _scalar(tx, "SELECT id FROM customers WHERE id = ? AND status = 'active'", person_id)
    if means is None or customer_id is None:
        return _denied("signed_out")
    _note_use(tx, item, means)
    if item["means"] == "token" and "payments:write" not in means.scopes.split(" "):
        return _denied("wrong_scope")
    paying = _scalar(tx, "SELECT id FROM ledger_accounts WHERE number = ?", item["payer"])
    if not _holds(tx, paying, customer_id):
        return _denied("no_such_account")
    if item["payer"] == item["payee"]:
        return _denied("same_account")
    operation = f"{customer_id}:{item['key']}"
    planned = _scalar(tx, "SELECT id FROM scheduled_payments WHERE operation = ?", operation)
    if planned is not None:
        return _denied("planned", planned)
    receiving = _scalar(
        tx, "SELECT l.id FROM ledger_accounts l JOIN accounts a ON a.id = l.id WHERE l.number = ?", item["payee"]
    )
    if receiving is None or not _is_known(tx, customer_id, receiving, item["payee"]):
        return _denied("untried")
    payers, payees = _owners(tx, paying), _owners(tx, receiving)
    return _message(item, customer_id, paying, receiving, is_own=payers == payees and customer_id in payers)


def _denied(why: str, about: int | None = None) -> Answer:
    return ["denied", about, why, None]


def _who(tx: sa.Connection, item: Message) -> tuple[sa.Row[Any] | None, int | None]:
    """The live session or token, and the customer whose it is."""
    now = datetime.strptime(item["booked_at"], _UTC)  # noqa: DTZ007  # the database's instants have no zone either
    if item["means"] == "session":
        row = tx.exec_driver_sql(
            "SELECT id, person_id, last_used_at FROM sessions"
            " WHERE token_digest = ? AND kind = 'customer' AND revoked_at IS NULL"
            " AND max(last_used_at, coalesce(?, last_used_at)) >= ? AND created_at >= ?",
            (
                item["credential"],
                item["seen"],
                (now - timedelta(seconds=item["idle_seconds"])).strftime(_UTC),
                (now - timedelta(seconds=item["absolute_seconds"])).strftime(_UTC),
            ),
        ).first()
    else:
        row = tx.exec_driver_sql(
            "SELECT id, person_id, scopes, last_used_on FROM api_tokens"
            " WHERE token_digest = ? AND kind = 'customer' AND revoked_at IS NULL AND expires_at > ?",
            (item["credential"], item["booked_at"]),
        ).first()
    return row, row.person_id if row else None


def _note_use(tx: sa.Connection, item: Message, means: sa.Row[Any]) -> None:
    if item["means"] == "token" and means.last_used_on != item["booking_date"]:
        tx.exec_driver_sql("UPDATE api_tokens SET last_used_on = ? WHERE id = ?", (item["booking_date"], means.id))
    if item["means"] == "session":
        now = datetime.strptime(item["booked_at"], _UTC)  # noqa: DTZ007
        tx.exec_driver_sql(
            "UPDATE sessions SET last_used_at = ? WHERE id = ? AND last_used_at < ?",
            (item["booked_at"], means.id, (now - _TOUCH_AFTER).strftime(_UTC)),
        )


def _holds(tx: sa.Connection, account_id: int | None, customer_id: int) -> bool:
    held = "SELECT 1 FROM account_holders WHERE account_id = ? AND customer_id = ?"
    return _scalar(tx, held, account_id, customer_id) is not None


def _is_known(tx: sa.Connection, customer_id: int, account_id: int, number: str) -> bool:
    """What was paid, saved or tried before; another number is counted first, so that nobody finds accounts by trying."""
    saved = "SELECT 1 FROM payees WHERE customer_id = ? AND account_id = ?"
    tried = "SELECT 1 FROM name_checks WHERE customer_id = ? AND number = ? AND result <> 'unknown' LIMIT 1"
    return (
        _scalar(tx, saved, customer_id, account_id) is not None
        or _holds(tx, account_id, customer_id)
        or _scalar(tx, tried, customer_id, number) is not None
    )


def _owners(tx: sa.Connection, account_id: int | None) -> set[int]:
    owners = "SELECT customer_id FROM account_holders WHERE account_id = ? AND role = 'owner'"
    return set(tx.exec_driver_sql(owners, (account_id,)).scalars())


def _message(item: Message, customer_id: int, paying: Any, receiving: int, *, is_own: bool) -> Message:
    minor, currency = item["minor"], item["currency"]
    sides = sorted([(paying, "debit"), (receiving, "credit")])
    digested = ", ".join(f'[{account}, "{side}", {minor}, "{currency}"]' for account, side in sides)
    content = f'["transfer", {item["narrative_json"]}, [{digested}], null, null]'
    nothing = ("reverses", "hold_op", "hold_account", "hold_id", "hold_minor", "hold_currency", "hold_expires_at")
    return {
        **dict.fromkeys(nothing),
        **{name: item[name] for name in ("key", "narrative", "booking_date", "booked_at")},
        "caller": f"customer:{customer_id}",
        "kind": "transfer",
        "digest": hashlib.sha256(content.encode()).hexdigest(),
        "value_date": item["booking_date"],
        "limit_per_payment": None if is_own else item["limit_per_payment"],
        "limit_per_day": None if is_own else item["limit_per_day"],
        "postings": [
            {"account": paying, "side": "debit", "minor": minor, "currency": currency},
            {"account": receiving, "side": "credit", "minor": minor, "currency": currency},
        ],
    }


def _scalar(tx: sa.Connection, statement: str, *values: Any) -> Any:
    return tx.exec_driver_sql(statement, values).scalar()
