"""Transfers by customers' programs: one message to the database each, answered when it is durable."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from flask import request
from pydantic import Field, StringConstraints

from bank.accounts.service import NoSuchAccount
from bank.api import api
from bank.api.current import bank, digest, limits
from bank.api.guard import SENT, needs
from bank.api.operations import operation
from bank.api.schemas import AccountNumber, Amount, Model, Text
from bank.errors import BankError, Unreadable
from bank.language import gettext as _
from bank.ledger.errors import (
    AccountClosed,
    AccountFrozen,
    CurrencyMismatch,
    InsufficientFunds,
    KeyReused,
    OverDailyLimit,
    OverPaymentLimit,
)
from bank.payments import sending
from bank.payments.look_ups import TooManyNameChecks
from bank.payments.sending import TOKEN, Credential, Instruction, PlannedAlready
from bank.payments.service import PayeeCannotReceive, SameAccount, UnknownPayee
from bank.storage.lanes import QueueFull
from bank.storage.transaction import Bank

#: All that a customer's transfer can be refused for.
REFUSALS: Final[tuple[type[BankError], ...]] = (
    NoSuchAccount, SameAccount, UnknownPayee, TooManyNameChecks, PayeeCannotReceive, PlannedAlready, KeyReused,
    CurrencyMismatch, AccountClosed, AccountFrozen, InsufficientFunds, OverPaymentLimit, OverDailyLimit, QueueFull,
)  # fmt: skip


class KeyMissing(Unreadable):
    """The Idempotency-Key header is missing, or is not 1 to 255 visible characters of ASCII."""

    code = "idempotency_key_missing"

    def __init__(self) -> None:
        super().__init__(
            _("Send an Idempotency-Key of your own, 1 to 255 visible characters, and the same one when you send again.")
        )


class Keyed(Model):
    """What every call sends that moves money."""

    otherwise: ClassVar = KeyMissing

    key: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")] = Field(
        alias="Idempotency-Key",
        description="The caller's own name for this act: whatever is sent again with it is answered as the first time.",
        examples=["6ec1d5a0-5a1c-4b0f-8f3e-2f6f0b8f7a11"],
    )


Reference = Annotated[Text, StringConstraints(max_length=100), Field(description="What the payee reads.")]


class TransferOrder(Model):
    """Pay from one of the customer's accounts to another account of this bank."""

    payer: AccountNumber = Field(alias="from")
    payee: AccountNumber = Field(alias="to")
    amount: Amount
    reference: Reference = ""


class Transfer(Model):
    """A transfer that is booked."""

    id: str = Field(description="The journal entry.", examples=["48213"])
    payer: AccountNumber = Field(alias="from")
    payee: AccountNumber = Field(alias="to")
    amount: Amount
    reference: Reference


@api.post("/transfers")
@needs("payments:write", looked_up=False)
@operation(
    "Payments",
    headers=Keyed,
    body=TransferOrder,
    answer=Transfer,
    status=201,
    refuses=(KeyMissing, *REFUSALS),
    answer_headers={"Location": "The transfer.", "Idempotent-Replayed": "`true` when the key came before."},
)
def create_transfer(headers: Keyed, body: TransferOrder) -> tuple[Transfer, dict[str, str]]:
    """Make a transfer, once for each Idempotency-Key: sent again, it is answered as the first time, for ever."""
    if sent := request.environ.get(SENT):
        raise sent.error
    done = send(bank(), digest(), headers.key, body)
    limits().welcome(digest())
    return done


def key_of(given: str | None) -> str:
    """The caller's own key.

    Raises:
        KeyMissing: there is none that can be one.
    """
    if given is None or not 1 <= len(given) <= 255 or not given.isascii() or not given.isprintable() or " " in given:
        raise KeyMissing
    return given


def send(bank: Bank, digest: str, key: str, body: TransferOrder) -> tuple[Transfer, dict[str, str]]:
    """Make the transfer that a token's owner asks for; answers it, and the headers that tell of it.

    Raises:
        BankError: what `sending.send` raises; nothing moved.
    """
    asked = Instruction(body.payer, body.payee, body.amount.money, body.reference, key)
    receipt = sending.send(bank, asked, Credential(TOKEN, digest))
    made = Transfer.model_construct(
        id=str(receipt.entry_id), payer=body.payer, payee=body.payee, amount=body.amount, reference=body.reference
    )
    headers = {"Location": f"/api/v1/transfers/{receipt.entry_id}"}
    if receipt.replayed:
        headers["Idempotent-Replayed"] = "true"
    return made, headers
