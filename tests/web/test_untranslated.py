"""Nothing is left in English: read in a language whose every sentence is bracketed, what stands outside is in no catalogue."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import openpyxl
import pypdf
import pytest
from babel import Locale
from babel.support import NullTranslations
from babel.units import format_unit

from bank import language
from bank.web import access
from tests.builders import a_key
from tests.web.browsing import Browser, Page
from tests.web.conftest import Served
from tests.web.test_access import ROWS, VISITORS, paths, whole  # noqa: F401  # fixtures
from tests.web.test_nothing_by_get import busy, others  # noqa: F401  # a fixture and what no link leads to

#: What each person typed, so that it is known from what the bank says.
TYPED = ("Bob", "Lunch", "Court order", "Lost card", "zzqq", "Test")

#: Nobody but a developer reads them, in the language of the code.
_FOR_DEVELOPERS = {"/styleguide", "/api/v1/docs"}
_OF_A_KIND = 3
_HOMES = {"alice": "/home", "bob": "/home"}
_VOID = {"input", "meta", "link", "br", "hr", "img"}
#: What stands in these is somebody's or a machine's: names, codes, instants, languages by their own names.
_DATA = {"bdi", "code", "time", "script", "style", "textarea"}
_SPOKEN = re.compile(
    r"title|alt|placeholder|label|aria-(label|description|valuetext|roledescription)"
    r"|data-(label|copied|(.*-)?words|confirm)"
)
_ES = Locale("es")
_CALENDAR = {
    word.strip(".").casefold()
    for names in (*_ES.months["format"].values(), *_ES.days["format"].values())
    for word in names.values()
} | {
    word
    for unit in ("second", "minute", "hour", "day", "week", "month", "year")
    for long_ago in (1, 2)
    for word in format_unit(long_ago, f"duration-{unit}", locale=_ES).split()[1:]
}


class Pseudo(NullTranslations):  # type: ignore[misc]  # Babel ships few types.
    """A language that says everything in brackets."""

    def ugettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ungettext(self, singular: str, plural: str, num: int) -> str:
        return f"⟦{singular if num == 1 else plural}⟧"


def outside(text: str, known: frozenset[str]) -> str:
    """What a text says outside of brackets, without what is the same in every language; empty when that is all.

    >>> outside("⟦Pay ⟦Ana⟧ now⟧ 5,00 USD", frozenset()), outside("⟦Paid⟧ to 360", frozenset())
    ('', 'to 360')
    """
    before = None
    while before != text:
        before, text = text, re.sub(r"⟦[^⟦⟧]*⟧", " ", text)
    text = re.sub(r"\b\d\d:\d\d [A-Z]{2,5}\b", " ", text)  # the zone of an instant
    for name in sorted(known, key=len, reverse=True):
        text = text.replace(name, " ")
    said = [word for word in re.findall(r"[^\W\d_]+", text) if not _in_all_languages(word)]
    return " ".join(text.split()) if said else ""


def _in_all_languages(word: str) -> bool:
    """A currency, a kind of file, a zone; a month, a day of the week or how long ago, which Babel writes."""
    return word in ("USD", "PDF", "CSV", "XLSX", "UTC", "de") or word.casefold() in _CALENDAR


class Reader(HTMLParser):
    """Every text of a page that somebody sees or hears."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._open: list[tuple[str, bool]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.texts += [value for name, value in given.items() if _SPOKEN.fullmatch(name)]
        if tag == "input" and given.get("type") in ("submit", "button", "reset"):
            self.texts.append(given.get("value", ""))
        if tag not in _VOID:
            # A `lang` of its own says that this is another language's name.
            self._open.append((tag, tag in _DATA or ("lang" in given and tag != "html")))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not any(is_data for _, is_data in self._open):
            self.texts.append(data)


@pytest.fixture(autouse=True)
def in_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever catalogue is asked for, the sentences come in brackets."""
    monkeypatch.setattr(language, "translations", lambda _: Pseudo())


def read_by(office: Served, visitor: str | None) -> Browser:
    """Their browser; in Spanish, so that a day or a figure written in English shows."""
    browser = office.browse_as(None if visitor == "nobody" else visitor)
    browser.client.set_cookie("bank-language", "es")
    return browser


def known(office: Served) -> frozenset[str]:
    """The names that the branch's people and the bank have."""
    people = office.branch.people.values()
    names = {person.name for person in people} | {getattr(person, "user_id", person.name) for person in people}
    # A till is numbered by whose it is.
    return frozenset((office.branch.bank.settings.bank_name, *names, *TYPED, "till-"))


