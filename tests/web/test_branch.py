"""A branch at work, on each of the three databases: what staff and customers do from the first day to the last."""

from __future__ import annotations

import csv
import io
import re
from html import unescape
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from bank.audit.store import audit_records
from bank.identity.staff import Role
from bank.ledger import service as ledger
from tests.ledger import assert_books_balance
from tests.web.browsing import Browser, Page
from tests.web.conftest import Served

CUSTOMER = {
    "name": "Carol O'Weiss", "birth_date": "1980-02-29", "identity_number": "078-90-1234", "address": "1 High Street",
    "city": "Bangor", "region": "ME", "postcode": "04401", "email": "carol@example.org", "phone": "+1 207 555 0100",
}  # fmt: skip


@pytest.fixture
def office(office_anywhere: Served) -> Served:
    """Every story here is told three times."""
    return office_anywhere


def number_on(page: Page) -> str:
    """The number that the page's heading shows."""
    return page.response.request.path.rsplit("/", 1)[1]


def amounts(page: Page) -> list[str]:
    """The amounts of the movements or lines in the page's table."""
    return re.findall(r'data-label="Amount" class="number[^"]*">([^<]*)<', page.html)


def balances(page: Page) -> list[str]:
    return re.findall(r'data-label="Balance" class="number">([^<]*)<', page.html)


def test_a_customer_from_the_first_day_to_the_last(office):
    executive, teller = office.browse_as("executive"), office.browse_as("teller")
    other = office.branch.number("bob_current")

    customer = number_on(executive.done("/staff/customers/new", **CUSTOMER))
    account = number_on(executive.done(f"/staff/customers/{customer}/accounts/new", product="current"))
    at = f"/staff/accounts/{account}"
    receipt = teller.done(f"{at}/deposit", amount="1,000", note="First savings")
    teller.done(f"{at}/withdraw", amount="250.50")
    paid = teller.done(f"{at}/transfer", to_account=other, amount="49.50", reference="Rent")
    assert "First savings" in receipt.text
    assert "1,000.00" in receipt.text

    shown = teller.get(at)
    assert amounts(shown) == ["-49.50", "-250.50", "+1,000.00"]
    assert balances(shown) == ["700.00", "749.50", "1,000.00"]
    the_downloads_are_the_page(teller, at)

    reversal = executive.done(f"/staff/entries/{number_on(paid)}/reverse", reason="Wrong account")
    assert "Reversal: Rent" in reversal.text
    assert executive.send(f"/staff/entries/{number_on(paid)}/reverse", reason="Again").status == 422
    assert "749.50 USD available" in teller.get(at).text

    executive.done(f"{at}/freeze", status="debits_frozen", reason="Lost card")
    assert teller.send(f"{at}/withdraw", amount="1").problems == ["The account is frozen. The branch can say why."]
    teller.done(f"{at}/deposit", amount="0.50")
    executive.done(f"{at}/freeze", status="frozen", reason="Court order")
    assert teller.send(f"{at}/deposit", amount="1").status == 422
    assert teller.send(f"{at}/close", number=account, reason="Moves").status == 422
    executive.done(f"{at}/freeze", status="open", reason="Lifted")

    assert teller.send(f"{at}/close", number=other, reason="Moves").status == 422
    payout = teller.done(f"{at}/close", number=account, reason="Moves away")
    assert "750.00" in payout.text
    closed = teller.get(at)
    assert "closed" in closed.text
    assert "0.00 USD available" in closed.text
    assert teller.send(f"{at}/deposit", amount="1").status == 422
    assert executive.done(f"{at}/reopen", reason="Came back").status == 200
    teller.done(f"{at}/deposit", amount="3")

    records = [row.action for row in office.branch.rows(
        sa.select(audit_records.c.action).where(audit_records.c.who == "staff:1").order_by(audit_records.c.id)
    )]  # fmt: skip
    assert records[:2] == ["customer.registered", "account.opened"]
    assert {"account.debits_frozen", "account.frozen", "account.open", "entry.reversal"} <= set(records)
    assert_books_balance(office.branch.bank)


