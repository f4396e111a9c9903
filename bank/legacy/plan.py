"""What is to be brought in: customers, accounts with floor and status, movements; reconciled, nothing written yet."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from bank.customers.model import tidy
from bank.identity.staff import InvalidUserId, Role, read_user_id
from bank.legacy.history import Movement, read_history
from bank.legacy.model import OldAccount, OldBank, OldTransaction, OldUser, is_whole, stored_balance
from bank.legacy.people import CustomerLog, NewCustomer, read_customer, shared_names, state_spellings
from bank.legacy.report import Finding
from bank.money import Money

_PRODUCTS = ("current", "savings")


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account as to be brought in: it must end with `stored`, and becomes `status` after its history."""

    old: OldAccount
    owner_number: str
    product: str
    opened_at: datetime
    stored: Money
    history: Money
    floor: Money
    status: str
    frozen_for: str | None

    @property
    def difference(self) -> Money:
        """What the history does not explain."""
        return self.stored - self.history


@dataclass(frozen=True, slots=True)
class NewStaff:
    """A member of staff as to be brought in."""

    user_id: str
    name: str
    role: Role
    bcrypt_hash: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is to be written, in this order, and all that was found."""

    fingerprint: str
    currency: str
    customers: tuple[NewCustomer, ...]
    accounts: tuple[NewAccount, ...]
    staff: tuple[NewStaff, ...]
    movements: tuple[Movement, ...]
    findings: tuple[Finding, ...]


def make_plan(old: OldBank, currency: str, *, now: datetime) -> Plan:
    """Reconcile the older database; amounts in it are whole `currency`, instants it does not know become `now`."""
    log = CustomerLog(old.log)
    people = [read_customer(row, log, otherwise_at=now) for row in old.customers]
    staff, staff_findings = _read_staff(old.users)
    known = {row.id for row in old.customers}
    held = [row for row in old.accounts if row.customer_id in known]
    history = read_history(old.transactions, {row.id for row in held}, currency, otherwise_at=now)
    by_account = _by_account(history.movements)
    customers = {person.old.id: person for person, _ in people}
    accounts, oddities = [], []
    for row in held:
        account, findings = _read_account(row, customers[row.customer_id or 0], by_account[row.id], currency)
        accounts.append(account)
        oddities += findings
    return Plan(
        fingerprint=old.fingerprint(),
        currency=currency,
        customers=tuple(customers.values()),
        accounts=tuple(accounts),
        staff=tuple(staff),
        movements=(*_openings(accounts), *history.movements, *_adjustments(accounts, now)),
        findings=(
            *oddities,
            *(_orphan(row, currency) for row in old.accounts if row.customer_id not in known),
            *history.findings,
            *_across(old, accounts, customers, log),
            *(finding for _, findings in people for finding in findings),
            *shared_names(old.customers),
            *state_spellings(old.customers),
            *staff_findings,
        ),
    )


def _by_account(movements: Iterable[Movement]) -> defaultdict[int, list[Movement]]:
    by_account: defaultdict[int, list[Movement]] = defaultdict(list)
    for movement in movements:
        for place in (movement.payer, movement.payee):
            if isinstance(place, int):
                by_account[place].append(movement)
    return by_account


def _read_account(
    old: OldAccount, owner: NewCustomer, movements: list[Movement], currency: str
) -> tuple[NewAccount, list[Finding]]:
    changes = [movement.change_of(old.id) for movement in movements]
    history = Money(sum(changes), currency)
    read = stored_balance(old.balance, currency)
    stored, rounded = read or (history, False)
    lowest = _lowest(max(stored - history, Money(0, currency)).minor_units, changes)
    status, frozen_for = _status(old, owner, stored)
    account = NewAccount(
        old=old,
        owner_number=owner.old.number,
        product=old.product if old.product in _PRODUCTS else "current",
        opened_at=_opened_at(old, movements, owner.created_at),
        stored=stored,
        history=history,
        floor=Money(min(0, lowest, stored.minor_units), currency),
        status=status,
        frozen_for=frozen_for,
    )
    lowest_money = Money(lowest, currency)
    return account, list(_account_findings(account, lowest_money, readable=read is not None, rounded=rounded))


def _lowest(start: int, changes: list[int]) -> int:
    """The lowest balance on the way, in minor units."""
    balance = lowest = start
    for change in changes:
        balance += change
        lowest = min(lowest, balance)
    return lowest


def _opened_at(old: OldAccount, movements: list[Movement], owner_since: datetime) -> datetime:
    known = [movement.at for movement in movements] + ([old.last_update] if old.last_update else [])
    return min(known, default=owner_since)


def _status(old: OldAccount, owner: NewCustomer, stored: Money) -> tuple[str, str | None]:
    if not old.active:
        return ("frozen", "staff") if stored.minor_units else ("closed", None)
    return ("open", None) if owner.old.active else ("frozen", "customer")


def _account_findings(account: NewAccount, lowest: Money, *, readable: bool, rounded: bool) -> Iterator[Finding]:
    old, stored = account.old, account.stored

    def finding(kind: str, detail: str = "", amount: Money | None = None) -> Finding:
        return Finding(kind, "account", old.number, detail, amount)

    if not readable:
        yield finding("balance_unreadable", f"stored as: {str(old.balance)[:40]}")
    elif not is_whole(old.balance):
        yield finding("balance_not_whole", f"stored as: {old.balance}", stored)
    if rounded:
        yield finding("balance_rounded", f"stored as: {old.balance}", stored)
    if lowest.minor_units < 0:
        yield finding("went_below_zero", "the lowest balance on the way", lowest)
    if stored.minor_units < 0:
        yield finding("negative_balance", amount=stored)
    if account.floor.minor_units < 0:
        yield finding("overdraft_floor", "the balance may not go lower", account.floor)
    yield from _status_findings(account)


def _status_findings(account: NewAccount) -> Iterator[Finding]:
    old = account.old

    def finding(kind: str, detail: str = "", amount: Money | None = None) -> Finding:
        return Finding(kind, "account", old.number, detail, amount)

    if old.product not in _PRODUCTS:
        yield finding("unknown_product", f"type: {old.product[:40]}")
    if old.status not in ("active", "deactive"):
        yield finding("unknown_status", f"status: {old.status[:40]}")
    kinds = {("frozen", "staff"): "account_frozen_with_money", ("frozen", "customer"): "account_frozen_for_customer"}
    if account.status == "closed":
        yield finding("account_closed")
    elif account.status != "open":
        yield finding(
            kinds[account.status, account.frozen_for or ""], f"customer {account.owner_number}", account.stored
        )


def _orphan(old: OldAccount, currency: str) -> Finding:
    read = stored_balance(old.balance, currency)
    detail = f"customer {old.customer_id}" if old.customer_id else ""
    return Finding("account_without_customer", "account", old.number, detail, read[0] if read else None)


def _openings(accounts: Iterable[NewAccount]) -> Iterator[Movement]:
    for account in sorted(accounts, key=lambda each: (each.opened_at, each.old.id)):
        if (missing := account.difference.minor_units) > 0:
            yield Movement(
                f"legacy-opening-{account.old.id}",
                "opening",
                "Opening balance of which the older app kept no row",
                account.opened_at,
                payer="suspense",
                payee=account.old.id,
                minor_units=missing,
            )


def _adjustments(accounts: Iterable[NewAccount], now: datetime) -> Iterator[Movement]:
    for account in accounts:
        if (surplus := -account.difference.minor_units) > 0:
            yield Movement(
                f"legacy-adjustment-{account.old.id}",
                "adjustment",
                "Adjustment to the balance that the older app stored",
                now,
                payer=account.old.id,
                payee="suspense",
                minor_units=surplus,
            )


def _across(
    old: OldBank, accounts: list[NewAccount], customers: dict[int, NewCustomer], log: CustomerLog
) -> Iterator[Finding]:
    """What shows only when accounts, customers and their log are looked at together."""
    yield from _customers_and_status(accounts, customers)
    owners = {account.old.id: account.old.customer_id or 0 for account in accounts}
    yield from _while_deactivated(old.transactions, owners, customers, log)
    for account in accounts:
        opened_at = account.old.last_update
        if account.old.still_as_opened and opened_at and log.was_deactivated(owners[account.old.id], opened_at):
            detail = f"customer {account.owner_number}"
            yield Finding("opened_while_deactivated", "account", account.old.number, detail, account.stored)
    yield from _double_accounts(accounts)


def _customers_and_status(accounts: list[NewAccount], customers: dict[int, NewCustomer]) -> Iterator[Finding]:
    for kind, active_owner, active_account in (
        ("deactivated_customer_with_active_account", False, True),
        ("active_customer_with_deactivated_account", True, False),
    ):
        those = [
            account
            for account in accounts
            if account.old.active is active_account
            and customers[account.old.customer_id or 0].old.active is active_owner
        ]
        by_owner: defaultdict[str, list[NewAccount]] = defaultdict(list)
        for account in those:
            by_owner[account.owner_number].append(account)
        for number, mine in by_owner.items():
            total = sum((account.stored for account in mine[1:]), mine[0].stored)
            yield Finding(kind, "customer", number, _numbers(mine), total)


def _numbers(accounts: Iterable[NewAccount]) -> str:
    return "account " + ", ".join(account.old.number for account in accounts)


def _while_deactivated(
    transactions: Iterable[OldTransaction], owners: dict[int, int], customers: dict[int, NewCustomer], log: CustomerLog
) -> Iterator[Finding]:
    for row in transactions:
        owner = owners.get(row.account_id or 0)
        if owner is not None and row.at and log.was_deactivated(owner, row.at):
            detail = f"account {row.account_id} of customer {customers[owner].old.number}"
            yield Finding("transaction_while_deactivated", "transaction", str(row.id), detail)


def _double_accounts(accounts: Iterable[NewAccount]) -> Iterator[Finding]:
    same: defaultdict[tuple[str, str], list[NewAccount]] = defaultdict(list)
    for account in accounts:
        same[account.owner_number, account.old.product].append(account)
    for (number, product), those in same.items():
        if len(those) > 1:
            yield Finding("two_accounts_of_one_type", "customer", number, f"{product}: {_numbers(those)}")


def _read_staff(users: Iterable[OldUser]) -> tuple[list[NewStaff], list[Finding]]:
    staff: list[NewStaff] = []
    findings = []
    seen: Counter[str] = Counter()
    for user in users:
        problem = _unusable(user) or _second_of_its_name(user, seen)
        if problem:
            findings.append(Finding(problem, "staff", user.id[:40]))
        else:
            user_id = read_user_id(user.id)
            name = tidy(user.name)[:200] or user_id
            staff.append(NewStaff(user_id, name, Role(user.user_type), str(user.password)))
    return staff, findings


def _unusable(user: OldUser) -> str | None:
    try:
        read_user_id(user.id)
    except InvalidUserId:
        return "staff_unusable_user_id"
    if user.user_type not in set(Role):
        return "staff_unknown_role"
    if not user.password or not str(user.password).startswith(("$2a$", "$2b$", "$2y$")):
        return "staff_without_password"
    return None


def _second_of_its_name(user: OldUser, seen: Counter[str]) -> str | None:
    """The older app told user ids in capitals from others; here they are one."""
    seen[read_user_id(user.id)] += 1
    return "staff_user_id_taken" if seen[read_user_id(user.id)] > 1 else None
