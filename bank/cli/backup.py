"""`bank db backup` and `bank db restore`: the whole bank in a directory, and back into an empty database."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import click
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from bank.cli import common
from bank.cli.copying import all_tables, connected, is_missing_file
from bank.cli.ledger import verify_and_remember
from bank.identity.store import sessions
from bank.ledger import store
from bank.ledger.tables import journal_entries
from bank.settings import masked_url
from bank.storage import backup as backups
from bank.storage import closing, migrate
from bank.storage.backup import Contents, Manifest
from bank.storage.dialects import dialect_of
from bank.storage.dumps import DUMPS
from bank.storage.engine import kind_and_version, make_engine
from bank.storage.tools import BackupRefused, ToolFailed
from bank.storage.transaction import Bank

_DIRECTORY = click.Path(file_okay=True, path_type=Path)


@click.command()
@click.argument("directory", type=_DIRECTORY)
@click.option("--dry-run", is_flag=True, help="Say what would be backed up, and write nothing.")
@common.in_sentences
def backup(directory: Path, dry_run: bool) -> None:
    """Write the whole bank of DATABASE_URL, as it is at one instant, into the new DIRECTORY.

    Payments go on meanwhile. On PostgreSQL and MySQL it takes the database's own tool, pg_dump or mariadb-dump, and a
    DATABASE_URL whose role owns the schema. The directory is its owner's alone: it holds all that the bank knows of
    its customers. Beside the dump lies manifest.json: what is in it, and its SHA-256.
    """
    url = common.settings().database_url
    backups.refuse_existing(directory)
    with connected(url, existing=True) as reader:
        if migrate.current(reader) is None:
            raise BackupRefused("There is no bank here: run `bank db upgrade` to make one.")
        server, engine = kind_and_version(reader), dialect_of(reader).name
        rows = _contents(reader).rows
    tool = DUMPS[engine].tools()
    click.echo(f"From {masked_url(url)} ({server})\n  to {directory}, by {tool}")
    if dry_run:
        click.echo(f"{sum(rows.values()):,} rows as of now. Nothing was written: this was a dry run.")
        return
    with backups.new_directory(directory) as unfinished:
        manifest = _write(unfinished, url, engine=engine, server=server, tool=tool)
    _describe(manifest)
    click.echo(f"{directory} is complete. It holds customers' data: keep it as safe as the database.")


def _write(directory: Path, url: str, *, engine: str, server: str, tool: str) -> Manifest:
    dumps, source = DUMPS[engine], make_engine(url)
    path = directory / dumps.file_name
    try:
        with _counted("Written") as progress, dumps.dumping(source, path, progress) as reader:
            schema, contents = migrate.current(reader), _contents(reader)
    except DBAPIError as error:
        raise ToolFailed(f"The database says: {str(error.orig).splitlines()[0]}") from error
    finally:
        source.dispose()
    assert schema is not None
    length, sha256 = backups.digest(path, lambda _bytes: None)
    manifest = Manifest(
        made_at=common.open_bank().clock.now().isoformat(timespec="seconds"),
        release=version("retail-bank"),
        schema=schema,
        engine=engine,
        server=server,
        tool=tool,
        bytes=length,
        sha256=sha256,
        rows=contents.rows,
        newest_entry=contents.newest_entry,
        trial_balance=contents.trial_balance,
    )
    backups.write_manifest(directory, manifest)
    return manifest


@contextmanager
def _counted(label: str) -> Iterator[Callable[[int], None]]:
    """Show how many bytes there are so far, to whoever watches; how many there will be nobody knows."""
    done, shown = 0, time.monotonic()

    def tell(more: int) -> None:
        nonlocal done, shown
        done += more
        if sys.stderr.isatty() and time.monotonic() > shown + 1:
            shown = time.monotonic()
            click.echo(f"\r{label}: {done / 1e6:,.0f} MB", err=True, nl=False)

    yield tell
    if sys.stderr.isatty():
        click.echo(f"\r{label}: {done / 1e6:,.0f} MB", err=True)


@click.command()
@click.argument("directory", type=_DIRECTORY)
@click.option("--dry-run", is_flag=True, help="Check the backup and the target, and change nothing.")
@common.in_sentences
def restore(directory: Path, dry_run: bool) -> None:
    """Fill the empty database of DATABASE_URL from a backup in DIRECTORY, and prove it.

    DATABASE_URL must name a role that may make tables there, which then owns them. The dump must be byte for byte what
    was written; what it becomes must hold what the manifest says, and the ledger is verified. Everybody has to log in
    anew: a session that was ended since would live again.
    """
    url = common.settings().database_url
    manifest = backups.read_manifest(directory)
    _describe(manifest)
    if not migrate.is_known(manifest.schema):
        raise BackupRefused(f"It is of a later release: its schema, {manifest.schema}, is not known to this one.")
    _check_target(url, manifest)
    with click.progressbar(length=manifest.bytes, label="Checking", file=sys.stderr) as bar:
        path = backups.check_dump(directory, manifest, bar.update)
    if dry_run:
        click.echo("The backup is whole, and the target is empty. Nothing was changed: this was a dry run.")
        return
    engine = make_engine(url)
    try:
        with click.progressbar(length=manifest.bytes, label="Restoring", file=sys.stderr) as bar:
            manifest.dumps.load(engine, path, bar.update)
    finally:
        engine.dispose()
    _prove(url, manifest)
    click.echo(_next_steps(manifest))


def _check_target(url: str, manifest: Manifest) -> None:
    if is_missing_file(url):
        engine = make_engine(url)
        server = f"SQLite {'.'.join(map(str, engine.dialect.dbapi.sqlite_version_info))}"  # type: ignore[union-attr]
    else:
        with connected(url) as target:
            server = kind_and_version(target)
            engine = target.engine
            if there := sa.inspect(target).get_table_names():
                raise BackupRefused(
                    f"The target is not empty: it has {', '.join(sorted(there)[:5])}{' …' if len(there) > 5 else ''}. A"
                    " bank is restored into a new, empty database, and never over another."
                )
    kind = dialect_of(engine).name
    backups.refuse_elsewhere(manifest, engine=kind, server=server, tool=DUMPS[kind].tools())


def _prove(url: str, manifest: Manifest) -> None:
    """Compare with the manifest, open what was closed, end the sessions, verify the ledger."""
    with connected(url) as target:
        if problems := backups.differences(manifest.contents, _contents(target)):
            raise BackupRefused(f"What was restored is not what was backed up: {'; '.join(problems)}. Do not use it.")
        click.echo("It holds what the manifest says.")
        if closing.reopen(target):
            click.echo("The bank was closed to writing when it was backed up; the restored one is open.")
        target.execute(sessions.delete())
    restored = Bank(common.settings(), common.open_bank().clock, make_engine(url))
    try:
        click.echo(verify_and_remember(restored))
    finally:
        restored.engine.dispose()


def _next_steps(manifest: Manifest) -> str:
    steps = []
    if manifest.schema != migrate.head():
        steps.append(f"Its schema is at {manifest.schema}: bank db upgrade.")
    if manifest.engine != "sqlite":
        steps.append("Give the application's role its rights: bank db grant ROLE.")
    steps += [
        "Start the servers with this database and the IDENTITY_KEYS of that time: else no identity number can be read.",
        "Passwords and tokens are those of that time: revoke what was revoked since (bank token list, bank token revoke).",
        "Payments after that instant are not in it: docs/operating/backup-and-restore.md says how to find them.",
    ]
    return "\n".join(
        ["\nThe bank is restored. What to do now:", *(f"  {n}. {step}" for n, step in enumerate(steps, 1))]
    )


def _contents(reader: sa.Connection) -> Contents:
    there = set(sa.inspect(reader).get_table_names())
    rows = {
        table.name: int(reader.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
        for table in all_tables()
        if table.name in there
    }
    newest = reader.execute(sa.select(sa.func.coalesce(sa.func.max(journal_entries.c.id), 0))).scalar_one()
    lines = [[line.chart_code, line.currency, line.balance.minor_units] for line in store.trial_balance(reader)]
    return Contents(dict(sorted(rows.items())), int(newest), sorted(lines))


def _describe(manifest: Manifest) -> None:
    click.echo(
        f"A backup of {manifest.made_at}, release {manifest.release}, schema {manifest.schema}, {manifest.server}:"
    )
    click.echo(
        f"  {sum(manifest.rows.values()):,} rows, entries up to {manifest.newest_entry:,}, {manifest.bytes:,} bytes"
    )
    click.echo(f"  SHA-256 {manifest.sha256}")
