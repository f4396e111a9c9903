"""Payments of a later day, once or monthly: asking for them, taking them back, and what is to come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from bank.accounts import store as account_store
from bank.accounts.store import Account
from bank.audit import store as audit
from bank.audit.model import Author
from bank.customers import store as customer_store
from bank.errors import Conflict, Invalid, Missing, Refused
from bank.language import gettext, long_day
from bank.ledger import store as ledger_store
from bank.ledger.errors import AccountClosed, CurrencyMismatch, KeyReused, OverPaymentLimit
from bank.ledger.tables import ledger_accounts
from bank.money import Money
from bank.payments.model import Scheduled, TransferOrder, next_month
from bank.payments.service import PayeeCannotReceive, SameAccount, is_own
from bank.payments.store import scheduled_payments
from bank.storage.dialects import dialect_of
from bank.storage.metadata import generated_id
from bank.storage.transaction import Bank

MOST_WAITING: Final = 100
_MOST_REFUSED: Final = 5


class InvalidDueDay(Invalid):
    """A scheduled payment's day that is not after today, or too far ahead."""

    code = "invalid_due_day"

    def __init__(self, first: date, last: date) -> None:
        super().__init__(
            gettext("Choose a day from %(first)s to %(last)s.", first=long_day(first), last=long_day(last))
        )


class TooManyWaiting(Refused):
    """The customer has as many scheduled payments as one can have."""

    code = "too_many_scheduled"

    def __init__(self) -> None:
        super().__init__(
            gettext("You have %(count)s payments waiting already. Cancel one of them first.", count=MOST_WAITING)
        )


class NoSuchScheduledPayment(Missing):
    """There is no such scheduled payment, or none this person may see."""

    code = "no_such_scheduled_payment"

    def __init__(self) -> None:
        super().__init__(gettext("There is no such scheduled payment."))


class NotWaiting(Conflict):
    """The scheduled payment was made, refused or cancelled before."""

    code = "not_waiting"

    def __init__(self) -> None:
        super().__init__(gettext("This payment is no longer waiting: it was made, refused or cancelled before."))


def schedule(bank: Bank, order: TransferOrder, *, due_on: date, repeats: str, payee_name: str, by: Author) -> int:
    """Remember a payment for a later day, `once` or `monthly`; answers its id. The same key answers the first one's.

    Who may use the paying account is the caller's to check, and is checked again on the day.

    Raises:
        SameAccount: both accounts are the same.
        InvalidDueDay: it is not after today, or more than a year ahead.
        PayeeCannotReceive: the account to be paid is closed.
        AccountClosed: the account to pay from is.
        OverPaymentLimit: the amount is above the limit for one payment as it is now.
        TooManyWaiting: the customer has too many already.
        KeyReused: the key came before with something else.
    """
    return bank.run(_schedule, bank, order, due_on, repeats, payee_name, by)


def _schedule(
    tx: sa.Connection, bank: Bank, order: TransferOrder, due_on: date, repeats: str, payee_name: str, by: Author
) -> int:
    customer_id = order.payer_id
    assert customer_id is not None
    # One at a time for each customer: the second half of a double click finds the first.
    customer_store.lock(tx, customer_id)
    asked = {
        "from_account_id": order.from_account_id,
        "to_account_id": order.to_account_id,
        "minor_units": order.amount.minor_units,
        "currency": order.amount.currency,
        "reference": order.reference,
        "due_on": due_on,
        "repeats": repeats,
    }
    operation = f"{customer_id}:{order.key}"
    if before := _by_operation(tx, operation):
        return _same(before, asked)
    if ledger_store.entry_by_key(tx, by.who, order.key):
        raise KeyReused
    _check_day(due_on, by.business_date)
    _check_accounts(tx, bank, order)
    if len(coming(tx, customer_id)) >= MOST_WAITING:
        raise TooManyWaiting
    row = {**asked, "operation": operation, "customer_id": customer_id, "payee_name": payee_name[:200]}
    inserted = tx.execute(scheduled_payments.insert(), {**row, "day_of_month": due_on.day, "created_at": by.at})
    scheduled_id = generated_id(inserted)
    details = {"due_on": due_on.isoformat(), "repeats": repeats, "account": order.from_account_id}
    audit.record(tx, "payment.scheduled", f"scheduled:{scheduled_id}", by=by, details=details)
    return scheduled_id


