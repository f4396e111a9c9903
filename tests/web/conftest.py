"""A branch with its web application, and people at browsers."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache

from bank.app import create_app
from bank.identity import logins, staff
from bank.identity.staff import Staff
from bank.storage.transaction import Bank
from tests.builders import Branch, a_bank
from tests.conftest import MakeDatabase
from tests.web.browsing import Browser

PASSWORD = "granite lantern otter 41"

BrowseAs = Callable[[str | None], Browser]
Serve = Callable[..., "Served"]


class Served:
    """A branch and the application that serves it."""

    def __init__(self, branch: Branch, app: Flask) -> None:
        self.branch = branch
        self.app = app
        self.clock = branch.bank.clock

    def give_password(self, name: str, password: str = PASSWORD) -> str:
        """Let this person log in; answers what they type as their user."""
        person = self.branch.people[name]
        stored = self.app.extensions["bank"].passwords.hash(password)
        by = self.branch.author(name)
        if isinstance(person, Staff):
            self.branch.bank.run(staff.set_password, person.id, stored, must_change=False, by=by)
            return person.user_id
        code = self.branch.code_for(name)
        self.branch.bank.run(logins.redeem_code, person.id, code, stored, by=by)
        return person.number

    def browse_as(self, name: str | None) -> Browser:
        """A browser in which this person is signed in already; None: nobody."""
        return Browser(self.app, self.branch.session_of(name) if name else None)


@contextmanager
def served(url: str, **settings: object) -> Iterator[Served]:
    """A new branch on an empty migrated database, served."""
    bank = a_bank(url, **settings)
    branch = _furnished(bank) if url.startswith("sqlite") else Branch.open(bank)
    app = create_app(bank.settings, bank)
    app.jinja_env.bytecode_cache = _COMPILED
    try:
        yield Served(branch, app)
    finally:
        bank.engine.dispose()


class _Compiled(BytecodeCache):
    """Templates as the first application of this process compiled them."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.kept:
            bucket.bytecode_from_string(self.kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.kept[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()
_OPENED: dict[str, tuple[sqlite3.Connection, Branch]] = {}


def _furnished(bank: Bank) -> Branch:
    """The branch on SQLite: opened once by the bank's own services, and after that copied as a file."""
    path = str(bank.engine.url.database)
    if bank.settings.currency not in _OPENED:
        opened, kept = Branch.open(bank), sqlite3.connect(":memory:", check_same_thread=False)
        with closing(sqlite3.connect(path)) as file:
            file.backup(kept)
        _OPENED[bank.settings.currency] = kept, opened
    kept, opened = _OPENED[bank.settings.currency]
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA synchronous = OFF")
        kept.backup(file)
    return Branch(bank, dict(opened.people), dict(opened.accounts))


@pytest.fixture
def serve(make_database: MakeDatabase) -> Iterator[Serve]:
    """Serve a branch on SQLite with settings of one's own: `serve(bank_env="production")`."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(served(make_database("sqlite").app, **settings))


@pytest.fixture
def office(serve: Serve) -> Served:
    """A branch on SQLite, served."""
    return serve()


@pytest.fixture
def office_anywhere(database_urls, dialect: str) -> Iterator[Served]:
    """A branch on each of the three databases, served."""
    with served(database_urls.app) as found:
        yield found


@pytest.fixture
def app(office: Served) -> Flask:
    return office.app


@pytest.fixture
def branch(office: Served) -> Branch:
    return office.branch


@pytest.fixture
def browse_as(office: Served) -> BrowseAs:
    """`browse_as("teller")`: a browser in which this person is signed in; None for nobody."""
    return office.browse_as
