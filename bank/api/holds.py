"""Holds: what of an account's money is kept from being spent."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pydantic import Field

from bank.accounts.service import NoSuchAccount
from bank.api import api
from bank.api.current import account_of, author, bank
from bank.api.entries import Reason, booked
from bank.api.guard import EXECUTIVE, needs
from bank.api.operations import operation
from bank.api.problems import InvalidRequest, NoSuchResource
from bank.api.schemas import AccountNumber, Amount, Instant, Model
from bank.api.transfers import Keyed, KeyMissing
from bank.audit.model import Author
from bank.customers.warnings import ReasonNeeded
from bank.ledger import store as ledger_store
from bank.ledger.errors import (
    AccountClosed,
    AccountFrozen,
    CurrencyMismatch,
    HoldEnded,
    InsufficientFunds,
    KeyReused,
    UnknownHold,
)
from bank.payments import service as payments
from bank.storage.errors import OutcomeUnknown

_LONGEST: Final = timedelta(days=3652)
_TOLD: Final = {"Location": "The entry.", "Idempotent-Replayed": "`true` when the key came before."}


class StandingHold(Model):
    """A hold that still reserves something."""

    id: str = Field(description="The entry that placed it.", examples=["48213"])
    remaining: Amount
    until: Instant | None = Field(description="When it ends by itself, if it does.")
    reason: str


class Holds(Model):
    """The holds that still reserve something, oldest first."""

    holds: list[StandingHold]


class HoldOrder(Model):
    """What to keep from being spent, and why."""

    amount: Amount
    until: Instant | None = Field(
        None, description="When it ends by itself, within ten years; left out, it is released."
    )
    reason: Reason


class Hold(Model):
    """A hold that was placed."""

    id: str = Field(description="The journal entry.", examples=["48213"])
    account: AccountNumber
    amount: Amount
    until: Instant | None
    reason: str


class ReleaseOrder(Model):
    """Why the money is given back."""

    reason: Reason


class HoldRelease(Model):
    """A hold that was given back."""

    id: str = Field(description="The journal entry.", examples=["48214"])
    account: AccountNumber
    hold: str


@api.get("/accounts/<number>/holds")
@needs("accounts:read", "branch:read")
@operation("Accounts", answer=Holds, refuses=(NoSuchAccount, ReasonNeeded))
def list_holds(number: str) -> Holds:
    """The account's holds that still reserve something."""
    with bank().reader() as reader:
        standing = ledger_store.active_holds(reader, account_of(number).id)
    return Holds(
        holds=[
            StandingHold(
                id=str(each.id),
                remaining=Amount(minor_units=each.remaining.minor_units, currency=each.remaining.currency),
                until=each.expires_at,
                reason=each.narrative,
            )
            for each in standing
        ]
    )


@api.post("/accounts/<number>/holds")
@needs("branch:write", roles=EXECUTIVE)
@operation(
    "Branch",
    headers=Keyed,
    body=HoldOrder,
    answer=Hold,
    status=201,
    refuses=(
        KeyMissing, NoSuchAccount, ReasonNeeded, KeyReused, CurrencyMismatch, AccountClosed, AccountFrozen,
        InsufficientFunds, OutcomeUnknown,
    ),
    answer_headers=_TOLD,
)  # fmt: skip
def place_hold(number: str, headers: Keyed, body: HoldOrder) -> tuple[Hold, dict[str, str]]:
    """Keep part of the account's money from being spent."""
    account, by = account_of(number), author()
    _check_end(body, headers.key, by)
    receipt = payments.place_hold(
        bank(), account, body.amount.money, expires_at=body.until, key=headers.key, by=by, reason=body.reason
    )
    made = Hold(
        id=str(receipt.entry_id), account=number, amount=body.amount, until=body.until, reason=body.reason
    )  # fmt: skip
    return made, booked(receipt)


def _check_end(body: HoldOrder, key: str, by: Author) -> None:
    """A new hold ends later than now; one that is asked again may be over meanwhile."""
    if body.until is None or by.at < body.until <= by.at + _LONGEST:
        return
    with bank().reader() as reader:
        if ledger_store.entry_by_key(reader, by.who, key) is None:
            raise InvalidRequest([{"pointer": "#/until", "detail": "must lie ahead, by ten years at most"}])


@api.post("/accounts/<number>/holds/<id:hold_id>/release")
@needs("branch:write", roles=EXECUTIVE)
@operation(
    "Branch",
    headers=Keyed,
    body=ReleaseOrder,
    answer=HoldRelease,
    status=201,
    refuses=(
        KeyMissing,
        NoSuchAccount,
        NoSuchResource,
        ReasonNeeded,
        KeyReused,
        UnknownHold,
        HoldEnded,
        OutcomeUnknown,
    ),
    answer_headers=_TOLD,
)
def release_hold(number: str, hold_id: int, headers: Keyed, body: ReleaseOrder) -> tuple[HoldRelease, dict[str, str]]:
    """Give back what the hold still reserves."""
    account = account_of(number)
    receipt = payments.release_hold(bank(), account, hold_id, key=headers.key, by=author(), reason=body.reason)
    return HoldRelease(id=str(receipt.entry_id), account=number, hold=str(hold_id)), booked(receipt)
