"""The places where databases differ, one module each."""

from __future__ import annotations

import sqlalchemy as sa

from bank.storage.dialects.base import Dialect
from bank.storage.dialects.mysql import MySQL
from bank.storage.dialects.postgresql import PostgreSQL
from bank.storage.dialects.sqlite import SQLite

DIALECTS: dict[str, Dialect] = {"sqlite": SQLite(), "postgresql": PostgreSQL(), "mysql": MySQL(), "mariadb": MySQL()}


def dialect_of(connection: sa.Connection | sa.Engine) -> Dialect:
    """What the connection's database does in its own way."""
    return DIALECTS[connection.dialect.name]
