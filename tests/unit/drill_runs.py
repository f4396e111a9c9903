"""Runs of the drill as a bank without faults would leave them, small and made up, for the tests of its checker."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.drill.history import Event
from tests.drill.ledger_read import Entry, LedgerRead, Line, Opening

ACCOUNTS = {"A": (500, 2), "B": (500, 1), "C": (20, 1)}
LAST_ENTRY = 9


@dataclass
class MadeUp:
    """A bank in memory, and the history of who asks it."""

    history: list[Event] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    accounts: dict[str, tuple[int, int]] = field(default_factory=lambda: dict(ACCOUNTS))

    @property
    def opening(self) -> Opening:
        return Opening(dict(ACCOUNTS), LAST_ENTRY)

    @property
    def ledger(self) -> LedgerRead:
        return LedgerRead(tuple(self.entries), dict(self.accounts))

    def book(self, key: str, payer: str, payee: str, minor: int) -> int:
        """Answers the entry's id."""
        lines = []
        for account, change in ((payer, -minor), (payee, minor)):
            balance, version = self.accounts[account]
            self.accounts[account] = balance + change, version + 1
            lines.append(Line(account, version + 1, change, balance + change))
        entry_id = LAST_ENTRY + 1 + len(self.entries)
        self.entries.append(Entry(entry_id, key, "transfer", key, False, tuple(lines)))
        return entry_id

    def ask(
        self, process: int, kind: str, f: str, asked: dict[str, Any], told: dict[str, Any], seconds: float = 0.1
    ) -> None:
        """An operation from its beginning to its end, after all others."""
        at = self.history[-1].at + 0.1 if self.history else 0.0
        home = ("east", "west")[process % 2]
        self.history.append(Event(at, process, "invoke", f, asked, home))
        ms = seconds * 1000
        done = Event(at + seconds, process, kind, f, {**asked, **told}, home, home, 1, ms, 200, [[at, home, 200, ms]])
        self.history.append(done)

    def pay(self, process: int, key: str, payer: str, payee: str, minor: int) -> None:
        """By whoever has no more than there is."""
        asked = {"key": key, "payer": payer, "payee": payee, "minor": minor}
        if minor > self.accounts[payer][0]:
            self.ask(process, "fail", "pay", asked, {"code": "insufficient_funds"})
        else:
            self.ask(process, "ok", "pay", asked, {"entry": self.book(key, payer, payee, minor)})

    def give_up(self, process: int, key: str, payer: str, payee: str, *, done: bool) -> None:
        """A payment of 1 that nobody answered, and what the customer finds out afterwards."""
        asked = {"key": key, "payer": payer, "payee": payee, "minor": 1}
        became = {"became": "done", "entry": self.book(key, payer, payee, 1)} if done else {"became": "never"}
        self.ask(process, "info", "pay", asked, {"gave_up": "timeout"})
        self.ask(process + 1000, "ok", "look_up", {"key": key, "by": "reading"}, became)

    def page(self, process: int, account: str, *, browser: bool) -> None:
        """The account as it stands."""
        balance, version = self.accounts[account]
        if not browser:
            self.ask(process, "ok", "page", {"account": account}, {"seq": version, "balance": balance})
            return
        own = [entry.id for entry in self.entries if any(line.account == account for line in entry.lines)]
        self.ask(process, "ok", "page", {"account": account}, {"entry": own[-1] if own else LAST_ENTRY})

    def total(self, process: int) -> None:
        """All accounts as they stand."""
        self.ask(process, "ok", "total", {}, {"balances": {name: found for name, (found, _) in self.accounts.items()}})


def a_run(seed: int = 1, steps: int = 40) -> MadeUp:
    """Some of everything, each payment by its key `k<number>`; a payment is done, refused, given up and read."""
    rng, run = random.Random(seed), MadeUp()
    for step in range(steps):
        payer, payee = rng.sample(list(ACCOUNTS), 2)
        match rng.choice(("pay", "pay", "give_up", "page", "total")):
            case "pay":
                run.pay(rng.randrange(4), f"k{step}", payer, payee, rng.randint(1, 60))
            case "give_up" if run.accounts[payer][0]:
                run.give_up(100 + step, f"k{step}", payer, payee, done=rng.random() < 0.5)
            case "page":
                run.page(rng.randrange(4), payer, browser=rng.random() < 0.5)
            case _:
                run.total(rng.randrange(4, 6))
    run.pay(0, "kA", "A", "B", 2)
    run.pay(1, "kB", "B", "A", 3)
    run.pay(2, "kC", "C", "A", 100_000)
    run.give_up(98, "kD", "A", "B", done=True)
    run.give_up(99, "kN", "B", "A", done=False)
    run.page(3, "A", browser=False)
    run.page(3, "A", browser=True)
    run.total(5)
    return run


def ended(history: Sequence[Event], f: str) -> int:
    """The place of the last end of such an operation that was done."""
    return max(place for place, event in enumerate(history) if event.f == f and event.type == "ok")
