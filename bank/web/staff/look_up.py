"""What the address names, or a page that says there is no such thing."""

from __future__ import annotations

from bank.accounts import store as account_store
from bank.accounts.service import NoSuchAccount
from bank.accounts.store import Account
from bank.customers import store as customer_store
from bank.customers.service import NoSuchCustomer
from bank.customers.store import Customer
from bank.identity import staff as staff_members
from bank.identity.staff import NoSuchStaff, Staff
from bank.web.current import bank


def customer_of(number: str) -> Customer:
    """The customer of this number.

    Raises:
        NoSuchCustomer: there is none.
    """
    with bank().reader() as reader:
        customer = customer_store.by_number(reader, number)
    if customer is None:
        raise NoSuchCustomer
    return customer


def account_of(number: str) -> Account:
    """The customers' account of this number.

    Raises:
        NoSuchAccount: there is none.
    """
    with bank().reader() as reader:
        account = account_store.by_number(reader, number)
    if account is None:
        raise NoSuchAccount
    return account


def staff_of(user_id: str) -> Staff:
    """The member of staff with this user id.

    Raises:
        NoSuchStaff: there is none.
    """
    with bank().reader() as reader:
        person = staff_members.by_user_id(reader, user_id)
    if person is None:
        raise NoSuchStaff
    return person
