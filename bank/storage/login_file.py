"""The login that a file names: read at each new connection, so that it can change while the bank serves."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from bank.settings import open_to_others

_MOST_BYTES: Final = 4096
_LONGEST: Final = 256


class LoginFileRefused(ValueError):
    """The file is missing, open to others, or says something else than a login; it is never quoted."""


@dataclass(frozen=True, slots=True)
class Login:
    """A role of the database, and its password."""

    username: str
    password: str = field(repr=False)


def read(path: Path) -> Login:
    """The login in the file, `{"username": …, "password": …}`.

    Raises:
        LoginFileRefused: there is none that may be used.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_MOST_BYTES + 1) if stat.S_ISREG(mode) else b""
    except OSError as problem:
        raise LoginFileRefused(f"The login file {path} cannot be read: {problem.strerror}.") from None
    if open_to_others(mode):
        raise LoginFileRefused(f"The login file {path} is open to others: chmod 600 it.")
    login = _parsed(text)
    if login is None:
        raise LoginFileRefused(f'The login file {path} is not JSON of the form {{"username": "…", "password": "…"}}.')
    return login


def _parsed(text: bytes) -> Login | None:
    try:
        told = json.loads(text) if len(text) <= _MOST_BYTES else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    username, password = told.get("username"), told.get("password")
    if not (isinstance(username, str) and isinstance(password, str)):
        return None
    usable = all(0 < len(word) <= _LONGEST and word.isprintable() for word in (username, password))
    return Login(username, password) if usable else None


def follow(engine: sa.Engine, path: Path) -> None:
    """Let each new connection of the engine log in as the file says at that moment.

    A file that cannot be used is to the rest of the bank what a database is that cannot be reached.
    """

    def connect(dialect: Any, _record: Any, arguments: list[Any], parameters: dict[str, Any]) -> Any:
        try:
            login = read(path)
        except LoginFileRefused as problem:
            raise dialect.loaded_dbapi.OperationalError(str(problem)) from None
        return dialect.connect(*arguments, **{**parameters, "user": login.username, "password": login.password})

    sa.event.listen(engine, "do_connect", connect)


@contextmanager
def replacing(path: Path, login: Login) -> Iterator[Path]:
    """Write the login beside the file, and put it in the file's place when the body, which may try it, has ended well."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"username": login.username, "password": login.password}, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        yield new
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
