"""haproxy as the region's load balancer, with what the Terraform says of the target group and nothing that it would not do."""

from __future__ import annotations

import csv
import io
import re
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.drill import namespaces
from tests.drill.servers import PORT
from tests.drill.topology import HOSTS, ROOT, Network

_TERRAFORM = ROOT / "infra/modules/alb"
#: How much faster the checks of a compressed run are.
COMPRESSED = 5

_CONFIGURATION = """\
global
  stats socket {socket} mode 600 level admin
  user {user}
  group {group}
  nbthread 1
  maxconn 4000
  log stdout format raw local0

defaults
  mode http
  log global
  option httplog
  option dontlog-normal
  # AWS gives a target ten seconds to take a connection, and tries no other in its place.
  timeout connect 10s
  timeout client {idle}s
  timeout server {idle}s
  timeout http-keep-alive {idle}s
  timeout http-request {idle}s
  timeout check {timeout}ms
  retries 0
  option forwardfor
  http-reuse safe

frontend customers
  bind {address}:80
  # Customers speak TLS to a load balancer of AWS, which says so to the servers.
  http-request set-header X-Forwarded-Proto https
  http-request set-header X-Forwarded-Port 443
  # With no healthy target, a load balancer of AWS tries them all.
  use_backend unchecked if {{ nbsrv(app) eq 0 }}
  default_backend app

backend app
  balance roundrobin
  option httpchk
  http-check send meth GET uri {path} ver HTTP/1.1 hdr Host {address} hdr User-Agent ELB-HealthChecker/2.0
  http-check expect status 200
{checked}
backend unchecked
  balance roundrobin
{unchecked}"""


@dataclass(frozen=True, slots=True)
class Checks:
    """How the load balancer asks for health: seconds, and how many answers in a row count."""

    path: str
    interval: float
    timeout: float
    healthy: int
    unhealthy: int
    idle: int


def checks(*, compressed: bool = False) -> Checks:
    """What infra/modules/alb sets; compressed: several times as often."""
    group = (_TERRAFORM / "alb.tf").read_text()
    [block] = re.findall(r"health_check \{(.*?)\n  \}", group, re.DOTALL)
    told = {name: int(value) for name, value in re.findall(r"(\w+) += (\d+)$", block, re.MULTILINE)}
    variables = (_TERRAFORM / "variables.tf").read_text()
    [path] = re.findall(r'health_path += optional\(string, "([^"]+)"\)', variables)
    [idle] = re.findall(r'variable "idle_timeout_seconds" \{.*?default += (\d+)', variables, re.DOTALL)
    times = COMPRESSED if compressed else 1
    return Checks(
        path,
        told["interval"] / times,
        told["timeout"] / times,
        told["healthy_threshold"],
        told["unhealthy_threshold"],
        int(idle),
    )


def configuration(region: str, how: Checks, *, user: str, group: str) -> str:
    """haproxy's file for a region."""
    servers = [host for host in HOSTS.values() if host.region == region and "-app" in host.name]
    lines = [f"  server {_short(host.name)} {host.address}:{PORT}" for host in servers]
    rule = f" check inter {round(how.interval * 1000)}ms rise {how.healthy} fall {how.unhealthy}"
    return _CONFIGURATION.format(
        socket=_admin(region),
        user=user,
        group=group,
        idle=how.idle,
        timeout=round(how.timeout * 1000),
        address=HOSTS[f"{region}-lb"].address,
        path=how.path,
        checked="".join(f"{line}{rule}\n" for line in lines),
        unchecked="".join(f"{line}\n" for line in lines),
    )


class Balancer:
    """A region's load balancer."""

    def __init__(self, network: Network, region: str, how: Checks) -> None:
        """Prepare it."""
        self.network = network
        self.region = region
        self.host = f"{region}-lb"
        self.address = (HOSTS[self.host].address, 80)
        self.url = f"http://{self.address[0]}"
        self.log = network.directory / f"{self.host}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._file = network.directory / f"{self.host}.cfg"
        group = namespaces.group_of(network.account)
        self._file.write_text(configuration(region, how, user=network.account.pw_name, group=group))

    def start(self) -> None:
        """Start, and do not wait; as root, whom it leaves when it has its port."""
        self.process = self.network.run(self.host, ["haproxy", "-db", "-f", self._file], log=self.log, user="root")

    def wait_up(self, seconds: float = 30) -> None:
        """Wait until it thinks well of all its servers.

        Raises:
            RuntimeError: it ended, or did not in that time.
        """
        deadline = time.monotonic() + seconds
        while not (states := self.states()) or set(states.values()) != {"UP"}:
            ended = self.process is None or self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                said = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.host} {'ended' if ended else f'has {states}'}: {said}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def states(self) -> dict[str, str]:
        """What it thinks of its servers: {"app1": "UP", "app2": "DOWN"}; empty when it does not run."""
        return {name: row["status"] for name, row in self.figures().items()}

    def figures(self) -> dict[str, dict[str, str]]:
        """Its statistics of each server, "app1" and "app2", by haproxy's own names; empty when it does not run."""
        try:
            rows: Any = csv.DictReader(io.StringIO(self._tell("show stat").removeprefix("# ")))
        except OSError:
            return {}
        return {row["svname"]: row for row in rows if row["pxname"] == "app" and row["svname"] != "BACKEND"}

    def deregister(self, server: str) -> None:
        """Send it nothing new; what runs goes on."""
        self._tell(f"set server app/{_short(server)} state drain")

    def register(self, server: str) -> None:
        """Send to it again."""
        self._tell(f"set server app/{_short(server)} state ready")

    def _tell(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as admin:
            admin.settimeout(5)
            admin.connect(str(_admin(self.region)))
            admin.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: admin.recv(65_536), b"")).decode()


def _admin(region: str) -> Path:
    """A socket's path has about a hundred characters at most."""
    return namespaces.WORK / f"{region}-lb.sock"


def _short(server: str) -> str:
    return server.rpartition("-")[2]
