"""What must hold before production serves anybody; every problem is told at once."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from bank.settings import Settings, SettingsRefused, database_named
from bank.storage import migrate
from bank.storage.engine import make_engine
from bank.storage.facts import fact

_SECONDS = 6


def settings_for_serving(env: Mapping[str, str]) -> Settings:
    """The settings, when they and the database are fit to serve.

    A database that is merely away is no problem here: the bank starts, and answers 503 until it is back.

    Raises:
        SettingsRefused: listing what is missing, weak, behind or only a demonstration.
    """
    problems: list[str] = []
    settings = None
    try:
        settings = Settings.from_env(env)
    except SettingsRefused as refused:
        problems += refused.problems
    if env.get("BANK_ENV", "").strip() == "production":
        problems += database_problems(database_named(env))
    if problems or settings is None:
        raise SettingsRefused(problems)
    return settings


def database_problems(url: str) -> list[str]:
    """What is wrong with the data itself; nothing when it cannot be asked."""
    if not url:
        return []  # The settings' own problem.
    engine = make_engine(url, statement_seconds=_SECONDS)
    try:
        with engine.connect() as connection:
            return [*_schema_problems(connection), *_content_problems(connection)]
    except sa.exc.SQLAlchemyError:
        return []
    finally:
        engine.dispose()


def _schema_problems(connection: sa.Connection) -> list[str]:
    missing = migrate.missing(connection)
    return [missing] if missing else []


def _content_problems(connection: sa.Connection) -> list[str]:
    if not sa.inspect(connection).has_table("bank_facts"):
        return []
    problems = []
    if fact(connection, "demo"):
        problems.append("The database holds demo data with published passwords: use an empty one.")
    if fact(connection, "copy_of"):
        problems.append(
            "The database holds an unfinished copy of a bank: run `bank db copy` again until it says that both are equal."
        )
    return problems
