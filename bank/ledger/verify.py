"""Re-compute every invariant of the ledger from its rows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from bank.language import marked as _
from bank.ledger.invariants import INVARIANTS, Invariant
from bank.ledger.model import fingerprint
from bank.ledger.tables import holds, journal_entries, ledger_accounts, postings
from bank.storage.facts import VERIFICATION, fact, learn

#: Of one kind of breach; whoever forged more than these has been found out.
MOST_FINDINGS: Final = 500
_BATCH: Final = 2_000

Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is broken: what kind of breach, on which row (`entry:17`), and a sentence."""

    kind: str
    subject: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Size:
    """How many rows a verification goes through."""

    entries: int
    postings: int
    accounts: int
    holds: int


#: What the digests prove, beside the invariants.
DIGESTS_PROVE: Final = _("Each entry is exactly what was asked: its digest says so.")


@dataclass(frozen=True, slots=True)
class Verification:
    """How a verification ended: when, after how many seconds, over how many entries, with how many findings."""

    at: datetime
    seconds: float
    entries: int
    findings: int


def remember(tx: sa.Connection, ended: Verification) -> None:
    """Keep how the last verification ended, in place of the one before."""
    told = [ended.at.isoformat(), round(ended.seconds, 1), ended.entries, ended.findings]
    learn(tx, VERIFICATION, json.dumps(told))


def last(reader: sa.Connection) -> Verification | None:
    """How the last verification ended that could be kept."""
    told = fact(reader, VERIFICATION)
    if told is None:
        return None
    at, seconds, entries, findings = json.loads(told)
    return Verification(datetime.fromisoformat(at), seconds, entries, findings)


def size(reader: sa.Connection) -> Size:
    """Count the ledger's rows."""
    tables = (journal_entries, postings, ledger_accounts, holds)
    counts = [sa.select(sa.func.count()).select_from(table).scalar_subquery() for table in tables]
    return Size(*reader.execute(sa.select(*counts)).one())


def verify(reader: sa.Connection, progress: Progress = lambda _entries: None) -> list[Finding]:
    """All that is broken in the ledger; nothing, when it is sound.

    `reader` must see one instant throughout (`Bank.snapshot`), or a payment booked meanwhile looks like a
    breach. `progress` is told how many more entries have been gone through.

    It proves that the rows agree with each other and with the digest of what was asked. What no other row
    repeats cannot be proved: a value date, an instant, a refused request.
    """
    return [*breaches(reader, INVARIANTS), *_forged_entries(reader, progress)]


def breaches(reader: sa.Connection, invariants: Iterable[Invariant]) -> Iterator[Finding]:
    """Where the invariants do not hold; of each at most `MOST_FINDINGS`."""
    for invariant in invariants:
        for row in reader.execute(sa.text(f"{invariant.query} LIMIT {MOST_FINDINGS}")).mappings():
            name = f"{row['subject']}/{row['seq']}" if invariant.noun == "posting" else row["subject"]
            yield Finding(invariant.kind, f"{invariant.noun}:{name}", invariant.sentence.format_map(row))


def _forged_entries(reader: sa.Connection, progress: Progress) -> Iterator[Finding]:
    found = 0
    for batch in _entry_batches(reader):
        asked = _postings_of(reader, batch[0].id, batch[-1].id)
        for entry in batch:
            if entry.refusal is None and found < MOST_FINDINGS and entry.digest not in _digests(entry, asked[entry.id]):
                found += 1
                yield Finding("wrong_digest", f"entry:{entry.id}", "It is not what was asked: its digest is another.")
        progress(len(batch))


def _entry_batches(reader: sa.Connection) -> Iterator[Sequence[sa.Row[Any]]]:
    """Every entry, with the account of the hold that it changes, in the order of their ids."""
    e = journal_entries.c
    query: sa.Select[Any] = (
        sa.select(
            e.id,
            e.kind,
            e.narrative,
            e.digest,
            e.reverses,
            e.hold_id,
            e.hold_change,
            e.refusal,
            holds.c.account_id,
            ledger_accounts.c.currency,
        )
        .outerjoin_from(journal_entries, holds, holds.c.id == sa.func.coalesce(e.hold_id, e.id))
        .outerjoin(ledger_accounts, ledger_accounts.c.id == holds.c.account_id)
        .order_by(e.id)
        .limit(_BATCH)
    )
    last = 0
    while batch := reader.execute(query.where(e.id > last)).all():
        yield batch
        last = batch[-1].id


def _postings_of(reader: sa.Connection, first: int, last: int) -> defaultdict[int, list[list[Any]]]:
    """What the entries of these ids post, as their digests have it."""
    p = postings.c
    query = (
        sa.select(p.entry_id, p.account_id, p.side, p.minor_units, ledger_accounts.c.currency)
        .join_from(postings, ledger_accounts)
        .where(p.entry_id.between(first, last))
    )
    asked: defaultdict[int, list[list[Any]]] = defaultdict(list)
    for entry_id, *posting in reader.execute(query):
        asked[entry_id].append(posting)
    return asked


def _digests(entry: sa.Row[Any], asked: list[list[Any]]) -> set[str]:
    return {
        fingerprint(entry.kind, entry.narrative, asked, entry.reverses, hold)
        for hold in _hold_changes(entry, has_postings=bool(asked))
    }


def _hold_changes(entry: sa.Row[Any], *, has_postings: bool) -> list[list[Any] | None]:
    """What the entry may have asked of a hold, as `JournalEntry.hold_change` says it."""
    if entry.hold_change is None:
        return [None]
    if entry.hold_id is None:
        return [["reserve", entry.account_id, None, entry.hold_change, entry.currency]]
    if has_postings:
        return [["capture", entry.account_id, entry.hold_id, -entry.hold_change]]
    # Which of the two it was is not kept, since both give back all that is left.
    return [[operation, entry.account_id, entry.hold_id, None] for operation in ("release", "expire")]
