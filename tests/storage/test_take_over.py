"""Another database becomes the primary while the bank pays, and the old one is left alone: by real promotions."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from bank.audit import store as audit
from bank.cli import main
from bank.errors import Unavailable
from bank.ledger import service
from bank.ledger.model import Posted, Replayed
from bank.ledger.tables import journal_entries
from bank.settings import with_login_file
from bank.storage import term
from bank.storage.errors import ClosedToWriting, DatabaseAway
from bank.storage.facts import learn
from bank.storage.transaction import Bank
from tests.builders import settings_for
from tests.conftest import MakeDatabase
from tests.failover import Estate, an_estate, printed_place, without_login, write_login
from tests.ledger import an_account, assert_books_balance, balance, move, opened
from tests.servers import APP_ROLE, DatabaseUrls, wait_for

pytestmark = pytest.mark.dialects("postgresql", "mysql")


def bank_command(url: str, *words: str, file: Path | None = None) -> Result:
    env = {"DATABASE_URL": url, "DATABASE_LOGIN_FILE": str(file) if file else ""}
    return CliRunner().invoke(main, ["db", *words], env=env)


def tries(bank: Bank) -> None:
    """Write something, and take it back."""
    with bank.connect() as connection:
        connection.exec_driver_sql("SELECT 1")


@pytest.fixture
def estate(dialect: str, tmp_path: Path) -> Iterator[Estate]:
    with an_estate(dialect, tmp_path / "login.json") as estate:
        yield estate


@dataclass
class Payers:
    """Three who pay one minor unit after the other, each until it is answered, by one bank that is never started again."""

    bank: Bank
    payer: int
    payee: int
    acknowledged: list[str] = field(default_factory=list)
    asked: int = 0
    refused: set[type[BaseException]] = field(default_factory=set)
    failures: list[BaseException] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Payers:
        self._threads += [threading.Thread(target=self._pay_on) for _ in range(3)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(30)
        assert not self.failures

    def _pay_on(self) -> None:
        try:
            while not self._end.is_set():
                self._pay()
        except BaseException as failure:  # noqa: BLE001  # shown at the end
            self.failures.append(failure)

    def _pay(self) -> None:
        entry = move(self.payer, self.payee, 1)
        self.asked += 1
        while not self._end.is_set():
            try:
                [outcome] = service.post(self.bank, [entry])
            except Unavailable as away:
                self.refused.add(type(away))
                time.sleep(0.02)
            else:
                assert isinstance(outcome, Posted | Replayed)
                self.acknowledged.append(entry.idempotency_key)
                return

    def go_on(self, more: int = 20) -> None:
        """Wait until so many more are paid."""
        target = len(self.acknowledged) + more
        wait_for(lambda: bool(self.failures) or len(self.acknowledged) >= target, "payments")


def paid(url: str) -> list[str]:
    """The keys of all payments that the database at the URL holds."""
    with opened(url) as bank, bank.reader() as reader:
        c = journal_entries.c
        return list(reader.execute(sa.select(c.idempotency_key).where(c.caller == "test")).scalars())


def test_payers_go_on_at_the_promoted_database_and_neither_side_mistakes_the_other(
    estate: Estate, caplog: pytest.LogCaptureFixture, tmp_path: Path
):
    bank = estate.open()
    payer, payee = an_account(bank, balance=1_000_000), an_account(bank)
    app_there = estate.on_replica(estate.urls.app)
    with Payers(bank, payer, payee) as payers:
        payers.go_on()
        # The servers' own login is enough, at the place that the operator names.
        there = ("take-over", "--port", str(estate.replica.port))
        too_early = bank_command(estate.address, *there, file=estate.file)
        estate.primary.kill()
        before = set(payers.acknowledged)
        wait_for(lambda: bool(payers.refused), "a payment that is refused")
        estate.replica.promote()
        arrived = set(paid(app_there))
        tried = bank_command(estate.address, *there, "--dry-run", file=estate.file)
        taken = bank_command(estate.address, *there, file=estate.file)
        place = printed_place(taken.output)
        write_login(estate.file, estate.urls.app, **place)
        payers.go_on()
    acknowledged = set(payers.acknowledged)

    assert (too_early.exit_code, "promote it first" in too_early.output) == (1, True)
    assert (tried.exit_code, taken.exit_code) == (0, 0), tried.output + taken.output
    assert "would begin term 1. Nothing was changed" in tried.output
    assert place == {"host": "127.0.0.1", "port": estate.replica.port, "term": 1}
    kept = paid(app_there)
    assert len(kept) == len(set(kept))
    # What had not arrived is what asynchronous replication loses; nothing else is.
    assert acknowledged - set(kept) <= before - arrived
    assert (before & arrived) <= set(kept)
    assert balance(bank, payee) == len(kept)
    assert_books_balance(bank)
    assert payers.refused

    # Again, it says the same and changes nothing.
    again = bank_command(app_there, "take-over")
    assert "has taken over before: it is in term 1" in again.output
    assert printed_place(again.output) == place
    with bank.reader() as reader:
        assert audit.details(reader, "database.taken_over", "bank") == [{"term": [0, 1]}]

    _the_old_one_is_refused(estate, caplog)
    _an_old_file_is_refused(estate, tmp_path, place)
    bank.engine.dispose()


def _the_old_one_is_refused(estate: Estate, caplog: pytest.LogCaptureFixture) -> None:
    """It comes back under its old address, and the file names it by mistake."""
    estate.primary.start()
    write_login(estate.file, estate.urls.app, host="127.0.0.1", port=estate.primary.port, term=1)
    back = estate.open()
    with caplog.at_level(logging.ERROR, "bank"):
        for _ in range(3):
            with pytest.raises(DatabaseAway) as away:
                tries(back)
    back.engine.dispose()
    said = f"The database has term 0, and the login file {estate.file} says 1. This is an old primary"
    told = [record.getMessage() for record in caplog.records if "has term" in record.getMessage()]
    assert said in f"{away.value.__cause__}" or told
    assert told[0].startswith(said)
    # Once by those who need it, once by the thread that looks whether it is back.
    assert len(told) <= 2


def _an_old_file_is_refused(estate: Estate, tmp_path: Path, place: dict[str, Any]) -> None:
    old = tmp_path / "old.json"
    write_login(old, estate.urls.app, **{**place, "term": 0})
    there = estate.open(old)
    with pytest.raises(DatabaseAway) as away:
        tries(there)
    assert "says 0. The file is old" in str(away.value.__cause__)
    write_login(old, estate.urls.app, **place)
    wait_for(lambda: not _is_away(there), "the bank to find it")
    there.engine.dispose()


def _is_away(bank: Bank) -> bool:
    try:
        tries(bank)
    except DatabaseAway:
        return True
    return False


def test_a_primary_that_is_fenced_writes_no_more_and_its_copy_proves_that_it_has_everything(estate: Estate):
    bank = estate.open()
    payer, payee = an_account(bank, balance=1_000_000), an_account(bank)
    with Payers(bank, payer, payee) as payers:
        payers.go_on()
        fenced = bank_command(estate.urls.migrator, "fence")
        wait_for(lambda: ClosedToWriting in payers.refused, "a payment that is refused")
        last = set(paid(estate.urls.app))
        fenced_again = bank_command(estate.urls.migrator, "fence")
        itself = bank_command(estate.urls.migrator, "take-over")
        estate.replica.catch_up()
        estate.replica.promote()
        by_app = bank_command(estate.on_replica(estate.urls.app), "take-over")
        taken = bank_command(estate.on_replica(estate.urls.migrator), "take-over")
        assert taken.exit_code == 0, taken.output
        write_login(estate.file, estate.urls.app, **printed_place(taken.output))
        payers.go_on()
    bank.engine.dispose()

    assert (fenced.exit_code, fenced_again.exit_code) == (0, 0), fenced.output + fenced_again.output
    assert "This is the primary that was fenced" in itself.output
    assert by_app.exit_code == 1
    assert "Nothing is missing" in taken.output
    there = set(paid(estate.on_replica(estate.urls.app)))
    assert set(payers.acknowledged) <= there
    assert last <= there
    assert set(paid(estate.urls.app)) == last
    with opened(estate.urls.app) as old, pytest.raises(ClosedToWriting):
        old.run(learn, "word", "written")
    undone = bank_command(estate.urls.migrator, "fence", "--undo")
    assert undone.output == "It takes writes again.\n"
    assert bank_command(estate.urls.migrator, "fence", "--undo").output.startswith("It was not fenced here")
    with opened(estate.urls.app) as old:
        old.run(learn, "word", "written")


# Without a promotion


def own(url: str, file: Path) -> sa.Engine:
    return Bank.open(settings_for(with_login_file(without_login(url), str(file)))).engine


def backend(dialect: str, engine: sa.Engine) -> Any:
    """The number of the server's end of the connection that the pool hands out."""
    with engine.connect() as connection:
        query = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}[dialect]
        return connection.exec_driver_sql(query).scalar_one()


