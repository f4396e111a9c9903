"""Whether a run kept the bank's promises: pure functions of the history and of the ledger that survived."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from tests.drill.acts import RIGHTLY
from tests.drill.check_payments import (
    accepted_is_there,
    given_up_becomes_one,
    nothing_is_there_twice,
    nothing_is_there_unasked,
    refused_is_not_there,
)
from tests.drill.check_reads import none_is_negative, nothing_goes_back, totals_add_up
from tests.drill.history import Event, Operation
from tests.drill.ledger_read import LedgerRead, Opening
from tests.drill.run_read import RunRead, Violation

#: After healing everything that is asked is done within so many seconds.
HEALED_SECONDS: Final = 5.0

Rule = Callable[[RunRead], Iterator[Violation]]


def books_are_whole(run: RunRead) -> Iterator[Violation]:
    """Each balance is the opening and its postings, one after the other; together they are what they were."""
    for account, (opening, version) in run.opening.accounts.items():
        balance = opening
        now, postings = run.ledger.accounts.get(account, (None, None))
        lines = run.lines.get(account, {})
        for seq in range(version + 1, version + len(lines) + 1):
            line = lines.get(seq)
            if line is None or line.balance_after != balance + line.minor:
                yield Violation("books", f"account {account}", f"Posting {seq} is missing, or has another balance.")
                break
            balance += line.minor
        if (now, postings) != (balance, version + len(lines)):
            yield Violation("books", f"account {account}", f"It says {now}, and its postings make {balance}.")
    total = sum(balance for balance, _ in run.ledger.accounts.values())
    if total != run.opening.total:
        yield Violation("books", "all accounts", f"{total} minor units, and {run.opening.total} at the opening.")
    for entry in run.ledger.entries:
        if sum(line.minor for line in entry.lines):
            yield Violation("books", f"entry {entry.id}", "Only part of a payment between customers is there.")


def verification_finds_nothing(run: RunRead) -> Iterator[Violation]:
    """`bank ledger verify` passes."""
    for finding in run.ledger.findings:
        yield Violation("verify", finding.partition(":")[0], finding)


def answered(operation: Operation) -> bool:
    """Was it done, or rightly refused?"""
    return operation.outcome == "ok" or (operation.outcome == "fail" and operation.told.get("code") in RIGHTLY)


def healed_serves(run: RunRead, healed_at: float) -> Iterator[Violation]:
    """Whatever is asked from `healed_at` on is done within 5 s, and something was asked."""
    after = [each for each in run.operations if each.asked.at >= healed_at]
    if not any(each.outcome == "ok" and each.asked.f == "pay" for each in after):
        yield Violation("healed", "payments", "None was made after the healing: nothing is known of it.")
    for each in after:
        seconds = each.ended.at - each.asked.at if each.ended else float("inf")
        if not answered(each) or seconds > HEALED_SECONDS:
            what = f"{each.asked.f} of process {each.asked.process}"
            yield Violation("healed", what, f"Asked at {each.asked.at}: {each.outcome} after {seconds:.1f} s.")


RULES: Final[tuple[Rule, ...]] = (
    accepted_is_there, nothing_is_there_twice, nothing_is_there_unasked, refused_is_not_there, given_up_becomes_one,
    totals_add_up, none_is_negative, nothing_goes_back, books_are_whole, verification_finds_nothing,
)  # fmt: skip


def check(
    history: Iterable[Event], ledger: LedgerRead, opening: Opening, *, healed_at: float | None = None
) -> list[Violation]:
    """All promises that were broken; `healed_at` in seconds of the history, None where nothing is to heal."""
    run = RunRead.of(history, ledger, opening)
    found = [violation for rule in RULES for violation in rule(run)]
    return found if healed_at is None else [*found, *healed_serves(run, healed_at)]
