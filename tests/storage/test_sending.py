"""A payment by session or token in one message: who may make it, and that it is the payment of the form's slow way."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from bank.errors import BankError
from bank.identity import sessions
from bank.identity.store import api_tokens
from bank.identity.store import sessions as session_rows
from bank.ledger.model import JournalEntry, Posting, Side
from bank.ledger.tables import journal_entries
from bank.money import Money
from bank.payments import sending
from bank.payments import service as payments
from bank.payments.model import TransferOrder
from bank.payments.sending import Credential, Instruction
from bank.payments.store import name_checks, scheduled_payments
from bank.storage.transaction import Bank
from tests.builders import Branch, a_bank, a_key
from tests.ledger import assert_books_balance
from tests.racing import racers
from tests.servers import DatabaseUrls


@pytest.fixture
def branch(database_urls: DatabaseUrls) -> Iterator[Branch]:
    bank = a_bank(database_urls.app)
    branch = Branch.open(bank)
    branch.payee("alice", "bob_current", "Bob Nakamura")
    yield branch
    assert_books_balance(bank)
    bank.engine.dispose()


def session(branch: Branch, name: str = "alice") -> Credential:
    return Credential(sending.SESSION, sessions.digest(branch.session_of(name)))


def token(branch: Branch, name: str = "alice", **changed: Any) -> Credential:
    secret = secrets.token_urlsafe(32)
    now = branch.bank.clock.now()
    row = {
        "token_digest": sessions.digest(secret),
        "kind": "customer",
        "person_id": branch.customer(name).id,
        "name": "Bookkeeping",
        "scopes": "accounts:read payments:write",
        "created_at": now,
        "expires_at": now + timedelta(days=1),
        **changed,
    }
    branch.bank.run(lambda tx: tx.execute(api_tokens.insert(), row))
    return Credential(sending.TOKEN, sessions.digest(secret))


def lunch(branch: Branch, payer: str = "alice_current", payee: str = "bob_current", minor: int = 12_50) -> Instruction:
    return Instruction(branch.number(payer), branch.number(payee), Money(minor, "USD"), "Lunch", a_key())


def said(branch: Branch, instruction: Instruction, credential: Credential) -> str:
    try:
        receipt = sending.send(branch.bank, instruction, credential)
    except BankError as refused:
        return refused.code
    return "replayed" if receipt.replayed else "paid"


@pytest.mark.parametrize("means", [session, token])
def test_whoever_is_signed_in_pays_from_their_own_account(branch: Branch, means: Any):
    assert said(branch, lunch(branch), means(branch)) == "paid"

    assert (branch.balance("alice_current"), branch.balance("bob_current")) == (87_50, 62_50)


@pytest.mark.parametrize("reference", ["", 'Zoë’s "lunch" \\ 🍜 <b>', "a" * 100])
def test_it_is_the_entry_that_the_slow_way_makes(branch: Branch, reference: str):
    """The same key by the other way is the same payment: so the digest, made in the database, is the same too."""
    asked = replace(lunch(branch), reference=reference)
    receipt = sending.send(branch.bank, asked, session(branch))
    order = TransferOrder(
        branch.accounts["alice_current"].id, branch.accounts["bob_current"].id, asked.amount, reference, asked.key,
        branch.customer("alice").id,
    )  # fmt: skip

    again = payments.transfer(branch.bank, order, by=branch.author("alice"))

    assert (again.entry_id, again.replayed) == (receipt.entry_id, True)
    [row] = branch.rows(sa.select(journal_entries).where(journal_entries.c.id == receipt.entry_id))
    assert (row.caller, row.kind) == (str(branch.customer("alice")), "transfer")
    assert row.narrative == (reference or "Transfer")


def test_a_key_is_answered_as_the_first_time_for_ever(branch: Branch):
    me, asked = session(branch), lunch(branch)
    dear = replace(lunch(branch), amount=Money(900_00, "USD"))

    told = [said(branch, one, me) for one in (asked, asked, replace(asked, reference="Dinner"), dear)]
    branch.deposit(branch.accounts["alice_current"], 1_000_00)

    assert told == ["paid", "replayed", "key_reused", "insufficient_funds"]
    assert said(branch, dear, me) == "insufficient_funds"
    assert branch.balance("bob_current") == 62_50


def test_another_s_account_does_not_exist(branch: Branch):
    assert said(branch, lunch(branch, "bob_current", "alice_current"), session(branch)) == "no_such_account"
    assert said(branch, replace(lunch(branch), payer="999999999"), session(branch)) == "no_such_account"
    assert said(branch, lunch(branch, payee="alice_current"), session(branch)) == "same_account"


def _revoked(branch: Branch) -> Credential:
    me = session(branch)
    branch.bank.run(sessions.revoke_all, "customer", branch.customer("alice").id, at=branch.bank.clock.now())
    return me


def _idle(branch: Branch) -> Credential:
    me = session(branch)
    branch.bank.clock.step(branch.bank.settings.customer_idle_seconds + 1)  # type: ignore[attr-defined]
    return me


def _old(branch: Branch) -> Credential:
    me = session(branch)
    branch.bank.clock.step(branch.bank.settings.session_absolute_seconds + 1)  # type: ignore[attr-defined]
    return replace(me, seen=branch.bank.clock.now())


def _of_an_inactive_customer(branch: Branch) -> Credential:
    branch.bank.run(lambda tx: tx.execute(sa.text("UPDATE customers SET status = 'inactive'")))
    return session(branch)


ENDED: dict[str, Callable[[Branch], Credential]] = {
    "no such session": lambda _: Credential(sending.SESSION, sessions.digest("nothing")),
    "a session sent as a token": lambda branch: replace(session(branch), means=sending.TOKEN),
    "a session of staff": lambda branch: session(branch, "teller"),
    "a revoked session": _revoked,
    "an idle session": _idle,
    "an old session": _old,
    "an inactive customer": _of_an_inactive_customer,
    "an expired token": lambda branch: token(branch, expires_at=branch.bank.clock.now()),
    "a revoked token": lambda branch: token(branch, revoked_at=branch.bank.clock.now()),
    "a token of staff": lambda branch: token(branch, kind="staff", person_id=branch.staff("teller").id),
}


@pytest.mark.parametrize("how", ENDED)
def test_what_has_ended_pays_nothing(branch: Branch, how: str):
    me = ENDED[how](branch)

    assert said(branch, lunch(branch), me) == "signed_out"

    assert branch.balance("alice_current") == 100_00


def test_a_session_that_its_cookie_knows_to_be_in_use_goes_on(branch: Branch):
    """A page writes nothing; the payment after a long read stores the use."""
    me = session(branch)
    branch.bank.clock.step(branch.bank.settings.customer_idle_seconds + 1)  # type: ignore[attr-defined]
    now = branch.bank.clock.now()

    assert said(branch, lunch(branch), replace(me, seen=now - timedelta(seconds=5))) == "paid"

    [(used_at,)] = branch.rows(sa.select(session_rows.c.last_used_at))
    assert abs(used_at - now) < timedelta(seconds=30)


def test_a_token_pays_only_with_that_scope_and_its_use_is_noted_by_day(branch: Branch):
    reads, pays = token(branch, scopes="accounts:read"), token(branch)

    assert said(branch, lunch(branch), reads) == "wrong_scope"
    assert said(branch, lunch(branch), token(branch, scopes="payments:writer")) == "wrong_scope"
    assert said(branch, lunch(branch), pays) == "paid"

    [(used_on,)] = branch.rows(sa.select(api_tokens.c.last_used_on).where(api_tokens.c.token_digest == pays.digest))
    assert used_on == branch.bank.clock.business_date()


def test_a_number_never_tried_is_counted_first(branch: Branch):
    me = session(branch, "bob")
    unknown = replace(lunch(branch, "bob_current"), payee="360299993")

    told = [said(branch, one, me) for one in (lunch(branch, "bob_current", "alice_current"), unknown, unknown)]

    assert told == ["paid", "unknown_payee", "unknown_payee"]
    tries = branch.rows(sa.select(name_checks.c.number, name_checks.c.result).order_by(name_checks.c.id))
    assert [tuple(row) for row in tries] == [
        (branch.number("alice_current"), "none"), (unknown.payee, "unknown"), (unknown.payee, "unknown"),
    ]  # fmt: skip


def test_nobody_tries_more_numbers_than_one_may(branch: Branch):
    me = session(branch, "bob")
    most = branch.bank.settings.name_checks_per_day
    for _ in range(most):
        assert said(branch, replace(lunch(branch, "bob_current"), payee="360299993"), me) == "unknown_payee"

    assert said(branch, lunch(branch, "bob_current", "alice_current"), me) == "too_many_name_checks"


def test_limits_hold_for_others_accounts_and_not_between_ones_own(branch: Branch):
    branch.deposit(branch.accounts["alice_current"], 60_000_00)
    me = session(branch)

    assert said(branch, lunch(branch, minor=10_000_01), me) == "over_payment_limit"
    assert said(branch, lunch(branch, payee="alice_savings", minor=10_000_01), me) == "paid"
    assert [said(branch, lunch(branch, minor=9_000_00), me) for _ in range(3)] == ["paid", "paid", "over_daily_limit"]


def test_a_shared_owner_alone_is_no_way_round_the_limits(branch: Branch):
    branch.deposit(branch.accounts["alice_current"], 20_000_00)
    shared = {
        "account_id": branch.accounts["alice_savings"].id, "customer_id": branch.customer("bob").id, "role": "owner",
        "since": branch.bank.clock.now(),
    }  # fmt: skip
    branch.bank.run(lambda tx: tx.execute(sa.text(
        "INSERT INTO account_holders (account_id, customer_id, role, since) VALUES (:account_id, :customer_id, :role, :since)"
    ).bindparams(sa.bindparam("since", type_=session_rows.c.created_at.type)), shared))  # fmt: skip

    told = said(branch, lunch(branch, payee="alice_savings", minor=10_000_01), session(branch))

    assert told == "over_payment_limit"


def test_the_state_of_the_payee_s_account_is_not_told(branch: Branch):
    branch.bank.run(lambda tx: tx.execute(sa.text(
        "UPDATE ledger_accounts SET status = 'frozen' WHERE id = :id"), {"id": branch.accounts["bob_current"].id}
    ))  # fmt: skip

    assert said(branch, lunch(branch), session(branch)) == "payee_cannot_receive"
    assert said(branch, lunch(branch, "bob_current", "alice_current"), session(branch, "bob")) == "account_frozen"


def test_an_operation_that_scheduled_a_payment_pays_nothing_now(branch: Branch):
    made = branch.schedule("alice_current", "bob_current", 5_00)
    [(operation,)] = branch.rows(sa.select(scheduled_payments.c.operation))
    asked = replace(lunch(branch), key=operation.partition(":")[2])

    with pytest.raises(sending.PlannedAlready) as planned:
        sending.send(branch.bank, asked, session(branch))

    assert planned.value.scheduled_id == made
    assert branch.balance("alice_current") == 100_00


def as_message(branch: Branch, asked: Instruction, who: Credential) -> dict[str, Any]:
    return sending._message(branch.bank, asked, who, branch.bank.clock.now())


def test_many_at_once_are_answered_in_their_order(branch: Branch):
    """Paid, denied, refused and replayed in one message, as each would be by itself."""
    alice, bob = session(branch), session(branch, "bob")
    first, dear = lunch(branch), lunch(branch, minor=900_00)
    asked = [
        (first, alice),
        (lunch(branch, "bob_current", "alice_current"), alice),
        (dear, alice),
        (lunch(branch, "bob_current", "alice_current"), bob),
        (lunch(branch, payee="alice_savings"), alice),
        (first, alice),
        (lunch(branch), Credential(sending.SESSION, sessions.digest("nothing"))),
    ]
    with branch.bank.connect() as connection:
        answers = branch.bank.dialect.send(connection, [as_message(branch, *one) for one in asked])

    told = [(how, why) for how, _, why, _ in answers]
    assert told == [
        ("posted", None),
        ("denied", "no_such_account"),
        ("refused", "insufficient_funds"),
        ("denied", "untried"),
        ("posted", None),
        ("replayed", None),
        ("denied", "signed_out"),
    ]
    assert answers[5][1] == answers[0][1]
    assert answers[2][3]["needed"] == 900_00


def test_what_the_database_cannot_take_harms_nobody_else(branch: Branch):
    """In a batch with a message that the database cannot read, every other one is paid once."""
    me = session(branch)
    good = [as_message(branch, lunch(branch, minor=1_00), me) for _ in range(5)]
    broken = {**as_message(branch, lunch(branch), me), "booked_at": "not a time"}

    def send(message: dict[str, Any], bank: Bank) -> Any:
        try:
            return branch.bank.send(message)[0]
        except (sa.exc.DBAPIError, ValueError):
            return "broken"

    with racers(str(branch.bank.settings.database_url), 6) as ready:
        told = ready.race(*(partial(send, message) for message in [*good[:3], broken, *good[3:]]))

    assert sorted(map(str, told)) == ["broken", *["posted"] * 5]
    assert branch.balance("bob_current") == 55_00


def test_two_processes_of_one_customer_pay_a_key_once(branch: Branch):
    me, asked = session(branch), lunch(branch)

    def send(bank: Bank) -> str:
        receipt = sending.send(bank, asked, me)
        return "replayed" if receipt.replayed else "paid"

    with racers(str(branch.bank.settings.database_url), 6) as ready:
        told = ready.race(*[send] * 6)

    assert sorted(map(str, told)) == ["paid", *["replayed"] * 5]
    assert branch.balance("bob_current") == 62_50


def test_the_message_s_digest_is_the_entry_s(branch: Branch):
    """What JournalEntry would say of itself, whichever account has the lower id."""
    for payer, payee, name in (("alice_current", "bob_current", "alice"), ("bob_current", "alice_current", "bob")):
        branch.payee("bob", "alice_current", "Alice Moreau")
        asked, by = lunch(branch, payer, payee), branch.author(name)
        receipt = sending.send(branch.bank, asked, session(branch, name))
        entry = JournalEntry(
            caller=by.who, idempotency_key=asked.key, kind="transfer", narrative="Lunch",
            booking_date=by.business_date, value_date=by.business_date, booked_at=by.at,
            postings=(
                Posting(branch.accounts[payer].id, Side.DEBIT, asked.amount),
                Posting(branch.accounts[payee].id, Side.CREDIT, asked.amount),
            ),
        )  # fmt: skip
        [(kept,)] = branch.rows(sa.select(journal_entries.c.digest).where(journal_entries.c.id == receipt.entry_id))
        assert kept == entry.digest(), json.dumps(payer)