@pytest.fixture
def urls(dialect: str, make_database: MakeDatabase) -> DatabaseUrls:
    return make_database(dialect)


def test_an_open_connection_outlives_another_password_and_no_other_term(
    dialect: str, urls: DatabaseUrls, tmp_path: Path
):
    file = tmp_path / "login.json"
    write_login(file, urls.app, term=0)
    engine = own(urls.app, file)
    first = backend(dialect, engine)

    write_login(file, urls.app.replace(f"{APP_ROLE}:", f"{APP_ROLE}:other"), term=0)
    with_other_password = backend(dialect, engine)
    file.write_text("not a login")
    with_broken_file = backend(dialect, engine)
    file.unlink()
    with_none = backend(dialect, engine)
    with opened(urls.app) as bank:
        bank.run(learn, term.TERM, "1")
    write_login(file, urls.app, term=1)
    with_other_term = backend(dialect, engine)
    again = backend(dialect, engine)
    engine.dispose()

    assert with_other_password == with_broken_file == with_none == first
    assert with_other_term != first
    assert again == with_other_term


@pytest.mark.parametrize(
    ("in_file", "primary", "replica"), [(None, True, True), (1, False, True), (2, True, True), (3, False, False)]
)
def test_a_primary_is_of_the_files_term_and_a_replica_of_no_older_one(
    urls: DatabaseUrls, tmp_path: Path, in_file: int | None, primary: bool, replica: bool
):
    with opened(urls.app) as bank:
        bank.run(learn, term.TERM, "2")
    file = tmp_path / "login.json"
    write_login(file, urls.app, **({} if in_file is None else {"term": in_file}))

    def lets_in(*, of_replica: bool) -> bool:
        url = with_login_file(without_login(urls.app), str(file), of_replica=of_replica)
        with opened(url) as bank:
            return not _is_away(bank)

    assert (lets_in(of_replica=False), lets_in(of_replica=True)) == (primary, replica)


