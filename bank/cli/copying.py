"""`bank db copy` and `bank db reopen`: move a bank to another database."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click
import sqlalchemy as sa

import bank
from bank.audit.model import Author
from bank.cli import common
from bank.cli.ledger import verify_bank
from bank.ledger import store, trial
from bank.settings import masked_url
from bank.storage import closing, migrate
from bank.storage import copy as copying
from bank.storage.dialects.base import CLOSED
from bank.storage.engine import make_engine
from bank.storage.errors import DatabaseAway
from bank.storage.facts import fact
from bank.storage.metadata import metadata
from bank.storage.transaction import Bank

_BATCH = 2_000


def all_tables() -> list[sa.Table]:
    """Every table of the bank, those that others refer to first: each noun's `store` declares its own."""
    for module in pkgutil.iter_modules(bank.__path__, "bank."):
        if module.ispkg and (Path(str(bank.__path__[0])) / module.name.partition(".")[2] / "store.py").exists():
            importlib.import_module(f"{module.name}.store")
    return metadata.sorted_tables


@click.command("copy")
@click.argument("source_url")
@click.argument("target_url")
@click.option("--dry-run", is_flag=True, help="Say what would be copied, and change nothing.")
@click.option("--batch-size", type=click.IntRange(1, 20_000), default=_BATCH, show_default=True, help="Rows at a time.")
@common.in_sentences
def copy(source_url: str, target_url: str, dry_run: bool, batch_size: int) -> None:
    """Move the whole bank at SOURCE_URL to the empty database at TARGET_URL.

    Closes the source to writing, copies, proves both sides equal, and books a trial posting on the copy.
    Both URLs must name roles that own their schema. After an interruption, run it again: it goes on where it was.
    """
    tables = all_tables()
    with connected(source_url, existing=True) as source:
        copying.check_source(source, tables)
        rows = {table: copying.count(source, table) for table in copying.moved_tables(tables)}
        state = _target_state(target_url, tables, fact(source, CLOSED))
        _announce(source_url, target_url, rows, state)
        if dry_run:
            click.echo("Nothing was changed.")
            return
        if state == "empty":
            migrate.upgrade(target_url)
        closure = closing.close(source)
        click.echo("The source is closed to writing.")
        with connected(target_url) as target:
            _copy(source, target, list(rows), closure, state, batch_size)
            _prove(source, target, target_url, closure)
            copying.finish(target)
    click.echo(_NEXT.format(source=masked_url(source_url)))


_NEXT = """
The bank has moved. What to do now:
  1. Give the application's role its rights on the target: DATABASE_URL=TARGET_URL bank db grant ROLE (not on SQLite).
  2. Start the servers with DATABASE_URL at the target, and with the same SECRET_KEY and IDENTITY_KEYS: without those
     keys no identity number can be read. Sessions were left behind, so everybody logs in again.
  3. Keep the source, closed as it is, until you trust the copy. To go back to it instead:
     bank db reopen {source}"""


@click.command()
@click.argument("url")
@common.in_sentences
def reopen(url: str) -> None:
    """Let the bank at URL be written to again, after `bank db copy` closed it. URL must name the role that owns it.

    A copy begun before cannot go on afterwards: it starts anew, with an empty target.
    """
    with connected(url, existing=True) as owner:
        if migrate.current(owner) is None:
            raise copying.CopyRefused("There is no bank here.")
        was_closed = closing.reopen(owner)
    click.echo("The bank is open to writing again." if was_closed else "The bank was not closed.")


@contextmanager
def connected(url: str, *, existing: bool = False) -> Iterator[sa.Connection]:
    if existing and is_missing_file(url):
        raise copying.CopyRefused(f"There is no file at {url}.")
    try:
        engine = make_engine(url)
    except ValueError as problem:
        raise click.ClickException(f"A database URL {problem}.") from problem
    try:
        connection = engine.connect()
    except sa.exc.DBAPIError as error:
        raise DatabaseAway from error
    try:
        with connection:
            yield connection
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseAway from error
        # Only its first line: a driver's others may hold values.
        reason = str(error.orig).splitlines()[0]
        raise click.ClickException(f"The database refused, to a role that should own its schema: {reason}") from error
    finally:
        engine.dispose()


def is_missing_file(url: str) -> bool:
    """Would connecting make an SQLite file that is not there yet?"""
    return url.startswith("sqlite") and not Path(str(sa.make_url(url).database)).exists()


def _target_state(url: str, tables: list[sa.Table], closure: str | None) -> str:
    if is_missing_file(url):
        return "empty"
    with connected(url) as target:
        return copying.check_target(target, tables, closure)


def _announce(source_url: str, target_url: str, rows: dict[sa.Table, int], state: str) -> None:
    click.echo(f"From {masked_url(source_url)}\n  to {masked_url(target_url)} ({_STATES[state]})")
    for table, count in rows.items():
        click.echo(f"{count:>12,}  {table.name}")
    click.echo(f"{sum(rows.values()):>12,}  rows in all; left behind: {', '.join(copying.LEFT_BEHIND)}")


_STATES = {
    "empty": "empty; its schema will be made",
    "begun": "a copy begun before; it goes on",
    "complete": "copied and compared before; the trial posting is left",
}


def _copy(
    source: sa.Connection, target: sa.Connection, tables: list[sa.Table], closure: str, state: str, batch_size: int
) -> None:
    """Copy and compare, as far as that was not done before."""
    if state == "complete":
        return
    if state == "empty":
        copying.begin(target, closure)
    # Counted anew: until it was closed, the source went on.
    total = sum(copying.count(source, table) for table in tables)
    missing = total - sum(copying.count(target, table) for table in tables)
    with click.progressbar(length=missing, label="Copying", file=sys.stderr) as bar:
        copying.copy_rows(source, target, tables, bar.update, batch_size=batch_size)
    with click.progressbar(length=2 * total, label="Comparing", file=sys.stderr) as bar:
        contents = copying.compare(source, target, tables, bar.update, batch_size=batch_size)
    click.echo("Both sides hold the same:")
    for name, content in contents.items():
        click.echo(f"{content.rows:>12,}  {name:18} {content.digest}")


def _prove(source: sa.Connection, target: sa.Connection, target_url: str, closure: str) -> None:
    """Compare balances, post once on the copy, and verify all of its ledger."""
    balances = store.trial_balance(source)
    settings = replace(common.settings(), database_url=target_url)
    copied = Bank.open(settings)
    try:
        currency = balances[0].currency if balances else settings.currency
        now = copied.clock.now()
        by = Author("cli:copy", now, copied.clock.business_date(now))
        entry_id = trial.post_and_reverse(copied, currency, key=f"copy-{closure}", by=by)
        after = {(line.chart_code, line.currency): line.balance for line in store.trial_balance(target)}
        differing = [line for line in balances if after.get((line.chart_code, line.currency)) != line.balance]
        if differing:
            raise copying.CopyDiffers(f"The balances of {', '.join(line.chart_code for line in differing)} differ.")
        click.echo(f"The balances are the same, and the copy takes postings: entry {entry_id}, reversed at once.")
        click.echo(verify_bank(copied))
    finally:
        copied.engine.dispose()
