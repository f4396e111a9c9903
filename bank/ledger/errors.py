"""Why the door says no. The codes are the doors' own words; facts are ids and minor units."""

from __future__ import annotations

from typing import Any, Final

from bank.errors import BankError, Refused
from bank.language import gettext
from bank.language import marked as _
from bank.money import Money


class LedgerRefused(Refused):
    """The ledger refused an entry; nothing moved."""

    code = "ledger_refused"
    sentence = _("The bank refused this; nothing has moved.")

    def __init__(self, facts: dict[str, Any]) -> None:
        super().__init__(self.explain(facts))
        self.facts = facts

    def explain(self, facts: dict[str, Any]) -> str:
        """The sentence for people."""
        return gettext(self.sentence)


def _money(facts: dict[str, Any], name: str) -> Money:
    return Money(facts[name], facts["currency"])


class UnknownAccount(LedgerRefused):
    """There is no such account."""

    code = "unknown_account"
    sentence = _("There is no such account. Check its number.")


class CurrencyMismatch(LedgerRefused):
    """The account is kept in another currency."""

    code = "currency_mismatch"
    sentence = _("The account is kept in another currency.")


class AccountClosed(LedgerRefused):
    """The account is closed."""

    code = "account_closed"
    sentence = _("The account is closed; nothing can be paid into it or out of it.")


class AccountFrozen(LedgerRefused):
    """The account is frozen for this direction."""

    code = "account_frozen"
    sentence = _("The account is frozen. The branch can say why.")


class InsufficientFunds(LedgerRefused):
    """The available balance does not cover the amount."""

    code = "insufficient_funds"

    def explain(self, facts: dict[str, Any]) -> str:
        available, needed = _money(facts, "available"), _money(facts, "needed")
        if available.minor_units <= 0:
            return gettext("There is nothing available on the account to take %(needed)s from.", needed=needed)
        return gettext(
            "Enter %(available)s or less: that is the available balance, and %(needed)s is more.",
            available=available,
            needed=needed,
        )


class OverPaymentLimit(LedgerRefused):
    """The amount is above the account's limit for one payment."""

    code = "over_payment_limit"

    def explain(self, facts: dict[str, Any]) -> str:
        return gettext("Enter %(limit)s or less: that is the limit for one payment.", limit=_money(facts, "limit"))


class OverDailyLimit(LedgerRefused):
    """The amount, with what was paid today, is above the account's limit for a day."""

    code = "over_daily_limit"

    def explain(self, facts: dict[str, Any]) -> str:
        left = _money(facts, "limit").minor_units - facts["spent"]
        return gettext(
            "Only %(left)s of today's limit of %(limit)s is left.",
            left=Money(max(left, 0), facts["currency"]),
            limit=_money(facts, "limit"),
        )


class UnknownHold(LedgerRefused):
    """There is no such hold on this account."""

    code = "unknown_hold"
    sentence = _("There is no such hold on this account.")


class HoldEnded(LedgerRefused):
    """The hold was captured, released or expired before."""

    code = "hold_ended"
    sentence = _("The hold has already ended; nothing is reserved by it any more.")


class HoldExpired(LedgerRefused):
    """The hold's time is over."""

    code = "hold_expired"
    sentence = _("The hold's time is over; it can only be released.")


class HoldNotExpired(LedgerRefused):
    """The hold's time has not come yet."""

    code = "hold_not_expired"
    sentence = _("The hold's time has not come yet.")


class HoldTooSmall(LedgerRefused):
    """More was asked than the hold still reserves."""

    code = "hold_too_small"

    def explain(self, facts: dict[str, Any]) -> str:
        return gettext(
            "Enter %(remaining)s or less: that is what the hold still reserves.", remaining=_money(facts, "remaining")
        )


class UnknownEntry(LedgerRefused):
    """There is no such entry to reverse."""

    code = "unknown_entry"
    sentence = _("There is no such entry to reverse.")


class NotReversible(LedgerRefused):
    """Only an entry that moved money, and is no reversal itself, can be reversed."""

    code = "not_reversible"
    sentence = _("Only an entry that moved money can be reversed, and a reversal cannot. Post it again instead.")


class AlreadyReversed(LedgerRefused):
    """The entry was reversed before."""

    code = "already_reversed"
    sentence = _("This entry has already been reversed.")


class KeyReused(Refused):
    """The idempotency key came before with other content."""

    code = "key_reused"

    def __init__(self) -> None:
        super().__init__(gettext("This operation was already used for something else. Start again with a new form."))


REFUSALS: Final = {
    kind.code: kind
    for kind in (
        UnknownAccount, CurrencyMismatch, AccountClosed, AccountFrozen, InsufficientFunds, OverPaymentLimit,
        OverDailyLimit, UnknownHold, HoldEnded, HoldExpired, HoldNotExpired, HoldTooSmall, UnknownEntry,
        NotReversible, AlreadyReversed,
    )
}  # fmt: skip


def refusal(code: str, facts: dict[str, Any]) -> BankError:
    """The error a door's code stands for."""
    return REFUSALS[code](facts)
