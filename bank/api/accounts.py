"""Accounts, their balances now and as of an instant, and their postings."""

from __future__ import annotations

import base64
import re
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from flask import request, url_for
from pydantic import Field, StringConstraints

from bank.accounts import store as account_store
from bank.accounts.service import NoSuchAccount
from bank.accounts.store import Account as StoredAccount
from bank.api import api, current
from bank.api.current import bank
from bank.api.guard import needs
from bank.api.operations import operation
from bank.api.problems import InvalidRequest
from bank.api.schemas import AccountNumber, Currency, Day, Instant, Model, Money, Whole
from bank.errors import Invalid
from bank.language import gettext as _
from bank.ledger import history
from bank.ledger.history import Wanted
from bank.ledger.model import Side
from bank.ledger.store import PostingRow
from bank.money import MAX_MINOR_UNITS
from bank.payments.model import told

_CURSOR: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


class InvalidCursor(Invalid):
    """The cursor is none that a page of this list has answered."""

    code = "invalid_cursor"

    def __init__(self) -> None:
        super().__init__(_("This is no cursor. Take “next” as the page before answered it, or start without one."))


class Account(Model):
    """An account, as it stands."""

    number: AccountNumber
    product: Literal["current", "savings"]
    status: Literal["open", "debits_frozen", "frozen", "closed"]
    currency: Currency
    opened_on: Day
    closed_on: Day | None
    booked: Money = Field(description="All that is booked.")
    held: Money = Field(description="Reserved by holds.")
    available: Money = Field(description="What may be spent: booked, less what is held, down to the overdraft.")

    @classmethod
    def of(cls, account: StoredAccount) -> Account:
        """An account of the bank's."""
        ledger = account.ledger
        return cls.model_validate(
            {
                "number": account.number,
                "product": account.product,
                "status": ledger.status,
                "currency": ledger.currency,
                "opened_on": account.opened_on,
                "closed_on": account.closed_on,
                "booked": Money.of(ledger.balance_money),
                "held": Money.of(ledger.held_money),
                "available": Money.of(ledger.available),
            }
        )


class Accounts(Model):
    """All accounts that the token's owner may use: open ones first, by number."""

    accounts: list[Account]


class BalanceQuery(Model):
    """As of when."""

    at: Instant | None = Field(None, description="An instant that has passed; left out: now.")


class Balance(Model):
    """What is on an account. What is held is known only as it stands now."""

    account: AccountNumber
    at: Instant
    booked: Money = Field(description="All that was booked until then.")
    held: Money | None
    available: Money | None


class PostingsQuery(Model):
    """Which postings, and from where on."""

    after: Annotated[str, StringConstraints(max_length=40)] | None = Field(
        None, description="The page before's `next`."
    )
    limit: Whole = Field(50, ge=1, le=200, description="The most for this page.")
    first: Day | None = Field(None, alias="from", description="Booked on this day or later.")
    last: Day | None = Field(None, alias="to", description="Booked on this day or earlier.")
    side: Literal["credit", "debit"] | None = Field(None, description="`credit`: what came in; `debit`: what went out.")
    least: Whole | None = Field(
        None, alias="min", ge=0, le=MAX_MINOR_UNITS, description="Of so many minor units or more."
    )
    most: Whole | None = Field(
        None, alias="max", ge=0, le=MAX_MINOR_UNITS, description="Of so many minor units or fewer."
    )

    def wanted(self) -> Wanted:
        """As the ledger takes it."""
        return Wanted(self.first, self.last, Side(self.side) if self.side else None, self.least, self.most)


