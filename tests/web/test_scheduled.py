"""Scheduled payments as their customer sees them: coming, paid, not paid, cancelled; and the job that makes them."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from bank.accounts import service as accounts
from bank.audit.store import audit_records
from bank.cli import main
from bank.language import short_day
from bank.payments import due
from bank.payments.store import scheduled_payments
from tests.builders import Branch
from tests.web.conftest import Served

DAY_SECONDS = 86_400


def make_due(office: Served, days: int = 1) -> None:
    office.clock.step(days * DAY_SECONDS)
    due.pay_all(office.branch.bank)


def status(branch: Branch, scheduled_id: int) -> str:
    return branch.rows(sa.select(scheduled_payments.c.status).where(scheduled_payments.c.id == scheduled_id))[0][0]


def schedule_many(branch: Branch, count: int, status: str) -> list[int]:
    """So many payments by Alice to Bob that came to an end, a day apart; answers their ids."""
    first = branch.schedule("alice_current", "bob_current", 1)
    [template] = branch.rows(sa.select(scheduled_payments).where(scheduled_payments.c.id == first))
    plain = {name: value for name, value in template._mapping.items() if name != "id"}
    rows = [
        {
            **plain, "operation": f"many:{number}", "status": status, "minor_units": number,
            "due_on": date.fromordinal(date(2026, 1, 1).toordinal() + number % 28),
        }
        for number in range(1, count + 1)
    ]  # fmt: skip
    branch.bank.run(lambda tx: tx.execute(scheduled_payments.insert(), rows))
    query = sa.select(scheduled_payments.c.id).where(scheduled_payments.c.operation.like("many:%"))
    return [row.id for row in branch.rows(query)]


def test_who_has_scheduled_nothing_is_told_what_will_be_here_and_where_to_begin(office):
    page = office.browse_as("bob").get("/scheduled")

    assert page.status == 200
    assert "No payment is waiting." in page.text
    assert "/pay" in page.links
    assert "Made, not paid and cancelled" not in page.text


def test_payments_that_wait_are_listed_the_next_first(office):
    branch = office.branch
    later = branch.schedule("alice_current", "bob_current", 12_50, days=9, repeats="monthly")
    sooner = branch.schedule("alice_savings", "bob_current", 3_00, days=2)

    page = office.browse_as("alice").get("/scheduled")

    listed = [link for link in page.links if link.startswith("/scheduled/")]
    assert listed == [f"/scheduled/{sooner}", f"/scheduled/{later}"]
    [row] = branch.rows(sa.select(scheduled_payments.c.due_on).where(scheduled_payments.c.id == later))
    for text in (
        "12.50 USD", "Bob Nakamura", "Savings account", short_day(row.due_on), f"Monthly, on day {row.due_on.day}",
    ):  # fmt: skip
        assert text in page.text


def test_a_waiting_payment_says_when_it_is_paid_and_can_be_cancelled(office):
    branch = office.branch
    payment = branch.schedule("alice_current", "bob_current", 12_50, days=5)
    alice = office.browse_as("alice")

    page = alice.get(f"/scheduled/{payment}")
    assert "It will be paid on" in page.text
    assert f"/scheduled/{payment}/cancel" in page.links
    page = alice.done(f"/scheduled/{payment}/cancel")

    assert "You cancelled it. Nothing was paid." in page.text
    assert f"/scheduled/{payment}/cancel" not in page.links
    make_due(office, 6)
    assert branch.balance("bob_current") == 50_00
    actions = branch.rows(sa.select(audit_records.c.action).where(audit_records.c.subject == f"scheduled:{payment}"))
    assert [row.action for row in actions] == ["payment.scheduled", "payment.cancelled"]


def test_cancelling_a_monthly_payment_ends_the_following_ones_too(office):
    branch = office.branch
    payment = branch.schedule("alice_current", "bob_current", 1_00, repeats="monthly")
    alice = office.browse_as("alice")
    assert "those of the following months" in alice.get(f"/scheduled/{payment}/cancel").text

    alice.done(f"/scheduled/{payment}/cancel")

    make_due(office, 70)
    assert branch.balance("bob_current") == 50_00


def test_opening_the_question_cancels_nothing_and_the_same_form_twice_cancels_once(office):
    branch = office.branch
    payment = branch.schedule("alice_current", "bob_current", 1_00)
    alice = office.browse_as("alice")
    form = alice.get(f"/scheduled/{payment}/cancel")
    assert status(branch, payment) == "waiting"

    answers = [alice.submit(form, f"/scheduled/{payment}/cancel").status for _ in range(2)]

    assert answers == [303, 303]
    cancelled = branch.rows(sa.select(audit_records).where(audit_records.c.action == "payment.cancelled"))
    assert len(cancelled) == 1


def test_what_was_paid_meanwhile_is_not_cancelled_and_says_so(office):
    branch = office.branch
    payment = branch.schedule("alice_current", "bob_current", 1_00)
    alice = office.browse_as("alice")
    office.clock.step(DAY_SECONDS)
    alice.set_cookie("session", branch.session_of("alice"))
    form = alice.get(f"/scheduled/{payment}/cancel")
    due.pay_all(branch.bank)

    page = alice.submit(form, f"/scheduled/{payment}/cancel")

    assert page.status == 409
    assert page.problems == ["This payment is no longer waiting: it was made, refused or cancelled before."]
    assert status(branch, payment) == "done"


def test_a_payment_that_was_made_leads_to_its_receipt(office):
    payment = office.branch.schedule("alice_current", "bob_current", 12_50)
    make_due(office)
    alice = office.browse_as("alice")

    page = alice.get(f"/scheduled/{payment}")

    assert "It was paid." in page.text
    [receipt] = [link for link in page.links if link.startswith("/movements/")]
    assert "12.50 USD" in alice.get(receipt).text


def test_a_payment_that_was_refused_says_why_in_the_readers_language(office):
    branch = office.branch
    payment = branch.schedule("alice_current", "bob_current", 1_00)
    branch.run(accounts.freeze, branch.accounts["bob_current"], "frozen", reason="Court order")
    make_due(office)
    alice = office.browse_as("alice")

    page, listed = alice.get(f"/scheduled/{payment}"), alice.get("/scheduled")

    for shown in (page, listed):
        assert "The account to be paid could not receive payments." in shown.text
        assert "frozen" not in shown.text
    number = branch.number
    assert f"/pay?from={number('alice_current')}&to={number('bob_current')}" in page.links


@pytest.mark.parametrize("wanted", ["", "/cancel"])
def test_other_peoples_scheduled_payments_do_not_exist(wanted, office):
    branch = office.branch
    payment = branch.schedule("alice_current", "bob_current", 1_00)
    bob = office.browse_as("bob")

    assert bob.get(f"/scheduled/{payment}{wanted}").status == 404
    assert bob.post(f"/scheduled/{payment}/cancel").status == 404
    assert str(payment) not in [link.removeprefix("/scheduled/") for link in bob.get("/scheduled").links]
    assert status(branch, payment) == "waiting"


def test_payments_of_long_ago_are_on_further_pages_each_once(office_anywhere):
    ids = schedule_many(office_anywhere.branch, 45, "cancelled")
    alice = office_anywhere.browse_as("alice")

    path, seen, pages = "/scheduled", [], 0
    while path:
        page = alice.get(path)
        assert page.status == 200
        pages += 1
        assert ("No payment is waiting" in page.text or "Coming" in page.text) == (pages == 1)
        seen += [int(link.split("/")[-1]) for link in page.links if link.startswith("/scheduled/")]
        path = next((link for link in page.links if link.startswith("/scheduled?before=")), "")

    assert pages == 3
    ended = [each for each in seen if each in ids]
    assert sorted(ended) == sorted(ids)
    due_on = dict(
        map(tuple, office_anywhere.branch.rows(sa.select(scheduled_payments.c.id, scheduled_payments.c.due_on)))
    )
    assert ended == sorted(ended, key=lambda each: (due_on[each], each), reverse=True)


@pytest.mark.parametrize("place", ["x", "-1", "1" * 30])
def test_a_place_in_the_list_that_cannot_be_one_is_said_to_be_none(place, office):
    assert office.browse_as("alice").get(f"/scheduled?before={place}").status == 422


def test_the_place_of_somebody_elses_payment_shows_nothing(office):
    payment = office.branch.schedule("alice_current", "bob_current", 1_00)

    assert office.browse_as("bob").get(f"/scheduled?before={payment}").status == 200


# The job


def run_job(office: Served, *options: str) -> str:
    url = office.branch.bank.engine.url.render_as_string(hide_password=False)
    result = CliRunner().invoke(main, ["payments", "due", *options], env={"DATABASE_URL": url})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_job_says_what_it_did_and_a_dry_run_does_nothing(office):
    branch = office.branch
    poor, good = (branch.schedule("alice_current", "bob_current", minor) for minor in (900_00, 12_50))
    waiting = branch.schedule("alice_current", "bob_current", 1_00, days=9)
    past = {"due_on": branch.bank.clock.business_date()}
    branch.bank.run(
        lambda tx: tx.execute(scheduled_payments.update().where(scheduled_payments.c.id.in_([poor, good])).values(past))
    )

    said = run_job(office, "--dry-run")
    assert "2 payments are due. Nothing was paid: this was a dry run." in said
    assert "900.00 USD" in said
    assert "12.50 USD" in said
    assert branch.balance("bob_current") == 50_00

    assert run_job(office) == "1 payments made, 1 refused.\n"
    assert run_job(office, "--again") == "0 payments made, 0 refused.\n"
    assert [status(branch, each) for each in (poor, good, waiting)] == ["refused", "done", "waiting"]
    assert branch.balance("bob_current") == 62_50
