"""Queries that every page asks, prepared: PostgreSQL reads and plans them once for each connection, and not each time.

Planning the page of an account's movements takes it longer than reading them. The other databases answer a prepared
query as any other.
"""

from __future__ import annotations

import itertools
import re
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
from psycopg2 import errors
from psycopg2.extensions import TRANSACTION_STATUS_INERROR
from sqlalchemy.engine import ExecutionContext

_OPTION: Final = "prepared"
#: Names of one connection's prepared queries by their texts: in the connection's own `info`, which ends with it.
_NAMES: Final = "prepared queries"
#: No name is given twice: whether a query was prepared that then failed, nobody knows.
_numbers: Final = itertools.count(1)
_VALUE: Final = re.compile(r"%\((\w+)\)s")
#: How a prepared query fails when a migration has changed what it answers, or somebody discarded it.
_OUTDATED: Final = (errors.FeatureNotSupported, errors.InvalidSqlStatementName)


def prepared(query: sa.Select[Any]) -> sa.Select[Any]:
    """The query, to be prepared where it is asked; made once, with bound parameters for what differs between calls."""
    return query.execution_options(**{_OPTION: True})


@lru_cache(maxsize=256)
def _texts(statement: str) -> tuple[str, str]:
    """The driver's statement as PREPARE wants it, and the values that EXECUTE is given for its places.

    >>> _texts("SELECT 1 WHERE a = %(x)s AND b = %(y)s AND c > %(x)s AND 'd' LIKE '%%'")
    ("SELECT 1 WHERE a = $1 AND b = $2 AND c > $1 AND 'd' LIKE '%%'", '(%(x)s, %(y)s)')
    >>> _texts("SELECT 1")
    ('SELECT 1', '')
    """
    places: dict[str, int] = {}
    query = _VALUE.sub(lambda found: f"${places.setdefault(found[1], len(places) + 1)}", statement)
    return query, f"({', '.join(f'%({name})s' for name in places)})" if places else ""


@sa.event.listens_for(sa.Engine, "do_execute")
def _execute(cursor: Any, statement: str, values: Any, context: ExecutionContext) -> bool:
    """Ask a prepared query by its name; the first time on a connection, prepare it in the same message."""
    if not context.execution_options.get(_OPTION) or context.dialect.name != "postgresql":
        return False
    names: dict[str, str] = context.root_connection.info.setdefault(_NAMES, {})
    query, given = _texts(statement)
    name = names.pop(statement, "")
    if not name:
        name = f"page_{next(_numbers)}"
        cursor.execute(f"PREPARE {name} AS {query}; EXECUTE {name}{given}", values)
    else:
        try:
            cursor.execute(f"EXECUTE {name}{given}", values)
        except _OUTDATED:
            if cursor.connection.info.transaction_status == TRANSACTION_STATUS_INERROR:
                raise
            # Prepared anew the next time.
            cursor.execute(statement, values)
            return True
    names[statement] = name
    return True
