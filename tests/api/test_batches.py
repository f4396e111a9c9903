"""Batches: each transfer with an outcome of its own, or all or none; nothing told that a single transfer would not tell."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from bank.api.batches import MOST_TRANSFERS, Outcomes
from bank.api.schemas import Problem
from bank.audit.model import Author
from bank.ledger import service as ledger
from bank.ledger.tables import journal_entries
from bank.money import Money
from bank.payments import batches
from bank.payments import service as payments
from bank.payments.model import TransferOrder
from bank.payments.sending import Instruction
from bank.payments.store import name_checks
from tests.api.conftest import Program, code, program
from tests.builders import Branch, a_key
from tests.ledger import assert_books_balance
from tests.web.conftest import Served


@pytest.fixture
def alice(office_anywhere: Served) -> Program:
    """Alice's program, who has paid Bob before."""
    office_anywhere.branch.payee("alice", "bob_current", "Bob Nakamura")
    return program(office_anywhere, "alice", "payments:write")


@pytest.fixture
def branch(office_anywhere: Served) -> Branch:
    return office_anywhere.branch


def item(
    branch: Branch, payer: str = "alice_current", payee: str = "bob_current", minor: int = 1_00, **changed: Any
) -> Any:
    return {
        "idempotency_key": a_key(),
        "from": branch.number(payer),
        "to": branch.number(payee),
        "amount": {"minor_units": minor, "currency": "USD"},
        "reference": "Lunch",
        **changed,
    }


def sent(alice: Program, *items: Any, **changed: Any) -> Any:
    answer = alice.post("/batches", json={"transfers": list(items), **changed})
    assert answer.status_code == 200, answer.text
    Outcomes.model_validate_json(answer.data)
    return answer.json


def told(answer: Any) -> list[str]:
    return [
        ("replayed " if one["replayed"] else "") + (one["problem"]["code"] if "problem" in one else one["status"])
        for one in answer["items"]
    ]


def test_each_transfer_has_its_own_outcome_in_order(alice: Program, branch: Branch):
    items = [
        item(branch),
        item(branch, minor=1_000_00),
        item(branch, payer="bob_current", payee="alice_current"),
        item(branch, payee="alice_current"),
        item(branch, payee="alice_savings", minor=2_00),
        item(branch, amount={"minor_units": 1, "currency": "EUR"}),
        item(branch, to="999999999"),
        item(branch, minor=3_00),
    ]

    answer = sent(alice, *items)

    assert told(answer) == [
        "booked", "insufficient_funds", "no_such_account", "same_account", "booked", "currency_mismatch", "unknown_payee",
        "booked",
    ]  # fmt: skip
    assert (answer["booked"], answer["refused"]) == (3, 5)
    first = answer["items"][0]["transfer"]
    assert first == {"id": first["id"], **{name: items[0][name] for name in ("from", "to", "amount", "reference")}}
    assert (branch.balance("alice_current"), branch.balance("bob_current")) == (94_00, 54_00)
    assert_books_balance(branch.bank)


def test_sent_again_it_pays_nothing_twice_and_does_only_the_rest(alice: Program, branch: Branch):
    items = [item(branch), item(branch, minor=1_000_00), item(branch)]
    first = sent(alice, *items)
    branch.deposit(branch.accounts["alice_current"], 5_000_00)

    again = sent(alice, *items, item(branch))

    assert told(again) == ["replayed booked", "replayed insufficient_funds", "replayed booked", "booked"]
    assert [one.get("transfer") for one in again["items"][:3]] == [one.get("transfer") for one in first["items"]]
    assert [one.get("problem") for one in again["items"][:3]] == [one.get("problem") for one in first["items"]]
    assert branch.balance("bob_current") == 53_00


def test_a_key_of_a_single_transfer_is_the_same_in_a_batch(alice: Program, branch: Branch):
    one = item(branch, reference="")
    single = {name: value for name, value in one.items() if name != "idempotency_key"}
    made = alice.post("/transfers", json=single, headers={"Idempotency-Key": one["idempotency_key"]})

    answer = sent(alice, one, {**one, "reference": "Dinner"}, {**one, "amount": {"minor_units": 9, "currency": "USD"}})

    assert told(answer) == ["replayed booked", "key_reused", "key_reused"]
    assert answer["items"][0]["transfer"] == made.json
    assert branch.balance("bob_current") == 51_00


def test_the_same_key_twice_in_a_batch_pays_once(alice: Program, branch: Branch):
    one = item(branch)

    assert told(sent(alice, one, one, {**one, "reference": "Dinner"})) == ["booked", "replayed booked", "key_reused"]
    assert branch.balance("bob_current") == 51_00


@pytest.mark.parametrize("reference", ["", 'Zoë’s "lunch" \\ 🍜 <b>', "a" * 100])
def test_it_is_the_entry_that_the_slow_way_makes(alice: Program, branch: Branch, reference: str):
    one = item(branch, reference=reference)
    [made] = sent(alice, one)["items"]
    order = TransferOrder(
        branch.accounts["alice_current"].id, branch.accounts["bob_current"].id, Money(1_00, "USD"), reference,
        one["idempotency_key"], branch.customer("alice").id,
    )  # fmt: skip

    again = payments.transfer(branch.bank, order, by=branch.author("alice"))

    assert (str(again.entry_id), again.replayed) == (made["transfer"]["id"], True)


