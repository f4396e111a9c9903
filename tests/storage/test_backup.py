"""`bank db backup` and `bank db restore`: the whole bank at one instant, and nothing else, comes back and is proved."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from bank.cli import main
from bank.cli.copying import all_tables
from bank.identity.store import sessions
from bank.ledger import service
from bank.ledger.tables import journal_entries
from bank.storage import closing, migrate, tools
from bank.storage.dumps import DUMPS
from bank.storage.engine import make_engine
from bank.storage.facts import VERIFICATION, fact
from bank.storage.transaction import Bank
from tests.conftest import MakeDatabase
from tests.furnished import Furnished, furnish
from tests.ledger import NOON, move, opened
from tests.servers import APP_ROLE, DatabaseUrls, MariaDBServer, not_run


@pytest.fixture(autouse=True)
def tool(dialect: str) -> str:
    """The dialect's own tool; without it there is nothing to try."""
    try:
        return DUMPS[dialect].tools()
    except tools.BackupRefused as missing:
        not_run(f"backups of {dialect}", str(missing))


def run(command: str, url: str, *arguments: object) -> Any:
    return CliRunner().invoke(main, ["db", command, *map(str, arguments)], env={"DATABASE_URL": url})


def backed_up(urls: DatabaseUrls, directory: Path) -> Any:
    result = run("backup", urls.migrator, directory)
    assert result.exit_code == 0, result.output
    return json.loads((directory / "manifest.json").read_text())


def restored(directory: Path, target: DatabaseUrls) -> str:
    result = run("restore", target.migrator, directory)
    assert result.exit_code == 0, result.output
    return result.output


def rows_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    engine = make_engine(url)
    with engine.connect() as connection:
        found = {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in all_tables()
        }
    engine.dispose()
    return found


def with_a_session(bank: Bank) -> Furnished:
    furnished = furnish(bank)
    session = {
        "token_digest": "t", "kind": "staff", "person_id": 1, "created_at": NOON, "last_used_at": NOON,
        "network_address": "::1", "device": "",
    }  # fmt: skip
    bank.run(lambda tx: tx.execute(sessions.insert(), session))
    return furnished


@pytest.fixture
def empty(make_database: MakeDatabase, dialect: str) -> DatabaseUrls:
    """Where to restore to."""
    return make_database(dialect, migrated=False)


def test_all_comes_back_but_sessions_and_the_bank_goes_on(
    database_urls: DatabaseUrls, empty: DatabaseUrls, tmp_path: Path, dialect: str, tool: str
) -> None:
    with opened(database_urls.app) as bank:
        furnished = with_a_session(bank)
    before = rows_of(database_urls.migrator)

    manifest = backed_up(database_urls, tmp_path / "b")
    said = restored(tmp_path / "b", empty)

    after = rows_of(empty.migrator)
    assert [row for row in after.pop("bank_facts") if row[0] != VERIFICATION] == before.pop("bank_facts")
    assert before.pop("sessions")
    assert after.pop("sessions") == []
    assert after == before
    assert (manifest["schema"], manifest["engine"], manifest["tool"]) == (migrate.head(), dialect, tool)
    assert manifest["rows"]["journal_entries"] == len(before["journal_entries"])
    assert manifest["newest_entry"] == max(row[0] for row in before["journal_entries"])
    assert "It holds what the manifest says." in said
    assert "The ledger is sound: 12 entries" in said
    if dialect != "sqlite":
        migrate.grant(empty.migrator, APP_ROLE)
    with opened(empty.app) as bank:
        # Triggers, procedures and generated numbers are there as well.
        assert service.post(bank, [move(furnished.ids["alice"], furnished.ids["bob"], 1)])[0].or_raise() == 13
        with bank.reader() as reader:
            assert fact(reader, VERIFICATION)
    engine = make_engine(empty.migrator)
    with engine.connect() as owner, pytest.raises(sa.exc.DBAPIError, match="never changed or deleted"):
        owner.exec_driver_sql("UPDATE postings SET minor_units = 1")
    engine.dispose()


def test_a_backup_is_its_owners_alone_and_no_tool_is_told_a_secret(
    database_urls: DatabaseUrls, empty: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(database_urls.app) as bank:
        furnish(bank)
    started: list[Any] = []
    real = subprocess.Popen

    def noted(*arguments: Any, **options: Any) -> Any:
        started.append([*arguments, options.get("env")])
        return real(*arguments, **options)

    monkeypatch.setattr(tools.subprocess, "Popen", noted)

    backed_up(database_urls, tmp_path / "b")
    restored(tmp_path / "b", empty)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "b").iterdir()}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == [tmp_path / "b"]
    for urls in (database_urls, empty):
        password = sa.make_url(urls.migrator).password
        assert password is None or password not in repr(started)
    assert [each for each in started if "/login" in repr(each) or "--version" in repr(each)] == started


