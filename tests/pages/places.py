"""Every page there is, generated from the application's routes, and the bank whose things stand in their addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from bank.accounts import service as account_service
from bank.accounts import store as account_store
from bank.app import create_app
from bank.cases.store import cases
from bank.customers import store as customer_store
from bank.customers.store import customer_warnings
from bank.demo import service as demo
from bank.demo.story import STAFF
from bank.identity import staff as staff_members
from bank.identity.staff import Role, Staff
from bank.identity.store import sessions
from bank.payment_files import paying
from bank.payments.store import payees, payment_drafts, scheduled_payments, till_counts
from bank.spending.store import category_rules
from bank.storage.transaction import Bank
from bank.web import access
from bank.web.access import TILL
from tests import payment_files
from tests.builders import CURRENCY, NO_HASH, Branch, a_key, settings_for

CUSTOMER, NEWCOMER, NOBODY = "customer", "newcomer", "nobody"

#: Answers that are no page: for programs, or files.
NOT_PAGES = (
    {"health.healthz", "health.readyz", "health.writable", "public.stay", "static"}
    | {f"{blueprint}.download_payment_file" for blueprint in ("customer", "staff")}
    | {"api.show_document"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """An address as a role sees it; `{…}` and `<…>` are filled from the bank. `status` other than 200: refused."""

    role: str
    path: str
    status: int = 200

    def __str__(self) -> str:
        return f"{self.role} {self.path}"


def places() -> list[Place]:
    """Every route that answers GET, for every role that may open it, and the states that no route shows by itself."""
    rules = [
        rule
        for rule in access.rules(create_app(settings_for("sqlite:///unused.sqlite")))
        if "GET" in rule.methods and rule.endpoint not in NOT_PAGES and not rule.scopes
    ]
    found = [Place(role, rule.path) for rule in rules for role in _roles(rule)]
    return found + STATES


def _roles(rule: access.Rule) -> list[str]:
    if access.PUBLIC in rule.open_to:
        return [NOBODY, CUSTOMER, *access.ANY_STAFF]
    # Whoever has nothing yet sees every list empty.
    return [*rule.open_to, *([NEWCOMER] if access.CUSTOMER in rule.open_to and "<" not in rule.path else [])]


STATES = [
    *(Place(role, "/nothing-here", 404) for role in (NOBODY, CUSTOMER, *access.ANY_STAFF)),
    Place("teller", "/staff/people", 403),
    Place(CUSTOMER, "/logout", 405),
    Place("beginner", "/staff/password"),
    Place(CUSTOMER, "/accounts/{current}?q=nothing%20like%20this"),
    Place(CUSTOMER, "/accounts/{current}/statement?from=2031-01-01&to=2030-01-01", 422),
    Place(CUSTOMER, "/accounts/{current}/statement?from=2020-01-01&to=2099-12-31"),
    Place(CUSTOMER, "/operations/00000000-0000-4000-8000-999999999999"),
    Place(CUSTOMER, "/payment-files/{paying_file}/pay"),
    Place(CUSTOMER, "/payment-files/{paid_file}"),
    Place("teller", "/staff/customers/{warned}"),
    Place("executive", "/staff/cases/{taken}"),
    Place("executive", "/staff/cases/{difference}"),
    Place("executive", "/staff/queue?show=closed"),
    Place("executive", "/staff/customers?q=a"),
    Place("executive", "/staff/customers?q=nothing%20like%20this"),
    Place("executive", "/staff/accounts?q=1", 422),
    Place("executive", "/staff/accounts/{frozen}"),
    Place("executive", "/staff/operations/00000000-0000-4000-8000-999999999999"),
]


class Furnished:
    """The demonstration with one of everything in it, and the address of each."""

    def __init__(self, bank: Bank) -> None:
        demo.load(bank)
        self.bank = bank
        self.branch = Branch(bank)
        self._meet()
        self._furnish()

    def address(self, place: Place) -> str:
        """The place's path with the bank's own things in it.

        Raises:
            KeyError: a route has a parameter that nobody gave a value here.
        """
        values = dict(self.values)
        if place.path.startswith("/staff/customers/"):
            values["number"] = values["customer_number"]
        elif place.path.startswith("/staff/tills/"):
            values["number"] = f"till-{self._at_a_till(place.role).user_id}"
        if place.path.startswith("/staff/payment-files/"):
            values["file_id"] = values["branch_file"]
        if "<id:count_id>" in place.path:
            values["count_id"] = self._a_count(self._at_a_till(place.role))
        if "<id:token_id>" in place.path:
            values["token_id"] = self.branch.token_of(place.role)[0]
        if "<id:session_id>" in place.path:
            values["session_id"] = self._a_session_of(place.role)
        return re.sub(r"<(?:[a-z]+:)?(\w+)>|\{(\w+)\}", lambda found: str(values[found[1] or found[2]]), place.path)

    def session_of(self, role: str) -> str | None:
        """A new session's token, or None for nobody."""
        return None if role == NOBODY else self.branch.session_of(role)

    def _meet(self) -> None:
        branch = self.branch
        with self.bank.reader() as reader:
            for person in STAFF:
                found = staff_members.by_user_id(reader, person.user_id)
                assert found is not None
                branch.people[found.role.value] = found
            for name, number in (("customer", "1102000005"), ("other", "1102000013"), ("warned", "1102000021")):
                customer = customer_store.by_number(reader, number)
                assert customer is not None
                branch.people[name] = customer
            branch.accounts["current"], *_ = account_store.of_customer(reader, branch.customer("customer").id)
            branch.accounts["frozen"], *_ = account_store.of_customer(reader, branch.customer("warned").id)
            branch.accounts["other"], *_ = account_store.of_customer(reader, branch.customer("other").id)
        branch.add_customer(NEWCOMER, "Nora Newcomer", "219-09-9999")
        beginner = branch.add_staff("beginner", "BEGINNER-1", Role.TELLER)
        branch.run(staff_members.set_password, beginner.id, NO_HASH, must_change=True)

    def _furnish(self) -> None:
        """What the demonstration may lack, straight into the tables where a use case would need a page."""
        branch, now = self.branch, self.bank.clock.now()
        ana, account, other = branch.customer("customer"), branch.accounts["current"], branch.accounts["other"]
        branch.run(account_service.add_holder, account, branch.customer("other"), "owner")
        branch.run(account_service.freeze, branch.accounts["frozen"], "frozen", reason="Lost card")
        # Wide amounts, for narrow windows.
        branch.deposit(account, 123_456_789_01)
        entry = branch.transfer("current", "other", 9_876_54)
        waiting = {
            "customer_id": ana.id, "from_account_id": account.id, "to_account_id": other.id, "payee_name": "Zoë",
            "minor_units": 25_00, "reference": "Rent", "due_on": now.date() + timedelta(days=9), "repeats": "monthly",
            "created_at": now,
        }  # fmt: skip
        case = {
            "kind": "problem", "customer_id": ana.id, "account_id": account.id, "entry_id": entry,
            "told": "I did not make this payment.", "opened_by": str(ana), "opened_at": now - timedelta(days=2),
        }  # fmt: skip
        warning = {"told": "Speaks through an interpreter.", "raised_by": "staff:1", "raised_at": now}
        self.values: dict[str, Any] = {
            "number": account.number,
            "customer_number": ana.number,
            "entry_id": entry,
            "hold_id": branch.hold("current", 1_00),
            "user_id": branch.staff("teller").user_id,
            "current": account.number,
            "frozen": branch.accounts["frozen"].number,
            "warned": branch.customer("warned").number,
            "operation": self._insert(
                payment_drafts, "operation", {**waiting, "operation": a_key(), "name_check": "match", "due_on": None, "repeats": "once"}
            ),
            "payee_id": self._a_payee(),
            **self._files(),
            "scheduled_id": self._insert(
                scheduled_payments, "id", {**waiting, "operation": a_key(), "currency": CURRENCY, "day_of_month": 31}
            ),
            "case_id": self._insert(cases, "id", {**case, "operation": a_key()}),
            "warning_id": self._insert(customer_warnings, "id", {**warning, "customer_id": ana.id, "needs_reason": False}),
            "rule_id": self._insert(
                category_rules, "id", {"customer_id": ana.id, "words": "plants", "category": "other", "at": now}
            ),
        }  # fmt: skip
        self._insert(
            cases, "id",
            {**case, "operation": a_key(), "answer": "It was your spouse’s card.", "closed_by": "staff:1", "closed_at": now},
        )  # fmt: skip
        executive = str(branch.staff("executive"))
        taken = {**case, "operation": a_key(), "taken_by": executive, "taken_at": now}
        self.values["taken"] = self._insert(cases, "id", taken)
        self.values["difference"] = self._insert(
            cases, "id", {**case, "operation": a_key(), "kind": "till_difference", "customer_id": None}
        )
        self._insert(
            customer_warnings, "id", {**warning, "customer_id": branch.customer("warned").id, "needs_reason": True}
        )

    def _files(self) -> dict[str, int]:
        """Files of payments in each state: waiting, here and at the branch, being paid, and paid with a refusal."""
        branch = self.branch
        payer, payee = branch.number("current"), branch.number("other")

        def sent(by: str, count: int) -> int:
            wages = [(payer, payee, "Nobody of that name", f"{each}.00", "Wages") for each in range(1, count + 1)]
            return payment_files.send(branch, [*wages, (payer, payee, "", "99999999.00", "Bonus")], by)

        owner, by = str(branch.customer("customer")), branch.author("customer")
        found = {"file_id": sent("customer", 2), "branch_file": sent("teller", 2)}
        found |= {"paying_file": sent("customer", 150), "paid_file": sent("customer", 3)}
        paying.pay(self.bank, owner, found["paying_file"], by=by, seconds=0)
        paying.pay(self.bank, owner, found["paid_file"], by=by)
        return found

    def _a_payee(self) -> int:
        ana, other = self.branch.customer("customer"), self.branch.accounts["other"]
        [*found] = self.branch.rows(
            sa.select(payees.c.id).where(payees.c.customer_id == ana.id, payees.c.removed_at.is_(None))
        )
        if found:
            return int(found[0].id)
        now = self.bank.clock.now()
        row = {"customer_id": ana.id, "account_id": other.id, "name": "Zoë", "name_check": "match", "created_at": now}
        return int(self._insert(payees, "id", row))

    def _at_a_till(self, role: str) -> Staff:
        """Whoever has this role, or else the teller, whose till others may see."""
        return self.branch.staff(role if role in TILL else "teller")

    def _a_count(self, person: Staff) -> int:
        now = self.bank.clock.now()
        row = {
            "operation": a_key(), "till_account_id": person.till_account_id, "business_date": now.date(), "seq": 1,
            "currency": CURRENCY, "expected": 100_00, "counted": 99_00, "pieces": {"1000": 9, "100": 9}, "reason": "Lost",
            "counted_by": str(person), "counted_at": now,
        }  # fmt: skip
        return int(self._insert(till_counts, "id", row))

    def _a_session_of(self, role: str) -> int:
        person = self.branch.people[role]
        kind = "staff" if isinstance(person, Staff) else "customer"
        mine = sa.select(sa.func.max(sessions.c.id)).where(sessions.c.kind == kind, sessions.c.person_id == person.id)
        return int(self.branch.rows(mine)[0][0])

    def _insert(self, table: sa.Table, key: str, row: dict[str, Any]) -> Any:
        def use_case(tx: sa.Connection) -> Any:
            inserted = tx.execute(table.insert().values(row)).inserted_primary_key
            return row[key] if key in row else inserted[0]

        return self.bank.run(use_case)
