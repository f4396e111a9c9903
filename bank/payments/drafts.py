"""Payments that a customer is preparing: kept under the operation id by which each will be sent."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from bank.errors import Missing
from bank.language import gettext as _
from bank.payments.store import payment_drafts

_KEPT_FOR: Final = timedelta(days=7)


class NoSuchDraft(Missing):
    """There is no such prepared payment, or none of this customer's."""

    code = "no_such_draft"

    def __init__(self) -> None:
        super().__init__(_("There is no such payment being prepared. Start a new one."))


@dataclass(frozen=True, slots=True)
class Draft:
    """What is known so far of a payment; `minor_units` None: not asked yet. `due_on` None: at once."""

    operation: str
    customer_id: int
    from_account_id: int
    to_account_id: int
    payee_name: str
    name_check: str
    minor_units: int | None = None
    reference: str = ""
    due_on: date | None = None
    repeats: str = "once"


def keep(tx: sa.Connection, draft: Draft, *, at: datetime) -> None:
    """Write the draft down in place of what its operation held, and forget this customer's old ones.

    Raises:
        NoSuchDraft: the operation is somebody else's.
    """
    c = payment_drafts.c
    tx.execute(payment_drafts.delete().where(c.customer_id == draft.customer_id, c.created_at < at - _KEPT_FOR))
    before = tx.execute(sa.select(c.customer_id).where(c.operation == draft.operation)).scalar()
    if before is None:
        tx.execute(payment_drafts.insert(), {**asdict(draft), "created_at": at})
    elif before == draft.customer_id:
        tx.execute(payment_drafts.update().where(c.operation == draft.operation).values(asdict(draft)))
    else:
        raise NoSuchDraft


def find(reader: sa.Connection, customer_id: int, operation: str) -> Draft | None:
    """The customer's draft of this operation, if there is one."""
    columns = [payment_drafts.c[field] for field in Draft.__dataclass_fields__]
    mine = payment_drafts.c.customer_id == customer_id
    row = reader.execute(sa.select(*columns).where(payment_drafts.c.operation == operation, mine)).first()
    return Draft(*row) if row else None
