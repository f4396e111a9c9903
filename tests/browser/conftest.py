"""A real browser before a branch that gunicorn serves; whatever the browser complains of fails the test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bank.identity import staff as staff_members
from bank.identity.passwords import Passwords
from tests.builders import Branch, a_bank
from tests.databases import Databases
from tests.gunicorn_server import GunicornServer
from tests.servers import not_run

STAFF_PASSWORD = "granite lantern otter 41"

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Window:
    """A browser's context with one page, and what it complained of."""

    context: BrowserContext
    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)

    def watch(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        self.page.on("requestfailed", self._on_failure)
        self.page.on("response", self._on_response)

    def _on_console(self, message: Any) -> None:
        by_status = any(f"status of {status}" in message.text for status in self.expected)
        if message.type in ("error", "warning") and not by_status:
            self.complaints.append(f"console: {message.text}")

    def _on_failure(self, request: Any) -> None:
        # So ends a link that becomes a download, and an icon still on its way when the page is left.
        is_ended = request.resource_type != "document" or "as=" in request.url
        if not (request.failure == "net::ERR_ABORTED" and is_ended):
            self.complaints.append(f"request failed: {request.url} {request.failure}")

    def _on_response(self, response: Any) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.complaints.append(f"{response.status} for {response.url}")

    # What people do

    def open(self, path: str) -> Page:
        self.page.goto(self.address + path)
        return self.page

    def fill(self, **typed: str) -> None:
        """Type into the fields with these labels' names."""
        for name, text in typed.items():
            self.page.locator(f"#{name}").fill(text)

    def press(self, button: str) -> None:
        """Press the button or link with these words, and wait for the page."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=button, exact=True).click()

    def follow(self, words: str) -> None:
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=words, exact=True).first.click()

    def path(self) -> str:
        return self.page.url.removeprefix(self.address)


OpenWindow = Callable[..., Window]


@dataclass(frozen=True, slots=True)
class Served:
    """A branch and the address at which gunicorn serves it."""

    branch: Branch
    address: str


@pytest.fixture(scope="session")
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A branch on SQLite whose executive and teller log in with STAFF_PASSWORD."""
    databases: Databases = request.getfixturevalue("sqlite_databases")
    with (
        databases.migrated() as urls,
        GunicornServer(urls.app, tmp_path_factory.mktemp("browser"), workers=2) as server,
    ):
        bank = a_bank(urls.app)
        branch = Branch.open(bank)
        hashed = Passwords(memory_kib=8192, at_once=1).hash(STAFF_PASSWORD)
        for name in ("executive", "teller"):
            branch.run(staff_members.set_password, branch.staff(name).id, hashed, must_change=False)
        yield Served(branch, server.address)
        bank.engine.dispose()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or another that is installed."""
    executable = next(filter(None, map(shutil.which, _NAMES)), None)
    if executable is None:
        not_run("browser", "no Chromium found; install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_FLAGS)
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
