"""Windows of a real browser, which keep what the browser complained of."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, Page

from tests.servers import not_run

_NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str:
    """Debian's Chromium, or another that is installed; without any the test says that it was not run."""
    executable = next(filter(None, map(shutil.which, _NAMES)), None)
    if executable is None:
        not_run("browser", "no Chromium found; install chromium")
    return executable


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
