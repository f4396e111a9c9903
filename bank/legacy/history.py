"""What the older app's transactions say happened: rows become movements, two of a transfer become one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from bank.legacy.model import OldTransaction, whole_amount
from bank.legacy.report import Finding
from bank.money import Money, exponent

#: An account's old id, or the bank's own side of a movement.
Place = int | Literal["cash", "suspense"]

_TRANSFER: Final = re.compile(r"Amount (Transfered to|received from) ([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that went from one place to another; `minor_units` above zero."""

    key: str
    kind: str
    narrative: str
    at: datetime
    payer: Place
    payee: Place
    minor_units: int

    def change_of(self, account_id: int) -> int:
        """What it does to the account's balance, in minor units."""
        return self.minor_units * ((self.payee == account_id) - (self.payer == account_id))


@dataclass(frozen=True, slots=True)
class History:
    """The transactions as movements in their order, and what was odd about them."""

    movements: tuple[Movement, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """A transaction that can be read: `other` is the other account of a transfer, `minor_units` may be below zero."""

    id: int
    account_id: int
    does: str
    other: int | None
    minor_units: int
    at: datetime


def read_history(
    transactions: tuple[OldTransaction, ...], accounts: set[int], currency: str, *, otherwise_at: datetime
) -> History:
    """Turn the rows into movements; those without a time are dated like the one before, the first `otherwise_at`."""
    findings: list[Finding] = []
    rows = list(_readable(transactions, accounts, currency, otherwise_at, findings))
    movements = [_movement(row, received, findings) for row, received in _paired(rows)]
    return History(tuple(movements), tuple(findings))


def _readable(
    transactions: tuple[OldTransaction, ...],
    accounts: set[int],
    currency: str,
    at: datetime,
    findings: list[Finding],
) -> Iterator[_Row]:
    for old in transactions:
        at = old.at or at
        does, other = _does(old.message)
        amount = whole_amount(old.amount)
        money = None if amount is None else Money(amount * 10 ** exponent(currency), currency)
        # Of what keeps a row from being booked, the first.
        against = (
            ("unknown_message", does is None),
            ("transaction_without_account", old.account_id not in accounts),
            ("amount_unreadable", money is None),
            ("zero_amount", amount == 0),
        )
        kinds = [*_oddities(old, amount), *[kind for kind, holds in against if holds][:1]]
        detail = f"account {old.account_id}, {old.message[:80]}, stored as: {str(old.amount)[:40]}"
        findings += [Finding(kind, "transaction", str(old.id), detail, money) for kind in kinds]
        if does and money and not any(holds for _, holds in against):
            yield _Row(old.id, old.account_id or 0, does, other, money.minor_units, at)


def _oddities(old: OldTransaction, amount: int | None) -> Iterator[str]:
    """What is odd about a row, and yet does not keep it from being booked."""
    if old.at is None:
        yield "no_time"
    if isinstance(old.amount, str):
        yield "text_amount"
    elif amount is not None and old.amount != amount:
        yield "amount_cut"
    if amount is not None and amount < 0:
        yield "negative_amount"


def _does(message: str) -> tuple[str | None, int | None]:
    """What a transaction's message says it does: deposit, withdraw, send, receive; and the other account."""
    if message in ("Amount Deposited", "Amount Withdrawn"):
        return ("deposit" if message == "Amount Deposited" else "withdraw"), None
    if match := _TRANSFER.fullmatch(message):
        return ("send" if match[1] == "Transfered to" else "receive"), int(match[2])
    return None, None


def _paired(rows: list[_Row]) -> Iterator[tuple[_Row, bool | None]]:
    """Each row that becomes a movement; of a transfer the first, and whether its second row was found.

    Other clients' rows may stand between the two. A received row belongs to the nearest sent one before it
    that fits, since what a crash left alone stays alone.
    """
    waiting: defaultdict[tuple[int, int | None, int], list[int]] = defaultdict(list)
    partner: dict[int, int] = {}
    for row in rows:
        if row.does == "send":
            waiting[row.account_id, row.other, row.minor_units].append(row.id)
        elif row.does == "receive" and row.other != row.account_id:
            sent = waiting.get((row.other or 0, row.account_id, row.minor_units))
            if sent:
                partner[row.id] = sent.pop()
    both = set(partner.values())
    for row in rows:
        if row.id not in partner:
            yield row, row.id in both if row.does in ("send", "receive") else None


def _movement(row: _Row, whole_transfer: bool | None, findings: list[Finding]) -> Movement:
    if whole_transfer is False:
        amount = f"account {row.account_id}, to or from {row.other}"
        findings.append(Finding("half_transfer", "transaction", str(row.id), amount))
    outside: Place = "cash" if whole_transfer is None else "suspense"
    inside: Place = row.other if whole_transfer and row.other is not None else outside
    movement = Movement(
        key=f"legacy-trans-{row.id}",
        kind={"deposit": "deposit", "withdraw": "withdrawal"}.get(row.does, "transfer"),
        narrative=_narrative(row, whole_transfer),
        at=row.at,
        payer=row.account_id,
        payee=inside,
        minor_units=row.minor_units,
    )
    if row.does in ("deposit", "receive"):
        movement = replace(movement, payer=movement.payee, payee=movement.payer)
    return movement if row.minor_units > 0 else _opposite(movement)


def _narrative(row: _Row, whole_transfer: bool | None) -> str:
    if whole_transfer is None:
        return "Cash deposit" if row.does == "deposit" else "Cash withdrawal"
    payer, payee = (row.account_id, row.other) if row.does == "send" else (row.other, row.account_id)
    return f"Transfer from {payer} to {payee}{'' if whole_transfer else ', other half missing'}"


def _opposite(movement: Movement) -> Movement:
    """What an amount below zero did: a deposit of -5 took 5."""
    return replace(
        movement,
        narrative=f"{movement.narrative}, of less than zero",
        payer=movement.payee,
        payee=movement.payer,
        minor_units=-movement.minor_units,
    )
