"""Stories about money, told in lines of text and played against a bank.

    open      alice  floor=-50.00           # an account; more: per_payment= per_day= currency=EUR chart=savings
    deposit   alice  100.00                 # cash, from the till
    withdraw  alice  500.00                 refused insufficient_funds account=alice available=150.00 needed=500.00
    pay       alice  bob  30.00             # a customer's transfer, to which limits apply; `transfer` has none
    hold      alice  30.00  expires=+1h  as dinner
    capture   dinner 20.00                  # paid out of the hold, to the till; more: to=bob, with=carol:5.00 who pays too
    release   dinner                        # gives the rest back; expire does it when its time has come
    expect    alice  booked=80.00 available=120.00

A line expects to be posted unless it ends with another outcome: `refused CODE`, `replayed`, `replayed CODE` or
`key_reused`; facts after a code are all of them, but for the currency. Entries take `key=`, `by=` (the caller), `day=`
(booked so many days from today) and `narrative=`, and can be named by `as NAME`. `batch … end` goes through the door
at once, `within … end` in a use case's transaction, `abandoned … end` in one that fails after it.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from bank.audit.model import Author
from bank.errors import BankError
from bank.ledger import service, store
from bank.ledger.model import (
    SINGLE_ACCOUNTS,
    Capture,
    Declined,
    JournalEntry,
    Limits,
    Outcome,
    Posting,
    Release,
    Replayed,
    Reserve,
    Side,
)
from bank.ledger.tables import journal_entries, ledger_accounts
from bank.money import Money, exponent
from bank.storage.transaction import Bank
from tests.ledger import NOON, assert_books_balance

NOBODY: Final = 999_999_999
"""The id of an account, entry or hold that does not exist; stories call it `nobody`."""

_OUTCOMES: Final = {"refused", "replayed", "key_reused"}
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "us": "microseconds"}
_MONEY_FACTS: Final = {"available", "needed", "limit", "spent", "remaining"}


class StoryFailed(AssertionError):
    """A line of a story did not come true."""


class _Abandoned(Exception):
    """Ends an `abandoned` block."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line, taken apart: command, words, options, the name it gives, and the outcome it expects."""

    number: int
    text: str
    command: str
    words: tuple[str, ...]
    options: dict[str, str]
    label: str | None
    outcome: str
    facts: dict[str, str]

    @classmethod
    def read(cls, number: int, text: str) -> Line:
        tokens = shlex.split(text, comments=True)
        ending = next((at for at, token in enumerate(tokens) if token in _OUTCOMES), len(tokens))
        head, tail = tokens[:ending], tokens[ending:]
        label = None
        if "as" in head:
            label = head[-1]
            head = head[: head.index("as")]
        words = [token for token in head if "=" not in token]
        outcome = " ".join(token for token in tail if "=" not in token) or "posted"
        options = dict(token.split("=", 1) for token in head if "=" in token)
        facts = dict(token.split("=", 1) for token in tail if "=" in token)
        return cls(number, text.strip(), words[0], tuple(words[1:]), options, label, outcome, facts)


