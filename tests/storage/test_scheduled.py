"""Scheduled payments are made on their day, each once, whoever runs the job, how often, and whatever kills it."""

from __future__ import annotations

import calendar
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bank.accounts import service as accounts
from bank.audit.model import Author
from bank.language import read_in
from bank.ledger.errors import AccountClosed, KeyReused, OverPaymentLimit
from bank.ledger.tables import journal_entries
from bank.money import Money
from bank.payments import due, scheduled
from bank.payments import service as payments
from bank.payments.model import Scheduled, TransferOrder, next_month
from bank.payments.store import scheduled_payments
from bank.storage.transaction import Bank
from tests.builders import CURRENCY, DEVELOPMENT_IDENTITY_KEY, Branch, a_bank, a_key
from tests.ledger import assert_books_balance
from tests.racing import racers
from tests.servers import DatabaseUrls

ROUNDS = 6
DAY_SECONDS = 86_400


@pytest.fixture
def branch(database_urls: DatabaseUrls) -> Iterator[Branch]:
    bank = a_bank(database_urls.app)
    yield Branch.open(bank)
    assert_books_balance(bank)
    bank.engine.dispose()


def order(
    branch: Branch, minor_units: int = 1_00, *, to: str = "bob_current", key: str | None = None, reference: str = "Rent"
) -> TransferOrder:
    return TransferOrder(
        branch.accounts["alice_current"].id, branch.accounts[to].id, Money(minor_units, CURRENCY), reference,
        key or a_key(), branch.customer("alice").id,
    )  # fmt: skip


def schedule(
    branch: Branch,
    minor_units: int = 1_00,
    *,
    days: int = 1,
    on: date | None = None,
    repeats: str = "once",
    asked: TransferOrder | None = None,
    by: Author | None = None,
    **rest: Any,
) -> int:
    """A payment by Alice to Bob, `days` ahead of today; answers its id."""
    by = by or branch.author("alice")
    return scheduled.schedule(
        branch.bank,
        asked or order(branch, minor_units, **rest),
        due_on=on or by.business_date + timedelta(days=days),
        repeats=repeats,
        payee_name="Bob",
        by=by,
    )


def step(branch: Branch, days: int) -> None:
    branch.bank.clock.step(days * DAY_SECONDS)  # type: ignore[attr-defined]  # a stepped clock


def found(branch: Branch, scheduled_id: int) -> Scheduled:
    with branch.bank.reader() as reader:
        return scheduled.of_customer(reader, branch.customer("alice").id, scheduled_id)


def paid(branch: Branch) -> int:
    """How many scheduled payments have become entries that moved something."""
    c = journal_entries.c
    entries = branch.rows(sa.select(c.idempotency_key, c.refusal).where(c.kind == "transfer"))
    return sum(row.idempotency_key.startswith("scheduled:") and not row.refusal for row in entries)


# On its day


def test_a_payment_is_made_on_its_day_by_its_customer_and_only_once(branch):
    payment = schedule(branch, 30_00, days=2)
    step(branch, 1)
    assert due.pay_all(branch.bank) == Counter()
    step(branch, 1)

    assert due.pay_all(branch.bank) == Counter(done=1)
    assert due.pay_all(branch.bank) == Counter()

    assert (branch.balance("alice_current"), branch.balance("bob_current")) == (70_00, 80_00)
    entry_id = found(branch, payment).entry_id
    [entry] = branch.rows(sa.select(journal_entries).where(journal_entries.c.id == entry_id))
    assert (entry.caller, entry.idempotency_key) == (str(branch.customer("alice")), f"scheduled:{payment}")
    assert (entry.narrative, entry.booking_date) == ("Rent", branch.author().business_date)
    assert found(branch, payment).status == "done"
    assert found(branch, payment).why == ""


def test_days_that_were_missed_are_caught_up_oldest_first(branch):
    # There is money for one of them: the older has it.
    later, earlier = schedule(branch, 80_00, days=3), schedule(branch, 70_00, days=2)
    step(branch, 10)

    assert due.pay_all(branch.bank) == Counter(done=1, refused=1)

    assert (found(branch, earlier).status, found(branch, later).status) == ("done", "refused")


