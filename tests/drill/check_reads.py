"""Rules of what was read: totals add up, nothing is older than what was seen before, nothing never was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.drill.history import Operation
from tests.drill.run_read import RunRead, Violation


def totals_add_up(run: RunRead) -> Iterator[Violation]:
    """Every read of all balances has all accounts, and sums to what there was: payments only move it."""
    for each in run.operations:
        if each.asked.f != "total" or each.outcome != "ok":
            continue
        balances, where = each.told["balances"], f"read at {each.asked.at}"
        if balances.keys() != run.opening.accounts.keys():
            yield Violation("total", where, f"{len(balances)} accounts of {len(run.opening.accounts)}.")
        elif (found := sum(balances.values())) != run.opening.total:
            yield Violation("total", where, f"{found} minor units in all, and {run.opening.total} at the opening.")


def none_is_negative(run: RunRead) -> Iterator[Violation]:
    """No customer saw, and no account had, less than nothing."""
    for each in run.operations:
        if each.outcome != "ok":
            continue
        seen = each.told.get("balances", {each.told.get("account", ""): each.told.get("balance", 0)})
        for account, balance in seen.items():
            if balance < 0:
                yield Violation("negative", f"account {account}", f"{balance} minor units seen at {each.asked.at}.")
    for account, lines in run.lines.items():
        for line in lines.values():
            if line.balance_after < 0:
                yield Violation("negative", f"account {account}", f"{line.balance_after} after posting {line.seq}.")


def nothing_goes_back(run: RunRead) -> Iterator[Violation]:
    """No browser or program is shown an older state than it was shown before, or one that never was.

    A process has one operation at a time, so whatever it was answered before it asked counts.
    """
    seen: dict[tuple[int, str], int] = {}
    for each in run.operations:
        # What says of itself as of when it is may be older: that is said only while the primary is away.
        if each.outcome != "ok" or each.asked.f == "look_up" or each.told.get("as_of"):
            continue
        for account, place in _shown(run, each, seen):
            known = seen.get((each.asked.process, account), 0)
            where = f"process {each.asked.process}, account {account}"
            if place is None:
                # A payment that is not in the ledger is lost, and told as such.
                if each.asked.f != "pay":
                    yield Violation("unreal", where, f"What was shown at {each.asked.at} is not in the ledger.")
            elif place < known:
                yield Violation("stale", where, f"Posting {place} was the newest at {each.asked.at}, after {known}.")
            else:
                seen[each.asked.process, account] = place


def _shown(run: RunRead, each: Operation, seen: dict[tuple[int, str], int]) -> Iterator[tuple[str, int | None]]:
    """The accounts that an answer tells of, with the number of the newest posting that it knows; None: there is none such."""
    told, process = each.told, each.asked.process
    if each.asked.f == "pay":
        yield told["payer"], run.reached(told["payer"], told["entry"])
    elif each.asked.f == "total":
        for account, balance in told["balances"].items():
            if account in run.opening.accounts:
                yield account, _place_of(run, account, balance, seen.get((process, account), 0))
    elif "seq" in told:
        yield told["account"], _place_at(run, told)
    else:
        entry = told["entry"]
        yield told["account"], run.reached(told["account"], entry) if entry else 0


def _place_at(run: RunRead, told: dict[str, Any]) -> int | None:
    """The posting's number, if the ledger has it with that balance."""
    account, seq = told["account"], told["seq"]
    balance, version = run.opening.accounts[account]
    if seq < version:
        return int(seq)
    line = run.lines.get(account, {}).get(seq)
    found = balance if seq == version else line.balance_after if line else None
    return int(seq) if found == told["balance"] else None


def _place_of(run: RunRead, account: str, balance: int, known: int) -> int | None:
    """After which posting the account had this balance: the first that is not older than what is known.

    When only older ones fit, the newest of those; None when it never had it.
    """
    version = run.opening.accounts[account][1]
    fits = [version + step for step, had in enumerate(run.balances(account)) if had == balance]
    later = [place for place in fits if place >= known]
    return later[0] if later else fits[-1] if fits else None
