"""Take a file of payments, and keep it until somebody confirms it."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from bank.audit import store as audit
from bank.audit.model import Author
from bank.customers.model import tidy
from bank.language import gettext as _
from bank.money import Money
from bank.payment_files import parties, store
from bank.payment_files.errors import NoSuchPaymentFile, PaymentFileUnusable
from bank.payment_files.model import Bounds, Line, Problem, Reading
from bank.payment_files.reading import read
from bank.payment_files.store import PaymentFile, payment_file_lines, payment_files
from bank.settings import Settings
from bank.spreadsheets import as_csv
from bank.storage.metadata import generated_id
from bank.storage.transaction import Bank

#: Who the ledger is asked by for what staff and operations bring: one space of keys, so that a file is paid once by
#: whichever of them. Who uploaded and who confirmed stands in the file's row and in the audit trail.
BRANCH: Final = "import:payments"

KEPT_FOR: Final = timedelta(days=7)

_RESULTS: Final = {"paid": "paid", "again": "already paid", "refused": "refused", None: "waiting"}


def take(
    bank: Bank, content: bytes, name: str, bounds: Bounds, *, by: Author, customer_id: int | None = None
) -> PaymentFile:
    """Read and check the whole file, and keep it until it is confirmed; the same file again is the one that was kept.

    With `customer_id` it is that customer's, who may pay from their own accounts alone; else the branch's.

    Raises:
        PaymentFileUnusable: something is wrong with it; its `problems` say all that is.
    """
    reading = read(content, bounds, currency=bank.settings.currency, today=by.business_date)
    _refuse_problems(reading)
    owner, identity = owner_of(customer_id), reading.identity(content)
    digest = hashlib.sha256(content).hexdigest()
    with bank.reader() as reader:
        before = store.by_identity(reader, owner, identity)
    if before and before.confirmed_at:
        return _same(before, digest, reading)
    found = bank.run(_find_parties, bank.settings, reading, customer_id, by)
    # Only now: the look-ups that it cost are counted.
    _refuse_problems(reading)
    row = {
        "owner": owner,
        "identity": identity,
        "content_digest": digest,
        "name": tidy(name)[:100],
        "read_as": _read_as(reading),
        "payments": len(reading.lines),
        "decided": 0,
        "uploaded_by": by.who,
        "uploaded_at": by.at,
    }
    return bank.run(_keep, row, reading, found, by)


def owner_of(customer_id: int | None) -> str:
    """Whose files these are: the customer's, or with None the branch's."""
    return BRANCH if customer_id is None else f"customer:{customer_id}"


def try_out(bank: Bank, content: bytes, bounds: Bounds, *, by: Author) -> Reading:
    """Read and check a file that the branch would bring, and keep nothing of it.

    Raises:
        PaymentFileUnusable: something is wrong with it.
    """
    reading = read(content, bounds, currency=bank.settings.currency, today=by.business_date)
    _refuse_problems(reading)
    with bank.reader() as reader:
        _find_parties(reader, bank.settings, reading, None, by)
    _refuse_problems(reading)
    return reading


def _find_parties(
    tx: sa.Connection, settings: Settings, reading: Reading, customer_id: int | None, by: Author
) -> parties.Parties:
    # The transaction may be run again.
    reading.problems.clear()
    if customer_id is None:
        return parties.of_anybody(tx, reading)
    return parties.of_customer(tx, settings, reading, customer_id, by)


def _refuse_problems(reading: Reading) -> None:
    if reading.problems:
        raise PaymentFileUnusable(sorted(reading.problems, key=lambda problem: problem.line or 0))


def _read_as(reading: Reading) -> dict[str, str]:
    said = {"encoding": reading.encoding, "separator": reading.separator, "message_id": reading.message_id}
    return {"format": reading.format, **{what: value for what, value in said.items() if value}}


def _keep(tx: sa.Connection, row: dict[str, Any], reading: Reading, found: parties.Parties, by: Author) -> PaymentFile:
    store.forget_unconfirmed(tx, before=by.at - KEPT_FOR)
    if before := store.by_identity(tx, row["owner"], row["identity"]):
        locked = store.lock(tx, row["owner"], before.id)
        if locked and (locked.confirmed_at or locked.content_digest == row["content_digest"]):
            return _same(locked, row["content_digest"], reading)
        store.forget(tx, before.id)
    file_id = generated_id(tx.execute(payment_files.insert(), row))
    lines = [_line_row(file_id, position, line, found) for position, line in enumerate(reading.lines, start=1)]
    tx.execute(payment_file_lines.insert(), lines)
    audit.record(tx, "payment_file.uploaded", f"payment_file:{file_id}", by=by, details=_told(row, reading))
    return existing(store.by_id(tx, row["owner"], file_id))


def _same(before: PaymentFile, digest: str, reading: Reading) -> PaymentFile:
    """The file that came before, if this one is not just another with its message id."""
    if before.content_digest == digest:
        return before
    told = _(
        "Its message id, %(id)s, is that of another file, which came before. Give each file one of its own.",
        id=reading.message_id,
    )
    raise PaymentFileUnusable([Problem(None, "", told)])


def _line_row(file_id: int, position: int, line: Line, found: parties.Parties) -> dict[str, Any]:
    return {
        "file_id": file_id,
        "position": position,
        "line": line.line,
        "from_account_id": found.accounts[line.payer].id,
        "to_account_id": found.accounts[line.payee].id,
        "minor_units": line.amount.minor_units,
        "currency": line.amount.currency,
        "payee_name": line.payee_name,
        "name_check": found.name_checks.get((line.payee, line.payee_name)),
        "reference": line.reference,
        "own_key": line.key,
    }


def _told(row: dict[str, Any], reading: Reading) -> dict[str, Any]:
    sums: Counter[str] = Counter()
    for line in reading.lines:
        sums[line.amount.currency] += line.amount.minor_units
    told = {"name": row["name"], "sha256": row["content_digest"], "payments": row["payments"]}
    return told | {"sums": ", ".join(str(Money(sums[currency], currency)) for currency in sorted(sums))}


def find(reader: sa.Connection, owner: str, file_id: int, *, by: Author) -> PaymentFile:
    """The owner's file.

    Raises:
        NoSuchPaymentFile: there is none, or it was not confirmed within a week.
    """
    file = existing(store.by_id(reader, owner, file_id))
    if file.confirmed_at is None and file.uploaded_at < by.at - KEPT_FOR:
        raise NoSuchPaymentFile
    return file


def existing(file: PaymentFile | None) -> PaymentFile:
    """The file that was found.

    Raises:
        NoSuchPaymentFile: none was.
    """
    if file is None:
        raise NoSuchPaymentFile
    return file


def result_file(reader: sa.Connection, file: PaymentFile) -> bytes:
    """What became of each payment, as CSV; the words in the columns `result` and in the heading are the same in every language."""
    heading = (
        "line", "payer account", "payee account", "payee name", "amount", "currency", "reference", "key", "result",
        "entry", "why",
    )  # fmt: skip
    rows = (
        (
            line.line, line.from_number, line.to_number, line.payee_name, line.amount, line.amount.currency,
            line.reference, line.own_key, _RESULTS[line.result], line.entry_id, line.why,
        )
        for line in store.lines_after(reader, file.id, 0, limit=file.payments)
    )  # fmt: skip
    return as_csv((heading, *rows))
