"""A run as the rules look at it: its operations beside the ledger that survived."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from tests.drill.history import Event, Operation, operations
from tests.drill.ledger_read import Entry, LedgerRead, Line, Opening


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken: which, by what, and a sentence."""

    rule: str
    subject: str
    sentence: str


@dataclass(frozen=True, slots=True)
class RunRead:
    """Operations in the order of asking, and the ledger by what one looks for."""

    operations: tuple[Operation, ...]
    ledger: LedgerRead
    opening: Opening
    #: Payments in the history by their keys.
    payments: dict[str, Operation]
    #: What the customers who looked were told, by key.
    look_ups: dict[str, Operation]
    #: Booked entries by reference, which is the payment's key.
    booked: dict[str, list[Entry]]
    #: Each account's postings since the opening, by their numbers.
    lines: dict[str, dict[int, Line]]
    #: The number of an entry's posting on an account.
    places: dict[tuple[str, int], int]

    @classmethod
    def of(cls, history: Iterable[Event], ledger: LedgerRead, opening: Opening) -> RunRead:
        """Bring them together."""
        asked = tuple(operations(history))
        booked: defaultdict[str, list[Entry]] = defaultdict(list)
        lines: defaultdict[str, dict[int, Line]] = defaultdict(dict)
        places = {}
        for entry in ledger.entries:
            if entry.lines:
                booked[entry.reference].append(entry)
            for line in entry.lines:
                lines[line.account][line.seq] = line
                places[line.account, entry.id] = line.seq
        return cls(
            asked, ledger, opening,
            payments={each.asked.value["key"]: each for each in asked if each.asked.f == "pay"},
            look_ups={each.asked.value["key"]: each for each in asked if each.asked.f == "look_up"},
            booked=dict(booked), lines=dict(lines), places=places,
        )  # fmt: skip

    def reached(self, account: str, entry_id: int) -> int | None:
        """The number of the entry's posting on the account; that of the opening for an entry before it."""
        if entry_id <= self.opening.last_entry:
            return self.opening.accounts[account][1]
        return self.places.get((account, entry_id))

    def balances(self, account: str) -> list[int]:
        """The account's balance after the opening, and after each posting since, in order."""
        lines = self.lines.get(account, {})
        return [self.opening.accounts[account][0], *(lines[seq].balance_after for seq in sorted(lines))]
