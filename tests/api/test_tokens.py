"""Tokens: who they let in, for what, until when; looked up by digest, in one message, and shown to nobody again."""

from __future__ import annotations

import json
import logging
import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from bank.accounts import service as accounts
from bank.audit.store import audit_records
from bank.customers import service as customers
from bank.identity import logins, staff, tokens
from bank.identity.staff import Role
from bank.identity.store import api_tokens
from bank.identity.store import staff as staff_rows
from bank.identity.tokens import NoSuchToken, TooManyTokens, UnfitToken
from bank.payments import tills
from bank.web import logs
from bank.web.json_lines import JsonLines
from tests.api.conftest import Program, code, program
from tests.builders import CURRENCY


def test_a_token_is_found_by_scanners_and_stored_as_its_digest(office_anywhere):
    branch = office_anywhere.branch
    secrets = [branch.token_of(name)[1] for name in ("alice", "teller")]

    assert re.fullmatch(r"bank_c[A-Za-z0-9_-]{43}", secrets[0])
    assert re.fullmatch(r"bank_s[A-Za-z0-9_-]{43}", secrets[1])
    rows = branch.dump()
    for secret in secrets:
        assert secret not in repr(rows)
        assert secret[6:] not in repr(rows)
        assert tokens.read_secret(secret)[1] in [row.token_digest for row in branch.rows(sa.select(api_tokens))]


def test_it_lets_in_until_it_is_revoked_and_not_once_more(office_anywhere):
    branch = office_anywhere.branch
    token_id, secret = branch.token_of("alice")
    asking = Program(office_anywhere.app, secret)
    assert asking.get("/accounts").status_code == 200

    branch.bank.run(tokens.revoke, "customer", branch.customer("alice").id, token_id, by=branch.author("alice"))

    assert code(asking.get("/accounts")) == "invalid_token"


def test_it_ends_by_itself(office):
    asking = Program(office.app, office.branch.token_of("alice", days=1)[1])
    office.clock.step(timedelta(days=1).total_seconds() - 60)
    assert asking.get("/accounts").status_code == 200

    office.clock.step(61)

    assert code(asking.get("/accounts")) == "invalid_token"


def test_a_customer_who_is_deactivated_has_no_access_from_the_next_call_on(office_anywhere):
    branch = office_anywhere.branch
    asking = program(office_anywhere, "bob")
    assert asking.get("/accounts").status_code == 200

    branch.run(customers.set_active, branch.customer("bob").id, False, reason="Moved away")

    assert code(asking.get("/accounts")) == "invalid_token"


@pytest.mark.parametrize("how", ["disabled", "must change the password"])
def test_staff_who_may_not_come_in_have_no_access_from_the_next_call_on(how, office):
    branch = office.branch
    asking = program(office, "teller")
    path = f"/accounts/{branch.number('alice_current')}"
    assert asking.get(path).status_code == 200

    if how == "disabled":
        branch.run(staff.set_disabled, branch.staff("teller").id, True, reason="Left")
    else:
        branch.run(staff.set_password, branch.staff("teller").id, "no hash", must_change=True)

    assert code(asking.get(path)) == "invalid_token"


def test_a_new_password_ends_what_whoever_knew_the_old_one_may_have_made(office):
    branch = office.branch
    alice, bob, teller, cashier = (program(office, name) for name in ("alice", "bob", "teller", "cashier"))
    ids = {name: branch.customer(name).id for name in ("alice", "bob")}

    one_time = branch.run(logins.issue_code, ids["alice"], seconds=60)
    branch.run(logins.redeem_code, ids["alice"], one_time, "no hash")
    branch.run(logins.change_password, ids["bob"], "no hash", keep_session=0)
    branch.run(staff.set_password, branch.staff("teller").id, "no hash", must_change=True)
    branch.run(staff.set_password, branch.staff("teller").id, "no hash", must_change=False)
    branch.run(staff.set_disabled, branch.staff("cashier").id, True, reason="Lost the laptop")
    branch.run(staff.set_disabled, branch.staff("cashier").id, False, reason="Has another one")

    own, others = "/accounts", f"/accounts/{branch.number('alice_current')}"
    answers = [alice.get(own), bob.get(own), teller.get(others), cashier.get(others)]
    assert [code(answer) for answer in answers] == ["invalid_token"] * 4


def test_whoever_is_activated_again_makes_new_tokens(office):
    branch = office.branch
    asking = program(office, "bob")

    branch.run(accounts.deactivate_customer, branch.customer("bob").id, reason="Abroad")
    branch.run(accounts.activate_customer, branch.customer("bob").id, reason="Is back")

    assert code(asking.get("/accounts")) == "invalid_token"


def test_another_role_counts_from_the_next_call_on(office):
    branch = office.branch
    asking = program(office, "spare")
    branch.run(tills.give_role, branch.staff("spare"), Role.EXECUTIVE, CURRENCY)

    assert asking.get(f"/accounts/{branch.number('alice_current')}").status_code == 200
    assert branch.rows(sa.select(staff_rows.c.role).where(staff_rows.c.user_id == "SPARE-1")) == [("executive",)]


@pytest.mark.parametrize(
    ("name", "scopes", "days"),
    [("", ("accounts:read",), 30), ("x" * 61, ("accounts:read",), 30), ("Books", (), 30), ("Books", ("branch:read",), 30),
     ("Books", ("accounts:read", "everything"), 30), ("Books", ("accounts:read",), 0), ("Books", ("accounts:read",), 366)],
)  # fmt: skip
def test_one_without_a_name_a_scope_or_an_end_that_it_can_have_is_none(name, scopes, days, office):
    branch = office.branch
    with pytest.raises(UnfitToken):
        branch.run(tokens.make, "customer", branch.customer("alice").id, name=name, scopes=scopes, days=days)

    assert branch.rows(sa.select(api_tokens)) == []


