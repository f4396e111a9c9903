"""Payees, drafts, scheduled payments, counted tills, categories, cases and warnings.

Running release: unaffected, it knows none of these tables.
Locks: none that matter; the tables are new.
"""

import sqlalchemy as sa
from alembic import op

from bank.storage.metadata import MYSQL_OPTIONS, ExactText, Id, Instant, JsonText

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "cases",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("operation", ExactText(length=100), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("customer_id", Id, nullable=True),
        sa.Column("account_id", Id, nullable=True),
        sa.Column("entry_id", Id, nullable=True),
        sa.Column("told", sa.String(length=1000), nullable=False),
        sa.Column("opened_by", sa.String(length=100), nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("taken_by", sa.String(length=100), nullable=True),
        sa.Column("taken_at", Instant(), nullable=True),
        sa.Column("answer", sa.String(length=1000), nullable=True),
        sa.Column("closed_by", sa.String(length=100), nullable=True),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.CheckConstraint("kind IN ('problem', 'till_difference')", name=op.f("ck_cases_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sa.UniqueConstraint("operation", name=op.f("uq_cases_operation")),
        **MYSQL_OPTIONS,
    )
    op.create_index("ix_cases_closed_at", "cases", ["closed_at", "id"], unique=False)
    op.create_index(op.f("ix_cases_customer_id"), "cases", ["customer_id"], unique=False)
    op.create_index(op.f("ix_cases_entry_id"), "cases", ["entry_id"], unique=False)
    op.create_table(
        "name_checks",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("customer_id", Id, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("number", ExactText(length=34), nullable=False),
        sa.Column("result", sa.String(length=10), nullable=False),
        sa.CheckConstraint("result IN ('match', 'close', 'none', 'unknown')", name=op.f("ck_name_checks_result")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_name_checks")),
        **MYSQL_OPTIONS,
    )
    op.create_index("ix_name_checks_customer", "name_checks", ["customer_id", "at"], unique=False)
    op.create_table(
        "payment_drafts",
        sa.Column("operation", ExactText(length=36), nullable=False),
        sa.Column("customer_id", Id, nullable=False),
        sa.Column("from_account_id", Id, nullable=False),
        sa.Column("to_account_id", Id, nullable=False),
        sa.Column("payee_name", sa.String(length=200), nullable=False),
        sa.Column("name_check", sa.String(length=10), nullable=False),
        sa.Column("minor_units", sa.BigInteger(), nullable=True),
        sa.Column("reference", sa.String(length=100), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("repeats", sa.String(length=10), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "name_check IN ('own', 'match', 'close', 'none', 'renamed')", name=op.f("ck_payment_drafts_name_check")
        ),
        sa.CheckConstraint("repeats IN ('once', 'monthly')", name=op.f("ck_payment_drafts_repeats")),
        sa.PrimaryKeyConstraint("operation", name=op.f("pk_payment_drafts")),
        **MYSQL_OPTIONS,
    )
    op.create_index(op.f("ix_payment_drafts_customer_id"), "payment_drafts", ["customer_id"], unique=False)
    op.create_table(
        "category_rules",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("customer_id", Id, nullable=False),
        sa.Column("words", sa.String(length=200), nullable=False),
        sa.Column("category", sa.String(length=20), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_category_rules_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_category_rules")),
        sa.UniqueConstraint("customer_id", "words", name=op.f("uq_category_rules_customer_id")),
        **MYSQL_OPTIONS,
    )
    op.create_table(
        "customer_warnings",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("customer_id", Id, nullable=False),
        sa.Column("told", sa.String(length=300), nullable=False),
        sa.Column("needs_reason", sa.Boolean(), nullable=False),
        sa.Column("raised_by", sa.String(length=100), nullable=False),
        sa.Column("raised_at", Instant(), nullable=False),
        sa.Column("lifted_by", sa.String(length=100), nullable=True),
        sa.Column("lifted_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_customer_warnings_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_warnings")),
        **MYSQL_OPTIONS,
    )
    op.create_index(op.f("ix_customer_warnings_customer_id"), "customer_warnings", ["customer_id"], unique=False)
    op.create_table(
        "till_counts",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("operation", ExactText(length=36), nullable=False),
        sa.Column("till_account_id", Id, nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("expected", sa.BigInteger(), nullable=False),
        sa.Column("counted", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("pieces", JsonText, nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("entry_id", Id, nullable=True),
        sa.Column("counted_by", sa.String(length=100), nullable=False),
        sa.Column("counted_at", Instant(), nullable=False),
        sa.CheckConstraint("counted >= 0", name=op.f("ck_till_counts_counted")),
        sa.ForeignKeyConstraint(["entry_id"], ["journal_entries.id"], name=op.f("fk_till_counts_entry_id")),
        sa.ForeignKeyConstraint(
            ["till_account_id"], ["ledger_accounts.id"], name=op.f("fk_till_counts_till_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_till_counts")),
        sa.UniqueConstraint("operation", name=op.f("uq_till_counts_operation")),
        **MYSQL_OPTIONS,
    )
    op.create_index("ix_till_counts_till", "till_counts", ["till_account_id", "id"], unique=False)
    op.create_table(
        "category_corrections",
        sa.Column("account_id", Id, autoincrement=False, nullable=False),
        sa.Column("entry_id", Id, autoincrement=False, nullable=False),
        sa.Column("category", sa.String(length=20), nullable=False),
        sa.Column("customer_id", Id, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_category_corrections_account_id")),
        sa.ForeignKeyConstraint(["entry_id"], ["journal_entries.id"], name=op.f("fk_category_corrections_entry_id")),
        sa.PrimaryKeyConstraint("account_id", "entry_id", name=op.f("pk_category_corrections")),
        **MYSQL_OPTIONS,
    )
    op.create_table(
        "payees",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("customer_id", Id, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("name_check", sa.String(length=10), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("removed_at", Instant(), nullable=True),
        sa.CheckConstraint("name_check IN ('match', 'close', 'none', 'renamed')", name=op.f("ck_payees_name_check")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_payees_account_id")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_payees_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payees")),
        sa.UniqueConstraint("customer_id", "account_id", name=op.f("uq_payees_customer_id")),
        **MYSQL_OPTIONS,
    )
    op.create_index(op.f("ix_payees_account_id"), "payees", ["account_id"], unique=False)
    op.create_table(
        "scheduled_payments",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("operation", ExactText(length=100), nullable=False),
        sa.Column("customer_id", Id, nullable=False),
        sa.Column("from_account_id", Id, nullable=False),
        sa.Column("to_account_id", Id, nullable=False),
        sa.Column("payee_name", sa.String(length=200), nullable=False),
        sa.Column("minor_units", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("reference", sa.String(length=100), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("repeats", sa.String(length=10), nullable=False),
        sa.Column("day_of_month", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.String(length=10), server_default="waiting", nullable=False),
        sa.Column("entry_id", Id, nullable=True),
        sa.Column("refusal", JsonText, nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("decided_at", Instant(), nullable=True),
        sa.CheckConstraint("repeats IN ('once', 'monthly')", name=op.f("ck_scheduled_payments_repeats")),
        sa.CheckConstraint(
            "status IN ('waiting', 'done', 'refused', 'cancelled')", name=op.f("ck_scheduled_payments_status")
        ),
        sa.CheckConstraint("minor_units > 0", name=op.f("ck_scheduled_payments_minor_units")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_scheduled_payments_customer_id")),
        sa.ForeignKeyConstraint(
            ["from_account_id"], ["accounts.id"], name=op.f("fk_scheduled_payments_from_account_id")
        ),
        sa.ForeignKeyConstraint(["to_account_id"], ["accounts.id"], name=op.f("fk_scheduled_payments_to_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduled_payments")),
        sa.UniqueConstraint("operation", name=op.f("uq_scheduled_payments_operation")),
        **MYSQL_OPTIONS,
    )
    op.create_index(op.f("ix_scheduled_payments_customer_id"), "scheduled_payments", ["customer_id"], unique=False)
    op.create_index("ix_scheduled_payments_due", "scheduled_payments", ["status", "due_on"], unique=False)
    op.create_index(
        op.f("ix_scheduled_payments_from_account_id"), "scheduled_payments", ["from_account_id"], unique=False
    )


def downgrade() -> None:
    for table in (
        "scheduled_payments",
        "payees",
        "category_corrections",
        "till_counts",
        "customer_warnings",
        "category_rules",
        "payment_drafts",
        "name_checks",
        "cases",
    ):
        op.drop_table(table)
