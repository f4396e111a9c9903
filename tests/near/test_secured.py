"""Payments that are confirmed only when the other region has them: held back, cut off, killed and promoted for real."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from flask import Flask
from werkzeug.test import TestResponse

from bank.cli.main import main
from bank.errors import BankError
from bank.ledger.tables import journal_entries
from bank.money import Money
from bank.payments import vault
from bank.storage import migrate
from bank.storage.engine import make_engine
from bank.storage.facts import learn
from tests.builders import Branch, a_key
from tests.near.conftest import MakePair, Pair, Replica
from tests.near.test_programs import Program
from tests.proxy import proxied
from tests.replicas import PostgresReplica
from tests.servers import APP_ROLE, MIGRATOR_ROLE, PostgresServer, children, wait_for
from tests.web.browsing import Browser

pytestmark = pytest.mark.dialects("postgresql", "mysql")

#: What a payment waits for the other region here, in seconds.
SECURED = 1

Serve = Callable[..., Flask]


@contextmanager
def cut_off(replica: Replica) -> Iterator[None]:
    """Let nothing reach the replica within the body, as when the line between the regions is cut."""
    if isinstance(replica, PostgresReplica):
        assert replica.process is not None
        receiver = next(pid for pid in children(replica.process.pid) if b"walreceiver" in _called(pid))
        os.kill(receiver, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(receiver, signal.SIGCONT)
    else:
        with replica.admin() as cursor:
            cursor.execute("STOP SLAVE IO_THREAD")
        yield
        with replica.admin() as cursor:
            cursor.execute("START SLAVE IO_THREAD")


def _called(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def secured(serve: Serve, pair: Pair, where: str, **changed: object) -> Flask:
    """An application that secures its payments, beside the replica ("west") or the primary ("east")."""
    let_see_standbys(pair)
    if where == "west":
        return serve(pair=pair, secured_seconds=SECURED, **changed)
    by = "" if isinstance(pair.primary, PostgresServer) else pair.replica_url
    return serve(pair=pair, near=False, secured_seconds=SECURED, secured_by_url=by, **changed)


def let_see_standbys(pair: Pair) -> None:
    if isinstance(pair.primary, PostgresServer):
        with pair.primary.admin() as cursor:
            cursor.execute(f"GRANT pg_read_all_stats TO {APP_ROLE}")


@pytest.fixture(params=["west", "east"])
def program(request: pytest.FixtureRequest, serve: Serve, pair: Pair, branch: Branch) -> Program:
    """Alice's, in either region; what it pays is secured."""
    branch.deposit(branch.accounts["alice_savings"], 5_00)
    return Program(secured(serve, pair, request.param), branch)


def pay(program: Program, key: str, minor_units: int = 1, *, payer: str = "alice_savings") -> TestResponse:
    return program.app.test_client().post(
        "/api/v1/transfers",
        headers={"Authorization": f"Bearer {program.token}", "Idempotency-Key": key},
        json={
            "from": program.branch.number(payer),
            "to": program.branch.number("alice_current"),
            "amount": {"minor_units": minor_units, "currency": "USD"},
        },
    )


def said(answer: TestResponse) -> tuple[int, str]:
    """The status, and the problem's code if it is one."""
    return answer.status_code, (answer.json or {}).get("code", "")


def booked(url: str) -> dict[str, int]:
    """How many entries there are by the end of their key."""
    engine = make_engine(url)
    with engine.connect() as reader:
        keys = reader.execute(sa.select(journal_entries.c.idempotency_key)).scalars().all()
    engine.dispose()
    counted: dict[str, int] = {}
    for key in keys:
        counted[key.rpartition(":")[2]] = counted.get(key.rpartition(":")[2], 0) + 1
    return counted


