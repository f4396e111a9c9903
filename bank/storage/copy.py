"""Move a whole bank's rows from one database to another, and prove both equal.

Rows are written directly, past the ledger's door, as the role that owns the tables: they were
let in by the source's door. Batches go in the order of primary keys, each in a transaction, so after a
kill the target's last row says where to go on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import sqlalchemy as sa

from bank.errors import Conflict, Refused
from bank.storage import migrate
from bank.storage.dialects import dialect_of
from bank.storage.dialects.base import CLOSED, in_transaction
from bank.storage.facts import VERIFICATION, bank_facts, fact, learn
from bank.storage.series import number_series

#: Not copied: everybody logs in again at the new place, and no job has been run there.
LEFT_BEHIND: Final = ("sessions", "jobs")
#: Tables whose rows belong to a database, not to the bank.
_FOREIGN: Final = {"alembic_version", "postings_truncate_guard", "audit_records_truncate_guard"}
#: Facts of that kind: the closure, on the target the closure that it copies, and how its own verification ended.
_COPY_OF: Final = "copy_of"
#: An empty bank has rows there as well: by the migrations, and of timers that found nothing to do.
_FILLED: Final = {"number_series", "jobs"}
_FACTS_OF_A_DATABASE: Final = (CLOSED, _COPY_OF, VERIFICATION)
_EQUAL: Final = " equal"

Progress = Callable[[int], object]
Row = sa.Row[Any]


class CopyRefused(Refused):
    """This source cannot be copied to this target."""

    code = "copy_refused"


class CopyDiffers(Conflict):
    """The copy is complete, yet not the same."""

    code = "copy_differs"


@dataclass(frozen=True, slots=True)
class Content:
    """What a table holds: its rows, and a SHA-256 digest of their values that any database gives alike."""

    rows: int
    digest: str


def moved_tables(tables: Sequence[sa.Table]) -> list[sa.Table]:
    """Those of `tables` that a copy has."""
    return [table for table in tables if table.name not in LEFT_BEHIND]


def check_source(source: sa.Connection, tables: Sequence[sa.Table]) -> None:
    """See that the source is a bank of this release.

    Raises:
        CopyRefused: it is not, or has a table that this release does not know.
    """
    revision = migrate.current(source)
    if revision is None:
        raise CopyRefused("The source holds no bank.")
    if revision != migrate.head():
        raise CopyRefused(f"The source's schema is at {revision}, not {migrate.head()}: upgrade it first.")
    unknown = set(sa.inspect(source).get_table_names()) - {table.name for table in tables} - _FOREIGN
    if unknown:
        raise CopyRefused(f"The source has tables that this release does not know: {', '.join(sorted(unknown))}.")


def check_target(target: sa.Connection, tables: Sequence[sa.Table], closure: str | None) -> str:
    """See that the target is empty, or a copy of the source's `closure` begun before; says which.

    Raises:
        CopyRefused: it is neither.
    """
    there = set(sa.inspect(target).get_table_names()) - {"alembic_version"}
    revision = migrate.current(target)
    if revision is None and there:
        raise CopyRefused(
            f"The target holds another program's tables, or half a schema: {', '.join(sorted(there)[:5])}."
        )
    begun = fact(target, _COPY_OF) if bank_facts.name in there else None
    if begun is None:
        _refuse_filled(target, [table for table in tables if table.name in there])
        return "empty"
    if revision != migrate.head():
        raise CopyRefused("The target holds a copy begun by another release. Start with an empty database.")
    if begun.removesuffix(_EQUAL) != closure:
        raise CopyRefused(
            "The target holds a copy begun from another bank, or from this one before it was opened again. Start with an"
            " empty database."
        )
    return "complete" if begun.endswith(_EQUAL) else "begun"


def _refuse_filled(target: sa.Connection, tables: Sequence[sa.Table]) -> None:
    filled = [table.name for table in tables if table.name not in _FILLED and _has_rows(target, table)]
    if filled:
        raise CopyRefused(f"The target is not empty: it has rows in {', '.join(filled)}.")


def _has_rows(target: sa.Connection, table: sa.Table) -> bool:
    return bool(target.execute(sa.select(sa.exists(_rows(table)))).scalar())


def count(connection: sa.Connection, table: sa.Table) -> int:
    """How many rows of the table a copy has."""
    rows: int = connection.execute(sa.select(sa.func.count()).select_from(_rows(table).subquery())).scalar_one()
    return rows


def begin(target: sa.Connection, closure: str) -> None:
    """Mark an empty target as a copy of the source's `closure`."""
    with in_transaction(target, dialect_of(target).begin):
        target.execute(number_series.delete())
        learn(target, _COPY_OF, closure)


