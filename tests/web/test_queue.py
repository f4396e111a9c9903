"""What customers report and tills that do not balance: taken by one, answered once, read by whom it concerns."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from bank.cases.store import cases
from tests.builders import Branch
from tests.web.conftest import Served
from tests.web.test_operations import at_once, twin

TOLD = "I never was at this till. «Nunca» 🧾"


def paid(branch: Branch) -> int:
    """A payment that Alice made herself: everybody at the branch may look into it."""
    return branch.transfer("alice_current", "bob_current", 9_00, by="alice")


def reported(branch: Branch) -> tuple[int, int]:
    """A payment of Alice's that she reported, and the case."""
    entry = paid(branch)
    return entry, branch.report("alice", entry, TOLD)


def a_difference(branch: Branch, name: str = "teller") -> int:
    """The case of somebody's till that lacked a dollar."""
    branch.count_till(name, branch.till(name).balance - 1_00, "A dollar is missing")
    return branch.rows(sa.select(sa.func.max(cases.c.id)))[0][0]


def test_a_customer_reports_and_reads_the_answer(office_anywhere):
    office, branch = office_anywhere, office_anywhere.branch
    entry = paid(branch)
    alice, teller = office.browse_as("alice"), office.browse_as("teller")

    sent = alice.done(f"/movements/{entry}/report", told=TOLD)
    queue = teller.get("/staff/queue")
    [case] = [link for link in queue.links if "/staff/cases/" in link]
    taken = teller.follow(teller.post(f"{case}/take"))
    waiting = alice.get("/cases")
    teller.follow(teller.submit(taken, case, answer="It was your sister, with your card. ¿De acuerdo?"))

    assert TOLD in sent.text
    assert "The branch has your report" in sent.text
    assert TOLD in queue.text
    assert "nobody yet" in queue.text
    assert "being looked at" in waiting.text
    [mine] = [link for link in waiting.links if link.startswith("/cases/")]
    assert "It was your sister, with your card. ¿De acuerdo?" in alice.get(f"/movements/{entry}").text
    assert "It was your sister, with your card. ¿De acuerdo?" in alice.get(mine).text
    assert "Nothing waits" in teller.get("/staff/queue").text
    assert TOLD in teller.get("/staff/queue?show=closed").text


def test_a_second_report_of_the_same_movement_adds_nothing_and_says_so(office):
    branch, alice = office.branch, office.browse_as("alice")
    entry, _case = reported(branch)

    again = alice.send(f"/movements/{entry}/report", told="And another thing.")

    assert again.status == 409
    assert again.problems == [
        "You have reported this movement already; the branch is on it. Nothing was added: see your reports."
    ]
    assert again.form.values["told"] == "And another thing."
    assert len(branch.rows(sa.select(cases.c.id))) == 1


def test_a_report_sent_again_is_the_same_report_even_after_its_answer(office):
    branch, alice, teller = office.branch, office.browse_as("alice"), office.browse_as("teller")
    path = f"/movements/{paid(branch)}/report"
    page = alice.get(path)
    first = alice.submit(page, path, told=TOLD)
    case = f"/staff{first.location}"
    teller.submit(teller.follow(teller.post(f"{case}/take")), case, answer="All is well.")

    again = alice.submit(page, path, told=TOLD)
    other = alice.submit(page, path, told="Something else")

    assert (first.status, again.status, again.location) == (303, 303, first.location)
    assert other.status == 422
    assert len(branch.rows(sa.select(cases.c.id))) == 1
    assert alice.send(path, told="It happened again.").status == 303


def test_of_many_reports_at_once_one_is_opened(office_anywhere):
    office, branch = office_anywhere, office_anywhere.branch
    alice = office.browse_as("alice")
    path = f"/movements/{branch.deposit(branch.accounts['alice_current'], 1)}/report"
    pages = [alice.get(path) for _ in range(4)]

    answers = at_once(4, lambda: twin(alice).submit(pages.pop(), path, told=TOLD))

    assert sorted(answer.status for answer in answers) == [303, 409, 409, 409]
    assert len(branch.rows(sa.select(cases.c.id))) == 1


def test_both_owners_of_an_account_report_for_themselves(office):
    branch = office.branch
    entry = branch.transfer("alice_current", "bob_current", 1_00)

    mine, theirs = branch.report("alice", entry), branch.report("bob", entry)

    assert mine != theirs
    assert office.browse_as("bob").get(f"/cases/{mine}").status == 404
    assert office.browse_as("bob").get(f"/cases/{theirs}").status == 200


def test_others_movements_cannot_be_reported(office):
    branch = office.branch
    entry = branch.deposit(branch.accounts["bob_current"], 1)

    answer = office.browse_as("alice").post(f"/movements/{entry}/report", {"told": TOLD, "operation": "x"})

    assert answer.status == 404


@pytest.mark.parametrize("told", ["", "   ", "x" * 1001])
def test_a_report_says_something_and_not_too_much(told, office):
    entry = office.branch.deposit(office.branch.accounts["alice_current"], 1)

    answer = office.browse_as("alice").send(f"/movements/{entry}/report", told=told)

    assert (answer.status, answer.problem_links) == (422, ["#told"])
    assert answer.form.values["told"] == told.strip()


