"""`python -m tests.drill.selftest [postgresql|mysql]`: the drill's own machine, brought up, measured, cut, healed, taken down."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.drill import namespaces, topology
from tests.drill.estate import Estate
from tests.drill.topology import HOSTS, Network

_PINGS = 40
_WAYS = (
    ("west-app1", "east-db"),
    ("west-app1", "west-db"),
    ("east-app1", "east-db"),
    ("customer", "east-lb"),
    ("customer", "west-lb"),
)


def main(engine: str = "postgresql") -> int:
    """Do it all and print a table; answers the exit status."""
    if lacking := topology.missing(engine):
        print(f"SKIPPED: {lacking}.")
        return 77
    with tempfile.TemporaryDirectory(prefix="drl-") as directory:
        began = time.monotonic()
        with Estate(Path(directory), engine=engine) as estate:
            print(f"{'up':32} {time.monotonic() - began:.1f} s, {estate.started_seconds}")
            measured = estate.network
            measured.forget_lateness()
            for one, other in _WAYS:
                print(f"{one + ' <-> ' + other:32} {_round_trips(one, other)}")
            _cut_and_heal(measured)
            for server in estate.servers():
                print(f"{server.host:32} {[server.health(path) for path in ('/healthz', '/readyz', '/writable')]}")
            for region in estate.regions.values():
                print(f"{region.balancer.host:32} {region.balancer.states()}")
            print(f"{'fabric':32} {measured.figures()}")
            ending = time.monotonic()
        print(f"{'down':32} {time.monotonic() - ending:.1f} s, left: {namespaces.present() or 'nothing'}")
    return 0


def _round_trips(one: str, other: str) -> str:
    words = ["ping", "-q", "-n", "-c", str(_PINGS), "-i", "0.02", "-W", "1", HOSTS[other].address]
    command = [*namespaces.in_host(one), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.splitlines()[-1] or "no answer"


def _cut_and_heal(network: Network) -> None:
    one, other = "west-app1", "east-db"
    network.cut("west", "east", one_way=True)
    print(f"{'west -> east cut':32} {_round_trips(one, other)}")
    network.heal()
    print(f"{'healed':32} {_round_trips(one, other)}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