class Posting(Model):
    """One movement of an account; it never changes. A mistake is made good by a later one."""

    number: int = Field(description="Counts the account's postings from 1, without gaps.")
    entry: str = Field(description="The journal entry: both sides of a payment have the same.", examples=["48213"])
    side: Literal["credit", "debit"] = Field(description="`credit`: it came in; `debit`: it went out.")
    amount: Money = Field(description="Above zero.")
    balance: Money = Field(description="What was booked on the account after it.")
    kind: str = Field(examples=["transfer"])
    description: str = Field(description="What was written about it, or else its kind in words.")
    booking_date: Day
    value_date: Day
    booked_at: Instant

    @classmethod
    def of(cls, row: PostingRow) -> Posting:
        """A posting of the ledger's."""
        return cls.model_validate(
            {
                "number": row.seq,
                "entry": str(row.entry_id),
                "side": row.side.value,
                "amount": Money.of(row.amount),
                "balance": Money.of(row.balance_after),
                "kind": row.kind,
                "description": told(row.narrative, row.kind, received=row.side is Side.CREDIT),
                "booking_date": row.booking_date,
                "value_date": row.value_date,
                "booked_at": row.booked_at,
            }
        )


class Postings(Model):
    """A page of postings, newest first; `next` leads on. A page may be short, or empty, and not be the last one."""

    postings: list[Posting]
    next: str | None = Field(description="The cursor of the next page; null: this is the last one.")


@api.get("/accounts")
@needs("accounts:read")
@operation("Accounts", answer=Accounts)
def list_accounts() -> Accounts:
    """The accounts that the token's owner may use."""
    with bank().reader() as reader:
        mine = account_store.of_customer(reader, current.customer().id)
    return Accounts(accounts=[Account.of(each) for each in mine])


@api.get("/accounts/<number>")
@needs("accounts:read", "branch:read")
@operation("Accounts", answer=Account, refuses=(NoSuchAccount,))
def show_account(number: str) -> Account:
    """One account."""
    return Account.of(current.account_of(number))


@api.get("/accounts/<number>/balance")
@needs("accounts:read", "branch:read")
@operation("Accounts", query=BalanceQuery, answer=Balance, refuses=(NoSuchAccount,))
def show_balance(number: str, query: BalanceQuery) -> Balance:
    """The balance, now or as of an instant.

    With `at`, what was booked until that instant counts, whatever its value date.
    """
    account, now = current.account_of(number), bank().clock.now()
    ledger = account.ledger
    if query.at is None:
        known = Money.of(ledger.held_money), Money.of(ledger.available)
        return Balance(account=number, at=now, booked=Money.of(ledger.balance_money), held=known[0], available=known[1])
    if query.at > now:
        raise InvalidRequest([{"parameter": "at", "detail": "must not lie in the future"}])
    with bank().reader() as reader:
        booked = history.balance_at(reader, account.id, query.at)
    return Balance(account=number, at=query.at, booked=Money.of(booked), held=None, available=None)


@api.get("/accounts/<number>/postings")
@needs("accounts:read", "branch:read")
@operation(
    "Accounts",
    query=PostingsQuery,
    answer=Postings,
    refuses=(NoSuchAccount, InvalidCursor),
    answer_headers={"Link": 'The next page, as `<…>; rel="next"`, if there is one.'},
)
def list_postings(number: str, query: PostingsQuery) -> tuple[Postings, dict[str, str]]:
    """An account's postings, newest first.

    Pages stay as they are while others pay: what is booked meanwhile comes before the first of them.
    """
    before = _read_cursor(query.after)
    with bank().reader() as reader:
        rows, reached = history.page(
            reader, current.account_of(number).ledger, query.wanted(), before=before, limit=query.limit
        )
    page = Postings(postings=[Posting.of(row) for row in rows], next=_cursor(reached) if reached else None)
    if page.next is None:
        return page, {}
    further = url_for(".list_postings", number=number)
    asked = urlencode({**request.args.to_dict(), "after": page.next})
    return page, {"Link": f'<{further}?{asked}>; rel="next"'}


def _cursor(seq: int) -> str:
    """Opaque to whoever gets it: what is in it may change."""
    return base64.urlsafe_b64encode(f"p{seq}".encode()).decode().rstrip("=")


def _read_cursor(text: str | None) -> int | None:
    """Before which number the page begins.

    Raises:
        InvalidCursor: nothing here answered it.
    """
    if text is None:
        return None
    try:
        told = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
    except ValueError as error:
        raise InvalidCursor from error
    # There is one way to write each.
    if not _CURSOR.fullmatch(told[1:]) or _cursor(int(told[1:])) != text:
        raise InvalidCursor
    return int(told[1:])