def test_a_monthly_payment_is_made_every_month_at_the_end_of_short_ones_too(branch):
    year = branch.bank.clock.business_date().year + 1
    by = Author(str(branch.customer("alice")), branch.bank.clock.now(), date(year, 1, 15))
    schedule(branch, 10_00, on=date(year, 1, 31), repeats="monthly", by=by)
    step(branch, (date(year, 4, 30) - branch.bank.clock.business_date()).days)

    assert due.pay_all(branch.bank) == Counter(done=4)

    rows = branch.rows(sa.select(scheduled_payments).order_by(scheduled_payments.c.id))
    assert [(row.due_on, row.status) for row in rows] == [
        (date(year, 1, 31), "done"),
        (date(year, 2, calendar.monthrange(year, 2)[1]), "done"),
        (date(year, 3, 31), "done"),
        (date(year, 4, 30), "done"),
        (date(year, 5, 31), "waiting"),
    ]
    assert len({row.operation for row in rows}) == 5
    assert branch.balance("alice_current") == 60_00


def test_a_monthly_payment_that_is_refused_waits_for_the_next_month_all_the_same(branch):
    payment = schedule(branch, 500_00, repeats="monthly")
    step(branch, 1)

    assert due.pay_all(branch.bank) == Counter(refused=1)

    with branch.bank.reader() as reader:
        [following] = scheduled.coming(reader, branch.customer("alice").id)
    assert following.due_on == next_month(found(branch, payment).due_on, following.day_of_month)


def test_a_monthly_payment_ends_when_its_account_is_closed(branch):
    payment = schedule(branch, 5_00, repeats="monthly")
    branch.transfer("alice_current", "bob_current", branch.balance("alice_current"))
    branch.run(accounts.close, branch.accounts["alice_current"], reason="Moves away")
    step(branch, 1)

    assert due.pay_all(branch.bank) == Counter(refused=1)

    with branch.bank.reader() as reader:
        assert scheduled.coming(reader, branch.customer("alice").id) == []
    assert "not tried again" in found(branch, payment).why


# Refused


def too_poor(branch: Branch) -> None:
    branch.transfer("alice_current", "bob_current", 95_00)


def freeze_payer(branch: Branch) -> None:
    branch.run(accounts.freeze, branch.accounts["alice_current"], "debits_frozen", reason="Lost card")


def freeze_payee(branch: Branch) -> None:
    branch.run(accounts.freeze, branch.accounts["bob_current"], "frozen", reason="Court order")


def take_away(branch: Branch) -> None:
    branch.run(accounts.add_holder, branch.accounts["alice_current"], branch.customer("bob"), "owner")
    branch.run(accounts.remove_holder, branch.accounts["alice_current"], branch.customer("alice").id, reason="Sold")


def deactivate(branch: Branch) -> None:
    branch.run(accounts.add_holder, branch.accounts["alice_current"], branch.customer("bob"), "owner")
    branch.run(accounts.deactivate_customer, branch.customer("alice").id, reason="Moved away")


REFUSALS = [
    (too_poor, "insufficient_funds", "There was not enough on the account: 5.00 USD was available."),
    (freeze_payer, "account_frozen", "The account it was to be paid from was frozen."),
    (freeze_payee, "payee_cannot_receive", "The account to be paid could not receive payments."),
    (take_away, "no_such_account", "You could no longer pay from this account. It is not tried again."),
    (deactivate, "customer_inactive", "You could not pay at that time."),
]


@pytest.mark.parametrize(("happens", "code", "sentence"), REFUSALS, ids=[code for _, code, _ in REFUSALS])
def test_what_the_customer_could_not_pay_by_hand_that_day_is_refused_and_says_why(happens, code, sentence, branch):
    payment = schedule(branch, 30_00)
    step(branch, 1)
    happens(branch)
    before = branch.balance("bob_current")

    # The job speaks no language of its own: what is stored is told to each reader in theirs.
    with read_in("es"):
        assert due.pay_all(branch.bank) == Counter(refused=1)
    assert due.pay_all(branch.bank) == Counter()

    refused = found(branch, payment)
    assert refused.refusal is not None
    assert (refused.status, refused.refusal["code"], refused.why) == ("refused", code, sentence)
    assert branch.balance("bob_current") == before
    with branch.bank.reader() as reader:
        customer_id = branch.customer("alice").id
        now, until = branch.bank.clock.now(), branch.bank.clock.business_date()
        day = timedelta(days=1)
        _, lately = scheduled.coming_and_refused(reader, customer_id, until=until, since=now - day)
        assert [each.id for each in lately] == [payment]
        assert scheduled.coming_and_refused(reader, customer_id, until=until, since=now + day) == ([], [])


