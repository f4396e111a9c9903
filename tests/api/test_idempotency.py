"""What an Idempotency-Key promises, of every call that moves money."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from bank.ledger import store as ledger_store
from bank.ledger.tables import journal_entries
from tests.api.conftest import Program, code, program
from tests.builders import Branch, a_key
from tests.gunicorn_server import wait_until
from tests.ledger import assert_books_balance
from tests.web.conftest import Served


def usd(minor: int) -> dict[str, Any]:
    return {"minor_units": minor, "currency": "USD"}


Call = tuple[str, str, dict[str, Any], dict[str, Any]]


def transfer(branch: Branch) -> Call:
    body = {"from": branch.number("alice_current"), "to": branch.number("alice_savings"), "amount": usd(1_00)}
    return "alice", "/transfers", body, {"amount": usd(1_01)}


def deposit(branch: Branch) -> Call:
    return "teller", f"/accounts/{branch.number('alice_current')}/deposits", {"amount": usd(1_00)}, {"note": "Other"}


def withdrawal(branch: Branch) -> Call:
    return "teller", f"/accounts/{branch.number('alice_current')}/withdrawals", {"amount": usd(1_00)}, {"note": "Other"}


def branch_transfer(branch: Branch) -> Call:
    body = {"to": branch.number("bob_current"), "amount": usd(1_00)}
    return "teller", f"/accounts/{branch.number('alice_current')}/transfers", body, {"reference": "Other"}


def hold(branch: Branch) -> Call:
    body = {"amount": usd(1_00), "reason": "Court order", "until": "2035-01-01T00:00:00Z"}
    return "executive", f"/accounts/{branch.number('alice_current')}/holds", body, {"until": "2035-01-02T00:00:00Z"}


def release(branch: Branch) -> Call:
    path = f"/accounts/{branch.number('alice_current')}/holds/{branch.hold('alice_current', 1)}/release"
    return "executive", path, {"reason": "Paid"}, {"reason": "Other"}


def reversal(branch: Branch) -> Call:
    path = f"/entries/{branch.transfer('alice_current', 'bob_current', 1)}/reversal"
    return "executive", path, {"reason": "Wrong account"}, {"reason": "Other"}


MONEY: tuple[Callable[[Branch], Call], ...] = (
    transfer, deposit, withdrawal, branch_transfer, hold, release, reversal,
)  # fmt: skip


def entries(branch: Branch) -> list[Any]:
    return branch.rows(sa.select(journal_entries.c.id).order_by(journal_entries.c.id))


def sent(who: Program, path: str, body: Any, key: str | None) -> Any:
    return who.post(path, json=body, headers={} if key is None else {"Idempotency-Key": key})


@pytest.mark.parametrize("make", MONEY)
def test_every_call_that_moves_money_takes_a_key_for_ever(office_anywhere: Served, make: Callable[[Branch], Call]):
    """security: missing 400; replay the same status and body; the same key with another body 422; a wrong form is not kept."""
    branch = office_anywhere.branch
    name, path, body, other = make(branch)
    who, key = program(office_anywhere, name), "!" * 254 + "~"
    before = entries(branch)

    missing = [sent(who, path, body, wrong) for wrong in (None, "", "a b", "\u00e9", "x" * 256)]
    unread = [sent(who, path, wrong, key) for wrong in ({}, {**body, "surprise": 1})]
    assert [(one.status_code, code(one)) for one in missing] == [(400, "idempotency_key_missing")] * 5
    assert [(one.status_code, code(one)) for one in unread] == [(422, "invalid_request")] * 2
    assert entries(branch) == before

    first = sent(who, path, body, key)
    again = sent(who, path, body, key)
    reused = sent(who, path, {**body, **other}, key)
    later = sent(who, path, body, key)

    assert first.status_code == 201, first.text
    assert "Idempotent-Replayed" not in first.headers
    for one in (again, later):
        assert (one.status_code, one.data) == (201, first.data)
        assert one.headers["Idempotent-Replayed"] == "true"
        assert one.headers["Location"] == first.headers["Location"]
    assert (reused.status_code, code(reused)) == (422, "key_reused")
    assert "Idempotent-Replayed" not in reused.headers
    assert len(entries(branch)) == len(before) + 1
    assert_books_balance(branch.bank)


REFUSED: dict[str, Callable[[Branch], tuple[str, str, dict[str, Any], str]]] = {
    "transfer": lambda branch: (
        *transfer(branch)[:2], {**transfer(branch)[2], "amount": usd(9_000_00)}, "insufficient_funds"
    ),
    "withdrawal": lambda branch: (*withdrawal(branch)[:2], {"amount": usd(9_000_00)}, "insufficient_funds"),
    "withdrawal from an empty till": lambda branch: ("spare", withdrawal(branch)[1], {"amount": usd(1)}, "till_too_low"),
    "branch transfer": lambda branch: (
        *branch_transfer(branch)[:2], {**branch_transfer(branch)[2], "amount": usd(9_000_00)}, "insufficient_funds"
    ),
    "hold": lambda branch: (*hold(branch)[:2], {"amount": usd(9_000_00), "reason": "Test"}, "insufficient_funds"),
}  # fmt: skip


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_answered_again_though_the_money_has_come(office_anywhere: Served, make: Callable[[Branch], Any]):
    branch = office_anywhere.branch
    name, path, body, why = make(branch)
    who, key = program(office_anywhere, name), a_key()

    first = sent(who, path, body, key)
    branch.deposit(branch.accounts["alice_current"], 9_000_00)
    branch.supply("spare", 1_00)
    again = sent(who, path, body, key)

    assert (first.status_code, code(first)) == (422, why)
    assert "Idempotent-Replayed" not in first.headers
    assert (again.status_code, again.data) == (422, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_key_is_its_person_s_own(office: Served):
    branch, key = office.branch, a_key()
    path, body = deposit(branch)[1:3]

    answers = [sent(program(office, name), path, body, key) for name in ("teller", "cashier", "teller")]

    assert [(one.status_code, one.headers.get("Idempotent-Replayed")) for one in answers] == [
        (201, None), (201, None), (201, "true"),
    ]  # fmt: skip
    assert branch.balance("alice_current") == 102_00


def test_two_at_once_wait_for_one_another_and_pay_once(office_anywhere: Served):
    """In flight: whoever comes second waits for the first one's commit, and is answered as it was."""
    branch, key = office_anywhere.branch, a_key()
    name, path, body, _other = deposit(branch)
    programs = [program(office_anywhere, name) for _ in range(2)]
    bank = branch.bank
    with ThreadPoolExecutor(2) as pool, bank.engine.connect() as holding:
        holding.exec_driver_sql(bank.dialect.begin)
        ledger_store.lock(holding, branch.accounts["alice_current"].id)
        taken: list[int] = []
        sa.event.listen(bank.engine, "checkout", lambda *_: taken.append(1))
        running = [pool.submit(sent, who, path, body, key) for who in programs]
        # Each has taken a connection to be let in by and given it back, and has one now to post by.
        at_the_door = lambda: len(taken) >= 4 and bank.engine.pool.checkedout() == 3  # type: ignore[attr-defined]  # noqa: E731
        wait_until(at_the_door, 20, "both to be at the door")
        assert not any(one.done() for one in running)
        holding.exec_driver_sql("ROLLBACK")
        answers = [one.result(60) for one in running]

    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].data == answers[1].data
    assert sorted(one.headers.get("Idempotent-Replayed", "") for one in answers) == ["", "true"]
    assert branch.balance("alice_current") == 101_00
