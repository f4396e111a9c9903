"""`bank db rotate-login`: the servers get a new password, and nobody notices."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bank.audit import store as audit
from bank.ledger.tables import ledger_accounts
from bank.settings import with_login_file
from bank.storage import migrate, rotation
from bank.storage.engine import make_engine
from bank.storage.rotation import ROLES
from tests.builders import Branch, a_bank
from tests.gunicorn_server import BIN, ROOT, environment, wait_until
from tests.http.browsing import RemoteBrowser
from tests.http.conftest import Serve
from tests.servers import MIGRATOR_ROLE, DatabaseUrls, MariaDBServer, NotInstalled, PostgresServer, not_run
from tests.storage.test_guards import granted, listed

WHO = {"postgresql": "SELECT current_user", "mysql": "SELECT SUBSTRING_INDEX(USER(), '@', 1)"}

pytestmark = pytest.mark.dialects("postgresql", "mysql")


@dataclass
class Estate:
    """A server of its own, whose owner may make roles and is no superuser, and where the servers' login is kept."""

    dialect: str
    server: PostgresServer | MariaDBServer
    urls: DatabaseUrls
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "login.json"

    @property
    def address(self) -> str:
        return re.sub(r"//[^@/]*@", "//", self.urls.app)

    @property
    def app(self) -> str:
        return with_login_file(self.address, str(self.file))

    def rotate(self) -> str:
        """As the job does it: the owner's login comes from a file too."""
        owner, known = self.folder / "owner.json", sa.make_url(self.urls.migrator)
        owner.touch(0o600)
        owner.write_text(json.dumps({"username": known.username, "password": known.password}))
        env = environment(DATABASE_URL=self.address, DATABASE_LOGIN_FILE=str(owner))
        command = [BIN / "bank", "db", "rotate-login", self.file]
        done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert self.login["password"] not in done.stdout + done.stderr
        return done.stdout

    @property
    def login(self) -> dict[str, str]:
        return json.loads(self.file.read_text())

    def lets_in(self, login: dict[str, str]) -> bool:
        """May somebody with this login connect?"""
        url = sa.make_url(self.urls.app).set(**login).render_as_string(hide_password=False)
        engine = make_engine(url)
        try:
            with engine.connect() as connection:
                return connection.exec_driver_sql(WHO[self.dialect]).scalar_one() == login["username"]
        except sa.exc.OperationalError as error:
            assert re.search("password authentication failed|no password supplied|Access denied", str(error))
            return False
        finally:
            engine.dispose()


@pytest.fixture(scope="module")
def server(dialect: str) -> Iterator[PostgresServer | MariaDBServer]:
    kind: type[PostgresServer | MariaDBServer] = {"postgresql": PostgresServer, "mysql": MariaDBServer}[dialect]
    try:
        # By TCP, since PostgreSQL asks for no password on these tests' sockets.
        made = kind(tcp=True)
    except NotInstalled as missing:
        not_run(dialect, str(missing))
    with made:
        with made.admin() as cursor:
            cursor.execute(
                f"ALTER ROLE {MIGRATOR_ROLE} CREATEROLE"
                if dialect == "postgresql"
                else f"GRANT CREATE USER ON *.* TO {MIGRATOR_ROLE}@'%'"
            )
        yield made


@pytest.fixture
def estate(dialect: str, server: PostgresServer | MariaDBServer, tmp_path: Path) -> Iterator[Estate]:
    urls = server.create_database("estate")
    migrate.upgrade(urls.migrator)
    yield Estate(dialect, server, urls, tmp_path)
    server.drop_database("estate")
    with server.admin() as cursor:
        for role in ROLES:
            cursor.execute(f"DROP ROLE IF EXISTS {role}" if dialect == "postgresql" else f"DROP USER IF EXISTS {role}")


def test_the_first_time_makes_both_roles_and_lets_in_the_one_of_the_file(estate: Estate):
    said = estate.rotate()

    assert said == f"bank_app_a has a new password, and {estate.file} names it.\n"
    assert estate.file.stat().st_mode & 0o777 == 0o600
    assert list(estate.folder.glob(".*")) == []
    assert (estate.login["username"], len(estate.login["password"])) == ("bank_app_a", 43)
    assert estate.lets_in(estate.login)
    for guess in ("", "bank_app_b", estate.login["password"]):
        assert not estate.lets_in({"username": "bank_app_b", "password": guess})


