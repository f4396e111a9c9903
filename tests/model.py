"""The ledger's rules once more, in plain Python and in memory: what the doors are compared with.

Nothing here is shared with the doors but the values they are asked with. It adds up from history where they keep
running numbers, so that a mistake in their bookkeeping cannot be made here as well.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from bank.ledger.model import Capture, JournalEntry, Posting, Release, Reserve, Side

Refusal = tuple[str, dict[str, Any]]


@dataclass
class ModelAccount:
    """An account: what it is, and every movement it ever had."""

    id: int
    currency: str
    grows_on: Side
    floor: int | None
    status: str = "open"
    own_per_payment: int | None = None
    own_per_day: int | None = None
    movements: list[int] = field(default_factory=list)
    limited_by_day: dict[date, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def balance(self) -> int:
        """Everything that came, less everything that went."""
        return sum(self.movements)


@dataclass
class ModelHold:
    """A hold: what was reserved, less what was taken or given back."""

    account: int
    remaining: int
    expires_at: datetime | None


@dataclass
class Answer:
    """What became of a key: asked what, refused why; `id` is the database's, once it is known."""

    asked: JournalEntry
    refusal: Refusal | None
    id: int | None = None

    @property
    def moved(self) -> bool:
        """Did money move?"""
        return self.refusal is None and bool(self.asked.postings)


