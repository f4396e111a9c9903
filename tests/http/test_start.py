"""What starts, what refuses to, and what waits for its database."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from bank.settings import (
    DEVELOPMENT_IDENTITY_KEY,
    DEVELOPMENT_SECRET_KEY,
    SettingsRefused,
)
from bank.start import settings_for_serving
from bank.storage.engine import make_engine
from tests.builders import Branch
from tests.conftest import MakeDatabase
from tests.gunicorn_server import BIN, ROOT, GunicornServer, answers, end, wait_until
from tests.http.browsing import RemoteBrowser
from tests.http.conftest import OwnServer, Serve
from tests.servers import DatabaseUrls, children, free_port

PRODUCTION = {
    "BANK_ENV": "production",
    "BANK_NAME": "Harbor Bank",
    "BUSINESS_TIMEZONE": "America/New_York",
    "SECRET_KEY": "correct-horse-battery-staple-0123456789",
    "IDENTITY_KEYS": base64.urlsafe_b64encode(bytes(range(32))).decode(),
}
WITHIN_SECONDS = 15


def statements(url: str, *texts: str) -> None:
    """Run them as whoever the URL names."""
    engine = make_engine(url)
    with engine.connect() as connection:
        for text in texts:
            connection.execute(sa.text(text))
    engine.dispose()


# Production refuses


def refusal(server: GunicornServer) -> str:
    """Start it, see it end by itself, and answer what it wrote."""
    server.launch()
    assert server.exit_code(WITHIN_SECONDS) == 4
    assert "Booting worker" not in server.text()
    server.kill()
    return server.text()


def test_production_refuses_to_start_and_lists_every_problem_at_once(make_database: MakeDatabase, tmp_path: Path):
    url = make_database("sqlite").app
    statements(url, "DELETE FROM alembic_version", "INSERT INTO bank_facts (name, value) VALUES ('demo', 'loaded')")
    weak = {
        **PRODUCTION,
        "BANK_NAME": "",
        "BUSINESS_TIMEZONE": "Mars/Olympus",
        "SECRET_KEY": DEVELOPMENT_SECRET_KEY,
        "IDENTITY_KEYS": DEVELOPMENT_IDENTITY_KEY,
        "CURRENCY": "dollars",
        "POOL_SIZE": "many",
    }

    said = refusal(GunicornServer(url, tmp_path, **weak))

    assert said.count("The bank does not open:") == 1
    problems = said.partition("The bank does not open:")[2]
    for named in ("BANK_NAME is missing", "BUSINESS_TIMEZONE must", "SECRET_KEY is weak", "IDENTITY_KEYS must"):
        assert named in problems
    for named in ("CURRENCY must", "POOL_SIZE must", "bank db upgrade", "demo data with published passwords"):
        assert named in problems
    assert DEVELOPMENT_SECRET_KEY not in said
    assert DEVELOPMENT_IDENTITY_KEY not in said


@pytest.mark.parametrize("missing", ["DATABASE_URL", "SECRET_KEY", "IDENTITY_KEYS", "BANK_NAME", "BUSINESS_TIMEZONE"])
def test_production_has_no_default_for_what_must_be_chosen(missing: str, tmp_path: Path):
    env = {"DATABASE_URL": f"sqlite:///{tmp_path}/none.sqlite", **PRODUCTION, missing: ""}

    with pytest.raises(SettingsRefused, match=f"^{missing} is missing."):
        settings_for_serving(env)


def test_production_refuses_a_remote_database_whose_certificate_it_would_not_verify(tmp_path: Path):
    url = "postgresql://bank:secret@db.example.org/bank?connect_timeout=1"
    said = refusal(GunicornServer(url, tmp_path, **PRODUCTION))

    assert "DATABASE_URL must verify the server's certificate in production" in said
    assert "secret" not in said


def test_production_refuses_an_empty_database_and_opens_once_it_is_upgraded(dialect: str, make_database: MakeDatabase):
    # The application's role may not even look into a database without grants.
    empty, upgraded = make_database(dialect, migrated=False).migrator, make_database(dialect).app

    with pytest.raises(SettingsRefused, match=r"The schema is at nothing.*bank db upgrade"):
        settings_for_serving({**PRODUCTION, "DATABASE_URL": empty})
    assert settings_for_serving({**PRODUCTION, "DATABASE_URL": upgraded}).production


def test_production_opens_on_the_schema_of_a_later_release(make_database: MakeDatabase):
    url = make_database("sqlite").app
    # We roll back code, not schema.
    statements(url, "UPDATE alembic_version SET version_num = '9999'")

    assert settings_for_serving({**PRODUCTION, "DATABASE_URL": url}).production


# The database is away


def health(browser: RemoteBrowser) -> dict[str, int]:
    return {path: browser.get(path).status for path in ("/healthz", "/readyz", "/writable")}


@pytest.mark.dialects("postgresql", "mysql")
def test_it_starts_without_its_database_and_serves_as_soon_as_that_is_back(
    own_server: OwnServer, open_branch: Callable[[str], Branch], serve: Serve
):
    urls = own_server.new_database()
    branch = open_branch(urls.app)
    token = branch.session_of("alice")
    branch.bank.engine.dispose()
    own_server.server.stop()

    server = serve(urls.app, workers=2, **PRODUCTION)
    nobody, alice = RemoteBrowser(server.address), RemoteBrowser(server.address)
    # Production's cookies are for TLS, which this test has not.
    alice.opener.addheaders = [("Cookie", f"__Host-bank-session={token}")]
    while_away = health(nobody)
    home = alice.get("/home")
    log_in = log_in_by_post(nobody, server.address)

    assert while_away == {"/healthz": 200, "/readyz": 503, "/writable": 503}
    assert (home.status, "Nothing has moved" in home.text) == (503, True)
    assert (log_in.status, "no money moved" in log_in.text) == (503, True)
    assert nobody.get("/").status == 200

    own_server.server.start()
    wait_until(lambda: set(health(nobody).values()) == {200}, 10, "health after the database came back")
    assert alice.get("/home").status == 200


def log_in_by_post(browser: RemoteBrowser, address: str):
    form = browser.get("/login")
    cookie = form.response.headers["Set-Cookie"].partition(";")[0]
    sender = RemoteBrowser(address)
    sender.opener.addheaders = [("Cookie", cookie)]
    return sender.ask("/login", {**form.form.values, "user": "3602000001", "password": "wrong password"})


@pytest.mark.dialects("postgresql", "mysql")
def test_a_database_that_goes_away_and_comes_back_needs_no_restart(
    own_server: OwnServer, open_branch: Callable[[str], Branch], serve: Serve
):
    urls = own_server.new_database()
    branch = open_branch(urls.app)
    server = serve(urls.app, workers=2)
    alice = RemoteBrowser(server.address, branch.session_of("alice"))
    before = {alice.get("/home").status for _ in range(8)}

    own_server.server.kill()
    away = {alice.get("/home").status for _ in range(8)}
    own_server.server.start()
    wait_until(lambda: alice.get("/home").status == 200, 10, "a page after the database came back")
    # Each process had connections of before; none of them gets in the way again.
    wait_until(lambda: {alice.get("/home").status for _ in range(8)} == {200}, 10, "all processes")

    assert (before, away) == ({200}, {503})
    assert {line["event"] for line in server.lines() if line["level"] == "error"} == set()


def test_a_database_that_takes_no_writes_still_serves_pages(
    dialect: str, make_database: MakeDatabase, open_branch: Callable[[str], Branch], serve: Serve
):
    urls = make_database(dialect)
    branch = open_branch(urls.app)
    token = branch.session_of("alice")
    with taking_no_writes(dialect, urls) as url:
        server = serve(url, workers=1)
        alice = RemoteBrowser(server.address, token)

        assert health(alice) == {"/healthz": 200, "/readyz": 200, "/writable": 503}
        assert "100.00" in alice.get("/home").text
        refused = alice.send(
            "/pay", from_account=branch.number("alice_current"), to_account=branch.number("bob_current"), amount="1"
        )
        assert (refused.status, "no money moved" in refused.text) == (503, True)
    assert branch.balance("alice_current") == 100_00


@contextmanager
def taking_no_writes(dialect: str, urls: DatabaseUrls) -> Iterator[str]:
    """A URL by which the database refuses to write, as a standby would."""
    if dialect == "sqlite":
        yield urls.app.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
        return
    name = sa.make_url(urls.app).database
    # MariaDB's is for the whole server; nothing else of this worker's runs meanwhile.
    refuse, accept = {
        "postgresql": (f"ALTER DATABASE {name} SET default_transaction_read_only = on", "SELECT 1"),
        "mysql": ("SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0"),
    }[dialect]
    statements(urls.admin, refuse)
    try:
        yield urls.app
    finally:
        statements(urls.admin, accept)


# make run


class Copy:
    """A copy of the project in a folder of its own, run by scripts/run.sh."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("bank", "migrations", "scripts"):
            shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "wsgi.py", directory)
        (directory / ".venv").symlink_to(BIN.parent)
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"

    def command(self, port: object) -> dict[str, object]:
        env = {"PATH": os.environ["PATH"], "PORT": str(port), "PASSWORD_MEMORY_KIB": "8192"}
        return {"args": ["scripts/run.sh"], "cwd": self.directory, "env": env}

    def refusal(self, port: object) -> str:
        """Start, see it refuse, and answer its sentence."""
        done = subprocess.run(**self.command(port), capture_output=True, text=True, check=False, timeout=WITHIN_SECONDS)  # type: ignore[call-overload]
        assert done.returncode == 1
        assert done.stdout == ""
        return done.stderr.strip()

    @contextmanager
    def running(self, log: Path) -> Iterator[None]:
        with log.open("wb") as output:
            process = subprocess.Popen(**self.command(self.port), stdout=output, stderr=output)  # type: ignore[call-overload]
        try:
            wait_until(lambda: process.poll() is not None or answers(f"{self.address}/readyz"), 60, "the bank to open")
            assert process.poll() is None, log.read_text()
            yield
        finally:
            pids = children(process.pid)
            process.terminate()
            try:
                process.wait(WITHIN_SECONDS)
            finally:
                end(pids)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "bank-copy")


