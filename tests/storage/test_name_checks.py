"""Look-ups of names at the same instant, on each database: no more of them than the limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest
import sqlalchemy as sa

from bank.audit.model import Author
from bank.errors import BankError
from bank.payments import look_ups, payees
from bank.payments.store import name_checks
from bank.storage.transaction import Bank
from tests.builders import Branch, a_bank
from tests.racing import racers
from tests.servers import DatabaseUrls

RACERS = 6
MOST = 20


@pytest.fixture
def branch(database_urls: DatabaseUrls) -> Iterator[Branch]:
    bank = a_bank(database_urls.app)
    yield Branch.open(bank)
    bank.engine.dispose()


def find(name: str, number: str, customer_id: int, by: Author, bank: Bank) -> str:
    return look_ups.find(bank, customer_id, name, number, by=by).name_check


def pay(number: str, customer_id: int, by: Author, bank: Bank) -> str:
    look_ups.count_payment(bank, customer_id, number, by=by)
    return "counted"


def tally(answers: list[str | BankError]) -> Counter[str]:
    return Counter(answer.code if isinstance(answer, BankError) else answer for answer in answers)


def tries(branch: Branch) -> int:
    return int(branch.rows(sa.select(sa.func.count()).select_from(name_checks))[0][0])


def asked(branch: Branch) -> tuple[int, Author]:
    return branch.customer("alice").id, branch.author("alice")


def test_of_tries_at_once_only_as_many_as_are_left_are_answered(branch: Branch):
    """Three are left; six are tried at once, by two ways."""
    me, by = asked(branch)
    with branch.bank.engine.begin() as tx:
        rows = [{"customer_id": me, "at": by.at, "number": "1", "result": "unknown"}] * (MOST - 3)
        tx.execute(name_checks.insert(), rows)

    with racers(url(branch), RACERS) as ready:
        answers = ready.race(
            *(partial(find, "Bob Nakamura", f"36029999{n}", me, by) for n in range(4)),
            *(partial(pay, f"36029998{n}", me, by) for n in range(2)),
        )

    found = tally(answers)
    assert found["too_many_name_checks"] == RACERS - 3
    assert found["unknown_payee"] + found["counted"] == 3
    assert tries(branch) == MOST


def test_the_same_person_looked_up_at_once_is_one_payee_and_one_try(branch: Branch):
    me, by = asked(branch)
    number = branch.number("bob_current")

    with racers(url(branch), RACERS) as ready:
        answers = ready.race(*(partial(find, "Bob Nakamura", number, me, by) for _ in range(RACERS)))

    assert tally(answers) == {"match": RACERS}
    assert tries(branch) == 1
    assert len(branch.rows(sa.select(payees.payees))) == 1


def test_payments_to_one_new_number_at_once_are_one_try(branch: Branch):
    me, by = asked(branch)

    with racers(url(branch), RACERS) as ready:
        answers = ready.race(*(partial(pay, branch.number("bob_current"), me, by) for _ in range(RACERS)))

    assert tally(answers) == {"counted": RACERS}
    assert tries(branch) == 1


def test_one_customers_tries_are_not_anothers(branch: Branch):
    me, by = asked(branch)
    with branch.bank.engine.begin() as tx:
        tx.execute(name_checks.insert(), [{"customer_id": me, "at": by.at, "number": "1", "result": "unknown"}] * MOST)

    bob = branch.customer("bob").id
    assert find("Alice Moreau", branch.number("alice_current"), bob, branch.author("bob"), branch.bank) == "match"


def test_a_number_of_many_letters_is_compared_byte_for_byte(branch: Branch):
    """What counts as tried is this number, not one that a database takes for the same."""
    me, by = asked(branch)
    with branch.bank.engine.begin() as tx:
        number = f"{branch.number('bob_current')} "
        tx.execute(name_checks.insert(), {"customer_id": me, "at": by.at, "number": number, "result": "none"})

    pay(branch.number("bob_current"), me, by, branch.bank)

    assert tries(branch) == 2


def url(branch: Branch) -> str:
    return branch.bank.settings.database_url
