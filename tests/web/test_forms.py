"""Bad input is a page that keeps what was typed and says what to do; what a form does not ask for changes nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack
from html import escape
from io import BytesIO
from typing import Any

import pytest
import sqlalchemy as sa

from bank.audit.store import audit_records
from bank.cases import service as case_service
from bank.cases.store import cases
from bank.customers import warnings
from bank.customers.store import customer_warnings, customers
from bank.identity.store import api_tokens, sessions, throttles
from bank.payments.store import scheduled_payments
from bank.web.logs import JsonLines, logger
from tests import payment_files
from tests.builders import Branch
from tests.databases import Databases
from tests.web.browsing import Browser, Page
from tests.web.conftest import Served, served

#: Every form that people type into: who, where (of Alice), and what would be accepted.
FORMS: dict[str, tuple[str | None, str, dict[str, str]]] = {
    "log in": (None, "/login", {"user": "1234567890", "password": "some password"}),
    "staff log-in": (None, "/staff/login", {"user": "C1", "password": "some password"}),
    # Before her new password, which ends it.
    "revoke token": ("alice", "/profile/tokens/{token}/revoke", {}),
    "enrol": (None, "/enrol", {"user": "1", "code": "AAAA-BBBB-CCCC", "new": "x", "again": "x"}),
    "customer's password": ("alice", "/password", {"old": "x", "new": "y", "again": "y"}),
    "staff's password": ("teller", "/staff/password", {"old": "x", "new": "y", "again": "y"}),
    "contact": (
        "alice",
        "/profile/contact",
        {
            "email": "alice@example.org", "phone": "+1 207 555 0100", "address": "1 High Street", "city": "Bangor",
            "region": "ME", "postcode": "04401", "password": "some password",
        },
    ),
    "end session": ("alice", "/profile/sessions/{session}/end", {}),
    "end other sessions": ("alice", "/profile/sessions/end-others", {}),
    "staff's session": ("executive", "/staff/profile/sessions/{staff_session}/end", {}),
    "staff's other sessions": ("teller", "/staff/profile/sessions/end-others", {}),
    "token": ("alice", "/profile/tokens/new", {"name": "Books", "scopes": "accounts:read", "days": "90", "password": "x"}),
    "staff's token": ("teller", "/staff/profile/tokens/new", {"name": "Till", "scopes": "branch:read", "days": "1", "password": "x"}),
    "revoke staff's token": ("executive", "/staff/profile/tokens/{staff_token}/revoke", {}),
    "cancel": ("alice", "/scheduled/{scheduled}/cancel", {}),
    "pay": ("alice", "/pay", {"from_account": "{account}", "to_account": "{other}", "amount": "1", "reference": "Rent"}),
    "amount": ("alice", "/pay/{draft}", {"amount": "1", "reference": "Rent", "when": "now", "due_on": ""}),
    "doubtful name": ("alice", "/pay/{draft}/name", {}),
    "file of payments": ("alice", "/payment-files/new", {}),
    "pay a file": ("alice", "/payment-files/{file}/pay", {}),
    "branch's file of payments": ("teller", "/staff/payment-files/new", {}),
    "pay the branch's file": ("executive", "/staff/payment-files/{branch_file}/pay", {}),
    "payee": ("alice", "/payees/new", {"name": "Bob Nakamura", "to_account": "{other}"}),
    "payee's name": ("bob", "/payees/{saved}/rename", {"name": "Landlady"}),
    "save payee": ("bob", "/payees/{met}/check", {}),
    "remove payee": ("bob", "/payees/{saved}/remove", {}),
    "deposit": ("teller", "/staff/accounts/{account}/deposit", {"amount": "1", "note": "Cash"}),
    "withdraw": ("teller", "/staff/accounts/{account}/withdraw", {"amount": "1", "note": "Cash"}),
    "transfer": ("teller", "/staff/accounts/{account}/transfer", {"to_account": "{other}", "amount": "1", "reference": ""}),
    "close": ("teller", "/staff/accounts/{account}/close", {"number": "{account}", "reason": "Moves away"}),
    "freeze": ("executive", "/staff/accounts/{account}/freeze", {"status": "frozen", "reason": "Lost card"}),
    "limits": ("executive", "/staff/accounts/{account}/limits", {"per_payment": "1", "per_day": "2", "reason": "Asked"}),
    "overdraft": ("executive", "/staff/accounts/{account}/overdraft", {"overdraft": "1", "reason": "Asked"}),
    "holder": ("executive", "/staff/accounts/{account}/holders/add", {"customer": "{bob}", "role": "owner"}),
    "remove holder": ("executive", "/staff/accounts/{account}/holders/{bob}/remove", {"reason": "Asked"}),
    "hold": ("executive", "/staff/accounts/{account}/hold", {"amount": "1", "expires_on": "", "reason": "Asked"}),
    "release": ("executive", "/staff/accounts/{account}/holds/1/release", {"reason": "Asked"}),
    "reopen": ("executive", "/staff/accounts/{account}/reopen", {"reason": "Asked"}),
    "reverse": ("executive", "/staff/entries/1/reverse", {"reason": "Asked"}),
    "deactivate": ("executive", "/staff/customers/{bob}/deactivate", {"reason": "Asked"}),
    "activate": ("executive", "/staff/customers/{bob}/activate", {"reason": "Asked"}),
    "open account": ("executive", "/staff/customers/{bob}/accounts/new", {"product": "current"}),
    "register": (
        "executive",
        "/staff/customers/new",
        {
            "name": "Carol Weiss", "birth_date": "1980-02-29", "identity_number": "078-90-1234", "address": "1 High Street",
            "city": "Bangor", "region": "ME", "postcode": "04401", "email": "carol@example.org", "phone": "+1 207 555 0100",
        },
    ),
    "edit": (
        "executive",
        "/staff/customers/{bob}/edit",
        {
            "name": "Bob Nakamura", "birth_date": "1980-02-29", "identity_number": "", "address": "1 High Street",
            "city": "Bangor", "region": "", "postcode": "", "email": "", "phone": "",
        },
    ),
    "add staff": ("executive", "/staff/people/new", {"user_id": "NEW-1", "name": "New Person", "role": "teller"}),
    "role": ("executive", "/staff/people/SPARE-1/role", {"role": "cashier"}),
    "disable": ("executive", "/staff/people/SPARE-1/disable", {"reason": "Left"}),
    "enable": ("executive", "/staff/people/SPARE-1/enable", {"reason": "Back"}),
    "reset password": ("executive", "/staff/people/SPARE-1/password", {}),
    "open a record": ("teller", "/staff/customers/{bob}/open", {"reason": "At the counter"}),
    "raise a warning": ("executive", "/staff/customers/{bob}/warnings/new", {"told": "Speak slowly", "kind": "shows"}),
    "lift a warning": ("executive", "/staff/customers/{bob}/warnings/{warning}/lift", {"reason": "Settled"}),
    "identity number": ("executive", "/staff/customers/{bob}/identity", {"reason": "Court order"}),
    "one-time code": ("executive", "/staff/customers/{bob}/code", {}),
    "category": ("alice", "/movements/{entry}/category", {"category": "leisure"}),
    "report": ("alice", "/movements/{entry}/report", {"told": "I did not do this."}),
    "answer": ("executive", "/staff/cases/{case}", {"answer": "It was a mistake of ours."}),
    "supply": ("teller", "/staff/till/supply", {"amount": "1", "note": "Bag 7"}),
    "return": ("teller", "/staff/till/return", {"amount": "1", "note": ""}),
    "count": ("cashier", "/staff/till/count", {"piece_10000": "1000", "piece_1": "", "reason": ""}),
    "receive cash": ("executive", "/staff/vault/receive", {"amount": "1", "note": "Van"}),
    "hand cash back": ("executive", "/staff/vault/hand-back", {"amount": "1", "note": ""}),
    "guard": ("executive", "/staff/tills/{till}/guard", {"reason": "Asked"}),
}  # fmt: skip

SECRETS = {"password", "old", "new", "again"}

#: What nobody types in earnest; every field must survive it.
NASTY = {
    "too long": "x" * 10_000,
    "NUL": "a\x00b",
    "line breaks": "a\r\nb\nc",
    "emoji": "👩‍👩‍👧‍👦🏴‍☠️",
    "right to left": "\u202eمرحبا\u202c",
    "markup": "<script>alert(1)</script>",
    "attribute": '" autofocus onfocus="alert(1)',
    "template": "{{ 7*7 }}{% raw %}",
    "percent": "100%s %(name)s %",
    "quotes": "'; DROP TABLE customers; --",
    "combining": "Z" + "\u0301" * 150,
    "noncharacter": "a\ufffeb\uffff",
    "byte order": "\ufeffx",
    "blanks": " \u00a0\u3000 ",
    "minus": "-1",
    "far day": "9999-12-31",
    "first day": "0001-01-01",
}

#: Bytes that are no UTF-8: a lone surrogate, a cut sequence, Latin-1.
NOT_UTF8 = [b"\xed\xa0\x80", b"\xc3", b"caf\xe9", b"\xff\xfe\x00"]


NASTY_ADDRESSES = (
    "%ED%A0%80", "%C3", "%FF%FE", "%00", "a%00b", "%F0%9F%92%A9", "%E2%80%AE", "100%25", "_", "\\", "%CC%81", "x" * 3000,
)  # fmt: skip


def places(branch: Branch) -> dict[str, str]:
    return {
        **a_case(branch),
        "till": branch.till("teller").number,
        "account": branch.number("alice_current"),
        "other": branch.number("bob_current"),
        "bob": branch.customer("bob").number,
        "warning": str(a_warning(branch)),
        "draft": a_draft(branch),
        "file": str(a_file(branch, "alice")),
        "branch_file": str(a_file(branch, "teller")),
        "scheduled": str(a_scheduled_payment(branch)),
        "session": str(branch.session_id_of("alice")),
        "staff_session": str(branch.session_id_of("executive")),
        "token": str(a_token(branch, "alice")),
        "staff_token": str(a_token(branch, "executive")),
        "saved": str(branch.payee("bob", "alice_current", "Alice Moreau")),
        "met": str(branch.payee("bob", "alice_savings", "Alice Moreau", saved=False)),
    }


def a_scheduled_payment(branch: Branch) -> int:
    """The id of a payment that waits for its day, scheduled when there is none yet."""
    if rows := branch.rows(sa.select(scheduled_payments.c.id)):
        return rows[0].id
    return branch.schedule("alice_current", "bob_current", 1_00)


def a_token(branch: Branch, name: str) -> int:
    """The id of this person's token, made when there is none yet."""
    mine = sa.select(api_tokens.c.id).where(api_tokens.c.name == f"{name}'s")
    return int(rows[0].id) if (rows := branch.rows(mine)) else branch.token_of(name, called=f"{name}'s")[0]