def test_the_limits_of_a_day_hold_for_scheduled_payments_as_for_others(branch):
    branch.deposit(branch.accounts["alice_current"], 90_000_00)
    payments_of_the_day = [schedule(branch, 10_000_00, days=1) for _ in range(3)]
    step(branch, 1)

    assert due.pay_all(branch.bank) == Counter(done=2, refused=1)
    assert found(branch, payments_of_the_day[2]).why == (
        "It was more than what was left of the day's limit of 25,000.00 USD."
    )


# Asking for one


def test_the_same_form_twice_schedules_one_payment_and_another_content_is_refused(branch):
    asked = order(branch)

    assert schedule(branch, asked=asked) == schedule(branch, asked=asked)
    for other in ({"minor_units": 2_00}, {"reference": "Other"}, {"to": "alice_savings"}):
        with pytest.raises(KeyReused):
            schedule(branch, asked=order(branch, key=asked.key, **other))
    with pytest.raises(KeyReused):
        schedule(branch, asked=asked, days=2)
    with pytest.raises(KeyReused):
        schedule(branch, asked=asked, repeats="monthly")
    [count] = branch.rows(sa.select(sa.func.count()).select_from(scheduled_payments))
    assert count[0] == 1


def test_a_form_that_has_paid_at_once_does_not_schedule_the_same_again(branch):
    asked = order(branch)
    payments.transfer(branch.bank, asked, by=branch.author("alice"))

    with pytest.raises(KeyReused):
        schedule(branch, asked=asked)


def test_two_customers_may_come_with_the_same_operation(branch):
    mine = order(branch)
    theirs = TransferOrder(
        branch.accounts["bob_current"].id, mine.from_account_id, mine.amount, "", mine.key, branch.customer("bob").id
    )

    assert schedule(branch, asked=mine) != schedule(branch, asked=theirs, by=branch.author("bob"))


@pytest.mark.parametrize("days", [-1, 0, 366])
def test_a_payment_is_for_a_day_of_the_year_to_come(days, branch):
    with pytest.raises(scheduled.InvalidDueDay, match="Choose a day from"):
        schedule(branch, days=days)
    assert schedule(branch, days=365)


def test_what_could_not_be_paid_on_any_day_is_refused_at_once(branch):
    with pytest.raises(payments.SameAccount):
        schedule(branch, to="alice_current")
    with pytest.raises(OverPaymentLimit):
        schedule(branch, 10_000_01)
    # Between one's own accounts no limit applies.
    schedule(branch, 10_000_01, to="alice_savings")
    empty = branch.open_account("bob", "savings")
    branch.run(accounts.close, empty, reason="Asked")
    with pytest.raises(payments.PayeeCannotReceive):
        schedule(branch, to="bob_savings")
    closed = branch.open_account("alice", "current")
    branch.run(accounts.close, closed, reason="Asked")
    with pytest.raises(AccountClosed):
        schedule(branch)


def test_a_customer_has_only_so_many_waiting(branch):
    alice, row = branch.customer("alice").id, order(branch)
    rows = [
        {
            "operation": f"{alice}:{number}", "customer_id": alice, "from_account_id": row.from_account_id,
            "to_account_id": row.to_account_id, "payee_name": "Bob", "minor_units": 1, "currency": CURRENCY,
            "reference": "", "due_on": date(2099, 1, 1), "repeats": "once", "day_of_month": 1,
            "created_at": branch.bank.clock.now(),
        }
        for number in range(scheduled.MOST_WAITING)
    ]  # fmt: skip
    branch.bank.run(lambda tx: tx.execute(scheduled_payments.insert(), rows))

    with pytest.raises(scheduled.TooManyWaiting):
        schedule(branch)
    [first, *_] = branch.rows(sa.select(scheduled_payments.c.id))
    branch.bank.run(scheduled.cancel, alice, first.id, by=branch.author("alice"))
    assert schedule(branch)


# What is to come


def test_what_is_coming_shows_every_time_of_a_monthly_payment_up_to_the_day(branch):
    alice = branch.customer("alice").id
    by = Author(str(branch.customer("alice")), branch.bank.clock.now(), date(2027, 1, 15))
    monthly = schedule(branch, on=date(2027, 1, 31), repeats="monthly", by=by)
    once = schedule(branch, on=date(2027, 2, 28), by=by)
    schedule(branch, on=date(2027, 4, 1), by=by)

    with branch.bank.reader() as reader:
        times = [(each.id, each.due_on) for each in scheduled.coming(reader, alice, until=date(2027, 3, 31))]
        assert times == [
            (monthly, date(2027, 1, 31)),
            (monthly, date(2027, 2, 28)),
            (once, date(2027, 2, 28)),
            (monthly, date(2027, 3, 31)),
        ]
        assert len(scheduled.coming(reader, alice)) == 3
        assert scheduled.coming(reader, branch.customer("bob").id, until=date(2027, 3, 31)) == []


