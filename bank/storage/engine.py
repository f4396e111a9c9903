"""Connections to the database that DATABASE_URL names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from bank.settings import split_login_file
from bank.storage import following
from bank.storage.dialects import DIALECTS
from bank.storage.pool import never_hand_out_ended, notice_the_dead

# A connection outlives the password that opened it; this ends those of a login that is no longer the file's.
_LOGIN_SECONDS: Final = 3600


def make_engine(url: str, *, pool_size: int = 5, statement_seconds: float | None = None) -> sa.Engine:
    """An engine whose connections commit each statement by themselves.

    So a page costs the database one message per query, and whoever needs several
    statements to hold together says so: `Bank.run`. `statement_seconds` bounds
    each wait for an answer, the log-in's too; None (for long jobs) does not. With `login_file=PATH` in
    the URL's query each new connection logs in as that file says, and where.

    Raises:
        ValueError: the URL cannot be used, as it says.
    """
    parsed, file = split_login_file(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database and not parsed.database.startswith("file:"):
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    dialect = DIALECTS[parsed.get_backend_name()]
    engine = sa.create_engine(
        parsed,
        connect_args=dialect.connect_args(statement_seconds),
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=min(5, statement_seconds or 5),
        pool_recycle=_LOGIN_SECONDS if file else -1,
    )
    if file:
        following.follow(engine, file, dialect)
    sa.event.listen(engine, "connect", lambda connection, _record: dialect.on_connect(connection))
    notice_the_dead(engine, dialect.descriptor)
    never_hand_out_ended(engine, dialect.descriptor)
    return engine


def kind_and_version(connection: sa.Connection) -> str:
    """The database server as people call it, like `PostgreSQL 15.6`."""
    dialect = connection.dialect
    kind = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
    names = {"postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB", "sqlite": "SQLite"}
    return f"{names[kind]} {'.'.join(map(str, getattr(dialect, 'server_version_info', None) or ()))}"
