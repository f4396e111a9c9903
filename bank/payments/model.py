"""What people ask to be paid; the kinds of entries this makes."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from bank.language import gettext
from bank.language import marked as _
from bank.money import Money

#: What an entry's kind is called on a page, a receipt and a statement.
KINDS: Final = {
    "deposit": _("Cash deposit"),
    "withdrawal": _("Cash withdrawal"),
    "transfer": _("Transfer"),
    "closing_payout": _("Paid out at closing"),
    "reversal": _("Reversal"),
    "hold": _("Hold"),
    "hold_release": _("Hold released"),
    "hold_expiry": _("Hold expired"),
    "opening": _("Opening balance"),
    "adjustment": _("Adjustment"),
    "card_withdrawal": _("Card withdrawal"),
    "transfer_in": _("Transfer from another bank"),
    "transfer_out": _("Transfer to another bank"),
    "interest": _("Interest"),
    "fee": _("Fee"),
    "penalty_interest": _("Penalty interest"),
    "till_supply": _("Cash from the vault"),
    "till_return": _("Cash to the vault"),
    "till_difference": _("Till difference"),
    "vault_supply": _("Cash delivered to the vault"),
    "vault_return": _("Cash collected from the vault"),
}

#: How a reversal's narrative begins, as it is stored; what was reversed follows.
REVERSAL: Final = "Reversal: "

#: What became of a scheduled payment.
SCHEDULED_STATUSES: Final = {
    "waiting": _("waiting for its day"),
    "done": _("paid"),
    "refused": _("not paid"),
    "cancelled": _("cancelled"),
}

#: Why a payment was not made on its day, by the refusal's code; amounts are among its facts.
_REASONS: Final = {
    "insufficient_funds": _("There was not enough on the account: %(available)s was available."),
    "over_payment_limit": _("It was more than the limit for one payment, which was %(limit)s."),
    "over_daily_limit": _("It was more than what was left of the day's limit of %(limit)s."),
    "account_frozen": _("The account it was to be paid from was frozen."),
    "account_closed": _("The account it was to be paid from was closed. It is not tried again."),
    "payee_cannot_receive": _("The account to be paid could not receive payments."),
    "no_such_account": _("You could no longer pay from this account. It is not tried again."),
    "customer_inactive": _("You could not pay at that time."),
    "key_reused": _("Its key came before, with another payment. Give every payment a key of its own."),
}

# Where it says more than the kind's name: when money came in, and when it went out.
_IN_AND_OUT: Final = {
    "transfer": (_("Transfer in"), _("Transfer out")),
    "fee": (_("Fee refund"), _("Fee")),
    # "Opening balance" would read like a statement's own.
    "opening": (_("Balance brought in"), _("Balance brought in")),
}


def kind_words(kind: str, *, received: bool) -> str:
    """An entry's kind as customers read it.

    >>> kind_words("transfer", received=True), kind_words("withdrawal", received=False)
    ('Transfer in', 'Cash withdrawal')
    """
    if words := _IN_AND_OUT.get(kind):
        return gettext(words[0] if received else words[1])
    if kind in KINDS:
        return gettext(KINDS[kind])
    return " ".join(kind.replace("_", " ").split()).capitalize() or gettext("Transaction")


def told(narrative: str, kind: str, *, received: bool) -> str:
    """What a movement is called: what somebody wrote about it, or else its kind, which the bank wrote, in any language.

    >>> told("Cash deposit", "deposit", received=True), told("", "transfer", received=False), told("Rent", "transfer", received=True)
    ('Cash deposit', 'Transfer out', 'Rent')
    """
    if narrative in ("", KINDS.get(kind)):
        return kind_words(kind, received=received)
    if kind == "reversal" and narrative.startswith(REVERSAL):
        what = narrative.removeprefix(REVERSAL)
        return gettext("Reversal: %(what)s", what=gettext(what) if what in KINDS.values() else what)
    return narrative


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """Pay `amount` from one account to another; `key` is the form's own operation id.

    `payer_id` is the customer who pays; None when staff do it for the owners.
    """

    from_account_id: int
    to_account_id: int
    amount: Money
    reference: str
    key: str
    payer_id: int | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the bank did: the entry's id; `replayed` when it had been done before."""

    entry_id: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A payment of a later day; `repeats` is once or monthly, `status` one of SCHEDULED_STATUSES."""

    id: int
    operation: str
    customer_id: int
    from_account_id: int
    from_number: str
    from_product: str
    to_account_id: int
    to_number: str
    payee_name: str
    amount: Money
    reference: str
    due_on: date
    repeats: str
    day_of_month: int
    status: str
    entry_id: int | None
    refusal: dict[str, Any] | None
    created_at: datetime
    decided_at: datetime | None

    @property
    def says(self) -> str:
        """Its status in words."""
        return gettext(SCHEDULED_STATUSES[self.status])

    @property
    def why(self) -> str:
        """Why it was not paid, in the reader's language; empty unless it was refused."""
        return why_refused(self.refusal)

    def __str__(self) -> str:
        """How an audit record names the payment."""
        return f"scheduled:{self.id}"


def why_refused(refusal: dict[str, Any] | None) -> str:
    """A remembered refusal (its code and facts) in the reader's language; empty when there is none.

    >>> why_refused({"code": "over_daily_limit", "facts": {"limit": 500_00, "currency": "USD"}})
    "It was more than what was left of the day's limit of 500.00 USD."
    """
    if refusal is None:
        return ""
    facts = refusal["facts"]
    amounts = {name: Money(max(facts[name], 0), facts["currency"]) for name in ("available", "limit") if name in facts}
    reason = _REASONS.get(refusal["code"])
    return gettext(reason, **amounts) if reason else gettext("The bank refused it; nothing has moved.")


def next_month(day: date, day_of_month: int) -> date:
    """The same day of the following month, or that month's last when it is shorter.

    >>> next_month(date(2027, 1, 31), 31), next_month(date(2027, 2, 28), 31)
    (datetime.date(2027, 2, 28), datetime.date(2027, 3, 31))
    """
    year, month = day.year + day.month // 12, day.month % 12 + 1
    return date(year, month, min(day_of_month, calendar.monthrange(year, month)[1]))
