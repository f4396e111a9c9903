"""A private database server of the tests', placed in a host of the drill."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, ClassVar, Self

from tests.drill import namespaces
from tests.drill.topology import HOSTS, Network
from tests.servers import Server

DATABASE = "bank"
#: Whoever kills takes it: the orphans are this process's for that moment, which is one state for all its threads.
one_at_a_time = threading.Lock()


class Placed(Server):
    """What makes a private server of the tests' one of the drill's: it runs in its host, and listens on its address."""

    PORT: ClassVar[int]
    network: Network
    region: str
    #: Whom it is to be a copy of, when it has no data yet.
    source: Self | None
    disk_mib: int | None
    max_connections: int

    @classmethod
    def place(
        cls,
        network: Network,
        region: str,
        *,
        max_connections: int,
        disk_mib: int | None = None,
        source: Self | None = None,
    ) -> Self:
        """A server in the region's database host, not started; `disk_mib` gives it a small disk of its own."""
        server = cls()
        server.network, server.region, server.source, server.disk_mib = network, region, source, disk_mib
        server.max_connections = max_connections
        server.log = network.directory / f"{region}-db.log"
        if source:
            server.passwords = source.passwords
        if disk_mib:
            server.data = server.disk / "data"
        return server

    @property
    def host(self) -> str:
        """The name of its host."""
        return f"{self.region}-db"

    @property
    def address(self) -> str:
        """The address of its host."""
        return HOSTS[self.host].address

    @property
    def disk(self) -> Path:
        """Where its small disk is mounted."""
        return namespaces.STATE / f"disk-{self.region}"

    def url(self, role: str = "app") -> str:
        """For whoever is in the network, by TCP, with the login; role is app, migrator or admin."""
        name = f"bank_{role}"
        return f"{self.dialect}://{name}:{self.passwords[name]}@{self.address}:{self.PORT}/{DATABASE}"

    @property
    def plain_url(self) -> str:
        """For whoever is in the network, and has the login from a file."""
        return f"{self.dialect}://{self.address}:{self.PORT}/{DATABASE}"

    def local_url(self, role: str = "app") -> str:
        """For the harness, by the unix socket, whatever befalls the network."""
        return self._url(f"bank_{role}", DATABASE, self.socket_query)

    @property
    def socket_query(self) -> str:
        """In a URL, what names the unix socket."""
        raise NotImplementedError

    def server_log(self) -> str:
        """All that the server wrote."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def kill(self) -> None:
        with one_at_a_time:
            super().kill()

    def mount(self) -> None:
        """Mount the small disk, if it is to have one."""
        if self.disk_mib:
            self.disk.mkdir(exist_ok=True)
            options = f"size={self.disk_mib}m,mode=0755"
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "drl", self.disk], check=True, timeout=10)
            os.chown(self.disk, self.account.pw_uid, self.account.pw_gid)

    def _popen(
        self, command: Sequence[str | Path], *, stdin: IO[bytes] | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*namespaces.in_host(self.host), *namespaces.as_account(self.account), *map(str, command)],
            stdin=stdin or subprocess.DEVNULL,
            cwd=self.directory,
            env={"HOME": str(self.directory), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            start_new_session=True,
            **options,
        )

    # What each kind of server does in its own way

    def promote(self) -> None:
        """Take writes from now on, with all that was received."""
        raise NotImplementedError

    def shut(self) -> None:
        """Let nobody in by the network, at the next start and for good."""
        raise NotImplementedError

    def follow_again(self, primary: Self) -> str:
        """Become a replica of the one that took over; answers in a word how."""
        raise NotImplementedError

    def hold_back(self) -> None:
        """Go on receiving, and apply nothing."""
        raise NotImplementedError

    def go_on(self) -> None:
        """Apply what was received."""
        raise NotImplementedError

    def position(self, *, applied: bool) -> int:
        """How far it has written, or applied; a number that grows."""
        raise NotImplementedError


def emptied(directory: Path) -> None:
    """Remove what a directory holds, and keep the directory, which may be a mount."""
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