def a_file(branch: Branch, by: str) -> int:
    """The id of a file of payments that waits for somebody to confirm it; the same one each time."""
    return payment_files.send(
        branch, [(branch.number("alice_current"), branch.number("bob_current"), "Bob Nakamura", "0.01", "Wages")], by
    )


def a_draft(branch: Branch) -> str:
    """The operation of a payment that Alice prepares, to somebody whose name does not match."""
    branch.payee("alice", "bob_current", "Somebody", "none", saved=False)
    return branch.draft("alice", "alice_current", "bob_current", "00000000-0000-4000-8000-00000000d4af", "none")


def a_case(branch: Branch) -> dict[str, str]:
    """A deposit of Alice's that she reported, and the case, which the executive took when there was none yet."""
    if not branch.rows(query := sa.select(cases.c.entry_id, cases.c.id)):
        case = branch.report("alice", branch.deposit(branch.accounts["alice_current"], 1))
        branch.run(case_service.take, case, person=branch.staff("executive"))
    [[entry, case]] = branch.rows(query)
    return {"entry": str(entry), "case": str(case)}


def a_warning(branch: Branch) -> int:
    """The id of the warning about Bob, raised when there is none yet."""
    bob = branch.customer("bob").id
    query = sa.select(customer_warnings.c.id).where(customer_warnings.c.customer_id == bob)
    if not branch.rows(query):
        branch.run(
            warnings.warn, bob, "Speak slowly", needs_reason=False, operation="00000000-0000-4000-8000-0000000000aa"
        )
    return branch.rows(query)[0].id


