"""Cash over the counter, and transfers that staff make for a customer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field, StringConstraints

from bank.accounts import store as account_store
from bank.accounts.service import NoSuchAccount
from bank.api import api
from bank.api.current import account_of, author, bank, staff_member
from bank.api.entries import booked
from bank.api.guard import TILL, needs
from bank.api.operations import operation
from bank.api.schemas import AccountNumber, Amount, Model, Text
from bank.api.transfers import Keyed, KeyMissing, Reference, Transfer
from bank.customers.warnings import ReasonNeeded
from bank.errors import BankError
from bank.ledger.errors import (
    AccountClosed,
    AccountFrozen,
    CurrencyMismatch,
    InsufficientFunds,
    KeyReused,
    OverDailyLimit,
    OverPaymentLimit,
)
from bank.payments import service as payments
from bank.payments.model import Receipt
from bank.payments.model import TransferOrder as Order
from bank.payments.service import NoTill, PayeeCannotReceive, SameAccount, TillTooLow, UnknownPayee
from bank.storage.errors import OutcomeUnknown

_TOLD = {"Location": "The entry.", "Idempotent-Replayed": "`true` when the key came before."}
_ALWAYS: tuple[type[BankError], ...] = (
    KeyMissing, NoSuchAccount, ReasonNeeded, KeyReused, CurrencyMismatch, AccountClosed, AccountFrozen, OutcomeUnknown,
)  # fmt: skip
_PAYING: tuple[type[BankError], ...] = (*_ALWAYS, InsufficientFunds, OverPaymentLimit, OverDailyLimit)


class CashOrder(Model):
    """Cash that changes hands."""

    amount: Amount
    note: Annotated[Text, StringConstraints(max_length=100)] = Field(
        "", description="What the customer reads; left out, it says what was done."
    )


class Cash(Model):
    """Cash that was booked."""

    id: str = Field(description="The journal entry.", examples=["48213"])
    account: AccountNumber
    amount: Amount


class BranchTransferOrder(Model):
    """Pay from the account of the address to another account of this bank."""

    payee: AccountNumber = Field(alias="to")
    amount: Amount
    reference: Reference = ""


@api.post("/accounts/<number>/deposits")
@needs("branch:write", roles=TILL)
@operation(
    "Branch", headers=Keyed, body=CashOrder, answer=Cash, status=201, refuses=(*_ALWAYS, NoTill), answer_headers=_TOLD
)
def deposit(number: str, headers: Keyed, body: CashOrder) -> tuple[Cash, dict[str, str]]:
    """Take cash into one's till for the account."""
    return _cash(payments.deposit, number, headers.key, body)


@api.post("/accounts/<number>/withdrawals")
@needs("branch:write", roles=TILL)
@operation(
    "Branch",
    headers=Keyed,
    body=CashOrder,
    answer=Cash,
    status=201,
    refuses=(*_PAYING, NoTill, TillTooLow),
    answer_headers=_TOLD,
)
def withdraw(number: str, headers: Keyed, body: CashOrder) -> tuple[Cash, dict[str, str]]:
    """Pay cash out of one's till from the account, within its limits."""
    return _cash(payments.withdraw, number, headers.key, body)


def _cash(move: Callable[..., Receipt], number: str, key: str, body: CashOrder) -> tuple[Cash, dict[str, str]]:
    till_id = staff_member().till_account_id
    told = {"till_id": till_id, "key": key, "by": author(), "narrative": body.note}
    receipt = move(bank(), account_of(number), body.amount.money, **told)
    return Cash(id=str(receipt.entry_id), account=number, amount=body.amount), booked(receipt)


@api.post("/accounts/<number>/transfers")
@needs("branch:write", roles=TILL)
@operation(
    "Branch",
    headers=Keyed,
    body=BranchTransferOrder,
    answer=Transfer,
    status=201,
    refuses=(*_PAYING, SameAccount, UnknownPayee, PayeeCannotReceive),
    answer_headers=_TOLD,
)
def transfer_for_customer(number: str, headers: Keyed, body: BranchTransferOrder) -> tuple[Transfer, dict[str, str]]:
    """Pay from the account to any other, for a customer at the counter."""
    paying = account_of(number)
    with bank().reader() as reader:
        receiving = account_store.by_number(reader, body.payee)
    if receiving is None:
        raise UnknownPayee
    order = Order(paying.id, receiving.id, body.amount.money, body.reference, headers.key)
    receipt = payments.transfer(bank(), order, by=author())
    made = Transfer.model_construct(
        id=str(receipt.entry_id), payer=number, payee=body.payee, amount=body.amount, reference=body.reference
    )
    return made, booked(receipt)