@dataclass
class Scenario:
    """A bank in a story, its clock, and the names the story gave to things."""

    bank: Bank
    now: datetime = NOON
    limits: Limits = Limits(per_payment=1_000_00, per_day=2_500_00)  # noqa: RUF009 — frozen
    accounts: dict[str, int] = field(default_factory=dict)
    currencies: dict[int, str] = field(default_factory=dict)
    entries: dict[str, int] = field(default_factory=dict)
    asked: dict[str, JournalEntry] = field(default_factory=dict)
    hold_accounts: dict[str, int] = field(default_factory=dict)
    keys: Any = field(default_factory=lambda: itertools.count(1))

    def play(self, story: str) -> Scenario:
        """Play every line; raise `StoryFailed`, naming the line, at the first that does not come true."""
        __tracebackhide__ = True
        lines = [
            Line.read(number, text) for number, text in enumerate(story.splitlines(), 1) if text.split("#")[0].strip()
        ]
        while lines:
            line = lines.pop(0)
            block = []
            if line.command in ("batch", "within", "abandoned"):
                while (inner := lines.pop(0)).command != "end":
                    block.append(inner)
            self._told(line, block)
        assert_books_balance(self.bank)
        return self

    def _told(self, line: Line, block: list[Line]) -> None:
        __tracebackhide__ = True
        try:
            if block:
                self._post(block, how=line.command)
            elif make := _ENTRIES.get(line.command):
                self._post([line], how="batch", make=make)
            else:
                _ACTS[line.command](self, line)
        except StoryFailed:
            raise
        except (KeyError, ValueError, IndexError) as error:
            raise StoryFailed(f"line {line.number}: `{line.text}` cannot be read: {error!r}") from error

    # Posting

    def _post(
        self, lines: list[Line], *, how: str, make: Callable[[Scenario, Line], JournalEntry] | None = None
    ) -> None:
        __tracebackhide__ = True
        batch = [(make or _ENTRIES[line.command])(self, line) for line in lines]
        outcomes = self._through_the_door(batch, how)
        for line, asked, outcome in zip(lines, batch, outcomes, strict=True):
            self._compare(line, outcome)
            if line.label and how != "abandoned":
                self._remember(line.label, asked, outcome)

    def _through_the_door(self, batch: list[JournalEntry], how: str) -> list[Outcome]:
        if how == "batch":
            return service.post(self.bank, batch)
        if how == "within":
            return self.bank.run(service.post_in, batch)
        answered: list[Outcome] = []

        def fails(tx: sa.Connection) -> None:
            answered[:] = service.post_in(tx, batch)
            raise _Abandoned

        try:
            self.bank.run(fails)
        except _Abandoned:
            return answered
        raise AssertionError("the use case should have failed")

    def _remember(self, label: str, asked: JournalEntry, outcome: Outcome) -> None:
        first = outcome.first if isinstance(outcome, Replayed) else outcome
        self.asked[label] = asked
        if first.entry_id is not None:
            self.entries[label] = first.entry_id
        if isinstance(asked.hold, Reserve):
            self.hold_accounts[label] = asked.hold.account_id

    def _compare(self, line: Line, outcome: Outcome) -> None:
        __tracebackhide__ = True
        happened, facts = self._described(outcome)
        if "currency" not in line.facts:
            facts.pop("currency", None)
        if happened != line.outcome or (line.facts and line.facts != facts):
            wanted = " ".join([line.outcome, *(f"{name}={value}" for name, value in line.facts.items())])
            got = " ".join([happened, *(f"{name}={value}" for name, value in facts.items())])
            raise StoryFailed(f"line {line.number}: `{line.text}`\n  expected: {wanted}\n  happened: {got}")

    def _described(self, outcome: Outcome) -> tuple[str, dict[str, str]]:
        """The outcome in a story's words."""
        if isinstance(outcome, Replayed):
            word, facts = self._described(outcome.first)
            return f"replayed {word.removeprefix('refused ')}".removesuffix(" posted"), facts
        if not isinstance(outcome, Declined):
            return "posted", {}
        if outcome.error.code == "key_reused":
            return "key_reused", {}
        facts = getattr(outcome.error, "facts", {})
        return f"refused {outcome.error.code}", {name: self._fact(name, value, facts) for name, value in facts.items()}

    def _fact(self, name: str, value: Any, facts: dict[str, Any]) -> str:
        if name in _MONEY_FACTS:
            return Money(value, facts["currency"]).plain
        if name == "account":
            return next(
                (known for known, id in self.accounts.items() if id == value), "nobody" if value == NOBODY else "?"
            )
        if name in ("entry", "hold"):
            return next(
                (known for known, id in self.entries.items() if id == value), "nobody" if value == NOBODY else "?"
            )
        return str(value)

    # Reading words

    def account(self, name: str, currency: str = "USD") -> int:
        """The account of this name; the till and the bank's own are opened when first asked for."""
        if name == "nobody":
            return NOBODY
        if name == "till" or name in SINGLE_ACCOUNTS:
            name = f"{name}-{currency}"
        if name not in self.accounts:
            code, _, currency = name.partition("-")
            if code in SINGLE_ACCOUNTS:
                opened = self.bank.run(service.bank_account, code, currency, at=self.now).id
            elif code == "till":
                opened = self._open(name, "cash", currency, None)
            else:
                raise KeyError(f"no account is called {name}")
            self.accounts[name] = opened
            self.currencies[opened] = currency
        return self.accounts[name]

    def _open(self, name: str, chart: str, currency: str, floor: int | None) -> int:
        return self.bank.run(
            service.open_account,
            number=name,
            name=name,
            chart_code=chart,
            currency=currency,
            floor=floor,
            opened_at=self.now,
        )

    def money(self, text: str, account: int) -> Money:
        """`12.50` in the account's currency; `12.50EUR` in that one."""
        figure, currency = re.fullmatch(r"(-?[0-9.]+)([A-Z]{3})?", text).groups()  # type: ignore[union-attr]
        currency = currency or self.currencies.get(account, "USD")
        whole, _, fraction = figure.partition(".")
        decimals = exponent(currency)
        if len(fraction) != decimals:
            raise ValueError(f"{currency} has {decimals} decimals")
        return Money(int(whole + fraction), currency)

    def span(self, text: str) -> timedelta:
        """`+1h`, `-30s`, `+2d`, `+1us`."""
        number, unit = re.fullmatch(r"([+-][0-9]+)(us|[smhd])", text).groups()  # type: ignore[union-attr]
        return timedelta(**{_UNITS[unit]: int(number)})

    def entry(self, line: Line, postings: tuple[Posting, ...], **more: Any) -> JournalEntry:
        """The line's journal entry, with what its options say."""
        booking_date = self.bank.clock.business_date(self.now) + timedelta(days=int(line.options.get("day", 0)))
        return JournalEntry(
            caller=line.options.get("by", "teller"),
            idempotency_key=line.options.get("key", f"line {line.number}, {next(self.keys)}"),
            kind=line.command,
            narrative=line.options.get("narrative", ""),
            booking_date=booking_date,
            value_date=booking_date,
            booked_at=self.now,
            postings=postings,
            **more,
        )

    def author(self) -> Author:
        """A member of staff, now."""
        return Author("staff:1", self.now, self.bank.clock.business_date(self.now))