def opened(office: Served, name: str) -> tuple[Browser, str, dict[str, str]]:
    """A browser for the form, its address, and what it accepts."""
    visitor, path, typed = FORMS[name]
    known = places(office.branch)
    return office.browse_as(visitor), path.format(**known), {key: value.format(**known) for key, value in typed.items()}


@pytest.fixture(scope="module")
def whole(sqlite_databases: Databases) -> Iterator[Served]:
    """One branch for all that must change nothing."""
    with sqlite_databases.migrated() as urls, served(urls.app) as office:
        yield office


def unchanging(branch: Branch) -> dict[str, Any]:
    """Every row but the count of log-in attempts and the sessions' last use."""
    rows = branch.dump()
    return {table: rows[table] for table in rows if table not in (throttles.name, sessions.name)}


def test_every_view_with_a_form_is_tried_here(whole):
    with_forms = {
        rule.endpoint for rule in whole.app.url_map.iter_rules() if {"GET", "POST"} <= (rule.methods or set())
    }
    adapter = whole.app.url_map.bind("localhost")
    tried = {adapter.match(path.format(**places(whole.branch)), method="POST")[0] for _, path, _ in FORMS.values()}

    # The search refuses nothing: whatever is looked for, somebody is found or nobody is.
    assert tried == with_forms - {"staff.find_customers"}