def test_limits_hold_but_for_transfers_between_one_s_own(alice: Program, branch: Branch):
    settings = branch.bank.settings
    one, day = settings.limit_per_payment_minor, settings.limit_per_day_minor
    branch.deposit(branch.accounts["alice_current"], 3 * day)
    payments_of_a_day, left = divmod(day, one)

    answer = sent(
        alice,
        item(branch, minor=one + 1),
        *(item(branch, minor=one) for _ in range(payments_of_a_day)),
        item(branch, minor=left + 1),
        item(branch, payee="alice_savings", minor=2 * one),
    )

    assert told(answer) == ["over_payment_limit", *["booked"] * payments_of_a_day, "over_daily_limit", "booked"]


def test_all_or_nothing_books_all(alice: Program, branch: Branch):
    items = [item(branch), item(branch, payee="alice_savings")]
    sent(alice, items[0])

    assert told(sent(alice, *items, all_or_nothing=True)) == ["replayed booked", "booked"]
    assert branch.balance("bob_current") == 51_00


def test_all_or_nothing_books_nothing_and_uses_no_key_up(alice: Program, branch: Branch):
    items = [item(branch, minor=60_00), item(branch, minor=60_00), item(branch, to="999999999")]
    entries = sa.select(sa.func.count()).select_from(journal_entries)
    before = branch.rows(entries)

    answer = alice.post("/batches", json={"transfers": items, "all_or_nothing": True})

    assert (answer.status_code, code(answer)) == (422, "batch_refused")
    Problem.model_validate_json(answer.data)
    assert [(one["index"], one["problem"]["code"]) for one in answer.json["items"]] == [
        (1, "insufficient_funds"), (2, "unknown_payee"),
    ]  # fmt: skip
    assert branch.rows(entries) == before
    assert told(sent(alice, *items[:2])) == ["booked", "insufficient_funds"]


def test_a_batch_tries_no_more_numbers_than_a_day_has(alice: Program, branch: Branch):
    """Whether the numbers beyond are somebody's is not told."""
    most = branch.bank.settings.name_checks_per_day
    carol = branch.add_customer("carol", "Carol Diaz", "078-05-1120")
    branch.open_account("carol", "current")
    wrong = [item(branch, to=str(900_000_000 + at)) for at in range(most - 1)]

    answer = sent(
        alice, *wrong, wrong[0], item(branch, payee="carol_current"), item(branch), item(branch, to="900000099")
    )

    assert carol.active
    assert told(answer) == ["unknown_payee"] * most + ["booked", "booked", "too_many_name_checks"]
    assert told(sent(alice, item(branch, payee="carol_current"), item(branch, to="900000098"))) == [
        "booked", "too_many_name_checks",
    ]  # fmt: skip
    assert len(branch.rows(sa.select(name_checks.c.id))) == most


def test_the_state_of_somebody_else_s_account_is_not_told(alice: Program, branch: Branch):
    for account in ("bob_current", "alice_savings"):
        branch.run(ledger.set_status, branch.accounts[account].id, "frozen", reason="Test")

    answer = sent(alice, item(branch), item(branch, payer="alice_savings", minor=1))
    branch.run(ledger.set_status, branch.accounts["alice_current"].id, "frozen", reason="Test")
    both = sent(alice, item(branch, payer="alice_savings", payee="alice_current", minor=1))

    assert told(answer) == ["payee_cannot_receive", "account_frozen"]
    # Of several reasons the payer's own is told first, as of a single transfer.
    assert told(both) == ["account_frozen"]


def test_a_batch_of_the_most_transfers_is_made_in_slices(office_anywhere: Served, alice: Program, branch: Branch):
    branch.deposit(branch.accounts["alice_current"], 9_000_00)
    asked = [
        Instruction(branch.number("alice_current"), branch.number("alice_savings"), Money(1, "USD"), "", a_key())
        for _ in range(batches.SLICE + 1)
    ]
    by: Author = branch.author("alice")

    made = batches.send(branch.bank, branch.customer("alice").id, asked, by=by)
    again = batches.send_all(branch.bank, branch.customer("alice").id, asked, by=by)

    assert [one.entry_id for one in made] == [one.entry_id for one in again]  # type: ignore[union-attr]
    assert branch.balance("alice_savings") == 20_00 + batches.SLICE + 1
    assert_books_balance(branch.bank)


def test_a_batch_is_bounded(office: Served):
    branch, asks = office.branch, program(office, "alice")
    many = [{**item(branch), "idempotency_key": str(at)} for at in range(MOST_TRANSFERS + 1)]
    before = branch.dump()

    answers = [
        asks.post("/batches", json={"transfers": given})
        for given in ([], many, [{**many[0], "surprise": 1}], [{**many[0], "idempotency_key": "a b"}])
    ]
    large = asks.post("/batches", data=b" " * (4 * 1024 * 1024 + 1), content_type="application/json")

    assert [(answer.status_code, code(answer)) for answer in answers] == [(422, "invalid_request")] * 4
    assert answers[2].json["errors"] == [
        {"pointer": "#/transfers/0/surprise", "detail": "Extra inputs are not permitted"}
    ]
    assert (large.status_code, code(large)) == (413, "body_too_large")
    assert {name: rows for name, rows in branch.dump().items() if name != "api_tokens"} == {
        name: rows for name, rows in before.items() if name != "api_tokens"
    }


def test_only_a_customer_s_token_for_payments_sends_one(office: Served):
    body = {"transfers": [item(office.branch)]}
    refused = [
        code(program(office, name, *scopes).post("/batches", json=body))
        for name, scopes in ((None, ()), ("alice", ("accounts:read",)), ("teller", ()), ("executive", ()))
    ]

    assert refused == ["no_token", "wrong_scope", "wrong_kind", "wrong_kind"]
