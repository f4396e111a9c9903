"""`bank db take-over` and `bank db fence`: which of two databases is the primary from now on."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import click
import sqlalchemy as sa

from bank.audit import store as audit
from bank.cli import common
from bank.cli.copying import all_tables
from bank.ledger.tables import journal_entries
from bank.settings import split_login_file, verifies_certificate
from bank.storage import login_file, migrate, term
from bank.storage.dialects import dialect_of
from bank.storage.dialects.base import NO_REPLICA
from bank.storage.login_file import Login, LoginFileRefused, Place
from bank.storage.term import Taken, TakeOverRefused
from bank.storage.transaction import Bank

_host = click.option(
    "--host", help="The database's host, in place of the one that DATABASE_URL or its login file names."
)
_port = click.option("--port", type=click.IntRange(1, 65_535), help="Its port; default: as there.")


class _TriedOnly(Exception):
    """What was tried is taken back."""


@click.command("take-over")
@_host
@_port
@click.option("--above", type=click.IntRange(0, 10**9 - 1), default=0, help="Begin a higher term than this one, too.")
@click.option("--again", is_flag=True, help="Begin another term, though this database has begun one already.")
@click.option("--dry-run", is_flag=True, help="Try it, take it back, and say what would be.")
@common.in_sentences
def take_over(host: str | None, port: int | None, above: int, again: bool, dry_run: bool) -> None:
    """Make a promoted database the primary, so that servers follow without a restart.

    First promote it by its own means. This sees that it takes writes and gives out new ids, begins a new term on it, and
    prints what to put into the secret of the servers' login. They refuse databases of other terms from then on, the old
    primary among them, should it come back.

    Whoever may read DATABASE_LOGIN_FILE can do it, on any server: `bank db take-over --host NEW_HOST`. Only a database
    whose old primary was closed by `bank db fence` needs the role that owns the schema. Run again, it says the same
    again and changes nothing.
    """
    bank, place, known = _bank_at(host, port)
    with bank.connect() as owner:
        _require_bank(owner)
        here = term.place(owner)
        has_all = None if dry_run else term.open_copy_of_fenced(owner)
        mended = [] if dry_run else _mend_ids(owner)
    taken = _take_over(bank, max(above, known), again, dry_run=dry_run)
    if has_all is not None:
        click.echo(_HAS_ALL if has_all else _MAY_LACK)
    for table in mended:
        click.echo(f"New ids of {table} go on after the greatest one.")
    click.echo(_told(taken, dry_run=dry_run, here=here))
    click.echo(_where_it_stands(bank))
    click.echo(_NEXT.format(secret=json.dumps(replace(place, term=taken.term).told()), host=_WHERE[place.host is None]))
    bank.engine.dispose()


_HAS_ALL = "Nothing is missing: all that the old primary had booked when it was fenced is here."
_MAY_LACK = "The old primary was still being fenced when this copy stopped following it: payments may be missing."
_WHERE = {False: "", True: " and its host, as servers reach it,"}
_NEXT = """
Now:
  1. Put this{host} into the secret of the servers' login, beside username and password; servers need no restart:
{secret}
  2. Let nobody write to the old primary: stop it, rename it, or run `bank db fence --host OLD_HOST` as its owner.
  3. See that /writable answers ok in every region, then run `bank ledger verify`.
  4. Where SECURED_SECONDS is set: payments are confirmed without a copy from now on. When one follows again, run
     `bank db secure`."""


def _told(taken: Taken, *, dry_run: bool, here: str) -> str:
    if taken.term == taken.before:
        return f"This database ({here}) has taken over before: it is in term {taken.term}. Nothing was changed."
    if dry_run:
        return f"This database ({here}) takes writes; it is in term {taken.before}, and would begin term {taken.term}. Nothing was changed."
    return f"This database ({here}) is the primary in term {taken.term}; before, it was in term {taken.before}."


def _take_over(bank: Bank, above: int, again: bool, *, dry_run: bool) -> Taken:
    by = common.author(bank, "cli:take-over")
    told: list[Taken] = []

    def use_case(tx: sa.Connection) -> None:
        taken = term.take_over(tx, above=above, again=again)
        if taken.term != taken.before:
            details = {"term": [taken.before, taken.term]}
            audit.record(tx, "database.taken_over", "bank", by=by, details=details)
        told[:] = [taken]
        if dry_run:
            raise _TriedOnly

    with suppress(_TriedOnly):
        bank.run(use_case)
    return told[0]


def _mend_ids(owner: sa.Connection) -> list[str]:
    """The tables whose next id would have been taken already."""
    dialect, mended = dialect_of(owner), []
    for table in all_tables():
        column = table.autoincrement_column
        if column is not None and dialect.ids_are_behind(owner, table.name, column.name):
            dialect.continue_ids(owner, table.name, column.name)
            mended.append(table.name)
    return mended


def _where_it_stands(bank: Bank) -> str:
    c = journal_entries.c
    with bank.reader() as reader:
        last = reader.execute(sa.select(c.id, c.booked_at).order_by(c.id.desc()).limit(1)).first()
    if last is None:
        return "Its ledger is empty."
    return f"Its ledger ends with entry {last.id}, booked {last.booked_at:%Y-%m-%d %H:%M:%S.%f} UTC. Keep this line."


@click.command()
@_host
@_port
@click.option("--undo", is_flag=True, help="Let it take writes again.")
@common.in_sentences
def fence(host: str | None, port: int | None, undo: bool) -> None:
    """Let an old primary, which can still be reached, refuse all writes from now on.

    The database itself refuses them, on open connections too, whatever its servers believe. Reads go on. Run it on a
    primary that was replaced. Or, for a planned change, on the one that is to be replaced: its copy is complete once the
    refusals have arrived there, and `bank db take-over` says whether they have, and takes them back on the copy.

    DATABASE_URL must name the role that owns the schema.
    """
    bank, _, _ = _bank_at(host, port)
    with bank.connect() as owner:
        _require_bank(owner)
        click.echo(_unfenced(owner) if undo else _fenced(owner))
    bank.engine.dispose()


def _fenced(owner: sa.Connection) -> str:
    term.fence(owner)
    return f"This database ({term.place(owner)}) refuses all writes. To take it back: bank db fence --undo."


def _unfenced(owner: sa.Connection) -> str:
    return "It takes writes again." if term.unfence(owner) else "It was not fenced here; nothing was changed."


def _require_bank(owner: sa.Connection) -> None:
    if migrate.current(owner) is None:
        raise TakeOverRefused("There is no bank here.")


def _bank_at(host: str | None, port: int | None) -> tuple[Bank, Place, int]:
    """The bank at a place, whatever its term; its place as far as it is known, and the term that the login file says.

    Raises:
        ClickException: the place cannot be used.
    """
    settings = common.settings()
    url, file = split_login_file(settings.database_url)
    if url.get_backend_name() == "sqlite":
        raise click.ClickException(f"{NO_REPLICA}.")
    try:
        login = login_file.read(file.path) if file else Login(str(url.username or ""), str(url.password or ""))
        there = Place(host or login.place.host, port or (None if host else login.place.port))
        reached = there.on(url) if login.username == "" else replace(login, place=there).on(url)
    except LoginFileRefused as problem:
        raise click.ClickException(str(problem)) from problem
    text = reached.render_as_string(hide_password=False)
    if settings.production and not verifies_certificate(text):
        raise click.ClickException(
            "In production the server's certificate must be verified: see docs/reference/settings.md."
        )
    place = Place(reached.host if there.host or _is_by_tcp(reached) else None, reached.port)
    return Bank.open(replace(settings, database_url=text)), place, login.place.term or 0


def _is_by_tcp(url: sa.URL) -> bool:
    return not {"host", "hostaddr", "unix_socket"} & set(url.query)
