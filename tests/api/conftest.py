"""A branch with its API, and programs that people gave tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.conftest import MakeDatabase
from tests.databases import Databases
from tests.web.conftest import Served, served


class Program:
    """A program with a token; None: without."""

    def __init__(self, app: Flask, secret: str | None, address: str = "192.0.2.9") -> None:
        self.client = app.test_client()
        self.secret = secret
        self.address = address

    def ask(self, method: str, path: str, **how: Any) -> TestResponse:
        """Any call below /api/v1."""
        headers = dict(how.pop("headers", None) or {})
        if self.secret is not None:
            headers.setdefault("Authorization", f"Bearer {self.secret}")
        environ = {"REMOTE_ADDR": self.address}
        return self.client.open("/api/v1" + path, method=method, headers=headers, environ_base=environ, **how)

    def get(self, path: str, **how: Any) -> TestResponse:
        return self.ask("GET", path, **how)

    def post(self, path: str, **how: Any) -> TestResponse:
        return self.ask("POST", path, **how)


def program(office: Served, name: str | None, *scopes: str) -> Program:
    """A program of this person's, with these scopes or every one, and the token that it has already; None: nobody's."""
    kept = office.app.extensions.setdefault("programs' tokens", {})
    if name and (name, scopes) not in kept:
        kept[name, scopes] = office.branch.token_of(name, *scopes)[1]
    return Program(office.app, kept[name, scopes] if name else None)


def code(answer: TestResponse) -> str:
    """Which problem the answer is."""
    assert answer.mimetype == "application/problem+json", (answer.status, answer.text)
    return str(answer.json["code"])


@pytest.fixture
def office(make_database: MakeDatabase) -> Iterator[Served]:
    """A branch on SQLite, served."""
    with served(make_database("sqlite").app) as found:
        yield found


@pytest.fixture
def office_anywhere(database_urls, dialect: str) -> Iterator[Served]:
    """A branch on each of the three databases, served."""
    with served(database_urls.app) as found:
        yield found


@pytest.fixture(scope="module")
def whole(sqlite_databases: Databases) -> Iterator[Served]:
    """One branch for tests that change nothing another one looks at."""
    with sqlite_databases.migrated() as urls, served(urls.app) as found:
        yield found
