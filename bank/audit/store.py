"""The audit rows; the database refuses to change or delete them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from bank.audit.model import Author
from bank.storage.metadata import MYSQL_OPTIONS, Id, Instant, JsonText, metadata

audit_records = sa.Table(
    "audit_records",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("who", sa.String(100), nullable=False),
    sa.Column("action", sa.String(60), nullable=False),
    sa.Column("subject", sa.String(60), nullable=False),
    sa.Column("reason", sa.String(500)),
    sa.Column("details", JsonText, nullable=False),
    sa.Column("request_id", sa.String(64)),
    sa.Index("ix_audit_records_subject", "subject", "id"),
    **MYSQL_OPTIONS,
)


def record(
    tx: sa.Connection,
    action: str,
    subject: str,
    *,
    by: Author,
    reason: str | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Write down that `by` did `action` to `subject` (like `customer:17`), in the transaction that does it.

    `details` must hold no identity number, password or other secret in clear.
    """
    row = {"at": by.at, "who": by.who, "action": action, "subject": subject, "reason": reason}
    tx.execute(audit_records.insert(), {**row, "details": details or {}, "request_id": by.request_id})


def page_before(reader: sa.Connection, subject: str | None, *, before: int | None, limit: int) -> list[sa.Row[Any]]:
    """The `limit` records just before id `before` (None: the newest), newest first, of one subject or of all."""
    query = sa.select(audit_records).order_by(audit_records.c.id.desc()).limit(limit)
    if subject is not None:
        query = query.where(audit_records.c.subject == subject)
    if before is not None:
        query = query.where(audit_records.c.id < before)
    return list(reader.execute(query))


def listing(*, subject: str | None = None) -> sa.Select[Any]:
    """The query of all records, or of those on one subject."""
    query = sa.select(audit_records)
    return query if subject is None else query.where(audit_records.c.subject == subject)


def details(reader: sa.Connection, action: str, subject: str) -> list[dict[str, Any]]:
    """The details of every record of `action` on `subject`, oldest first."""
    c = audit_records.c
    query = sa.select(c.details).where(c.subject == subject, c.action == action).order_by(c.id)
    return [row.details for row in reader.execute(query)]


def reason_of(reader: sa.Connection, action: str, subject: str, operation: str) -> str | None:
    """The reason given for this very operation on `subject`, if it was recorded."""
    c = audit_records.c
    query = sa.select(c.details, c.reason).where(c.subject == subject, c.action == action)
    return next((row.reason for row in reader.execute(query) if row.details.get("operation") == operation), None)
