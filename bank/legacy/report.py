"""The reconciliation report: every oddity of the older database by kind, and every account's proof."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TextIO

from bank.money import Money
from bank.spreadsheets import harmless

#: Every kind of finding, in the report's order, with what it says of its subject.
KINDS: Final = {
    "history_agrees": "accounts whose history explains the stored balance",
    "stored_above_history": "accounts with more stored than the history explains: an opening entry was booked",
    "stored_below_history": "accounts with less stored than the history explains: an adjustment entry was booked",
    "changed_since_import": "movements or differences that are no longer as they were brought in before",
    "refused": "movements that the ledger refused",
    "not_equal": "accounts whose balance here is not the stored one",
    "balance_unreadable": "accounts whose stored balance cannot be read; the history's was taken",
    "account_without_customer": "accounts of no customer; not brought in",
    "went_below_zero": "accounts that go below zero at some point of their history",
    "negative_balance": "accounts with less than zero stored",
    "overdraft_floor": "accounts that got an overdraft down to their lowest point",
    "balance_not_whole": "stored balances that are not whole numbers",
    "balance_rounded": "of these, rounded half up because they have a fraction of the smallest unit",
    "negative_amount": "transactions of less than zero; booked as the opposite movement",
    "zero_amount": "transactions of zero; not booked",
    "text_amount": "transactions whose amount is stored as text",
    "amount_cut": "transactions whose amount is no whole number; the older app counted the whole part",
    "amount_unreadable": "transactions whose amount cannot be read; not booked",
    "unknown_message": "transactions that do not say what they are; not booked",
    "transaction_without_account": "transactions of an account that is not here; not booked",
    "half_transfer": "transfers with only one of their two rows; booked against suspense",
    "no_time": "transactions without a time that can be read; dated like the one before",
    "account_frozen_with_money": "deactivated accounts with money on them; frozen until staff decide",
    "account_closed": "deactivated accounts with nothing on them; closed",
    "deactivated_customer_with_active_account": "deactivated customers who still have an active account",
    "account_frozen_for_customer": "active accounts of deactivated customers; frozen until the customer is activated",
    "active_customer_with_deactivated_account": "active customers with a deactivated account",
    "transaction_while_deactivated": "transactions while the customer was deactivated",
    "opened_while_deactivated": "accounts opened while the customer was deactivated",
    "two_accounts_of_one_type": "customers with two accounts of one type, as a double click makes them",
    "unknown_product": "accounts of a type the bank does not have; brought in as current accounts",
    "unknown_status": "customers or accounts of unknown status; taken as deactivated",
    "ssn_one_zero_restored": "identity numbers stored with 8 digits",
    "ssn_two_zeros_restored": "identity numbers stored with 7 digits",
    "ssn_more_zeros_restored": "identity numbers stored with 6 digits or fewer",
    "ssn_unreadable": "identity numbers that cannot be one; left out",
    "ssn_taken": "identity numbers that another customer here has; left out",
    "age_odd": "ages outside 18 to 110",
    "blank_address": "customers with a blank address",
    "blank_name": "customers without a name; named by their number",
    "shortened": "texts too long for their field; the whole text is in the audit trail",
    "name_shared": "names borne by more than one customer",
    "name_without_latin_letters": "names without any Latin letter",
    "name_not_ascii": "names with any letter beyond ASCII",
    "name_with_apostrophe": "names with an apostrophe of some kind",
    "name_with_hyphen": "names with a hyphen of some kind",
    "name_decomposed": "names in decomposed form; composed",
    "name_beyond_16_bits": "names with a letter beyond the 16-bit plane",
    "name_with_invisible_letter": "names with an invisible joiner or the like; kept, unless it turns the writing around",
    "name_with_stray_blanks": "names with stray blanks; removed",
    "name_in_one_case": "names all in one case; kept",
    "name_of_one_word": "names of one word in Latin letters; kept",
    "state_spelling": "spellings in the state column; kept but for blanks",
    "staff_unknown_role": "staff of a role the bank does not have; not brought in",
    "staff_without_password": "staff without a password that opens anything; not brought in",
    "staff_unusable_user_id": "staff whose user id cannot be one; not brought in",
    "staff_user_id_taken": "staff whose user id somebody here has; not brought in",
}

#: Whoever reads only the exit status must learn of these.
ALARMS: Final = frozenset({"changed_since_import", "refused", "not_equal", "account_without_customer"})

_ORDER: Final = {kind: place for place, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth knowing of one subject; `amount` is what its kind is about (of a history: the difference)."""

    kind: str
    subject: str
    number: str
    detail: str = ""
    amount: Money | None = None
    stored: Money | None = None
    history: Money | None = None
    brought_in: Money | None = None

    def __post_init__(self) -> None:
        assert self.kind in KINDS, self.kind


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the summary: how many findings of a kind, and the sum of their amounts where they have any."""

    kind: str
    count: int
    total: Money | None

    @property
    def says(self) -> str:
        """The kind in words."""
        return KINDS[self.kind]


def summary(findings: Iterable[Finding]) -> list[Line]:
    """Count the findings of each kind and add up their amounts, in the report's order."""
    counts: Counter[str] = Counter()
    amounts: defaultdict[str, list[Money]] = defaultdict(list)
    for finding in findings:
        counts[finding.kind] += 1
        if finding.amount:
            amounts[finding.kind].append(finding.amount)
    return [Line(kind, counts[kind], _total(amounts[kind])) for kind in KINDS if counts[kind]]


def _total(amounts: list[Money]) -> Money | None:
    return sum(amounts[1:], amounts[0]) if amounts else None


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The findings by kind as in `KINDS`, within a kind as they were found."""
    return sorted(findings, key=lambda finding: _ORDER[finding.kind])


def write_csv(findings: Iterable[Finding], file: TextIO) -> None:
    """Write the report: a row per finding. It names numbers, never people or identity numbers."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["kind", "subject", "number", "amount", "stored", "history", "brought_in", "detail"])
    for finding in in_order(findings):
        amounts = (finding.amount, finding.stored, finding.history, finding.brought_in)
        texts = [finding.kind, finding.subject, harmless(finding.number)]
        writer.writerow([*texts, *(_plain(amount) for amount in amounts), harmless(finding.detail)])


def _plain(amount: Money | None) -> Any:
    return amount.plain if amount else ""
