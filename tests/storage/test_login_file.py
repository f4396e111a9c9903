"""The login file: read anew for each connection, and never quoted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from bank.cli import main
from bank.settings import SettingsRefused, with_login_file
from bank.start import settings_for_serving
from bank.storage import login_file, migrate
from bank.storage.engine import make_engine
from bank.storage.errors import DatabaseAway
from bank.storage.login_file import Login, LoginFileRefused, Place
from tests.conftest import MakeDatabase
from tests.http.test_start import PRODUCTION
from tests.ledger import opened
from tests.servers import APP_ROLE, MIGRATOR_ROLE, DatabaseUrls

WHO = {"postgresql": "SELECT current_user", "mysql": "SELECT SUBSTRING_INDEX(USER(), '@', 1)"}

pytestmark = pytest.mark.dialects("postgresql", "mysql")


def without_login(url: str) -> str:
    return re.sub(r"//[^@/]*@", "//", url)


def write(file: Path, login: Any, mode: int = 0o600) -> None:
    file.write_text(login if isinstance(login, str) else json.dumps(login))
    file.chmod(mode)


def login_of(url: str) -> dict[str, str]:
    parsed = sa.make_url(url)
    return {"username": str(parsed.username), "password": str(parsed.password)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    # A name that means something to a URL.
    return tmp_path / "the login+&%.json"


@pytest.fixture
def engine(database_urls: DatabaseUrls, file: Path) -> Iterator[sa.Engine]:
    made = make_engine(with_login_file(without_login(database_urls.app), str(file)))
    yield made
    made.dispose()


def test_each_new_connection_logs_in_as_the_file_says_then(
    dialect: str, database_urls: DatabaseUrls, engine: sa.Engine, file: Path
):
    write(file, login_of(database_urls.app))
    with engine.connect() as first:
        write(file, login_of(database_urls.migrator))
        with engine.connect() as second:
            roles = [connection.exec_driver_sql(WHO[dialect]).scalar_one() for connection in (first, second)]

    assert roles == [APP_ROLE, MIGRATOR_ROLE]


def test_migrations_and_commands_log_in_by_it_too(database_urls: DatabaseUrls, file: Path):
    write(file, login_of(database_urls.migrator))
    env = {"DATABASE_URL": without_login(database_urls.app), "DATABASE_LOGIN_FILE": str(file)}

    upgraded = CliRunner().invoke(main, ["db", "upgrade"], env=env)
    verified = CliRunner().invoke(main, ["ledger", "verify"], env=env)
    shown = CliRunner().invoke(main, ["config"], env=env)

    assert (upgraded.exit_code, verified.exit_code) == (0, 0), upgraded.output + verified.output
    assert f"DATABASE_LOGIN_FILE={file}\n" in shown.output
    assert login_of(database_urls.migrator)["password"] not in shown.output


def test_production_looks_at_its_database_by_it_before_it_serves(dialect: str, make_database: MakeDatabase, file: Path):
    url = make_database(dialect, migrated=False).migrator
    write(file, login_of(url))
    env = {**PRODUCTION, "DATABASE_URL": without_login(url), "DATABASE_LOGIN_FILE": str(file)}

    with pytest.raises(SettingsRefused, match="The schema is at nothing"):
        settings_for_serving(env)


def test_a_url_given_to_a_command_may_name_a_login_file_itself(database_urls: DatabaseUrls, file: Path):
    write(file, login_of(database_urls.migrator))
    url = with_login_file(without_login(database_urls.app), str(file))

    opened_again = CliRunner().invoke(main, ["db", "reopen", url])
    refused = CliRunner().invoke(main, ["db", "reopen", f"{database_urls.migrator}&login_file={file}"])

    assert opened_again.output == "The bank was not closed.\n"
    assert refused.exit_code == 1
    assert "names a login file, and the database's URL has a login already" in refused.output


def test_rights_are_given_to_several_roles_at_once(database_urls: DatabaseUrls, dialect: str):
    statements = migrate.grant(database_urls.migrator, APP_ROLE, APP_ROLE)

    said = CliRunner().invoke(main, ["db", "grant", APP_ROLE, APP_ROLE], env={"DATABASE_URL": database_urls.migrator})
    assert said.output.splitlines() == [f"{statement};" for statement in statements]
    assert statements[: len(statements) // 2] * 2 == statements


GOOD = {"username": APP_ROLE, "password": "tell-nobody"}
REFUSED = {
    "missing": (None, 0o600, "cannot be read: No such file"),
    "a folder": ("folder", 0o600, "cannot be read: Is a directory"),
    "readable by others": (GOOD, 0o604, "is open to others"),
    "writable by others": (GOOD, 0o602, "is open to others"),
    "empty": ("", 0o600, "is not JSON of the form"),
    "not JSON": ("tell-nobody", 0o600, "is not JSON of the form"),
    "not text": ('{"username": "\udcff tell-nobody', 0o600, "is not JSON of the form"),
    "a list": (["tell-nobody"], 0o600, "is not JSON of the form"),
    "no password": ({"username": "tell-nobody"}, 0o600, "is not JSON of the form"),
    "an empty password": ({**GOOD, "password": ""}, 0o600, "is not JSON of the form"),
    "a number": ({**GOOD, "password": 12345678}, 0o600, "is not JSON of the form"),
    "a NUL": ({**GOOD, "password": "tell-nobody\0"}, 0o600, "is not JSON of the form"),
    "too long a name": ({**GOOD, "username": 257 * "x"}, 0o600, "is not JSON of the form"),
    "too long": (json.dumps(GOOD) + 4096 * " ", 0o600, "is not JSON of the form"),
    "too deep": (4000 * "[", 0o600, "is not JSON of the form"),
    **{
        f"with {name} {value!r}": ({**GOOD, name: value}, 0o600, "says no usable place")
        for name, values in {
            "host": (
                "",
                "/tmp",
                "a b",
                "db.example,other",
                "db.example:5432",
                "-db",
                "db?x=tell-nobody",
                12,
                255 * "x",
            ),
            "port": (0, 65_536, -1, "5432", 5432.0, True),
            "term": (-1, 10**9 + 1, "1", 1.5, False),
        }.items()
        for value in values
    },
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_no_login_is_refused_without_quoting_it(tmp_path: Path, case: str, dialect: str):
    file, (content, mode, because) = tmp_path / "login.json", REFUSED[case]
    if content == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(
            (content if isinstance(content, str) else json.dumps(content)).encode(errors="surrogateescape")
        )
        file.chmod(mode)

    with pytest.raises(LoginFileRefused) as refused:
        login_file.read(file)

    assert str(refused.value).startswith(f"The login file {file} {because}")
    assert "nobody" not in f"{refused.value!r}{refused.value.__cause__!r}"


def test_without_a_file_the_database_is_away_until_there_is_one(database_urls: DatabaseUrls, file: Path):
    with opened(with_login_file(without_login(database_urls.app), str(file))) as bank:
        with pytest.raises(DatabaseAway) as away, bank.reader():
            pass
        write(file, login_of(database_urls.app))
        with bank.reader() as reader:
            assert reader.exec_driver_sql("SELECT 1").scalar_one() == 1

    assert f"The login file {file} cannot be read" in str(away.value.__cause__)


def test_a_command_says_what_is_wrong_with_the_file(database_urls: DatabaseUrls, file: Path):
    env = {"DATABASE_URL": without_login(database_urls.app), "DATABASE_LOGIN_FILE": str(file)}
    write(file, "tell-nobody")

    for command in (["ledger", "verify"], ["db", "upgrade"]):
        said = CliRunner().invoke(main, command, env=env)
        assert said.exit_code == 1
        assert f"The login file {file} is not JSON of the form" in said.output
        assert "nobody" not in said.output


def test_connections_of_a_login_that_was_replaced_do_not_live_for_ever(engine: sa.Engine, database_urls: DatabaseUrls):
    without_file = make_engine(database_urls.app)
    assert engine.pool._recycle == 3600
    assert without_file.pool._recycle == -1


PLACED = {
    "nothing": ("postgresql://db.example:6000/bank?sslmode=verify-full", {}, "postgresql://db.example:6000/bank?sslmode=verify-full"),
    "a host, which is reached by the same port and proof": (
        "postgresql://db.example:6000/bank?sslmode=verify-full&sslrootcert=/ca.pem", {"host": "west.example"},
        "postgresql://west.example:6000/bank?sslmode=verify-full&sslrootcert=/ca.pem",
    ),
    "a port": ("mysql://db.example/bank?ssl_ca=/ca.pem", {"port": 6001}, "mysql://db.example:6001/bank?ssl_ca=/ca.pem"),
    "an address of the sixth version": (
        "postgresql://db.example/bank?sslmode=verify-full", {"host": "fd00::1"}, "postgresql://[fd00::1]/bank?sslmode=verify-full"
    ),
    "in place of a list of hosts": (
        "postgresql:///bank?host=a.example,b.example&hostaddr=10.0.0.1,10.0.0.2&sslmode=verify-full", {"host": "c.example", "port": 5432},
        "postgresql://c.example:5432/bank?sslmode=verify-full",
    ),
    "in place of a socket, on this machine": ("mysql://localhost/bank?unix_socket=/run/db.sock", {"host": "127.0.0.1"}, "mysql://127.0.0.1/bank"),
}  # fmt: skip


@pytest.mark.parametrize("case", PLACED)
def test_the_place_in_the_file_replaces_the_urls_and_nothing_else(case: str):
    url, place, there = PLACED[case]

    assert Place(**place).on(sa.make_url(url)) == sa.make_url(there)


UNPROVEN = {
    "a socket": "postgresql:///bank?host=/run/postgresql",
    "this machine": "mysql://localhost/bank",
    "this machine, encrypted without proof": "postgresql://localhost/bank?sslmode=require",
}


@pytest.mark.parametrize("case", UNPROVEN)
def test_a_host_in_the_file_weakens_no_proof_of_whom_the_bank_speaks_to(case: str):
    url = sa.make_url(UNPROVEN[case])

    with pytest.raises(
        LoginFileRefused, match=r"db\.example is another machine, and the database's URL asks for no cert"
    ):
        Place(host="db.example").on(url)
    assert Place(host="127.0.0.1").on(url).host == "127.0.0.1"


def test_a_login_that_is_replaced_stays_where_it_is(tmp_path: Path):
    file = tmp_path / "login.json"
    login = Login("bank_app_a", "first", Place("db.example", 5432, 3))

    with login_file.replacing(file, login):
        pass

    assert login_file.read(file) == login
    assert "first" not in repr(login)