@pytest.mark.parametrize("name", [name for name, (_, _, typed) in FORMS.items() if typed])
def test_an_empty_form_is_drawn_again_with_a_link_to_each_field_that_is_wrong(name, whole):
    browser, path, typed = opened(whole, name)
    page = browser.get(path)
    before = unchanging(whole.branch)

    answer = browser.submit(page, path, **dict.fromkeys(page.form.typed, ""))

    if name == "limits":
        # Without limits of its own the account keeps the bank's; only the reason is missing.
        assert answer.problem_links == ["#reason"]
    assert answer.status == 422
    assert answer.title == f"Error: {page.title}"
    assert len(answer.problems) == len(answer.problem_links) > 0
    assert {link.removeprefix("#") for link in answer.problem_links} <= answer.ids
    assert all(problem[0].isupper() and problem.endswith(".") for problem in answer.problems), answer.problems
    assert 'role="alert"' in answer.html
    assert 'aria-invalid="true"' in answer.html or 'class="field wrong"' in answer.html
    assert unchanging(whole.branch) == before


@pytest.mark.parametrize("name", [name for name, (_, _, typed) in FORMS.items() if typed])
def test_no_field_breaks_the_bank_whatever_is_typed(name, office):
    browser, path, typed = opened(office, name)
    page = browser.get(path)
    wrong = []
    # All fields at once: each is judged by itself. Only the longest text goes alone, or the body would be too large.
    sent = [(what, dict.fromkeys(typed, nasty)) for what, nasty in NASTY.items() if what != "too long"]
    sent += [("too long", {field: NASTY["too long"]}) for field in typed]
    for what, fields in sent:
        # Without an operation nothing of it is done, whatever is accepted.
        answer = browser.submit(page, path, **{**typed, **fields, "operation": "no operation"})
        if answer.status != 422:
            wrong.append((what, answer.status))
        if set(typed) <= SECRETS and what not in ("minus", "blanks") and escape(NASTY[what]) in answer.html:
            wrong.append((what, "shows a secret"))
        if NASTY[what] in answer.html and what in ("markup", "attribute"):
            wrong.append((what, "not escaped"))

    assert wrong == []


#: What of it may be stored at all, so that a database could choke on it.
STORED = ("NUL", "line breaks", "emoji", "right to left", "markup", "percent", "quotes", "combining", "noncharacter")

#: The fields whose text goes into the database as it is.
FREE_TEXT = {
    "deposit": ["note"],
    "receive cash": ["note"],
    "pay": ["reference"],
    "amount": ["reference"],
    "payee": ["name"],
    "payee's name": ["name"],
    "freeze": ["reason"],
    "hold": ["reason"],
    "deactivate": ["reason"],
    "open a record": ["reason"],
    "raise a warning": ["told"],
    "register": ["name", "address", "city", "region", "postcode"],
    "edit": ["name", "address", "city", "region", "postcode"],
    "add staff": ["name"],
}


@pytest.mark.parametrize("name", FREE_TEXT)
def test_what_a_form_accepts_fits_every_database_and_comes_back(name, office_anywhere):
    browser, path, typed = opened(office_anywhere, name)
    page = browser.get(path)
    for number, what in enumerate(STORED):
        nasty = NASTY[what]
        sent = {**page.form.values, **typed, **dict.fromkeys(FREE_TEXT[name], f"a{nasty}"[:20])}
        sent |= {"operation": f"00000000-0000-4000-8000-ffff{number:08d}"}
        if name in ("register", "add staff"):
            sent |= {"identity_number": f"00{number:03}", "user_id": f"NEW-{number}"}
        answer = browser.ask("POST", path, data=sent)
        assert answer.status in (200, 303), (what, answer.status, answer.problems)
        assert answer.status == 200 or browser.follow(answer).status == 200, what


@pytest.mark.parametrize("name", FORMS)
def test_a_file_in_place_of_a_text_is_no_text(name, whole):
    browser, path, typed = opened(whole, name)
    before = unchanging(whole.branch)
    files = {field: (BytesIO(b"5"), "5.txt") for field in [*typed, "operation"]}

    answer = browser.ask(
        "POST", path, data={"csrf_token": browser.token(), **files}, content_type="multipart/form-data"
    )

    assert answer.status == 422
    assert unchanging(whole.branch) == before


@pytest.mark.parametrize("name", ["deposit", "register", "log in", "limits"])
def test_json_in_place_of_a_form_is_no_form(name, whole):
    browser, path, typed = opened(whole, name)
    token = {"X-CSRFToken": browser.token()}
    before = unchanging(whole.branch)

    for value in (5, 5.0, None, True, ["5"], {"a": "5"}, "5"):
        sent = {**dict.fromkeys(typed, value), "operation": "00000000-0000-4000-8000-00000000abcd"}
        assert browser.ask("POST", path, json=sent, headers=token).status == 422, value

    assert unchanging(whole.branch) == before


