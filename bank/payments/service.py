"""Cash at the till, transfers, holds and reversals: each is one call of the ledger's door."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import sqlalchemy as sa

from bank.accounts import service as accounts
from bank.accounts import store as account_store
from bank.accounts.store import Account
from bank.audit import store as audit
from bank.audit.model import Author
from bank.errors import BankError, Forbidden, Invalid, Missing, Refused
from bank.language import gettext as _
from bank.ledger import service as ledger
from bank.ledger import store as ledger_store
from bank.ledger.errors import AccountClosed, AccountFrozen, InsufficientFunds, KeyReused, NotReversible
from bank.ledger.model import JournalEntry, Limits, Outcome, Posted, Posting, Release, Replayed, Reserve, Side
from bank.money import Money
from bank.payments.model import REVERSAL, Receipt, TransferOrder
from bank.settings import Settings
from bank.storage import secured
from bank.storage.transaction import Bank


class SameAccount(Invalid):
    """The payment would go from an account to itself."""

    code = "same_account"

    def __init__(self) -> None:
        super().__init__(_("Choose two different accounts: this one would pay itself."))


class UnknownPayee(Invalid):
    """No account has the number that was typed."""

    code = "unknown_payee"

    def __init__(self) -> None:
        super().__init__(_("There is no account of this number at this bank. Check the number with whoever you pay."))


class PayeeCannotReceive(Refused):
    """The account to be paid takes no payments at present."""

    code = "payee_cannot_receive"

    def __init__(self) -> None:
        super().__init__(_("The account you are paying cannot receive payments. Ask whoever you pay for another one."))


class OwnEntry(Forbidden):
    """Nobody reverses what they booked themselves."""

    code = "own_entry"

    def __init__(self) -> None:
        super().__init__(_("You booked this yourself. Another executive must reverse it."))


class NoTill(Forbidden):
    """This member of staff has no till."""

    code = "no_till"

    def __init__(self) -> None:
        super().__init__(_("You have no till. An executive can give you the role of teller or cashier, which has one."))


class TillTooLow(Refused):
    """The till does not hold the cash that is to be paid out of it."""

    code = "till_too_low"

    def __init__(self, held: Money) -> None:
        super().__init__(_("The till holds only %(held)s. Take cash from the vault first.", held=held))


class VaultTooLow(Refused):
    """The vault does not hold the cash that is to be taken out of it."""

    code = "vault_too_low"

    def __init__(self, held: Money) -> None:
        super().__init__(_("The vault holds only %(held)s.", held=held))


class NoSuchEntry(Missing):
    """There is no such entry, or none this person may see."""

    code = "no_such_entry"

    def __init__(self) -> None:
        super().__init__(_("There is no such movement."))


def deposit(
    bank: Bank, account: Account, amount: Money, *, till_id: int | None, key: str, by: Author, narrative: str = ""
) -> Receipt:
    """Take cash into the till for the account.

    Raises:
        Refused: the ledger's own reason; nothing moved.
    """
    postings = move(_till(till_id), account.id, amount)
    return _post(bank, entry_by(by, key, "deposit", narrative or "Cash deposit", postings))


def withdraw(
    bank: Bank, account: Account, amount: Money, *, till_id: int | None, key: str, by: Author, narrative: str = ""
) -> Receipt:
    """Pay cash out of the till from the account, within its limits.

    Raises:
        TillTooLow: there is less in the till.
        Refused: the ledger's own reason; nothing moved.
    """
    postings = move(account.id, _till(till_id), amount)
    limits = _limits(bank.settings)
    with out_of_cash(till_id, TillTooLow):
        return _post(bank, entry_by(by, key, "withdrawal", narrative or "Cash withdrawal", postings, limits=limits))


def transfer(bank: Bank, order: TransferOrder, *, by: Author) -> Receipt:
    """Pay from one customer's account to another's, or between one's own, where no limits apply.

    Who may use the paying account is the caller's to check.

    Raises:
        SameAccount: both accounts are the same.
        PayeeCannotReceive: the account to be paid is frozen or closed.
        Refused: the ledger's own reason; nothing moved.
    """
    with bank.reader() as reader:
        entry = _transfer_entry(reader, bank.settings, order, by)
    [outcome] = ledger.post(bank, [entry])
    return _as_told_to_payer(order, outcome)


def transfer_in(tx: sa.Connection, settings: Settings, order: TransferOrder, *, by: Author) -> Receipt:
    """The same within the caller's database transaction; who catches a refusal in it keeps it remembered.

    Raises:
        SameAccount: both accounts are the same.
        PayeeCannotReceive: the account to be paid is frozen or closed.
        Refused: the ledger's own reason; nothing moved.
    """
    [outcome] = ledger.post_in(tx, [_transfer_entry(tx, settings, order, by)])
    return _as_told_to_payer(order, outcome)


def _transfer_entry(reader: sa.Connection, settings: Settings, order: TransferOrder, by: Author) -> JournalEntry:
    if order.from_account_id == order.to_account_id:
        raise SameAccount
    limits = None if is_own(reader, order) else _limits(settings)
    postings = move(order.from_account_id, order.to_account_id, order.amount)
    return entry_by(by, order.key, "transfer", order.reference or "Transfer", postings, limits=limits)


def _as_told_to_payer(order: TransferOrder, outcome: Outcome) -> Receipt:
    try:
        return receipt_of(outcome)
    except (AccountFrozen, AccountClosed) as refused:
        # The state of somebody else's account is not for the payer to know.
        if refused.facts["account"] == order.to_account_id:
            told = PayeeCannotReceive()
            told.replayed = refused.replayed
            raise told from refused
        raise


def is_own(reader: sa.Connection, order: TransferOrder) -> bool:
    """Do the same people own both accounts, the payer among them? A shared owner alone would be a way round the limits."""
    paying = account_store.owners(reader, order.from_account_id)
    receiving = account_store.owners(reader, order.to_account_id)
    return paying == receiving and (order.payer_id is None or order.payer_id in paying)


def reverse(bank: Bank, entry_id: int, *, key: str, by: Author, reason: str) -> Receipt:
    """Book the opposite of an entry, once, and say why in the audit trail.

    Raises:
        NoSuchEntry: there is no such entry.
        OwnEntry: whoever asks has booked it.
        AlreadyReversed: it was reversed before.
        NotReversible: it moved nothing, or is a reversal itself.
        KeyReused: the key came before with something else, be it another reason.
        InsufficientFunds: what it brought has been spent.
        TillTooLow: the cash that it brought is no longer in the till.
        VaultTooLow: it is no longer in the vault.
    """

    def use_case(tx: sa.Connection) -> tuple[Outcome, dict[str, int]]:
        original = ledger_store.entry(tx, entry_id)
        if original is None:
            raise NoSuchEntry
        if original.caller == by.who:
            raise OwnEntry
        if not original.postings or original.reverses:
            raise NotReversible({"entry": entry_id})
        [outcome] = ledger.post_in(
            tx, [ledger.reversal(original, key=key, by=by, narrative=f"{REVERSAL}{original.narrative}"[:200])]
        )
        if not isinstance(outcome, Replayed):
            details = {"outcome": _told(outcome), "operation": key}
            audit.record(tx, "entry.reversal", f"entry:{entry_id}", by=by, reason=reason, details=details)
        elif audit.reason_of(tx, "entry.reversal", f"entry:{entry_id}", key) not in (None, reason):
            raise KeyReused
        return outcome, {posting.chart_code: posting.account_id for posting in original.postings}

    outcome, moved = bank.run(use_case)
    with out_of_cash(moved.get("cash"), TillTooLow), out_of_cash(moved.get("vault"), VaultTooLow):
        return receipt_of(outcome)


def close_account(
    bank: Bank, account: Account, *, till_id: int | None, key: str, by: Author, reason: str
) -> Receipt | None:
    """Pay out in cash what is on the account, and close it, both or neither; None when nothing was on it.

    Raises:
        Refused: the ledger's own reason (frozen, a hold, an overdraft); the account stays as it was.
        KeyReused: the key came before with something else.
    """

    def use_case(tx: sa.Connection) -> Outcome | None:
        outcome = None
        balance = ledger_store.lock(tx, account.id).balance_money
        # Only the first time tells how much is paid out, so a retry cannot be left to the door to recognise.
        if paid := ledger_store.entry_by_key(tx, by.who, key):
            secured.moving()  # What was moved before is told as done only when it is secured, too.
            return _same_payout(tx, paid, account)
        if balance.minor_units > 0:
            postings = move(account.id, _till(till_id), balance)
            [outcome] = ledger.post_in(tx, [entry_by(by, key, "closing_payout", "Paid out at closing", postings)])
            # Its refusal is not remembered: the whole use case is undone by this exception.
            with out_of_cash(till_id, TillTooLow):
                outcome.or_raise()
        accounts.close(tx, account, by=by, reason=reason)
        return outcome

    outcome = bank.run(use_case)
    return receipt_of(outcome) if outcome else None


def _same_payout(tx: sa.Connection, entry_id: int, account: Account) -> Outcome:
    before = ledger_store.entry(tx, entry_id)
    if before is None or before.kind != "closing_payout" or account.id not in {p.account_id for p in before.postings}:
        raise KeyReused
    return Replayed(Posted(entry_id))


def place_hold(
    bank: Bank, account: Account, amount: Money, *, expires_at: datetime | None, key: str, by: Author, reason: str
) -> Receipt:
    """Keep part of an account's money from being spent.

    Raises:
        KeyReused: the key came before with something else, be it another end.
        Refused: the ledger's own reason.
    """
    hold = Reserve(account.id, amount, expires_at)
    receipt = _post(bank, entry_by(by, key, "hold", reason, (), hold=hold))
    if receipt.replayed:
        with bank.reader() as reader:
            if ledger_store.hold_expires_at(reader, receipt.entry_id) != expires_at:
                raise KeyReused
    return receipt


def release_hold(bank: Bank, account: Account, hold_id: int, *, key: str, by: Author, reason: str) -> Receipt:
    """Give back what a hold still reserves.

    Raises:
        Refused: there is no such hold on this account, or it has ended.
    """
    return _post(bank, entry_by(by, key, "hold_release", reason, (), hold=Release(hold_id, account.id)))


@contextmanager
def out_of_cash(account_id: int | None, told: Callable[[Money], Refused]) -> Iterator[None]:
    """Say of an account of cash what is in it, where the ledger would say so of a customer's."""
    try:
        yield
    except InsufficientFunds as refused:
        if refused.facts["account"] == account_id:
            lacking = told(Money(max(refused.facts["available"], 0), refused.facts["currency"]))
            lacking.replayed = refused.replayed
            raise lacking from refused
        raise