@pytest.mark.parametrize("port", ["0", "65536", "80x", "-1", "8000; id", "08000"])
def test_a_port_that_is_none_is_refused_in_a_sentence(copy: Copy, port: str):
    assert copy.refusal(port) == f'PORT must be a number from 1 to 65535, not "{port}".'
    assert not (copy.directory / "var").exists()


def test_a_taken_port_is_named_with_another(copy: Copy):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]

        assert copy.refusal(taken) == (
            f"Port {taken} is taken by another program. Choose another: make run PORT={taken % 65535 + 1}"
        )


def test_a_second_start_keeps_data_keys_and_sessions(copy: Copy, tmp_path: Path):
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    browser = RemoteBrowser(copy.address)
    with copy.running(first):
        keys = (copy.directory / "var/keys.env").read_text()
        words = next(line for line in first.read_text().splitlines() if "executive" in line)
        user_id, password = words.split()[1], words.split(maxsplit=2)[2].partition("  ")[0]
        assert browser.done("/staff/login", user=user_id, password=password).title.startswith("Branch")
        before = browser.get("/staff/trial-balance").text

    with copy.running(second):
        after = browser.get("/staff/trial-balance")

    assert (after.status, after.text) == (200, before)
    assert (copy.directory / "var/keys.env").read_text() == keys
    assert (copy.directory / "var/keys.env").stat().st_mode & 0o077 == 0
    assert f"http://localhost:{copy.port}" in first.read_text()
    assert DEVELOPMENT_SECRET_KEY not in keys
    assert "Traceback" not in first.read_text() + second.read_text()
