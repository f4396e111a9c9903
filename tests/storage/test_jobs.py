"""Jobs that timers start on every server: one runs each, whoever starts it, and another when that one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from bank.cli import main, once
from bank.clock import Clock
from bank.settings import DEVELOPMENT_IDENTITY_KEY
from bank.storage import jobs, migrate
from bank.storage.dialects import dialect_of
from bank.storage.engine import make_engine
from bank.storage.jobs import Claim, ClockApart, Taken
from bank.storage.transaction import Bank
from tests.conftest import MakeDatabase
from tests.furnished import furnish
from tests.racing import race_processes, racers
from tests.servers import APP_ROLE, DatabaseUrls

LEASE = 60.0
WORK = """
import sys, time, os
from bank.cli import once
from bank.settings import Settings
from bank.storage.transaction import Bank
url, lease = sys.argv[1], float(sys.argv[2])
bank = Bank.open(Settings.from_env(os.environ))
def work():
    print("working", flush=True)
    sys.stdin.readline()
    return "worked"
once.run_once(bank, "sweep", work, lease_seconds=lease)
"""


def claimed(bank: Bank, who: str, *, hourly: bool = True, lease_seconds: float = 60) -> Claim | Taken:
    return bank.run(
        jobs.claim, "sweep", run_by=who, server_time=datetime.now(UTC), hourly=hourly, lease_seconds=lease_seconds
    )


def taken(bank: Bank) -> sa.Row[Any]:
    with bank.reader() as reader:
        return reader.execute(sa.select(jobs.jobs)).one()


def rewrite(bank: Bank, **values: Any) -> None:
    bank.run(lambda tx: tx.execute(jobs.jobs.update().values(**values)))


@pytest.fixture(autouse=True)
def far_from_the_next_hour() -> None:
    """What happens once an hour is not tried across its end."""
    now = datetime.now(UTC)
    if (now + timedelta(seconds=45)).hour != now.hour:
        time.sleep(46)


def test_a_job_is_done_once_an_hour_and_the_second_to_ask_learns_by_whom(bank: Bank) -> None:
    mine = claimed(bank, "east-1")
    assert mine == Claim("sweep", 1)
    meanwhile = claimed(bank, "west-1")
    assert bank.run(jobs.finish, mine)
    later = claimed(bank, "west-1")
    # As if the hour were over.
    rewrite(bank, slot="2026-01-01T00")
    next_hour = claimed(bank, "west-1")

    assert isinstance(meanwhile, Taken)
    assert (meanwhile.run_by, meanwhile.done) == ("east-1", False)
    assert isinstance(later, Taken)
    assert (later.run_by, later.done) == ("east-1", True)
    assert abs(later.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert next_hour == Claim("sweep", 2)


def test_what_may_run_as_often_as_asked_runs_one_at_a_time(bank: Bank) -> None:
    mine = claimed(bank, "east-1", hourly=False)
    assert isinstance(mine, Claim)
    assert isinstance(claimed(bank, "west-1", hourly=False), Taken)
    bank.run(jobs.finish, mine)

    assert claimed(bank, "west-1", hourly=False) == Claim("sweep", 2)


def test_a_run_of_the_hour_before_that_has_not_ended_is_not_joined(bank: Bank) -> None:
    claimed(bank, "east-1")
    rewrite(bank, slot="2026-01-01T00")

    assert isinstance(claimed(bank, "west-1"), Taken)


def test_a_job_whose_lease_is_over_is_taken_up_and_the_first_can_change_nothing_any_more(bank: Bank) -> None:
    dead = claimed(bank, "east-1", lease_seconds=0)
    assert isinstance(dead, Claim)
    heir = claimed(bank, "west-1")

    assert heir == Claim("sweep", 2)
    assert not bank.run(jobs.renew, dead)
    assert not bank.run(jobs.finish, dead)
    assert not bank.run(jobs.give_up, dead)
    assert taken(bank).finished_at is None
    assert bank.run(jobs.finish, heir)


def test_a_job_that_failed_is_left_to_the_next(bank: Bank) -> None:
    def fails() -> str:
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        once.run_once(bank, "sweep", fails)

    assert claimed(bank, "west-1") == Claim("sweep", 2)


def _one_of_many(bank: Bank, number: int) -> str:
    return "mine" if isinstance(claimed(bank, f"server-{number}"), Claim) else "taken"


@pytest.mark.parametrize("is_new", [True, False], ids=["never-run", "run-before"])
def test_of_six_servers_that_start_a_job_at_once_one_gets_it(
    database_urls: DatabaseUrls, bank: Bank, is_new: bool
) -> None:
    if not is_new:
        claimed(bank, "yesterday", lease_seconds=0)

    answers = race_processes(database_urls.app, [(_one_of_many, (number,)) for number in range(6)])

    assert sorted(answers) == ["mine", *["taken"] * 5]


def test_round_after_round_one_of_four_takes_up_what_died(database_urls: DatabaseUrls, bank: Bank) -> None:
    with racers(database_urls.app, 4) as team:
        for round_ in range(25):
            answers = team.race(*[lambda racer: claimed(racer, "one of four")] * 4)
            assert sum(isinstance(answer, Claim) for answer in answers) == 1, answers
            assert taken(bank).runs == round_ + 1
            rewrite(bank, lease_until=datetime.now(UTC) - timedelta(hours=1))


@contextmanager
def worker(url: str, lease_seconds: float = LEASE) -> Iterator[subprocess.Popen[str]]:
    """A process that runs the job until it gets a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, url, str(lease_seconds)],
        env={"PATH": os.environ["PATH"], "DATABASE_URL": url, "IDENTITY_KEYS": DEVELOPMENT_IDENTITY_KEY},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_job_killed_in_the_middle_is_taken_up_by_another_once_its_lease_is_over(
    database_urls: DatabaseUrls, bank: Bank
) -> None:
    with worker(database_urls.app) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "working\n"
        first.send_signal(signal.SIGKILL)
        first.wait()
        with worker(database_urls.app) as too_soon:
            said, _ = too_soon.communicate(timeout=30)
    assert f"(process {first.pid}); nothing was done here." in said
    assert too_soon.returncode == 0
    rewrite(bank, lease_until=datetime.now(UTC))

    with worker(database_urls.app) as heir:
        assert heir.communicate("\n", timeout=30)[0] == "working\nworked\n"

    assert (taken(bank).runs, taken(bank).run_by.endswith(f"(process {heir.pid})")) == (2, True)
    assert taken(bank).finished_at


