"""Files of payments and their payments: the tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bank.ledger.tables import ledger_accounts
from bank.money import Money
from bank.payments.model import why_refused
from bank.storage.dialects import dialect_of
from bank.storage.metadata import MYSQL_OPTIONS, ExactText, Id, Instant, JsonText, metadata

# A file that was taken. Unconfirmed ones are forgotten after a week, the others stay, with what became of each payment.
payment_files = sa.Table(
    "payment_files",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=True),
    # Who the ledger is asked by: the customer, or the bank for all that staff and operations bring.
    sa.Column("owner", sa.String(100), nullable=False),
    # The same file, or message id, of one owner is one row.
    sa.Column("identity", sa.String(64), nullable=False),
    sa.Column("content_digest", sa.String(64), nullable=False),
    sa.Column("name", sa.String(100), nullable=False),
    # Its format, and how it was taken to be written.
    sa.Column("read_as", JsonText, nullable=False),
    sa.Column("payments", sa.Integer, nullable=False),
    # So many of its payments, from the first one on, are decided.
    sa.Column("decided", sa.Integer, nullable=False),
    sa.Column("uploaded_by", sa.String(100), nullable=False),
    sa.Column("uploaded_at", Instant, nullable=False),
    sa.Column("confirmed_by", sa.String(100)),
    sa.Column("confirmed_at", Instant),
    sa.Column("finished_at", Instant),
    sa.UniqueConstraint("owner", "identity"),
    sa.Index("ix_payment_files_owner", "owner", "id"),
    # A page that shows a file which is gone must not come to confirm the next one under its id.
    sqlite_autoincrement=True,
    **MYSQL_OPTIONS,
)

payment_file_lines = sa.Table(
    "payment_file_lines",
    metadata,
    sa.Column("file_id", Id, sa.ForeignKey("payment_files.id"), primary_key=True, autoincrement=False),
    # The first payment is 1; `line` is where it stands in the file.
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("from_account_id", Id, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("to_account_id", Id, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("minor_units", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("payee_name", sa.String(140), nullable=False),
    # How the name compared with the account's owners; None when it was not compared.
    sa.Column("name_check", sa.String(10)),
    sa.Column("reference", sa.String(140), nullable=False),
    sa.Column("own_key", ExactText(140), nullable=False),
    # None until it is decided.
    sa.Column("result", sa.String(10)),
    sa.Column("entry_id", Id),
    # Why it was refused: a code and its facts, which are told in the reader's language.
    sa.Column("refusal", JsonText),
    sa.CheckConstraint("minor_units > 0", name="minor_units"),
    sa.CheckConstraint("result IN ('paid', 'again', 'refused')", name="result"),
    **MYSQL_OPTIONS,
)


@dataclass(frozen=True, slots=True)
class PaymentFile:
    """A file that was taken, and how far it is."""

    id: int
    owner: str
    identity: str
    content_digest: str
    name: str
    read_as: dict[str, str]
    payments: int
    decided: int
    uploaded_by: str
    uploaded_at: datetime
    confirmed_by: str | None
    confirmed_at: datetime | None
    finished_at: datetime | None

    @property
    def state(self) -> str:
        """`waiting` for somebody to confirm it, `paying`, or `done`."""
        if self.confirmed_at is None:
            return "waiting"
        return "done" if self.finished_at else "paying"

    def __str__(self) -> str:
        """How an audit record names the file."""
        return f"payment_file:{self.id}"


@dataclass(frozen=True, slots=True)
class KeptLine:
    """One payment of a file, and what became of it; `result` None: nothing yet."""

    position: int
    line: int
    from_account_id: int
    from_number: str
    to_account_id: int
    to_number: str
    amount: Money
    payee_name: str
    name_check: str | None
    reference: str
    own_key: str
    result: str | None
    entry_id: int | None
    refusal: dict[str, Any] | None

    @property
    def why(self) -> str:
        """Why it was not paid, in the reader's language; empty unless it was refused."""
        return why_refused(self.refusal)


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one payment: its result, the entry that says so, and why it was refused."""

    result: str
    entry_id: int | None
    refusal: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class PayerTotal:
    """What a file takes from one account, and what is available on it now."""

    number: str
    count: int
    total: Money
    available: Money

    @property
    def left(self) -> Money:
        """What would be available afterwards."""
        return self.available - self.total


_FILE = sa.select(*(payment_files.c[field] for field in PaymentFile.__dataclass_fields__))


def by_id(reader: sa.Connection, owner: str, file_id: int) -> PaymentFile | None:
    """The owner's file of this id."""
    return _first(reader, _FILE.where(payment_files.c.id == file_id, payment_files.c.owner == owner))


def by_identity(reader: sa.Connection, owner: str, identity: str) -> PaymentFile | None:
    """The owner's file that is the same one."""
    return _first(reader, _FILE.where(payment_files.c.identity == identity, payment_files.c.owner == owner))


def _first(reader: sa.Connection, query: sa.Select[Any]) -> PaymentFile | None:
    row = reader.execute(query).first()
    return PaymentFile(*row) if row else None


