"""Access for programs: made by whoever knows the password, shown once, revoked by its owner."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from bank.identity.store import api_tokens
from tests.web.conftest import PASSWORD, Served

PATHS = {"alice": "/profile/tokens", "teller": "/staff/profile/tokens"}


def made(office: Served, who: str, scopes: list[str], **typed: object):
    """The page after the form was sent."""
    browser = office.browse_as(who)
    fields = {"name": "Books", "days": "30", "password": PASSWORD, **typed, "scopes": scopes}
    return browser, browser.send(f"{PATHS[who]}/new", **fields)


def secret_on(page) -> str:
    [secret] = set(re.findall(r"bank_[cs][A-Za-z0-9_-]{43}", page.html))
    return secret


def calls(office: Served, secret: str, path: str) -> int:
    answer = office.app.test_client().get(f"/api/v1{path}", headers={"Authorization": f"Bearer {secret}"})
    return answer.status_code


@pytest.mark.parametrize(("name", "scope"), [("alice", "accounts:read"), ("teller", "branch:read")])
def test_a_token_is_made_shown_once_used_listed_and_revoked(name, scope, office):
    office.give_password(name)
    browser, page = made(office, name, [scope])
    secret = secret_on(page)
    assert (page.status, page.title) == (200, "Your new token – Our Bank")
    path = f"/accounts/{office.branch.number('alice_current')}"
    assert calls(office, secret, path) == 200

    listed = browser.get(PATHS[name])
    assert "Books" in listed.text
    assert secret not in listed.html
    assert secret[6:20] not in listed.html
    [revoke] = [link for link in listed.links if link.endswith("/revoke")]
    after = browser.done(revoke)

    assert "Books" not in after.text
    assert calls(office, secret, path) == 401
    assert secret not in browser.get(PATHS[name]).html


def test_it_takes_the_password_again_and_guesses_are_counted(office):
    office.give_password("alice")
    for _ in range(5):
        _, page = made(office, "alice", ["accounts:read"], password="a wrong password")
        assert page.status == 422
        assert page.problems == ["This is not your password, or it was tried too often."]
        assert page.form.typed["name"] == "Books"
        assert "a wrong password" not in page.html

    _, page = made(office, "alice", ["accounts:read"])

    assert page.status == 422
    assert office.branch.rows(sa.select(api_tokens)) == []


@pytest.mark.parametrize(
    ("scopes", "typed", "problem"),
    [
        ([], {}, "Choose at least one."),
        (["branch:write"], {}, "Choose at least one."),
        (["everything"], {}, "Choose at least one."),
        (["accounts:read"], {"name": ""}, "Enter a name for it."),
        (["accounts:read"], {"days": "366"}, "Enter a number of days from 1 to 365."),
        (["accounts:read"], {"days": "0"}, "Enter a number of days from 1 to 365."),
        (["accounts:read"], {"days": "٩"}, "Enter a number of days from 1 to 365."),
        (["accounts:read"], {"password": ""}, "Enter your password."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(scopes, typed, problem, office):
    office.give_password("alice")

    _, page = made(office, "alice", scopes, **typed)

    assert (page.status, page.problems) == (422, [problem])
    assert office.branch.rows(sa.select(api_tokens)) == []


def test_what_is_added_to_the_offer_is_not_taken(office):
    office.give_password("alice")

    made(office, "alice", ["accounts:read", "branch:write", "payments:write"])

    assert office.branch.rows(sa.select(api_tokens.c.scopes)) == [("accounts:read payments:write",)]


def test_the_twenty_first_is_refused(office):
    office.give_password("alice")
    for _ in range(20):
        office.branch.token_of("alice")

    _, page = made(office, "alice", ["accounts:read"])

    assert page.status == 422
    assert page.problems == ["Revoke a token first: you have 20, and nobody may have more."]
