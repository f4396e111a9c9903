"""PostgreSQL in the drill: a primary, and a streaming standby with a slot; the way back is pg_rewind."""

from __future__ import annotations

from typing import Any, Self

from tests.drill.databases import Pair
from tests.drill.placed import Placed, emptied
from tests.servers import PostgresServer, wait_for

#: What the drill's servers have beside infra's parameters. A link that hangs is given up in seconds on both ends, or the
#: replica would wait for a retransmission that TCP sends ever more seldom.
_OPTIONS = {
    "wal_keep_size": "256MB",
    "wal_sender_timeout": "3s",
    "wal_receiver_timeout": "3s",
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "500ms",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_CONNINFO = "connect_timeout=2 keepalives_idle=5 keepalives_interval=2 keepalives_count=3 tcp_user_timeout=10000"
_OPEN = "host all all 10.0.0.0/8 scram-sha-256\nhost replication bank_admin 10.0.0.0/8 scram-sha-256\n"
_SHUT = "local all all trust\n"


class PlacedPostgres(Placed, PostgresServer):
    """A PostgreSQL in its region."""

    PORT = 5432

    @property
    def socket_query(self) -> str:
        return f"host={self.directory}"

    def initialise(self) -> None:
        self.mount()
        if self.source:
            self._copy(self.source)
            return
        if self.disk_mib:
            self.initdb_options = ("--wal-segsize=1",)
        super().initialise()
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write(_OPEN)
        with (self.data / "postgresql.conf").open("a") as settings:
            # In the file, where pg_rewind looks for it.
            settings.write("wal_log_hints = on\n")
            if self.disk_mib:
                # Nothing laid by: a full disk is felt at once.
                settings.write("wal_recycle = off\nmin_wal_size = 2MB\n")

    def command(self) -> list[str]:
        own = {**_OPTIONS, **self._parameters(), "listen_addresses": self.address}
        own["max_connections"] = str(self.max_connections)
        return [*super().command(), *(text for name, value in own.items() for text in ("-c", f"{name}={value}"))]

    def create_roles(self) -> None:
        if self.source:
            return
        super().create_roles()
        # As RDS's own administrator could: the migrator lets the application see how far the standby is.
        self._do("GRANT pg_read_all_stats TO bank_migrator WITH ADMIN OPTION")

    def promote(self) -> None:
        assert self._tell("SELECT pg_promote()"), "the standby was not promoted"

    def shut(self) -> None:
        (self.data / "pg_hba.conf").write_text(_SHUT)

    def follow_again(self, primary: Self) -> str:
        with primary.admin() as cursor:
            # The control file, which pg_rewind reads, learns of the promotion at a checkpoint.
            cursor.execute("CHECKPOINT")
            cursor.execute(
                "SELECT pg_create_physical_replication_slot(%s) WHERE NOT EXISTS"
                " (SELECT 1 FROM pg_replication_slots WHERE slot_name = %s)",
                [self.region, self.region],
            )
        how = "rewound"
        try:
            source = f"--source-server={self._conninfo(primary)} dbname=postgres"
            how_to = (f"--target-pgdata={self.data}", "--no-sync", "--write-recovery-conf")
            self._run([self.binaries / "pg_rewind", *how_to, source])
        except RuntimeError:
            how = "copied"
            emptied(self.data)
            self._copy(primary, new_slot=False)
        with (self.data / "postgresql.auto.conf").open("a") as settings:
            # pg_rewind brings the other's own settings along.
            settings.write(f"primary_slot_name = '{self.region}'\n")
        self.start()
        streams = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"
        wait_for(lambda: self._tell(streams), "the standby to stream")
        return how

    def hold_back(self) -> None:
        self._tell("SELECT pg_wal_replay_pause()")
        wait_for(lambda: self._tell("SELECT pg_get_wal_replay_pause_state()") == "paused", "the standby to pause")

    def go_on(self) -> None:
        self._tell("SELECT pg_wal_replay_resume()")

    def position(self, *, applied: bool) -> int:
        function = "pg_last_wal_replay_lsn" if applied else "pg_current_wal_flush_lsn"
        return int(self._tell(f"SELECT pg_wal_lsn_diff({function}(), '0/0')"))

    def received(self) -> int:
        """How far it has what the primary sent on its disk, in bytes; for a replica."""
        return int(self._tell("SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')"))

    def _copy(self, source: Placed, *, new_slot: bool = True) -> None:
        slot = [f"--slot={self.region}", *(["--create-slot"] if new_slot else [])]
        how = [*slot, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        self._run(
            [self.binaries / "pg_basebackup", f"--pgdata={self.data}", f"--dbname={self._conninfo(source)}", *how]
        )

    def _conninfo(self, source: Placed) -> str:
        login = f"user=bank_admin password={source.passwords['bank_admin']}"
        return f"host={source.address} port={self.PORT} {login} application_name={self.region} {_CONNINFO}"

    def _do(self, statement: str) -> None:
        with self.admin() as cursor:
            cursor.execute(statement)

    def _tell(self, statement: str, *values: Any) -> Any:
        with self.admin() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()[0][0]


class PostgresPair(Pair):
    """PostgreSQL with streaming replication."""

    SERVER = PlacedPostgres
