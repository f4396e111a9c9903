"""A browser without a window: it keeps cookies, reads forms, fills them in and sends what a browser would send."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.test import TestResponse

_VOID = {"input", "meta", "link", "br", "hr", "img"}


class Form:
    """A form as drawn: where it goes, and what would be sent if nothing were typed."""

    def __init__(self, attributes: dict[str, str | None]) -> None:
        self.method = (attributes.get("method") or "get").lower()
        self.action = attributes.get("action")
        #: The way out, the look-up, language and colours stand on every page.
        self.everywhere = attributes.get("class") == "lookup" or (self.action or "").endswith(
            ("/logout", "/preferences")
        )
        self.values: dict[str, str] = {}
        self.types: dict[str, str] = {}

    @property
    def typed(self) -> dict[str, str]:
        """What people see in it: neither hidden fields nor buttons."""
        return {name: value for name, value in self.values.items() if self.types[name] != "hidden"}


class Page(HTMLParser):
    """An answer, and what is on it."""

    def __init__(self, response: TestResponse) -> None:
        super().__init__()
        self.response = response
        self.status = response.status_code
        self.title = ""
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.words: list[str] = []
        self.problems: list[str] = []
        self.problem_links: list[str] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self._select: str | None = None
        self.html = response.get_data(as_text=True) if response.mimetype == "text/html" else ""
        self.feed(self.html)

    @property
    def text(self) -> str:
        """What is read on it, in one line."""
        return " ".join(" ".join(self.words).split())

    @property
    def location(self) -> str:
        """Where it leads, without the host."""
        parts = urlsplit(self.response.headers.get("Location", ""))
        return parts.path + (f"?{parts.query}" if parts.query else "")

    @property
    def form(self) -> Form:
        """The form that this page is about: the last one that does not stand on every page."""
        return [form for form in self.forms if not form.everywhere][-1]

    @property
    def operation(self) -> str:
        """The operation id that the form carries."""
        return self.form.values["operation"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag not in _VOID:
            self._open.append((tag, attributes))
        if identity := attributes.get("id"):
            self.ids.add(identity)
        if tag == "a" and (target := attributes.get("href")):
            (self.problem_links if self._within("problems") else self.links).append(target)
        elif tag == "form":
            self.forms.append(Form(attributes))
        elif tag in ("input", "select", "option", "textarea") and self.forms:
            self._field(tag, attributes)

    def _field(self, tag: str, attributes: dict[str, str | None]) -> None:
        form, name, kind = self.forms[-1], attributes.get("name") or "", attributes.get("type") or "text"
        if tag == "select":
            self._select = name
            form.types[name] = "select"
        elif tag == "option":
            if self._select and ("selected" in attributes or self._select not in form.values):
                form.values[self._select] = attributes.get("value") or ""
        elif kind not in ("radio", "checkbox") or "checked" in attributes:
            form.types[name] = kind
            form.values[name] = attributes.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass
        if tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] == "title":
            self.title += data
            return
        if self._open and self._open[-1][0] == "textarea":
            # The line break that HTML puts after the tag is not part of the text; nor does what was typed stand on the page.
            self.forms[-1].values[self._open[-1][1].get("name") or ""] += data.strip()
            return
        self.words.append(data)
        if self._within("problems") and self._open[-1][0] in ("li", "a", "p") and data.strip():
            self.problems.append(data.strip())

    def _within(self, kind: str) -> bool:
        return any(kind in (attributes.get("class") or "").split() for _, attributes in self._open)


class Browser:
    """Somebody at a browser, with their cookies."""

    def __init__(self, app: Flask, token: str | None = None) -> None:
        self.app = app
        self.secure = app.extensions["bank"].bank.settings.production
        self.client = app.test_client()
        self.base_url = "https://localhost" if self.secure else "http://localhost"
        self.opened: Page | None = None
        if token:
            self.set_cookie("session", token)

    def set_cookie(self, what: str, value: str) -> None:
        self.client.set_cookie(self.cookie_name(what), value, secure=self.secure)

    def cookie(self, what: str) -> str | None:
        """The value of the bank's cookie."""
        found = self.client.get_cookie(self.cookie_name(what))
        return found.value if found else None

    def forget(self, what: str) -> None:
        self.client.delete_cookie(self.cookie_name(what))

    def cookie_name(self, what: str) -> str:
        return f"__Host-bank-{what}" if self.secure else f"bank-{what}"

    def ask(self, method: str, path: str, **how: Any) -> Page:
        """Any request."""
        how.setdefault("base_url", self.base_url)
        if self.secure:
            how["headers"] = {"Referer": self.base_url + "/", **(how.get("headers") or {})}
        self.opened = Page(self.client.open(path, method=method, **how))
        return self.opened

    def get(self, path: str, **how: Any) -> Page:
        return self.ask("GET", path, **how)

    def follow(self, page: Page) -> Page:
        """Where the answer leads."""
        assert page.status in (302, 303, 308), (page.status, page.text)
        return self.get(page.location)

    def token(self) -> str:
        """A form token of this browser's: of the page it is on, or of one that anybody may open."""
        return self._tokens(self.opened) or self._tokens(self.get("/login")) or ""

    @staticmethod
    def _tokens(page: Page | None) -> str | None:
        return (
            next((form.values["csrf_token"] for form in page.forms if "csrf_token" in form.values), None)
            if page
            else None
        )

    def post(self, path: str, data: dict[str, Any] | None = None, **how: Any) -> Page:
        """Send fields as they are, with a form token unless there is one."""
        fields = dict(data or {})
        if "csrf_token" not in fields:
            fields["csrf_token"] = self.token()
        return self.ask("POST", path, data=fields, **how)

    def send(self, path: str, **typed: Any) -> Page:
        """Open the page, fill in its form, send it."""
        page = self.get(path)
        assert page.status == 200, (path, page.status, page.text)
        return self.submit(page, path, **typed)

    def submit(self, page: Page, path: str, **typed: Any) -> Page:
        """Send the form of a page that is open, with what it holds and what is typed over it."""
        return self.ask("POST", page.form.action or path, data={**page.form.values, **typed})

    def look_up(self, text: str) -> Page:
        """Type into the branch's search, and follow where it leads."""
        page = self.send("/staff/customers", q=text)
        return self.follow(page) if page.status == 303 else page

    def done(self, path: str, **typed: Any) -> Page:
        """Send the form, and follow to the page that it ends on."""
        answer = self.send(path, **typed)
        assert answer.status == 303, (path, answer.status, answer.problems or answer.text)
        page = self.follow(answer)
        assert page.status == 200, (answer.location, page.status, page.text)
        return page