def test_what_was_typed_is_kept_but_never_a_password(office):
    browser, path, typed = opened(office, "register")
    answer = browser.send(path, **{**typed, "name": "Zoë <b>O'Brien</b>", "birth_date": "31.12.1980"})

    assert answer.status == 422
    assert answer.form.typed == {**typed, "name": "Zoë <b>O'Brien</b>", "birth_date": "31.12.1980"}
    assert "<b>" not in answer.html
    for name in ("log in", "staff log-in", "enrol", "customer's password", "staff's password"):
        browser, path, typed = opened(office, name)
        answer = browser.send(path, **{field: f"typed {field}" for field in typed})
        assert answer.status == 422
        for field in typed:
            assert (f"typed {field}" in answer.html) == (field not in SECRETS), (name, field)


@pytest.mark.parametrize("name", ["deposit", "register", "pay", "log in"])
@pytest.mark.parametrize("raw", NOT_UTF8, ids=repr)
def test_bytes_that_are_no_text_do_not_break_a_page(name, raw, office):
    browser, path, typed = opened(office, name)
    token = browser.token()
    fields = b"&".join(field.encode() + b"=" + b"".join(b"%%%02X" % byte for byte in raw) for field in typed)
    body = fields + b"&csrf_token=" + token.encode()

    answer = browser.ask("POST", path, data=body, content_type="application/x-www-form-urlencoded")

    assert answer.status == 422


@pytest.mark.parametrize(
    "address",
    [
        "/staff/customers?q={}", "/staff/customers?q=Bob&after={}", "/staff/customers/status?after={}",
        "/staff/customers/status?status={}", "/staff/accounts?q={}", "/staff/accounts/status?after={}",
        "/staff/accounts/status?status={}", "/staff/accounts/{}", "/staff/customers/{}", "/staff/operations/{}",
        "/staff/records?before={}", "/staff/people/{}/role", "/login?next={}", "/nothing/{}",
    ],
)  # fmt: skip
def test_no_address_breaks_the_bank(address, offices):
    for office in offices:
        for raw in NASTY_ADDRESSES:
            page = office["executive"].get(address.format(raw))
            assert page.status in (200, 400, 404, 422), raw


@pytest.fixture(scope="module")
def offices(request) -> Iterator[list[dict[str, Browser]]]:
    """A branch on each database that is here."""
    with ExitStack() as stack:
        found = []
        for dialect in request.config.getoption("--dialect") or ("sqlite", "postgresql", "mysql"):
            databases: Databases = request.getfixturevalue(f"{dialect}_databases")
            office = stack.enter_context(served(stack.enter_context(databases.migrated()).app))
            found.append({"executive": office.browse_as("executive"), "alice": office.browse_as("alice")})
        yield found


def test_of_a_field_sent_twice_the_first_counts(office):
    branch = office.branch
    browser = office.browse_as("teller")
    path = f"/staff/accounts/{branch.number('alice_current')}/deposit"
    page = browser.get(path)

    answer = browser.ask("POST", path, data={**page.form.values, "amount": ["1.00", "999.00"]})

    assert answer.status == 303
    assert branch.balance("alice_current") == 101_00


EXTRA = {
    "role": "executive", "balance": "1000000", "status": "closed", "floor": "-100000", "is_admin": "1", "id": "1",
    "customer_id": "1", "till_id": "1", "till_account_id": "1", "disabled_at": "", "must_change_password": "0",
    "number": "360200000", "created_at": "1999-01-01", "caller": "demo", "kind": "opening", "limits": "none",
    "_method": "DELETE", "identity_sealed": "x", "search_name": "x", "frozen_for": "",
}  # fmt: skip


@pytest.mark.parametrize("name", ["deposit", "register", "edit", "open account", "customer's password", "disable"])
def test_fields_that_a_form_does_not_ask_for_change_nothing(name, serve):
    """The same form with and without them leaves the same rows, but for what is random or the time."""
    left = []
    for extra in ({}, EXTRA):
        office = serve()
        browser, path, typed = opened(office, name)
        page = browser.get(path)
        fields = {**page.form.values, **typed, "operation": "00000000-0000-4000-8000-00000000abcd"}
        browser.ask("POST", path, data={**extra, **fields})
        left.append(_without_chance(office.branch.dump()))

    assert left[0] == left[1]


def _without_chance(rows: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[list[Any]]]:
    """Rows without instants, digests and sealed texts."""
    return {
        table: [[cell for cell in row if not _is_chance(cell)] for row in found]
        for table, found in rows.items()
        if table != "sessions"
    }


