"""Movements as their customer reads them, with who is on the other side and what for; and looking for some of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import sqlalchemy as sa

from bank.identifiers import masked
from bank.language import folded, gettext
from bank.ledger import feed
from bank.ledger.feed import Place
from bank.ledger.store import POSTING_COLUMNS, PostingRow, posting_row
from bank.payments import counterparties
from bank.payments.counterparties import Counterparty
from bank.payments.model import kind_words, told
from bank.spending import store
from bank.spending.rules import Told, category_name, category_of
from bank.storage.prepared import prepared

#: How many movements one search looks at before it says how far it came.
MOST_SCANNED: Final = 5_000
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Movement:
    """A posting of a customer's account; `category` is one of the rules' codes."""

    posting: PostingRow
    other: Counterparty | None
    category: str

    @property
    def received(self) -> bool:
        """Did the account receive it?"""
        return self.posting.signed.minor_units > 0

    @property
    def kind(self) -> str:
        """What kind of movement it is, in words."""
        return kind_words(self.posting.kind, received=self.received)

    @property
    def written(self) -> str:
        """What somebody wrote about it; empty when only the bank did."""
        words = told(self.posting.narrative, self.posting.kind, received=self.received)
        return "" if words == self.kind else words

    @property
    def title(self) -> str:
        """What it is called, never nothing: whom with, what was written, or what happened."""
        if self.other and not self.other.name:
            return gettext("Account %(number)s", number=masked(self.other.number))
        return self.other.name if self.other else self.written or self.kind

    @property
    def detail(self) -> str:
        """What was written, when the title does not say so."""
        return self.written if self.other else ""


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for; amounts in minor units, days both included, `figure` an amount that the text may mean."""

    text: str = ""
    least: int | None = None
    most: int | None = None
    direction: str = ""
    first: date | None = None
    last: date | None = None
    category: str = ""
    figure: int | None = None

    @property
    def looks_closer(self) -> bool:
        """Must each movement be looked at, beyond its day?"""
        return bool(self.text or self.direction or self.category) or (self.least, self.most) != (None, None)

    @property
    def narrows(self) -> bool:
        """Is anything asked for at all?"""
        return self.looks_closer or (self.first, self.last) != (None, None)

    def fits(self, movement: Movement) -> bool:
        """Is this one of those looked for?"""
        amount = movement.posting.amount.minor_units
        return (
            (self.least is None or amount >= self.least)
            and (self.most is None or amount <= self.most)
            and (not self.direction or movement.received == (self.direction == "in"))
            and (not self.category or movement.category == self.category)
            and (not self.text or amount == self.figure or self._reads(movement))
        )

    def _reads(self, movement: Movement) -> bool:
        """Every word of the text is somewhere, as people would look for it: without case and accents."""
        other = movement.other
        told_of = (movement.title, movement.written, movement.kind, other.number if other else "")
        words = folded(" ".join((*told_of, category_name(movement.category))))
        return all(word in words for word in folded(self.text).split())


@dataclass(frozen=True, slots=True)
class Found:
    """A page of what was looked for; `older` is where the next one begins.

    `searched_back_to`: the search ended there for this time, there may be more before.
    """

    movements: Sequence[Movement]
    older: Place | None = None
    #: The next page begins with the day that this one ends with.
    splits_a_day: bool = False
    searched_back_to: date | None = None


def latest(reader: sa.Connection, account_ids: Sequence[int], *, limit: int, customer_id: int) -> list[Movement]:
    """The `limit` movements booked last on any of these accounts, newest first."""
    if not account_ids:
        return []
    values = {f"account_{number}": account_id for number, account_id in enumerate(account_ids)}
    found = reader.execute(_latest(len(account_ids)), {**values, "most": limit, "customer_id": customer_id})
    return _movements(found, store.rules_of(reader, customer_id))


# Putting these two queries together takes longer than the database does to answer them: each is kept.


@lru_cache(maxsize=32)
def _latest(accounts: int) -> sa.Select[Any]:
    account_ids = [_number(f"account_{number}") for number in range(accounts)]
    these = feed.newest(account_ids, limit=_number("most")).subquery("these")
    return _described(these, these.c.entry_id.desc(), these.c.account_id, these.c.seq)


@cache
def _page(*, before: bool, first: bool, last: bool) -> sa.Select[Any]:
    these = feed.by_day(
        _number("account"),
        before=(_day("day"), _number("place")) if before else None,
        first=_day("first") if first else None,
        last=_day("last") if last else None,
        limit=_number("most"),
    ).subquery("these")
    return _described(these, these.c.booking_date.desc(), these.c.seq.desc())


def _described(these: sa.Subquery, *order: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """The query of the postings in an order that tells them apart, with the other side and the corrected category of each."""
    query = store.with_corrections(counterparties.with_others(these, _number("customer_id")), these)
    return prepared(query.order_by(*order, counterparties.OWNERS))


def _number(name: str) -> sa.BindParameter[int]:
    return sa.bindparam(name, type_=sa.BigInteger())


def _day(name: str) -> sa.BindParameter[date]:
    return sa.bindparam(name, type_=sa.Date())


def _movements(rows: Iterable[sa.Row[Any]], rules: Mapping[str, str]) -> list[Movement]:
    return [_movement(list(of_one), rules) for _, of_one in groupby(rows, key=attrgetter("account_id", "seq"))]


def _movement(rows: Sequence[sa.Row[Any]], rules: Mapping[str, str]) -> Movement:
    posting, other = posting_row(rows[0][: len(POSTING_COLUMNS)]), counterparties.other_of_rows(rows)
    return Movement(posting, other, rows[0].corrected or category_of(as_told(posting, other), rules))


def as_told(row: PostingRow, other: Counterparty | None) -> Told:
    """What the rules look at."""
    return told_of(row.kind, row.narrative, other, received=row.signed.minor_units > 0)


def told_of(kind: str, narrative: str, other: Counterparty | None, *, received: bool) -> Told:
    """What the rules look at, of a movement or of several alike."""
    own = other is not None and other.own
    # An own account's name is the bank's, in the reader's language: no rule goes by it.
    person = other.name if other and not own else ""
    return Told(kind, received, narrative, person, to_account=other is not None, own=own)


def find(
    reader: sa.Connection,
    account_id: int,
    search: Search,
    *,
    before: Place | None,
    limit: int,
    customer_id: int,
    most_scanned: int = MOST_SCANNED,
) -> Found:
    """The `limit` movements that fit, just before a place (None: the newest), newest day first.

    The database finds the days; the rest is looked at here, so that every database finds the same words. At most
    `most_scanned` movements are looked at.
    """
    rules = store.rules_of(reader, customer_id)
    found: list[Movement] = []
    left = most_scanned
    while True:
        size = min(_AT_ONCE, left) if search.looks_closer else limit + 1
        day, place = before or (None, None)
        values = {"account": account_id, "customer_id": customer_id, "most": size, "day": day, "place": place}
        query = _page(before=before is not None, first=search.first is not None, last=search.last is not None)
        rows = reader.execute(query, {**values, "first": search.first, "last": search.last})
        looked_at = _movements(rows, rules)
        for movement in looked_at:
            if not search.fits(movement):
                continue
            if len(found) == limit:
                last = found[-1].posting
                return Found(found, (last.booking_date, last.seq), movement.posting.booking_date == last.booking_date)
            found.append(movement)
        if len(looked_at) < size:
            return Found(found)
        before = (looked_at[-1].posting.booking_date, looked_at[-1].posting.seq)
        left -= size
        if left <= 0:
            return Found(found, before, searched_back_to=before[0])