def left(page: Page, names: frozenset[str]) -> set[str]:
    """What a page says in English; where a browser is sent on, nobody reads."""
    texts = Reader(page.html).texts if page.status // 100 != 3 else []
    return {said for text in texts if (said := outside(text, names))}


def told(found: dict[str, set[str]]) -> list[str]:
    """Each text once, with the first page that says it."""
    first = {said: path for path, texts in sorted(found.items(), reverse=True) for said in texts}
    return sorted(f"{path}: {said}" for said, path in first.items())


def sendings(page: Page) -> Iterator[dict[str, Any]]:
    """What is sent of a page's form: nothing; nonsense; what is too long; a choice that was never offered."""
    for form in [form for form in page.forms if form.method == "post" and not form.everywhere]:
        for typed in ("", "zzqq", "zzqq" * 600, "-1", "2020-02-30"):
            values = {**form.values, **dict.fromkeys(form.typed, typed)}
            yield {**values, "operation": a_key()} if "operation" in form.values else values


def addresses(office: Served, paths: dict[str, str], method: str) -> list[str]:  # noqa: F811
    """What is opened by a method, of Alice's things."""
    rules = [rule for rule in access.rules(office.app) if method in rule.methods]
    return [paths[rule.path] for rule in rules if rule.path not in _FOR_DEVELOPERS and rule.endpoint != "static"]


def walk(browser: Browser, start: list[str]) -> Iterator[tuple[str, Page]]:
    """Every kind of page that links lead to, at most `_OF_A_KIND` of each: they differ in numbers and order alone."""
    waiting, seen, kinds = list(start), set(start), Counter[tuple[str, ...]]()
    while waiting:
        path = waiting.pop()
        page = browser.get(path)
        yield path, page
        for link in [*page.links, page.location]:
            target = urljoin(path, link)
            kind = (re.sub(r"[0-9a-f-]{9,}|\d+", "#", urlsplit(target).path), *sorted(parse_qs(urlsplit(target).query)))
            if link and target not in seen and not urlsplit(target).netloc and kinds[kind] < _OF_A_KIND:
                kinds[kind] += 1
                seen.add(target)
                waiting.append(target)


@pytest.mark.parametrize("visitor", VISITORS)
def test_no_page_by_any_route_has_words_of_its_own(visitor, whole, paths):  # noqa: F811
    browser, names = read_by(whole, visitor), known(whole)

    found = {path: left(browser.get(path), names) for path in addresses(whole, paths, "GET")}

    assert not (words := told(found)), "\n".join(words)
    assert len(found) > 60


@pytest.mark.parametrize("visitor", VISITORS)
def test_no_page_of_a_busy_branch_has_words_of_its_own(visitor, busy):  # noqa: F811
    browser, names = read_by(busy, visitor), known(busy)
    start = [rule.path for rule in access.rules(busy.app) if "GET" in rule.methods and "<" not in rule.path]

    found = {
        path: left(page, names)
        for path, page in walk(browser, [*start, *others(busy.branch)])
        if urlsplit(path).path not in _FOR_DEVELOPERS
    }

    assert not (words := told(found)), "\n".join(words)
    assert len(found) > 40


@pytest.mark.parametrize("visitor", VISITORS)
def test_no_answer_to_a_bad_form_has_words_of_its_own(visitor, whole, paths):  # noqa: F811
    """By whoever is the first that a form lets in: what it says does not depend on who reads it."""
    browser, names = read_by(whole, visitor), known(whole)
    found: dict[str, set[str]] = {}
    earlier = VISITORS[: VISITORS.index(visitor)]
    for rule in access.rules(whole.app):
        path, let_in = paths[rule.path], ROWS.get(("POST", rule.path), {})
        if (
            rule.path in _FOR_DEVELOPERS
            or let_in.get(visitor, "in") in ("in", "st", "403", "404")
            or path.endswith("/logout")
        ):
            continue
        if any(let_in[name] == let_in[visitor] for name in earlier):
            continue
        page = browser.get(path) if "GET" in rule.methods or ("GET", rule.path) in ROWS else None
        sent = [*(sendings(page) if page else ()), {"operation": a_key()}, {"csrf_token": "old"}]
        found[path] = set().union(*(left(browser.post(path, values), names) for values in sent))

    assert not (words := told(found)), "\n".join(words)
    # It was not thrown out on the way.
    assert browser.get("/" if visitor == "nobody" else _HOMES.get(visitor, "/staff/")).status == 200
    # What some of them did do is stored without a word of this language.
    assert "⟦" not in repr(whole.branch.dump())


