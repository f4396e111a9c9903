"""Bring the schema up or down, one migrator at a time; say whether it is up to date."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from bank.errors import Invalid
from bank.storage.dialects import dialect_of
from bank.storage.engine import make_engine

#: The oldest schema that this release serves on. What later ones bring it uses where it finds it, so that two releases
#: and two schemas can be in use at once.
NEEDED: Final = "0003"


class NoSuchRevision(Invalid):
    """The schema cannot go where it was told to."""

    code = "no_such_revision"

    def __init__(self, problem: str) -> None:
        super().__init__(f"The schema stays as it is. {problem.rstrip('.')}.")


def upgrade(url: str, revision: str = "head") -> str | None:
    """Apply what is missing up to `revision`; whoever comes second waits and finds it done. Answers the new revision."""
    return _migrate(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str = "-1") -> str | None:
    """Take back migrations down to `revision` (default: the last one). Answers the new revision."""
    return _migrate(url, lambda config: command.downgrade(config, revision))


def grant(url: str, *roles: str) -> list[str]:
    """Give the application's `roles` their rights and no more; `url` is the migrator's. Answers the statements run.

    Raises:
        ValueError: the database has no roles, or a name is none.
    """
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return [statement for role in roles for statement in grant_in(connection, role)]
    finally:
        engine.dispose()


def grant_in(connection: sa.Connection, role: str) -> list[str]:
    """The same for one role, on the migrator's connection."""
    statements = dialect_of(connection).grants(connection, role)
    for statement in statements:
        connection.execution_options(no_parameters=True).exec_driver_sql(statement)
    return statements


def current(connection: sa.Connection) -> str | None:
    """The schema's revision; None when there is none."""
    return MigrationContext.configure(connection).get_current_revision()


def is_behind(revision: str | None) -> bool:
    """Is a schema at `revision` older than this release? One that this release does not know is a later one's.

    We roll back code, not schema, so a release runs on its successor's schema.
    """
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    return revision is None or (revision in known and revision != head())


def is_known(revision: str) -> bool:
    """Is the revision this release's, or one before?"""
    return revision in _before(head()) | {head()}


def missing(connection: sa.Connection) -> str | None:
    """What to do about a schema that lacks what this release needs; None when it has it."""
    revision = current(connection)
    if revision is not None and revision not in _before(NEEDED):
        return None
    return f"The schema is at {revision or 'nothing'}, and this release needs {NEEDED}: run `bank db upgrade` first."


def _before(revision: str) -> set[str]:
    ancestors = ScriptDirectory.from_config(_config()).iterate_revisions(revision, "base")
    return {script.revision for script in ancestors} - {revision}


def head() -> str:
    """The revision that this release expects."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None
    return newest


def _migrate(url: str, change: Callable[[Config], None]) -> str | None:
    engine = make_engine(url)
    config = _config()
    try:
        with engine.connect() as connection, dialect_of(connection).one_migrator(connection):
            config.attributes["connection"] = connection
            change(config)
            return current(connection)
    except CommandError as problem:
        raise NoSuchRevision(str(problem)) from problem
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("bank.migrations")))
    return config
