"""What the address names, if it is the customer's own."""

from __future__ import annotations

from bank.accounts import store as account_store
from bank.accounts.service import NoSuchAccount
from bank.accounts.store import Account
from bank.ledger.store import Entry
from bank.payments.service import NoSuchEntry
from bank.web.current import bank
from bank.web.current import customer as this_customer


def own_account(number: str) -> Account:
    """The account of this number; others' do not exist.

    Raises:
        NoSuchAccount: the customer does not hold one of this number.
    """
    with bank().reader() as reader:
        account = account_store.held_by(reader, this_customer().id, number)
    if account is None:
        raise NoSuchAccount
    return account


def own_entry(entry_id: int) -> tuple[Entry, dict[int, Account]]:
    """The entry of this id if it moved anything on the customer's accounts, and those that it moved by their ids.

    Raises:
        NoSuchEntry: there is none, or it is somebody else's.
    """
    with bank().reader() as reader:
        entry, mine = account_store.entry_of_customer(reader, entry_id, this_customer().id)
    if entry is None or not mine:
        raise NoSuchEntry
    return entry, {account.id: account for account in mine}
