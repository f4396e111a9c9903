"""The same bank small and large: what a page, a balance and a transfer cost when a thousand times as much is booked."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from bank.accounts import store as account_store
from bank.bench import history
from bank.bench.books import Books, books
from bank.bench.clients import load
from bank.bench.figures import Run
from bank.bench.furniture import Person, account_number, furnish
from bank.bench.generator import Generator
from bank.bench.library import Transfers, counted
from bank.bench.over_http import OK, PAGE_CONNECTIONS, is_a_page, measured, page
from bank.bench.place import Item, Place, private_settings
from bank.bench.served import Served
from bank.storage.transaction import Bank

SMALL: Final = 10_000
#: Accounts grow with what is booked on them, from a thousand on; and one of them has a tenth of all.
_LEAST_ACCOUNTS: Final = 1_000
_POSTINGS_EACH: Final = 100


@dataclass(frozen=True, slots=True)
class _Size:
    """A bank of one size; `person` holds the account with a tenth of all postings."""

    postings: int
    accounts: int
    kept: Books
    people: list[Person]


@contextmanager
def stage(place: Place, names: set[str]) -> Iterator[list[Item]]:
    """Each thing on the large bank, right after the same on the small one, which is its reference."""
    with ExitStack() as stack:
        small = stack.enter_context(_bank(place, SMALL, proven=True))
        large = stack.enter_context(_bank(place, place.plan.growth_postings, proven=False))
        yield [
            Item(name, f"{large.postings:,} postings", run(place, large), run(place, small))
            for name, run in (("growth-page", _page), ("growth-balance", _balance), ("growth-transfer", _transfer))
            if name in names
        ]


@contextmanager
def _bank(place: Place, postings: int, *, proven: bool) -> Iterator[_Size]:
    server, name = place.postgresql, f"growth_{postings}"
    count = max(_LEAST_ACCOUNTS, postings // _POSTINGS_EACH)
    people: list[Person] = []

    def fill(bank: Bank) -> None:
        people.extend(furnish(bank, server.url(name), count, people=1))
        # Each account was paid its money, by one posting; and the bank's own have a few.
        transfers = max(1, (postings - count) // 2)
        history.write(server, name, accounts=count, transfers=transfers, currency=bank.settings.currency)

    with server.bank_database(name) as url, books(url, fill, proven=proven) as kept:
        yield _Size(postings, count, kept, people)


def _transfer(place: Place, size: _Size) -> Callable[[int], Run]:
    work = Transfers(size.kept.bank.settings.database_url, size.accounts)
    return counted(size.kept, work, 1, place.postgresql.cpu_seconds)


def _page(place: Place, size: _Size) -> Callable[[int], Run]:
    def run(seconds: int) -> Run:
        url = size.kept.bank.settings.database_url
        with Served(url, place.new_directory(), None, **place.plan.settings) as served:
            make = itertools.repeat(page(size.people[0], served.log_in(size.people[0]))).__next__
            generator = Generator(served.port, PAGE_CONNECTIONS, make, OK, is_a_page)
            return measured(generator, place.postgresql, served, seconds)[0]

    return run


def _balance(place: Place, size: _Size) -> Callable[[int], Run]:
    work = Balances(size.kept.bank.settings.database_url, size.accounts)

    def run(seconds: int) -> Run:
        return load(work, 1, seconds, place.postgresql.cpu_seconds).run

    return run


@dataclass(frozen=True, slots=True)
class Balances:
    """Read the balances of customers' accounts 1 to `accounts`, one at a time, as pages and programs do."""

    url: str
    accounts: int
    each: int = 1

    def begin(self) -> Callable[[], object]:
        """Open the bank, and answer what reads one."""
        bank = Bank.open(private_settings(self.url))
        chance = random.Random()  # noqa: S311  # which account is no secret

        def read() -> None:
            i = chance.randint(1, self.accounts)
            with bank.reader() as reader:
                found = account_store.held_by(reader, i, account_number(i))
            if found is None:
                raise AssertionError(f"no account {i}")

        return read