def _is_chance(cell: Any) -> bool:
    return hasattr(cell, "hour") or (isinstance(cell, str) and len(cell) >= 16 and " " not in cell)


@pytest.mark.parametrize(
    "sent",
    [
        {"data": {"note": "x" * 70_000}},
        {"data": b"x" * 70_000, "content_type": "application/x-www-form-urlencoded"},
        {"data": {f"f{number}": "x" for number in range(200)}, "content_type": "multipart/form-data"},
    ],
    ids=["a field", "a body", "too many parts"],
)
def test_too_much_at_once_is_a_413_page(sent, office):
    answer = office.browse_as("teller").ask("POST", "/staff/password", **sent)

    assert answer.status == 413
    assert "nothing was done" in answer.text


@pytest.mark.parametrize("name", FORMS)
def test_without_its_token_no_form_does_anything(name, whole):
    browser, path, typed = opened(whole, name)
    fields = {**browser.get(path).form.values, **typed}
    del fields["csrf_token"]
    of_another = whole.browse_as(FORMS[name][0]).token()
    before = whole.branch.dump()

    for token in ({}, *({"csrf_token": made_up} for made_up in ("", "x", "IjEi.Zm9v.YmFy", of_another))):
        answer = browser.ask("POST", path, data=fields | token)
        assert answer.status == 400
        assert answer.title == "This form is too old – Our Bank"
        assert "Nothing was done" in answer.text

    assert whole.branch.dump() == before


@pytest.mark.parametrize("visitor", ["alice", "teller"])
def test_logging_out_needs_the_token_too(visitor, whole):
    browser = whole.browse_as(visitor)
    path, home = ("/logout", "/home") if visitor == "alice" else ("/staff/logout", "/staff/")

    answer = browser.ask("POST", path, data={})

    assert answer.status == 400
    assert browser.get(home).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://evil.example:80/localhost"},
        {"Origin": "http://localhost:8001"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
    ids=str,
)
def test_another_sites_form_is_refused_even_with_the_token(headers, office):
    branch = office.branch
    browser = office.browse_as("teller")
    path = f"/staff/accounts/{branch.number('alice_current')}/deposit"
    page = browser.get(path)

    answer = browser.ask("POST", path, data={**page.form.values, "amount": "5"}, headers=headers)

    assert answer.status == 403
    assert "Nothing was done" in answer.text
    assert branch.balance("alice_current") == 100_00


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}],
    ids=str,
)
def test_the_banks_own_form_is_let_in(headers, office):
    browser = office.browse_as("teller")
    path = f"/staff/accounts/{office.branch.number('alice_current')}/deposit"
    page = browser.get(path)

    assert browser.ask("POST", path, data={**page.form.values, "amount": "5"}, headers=headers).status == 303


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}], ids=str)
def test_a_link_from_another_site_may_be_followed(headers, whole):
    assert whole.browse_as("alice").get("/home", headers=headers).status == 200


NAMES = {
    "O'Brien": ["o'brien", "O’BRIEN", "brien", "O'B"],
    "Zoë Ångström": ["zoe", "ZOË", "angstrom", "Zoe\u0308"],
    "李小龙": ["小龙", "李"],
    "Anne-Marie d’Aubigné": ["anne-marie", "d'aubigne"],
    "محمد بن سلمان": ["محمد"],
    "Straße": ["strasse", "STRASSE"],
    "Nguyễn Văn A": ["nguyen van"],
    "Iñtërnâtiônàlizætiøn": ["internation"],
    "100% Sure_Name": ["Sure_N"],
    "X Æ A": ["x æ"],
}


def test_customers_of_any_name_are_registered_shown_and_found(office_anywhere):
    browser, path, typed = opened(office_anywhere, "register")
    for number, (full_name, ways) in enumerate(NAMES.items()):
        shown = browser.done(path, **{**typed, "name": full_name, "identity_number": f"9900{number:03}"})

        assert full_name in shown.text
        for looked_for in ways:
            assert full_name in browser.look_up(looked_for).text, looked_for
        assert full_name not in browser.get("/staff/customers", query_string={"q": "Bob Nak"}).text


def test_a_decomposed_name_is_the_same_name(office):
    browser, path, typed = opened(office, "register")

    shown = browser.done(path, **{**typed, "name": "  Zoe\u0308   O\u2019Brien "})

    assert "Zoë O’Brien" in shown.text
    assert office.branch.rows(sa.select(customers.c.name).order_by(customers.c.id.desc()))[0][0] == "Zoë O’Brien"


@pytest.mark.parametrize("what", NASTY)
def test_no_search_breaks_the_bank(what, whole):
    page = whole.browse_as("teller").look_up(NASTY[what])

    assert page.status in (200, 400)


