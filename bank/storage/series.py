"""Serial numbers for customers and accounts, handed out once each."""

from __future__ import annotations

import sqlalchemy as sa

from bank.identifiers import with_check_digit
from bank.storage.dialects import dialect_of
from bank.storage.metadata import MYSQL_OPTIONS, metadata

number_series = sa.Table(
    "number_series",
    metadata,
    sa.Column("name", sa.String(20), primary_key=True),
    sa.Column("next_serial", sa.BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)


def next_number(tx: sa.Connection, series: str) -> str:
    """The next free number of `series` (customers, accounts), with its check digit; others wait until this commits."""
    mine = number_series.c.name == series
    serial: int = tx.execute(dialect_of(tx).lock(sa.select(number_series.c.next_serial).where(mine))).scalar_one()
    tx.execute(number_series.update().where(mine).values(next_serial=serial + 1))
    return with_check_digit(serial)