def test_a_payment_that_the_other_region_has_not_is_not_confirmed_and_the_next_is_not_made(
    program: Program, pair: Pair
) -> None:
    assert said(pay(program, a_key())) == (201, "")
    doubtful, refused = a_key(), a_key()

    with cut_off(pair.replica):
        began = time.monotonic()
        answers = said(pay(program, doubtful)), said(pay(program, refused))
        took = time.monotonic() - began
        made = booked(pair.urls.app)
        again = said(pay(program, doubtful))

    assert answers == ((503, "outcome_unknown"), (503, "other_region_away"))
    assert SECURED <= took < SECURED + 1
    assert (made.get(doubtful), made.get(refused)) == (1, None)
    assert again == (503, "other_region_away")

    wait_for(lambda: said(pay(program, refused)) == (201, ""), "payments to be made again")
    assert said(pay(program, doubtful)) == (201, "")
    made = booked(pair.urls.app)
    assert (made[doubtful], made[refused]) == (1, 1)


def test_one_that_is_sent_again_waits_as_the_first_did(program: Program, pair: Pair, branch: Branch) -> None:
    key = a_key()
    with cut_off(pair.replica):
        first = said(pay(program, key))
        wait_for(lambda: said(pay(program, a_key()))[1] == "other_region_away", "the bank to know")
    wait_for(lambda: said(pay(program, a_key())) == (201, ""), "payments to be made again")
    with cut_off(pair.replica):
        # The log has gone on since, or the other region would have this one already.
        branch.deposit(branch.accounts["bob_current"], 1)
        again = said(pay(program, key))
    wait_for(lambda: said(pay(program, key)) == (201, ""), "the answer to be given")

    assert (first, again) == ((503, "outcome_unknown"), (503, "outcome_unknown"))


def test_a_refusal_is_secured_as_well_since_its_key_may_never_pay_later(program: Program, pair: Pair) -> None:
    key = a_key()
    with cut_off(pair.replica):
        doubtful = said(pay(program, key, 900_000))
    wait_for(lambda: said(pay(program, a_key())) == (201, ""), "payments to be made again")

    assert doubtful == (503, "outcome_unknown")
    assert said(pay(program, key, 900_000)) == (422, "insufficient_funds")


def test_what_became_of_a_payment_is_told_only_when_it_is_secured(program: Program, pair: Pair, branch: Branch) -> None:
    alice, key = Browser(program.app, branch.session_of("alice")), str(uuid.uuid4())

    with cut_off(pair.replica):
        doubtful = said(pay(program, key))
        asked = alice.get(f"/operations/{key}").status
        wait_for(lambda: said(pay(program, a_key())) == (503, "other_region_away"), "the bank to know")
        asked_again = alice.get(f"/operations/{key}").status
    wait_for(lambda: said(pay(program, a_key())) == (201, ""), "payments to be made again")
    then = alice.get(f"/operations/{key}")

    assert doubtful == (503, "outcome_unknown")
    assert (asked, asked_again) == (503, 503)
    assert (then.status, "/movements/" in (then.location or "")) == (302, True)


def test_what_is_done_in_several_steps_is_secured_as_well(program: Program, pair: Pair, branch: Branch) -> None:
    """A delivery of cash goes through the door within a transaction of the bank's."""
    bank = program.app.extensions["bank"].bank
    till_id, by, amount = branch.staff("teller").till_account_id, branch.author("teller"), Money(1_00, "USD")
    assert till_id is not None

    def supply() -> str:
        try:
            vault.supply_till(bank, till_id, amount, key=a_key(), by=by)
        except BankError as error:
            return error.code
        return "done"

    vault.receive(branch.bank, Money(1000_00, "USD"), key=a_key(), by=branch.author())
    with cut_off(pair.replica):
        before = branch.till("teller").balance
        answers = supply(), supply()
        moved = branch.till("teller").balance - before
    wait_for(lambda: supply() == "done", "it to be done again")

    assert answers == ("outcome_unknown", "other_region_away")
    assert moved == 1_00


def test_who_may_not_pay_at_all_is_told_at_once(program: Program, pair: Pair) -> None:
    assert said(pay(program, a_key())) == (201, "")

    with cut_off(pair.replica):
        program.branch.deposit(program.branch.accounts["bob_current"], 1)  # What the other region has not.
        assert said(pay(program, a_key(), payer="bob_current")) == (404, "no_such_account")


