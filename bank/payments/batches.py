"""Many of a customer's payments at once: looked up together, and put through the door in slices."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from json.encoder import encode_basestring_ascii
from typing import Final

import sqlalchemy as sa

from bank.accounts.service import NoSuchAccount
from bank.accounts.store import account_holders, accounts
from bank.audit.model import Author
from bank.errors import BankError, Refused
from bank.language import gettext as _
from bank.ledger.errors import AccountClosed, AccountFrozen
from bank.ledger.model import Outcome, outcome_of
from bank.ledger.tables import ledger_accounts
from bank.payments import look_ups
from bank.payments.look_ups import UNKNOWN, TooManyNameChecks
from bank.payments.model import Receipt
from bank.payments.sending import Instruction, PlannedAlready
from bank.payments.service import PayeeCannotReceive, SameAccount, UnknownPayee, receipt_of
from bank.payments.store import name_checks, payees, scheduled_payments
from bank.storage.dialects import dialect_of
from bank.storage.dialects.base import Answer, Message
from bank.storage.transaction import Bank

#: Payments in one database transaction, so that others come in between; those of all or nothing are always in one.
SLICE: Final = 1_000

#: What became of one payment.
Decision = Receipt | BankError


class BatchRefused(Refused):
    """One payment of the batch or more was refused, and all were to be made or none: nothing moved, and no key is used up."""

    code = "batch_refused"

    def __init__(self, refused: dict[int, BankError]) -> None:
        super().__init__(_("Nothing was paid: all were to be paid or none, and “items” says which could not be."))
        self.refused = refused


def send(bank: Bank, customer_id: int, asked: Sequence[Instruction], *, by: Author) -> list[Decision]:
    """Make a customer's payments; a decision for each, in order, and a refused one spoils no other.

    When the database goes away in between, some may be made: sent again, they are replayed.

    Raises:
        DatabaseAway, OutcomeUnknown: nobody knows of all of them what became of them.
    """
    decided: list[Decision] = []
    for start in range(0, len(asked), SLICE):
        some = asked[start : start + SLICE]
        prepared = _prepare(bank, customer_id, some, by)
        decided += _decide(prepared, some, bank.post(prepared.messages) if prepared.messages else ())
    return decided


def send_all(bank: Bank, customer_id: int, asked: Sequence[Instruction], *, by: Author) -> list[Receipt]:
    """Make all of a customer's payments in one database transaction, or none.

    Raises:
        BatchRefused: one was refused, now or before by the same key.
        DatabaseAway: nothing was written.
        OutcomeUnknown: all of them were made, or none.
    """
    parts = [asked[start : start + SLICE] for start in range(0, len(asked), SLICE)]
    prepared = [_prepare(bank, customer_id, part, by) for part in parts]
    messages = [message for part in prepared for message in part.messages]

    def use_case(tx: sa.Connection) -> list[Receipt]:
        # At once: the door takes the accounts' locks in order.
        answers = iter(dialect_of(tx).post_in(tx, messages) if messages else ())
        decided = [
            decision for part, some in zip(prepared, parts, strict=True) for decision in _decide(part, some, answers)
        ]
        refused = {index: each for index, each in enumerate(decided) if isinstance(each, BankError)}
        if refused:
            raise BatchRefused(refused)
        return [each for each in decided if isinstance(each, Receipt)]

    return bank.run(use_case)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What goes through the door; why the others do not, by their places; and the payees' ids by number."""

    messages: list[Message]
    denied: dict[int, BankError]
    ids: dict[str, int]


@dataclass(slots=True)
class _Names:
    """Accounts by number, who may use them and who owns them; whom the payer knows; what their keys have scheduled."""

    ids: dict[str, int] = field(default_factory=dict)
    holders: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    owners: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    known: set[str] = field(default_factory=set)
    planned: dict[str, int] = field(default_factory=dict)


def _prepare(bank: Bank, customer_id: int, asked: Sequence[Instruction], by: Author) -> _Prepared:
    with bank.reader() as reader:
        names = _look_up(reader, customer_id, asked)
    denied = {at: error for at, each in enumerate(asked) if (error := _denial(names, customer_id, each))}
    untried = dict.fromkeys(each.payee for at, each in enumerate(asked) if at not in denied)
    unpayable = _try(bank, customer_id, [number for number in untried if number not in names.known], names, by)
    for at, each in enumerate(asked):
        if at not in denied and each.payee in unpayable:
            denied[at] = unpayable[each.payee]
    through = (each for at, each in enumerate(asked) if at not in denied)
    return _Prepared(list(_messages(bank, customer_id, through, names, by)), denied, names.ids)


