"""What staff's programs do: what their role may on the pages, by the same services, and for a guarded customer with a reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bank.audit.store import audit_records
from bank.customers import warnings
from tests.api.conftest import Program, code, program
from tests.builders import Branch, a_key
from tests.ledger import assert_books_balance
from tests.web.conftest import Served


@pytest.fixture
def branch(office: Served) -> Branch:
    return office.branch


@pytest.fixture
def teller(office: Served) -> Program:
    return program(office, "teller")


@pytest.fixture
def executive(office: Served) -> Program:
    return program(office, "executive")


def usd(minor: int) -> dict[str, Any]:
    return {"minor_units": minor, "currency": "USD"}


def act(who: Program, path: str, key: str | None = None, **body: Any) -> Any:
    return who.post(path, json=body, headers={"Idempotency-Key": key or a_key()})


def test_cash_goes_over_the_counter(teller: Program, branch: Branch):
    account = f"/accounts/{branch.number('alice_current')}"
    before = branch.till("teller").balance

    deposited = act(teller, f"{account}/deposits", amount=usd(30_00))
    withdrawn = act(teller, f"{account}/withdrawals", amount=usd(10_00), note="Holiday")

    assert (deposited.status_code, withdrawn.status_code) == (201, 201)
    assert deposited.json == {
        "id": deposited.json["id"],
        "account": branch.number("alice_current"),
        "amount": usd(30_00),
    }
    assert deposited.headers["Location"] == f"/api/v1/entries/{deposited.json['id']}"
    assert branch.balance("alice_current") == 120_00
    assert teller.get("/branch/till").json["balance"] == usd(before + 20_00)
    entry = teller.get(f"/entries/{withdrawn.json['id']}").json
    assert (entry["kind"], entry["description"], entry["booked_by"]) == (
        "withdrawal",
        "Holiday",
        str(branch.staff("teller")),
    )
    assert {side["account"]: side["side"] for side in entry["postings"]} == {
        branch.number("alice_current"): "debit", branch.till("teller").number: "credit",
    }  # fmt: skip
    assert_books_balance(branch.bank)


def test_no_more_is_paid_out_than_there_is(teller: Program, branch: Branch, office: Served):
    account = f"/accounts/{branch.number('alice_current')}"

    lacking = act(teller, f"{account}/withdrawals", amount=usd(100_01))
    empty = act(program(office, "spare"), f"{account}/withdrawals", amount=usd(1))

    assert (lacking.status_code, code(lacking)) == (422, "insufficient_funds")
    assert (empty.status_code, code(empty)) == (422, "till_too_low")


def test_staff_transfer_for_a_customer(teller: Program, branch: Branch):
    made = act(
        teller,
        f"/accounts/{branch.number('alice_current')}/transfers",
        to=branch.number("bob_current"),
        amount=usd(5_00),
    )
    nowhere = act(teller, f"/accounts/{branch.number('alice_current')}/transfers", to="999999999", amount=usd(5_00))

    assert made.json["from"] == branch.number("alice_current")
    assert branch.balance("bob_current") == 55_00
    assert code(nowhere) == "unknown_payee"


def test_a_hold_reserves_until_it_is_released(executive: Program, branch: Branch, office: Served):
    account = f"/accounts/{branch.number('alice_current')}"
    until = (office.clock.now() + timedelta(days=1)).isoformat()

    placed = act(executive, f"{account}/holds", amount=usd(40_00), reason="Court order", until=until)

    assert placed.status_code == 201
    [standing] = program(office, "alice", "accounts:read").get(f"{account}/holds").json["holds"]
    assert (standing["id"], standing["remaining"], standing["until"]) == (
        placed.json["id"],
        usd(40_00),
        placed.json["until"],
    )
    assert executive.get(account).json["available"] == usd(60_00)
    others = act(
        executive, f"/accounts/{branch.number('bob_current')}/holds/{placed.json['id']}/release", reason="Paid"
    )
    assert code(others) == "unknown_hold"
    released = act(executive, f"{account}/holds/{placed.json['id']}/release", reason="Paid")
    assert released.json == {
        "id": released.json["id"],
        "account": branch.number("alice_current"),
        "hold": placed.json["id"],
    }
    assert code(act(executive, f"{account}/holds/{placed.json['id']}/release", reason="Paid")) == "hold_ended"
    assert executive.get(f"{account}/holds").json == {"holds": []}


@pytest.mark.parametrize("days", [-1, 3700])
def test_a_new_hold_ends_within_ten_years(executive: Program, branch: Branch, office: Served, days: int):
    until = (office.clock.now() + timedelta(days=days)).isoformat()

    answer = act(
        executive, f"/accounts/{branch.number('alice_current')}/holds", amount=usd(1), reason="Test", until=until
    )

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "#/until")


def test_an_executive_takes_an_entry_back_once(executive: Program, branch: Branch):
    entry_id = branch.transfer("alice_current", "bob_current", 7_00)

    back = act(executive, f"/entries/{entry_id}/reversal", reason="Wrong account")

    assert back.json == {"id": back.json["id"], "reverses": str(entry_id)}
    assert branch.balance("alice_current") == 100_00
    assert code(act(executive, f"/entries/{entry_id}/reversal", reason="Again")) == "already_reversed"
    assert code(act(executive, f"/entries/{back.json['id']}/reversal", reason="Back")) == "own_entry"
    assert code(act(executive, "/entries/999999/reversal", reason="None")) == "no_such_entry"
    assert executive.get(f"/entries/{entry_id}").json["reversed_by"] == back.json["id"]
    hold = branch.hold("alice_current", 1)
    assert code(act(executive, f"/entries/{hold}/reversal", reason="Mine")) == "own_entry"


def test_an_account_is_frozen_and_opened(executive: Program, branch: Branch):
    address = f"/accounts/{branch.number('alice_current')}/status"

    frozen = executive.ask("PUT", address, json={"status": "frozen", "reason": "Fraud"})
    assert (frozen.status_code, frozen.json["status"]) == (200, "frozen")
    assert executive.ask("PUT", address, json={"status": "open", "reason": "Cleared"}).json["status"] == "open"
    actions = branch.rows(
        sa.select(audit_records.c.action, audit_records.c.reason).order_by(audit_records.c.id.desc()).limit(2)
    )
    assert actions == [("account.open", "Cleared"), ("account.frozen", "Fraud")]


def test_customers_are_found(teller: Program, branch: Branch):
    alice = branch.customer("alice")

    found = teller.get("/branch/customers?name=moreau").json
    record = teller.get(f"/branch/customers/{alice.number}").json

    assert [one["number"] for one in found["customers"]] == [alice.number]
    assert {account["number"] for account in record["accounts"]} == {
        branch.number("alice_current"), branch.number("alice_savings"),
    }  # fmt: skip
    assert "012-34" not in str(record)
    assert "identity" not in str(record)
    assert code(teller.get("/branch/customers/999999999")) == "no_such_customer"
    [holder] = teller.get(f"/branch/accounts/{branch.number('alice_current')}").json["holders"]
    assert holder == {"customer": alice.number, "name": "Alice Moreau", "role": "owner", "status": "active"}


def test_pages_of_customers_lead_on(teller: Program, branch: Branch):
    everybody = teller.get("/branch/customers?name=a").json["customers"]

    first = teller.get("/branch/customers?name=a&limit=1").json
    second = teller.get(f"/branch/customers?name=a&limit=1&after={first['next']}").json

    assert first["customers"] + second["customers"] == everybody
    assert second["next"] is None


def test_the_books_are_read_by_executives(executive: Program):
    lines = executive.get("/branch/trial-balance").json["lines"]
    status = executive.get("/branch/status").json

    assert (
        sum(line["debit"]["minor_units"] for line in lines) == sum(line["credit"]["minor_units"] for line in lines) > 0
    )
    assert status["schema_revision"] == status["schema_wanted"]
    assert executive.get("/branch/trial-balance?day=2000-01-01").json["lines"][0]["debit"] == usd(0)


def test_a_guarded_customer_s_record_takes_a_reason(teller: Program, executive: Program, branch: Branch):
    alice = branch.customer("alice")
    branch.run(warnings.warn, alice.id, "Ask for the password", needs_reason=True, operation=a_key())
    entry_id = branch.transfer("alice_current", "bob_current", 1_00, by="spare")
    number = branch.number("alice_current")
    guarded = [
        f"/branch/customers/{alice.number}",
        f"/accounts/{number}",
        f"/branch/accounts/{number}",
        f"/entries/{entry_id}",
    ]

    closed = [teller.get(path) for path in guarded]
    deposit = act(teller, f"/accounts/{number}/deposits", amount=usd(1))

    assert {(answer.status_code, code(answer)) for answer in (*closed, deposit)} == {(403, "reason_needed")}
    assert alice.number in closed[0].json["detail"]
    assert teller.get(f"/accounts/{branch.number('bob_current')}").status_code == 200
    opened = teller.post(f"/branch/customers/{alice.number}/openings", json={"reason": "She is at the counter"})
    assert (opened.status_code, opened.data) == (204, b"")
    assert [teller.get(path).status_code for path in guarded] == [200] * 4
    assert act(teller, f"/accounts/{number}/deposits", amount=usd(1)).status_code == 201
    # A reason is its giver's own, and for fifteen minutes.
    assert code(executive.get(guarded[0])) == "reason_needed"
    teller.client.application.extensions["bank"].bank.clock.step(16 * 60)
    assert code(teller.get(guarded[0])) == "reason_needed"


WRITES: dict[str, dict[str, Any]] = {
    "/accounts/{alice}/deposits": {"amount": usd(1)},
    "/accounts/{alice}/withdrawals": {"amount": usd(1)},
    "/accounts/{alice}/transfers": {"amount": usd(1), "to": "{bob}"},
    "/accounts/{alice}/holds": {"amount": usd(1), "reason": "Test"},
    "/accounts/{alice}/holds/{hold}/release": {"reason": "Test"},
    "/entries/{entry}/reversal": {"reason": "Test"},
}
AT_THE_TILL = ("teller", "cashier")


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("name", [None, "alice", "teller", "cashier", "executive"])
def test_each_role_does_what_it_does_on_the_pages(office: Served, path: str, name: str | None):
    branch = office.branch
    words = {
        "alice": branch.number("alice_current"),
        "bob": branch.number("bob_current"),
        "hold": branch.hold("alice_current", 1),
        "entry": branch.transfer("alice_current", "bob_current", 1, by="spare"),
    }
    body = {field: value.format(**words) if isinstance(value, str) else value for field, value in WRITES[path].items()}
    before = branch.balance("alice_current")

    answer = act(program(office, name), path.format(**words), **body)
    read_only = (
        act(program(office, name, "branch:read"), path.format(**words), **body) if name not in (None, "alice") else None
    )

    may = AT_THE_TILL if path.startswith("/accounts") and "hold" not in path else ("executive",)
    if name in may:
        assert answer.status_code == 201
        assert read_only is not None
        assert code(read_only) == "wrong_scope"
    else:
        assert code(answer) == ("no_token" if name is None else "wrong_kind")
        assert branch.balance("alice_current") == before