def test_pages_and_what_moves_no_money_go_on_without_the_other_region(program: Program, pair: Pair) -> None:
    with cut_off(pair.replica):
        pay(program, a_key())
        before = time.monotonic()
        read = program.ask("GET", "/accounts")
        program.branch.bank.run(lambda tx: learn(tx, "test", a_key()))
        took = time.monotonic() - before
    wait_for(lambda: said(pay(program, a_key())) == (201, ""), "payments to be made again")

    assert read.status_code == 200
    assert took < SECURED


def test_a_bank_that_is_told_that_it_has_no_copy_confirms_without_one(program: Program, pair: Pair) -> None:
    told(pair, "--without-copy")
    with cut_off(pair.replica):
        wait_for(lambda: said(pay(program, a_key())) == (201, ""), "payments without a copy")
        told(pair)
        wait_for(lambda: said(pay(program, a_key())) == (503, "other_region_away"), "the copy to be needed again")
    wait_for(lambda: said(pay(program, a_key())) == (201, ""), "payments to be made again")


def told(pair: Pair, *how: str) -> None:
    """Tell the bank by the command whether it has a copy."""
    done = CliRunner().invoke(main, ["db", "secure", *how], env={"DATABASE_URL": pair.urls.app})
    assert done.exit_code == 0, done.output


def test_a_copy_that_has_become_a_primary_itself_secures_nothing_for_the_old_one(
    dialect: str, make_pair: MakePair, serve: Serve
) -> None:
    pair, branch = make_pair(dialect)
    branch.deposit(branch.accounts["alice_savings"], 5_00)
    programs = [Program(secured(serve, pair, where), branch) for where in ("west", "east")]
    assert [said(pay(program, a_key())) for program in programs] == [(201, "")] * 2

    pair.replica.catch_up()
    pair.replica.promote()
    if isinstance(pair.replica, PostgresReplica):
        # Its log must not be behind the other's places by accident.
        with pair.replica.admin() as cursor:
            cursor.execute("CREATE TABLE ahead AS SELECT generate_series(1, 100000)")

    assert [said(pay(program, a_key())) for program in programs] == [(503, "outcome_unknown")] * 2


@pytest.mark.parametrize("where", ["west", "east"])
def test_when_the_primary_is_lost_the_promoted_one_has_all_that_was_confirmed(
    where: str, dialect: str, make_pair: MakePair, serve: Serve
) -> None:
    confirmed, survived = lose_the_primary(dialect, make_pair, lambda pair: secured(serve, pair, where))

    assert len(confirmed) > 20
    assert [key for key in confirmed if survived.get(key) != 1] == []


def test_unsecured_payments_are_lost_with_the_primary(dialect: str, make_pair: MakePair, serve: Serve) -> None:
    """What the test before would find."""
    confirmed, survived = lose_the_primary(dialect, make_pair, lambda pair: serve(pair=pair))

    assert [key for key in confirmed if key not in survived]


def lose_the_primary(
    dialect: str, make_pair: MakePair, open_app: Callable[[Pair], Flask]
) -> tuple[list[str], dict[str, int]]:
    """Pay from eight threads, cut the line, go on for a moment, kill the primary; what was confirmed, and what is left."""
    pair, branch = make_pair(dialect)
    branch.deposit(branch.accounts["alice_savings"], 500_00)
    program, confirmed, over = Program(open_app(pair), branch), list[str](), threading.Event()

    def pays() -> None:
        while not over.is_set():
            key = a_key()
            with suppress(ConnectionError):
                if pay(program, key).status_code == 201:
                    confirmed.append(key)

    threads = [threading.Thread(target=pays) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(confirmed) > 20, "payments")
    with cut_off_for_good(pair):
        time.sleep(0.5)
        pair.primary.kill()
        over.set()
        for thread in threads:
            thread.join()
    pair.replica.promote()
    return confirmed, booked(pair.replica_url)


