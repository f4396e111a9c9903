"""Prove that a ledger takes postings."""

from __future__ import annotations

from bank.audit.model import Author
from bank.ledger import service, store
from bank.ledger.model import JournalEntry, Posting, Side
from bank.money import Money
from bank.storage.transaction import Bank


def post_and_reverse(bank: Bank, currency: str, *, key: str, by: Author) -> int:
    """Book one minor unit through the door and take it back; answers the first entry's id.

    It goes from opening balances to suspense: both are the bank's own, no customer sees either, no limit or
    floor guards them, and after the reversal both stand where they stood. The two entries stay, as every
    entry does, and say what they were for. The same `key` proves it once.

    Raises:
        BankError: the ledger refused, or could not be reached.
    """
    debit = bank.run(service.bank_account, "suspense", currency, at=by.at)
    credit = bank.run(service.bank_account, "opening_balances", currency, at=by.at)
    trial = JournalEntry(
        caller=by.who,
        idempotency_key=key,
        kind="trial",
        narrative="Proof that the ledger takes postings",
        booking_date=by.business_date,
        value_date=by.business_date,
        booked_at=by.at,
        postings=(
            Posting(debit.id, Side.DEBIT, Money(1, currency)),
            Posting(credit.id, Side.CREDIT, Money(1, currency)),
        ),
    )
    [outcome] = service.post(bank, [trial])
    entry_id = outcome.or_raise()
    with bank.reader() as reader:
        original = store.entry(reader, entry_id)
    assert original is not None
    reversal = service.reversal(original, key=f"{key}-reversed", by=by, narrative="Taken back")
    [outcome] = service.post(bank, [reversal])
    outcome.or_raise()
    return entry_id