def test_two_who_take_the_same_case_one_gets_it_and_the_other_reads_who(office_anywhere):
    office = office_anywhere
    _entry, case = reported(office.branch)
    people = [office.browse_as(name) for name in ("teller", "cashier", "executive")]
    for browser in people:
        browser.get(f"/staff/cases/{case}")
    waiting = list(people)

    answers = at_once(3, lambda: twin(waiting.pop()).post(f"/staff/cases/{case}/take"))

    assert sorted(answer.status for answer in answers) == [303, 409, 409]
    [[winner]] = office.branch.rows(sa.select(cases.c.taken_by))
    names = {str(office.branch.staff(name)): f"{name.title()} Person" for name in ("teller", "cashier", "executive")}
    for answer in answers:
        assert answer.status == 303 or answer.problems == [f"{names[winner]} has taken this case meanwhile."]


def test_a_case_is_answered_by_whoever_took_it_and_once(office):
    _entry, case = reported(office.branch)
    teller, cashier = office.browse_as("teller"), office.browse_as("cashier")
    path = f"/staff/cases/{case}"

    too_early = teller.post(path, {"answer": "All is well.", "operation": "00000000-0000-4000-8000-00000000abcd"})
    page = teller.follow(teller.post(f"{path}/take"))
    not_hers = cashier.post(path, {"answer": "No.", "operation": "00000000-0000-4000-8000-00000000abce"})
    empty = teller.submit(page, path, answer="")
    answers = [teller.submit(page, path, answer="All is well.") for _ in range(2)]
    other = teller.submit(page, path, answer="Or is it?")

    assert too_early.problems == ["Take the case before you answer it."]
    assert not_hers.problems == ["Teller Person has taken this case meanwhile."]
    assert (empty.status, empty.problem_links) == (422, ["#answer"])
    assert [answer.status for answer in answers] == [303, 303]
    assert other.status == 409
    assert office.branch.rows(sa.select(cases.c.answer, cases.c.closed_by)) == [
        ("All is well.", str(office.branch.staff("teller")))
    ]


def test_a_case_goes_back_by_whoever_has_it_or_an_executive(office):
    _entry, case = reported(office.branch)
    teller, cashier, executive = (office.browse_as(name) for name in ("teller", "cashier", "executive"))
    path = f"/staff/cases/{case}"

    teller.post(f"{path}/take")
    refused = cashier.post(f"{path}/give-back")
    by_executive = executive.post(f"{path}/give-back")
    cashier.post(f"{path}/take")
    by_herself = cashier.post(f"{path}/give-back")

    assert (refused.status, by_executive.status, by_herself.status) == (409, 303, 303)
    assert office.branch.rows(sa.select(cases.c.taken_by, cases.c.taken_at)) == [(None, None)]


def test_nobody_answers_a_report_of_what_they_booked_themselves(office_anywhere):
    office, branch = office_anywhere, office_anywhere.branch
    case = branch.report("alice", branch.deposit(branch.accounts["alice_current"], 1))
    path = f"/staff/cases/{case}"
    teller, cashier = office.browse_as("teller"), office.browse_as("cashier")

    told = teller.get(path)
    refused = teller.post(f"{path}/take")

    assert "You booked this movement yourself" in told.text
    assert all(form.everywhere for form in told.forms)
    assert refused.status == 403
    assert branch.rows(sa.select(cases.c.taken_by)) == [(None,)]
    assert cashier.post(f"{path}/take").status == 303


def test_a_till_difference_is_for_executives_who_did_not_count_it(office):
    case = a_difference(office.branch)
    path = f"/staff/cases/{case}"

    for name in ("teller", "cashier"):
        assert office.browse_as(name).get(path).status == 404
        assert office.browse_as(name).post(f"{path}/take").status == 404
    # The teller is promoted, and still does not look into her own difference.
    office.browse_as("executive").done("/staff/people/TELLER-1/role", role="executive")
    promoted = office.browse_as("teller")
    assert "Another executive looks into the difference" in promoted.get(path).text
    assert promoted.post(f"{path}/take").status == 403
    assert office.browse_as("executive").post(f"{path}/take").status == 303


def test_the_counts_report_shows_what_the_executive_found(office):
    branch, executive = office.branch, office.browse_as("executive")
    path = f"/staff/cases/{a_difference(branch)}"
    executive.submit(executive.follow(executive.post(f"{path}/take")), path, answer="Found in the safe.")

    assert "Found in the safe." in office.browse_as("teller").get("/staff/counts/1").text


def test_the_queue_goes_on_to_a_second_page_oldest_first(office):
    branch = office.branch
    entries = [branch.deposit(branch.accounts["alice_current"], 1) for _ in range(52)]
    made = [branch.report("alice", entry, f"Report {number}") for number, entry in enumerate(entries)]
    teller = office.browse_as("teller")

    first = teller.get("/staff/queue")
    second = teller.get(next(link for link in first.links if "after=" in link))

    assert seen(first) + seen(second) == made
    assert seen(first)[0] == made[0]
    mine = office.browse_as("alice").get("/cases")
    older = office.browse_as("alice").get(next(link for link in mine.links if "before=" in link))
    assert "Report 51" in mine.text
    assert "Report 51" not in older.text


def seen(page) -> list[int]:
    return [int(link.rsplit("/", 1)[1]) for link in page.links if "/staff/cases/" in link]


def test_how_many_cases_wait_is_on_the_branchs_home(office: Served):
    reported(office.branch)
    a_difference(office.branch)

    assert "1 case waits" in office.browse_as("teller").get("/staff/").text
    assert "2 cases wait" in office.browse_as("executive").get("/staff/").text


def test_who_reported_nothing_reads_how_to(office):
    page = office.browse_as("bob").get("/cases")

    assert "You have reported nothing" in page.text
    assert "/home" in page.links
