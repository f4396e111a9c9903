"""Who gets what: every route, every kind of visitor, own and other people's things."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from bank.customers import warnings
from bank.customers.store import customer_warnings
from bank.identity import staff
from bank.identity.staff import Role
from bank.payments import tills
from bank.web import access
from tests import payment_files
from tests.builders import CURRENCY, a_key
from tests.databases import Databases
from tests.web.browsing import Browser, Page
from tests.web.conftest import BrowseAs, Served, served

VISITORS = ("nobody", "alice", "bob", "teller", "cashier", "executive")

# Objects are Alice's. A POST is sent with a form token and an operation id and nothing else, so 422 means "let in".
# `in`: sent to the customers' log-in; `st`: to the staff's.
TABLE = """
                                                               nobody alice bob teller cashier executive
GET  /                                                            200   302 302    302     302       302
GET  /accounts/<number>                                            in   200 404     in      in        in
GET  /accounts/<number>/statement                                  in   200 404     in      in        in
GET  /cases                                                        in   200 200     in      in        in
GET  /cases/<id:case_id>                                           in   200 404     in      in        in
POST /drain                                                       404   404 404    404     404       404
GET  /enrol                                                       200   200 200    200     200       200
POST /enrol                                                       422   422 422    422     422       422
GET  /enrolled                                                    200   200 200    200     200       200
GET  /forgotten                                                   200   200 200    200     200       200
GET  /healthz                                                     200   200 200    200     200       200
GET  /home                                                         in   200 200     in      in        in
GET  /login                                                       200   200 200    200     200       200
POST /login                                                       422   422 422    422     422       422
POST /logout                                                       in   303 303     in      in        in
GET  /movements/<id:entry_id>                                      in   200 404     in      in        in
GET  /movements/<id:entry_id>/category                             in   200 404     in      in        in
POST /movements/<id:entry_id>/category                             in   422 404     in      in        in
GET  /movements/<id:entry_id>/report                               in   200 404     in      in        in
POST /movements/<id:entry_id>/report                               in   422 404     in      in        in
GET  /operations/<operation>                                       in   302 200     in      in        in
GET  /password                                                     in   200 200     in      in        in
POST /password                                                     in   422 422     in      in        in
GET  /password/changed                                             in   200 200     in      in        in
GET  /pay                                                          in   200 200     in      in        in
POST /pay                                                          in   422 422     in      in        in
GET  /pay/<operation>                                              in   200 404     in      in        in
POST /pay/<operation>                                              in   422 404     in      in        in
GET  /pay/<operation>/check                                        in   302 404     in      in        in
GET  /pay/<operation>/name                                         in   200 404     in      in        in
POST /pay/<operation>/name                                         in   303 404     in      in        in
GET  /payees                                                       in   200 200     in      in        in
GET  /payees/<id:payee_id>/check                                   in   200 404     in      in        in
POST /payees/<id:payee_id>/check                                   in   303 404     in      in        in
GET  /payees/<id:payee_id>/remove                                  in   200 404     in      in        in
POST /payees/<id:payee_id>/remove                                  in   303 404     in      in        in
GET  /payees/<id:payee_id>/rename                                  in   200 404     in      in        in
POST /payees/<id:payee_id>/rename                                  in   303 404     in      in        in
GET  /payees/new                                                   in   200 200     in      in        in
POST /payees/new                                                   in   422 422     in      in        in
GET  /payment-files                                                in   200 200     in      in        in
GET  /payment-files/<id:file_id>                                   in   200 404     in      in        in
GET  /payment-files/<id:file_id>/pay                               in   200 404     in      in        in
POST /payment-files/<id:file_id>/pay                               in   303 404     in      in        in
GET  /payment-files/<id:file_id>/result                            in   200 404     in      in        in
GET  /payment-files/new                                            in   200 200     in      in        in
POST /payment-files/new                                            in   422 422     in      in        in
POST /preferences                                                 303   303 303    303     303       303
GET  /profile                                                      in   200 200     in      in        in
GET  /profile/contact                                              in   200 200     in      in        in
POST /profile/contact                                              in   422 422     in      in        in
GET  /profile/sessions                                             in   200 200     in      in        in
GET  /profile/sessions/<id:session_id>/end                         in   200 404     in      in        in
POST /profile/sessions/<id:session_id>/end                         in   303 404     in      in        in
GET  /profile/sessions/end-others                                  in   200 200     in      in        in
POST /profile/sessions/end-others                                  in   303 303     in      in        in
GET  /profile/tokens                                               in   200 200     in      in        in
GET  /profile/tokens/<id:token_id>/revoke                          in   200 404     in      in        in
POST /profile/tokens/<id:token_id>/revoke                          in   303 404     in      in        in
GET  /profile/tokens/new                                           in   200 200     in      in        in
POST /profile/tokens/new                                           in   422 422     in      in        in
GET  /readyz                                                      200   200 200    200     200       200
GET  /scheduled                                                    in   200 200     in      in        in
GET  /scheduled/<id:scheduled_id>                                  in   200 404     in      in        in
GET  /scheduled/<id:scheduled_id>/cancel                           in   200 404     in      in        in
POST /scheduled/<id:scheduled_id>/cancel                           in   303 404     in      in        in
GET  /spending                                                     in   200 200     in      in        in
GET  /staff/                                                       st    st  st    200     200       200
GET  /staff/accounts                                               st    st  st    200     200       200
GET  /staff/accounts/<number>                                      st    st  st    200     200       200
GET  /staff/accounts/<number>/close                                st    st  st    200     200       200
POST /staff/accounts/<number>/close                                st    st  st    422     422       422
GET  /staff/accounts/<number>/deposit                              st    st  st    200     200       403
POST /staff/accounts/<number>/deposit                              st    st  st    422     422       403
GET  /staff/accounts/<number>/freeze                               st    st  st    403     403       200
POST /staff/accounts/<number>/freeze                               st    st  st    403     403       422
GET  /staff/accounts/<number>/hold                                 st    st  st    403     403       200
POST /staff/accounts/<number>/hold                                 st    st  st    403     403       422
GET  /staff/accounts/<number>/holders/<customer_number>/remove     st    st  st    403     403       200
POST /staff/accounts/<number>/holders/<customer_number>/remove     st    st  st    403     403       422
GET  /staff/accounts/<number>/holders/add                          st    st  st    403     403       200
POST /staff/accounts/<number>/holders/add                          st    st  st    403     403       422
GET  /staff/accounts/<number>/holds/<id:hold_id>/release           st    st  st    403     403       200
POST /staff/accounts/<number>/holds/<id:hold_id>/release           st    st  st    403     403       422
GET  /staff/accounts/<number>/limits                               st    st  st    403     403       200
POST /staff/accounts/<number>/limits                               st    st  st    403     403       422
GET  /staff/accounts/<number>/overdraft                            st    st  st    403     403       200
POST /staff/accounts/<number>/overdraft                            st    st  st    403     403       422
GET  /staff/accounts/<number>/reopen                               st    st  st    403     403       200
POST /staff/accounts/<number>/reopen                               st    st  st    403     403       422
GET  /staff/accounts/<number>/statement                            st    st  st    200     200       200
GET  /staff/accounts/<number>/transfer                             st    st  st    200     200       403
POST /staff/accounts/<number>/transfer                             st    st  st    422     422       403
GET  /staff/accounts/<number>/withdraw                             st    st  st    200     200       403
POST /staff/accounts/<number>/withdraw                             st    st  st    422     422       403
GET  /staff/accounts/status                                        st    st  st    403     403       200
GET  /staff/cases/<id:case_id>                                     st    st  st    200     200       200
POST /staff/cases/<id:case_id>                                     st    st  st    422     422       422
POST /staff/cases/<id:case_id>/give-back                           st    st  st    303     303       303
POST /staff/cases/<id:case_id>/take                                st    st  st    303     409       409
GET  /staff/counts/<id:count_id>                                   st    st  st    200     404       200
GET  /staff/customers                                              st    st  st    200     200       200
POST /staff/customers                                              st    st  st    303     303       303
POST /staff/customers                                              st    st  st    303     303       303
GET  /staff/customers/<number>                                     st    st  st    200     200       200
GET  /staff/customers/<number>/accounts/new                        st    st  st    403     403       200
POST /staff/customers/<number>/accounts/new                        st    st  st    403     403       422
GET  /staff/customers/<number>/activate                            st    st  st    403     403       200
POST /staff/customers/<number>/activate                            st    st  st    403     403       422
GET  /staff/customers/<number>/code                                st    st  st    200     200       200
POST /staff/customers/<number>/code                                st    st  st    200     200       200
GET  /staff/customers/<number>/deactivate                          st    st  st    403     403       200
POST /staff/customers/<number>/deactivate                          st    st  st    403     403       422
GET  /staff/customers/<number>/edit                                st    st  st    403     403       200
POST /staff/customers/<number>/edit                                st    st  st    403     403       422
GET  /staff/customers/<number>/identity                            st    st  st    403     403       200
POST /staff/customers/<number>/identity                            st    st  st    403     403       422
GET  /staff/customers/<number>/open                                st    st  st    200     200       200
POST /staff/customers/<number>/open                                st    st  st    422     422       422
GET  /staff/customers/<number>/warnings/<id:warning_id>/lift       st    st  st    403     403       200
POST /staff/customers/<number>/warnings/<id:warning_id>/lift       st    st  st    403     403       422
GET  /staff/customers/<number>/warnings/new                        st    st  st    403     403       200
POST /staff/customers/<number>/warnings/new                        st    st  st    403     403       422
GET  /staff/customers/new                                          st    st  st    403     403       200
POST /staff/customers/new                                          st    st  st    403     403       422
GET  /staff/customers/status                                       st    st  st    403     403       200
GET  /staff/entries/<id:entry_id>                                  st    st  st    200     200       200
GET  /staff/entries/<id:entry_id>/reverse                          st    st  st    403     403       200
POST /staff/entries/<id:entry_id>/reverse                          st    st  st    403     403       422
GET  /staff/login                                                 200   200 200    200     200       200
POST /staff/login                                                 422   422 422    422     422       422
POST /staff/logout                                                 st    st  st    303     303       303
GET  /staff/operations/<operation>                                 st    st  st    200     200       200
GET  /staff/password                                               st    st  st    200     200       200
POST /staff/password                                               st    st  st    422     422       422
GET  /staff/password/changed                                       st    st  st    200     200       200
GET  /staff/payment-files                                          st    st  st    200     200       200
GET  /staff/payment-files/<id:file_id>                             st    st  st    200     200       200
GET  /staff/payment-files/<id:file_id>/pay                         st    st  st    403     403       200
POST /staff/payment-files/<id:file_id>/pay                         st    st  st    403     403       303
GET  /staff/payment-files/<id:file_id>/result                      st    st  st    200     200       200
GET  /staff/payment-files/new                                      st    st  st    200     200       403
POST /staff/payment-files/new                                      st    st  st    422     422       403
GET  /staff/people                                                 st    st  st    403     403       200
GET  /staff/people/<user_id>/disable                               st    st  st    403     403       200
POST /staff/people/<user_id>/disable                               st    st  st    403     403       422
GET  /staff/people/<user_id>/enable                                st    st  st    403     403       200
POST /staff/people/<user_id>/enable                                st    st  st    403     403       422
GET  /staff/people/<user_id>/password                              st    st  st    403     403       200
POST /staff/people/<user_id>/password                              st    st  st    403     403       200
GET  /staff/people/<user_id>/role                                  st    st  st    403     403       200
POST /staff/people/<user_id>/role                                  st    st  st    403     403       422
GET  /staff/people/new                                             st    st  st    403     403       200
POST /staff/people/new                                             st    st  st    403     403       422
GET  /staff/profile                                                st    st  st    200     200       200
GET  /staff/profile/sessions/<id:session_id>/end                   st    st  st    404     404       200
POST /staff/profile/sessions/<id:session_id>/end                   st    st  st    404     404       303
GET  /staff/profile/sessions/end-others                            st    st  st    200     200       200
POST /staff/profile/sessions/end-others                            st    st  st    303     303       303
GET  /staff/profile/tokens                                         st    st  st    200     200       200
GET  /staff/profile/tokens/<id:token_id>/revoke                    st    st  st    404     404       200
POST /staff/profile/tokens/<id:token_id>/revoke                    st    st  st    404     404       303
GET  /staff/profile/tokens/new                                     st    st  st    200     200       200
POST /staff/profile/tokens/new                                     st    st  st    422     422       422
GET  /staff/queue                                                  st    st  st    200     200       200
GET  /staff/records                                                st    st  st    403     403       200
GET  /staff/system                                                 st    st  st    403     403       200
GET  /staff/till                                                   st    st  st    200     200       403
GET  /staff/till/count                                             st    st  st    200     200       403
POST /staff/till/count                                             st    st  st    422     422       403
GET  /staff/till/return                                            st    st  st    200     200       403
POST /staff/till/return                                            st    st  st    422     422       403
GET  /staff/till/supply                                            st    st  st    200     200       403
POST /staff/till/supply                                            st    st  st    422     422       403
GET  /staff/tills/<number>                                         st    st  st    403     403       200
GET  /staff/tills/<number>/counts                                  st    st  st    200     404       200
GET  /staff/tills/<number>/guard                                   st    st  st    403     403       200
POST /staff/tills/<number>/guard                                   st    st  st    403     403       422
GET  /staff/trial-balance                                          st    st  st    403     403       200
GET  /staff/vault                                                  st    st  st    403     403       200
GET  /staff/vault/hand-back                                        st    st  st    403     403       200
POST /staff/vault/hand-back                                        st    st  st    403     403       422
GET  /staff/vault/receive                                          st    st  st    403     403       200
POST /staff/vault/receive                                          st    st  st    403     403       422
GET  /static/<path:filename>                                      200   200 200    200     200       200
GET  /stay                                                        403   204 204    204     204       204
GET  /styleguide                                                  200   200 200    200     200       200
GET  /writable                                                    200   200 200    200     200       200
"""

ROWS = {
    (row[0], row[1]): dict(zip(VISITORS, row[2:], strict=True))
    for row in (line.split() for line in TABLE.splitlines()[2:])
}

#: Not for 404s: whoever asks for an unknown operation is told that it has not arrived (test_operations); files are Flask's.
ANSWERS_THE_UNKNOWN = {"/operations/<operation>", "/staff/operations/<operation>", "/static/<path:filename>"}


@pytest.fixture(scope="module")
def whole(sqlite_databases: Databases) -> Iterator[Served]:
    """One branch for the whole table: what is asked here changes little, and never who anybody is."""
    with sqlite_databases.migrated() as urls, served(urls.app) as office:
        yield office


@pytest.fixture(scope="module")
def paths(whole: Served) -> dict[str, str]:
    """Each route's address of Alice's things."""
    branch = whole.branch
    browser = whole.browse_as("alice")
    drawn = browser.get("/pay")
    browser.submit(
        drawn,
        "/pay",
        from_account=branch.number("alice_current"),
        to_account=branch.number("alice_savings"),
        amount="1",
    )
    hold = branch.hold("alice_current", 1_00)
    entry = branch.transfer("alice_current", "alice_savings", 7_00, by="alice")
    alice = branch.customer("alice").id
    branch.run(warnings.warn, alice, "Speak slowly", needs_reason=False, operation=a_key())
    [[warning]] = branch.rows(sa.select(customer_warnings.c.id).where(customer_warnings.c.customer_id == alice))
    branch.open_account("bob", "savings")
    draft = branch.draft("alice", "alice_current", "bob_current", a_key(), "none")
    # What is removed cannot be renamed.
    kept, gone = branch.payee("alice", "bob_current", "Bob", "none"), branch.payee("alice", "bob_savings", "Bob")
    scheduled = branch.schedule("alice_current", "bob_current", 1_00)
    sessions = {staff: branch.session_id_of("executive" if staff else "alice") for staff in (True, False)}
    tokens = {staff: branch.token_of("executive" if staff else "alice")[0] for staff in (True, False)}
    case = branch.report("alice", entry)
    wages = [(branch.number("alice_current"), branch.number("bob_current"), "Bob Nakamura", "0.01", "Wages")]
    files = {
        at_branch: payment_files.send(branch, wages, by="teller" if at_branch else "alice")
        for at_branch in (True, False)
    }
    count = branch.count_till("teller", branch.till("teller").balance)
    found = {}
    for rule in access.rules(whole.app):
        customers = rule.path.startswith("/staff/customers/")
        if rule.path.startswith("/staff/tills/"):
            found[rule.path] = rule.path.replace("<number>", branch.till("teller").number)
            continue
        found[rule.path] = (
            rule.path.replace(
                "<number>", branch.customer("alice").number if customers else branch.number("alice_current")
            )
            .replace("<customer_number>", branch.customer("bob").number)
            .replace("<id:entry_id>", str(entry))
            .replace("<id:hold_id>", str(hold))
            .replace("<id:case_id>", str(case))
            .replace("<id:count_id>", str(count))
            .replace("<id:file_id>", str(files[rule.path.startswith("/staff/")]))
            .replace("<id:warning_id>", str(warning))
            .replace("<id:scheduled_id>", str(scheduled))
            .replace("<id:session_id>", str(sessions[rule.path.startswith("/staff/")]))
            .replace("<id:token_id>", str(tokens[rule.path.startswith("/staff/")]))
            .replace("<user_id>", "SPARE-1")
            .replace("<id:payee_id>", str(gone if rule.path.endswith("/remove") else kept))
            .replace("<operation>", draft if rule.path.startswith("/pay/") else drawn.operation)
            .replace("<path:filename>", "bank.css")
        )
    return found


def asked(browser: Browser, method: str, path: str) -> Page:
    """The answer to a request with a form token, an operation id, and no other field."""
    return browser.get(path) if method == "GET" else browser.post(path, {"operation": a_key()})


def as_in_the_table(page: Page) -> str:
    """The status, or which log-in the visitor was sent to."""
    if page.status == 302 and page.location.startswith(("/login", "/staff/login")):
        return "in" if page.location.startswith("/login") else "st"
    return str(page.status)


def test_every_route_and_method_has_a_row_and_every_row_a_route(whole):
    # Programs' routes, which no cookie opens, have their own table in tests/api.
    pages = [rule for rule in access.rules(whole.app) if not rule.path.startswith("/api/v1/")]
    routes = {(method, rule.path) for rule in pages for method in rule.methods}

    assert routes == set(ROWS)


@pytest.mark.parametrize(("method", "path"), ROWS, ids=str)
def test_each_visitor_gets_what_the_table_says(method, path, whole, paths):
    answers = {
        visitor: as_in_the_table(asked(whole.browse_as(None if visitor == "nobody" else visitor), method, paths[path]))
        for visitor in VISITORS
    }

    assert answers == ROWS[method, path]


@pytest.mark.parametrize(
    ("method", "path"), [row for row in ROWS if "<" in row[1] and row[1] not in ANSWERS_THE_UNKNOWN], ids=str
)
@pytest.mark.parametrize(
    "unknown", ["999999999", "9" * 30, "%00", "..%2f..%2fetc", "O'Brien%20--", "%F0%9F%98%80", "x" * 3000]
)
def test_what_does_not_exist_is_a_404(method, path, unknown, whole, paths):
    *before, parameter = path.split("<", 1)
    address = "".join(before) + unknown + parameter.split(">", 1)[1]
    for rule, known in paths.items():
        if rule == path:
            address = address.replace("<customer_number>", known.split("/")[-2]).replace("<id:hold_id>", "1")
    for visitor in [name for name, answer in ROWS[method, path].items() if answer in ("200", "422")][:2]:
        page = asked(whole.browse_as(visitor), method, address)

        assert page.status == 404, (visitor, address)
        assert "Our Bank" in page.text
        assert "Reference" in page.text


@pytest.mark.parametrize("visitor", [None, "alice", "teller", "executive"])
@pytest.mark.parametrize("path", ["/nothing-here", "/staff/nothing-here", "/static/nothing.css", "/accounts", "/.env"])
def test_an_unknown_page_is_a_real_404_for_everybody(path, visitor, whole):
    page = whole.browse_as(visitor).get(path)

    assert (page.status, page.title) == (404, "Page not found – Our Bank")
    assert all(form.everywhere for form in page.forms)


@pytest.mark.parametrize(("method", "path"), [row for row in ROWS if row[0] == "GET"], ids=str)
def test_nobody_is_sent_to_the_right_log_in_and_comes_back_to_what_was_asked(method, path, whole, paths):
    wanted = paths[path] + "?before=7"
    page = whole.browse_as(None).get(wanted)

    # /stay is asked by a script: a log-in page would tell it nothing.
    if (said := ROWS[method, path]["nobody"]) in ("200", "403"):
        assert str(page.status) == said
    else:
        assert urlsplit(page.location).path == {"in": "/login", "st": "/staff/login"}[ROWS[method, path]["nobody"]]
        assert parse_qs(urlsplit(page.location).query)["next"] == [wanted]


def test_a_form_sent_by_nobody_leads_to_the_log_in_without_its_address(whole, paths):
    page = asked(whole.browse_as(None), "POST", paths["/staff/people/new"])

    assert page.location == "/staff/login"


@pytest.mark.parametrize("path", [path for method, path in ROWS if (("GET", path) in ROWS) != (("POST", path) in ROWS)])
def test_the_other_method_is_refused_and_the_right_one_named(path, whole, paths):
    method = "POST" if ("GET", path) in ROWS else "GET"
    page = asked(whole.browse_as("executive"), method, paths[path])

    assert page.status == 405
    assert ("GET" if method == "POST" else "POST") in page.response.headers["Allow"]


def test_bob_cannot_pay_from_alices_account(office):
    branch = office.branch
    page = office.browse_as("bob").send(
        "/pay", from_account=branch.number("alice_current"), to_account=branch.number("bob_current"), amount="5"
    )

    assert page.status == 422
    assert (branch.balance("alice_current"), branch.balance("bob_current")) == (100_00, 50_00)


def test_only_alice_and_the_payee_see_a_payment_and_each_only_their_own_balance(office):
    branch = office.branch
    entry = branch.transfer("alice_current", "bob_current", 1_11)
    branch.add_customer("carol", "Carol Weiss", "078-90-1234")

    to_alice, to_bob, to_carol = (
        office.browse_as(name).get(f"/movements/{entry}") for name in ("alice", "bob", "carol")
    )

    assert "98.89 USD" in to_alice.text
    assert "51.11" not in to_alice.text
    assert "51.11 USD" in to_bob.text
    assert "98.89" not in to_bob.text
    assert to_carol.status == 404


def test_what_only_the_bank_sees_of_an_entry_is_not_shown_to_its_customer(office):
    branch = office.branch
    entry = branch.deposit(branch.accounts["alice_current"], 3_00)

    page = office.browse_as("alice").get(f"/movements/{entry}")

    assert page.status == 200
    assert "till" not in page.text.lower()
    assert "staff:" not in page.text


def test_another_role_counts_from_the_very_next_request(office):
    branch, browser = office.branch, office.browse_as("teller")
    deposit = f"/staff/accounts/{branch.number('alice_current')}/deposit"
    assert (browser.get(deposit).status, browser.get("/staff/people").status) == (200, 403)

    branch.run(tills.give_role, branch.staff("teller"), Role.EXECUTIVE, CURRENCY)

    assert (browser.get(deposit).status, browser.get("/staff/people").status) == (403, 200)


def test_a_disabled_member_of_staff_is_out_at_the_very_next_request(office):
    branch, browser = office.branch, office.browse_as("teller")
    drawn = browser.get(f"/staff/accounts/{branch.number('alice_current')}/deposit")

    branch.run(staff.set_disabled, branch.staff("teller").id, True, reason="Left the bank")

    sent = browser.submit(drawn, f"/staff/accounts/{branch.number('alice_current')}/deposit", amount="5")
    assert as_in_the_table(sent) == "st"
    assert as_in_the_table(browser.get("/staff/")) == "st"
    assert branch.balance("alice_current") == 100_00


def test_nobody_gives_themselves_another_role(browse_as: BrowseAs, branch):
    executive = browse_as("executive")

    refused = executive.send("/staff/people/EXECUTIVE-1/role", role="teller")

    assert refused.status == 403
    assert "You cannot change your own role" in refused.text
    assert executive.get("/staff/people").status == 200


def test_an_executive_may_not_shut_out_the_last_executive(browse_as: BrowseAs, branch):
    executive = browse_as("executive")

    disabled = executive.send("/staff/people/EXECUTIVE-1/disable", reason="Leaving")

    assert disabled.status == 409
    assert "at least one executive" in disabled.problems[0]
    assert executive.get("/staff/people").status == 200