@contextmanager
def cut_off_for_good(pair: Pair) -> Iterator[None]:
    """What the replica has not received by now, it never does."""
    if isinstance(pair.replica, PostgresReplica):
        with cut_off(pair.replica):
            yield
            # What stands in its socket was on the line when that was cut.
            assert pair.replica.process is not None
            for pid in children(pair.replica.process.pid):
                if b"walreceiver" in _called(pid):
                    os.kill(pid, signal.SIGTERM)
    else:
        with pair.replica.admin() as cursor:
            cursor.execute("STOP SLAVE IO_THREAD")
        yield


def test_beside_the_replica_a_secured_payment_is_one_message_to_the_primary(
    serve: Serve, pair: Pair, branch: Branch
) -> None:
    branch.deposit(branch.accounts["alice_savings"], 5_00)
    let_see_standbys(pair)
    with proxied(by_socket(pair)) as (through, proxy):
        there = replace(pair, urls=replace(pair.urls, app=through))
        app = serve(pair=there, secured_seconds=SECURED)
        program = Program(app, branch)
        assert pay(program, a_key()).status_code == 201
        proxy.bursts.clear()
        assert pay(program, a_key()).status_code == 201
        said_to_primary = [burst for burst in proxy.bursts if b"SELECT 1" not in burst]

    assert len(said_to_primary) == 1, said_to_primary


def by_socket(pair: Pair) -> str:
    """The primary's database by its unix socket, which a proxy can stand in front of."""
    return pair.replica_url.replace(str(pair.replica.directory), str(pair.primary.directory))


@pytest.mark.dialects("postgresql")
def test_only_who_may_do_so_lets_the_application_see_the_standbys(pair: Pair) -> None:
    right = f"GRANT pg_read_all_stats TO {APP_ROLE}"
    without = migrate.grant(pair.urls.migrator, APP_ROLE)
    with pair.primary.admin() as cursor:
        cursor.execute(f"ALTER ROLE {MIGRATOR_ROLE} SUPERUSER")
        granted = migrate.grant(pair.urls.migrator, APP_ROLE)
        cursor.execute(f"ALTER ROLE {MIGRATOR_ROLE} NOSUPERUSER")

    assert right not in without
    assert right in granted


@pytest.mark.dialects("postgresql")
def test_a_role_that_sees_no_standby_says_so_and_makes_no_payment(
    serve: Serve,
    pair: Pair,
    branch: Branch,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = Program(secured(serve, pair, "east"), branch)
    monkeypatch.setattr(logging.getLogger("bank.storage.other_region"), "handlers", [caplog.handler])
    with pair.primary.admin() as cursor:
        cursor.execute(f"REVOKE pg_read_all_stats FROM {APP_ROLE}")

    assert said(pay(program, a_key())) == (503, "outcome_unknown")
    wait_for(lambda: "GRANT pg_read_all_stats" in caplog.text, "the bank to say what is missing")
    let_see_standbys(pair)
    wait_for(lambda: said(pay(program, a_key())) == (201, ""), "payments to be made")


@pytest.mark.dialects("postgresql")
def test_who_only_saves_the_log_is_no_other_region(serve: Serve, pair: Pair, branch: Branch) -> None:
    branch.deposit(branch.accounts["alice_savings"], 5_00)
    program = Program(secured(serve, pair, "east"), branch)
    pair.replica.stop()
    with saving_the_log(pair.primary):
        answer = said(pay(program, a_key()))

    assert answer == (503, "outcome_unknown")


@contextmanager
def saving_the_log(primary: PostgresServer) -> Iterator[None]:
    """Let pg_receivewal follow the primary, and tell it each place that it has on disk."""
    place = primary.directory / "saved"
    place.mkdir(exist_ok=True)
    command = [primary.binaries / "pg_receivewal", f"--directory={place}", f"--host={primary.directory}",
               "--username=bank_admin", "--synchronous"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        with primary.admin() as cursor:

            def follows() -> bool:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND flush_lsn IS NOT NULL"
                )
                return cursor.fetchall() == [(1,)]

            wait_for(follows, "the log to be saved")
        yield
    finally:
        process.terminate()
        process.wait()
