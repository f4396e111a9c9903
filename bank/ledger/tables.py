"""The ledger's tables."""

from __future__ import annotations

import sqlalchemy as sa

from bank.storage.metadata import MYSQL_OPTIONS, ExactText, Id, Instant, JsonText, metadata

ledger_accounts = sa.Table(
    "ledger_accounts",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("number", ExactText(34), nullable=False, unique=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("chart_code", sa.String(30), nullable=False),
    sa.Column("normal_side", sa.String(6), nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("status", sa.String(13), nullable=False, server_default="open"),
    # Minor units, positive on the account's normal side; balance = balance_after of posting `version`.
    sa.Column("balance", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("held", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
    # The least balance; NULL on the bank's own accounts, which nothing guards.
    sa.Column("floor", sa.BigInteger),
    # NULL: the bank's default applies.
    sa.Column("limit_per_payment", sa.BigInteger),
    sa.Column("limit_per_day", sa.BigInteger),
    # What limited payments took on `spent_day`, so that the daily limit is looked at in one row.
    sa.Column("spent_day", sa.Date),
    sa.Column("spent", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("opened_at", Instant, nullable=False),
    sa.CheckConstraint("normal_side IN ('debit', 'credit')", name="normal_side"),
    sa.CheckConstraint("status IN ('open', 'debits_frozen', 'frozen', 'closed')", name="status"),
    sa.CheckConstraint("held >= 0", name="held"),
    sa.CheckConstraint("floor IS NULL OR balance - held >= floor", name="floor"),
    sa.Index("ix_ledger_accounts_chart_code", "chart_code"),
    postgresql_with={"fillfactor": "70"},
    **MYSQL_OPTIONS,
)

# A refused request is an entry too, without postings: so its key is remembered for ever beside the others.
journal_entries = sa.Table(
    "journal_entries",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("caller", ExactText(100), nullable=False),
    sa.Column("idempotency_key", ExactText(255), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(30), nullable=False),
    sa.Column("narrative", sa.String(200), nullable=False),
    sa.Column("booking_date", sa.Date, nullable=False),
    sa.Column("value_date", sa.Date, nullable=False),
    sa.Column("booked_at", Instant, nullable=False),
    sa.Column("reverses", Id, sa.ForeignKey("journal_entries.id"), unique=True),
    # The entry that reserved, on those that capture, release or expire the hold.
    sa.Column("hold_id", Id, sa.ForeignKey("journal_entries.id"), index=True),
    sa.Column("hold_change", sa.BigInteger),
    sa.Column("refusal", sa.String(40)),
    sa.Column("refusal_facts", JsonText),
    sa.UniqueConstraint("caller", "idempotency_key"),
    sa.Index("ix_journal_entries_booking_date", "booking_date", "id"),
    **MYSQL_OPTIONS,
)

postings = sa.Table(
    "postings",
    metadata,
    sa.Column("account_id", Id, sa.ForeignKey("ledger_accounts.id"), primary_key=True, autoincrement=False),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("entry_id", Id, sa.ForeignKey("journal_entries.id"), nullable=False, index=True),
    sa.Column("side", sa.String(6), nullable=False),
    sa.Column("minor_units", sa.BigInteger, nullable=False),
    sa.Column("balance_after", sa.BigInteger, nullable=False),
    sa.Column("booking_date", sa.Date, nullable=False),
    # The day whose limit this posting used up; NULL when no limit applied.
    sa.Column("limit_day", sa.Date),
    sa.CheckConstraint("minor_units > 0", name="minor_units"),
    sa.CheckConstraint("seq > 0", name="seq"),
    sa.CheckConstraint("side IN ('debit', 'credit')", name="side"),
    sa.Index("ix_postings_account_id_booking_date", "account_id", "booking_date"),
    **MYSQL_OPTIONS,
)

# A hold is named by the entry that reserved it. `remaining` is what is still reserved.
holds = sa.Table(
    "holds",
    metadata,
    sa.Column("id", Id, sa.ForeignKey("journal_entries.id"), primary_key=True, autoincrement=False),
    sa.Column("account_id", Id, sa.ForeignKey("ledger_accounts.id"), nullable=False, index=True),
    sa.Column("minor_units", sa.BigInteger, nullable=False),
    sa.Column("remaining", sa.BigInteger, nullable=False),
    sa.Column("expires_at", Instant),
    sa.CheckConstraint("minor_units > 0", name="minor_units"),
    sa.CheckConstraint("remaining >= 0 AND remaining <= minor_units", name="remaining"),
    sa.Index("ix_holds_expires_at", "expires_at"),
    **MYSQL_OPTIONS,
)