def _by_operation(tx: sa.Connection, operation: str) -> sa.Row[Any] | None:
    return tx.execute(sa.select(scheduled_payments).where(scheduled_payments.c.operation == operation)).first()


def by_operation(reader: sa.Connection, customer_id: int, key: str) -> int | None:
    """The id of the payment that the customer scheduled by `key`, if there is one."""
    found = _by_operation(reader, f"{customer_id}:{key}")
    return found and found.id


def _same(before: sa.Row[Any], asked: dict[str, Any]) -> int:
    if any(getattr(before, name) != value for name, value in asked.items()):
        raise KeyReused
    return int(before.id)


def last_day(today: date) -> date:
    """The last day that a payment can be scheduled for: a year ahead."""
    return today + timedelta(days=365)


def _check_day(due_on: date, today: date) -> None:
    if not today < due_on <= last_day(today):
        raise InvalidDueDay(today + timedelta(days=1), last_day(today))


def _check_accounts(tx: sa.Connection, bank: Bank, order: TransferOrder) -> None:
    """Refuse now what would be refused on the day in all likelihood; what may change until then is for the day."""
    if order.from_account_id == order.to_account_id:
        raise SameAccount
    paying, receiving = (_account(tx, account_id) for account_id in (order.from_account_id, order.to_account_id))
    if paying.ledger.status == "closed":
        raise AccountClosed({"account": paying.id})
    if receiving.ledger.status == "closed":
        raise PayeeCannotReceive
    currency = order.amount.currency
    if {paying.ledger.currency, receiving.ledger.currency} != {currency}:
        raise CurrencyMismatch({"account": receiving.id})
    own, default = paying.ledger.limit_per_payment, bank.settings.limit_per_payment_minor
    limit = default if own is None else own
    if order.amount.minor_units > limit and not is_own(tx, order):
        raise OverPaymentLimit({"account": paying.id, "limit": limit, "currency": currency})


def _account(tx: sa.Connection, account_id: int) -> Account:
    account = account_store.by_id(tx, account_id)
    assert account is not None, account_id
    return account


def cancel(tx: sa.Connection, customer_id: int, scheduled_id: int, *, by: Author) -> None:
    """Take a waiting payment back, and with a monthly one all that would follow it. Twice is once.

    Raises:
        NoSuchScheduledPayment: the customer has none of this id.
        NotWaiting: it was made or refused before.
    """
    row = lock(tx, scheduled_id)
    if row is None or row.customer_id != customer_id:
        raise NoSuchScheduledPayment
    if row.status == "cancelled":
        return
    if row.status != "waiting":
        raise NotWaiting
    decide(tx, scheduled_id, "cancelled", by=by)
    audit.record(tx, "payment.cancelled", f"scheduled:{scheduled_id}", by=by)


def lock(tx: sa.Connection, scheduled_id: int) -> sa.Row[Any] | None:
    """The row as it stands, locked until the transaction ends."""
    query = sa.select(scheduled_payments).where(scheduled_payments.c.id == scheduled_id)
    return tx.execute(dialect_of(tx).lock(query)).first()


def decide(
    tx: sa.Connection,
    scheduled_id: int,
    status: str,
    *,
    by: Author,
    entry_id: int | None = None,
    refusal: dict[str, Any] | None = None,
) -> None:
    """Write down what became of a payment; whoever calls holds its lock."""
    row = {"status": status, "entry_id": entry_id, "refusal": refusal, "decided_at": by.at}
    tx.execute(scheduled_payments.update().where(scheduled_payments.c.id == scheduled_id).values(row))


# Reads

