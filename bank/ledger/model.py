"""Journal entries and what the door answers; values only."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Final

from bank.errors import BankError
from bank.language import marked as _
from bank.ledger import errors
from bank.money import Money


class Side(StrEnum):
    """The two sides of every entry; amounts are positive, as in ISO 20022."""

    DEBIT = "debit"
    CREDIT = "credit"

    @property
    def other(self) -> Side:
        """Debit for credit, credit for debit."""
        return Side.CREDIT if self is Side.DEBIT else Side.DEBIT


@dataclass(frozen=True, slots=True)
class ChartLine:
    """A kind of ledger account, and the side on which it grows."""

    name: str
    normal_side: Side


#: The chart of accounts. What customers hold is the bank's liability: a credit raises it.
CHART: Final = {
    "current": ChartLine(_("Customers' current accounts"), Side.CREDIT),
    "savings": ChartLine(_("Customers' savings accounts"), Side.CREDIT),
    "cash": ChartLine(_("Cash in tills"), Side.DEBIT),
    "vault": ChartLine(_("Cash in the vault"), Side.DEBIT),
    "cash_differences": ChartLine(_("Cash over and short"), Side.DEBIT),
    "clearing": ChartLine(_("Clearing with other banks"), Side.DEBIT),
    "interest_paid": ChartLine(_("Interest paid to customers"), Side.DEBIT),
    "penalty_interest": ChartLine(_("Penalty interest earned"), Side.CREDIT),
    "fee_income": ChartLine(_("Fee income"), Side.CREDIT),
    "suspense": ChartLine(_("Suspense: to be explained"), Side.DEBIT),
    "opening_balances": ChartLine(_("Opening balances brought in"), Side.DEBIT),
}

#: The bank's own accounts of which there is one each, numbered by their chart code.
SINGLE_ACCOUNTS: Final = (
    "vault",
    "cash_differences",
    "clearing",
    "interest_paid",
    "penalty_interest",
    "fee_income",
    "suspense",
    "opening_balances",
)


@dataclass(frozen=True, slots=True)
class Posting:
    """One debit or credit of one ledger account."""

    account_id: int
    side: Side
    amount: Money


@dataclass(frozen=True, slots=True)
class Limits:
    """The bank's default limits, for accounts that have none of their own; minor units."""

    per_payment: int
    per_day: int


@dataclass(frozen=True, slots=True)
class Reserve:
    """Keep `amount` of the account from being spent; the entry's id becomes the hold's."""

    account_id: int
    amount: Money
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Capture:
    """Let the entry's postings take `amount` out of the hold; the rest stays reserved."""

    hold_id: int
    account_id: int
    amount: Money


@dataclass(frozen=True, slots=True)
class Release:
    """Give back all that is still reserved; `expired` only when its time has come."""

    hold_id: int
    account_id: int
    expired: bool = False


Hold = Reserve | Capture | Release


