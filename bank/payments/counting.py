"""Counting a till: the pieces, what should be there, and what happens to a difference."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import sqlalchemy as sa

from bank.audit import store as audit
from bank.audit.model import Author
from bank.cases import service as cases
from bank.cases.model import TILL_DIFFERENCE
from bank.errors import Conflict, Invalid, Missing
from bank.language import gettext as _
from bank.ledger import service as ledger
from bank.ledger import store as ledger_store
from bank.ledger.errors import KeyReused
from bank.ledger.store import LedgerAccount
from bank.money import Money
from bank.payments.model import KINDS
from bank.payments.service import entry_by, move
from bank.payments.store import till_counts
from bank.storage.metadata import generated_id

#: The notes and coins of a currency, in its minor units; a till in any other is counted as one sum.
# https://www.ecb.europa.eu/euro/ · https://www.federalreserve.gov/faqs/currency_12772.htm · https://www.boj.or.jp/en/note_tfjgs/
PIECES: Final[dict[str, tuple[int, ...]]] = {
    "USD": (100_00, 50_00, 20_00, 10_00, 5_00, 2_00, 1_00, 50, 25, 10, 5, 1),
    "EUR": (500_00, 200_00, 100_00, 50_00, 20_00, 10_00, 5_00, 2_00, 1_00, 50, 20, 10, 5, 2, 1),
    "JPY": (10_000, 5_000, 2_000, 1_000, 500, 100, 50, 10, 5, 1),
}


class TillMoved(Conflict):
    """Something went through the till between its counting and the count's arrival."""

    code = "till_moved"

    def __init__(self, till: LedgerAccount) -> None:
        super().__init__(
            _(
                "Something was booked while you counted: %(expected)s is expected in the till now. Check your count and send it again.",
                expected=till.balance_money,
            )
        )
        self.till = till


class DifferenceUnexplained(Invalid):
    """The till does not hold what it should, and nobody says why."""

    code = "difference_unexplained"

    def __init__(self, counted: Money, expected: Money) -> None:
        gap = counted - expected
        words = {"counted": counted, "expected": expected, "gap": Money(abs(gap.minor_units), gap.currency)}
        super().__init__(
            _("You counted %(counted)s, which is %(gap)s more than the %(expected)s expected. Count again, or say why.", **words)
            if gap.minor_units > 0
            else _("You counted %(counted)s, which is %(gap)s less than the %(expected)s expected. Count again, or say why.", **words)
        )  # fmt: skip


class NoSuchCount(Missing):
    """There is no such count of a till, or none this person may see."""

    code = "no_such_count"

    def __init__(self) -> None:
        super().__init__(_("There is no such count of a till."))


@dataclass(frozen=True, slots=True)
class Count:
    """A till as somebody counted it; `pieces` by minor units, empty when only the sum was given."""

    id: int
    till_account_id: int
    business_date: date
    expected: Money
    counted: Money
    seq: int
    pieces: dict[int, int]
    reason: str | None
    entry_id: int | None
    counted_by: str
    counted_at: datetime

    @property
    def difference(self) -> Money:
        """Above zero when more was there than expected."""
        return self.counted - self.expected


def total(pieces: dict[int, int], currency: str) -> Money:
    """What so many of each piece are together.

    >>> total({2_000: 3, 25: 2}, "USD")
    Money(minor_units=6050, currency='USD')
    """
    return Money(sum(piece * many for piece, many in pieces.items()), currency)


def count(
    tx: sa.Connection, till_id: int, counted: Money, pieces: dict[int, int], *, seen: int, reason: str, key: str, by: Author
) -> int:  # fmt: skip
    """Record what is in the till and book the difference; answers the count's id.

    `seen` is the till's version when its counting began. The till is locked meanwhile, so nothing passes between.

    Raises:
        TillMoved: something was booked since then.
        DifferenceUnexplained: there is a difference and no reason.
        KeyReused: the key came before with something else.
    """
    till = ledger_store.lock(tx, till_id)
    if before := _first(tx, till_counts.c.operation == key):
        if (before.till_account_id, before.counted, before.counted_by) != (till_id, counted, by.who):
            raise KeyReused
        return before.id
    if till.version != seen:
        raise TillMoved(till)
    difference = counted - till.balance_money
    if difference.minor_units and not reason:
        raise DifferenceUnexplained(counted, till.balance_money)
    entry_id = _book(tx, till, difference, key=key, by=by) if difference.minor_units else None
    row = {
        "operation": key,
        "till_account_id": till_id,
        "business_date": by.business_date,
        "currency": till.currency,
        "expected": till.balance,
        "counted": counted.minor_units,
        "seq": till.version,
        "pieces": pieces,
        "reason": reason or None,
        "entry_id": entry_id,
        "counted_by": by.who,
        "counted_at": by.at,
    }
    count_id = generated_id(tx.execute(till_counts.insert(), row))
    told = {"counted": counted.minor_units, "difference": difference.minor_units}
    audit.record(tx, "till.counted", f"till:{till_id}", by=by, reason=reason or None, details=told)
    if entry_id:
        cases.open_case(tx, TILL_DIFFERENCE, reason, account_id=till_id, entry_id=entry_id, operation=key, by=by)
    return count_id


def _book(tx: sa.Connection, till: LedgerAccount, difference: Money, *, key: str, by: Author) -> int:
    short_and_over = ledger.bank_account(tx, "cash_differences", till.currency, at=by.at).id
    amount = Money(abs(difference.minor_units), difference.currency)
    sides = (
        move(till.id, short_and_over, amount) if difference.minor_units > 0 else move(short_and_over, till.id, amount)
    )
    [outcome] = ledger.post_in(tx, [entry_by(by, key, "till_difference", KINDS["till_difference"], sides)])
    return outcome.or_raise()


def by_id(reader: sa.Connection, count_id: int) -> Count | None:
    """The count, if there is one."""
    return _first(reader, till_counts.c.id == count_id)


def page_before(reader: sa.Connection, till_id: int, *, before: int | None, limit: int) -> list[Count]:
    """The `limit` counts of the till just before id `before` (None: the newest), newest first."""
    query = sa.select(till_counts).where(till_counts.c.till_account_id == till_id)
    if before is not None:
        query = query.where(till_counts.c.id < before)
    return [_count(row) for row in reader.execute(query.order_by(till_counts.c.id.desc()).limit(limit))]


def _first(reader: sa.Connection, condition: sa.ColumnElement[bool]) -> Count | None:
    row = reader.execute(sa.select(till_counts).where(condition)).first()
    return _count(row) if row else None


def _count(row: sa.Row[Any]) -> Count:
    return Count(
        row.id,
        row.till_account_id,
        row.business_date,
        Money(row.expected, row.currency),
        Money(row.counted, row.currency),
        row.seq,
        # JSON knows only texts as keys.
        {int(piece): many for piece, many in row.pieces.items()},
        row.reason,
        row.entry_id,
        row.counted_by,
        row.counted_at,
    )