_PAYING, _RECEIVING = ledger_accounts.alias("paying"), ledger_accounts.alias("receiving")
_S = scheduled_payments.c
_AMOUNT = list(Scheduled.__dataclass_fields__).index("amount")
_QUERY = sa.select(
    _S.id, _S.operation, _S.customer_id, _S.from_account_id, _PAYING.c.number, _PAYING.c.chart_code, _S.to_account_id,
    _RECEIVING.c.number, _S.payee_name, _S.minor_units, _S.reference, _S.due_on, _S.repeats, _S.day_of_month, _S.status,
    _S.entry_id, _S.refusal, _S.created_at, _S.decided_at, _S.currency,
).select_from(
    scheduled_payments.join(_PAYING, _PAYING.c.id == _S.from_account_id).join(
        _RECEIVING, _RECEIVING.c.id == _S.to_account_id
    )
)  # fmt: skip


def _read(reader: sa.Connection, query: sa.Select[Any]) -> list[Scheduled]:
    return [_scheduled(list(row)) for row in reader.execute(query)]


def _scheduled(row: list[Any]) -> Scheduled:
    *values, currency = row
    values[_AMOUNT] = Money(values[_AMOUNT], currency)
    return Scheduled(*values)


def coming(reader: sa.Connection, customer_id: int, *, until: date | None = None) -> list[Scheduled]:
    """The customer's waiting payments by their day; with `until`, each time that a monthly one is due up to that day."""
    query = _QUERY.where(_S.customer_id == customer_id, _S.status == "waiting").order_by(_S.due_on, _S.id)
    if until is None:
        return _read(reader, query)
    return _each_time(_read(reader, query.where(_S.due_on <= until)), until)


def _each_time(waiting: Iterable[Scheduled], until: date) -> list[Scheduled]:
    return sorted((time for each in waiting for time in _times(each, until)), key=lambda time: (time.due_on, time.id))


def _times(scheduled: Scheduled, until: date) -> list[Scheduled]:
    times = [scheduled]
    while scheduled.repeats == "monthly":
        following = next_month(times[-1].due_on, scheduled.day_of_month)
        if following > until:
            break
        times.append(replace(scheduled, due_on=following))
    return times


def of_customer(reader: sa.Connection, customer_id: int, scheduled_id: int) -> Scheduled:
    """The customer's scheduled payment of this id.

    Raises:
        NoSuchScheduledPayment: there is none, or it is somebody else's.
    """
    found = _read(reader, _QUERY.where(_S.id == scheduled_id, _S.customer_id == customer_id))
    if not found:
        raise NoSuchScheduledPayment
    return found[0]


def decided_before(reader: sa.Connection, customer_id: int, *, before: int | None, limit: int) -> list[Scheduled]:
    """The `limit` payments that came to an end just before that of id `before` (None: the latest), by day, newest first."""
    query = _QUERY.where(_S.customer_id == customer_id, _S.status != "waiting")
    if before is not None:
        due_on = sa.select(_S.due_on).where(_S.id == before, _S.customer_id == customer_id).scalar_subquery()
        query = query.where(sa.or_(_S.due_on < due_on, sa.and_(_S.due_on == due_on, _S.id < before)))
    return _read(reader, query.order_by(_S.due_on.desc(), _S.id.desc()).limit(limit))


def coming_and_refused(
    reader: sa.Connection, customer_id: int, *, until: date, since: datetime
) -> tuple[list[Scheduled], list[Scheduled]]:
    """What `coming` answers, and the customer's last payments that were not made on their day since then, newest first."""
    waiting = sa.and_(_S.status == "waiting", _S.due_on <= until)
    refused = sa.and_(_S.status == "refused", _S.decided_at >= since)
    found = _read(reader, _QUERY.where(_S.customer_id == customer_id, sa.or_(waiting, refused)))
    lately = [(each.decided_at, each.id, each) for each in found if each.decided_at]
    return (
        _each_time((each for each in found if not each.decided_at), until),
        [each for *_, each in sorted(lately, reverse=True)[:_MOST_REFUSED]],
    )