# What becomes a journal entry


def _moved(payer: int, payee: int, amount: Money) -> tuple[Posting, ...]:
    return Posting(payer, Side.DEBIT, amount), Posting(payee, Side.CREDIT, amount)


def _deposit(story: Scenario, line: Line) -> JournalEntry:
    name, figure = line.words
    account = story.account(name)
    amount = story.money(figure, account)
    return story.entry(line, _moved(story.account("till", amount.currency), account, amount))


def _withdraw(story: Scenario, line: Line) -> JournalEntry:
    name, figure = line.words
    account = story.account(name)
    amount = story.money(figure, account)
    return story.entry(line, _moved(account, story.account("till", amount.currency), amount))


def _transfer(story: Scenario, line: Line) -> JournalEntry:
    payer, payee, figure = line.words
    amount = story.money(figure, story.account(payer))
    return story.entry(line, _moved(story.account(payer), story.account(payee, amount.currency), amount))


def _pay(story: Scenario, line: Line) -> JournalEntry:
    payer, payee, figure = line.words
    amount = story.money(figure, story.account(payer))
    moved = _moved(story.account(payer), story.account(payee, amount.currency), amount)
    return story.entry(line, moved, limits=story.limits)


def _entry(story: Scenario, line: Line) -> JournalEntry:
    """`entry debit alice 3.00 credit bob 2.00 credit fee_income 1.00`."""
    thirds = zip(line.words[0::3], line.words[1::3], line.words[2::3], strict=True)
    postings = []
    for side, name, figure in thirds:
        account = story.account(name)
        postings.append(Posting(account, Side(side), story.money(figure, account)))
    return story.entry(line, tuple(postings))


