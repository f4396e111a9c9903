"""What the older app kept of customers and staff, tidied; and what is odd about it."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bank.customers.identity_number import InvalidIdentityNumber, read_identity_number
from bank.customers.model import CustomerDetails, tidy
from bank.legacy.model import DIGITS, OldCustomer, OldLogRow
from bank.legacy.report import Finding

#: Typewriter, typographic and prime marks, and the letters that look like them in other languages.
_APOSTROPHES: Final = frozenset("'‘’ʻʼʾʿ`´′＇׳")
_SENSIBLE_AGES: Final = range(18, 111)
_LENGTHS: Final = {"name": 200, "address": 300, "city": 100, "region": 100}


@dataclass(frozen=True, slots=True)
class NewCustomer:
    """A customer as to be brought in; `identity` is in clear and goes no further than the seal."""

    old: OldCustomer
    details: CustomerDetails
    identity: str | None
    created_at: datetime
    log: tuple[OldLogRow, ...]
    cut_texts: dict[str, str]

    def __repr__(self) -> str:
        return f"NewCustomer({self.old.number})"


class CustomerLog:
    """The customer log by customer: when each was created, and when deactivated."""

    def __init__(self, rows: Iterable[OldLogRow]) -> None:
        self.rows: defaultdict[int | None, list[OldLogRow]] = defaultdict(list)
        for row in rows:
            self.rows[row.customer_id].append(row)

    def created_at(self, customer_id: int) -> datetime | None:
        """The first instant the log knows of the customer."""
        return min((row.at for row in self.rows[customer_id] if row.at), default=None)

    def was_deactivated(self, customer_id: int, at: datetime) -> bool:
        """Had the customer been deactivated, and not activated again, at this instant?"""
        last = None
        for row in self.rows[customer_id]:
            if row.at and row.at <= at and row.message in ("Customer Deactivated", "Customer Activated"):
                last = row.message
        return last == "Customer Deactivated"


def read_customer(old: OldCustomer, log: CustomerLog, *, otherwise_at: datetime) -> tuple[NewCustomer, list[Finding]]:
    """The customer as to be brought in, and what is odd; without any log row, created `otherwise_at`."""
    findings = [Finding(kind, "customer", old.number, detail) for kind, detail in _oddities(old)]
    identity, problem = _identity(old)
    if problem:
        findings.append(Finding(problem, "customer", old.number, _ssn_detail(old) if identity else ""))
    texts = {"name": tidy(old.name), "address": old.address, "city": old.city, "region": old.state}
    cut = {field: text for field, text in texts.items() if len(tidy(text)) > _LENGTHS[field]}
    findings += [Finding("shortened", "customer", old.number, field) for field in cut]
    texts |= {field: tidy(text)[: _LENGTHS[field]] for field, text in cut.items()}
    if not texts["name"]:
        findings.append(Finding("blank_name", "customer", old.number))
        texts["name"] = f"Customer {old.number}"
    created_at = log.created_at(old.id) or otherwise_at
    details = CustomerDetails(birth_date=None, **texts)
    return NewCustomer(old, details, identity, created_at, tuple(log.rows[old.id]), cut), findings


def _identity(old: OldCustomer) -> tuple[str | None, str | None]:
    """The identity number with its lost zeros, and the kind of finding that it is."""
    if old.ssn is None:
        return None, None
    text = str(old.ssn).strip()
    lost = DIGITS - len(text)
    try:
        identity = read_identity_number(text.zfill(DIGITS))
    except InvalidIdentityNumber:
        return None, "ssn_unreadable"
    # A minus sign would pass as a separator.
    if not text.isascii() or not text.isalnum():
        return None, "ssn_unreadable"
    kinds = {1: "ssn_one_zero_restored", 2: "ssn_two_zeros_restored"}
    return identity, kinds.get(lost, "ssn_more_zeros_restored") if lost > 0 else None


def _ssn_detail(old: OldCustomer) -> str:
    return f"{DIGITS - len(str(old.ssn).strip())} leading zeros restored"


def _oddities(old: OldCustomer) -> Iterator[tuple[str, str]]:
    """Kind and detail of everything odd in one customer's row."""
    if old.status not in ("activate", "deactivate"):
        yield "unknown_status", f"status: {old.status[:40]}"
    if old.age is not None and not _is_sensible_age(old.age):
        yield "age_odd", f"age {old.age} recorded by the older app"
    if not old.address.strip():
        yield "blank_address", ""
    for kind in _name_oddities(old.name):
        yield kind, ""


def _is_sensible_age(age: object) -> bool:
    return isinstance(age, int) and age in _SENSIBLE_AGES


def _name_oddities(name: str) -> Iterator[str]:
    latin = any("LATIN" in unicodedata.name(letter, "") for letter in name)
    checks = {
        "name_without_latin_letters": bool(name.strip()) and not latin,
        "name_not_ascii": not name.isascii(),
        "name_with_apostrophe": not _APOSTROPHES.isdisjoint(name),
        "name_with_hyphen": any(unicodedata.category(letter) == "Pd" for letter in name),
        "name_decomposed": unicodedata.normalize("NFC", name) != name,
        "name_beyond_16_bits": any(ord(letter) > 0xFFFF for letter in name),
        "name_with_invisible_letter": any(unicodedata.category(letter) == "Cf" for letter in name),
        "name_with_stray_blanks": " ".join(name.split()) != name,
        "name_in_one_case": name.isupper() or name.islower(),
        # Scripts like Han and Hangul write a whole name in one word.
        "name_of_one_word": latin and len(name.split()) == 1,
    }
    yield from (kind for kind, holds in checks.items() if holds)


def shared_names(old_customers: Iterable[OldCustomer]) -> Iterator[Finding]:
    """The names that more than one customer bears, by the customers' numbers."""
    bearers: defaultdict[str, list[str]] = defaultdict(list)
    for old in old_customers:
        bearers[tidy(old.name)].append(old.number)
    for numbers in bearers.values():
        if len(numbers) > 1:
            yield Finding("name_shared", "customer", numbers[0], f"also customer {', '.join(numbers[1:])}")


def state_spellings(old_customers: Iterable[OldCustomer]) -> Iterator[Finding]:
    """How the state column is spelled, and how often."""
    for spelling, count in Counter(old.state for old in old_customers).most_common():
        yield Finding("state_spelling", "state", "", f"spelled '{spelling}' for {count} customers")
