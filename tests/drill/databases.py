"""The pair of databases: a primary in the east, and its replica over the long link in the west; they change places."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack, suppress
from typing import Any, ClassVar, Self

import sqlalchemy as sa

from bank.settings import normalised_url
from tests.drill.placed import DATABASE, Placed
from tests.drill.topology import HOSTS, Network
from tests.servers import children

#: A disk that is to be full is written so many bytes at a time.
_BALLAST_BYTES = 2**20


class Pair:
    """A primary and its replica: `primary` and `replica` say who is which at the moment, `at` who is where."""

    SERVER: ClassVar[type[Placed]]

    def __init__(self, network: Network, *, max_connections: int = 200, disk_mib: int | None = None) -> None:
        """Prepare both; `disk_mib` gives the eastern one a disk so small that it can be filled."""
        self.network = network
        self.primary: Any = self.SERVER.place(network, "east", max_connections=max_connections, disk_mib=disk_mib)
        self.replica: Any = self.SERVER.place(network, "west", max_connections=max_connections, source=self.primary)
        self.at: dict[str, Any] = {"east": self.primary, "west": self.replica}
        self._taken: list[sa.Connection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as ended:
            for server in self.at.values():
                ended.callback(server.remove)
            ended.callback(self.release)

    def start(self) -> None:
        """Start the primary and make an empty bank on it."""
        self.primary.start()
        self.primary.create_database(DATABASE)

    def follow(self) -> None:
        """Make the replica over the long link, and start it."""
        self.replica.start()

    # What befalls them

    def promote(self) -> None:
        """Let the replica take writes; it is `primary` from now on, and the other one, dead or not, `replica`."""
        self.replica.promote()
        self.primary, self.replica = self.replica, self.primary

    def fence(self, which: str = "replica") -> None:
        """End a primary of before, if it runs, and let nobody in by the network if it comes back."""
        server = self._named(which)
        server.kill()
        server.shut()

    def follow_back(self) -> str:
        """The way back: let the primary of before follow the new one; answers how, "rewound" or "copied"."""
        self.replica.stop()
        how: str = self.replica.follow_again(self.primary)
        return how

    def kill(self, which: str) -> None:
        """End all processes of "primary", "replica", "east" or "west" at once, as a power cut would."""
        self._named(which).kill()

    def stop(self, which: str) -> None:
        """Shut one down in order."""
        self._named(which).stop()

    def start_again(self, which: str) -> None:
        """Start one that was killed or stopped, with the data that it has."""
        self._named(which).start()

    def hold_back(self) -> None:
        """Let the replica receive, and apply nothing."""
        self.replica.hold_back()

    def go_on(self) -> None:
        """Let the replica apply what it received."""
        self.replica.go_on()

    def lag(self) -> int:
        """How far the replica is behind in what it applied: bytes on PostgreSQL, transactions on MariaDB."""
        return int(self.primary.position(applied=False) - self.replica.position(applied=True))

    def catch_up(self, seconds: float = 30) -> None:
        """Wait until the replica has applied all that the primary has written by now.

        Raises:
            TimeoutError: it did not in that time.
        """
        until, deadline = self.primary.position(applied=False), time.monotonic() + seconds
        while self.replica.position(applied=True) < until:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the replica is {self.lag()} behind after {seconds} s")
            time.sleep(0.05)

    def slow(self, seconds: float) -> None:
        """Let each round trip to the primary take that much longer, from everywhere, until `network.heal()`."""
        own = HOSTS[self.primary.host]
        for host in HOSTS.values():
            if host != own:
                delay_ms = self.network.distances.between(host, own) + seconds * 500
                self.network.link(host.name, own.name, delay_ms=delay_ms)

    def freeze(self, which: str) -> None:
        """Stop all of one's processes where they are: it closes nothing, and answers nothing."""
        self._signal(which, signal.SIGSTOP)

    def thaw(self, which: str) -> None:
        """Let a frozen one go on."""
        self._signal(which, signal.SIGCONT)

    def exhaust(self, which: str = "primary") -> int:
        """Take every connection that is left, as the application's role; answers how many."""
        engine = sa.create_engine(normalised_url(self._named(which).local_url()), poolclass=sa.NullPool)
        with suppress(sa.exc.OperationalError):
            while True:
                self._taken.append(engine.connect())
        return len(self._taken)

    def release(self) -> None:
        """Give back what `exhaust` took."""
        while self._taken:
            with suppress(sa.exc.DBAPIError):
                self._taken.pop().close()

    def fill_disk(self) -> int:
        """Leave no byte on the eastern database's small disk; answers how many were left."""
        assert self.at["east"].disk_mib, "the pair was made without disk_mib"
        written = 0
        with suppress(OSError), (self.at["east"].disk / "ballast").open("wb", buffering=0) as ballast:
            while True:
                written += ballast.write(bytes(_BALLAST_BYTES))
        return written

    def free_disk(self) -> bool:
        """Give the disk's room back, and start the server again if it ended of it: whether it had."""
        server = self.at["east"]
        (server.disk / "ballast").unlink(missing_ok=True)
        if server.process is None or server.process.poll() is None:
            return False
        server.stop()
        server.start()
        return True

    def _named(self, which: str) -> Any:
        return {"primary": self.primary, "replica": self.replica, **self.at}[which]

    def _signal(self, which: str, number: signal.Signals) -> None:
        process = self._named(which).process
        assert process is not None, f"{which} does not run"
        for pid in (process.pid, *children(process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def pair_of(engine: str) -> type[Pair]:
    """The pair of "postgresql" or of "mysql", which MariaDB stands for."""
    from tests.drill.mariadb import MariaDBPair
    from tests.drill.postgres import PostgresPair

    return {"postgresql": PostgresPair, "mysql": MariaDBPair}[engine]
