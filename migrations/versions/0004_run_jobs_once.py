"""A row for each of the bank's jobs, so that one server of all runs it.

Running release: unaffected, it knows no jobs.
Next release: runs before this as well; each server then runs every job, as it did.
Locks: none that matter; the table is new.
"""

import sqlalchemy as sa
from alembic import op

from bank.storage.metadata import MYSQL_OPTIONS, Instant

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("slot", sa.String(length=20), nullable=False),
        sa.Column("run_by", sa.String(length=100), nullable=False),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.Column("begun_at", Instant(), nullable=False),
        sa.Column("lease_until", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_jobs")),
        **MYSQL_OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("jobs")
