"""The door's own stories, told by programs: single, grouped and in batches, they come to the same as at the door."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final

import pytest
import sqlalchemy as sa

from bank.accounts import service as accounts
from bank.audit.model import Author
from bank.customers import store as customer_store
from bank.customers.store import customers
from bank.identity import tokens
from bank.identity.staff import Role
from bank.identity.store import staff
from bank.identity.tokens import SCOPES
from bank.ledger import service as ledger
from bank.ledger import store
from bank.ledger.model import Limits
from bank.ledger.tables import journal_entries
from bank.payments.store import payees
from bank.storage.metadata import generated_id
from tests.api.conftest import Program, program
from tests.builders import a_key
from tests.databases import Databases
from tests.ledger import assert_books_balance, opened
from tests.scenario import _ACTS, _ENTRIES, Line, Scenario, StoryFailed
from tests.servers import DatabaseUrls
from tests.storage.test_door_cases import CASES
from tests.web.conftest import Served, served

#: What a story may have in it to be told here: the rest (captures, entries of many sides, other currencies, booking back
#: in time, another's key) no program can ask for.
_COMMANDS: Final = {
    "open", "deposit", "withdraw", "transfer", "pay", "hold", "release", "reverse", "replay", "freeze", "unfreeze", "close",
    "floor", "limits", "clock", "expect", "journal", "batch", "end",
}  # fmt: skip
_OPTIONS: Final = {"currency", "by", "day", "narrative", "of", "chart"}
#: What the API tells instead of the door's own word: the payee's state is not the payer's to know, and nobody reverses
#: what they reversed themselves.
_NAMED: Final = {
    "account_frozen": ("payee_cannot_receive",),
    "account_closed": ("payee_cannot_receive",),
    "not_reversible": ("own_entry",),
}


def _lines(story: str) -> list[Line]:
    return [Line.read(at, text) for at, text in enumerate(story.splitlines(), 1) if text.split("#")[0].strip()]


def _can_be_told(story: str) -> bool:
    lines = _lines(story)
    commands = {line.command for line in lines}
    words = {word for line in lines for word in line.words}
    own_limits = "limits" in commands or any({"per_payment", "per_day"} & line.options.keys() for line in lines)
    return (
        commands <= _COMMANDS
        and not any(_OPTIONS & line.options.keys() - {"chart"} for line in lines)
        and not words & {"suspense", "fee_income", "clearing", "nobody"}
        and not any(word.endswith("EUR") for word in words)
        and not any("till" in line.words and line.command != "expect" for line in lines)
        # Between one's own accounts no limit applies, to others' one does: a story has the one or the other.
        and not {"pay", "transfer"} <= commands
        and not (own_limits and commands & {"withdraw", "transfer"})
        and all(re.fullmatch("[!-~]+", line.options.get("key", "-"), re.ASCII) for line in lines)
        and any(line.command in _ENTRIES for line in lines)
    )


STORIES: Final = {name: story for name, story in CASES.items() if _can_be_told(story)}


class StoryClock:
    """Tells each thread the time of the story that it plays."""

    def __init__(self, like: Any) -> None:
        self.business_timezone = like.business_timezone
        self.local = threading.local()

    def now(self) -> datetime:
        story: Scenario | None = getattr(self.local, "story", None)
        return story.now if story else datetime(2026, 3, 2, tzinfo=UTC)

    def business_date(self, instant: datetime | None = None) -> date:
        return (instant or self.now()).astimezone(self.business_timezone).date()


#: How a call went: the method, path and body that a `replay` sends again, and by whom.
Call = tuple[Program, str, dict[str, Any], str]


@dataclass
class Told(Scenario):
    """A story whose lines are calls of the API: by its customers, a teller with a till of its own, and two executives."""

    office: Served = field(kw_only=True)
    executives: tuple[Program, Program] = field(kw_only=True)
    with_limits: bool = field(kw_only=True)
    in_batches: bool = field(kw_only=True)
    serial: str = field(default_factory=lambda: f"{_serial():09}")
    teller: Program = field(init=False)
    owners: dict[int, tuple[int, Program]] = field(default_factory=dict)
    numbers: dict[int, str] = field(default_factory=dict)
    limited: dict[str, dict[str, str]] = field(default_factory=dict)
    sent: dict[str, tuple[str, Call]] = field(default_factory=dict)

    def tell(self, story: str) -> Books:
        """Play it; answers what is on its accounts in the end."""
        self.account("till-USD")
        lines = _lines(story)
        while lines:
            line = lines.pop(0)
            block = []
            while line.command == "batch" and (inner := lines.pop(0)).command != "end":
                block.append(inner)
            self._told(line, block)
        return books(self)

    def _told(self, line: Line, block: list[Line]) -> None:
        own = {"freeze": self._freeze, "unfreeze": self._freeze, "open": self._open_account, "limits": self._limit}
        if block or line.command in _ENTRIES:
            self._send(block or [line])
        elif line.command in own:
            own[line.command](line)
        elif line.command != "journal":
            _ACTS[line.command](self, line)

    # What stands beside the API

    def _open(self, name: str, chart: str, currency: str, floor: int | None) -> int:
        opened = super()._open(f"{name}-{self.serial}", chart, currency, floor)
        row = {
            "user_id": f"T-{self.serial}", "name": "Story", "role": "teller", "password_hash": "none", "till_account_id": opened,
            "must_change_password": False, "created_at": self.now,
        }  # fmt: skip
        staff_id = self.bank.run(lambda tx: generated_id(tx.execute(staff.insert(), row)))
        self.teller = self._program("staff", staff_id)
        return opened

    def _program(self, kind: str, person_id: int) -> Program:
        by = Author(f"{kind}:{person_id}", self.now, self.now.date())
        made = self.bank.run(tokens.make, kind, person_id, name="Story", scopes=tuple(SCOPES[kind]), days=300, by=by)
        return Program(self.office.app, made[1])

    def _owner(self) -> tuple[int, Program]:
        """Each account's own where limits are to apply, else the same for all."""
        if self.owners and not self.with_limits:
            return next(iter(self.owners.values()))
        row = dict.fromkeys(("address", "city", "region", "postcode", "email", "phone"), "")
        row |= {"number": f"8{_serial():09}", "name": "Story", "search_name": "story"}
        insert = lambda tx: generated_id(tx.execute(customers.insert(), {**row, "created_at": self.now}))  # noqa: E731
        customer_id = self.bank.run(insert)
        return customer_id, self._program("customer", customer_id)

    def _open_account(self, line: Line) -> None:
        name, number = line.words[0], f"7{_serial():09}"
        customer_id, program = self._owner()
        self.currencies[0] = "USD"
        floor = self.money(line.options.get("floor", "0.00"), 0).minor_units

        def use_case(tx: sa.Connection) -> int:
            owner = customer_store.by_id(tx, customer_id)
            assert owner is not None
            product = line.options.get("chart", "current")
            opened = accounts.bring_in(
                tx, owner, product, "USD", number=number, floor=floor, by=self.author(), action="account.opened"
            )
            return opened.id

        account = self.accounts[name] = self.bank.run(use_case)
        self.currencies[account], self.numbers[account], self.owners[account] = "USD", number, (customer_id, program)
        for paying, (payer, _) in self.owners.items():
            for receiving, (payee, _) in self.owners.items():
                if payer != payee and account in (paying, receiving):
                    self._know(payer, receiving)
        self.limited[name] = {}
        if self.with_limits:
            self._limit(line)

    def _know(self, customer_id: int, account_id: int) -> None:
        row = {"customer_id": customer_id, "account_id": account_id, "name": "Somebody", "name_check": "match"}
        instants = {"created_at": self.now, "removed_at": self.now}
        self.bank.run(lambda tx: tx.execute(payees.insert(), {**row, **instants}))

    def _limit(self, line: Line) -> None:
        """The bank's limits are settings, of all stories at once: so accounts without limits of their own get them."""
        given = {which: line.options[which] for which in ("per_payment", "per_day") if which in line.options}
        if line.words[0] == "everyone":
            limits = {which: self.money(figure, 0).minor_units for which, figure in given.items()}
            self.limits = Limits(limits.get("per_payment", 0), limits.get("per_day", 0))
            names = list(self.limited)
        else:
            names = [line.words[0]]
            self.limited[names[0]] = given
        for name in names:
            own = {which: self.money(figure, 0).minor_units for which, figure in self.limited[name].items()}
            limits = {"per_payment": self.limits.per_payment, "per_day": self.limits.per_day, **own}
            self.bank.run(ledger.set_limits, self.accounts[name], **limits, by=self.author(), reason="story")

    # What goes through the API

    def _freeze(self, line: Line) -> None:
        frozen = "debits_frozen" if "debits" in line.words else "frozen"
        body = {"status": frozen if line.command == "freeze" else "open", "reason": "story"}
        number = self.numbers[self.accounts[line.words[0]]]
        answer = self.executives[0].ask("PUT", f"/accounts/{number}/status", json=body)
        assert answer.status_code == 200, answer.text

    def _send(self, lines: list[Line]) -> None:
        calls = [self._call(line) for line in lines]
        who, path = calls[0][:2]
        if self.in_batches and path == "/transfers" and all(call[:2] == (who, path) for call in calls):
            items = [{**body, "idempotency_key": key} for _who, _path, body, key in calls]
            answered = [_of_item(item) for item in who.post("/batches", json={"transfers": items}).json["items"]]
        else:
            answered = [
                _of_answer(by.post(to, json=body, headers={"Idempotency-Key": key})) for by, to, body, key in calls
            ]
        for line, call, (happened, replayed) in zip(lines, calls, answered, strict=True):
            self._compare_answer(line, happened, replayed)
            if line.label:
                self._keep(line, call)

    def _compare_answer(self, line: Line, happened: str, replayed: bool) -> None:
        *how, wanted = line.outcome.split()
        if wanted == "replayed":
            how, wanted = ["replayed"], "posted"
        if (happened not in (wanted, *_NAMED.get(wanted, ()))) or replayed != (how == ["replayed"]):
            raise StoryFailed(f"line {line.number}: `{line.text}`: {'replayed ' if replayed else ''}{happened}")

    def _keep(self, line: Line, call: Call) -> None:
        who, _path, _body, key = call
        query = sa.select(journal_entries.c.id).where(journal_entries.c.idempotency_key == key)
        with self.bank.reader() as reader:
            self.entries[line.label or ""] = reader.execute(query).scalar() or 0
        self.sent[line.label or ""] = (line.command, call)
        if line.command == "hold":
            self.hold_accounts[line.label or ""] = self.accounts[line.words[0]]

    def _call(self, line: Line) -> Call:
        if line.command == "replay":
            return self.sent[line.words[0]][1]
        key = f"{self.serial}-{line.options.get('key', f'line-{line.number}')}"
        first = self.accounts.get(line.words[0], 0)
        place = f"/accounts/{self.numbers.get(first, '999999999')}"
        if line.command in ("deposit", "withdraw"):
            path = f"{place}/{'deposits' if line.command == 'deposit' else 'withdrawals'}"
            return self.teller, path, {"amount": self._amount(line.words[1])}, key
        if line.command in ("pay", "transfer"):
            to = self.numbers[self.accounts[line.words[1]]]
            body = {"from": self.numbers[first], "to": to, "amount": self._amount(line.words[2])}
            return self.owners[first][1], "/transfers", body, key
        if line.command == "hold":
            body = {"amount": self._amount(line.words[1]), "reason": "story"}
            if "expires" in line.options:
                body["until"] = (self.now + self.span(line.options["expires"])).isoformat()
            return self.executives[0], f"{place}/holds", body, key
        if line.command == "release":
            number = self.numbers[self.hold_accounts[line.words[0]]]
            path = f"/accounts/{number}/holds/{self.entries[line.words[0]]}/release"
            return self.executives[0], path, {"reason": "story"}, key
        assert line.command == "reverse", line.command
        return self.executives[1], f"/entries/{self.entries[line.words[0]]}/reversal", {"reason": "story"}, key

    def _amount(self, text: str) -> dict[str, Any]:
        amount = self.money(text, 0)
        return {"minor_units": amount.minor_units, "currency": amount.currency}