def test_a_planted_word_is_found_wherever_it_is_said():
    planted = (
        '<title>One</title><p title="Two">⟦Fine⟧ Three</p><td data-label="Four"><input type="submit" value="Five">'
        '<svg><text>Six</text></svg><img alt="Seven"><option>Eight</option><button data-stay-words="Nine">⟦x⟧</button>'
        "<code>no</code><bdi>no</bdi><time>no</time><option lang=fr>Français</option>12,50 USD Our Bank 5 mar 2026"
    )

    said = {text for read in Reader(planted).texts if (text := outside(read, frozenset({"Our Bank"})))}

    assert said == {"One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"}


@pytest.mark.parametrize("kind", ["csv", "xlsx", "pdf"])
@pytest.mark.parametrize("period", ["last=20", "from=2020-01-01&to=2099-12-31", "from=1999-01-01&to=1999-12-31"])
def test_no_file_has_words_of_its_own(period, kind, busy):  # noqa: F811
    browser, number = read_by(busy, "alice"), busy.branch.number("alice_current")
    file = browser.get(f"/accounts/{number}/statement?{period}&as={kind}").response.get_data()

    texts = {"csv": _csv, "xlsx": _xlsx, "pdf": _pdf}[kind](file)

    assert [said for text in texts if (said := outside(text, known(busy)))] == []
    assert any("⟦" in text for text in texts)


def _csv(file: bytes) -> list[str]:
    return [cell for row in csv.reader(io.StringIO(file.decode("utf-8-sig"))) for cell in row]


def _xlsx(file: bytes) -> list[str]:
    book = openpyxl.load_workbook(io.BytesIO(file))
    cells = [str(value) for row in book.active.values for value in row if isinstance(value, str)]
    return [*cells, *book.sheetnames, book.properties.title]


def _pdf(file: bytes) -> list[str]:
    read = pypdf.PdfReader(io.BytesIO(file))
    # Lines are broken within a bracket.
    return [" ".join(page.extract_text().split()) for page in read.pages] + [read.metadata.title]


def test_nothing_that_is_stored_is_worded_for_whoever_wrote_it(office):
    """What the bank writes down about an act is the same whatever language it was done in."""
    branch = office.branch
    alice, bob, spare = (
        branch.number("alice_current"),
        branch.number("bob_current"),
        branch.open_account("bob", "savings"),
    )
    teller, executive = read_by(office, "teller"), read_by(office, "executive")
    customer = read_by(office, "alice")
    teller.done(f"/staff/accounts/{alice}/deposit", amount="70,00")
    teller.done(f"/staff/accounts/{alice}/withdraw", amount="7,00")
    teller.done(f"/staff/accounts/{alice}/transfer", to_account=bob, amount="5,00")
    refused = teller.send(f"/staff/accounts/{alice}/transfer", to_account=bob, amount="50.000,00")
    paid = customer.done("/pay", from_account=alice, to_account=bob, amount="1,00")
    entry = branch.deposit(branch.accounts["alice_current"], 3_00)
    executive.done(f"/staff/entries/{entry}/reverse", reason="zzqq")
    executive.done(f"/staff/accounts/{alice}/hold", amount="1,00", expires_on="", reason="zzqq")
    executive.done(f"/staff/accounts/{alice}/freeze", status="debits_frozen", reason="zzqq")
    branch.deposit(spare, 3_00)
    teller.done(f"/staff/accounts/{spare.number}/close", number=spare.number, reason="zzqq")
    customer.done(f"/movements/{entry}/report", told="zzqq")

    assert (refused.status, paid.status) == (422, 200)
    stored = [(table, row) for table, rows in branch.dump().items() for row in rows if "⟦" in repr(row)]
    assert stored == []
