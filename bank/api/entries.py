"""What is booked: a customer's transfer, any entry as the branch reads it, and its reversal."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from bank.accounts import store as account_store
from bank.api import api
from bank.api.current import author, bank, customer, staff_member
from bank.api.guard import EXECUTIVE, needs
from bank.api.look_up import require_reason
from bank.api.operations import operation
from bank.api.problems import NoSuchResource
from bank.api.schemas import Amount, Day, Instant, Model, Money
from bank.api.transfers import Keyed, KeyMissing, Transfer
from bank.customers.warnings import ReasonNeeded
from bank.ledger import store as ledger_store
from bank.ledger.errors import (
    AccountClosed,
    AccountFrozen,
    AlreadyReversed,
    InsufficientFunds,
    KeyReused,
    NotReversible,
)
from bank.ledger.model import Side
from bank.ledger.store import Entry as StoredEntry
from bank.ledger.store import EntryPosting
from bank.payments import service as payments
from bank.payments.model import Receipt
from bank.payments.service import NoSuchEntry, OwnEntry, TillTooLow, VaultTooLow
from bank.storage.errors import OutcomeUnknown

#: Why something is done: one visible character at least.
Reason = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$", max_length=200),
    Field(description="It stays in the records."),
]


class BookedTransfer(Transfer):
    """A transfer as it stands in the books."""

    booked_at: Instant
    booking_date: Day
    reversed_by: str | None = Field(description="The entry that took it back, if one did.")


class KeyQuery(Model):
    """By which key the transfer was asked for."""

    key: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")] = Field(
        alias="idempotency_key", description="As it was sent in the header Idempotency-Key.", examples=["rent-2026-04"]
    )


class Fate(Model):
    """What became of a transfer: it is booked, or it was refused; whichever it is, it stays so."""

    id: str = Field(description="The journal entry.", examples=["48213"])
    refused: str | None = Field(
        description="The code of why it was refused: then it moved nothing. None: it is booked."
    )


class EntrySide(Model):
    """One side of an entry."""

    account: str = Field(description="The account's number; of the bank's own accounts, what they are called.")
    side: str
    amount: Money
    balance: Money = Field(description="What was booked on the account after it.")


class Entry(Model):
    """A journal entry: nothing of it ever changes."""

    id: str
    kind: str = Field(examples=["deposit"])
    description: str
    booked_by: str = Field(description="Who asked for it.", examples=["staff:3"])
    booked_at: Instant
    booking_date: Day
    value_date: Day
    reverses: str | None
    reversed_by: str | None
    refused: str | None = Field(description="The code of why it was refused: then it moved nothing.")
    postings: list[EntrySide]


class ReversalOrder(Model):
    """Why an entry is taken back."""

    reason: Reason


class Reversal(Model):
    """The entry that took another one back."""

    id: str = Field(description="The new entry.")
    reverses: str


@api.get("/transfers")
@needs("accounts:read")
@operation("Payments", query=KeyQuery, answer=Fate, refuses=(NoSuchEntry, OutcomeUnknown))
def find_transfer(query: KeyQuery) -> Fate:
    """What became of a transfer that this customer asked for by this key, without asking for it again.

    None may have come so far; one that is still on its way can come later, until it is sent again by the same key.
    """
    with bank().reader() as reader:
        found = ledger_store.answer_by_key(reader, str(customer()), query.key)
    if found is None:
        raise NoSuchEntry
    bank().secure()
    return Fate(id=str(found[0]), refused=found[1])


@api.get("/transfers/<id:entry_id>")
@needs("accounts:read")
@operation("Payments", answer=BookedTransfer, refuses=(NoSuchEntry, NoSuchResource))
def show_transfer(entry_id: int) -> BookedTransfer:
    """A transfer that the token's owner made or received."""
    with bank().reader() as reader:
        entry, mine = account_store.entry_of_customer(reader, entry_id, customer().id)
    if entry is None or not mine or entry.kind != "transfer":
        raise NoSuchEntry
    sides = {posting.side: posting for posting in entry.postings}
    paid, received = sides[Side.DEBIT], sides[Side.CREDIT]
    return BookedTransfer.model_construct(
        id=str(entry.id),
        payer=paid.number,
        payee=received.number,
        amount=Amount(minor_units=paid.amount.minor_units, currency=paid.amount.currency),
        reference="" if entry.narrative == "Transfer" else entry.narrative,
        booked_at=entry.booked_at,
        booking_date=entry.booking_date,
        reversed_by=_id(entry.reversed_by),
    )


@api.get("/entries/<id:entry_id>")
@needs("branch:read")
@operation("Branch", answer=Entry, refuses=(NoSuchEntry, NoSuchResource, ReasonNeeded))
def show_entry(entry_id: int) -> Entry:
    """A journal entry, with both its sides."""
    entry = _opened(entry_id)
    return Entry(
        id=str(entry.id),
        kind=entry.kind,
        description=entry.narrative,
        booked_by=entry.caller,
        booked_at=entry.booked_at,
        booking_date=entry.booking_date,
        value_date=entry.value_date,
        reverses=_id(entry.reverses),
        reversed_by=_id(entry.reversed_by),
        refused=entry.refusal,
        postings=[_side(posting) for posting in entry.postings],
    )


@api.post("/entries/<id:entry_id>/reversal")
@needs("branch:write", roles=EXECUTIVE)
@operation(
    "Branch",
    headers=Keyed,
    body=ReversalOrder,
    answer=Reversal,
    status=201,
    refuses=(
        KeyMissing, NoSuchEntry, NoSuchResource, OwnEntry, ReasonNeeded, AlreadyReversed, NotReversible, KeyReused, InsufficientFunds,
        TillTooLow, VaultTooLow, AccountClosed, AccountFrozen, OutcomeUnknown,
    ),
    answer_headers={"Location": "The new entry.", "Idempotent-Replayed": "`true` when the key came before."},
)  # fmt: skip
def reverse_entry(entry_id: int, headers: Keyed, body: ReversalOrder) -> tuple[Reversal, dict[str, str]]:
    """Book the opposite of an entry, once; nobody reverses what they booked themselves."""
    _opened(entry_id)
    receipt = payments.reverse(bank(), entry_id, key=headers.key, by=author(), reason=body.reason)
    return Reversal(id=str(receipt.entry_id), reverses=str(entry_id)), booked(receipt)


def booked(receipt: Receipt) -> dict[str, str]:
    """The headers that tell of an entry."""
    headers = {"Location": f"/api/v1/entries/{receipt.entry_id}"}
    if receipt.replayed:
        headers["Idempotent-Replayed"] = "true"
    return headers


def _opened(entry_id: int) -> StoredEntry:
    """The entry, whose customers' records this member of staff opens by reading it."""
    with bank().reader() as reader:
        entry = ledger_store.entry(reader, entry_id)
        if entry is None:
            raise NoSuchEntry
        holders = account_store.holders_of(reader, {posting.account_id for posting in entry.postings})
        people = {holder.customer_id for of_one in holders.values() for holder in of_one}
        kind, _colon, key = entry.caller.partition(":")
        if kind == "customer" and key.isdigit():
            people.add(int(key))
        require_reason(reader, sorted(people), staff_member(), bank().clock.now())
    return entry


def _side(posting: EntryPosting) -> EntrySide:
    amount, balance = Money.of(posting.amount), Money.of(posting.balance_after)
    return EntrySide(account=posting.number, side=posting.side.value, amount=amount, balance=balance)


def _id(entry_id: int | None) -> str | None:
    return None if entry_id is None else str(entry_id)
