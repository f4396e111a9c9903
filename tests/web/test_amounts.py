"""Amounts as people and mischief type them, on every field that takes money: read exactly, or refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest
import sqlalchemy as sa

from bank.ledger.tables import journal_entries
from bank.payments.store import payment_drafts
from bank.web import fields
from tests.builders import Branch
from tests.databases import Databases
from tests.web.browsing import Page
from tests.web.conftest import Served, served

#: What is typed, and the minor units it stands for by the written rule; None: refused.
TYPED = {
    "1": 1_00,
    " 5 ": 5_00,
    "5.5": 5_50,
    "0.01": 1,
    "007": 7_00,
    "1250.50": 1_250_50,
    "1,250.50": 1_250_50,
    "1,234,567.89": 1_234_567_89,
    "10000000000000": 10**15,
    "10,000,000,000,000.00": 10**15,
    "0": None,
    "0.00": None,
    "-0": None,
    "-1": None,
    "−1": None,
    "+1": None,
    "1e9": None,
    "1E2": None,
    "1.001": None,
    "1.": None,
    ".5": None,
    "NaN": None,
    "nan": None,
    "inf": None,
    "-Infinity": None,
    "0x10": None,
    "1_000": None,
    "١٢": None,
    "１２": None,
    "²": None,
    "1" + "0" * 40: None,
    "9" * 5000: None,
    "10000000000000.01": None,
    "10000000000001": None,
    "92233720368547758.08": None,
    "2147483648.999": None,
    "1,00": None,
    "1.250,50": None,
    "1 250.50": None,
    "1'250": None,
    "12,50": None,
    "1,2345": None,
    ",100": None,
    "1.2.3": None,
    "$5": None,
    "5 USD": None,
    "5%": None,
    "five": None,
    "1/2": None,
    "=1+1": None,
    "1; DROP TABLE postings": None,
    "<script>alert(1)</script>": None,
    "{{7*7}}": None,
    "true": None,
    "null": None,
    "[]": None,
    "1\x00": None,
    "1\n2": None,
    "\u200b5": None,
    "\u202e5": None,
    "": None,
    "   ": None,
    "\t": None,
}

#: Only for what takes no overdraft away: these mean none.
ZEROS = {"0", "0.00"}

#: Only for what may be left out.
NOTHING = {"", "   ", "\t"}


@dataclass(frozen=True)
class Place:
    """One field that takes money: how it is reached, and what it did."""

    form: str
    field: str
    visitor: str
    path: Callable[[Branch], str]
    others: Callable[[Branch], dict[str, str]]
    read: Callable[[Branch], int | None]
    zero: bool = False
    empty: bool = False


def _account(page: str) -> Callable[[Branch], str]:
    return lambda branch: f"/staff/accounts/{branch.number('alice_current')}/{page}"


def _nothing(_: Branch) -> dict[str, str]:
    return {}


def _reason(_: Branch) -> dict[str, str]:
    return {"reason": "A reason"}


def _moved(account: str, before: int, sign: int) -> Callable[[Branch], int]:
    return lambda branch: sign * (branch.balance(account) - before)


def _draft(branch: Branch) -> str:
    return f"/pay/{branch.draft('alice', 'alice_current', 'alice_savings', DRAFT)}"


def _drafted(branch: Branch) -> int | None:
    return branch.rows(sa.select(payment_drafts.c.minor_units).where(payment_drafts.c.operation == DRAFT))[0][0]


DRAFT = "00000000-0000-4000-8000-00000000d4af"
RICH = 2 * 10**15

PLACES = [
    Place("MoneyForm", "amount", "teller", _account("deposit"), _nothing, _moved("alice_current", RICH, 1)),
    Place("MoneyForm", "amount", "teller", _account("withdraw"), _nothing, _moved("alice_current", RICH, -1)),
    Place(
        "TransferForm", "amount", "teller", _account("transfer"),
        lambda branch: {"to_account": branch.number("bob_current")}, _moved("bob_current", 50_00, 1),
    ),
    Place(
        "PaymentForm", "amount", "alice", lambda _: "/pay",
        lambda branch: {"from_account": branch.number("alice_current"), "to_account": branch.number("bob_current")},
        _moved("bob_current", 50_00, 1),
    ),
    Place("PaymentForm", "amount", "alice", _draft, _nothing, _drafted),
    Place("HoldForm", "amount", "executive", _account("hold"), _reason, lambda branch: branch.state("alice_current").ledger.held),
    Place(
        "LimitsForm", "per_payment", "executive", _account("limits"), _reason,
        lambda branch: branch.state("alice_current").ledger.limit_per_payment, empty=True,
    ),
    Place(
        "LimitsForm", "per_day", "executive", _account("limits"), _reason,
        lambda branch: branch.state("alice_current").ledger.limit_per_day, empty=True,
    ),
    Place(
        "OverdraftForm", "overdraft", "executive", _account("overdraft"), _reason,
        lambda branch: -(branch.state("alice_current").ledger.floor or 0), zero=True,
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def rich(sqlite_databases: Databases) -> Iterator[Served]:
    """A branch whose limits are above every amount that can be typed, and where Alice can afford them twice."""
    most = {"limit_per_payment_minor": 10**17, "limit_per_day_minor": 10**17}
    with sqlite_databases.migrated() as urls, served(urls.app, **most) as office:
        yield office


def money_fields() -> set[tuple[str, str]]:
    """Every field of every form that reads an amount."""
    found = set()
    for form in below(fields.PageForm):
        if form.__module__ == "bank.web.styleguide":
            continue
        for field in dir(form):
            kind = getattr(getattr(form, field), "field_class", None)
            if kind is fields.AmountField or (field == "overdraft" and kind is fields.ReadField):
                found.add((form.__name__, field))
    return found


def below(form: type) -> Iterator[type]:
    """Every form that is made of this one."""
    for kind in form.__subclasses__():
        yield kind
        yield from below(kind)


def test_every_field_that_takes_money_is_tried_here():
    assert money_fields() == {(place.form, place.field) for place in PLACES}


def _entries(branch: Branch) -> int:
    return int(branch.rows(sa.select(sa.func.count()).select_from(journal_entries))[0][0])


def _expected(place: Place, typed: str, read: int | None) -> int | None:
    if (place.zero and typed in ZEROS) or (place.empty and typed in NOTHING):
        return 0
    return read


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place.visitor}-{place.form}-{place.field}")
def test_amounts_are_read_exactly_or_refused_in_a_sentence(place, rich):
    branch = rich.branch
    browser = rich.browse_as(place.visitor)
    path = place.path(branch)
    wrong = []
    for typed, read in TYPED.items():
        _start_again(branch)
        before = (place.read(branch), _entries(branch))
        expected = _expected(place, typed, read)
        page = browser.send(path, **{**place.others(branch), place.field: typed})
        after = (place.read(branch), _entries(branch))
        if expected is None:
            problem = _refused_well(page, place.field, typed) or (before != after and f"moved {after}")
        else:
            problem = (page.status != 303 and (page.problems or page.text)) or (
                (after[0] or 0) != expected and f"read as {after[0]}"
            )
        if problem:
            wrong.append((typed[:50], problem))

    assert wrong == []


def _start_again(branch: Branch) -> None:
    """The same balances for each amount, without limit, hold or overdraft. Only the rows of accounts: entries stay."""
    with branch.bank.engine.connect() as connection:
        for account, balance in (("alice_current", RICH), ("bob_current", 50_00)):
            connection.exec_driver_sql(
                "UPDATE ledger_accounts SET balance = ?, held = 0, floor = 0, limit_per_payment = NULL,"
                " limit_per_day = NULL, spent = 0 WHERE id = ?",
                (balance, branch.accounts[account].id),
            )


def _refused_well(page: Page, field: str, typed: str) -> str | None:
    """What is wrong with the refusal: status, a sentence, the field kept as it was typed."""
    if page.status != 422:
        return f"status {page.status}"
    if not page.title.startswith("Error: "):
        return page.title
    sentence = " ".join(page.problems)
    if not sentence.startswith("Enter ") and "too long" not in sentence:
        return sentence
    if f"#{field}" not in page.problem_links:
        return f"no link to the field in {page.problem_links}"
    kept = page.form.values[field]
    # HTML knows no NUL, and a line has no line break.
    if (
        kept.replace("\r", "").replace("\n", "") != typed.replace("\x00", "\ufffd").replace("\n", "")
        and "\x00" not in typed
    ):
        return f"kept {kept!r}"
    return None


def test_the_table_itself_follows_the_written_rule():
    """Digits, commas only between thousands, a point before at most two decimals; above zero, at most 10^13 units."""
    for typed, read in TYPED.items():
        if read is not None:
            assert Decimal(typed.strip().replace(",", "")) * 100 == read


@pytest.mark.parametrize(
    ("currency", "typed", "minor"),
    [
        ("JPY", "500", 500),
        ("JPY", "500.5", None),
        ("JPY", "1,000", 1000),
        ("KWD", "1.234", 1234),
        ("KWD", "1.2345", None),
    ],
)
def test_currencies_with_other_decimals_are_read_by_theirs(currency, typed, minor, serve):
    # The test's branch opens its accounts in dollars, so the reader itself is asked, in the application's own context.
    office = serve(currency=currency)
    with office.app.test_request_context():
        try:
            read = fields.parse_amount(typed, fields.settings().currency).minor_units
        except fields.Invalid:
            read = None

    assert read == minor


def test_nothing_is_lost_between_typing_and_the_statement(office):
    branch = office.branch
    number = branch.number("alice_current")
    office.browse_as("teller").done(f"/staff/accounts/{number}/deposit", amount=" 1,234.56 ")
    office.browse_as("teller").done(f"/staff/accounts/{number}/withdraw", amount="0.01")

    page = office.browse_as("alice").get(f"/accounts/{number}/statement")
    table = office.browse_as("alice").get(f"/accounts/{number}/statement?as=csv").response.get_data(as_text=True)

    assert "+1,234.56" in page.text
    assert "-0.01" in page.text
    assert "1,334.55" in page.text
    assert "1234.56" in table
    assert "1334.55" in table


def test_the_whole_balance_can_be_moved_to_the_last_cent_and_not_one_more(office):
    branch = office.branch
    browser = office.browse_as("teller")
    path = f"/staff/accounts/{branch.number('alice_current')}/transfer"

    more = browser.send(path, to_account=branch.number("bob_current"), amount="100.01")
    browser.done(path, to_account=branch.number("bob_current"), amount="100.00")

    assert more.status == 422
    assert more.problems == ["Enter 100.00 USD or less: that is the available balance, and 100.01 USD is more."]
    assert more.title.startswith("Error: ")
    assert (branch.balance("alice_current"), branch.balance("bob_current")) == (0, 150_00)


def test_a_balance_above_32_bits_is_no_trouble_anywhere(office_anywhere):
    branch = office_anywhere.branch
    number = branch.number("alice_current")

    office_anywhere.browse_as("teller").done(f"/staff/accounts/{number}/deposit", amount="10,000,000,000,000")

    assert branch.balance("alice_current") == 10**15 + 100_00
    assert "10,000,000,000,100.00" in office_anywhere.browse_as("alice").get("/home").text
