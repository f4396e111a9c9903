"""Who may call what: scope by scope, kind by kind, own things and others'."""

from __future__ import annotations

import pytest

from bank.accounts import service as accounts
from bank.customers import warnings
from bank.identity.tokens import SCOPES
from tests.api.conftest import Program, code, program
from tests.builders import a_key

SCOPE_OF = {
    "/accounts": {"accounts:read"},
    "/accounts/{number}": {"accounts:read", "branch:read"},
    "/accounts/{number}/balance": {"accounts:read", "branch:read"},
    "/accounts/{number}/postings": {"accounts:read", "branch:read"},
    "/accounts/{number}/statements/last-3.csv": {"statements:read", "branch:read"},
}
ROLES = ("teller", "cashier", "executive")


def expected(who: str, scope: str, path: str, own: bool) -> str:
    """What the rules say, worked out a second time."""
    if path == "/accounts" and who in ROLES:
        return "wrong_kind"
    if scope not in SCOPE_OF[path]:
        return "wrong_scope"
    if "{number}" in path and who not in ROLES and not own:
        return "no_such_account"
    return "200"


@pytest.mark.parametrize("path", SCOPE_OF)
@pytest.mark.parametrize("who", ["alice", "bob", *ROLES])
def test_each_scope_opens_what_it_is_for_and_nothing_else(who, path, whole):
    for scope in SCOPES["staff" if who in ROLES else "customer"]:
        asking = program(whole, who, scope)
        for owner in ("alice", "bob"):
            answer = asking.get(path.format(number=whole.branch.number(f"{owner}_current")))
            said = "200" if answer.status_code == 200 else code(answer)
            assert said == expected(who, scope, path, owner == who), (who, scope, path, owner)


@pytest.mark.parametrize("path", [path for path in SCOPE_OF if "{number}" in path])
@pytest.mark.parametrize(
    "unknown", ["999999999", "0", "9" * 40, "x", "O'Brien --", "%F0%9F%98%80", "%00", "till-TELLER-1"]
)
@pytest.mark.parametrize("who", ["alice", "teller"])
def test_what_does_not_exist_is_a_404_and_reads_like_what_is_somebody_elses(who, unknown, path, whole):
    asking = program(whole, who)

    answer = asking.get(path.format(number=unknown))

    assert answer.status_code == 404
    if who == "alice" and unknown != "%00":
        others = asking.get(path.format(number=whole.branch.number("bob_current")))
        assert answer.json == others.json


def test_a_wrong_scope_is_told_as_rfc_6750_says(whole):
    answer = program(whole, "alice", "payments:write").get("/accounts")

    assert (answer.status_code, code(answer)) == (403, "wrong_scope")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="bank", error="insufficient_scope"'


def test_a_warning_that_asks_for_a_reason_asks_programs_too(office):
    branch = office.branch
    branch.run(warnings.warn, branch.customer("alice").id, "Ask why", needs_reason=True, operation=a_key())
    asking, path = program(office, "teller"), f"/accounts/{branch.number('alice_current')}"
    assert (asking.get(path).status_code, code(asking.get(path))) == (403, "reason_needed")
    assert program(office, "alice").get(path).status_code == 200
    assert asking.get(f"/accounts/{branch.number('bob_current')}").status_code == 200

    office.browse_as("teller").done(
        f"/staff/customers/{branch.customer('alice').number}/open", reason="She is at the counter"
    )

    assert asking.get(path).status_code == 200
    office.clock.step(16 * 60)
    assert code(asking.get(path)) == "reason_needed"


def test_whoever_is_authorised_sees_the_account_and_whoever_is_no_longer_does_not(office):
    branch = office.branch
    path = f"/accounts/{branch.number('alice_current')}"
    asking = program(office, "bob")
    branch.run(accounts.add_holder, branch.accounts["alice_current"], branch.customer("bob"), "authorised")
    assert asking.get(path).status_code == 200
    assert branch.number("alice_current") in [each["number"] for each in asking.get("/accounts").json["accounts"]]

    branch.run(accounts.remove_holder, branch.accounts["alice_current"], branch.customer("bob").id, reason="Moved out")

    assert code(asking.get(path)) == "no_such_account"


def test_head_answers_as_get_without_a_body_and_options_needs_no_token(whole):
    asking = program(whole, "alice")

    head = asking.ask("HEAD", "/accounts")
    options = Program(whole.app, None).ask("OPTIONS", "/accounts")

    assert (head.status_code, head.data) == (200, b"")
    assert (options.status_code, sorted(options.allow)) == (200, ["GET", "HEAD", "OPTIONS"])
