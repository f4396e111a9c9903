"""Opening, sharing, freezing and closing accounts."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa

from bank.accounts import store
from bank.accounts.model import PRODUCTS
from bank.accounts.store import Account, account_holders, accounts
from bank.audit import store as audit
from bank.audit.model import Author
from bank.customers import service as customers
from bank.customers import store as customer_store
from bank.customers.store import Customer
from bank.errors import Conflict, Missing, Refused
from bank.identity import logins, sessions, tokens
from bank.language import gettext as _
from bank.ledger import service as ledger
from bank.ledger import store as ledger_store
from bank.storage.series import next_number


class NoSuchAccount(Missing):
    """There is no such account, or none this person may see."""

    code = "no_such_account"

    def __init__(self) -> None:
        super().__init__(_("There is no account of this number."))


class LastOwner(Refused):
    """An account keeps at least one owner."""

    code = "last_owner"

    def __init__(self) -> None:
        super().__init__(_("An account keeps at least one active owner. Add another owner first."))


class AlreadyHolder(Conflict):
    """The customer already holds this account."""

    code = "already_holder"

    def __init__(self) -> None:
        super().__init__(_("The customer already holds this account."))


class WrongStatus(Conflict):
    """The account is not in the state this needs."""

    code = "wrong_status"


def open_account(
    tx: sa.Connection, customer: Customer, product: str, currency: str, *, by: Author, operation: str | None = None
) -> Account:
    """Open an account of `product` (current, savings) for the customer, with nothing on it and no overdraft.

    The same `operation` (a form's own id) answers the account that it opened the first time.

    Raises:
        CustomerInactive: the customer is deactivated.
    """
    locked = customer_store.lock(tx, customer.id)
    if locked is None or not locked.active:
        raise customers.CustomerInactive
    if operation and (before := _opened_by(tx, customer.id, product, operation)):
        return before
    number = next_number(tx, "accounts")
    return bring_in(
        tx, customer, product, currency, number=number, floor=0, by=by, action="account.opened", operation=operation
    )


def _opened_by(tx: sa.Connection, customer_id: int, product: str, operation: str) -> Account | None:
    """The customer's account that this operation opened; whoever calls holds the customer's lock."""
    return next(
        (
            account
            for account in store.of_customer(tx, customer_id)
            if account.product == product
            and any(
                details.get("operation") == operation for details in audit.details(tx, "account.opened", str(account))
            )
        ),
        None,
    )


def bring_in(
    tx: sa.Connection,
    customer: Customer,
    product: str,
    currency: str,
    *,
    number: str,
    floor: int,
    by: Author,
    action: str,
    opened: tuple[datetime, date] | None = None,
    operation: str | None = None,
) -> Account:
    """Open an account under a given number and floor (minor units), as an import does.

    `opened` is the instant and business day of its opening (default: now).
    """
    opened_at, opened_on = opened or (by.at, by.business_date)
    account_id = ledger.open_account(
        tx,
        number=number,
        name=PRODUCTS[product],
        chart_code=product,
        currency=currency,
        floor=floor,
        opened_at=opened_at,
    )
    tx.execute(accounts.insert(), {"id": account_id, "product": product, "opened_on": opened_on})
    _hold(tx, account_id, customer, "owner", by=by)
    audit.record(
        tx,
        action,
        f"account:{account_id}",
        by=by,
        details={"number": number, "product": product, "owner": customer.number}
        | ({"operation": operation} if operation else {}),
    )
    account = store.by_id(tx, account_id)
    assert account is not None
    return account


def add_holder(tx: sa.Connection, account: Account, customer: Customer, role: str, *, by: Author) -> None:
    """Let another customer use the account, as `owner` or `authorised`.

    Raises:
        AlreadyHolder: this customer already does.
        CustomerInactive: the customer is deactivated.
    """
    if not customer.active:
        raise customers.CustomerInactive
    # A double click waits here for its first half.
    ledger_store.lock(tx, account.id)
    if any(holder.customer_id == customer.id for holder in store.holders(tx, account.id)):
        raise AlreadyHolder
    _hold(tx, account.id, customer, role, by=by)
    audit.record(tx, "account.holder_added", str(account), by=by, details={"customer": customer.number, "role": role})


def remove_holder(tx: sa.Connection, account: Account, customer_id: int, *, by: Author, reason: str) -> None:
    """Stop a customer from using the account.

    Raises:
        LastOwner: nobody active would own the account.
        NoSuchCustomer: this customer holds no part of it.
    """
    ledger_store.lock(tx, account.id)
    holders = store.holders(tx, account.id)
    leaving = next((holder for holder in holders if holder.customer_id == customer_id), None)
    if leaving is None:
        raise customers.NoSuchCustomer
    others = [holder for holder in holders if holder.role == "owner" and holder is not leaving]
    if leaving.role == "owner" and not any(other.status == "active" for other in others):
        raise LastOwner
    mine = (account_holders.c.account_id == account.id) & (account_holders.c.customer_id == customer_id)
    tx.execute(account_holders.delete().where(mine))
    details = {"customer": leaving.number, "role": leaving.role}
    audit.record(tx, "account.holder_removed", str(account), by=by, reason=reason, details=details)


def freeze(tx: sa.Connection, account: Account, status: str, *, by: Author, reason: str) -> None:
    """Stop what leaves the account (`debits_frozen`), or both ways (`frozen`), or neither (`open`).

    Raises:
        WrongStatus: the account is closed.
        CustomerInactive: it is to be opened while every owner is deactivated.
    """
    if ledger_store.lock(tx, account.id).status == "closed":
        raise WrongStatus(_("The account is closed. Reopen it first."))
    if status == "open":
        _need_an_active_owner(tx, account.id)
    ledger.set_status(tx, account.id, status, by=by, reason=reason)
    _mark_frozen(tx, account.id, None if status == "open" else "staff")


def close(tx: sa.Connection, account: Account, *, by: Author, reason: str) -> None:
    """Close an account that has nothing on it.

    Raises:
        NotEmpty: money is on it, or held.
        WrongStatus: it is closed already.
    """
    if ledger_store.lock(tx, account.id).status == "closed":
        raise WrongStatus(_("The account is already closed."))
    ledger.set_status(tx, account.id, "closed", by=by, reason=reason)
    tx.execute(accounts.update().where(accounts.c.id == account.id).values(closed_on=by.business_date, frozen_for=None))


def reopen(tx: sa.Connection, account: Account, *, by: Author, reason: str) -> None:
    """Open a closed account again.

    Raises:
        WrongStatus: it is not closed.
        CustomerInactive: every owner is deactivated.
    """
    if ledger_store.lock(tx, account.id).status != "closed":
        raise WrongStatus(_("The account is not closed."))
    _need_an_active_owner(tx, account.id)
    ledger.set_status(tx, account.id, "open", by=by, reason=reason)
    tx.execute(accounts.update().where(accounts.c.id == account.id).values(closed_on=None))


def deactivate_customer(tx: sa.Connection, customer_id: int, *, by: Author, reason: str) -> None:
    """Deactivate a customer, and freeze both ways the open accounts that are left without an active owner.

    The customer's sessions and tokens end, and so do one-time codes that were not used.
    """
    customers.set_active(tx, customer_id, False, by=by, reason=reason)
    sessions.revoke_all(tx, "customer", customer_id, at=by.at)
    tokens.revoke_all(tx, "customer", customer_id, at=by.at)
    logins.end_codes(tx, customer_id, at=by.at)
    for account in _locked_accounts(tx, customer_id):
        if account.ledger.status in ("open", "debits_frozen") and not _has_active_owner(tx, account.id):
            ledger.set_status(tx, account.id, "frozen", by=by, reason=reason)
            # What staff froze before stays theirs to open.
            if account.ledger.status == "open":
                _mark_frozen(tx, account.id, "customer")


def activate_customer(tx: sa.Connection, customer_id: int, *, by: Author, reason: str) -> None:
    """Activate a customer again, and open the accounts that were frozen only for the deactivation."""
    customers.set_active(tx, customer_id, True, by=by, reason=reason)
    for account in _locked_accounts(tx, customer_id):
        if account.frozen_for == "customer" and account.ledger.status == "frozen" and _has_active_owner(tx, account.id):
            ledger.set_status(tx, account.id, "open", by=by, reason=reason)
            _mark_frozen(tx, account.id, None)


def _locked_accounts(tx: sa.Connection, customer_id: int) -> list[Account]:
    """The customer's accounts as they stand once nobody else can change them; locked in the door's own order."""
    ids = sorted(account.id for account in store.of_customer(tx, customer_id))
    return [locked(tx, account_id) for account_id in ids]


def locked(tx: sa.Connection, account_id: int) -> Account:
    """The account, locked until the transaction ends, and read after the lock was had."""
    ledger_store.lock(tx, account_id)
    account = store.by_id(tx, account_id)
    assert account is not None, account_id
    return account


def _hold(tx: sa.Connection, account_id: int, customer: Customer, role: str, *, by: Author) -> None:
    tx.execute(
        account_holders.insert(), {"account_id": account_id, "customer_id": customer.id, "role": role, "since": by.at}
    )


def _mark_frozen(tx: sa.Connection, account_id: int, frozen_for: str | None) -> None:
    tx.execute(accounts.update().where(accounts.c.id == account_id).values(frozen_for=frozen_for))


def _has_active_owner(tx: sa.Connection, account_id: int) -> bool:
    return any(holder.role == "owner" and holder.status == "active" for holder in store.holders(tx, account_id))


def _need_an_active_owner(tx: sa.Connection, account_id: int) -> None:
    if not _has_active_owner(tx, account_id):
        raise customers.CustomerInactive
