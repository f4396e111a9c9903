"""Rules of payments: accepted is there once, nothing else is there, given up becomes one of done or never."""

from __future__ import annotations

from collections.abc import Iterator

from tests.drill.ledger_read import Entry
from tests.drill.run_read import RunRead, Violation


def accepted_is_there(run: RunRead) -> Iterator[Violation]:
    """Every payment that a customer saw accepted is in the ledger, as the entry that they were told."""
    accepted = {key: each.told for key, each in run.payments.items() if each.outcome == "ok"}
    looked = {key: each.told for key, each in run.look_ups.items() if each.told.get("became") == "done"}
    for key, told in {**accepted, **looked}.items():
        found = run.booked.get(key, [])
        if not found:
            yield Violation("lost", key, f"Accepted as entry {told.get('entry')}, and not in the ledger.")
        elif told.get("entry") not in [entry.id for entry in found]:
            yield Violation("lost", key, f"Accepted as entry {told.get('entry')}, and booked as {found[0].id}.")


def nothing_is_there_twice(run: RunRead) -> Iterator[Violation]:
    """No payment is booked more than once."""
    for key, found in run.booked.items():
        if key in run.payments and len(found) > 1:
            ids = ", ".join(str(entry.id) for entry in found)
            yield Violation("duplicate", key, f"Booked {len(found)} times: {ids}.")


def nothing_is_there_unasked(run: RunRead) -> Iterator[Violation]:
    """Every movement of a customer's account is a payment that somebody asked for, as it was asked."""
    for reference, found in run.booked.items():
        asked = run.payments.get(reference)
        for entry in found:
            if asked is None:
                yield Violation("phantom", f"entry {entry.id}", f"Nobody asked for it: {entry.kind} {reference!r}.")
            elif not _as_asked(entry, asked.asked.value):
                yield Violation("phantom", f"entry {entry.id}", f"Not what was asked by {reference}.")


def _as_asked(entry: Entry, wanted: dict[str, object]) -> bool:
    moved = {(line.account, line.minor) for line in entry.lines}
    minor = wanted["minor"]
    assert isinstance(minor, int)
    return len(entry.lines) == 2 and moved == {(wanted["payer"], -minor), (wanted["payee"], minor)}


def refused_is_not_there(run: RunRead) -> Iterator[Violation]:
    """What a customer was refused did not move."""
    for key, each in run.payments.items():
        if each.outcome == "fail" and key in run.booked:
            yield Violation("refused", key, f"Refused as {each.told.get('code')}, and booked.")


def given_up_becomes_one(run: RunRead) -> Iterator[Violation]:
    """Whoever gave up learns what became of it, and it is what the ledger says."""
    for key, each in run.payments.items():
        if each.outcome != "info":
            continue
        looked = run.look_ups.get(key)
        became = looked.told.get("became") if looked and looked.outcome == "ok" else None
        if became is None:
            yield Violation("unresolved", key, "Given up, and the customer could not find out what became of it.")
        elif (became == "done") != (key in run.booked):
            told = "booked" if key in run.booked else "not booked"
            yield Violation("unresolved", key, f"The customer was told {became!r}, and it is {told}.")
