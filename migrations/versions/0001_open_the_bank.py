"""The bank opens: ledger, customers, accounts, staff, sessions, audit trail; the door and its guards.

Running release: none before this one.
Locks: none that matter; the tables are new.
"""

import sqlalchemy as sa
from alembic import op

from bank.storage.dialects import dialect_of
from bank.storage.metadata import MYSQL_OPTIONS, ExactText, Id, Instant, JsonText

revision = "0001"
down_revision = None

# Customers' and accounts' numbers begin above all that the older app gave out.
SERIES = {"customers": 110200000, "accounts": 360200000}


def upgrade() -> None:
    op.create_table(
        "audit_records",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("who", sa.String(100), nullable=False),
        sa.Column("action", sa.String(60), nullable=False),
        sa.Column("subject", sa.String(60), nullable=False),
        sa.Column("reason", sa.String(500), nullable=True),
        sa.Column("details", JsonText, nullable=False),
        sa.Column("request_id", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_records")),
        **MYSQL_OPTIONS,
    )
    op.create_index("ix_audit_records_subject", "audit_records", ["subject", "id"], unique=False)
    op.create_table(
        "bank_facts",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("value", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_bank_facts")),
        **MYSQL_OPTIONS,
    )
    op.create_table(
        "customer_logins",
        sa.Column("customer_id", Id, autoincrement=False, nullable=False),
        sa.Column("password_hash", sa.String(200), nullable=False),
        sa.Column("enrolled_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer_logins")),
        **MYSQL_OPTIONS,
    )
    op.create_table(
        "customers",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("number", ExactText(12), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("search_name", sa.String(400), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("address", sa.String(300), nullable=False),
        sa.Column("city", sa.String(100), nullable=False),
        sa.Column("region", sa.String(100), nullable=False),
        sa.Column("postcode", sa.String(20), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("phone", sa.String(40), nullable=False),
        sa.Column("identity_sealed", sa.Text(), nullable=True),
        sa.Column("identity_digest", sa.String(64), nullable=True),
        sa.Column("status", sa.String(10), server_default="active", nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("status IN ('active', 'inactive')", name=op.f("ck_customers_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
        sa.UniqueConstraint("identity_digest", name=op.f("uq_customers_identity_digest")),
        sa.UniqueConstraint("number", name=op.f("uq_customers_number")),
        **MYSQL_OPTIONS,
    )
    op.create_index(op.f("ix_customers_search_name"), "customers", ["search_name"], unique=False)
    op.create_table(
        "journal_entries",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("caller", ExactText(100), nullable=False),
        sa.Column("idempotency_key", ExactText(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("narrative", sa.String(200), nullable=False),
        sa.Column("booking_date", sa.Date(), nullable=False),
        sa.Column("value_date", sa.Date(), nullable=False),
        sa.Column("booked_at", Instant(), nullable=False),
        sa.Column("reverses", Id, nullable=True),
        sa.Column("hold_id", Id, nullable=True),
        sa.Column("hold_change", sa.BigInteger(), nullable=True),
        sa.Column("refusal", sa.String(40), nullable=True),
        sa.Column("refusal_facts", JsonText, nullable=True),
        sa.ForeignKeyConstraint(["hold_id"], ["journal_entries.id"], name=op.f("fk_journal_entries_hold_id")),
        sa.ForeignKeyConstraint(["reverses"], ["journal_entries.id"], name=op.f("fk_journal_entries_reverses")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_entries")),
        sa.UniqueConstraint("caller", "idempotency_key", name=op.f("uq_journal_entries_caller")),
        sa.UniqueConstraint("reverses", name=op.f("uq_journal_entries_reverses")),
        **MYSQL_OPTIONS,
    )
    op.create_index("ix_journal_entries_booking_date", "journal_entries", ["booking_date", "id"], unique=False)
    op.create_index(op.f("ix_journal_entries_hold_id"), "journal_entries", ["hold_id"], unique=False)
    op.create_table(
        "ledger_accounts",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("number", ExactText(34), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("chart_code", sa.String(30), nullable=False),
        sa.Column("normal_side", sa.String(6), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("status", sa.String(13), server_default="open", nullable=False),
        sa.Column("balance", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("floor", sa.BigInteger(), nullable=True),
        sa.Column("limit_per_payment", sa.BigInteger(), nullable=True),
        sa.Column("limit_per_day", sa.BigInteger(), nullable=True),
        sa.Column("spent_day", sa.Date(), nullable=True),
        sa.Column("spent", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.CheckConstraint("normal_side IN ('debit', 'credit')", name=op.f("ck_ledger_accounts_normal_side")),
        sa.CheckConstraint(
            "status IN ('open', 'debits_frozen', 'frozen', 'closed')", name=op.f("ck_ledger_accounts_status")
        ),
        sa.CheckConstraint("floor IS NULL OR balance - held >= floor", name=op.f("ck_ledger_accounts_floor")),
        sa.CheckConstraint("held >= 0", name=op.f("ck_ledger_accounts_held")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_accounts")),
        sa.UniqueConstraint("number", name=op.f("uq_ledger_accounts_number")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("ix_ledger_accounts_chart_code", "ledger_accounts", ["chart_code"], unique=False)
    op.create_table(
        "number_series",
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("next_serial", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_number_series")),
        **MYSQL_OPTIONS,
    )
    op.create_table(
        "one_time_codes",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("customer_id", Id, nullable=False),
        sa.Column("code_digest", sa.String(64), nullable=False),
        sa.Column("issued_by", sa.String(100), nullable=False),
        sa.Column("issued_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("used_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_codes")),
        **MYSQL_OPTIONS,
    )
    op.create_index(op.f("ix_one_time_codes_customer_id"), "one_time_codes", ["customer_id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("token_digest", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("person_id", Id, nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("last_used_at", Instant(), nullable=False),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.Column("network_address", sa.String(45), nullable=False),
        sa.Column("device", sa.String(200), nullable=False),
        sa.CheckConstraint("kind IN ('staff', 'customer')", name=op.f("ck_sessions_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_sessions_token_digest")),
        **MYSQL_OPTIONS,
    )
    op.create_index("ix_sessions_person", "sessions", ["kind", "person_id"], unique=False)
    op.create_table(
        "staff",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("user_id", ExactText(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("password_hash", sa.String(200), nullable=False),
        sa.Column("must_change_password", sa.Boolean(), nullable=False),
        sa.Column("disabled_at", Instant(), nullable=True),
        sa.Column("till_account_id", Id, nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("role IN ('executive', 'teller', 'cashier')", name=op.f("ck_staff_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("user_id", name=op.f("uq_staff_user_id")),
        **MYSQL_OPTIONS,
    )
    op.create_table(
        "throttles",
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_failed_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_throttles")),
        **MYSQL_OPTIONS,
    )
    op.create_table(
        "accounts",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("product", sa.String(20), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.Column("frozen_for", sa.String(10), nullable=True),
        sa.CheckConstraint("frozen_for IN ('staff', 'customer')", name=op.f("ck_accounts_frozen_for")),
        sa.CheckConstraint("product IN ('current', 'savings')", name=op.f("ck_accounts_product")),
        sa.ForeignKeyConstraint(["id"], ["ledger_accounts.id"], name=op.f("fk_accounts_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        **MYSQL_OPTIONS,
    )
    op.create_table(
        "holds",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("minor_units", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.CheckConstraint("minor_units > 0", name=op.f("ck_holds_minor_units")),
        sa.CheckConstraint("remaining >= 0 AND remaining <= minor_units", name=op.f("ck_holds_remaining")),
        sa.ForeignKeyConstraint(["account_id"], ["ledger_accounts.id"], name=op.f("fk_holds_account_id")),
        sa.ForeignKeyConstraint(["id"], ["journal_entries.id"], name=op.f("fk_holds_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
        **MYSQL_OPTIONS,
    )
    op.create_index(op.f("ix_holds_account_id"), "holds", ["account_id"], unique=False)
    op.create_index("ix_holds_expires_at", "holds", ["expires_at"], unique=False)
    op.create_table(
        "postings",
        sa.Column("account_id", Id, autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", Id, nullable=False),
        sa.Column("side", sa.String(6), nullable=False),
        sa.Column("minor_units", sa.BigInteger(), nullable=False),
        sa.Column("balance_after", sa.BigInteger(), nullable=False),
        sa.Column("booking_date", sa.Date(), nullable=False),
        sa.Column("limit_day", sa.Date(), nullable=True),
        sa.CheckConstraint("side IN ('debit', 'credit')", name=op.f("ck_postings_side")),
        sa.CheckConstraint("minor_units > 0", name=op.f("ck_postings_minor_units")),
        sa.CheckConstraint("seq > 0", name=op.f("ck_postings_seq")),
        sa.ForeignKeyConstraint(["account_id"], ["ledger_accounts.id"], name=op.f("fk_postings_account_id")),
        sa.ForeignKeyConstraint(["entry_id"], ["journal_entries.id"], name=op.f("fk_postings_entry_id")),
        sa.PrimaryKeyConstraint("account_id", "seq", name=op.f("pk_postings")),
        **MYSQL_OPTIONS,
    )
    op.create_index("ix_postings_account_id_booking_date", "postings", ["account_id", "booking_date"], unique=False)
    op.create_index(op.f("ix_postings_entry_id"), "postings", ["entry_id"], unique=False)
    op.create_table(
        "account_holders",
        sa.Column("account_id", Id, autoincrement=False, nullable=False),
        sa.Column("customer_id", Id, autoincrement=False, nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.CheckConstraint("role IN ('owner', 'authorised')", name=op.f("ck_account_holders_role")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_account_holders_account_id")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_account_holders_customer_id")),
        sa.PrimaryKeyConstraint("account_id", "customer_id", name=op.f("pk_account_holders")),
        **MYSQL_OPTIONS,
    )
    op.create_index(op.f("ix_account_holders_customer_id"), "account_holders", ["customer_id"], unique=False)
    series = sa.table("number_series", sa.column("name", sa.String), sa.column("next_serial", sa.BigInteger))
    op.bulk_insert(series, [{"name": name, "next_serial": serial} for name, serial in SERIES.items()])
    run_scripts(revision)


def downgrade() -> None:
    run_scripts(f"down_{revision}")
    for table in (
        "account_holders",
        "postings",
        "holds",
        "accounts",
        "throttles",
        "staff",
        "sessions",
        "one_time_codes",
        "number_series",
        "ledger_accounts",
        "journal_entries",
        "customers",
        "customer_logins",
        "bank_facts",
        "audit_records",
    ):
        op.drop_table(table)


def run_scripts(prefix: str) -> None:
    """The doors, and the triggers that keep rows as they are."""
    connection = op.get_bind().execution_options(no_parameters=True)
    for statement in dialect_of(connection).statements(connection, prefix):
        connection.exec_driver_sql(statement)
