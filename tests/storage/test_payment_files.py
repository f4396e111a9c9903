"""A file of payments is checked as a whole and paid once, whoever sends it how often, and whatever kills it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bank.accounts import service as accounts
from bank.audit.store import audit_records
from bank.ledger.tables import journal_entries
from bank.money import Money
from bank.payment_files import paying, service, store
from bank.payment_files.errors import NoSuchPaymentFile, PaymentFileUnusable
from bank.payment_files.model import ON_THE_WEB
from bank.payment_files.store import PaymentFile, payment_file_lines, payment_files
from bank.payments.store import name_checks
from bank.storage.transaction import Bank
from tests.builders import CURRENCY, Branch, a_bank
from tests.imports import count, dump, kill_while_booking, run
from tests.ledger import assert_books_balance
from tests.payment_files import Row, as_csv, as_pain
from tests.racing import racers
from tests.servers import DatabaseUrls

WEEK_SECONDS = 7 * 86_400


@pytest.fixture
def branch(database_urls: DatabaseUrls) -> Iterator[Branch]:
    bank = a_bank(database_urls.app)
    yield Branch.open(bank)
    assert_books_balance(bank)
    bank.engine.dispose()


def rows(branch: Branch, *amounts: str, to: str = "bob_current", name: str = "Bob Nakamura") -> list[Row]:
    """Payments by Alice to Bob."""
    paying_number, payee = branch.number("alice_current"), branch.number(to)
    return [(paying_number, payee, name, amount, f"Wages {place}") for place, amount in enumerate(amounts, start=1)]


def take(branch: Branch, content: bytes, by: str = "alice", name: str = "wages.csv") -> PaymentFile:
    customer_id = branch.customer(by).id if by in ("alice", "bob") else None
    return service.take(branch.bank, content, name, ON_THE_WEB, by=branch.author(by), customer_id=customer_id)


def problems(branch: Branch, content: bytes, by: str = "alice") -> list[str]:
    with pytest.raises(PaymentFileUnusable) as refused:
        take(branch, content, by)
    return [str(problem) for problem in refused.value.problems]


def pay(branch: Branch, file: PaymentFile, by: str = "alice", **how: Any) -> PaymentFile:
    return paying.pay(branch.bank, file.owner, file.id, by=branch.author(by), **how)


def results(branch: Branch, file: PaymentFile) -> list[tuple[str | None, str]]:
    with branch.bank.reader() as reader:
        return [(line.result, line.why) for line in store.lines_after(reader, file.id, 0, limit=1_000)]


def balances(branch: Branch) -> tuple[int, int]:
    return branch.balance("alice_current"), branch.balance("bob_current")


def tries(branch: Branch) -> list[str]:
    return [row.result for row in branch.rows(sa.select(name_checks.c.result).order_by(name_checks.c.id))]


# Paid, and once


@pytest.mark.parametrize("write", [as_csv, as_pain])
def test_a_file_is_kept_then_paid_when_confirmed_and_every_step_is_on_record(write, branch):
    file = take(branch, write(rows(branch, "10.00", "5.50")))
    assert (file.state, file.payments, balances(branch)) == ("waiting", 2, (100_00, 50_00))

    assert pay(branch, file).state == "done"

    assert balances(branch) == (84_50, 65_50)
    assert results(branch, file) == [("paid", ""), ("paid", "")]
    entries = branch.rows(sa.select(journal_entries).where(journal_entries.c.kind == "transfer"))
    assert [(entry.caller, entry.narrative) for entry in entries] == [
        (str(branch.customer("alice")), "Wages 1"),
        (str(branch.customer("alice")), "Wages 2"),
    ]
    c = audit_records.c
    told = branch.rows(sa.select(c.who, c.action, c.details).where(c.subject == str(file)).order_by(c.id))
    assert [row.action for row in told] == [f"payment_file.{what}" for what in ("uploaded", "confirmed", "finished")]
    assert {row.who for row in told} == {str(branch.customer("alice"))}
    assert told[0].details["sums"] == "15.50 USD"
    assert told[2].details == {"paid": 2}


@pytest.mark.parametrize("write", [as_csv, as_pain])
def test_the_same_file_sent_twice_is_one_file_and_paid_once(write, branch):
    content = write(rows(branch, "10.00", "5.50"))
    first = take(branch, content)
    again = take(branch, content)
    pay(branch, again)
    late = take(branch, content)

    assert late.id == again.id == first.id
    assert pay(branch, late).state == "done"
    assert balances(branch) == (84_50, 65_50)


def test_a_message_that_nobody_confirmed_gives_way_to_its_correction_and_cannot_be_confirmed_any_more(branch):
    first = take(branch, as_pain(rows(branch, "10.00")))
    corrected = take(branch, as_pain(rows(branch, "11.00")))

    with pytest.raises(NoSuchPaymentFile):
        pay(branch, first)
    pay(branch, corrected)

    assert corrected.id != first.id
    assert balances(branch) == (89_00, 61_00)


def test_another_file_with_the_message_id_of_one_that_was_paid_is_not_taken(branch):
    pay(branch, take(branch, as_pain(rows(branch, "10.00"))))

    told = problems(branch, as_pain(rows(branch, "11.00")))

    assert told == [
        "Its message id, SALARIES-1, is that of another file, which came before. Give each file one of its own."
    ]
    assert balances(branch) == (90_00, 60_00)


def test_a_key_of_ones_own_pays_once_in_whichever_file_it_stands(branch):
    pay(branch, take(branch, as_csv(rows(branch, "10.00"), keys=["wage-1"])))

    second = take(branch, as_csv(rows(branch, "10.00", "2.00"), keys=["wage-1", "wage-2"]))
    pay(branch, second)
    other = take(branch, as_csv(rows(branch, "99.00"), keys=["wage-1"]))
    pay(branch, other)

    assert results(branch, second) == [("again", ""), ("paid", "")]
    why = "Its key came before, with another payment. Give every payment a key of its own."
    assert results(branch, other) == [("refused", why)]
    assert balances(branch) == (88_00, 62_00)


def test_a_refused_payment_says_why_and_spoils_no_other(branch):
    file = take(branch, as_csv(rows(branch, "90.00", "20.00", "10.00")))

    pay(branch, file)

    why = "There was not enough on the account: 10.00 USD was available."
    assert results(branch, file) == [("paid", ""), ("refused", why), ("paid", "")]
    assert balances(branch) == (0, 150_00)


def test_between_ones_own_accounts_no_limit_applies_and_to_others_it_does(branch):
    branch.bank = Bank(
        type(branch.bank.settings)(
            **{
                **{name: getattr(branch.bank.settings, name) for name in branch.bank.settings.__dataclass_fields__},
                "limit_per_payment_minor": 5_00,
            }
        ),
        branch.bank.clock,
        branch.bank.engine,
    )
    file = take(branch, as_csv([*rows(branch, "6.00"), *rows(branch, "6.00", to="alice_savings", name="")]))

    pay(branch, file)

    told = "It was more than the limit for one payment, which was 5.00 USD."
    assert results(branch, file) == [("refused", told), ("paid", "")]


def test_a_payee_that_takes_no_payments_is_said_to_and_no_more(branch):
    branch.run(accounts.freeze, branch.accounts["bob_current"], "frozen", reason="Lost card")
    file = take(branch, as_csv(rows(branch, "1.00")))

    pay(branch, file)

    assert results(branch, file) == [("refused", "The account to be paid could not receive payments.")]


def test_who_may_no_longer_use_the_account_pays_nothing_from_it(branch):
    branch.run(accounts.add_holder, branch.accounts["alice_current"], branch.customer("bob"), "authorised")
    file = take(branch, as_csv(rows(branch, "1.00", to="alice_savings", name="Alice Moreau")), by="bob")
    branch.run(accounts.remove_holder, branch.accounts["alice_current"], branch.customer("bob").id, reason="Asked to")

    pay(branch, file, by="bob")

    why = "You could no longer pay from this account. It is not tried again."
    assert results(branch, file) == [("refused", why)]
    assert branch.balance("alice_savings") == 20_00


def test_what_nobody_confirms_is_forgotten_after_a_week(branch):
    old = take(branch, as_csv(rows(branch, "1.00")))
    branch.bank.clock.step(WEEK_SECONDS + 1)

    with pytest.raises(NoSuchPaymentFile):
        pay(branch, old)
    take(branch, as_csv(rows(branch, "2.00")))

    assert count(branch.bank, "payment_files") == count(branch.bank, "payment_file_lines") == 1
    assert balances(branch) == (100_00, 50_00)


def test_a_customer_reaches_no_file_of_anybody_else(branch):
    file = take(branch, as_csv(rows(branch, "1.00")))

    with branch.bank.reader() as reader, pytest.raises(NoSuchPaymentFile):
        service.find(reader, service.owner_of(branch.customer("bob").id), file.id, by=branch.author("bob"))
    with pytest.raises(NoSuchPaymentFile):
        paying.pay(branch.bank, service.owner_of(branch.customer("bob").id), file.id, by=branch.author("bob"))


# Stopped, and twice at once


def test_a_file_that_was_stopped_goes_on_where_it_was(branch):
    branch.deposit(branch.accounts["alice_current"], 1_000_00)
    file = take(branch, as_csv(rows(branch, *["1.00"] * 250)))

    stopped = pay(branch, file, seconds=0)

    assert (stopped.state, stopped.decided) == ("paying", paying.SLICE)
    assert pay(branch, file).state == "done"
    assert {result for result, _why in results(branch, file)} == {"paid"}
    assert branch.balance("bob_current") == 300_00


def test_many_who_confirm_one_file_at_once_pay_it_once(branch, database_urls):
    branch.deposit(branch.accounts["alice_current"], 1_000_00)
    file = take(branch, as_csv(rows(branch, *["1.00"] * 250)))
    by = branch.author("alice")

    def confirm(bank: Bank) -> str:
        return paying.pay(bank, file.owner, file.id, by=by).state

    with racers(database_urls.app, 4) as racing:
        assert racing.race(*[confirm] * 4) == ["done"] * 4

    assert branch.balance("bob_current") == 300_00
    assert [result for result, _why in results(branch, file)] == ["paid"] * 250
    assert len(branch.rows(sa.select(audit_records.c.id).where(audit_records.c.action == "payment_file.finished"))) == 1


def test_a_file_sent_by_many_at_once_is_one_file(branch, database_urls):
    content, by = as_csv(rows(branch, "1.00")), branch.author("alice")
    alice = branch.customer("alice").id

    def send(bank: Bank) -> str:
        file = service.take(bank, content, "wages.csv", ON_THE_WEB, by=by, customer_id=alice)
        return paying.pay(bank, file.owner, file.id, by=by).state

    with racers(database_urls.app, 4) as racing:
        assert racing.race(*[send] * 4) == ["done"] * 4

    assert len(branch.rows(sa.select(payment_files.c.id))) == 1
    assert balances(branch) == (99_00, 51_00)


@pytest.mark.timeout(120)
def test_a_killed_command_has_paid_whole_slices_and_the_next_run_the_rest(branch, database_urls, tmp_path):
    branch.deposit(branch.accounts["alice_current"], 10_000_00)
    path = tmp_path / "wages.csv"
    path.write_bytes(as_csv(rows(branch, *["1.00"] * 3_000)))
    before = count(branch.bank, "journal_entries")

    kill_while_booking(
        database_urls, branch.bank, "import", "payments", str(path), currency=CURRENCY, entries=before + 200
    )
    _one_row_for_each_entry(branch, before)
    again = run(database_urls, "import", "payments", str(path), currency=CURRENCY)

    assert again.exit_code == 0, again.output
    assert "3000 payments made, 0 made before, 0 refused." in again.output
    assert branch.balance("bob_current") == 50_00 + 3_000_00


def _one_row_for_each_entry(branch: Branch, before: int) -> None:
    """What the ledger has and what the file says belong to one transaction."""
    with branch.bank.snapshot() as reader:
        decided = reader.execute(sa.select(payment_files.c.decided)).scalar_one()
        c = payment_file_lines.c
        said = reader.execute(sa.select(sa.func.count()).where(c.result == "paid")).scalar_one()
        entries = reader.execute(sa.select(sa.func.count()).select_from(journal_entries)).scalar_one()
    assert decided == said == entries - before
    assert 0 < decided < 3_000


# What a customer cannot find out


def test_a_right_name_costs_no_look_up_and_anything_else_does(branch):
    branch.open_account("bob", "savings")
    several = [
        *rows(branch, "1.00", "1.00"),
        *rows(branch, "1.00", to="bob_savings", name="Somebody Else"),
        *rows(branch, "1.00", to="alice_savings", name=""),
    ]

    file = take(branch, as_csv(several))
    take(branch, as_csv(several))

    assert tries(branch) == ["none"]
    with branch.bank.reader() as reader:
        [doubtful] = store.doubtful_lines(reader, file.id, limit=10)
    assert (doubtful.line, doubtful.payee_name, doubtful.name_check) == (4, "Somebody Else", "none")


def test_a_file_of_guesses_tells_no_more_than_the_days_look_ups(branch):
    most = branch.bank.settings.name_checks_per_day
    alice = branch.number("alice_current")
    guesses = [(alice, f"3{number:08d}", "Bob", "1.00", "") for number in range(500)]

    told = problems(branch, as_csv(guesses))

    unknown = "There is no account of this number at this bank. Check the number with whoever you pay."
    assert [line for line in told if unknown in line] == [f"Line {2 + number}: {unknown}" for number in range(most)]
    assert len(told) == most + 2
    assert told[-1].startswith(f"Line {2 + most}: You have tried {most} account numbers within a day")
    assert tries(branch) == ["unknown"] * most
    # Nor does a number that there is tell anything once they are used up.
    [*_, last] = problems(branch, as_csv(rows(branch, "1.00", name="Rob")))
    assert "You have tried" in last


def test_a_customer_cannot_pay_from_anybody_elses_account_nor_learn_that_there_is_one(branch):
    bob, nobody = branch.number("bob_current"), "311111111"
    both = [(each, branch.number("alice_current"), "", "1.00", "") for each in (bob, nobody)]

    told = problems(branch, as_csv(both))

    assert told == [
        f"Line {line}: {number} is no account that you can pay from." for line, number in ((2, bob), (3, nobody))
    ]
    assert tries(branch) == []


# At the branch, and by command


def test_what_the_branch_and_a_command_bring_is_one_and_the_same_file(branch, database_urls, tmp_path):
    content = as_pain(rows(branch, "10.00"))
    path = tmp_path / "wages.xml"
    path.write_bytes(content)
    file = take(branch, content, by="teller")
    pay(branch, file, by="executive")

    result = run(database_urls, "import", "payments", str(path), currency=CURRENCY)

    assert result.exit_code == 0, result.output
    assert "This file came before" in result.output
    assert balances(branch) == (90_00, 60_00)
    c = audit_records.c
    who = branch.rows(sa.select(c.who).where(c.subject == str(file)).order_by(c.id))
    teller, executive = str(branch.staff("teller")), str(branch.staff("executive"))
    assert [row.who for row in who] == [teller, executive, executive]


def test_the_command_names_each_problem_and_pays_nothing(branch, database_urls, tmp_path):
    path = tmp_path / "wages.csv"
    path.write_bytes(as_csv([*rows(branch, "1.00", "x"), ("311111111", "360", "", "1", "")]))
    before = dump(branch.bank)

    result = run(database_urls, "import", "payments", str(path), currency=CURRENCY)

    assert result.exit_code == 1
    assert "Line 3, amount: Enter the amount in digits" in result.output
    assert "Line 4, payee account: Enter the number's 9 or 10 digits" in result.output
    assert "The file has 2 problems. Nothing of it was paid" in result.output
    assert dump(branch.bank) == before


def test_a_dry_run_says_what_would_be_paid_and_keeps_nothing(branch, database_urls, tmp_path):
    path = tmp_path / "wages.csv"
    path.write_bytes(as_csv(rows(branch, "1.00", "2.50")))
    before = dump(branch.bank)

    result = run(database_urls, "import", "payments", str(path), "--dry-run", currency=CURRENCY)

    assert result.exit_code == 0, result.output
    assert f"{branch.number('alice_current'):>12}        2 payments" in result.output
    assert "3.50 USD" in result.output
    assert dump(branch.bank) == before


def test_the_report_has_a_line_for_each_payment_and_no_formula(branch, database_urls, tmp_path):
    path, report = tmp_path / "wages.csv", tmp_path / "results.csv"
    [paid, refused] = rows(branch, "10.00", "500.00")
    path.write_bytes(as_csv([(*paid[:4], '=HYPERLINK("x")'.replace('"', "'")), refused], keys=["k1", "k2"]))

    result = run(database_urls, "import", "payments", str(path), "--report", str(report), currency=CURRENCY)

    assert result.exit_code == 1
    assert "1 payments made, 0 made before, 1 refused." in result.output
    first, second = csv.DictReader(io.StringIO(report.read_text("utf-8-sig")))
    assert (first["line"], first["amount"], first["result"], first["why"]) == ("2", "10.00", "paid", "")
    assert first["reference"] == "'=HYPERLINK('x')"
    assert (second["result"], second["key"]) == ("refused", "k2")
    assert second["why"] == "There was not enough on the account: 90.00 USD was available."
    with branch.bank.reader() as reader:
        entries = [line.entry_id for line in store.lines_after(reader, 1, 0, limit=9)]
    assert [first["entry"], second["entry"]] == [str(entry) for entry in entries]


def test_a_files_sums_are_said_by_account_with_what_is_left(branch):
    file = take(branch, as_csv([*rows(branch, "30.00"), *rows(branch, "90.00")]))

    with branch.bank.reader() as reader:
        [total] = store.totals(reader, file.id)

    assert (total.number, total.count, total.total) == (branch.number("alice_current"), 2, Money(120_00, CURRENCY))
    assert total.left == Money(-20_00, CURRENCY)


def test_paths_are_no_names(branch):
    assert Path(take(branch, as_csv(rows(branch, "1.00")), name="a\x00b\r\n.csv").name).name == "a b .csv"
