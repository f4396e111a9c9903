"""A customer's payment in one message to the database: by session or token, which the database itself looks up."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from bank.accounts.service import NoSuchAccount
from bank.audit.model import Author
from bank.errors import BankError, Conflict, Forbidden
from bank.identity.store import api_tokens, sessions
from bank.language import gettext as _
from bank.ledger import store as ledger_store
from bank.ledger.errors import AccountClosed, AccountFrozen
from bank.ledger.model import Replayed, UnbalancedEntry, outcome_of
from bank.money import Money
from bank.payments import look_ups
from bank.payments.model import Receipt
from bank.payments.service import PayeeCannotReceive, SameAccount, UnknownPayee, receipt_of
from bank.storage.transaction import Bank

SESSION: Final = "session"
TOKEN: Final = "token"  # noqa: S105


class SignedOut(Forbidden):
    """The session or token is none, or has ended."""

    code = "signed_out"

    def __init__(self) -> None:
        super().__init__(_("You are not signed in any more. Sign in again; nothing has moved."))


class WrongScope(Forbidden):
    """The token was not made for this."""

    code = "wrong_scope"

    def __init__(self) -> None:
        super().__init__(_("This token does not allow that. Make one with the scope that the operation needs."))


class PlannedAlready(Conflict):
    """The operation has scheduled a payment for a later day; `scheduled_id` names it."""

    code = "planned_already"

    def __init__(self, scheduled_id: int) -> None:
        super().__init__(_("This operation has scheduled a payment for a later day. Nothing was paid now."))
        self.scheduled_id = scheduled_id


@dataclass(frozen=True, slots=True)
class Credential:
    """Who asks: the digest of a session's or a token's secret; `seen` is the session's last use, as its cookie says."""

    means: str
    digest: str
    seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class Instruction:
    """Pay `amount` from the account of one number to another's; `key` is the caller's own for ever."""

    payer: str
    payee: str
    amount: Money
    reference: str
    key: str

    def __post_init__(self) -> None:
        if self.amount.minor_units <= 0 or not 0 < len(self.key.encode()) <= 255 or len(self.reference) > 200:
            raise UnbalancedEntry("an instruction pays more than nothing, by a key of 1 to 255 bytes")


_DENIALS: Final = {
    "signed_out": SignedOut,
    "wrong_scope": WrongScope,
    "no_such_account": NoSuchAccount,
    "same_account": SameAccount,
}


def send(bank: Bank, instruction: Instruction, credential: Credential) -> Receipt:
    """Pay from a customer's account to another's, or between one's own, where no limits apply.

    One message to the database, shared with other payments of this moment. Only a payee whom the customer never
    paid, saved or tried takes more: the try is counted first.

    Raises:
        SignedOut: there is no such session or token, or it has ended.
        WrongScope: the token does not allow payments.
        NoSuchAccount: the customer may not use the paying account.
        SameAccount: both accounts are the same.
        UnknownPayee: there is no account to be paid; it counts as a try.
        TooManyNameChecks: the customer has tried too many numbers.
        PlannedAlready: the key has scheduled a payment.
        PayeeCannotReceive: the account to be paid is frozen or closed.
        Refused: the ledger's own reason; nothing moved.
        QueueFull: nothing was sent.
    """
    now = bank.clock.now()
    message = _message(bank, instruction, credential, now)
    answer = bank.send(message)
    if answer[:1] + answer[2:3] == ["denied", "untried"]:
        _count_try(bank, instruction, credential, now)
        answer = bank.send(message)
    return _receipt(bank, instruction, answer)


def _message(bank: Bank, asked: Instruction, who: Credential, now: datetime) -> dict[str, Any]:
    settings = bank.settings
    narrative = asked.reference or "Transfer"
    return {
        "means": who.means,
        "credential": who.digest,
        "seen": who.seen and _utc(who.seen),
        "idle_seconds": settings.customer_idle_seconds,
        "absolute_seconds": settings.session_absolute_seconds,
        "payer": asked.payer,
        "payee": asked.payee,
        "minor": asked.amount.minor_units,
        "currency": asked.amount.currency,
        "key": asked.key,
        "narrative": narrative,
        # As `ledger.model.fingerprint` writes it: the database makes the same digest.
        "narrative_json": json.dumps(narrative),
        "booking_date": bank.clock.business_date(now).isoformat(),
        "booked_at": _utc(now),
        "limit_per_payment": settings.limit_per_payment_minor,
        "limit_per_day": settings.limit_per_day_minor,
    }


def _count_try(bank: Bank, asked: Instruction, who: Credential, now: datetime) -> None:
    with bank.connect() as reader:
        table = sessions if who.means == SESSION else api_tokens
        customer_id = reader.execute(sa.select(table.c.person_id).where(table.c.token_digest == who.digest)).scalar()
    if customer_id is None:
        raise SignedOut
    by = Author(f"customer:{customer_id}", now, bank.clock.business_date(now))
    look_ups.count_payment(bank, customer_id, asked.payee, by=by)


def _receipt(bank: Bank, asked: Instruction, answer: list[Any]) -> Receipt:
    how, about, why, _facts = answer
    if how == "denied":
        if why == "planned":
            raise PlannedAlready(about)
        # Still untried after its try was counted: there is no such account.
        raise _DENIALS.get(why, UnknownPayee)
    outcome = outcome_of(answer)
    try:
        return receipt_of(outcome)
    except BankError as refused:
        refused.replayed = isinstance(outcome, Replayed)
        if isinstance(refused, AccountFrozen | AccountClosed) and _is_payee(bank, asked, refused.facts["account"]):
            # The state of somebody else's account is not for the payer to know.
            told = PayeeCannotReceive()
            told.replayed = refused.replayed
            raise told from refused
        raise


def _is_payee(bank: Bank, asked: Instruction, account_id: int) -> bool:
    with bank.reader() as reader:
        account = ledger_store.account(reader, account_id)
    return account is not None and account.number == asked.payee


def _utc(instant: datetime) -> str:
    """UTC without a zone, as all three databases read it."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