def the_downloads_are_the_page(browser: Browser, at: str) -> None:
    """CSV and XLSX hold the page's lines in its order; PDF says the same and is one."""
    from openpyxl import load_workbook
    from pypdf import PdfReader

    for period in ("", "?last=2", "?from=2000-01-01&to=2999-12-31", "?from=2000-01-01&to=2000-12-31"):
        page = browser.get(f"{at}/statement{period}")
        files = {
            kind: browser.get(f"{at}/statement{period}{'&' if period else '?'}as={kind}").response
            for kind in ("csv", "xlsx", "pdf")
        }
        for kind, mime in (
            ("csv", "text/csv"), ("pdf", "application/pdf"),
            ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ):  # fmt: skip
            assert files[kind].mimetype == mime
            assert re.match(rf'attachment; filename="[^"/]+\.{kind}"$', files[kind].headers["Content-Disposition"])
        wanted = [float(amount.replace(",", "")) for amount in amounts(page)]
        rows = list(csv.reader(io.StringIO(files["csv"].get_data(as_text=True).lstrip("\ufeff"))))
        sheet = [
            [cell.value for cell in row] for row in load_workbook(io.BytesIO(files["xlsx"].data)).active.iter_rows()
        ]
        assert _column(rows, "Amount") == wanted, period
        assert _column(sheet, "Amount") == wanted, period
        text = " ".join(piece.extract_text() for piece in PdfReader(io.BytesIO(files["pdf"].data)).pages)
        for amount in amounts(page) + balances(page):
            assert amount.lstrip("+-") in text, (period, amount)


def _column(rows: list[list[object]], name: str) -> list[float]:
    """The numbers under the heading, whatever stands above it, on lines that have one."""
    header = next(index for index, row in enumerate(rows) if any(str(cell or "").startswith(name) for cell in row))
    column = next(index for index, cell in enumerate(rows[header]) if str(cell or "").startswith(name))
    found = [row[column] for row in rows[header + 1 :] if len(row) > column]
    return [
        float(str(cell).replace(",", "")) for cell in found if re.fullmatch(r"[+-]?[\d,]+(\.\d+)?", str(cell or ""))
    ]


def test_an_account_with_money_needs_a_till_to_be_closed_and_an_empty_one_does_not(office):
    branch = office.branch
    executive = office.browse_as("executive")
    full, empty = branch.number("alice_current"), branch.open_account("bob", "savings").number

    refused = executive.send(f"/staff/accounts/{full}/close", number=full, reason="Asked")
    done = executive.done(f"/staff/accounts/{empty}/close", number=empty, reason="Asked")

    assert refused.status == 403
    assert "You have no till" in refused.text
    assert branch.state("alice_current").ledger.status == "open"
    assert "closed" in done.text


def test_an_account_with_held_money_or_an_overdraft_in_use_is_not_closed(office):
    branch, teller = office.branch, office.browse_as("teller")
    number = branch.number("alice_current")
    branch.hold("alice_current", 1_00)

    answer = teller.send(f"/staff/accounts/{number}/close", number=number, reason="Asked")

    assert answer.status == 422
    assert branch.balance("alice_current") == 100_00
    assert branch.state("alice_current").ledger.status == "open"


def test_holders_pay_until_they_are_removed(office):
    branch = office.branch
    executive, bob = office.browse_as("executive"), office.browse_as("bob")
    account, bobs = branch.number("alice_current"), branch.number("bob_current")
    typed = {"from_account": account, "to_account": bobs, "amount": "10", "reference": "Groceries"}
    assert bob.send("/pay", **typed).status == 422
    assert bob.get(f"/accounts/{account}").status == 404

    executive.done(f"/staff/accounts/{account}/holders/add", customer=branch.customer("bob").number, role="authorised")
    assert executive.send(
        f"/staff/accounts/{account}/holders/add", customer=branch.customer("bob").number, role="owner"
    ).status == 409  # fmt: skip
    assert account in bob.get("/home").text
    bob.done("/pay", **typed)
    assert "Alice Moreau, owner" in bob.get(f"/accounts/{account}").text

    executive.done(f"/staff/accounts/{account}/holders/{branch.customer('bob').number}/remove", reason="Fell out")
    assert bob.send("/pay", **typed).status == 422
    assert bob.get(f"/accounts/{account}").status == 404
    assert bob.get(f"/accounts/{account}/statement?as=csv").status == 404
    assert branch.balance("alice_current") == 90_00

    last = executive.send(f"/staff/accounts/{account}/holders/{branch.customer('alice').number}/remove", reason="Asked")
    assert last.problems == ["An account keeps at least one active owner. Add another owner first."]