def test_payments_go_on_meanwhile_and_what_is_restored_is_a_prefix_of_them(
    database_urls: DatabaseUrls, empty: DatabaseUrls, tmp_path: Path
) -> None:
    with opened(database_urls.app, pool_size=6) as bank:
        furnished = furnish(bank)
        # Enough for the dump to take a moment.
        for _ in range(6):
            service.post(bank, [move(furnished.ids["till-USD"], furnished.ids["bob"], 1) for _ in range(500)])
        going, acknowledged, refused = True, [], []

        def pay() -> None:
            while going:
                try:
                    [outcome] = service.post(bank, [move(furnished.ids["till-USD"], furnished.ids["alice"], 1)])
                    acknowledged.append((time.monotonic(), outcome.or_raise()))
                except Exception as error:
                    refused.append(error)
                    raise

        payers = [threading.Thread(target=pay) for _ in range(3)]
        for payer in payers:
            payer.start()
        time.sleep(0.2)
        began = time.monotonic()
        manifest = backed_up(database_urls, tmp_path / "b")
        ended = time.monotonic()
        time.sleep(0.2)
        going = False
        for payer in payers:
            payer.join()

    restored(tmp_path / "b", empty)

    original = {row[0]: row for row in rows_of(database_urls.migrator)["journal_entries"]}
    copied = {row[0]: row for row in rows_of(empty.migrator)["journal_entries"]}
    assert refused == []
    assert copied == {key: original[key] for key in copied}
    # All that was acknowledged before it began, nothing that came after; and something came meanwhile.
    before = {entry for at, entry in acknowledged if at < began}
    assert before <= set(copied)
    assert len([entry for at, entry in acknowledged if began < at < ended]) > 3
    assert not {entry for at, entry in acknowledged if at > ended} & set(copied)
    assert len(copied) == manifest["rows"]["journal_entries"] < len(original)


def test_nothing_is_written_over_and_a_dry_run_writes_nothing(
    database_urls: DatabaseUrls, empty: DatabaseUrls, tmp_path: Path
) -> None:
    with opened(database_urls.app) as bank:
        furnish(bank)

    dry = run("backup", database_urls.migrator, tmp_path / "b", "--dry-run")
    assert dry.exit_code == 0
    assert "Nothing was written" in dry.output
    assert list(tmp_path.iterdir()) == []

    backed_up(database_urls, tmp_path / "b")
    again = run("backup", database_urls.migrator, tmp_path / "b")
    over = run("restore", database_urls.migrator, tmp_path / "b")
    dry = run("restore", empty.migrator, tmp_path / "b", "--dry-run")

    assert (again.exit_code, over.exit_code, dry.exit_code) == (1, 1, 0)
    assert "exists already: a backup is never written over." in again.output
    assert "The target is not empty: it has account_holders, accounts" in over.output
    assert "Nothing was changed" in dry.output
    assert run("restore", empty.migrator, tmp_path / "b").exit_code == 0


def shorten(dump: Path) -> None:
    dump.write_bytes(dump.read_bytes()[:-100])


def flip(dump: Path) -> None:
    content = bytearray(dump.read_bytes())
    content[len(content) // 2] ^= 1
    dump.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (shorten, "it is not whole."),
        (flip, "is not what was written: its SHA-256 is another."),
        (Path.unlink, "cannot be read: No such file"),
    ],
)
def test_a_damaged_backup_is_refused_before_anything_is_written(
    database_urls: DatabaseUrls, empty: DatabaseUrls, tmp_path: Path, damage: Callable[[Path], None], told: str,
    dialect: str,
) -> None:  # fmt: skip
    backed_up(database_urls, tmp_path / "b")
    damage(tmp_path / "b" / DUMPS[dialect].file_name)

    result = run("restore", empty.migrator, tmp_path / "b")

    assert result.exit_code == 1
    assert told in result.output
    assert not dialect.startswith("sqlite") or not Path(str(sa.make_url(empty.migrator).database)).exists()


