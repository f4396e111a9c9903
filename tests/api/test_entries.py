"""What is booked, as each person may read it: a customer what moved their own accounts, staff any entry."""

from __future__ import annotations

import pytest

from tests.api.conftest import code, program
from tests.builders import a_key
from tests.web.conftest import Served


@pytest.mark.parametrize(
    ("who", "scopes", "said"),
    [
        ("alice", (), "200"),
        ("bob", (), "200"),
        ("carol", (), "no_such_entry"),
        ("alice", ("payments:write",), "wrong_scope"),
        ("teller", (), "wrong_kind"),
        (None, (), "no_token"),
    ],
)
def test_a_transfer_is_read_by_whose_accounts_it_moved(
    office: Served, who: str | None, scopes: tuple[str, ...], said: str
):
    branch = office.branch
    branch.add_customer("carol", "Carol Diaz", "078-05-1120")
    branch.payee("alice", "bob_current", "Bob Nakamura")
    body = {
        "from": branch.number("alice_current"), "to": branch.number("bob_current"), "reference": "Lunch",
        "amount": {"minor_units": 3_00, "currency": "USD"},
    }  # fmt: skip
    made = program(office, "alice").post("/transfers", json=body, headers={"Idempotency-Key": a_key()})

    answer = program(office, who, *scopes).get(made.headers["Location"].removeprefix("/api/v1"))

    if said != "200":
        assert code(answer) == said
        return
    told = answer.json
    assert {name: told[name] for name in made.json} == made.json
    assert (told["reversed_by"], told["booking_date"]) == (None, str(branch.bank.clock.business_date()))


def test_what_became_of_a_transfer_is_told_by_its_key_to_whoever_asked_for_it(office: Served):
    branch, alice = office.branch, program(office, "alice")
    body = {"from": branch.number("alice_current"), "to": branch.number("alice_savings")}
    sizes = {"booked": 3_00, "refused": 9_000_00}
    for key, size in sizes.items():
        asked = {**body, "amount": {"minor_units": size, "currency": "USD"}}
        alice.post("/transfers", json=asked, headers={"Idempotency-Key": key})

    fates = {key: alice.get(f"/transfers?idempotency_key={key}") for key in (*sizes, "never")}
    others = program(office, "bob").get("/transfers?idempotency_key=booked")

    assert (fates["booked"].json["refused"], fates["refused"].json["refused"]) == (None, "insufficient_funds")
    assert alice.get(f"/transfers/{fates['booked'].json['id']}").status_code == 200
    assert (code(fates["never"]), code(others)) == ("no_such_entry", "no_such_entry")
    assert code(alice.get("/transfers")) == "invalid_request"


@pytest.mark.parametrize("entry", ["deposit", "refused", "999999", "0", "x", "9" * 30])
def test_what_is_no_transfer_of_theirs_does_not_exist(office: Served, entry: str):
    branch, alice = office.branch, program(office, "alice")
    entry = str(branch.deposit(branch.accounts["alice_current"], 1)) if entry == "deposit" else entry
    if entry == "refused":
        body = {
            "from": branch.number("alice_current"), "to": branch.number("alice_savings"),
            "amount": {"minor_units": 9_000_00, "currency": "USD"},
        }  # fmt: skip
        assert alice.post("/transfers", json=body, headers={"Idempotency-Key": "k"}).status_code == 422
        entry = str(branch.deposit(branch.accounts["bob_current"], 1) - 1)

    assert alice.get(f"/transfers/{entry}").status_code == 404


@pytest.mark.parametrize(
    ("who", "said"), [("teller", "200"), ("executive", "200"), ("alice", "wrong_kind"), (None, "no_token")]
)
def test_entries_are_read_by_the_branch(office: Served, who: str | None, said: str):
    entry_id = office.branch.transfer("alice_current", "bob_current", 1)

    answer = program(office, who).get(f"/entries/{entry_id}")

    assert ("200" if answer.status_code == 200 else code(answer)) == said


@pytest.mark.parametrize(
    ("who", "scopes", "said"),
    [
        ("alice", (), "200"),
        ("alice", ("statements:read",), "wrong_scope"),
        ("bob", (), "no_such_account"),
        ("teller", (), "200"),
        (None, (), "no_token"),
    ],
)
def test_holds_are_read_by_whose_account_it_is_and_by_the_branch(
    office: Served, who: str | None, scopes: tuple[str, ...], said: str
):
    office.branch.hold("alice_current", 1_00)

    answer = program(office, who, *scopes).get(f"/accounts/{office.branch.number('alice_current')}/holds")

    assert ("200" if answer.status_code == 200 else code(answer)) == said
    if said == "200":
        assert [hold["remaining"]["minor_units"] for hold in answer.json["holds"]] == [1_00]


@pytest.mark.parametrize(
    "path", ["/branch/trial-balance", "/branch/status", "/branch/till", "/branch/customers?name=a"]
)
@pytest.mark.parametrize("who", ["alice", "teller", "executive", None])
def test_the_branch_s_own_pages_are_read_as_on_the_web(office: Served, path: str, who: str | None):
    may = {"/branch/trial-balance": ("executive",), "/branch/status": ("executive",), "/branch/till": ("teller",)}

    answer = program(office, who).get(path)

    if who in may.get(path, ("teller", "executive")):
        assert answer.status_code == 200
    else:
        assert code(answer) == ("no_token" if who is None else "wrong_kind")