def test_a_search_treats_its_signs_as_letters(office):
    browser = office.browse_as("teller")

    assert "Nobody found" in browser.get("/staff/customers?q=%25").text
    assert "Nobody found" in browser.get("/staff/customers?q=_").text
    assert "Nobody found" in browser.get("/staff/customers?q=%CC%81").text


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """What the bank logs meanwhile, as it would be written."""
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(JsonLines().format(record))

    handler = Kept()
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def test_an_identity_number_keeps_its_zeros_is_shown_masked_and_is_nowhere_in_clear(office, log_lines):
    branch = office.branch
    browser, path, typed = opened(office, "register")

    shown = browser.done(path, **{**typed, "identity_number": "001-02-0304"})
    number = shown.response.request.path.rsplit("/", 1)[1]
    browser.done(f"/staff/customers/{number}/edit", identity_number="002030405", address="2 High Street")
    taken = browser.send("/staff/customers/new", **{**typed, "identity_number": "00 20 30 405"})
    bad = browser.send("/staff/customers/new", **{**typed, "identity_number": "0020304056 or so, who knows"})
    pages = [browser.get(f"/staff/customers/{number}"), browser.get("/staff/records"), taken, shown]

    assert "•••••••04" in shown.text
    assert "•••••••05" in pages[0].text
    assert (taken.status, bad.status) == (409, 422)
    assert number in taken.problems[0]
    for looked_for in ("002030405", "002-03-0405", " 002 03 0405 "):
        assert browser.send("/staff/customers", q=looked_for).location == f"/staff/customers/{number}"
    # In an address it would stay in logs and browsers, so there it finds nobody.
    assert number not in browser.get("/staff/customers?q=002030405").text
    for looked_for in ("2030405", "001020304", "02030405"):
        nobody = browser.send("/staff/customers", q=looked_for)
        assert (nobody.status, nobody.location) == (200, "")
        assert number not in nobody.text
    # What was typed is kept in the form that it was typed into, and nowhere else.
    everything = [repr(branch.dump()), *log_lines, *(page.text for page in pages)]
    for clear in ("001020304", "001-02-0304", "002030405", "1020304", "2030405", "00 20 30"):
        assert not [where for where in everything if clear in where], clear
    assert branch.rows(sa.select(audit_records.c.details).where(audit_records.c.action == "customer.edited"))[0][0][
        "identity_number"
    ] == ["(sealed)", "(sealed)"]


def test_an_edit_keeps_the_old_and_the_new_in_the_records(office):
    branch = office.branch
    browser, path, typed = opened(office, "edit")

    shown = browser.done(
        path, **{**typed, "name": "Bob O’Nakamura", "address": "9 New Road", "email": "bob@example.org"}
    )

    [(details, who)] = branch.rows(
        sa.select(audit_records.c.details, audit_records.c.who).where(audit_records.c.action == "customer.edited")
    )
    assert who == str(branch.people["executive"])
    assert details["name"] == ["Bob Nakamura", "Bob O’Nakamura"]
    assert details["address"] == ["14 Harbor Street", "9 New Road"]
    assert details["email"] == ["", "bob@example.org"]
    assert "identity_number" not in details
    assert "14 Harbor Street → 9 New Road" in shown.text
    assert "•••••••01" in shown.text
    assert shown.text.count("Bob O’Nakamura") >= 2


def test_an_edit_opens_with_everything_that_is_known(office):
    browser, path, _ = opened(office, "edit")

    assert browser.get(path).form.typed == {
        "name": "Bob Nakamura", "birth_date": "1988-04-12", "identity_number": "", "address": "14 Harbor Street",
        "city": "Portland", "region": "ME", "postcode": "04101", "email": "", "phone": "",
    }  # fmt: skip


@pytest.mark.parametrize("field", ["name", "address", "city"])
@pytest.mark.parametrize("blank", ["", "   ", "\u3000", "\x00"])
def test_a_blank_does_not_erase_what_is_known(field, blank, office):
    browser, path, typed = opened(office, "edit")

    answer = browser.send(path, **{**typed, field: blank})

    assert answer.status == 422
    assert answer.problem_links == [f"#{field}"]
    assert office.branch.rows(sa.select(customers.c[field]).where(customers.c.id == office.branch.customer("bob").id))[
        0
    ][0]


NO_BIRTH_DATES = (
    "2999-01-01", "1879-12-31", "0001-01-01", "1980-02-30", "1980-13-01", "12/31/1980", "-5", "999", "١٩٨٠-٠١-٠١",
)  # fmt: skip


