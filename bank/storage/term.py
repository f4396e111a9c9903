"""The term: the number of a primaryship, higher after each promotion, by which an old primary is known as such."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from bank.errors import Conflict
from bank.storage import closing, secured
from bank.storage.dialects import dialect_of
from bank.storage.dialects.base import CLOSED
from bank.storage.facts import bank_facts, fact, learn

#: Facts: the term, the server and its timeline on which it began, and those that were fenced.
TERM: Final = "term"
BEGAN_ON: Final = "term_began_on"
FENCED: Final = "fenced"

_QUERY: Final = f"SELECT value FROM bank_facts WHERE name = '{TERM}'"  # no value


class WrongTerm(Exception):
    """A database is the primary of another term than the one that is looked for."""

    def __init__(self, found: int, wanted: int, file: str) -> None:
        older = (
            "This is an old primary, or was restored: nothing is written to it. If it is to be the primary, run"
            " `bank db take-over` on it."
        )
        newer = "The file is old: put into it what `bank db take-over` printed when it took over."
        super().__init__(
            f"The database has term {found}, and the login file {file} says {wanted}. {older if found < wanted else newer}"
        )


class TakeOverRefused(Conflict):
    """This database cannot become the primary, or stop being it, as it is."""

    code = "take_over_refused"


@dataclass(frozen=True, slots=True)
class Taken:
    """A take-over: the term that was and the one that is, which are the same when it had taken over before."""

    before: int
    term: int


def of_raw(dbapi_connection: Any) -> int:
    """The term of the database that a driver's connection leads to."""
    with dbapi_connection.cursor() as cursor:
        cursor.execute(_QUERY)
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def of(reader: sa.Connection) -> int:
    """The database's term; 0 before the first promotion."""
    return int(fact(reader, TERM) or 0)


def take_over(tx: sa.Connection, *, above: int = 0, again: bool = False) -> Taken:
    """Begin a term on this database, higher than its last one and than `above`; unless it began here, and not `again`.

    Raises:
        TakeOverRefused: it takes no writes.
    """
    here = place(tx)
    # The first promotion finds no row to hold; of two that make one at once, the second runs anew.
    tx.execute(dialect_of(tx).lock(sa.select(bank_facts.c.value).where(bank_facts.c.name == TERM)))
    before = of(tx)
    if fact(tx, BEGAN_ON) == here and before > above and not again:
        return Taken(before, before)
    term = max(before, above) + 1
    # It has no copy yet, so none can have what is paid: `bank db secure` says when one follows it.
    for name, value in ((TERM, str(term)), (BEGAN_ON, here), (secured.ALONE, secured.YES)):
        learn(tx, name, value)
    return Taken(before, term)


def place(connection: sa.Connection) -> str:
    """This server and its timeline: a copy has another one as soon as it is promoted.

    Raises:
        TakeOverRefused: it is a copy that was not promoted, or takes no writes for another reason.
    """
    dialect = dialect_of(connection)
    if connection.exec_driver_sql(dialect.is_read_only).scalar_one():
        raise TakeOverRefused("This database takes no writes: promote it first.")
    here: str = connection.exec_driver_sql(dialect.timeline).scalar_one()
    return here


def fence(owner: sa.Connection) -> None:
    """Refuse every write here from now on, also on connections that are open, whoever's they are.

    Raises:
        TablesBusy: a table cannot be had; what was closed so far stays closed.
        TakeOverRefused: it takes no writes, or was closed for another reason.
    """
    here = place(owner)
    if fact(owner, FENCED) != here:
        if fact(owner, CLOSED) is not None:
            raise TakeOverRefused("`bank db copy` has closed this bank already. To open it: bank db reopen URL.")
        learn(owner, FENCED, here)
    closing.close(owner)


def unfence(owner: sa.Connection) -> bool:
    """Take writes again; False: it was not fenced here.

    Raises:
        TablesBusy: a table cannot be had.
        TakeOverRefused: it takes no writes.
    """
    if fact(owner, FENCED) != place(owner):
        return False
    _open(owner)
    return True


def open_copy_of_fenced(owner: sa.Connection) -> bool | None:
    """Take writes on the promoted copy of a primary that was fenced; None: it was not. Does the copy lack nothing?

    The last thing that such a primary wrote are its refusals: a copy that has them all has everything.

    Raises:
        TablesBusy: a table cannot be had.
        TakeOverRefused: it is the fenced one itself, or was closed for another reason.
    """
    fenced = fact(owner, FENCED)
    if fenced is None:
        if fact(owner, CLOSED) is not None:
            raise TakeOverRefused("`bank db copy` has closed this bank. To open it: bank db reopen URL.")
        return None
    if fenced == place(owner):
        raise TakeOverRefused(
            "This is the primary that was fenced. To let it go on all the same: bank db fence --undo."
        )
    has_all = closing.is_closed(owner)
    _open(owner)
    return has_all


def _open(owner: sa.Connection) -> None:
    closing.reopen(owner)
    owner.execute(bank_facts.delete().where(bank_facts.c.name == FENCED))
