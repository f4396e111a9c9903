"""What a measurement was answered, held against the ledger when it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa

from bank.bench.place import private_settings
from bank.ledger import verify
from bank.ledger.tables import journal_entries
from bank.storage.transaction import Bank

#: The kind of the entries that are measured.
KIND: Final = "transfer"


class WrongBooks(AssertionError):
    """What was measured is worth nothing: the ledger does not hold what was answered."""


class Books:
    """A bank, and how many transfers it answered since it was furnished."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.posted = 0
        self._before = self._booked()

    def compare(self) -> None:
        """Hold the number of transfers in the ledger against those that were answered.

        Raises:
            WrongBooks: there are more, or fewer.
        """
        if (booked := self._booked() - self._before) != self.posted:
            raise WrongBooks(f"{self.posted} transfers were answered, and {booked} are in the ledger")

    def prove(self) -> None:
        """Re-compute every invariant of the ledger.

        Raises:
            WrongBooks: one is broken.
        """
        with self.bank.snapshot() as reader:
            if findings := verify.verify(reader, lambda _: None):
                raise WrongBooks(f"the ledger is broken in {len(findings)} places, first: {findings[0]}")

    def _booked(self) -> int:
        c = journal_entries.c
        with self.bank.reader() as reader:
            query = sa.select(sa.func.count()).where(c.kind == KIND, c.refusal.is_(None))
            count: int = reader.execute(query).scalar_one()
        return count


@contextmanager
def books(url: str, furnish: Callable[[Bank], object], *, proven: bool = True) -> Iterator[Books]:
    """The books of a bank that `furnish` fills; if the block ends well, they are compared and, if asked, `proven`."""
    bank = Bank.open(private_settings(url))
    try:
        furnish(bank)
        kept = Books(bank)
        yield kept
        kept.compare()
        if proven:
            kept.prove()
    finally:
        bank.engine.dispose()
