"""Long random stories: every answer of the door is what tests/model.py says it must be."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

import hypothesis.strategies as st
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)

from bank.audit.model import Author
from bank.errors import BankError
from bank.ledger import service
from bank.ledger.errors import REFUSALS
from bank.ledger.model import (
    Capture,
    Declined,
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
from bank.ledger.tables import holds, ledger_accounts, postings
from bank.money import Money
from bank.storage.transaction import Bank
from tests.ledger import NOON, an_account, assert_books_balance
from tests.model import Answer, Ledger, ModelAccount

NOBODY: Final = 999_999_999

# Small numbers, so that funds, floors and limits are met from both sides again and again.
AMOUNTS: Final = st.integers(1, 60)
LIMITS: Final = Limits(per_payment=40, per_day=50)
OWN_LIMITS: Final = st.none() | st.integers(0, 90)
FLOORS: Final = st.sampled_from([0, 0, -25])
DAYS: Final = st.sampled_from([0, 0, 0, -1, 1])
STEPS: Final = st.sampled_from(
    [timedelta(microseconds=1), timedelta(minutes=30), timedelta(hours=7), timedelta(days=2)]
)
EXPIRIES: Final = st.sampled_from(
    [None, timedelta(microseconds=1), timedelta(minutes=30), timedelta(hours=7), timedelta(days=3)]
)
LATER: Final = st.sampled_from([timedelta(0), timedelta(0), timedelta(minutes=30), timedelta(hours=7)])

_examples = itertools.count(1)


class DoorMachine(RuleBasedStateMachine):
    """Asks a door and the model the same; subclassed with the bank to ask."""

    bank: ClassVar[Bank]
    met: ClassVar[Counter[str]]

    # Customers' accounts in dollars, where the stories play; tills and an account in euros; what was asked, by what it did.
    accounts = Bundle("accounts")
    others = Bundle("others")
    reserved = Bundle("reserved")
    moved = Bundle("moved")
    answers = Bundle("answers")

    def __init__(self) -> None:
        super().__init__()
        self.model = Ledger()
        self.now: datetime = NOON
        # All examples share one database: each is a caller of its own with accounts of its own.
        self.caller = f"example-{next(_examples)}"
        self.serials = itertools.count(1)

    # Accounts

    @initialize(target=accounts, balances=st.lists(st.integers(0, 200), min_size=3, max_size=3))
    def begin(self, balances: list[int]) -> Any:
        self.till = self._opened("USD", None)
        opened = [self._opened("USD", 0) for _ in balances]
        self._ask(
            *(
                self._moved(self.till, account, balance)
                for account, balance in zip(opened, balances, strict=True)
                if balance
            )
        )
        return multiple(*opened)

    @initialize(target=others)
    def begin_abroad(self) -> Any:
        return multiple(self._opened("USD", None), self._opened("EUR", None), self._opened("EUR", 0))

    @rule(target=accounts, floor=FLOORS)
    def open(self, floor: int) -> int:
        return self._opened("USD", floor)

    def _opened(self, currency: str, floor: int | None) -> int:
        account = an_account(
            self.bank, currency=currency, floor=floor, chart_code="cash" if floor is None else "current"
        )
        self.model.accounts[account] = ModelAccount(
            account, currency, Side.DEBIT if floor is None else Side.CREDIT, floor
        )
        return account

    @rule(account=accounts, status=st.sampled_from(["frozen", "debits_frozen"]))
    def freeze(self, account: int, status: str) -> None:
        self._set_status(account, status)

    @rule()
    def unfreeze_all(self) -> None:
        for account in self.model.accounts:
            self._set_status(account, "open")

    def _set_status(self, account: int, status: str) -> None:
        if self.model.accounts[account].status != "closed":
            self.bank.run(service.set_status, account, status, by=self._author(), reason="machine")
            self.model.accounts[account].status = status

    @rule(account=accounts, pay_out=st.booleans())
    def close(self, account: int, pay_out: bool) -> None:
        model = self.model.accounts[account]
        if pay_out and model.balance > 0:
            self._ask(self._moved(account, self.till, model.balance))
        expected = "account_not_empty" if model.balance or self.model.held(account) else None
        assert self._refused(service.set_status, account, "closed") == expected
        if expected is None:
            model.status = "closed"

    @rule(account=accounts, floor=st.integers(-60, 30))
    def set_floor(self, account: int, floor: int) -> None:
        model = self.model.accounts[account]
        expected = "floor_above_balance" if model.balance - self.model.held(account) < floor else None
        assert self._refused(service.set_floor, account, floor) == expected
        if expected is None:
            model.floor = floor

    @rule(account=accounts, per_payment=OWN_LIMITS, per_day=OWN_LIMITS)
    def set_limits(self, account: int, per_payment: int | None, per_day: int | None) -> None:
        limits = {"per_payment": per_payment, "per_day": per_day}
        self.bank.run(service.set_limits, account, **limits, by=self._author(), reason="machine")
        model = self.model.accounts[account]
        model.own_per_payment, model.own_per_day = per_payment, per_day

    def _refused(self, use_case: Any, *args: Any) -> str | None:
        try:
            self.bank.run(use_case, *args, by=self._author(), reason="machine")
        except BankError as error:
            return error.code
        return None

    # Money

    @rule(target=moved, account=accounts, amount=AMOUNTS)
    def deposit(self, account: int, amount: int) -> Any:
        return self._asks_to_move(self.till, account, amount)

    @rule(target=moved, account=accounts, amount=AMOUNTS)
    def withdraw(self, account: int, amount: int) -> Any:
        return self._asks_to_move(account, self.till, amount)

    @rule(
        target=moved,
        payer=accounts,
        payee=accounts,
        payments=st.lists(st.tuples(AMOUNTS, DAYS), min_size=1, max_size=4),
    )
    def pay(self, payer: int, payee: int, payments: list[tuple[int, int]]) -> Any:
        if payer == payee:
            return multiple()
        return self._ask(*(self._moved(payer, payee, amount, limits=LIMITS, day=day) for amount, day in payments))

    @rule(target=moved, payer=accounts | others, payee=accounts | others, amount=AMOUNTS)
    def transfer(self, payer: int, payee: int, amount: int) -> Any:
        return self._asks_to_move(payer, payee, amount)

    @rule(target=moved, payer=accounts, payees=st.lists(accounts, min_size=2, max_size=3, unique=True), amount=AMOUNTS)
    def pay_several(self, payer: int, payees: list[int], amount: int) -> Any:
        if payer in payees:
            return multiple()
        sides = [Posting(payee, Side.CREDIT, Money(amount, "USD")) for payee in payees]
        sides.insert(1, Posting(payer, Side.DEBIT, Money(amount * len(payees), "USD")))
        return self._ask(self._entry(tuple(sides), limits=LIMITS))

    @rule(
        target=moved,
        first=accounts,
        second=accounts,
        amounts=st.lists(AMOUNTS, min_size=2, max_size=5),
        again=st.booleans(),
    )
    def batch(self, first: int, second: int, amounts: list[int], again: bool) -> Any:
        if first == second:
            return multiple()
        pairs = itertools.cycle([(self.till, first), (first, second), (second, first)])
        batch = [self._moved(*pair, amount, limits=LIMITS) for pair, amount in zip(pairs, amounts, strict=False)]
        return self._ask(*batch, *batch[: 1 if again else 0])

    def _asks_to_move(self, payer: int, payee: int, amount: int, **fields: Any) -> Any:
        return self._ask(self._moved(payer, payee, amount, **fields)) if payer != payee else multiple()

    def _moved(self, payer: int, payee: int, amount: int, **fields: Any) -> JournalEntry:
        money = Money(amount, self.model.accounts[payer].currency if payer != NOBODY else "USD")
        return self._entry((Posting(payer, Side.DEBIT, money), Posting(payee, Side.CREDIT, money)), **fields)

    # Holds

    @rule(target=reserved, account=accounts, amount=AMOUNTS, lasts=EXPIRIES)
    def hold(self, account: int, amount: int, lasts: timedelta | None) -> Any:
        reserve = Reserve(account, Money(amount, "USD"), lasts and self.now + lasts)
        [answer] = self._answers(self._entry((), hold=reserve))
        return multiple() if answer.refusal else answer.id

    @rule(target=moved, hold=reserved, payee=accounts, amount=AMOUNTS, later=LATER)
    def capture(self, hold: int, payee: int, amount: int, later: timedelta) -> Any:
        self.now += later
        return self._captures(hold, self.model.holds[hold].account, payee, amount)

    @rule(target=moved, hold=reserved, other=accounts, amount=AMOUNTS, share=AMOUNTS)
    def capture_with_another_payer(self, hold: int, other: int, amount: int, share: int) -> Any:
        account = self.model.holds[hold].account
        if account == other:
            return multiple()
        taken, also = Money(amount, "USD"), Money(share, "USD")
        payers = (Posting(other, Side.DEBIT, also), Posting(account, Side.DEBIT, taken))
        sides = (*payers, Posting(self.till, Side.CREDIT, taken + also))
        return self._ask(self._entry(sides, hold=Capture(hold, account, taken)))

    @rule(hold=reserved, account=accounts, payee=accounts, amount=AMOUNTS)
    def capture_for_any_account(self, hold: int, account: int, payee: int, amount: int) -> None:
        self._captures(hold, account, payee, amount)

    @rule(target=answers, hold=reserved)
    def release(self, hold: int) -> Any:
        return self._ask(self._entry((), hold=Release(hold, self.model.holds[hold].account)))

    @rule(target=answers, hold=reserved, later=LATER)
    def expire(self, hold: int, later: timedelta) -> Any:
        self.now += later
        return self._ask(self._entry((), hold=Release(hold, self.model.holds[hold].account, expired=True)))

    def _captures(self, hold: int, account: int, payee: int, amount: int) -> Any:
        if account == payee:
            return multiple()
        money = Money(amount, "USD")
        sides = (Posting(account, Side.DEBIT, money), Posting(payee, Side.CREDIT, money))
        return self._ask(self._entry(sides, hold=Capture(hold, account, money), limits=LIMITS))

    # What is not there, or not meant

    @rule(target=answers, account=accounts, foreigner=others, amount=AMOUNTS, what=st.integers(0, 8))
    def ask_for_nonsense(self, account: int, foreigner: int, amount: int, what: int) -> Any:
        money, euros = Money(amount, "USD"), Money(amount, "EUR")
        payment = self._moved(account, self.till, amount)
        nonsense = [
            self._moved(account, NOBODY, amount),
            self._moved(NOBODY, account, amount),
            self._moved(account, foreigner, amount),
            self._entry((), hold=Reserve(NOBODY, money)),
            self._entry((), hold=Reserve(account, euros)),
            self._entry((), hold=Release(NOBODY, account)),
            self._entry((), hold=Release(NOBODY, NOBODY, expired=True)),
            replace(payment, hold=Capture(NOBODY, account, money)),
            replace(payment, reverses=NOBODY),
        ]
        return self._ask(nonsense[what])

    # Looking back

    @rule(target=answers, answer=moved, twice=st.booleans())
    def reverse(self, answer: Answer, twice: bool) -> Any:
        opposite = tuple(Posting(p.account_id, p.side.other, p.amount) for p in answer.asked.postings)
        reversals = [self._entry(opposite, reverses=answer.id) for _ in range(2 if twice else 1)]
        return self._ask(*reversals)

    @rule(answer=answers, amount=AMOUNTS)
    def reverse_what_cannot_be(self, answer: Answer, amount: int) -> None:
        self._ask(replace(self._moved(self.till, self._somebody(), amount), reverses=answer.id))

    @rule(answer=moved | answers)
    def replay(self, answer: Answer) -> None:
        self._ask(replace(answer.asked, booked_at=self.now, booking_date=self._today()))

    @rule(answer=moved | answers, narrative=st.sampled_from(["another", "narrative ", "Narrative"]))
    def reuse_the_key(self, answer: Answer, narrative: str) -> None:
        self._ask(replace(answer.asked, narrative=narrative, booked_at=self.now))

    @rule(answer=moved, spelling=st.sampled_from(["{} ", " {}", "{}\u00e9", "{}e\u0301", "KEY-{}"]))
    def spell_the_key_otherwise(self, answer: Answer, spelling: str) -> None:
        key = answer.asked.idempotency_key
        self._ask(replace(answer.asked, idempotency_key=spelling.format(key)))

    @rule(answer=moved)
    def ask_as_another_caller(self, answer: Answer) -> None:
        self._ask(replace(answer.asked, caller=f"{self.caller} ", booked_at=self.now))

    @rule(step=STEPS)
    def wait(self, step: timedelta) -> None:
        self.now += step

    # Asking both

    def _ask(self, *batch: JournalEntry) -> Any:
        return multiple(*self._answers(*batch))

    def _answers(self, *batch: JournalEntry) -> list[Answer]:
        """Ask the model, then the door: by itself, or now and then within a use case's transaction."""
        expected = [self.model.post(asked) for asked in batch]
        outcomes = self.bank.run(service.post_in, batch) if self.now.hour % 2 else service.post(self.bank, batch)
        for (how, answer), outcome in zip(expected, outcomes, strict=True):
            self._compare(how, answer, outcome)
        return [answer for how, answer in expected if answer and how != "replayed"]

    def _compare(self, how: str, answer: Answer | None, outcome: Outcome) -> None:
        refusal = answer and answer.refusal
        first: Any = outcome.first if isinstance(outcome, Replayed) else outcome
        assert (how, refusal) == _told(outcome)
        self.met[how] += 1
        if refusal:
            self.met[refusal[0]] += 1
        if answer and answer.id is None:
            self.model.learn(answer, first.entry_id)
        assert answer is None or answer.id == first.entry_id

    def _entry(self, sides: tuple[Posting, ...], *, day: int = 0, **fields: Any) -> JournalEntry:
        return JournalEntry(
            caller=self.caller,
            idempotency_key=f"key-{next(self.serials)}",
            kind="test",
            narrative="narrative",
            booking_date=self._today() + timedelta(days=day),
            value_date=self._today(),
            booked_at=self.now,
            postings=sides,
            **fields,
        )

    def _somebody(self) -> int:
        return next(account.id for account in self.model.accounts.values() if account.floor is not None)

    def _today(self) -> Any:
        return self.bank.clock.business_date(self.now)

    def _author(self) -> Author:
        return Author(self.caller, self.now, self._today())

    # The end of a story

    def teardown(self) -> None:
        with self.bank.reader() as reader:
            found = {
                row.id: row for row in reader.execute(_of(ledger_accounts, ledger_accounts.c.id, self.model.accounts))
            }
            moved = list(
                reader.execute(_of(postings, postings.c.account_id, self.model.accounts).order_by(postings.c.seq))
            )
            left = reader.execute(_of(holds, holds.c.account_id, self.model.accounts)).all()
        for account in self.model.accounts.values():
            row = found[account.id]
            day = max(account.limited_by_day, default=None)
            spent = account.limited_by_day[day] if day else 0
            assert (row.status, row.floor) == (account.status, account.floor)
            assert (row.balance, row.version) == (account.balance, len(account.movements))
            assert (row.held, row.spent_day, row.spent) == (self.model.held(account.id), day, spent)
            assert [_signed(p, row.normal_side) for p in moved if p.account_id == account.id] == account.movements
        assert {row.id: (row.account_id, row.remaining, row.expires_at) for row in left} == {
            id: (hold.account, hold.remaining, hold.expires_at) for id, hold in self.model.holds.items()
        }


