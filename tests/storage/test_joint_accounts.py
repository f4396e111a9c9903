"""What several people may do to one account at once: owners, authorised users, and staff who freeze, close and deactivate."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bank.accounts import service as accounts
from bank.accounts.store import Account
from bank.errors import BankError
from bank.identity import throttle
from bank.ledger.errors import OverPaymentLimit
from bank.money import Money
from bank.payments import service as payments
from bank.payments.model import TransferOrder
from tests.builders import CURRENCY, Branch, a_bank, a_key
from tests.racing import racers
from tests.servers import DatabaseUrls

ROUNDS = 6
OVER_LIMIT = 20_000_00


@pytest.fixture
def branch(database_urls: DatabaseUrls) -> Iterator[Branch]:
    bank = a_bank(database_urls.app)
    yield Branch.open(bank)
    bank.engine.dispose()


def joint(branch: Branch, balance: int = 0) -> Account:
    """A new savings account that Alice and Bob own together."""
    account = branch.open_account("alice", "savings", balance)
    branch.run(accounts.add_holder, account, branch.customer("bob"), "owner")
    return account


def pay(branch: Branch, payer: str, from_account: Account, to_account: Account, minor_units: int) -> int:
    order = TransferOrder(
        from_account.id, to_account.id, Money(minor_units, CURRENCY), "", a_key(), branch.customer(payer).id
    )
    return payments.transfer(branch.bank, order, by=branch.author(payer)).entry_id


def test_limits_do_not_hold_between_accounts_of_the_same_owners(branch):
    branch.deposit(branch.accounts["alice_current"], OVER_LIMIT)

    assert pay(branch, "alice", branch.accounts["alice_current"], branch.accounts["alice_savings"], OVER_LIMIT)


def test_a_joint_account_is_no_way_round_the_limits(branch):
    shared = joint(branch, OVER_LIMIT)
    branch.deposit(branch.accounts["alice_current"], OVER_LIMIT)

    with pytest.raises(OverPaymentLimit):
        pay(branch, "alice", branch.accounts["alice_current"], shared, OVER_LIMIT)
    with pytest.raises(OverPaymentLimit):
        pay(branch, "bob", shared, branch.accounts["bob_current"], OVER_LIMIT)


def test_an_authorised_user_has_limits_even_between_the_owners_own_accounts(branch):
    current = branch.accounts["alice_current"]
    branch.deposit(current, OVER_LIMIT)
    branch.run(accounts.add_holder, current, branch.customer("bob"), "authorised")

    with pytest.raises(OverPaymentLimit):
        pay(branch, "bob", current, branch.accounts["alice_savings"], OVER_LIMIT)


def test_the_last_active_owner_cannot_be_removed(branch):
    shared = joint(branch)
    branch.run(accounts.deactivate_customer, branch.customer("alice").id, reason="Moved away")

    with pytest.raises(accounts.LastOwner):
        branch.run(accounts.remove_holder, shared, branch.customer("bob").id, reason="Left")


def test_a_payer_does_not_learn_that_the_payee_is_frozen(branch):
    branch.run(accounts.freeze, branch.accounts["bob_current"], "frozen", reason="Court order")

    with pytest.raises(payments.PayeeCannotReceive):
        pay(branch, "alice", branch.accounts["alice_current"], branch.accounts["bob_current"], 100)


def test_both_owners_deactivated_at_once_leave_no_open_account(branch, database_urls):
    people = [branch.customer(name).id for name in ("alice", "bob")]
    by = branch.author()
    with racers(database_urls.app, 2) as team:
        for _ in range(ROUNDS):
            shared = joint(branch)
            team.race(
                *(
                    lambda bank, person=person: bank.run(accounts.deactivate_customer, person, by=by, reason="Fraud")
                    for person in people
                )
            )
            branch.accounts["shared"] = shared
            assert branch.state("shared").ledger.status == "frozen"
            for person in people:
                branch.run(accounts.activate_customer, person, reason="Cleared")


def test_a_freeze_is_not_undone_by_an_activation_at_the_same_moment(branch, database_urls):
    alice = branch.customer("alice").id
    by = branch.author()
    with racers(database_urls.app, 2) as team:
        for _ in range(ROUNDS):
            account = branch.open_account("alice", "savings")
            branch.run(accounts.deactivate_customer, alice, reason="Moved away")
            team.race(
                lambda bank, account=account: bank.run(accounts.freeze, account, "frozen", by=by, reason="Fraud"),
                lambda bank: bank.run(accounts.activate_customer, alice, by=by, reason="Back again"),
            )
            assert branch.state("alice_savings").ledger.status == "frozen"
            assert branch.state("alice_savings").frozen_for == "staff"


def test_a_closed_account_is_not_reopened_by_a_deactivation_at_the_same_moment(branch, database_urls):
    alice = branch.customer("alice").id
    by = branch.author()
    with racers(database_urls.app, 2) as team:
        for _ in range(ROUNDS):
            account = branch.open_account("alice", "savings")
            closed, _done = team.race(
                lambda bank, account=account: bank.run(accounts.close, account, by=by, reason="Asked for"),
                lambda bank: bank.run(accounts.deactivate_customer, alice, by=by, reason="Moved away"),
            )
            branch.run(accounts.activate_customer, alice, reason="Back again")
            status = branch.state("alice_savings").ledger.status
            assert status == ("open" if isinstance(closed, BankError) else "closed")


def test_a_source_that_must_wait_cannot_use_up_an_accounts_attempts(branch):
    now = branch.bank.clock.now()

    def try_from(source: str, account: str) -> bool:
        return branch.bank.run(throttle.attempt, account=account, source=source, at=now)

    for number in range(throttle.FREE_FAILURES["source"]):
        assert try_from("66.6.6.6", f"somebody-{number}")
    for _ in range(throttle.FREE_FAILURES["account"] + 1):
        assert not try_from("66.6.6.6", "C00000001")

    assert try_from("9.9.9.9", "C00000001")


def test_strangers_cannot_keep_an_owner_out_of_where_she_logged_in_before(branch):
    now = branch.bank.clock.now()
    home = {"account": "1102000005", "source": "192.0.2.7"}
    assert branch.bank.run(throttle.attempt, at=now, **home)
    branch.bank.run(throttle.succeeded, at=now, **home)

    tries = [
        branch.bank.run(throttle.attempt, account=home["account"], source=f"198.51.100.{number}", at=now)
        for number in range(10)
    ]

    assert tries == [True] * throttle.FREE_FAILURES["account"] + [False] * (10 - throttle.FREE_FAILURES["account"])
    assert branch.bank.run(throttle.attempt, at=now, **home)