def test_an_empty_file_is_a_first_time_and_any_other_content_is_refused(estate: Estate):
    estate.file.touch(0o600)
    estate.rotate()
    before = estate.login
    estate.file.write_text("tell-nobody")

    with pytest.raises(ValueError, match="is not JSON") as refused:
        rotation.rotate(estate.urls.migrator, estate.file)

    assert "nobody" not in str(refused.value)
    assert estate.file.read_text() == "tell-nobody"
    assert estate.lets_in(before)


def test_both_roles_may_do_what_is_on_the_list_and_no_more(estate: Estate):
    estate.rotate()

    # The administrator sees everybody's rights.
    engine = make_engine(estate.urls.admin)
    with engine.connect().execution_options(no_parameters=True) as admin:
        for role in ROLES:
            assert granted(admin, estate.dialect, role) == listed(admin)
    engine.dispose()


def test_no_log_of_the_server_ever_holds_a_password(estate: Estate):
    with estate.server.admin() as cursor:
        if estate.dialect == "postgresql":
            cursor.execute("ALTER SYSTEM SET log_statement = 'all'")
            cursor.execute("SELECT pg_reload_conf()")
        else:
            log = estate.server.directory / "general.log"
            cursor.execute("SET GLOBAL general_log_file = %s", [str(log)])
            cursor.execute("SET GLOBAL general_log = 1")
            cursor.execute("SET GLOBAL slow_query_log = 1, long_query_time = 0")
    wait_until(lambda: _has_words(estate, "SELECT 'a marker'"), 10, "statements in the server's log")
    estate.rotate()
    first = estate.login["password"]
    estate.rotate()
    second = estate.login["password"]

    wait_until(lambda: _has_words(estate, "SELECT 'another marker'"), 10, "the last statements")
    written = _written(estate)
    assert re.search(rb"ALTER (ROLE|USER)", written)
    for password in (first, second):
        assert password.encode() not in written


def _has_words(estate: Estate, statement: str) -> bool:
    with estate.server.admin() as cursor:
        cursor.execute(statement)
    return statement.encode() in _written(estate)


def _written(estate: Estate) -> bytes:
    """Every log that the server keeps, the binary one and what goes over to replicas among them."""
    files = [path for path in estate.server.directory.rglob("*") if path.is_file()]
    logs = [path for path in files if path.suffix == ".log" or "binlog" in path.name]
    return b"".join(path.read_bytes() for path in logs)


class _Interrupted(BaseException):
    pass


def test_interrupted_anywhere_the_role_in_use_still_works_and_the_next_time_heals(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
):
    estate.rotate()
    interrupted = 0
    for stop_after in (*range(6), *range(6, 200, 13)):
        before = estate.login
        if finished := _rotate_until(estate, stop_after):
            break
        interrupted += 1
        assert estate.login == before
        assert estate.lets_in(before), f"after {stop_after} statements"
        assert list(estate.folder.glob(".*")) == []
    assert finished
    assert interrupted > 6
    before = estate.login
    with monkeypatch.context() as patch:
        # All is done in the database, and nothing is written yet.
        patch.setattr(rotation, "_prove", _interrupt)
        with pytest.raises(_Interrupted):
            rotation.rotate(estate.urls.migrator, estate.file)
    assert estate.login == before
    assert estate.lets_in(before)
    assert list(estate.folder.glob(".*")) == []
    estate.rotate()
    assert estate.login["username"] != before["username"]
    assert estate.lets_in(estate.login)


def _interrupt(*_: Any) -> None:
    raise _Interrupted


def _rotate_until(estate: Estate, stop_after: int) -> bool:
    """Rotate, and be interrupted before the statement after so many; True if it never came to that."""
    statements = count()

    def interrupt(*_: Any) -> None:
        if next(statements) == stop_after:
            _interrupt()

    sa.event.listen(sa.Engine, "before_cursor_execute", interrupt)
    try:
        rotation.rotate(estate.urls.migrator, estate.file)
    except _Interrupted:
        return False
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", interrupt)
    return True


