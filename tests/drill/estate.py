"""The whole deployment on this machine: network, databases, servers and load balancers of both regions."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bank.settings import DEVELOPMENT_IDENTITY_KEY
from tests.drill import namespaces
from tests.drill.at_once import beside
from tests.drill.balancer import Balancer, checks
from tests.drill.databases import pair_of
from tests.drill.packages import Package, build
from tests.drill.servers import AppServer
from tests.drill.topology import HOSTS, REGIONS, Distances, Network
from tests.servers import APP_ROLE

#: What a production server would take by itself, and a development one does not.
_AS_IN_PRODUCTION = {"DRAIN_SECONDS": "15"}
_COMMAND_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Region:
    """A load balancer, two servers, and the file that says who logs in to the primary, and where it is."""

    name: str
    balancer: Balancer
    servers: list[AppServer]
    login_file: Path


def _leave_empty(_url: str) -> None:
    """A bank without customers."""


class Estate:
    """All of it, while the `with` lasts."""

    def __init__(
        self,
        directory: Path,
        *,
        engine: str = "postgresql",
        seed_bank: Callable[[str], None] = _leave_empty,
        secured_seconds: int = 0,
        packages: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        schema: str | None = None,
        compressed: bool = False,
        max_connections: int = 200,
        disk_mib: int | None = None,
        distances: Distances | None = None,
    ) -> None:
        """Prepare it.

        Args:
            directory: gets every process's log.
            engine: "postgresql", or "mysql", for which MariaDB stands.
            seed_bank: fills the new bank, whose URL (for the application's role, by a unix socket) it is given.
            secured_seconds: SECURED_SECONDS of every server.
            packages: what versions there are, by a name: a git ref, or "" for the working tree. Servers start with the first.
            settings: more of the servers' environment.
            schema: which package's migrations the database gets; the last one's, if not said.
            compressed: the load balancers ask for health five times as often.
            max_connections: of each database.
            disk_mib: gives the primary a disk so small that it can be filled.
            distances: between the hosts.
        """
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.engine = engine
        self.network = Network(self.directory, distances=distances)
        self.databases = pair_of(engine)(self.network, max_connections=max_connections, disk_mib=disk_mib)
        self.packages: dict[str, Package] = {}
        self.regions: dict[str, Region] = {}
        self.started_seconds: dict[str, float] = {}
        self._refs = dict(packages or {"new": ""})
        self._schema = schema or list(self._refs)[-1]
        self._seed_bank = seed_bank
        self._settings = {"SECURED_SECONDS": str(secured_seconds), **_AS_IN_PRODUCTION, **(settings or {})}
        self._secured = secured_seconds > 0
        self._checks = checks(compressed=compressed)
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        """Bring all of it up, until every server is ready and both load balancers send to it.

        Raises:
            InUse: another drill is on this machine.
        """
        with ExitStack() as opened:
            opened.enter_context(self.network)
            opened.enter_context(self.databases)
            began = time.monotonic()
            steps: dict[str, tuple[Callable[[], None], ...]] = {
                "databases and packages": (self.databases.start, self._build),
                "schema": (self._migrate,),
                "replica and data": (self.databases.follow, self._seed),
                "servers": (self._serve,),
            }
            for name, acts in steps.items():
                beside(*acts)
                self.started_seconds[name] = round(time.monotonic() - began, 2)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()
        for server in self.servers():
            server.tidy()

    def servers(self) -> list[AppServer]:
        """All four."""
        return [server for region in self.regions.values() for server in region.servers]

    def point_at(self, region: str, term: int) -> None:
        """Say in both regions' login files that the primary is that region's database, in that term."""
        database = self.databases.at[region]
        for each in self.regions.values():
            self._write_login(each.login_file, host=database.address, port=database.PORT, term=term)

    def bank(self, *words: str, package: str | None = None, role: str = "migrator") -> str:
        """Run the `bank` command against the primary of the moment, by its unix socket; answers what it prints.

        Raises:
            RuntimeError: it failed; the text is what it complained of.
        """
        url = self.databases.primary.local_url(role)
        done = subprocess.run(
            [self.packages[package or self._schema].bank, *words],
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **_keys(), "DATABASE_URL": url},
            cwd=namespaces.WORK,
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMMAND_SECONDS,
        )
        if done.returncode:
            raise RuntimeError(f"bank {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait until every server answers /readyz, and customers get it through both load balancers."""
        for server in self.servers():
            server.wait_ready(seconds)
        for region in self.regions.values():
            region.balancer.wait_up(seconds)
        deadline = time.monotonic() + seconds
        while not all(self._serves(region.balancer) for region in self.regions.values()):
            if time.monotonic() > deadline:
                raise RuntimeError("customers do not get /readyz through both load balancers")
            time.sleep(0.1)

    def facts(self) -> dict[str, Any]:
        """For the report: versions, seconds to start, and what the fabric counted."""
        return {
            "engine": self.engine,
            "packages": {name: package.version for name, package in self.packages.items()},
            "servers_run_as": {name: package.user for name, package in self.packages.items()},
            "seconds_to_start": self.started_seconds,
            "health_checks": f"{self._checks.path} every {self._checks.interval:g} s",
            "fabric": self.network.figures(),
        }

    # How it comes up

    def _build(self) -> None:
        for name, ref in self._refs.items():
            self.packages[name] = build(name, ref, namespaces.WORK / "packages")

    def _migrate(self) -> None:
        self.bank("db", "upgrade")
        self.bank("db", "grant", APP_ROLE)

    def _seed(self) -> None:
        self._seed_bank(self.databases.primary.local_url("app"))

    def _serve(self) -> None:
        for name in REGIONS:
            login_file = namespaces.WORK / f"{name}-login.json"
            self._write_login(login_file)
            env = self._environment(name, login_file)
            hosts = [host for host in HOSTS if host.startswith(f"{name}-app")]
            servers = [AppServer(self.network, host, self.packages, env, namespaces.WORK) for host in hosts]
            self.regions[name] = Region(name, Balancer(self.network, name, self._checks), servers, login_file)
        for region in self.regions.values():
            for server in region.servers:
                server.start()
        for server in self.servers():
            server.wait_ready()
        # Only now: a check that fails would keep a server out for two intervals.
        for region in self.regions.values():
            region.balancer.start()
        self.wait_ready()

    def _environment(self, region: str, login_file: Path) -> dict[str, str]:
        """What infra/modules/app puts into bank.env and keys.env."""
        near = self.databases.at[region]
        env = {
            "BANK_ENV": "development",
            "BANK_NAME": "The Drill",
            "DATABASE_URL": self.databases.primary.plain_url,
            "DATABASE_LOGIN_FILE": str(login_file),
            "PROXY_HOPS": "1",
            **_keys(),
        }
        if near is self.databases.replica:
            env["DATABASE_REPLICA_URL"] = near.plain_url
        elif self._secured and self.engine == "mysql":
            env["SECURED_BY_URL"] = self.databases.replica.plain_url
        return env | self._settings

    def _write_login(self, path: Path, **place: str | int) -> None:
        told = {"username": APP_ROLE, "password": self.databases.primary.passwords[APP_ROLE], **place}
        new = path.with_suffix(".new")
        new.write_text(json.dumps(told))
        new.chmod(0o600)
        os.chown(new, self.network.account.pw_uid, self.network.account.pw_gid)
        new.replace(path)

    def _serves(self, balancer: Balancer) -> bool:
        try:
            return self.network.get("customer", f"{balancer.url}/readyz")[0] == 200
        except OSError:
            return False


def _keys() -> dict[str, str]:
    return {"SECRET_KEY": "the drill's own key, of no worth to anyone", "IDENTITY_KEYS": DEVELOPMENT_IDENTITY_KEY}
