"""The reference: pgbench's own TPC-B, as everybody with a PostgreSQL can run it."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Final

from bank.bench.figures import Run
from bank.bench.servers import PostgreSQLServer

SCALE: Final = 20
CLIENTS: Final = 16
_DATABASE: Final = "tpcb"


class TpcB:
    """pgbench's built-in script on a database of its own, with the server's default durability."""

    says = f"pgbench TPC-B, scale {SCALE}, {CLIENTS} clients, prepared"

    def __init__(self, server: PostgreSQLServer) -> None:
        self._server = server
        server.create_database(_DATABASE)
        self._pgbench("--initialize", f"--scale={SCALE}")

    def run(self, seconds: int) -> Run:
        """So many seconds of it; tellers and branches are vacuumed before, as pgbench itself would, and not counted."""
        self._server.execute(_DATABASE, "VACUUM pgbench_branches, pgbench_tellers", "TRUNCATE pgbench_history")
        before = self._server.cpu_seconds()
        told, cpu = self._pgbench(
            f"--client={CLIENTS}", "--jobs=1", "--protocol=prepared", f"--time={seconds}", "--no-vacuum"
        )
        spent = self._server.cpu_seconds() - before
        transactions, per_second = read(told)
        return Run(transactions, transactions / per_second, spent, cpu)

    def _pgbench(self, *arguments: str) -> tuple[str, float]:
        """What it said, and the CPU that it used."""
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
        command = [str(self._server.binaries / "pgbench"), *arguments, self._server.url(_DATABASE)]
        log = self._server.directory / "pgbench.log"
        with log.open("wb") as said:
            process = subprocess.Popen(  # noqa: S603  # a command of our own
                command, env=environment, stdout=said, stderr=said
            )
            try:
                _, status, used = os.wait4(process.pid, 0)
            except BaseException:
                process.kill()
                raise
            # It was waited for here, which Popen cannot know.
            process.returncode = os.waitstatus_to_exitcode(status)
        told = log.read_text()
        if process.returncode:
            raise RuntimeError(f"pgbench failed:\n{told[-2000:]}")
        return told, used.ru_utime + used.ru_stime


def read(told: str) -> tuple[int, float]:
    """How many transactions a run of pgbench made, and how many in a second, by what it printed."""
    count = re.search(r"transactions actually processed: (\d+)", told)
    rate = re.search(r"^tps = ([\d.]+)", told, re.MULTILINE)
    if count is None or rate is None or "number of failed transactions: 0" not in told:
        raise RuntimeError(f"pgbench did not say what it measured:\n{told[-2000:]}")
    return int(count[1]), float(rate[1])
