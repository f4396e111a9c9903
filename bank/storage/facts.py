"""Facts about this bank as a whole, such as that its data is a demonstration."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from bank.storage.metadata import MYSQL_OPTIONS, metadata

#: How the last verification of this database ended.
VERIFICATION: Final = "verification"

bank_facts = sa.Table(
    "bank_facts",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.String(200), nullable=False),
    **MYSQL_OPTIONS,
)


def fact(reader: sa.Connection, name: str) -> str | None:
    """What is known under `name`."""
    return reader.execute(sa.select(bank_facts.c.value).where(bank_facts.c.name == name)).scalar()


def learn(tx: sa.Connection, name: str, value: str) -> None:
    """Write a fact down, in place of what was known under its name."""
    if fact(tx, name) is None:
        tx.execute(bank_facts.insert(), {"name": name, "value": value})
    else:
        tx.execute(bank_facts.update().where(bank_facts.c.name == name).values(value=value))
