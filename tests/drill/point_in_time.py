"""Go back to an instant: a base backup, the log since, and a second server that plays it up to just before a mistake.

What a managed database does with its automated backups, by PostgreSQL's own means on this machine.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bank.cli.ledger import verify_bank
from bank.ledger import service
from bank.ledger.tables import journal_entries
from bank.storage import migrate
from bank.storage.transaction import Bank
from tests.furnished import Furnished, furnish
from tests.ledger import move, opened
from tests.servers import APP_ROLE, DatabaseUrls, PostgresServer

DATABASE = "bank"
_ARCHIVE_SECONDS = 30
_BETWEEN_SECONDS = 0.2


class Archiving(PostgresServer):
    """A server that puts every finished piece of its log into a folder."""

    @property
    def archive(self) -> Path:
        """Where the pieces go; another server reads them there."""
        return self.directory / "archive"

    def command(self) -> list[str]:
        """The server's own, and that it archives."""
        into = f"test ! -f {self.archive}/%f && cp %p {self.archive}/.%f.part && mv {self.archive}/.%f.part {self.archive}/%f"
        return [*super().command(), "-c", "archive_mode=on", "-c", f"archive_command={into}"]

    def initialise(self) -> None:
        """The data directory, and the folder."""
        super().initialise()
        self._run(["mkdir", self.archive])

    def base_backup(self, into: Path) -> None:
        """Copy the running server's files, without the log that is written meanwhile: that is in the archive."""
        place = [f"--host={self.directory}", "--username=bank_admin"]
        how = [f"--pgdata={into}", "--wal-method=none", "--checkpoint=fast", "--no-manifest"]
        self._run([self.binaries / "pg_basebackup", *place, *how])

    def archive_all(self) -> None:
        """End the present piece of the log, and wait until it is in the folder."""
        with self.admin() as cursor:
            cursor.execute("SELECT pg_walfile_name(pg_switch_wal())")
            piece = self.archive / cursor.fetchone()[0]
        give_up_at = time.monotonic() + _ARCHIVE_SECONDS
        while not piece.exists():
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"{piece.name} was not archived within {_ARCHIVE_SECONDS} s")
            time.sleep(0.05)


class Restored(PostgresServer):
    """A server that begins with another's base backup, and plays its archived log up to an instant."""

    def __init__(self, base: Path, archive: Path, until: datetime) -> None:
        super().__init__()
        self.base, self.archive, self.until = base, archive, until

    def initialise(self) -> None:
        """The copied files in the place of new ones."""
        self._run(["cp", "--recursive", "--preserve=mode", self.base, self.data])
        self._run(["touch", self.data / "recovery.signal"])

    def command(self) -> list[str]:
        """The server's own, and how far to go: then it takes writes, as a bank's must."""
        recovery = {
            "restore_command": f"cp {self.archive}/%f %p",
            "recovery_target_time": self.until.isoformat(),
            # What was committed at that very instant is not in it.
            "recovery_target_inclusive": "off",
            "recovery_target_action": "promote",
        }
        return [*super().command(), *(text for name, value in recovery.items() for text in ("-c", f"{name}={value}"))]

    def create_roles(self) -> None:
        """They are in the copy, under the passwords of then; by socket nobody is asked for one."""
        with self.admin() as cursor:
            while True:
                cursor.execute("SELECT pg_is_in_recovery()")
                if not cursor.fetchone()[0]:
                    return
                time.sleep(0.05)

    def urls(self) -> DatabaseUrls:
        """Its bank."""
        return self._urls(DATABASE, f"host={self.directory}")


@dataclass
class Found:
    """What the way back gave: entries acknowledged before and after the instant, and what the restored bank holds."""

    instant: datetime | None = None
    before: set[int] = field(default_factory=set)
    after: set[int] = field(default_factory=set)
    restored: set[int] = field(default_factory=set)
    verification: str = ""
    seconds: float = 0.0


def go_back(make_mistake: Callable[[Archiving, Furnished], Any], *, payments: int = 40) -> Found:
    """Pay, note the instant, pay on and make a mistake; then restore to the instant, and verify there.

    Raises:
        ClickException: the restored ledger is not sound.
    """
    found = Found()
    with Archiving() as source:
        urls = source.create_database(DATABASE)
        migrate.upgrade(urls.migrator)
        migrate.grant(urls.migrator, APP_ROLE)
        base = source.directory / "base"
        with opened(urls.app) as bank:
            furnished = furnish(bank)
            found.before = _entries(bank) | _paid(bank, furnished, payments)
            source.base_backup(base)
            found.before |= _paid(bank, furnished, payments)
            time.sleep(_BETWEEN_SECONDS)
            with source.admin() as cursor:
                cursor.execute("SELECT clock_timestamp()")
                found.instant = cursor.fetchone()[0]
            time.sleep(_BETWEEN_SECONDS)
            found.after |= _paid(bank, furnished, payments)
        make_mistake(source, furnished)
        source.archive_all()
        # The lost machine's files are not looked at any more: only what lies elsewhere.
        source.kill()
        began = time.monotonic()
        assert found.instant is not None
        with Restored(base, source.archive, found.instant) as target, opened(target.urls().app) as bank:
            found.seconds = time.monotonic() - began
            found.verification = verify_bank(bank)
            found.restored = _entries(bank)
            # It is a bank again, not a picture of one.
            _paid(bank, furnished, 1)
        shutil.rmtree(base, ignore_errors=True)
    return found


def _entries(bank: Bank) -> set[int]:
    with bank.reader() as reader:
        return set(reader.execute(sa.select(journal_entries.c.id)).scalars())


def _paid(bank: Bank, furnished: Furnished, count: int) -> set[int]:
    """Entries that the bank acknowledged, by id."""
    asked = [move(furnished.ids["till-USD"], furnished.ids["alice"], 1) for _ in range(count)]
    return {service.post(bank, [one])[0].or_raise() for one in asked}