def copy_rows(
    source: sa.Connection, target: sa.Connection, tables: Sequence[sa.Table], progress: Progress, *, batch_size: int
) -> None:
    """Copy what the target does not have yet; `progress` is told how many more rows.

    Raises:
        CopyRefused: a row does not fit into the target.
    """
    for table in tables:
        for batch in _batches(source, table, after=_last_key(target, table), size=batch_size):
            _write(target, table, batch)
            progress(len(batch))
        if (generated := table.autoincrement_column) is not None:
            dialect_of(target).continue_ids(target, table.name, generated.name)


def compare(
    source: sa.Connection, target: sa.Connection, tables: Sequence[sa.Table], progress: Progress, *, batch_size: int
) -> dict[str, Content]:
    """Prove that both hold the same, and answer it by table; the target is then marked as equal.

    Raises:
        CopyDiffers: naming each table that differs.
    """
    contents, differences = {}, []
    for table in tables:
        contents[table.name] = here = content(source, table, progress, batch_size=batch_size)
        there = content(target, table, progress, batch_size=batch_size)
        if here != there:
            differences.append(f"{table.name} ({here.rows} rows in the source, {there.rows} in the target)")
    if differences:
        raise CopyDiffers(f"The copy differs in {', '.join(differences)}. Start again with an empty target.")
    learn(target, _COPY_OF, f"{fact(source, CLOSED)}{_EQUAL}")
    return contents


def finish(target: sa.Connection) -> None:
    """Let the target be a bank like any other."""
    target.execute(bank_facts.delete().where(bank_facts.c.name == _COPY_OF))


def content(connection: sa.Connection, table: sa.Table, progress: Progress, *, batch_size: int) -> Content:
    """Count and digest a table, row by row in the order of its primary key."""
    digest, rows = hashlib.sha256(), 0
    for batch in _batches(connection, table, after=None, size=batch_size):
        for row in batch:
            digest.update(json.dumps(list(row), default=_in_words, sort_keys=True).encode() + b"\n")
        rows += len(batch)
        progress(len(batch))
    return Content(rows, digest.hexdigest())


def _in_words(value: Any) -> str:
    """An instant or a day as text that does not depend on who stored it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(type(value))


def _rows(table: sa.Table) -> sa.Select[Any]:
    query = sa.select(table)
    return query.where(table.c.name.not_in(_FACTS_OF_A_DATABASE)) if table is bank_facts else query


def _key(connection: sa.Connection, table: sa.Table) -> list[sa.ColumnElement[Any]]:
    return [dialect_of(connection).in_byte_order(column) for column in table.primary_key.columns]


def _key_of(table: sa.Table, row: Row) -> tuple[Any, ...]:
    return tuple(row._mapping[column] for column in table.primary_key.columns)  # noqa: SLF001 — its public name


def _batches(
    connection: sa.Connection, table: sa.Table, *, after: tuple[Any, ...] | None, size: int
) -> Iterator[list[Row]]:
    """The table's rows after a key, in the order of their keys."""
    key = _key(connection, table)
    query = _rows(table).order_by(*key).limit(size)
    while batch := list(connection.execute(query.where(_beyond(key, after)) if after else query)):
        yield batch
        after = _key_of(table, batch[-1])


def _beyond(key: Sequence[sa.ColumnElement[Any]], after: Sequence[Any]) -> sa.ColumnElement[bool]:
    """`key > after`, in words that let every database go straight to the place in its index."""
    first, *others = key
    is_beyond: sa.ColumnElement[bool] = first > after[0]
    if not others:
        return is_beyond
    return sa.and_(first >= after[0], sa.or_(is_beyond, _beyond(others, after[1:])))


def _last_key(target: sa.Connection, table: sa.Table) -> tuple[Any, ...] | None:
    key = _key(target, table)
    row = target.execute(_rows(table).order_by(*(column.desc() for column in key)).limit(1)).first()
    return _key_of(table, row) if row else None


def _write(target: sa.Connection, table: sa.Table, batch: Sequence[Row]) -> None:
    try:
        with in_transaction(target, dialect_of(target).begin):
            target.execute(table.insert(), [row._asdict() for row in batch])
    except (sa.exc.DataError, sa.exc.IntegrityError, ValueError) as error:
        if len(batch) > 1:
            for row in batch:
                _write(target, table, [row])
            return
        # Its first line: a driver's others hold values.
        reason = str(error.orig if isinstance(error, sa.exc.DBAPIError) else error).splitlines()[0]
        raise CopyRefused(f"{table.name} {_key_of(table, batch[0])} does not fit into the target: {reason}") from error