# Races and deaths


def test_jobs_on_several_servers_make_each_payment_once(branch, database_urls):
    for _ in range(12):
        schedule(branch, 1_00, repeats="monthly")
    step(branch, 1)
    now = branch.bank.clock.now()
    by = Author("cli:payments", now, branch.bank.clock.business_date(now))

    def make_all(bank: Bank) -> Counter[str]:
        with bank.reader() as reader:
            waiting = due.oldest(reader, by.business_date)
        return Counter(filter(None, (bank.run(due.pay, bank.settings, row.id, by) for row in waiting)))

    with racers(database_urls.app, 4) as team:
        answers = team.race(*[make_all] * 4)

    assert sum(answers, Counter()) == Counter(done=12)  # type: ignore[arg-type]  # no racer was refused
    assert (paid(branch), branch.balance("alice_current")) == (12, 88_00)
    assert branch.rows(sa.select(sa.func.count()).where(scheduled_payments.c.status == "waiting")) == [(12,)]


def test_a_payment_is_either_cancelled_or_made(branch, database_urls):
    alice, by = branch.customer("alice").id, branch.author("alice")
    with racers(database_urls.app, 2) as team:
        for made in range(ROUNDS):
            payment = schedule(branch, 1_00)
            now = branch.bank.clock.now() + timedelta(days=1)
            job = Author("cli:payments", now, branch.bank.clock.business_date(now))
            before = paid(branch)
            team.race(
                lambda bank, payment=payment: bank.run(scheduled.cancel, alice, payment, by=by),
                lambda bank, payment=payment, job=job: bank.run(due.pay, bank.settings, payment, job),
            )
            assert (paid(branch) - before, found(branch, payment).status) in [(0, "cancelled"), (1, "done")], made


def test_a_double_click_schedules_one(branch, database_urls):
    with racers(database_urls.app, 3) as team:
        for _ in range(ROUNDS):
            asked, by = order(branch), branch.author("alice")
            due_on = by.business_date + timedelta(days=1)
            ids = team.race(
                *[
                    lambda bank, asked=asked, due_on=due_on, by=by: scheduled.schedule(
                        bank, asked, due_on=due_on, repeats="once", payee_name="Bob", by=by
                    )
                ]
                * 3
            )
            assert len(set(ids)) == 1, ids


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_job_that_is_killed_is_finished_by_the_next_run_and_nothing_is_paid_twice(branch, database_urls):
    count = 600
    yesterday = Author(
        str(branch.customer("alice")), branch.bank.clock.now(), branch.bank.clock.business_date() - timedelta(days=2)
    )
    first = schedule(branch, 1, by=yesterday)
    [template] = branch.rows(sa.select(scheduled_payments).where(scheduled_payments.c.id == first))
    copies = [
        {**{name: value for name, value in template._mapping.items() if name != "id"}, "operation": f"copy:{number}"}
        for number in range(count - 1)
    ]
    branch.bank.run(lambda tx: tx.execute(scheduled_payments.insert(), copies))

    deaths = 0
    while (before := paid(branch)) < count:
        assert deaths < 20, "the job never comes on"
        job = the_job(database_urls.app, "--again")
        while job.poll() is None and paid(branch) < before + 150:
            time.sleep(0.005)
        job.kill()
        deaths += job.wait() != 0

    assert deaths >= 2
    assert job_says(database_urls.app, "--again") == "0 payments made, 0 refused."
    assert (branch.balance("alice_current"), branch.balance("bob_current")) == (100_00 - count, 50_00 + count)
    rows = branch.rows(sa.select(scheduled_payments.c.status, scheduled_payments.c.entry_id))
    assert Counter(row.status for row in rows) == Counter(done=count)
    assert len({row.entry_id for row in rows}) == count


def environment(url: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "DATABASE_URL": url, "IDENTITY_KEYS": DEVELOPMENT_IDENTITY_KEY}


def the_job(url: str, *options: str) -> subprocess.Popen[str]:
    """`bank payments due`, as a timer starts it."""
    return subprocess.Popen(
        [sys.executable, "-c", "from bank.cli import main; main()", "payments", "due", *options],
        env=environment(url),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def job_says(url: str, *options: str) -> str:
    output, _ = the_job(url, *options).communicate(timeout=60)
    return output.strip()