def test_a_login_that_was_tried_in_vain_never_gets_into_the_file(estate: Estate, monkeypatch: pytest.MonkeyPatch):
    estate.rotate()
    before = estate.login
    # As when another rotation came in between.
    monkeypatch.setattr(type(rotation.dialect_of(make_engine(estate.app))), "set_password", lambda *_: None)

    with pytest.raises(sa.exc.OperationalError):
        rotation.rotate(estate.urls.migrator, estate.file)

    assert estate.login == before
    assert list(estate.folder.glob(".*")) == []


@dataclass
class Load:
    """Customers who read and pay over HTTP and others who pay in this process, again and again on new connections."""

    branch: Branch
    address: str
    dialect: str
    seen: set[str] = field(default_factory=set)
    statuses: list[int] = field(default_factory=list)
    paid: int = 0
    failures: list[BaseException] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        token = self.branch.session_of("alice")
        for work in (lambda: self._browse(token), lambda: self._browse(token), self._pay):
            self._threads.append(threading.Thread(target=self._again_and_again, args=[work]))
            self._threads[-1].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(30)

    def _again_and_again(self, work: Any) -> None:
        while not self._end.wait(0.02) and not self.failures:
            try:
                work()
            except BaseException as failure:  # noqa: BLE001  # shown by the test
                self.failures.append(failure)

    def _browse(self, token: str) -> None:
        self.statuses.append(RemoteBrowser(self.address, token).get("/home").status)
        self.statuses.append(RemoteBrowser(self.address).get("/writable").status)

    def _pay(self) -> None:
        bank = self.branch.bank
        bank.engine.dispose()
        with bank.reader() as reader:
            self.seen.add(reader.exec_driver_sql(WHO[self.dialect]).scalar_one())
        self.branch.transfer("alice_current", "bob_current", 1, by="alice")
        bank.run(audit.record, "rotation.test", "customer:1", by=self.branch.author())
        self.paid += 1

    def go_on(self, times: int = 2) -> None:
        """Wait until all of them have been at it again."""
        answered, paid = len(self.statuses), self.paid
        wait_until(
            lambda: self.failures or (len(self.statuses) > answered + times and self.paid > paid + times), 60, "work"
        )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_rotations_under_load_fail_no_request_and_end_the_first_password(estate: Estate, serve: Serve):
    estate.rotate()
    first = estate.login
    branch = Branch.open(a_bank(estate.app))
    server = serve(estate.address, workers=2, DATABASE_LOGIN_FILE=str(estate.file), POOL_SIZE="3")

    with Load(branch, server.address, estate.dialect) as load:
        load.go_on()
        seen_first = set(load.seen)
        estate.rotate()
        second = estate.login
        assert estate.lets_in(first)
        assert estate.lets_in(second)
        # What began before the rotation may have read the file before.
        load.go_on(1)
        load.seen.clear()
        load.go_on()
        seen_second = set(load.seen)
        estate.rotate()
        third = estate.login
        assert not estate.lets_in(first)
        assert estate.lets_in(second)
        load.go_on()
    # Processes that begin now know only the file.
    server.stop()
    server.start()

    assert load.failures == []
    assert set(load.statuses) == {200}
    assert (seen_first, seen_second) == ({"bank_app_a"}, {"bank_app_b"})
    assert [login["username"] for login in (first, second, third)] == ["bank_app_a", "bank_app_b", "bank_app_a"]
    assert third["password"] != first["password"]
    assert RemoteBrowser(server.address, branch.session_of("alice")).get("/home").status == 200
    assert branch.balance("alice_current") == 100_00 - load.paid
    c = ledger_accounts.c
    assert branch.rows(sa.select(c.spent).where(c.id == branch.state("alice_current").ledger.id)) == [(load.paid,)]
    kept = sa.select(sa.func.count()).where(audit.audit_records.c.action == "rotation.test")
    assert branch.rows(kept) == [(load.paid,)]
    branch.bank.engine.dispose()
    text = server.text()
    assert [login["password"] for login in (first, second, third) if login["password"] in text] == []
