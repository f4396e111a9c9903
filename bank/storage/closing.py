"""Close a bank to writing, whatever servers are running, and open it again.

A setting that servers look at would come too late for the write that has already looked. So the
database itself refuses: triggers on every table, made by the role that owns them. Making one waits for
the writes under way, and every later one meets it.
"""

from __future__ import annotations

import time
import uuid

import sqlalchemy as sa

from bank.errors import Unavailable
from bank.storage.dialects import dialect_of
from bank.storage.dialects.base import CLOSED
from bank.storage.facts import bank_facts, fact, learn

_ATTEMPTS = 6


class TablesBusy(Unavailable):
    """Somebody has been using a table for long."""

    code = "tables_busy"

    def __init__(self) -> None:
        super().__init__(
            "Something has been using a table for half a minute, such as a long report. Wait for its end, or end it, and"
            " start again: what was closed so far stays closed."
        )


def close(owner: sa.Connection) -> str:
    """Refuse every change of a row from now on; answers this closure's name, another one after each `reopen`.

    `owner` connects as the role that owns the tables. Closing what is closed changes nothing.

    Raises:
        TablesBusy: a table cannot be had.
    """
    if fact(owner, CLOSED) is None:
        learn(owner, CLOSED, uuid.uuid4().hex)
    owner.exec_driver_sql(dialect_of(owner).short_patience)
    present = _refusals(owner)
    for table in sa.inspect(owner).get_table_names():
        for trigger, statement in dialect_of(owner).refusals_of_writing(table).items():
            if trigger not in present:
                _change(owner, statement)
    closure = fact(owner, CLOSED)
    assert closure is not None
    return closure


def reopen(owner: sa.Connection) -> bool:
    """Let rows be changed again; False: it was not closed.

    Raises:
        TablesBusy: a table cannot be had.
    """
    owner.exec_driver_sql(dialect_of(owner).short_patience)
    refusals = _refusals(owner)
    was_closed = bool(refusals) or fact(owner, CLOSED) is not None
    # The closure's name goes before anything else can change: a copy begun under it must never go on then.
    for is_first in (True, False):
        for trigger, table in refusals.items():
            if (table == bank_facts.name) is is_first:
                _change(owner, dialect_of(owner).allow_writing(trigger, table))
        owner.execute(bank_facts.delete().where(bank_facts.c.name == CLOSED))
    return was_closed


def is_closed(owner: sa.Connection) -> bool:
    """Is every change of every row refused? What `close` makes last has come when all is here."""
    present = _refusals(owner)
    return all(
        trigger in present
        for table in sa.inspect(owner).get_table_names()
        for trigger in dialect_of(owner).refusals_of_writing(table)
    )


def _refusals(owner: sa.Connection) -> dict[str, str]:
    """The triggers that are there, each with its table."""
    found = owner.exec_driver_sql(dialect_of(owner).triggers)
    return {trigger: table for trigger, table in found if trigger.startswith(CLOSED)}


def _change(owner: sa.Connection, statement: str) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            owner.exec_driver_sql(statement)
        except sa.exc.DBAPIError as error:
            if not dialect_of(owner).lost_a_race(error):
                raise
            if attempt + 1 == _ATTEMPTS:
                raise TablesBusy from error
            time.sleep(0.2)
        else:
            return
