"""A batch is answered, and leaves the books, as the same entries do one by one: whatever it mixes, on each database."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import hypothesis.strategies as st
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, event, given, settings

from bank.ledger import service
from bank.ledger.model import (
    Capture,
    Declined,
    Hold,
    JournalEntry,
    Limits,
    Outcome,
    Posted,
    Posting,
    Release,
    Replayed,
    Reserve,
    Side,
)
from bank.ledger.tables import holds, journal_entries, ledger_accounts, postings
from bank.money import Money
from bank.storage.transaction import Bank
from tests.ledger import NOON, OWNER, TODAY, assert_books_balance

LIMITS: Final = Limits(per_payment=40, per_day=60)
NOBODY: Final = 999_999_999

_worlds = itertools.count(1)

#: What they are called, their currency, floor, and what is on them to begin with.
ACCOUNTS: Final = (
    ("till", "USD", None, 0),
    ("alice", "USD", 0, 250),
    ("bob", "USD", 0, 150),
    ("overdrawn", "USD", -25, 5),
    ("careful", "USD", 0, 60),
    ("frozen", "USD", 0, 30),
    ("debits_frozen", "USD", 0, 30),
    ("closed", "USD", 0, 0),
    ("till_eur", "EUR", None, 0),
    ("emil", "EUR", 0, 50),
)
NAMES: Final = [name for name, *_ in ACCOUNTS]
OPEN_ONES: Final = ["till", "alice", "bob", "overdrawn", "careful"]


@dataclass(frozen=True)
class Order:
    """What is asked, in words that mean the same in both worlds."""

    what: str
    payer: str
    payee: str
    amount: int
    limited: bool = False
    day: int = 0
    key: int | None = None


class World:
    """The same accounts again, with a caller of their own."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.caller = f"world-{next(_worlds)}"
        self.ids: dict[str, int] = bank.run(self._open)
        tills = {"USD": "till", "EUR": "till_eur"}
        deposits = [
            self._moved(f"deposit-{name}", tills[currency], name, amount)
            for name, currency, _, amount in ACCOUNTS
            if amount
        ]
        deposited = [self._posted(deposit) for deposit in deposits]
        self.hold = self._posted(self._entry("hold", (), hold=Reserve(self.ids["alice"], self._money(20))))
        bank.run(self._set_statuses)
        self.names = {("account", id): name for name, id in self.ids.items()}
        self.names |= {("entry", deposited[0]): "the deposit", ("hold", self.hold): "the hold"}
        self.deposit = deposited[0]

    def _open(self, tx: sa.Connection) -> dict[str, int]:
        return {
            name: service.open_account(
                tx,
                number=f"{self.caller}-{name}",
                name=name,
                chart_code="cash" if floor is None else "current",
                currency=currency,
                floor=floor,
                opened_at=NOON,
                limits=Limits(per_payment=15, per_day=25) if name == "careful" else None,
            )
            for name, currency, floor, _ in ACCOUNTS
        }

    def _set_statuses(self, tx: sa.Connection) -> None:
        for status in ("frozen", "debits_frozen", "closed"):
            service.set_status(tx, self.ids[status], status, by=OWNER, reason="test")

    def _posted(self, asked: JournalEntry) -> int:
        [outcome] = service.post(self.bank, [asked])
        return outcome.or_raise()

    # Asking

    def entries(self, orders: list[Order]) -> list[JournalEntry]:
        """The orders as this world asks them."""
        return [self._asked(number, order) for number, order in enumerate(orders)]

    def _asked(self, number: int, order: Order) -> JournalEntry:
        key = f"key-{number if order.key is None else order.key}"
        money, payer = self._money(order.amount), self._id(order.payer)
        held: dict[str, Hold] = {
            "reserve": Reserve(payer, money),
            "release": Release(self.hold, self.ids["alice"]),
        }
        if order.what in held:
            return self._entry(key, (), hold=held[order.what])
        asked = self._moved(key, order.payer, order.payee, order.amount)
        if order.what == "capture":
            sides = (Posting(self.ids["alice"], Side.DEBIT, money), Posting(self.ids["till"], Side.CREDIT, money))
            asked = replace(asked, postings=sides, hold=Capture(self.hold, self.ids["alice"], money))
        if order.what == "reverse":
            # The exact opposite of the deposit, or the books would show it.
            asked = replace(self._moved(key, "alice", "till", 250), reverses=self.deposit)
        if order.what == "share":
            others = [name for name in ("alice", "bob", "overdrawn") if name != order.payer]
            sides = tuple(Posting(self.ids[name], Side.CREDIT, money) for name in others)
            total = Money(order.amount * len(others), "USD")
            asked = replace(asked, postings=(*sides, Posting(payer, Side.DEBIT, total)))
        if order.what == "exchange":
            euros = Money(order.amount, "EUR")
            bought = (Posting(self.ids["till_eur"], Side.DEBIT, euros), Posting(self.ids["emil"], Side.CREDIT, euros))
            asked = replace(asked, postings=(*asked.postings, *bought))
        limits = LIMITS if order.limited else None
        return replace(asked, limits=limits, booking_date=TODAY + timedelta(days=order.day))

    def _moved(self, key: str, payer: str, payee: str, amount: int) -> JournalEntry:
        money = self._money(amount, "EUR" if payer in ("till_eur", "emil") else "USD")
        sides = (Posting(self._id(payer), Side.DEBIT, money), Posting(self._id(payee), Side.CREDIT, money))
        return self._entry(key, sides)

    def _entry(self, key: str, sides: tuple[Posting, ...], hold: Hold | None = None) -> JournalEntry:
        return JournalEntry(
            caller=self.caller,
            idempotency_key=key,
            kind="test",
            narrative="",
            booking_date=TODAY,
            value_date=TODAY,
            booked_at=NOON,
            postings=sides,
            hold=hold,
        )

    def _id(self, name: str) -> int:
        return self.ids.get(name, NOBODY)

    @staticmethod
    def _money(amount: int, currency: str = "USD") -> Money:
        return Money(amount, currency)

    # Looking at what became of it

    def told(self, outcomes: list[Outcome]) -> list[Any]:
        """The outcomes without this world's numbers."""
        return [self._told(outcome) for outcome in outcomes]

    def _told(self, outcome: Outcome) -> Any:
        match outcome:
            case Posted():
                return "posted"
            case Replayed(first):
                return "replayed", self._told(first)
            case Declined(error):
                facts = getattr(error, "facts", {})
                named = {what: self.names[what, id] for what, id in facts.items() if (what, id) in self.names}
                return error.code, {**facts, **named}

    def books(self) -> dict[str, Any]:
        """Everything that is stored about these accounts and this caller, without this world's numbers."""
        account, posting, entry = ledger_accounts.c, postings.c, journal_entries.c
        ids = list(self.ids.values())
        state = sa.select(
            account.name,
            account.status,
            account.balance,
            account.held,
            account.version,
            account.spent,
            account.spent_day,
        )
        moved = sa.select(
            account.name, posting.seq, entry.idempotency_key, posting.side, posting.minor_units, posting.balance_after,
            posting.booking_date, posting.limit_day,
        ).join_from(postings, journal_entries).join(ledger_accounts)  # fmt: skip
        asked = sa.select(
            entry.idempotency_key, entry.digest, entry.kind, entry.booking_date, entry.booked_at, entry.refusal,
            entry.hold_change, entry.reverses.is_(None),
        )  # fmt: skip
        with self.bank.reader() as reader:
            entries = reader.execute(asked.where(entry.caller == self.caller).order_by(entry.id)).all()
            return {
                "accounts": reader.execute(state.where(account.id.in_(ids)).order_by(account.id)).all(),
                "postings": reader.execute(
                    moved.where(posting.account_id.in_(ids)).order_by(posting.account_id, posting.seq)
                ).all(),
                # The digests are of ids, and so each world's own.
                "entries": [(row[0], *row[2:]) for row in entries],
                "holds": reader.execute(
                    sa.select(holds.c.minor_units, holds.c.remaining)
                    .where(holds.c.account_id.in_(ids))
                    .order_by(holds.c.id)
                ).all(),
            }