def _look_up(reader: sa.Connection, customer_id: int, asked: Sequence[Instruction]) -> _Names:
    names = _Names()
    numbers = {each.payer for each in asked} | {each.payee for each in asked}
    h = account_holders.c
    query = (
        sa.select(ledger_accounts.c.number, ledger_accounts.c.id, h.customer_id, h.role)
        .join_from(ledger_accounts, accounts)
        .outerjoin(account_holders, h.account_id == accounts.c.id)
        .where(ledger_accounts.c.number.in_(numbers))
    )
    for number, account_id, holder_id, role in reader.execute(query):
        names.ids[number] = account_id
        names.holders[number].add(holder_id)
        if role == "owner":
            names.owners[number].add(holder_id)
    names.known = {number for number in names.ids if customer_id in names.holders[number]}
    if others := {number: names.ids[number] for number in names.ids.keys() - names.known}:
        names.known |= _paid_or_tried(reader, customer_id, others)
    # All of the customer's, which are few: asking for a thousand keys by name takes longer.
    s = scheduled_payments.c
    planned = reader.execute(sa.select(s.operation, s.id).where(s.customer_id == customer_id))
    names.planned = {operation.partition(":")[2]: scheduled_id for operation, scheduled_id in planned}
    return names


def _paid_or_tried(reader: sa.Connection, customer_id: int, others: dict[str, int]) -> set[str]:
    """The numbers that the customer has paid, saved or tried before; what there is no account of is never among them."""
    saved = sa.select(payees.c.account_id).where(
        payees.c.customer_id == customer_id, payees.c.account_id.in_(others.values())
    )
    named = set(reader.execute(saved).scalars())
    known = {number for number, account_id in others.items() if account_id in named}
    if left := others.keys() - known:
        c = name_checks.c
        tried = sa.select(c.number).where(c.customer_id == customer_id, c.number.in_(left), c.result != UNKNOWN)
        known |= set(reader.execute(tried).scalars())
    return known


def _denial(names: _Names, customer_id: int, asked: Instruction) -> BankError | None:
    """Why it may not go to the door, whoever it pays; in the order of a single payment."""
    if customer_id not in names.holders[asked.payer]:
        return NoSuchAccount()
    if asked.payer == asked.payee:
        return SameAccount()
    if asked.key in names.planned:
        return PlannedAlready(names.planned[asked.key])
    return None


def _try(bank: Bank, customer_id: int, numbers: list[str], names: _Names, by: Author) -> dict[str, BankError]:
    """Count each number that the customer never paid, saved or tried; answers those that cannot be paid.

    Beyond the day's allowance nobody is told whether there is such an account.
    """
    unpayable: dict[str, BankError] = {}
    spent: TooManyNameChecks | None = None
    for number in numbers:
        if spent is None:
            try:
                look_ups.count_payment(bank, customer_id, number, by=by)
            except TooManyNameChecks as refused:
                spent = refused
        if spent or number not in names.ids:
            unpayable[number] = spent or UnknownPayee()
    return unpayable


def _messages(
    bank: Bank, customer_id: int, asked: Iterable[Instruction], names: _Names, by: Author
) -> Iterator[Message]:
    """As `JournalEntry.as_message` writes the entry of `payments.transfer`, in a fraction of its time."""
    settings = bank.settings
    nothing = ("reverses", "hold_op", "hold_account", "hold_id", "hold_minor", "hold_currency", "hold_expires_at")
    day = by.business_date.isoformat()
    booked_at = by.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    same = {
        **dict.fromkeys(nothing),
        "caller": f"customer:{customer_id}",
        "kind": "transfer",
        "booking_date": day,
        "value_date": day,
        "booked_at": booked_at,
    }
    for each in asked:
        paying, receiving = names.ids[each.payer], names.ids[each.payee]
        minor, currency, narrative = each.amount.minor_units, each.amount.currency, each.reference or "Transfer"
        sides = sorted(((paying, "debit"), (receiving, "credit")))
        # As `fingerprint` writes it.
        asked_for = ", ".join([f'[{account}, "{side}", {minor}, "{currency}"]' for account, side in sides])
        content = f'["transfer", {encode_basestring_ascii(narrative)}, [{asked_for}], null, null]'
        # The same owners on both sides, the payer among them: a shared owner alone would be a way round the limits.
        owners = names.owners[each.payer]
        limited = customer_id not in owners or owners != names.owners[each.payee]
        yield {
            **same,
            "key": each.key,
            "digest": hashlib.sha256(content.encode()).hexdigest(),
            "narrative": narrative,
            "limit_per_payment": settings.limit_per_payment_minor if limited else None,
            "limit_per_day": settings.limit_per_day_minor if limited else None,
            "postings": [
                {"account": paying, "side": "debit", "minor": minor, "currency": currency},
                {"account": receiving, "side": "credit", "minor": minor, "currency": currency},
            ],
        }


def _decide(prepared: _Prepared, asked: Sequence[Instruction], answers: Iterable[Answer]) -> Iterator[Decision]:
    """What became of each payment: what the door answered, in order, of those that it was asked."""
    answered = iter(answers)
    for at, each in enumerate(asked):
        yield prepared.denied.get(at) or _as_told_to_payer(outcome_of(next(answered)), prepared.ids[each.payee])


def _as_told_to_payer(outcome: Outcome, payee_id: int) -> Decision:
    try:
        return receipt_of(outcome)
    except BankError as refused:
        # The state of somebody else's account is not for the payer to know.
        hidden = isinstance(refused, AccountFrozen | AccountClosed) and refused.facts["account"] == payee_id
        told = PayeeCannotReceive() if hidden else refused
        told.replayed = refused.replayed
        return told
