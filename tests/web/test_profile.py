"""The profile: how the customer is reached, the password, and where one is logged in."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from bank.audit.store import audit_records
from bank.identity.devices import read_device
from bank.identity.store import sessions
from tests.web.browsing import Browser, Page
from tests.web.conftest import PASSWORD, Served

CONTACT = {
    "email": "alice@example.org", "phone": "+1 207 555 0188", "address": "3 Quay Road", "city": "Bath", "region": "ME",
    "postcode": "04530", "password": PASSWORD,
}  # fmt: skip
PROFILES = {"alice": "/profile", "teller": "/staff/profile"}
SESSIONS = {"alice": "/profile/sessions", "teller": "/staff/profile"}
ENDS = {"alice": "/profile/sessions", "teller": "/staff/profile/sessions"}


@pytest.fixture
def alice(office: Served) -> Browser:
    """Alice at her browser, with a password that she knows."""
    office.give_password("alice")
    return office.browse_as("alice")


def recorded(office: Served, action: str) -> list[dict]:
    query = sa.select(audit_records).where(audit_records.c.action == action).order_by(audit_records.c.id)
    return [dict(row._mapping) for row in office.branch.rows(query)]


# Contact


def test_the_profile_shows_what_the_bank_knows_and_what_is_missing(alice, office):
    page = alice.get("/profile")

    assert page.status == 200
    me = office.branch.customer("alice")
    for text in (me.name, me.number, "12 Apr 1988", me.address, "Not given", "Your branch changes these"):
        assert text in page.text
    assert {"/password", "/profile/contact#email", "/profile/sessions"} <= set(page.links)
    assert alice.get("/home").links.count("/profile") == 1


def test_the_customer_changes_how_to_be_reached_and_old_and_new_stay_in_the_records(alice, office):
    page = alice.done("/profile/contact", **CONTACT)

    assert "Your contact details are saved." in page.text
    for name in ("email", "phone", "address", "city", "postcode"):
        assert CONTACT[name] in page.text
    [record] = recorded(office, "customer.edited")
    alice_id = str(office.branch.customer("alice"))
    assert (record["who"], record["subject"]) == (alice_id, alice_id)
    assert record["details"]["email"] == ["", "alice@example.org"]
    assert record["details"]["city"] == ["Portland", "Bath"]
    assert "name" not in record["details"]
    assert PASSWORD not in repr(office.branch.dump())


def test_saving_the_same_again_records_nothing_more(alice, office):
    for _ in range(2):
        alice.done("/profile/contact", **CONTACT)

    assert len(recorded(office, "customer.edited")) == 1


def test_a_name_or_birth_date_sent_along_changes_nothing(alice, office):
    alice.done("/profile/contact", **CONTACT, name="Mallory", birth_date="1900-01-01", identity_number="999")

    page = alice.get("/profile")
    assert "Alice Moreau" in page.text
    assert "12 Apr 1988" in page.text


def test_whoever_does_not_know_the_password_changes_nothing_and_keeps_what_was_typed(alice, office):
    page = alice.send("/profile/contact", **{**CONTACT, "password": "not the password"})

    assert page.status == 422
    assert page.problems == ["This is not your password, or it was tried too often."]
    assert page.problem_links == ["#password"]
    assert page.title.startswith("Error:")
    assert page.form.values["email"] == "alice@example.org"
    assert page.form.values["password"] == ""
    assert recorded(office, "customer.edited") == []


def test_guesses_at_the_password_are_counted(alice, office):
    answers = [alice.send("/profile/contact", **{**CONTACT, "password": f"guess {n}"}).status for n in range(12)]
    assert set(answers) == {422}

    # The right one comes too late.
    assert alice.send("/profile/contact", **CONTACT).status == 422
    assert recorded(office, "customer.edited") == []


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("email", "nobody"), ("email", "a b@example.org"), ("email", "x" * 250 + "@a.io"), ("phone", "call me"),
        ("phone", "1" * 41), ("address", " "), ("address", "x" * 301), ("city", ""), ("region", "x" * 101),
        ("postcode", "x" * 21), ("password", ""),
    ],
)  # fmt: skip
def test_bad_input_is_said_beside_its_field(field, typed, alice, office):
    page = alice.send("/profile/contact", **{**CONTACT, field: typed})

    assert (page.status, page.problem_links) == (422, [f"#{field}"])
    assert recorded(office, "customer.edited") == []


def test_bank_and_customer_may_change_different_things_at_the_same_time(alice, office):
    opened = alice.get("/profile/contact")
    office.browse_as("executive").done(
        f"/staff/customers/{office.branch.customer('alice').number}/edit", name="Alice Moreau-Lind"
    )

    alice.submit(opened, "/profile/contact", **CONTACT)

    page = alice.get("/profile")
    assert "Alice Moreau-Lind" in page.text
    assert "3 Quay Road" in page.text


# Sessions

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5"
    " Mobile/15E148 Safari/604.1"
)


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (IPHONE, "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 Edg/126.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 14; SM-S911B) SamsungBrowser/25.0 Chrome/121 Safari/537.36", "Samsung Internet on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 OPR/111.0", "Opera on macOS"),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/126.0 Safari/537.36", "Chrome on ChromeOS"),
        ("Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 CriOS/126.0 Mobile Safari/604.1", "Chrome on iPad"),
        ("Mozilla/5.0 (Windows NT 10.0)", "Windows"), ("Opera/9", "Unknown device"), ("", "Unknown device"),
        ("<script>alert(1)</script>", "Unknown device"),
    ],
)  # fmt: skip
def test_a_device_is_told_in_words(user_agent, words):
    assert str(read_device(user_agent)) == words


def log_in(office: Served, name: str, user_agent: str) -> Browser:
    browser = office.browse_as(None)
    path = "/login" if name == "alice" else "/staff/login"
    page = browser.get(path)
    user = office.give_password(name)
    typed = {**page.form.values, "user": user, "password": PASSWORD}
    browser.ask("POST", path, data=typed, headers={"User-Agent": user_agent})
    return browser


def second(office: Served, name: str) -> tuple[Browser, int]:
    """Another browser of the same person, and its session's id."""
    token = office.branch.session_of(name)
    [(session_id,)] = office.branch.rows(sa.select(sa.func.max(sessions.c.id)))
    return Browser(office.app, token), session_id