def altered(directory: Path, **changes: Any) -> None:
    path = directory / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def whole_again(directory: Path, dump: Path) -> None:
    """Let the manifest say of a changed dump that it is what was written."""
    altered(directory, bytes=dump.stat().st_size, sha256=hashlib.sha256(dump.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"engine": "oracle"}, "is no backup of a bank"),
        ({"format": 2}, "in a format that this release does not know"),
        ({"surplus": 1}, "says less, or more, than one does"),
        ({"schema": "9999"}, "It is of a later release: its schema, 9999, is not known"),
        ({"server": "MySQL 8.0.1", "engine": "mysql"}, "The backup is of MySQL 8.0.1, and the target is"),
    ],
)
def test_a_manifest_that_promises_what_cannot_be_kept_is_refused(
    database_urls: DatabaseUrls, empty: DatabaseUrls, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    backed_up(database_urls, tmp_path / "b")
    altered(tmp_path / "b", **changes)

    result = run("restore", empty.migrator, tmp_path / "b")

    assert result.exit_code == 1
    assert told in result.output


def test_a_backup_of_a_newer_server_or_of_another_kind_is_refused(
    database_urls: DatabaseUrls, empty: DatabaseUrls, make_database: MakeDatabase, tmp_path: Path, dialect: str
) -> None:
    server = backed_up(database_urls, tmp_path / "b")["server"]
    other = make_database("sqlite" if dialect != "sqlite" else "postgresql", migrated=False)

    elsewhere = run("restore", other.migrator, tmp_path / "b")
    altered(tmp_path / "b", server=f"{server.split()[0]} 99.1")
    older = run("restore", empty.migrator, tmp_path / "b")

    assert (elsewhere.exit_code, older.exit_code) == (1, 1)
    assert "`bank db copy` moves a bank between kinds of databases" in elsewhere.output
    assert "99.1, and the target is older" in older.output


@pytest.mark.dialects("postgresql")
def test_a_backup_by_a_newer_tool_is_refused(database_urls: DatabaseUrls, empty: DatabaseUrls, tmp_path: Path) -> None:
    backed_up(database_urls, tmp_path / "b")
    altered(tmp_path / "b", tool="pg_dump (PostgreSQL) 99.1")

    assert "and the tool here is older: pg_dump" in run("restore", empty.migrator, tmp_path / "b").output


@pytest.mark.dialects("postgresql", "mysql")
def test_a_tool_that_is_missing_or_fails_is_named(
    database_urls: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    monkeypatch.setenv("PATH", str(bin_))
    missing = run("backup", database_urls.migrator, tmp_path / "b")
    for name in ("pg_dump", "pg_restore", "mariadb", "mariadb-dump"):
        (bin_ / name).write_text(
            '#!/bin/sh\n[ "$1" = --version ] && echo MariaDB 1.0 && exit 0\n'
            "echo 'tool: error: server version: 16; mine is older' >&2\nexit 1\n"
        )
        (bin_ / name).chmod(0o755)
    failing = run("backup", database_urls.migrator, tmp_path / "b")

    assert (missing.exit_code, failing.exit_code) == (1, 1)
    assert "is not on this machine: install" in missing.output
    assert "says: tool: error: server version: 16; mine is older" in failing.output
    assert list(tmp_path.iterdir()) == [bin_]


def owner_writes(urls: DatabaseUrls, *statements: str) -> None:
    engine = make_engine(urls.migrator)
    with engine.connect() as owner:
        for statement in statements:
            owner.exec_driver_sql(statement)
    engine.dispose()


def test_a_row_that_was_tampered_with_before_the_backup_is_found_by_the_restore(
    database_urls: DatabaseUrls, empty: DatabaseUrls, tmp_path: Path
) -> None:
    with opened(database_urls.app) as bank:
        furnished = furnish(bank)
    owner_writes(database_urls, f"UPDATE ledger_accounts SET balance = 7000 WHERE id = {furnished.ids['alice']}")
    backed_up(database_urls, tmp_path / "b")

    result = run("restore", empty.migrator, tmp_path / "b")

    assert result.exit_code == 1
    assert f"wrong_balance account:{furnished.ids['alice']}" in result.output
    assert "The bank is restored" not in result.output


def test_a_row_that_was_changed_in_the_dump_and_its_manifest_is_found_as_well(
    database_urls: DatabaseUrls, empty: DatabaseUrls, tmp_path: Path, dialect: str
) -> None:
    if dialect == "postgresql":
        pytest.skip("its dump is compressed; the two others show the same")
    with opened(database_urls.app) as bank:
        furnish(bank)
    backed_up(database_urls, tmp_path / "b")
    dump = tmp_path / "b" / DUMPS[dialect].file_name
    content = dump.read_bytes()
    assert "Für Elise 🎹".encode() in content
    dump.write_bytes(content.replace("Für Elise 🎹".encode(), "Für Alice 🎹".encode()))
    whole_again(tmp_path / "b", dump)

    result = run("restore", empty.migrator, tmp_path / "b")

    assert result.exit_code == 1
    assert "wrong_digest entry:" in result.output


def test_what_holds_less_than_its_manifest_says_is_refused(
    database_urls: DatabaseUrls, empty: DatabaseUrls, tmp_path: Path
) -> None:
    manifest = backed_up(database_urls, tmp_path / "b")
    altered(tmp_path / "b", rows={**manifest["rows"], "postings": 5}, newest_entry=17, trial_balance=[["x", "USD", 1]])

    result = run("restore", empty.migrator, tmp_path / "b")

    assert result.exit_code == 1
    assert (
        "postings: 0 rows in place of 5; the newest entry is 0, not 17; the trial balance is another" in result.output
    )


def test_a_bank_that_was_closed_to_be_moved_is_open_when_it_is_restored(
    database_urls: DatabaseUrls, empty: DatabaseUrls, tmp_path: Path
) -> None:
    with opened(database_urls.migrator) as bank:
        with_a_session(bank)
        with bank.connect() as owner:
            closing.close(owner)
    backed_up(database_urls, tmp_path / "b")

    assert "the restored one is open." in restored(tmp_path / "b", empty)
    with opened(empty.migrator) as bank:
        bank.run(lambda tx: tx.execute(journal_entries.select()))
        assert rows_of(empty.migrator)["sessions"] == []


def test_a_backup_of_the_schema_before_is_restored_and_the_upgrade_named(
    make_database: MakeDatabase, empty: DatabaseUrls, tmp_path: Path, dialect: str
) -> None:
    older = make_database(dialect, migrated=False)
    migrate.upgrade(older.migrator, "0003")
    assert backed_up(older, tmp_path / "b")["schema"] == "0003"

    said = restored(tmp_path / "b", empty)

    assert "1. Its schema is at 0003: bank db upgrade." in said
    assert migrate.upgrade(empty.migrator) == migrate.head()


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.8])
def test_a_backup_that_is_killed_leaves_nothing_that_looks_like_one(
    database_urls: DatabaseUrls, tmp_path: Path, seconds: float
) -> None:
    with opened(database_urls.app) as bank:
        furnished = furnish(bank)
        for _ in range(4):
            service.post(bank, [move(furnished.ids["till-USD"], furnished.ids["bob"], 1) for _ in range(500)])
    job = subprocess.Popen(
        [sys.executable, "-c", "from bank.cli import main; main()", "db", "backup", str(tmp_path / "b")],
        env={"PATH": os.environ["PATH"], "DATABASE_URL": database_urls.migrator}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert job.stdout is not None
    assert job.stdout.readline().startswith("From ")
    time.sleep(seconds)
    job.kill()
    job.wait()

    if (tmp_path / "b").exists():
        assert (tmp_path / "b" / "manifest.json").exists()
    else:
        assert run("restore", database_urls.migrator, tmp_path / "b").exit_code == 1
        backed_up(database_urls, tmp_path / "b")


def test_where_there_is_no_bank_there_is_nothing_to_back_up(empty: DatabaseUrls, tmp_path: Path) -> None:
    result = run("backup", empty.migrator, tmp_path / "b")

    assert result.exit_code == 1
    assert "There is no " in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.dialects("mysql")
def test_whoever_restores_a_backup_owns_its_triggers_and_procedures(
    database_urls: DatabaseUrls, empty: DatabaseUrls, tmp_path: Path, mariadb_server: MariaDBServer
) -> None:
    with opened(database_urls.app) as bank:
        furnished = furnish(bank)
    backed_up(database_urls, tmp_path / "b")
    url = sa.make_url(empty.migrator)
    with mariadb_server.admin() as cursor:
        cursor.execute("CREATE USER other_owner IDENTIFIED BY 'other'")
        cursor.execute(f"GRANT ALL ON {url.database}.* TO other_owner")
    try:
        other = url.set(username="other_owner", password="other").render_as_string(hide_password=False)

        restored(tmp_path / "b", DatabaseUrls(other, other, other))

        with opened(other) as bank:
            assert service.post(bank, [move(furnished.ids["alice"], furnished.ids["bob"], 1)])[0].or_raise()
            with bank.reader() as reader:
                query = "SELECT DISTINCT definer FROM information_schema.routines WHERE routine_schema = DATABASE()"
                assert reader.exec_driver_sql(query).scalars().all() == ["other_owner@%"]
    finally:
        with mariadb_server.admin() as cursor:
            cursor.execute("DROP USER other_owner")
