"""What people ask to be paid; the kinds of entries this makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bank.money import Money

#: What an entry's kind is called on a page, a receipt and a statement.
KINDS: Final = {
    "deposit": "Cash deposit",
    "withdrawal": "Cash withdrawal",
    "transfer": "Transfer",
    "closing_payout": "Paid out at closing",
    "reversal": "Reversal",
    "hold": "Hold",
    "hold_release": "Hold released",
    "hold_expiry": "Hold expired",
    "opening": "Opening balance",
    "adjustment": "Adjustment",
    "card_withdrawal": "Card withdrawal",
    "transfer_in": "Transfer from another bank",
    "transfer_out": "Transfer to another bank",
    "interest": "Interest",
    "fee": "Fee",
    "penalty_interest": "Penalty interest",
}


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """Pay `amount` from one account to another; `key` is the form's own operation id.

    `payer_id` is the customer who pays; None when staff do it for the owners.
    """

    from_account_id: int
    to_account_id: int
    amount: Money
    reference: str
    key: str
    payer_id: int | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the bank did: the entry's id; `replayed` when it had been done before."""

    entry_id: int
    replayed: bool
