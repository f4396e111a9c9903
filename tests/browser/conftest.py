"""A real browser before a branch that gunicorn serves; whatever the browser complains of fails the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from bank.identity import staff as staff_members
from bank.identity.passwords import Passwords
from tests.browser.windows import FLAGS, Window, find_chromium
from tests.builders import Branch, a_bank
from tests.databases import Databases
from tests.gunicorn_server import GunicornServer

STAFF_PASSWORD = "granite lantern otter 41"

OpenWindow = Callable[..., Window]


@dataclass(frozen=True, slots=True)
class Served:
    """A branch and the address at which gunicorn serves it."""

    branch: Branch
    address: str


@pytest.fixture(scope="session")
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A branch on SQLite whose staff log in with STAFF_PASSWORD."""
    databases: Databases = request.getfixturevalue("sqlite_databases")
    with (
        databases.migrated() as urls,
        GunicornServer(urls.app, tmp_path_factory.mktemp("browser"), workers=2) as server,
    ):
        bank = a_bank(urls.app)
        branch = Branch.open(bank)
        hashed = Passwords(memory_kib=8192, at_once=1).hash(STAFF_PASSWORD)
        for name in ("executive", "teller", "cashier"):
            branch.run(staff_members.set_password, branch.staff(name).id, hashed, must_change=False)
        yield Served(branch, server.address)
        bank.engine.dispose()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of a worker."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_window(chromium: Browser, served: Served) -> Iterator[OpenWindow]:
    """`open_window("alice", viewport=…)`: a window in which this person is signed in; None: nobody."""
    with ExitStack() as windows:
        opened: list[Window] = []

        def make(name: str | None = None, **how: Any) -> Window:
            context = chromium.new_context(**{"locale": "en-US", "reduced_motion": "reduce", **how})
            windows.callback(context.close)
            context.set_default_timeout(15_000)
            if name:
                cookie = {"name": "bank-session", "value": served.branch.session_of(name), "url": served.address}
                context.add_cookies([cookie])  # type: ignore[list-item]
            window = Window(context, context.new_page(), served.address)
            window.watch()
            opened.append(window)
            return window

        yield make
        complaints = [complaint for window in opened for complaint in window.complaints]
    assert complaints == []
