"""A visit to a page in each of its states: as it is opened, its next page, and its form sent with nothing in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from contextlib import ExitStack
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

from playwright.sync_api import Browser, Response

from tests.browser.windows import Window
from tests.pages.measures import DESK, accessibility_findings, asset_findings, html_findings, width_findings
from tests.pages.places import Furnished
from tests.pages.tools import Validator

#: Empties what a person would type into the page's own form and sends it past the browser's own checks.
SEND_EMPTY = """
() => {
  const form = [...document.querySelectorAll("main form[method=post]")].at(-1);
  for (const control of form.elements) {
    if (control.type === "radio" || control.type === "checkbox") control.checked = false;
    else if (control.type !== "hidden" && control.tagName !== "SELECT" && "value" in control) control.value = "";
  }
  HTMLFormElement.prototype.submit.call(form);
}
"""
HAS_SOMETHING_TO_TYPE = """
() => [...([...document.querySelectorAll("main form[method=post]")].at(-1)?.elements ?? [])]
  .some(e => e.matches("input:not([type=hidden]), textarea, select"))
"""
#: A form that asks for nothing needful is done, and leads to a page.
EMPTY_IS_ANSWERED_BY = frozenset({200, 422})
#: Read from what was sent: on a page that grows as it is scrolled the link may be gone when it is looked for.
NEXT_PAGE = re.compile(r'<a\b(?=[^>]*\srel="next")[^>]*\shref="([^"]+)"')


@dataclass
class Visit:
    """One person's window at one page."""

    window: Window
    validator: Validator
    html: str = ""
    assets: set[str] = field(default_factory=set)

    def open(self, path: str, *, expected: int = 200) -> list[str]:
        """Open an address and measure what is drawn; a status that is not the expected one is a finding, too."""
        return self._measured(lambda: self.window.page.goto(self.window.address + path), {expected})

    def next_page(self) -> str | None:
        """Where the list that was opened goes on."""
        found = NEXT_PAGE.search(self.html)
        return urljoin(urlsplit(self.window.page.url).path, unescape(found[1])) if found else None

    def can_be_wrong(self) -> bool:
        """Has the page a form in which something is typed?"""
        return bool(self.window.page.evaluate(HAS_SOMETHING_TO_TYPE))

    def send_nothing(self, *, expected: Set[int] = EMPTY_IS_ANSWERED_BY) -> list[str]:
        """Send the page's form with nothing in it."""
        return self._measured(lambda: self._navigated(lambda: self.window.page.evaluate(SEND_EMPTY)), expected)

    def _navigated(self, act: Callable[[], Any]) -> Response:
        with self.window.page.expect_navigation() as navigation:
            act()
        return navigation.value

    def _measured(self, act: Callable[[], Response | None], expected: Set[int]) -> list[str]:
        self.window.expected = set(expected)
        self.assets.clear()
        response = act()
        assert response is not None
        # Its resources are counted when they have come.
        self.window.page.wait_for_load_state("load")
        self.html = response.text()
        found = [] if response.status in expected else [f"{response.status} for {response.url}"]
        found += html_findings(self.html, self.validator)
        found += accessibility_findings(self.window.page)
        found += width_findings(self.window.page)
        found += asset_findings(self.assets)
        found += [f"browser: {complaint}" for complaint in self.window.complaints]
        self.window.complaints.clear()
        return found


@dataclass
class Visitors:
    """Opens windows for people of every role, and closes them at the end."""

    chromium: Browser
    furnished: Furnished
    address: str
    validator: Validator
    stack: ExitStack

    def visit(self, role: str) -> Visit:
        """A new window of somebody with this role."""
        context = self.chromium.new_context(locale="en-US", reduced_motion="reduce", viewport=DESK)
        self.stack.callback(context.close)
        context.set_default_timeout(15_000)
        if token := self.furnished.session_of(role):
            context.add_cookies([{"name": "bank-session", "value": token, "url": self.address}])
        window = Window(context, context.new_page(), self.address)
        window.watch()
        visit = Visit(window, self.validator)
        window.page.on("response", lambda response: self._note(visit, response))
        return visit

    @staticmethod
    def _note(visit: Visit, response: Response) -> None:
        # What a page asks for as data, like the next part of a list, is no file.
        if response.request.resource_type not in ("document", "fetch", "xhr"):
            parts = urlsplit(response.url)
            visit.assets.add(f"{parts.path}?{parts.query}" if parts.netloc in visit.window.address else response.url)
