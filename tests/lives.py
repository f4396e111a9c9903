"""Batches posted by processes that are killed: the same batch again for whoever asks, and what must be left of it."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from bank.ledger import service
from bank.ledger.model import JournalEntry, Outcome, Reserve
from bank.ledger.tables import holds, journal_entries, postings
from bank.money import Money
from bank.storage.errors import DatabaseAway
from bank.storage.transaction import Bank
from tests.ledger import NOON, a_till, an_account, balance, entry, move, opened

BATCH_SIZE = 25


@dataclass(frozen=True, slots=True)
class Plan:
    """What the lives post: a till, some accounts to move money between, and one that gets 1 per batch."""

    seed: int
    till: int
    counter: int
    accounts: Sequence[int]

    @classmethod
    def on(cls, bank: Bank, seed: int) -> Plan:
        """A plan with new accounts."""
        return cls(seed, a_till(bank), an_account(bank), [an_account(bank, balance=1_000) for _ in range(4)])

    def batch(self, life: str, number: int) -> list[JournalEntry]:
        """The life's batch of this number: always the same."""
        chance = random.Random(f"{self.seed}/{life}/{number}")
        batch = [move(self.till, self.counter, 1)]
        batch += [self._any(chance) for _ in range(BATCH_SIZE - 1)]
        return [self._keyed(asked, f"{life}/{number}/{place}") for place, asked in enumerate(batch)]

    def _any(self, chance: random.Random) -> JournalEntry:
        payer, payee = chance.sample(self.accounts, 2)
        amount = chance.randint(1, 400)
        return chance.choice(
            [
                move(self.till, payee, amount),
                move(payer, self.till, amount),
                move(payer, payee, amount),
                entry(hold=Reserve(payer, Money(amount, "USD"), NOON + timedelta(hours=1))),
            ]
        )

    @staticmethod
    def _keyed(asked: JournalEntry, key: str) -> JournalEntry:
        fields = {name: getattr(asked, name) for name in asked.__dataclass_fields__}
        return JournalEntry(**{**fields, "caller": "life", "idempotency_key": key})


def live(url: str, plan: Plan, life: str, acknowledged: Any) -> None:
    """Post batch after batch until killed, saying so after each."""
    with opened(url) as bank, bank.reader() as reader:
        reader.exec_driver_sql("SELECT 1")
        acknowledged.send(-1)
        for number in range(1_000_000):
            service.post(bank, plan.batch(life, number))
            acknowledged.send(number)


def live_and_die(context: Any, url: str, plan: Plan, life: str, seconds: float) -> int:
    """Let a process post for so long, then kill it. Answers how many batches it was told to be done."""
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=live, args=(url, plan, life, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        assert mine.recv() == -1
        time.sleep(seconds)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    done = 0
    try:
        while True:
            done = mine.recv() + 1
    except EOFError:
        return done
    finally:
        mine.close()


@dataclass
class Witness:
    """Checks what is left after each death, and at the end that every batch was booked exactly once."""

    bank: Bank
    plan: Plan
    completed: int = 0
    retried: list[str] = field(default_factory=list)

    def check(self, life: str, done: int) -> None:
        """Every batch is whole or absent, what was acknowledged is there, and a retry completes the one in between."""
        self.look(life, done)
        outcomes = service.post(self.bank, self.plan.batch(life, done))
        assert len(outcomes) == BATCH_SIZE
        self.retried.append("replayed" if type(outcomes[0]).__name__ == "Replayed" else "posted")
        assert len({type(outcome).__name__ == "Replayed" for outcome in outcomes}) == 1, outcomes
        assert [_word(o) for o in service.post(self.bank, self.plan.batch(life, done))] == [_word(o) for o in outcomes]
        assert self.look(life, done + 1) == done + 1
        self.completed += done + 1

    def look(self, life: str, done: int) -> int:
        """How many batches of the life are there: those it knows to be done, and perhaps the next."""
        batches = self.look_again(life, done)
        assert batches <= done + 1, f"{batches} batches of {life} after {done} were acknowledged"
        return batches

    def look_again(self, life: str, done: int) -> int:
        """How many batches of a life that goes on are there: `done` at least, and each of them whole."""
        while True:
            try:
                with self.bank.snapshot() as reader:
                    keys = _entries(reader, life)
                    moved = _postings(reader, life)
                break
            except DatabaseAway:  # This connection had died with the server.
                continue
        batches = len(keys) // BATCH_SIZE
        assert batches >= done, f"{batches} batches of {life} after {done} were acknowledged"
        expected = {f"{life}/{number}/{place}" for number in range(batches) for place in range(BATCH_SIZE)}
        assert set(keys) == expected, f"a batch of {life} is there in part"
        for number in range(batches):
            for asked in self.plan.batch(life, number):
                refused = keys[asked.idempotency_key]
                assert moved.get(asked.idempotency_key, 0) == (0 if refused else len(asked.postings))
        return batches

    def finish(self) -> None:
        """Each batch, retried or not, has put 1 on the counter."""
        assert balance(self.bank, self.plan.counter) == self.completed


def _word(outcome: Outcome) -> int | None:
    first = getattr(outcome, "first", outcome)
    return first.entry_id


def _of_life(life: str) -> sa.ColumnElement[bool]:
    key = journal_entries.c.idempotency_key
    # A range, since LIKE means other things for bytes: `0` comes right after `/`.
    return sa.and_(journal_entries.c.caller == "life", key >= f"{life}/", key < f"{life}0")


def _entries(reader: sa.Connection, life: str) -> dict[str, str | None]:
    query = sa.select(journal_entries.c.idempotency_key, journal_entries.c.refusal).where(_of_life(life))
    return {key: refusal for key, refusal in reader.execute(query)}


def _postings(reader: sa.Connection, life: str) -> dict[str, int]:
    """Per key how many postings; a hold counts as none, though it must be in `holds`."""
    query = (
        sa.select(journal_entries.c.idempotency_key, sa.func.count())
        .select_from(journal_entries.join(postings))
        .where(_of_life(life))
        .group_by(journal_entries.c.idempotency_key)
    )
    counted = {key: count for key, count in reader.execute(query)}
    reserved = (
        sa.select(sa.func.count())
        .select_from(journal_entries)
        .outerjoin(holds)
        .where(_of_life(life), journal_entries.c.hold_change.is_not(None), holds.c.id.is_(None))
    )
    assert reader.execute(reserved).scalar_one() == 0, "an entry reserved, and there is no hold"
    return counted
