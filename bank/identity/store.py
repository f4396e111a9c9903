"""Staff, log-ins, one-time codes, sessions and throttles: the tables."""

from __future__ import annotations

import sqlalchemy as sa

from bank.storage.metadata import MYSQL_OPTIONS, ExactText, Id, Instant, metadata

staff = sa.Table(
    "staff",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("user_id", ExactText(40), nullable=False, unique=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("role", sa.String(10), nullable=False),
    sa.Column("password_hash", sa.String(200), nullable=False),
    sa.Column("must_change_password", sa.Boolean, nullable=False),
    sa.Column("disabled_at", Instant),
    sa.Column("till_account_id", Id),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("role IN ('executive', 'teller', 'cashier')", name="role"),
    **MYSQL_OPTIONS,
)

customer_logins = sa.Table(
    "customer_logins",
    metadata,
    sa.Column("customer_id", Id, primary_key=True, autoincrement=False),
    sa.Column("password_hash", sa.String(200), nullable=False),
    sa.Column("enrolled_at", Instant, nullable=False),
    sa.Column("changed_at", Instant, nullable=False),
    **MYSQL_OPTIONS,
)

one_time_codes = sa.Table(
    "one_time_codes",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("customer_id", Id, nullable=False, index=True),
    sa.Column("code_digest", sa.String(64), nullable=False),
    sa.Column("issued_by", sa.String(100), nullable=False),
    sa.Column("issued_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("used_at", Instant),
    **MYSQL_OPTIONS,
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("token_digest", sa.String(64), nullable=False, unique=True),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("person_id", Id, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("last_used_at", Instant, nullable=False),
    sa.Column("revoked_at", Instant),
    sa.Column("network_address", sa.String(45), nullable=False),
    sa.Column("device", sa.String(200), nullable=False),
    sa.Index("ix_sessions_person", "kind", "person_id"),
    sa.CheckConstraint("kind IN ('staff', 'customer')", name="kind"),
    **MYSQL_OPTIONS,
)

# For programs: what a person allows one to do in their name.
api_tokens = sa.Table(
    "api_tokens",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    sa.Column("token_digest", sa.String(64), nullable=False, unique=True),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("person_id", Id, nullable=False),
    sa.Column("name", sa.String(60), nullable=False),
    # Words of `tokens.SCOPES`, separated by single spaces.
    sa.Column("scopes", sa.String(200), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("last_used_on", sa.Date),
    sa.Column("revoked_at", Instant),
    sa.Index("ix_api_tokens_person", "kind", "person_id"),
    sa.CheckConstraint("kind IN ('staff', 'customer')", name="kind"),
    **MYSQL_OPTIONS,
)

# One row per account and per source of log-ins that lately failed.
throttles = sa.Table(
    "throttles",
    metadata,
    sa.Column("subject", sa.String(64), primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("last_failed_at", Instant, nullable=False),
    **MYSQL_OPTIONS,
)