def test_a_job_that_takes_longer_than_its_lease_keeps_it(database_urls: DatabaseUrls, bank: Bank) -> None:
    with worker(database_urls.app, lease_seconds=1.5) as long:
        assert long.stdout is not None
        assert long.stdout.readline() == "working\n"
        began = taken(bank)
        # Three leases.
        with pytest.raises(subprocess.TimeoutExpired):
            long.wait(4.5)
        assert isinstance(claimed(bank, "west-1"), Taken)
        assert taken(bank).lease_until > began.lease_until + timedelta(seconds=2)
        assert long.communicate("\n", timeout=30)[0] == "worked\n"
    assert taken(bank).runs == 1


def test_a_job_that_was_stopped_and_taken_up_meanwhile_says_so(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    def sleeps() -> str:
        rewrite(bank, lease_until=datetime.now(UTC) - timedelta(hours=1))
        assert isinstance(claimed(bank, "west-1"), Claim)
        return "worked"

    once.run_once(bank, "sweep", sleeps)

    assert "another server has taken it up as well" in capsys.readouterr().err
    assert taken(bank).finished_at is None


@dataclass(frozen=True, slots=True)
class WrongClock(Clock):
    """A server's clock that was stepped."""

    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.mark.parametrize(("seconds", "told"), [(3600, "3600 seconds ahead of"), (-300, "300 seconds behind")])
def test_a_server_whose_clock_is_wrong_leaves_the_job_to_others(bank: Bank, seconds: int, told: str) -> None:
    wrong = replace(bank, clock=WrongClock(ZoneInfo("UTC"), timedelta(seconds=seconds)))

    with pytest.raises(ClockApart, match=told):
        once.run_once(wrong, "sweep", lambda: pytest.fail("it was run"))
    assert claimed(bank, "a server whose clock is right") == Claim("sweep", 1)


def test_a_few_seconds_apart_do_not_matter(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    once.run_once(replace(bank, clock=WrongClock(ZoneInfo("UTC"), timedelta(seconds=20))), "sweep", lambda: "worked")

    assert capsys.readouterr().out == "worked\n"


def run(command: str, urls: DatabaseUrls) -> Any:
    return CliRunner().invoke(main, command.split(), env={"DATABASE_URL": urls.app})


@pytest.mark.parametrize(
    ("command", "done"), [("payments due", "0 payments made"), ("ledger expire-holds", "holds expired.")]
)
def test_the_timers_commands_are_run_once_an_hour_unless_told_again(
    database_urls: DatabaseUrls, bank: Bank, command: str, done: str
) -> None:
    furnish(bank)

    first, second, again = (run(f"{command}{how}", database_urls) for how in ("", "", " --again"))

    assert [each.exit_code for each in (first, second, again)] == [0, 0, 0]
    assert done in first.output
    assert done in again.output
    assert "nothing was done here. --again runs it all the same." in second.output
    assert second.output.count("\n") == 1


def test_a_verification_by_timer_waits_for_nobody_elses_to_end(database_urls: DatabaseUrls, bank: Bank) -> None:
    furnish(bank)
    bank.run(jobs.claim, "ledger-verify", run_by="west-1", server_time=bank.clock.now(), hourly=False)

    by_timer, by_hand = (run(f"ledger verify{how}", database_urls) for how in (" --unless-verified-within 20", ""))

    assert by_timer.exit_code == 0
    assert "ledger-verify has been run since" in by_timer.output
    assert "The ledger is sound" in by_hand.output


def test_before_its_migration_and_its_grant_each_server_runs_every_job(
    make_database: MakeDatabase, dialect: str
) -> None:
    urls = make_database(dialect, migrated=False)
    migrate.upgrade(urls.migrator, "0003")
    engine = make_engine(urls.migrator)
    if dialect != "sqlite":
        # As the release before granted them.
        with engine.connect() as owner:
            for statement in dialect_of(owner).grants(owner, APP_ROLE):
                if " jobs " not in statement:
                    owner.execution_options(no_parameters=True).exec_driver_sql(statement)

    before = [run("ledger expire-holds", urls).output for _ in range(2)]
    migrate.upgrade(urls.migrator)
    ungranted = [run("ledger expire-holds", urls).output for _ in range(2)]
    if dialect != "sqlite":
        migrate.grant(urls.migrator, APP_ROLE)
    after = [run("ledger expire-holds", urls).output for _ in range(2)]
    engine.dispose()

    assert before == ["0 holds expired.\n"] * 2
    if dialect == "sqlite":
        # No rights are needed there: the first of the four was the one of this hour.
        assert [ungranted[0], "nothing was done here" in ungranted[1]] == ["0 holds expired.\n", True]
    else:
        assert ungranted == ["0 holds expired.\n"] * 2
        assert [after[0], "nothing was done here" in after[1]] == ["0 holds expired.\n", True]


def test_this_release_starts_on_the_schema_before_and_not_on_an_older_one(
    make_database: MakeDatabase, dialect: str
) -> None:
    urls = make_database(dialect, migrated=False)
    engine = make_engine(urls.migrator)
    said = {}
    for revision in ("0002", "0003", "0004"):
        migrate.upgrade(urls.migrator, revision)
        with engine.connect() as connection:
            said[revision] = migrate.missing(connection)
            assert migrate.is_behind(revision) is (revision != migrate.head())
    engine.dispose()

    assert said["0002"] == "The schema is at 0002, and this release needs 0003: run `bank db upgrade` first."
    assert (said["0003"], said["0004"]) == (None, None)
