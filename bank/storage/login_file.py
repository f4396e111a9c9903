"""The file that says who logs in to the database, and where that is: read anew, so that both change while the bank serves."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from bank.settings import open_to_others, verifies_certificate

_MOST_BYTES: Final = 4096
_LONGEST: Final = 256
_MOST_TERMS: Final = 10**9
#: A host's name, or an address of either kind; no list, no folder of a socket, nothing that means something in a URL.
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:]{2,39}")
#: What leads to a database's place, in a URL's query and among what its driver is told.
LEADS_TO_PLACE: Final = ("host", "hostaddr", "port", "unix_socket")


class LoginFileRefused(ValueError):
    """The file is missing, open to others, or says something else than a login; it is never quoted."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the primary is, by TCP, and the term that it is in; what is None, the URL says, or nobody."""

    host: str | None = None
    port: int | None = None
    term: int | None = None

    def told(self) -> dict[str, Any]:
        """What of it is known, as it stands in the file."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def on(self, url: sa.URL) -> sa.URL:
        """The same database at this place.

        Raises:
            LoginFileRefused: there, nothing would prove any more who it is.
        """
        if self.host is None:
            return url if self.port is None else url.set(port=self.port)
        there = url.set(host=self.host, port=self.port or url.port).difference_update_query(LEADS_TO_PLACE)
        if verifies_certificate(_shown(url)) and not verifies_certificate(_shown(there)):
            raise LoginFileRefused(
                f"{self.host} is another machine, and the database's URL asks for no certificate of it: add"
                " ?sslmode=verify-full&sslrootcert=FILE (PostgreSQL) or ?ssl_ca=FILE (MySQL)."
            )
        return there


@dataclass(frozen=True, slots=True)
class Login:
    """A role of the database, and its password; and where it logs in, if the file says that too."""

    username: str
    password: str = field(repr=False)
    place: Place = Place()

    def on(self, url: sa.URL) -> sa.URL:
        """The URL by which this role logs in. Raises: LoginFileRefused."""
        return self.place.on(url).set(username=self.username, password=self.password)


def read(path: Path) -> Login:
    """The login in the file, `{"username": …, "password": …}`, perhaps with `host`, `port` and `term`.

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
    told = _parsed(text)
    if told is None:
        raise LoginFileRefused(f'The login file {path} is not JSON of the form {{"username": "…", "password": "…"}}.')
    place = _place(told)
    if place is None:
        raise LoginFileRefused(
            f"The login file {path} says no usable place: a host's name or address, a port from 1 to 65535, a term"
            f" from 0 to {_MOST_TERMS}, the last two as numbers."
        )
    return Login(told["username"], told["password"], place)


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(text) if len(text) <= _MOST_BYTES else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    words = (told.get("username"), told.get("password"))
    usable = all(isinstance(word, str) and 0 < len(word) <= _LONGEST and word.isprintable() for word in words)
    return told if usable else None


def _place(told: dict[str, Any]) -> Place | None:
    host, port, term = (told.get(name) for name in ("host", "port", "term"))
    usable = (
        (host is None or (isinstance(host, str) and _HOST.fullmatch(host) is not None))
        and (port is None or _is_whole(port, 1, 65_535))
        and (term is None or _is_whole(term, 0, _MOST_TERMS))
    )
    return Place(host, port, term) if usable else None


def _is_whole(number: object, least: int, most: int) -> bool:
    return type(number) is int and least <= number <= most


def _shown(url: sa.URL) -> str:
    return url.render_as_string(hide_password=True)


@contextmanager
def replacing(path: Path, login: Login) -> Iterator[Path]:
    """Write the login beside the file, and put it in the file's place when the body, which may try it, has ended well."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"username": login.username, "password": login.password, **login.place.told()}, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        yield new
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
