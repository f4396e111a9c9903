"""A wrong journal entry cannot be constructed, and the same request has the same digest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from bank.ledger.errors import REFUSALS, KeyReused, refusal
from bank.ledger.model import (
    CHART,
    SINGLE_ACCOUNTS,
    Capture,
    Declined,
    JournalEntry,
    Limits,
    Posted,
    Posting,
    Release,
    Replayed,
    Reserve,
    Side,
    UnbalancedEntry,
    imbalance,
    outcome_of,
)
from bank.money import Money

NOW = datetime(2026, 3, 2, 17, 0, 0, 123456, tzinfo=UTC)
DEBIT, CREDIT = Side.DEBIT, Side.CREDIT


def side(account: int, side: Side, minor: int, currency: str = "USD") -> Posting:
    return Posting(account, side, Money(minor, currency))


PAYMENT = JournalEntry(
    caller="customer:1",
    idempotency_key="key",
    kind="transfer",
    narrative="Rent",
    booking_date=date(2026, 3, 2),
    value_date=date(2026, 3, 2),
    booked_at=NOW,
    postings=(side(1, DEBIT, 100), side(2, CREDIT, 100)),
)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"postings": (side(1, DEBIT, 100), side(2, CREDIT, 99))}, "differ by {'USD': 1}"),
        ({"postings": (side(1, DEBIT, 100),)}, "differ by {'USD': 100}"),
        ({"postings": (side(1, DEBIT, 100), side(2, DEBIT, 100))}, "differ by {'USD': 200}"),
        ({"postings": (side(1, DEBIT, 100), side(2, CREDIT, 100, "EUR"))}, "differ by {'USD': 100, 'EUR': -100}"),
        ({"postings": (side(1, DEBIT, 0), side(2, CREDIT, 0))}, "above zero"),
        ({"postings": (side(1, DEBIT, -1), side(2, CREDIT, -1))}, "above zero"),
        ({"postings": (side(1, DEBIT, 100), side(1, CREDIT, 100))}, "twice"),
        ({"postings": ()}, "an entry posts"),
        ({"hold": Reserve(1, Money(1, "USD"))}, "an entry posts"),
        ({"hold": Release(7, 1)}, "an entry posts"),
        ({"postings": (), "hold": Reserve(1, Money(0, "USD"))}, "hold must be above zero"),
        ({"postings": (), "hold": Capture(7, 1, Money(1, "USD"))}, "just what it takes"),
        ({"hold": Capture(7, 1, Money(99, "USD"))}, "just what it takes"),
        ({"hold": Capture(7, 2, Money(100, "USD"))}, "just what it takes"),
        ({"hold": Capture(7, 1, Money(100, "EUR"))}, "just what it takes"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"idempotency_key": "k" * 256}, "idempotency_key"),
        ({"idempotency_key": "é" * 128}, "idempotency_key"),
        ({"idempotency_key": "a\0b"}, "idempotency_key"),
        ({"caller": ""}, "caller"),
        ({"caller": "c" * 101}, "caller"),
        ({"kind": ""}, "kind"),
        ({"kind": "k" * 31}, "kind"),
        ({"narrative": "n" * 201}, "narrative"),
        ({"narrative": "a\0b"}, "narrative"),
    ],
)
def test_a_wrong_entry_cannot_be_constructed(changes: dict[str, Any], why: str):
    with pytest.raises(UnbalancedEntry) as refused:
        replace(PAYMENT, **changes)
    assert why in str(refused.value)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from(Side), st.integers(1, 5), st.sampled_from(["USD", "EUR"])))
)
def test_an_entry_balances_in_every_currency_or_is_none(sides: list[tuple[int, Side, int, str]]):
    postings = tuple(side(*each) for each in sides)
    sums = {
        currency: sum(
            p.amount.minor_units * (1 if p.side is DEBIT else -1) for p in postings if p.amount.currency == currency
        )
        for currency in ("USD", "EUR")
    }
    assert imbalance(postings) == {currency: total for currency, total in sums.items() if total}


def test_an_entry_cannot_be_changed():
    with pytest.raises(AttributeError):
        PAYMENT.narrative = "other"  # type: ignore[misc]


SAME = [
    {"booked_at": NOW + timedelta(days=1)},
    {"booking_date": date(2026, 3, 3)},
    {"value_date": date(2026, 3, 3)},
    {"limits": Limits(1, 1)},
    {"caller": "customer:2"},
    {"idempotency_key": "other"},
    {"postings": PAYMENT.postings[::-1]},
]
OTHER = [
    {"kind": "fee"},
    {"narrative": "rent"},
    {"narrative": "Rent "},
    {"reverses": 5},
    {"postings": (side(1, DEBIT, 101), side(2, CREDIT, 101))},
    {"postings": (side(1, DEBIT, 100), side(3, CREDIT, 100))},
    {"postings": (side(2, DEBIT, 100), side(1, CREDIT, 100))},
    {"postings": (side(1, DEBIT, 100, "EUR"), side(2, CREDIT, 100, "EUR"))},
    {"postings": (side(1, DEBIT, 100), side(2, CREDIT, 50), side(3, CREDIT, 50))},
    {"hold": Capture(7, 1, Money(100, "USD"))},
    {"hold": Capture(8, 1, Money(100, "USD"))},
    {"postings": (), "hold": Reserve(1, Money(100, "USD"))},
    {"postings": (), "hold": Reserve(1, Money(101, "USD"))},
    {"postings": (), "hold": Reserve(1, Money(100, "EUR"))},
    {"postings": (), "hold": Reserve(2, Money(100, "USD"))},
    {"postings": (), "hold": Release(7, 1)},
    {"postings": (), "hold": Release(7, 1, expired=True)},
    {"postings": (), "hold": Release(8, 1)},
]


@pytest.mark.parametrize("changes", SAME)
def test_the_same_request_at_another_time_has_the_same_digest(changes: dict[str, Any]):
    assert replace(PAYMENT, **changes).digest() == PAYMENT.digest()


def test_any_other_request_has_another_digest():
    digests = [PAYMENT.digest(), *(replace(PAYMENT, **changes).digest() for changes in OTHER)]
    assert len(set(digests)) == len(digests)


def test_a_holds_end_is_no_part_of_the_request_since_it_is_counted_from_now():
    reserves = [
        replace(PAYMENT, postings=(), hold=Reserve(1, Money(1, "USD"), NOW + timedelta(hours=h))) for h in (1, 2)
    ]
    assert reserves[0].digest() == reserves[1].digest()


def test_instants_are_told_to_the_door_in_utc_with_microseconds():
    abroad = NOW.astimezone(timezone(timedelta(hours=-5)))
    assert replace(PAYMENT, booked_at=abroad).as_message()["booked_at"] == "2026-03-02 17:00:00.123456"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (["posted", 7, None, None], Posted(7)),
        (["replayed", 7, None, None], Replayed(Posted(7))),
    ],
)
def test_a_doors_answer_is_read(answer: list[Any], outcome: Any):
    assert outcome_of(answer) == outcome
    assert outcome.or_raise() == 7


def test_a_refusal_is_raised_with_its_facts_and_so_is_its_replay():
    facts = {"account": 1, "available": 5, "needed": 7, "currency": "USD"}
    for how in ("refused", "replayed"):
        outcome = outcome_of([how, 9, "insufficient_funds", facts])
        first = outcome.first if isinstance(outcome, Replayed) else outcome
        assert isinstance(first, Declined)
        assert first.entry_id == 9
        with pytest.raises(REFUSALS["insufficient_funds"], match="Enter 0.05 USD or less") as raised:
            outcome.or_raise()
        assert raised.value.facts == facts


def test_a_reused_key_is_a_conflict():
    with pytest.raises(KeyReused, match="already used for something else"):
        outcome_of(["key_reused", None, None, None]).or_raise()


FACTS = {
    "account": 1, "entry": 2, "hold": 3, "currency": "USD",
    "available": 100, "needed": 250, "limit": 200, "spent": 150, "remaining": 50,
}  # fmt: skip


@pytest.mark.parametrize("code", REFUSALS)
def test_every_refusal_has_a_sentence_for_people(code: str):
    sentence = str(refusal(code, FACTS))

    assert sentence.endswith((".", "?"))
    assert "facts" not in sentence
    assert "None" not in sentence


def test_what_is_left_of_a_days_limit_is_never_below_zero():
    assert "Only 0.00 USD of today's limit of 2.00 USD is left" in str(
        refusal("over_daily_limit", {**FACTS, "spent": 900})
    )


def test_the_banks_single_accounts_are_in_the_chart():
    assert set(SINGLE_ACCOUNTS) < set(CHART)
    assert Side.DEBIT.other is Side.CREDIT
    assert Side.CREDIT.other is Side.DEBIT