def _of(table: sa.Table, column: sa.ColumnElement[int], accounts: Any) -> sa.Select[Any]:
    return sa.select(table).where(column.in_(list(accounts)))


def _signed(row: sa.Row[Any], normal_side: str) -> int:
    return int(row.minor_units) if row.side == normal_side else -int(row.minor_units)


def _told(outcome: Outcome) -> tuple[str, Any]:
    """The outcome as the model would say it."""
    match outcome:
        case Replayed(first):
            return "replayed", _told(first)[1]
        case Posted():
            return "posted", None
        case Declined(error) if error.code == "key_reused":
            return "key_reused", None
        case Declined(error):
            return "refused", (error.code, getattr(error, "facts", None))


# A story that fails is made shorter for a while before it is told.
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_door_answers_what_the_model_says(bank: Bank):
    met: Counter[str] = Counter()
    machine = type("Machine", (DoorMachine,), {"bank": bank, "met": met})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=150,
            stateful_step_count=50,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        ),
    )

    print(met)
    assert never_met(met) == []
    assert_books_balance(bank)


def never_met(met: Counter[str]) -> Sequence[str]:
    """Answers that no story came to: then the stories would be too tame."""
    return [answer for answer in (*REFUSALS, "posted", "refused", "replayed", "key_reused") if not met[answer]]
