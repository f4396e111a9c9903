"""Whose token it is, and the account that the address names as they may see it: one query."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from bank.accounts import store as account_store
from bank.accounts.store import Holder, account_holders, accounts
from bank.api.current import Caller, bank
from bank.api.problems import InvalidToken
from bank.customers import warnings
from bank.customers.store import Customer, customer_warnings, customers
from bank.customers.warnings import REASON_MINUTES, ReasonNeeded
from bank.identity import staff as staff_members
from bank.identity import tokens
from bank.identity.staff import Staff
from bank.identity.store import api_tokens, staff
from bank.identity.tokens import Token
from bank.ledger.tables import ledger_accounts

_PEOPLE: Final = customers.alias("people")
_CUSTOMER: Final = [customers.c[field] for field in Customer.__dataclass_fields__]
_STAFF: Final = [staff.c[field] for field in Staff.__dataclass_fields__]
_ACCOUNT: Final = list(account_store.listing(status=None).selected_columns)
_HOLDER: Final = [
    _PEOPLE.c.id, _PEOPLE.c.number, _PEOPLE.c.name, _PEOPLE.c.status, account_holders.c.role, _PEOPLE.c.birth_date,
]  # fmt: skip
_ASKS: Final = (
    sa.exists()
    .where(
        customer_warnings.c.customer_id == _PEOPLE.c.id,
        customer_warnings.c.lifted_at.is_(None),
        customer_warnings.c.needs_reason,
    )
    .label("asks_for_a_reason")
)


def look_up(kind: str, digest: str, number: str | None) -> Caller:
    """The token with its owner, and the account of this number unless it does not exist for them.

    Raises:
        InvalidToken: it does not count, or its owner may not use the bank.
        ReasonNeeded: a warning about a holder asks staff for a reason first, which is given on the holder's page.
    """
    now = bank().clock.now()
    rows = bank().first(_query(kind, digest, number, now))
    if not rows:
        raise InvalidToken
    width = len(tokens.COLUMNS)
    token, rest = Token(*rows[0][:width]), [row[width:] for row in rows]
    width = len(_CUSTOMER if kind == "customer" else _STAFF)
    person = Customer(*rest[0][:width]) if kind == "customer" else staff_members.of_row(rest[0][:width])
    if not _may_use_the_bank(person):
        raise InvalidToken
    found = [row[width:] for row in rest] if number is not None else []
    if not found or found[0][0] is None:
        return Caller(token, digest, person)
    width = len(_ACCOUNT)
    holders = tuple(Holder(*row[width:-1]) for row in found if row[width] is not None)
    if isinstance(person, Customer):
        if person.id not in {holder.customer_id for holder in holders}:
            return Caller(token, digest, person)
    elif asking := [row[width] for row in found if row[-1]]:
        with bank().reader() as reader:
            require_reason(reader, asking, person, now)
    return Caller(token, digest, person, account_store.of_row(found[0][:width]), holders)


def _query(kind: str, digest: str, number: str | None, now: datetime) -> sa.Select[Any]:
    query = tokens.live(kind, digest, at=now)
    if kind == "customer":
        query = query.add_columns(*_CUSTOMER).join(customers, customers.c.id == api_tokens.c.person_id)
    else:
        query = query.add_columns(*_STAFF).join(staff, staff.c.id == api_tokens.c.person_id)
    if number is None:
        return query
    return (
        query.add_columns(*_ACCOUNT, *_HOLDER, _ASKS)
        # Ids are above zero: the second condition only tells SQLAlchemy that the join is meant, of which it warns on MySQL.
        .outerjoin(
            ledger_accounts, sa.and_(ledger_accounts.c.number == number, ledger_accounts.c.id > -api_tokens.c.id)
        )
        .outerjoin(accounts, accounts.c.id == ledger_accounts.c.id)
        .outerjoin(account_holders, account_holders.c.account_id == accounts.c.id)
        .outerjoin(_PEOPLE, _PEOPLE.c.id == account_holders.c.customer_id)
        .order_by(account_holders.c.role.desc(), _PEOPLE.c.number)
    )


def _may_use_the_bank(person: Customer | Staff) -> bool:
    if isinstance(person, Customer):
        return person.active
    # Whoever must choose a password first may do nothing else before that.
    return person.disabled_at is None and not person.must_change_password


def require_reason(reader: sa.Connection, customer_ids: list[int], member: Staff, now: datetime) -> None:
    asking = [warning for warning in warnings.standing(reader, customer_ids) if warning.needs_reason]
    since = now - timedelta(minutes=REASON_MINUTES)
    if asking and (unexplained := warnings.unexplained(reader, asking, str(member), since=since)):
        raise ReasonNeeded(unexplained.number)