def test_a_form_open_since_before_the_removal_pays_nothing(office):
    branch = office.branch
    account = branch.number("alice_current")
    executive, bob = office.browse_as("executive"), office.browse_as("bob")
    executive.done(f"/staff/accounts/{account}/holders/add", customer=branch.customer("bob").number, role="authorised")
    drawn = bob.get("/pay")
    executive.done(f"/staff/accounts/{account}/holders/{branch.customer('bob').number}/remove", reason="Fell out")

    answer = bob.submit(drawn, "/pay", from_account=account, to_account=branch.number("bob_current"), amount="10")

    assert answer.status == 422
    assert branch.balance("alice_current") == 100_00


def test_a_deactivated_customers_money_does_not_move_and_comes_back_with_them(office):
    branch = office.branch
    executive, teller = office.browse_as("executive"), office.browse_as("teller")
    alice, account = branch.customer("alice").number, branch.number("alice_current")

    shown = executive.done(f"/staff/customers/{alice}/deactivate", reason="Papers missing")
    assert "deactivated" in shown.text
    assert "Papers missing" in shown.text
    for act, typed in (
        ("deposit", {"amount": "1"}), ("withdraw", {"amount": "1"}),
        ("transfer", {"amount": "1", "to_account": branch.number("bob_current")}), ("close", {"number": account, "reason": "x"}),
    ):  # fmt: skip
        assert teller.send(f"/staff/accounts/{account}/{act}", **typed).status == 422, act
    into = teller.send(f"/staff/accounts/{branch.number('bob_current')}/transfer", to_account=account, amount="1")
    opened = executive.send(f"/staff/customers/{alice}/accounts/new", product="savings")
    shared = executive.send(f"/staff/accounts/{branch.number('bob_current')}/holders/add", customer=alice, role="owner")
    edited = executive.send(f"/staff/customers/{alice}/edit", city="Elsewhere")
    thawed = executive.send(f"/staff/accounts/{account}/freeze", status="open", reason="Try")
    code = teller.send(f"/staff/customers/{alice}/code")
    assert [page.status for page in (into, opened, shared, edited, thawed, code)] == [422] * 6
    assert (branch.balance("alice_current"), branch.balance("bob_current")) == (100_00, 50_00)

    executive.done(f"/staff/customers/{alice}/activate", reason="Papers came")
    teller.done(f"/staff/accounts/{account}/withdraw", amount="100")
    assert branch.balance("alice_current") == 0


def test_what_staff_had_frozen_before_stays_frozen_after_activation(office):
    branch, executive = office.branch, office.browse_as("executive")
    alice = branch.customer("alice").number
    executive.done(f"/staff/accounts/{branch.number('alice_savings')}/freeze", status="frozen", reason="Court order")

    executive.done(f"/staff/customers/{alice}/deactivate", reason="Papers missing")
    executive.done(f"/staff/customers/{alice}/activate", reason="Papers came")

    assert branch.state("alice_savings").ledger.status == "frozen"
    assert branch.state("alice_current").ledger.status == "open"


def test_a_joint_account_goes_on_with_its_other_owner(office):
    branch, executive = office.branch, office.browse_as("executive")
    account = branch.number("alice_current")
    executive.done(f"/staff/accounts/{account}/holders/add", customer=branch.customer("bob").number, role="owner")

    executive.done(f"/staff/customers/{branch.customer('alice').number}/deactivate", reason="Asked")

    office.browse_as("bob").done("/pay", from_account=account, to_account=branch.number("bob_current"), amount="1")
    assert branch.balance("alice_current") == 99_00


def test_staff_are_taken_on_given_roles_and_leave(office):
    executive = office.browse_as("executive")
    shown = executive.send("/staff/people/new", user_id=" new.person-1 ", name="Zoë Ångström", role="cashier")
    temporary = next(word for word in shown.text.split() if word.count("-") == 3)
    assert "NEW.PERSON-1" in shown.text
    assert executive.send("/staff/people/new", user_id="NEW.PERSON-1", name="Other", role="teller").status == 409

    person = office.browse_as(None)
    assert person.send("/staff/login", user="new.person-1", password=temporary).status == 303
    changed = {"old": temporary, "new": "glacier piano bench owl", "again": "glacier piano bench owl"}
    assert person.send("/staff/password", **changed).status == 303
    number = office.branch.number("alice_current")
    person.done(f"/staff/accounts/{number}/deposit", amount="5")
    assert "5.00 USD" in person.get("/staff/").text

    executive.done("/staff/people/NEW.PERSON-1/role", role="executive")
    assert person.get("/staff/people").status == 200
    assert person.get(f"/staff/accounts/{number}/deposit").status == 403
    executive.done("/staff/people/NEW.PERSON-1/role", role="teller")
    person.done(f"/staff/accounts/{number}/withdraw", amount="2")
    assert "3.00 USD" in person.get("/staff/").text

    listed = executive.done("/staff/people/NEW.PERSON-1/disable", reason="Retired")
    assert "disabled" in listed.text
    assert person.get("/staff/").status == 302
    assert_books_balance(office.branch.bank)