def test_a_replica_stays_where_its_own_url_says(urls: DatabaseUrls, tmp_path: Path):
    file = tmp_path / "login.json"
    write_login(file, urls.app, host="127.0.0.1", port=1)

    with opened(with_login_file(without_login(urls.app), str(file), of_replica=True)) as there:
        tries(there)
    with opened(with_login_file(without_login(urls.app), str(file))) as elsewhere, pytest.raises(DatabaseAway):
        tries(elsewhere)


def test_a_new_term_is_higher_than_the_files_too_and_another_one_has_to_be_asked_for(
    urls: DatabaseUrls, tmp_path: Path
):
    file = tmp_path / "login.json"
    write_login(file, urls.app, term=6)  # This database was restored from before.

    first = bank_command(without_login(urls.app), "take-over", file=file)
    same = bank_command(without_login(urls.app), "take-over", file=file)
    another = bank_command(without_login(urls.app), "take-over", "--again", file=file)
    above = bank_command(without_login(urls.app), "take-over", "--above", "20", file=file)

    assert [printed_place(said.output)["term"] for said in (first, same, another, above)] == [7, 7, 8, 21]


def test_a_bank_that_is_being_copied_is_no_primary_yet(urls: DatabaseUrls):
    with opened(urls.app) as bank:
        bank.run(learn, "closed_to_writing", "a copy's")

    for command in ("take-over", "fence"):
        said = bank_command(urls.migrator, command)
        assert said.exit_code == 1
        assert "has closed this bank" in said.output


@pytest.mark.dialects("postgresql")
def test_ids_that_stayed_behind_are_mended_before_anybody_writes(urls: DatabaseUrls):
    with opened(urls.app) as bank:
        an_account(bank, balance=1)
    with opened(urls.migrator) as owner, owner.connect() as connection:
        for table in ("ledger_accounts", "journal_entries"):
            connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1, false)")

    said = bank_command(urls.migrator, "take-over")

    assert said.exit_code == 0, said.output
    assert set(re.findall(r"New ids of (\w+) go on", said.output)) == {"ledger_accounts", "journal_entries"}
    with opened(urls.app) as bank:
        an_account(bank, balance=1)


def test_without_a_bank_nothing_takes_over(dialect: str, make_database: MakeDatabase):
    url = make_database(dialect, migrated=False).migrator

    said = bank_command(url, "take-over")

    assert (said.exit_code, said.output) == (1, "Error: There is no bank here.\n")
