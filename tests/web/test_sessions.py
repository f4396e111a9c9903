"""Sessions end when they should, on the server; cookies say no more than they must, to nobody else."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from flask import request
from itsdangerous import URLSafeSerializer

from bank.accounts import service as accounts
from bank.identity import staff
from bank.identity.store import sessions
from tests.web.browsing import Browser, Page
from tests.web.conftest import PASSWORD, Served

NEW_PASSWORD = "walnut signal river 2847"


def logged_in(office: Served, name: str, **how: object) -> tuple[Browser, Page]:
    """A browser that logged in with a password, and the answer to that."""
    user = office.give_password(name)
    browser = office.browse_as(None)
    path = "/staff/login" if name in ("teller", "executive", "cashier", "spare") else "/login"
    page = browser.get(path)
    data = {**page.form.values, "user": user, "password": PASSWORD}
    return browser, browser.ask("POST", path, data=data, **how)


def home(browser: Browser, name: str) -> Page:
    return browser.get("/staff/" if name in ("teller", "executive") else "/home")


@pytest.mark.parametrize("name", ["alice", "teller"])
def test_logging_in_makes_a_new_session_and_ends_the_one_before(name, office):
    browser, first = logged_in(office, name)
    old = browser.cookie("session")
    page = browser.get("/staff/login" if name == "teller" else "/login")
    user = page.form.values  # the form is there for whoever is signed in too
    typed = {**user, "user": office.branch.people[name].number if name == "alice" else "teller-1", "password": PASSWORD}
    second = browser.ask("POST", "/staff/login" if name == "teller" else "/login", data=typed)

    assert (first.status, second.status) == (303, 303)
    new = browser.cookie("session")
    assert old
    assert new
    assert old != new
    assert home(browser, name).status == 200
    assert home(Browser(office.app, old), name).status == 302


def test_a_session_that_somebody_else_chose_is_not_taken_over(office):
    user = office.give_password("alice")
    browser = office.browse_as(None)
    planted = "chosen-by-an-attacker-" + "x" * 20
    browser.set_cookie("session", planted)

    browser.send("/login", user=user, password=PASSWORD)

    assert browser.cookie("session") != planted
    assert home(Browser(office.app, planted), "alice").status == 302


def test_what_the_form_cookie_held_before_the_log_in_is_gone_after_it(office):
    user = office.give_password("alice")
    browser = office.browse_as(None)
    page = browser.get("/login")
    browser.submit(page, "/login", user=user, password=PASSWORD)

    answer = browser.ask("POST", "/logout", data={"csrf_token": page.form.values["csrf_token"]})

    assert answer.status == 400


def test_the_token_is_long_random_and_stored_only_as_a_digest(office):
    tokens = {logged_in(office, "alice")[0].cookie("session") or "" for _ in range(3)}
    stored = repr(office.branch.dump())

    assert len(tokens) == 3
    for token in tokens:
        assert len(token) >= 43
        assert token not in stored
        assert token[:8] not in stored
        assert hashlib.sha256(token.encode()).hexdigest() in stored


@pytest.mark.parametrize(("name", "path"), [("alice", "/logout"), ("teller", "/staff/logout")])
def test_logging_out_ends_the_session_on_the_server(name, path, office):
    browser = office.browse_as(name)
    token, seen = browser.cookie("session"), home(browser, name) and browser.cookie("seen")

    left = browser.post(path)

    assert left.status == 303
    assert browser.cookie("session") is None
    assert browser.cookie("seen") is None
    replayed = Browser(office.app, token)
    replayed.set_cookie("seen", seen or "")
    assert home(replayed, name).status == 302
    [revoked] = office.branch.rows(sa.select(sessions.c.revoked_at))
    assert revoked[0] is not None


@pytest.mark.parametrize(("name", "idle"), [("alice", 300), ("teller", 900)])
def test_an_idle_session_ends(name, idle, office):
    browser = office.browse_as(name)
    assert home(browser, name).status == 200

    office.clock.step(idle - 5)
    assert home(browser, name).status == 200
    office.clock.step(idle + 5)
    assert home(browser, name).status == 302


def test_reading_pages_keeps_a_session_open_without_a_write(office):
    browser = office.browse_as("alice")
    before = office.branch.dump()

    for _ in range(10):
        office.clock.step(250)
        assert home(browser, "alice").status == 200

    assert office.branch.dump() == before


def test_a_form_stores_the_last_use_that_the_cookie_carried(office):
    browser = office.browse_as("alice")
    for _ in range(3):
        office.clock.step(250)
        page = browser.get("/pay")
    browser.submit(page, "/pay", amount="none")

    [(last_used_at,)] = office.branch.rows(sa.select(sessions.c.last_used_at))

    assert office.clock.now() - last_used_at < timedelta(seconds=30)
    # So another instance, or a browser that lost the cookie, knows of it too.
    browser.forget("seen")
    office.clock.step(250)
    assert home(browser, "alice").status == 200


@pytest.mark.parametrize(("name", "step"), [("alice", 250), ("teller", 850)])
def test_no_session_outlives_its_absolute_time_however_busy(name, step, serve):
    office = serve(session_absolute_seconds=3600)
    browser = office.browse_as(name)
    for _ in range(3600 // step):
        office.clock.step(step)
        assert home(browser, name).status == 200

    office.clock.step(step)

    assert home(browser, name).status == 302


def test_the_seen_cookie_cannot_be_made_up_or_moved_to_another_session(office):
    stale = office.browse_as("alice")
    home(stale, "alice")
    old_seen = stale.cookie("seen")
    office.clock.step(250)
    fresh = office.browse_as("alice")
    home(fresh, "alice")
    now = office.clock.now().timestamp()
    mark = (stale.cookie("session") or "")[:8]
    office.clock.step(100)

    for forged in (
        fresh.cookie("seen") or "",
        old_seen or "",
        URLSafeSerializer("another secret key", salt="last use of a session").dumps([mark, now]),
        URLSafeSerializer(office.branch.bank.settings.secret_key, salt="other").dumps([mark, now]),
        URLSafeSerializer(office.branch.bank.settings.secret_key, salt="last use of a session").dumps(now),
        (old_seen or "")[:-2] + "xx",
        "x" * 3000,
        "",
    ):
        stale.set_cookie("seen", forged)
        assert home(stale, "alice").status == 302, forged[:40]
    assert home(fresh, "alice").status == 200


@pytest.mark.parametrize("token", ["", "x", "x" * 19, "x" * 43, "x" * 5000, "%00" * 10, "é" * 30, "' OR 1=1 --" * 3])
def test_a_token_that_nobody_has_opens_nothing(token, office):
    browser = office.browse_as(None)
    answer = browser.get("/home", headers={"Cookie": f"bank-session={quote(token, safe=' =-')}"})

    assert answer.status == 302


@pytest.mark.parametrize(("name", "path"), [("alice", "/password"), ("teller", "/staff/password")])
def test_another_password_ends_all_other_sessions_and_keeps_this_one(name, path, office):
    office.give_password(name)
    here, elsewhere = office.browse_as(name), office.browse_as(name)

    changed = here.send(path, old=PASSWORD, new=NEW_PASSWORD, again=NEW_PASSWORD)

    assert changed.status == 303, changed.problems
    assert here.follow(changed).status == 200
    assert home(here, name).status == 200
    assert home(elsewhere, name).status == 302


@pytest.mark.parametrize(("name", "path"), [("alice", "/password"), ("teller", "/staff/password")])
def test_a_password_is_not_changed_without_the_present_one(name, path, office):
    office.give_password(name)
    browser, other = office.browse_as(name), office.browse_as(name)

    refused = browser.send(path, old="not the present one", new=NEW_PASSWORD, again=NEW_PASSWORD)

    assert (refused.status, refused.problem_links) == (422, ["#old"])
    assert home(other, name).status == 200
    assert browser.send(path, old=PASSWORD, new=NEW_PASSWORD, again=NEW_PASSWORD).status == 303


def test_a_new_temporary_password_ends_all_sessions_and_must_be_changed(office):
    teller = office.browse_as("teller")
    shown = office.browse_as("executive").send("/staff/people/TELLER-1/password")
    temporary = next(word for word in shown.text.split() if word.count("-") == 3)

    assert home(teller, "teller").status == 302
    browser = office.browse_as(None)
    entered = browser.send("/staff/login", user="teller-1", password=temporary)
    assert entered.status == 303

    for path in (
        "/staff/",
        "/staff/customers",
        f"/staff/accounts/{office.branch.number('alice_current')}/deposit",
        "/staff/people",
    ):
        gated = browser.get(path)
        # Who may not come at all is told so first.
        assert (gated.status, gated.location) == (302, "/staff/password") or gated.status == 403, path
    refused = browser.post(
        f"/staff/accounts/{office.branch.number('alice_current')}/deposit", {"amount": "5", "operation": "0" * 36}
    )
    assert refused.location == "/staff/password"
    same = browser.send("/staff/password", old=temporary, new=temporary, again=temporary)
    assert (same.status, same.problem_links) == (422, ["#new"])

    assert browser.send("/staff/password", old=temporary, new=NEW_PASSWORD, again=NEW_PASSWORD).status == 303
    assert browser.get("/staff/").status == 200
    assert office.branch.balance("alice_current") == 100_00
    assert temporary not in repr(office.branch.dump())


def test_whoever_must_change_the_password_can_still_log_out(office):
    branch = office.branch
    browser = office.browse_as("spare")
    branch.run(staff.set_password, branch.staff("spare").id, "x", must_change=True, keep_session=1)
    browser.set_cookie("session", branch.session_of("spare"))

    assert browser.get("/staff/").location == "/staff/password"
    assert browser.post("/staff/logout").location == "/staff/login"


def test_a_disabled_member_of_staff_is_out_at_once_and_stays_out_when_enabled_again(office):
    branch = office.branch
    teller, executive = office.browse_as("teller"), office.browse_as("executive")
    user = office.give_password("teller")
    teller.set_cookie("session", branch.session_of("teller"))
    assert home(teller, "teller").status == 200

    executive.done("/staff/people/TELLER-1/disable", reason="On leave")
    assert home(teller, "teller").status == 302
    assert office.browse_as(None).send("/staff/login", user=user, password=PASSWORD).status == 422

    executive.done("/staff/people/TELLER-1/enable", reason="Back")
    assert home(teller, "teller").status == 302
    assert office.browse_as(None).send("/staff/login", user=user, password=PASSWORD).status == 303


def test_a_deactivated_customer_is_out_at_once_and_cannot_come_back_in(office):
    branch = office.branch
    user = office.give_password("alice")
    browser = office.browse_as("alice")
    assert home(browser, "alice").status == 200

    branch.run(accounts.deactivate_customer, branch.customer("alice").id, reason="Asked")

    assert home(browser, "alice").status == 302
    assert office.browse_as(None).send("/login", user=user, password=PASSWORD).status == 422
    code = branch.code_for("alice")
    enrolled = office.browse_as(None).send("/enrol", user=user, code=code, new=NEW_PASSWORD, again=NEW_PASSWORD)
    assert enrolled.status == 422


def test_a_customers_session_is_none_of_the_staffs_and_the_other_way_round(office):
    """Ids of customers and staff overlap: the kind of the session decides, not the number."""
    assert office.branch.customer("alice").id == office.branch.staff("executive").id

    assert office.browse_as("alice").get("/staff/people").location.startswith("/staff/login")
    assert office.browse_as("executive").get("/home").location.startswith("/login")


def cookies_of(page: Page) -> dict[str, str]:
    return {line.partition("=")[0]: line for line in page.response.headers.getlist("Set-Cookie")}


@pytest.mark.parametrize("name", ["alice", "teller"])
def test_in_development_cookies_are_for_the_server_only_and_this_site(name, office):
    browser, page = logged_in(office, name)
    formed = cookies_of(home(browser, name))

    for cookies, expected in ((cookies_of(page), {"bank-session", "bank-seen"}), (formed, {"bank-form", "bank-seen"})):
        assert expected <= set(cookies)
        for line in cookies.values():
            assert "HttpOnly" in line
            assert "SameSite=Lax" in line
            assert "Path=/" in line
            assert "Secure" not in line
            assert "Domain" not in line


@pytest.mark.parametrize("name", ["alice", "teller"])
def test_in_production_cookies_are_bound_to_this_host_and_tls(name, serve):
    office = serve(bank_env="production")
    browser, page = logged_in(office, name)
    assert page.status == 303, page.text
    formed = home(browser, name)
    out = browser.post("/logout" if name == "alice" else "/staff/logout")

    for cookies in (cookies_of(page), cookies_of(formed), cookies_of(out)):
        assert cookies
        for cookie, line in cookies.items():
            assert cookie.startswith("__Host-bank-")
            assert "Secure" in line
            assert "HttpOnly" in line
            assert "SameSite=Lax" in line
            assert "Path=/" in line
            assert "Domain" not in line
    assert page.response.headers["Strict-Transport-Security"] == "max-age=63072000; includeSubDomains"
    assert out.status == 303
    assert home(browser, name).status == 302


def test_the_cookies_of_development_open_nothing_in_production(serve):
    office = serve(bank_env="production")
    token = office.branch.session_of("alice")
    browser = office.browse_as(None)
    answer = browser.get("/home", headers={"Cookie": f"bank-session={token}"})

    assert answer.status == 302


@pytest.mark.parametrize(
    ("hops", "forwarded", "believed"),
    [
        (0, "203.0.113.9", "127.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "10.6.6.6, 203.0.113.9", "203.0.113.9"),
        (2, "10.6.6.6, 203.0.113.9, 198.51.100.1", "203.0.113.9"),
        (1, "", "127.0.0.1"),
    ],
)
def test_a_forwarded_address_is_believed_only_as_far_as_the_hops_are_ours(hops, forwarded, believed, serve):
    office = serve(proxy_hops=hops)
    logged_in(
        office, "alice", headers={"X-Forwarded-For": forwarded, "X-Forwarded-Host": "evil.example"} if forwarded else {}
    )

    [(address,)] = office.branch.rows(sa.select(sessions.c.network_address))

    assert address == believed


@pytest.mark.parametrize(("hops", "scheme"), [(0, "http"), (1, "https")])
def test_addresses_shown_follow_the_proxy_only_when_there_is_one_and_never_its_host(hops, scheme, serve):
    office = serve(proxy_hops=hops)
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil"}
    browser = office.browse_as(None)

    answer = browser.get("/home", headers=headers)

    assert answer.status == 302
    assert "evil" not in answer.response.headers["Location"]
    with office.app.test_request_context("/", headers=headers):
        # The application behind the middleware, as gunicorn calls it.
        environment = dict(request.environ)
    seen: dict[str, str] = {}
    behind_express: Any = office.app.wsgi_app._following  # type: ignore[attr-defined]
    behind_express.app = lambda environ, start: (seen.update(environ), start("200 OK", []), [b""])[2]
    list(office.app.wsgi_app(environment, lambda *_: None))
    assert seen["wsgi.url_scheme"] == scheme


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
        "/\n/evil.example", "http:evil.example", "javascript:alert(1)", "evil.example", "/ /evil.example", "//evil.example/%2e%2e",
        "data:text/html,x", "/" + "x" * 600, "\u2028//evil.example",
    ],
)  # fmt: skip
@pytest.mark.parametrize(("name", "path", "own"), [("alice", "/login", "/home"), ("teller", "/staff/login", "/staff/")])
def test_the_way_on_after_the_log_in_stays_on_this_host(target, name, path, own, office):
    user = office.give_password(name)
    browser = office.browse_as(None)
    page = browser.get(path, query_string={"next": target})

    from_the_address = browser.ask(
        "POST", path, query_string={"next": target}, data={**page.form.values, "user": user, "password": PASSWORD}
    )
    other = office.browse_as(None)
    from_the_form = other.send(path, user=user, password=PASSWORD, next=target)

    assert "next" not in page.form.values
    assert from_the_address.response.headers["Location"] == own
    assert from_the_form.response.headers["Location"] == own


@pytest.mark.parametrize("target", ["/pay?to=3602000006", "/accounts/360?before=7", "/home"])
def test_the_way_on_leads_where_one_wanted_to_go(target, office):
    user = office.give_password("alice")
    browser = office.browse_as(None)
    page = browser.get("/login", query_string={"next": target})
    wrong = browser.submit(page, "/login", user=user, password="not the password")

    answer = browser.submit(wrong, "/login", user=user, password=PASSWORD)

    assert answer.response.headers["Location"] == target


def test_pages_of_a_session_are_kept_by_nobody(office):
    for visitor, path in (("alice", "/home"), ("alice", "/pay"), ("teller", "/staff/"), (None, "/login")):
        assert office.browse_as(visitor).get(path).response.headers["Cache-Control"] == "no-store"
    statement = office.browse_as("alice").get(f"/accounts/{office.branch.number('alice_current')}/statement?as=pdf")
    assert statement.response.headers["Cache-Control"] == "no-store"
    assert statement.response.headers["Content-Disposition"].startswith("attachment")