def test_every_till_has_what_went_through_it_and_the_trial_balance_agrees(office):
    number = office.branch.number("alice_current")
    office.browse_as("teller").done(f"/staff/accounts/{number}/deposit", amount="30")
    office.browse_as("cashier").done(f"/staff/accounts/{number}/withdraw", amount="12.34")

    # Both began with the branch's float: no till pays out what is not in it.
    assert "100,200.00 USD" in office.browse_as("teller").get("/staff/").text
    assert "99,987.66 USD" in office.browse_as("cashier").get("/staff/").text
    trial = office.browse_as("executive").get("/staff/trial-balance")
    assert re.findall(r"<th scope=\"row\">Together</th>.*?>([\d,.]+)<.*?>([\d,.]+)<", trial.html, re.DOTALL) == [
        ("200,187.66", "200,187.66")
    ]


def test_lists_go_on_to_a_second_page_and_lose_nobody(office):
    branch = office.branch
    for index in range(60):
        branch.add_customer(f"c{index}", f"Customer {index:02}", f"9990{index:05}")
        branch.open_account(f"c{index}", "current")
    executive = office.browse_as("executive")
    gone = branch.customer("c7").number
    executive.done(f"/staff/customers/{gone}/deactivate", reason="Asked")

    customers = _all_pages(executive, "/staff/customers/status", r"/staff/customers/(\d+)\"")
    active = _all_pages(executive, "/staff/customers/status?status=active", r"/staff/customers/(\d+)\"")
    found = _all_pages(executive, "/staff/customers?q=customer", r"/staff/customers/(\d+)\"")
    accounts = _all_pages(executive, "/staff/accounts/status", r"/staff/accounts/(\d+)\"")
    frozen = _all_pages(executive, "/staff/accounts/status?status=frozen", r"/staff/accounts/(\d+)\"")

    assert len(customers) == len(set(customers)) == 62
    assert customers == sorted(customers)
    assert set(customers) - set(active) == {gone}
    assert len(found) == 60
    assert len(accounts) == len(set(accounts)) == 63
    assert frozen == [branch.number("c7_current")]
    records = _all_pages(executive, "/staff/records", r"account:(\d+)")
    assert len(set(records)) == 63


def _all_pages(browser: Browser, path: str, pattern: str) -> list[str]:
    """What the pattern finds on this page and all that its link to the next one leads to."""
    found: list[str] = []
    pages = 0
    while path:
        page = browser.get(path)
        assert page.status == 200
        pages += 1
        found += re.findall(pattern, page.html)
        onward = re.search(r'rel="next" href="([^"]+)"', page.html)
        path = unescape(onward[1]) if onward else ""
    assert pages > 1 or len(found) <= 50
    return found


def test_a_long_history_is_read_page_by_page(office):
    branch = office.branch
    for _ in range(45):
        branch.transfer("alice_current", "bob_current", 1)
    browser = office.browse_as("alice")
    path = f"/accounts/{branch.number('alice_current')}"
    seen = []
    while path:
        page = browser.get(path)
        seen += re.findall(r"Balance ([\d,.]+)", page.text)
        older = [link for link in page.links if "before=" in link]
        path = older[0] if older else ""

    assert seen == [f"{99.55 + cents / 100:.2f}" for cents in range(46)]


