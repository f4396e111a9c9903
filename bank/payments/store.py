"""Payees, name checks, drafts, scheduled payments and counted tills: the tables."""

from __future__ import annotations

import sqlalchemy as sa

from bank.storage.metadata import MYSQL_OPTIONS, ExactText, Id, Instant, JsonText, metadata

# Whom a customer pays, by the customer's own name for them. Removed ones stay: older payments are called by them.
payees = sa.Table(
    "payees",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("customer_id", Id, sa.ForeignKey("customers.id"), nullable=False),
    sa.Column("account_id", Id, sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("name", sa.String(200), nullable=False),
    # What the last check of the name against the account's holders found; `renamed`: it is the customer's own word.
    sa.Column("name_check", sa.String(10), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("removed_at", Instant),
    sa.UniqueConstraint("customer_id", "account_id"),
    sa.CheckConstraint("name_check IN ('match', 'close', 'none', 'renamed')", name="name_check"),
    **MYSQL_OPTIONS,
)

# One row for each look-up of a name or number by a customer, so that look-ups can be limited and followed.
name_checks = sa.Table(
    "name_checks",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("customer_id", Id, nullable=False),
    sa.Column("at", Instant, nullable=False),
    # The number as typed; there need not be an account of it.
    sa.Column("number", ExactText(34), nullable=False),
    sa.Column("result", sa.String(10), nullable=False),
    sa.Index("ix_name_checks_customer", "customer_id", "at"),
    sa.CheckConstraint("result IN ('match', 'close', 'none', 'unknown')", name="result"),
    **MYSQL_OPTIONS,
)

# A payment that is being prepared, by the operation id under which it will be sent.
payment_drafts = sa.Table(
    "payment_drafts",
    metadata,
    sa.Column("operation", ExactText(36), primary_key=True),
    sa.Column("customer_id", Id, nullable=False, index=True),
    sa.Column("from_account_id", Id, nullable=False),
    sa.Column("to_account_id", Id, nullable=False),
    sa.Column("payee_name", sa.String(200), nullable=False),
    sa.Column("name_check", sa.String(10), nullable=False),
    sa.Column("minor_units", sa.BigInteger),
    sa.Column("reference", sa.String(100), nullable=False),
    # None: at once.
    sa.Column("due_on", sa.Date),
    sa.Column("repeats", sa.String(10), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("name_check IN ('own', 'match', 'close', 'none', 'renamed')", name="name_check"),
    sa.CheckConstraint("repeats IN ('once', 'monthly')", name="repeats"),
    **MYSQL_OPTIONS,
)

# Payments of a later day. A monthly one becomes the next one when it is made; `operation` makes each only once.
scheduled_payments = sa.Table(
    "scheduled_payments",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("operation", ExactText(100), nullable=False, unique=True),
    sa.Column("customer_id", Id, sa.ForeignKey("customers.id"), nullable=False, index=True),
    sa.Column("from_account_id", Id, sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("to_account_id", Id, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("payee_name", sa.String(200), nullable=False),
    sa.Column("minor_units", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("reference", sa.String(100), nullable=False),
    sa.Column("due_on", sa.Date, nullable=False),
    sa.Column("repeats", sa.String(10), nullable=False),
    # The day of the month that was asked for; a shorter month has its last day instead.
    sa.Column("day_of_month", sa.SmallInteger, nullable=False),
    sa.Column("status", sa.String(10), nullable=False, server_default="waiting"),
    sa.Column("entry_id", Id),
    # Why it was refused: a code and its facts, which are told in the reader's language.
    sa.Column("refusal", JsonText),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("decided_at", Instant),
    sa.Index("ix_scheduled_payments_due", "status", "due_on"),
    sa.CheckConstraint("minor_units > 0", name="minor_units"),
    sa.CheckConstraint("repeats IN ('once', 'monthly')", name="repeats"),
    sa.CheckConstraint("status IN ('waiting', 'done', 'refused', 'cancelled')", name="status"),
    **MYSQL_OPTIONS,
)

# What was in a till when somebody counted it; a difference is booked in the same database transaction.
till_counts = sa.Table(
    "till_counts",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("operation", ExactText(36), nullable=False, unique=True),
    sa.Column("till_account_id", Id, sa.ForeignKey("ledger_accounts.id"), nullable=False),
    sa.Column("business_date", sa.Date, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("expected", sa.BigInteger, nullable=False),
    sa.Column("counted", sa.BigInteger, nullable=False),
    # The till's last posting when it was counted: what came later is another count's.
    sa.Column("seq", sa.BigInteger, nullable=False),
    # How many of each note and coin, by its minor units; empty when only the sum was given.
    sa.Column("pieces", JsonText, nullable=False),
    sa.Column("reason", sa.String(500)),
    sa.Column("entry_id", Id, sa.ForeignKey("journal_entries.id")),
    sa.Column("counted_by", sa.String(100), nullable=False),
    sa.Column("counted_at", Instant, nullable=False),
    sa.Index("ix_till_counts_till", "till_account_id", "id"),
    sa.CheckConstraint("counted >= 0", name="counted"),
    **MYSQL_OPTIONS,
)
