"""The drill's checker: a run without a fault passes, and each broken promise is found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drill.check import check
from tests.drill.history import Event
from tests.drill.ledger_read import Entry, LedgerRead, Line
from tests.unit.drill_runs import MadeUp, a_run, ended


def rules(run: MadeUp, ledger: LedgerRead | None = None, **how: Any) -> set[str]:
    """The names of the rules that are broken."""
    return {found.rule for found in check(run.history, ledger or run.ledger, run.opening, **how)}


def tell(run: MadeUp, place: int, **told: Any) -> None:
    """Let an answer have said something else."""
    event = run.history[place]
    run.history[place] = replace(event, value={**event.value, **told})


def without(run: MadeUp, reference: str) -> MadeUp:
    """The run with a ledger that never had this payment; everything else is booked as it was, one after the other."""
    rebuilt = MadeUp(history=run.history)
    for entry in run.entries:
        [(payer, minor)] = [(line.account, -line.minor) for line in entry.lines if line.minor < 0]
        [payee] = [line.account for line in entry.lines if line.minor > 0]
        if entry.reference != reference:
            rebuilt.book(entry.reference, payer, payee, minor)
            rebuilt.entries[-1] = replace(rebuilt.entries[-1], id=entry.id)
    return rebuilt


@given(st.integers(0, 10_000), st.integers(0, 80))
def test_a_run_without_a_fault_breaks_no_promise(seed: int, steps: int):
    run = a_run(seed, steps)
    healed_at = run.history[-1].at + 0.05
    run.pay(0, "after", "A", "B", 1)

    assert check(run.history, run.ledger, run.opening, healed_at=healed_at) == []


def test_an_accepted_payment_that_is_not_in_the_ledger_is_found_though_all_balances_add_up():
    run = without(a_run(), "kB")

    assert "lost" in rules(run)
    assert not {"total", "books"} & rules(run)


def test_an_accepted_payment_that_is_another_entry_than_was_told_is_found():
    run = a_run()
    tell(run, ended(run.history, "pay"), entry=10)

    assert "lost" in rules(run)


def test_a_payment_that_was_found_by_looking_and_is_not_in_the_ledger_is_found():
    assert {"lost", "unresolved"} <= rules(without(a_run(), "kD"))


def test_a_payment_that_is_booked_twice_is_found():
    run = a_run()
    run.book("kA", "A", "B", 2)

    assert rules(run) == {"duplicate"}


@pytest.mark.parametrize("reference", ["nobody's", ""])
def test_a_payment_that_nobody_asked_for_is_found(reference: str):
    run = a_run()
    run.book(reference, "A", "B", 2)

    assert rules(run) == {"phantom"}


@pytest.mark.parametrize(("payer", "payee", "minor"), [("A", "B", 3), ("B", "A", 2), ("A", "C", 2)])
def test_a_payment_that_is_booked_otherwise_than_asked_is_found(payer: str, payee: str, minor: int):
    run = without(a_run(), "kA")
    run.book("kA", payer, payee, minor)

    assert "phantom" in rules(run)


def test_a_refused_payment_that_moved_is_found():
    run = a_run()
    place = max(n for n, event in enumerate(run.history) if event.value.get("key") == "kA")
    run.history[place] = replace(run.history[place], type="fail", value={"code": "insufficient_funds"})

    assert "refused" in rules(run)


def test_a_payment_given_up_on_that_nobody_could_look_up_is_found():
    run = a_run()
    run.history = [event for event in run.history if not (event.f == "look_up" and event.value["key"] == "kN")]

    assert rules(run) == {"unresolved"}


@pytest.mark.parametrize(("key", "became"), [("kD", "never"), ("kD", "refused"), ("kN", "done")])
def test_a_customer_who_is_told_wrongly_what_became_of_a_payment_is_found(key: str, became: str):
    run = a_run()
    place = max(n for n, event in enumerate(run.history) if event.f == "look_up" and event.value["key"] == key)
    tell(run, place, became=became)

    assert "unresolved" in rules(run)


def test_a_payment_cut_off_with_the_load_itself_has_to_be_looked_up_too():
    run = a_run()
    run.history.append(Event(99.0, 77, "invoke", "pay", {"key": "k", "payer": "A", "payee": "B", "minor": 1}))

    assert rules(run) == {"unresolved"}


def test_a_wrong_total_is_found():
    run = a_run()
    place = ended(run.history, "total")
    balances = run.history[place].value["balances"]
    tell(run, place, balances={**balances, "A": balances["A"] - 1})

    assert "total" in rules(run)


def test_a_total_without_an_account_is_found():
    run = a_run()
    place = ended(run.history, "total")
    tell(run, place, balances={"A": 1020})

    assert "total" in rules(run)


def test_a_total_read_in_the_middle_of_a_payment_is_found():
    run = a_run()
    run.pay(0, "kE", "A", "B", 40)
    balances = {name: balance for name, (balance, _) in run.accounts.items()}
    run.ask(5, "ok", "total", {}, {"balances": {**balances, "B": balances["B"] - 40}})

    assert "total" in rules(run)


def test_less_than_nothing_is_found_in_the_ledger_and_on_a_page():
    run = a_run()
    minor = run.accounts["C"][0] + 1
    run.ask(
        0,
        "ok",
        "pay",
        {"key": "k", "payer": "C", "payee": "A", "minor": minor},
        {"entry": run.book("k", "C", "A", minor)},
    )
    assert rules(run) == {"negative"}

    run = a_run()
    run.ask(1, "ok", "page", {"account": "C"}, {"seq": 1, "balance": -1})
    assert "negative" in rules(run)


@pytest.mark.parametrize("later", ["page", "browser", "total"])
def test_an_older_state_than_one_already_shown_is_found(later: str):
    run = a_run()
    old = {name: balance for name, (balance, _) in run.accounts.items()}
    seq, entry = run.accounts["A"][1], run.entries[-1].id
    run.pay(7, "kE", "A", "B", 41)
    assert rules(run) == set()

    if later == "page":
        run.ask(7, "ok", "page", {"account": "A"}, {"seq": seq, "balance": old["A"]})
    elif later == "browser":
        own = max(e.id for e in run.entries[:-1] if any(line.account == "A" for line in e.lines))
        assert own <= entry
        run.ask(7, "ok", "page", {"account": "A"}, {"entry": own})
    else:
        run.ask(7, "ok", "total", {}, {"balances": old})

    assert rules(run) == {"stale"}


def test_somebody_else_may_be_shown_the_older_state():
    run = a_run()
    balance, seq = run.accounts["A"]
    run.pay(7, "kE", "A", "B", 41)
    run.ask(8, "ok", "page", {"account": "A"}, {"seq": seq, "balance": balance})

    assert rules(run) == set()


def test_a_state_that_never_was_is_found():
    for told in ({"seq": 900, "balance": 1}, {"entry": 900}):
        run = a_run()
        run.ask(7, "ok", "page", {"account": "A"}, told)
        assert rules(run) == {"unreal"}


def test_half_a_payment_is_found():
    run = a_run()
    half = run.entries[-1]
    ledger = LedgerRead((*run.entries[:-1], replace(half, lines=half.lines[:1])), run.ledger.accounts)

    assert {"books", "phantom"} <= rules(run, ledger)
    assert f"entry {half.id}" in {
        found.subject for found in check(run.history, ledger, run.opening) if found.rule == "books"
    }


def test_a_balance_that_its_postings_do_not_make_is_found():
    run = a_run()
    for account, more in (("A", 1), ("B", -1)):
        balance, version = run.accounts[account]
        run.accounts[account] = balance + more, version

    assert rules(run) == {"books"}


def test_a_posting_with_another_balance_than_the_ones_before_make_is_found():
    run = a_run()
    last = run.entries[-1]
    forged = tuple(Line(line.account, line.seq, line.minor, line.balance_after + 7) for line in last.lines)
    run.entries[-1] = Entry(last.id, last.key, last.kind, last.reference, False, forged)

    assert "books" in rules(run)


def test_what_the_verification_finds_is_told():
    run = a_run()

    assert rules(run, replace(run.ledger, findings=("wrong_digest entry:12: It is not what was asked.",))) == {"verify"}


@pytest.mark.parametrize(
    ("kind", "seconds", "broken"), [("ok", 5.2, {"healed"}), ("ok", 4.9, set()), ("fail", 0.1, {"healed"})]
)
def test_a_bank_that_does_not_serve_in_time_after_healing_is_found(kind: str, seconds: float, broken: set[str]):
    run = a_run()
    healed_at = run.history[-1].at + 0.05
    run.pay(0, "after", "A", "B", 1)
    balances = {name: balance for name, (balance, _) in run.accounts.items()}
    run.ask(5, kind, "total", {}, {"balances": balances}, seconds)

    assert rules(run, healed_at=healed_at) == broken
    assert rules(run) == set()


def test_a_run_in_which_nobody_paid_after_healing_proves_nothing():
    run = a_run()

    assert rules(run, healed_at=run.history[-1].at + 1) == {"healed"}
