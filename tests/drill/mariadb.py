"""MariaDB in the drill: a primary, and a replica by GTID; the way back is a copy made from the other's binary log."""

from __future__ import annotations

import itertools
from typing import Any, Self

from tests.drill.databases import Pair
from tests.drill.placed import Placed, emptied
from tests.servers import MariaDBServer, wait_for

#: No server may have the number of one before it: a replica takes what bears its own number for its own doing.
_NUMBERS = itertools.count(1)
#: After as many seconds without a word a replica connects anew.
_SILENCE_SECONDS = 3


class PlacedMariaDB(Placed, MariaDBServer):
    """A MariaDB in its region."""

    PORT = 3306

    @property
    def socket_query(self) -> str:
        return f"unix_socket={self._socket}"

    #: Whether it is to let nobody in by the network.
    is_shut = False
    number = 0

    def initialise(self) -> None:
        self.number = next(_NUMBERS)
        if self.disk_mib and not self.disk.is_mount():
            self.mount()
        super().initialise()

    def command(self) -> list[str]:
        not_its = ("--skip-networking", "--server-id")
        words = [word for word in super().command() if word.partition("=")[0] not in not_its]
        own = {
            "bind-address": self.address,
            "port": str(self.PORT),
            "server-id": str(self.number),
            "max-connections": str(self.max_connections),
            "log-slave-updates": "1",
            "relay-log": str(self.data / "relay"),
            "slave-net-timeout": str(_SILENCE_SECONDS),
            "read-only": "1" if self.source else "0",
        }
        if self.is_shut:
            own["skip-networking"] = "1"
        return [*words, *(f"--{name}={value}" for name, value in own.items())]

    def create_roles(self) -> None:
        """The replica follows from the primary's first statement on, which made them."""
        if not self.source:
            super().create_roles()
            return
        with self.admin() as cursor:
            cursor.execute(
                "CHANGE MASTER TO MASTER_HOST=%s, MASTER_PORT=%s, MASTER_USER='bank_admin', MASTER_PASSWORD=%s,"
                " MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1, MASTER_HEARTBEAT_PERIOD=1",
                [self.source.address, self.PORT, self.passwords["bank_admin"]],
            )
            cursor.execute("START SLAVE")
        wait_for(lambda: self._status()["Slave_SQL_Running"] == "Yes", "the replica to follow")

    def promote(self) -> None:
        with self.admin() as cursor:
            cursor.execute("STOP SLAVE IO_THREAD")
            # What was received may have been promised to a customer.
            cursor.execute("START SLAVE SQL_THREAD")
            wait_for(lambda: "has read all" in self._status()["Slave_SQL_Running_State"], "the relay log to be applied")
            cursor.execute("STOP SLAVE")
            cursor.execute("RESET SLAVE ALL")
            cursor.execute("SET GLOBAL read_only = 0")
        self.source = None

    def shut(self) -> None:
        self.is_shut = True

    def follow_again(self, primary: Self) -> str:
        emptied(self.data)
        self.data.rmdir()
        self.source, self.is_shut = primary, False
        self.passwords = primary.passwords
        self.start()
        return "copied"

    def hold_back(self) -> None:
        with self.admin() as cursor:
            cursor.execute("STOP SLAVE SQL_THREAD")

    def go_on(self) -> None:
        with self.admin() as cursor:
            cursor.execute("START SLAVE SQL_THREAD")

    def position(self, *, applied: bool) -> int:
        with self.admin() as cursor:
            cursor.execute(f"SELECT @@GLOBAL.{'gtid_slave_pos' if applied else 'gtid_binlog_pos'}")
            [(position,)] = cursor.fetchall()
        return max((int(part.rsplit("-", 1)[1]) for part in position.split(",") if part), default=0)

    def _status(self) -> dict[str, Any]:
        with self.admin() as cursor:
            cursor.execute("SHOW SLAVE STATUS")
            names = [column[0] for column in cursor.description]
            return dict(zip(names, cursor.fetchone() or [""] * len(names), strict=True))


class MariaDBPair(Pair):
    """MariaDB with replication by GTID."""

    SERVER = PlacedMariaDB
