"""Cash at the same instant, on all three databases: nothing is counted twice, nothing leaves a till that is not in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest
import sqlalchemy as sa

from bank.audit.model import Author
from bank.cases.store import cases
from bank.errors import BankError
from bank.money import Money
from bank.payments import counting, till_days, vault
from bank.payments import service as payments
from bank.payments.store import till_counts
from bank.storage.transaction import Bank
from tests.builders import CURRENCY, FLOAT, Branch, a_bank, a_key
from tests.ledger import assert_books_balance, balance
from tests.racing import racers
from tests.servers import DatabaseUrls

ROUNDS = 6


@pytest.fixture
def branch(database_urls: DatabaseUrls) -> Iterator[Branch]:
    bank = a_bank(database_urls.app)
    yield Branch.open(bank)
    assert_books_balance(bank)
    bank.engine.dispose()


def usd(minor_units: int) -> Money:
    return Money(minor_units, CURRENCY)


def named(answer: object) -> str:
    return answer.code if isinstance(answer, BankError) else "done"


def count(till_id: int, counted: int, seen: int, by: Author, bank: Bank, key: str = "") -> int:
    return bank.run(
        counting.count, till_id, usd(counted), {}, seen=seen, reason="A race", key=key or a_key(), by=by
    )  # fmt: skip


def test_a_count_and_a_deposit_at_once_leave_a_count_that_fits_the_till(branch, database_urls):
    account = branch.accounts["alice_current"]
    by = branch.author("teller")
    with racers(database_urls.app, 2) as team:
        for _ in range(ROUNDS):
            till = branch.till("teller")
            before = len(branch.rows(sa.select(till_counts.c.id)))
            counted, deposited = team.race(
                partial(count, till.id, till.balance, till.version, by),
                lambda bank, till=till: payments.deposit(bank, account, usd(1_00), till_id=till.id, key=a_key(), by=by),
            )
            assert named(deposited) == "done"
            assert branch.till("teller").balance == till.balance + 1_00
            made = branch.rows(sa.select(till_counts.c.expected, till_counts.c.seq).order_by(till_counts.c.id))[before:]
            # Either it came first, and the till was as it had been seen, or it did not come at all.
            assert (named(counted), made) in [("done", [(till.balance, till.version)]), ("till_moved", [])]
    assert branch.rows(sa.select(cases.c.id)) == []


def test_the_same_difference_counted_at_once_is_booked_once(branch, database_urls):
    by = branch.author("teller")
    with racers(database_urls.app, 4) as team:
        for _ in range(ROUNDS):
            till = branch.till("teller")
            answers = team.race(*[partial(count, till.id, till.balance - 1, till.version, by) for _ in range(4)])

            assert Counter(map(named, answers)) == {"done": 1, "till_moved": 3}
            assert branch.till("teller").balance == till.balance - 1
    assert len(branch.rows(sa.select(cases.c.id))) == ROUNDS


def test_two_tills_with_a_difference_at_once_are_both_booked(branch, database_urls):
    """The account of all differences is opened by whoever is first."""
    with racers(database_urls.app, 2) as team:
        for _ in range(ROUNDS):
            tills = [branch.till(name) for name in ("teller", "cashier")]
            answers = team.race(
                *[
                    partial(count, till.id, till.balance - 7, till.version, branch.author(name))
                    for name, till in zip(("teller", "cashier"), tills, strict=True)
                ]
            )
            assert [named(answer) for answer in answers] == ["done", "done"]


def test_the_last_cash_of_a_till_is_paid_out_once(branch, database_urls):
    till_id = branch.staff("spare").till_account_id
    by = branch.author("spare")
    with racers(database_urls.app, 3) as team:
        for _ in range(ROUNDS):
            branch.supply("spare", 10_00)
            answers = team.race(
                *[
                    partial(
                        lambda account, bank: payments.withdraw(
                            bank, account, usd(10_00), till_id=till_id, key=a_key(), by=by
                        ),
                        branch.accounts[name],
                    )
                    for name in ("alice_current", "bob_current")
                ],
                lambda bank: vault.return_from_till(bank, till_id, usd(10_00), key=a_key(), by=by),
            )
            assert Counter(map(named, answers)) == {"done": 1, "till_too_low": 2} or "insufficient_funds" in map(
                named, answers
            )
            assert balance(branch.bank, till_id) == 0
            for name in ("alice_current", "bob_current"):
                branch.deposit(branch.accounts[name], 10_00)


def test_the_last_cash_of_the_vault_is_taken_once(branch, database_urls):
    tills = {name: branch.staff(name).till_account_id for name in ("teller", "cashier", "spare")}
    with racers(database_urls.app, 3) as team:
        for _ in range(ROUNDS):
            vault.receive(branch.bank, usd(50_00), key=a_key(), by=branch.author())
            answers = team.race(
                *[
                    partial(
                        lambda till_id, by, bank: vault.supply_till(bank, till_id, usd(50_00), key=a_key(), by=by),
                        till_id,
                        branch.author(name),
                    )
                    for name, till_id in tills.items()
                ]
            )
            assert Counter(map(named, answers)) == {"done": 1, "vault_too_low": 2}


def test_a_retry_of_what_was_refused_for_want_of_cash_stays_refused(branch):
    key, by = a_key(), branch.author("spare")
    till_id = branch.staff("spare").till_account_id
    pay = partial(
        payments.withdraw, branch.bank, branch.accounts["alice_current"], usd(5_00), till_id=till_id, key=key, by=by
    )
    with pytest.raises(payments.TillTooLow):
        pay()
    branch.supply("spare", 100_00)

    with pytest.raises(payments.TillTooLow):
        pay()


def test_a_tills_day_reads_alike_on_every_database(branch):
    till, day = branch.till("teller"), branch.bank.clock.business_date()
    branch.count_till("teller", till.balance + 3, "Found")
    with branch.bank.reader() as reader:
        rows = till_days.movements(reader, till.id, day, limit=10)
        sums = till_days.sums(reader, till.id, day, CURRENCY)
        tills = [vault.of_row(row) for row in reader.execute(vault.listing())]

    assert [(row.kind, row.name, row.received, row.paid) for row in rows] == [
        ("till_difference", "Cash over and short", usd(3), None),
        ("deposit", "Bob Nakamura", usd(50_00), None),
        ("deposit", "Alice Moreau", usd(20_00), None),
        ("deposit", "Alice Moreau", usd(100_00), None),
        ("till_supply", "Cash in the vault", usd(FLOAT), None),
    ]
    assert [(each.kind, each.many, each.received.minor_units, each.paid.minor_units) for each in sums] == [
        ("deposit", 3, 170_00, 0), ("till_difference", 1, 3, 0), ("till_supply", 1, FLOAT, 0),
    ]  # fmt: skip
    assert {row.number: (row.name, row.difference) for row in tills} == {
        "till-CASHIER-1": ("Cashier Person", None),
        "till-SPARE-1": ("Spare Person", None),
        "till-TELLER-1": ("Teller Person", usd(3)),
    }
