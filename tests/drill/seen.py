"""What is seen of the databases from beside them, by their unix sockets, whatever befalls the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa

from bank.ledger.tables import journal_entries
from bank.settings import normalised_url
from tests.drill.databases import Pair


def entries(database: Any) -> int:
    """How many entries its ledger has."""
    with _connected(database, "admin") as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(journal_entries)).scalar_one())


def lets_in(database: Any) -> bool:
    """Whether the application can open one more connection."""
    with suppress(sa.exc.OperationalError), _connected(database, "app"):
        return True
    return False


def has_all(pair: Pair) -> bool:
    """Whether the replica applies what the primary has written by now."""
    with suppress(TimeoutError):
        pair.catch_up(1)
        return True
    return False


@contextmanager
def _connected(database: Any, role: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(normalised_url(database.local_url(role)), poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection
