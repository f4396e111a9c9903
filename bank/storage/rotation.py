"""Give the application a new password while it serves: two roles take turns, so that the one in use is left alone."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from bank.settings import LOGIN_WORDS, normalised_url, with_login_file
from bank.storage import login_file, migrate
from bank.storage.dialects import dialect_of
from bank.storage.engine import make_engine
from bank.storage.login_file import Login

#: Each has the application's rights; the login file names one of them.
ROLES: Final = ("bank_app_a", "bank_app_b")


def rotate(url: str, path: Path) -> Login:
    """Give the role that `path` does not name a new password, both their rights, and write it to `path`; `url` is the owner's.

    The role in use goes on working, whatever happens; after an interruption, do it again.

    Raises:
        ValueError: the database has no roles, or the file holds something else than a login.
    """
    engine = make_engine(url)
    try:
        with engine.connect() as owner, dialect_of(engine).one_migrator(owner):
            login = replace(_idle(path), password=secrets.token_urlsafe(32))
            for role in ROLES:
                dialect_of(owner).make_role(owner, role)
            dialect_of(owner).set_password(owner, login.username, login.password)
            for role in ROLES:
                migrate.grant_in(owner, role)
    finally:
        engine.dispose()
    with login_file.replacing(path, login) as new:
        _prove(with_login_file(_without_login(url), str(new)))
    return login


def _idle(path: Path) -> Login:
    """The role that the file does not name, at the place that it names. Before the first time there is no file, or nothing
    in it."""
    if not path.exists() or path.stat().st_size == 0:
        return Login(ROLES[0], "")
    in_use = login_file.read(path)
    return replace(in_use, username=ROLES[1] if in_use.username == ROLES[0] else ROLES[0])


def _without_login(url: str) -> str:
    parsed = sa.make_url(normalised_url(url)).difference_update_query(LOGIN_WORDS)
    return parsed._replace(username=None, password=None).render_as_string(hide_password=False)


def _prove(url: str) -> None:
    """Log in by the new file, as the servers will."""
    engine = make_engine(url)
    try:
        engine.connect().close()
    finally:
        engine.dispose()
