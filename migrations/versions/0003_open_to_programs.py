"""Tokens for programs, and doors that take many payments at once.

Running release: unaffected. It knows no tokens and no files of payments, and calls the door by the same name with the
same words.
Locks: none that matter; the tables are new, and the door's functions are replaced in place.
"""

import sqlalchemy as sa
from alembic import op

from bank.storage.dialects import dialect_of
from bank.storage.metadata import MYSQL_OPTIONS, ExactText, Id, Instant, JsonText

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("person_id", Id, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("scopes", sa.String(length=200), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("last_used_on", sa.Date(), nullable=True),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.CheckConstraint("kind IN ('staff', 'customer')", name=op.f("ck_api_tokens_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_api_tokens_token_digest")),
        **MYSQL_OPTIONS,
    )
    op.create_index("ix_api_tokens_person", "api_tokens", ["kind", "person_id"], unique=False)
    _create_payment_files()
    run_scripts("0003")


def downgrade() -> None:
    run_scripts("down_0003")
    op.drop_table("payment_file_lines")
    op.drop_table("payment_files")
    op.drop_table("api_tokens")


def _create_payment_files() -> None:
    op.create_table(
        "payment_files",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("owner", sa.String(length=100), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("content_digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("read_as", JsonText(), nullable=False),
        sa.Column("payments", sa.Integer(), nullable=False),
        sa.Column("decided", sa.Integer(), nullable=False),
        sa.Column("uploaded_by", sa.String(length=100), nullable=False),
        sa.Column("uploaded_at", Instant(), nullable=False),
        sa.Column("confirmed_by", sa.String(length=100), nullable=True),
        sa.Column("confirmed_at", Instant(), nullable=True),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_files")),
        sa.UniqueConstraint("owner", "identity", name=op.f("uq_payment_files_owner")),
        sqlite_autoincrement=True,
        **MYSQL_OPTIONS,
    )
    op.create_index("ix_payment_files_owner", "payment_files", ["owner", "id"], unique=False)
    op.create_table(
        "payment_file_lines",
        sa.Column("file_id", Id, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("from_account_id", Id, nullable=False),
        sa.Column("to_account_id", Id, nullable=False),
        sa.Column("minor_units", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("payee_name", sa.String(length=140), nullable=False),
        sa.Column("name_check", sa.String(length=10), nullable=True),
        sa.Column("reference", sa.String(length=140), nullable=False),
        sa.Column("own_key", ExactText(length=140), nullable=False),
        sa.Column("result", sa.String(length=10), nullable=True),
        sa.Column("entry_id", Id, nullable=True),
        sa.Column("refusal", JsonText(), nullable=True),
        sa.CheckConstraint("minor_units > 0", name=op.f("ck_payment_file_lines_minor_units")),
        sa.CheckConstraint("result IN ('paid', 'again', 'refused')", name=op.f("ck_payment_file_lines_result")),
        sa.ForeignKeyConstraint(
            ["file_id"], ["payment_files.id"], name=op.f("fk_payment_file_lines_file_id_payment_files")
        ),
        sa.ForeignKeyConstraint(
            ["from_account_id"], ["accounts.id"], name=op.f("fk_payment_file_lines_from_account_id_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["to_account_id"], ["accounts.id"], name=op.f("fk_payment_file_lines_to_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("file_id", "position", name=op.f("pk_payment_file_lines")),
        **MYSQL_OPTIONS,
    )


def run_scripts(prefix: str) -> None:
    """The doors as they are now, or as they were."""
    connection = op.get_bind().execution_options(no_parameters=True)
    for statement in dialect_of(connection).statements(connection, prefix):
        connection.exec_driver_sql(statement)