def test_limits_are_the_banks_until_an_executive_gives_others(office):
    branch = office.branch
    executive, alice = office.browse_as("executive"), office.browse_as("alice")
    account = branch.number("alice_current")
    branch.deposit(branch.accounts["alice_current"], 50_000_00)

    def pay(amount: str) -> Page:
        return alice.send("/pay", from_account=account, to_account=branch.number("bob_current"), amount=amount)

    assert pay("10,000.01").problems == ["Enter 10,000.00 USD or less: that is the limit for one payment."]
    assert [pay("10,000").status, pay("10,000").status] == [303, 303]
    assert pay("5,000.01").problems == ["Only 5,000.00 USD of today's limit of 25,000.00 USD is left."]

    executive.done(f"/staff/accounts/{account}/limits", per_payment="6,000", per_day="", reason="Asked for less")
    assert pay("6,000.01").status == 422
    # The form begins with what is so: whoever changes one limit keeps the other.
    form = executive.get(f"/staff/accounts/{account}/limits").form
    assert (form.values["per_payment"], form.values["per_day"]) == ("6,000.00", "")
    executive.done(f"/staff/accounts/{account}/limits", per_payment="", per_day="26,000", reason="Asked for more")
    assert [pay("6,000").status, pay("0.01").status] == [303, 422]
    limits = executive.get(f"/staff/accounts/{account}").text
    assert "At most in one payment 10,000.00 USD, as for every account" in limits
    assert "At most in one day 26,000.00 USD" in limits

    # Between one's own accounts no limit applies.
    own = alice.send("/pay", from_account=account, to_account=branch.number("alice_savings"), amount="20,000")
    assert own.status == 303
    office.clock.step(24 * 3600)
    alice.set_cookie("session", branch.session_of("alice"))
    assert pay("4,000").status == 303
    assert_books_balance(branch.bank)


@pytest.mark.parametrize(
    ("act", "amount", "after"),
    [
        ("deposit", "1,000.50", "1,100.50 USD"),
        ("withdraw", "40", "60.00 USD"),
        ("withdraw", "100", "0.00 USD"),
        ("withdraw", "", "–"),
        ("withdraw", "a lot", "–"),
        ("deposit", "9" * 300, "–"),
    ],
)
def test_the_cash_desk_sees_what_will_be_available_while_it_types(office, act, amount, after):
    teller, account = office.browse_as("teller"), office.branch.number("alice_current")

    assert (
        f"Available afterwards {after}"
        in teller.get(f"/staff/accounts/{account}/{act}?{urlencode({'amount': amount})}").text
    )


def test_only_the_amount_goes_with_what_the_cash_desk_asks_while_it_types(office):
    account = office.branch.number("alice_current")

    drawn = office.browse_as("teller").get(f"/staff/accounts/{account}/deposit").html

    [field] = re.findall(r'<input[^>]* id="amount"[^>]*>', drawn)
    assert f'hx-get="/staff/accounts/{account}/deposit"' in field
    assert 'hx-include="this"' in field


@pytest.mark.parametrize(
    ("role", "who"), [("teller", "from your till"), ("executive", "Somebody with a till pays it out")]
)
def test_whoever_closes_an_account_reads_who_pays_it_out(office, role, who):
    office.branch.deposit(office.branch.accounts["alice_current"], 100_00)
    account = office.branch.number("alice_current")

    assert who in office.browse_as(role).get(f"/staff/accounts/{account}/close").text


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/staff/accounts/{account}/freeze", "Look-up"),
        ("/staff/customers/{customer}/code", "Look-up"),
        ("/staff/accounts/status", "Accounts"),
        ("/staff/people/new", "Staff"),
    ],
)
def test_the_tabs_say_where_one_is(office, path, place):
    branch = office.branch
    where = path.format(account=branch.number("alice_current"), customer=branch.customer("alice").number)

    drawn = office.browse_as("executive").get(where).html

    assert re.findall(r'<a [^>]*aria-current="(?:page|true)"[^>]*><span>([^<]*)</span>', drawn) == [place]


def test_an_overdraft_is_as_deep_as_agreed_and_no_deeper(office):
    branch = office.branch
    executive, teller = office.browse_as("executive"), office.browse_as("teller")
    at = f"/staff/accounts/{branch.number('alice_current')}"

    executive.done(f"{at}/overdraft", overdraft="50", reason="Agreed")
    assert "150.00 USD available" in teller.get(at).text
    assert teller.send(f"{at}/withdraw", amount="150.01").status == 422
    teller.done(f"{at}/withdraw", amount="150")
    assert branch.balance("alice_current") == -50_00
    assert "-50.00" in office.browse_as("alice").get(f"/accounts/{branch.number('alice_current')}/statement").text

    taken_away = executive.send(f"{at}/overdraft", overdraft="0", reason="Ended")
    assert taken_away.status == 422
    closed = teller.send(f"{at}/close", number=branch.number("alice_current"), reason="Moves")
    assert closed.status == 422
    teller.done(f"{at}/deposit", amount="50")
    executive.done(f"{at}/overdraft", overdraft="0", reason="Ended")
    assert teller.send(f"{at}/withdraw", amount="0.01").status == 422