def newest_before(reader: sa.Connection, owner: str, *, before: int | None, limit: int) -> list[PaymentFile]:
    """The owner's `limit` files just before id `before` (None: the newest), newest first."""
    query = _FILE.where(payment_files.c.owner == owner).order_by(payment_files.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(payment_files.c.id < before)
    return [PaymentFile(*row) for row in reader.execute(query)]


def lines_after(reader: sa.Connection, file_id: int, position: int, *, limit: int) -> list[KeptLine]:
    """The `limit` payments of the file that come after the one at `position`, in its order."""
    c = payment_file_lines.c
    return list(_lines(reader, (c.file_id == file_id, c.position > position), limit))


def refused_lines(reader: sa.Connection, file_id: int, *, limit: int) -> list[KeptLine]:
    """The first `limit` payments of the file that were refused."""
    c = payment_file_lines.c
    return list(_lines(reader, (c.file_id == file_id, c.result == "refused"), limit))


def doubtful_lines(reader: sa.Connection, file_id: int, *, limit: int) -> list[KeptLine]:
    """The first `limit` payments of the file to an account whose owner is called otherwise."""
    c = payment_file_lines.c
    return list(_lines(reader, (c.file_id == file_id, c.name_check.in_(("close", "none")), c.payee_name != ""), limit))


def _lines(reader: sa.Connection, chosen: tuple[sa.ColumnElement[bool], ...], limit: int) -> Iterator[KeptLine]:
    c, paying, receiving = payment_file_lines.c, ledger_accounts.alias("paying"), ledger_accounts.alias("receiving")
    query: sa.Select[Any] = (
        sa.select(
            c.position,
            c.line,
            c.from_account_id,
            paying.c.number.label("from_number"),
            c.to_account_id,
            receiving.c.number.label("to_number"),
            c.minor_units,
            c.currency,
            *(
                c[name]
                for name in ("payee_name", "name_check", "reference", "own_key", "result", "entry_id", "refusal")
            ),
        )
        .select_from(payment_file_lines)
        .join(paying, paying.c.id == c.from_account_id)
        .join(receiving, receiving.c.id == c.to_account_id)
        .where(*chosen)
        .order_by(c.position)
        .limit(limit)
    )
    for row in reader.execute(query):
        values: list[Any] = [*row[:6], Money(row.minor_units, row.currency), *row[8:]]
        yield KeptLine(*values)


def totals(reader: sa.Connection, file_id: int) -> list[PayerTotal]:
    """What the file takes from each paying account, by number."""
    c, paying = payment_file_lines.c, ledger_accounts.c
    available = (paying.balance, paying.held, paying.floor)
    query = (
        sa.select(paying.number, c.currency, sa.func.count(), sa.func.sum(c.minor_units), *available)
        .join_from(payment_file_lines, ledger_accounts, paying.id == c.from_account_id)
        .where(c.file_id == file_id)
        .group_by(paying.number, c.currency, *available)
        .order_by(paying.number)
    )
    return [
        PayerTotal(number, count, Money(int(total), currency), Money(balance - held - (floor or 0), currency))
        for number, currency, count, total, balance, held, floor in reader.execute(query)
    ]


def results(reader: sa.Connection, file_id: int) -> dict[str | None, tuple[int, list[Money]]]:
    """How many payments came to each result, and their sum in each currency."""
    c = payment_file_lines.c
    query = sa.select(c.result, c.currency, sa.func.count(), sa.func.sum(c.minor_units)).where(c.file_id == file_id)
    found: dict[str | None, tuple[int, list[Money]]] = {}
    for result, currency, count, total in reader.execute(query.group_by(c.result, c.currency).order_by(c.currency)):
        counted, sums = found.get(result, (0, []))
        found[result] = (counted + count, [*sums, Money(int(total), currency)])
    return found


def decide(tx: sa.Connection, file_id: int, decisions: dict[int, Decision]) -> None:
    """Write down what became of the payments at these positions, in one statement."""
    c = payment_file_lines.c
    values = {field: _by_position(c[field], decisions) for field in Decision.__dataclass_fields__}
    mine = (c.file_id == file_id, c.position.in_(list(decisions)))
    tx.execute(payment_file_lines.update().where(*mine).values(values))


def _by_position(column: sa.Column[Any], decisions: dict[int, Decision]) -> sa.ColumnElement[Any]:
    """The column's new value in each of the rows. None is left to the database, which would ask what type it is of."""
    values = {position: getattr(decision, column.name) for position, decision in decisions.items()}
    known = {position: sa.literal(value, column.type) for position, value in values.items() if value is not None}
    return sa.case(known, value=payment_file_lines.c.position) if known else sa.null()


def forget_unconfirmed(tx: sa.Connection, *, before: datetime) -> None:
    """Delete what nobody has confirmed since then."""
    old = sa.select(payment_files.c.id).where(
        payment_files.c.confirmed_at.is_(None), payment_files.c.uploaded_at < before
    )
    for file_id in list(tx.execute(old).scalars()):
        forget(tx, file_id)


def forget(tx: sa.Connection, file_id: int) -> None:
    """Delete a file and its payments."""
    tx.execute(payment_file_lines.delete().where(payment_file_lines.c.file_id == file_id))
    tx.execute(payment_files.delete().where(payment_files.c.id == file_id))


def lock(tx: sa.Connection, owner: str, file_id: int) -> PaymentFile | None:
    """The owner's file, locked until the transaction ends."""
    return _first(tx, dialect_of(tx).lock(_FILE.where(payment_files.c.id == file_id, payment_files.c.owner == owner)))