def _till(till_id: int | None) -> int:
    if till_id is None:
        raise NoTill
    return till_id


def move(from_id: int, to_id: int, amount: Money) -> tuple[Posting, Posting]:
    """Debit one account, credit the other."""
    return Posting(from_id, Side.DEBIT, amount), Posting(to_id, Side.CREDIT, amount)


def _limits(settings: Settings) -> Limits:
    return Limits(settings.limit_per_payment_minor, settings.limit_per_day_minor)


def entry_by(
    by: Author,
    key: str,
    kind: str,
    narrative: str,
    postings: tuple[Posting, ...],
    *,
    limits: Limits | None = None,
    hold: Reserve | Release | None = None,
) -> JournalEntry:
    """What `by` asks to be booked today."""
    return JournalEntry(
        caller=by.who,
        idempotency_key=key,
        kind=kind,
        narrative=narrative,
        booking_date=by.business_date,
        value_date=by.business_date,
        booked_at=by.at,
        postings=postings,
        limits=limits,
        hold=hold,
    )


def _post(bank: Bank, entry: JournalEntry) -> Receipt:
    [outcome] = ledger.post(bank, [entry])
    return receipt_of(outcome)


def receipt_of(outcome: Outcome) -> Receipt:
    """What the bank did.

    Raises:
        BankError: it refused.
    """
    replayed = isinstance(outcome, Replayed)
    try:
        return Receipt(outcome.or_raise(), replayed)
    except BankError as refused:
        refused.replayed = replayed
        raise


def _told(outcome: Outcome) -> str:
    return type(outcome).__name__.lower()
