"""A primary and its replica by TCP, the login file that leads servers to them, and the operator's commands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bank.settings import with_login_file
from bank.storage import migrate
from bank.storage.transaction import Bank
from tests.builders import settings_for
from tests.replicas import MariaDBReplica, PostgresReplica
from tests.servers import APP_ROLE, DatabaseUrls, MariaDBServer, NotInstalled, PostgresServer, not_run


def without_login(url: str) -> str:
    """The URL as servers have it, whose login a file says."""
    return re.sub(r"//[^@/]*@", "//", url)


def write_login(file: Path, url: str, **place: Any) -> None:
    """Put the URL's login, and where the primary is, into the file at once, as a server fetches it."""
    parsed = sa.make_url(url)
    new = file.with_suffix(".new")
    new.write_text(json.dumps({"username": parsed.username, "password": parsed.password, **place}))
    new.chmod(0o600)
    new.replace(file)


def printed_place(said: str) -> dict[str, Any]:
    """What the operator is to put into the secret, as `bank db take-over` says it."""
    [line] = [line for line in said.splitlines() if line.startswith("{")]
    place: dict[str, Any] = json.loads(line)
    return place


@dataclass
class Estate:
    """A primary that takes connections by TCP, its replica, and servers' login file."""

    primary: PostgresServer | MariaDBServer
    replica: PostgresReplica | MariaDBReplica
    urls: DatabaseUrls
    file: Path

    @property
    def address(self) -> str:
        """What servers have as DATABASE_URL, whichever database is the primary."""
        return without_login(self.urls.app)

    def on_replica(self, url: str) -> str:
        """The same database on the replica's server."""
        return sa.make_url(url).set(port=self.replica.port).render_as_string(hide_password=False)

    def open(self, file: Path | None = None) -> Bank:
        """The bank as a server opens it."""
        url = with_login_file(self.address, str(file or self.file))
        return Bank.open(settings_for(url, pool_size=3), statement_seconds=2)


@contextmanager
def an_estate(dialect: str, file: Path) -> Iterator[Estate]:
    """One whose servers' login is in the file; it names no place yet."""
    primary: PostgresServer | MariaDBServer
    with ExitStack() as running:
        try:
            primary = PostgresServer(tcp=True) if dialect == "postgresql" else MariaDBServer(tcp=True)
        except NotInstalled as missing:
            not_run(dialect, str(missing))
        running.enter_context(primary)
        urls = primary.create_database("bank")
        migrate.upgrade(urls.migrator)
        migrate.grant(urls.migrator, APP_ROLE)
        replica = _following(primary)
        running.enter_context(replica)
        write_login(file, urls.app)
        yield Estate(primary, replica, urls, file)


def _following(primary: PostgresServer | MariaDBServer) -> PostgresReplica | MariaDBReplica:
    if isinstance(primary, PostgresServer):
        return PostgresReplica(primary, tcp=True)
    return MariaDBReplica(primary, tcp=True)