def _hold(story: Scenario, line: Line) -> JournalEntry:
    name, figure = line.words
    account = story.account(name)
    expires = line.options.get("expires")
    expires_at = story.now + story.span(expires) if expires else None
    return story.entry(line, (), hold=Reserve(account, story.money(figure, account), expires_at))


def _held(story: Scenario, line: Line) -> tuple[int, int]:
    """The hold's id and its account; `of=` names another account."""
    name = line.words[0]
    hold = NOBODY if name == "nobody" else story.entries[name]
    of = line.options.get("of")
    return hold, story.account(of) if of else story.hold_accounts[name]


def _capture(story: Scenario, line: Line) -> JournalEntry:
    hold, account = _held(story, line)
    amount = story.money(line.words[1], account)
    payee = story.account(line.options.get("to", "till"), amount.currency)
    moved = _moved(account, payee, amount)
    if "with" in line.options:
        name, figure = line.options["with"].split(":")
        other = story.account(name)
        share = story.money(figure, other)
        moved = (moved[0], Posting(other, Side.DEBIT, share), Posting(payee, Side.CREDIT, amount + share))
    return story.entry(line, moved, hold=Capture(hold, account, amount))


def _release(story: Scenario, line: Line) -> JournalEntry:
    return story.entry(line, (), hold=Release(*_held(story, line)))


def _expire(story: Scenario, line: Line) -> JournalEntry:
    return story.entry(line, (), hold=Release(*_held(story, line), expired=True))


def _reverse(story: Scenario, line: Line) -> JournalEntry:
    name = line.words[0]
    if name == "nobody":
        till, clearing = story.account("till-USD"), story.account("clearing-USD")
        return story.entry(line, _moved(till, clearing, Money(1, "USD")), reverses=NOBODY)
    opposite = (Posting(p.account_id, p.side.other, p.amount) for p in _moved_by(story, name))
    return story.entry(line, tuple(opposite), reverses=story.entries[name])


def _moved_by(story: Scenario, name: str) -> tuple[Posting, ...]:
    """What the entry moved, or would have; a hold moves nothing, so what it reserved."""
    asked = story.asked[name]
    if isinstance(asked.hold, Reserve):
        return _moved(asked.hold.account_id, story.account("till", asked.hold.amount.currency), asked.hold.amount)
    return asked.postings


def _replay(story: Scenario, line: Line) -> JournalEntry:
    """The very entry of before, asked again now."""
    asked = story.asked[line.words[0]]
    fields = {name: getattr(asked, name) for name in asked.__dataclass_fields__}
    today = story.bank.clock.business_date(story.now)
    return JournalEntry(**{**fields, "booked_at": story.now, "booking_date": today, "value_date": today})


_ENTRIES: Final[dict[str, Callable[[Scenario, Line], JournalEntry]]] = {
    "deposit": _deposit,
    "withdraw": _withdraw,
    "transfer": _transfer,
    "pay": _pay,
    "entry": _entry,
    "hold": _hold,
    "capture": _capture,
    "release": _release,
    "expire": _expire,
    "reverse": _reverse,
    "replay": _replay,
}


# What is done beside the door


def _open(story: Scenario, line: Line) -> None:
    name = line.words[0]
    currency = line.options.get("currency", "USD")
    story.currencies[0] = currency
    floor = story.money(line.options["floor"], 0).minor_units if "floor" in line.options else 0
    account = story._open(name, line.options.get("chart", "current"), currency, floor)
    story.accounts[name] = account
    story.currencies[account] = currency
    if {"per_payment", "per_day"} & set(line.options):
        _limits(story, line)


def _limits(story: Scenario, line: Line) -> None:
    """Limits of an account's own; of `everyone`, those of accounts that have none."""
    name = line.words[0]
    account = 0 if name == "everyone" else story.account(name)
    limits = {
        which: story.money(line.options[which], account).minor_units if which in line.options else None
        for which in ("per_payment", "per_day")
    }
    if name == "everyone":
        story.limits = Limits(per_payment=limits["per_payment"] or 0, per_day=limits["per_day"] or 0)
    else:
        story.bank.run(service.set_limits, account, **limits, by=story.author(), reason="story")


