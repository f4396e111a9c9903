"""The ledger by its own function: transfers one by one and in batches, from one process or several."""

from __future__ import annotations

import itertools
import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bank.bench import history
from bank.bench.books import KIND, Books, books
from bank.bench.clients import Work, load
from bank.bench.figures import Run
from bank.bench.floors import MariaDBFloor, SQLiteFloor
from bank.bench.furniture import furnish
from bank.bench.place import Item, Place, private_settings
from bank.ledger import service
from bank.ledger.model import JournalEntry, Limits, Posted, Posting, Side
from bank.money import Money
from bank.storage import migrate
from bank.storage.transaction import Bank

#: Of the bank that the library's runs are made on.
ACCOUNTS: Final = 10_000
SEVERAL: Final = 4
HISTORY: Final = 20_000


@dataclass(frozen=True, slots=True)
class Transfers:
    """Post transfers of one minor unit between accounts 1 to `accounts`, `each` in a batch; all from account `hot`, if given.

    As a customer's payment they are held against limits.
    """

    url: str
    accounts: int
    each: int = 1
    hot: int | None = None

    def begin(self) -> Callable[[], object]:
        """Open the bank, and answer what posts one batch."""
        bank = Bank.open(private_settings(self.url))
        settings = bank.settings
        limits = Limits(settings.limit_per_payment_minor, settings.limit_per_day_minor)
        cent = Money(1, settings.currency)
        mine = secrets.token_hex(8)
        count = itertools.count()
        chance = random.Random()  # noqa: S311  # which account is no secret

        def entry() -> JournalEntry:
            payer, payee = chance.sample(range(1, self.accounts + 1), 2)
            if self.hot:
                payer, payee = self.hot, payee if payee != self.hot else payer
            now = bank.clock.now()
            today = bank.clock.business_date(now)
            return JournalEntry(
                caller=f"customer:{payer}",
                idempotency_key=f"{mine}-{next(count)}",
                kind=KIND,
                narrative="Transfer",
                booking_date=today,
                value_date=today,
                booked_at=now,
                postings=(Posting(payer, Side.DEBIT, cent), Posting(payee, Side.CREDIT, cent)),
                limits=limits,
            )

        def post() -> None:
            outcomes = service.post(bank, [entry() for _ in range(self.each)])
            wrong = [outcome for outcome in outcomes if not isinstance(outcome, Posted)]
            if wrong or len(outcomes) != self.each:
                raise AssertionError(f"not posted: {wrong[:1]}")

        return post


@contextmanager
def on_postgresql(place: Place, names: set[str]) -> Iterator[list[Item]]:
    """The library on PostgreSQL, against TPC-B."""
    server = place.postgresql

    def fill(bank: Bank) -> None:
        furnish(bank, server.url("library"), ACCOUNTS)
        # An empty ledger's plans are those of an empty ledger.
        history.write(server, "library", accounts=ACCOUNTS, transfers=HISTORY, currency=bank.settings.currency)

    with server.bank_database("library") as url, books(url, fill) as kept:
        chosen = (
            ("transfer", 1, Transfers(url, ACCOUNTS)),
            ("batch-100", 1, Transfers(url, ACCOUNTS, each=100)),
            ("batch-1000", 1, Transfers(url, ACCOUNTS, each=1000)),
            ("processes", SEVERAL, Transfers(url, ACCOUNTS)),
            ("hot-account", SEVERAL, Transfers(url, ACCOUNTS, hot=history.BIG)),
        )
        yield [
            Item(name, "", counted(kept, work, processes, server.cpu_seconds), place.tpc_b)
            for name, processes, work in chosen
            if name in names
        ]


@contextmanager
def on_mariadb(place: Place, names: set[str]) -> Iterator[list[Item]]:
    """The library on MariaDB, against the floor."""
    server = place.mariadb

    def fill(bank: Bank) -> None:
        furnish(bank, server.url("library"), ACCOUNTS)

    with server.bank_database("library") as url, server.bank_database("floor") as floor_url, books(url, fill) as kept:
        furnish(Bank.open(private_settings(floor_url)), server.url("floor"), ACCOUNTS)
        floor = MariaDBFloor(server.url("floor"), ACCOUNTS)
        yield [
            Item(
                name,
                "",
                counted(kept, Transfers(url, ACCOUNTS, each), 1, server.cpu_seconds),
                lambda seconds: load(floor, 1, seconds, server.cpu_seconds).run,
            )
            for name, each in (("mysql-transfer", 1), ("mysql-batch-100", 100))
            if name in names
        ]


@contextmanager
def on_sqlite(place: Place, names: set[str]) -> Iterator[list[Item]]:
    """The library on SQLite, several processes at once, against the floor."""
    url, floor_url = (f"sqlite:///{place.directory / name}.sqlite" for name in ("library", "floor"))
    for each in (url, floor_url):
        migrate.upgrade(each)
    furnish(Bank.open(private_settings(floor_url)), floor_url, ACCOUNTS)
    floor = SQLiteFloor(floor_url.removeprefix("sqlite:///"), ACCOUNTS)

    def fill(bank: Bank) -> None:
        furnish(bank, url, ACCOUNTS)

    with books(url, fill) as kept:
        yield [
            Item(
                name,
                "",
                counted(kept, Transfers(url, ACCOUNTS), SEVERAL, None),
                lambda seconds: load(floor, SEVERAL, seconds, None).run,
            )
            for name in names
        ]


def counted(kept: Books, work: Work, processes: int, database_cpu: Callable[[], float] | None) -> Callable[[int], Run]:
    """The run of some work; what it posts is counted with the books."""

    def run(seconds: int) -> Run:
        done = load(work, processes, seconds, database_cpu)
        kept.posted += done.done
        kept.compare()
        return done.run

    return run
