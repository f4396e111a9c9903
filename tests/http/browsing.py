"""A browser without a window that speaks HTTP over the network, reading pages as tests/web does."""

from __future__ import annotations

import http.cookiejar
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from tests.web.browsing import Page

TIMEOUT_SECONDS = 60


class Answer:
    """An answer as `Page` reads it."""

    def __init__(self, raw: Any) -> None:
        self.status_code: int = raw.status
        self.headers = raw.headers
        self.mimetype = raw.headers.get_content_type()
        self.data: bytes = raw.read()

    def get_data(self, *, as_text: bool) -> str:
        return self.data.decode()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class RemoteBrowser:
    """Somebody at a browser, with their cookies; an answer of any status is an answer."""

    def __init__(self, address: str, token: str | None = None) -> None:
        self.address = address
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar), _NoRedirect)
        if token:
            self.set_cookie("bank-session", token)

    def set_cookie(self, name: str, value: str) -> None:
        self.jar.set_cookie(
            http.cookiejar.Cookie(
                0, name, value, None, False, "127.0.0.1", False, False, "/", True, False, None, True, None, None, {}
            )
        )

    def ask(self, path: str, fields: dict[str, str] | None = None) -> Page:
        data = urllib.parse.urlencode(fields).encode() if fields is not None else None
        request = urllib.request.Request(self.address + path, data)
        try:
            with self.opener.open(request, timeout=TIMEOUT_SECONDS) as raw:
                return Page(Answer(raw))  # type: ignore[arg-type]
        except urllib.error.HTTPError as error:
            return Page(Answer(error))  # type: ignore[arg-type]

    def get(self, path: str) -> Page:
        return self.ask(path)

    def follow(self, page: Page) -> Page:
        """Where the answer leads."""
        assert page.status in (302, 303), (page.status, page.text)
        return self.get(page.location)

    def fill(self, path: str, **typed: str) -> dict[str, str]:
        """Open the page, and answer what its form would send."""
        page = self.get(path)
        assert page.status == 200, (path, page.status, page.text)
        return {**page.form.values, **typed}

    def send(self, path: str, **typed: str) -> Page:
        """Open the page, fill in its form, send it."""
        return self.ask(path, self.fill(path, **typed))

    def done(self, path: str, **typed: str) -> Page:
        """Send the form, and follow to the page that it ends on."""
        answer = self.send(path, **typed)
        assert answer.status == 303, (path, answer.status, answer.problems or answer.text)
        page = self.follow(answer)
        assert page.status == 200, (answer.location, page.status, page.text)
        return page