def _floor(story: Scenario, line: Line) -> None:
    account = story.account(line.words[0])
    floor = story.money(line.words[1], account).minor_units
    _may_refuse(line, lambda: story.bank.run(service.set_floor, account, floor, by=story.author(), reason="story"))


def _status(status: str) -> Callable[[Scenario, Line], None]:
    def act(story: Scenario, line: Line) -> None:
        wanted = "debits_frozen" if line.words[1:] == ("debits",) else status
        account = story.account(line.words[0])
        _may_refuse(
            line, lambda: story.bank.run(service.set_status, account, wanted, by=story.author(), reason="story")
        )

    return act


def _may_refuse(line: Line, act: Callable[[], None]) -> None:
    __tracebackhide__ = True
    happened = "posted"
    try:
        act()
    except BankError as error:
        happened = f"refused {error.code}"
    if happened != line.outcome:
        raise StoryFailed(f"line {line.number}: `{line.text}`\n  expected: {line.outcome}\n  happened: {happened}")


def _clock(story: Scenario, line: Line) -> None:
    story.now += story.span(line.words[0])


def _sweep(story: Scenario, line: Line) -> None:
    """Expire every hold that is due; the second word says how many that should be."""
    expired = service.expire_holds(story.bank, at=story.now, who="endofday")
    _see(line, {"expired": str(expired)})


def _expect(story: Scenario, line: Line) -> None:
    __tracebackhide__ = True
    account = story.account(line.words[0])
    with story.bank.reader() as reader:
        found = store.account(reader, account)
        spent = reader.execute(
            sa.select(ledger_accounts.c.spent, ledger_accounts.c.spent_day).where(ledger_accounts.c.id == account)
        ).one()
    assert found is not None
    _see(
        line,
        {
            "booked": found.balance_money.plain,
            "available": found.available.plain,
            "held": found.held_money.plain,
            "version": str(found.version),
            "status": found.status,
            "spent": Money(spent.spent, found.currency).plain,
            "spent_day": str(spent.spent_day),
        },
    )


def _recorded(story: Scenario, line: Line) -> None:
    """What stands in the journal: `recorded d1 narrative="…" caller=… booked_at=…`."""
    __tracebackhide__ = True
    with story.bank.reader() as reader:
        row = reader.execute(
            sa.select(journal_entries).where(journal_entries.c.id == story.entries[line.words[0]])
        ).one()
    seen = {name: str(value) for name, value in row._mapping.items()}
    _see(line, {**seen, "key": row.idempotency_key, "booked_at": row.booked_at.isoformat()})


def _journal(story: Scenario, line: Line) -> None:
    """How many rows the journal has: `journal entries=3 refusals=1`."""
    __tracebackhide__ = True
    with story.bank.reader() as reader:
        refusals = reader.execute(sa.select(journal_entries.c.refusal)).scalars().all()
    _see(line, {"entries": str(len(refusals)), "refusals": str(sum(code is not None for code in refusals))})


def _see(line: Line, seen: dict[str, str]) -> None:
    __tracebackhide__ = True
    got = {name: seen[name] for name in line.options}
    if got != line.options:
        differing = [f"{name}={got[name]}" for name in got if got[name] != line.options[name]]
        raise StoryFailed(f"line {line.number}: `{line.text}`\n  happened: {' '.join(differing)}")


_ACTS: Final[dict[str, Callable[[Scenario, Line], None]]] = {
    "open": _open,
    "limits": _limits,
    "floor": _floor,
    "freeze": _status("frozen"),
    "unfreeze": _status("open"),
    "close": _status("closed"),
    "clock": _clock,
    "sweep": _sweep,
    "expect": _expect,
    "recorded": _recorded,
    "journal": _journal,
}