SMALL: Final = st.integers(1, 45)
DAYS: Final = st.sampled_from([0] * 12 + [-1, 1])
KEYS: Final = st.sampled_from([None] * 12 + [0, 1, 2])
PAIRS: Final = st.permutations(OPEN_ONES).map(lambda names: names[:2])
PLAIN: Final = st.builds(
    lambda pair, *rest: Order("move", *pair, *rest), PAIRS, SMALL, st.booleans(), DAYS, KEYS
)  # fmt: skip
ANY_PAIR: Final = st.permutations([*NAMES, "nobody"]).map(lambda names: names[:2])
ODD: Final = st.builds(
    lambda what, pair, *rest: Order(what, *pair, *rest),
    st.sampled_from(["reserve", "release", "capture", "reverse", "share", "exchange"]),
    PAIRS,
    SMALL,
    st.booleans(),
    DAYS,
    KEYS,
)
STRANGE: Final = st.builds(lambda pair, *rest: Order("move", *pair, *rest), ANY_PAIR, SMALL, st.booleans())
# Long runs of what is plain, with something else among it.
BATCHES: Final = st.lists(st.one_of(PLAIN, PLAIN, PLAIN, PLAIN, PLAIN, ODD, STRANGE), min_size=1, max_size=30)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_batch_does_what_its_entries_do_one_by_one(bank: Bank):
    @settings(
        max_examples=40,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(orders=BATCHES)
    def alike(orders: list[Order]) -> None:
        single, together = World(bank), World(bank)

        one_by_one = single.told([service.post(bank, [asked])[0] for asked in single.entries(orders)])
        outcomes = service.post(bank, together.entries(orders))

        assert together.told(outcomes) == one_by_one
        assert together.books() == single.books()
        new = [outcome.entry_id for outcome in outcomes if not isinstance(outcome, Replayed) and outcome.entry_id]
        assert new == sorted(new)
        again = service.post(bank, together.entries(orders))
        assert together.told(again) == [
            told if told[0] in ("replayed", "key_reused") else ("replayed", told) for told in one_by_one
        ]
        assert together.books() == single.books()
        for told in one_by_one:
            event(told if isinstance(told, str) else str(told[0]))

    alike()
    assert_books_balance(bank)


LONG: Final = [
    Order("move", *pair, 1, True)
    for pair in itertools.islice(itertools.cycle([("till", "alice"), ("alice", "bob"), ("bob", "till")]), 120)
]
NOT_PLAIN: Final = {
    "nothing": [],
    "one refused": [Order("move", "overdrawn", "alice", 45)],
    "a day's limit that the run itself uses up": [Order("move", "careful", "bob", 13, True)] * 2,
    "funds that the run itself uses up": [Order("move", "overdrawn", "bob", 16)] * 2,
    "what is held, and who may only receive": [
        Order("move", "alice", "bob", 240),
        Order("move", "debits_frozen", "alice", 1),
        Order("move", "till", "debits_frozen", 1),
    ],
    "one of each kind": [
        Order("move", "frozen", "alice", 1),
        Order("move", "alice", "nobody", 1),
        Order("reserve", "alice", "till", 5),
        Order("capture", "alice", "till", 5),
        Order("reverse", "alice", "till", 250),
        Order("share", "till", "alice", 3),
        Order("exchange", "alice", "till", 2),
        Order("move", "alice", "bob", 1, True, day=1),
        Order("move", "alice", "bob", 2, key=3),
        Order("move", "careful", "bob", 16, True),
    ],
}


@pytest.mark.parametrize("others", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_a_long_batch_does_too(bank: Bank, others: list[Order]):
    orders = list(LONG)
    for place, order in enumerate(others):
        orders.insert(10 + 11 * place, order)
    single, together = World(bank), World(bank)

    one_by_one = single.told([service.post(bank, [asked])[0] for asked in single.entries(orders)])

    assert together.told(service.post(bank, together.entries(orders))) == one_by_one
    assert together.books() == single.books()
    assert one_by_one.count("posted") >= len(LONG)
    assert_books_balance(bank)