#: What is on a story's accounts: booked, held, status.
Books = dict[str, tuple[int, int, str]]


def books(story: Scenario) -> Books:
    with story.bank.reader() as reader:
        found = {name: store.account(reader, account_id) for name, account_id in story.accounts.items()}
    return {name: (each.balance, each.held, each.status) for name, each in found.items() if each}


def _of_answer(answer: Any) -> tuple[str, bool]:
    happened = "posted" if answer.status_code == 201 else answer.json["code"]
    return happened, "Idempotent-Replayed" in answer.headers


def _of_item(item: Any) -> tuple[str, bool]:
    return item["problem"]["code"] if item["status"] == "refused" else "posted", item["replayed"]


def _serial() -> int:
    return int(a_key()[-12:])


@pytest.fixture(scope="module")
def at_the_door(sqlite_databases: Databases) -> dict[str, Books]:
    """How each story ends that is played at the door itself."""
    ended = {}
    for name, story in STORIES.items():
        with sqlite_databases.migrated() as urls, opened(urls.app) as bank:
            ended[name] = books(Scenario(bank).play(story))
    return ended


@pytest.mark.parametrize("how", ["single", "grouped", "batches"])
def test_a_story_told_by_programs_ends_as_at_the_door(
    database_urls: DatabaseUrls, dialect: str, how: str, at_the_door: dict[str, Books]
):
    settings = {"api_calls_per_minute": 1_000_000, "group_commit_most": 64 if how == "grouped" else 1}
    with served(database_urls.app, limit_per_payment_minor=10**15, limit_per_day_minor=10**17, **settings) as office:
        bank = office.branch.bank
        office.branch.add_staff("other", "EXECUTIVE-2", Role.EXECUTIVE)
        executives = program(office, "executive"), program(office, "other")
        clock = StoryClock(bank.clock)
        object.__setattr__(bank, "clock", clock)
        groups: list[int] = []
        send = bank.committer._send
        bank.committer._send = lambda batch: groups.append(len(batch)) or send(batch)  # type: ignore[func-returns-value]

        def tell(name: str) -> str | None:
            with_limits = any(line.command == "pay" for line in _lines(STORIES[name]))
            told = Told(
                bank, office=office, executives=executives, with_limits=with_limits, in_batches=how == "batches"
            )
            clock.local.story = told
            try:
                ended = told.tell(STORIES[name])
            except StoryFailed as failed:
                return f"{name}: {failed}"
            # A till that no cash went through is none of the door's story.
            same = ended == {"till-USD": (0, 0, "open"), **at_the_door[name]}
            return None if same else f"{name}: {ended} and not {at_the_door[name]}"

        with ThreadPoolExecutor(8 if how == "grouped" else 1) as threads:
            failures = [failed for failed in threads.map(tell, STORIES) if failed]
        assert not failures, "\n".join(failures)
        assert (max(groups, default=0) > 1) == (how == "grouped")
        assert (not groups) == (how == "batches")
        assert_books_balance(bank)


def test_most_of_the_stories_are_told():
    assert len(STORIES) >= 35