@pytest.mark.parametrize("day", NO_BIRTH_DATES)
def test_a_birth_date_that_cannot_be_one_is_refused(day, office):
    browser, path, typed = opened(office, "register")

    answer = browser.send(path, **{**typed, "birth_date": day})

    assert (answer.status, answer.problem_links) == (422, ["#birth_date"])


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "2026-02-30", "yesterday", "2020-01-01"])
def test_a_hold_cannot_end_on_a_day_that_is_over_or_none(day, office):
    browser, path, typed = opened(office, "hold")

    answer = browser.send(path, **{**typed, "expires_on": day})

    assert (answer.status, answer.problem_links) == (422, ["#expires_on"])
    assert office.branch.state("alice_current").ledger.held == 0


@pytest.mark.parametrize("typed", ["1", "12-3", "x" * 21, "012_34", "０１２３４５", "012\u200b345"])
def test_an_identity_number_that_cannot_be_one_is_refused(typed, office):
    browser, path, other = opened(office, "register")

    answer = browser.send(path, **{**other, "identity_number": typed})

    assert (answer.status, answer.problem_links) == (422, ["#identity_number"])


def test_two_customers_cannot_have_one_identity_number(office):
    browser, path, typed = opened(office, "register")

    answer = browser.send(path, **{**typed, "identity_number": "012 34 5678"})

    assert answer.status == 409
    assert answer.problems == [f"Customer {office.branch.customer('alice').number} has this identity number."]
    assert answer.form.typed["name"] == "Carol Weiss"


def test_an_unknown_payee_or_holder_is_something_to_correct_not_a_missing_page(office):
    number = office.branch.number("alice_current")

    paying = office.browse_as("alice").send("/pay", from_account=number, to_account="360299999", amount="1")
    sharing = office.browse_as("executive").send(
        f"/staff/accounts/{number}/holders/add", customer="110119999", role="owner"
    )

    assert (paying.status, sharing.status) == (422, 422)
    assert paying.problems == [
        "There is no account of this number at this bank. Check the number with whoever you pay."
    ]
    assert sharing.form.values["customer"] == "110119999"


def test_a_mistyped_digit_is_noticed_before_money_moves(office):
    number = office.branch.number("bob_current")
    mistyped = number[:-1] + str((int(number[-1]) + 1) % 10)

    page = office.browse_as("teller").send(
        f"/staff/accounts/{office.branch.number('alice_current')}/transfer", to_account=mistyped, amount="1"
    )

    assert page.problems == ["Check the number: one of its digits is mistyped."]


NO_PERIODS = (
    "last=0", "last=1001", "last=x", "last=-1", "last=1e3", "from=2026-13-01", "from=2026-03-02&to=2026-03-01", "to=9",
)  # fmt: skip


@pytest.mark.parametrize("period", NO_PERIODS)
def test_a_period_that_is_none_is_said_so_on_the_page_it_was_asked_on(period, whole):
    page = whole.browse_as("alice").get(f"/accounts/{whole.branch.number('alice_current')}/statement?{period}")

    assert page.status == 422
    assert page.title.startswith("Error: ")
    assert page.problems
    for asked in period.split("&"):
        name, value = asked.split("=")
        assert value in [form.values.get(name) for form in page.forms]


@pytest.mark.parametrize("address", ["/staff/accounts?q=12", "/staff/accounts?q=360299999"])
def test_a_search_for_what_cannot_be_is_an_error_that_keeps_what_was_typed(address, whole):
    page = whole.browse_as("teller").get(address)

    assert page.status == 422
    assert page.title.startswith("Error: ")
    assert page.form.values["q"] == address.partition("=")[2]


def test_no_page_has_a_script_a_style_of_its_own_or_anything_from_elsewhere(whole):
    branch = whole.branch
    pages: list[Page] = [
        whole.browse_as("executive").get(path)
        for path in ("/staff/", "/staff/customers/new", f"/staff/accounts/{branch.number('alice_current')}", "/nothing")
    ]
    pages += [whole.browse_as(None).get(path) for path in ("/", "/login", "/enrol")]

    for page in pages:
        assert re.findall(r"<script[^>]*>(.*?)</script>", page.html) == ["", ""]
        assert "<style" not in page.html
        assert "style=" not in page.html
        assert " on" + "click" not in page.html
        assert "http://" not in page.html.replace("http://localhost", "")
        assert "https://" not in page.html
        assert page.html.count("<html") == 1
        assert '<html lang="en" dir="ltr">' in page.html
        assert 'name="viewport"' in page.html
        policy = page.response.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert page.response.headers["X-Content-Type-Options"] == "nosniff"
        assert page.response.headers["Cache-Control"] == "no-store"
        assert page.response.headers["Referrer-Policy"] == "same-origin"
        assert page.response.headers["X-Frame-Options"] == "DENY"
        assert page.response.headers["X-Request-Id"]