def test_nobody_has_more_than_twenty_live_ones(office_anywhere):
    branch = office_anywhere.branch
    made = [branch.token_of("alice")[0] for _ in range(20)]
    branch.token_of("bob")
    with pytest.raises(TooManyTokens):
        branch.token_of("alice")

    branch.run(tokens.revoke, "customer", branch.customer("alice").id, made[3])

    assert branch.token_of("alice")


def test_others_tokens_do_not_exist(office):
    branch = office.branch
    token_id, secret = branch.token_of("alice")

    for kind, person in (("customer", "bob"), ("staff", "executive")):
        with pytest.raises(NoSuchToken):
            branch.run(tokens.revoke, kind, branch.people[person].id, token_id)

    assert Program(office.app, secret).get("/accounts").status_code == 200


def test_making_and_revoking_are_on_the_record_without_the_token(office):
    branch = office.branch
    alice = branch.customer("alice")
    token_id, secret = branch.token_of("alice", "accounts:read", days=9, called="Books")
    for _ in range(2):
        branch.bank.run(tokens.revoke, "customer", alice.id, token_id, by=branch.author("alice"))

    kept = branch.rows(
        sa.select(audit_records.c.action, audit_records.c.who, audit_records.c.details)
        .where(audit_records.c.subject == str(alice), audit_records.c.action.like("token.%"))
        .order_by(audit_records.c.id)
    )
    assert kept == [
        ("token.made", str(alice), {"token": token_id, "name": "Books", "scopes": ["accounts:read"], "days": 9}),
        ("token.revoked", str(alice), {"token": token_id}),
    ]
    assert secret not in repr(kept)


def test_its_last_use_is_stored_once_a_day(office_anywhere):
    branch = office_anywhere.branch
    asking = program(office_anywhere, "alice")
    written = []
    sa.event.listen(
        branch.bank.engine, "before_cursor_execute",
        lambda _c, _cursor, statement, *_: written.append(statement) if statement.startswith("UPDATE") else None,
    )  # fmt: skip

    for _ in range(3):
        asking.get("/accounts")
    [[first]] = branch.rows(sa.select(api_tokens.c.last_used_on))
    office_anywhere.clock.step(86_400)
    asking.get("/accounts")
    [[second]] = branch.rows(sa.select(api_tokens.c.last_used_on))

    assert (second - first).days == 1
    assert len(written) == 2


def test_the_guard_asks_the_database_once(office):
    branch = office.branch
    asking, path = program(office, "alice"), f"/accounts/{branch.number('alice_current')}"
    asking.get(path)
    asked = []
    sa.event.listen(branch.bank.engine, "before_cursor_execute", lambda *how: asked.append(how[2]))

    assert asking.get(path).status_code == 200
    assert len(asked) == 1
    for further in ("/balance?at=2026-01-01T00:00:00Z", "/postings", "/statements/last-5.csv"):
        asked.clear()
        assert asking.get(path + further).status_code == 200
        assert len(asked) == 2, further


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer bank_c", "Basic YWxpY2U6eA==", "bearer bank_x" + "a" * 43,
     "Bearer bank_c" + "é" * 43, "Bearer " + "x" * 9000, "Bearer bank_c" + "a" * 43],
)  # fmt: skip
def test_what_is_no_token_is_told_so_and_how_to_come_in(header, whole):
    headers = {} if header is None else {"Authorization": header}
    answer = Program(whole.app, None, address="192.0.2.77").get("/accounts", headers=headers)

    assert (answer.status_code, code(answer) in ("no_token", "invalid_token")) == (401, True)
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="bank"')


def test_a_cookie_opens_nothing_here(whole):
    browser = whole.browse_as("alice")

    assert browser.get("/home").status == 200
    refused = browser.get("/api/v1/accounts")
    assert (refused.status, refused.response.headers.getlist("Set-Cookie")) == (401, [])
    assert browser.ask("POST", "/api/v1/transfers", json={}).status in (401, 404)


def test_a_token_opens_no_page(whole):
    asking = program(whole, "alice")

    page = asking.client.get("/home", headers={"Authorization": f"Bearer {asking.secret}"})

    assert (page.status_code, page.location.startswith("/login")) == (302, True)


def test_a_kind_letter_that_lies_does_not_make_a_customer_of_staff(whole):
    secret = whole.branch.token_of("teller")[1]

    answer = Program(whole.app, "bank_c" + secret[6:]).get("/accounts")

    assert code(answer) == "invalid_token"


def test_no_line_of_the_log_holds_the_token_and_the_person_is_named_by_id(whole):
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(JsonLines().format(record))

    logs.logger.addHandler(kept := Kept())
    try:
        asking = program(whole, "alice")
        asking.get("/accounts")
        asking.get("/accounts/999999999")
        asking.get(f"/accounts?token={asking.secret}")
        Program(whole.app, asking.secret + "x").get("/accounts")
    finally:
        logs.logger.removeHandler(kept)

    assert lines
    assert asking.secret[6:] not in "".join(lines)
    first = json.loads(lines[0])
    assert (first["route"], first["who"]) == ("/api/v1/accounts", str(whole.branch.customer("alice")))