class UnbalancedEntry(AssertionError):
    """Our mistake, never a customer's: nobody catches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """Postings that happen together or not at all; per currency, debits equal credits.

    `caller` is who asks, and `idempotency_key` is theirs for ever: the same key with the
    same content is answered as the first time, with other content refused.
    """

    caller: str
    idempotency_key: str
    kind: str
    narrative: str
    booking_date: date
    value_date: date
    booked_at: datetime
    postings: tuple[Posting, ...] = ()
    limits: Limits | None = None
    reverses: int | None = None
    hold: Hold | None = None

    def __post_init__(self) -> None:
        if gap := imbalance(self.postings):
            raise UnbalancedEntry(f"debits and credits differ by {gap}")
        if any(posting.amount.minor_units <= 0 for posting in self.postings):
            raise UnbalancedEntry("a posting must be above zero")
        if len({posting.account_id for posting in self.postings}) != len(self.postings):
            raise UnbalancedEntry("an account stands twice in one entry")
        if not (self.postings or self.hold) or (self.postings and isinstance(self.hold, Reserve | Release)):
            raise UnbalancedEntry("an entry posts, or captures and posts, or reserves or releases")
        if isinstance(self.hold, Capture) and not self._takes(self.hold):
            raise UnbalancedEntry("a capture posts just what it takes from the hold")
        if isinstance(self.hold, Reserve) and self.hold.amount.minor_units <= 0:
            raise UnbalancedEntry("a hold must be above zero")
        self._require_storable_texts()

    def _require_storable_texts(self) -> None:
        """Refuse what one database would cut or reject, and another keep."""
        for name, text, most in (
            ("caller", self.caller, 100),
            ("idempotency_key", self.idempotency_key, 255),
            ("kind", self.kind, 30),
        ):
            if not 0 < len(text.encode()) <= most or "\0" in text:
                raise UnbalancedEntry(f"{name} has 1 to {most} bytes and no NUL")
        if len(self.narrative) > 200 or "\0" in self.narrative:
            raise UnbalancedEntry("a narrative has at most 200 characters and no NUL")

    def _takes(self, capture: Capture) -> bool:
        return Posting(capture.account_id, Side.DEBIT, capture.amount) in self.postings

    def digest(self) -> str:
        """A fingerprint of what is asked, whenever it is asked: the dates of booking are left out."""
        asked = ([p.account_id, p.side, p.amount.minor_units, p.amount.currency] for p in self.postings)
        return fingerprint(self.kind, self.narrative, asked, self.reverses, self.hold_change())

    def hold_change(self) -> list[Any] | None:
        """What happens to a hold: the operation, its account, the hold (None: a new one), the minor units (None: all
        that is left), and of a new one the currency, which no posting says."""
        match self.hold:
            case Reserve(account_id, amount, _):
                return ["reserve", account_id, None, amount.minor_units, amount.currency]
            case Capture(hold_id, account_id, amount):
                return ["capture", account_id, hold_id, amount.minor_units]
            case Release(hold_id, account_id, expired):
                return ["expire" if expired else "release", account_id, hold_id, None]
            case None:
                return None

    def hold_currency(self) -> str | None:
        """The currency of what is reserved or captured; None for what names no amount."""
        return self.hold.amount.currency if isinstance(self.hold, Reserve | Capture) else None

    def as_message(self) -> dict[str, Any]:
        """The entry as the doors in the databases read it."""
        operation = self.hold_change()
        return {
            "caller": self.caller,
            "key": self.idempotency_key,
            "digest": self.digest(),
            "kind": self.kind,
            "narrative": self.narrative,
            "booking_date": self.booking_date.isoformat(),
            "value_date": self.value_date.isoformat(),
            "booked_at": _utc(self.booked_at),
            "reverses": self.reverses,
            "hold_op": operation and operation[0],
            "hold_account": operation and operation[1],
            "hold_id": operation and operation[2],
            "hold_minor": operation and operation[3],
            "hold_currency": self.hold_currency(),
            "hold_expires_at": _utc(self.hold.expires_at)
            if isinstance(self.hold, Reserve) and self.hold.expires_at
            else None,
            "limit_per_payment": self.limits and self.limits.per_payment,
            "limit_per_day": self.limits and self.limits.per_day,
            "postings": [
                {
                    "account": p.account_id,
                    "side": p.side,
                    "minor": p.amount.minor_units,
                    "currency": p.amount.currency,
                }
                for p in self.postings
            ],
        }


def fingerprint(
    kind: str, narrative: str, asked: Iterable[list[Any]], reverses: int | None, hold: list[Any] | None
) -> str:
    """The digest of an entry: `asked` are its postings as [account, side, minor units, currency], in any order."""
    content = [kind, narrative, sorted(asked), reverses, hold]
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()


def _utc(instant: datetime) -> str:
    """UTC without a zone, as all three databases read it."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def imbalance(postings: tuple[Posting, ...]) -> dict[str, int]:
    """Debits less credits per currency, where they differ; minor units."""
    sums: Counter[str] = Counter()
    for posting in postings:
        sign = 1 if posting.side is Side.DEBIT else -1
        sums[posting.amount.currency] += sign * posting.amount.minor_units
    return {currency: gap for currency, gap in sums.items() if gap}


@dataclass(frozen=True, slots=True)
class Posted:
    """The entry is in the ledger."""

    entry_id: int

    def or_raise(self) -> int:
        """The entry's id."""
        return self.entry_id


@dataclass(frozen=True, slots=True)
class Declined:
    """Nothing moved, and nothing ever will by this key; `entry_id` names the remembered refusal, if it was remembered."""

    error: BankError
    entry_id: int | None = None

    def or_raise(self) -> int:
        """Raises: the refusal."""
        raise self.error


@dataclass(frozen=True, slots=True)
class Replayed:
    """The key came before with the same content: this is what was answered then."""

    first: Posted | Declined

    def or_raise(self) -> int:
        """The first answer's entry id, or its refusal."""
        return self.first.or_raise()


Outcome = Posted | Declined | Replayed


def outcome_of(answer: list[Any]) -> Outcome:
    """Read a door's answer: [how, entry id, refusal's code, refusal's facts]."""
    how, entry_id, code, facts = answer
    if how == "key_reused":
        return Declined(errors.KeyReused())
    first = Declined(errors.refusal(code, facts or {}), entry_id) if code else Posted(entry_id)
    return Replayed(first) if how == "replayed" else first