@dataclass
class Ledger:
    """All accounts, all answers by caller and key, all holds by id."""

    accounts: dict[int, ModelAccount] = field(default_factory=dict)
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    holds: dict[int, ModelHold] = field(default_factory=dict)

    def post(self, asked: JournalEntry) -> tuple[str, Answer | None]:
        """How the door must answer: posted, refused, replayed or key_reused, and the answer that is remembered."""
        place = (asked.caller, asked.idempotency_key)
        if place in self.answers:
            before = self.answers[place]
            return ("replayed", before) if same_content(before.asked, asked) else ("key_reused", None)
        answer = self.answers[place] = Answer(asked, self.refusal(asked))
        if answer.refusal:
            return "refused", answer
        self._apply(asked)
        return "posted", answer

    def learn(self, answer: Answer, entry_id: int) -> None:
        """Take note of the id that the database gave to an answer."""
        answer.id = entry_id
        if answer.refusal is None and isinstance(answer.asked.hold, Reserve):
            reserve = answer.asked.hold
            self.holds[entry_id] = ModelHold(reserve.account_id, reserve.amount.minor_units, reserve.expires_at)
            self.promised.pop(id(answer.asked))

    promised: dict[int, Reserve] = field(default_factory=dict)
    """Holds whose id is not known yet, within a batch."""

    def held(self, account_id: int) -> int:
        """What all holds reserve on the account."""
        known = sum(hold.remaining for hold in self.holds.values() if hold.account == account_id)
        return known + sum(r.amount.minor_units for r in self.promised.values() if r.account_id == account_id)

    def available(self, account: ModelAccount) -> int:
        """What may be spent down to the floor."""
        assert account.floor is not None
        return account.balance - self.held(account.id) - account.floor

    # Why not

    def refusal(self, asked: JournalEntry) -> Refusal | None:
        """The reason that counts: the reversal's, then the hold's, then the postings'."""
        return self._bad_reversal(asked) or self._bad_hold(asked) or self._bad_postings(asked)

    def _bad_reversal(self, asked: JournalEntry) -> Refusal | None:
        if asked.reverses is None:
            return None
        facts = {"entry": asked.reverses}
        found = [answer for answer in self.answers.values() if answer.id == asked.reverses]
        if not found:
            return "unknown_entry", facts
        if not found[0].moved or found[0].asked.reverses is not None:
            return "not_reversible", facts
        if any(answer.moved and answer.asked.reverses == asked.reverses for answer in self.answers.values()):
            return "already_reversed", facts
        return None

    def _bad_hold(self, asked: JournalEntry) -> Refusal | None:
        if asked.hold is None:
            return None
        if asked.hold.account_id not in self.accounts:
            return "unknown_account", {"account": asked.hold.account_id}
        if isinstance(asked.hold, Reserve):
            return self._bad_reserve(asked.hold)
        return self._bad_use(asked.hold, asked.booked_at)

    def _bad_reserve(self, reserve: Reserve) -> Refusal | None:
        account = self.accounts[reserve.account_id]
        facts = {"account": account.id}
        if reserve.amount.currency != account.currency:
            return "currency_mismatch", facts
        if account.status != "open":
            return ("account_closed" if account.status == "closed" else "account_frozen"), facts
        if account.floor is not None and reserve.amount.minor_units > self.available(account):
            return "insufficient_funds", self._lacking(account, self.available(account), reserve.amount.minor_units)
        return None

    def _bad_use(self, use: Capture | Release, at: datetime) -> Refusal | None:
        hold = self.holds.get(use.hold_id)
        facts = {"hold": use.hold_id}
        if hold is None or hold.account != use.account_id:
            return "unknown_hold", facts
        if not hold.remaining:
            return "hold_ended", facts
        due = hold.expires_at is not None and at >= hold.expires_at
        if isinstance(use, Release):
            return ("hold_not_expired", facts) if use.expired and not due else None
        if due:
            return "hold_expired", facts
        if use.amount.minor_units > hold.remaining:
            currency = self.accounts[use.account_id].currency
            return "hold_too_small", {**facts, "remaining": hold.remaining, "currency": currency}
        return None

    def _bad_postings(self, asked: JournalEntry) -> Refusal | None:
        for rule in (self._bad_account, self._over_payment, self._over_day, self._too_poor):
            for posting in asked.postings:
                if refusal := rule(asked, posting):
                    return refusal
        return None

    def _bad_account(self, asked: JournalEntry, posting: Posting) -> Refusal | None:
        account = self.accounts.get(posting.account_id)
        facts = {"account": posting.account_id}
        if account is None:
            return "unknown_account", facts
        if account.currency != posting.amount.currency:
            return "currency_mismatch", facts
        if account.status == "closed":
            return "account_closed", facts
        lowers = posting.side is not account.grows_on
        if account.status == "frozen" or (account.status == "debits_frozen" and lowers):
            return "account_frozen", facts
        return None

    def _over_payment(self, asked: JournalEntry, posting: Posting) -> Refusal | None:
        account = self.accounts[posting.account_id]
        if not self.limited(asked, posting):
            return None
        assert asked.limits is not None
        limit = asked.limits.per_payment if account.own_per_payment is None else account.own_per_payment
        needed = posting.amount.minor_units
        if needed <= limit:
            return None
        return "over_payment_limit", {
            "account": account.id, "limit": limit, "needed": needed, "currency": account.currency
        }  # fmt: skip

    def _over_day(self, asked: JournalEntry, posting: Posting) -> Refusal | None:
        account = self.accounts[posting.account_id]
        if not self.limited(asked, posting):
            return None
        assert asked.limits is not None
        limit = asked.limits.per_day if account.own_per_day is None else account.own_per_day
        spent = account.limited_by_day.get(limit_day(account, asked.booking_date), 0)
        needed = posting.amount.minor_units
        if spent + needed <= limit:
            return None
        return "over_daily_limit", {
            "account": account.id, "limit": limit, "spent": spent, "needed": needed, "currency": account.currency
        }  # fmt: skip

    def _too_poor(self, asked: JournalEntry, posting: Posting) -> Refusal | None:
        account = self.accounts[posting.account_id]
        if account.floor is None or posting.side is account.grows_on:
            return None
        available = self.available(account)
        if isinstance(asked.hold, Capture) and asked.hold.account_id == account.id:
            available += asked.hold.amount.minor_units
        needed = posting.amount.minor_units
        return ("insufficient_funds", self._lacking(account, available, needed)) if needed > available else None

    def limited(self, asked: JournalEntry, posting: Posting) -> bool:
        """Do limits apply: asked for, and a customer's money going?"""
        account = self.accounts[posting.account_id]
        return asked.limits is not None and account.floor is not None and posting.side is not account.grows_on

    @staticmethod
    def _lacking(account: ModelAccount, available: int, needed: int) -> dict[str, Any]:
        return {"account": account.id, "available": available, "needed": needed, "currency": account.currency}

    # What then

    def _apply(self, asked: JournalEntry) -> None:
        match asked.hold:
            case Reserve():
                self.promised[id(asked)] = asked.hold
            case Capture(hold_id, _, amount):
                self.holds[hold_id].remaining -= amount.minor_units
            case Release(hold_id, _, _):
                self.holds[hold_id].remaining = 0
        for posting in asked.postings:
            account = self.accounts[posting.account_id]
            minor = posting.amount.minor_units
            account.movements.append(minor if posting.side is account.grows_on else -minor)
            if self.limited(asked, posting):
                account.limited_by_day[limit_day(account, asked.booking_date)] += minor


def limit_day(account: ModelAccount, booking_date: date) -> date:
    """The day whose limit counts: never one before a day already counted."""
    return max([booking_date, *account.limited_by_day])


def same_content(one: JournalEntry, other: JournalEntry) -> bool:
    """Do both ask for the same, whenever they ask?"""
    return _content(one) == _content(other)


def _content(asked: JournalEntry) -> tuple[Any, ...]:
    hold: tuple[Any, ...] | None = None
    match asked.hold:
        case Reserve(account_id, amount, _):
            hold = ("reserve", account_id, amount)
        case Capture(hold_id, account_id, amount):
            hold = ("capture", hold_id, account_id, amount)
        case Release(hold_id, account_id, expired):
            hold = ("release", hold_id, account_id, expired)
    return asked.kind, asked.narrative, frozenset(asked.postings), asked.reverses, hold