def test_held_money_is_there_and_cannot_be_spent_until_it_is_released_or_its_day_is_over(office):
    branch = office.branch
    executive, teller, alice = (office.browse_as(name) for name in ("executive", "teller", "alice"))
    at = f"/staff/accounts/{branch.number('alice_current')}"

    executive.done(f"{at}/hold", amount="70", reason="Hotel")
    assert executive.send(f"{at}/hold", amount="30.01", reason="Car").status == 422
    assert "30.00 USD available" in alice.get("/home").text
    page = alice.get(f"/accounts/{branch.number('alice_current')}")
    assert (
        page.text.index("Pending") < page.text.index("Hotel") < page.text.index("70.00 USD", page.text.index("Hotel"))
    )
    assert teller.send(f"{at}/withdraw", amount="30.01").status == 422
    teller.done(f"{at}/withdraw", amount="30")

    shown = executive.get(at)
    [release] = [link for link in shown.links if link.endswith("/release")]
    executive.done(release, reason="Checked out")
    assert executive.send(release, reason="Again").status == 422
    teller.done(f"{at}/withdraw", amount="70")

    until = office.clock.business_date()
    teller.done(f"{at}/deposit", amount="9")
    executive.done(f"{at}/hold", amount="9", expires_on=until.isoformat(), reason="Parcel")
    assert teller.send(f"{at}/withdraw", amount="1").status == 422
    office.clock.step(26 * 3600)
    assert ledger.expire_holds(branch.bank, at=office.clock.now(), who="test") == 1
    office.browse_as("teller").done(f"{at}/withdraw", amount="9")
    assert_books_balance(branch.bank)


def test_a_hold_of_another_account_is_not_released_by_this_ones_address(office):
    branch, executive = office.branch, office.browse_as("executive")
    hold = branch.hold("alice_current", 5_00)

    answer = executive.send(f"/staff/accounts/{branch.number('bob_current')}/holds/{hold}/release", reason="Try")

    assert answer.status == 422
    assert branch.state("alice_current").ledger.held == 5_00


def test_customers_pay_each_other_and_themselves(office):
    branch = office.branch
    alice = office.browse_as("alice")
    current, savings, bobs = (branch.number(name) for name in ("alice_current", "alice_savings", "bob_current"))

    receipt = alice.done("/pay", from_account=current, to_account=bobs, amount="12.34", reference="Für Käse 🧀")
    alice.done("/pay", from_account=savings, to_account=f"{current[:3]} {current[3:6]}-{current[6:]}", amount="20")
    same = alice.send("/pay", from_account=current, to_account=current, amount="1")

    assert "Für Käse 🧀" in receipt.text
    assert same.status == 422
    assert (branch.balance("alice_current"), branch.balance("alice_savings"), branch.balance("bob_current")) == (
        107_66, 0, 62_34,
    )  # fmt: skip
    assert "Für Käse 🧀" in office.browse_as("bob").get(f"/accounts/{bobs}").text
    assert "+12.34" in office.browse_as("bob").get(f"/accounts/{bobs}/statement").text


def test_customers_and_accounts_are_found_by_any_of_their_numbers(office):
    branch, teller = office.branch, office.browse_as("teller")
    alice, account = branch.customer("alice").number, branch.number("alice_current")

    assert teller.get(f"/staff/accounts?q={account}").location == f"/staff/accounts/{account}"
    assert teller.get(f"/staff/accounts?q={alice}").location == f"/staff/customers/{alice}"
    for looked_for in (alice, f"{alice[:3]} {alice[3:]}", "012-34-5678"):
        assert teller.send("/staff/customers", q=looked_for).location == f"/staff/customers/{alice}", looked_for
    for looked_for in (alice, "alice", "MOREAU"):
        page = teller.look_up(looked_for)
        assert "Alice Moreau" in page.text, looked_for
        assert "Bob" not in page.text, looked_for


@pytest.mark.parametrize("role", [Role.TELLER, Role.CASHIER])
def test_both_roles_at_the_counter_do_the_same(role, office):
    branch, browser = office.branch, office.browse_as(role.value)
    at = f"/staff/accounts/{branch.number('alice_current')}"

    browser.done(f"{at}/deposit", amount="1")
    browser.done(f"{at}/withdraw", amount="1")
    browser.done(f"{at}/transfer", to_account=branch.number("bob_current"), amount="1")
    assert browser.get(f"{at}/statement?as=pdf").status == 200
    browser.done(f"{at}/close", number=branch.number("alice_current"), reason="Asked")