def is_in(browser: Browser, name: str) -> bool:
    return browser.get(PROFILES[name]).status == 200


@pytest.mark.parametrize("name", PROFILES)
def test_everywhere_one_is_logged_in_is_listed_with_device_and_address(name, office):
    elsewhere = log_in(office, name, IPHONE)
    # Setting the password for the second log-in ends no session of this fixture's making but that of before.
    here = office.browse_as(name)
    assert is_in(elsewhere, name)

    page = here.get(SESSIONS[name])

    assert page.text.count("Safari on iPhone") >= 1
    assert page.text.count("this device") == 1
    assert "192.0.2.7" in page.text
    assert "127.0.0.1" in page.text
    assert " or later" in page.text


def test_an_end_takes_effect_at_the_next_request_and_is_recorded(office):
    for name in PROFILES:
        here = office.browse_as(name)
        other, session_id = second(office, name)
        third, _ = second(office, name)
        assert is_in(other, name)

        page = here.done(f"{ENDS[name]}/{session_id}/end")

        assert not is_in(other, name)
        assert is_in(third, name)
        assert f"{ENDS[name]}/{session_id}/end" not in page.links
    records = recorded(office, "session.ended")
    assert [record["who"] for record in records] == [str(office.branch.people[name]) for name in PROFILES]


@pytest.mark.parametrize("name", PROFILES)
def test_log_out_everywhere_else_keeps_this_one(name, office):
    here = office.browse_as(name)
    others = [second(office, name)[0] for _ in range(3)]

    page = here.done(f"{ENDS[name]}/end-others")

    assert page.status == 200
    assert is_in(here, name)
    assert not any(is_in(other, name) for other in others)
    assert f"{ENDS[name]}/end-others" not in page.links
    assert len(recorded(office, "session.others_ended")) == 1


def test_the_same_form_again_ends_nothing_more(office):
    here = office.browse_as("alice")
    _, session_id = second(office, "alice")
    path = f"/profile/sessions/{session_id}/end"
    form = here.get(path)

    assert [here.submit(form, path).status for _ in range(2)] == [303, 303]

    assert len(recorded(office, "session.ended")) == 1


def test_only_ones_own_sessions_exist(office):
    """Ids of customers and staff overlap, so the kind counts too."""
    assert office.branch.customer("alice").id == office.branch.staff("executive").id
    for mine, theirs in (("bob", "alice"), ("alice", "executive"), ("alice", "bob")):
        here = office.browse_as(mine)
        token = office.branch.session_of(theirs)
        [(session_id,)] = office.branch.rows(sa.select(sa.func.max(sessions.c.id)))
        path = f"/profile/sessions/{session_id}/end"

        assert (here.get(path).status, here.post(path).status) == (404, 404)
        assert Browser(office.app, token).get("/staff/" if theirs == "executive" else "/home").status == 200
        here.done("/profile/sessions/end-others")
        assert Browser(office.app, token).get("/staff/" if theirs == "executive" else "/home").status == 200


def test_sessions_that_are_over_are_not_listed(office):
    office.branch.session_of("alice")
    office.clock.step(office.branch.bank.settings.session_absolute_seconds + 60)

    page = office.browse_as("alice").get("/profile/sessions")

    assert page.text.count("192.0.2.7") == 1
    assert "Log out everywhere else" not in page.text


def test_the_log_in_before_this_one_is_shown(office):
    assert "This is the first one we remember" in office.browse_as("bob").get("/profile").text
    office.clock.step(3600)
    [(first,)] = office.branch.rows(sa.select(sa.func.max(sessions.c.created_at)))

    page = office.browse_as("bob").get("/profile")

    assert f'datetime="{first.isoformat()}"' in page.html


def test_sessions_of_long_ago_are_forgotten_and_the_log_ins_stay_in_the_records(office):
    log_in(office, "alice", FIREFOX)
    office.clock.step(timedelta(days=91).total_seconds())
    office.branch.session_of("bob")
    office.branch.session_of("alice")

    kept = office.branch.rows(sa.select(sessions.c.kind, sessions.c.person_id))

    assert [tuple(row) for row in kept].count(("customer", office.branch.customer("alice").id)) == 1
    assert len(recorded(office, "login")) == 1


# Language and colours


@pytest.mark.parametrize("name", PROFILES)
def test_language_and_colours_are_chosen_on_the_profile_and_lead_back_to_it(name, office):
    browser = office.browse_as(name)
    page = browser.get(PROFILES[name])
    assert {"language", "theme"} <= page.ids
    in_main = next(form for form in page.forms if (form.action or "").endswith("/preferences"))

    answer = browser.ask("POST", "/preferences", data={**in_main.values, "language": "es", "theme": "dark"})

    assert answer.location == PROFILES[name]
    changed: Page = browser.get(PROFILES[name])
    assert '<html lang="es"' in changed.html
    assert 'data-theme="dark"' in changed.html
