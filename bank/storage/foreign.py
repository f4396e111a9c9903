"""Somebody else's database: opened for reading alone, at one instant."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError

from bank.errors import Invalid
from bank.settings import masked_url

_CONNECT_SECONDS = 10


class SourceUnreadable(Invalid):
    """The database to read from cannot be read, or is not what it should be."""

    code = "source_unreadable"


@contextmanager
def read_only(url: str) -> Iterator[sa.Connection]:
    """A connection to the SQLite or MySQL database at `url` that cannot write, and sees one instant throughout.

    Raises:
        SourceUnreadable: with a sentence that says why.
    """
    engine, begin = _engine(url)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(begin)
            yield connection
    except DBAPIError as error:
        raise SourceUnreadable(f"{masked_url(url)} cannot be read: {error.orig}.") from error
    finally:
        engine.dispose()


def _engine(url: str) -> tuple[sa.Engine, str]:
    scheme, separator, rest = url.partition("://")
    backend = scheme.partition("+")[0]
    if separator and backend == "sqlite":
        return _sqlite(url), "BEGIN"
    if separator and backend in ("mysql", "mariadb"):
        return _mysql(f"mysql+pymysql://{rest}"), "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
    raise SourceUnreadable("Give the database's address as sqlite:///FILE or mysql://USER:PASSWORD@HOST/DATABASE.")


def _sqlite(url: str) -> sa.Engine:
    path = Path(str(_parsed(url).database or ""))
    if not path.is_file():
        raise SourceUnreadable(f"There is no file {path}.")

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)
        # One letter that is not UTF-8 must not hide a whole branch.
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        return connection

    return sa.create_engine("sqlite://", creator=connect, isolation_level="AUTOCOMMIT")


def _mysql(url: str) -> sa.Engine:
    arguments = {"charset": "utf8mb4", "connect_timeout": _CONNECT_SECONDS}
    return sa.create_engine(_parsed(url), connect_args=arguments, isolation_level="AUTOCOMMIT")


def _parsed(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except (ArgumentError, ValueError) as error:
        raise SourceUnreadable("The database's address cannot be read.") from error
