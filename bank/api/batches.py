"""Batches of transfers by customers' programs: each with an outcome of its own, or all of them or none."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from flask import Response
from pydantic import FailFast, Field, StringConstraints
from pydantic_core import to_json

from bank.api import api, problems
from bank.api.current import author, bank, customer
from bank.api.guard import needs
from bank.api.operations import operation
from bank.api.schemas import AccountNumber, Amount, Model, Problem
from bank.api.transfers import REFUSALS, Reference, Transfer
from bank.errors import BankError
from bank.payments import batches
from bank.payments.batches import BatchRefused, Decision
from bank.payments.sending import Instruction
from bank.storage.errors import OutcomeUnknown
from bank.storage.lanes import QueueFull

MOST_TRANSFERS: Final = 10_000
MOST_BODY_BYTES: Final = 4 * 1024 * 1024


class BatchItem(Model):
    """One transfer, with a key of its own."""

    key: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")] = Field(
        alias="idempotency_key",
        description="As `Idempotency-Key` of a single transfer, and of the same space: whichever way it comes, it pays once.",
        examples=["invoice-2026-0113"],
    )
    payer: AccountNumber = Field(alias="from")
    payee: AccountNumber = Field(alias="to")
    amount: Amount
    reference: Reference = ""


class Batch(Model):
    """Transfers, made in this order."""

    all_or_nothing: bool = Field(False, description="Make all of them, or, if one must be refused, none.")
    # Whoever has the form wrong has it wrong everywhere: the first wrong one says enough.
    transfers: Annotated[list[BatchItem], FailFast()] = Field(min_length=1, max_length=MOST_TRANSFERS)


class Outcome(Model):
    """What became of one transfer."""

    status: Literal["booked", "refused"]
    replayed: bool = Field(description="Its key came before, and was answered so then.")
    transfer: Transfer | None = Field(None, description="When it is booked.")
    problem: Problem | None = Field(None, description="Why it is refused, as for a single transfer.")


class Outcomes(Model):
    """What became of each transfer, in the batch's order."""

    booked: int
    refused: int
    items: list[Outcome]


@api.post("/batches")
@needs("payments:write")
@operation(
    "Payments",
    body=Batch,
    answer=Outcomes,
    refuses=(*(kind for kind in REFUSALS if kind is not QueueFull), BatchRefused, OutcomeUnknown),
    most_body_bytes=MOST_BODY_BYTES,
)
def create_batch(body: Batch) -> Response:
    """Make up to 10,000 transfers at once.

    Each has its own outcome, and a refused one spoils no other: the answer is 200 whatever became of them. With
    `all_or_nothing` it is that only if all are booked; else it is the problem `batch_refused`, nothing has moved, and
    no key is used up.

    The batch itself takes no Idempotency-Key, since each transfer has one for ever: when an answer is lost, or is 503,
    send the whole batch again. What was made is answered as made, and only the rest is done.

    A payee who was never paid, saved or tried before counts as a try of that number, of which a day has only so many.
    """
    asked = [
        Instruction(item.payer, item.payee, item.amount.money, item.reference, item.key) for item in body.transfers
    ]
    send = batches.send_all if body.all_or_nothing else batches.send
    try:
        decided = send(bank(), customer().id, asked, by=author())
    except BatchRefused as refused:
        return _nothing_paid(refused)
    return Response(to_json(_told(body.transfers, decided)), mimetype="application/json")


def _told(items: Iterable[BatchItem], decided: Iterable[Decision]) -> dict[str, Any]:
    """`Outcomes`, made of bare values: of 10,000 the models would take most of the time."""
    told = [
        _refused(decision) if isinstance(decision, BankError) else _booked(item, decision.entry_id, decision.replayed)
        for item, decision in zip(items, decided, strict=True)
    ]
    booked = sum(one["status"] == "booked" for one in told)
    return {"booked": booked, "refused": len(told) - booked, "items": told}


def _booked(item: BatchItem, entry_id: int, replayed: bool) -> dict[str, Any]:
    amount = {"minor_units": item.amount.minor_units, "currency": item.amount.currency}
    made = {
        "id": str(entry_id), "from": item.payer, "to": item.payee, "amount": amount, "reference": item.reference,
    }  # fmt: skip
    return {"status": "booked", "replayed": replayed, "transfer": made}


def _refused(error: BankError) -> dict[str, Any]:
    return {"status": "refused", "replayed": error.replayed, "problem": problems.body(error)}


def _nothing_paid(error: BatchRefused) -> Response:
    response = problems.answer(error)
    items = [{"index": at, "problem": problems.body(why)} for at, why in error.refused.items()]
    response.set_data(json.dumps({**problems.body(error), "items": items}))
    return response
