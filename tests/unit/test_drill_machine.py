"""The drill's machine is the estate's: what it reads from infra/, and how its fabric carries packets. No root is needed."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest

from tests.drill import balancer, servers
from tests.drill.fabric import Fabric, Way
from tests.drill.hosts import HOSTS, Distances, addresses

EAST, WEST = (socket.inet_aton(HOSTS[name].address) for name in ("east-db", "west-db"))


def test_servers_are_started_by_the_units_own_line():
    unit = servers.UNIT.read_text()

    assert servers.exec_start(unit)[0] == "/opt/bank/current/bin/gunicorn"
    assert f"0.0.0.0:{servers.PORT}" in servers.exec_start(unit)
    assert servers.environment(unit)["PROMETHEUS_MULTIPROC_DIR"].startswith("/run/bank/")


def test_load_balancers_ask_for_health_as_the_terraform_says():
    how = balancer.checks()

    file = balancer.configuration("west", how, user="nobody", group="nogroup")

    assert f"uri {how.path} " in file
    assert f"inter {round(how.interval * 1000)}ms rise {how.healthy} fall {how.unhealthy}" in file
    assert next(line for line in file.splitlines() if "server app1" in line).split()[2] == "10.2.0.11:8000"
    # An AWS load balancer tries no other target in place of one that fails.
    assert "retries 0" in file


def test_compressed_checks_differ_in_nothing_but_how_often():
    slow, fast = balancer.checks(), balancer.checks(compressed=True)

    assert (slow.path, slow.healthy, slow.unhealthy, slow.idle) == (fast.path, fast.healthy, fast.unhealthy, fast.idle)
    assert slow.interval == fast.interval * balancer.COMPRESSED


def test_a_region_is_all_its_hosts_and_a_stranger_is_none():
    assert len(addresses("east")) == 4
    with pytest.raises(KeyError):
        addresses("north")


def test_regions_are_65_ms_apart_there_and_back():
    assert Distances().between(HOSTS["west-app1"], HOSTS["east-db"]) * 2 == 65
    assert Distances().between(HOSTS["west-app1"], HOSTS["west-db"]) < 1


class Wire:
    """Two hosts on a fabric, whose devices are sockets here."""

    def __init__(self, delay: float) -> None:
        """`delay` is one way, in seconds."""
        kinds = socket.AF_UNIX, socket.SOCK_DGRAM
        (self.east, in_east), (self.west, in_west) = socket.socketpair(*kinds), socket.socketpair(*kinds)
        self.sockets = [self.east, in_east, self.west, in_west]
        for each in self.sockets:
            each.setblocking(False)
        self.fabric = Fabric(devices={EAST: in_east.fileno(), WEST: in_west.fileno()})
        self.fabric.normal = {(EAST, WEST): delay, (WEST, EAST): delay}
        self.fabric.obey({"do": "heal"})

    def send(self, text: bytes, *, to: bytes = WEST) -> None:
        """From east, as IPv4."""
        self.east.send(bytes([0x45]) + bytes(11) + EAST + to + text)
        self.fabric.take(self.fabric.devices[EAST], EAST)

    def arrived(self) -> list[bytes]:
        """What has come to west by now."""
        self.fabric.deliver()
        found = []
        while True:
            try:
                found.append(os.read(self.west.fileno(), 1500)[20:])
            except BlockingIOError:
                return found


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire(0.05)
    yield made
    for each in made.sockets:
        each.close()


def test_a_packet_comes_when_its_delay_is_over_and_not_before(wire):
    wire.send(b"one")

    assert wire.arrived() == []
    time.sleep(wire.fabric.seconds_to_wait() or 0)
    assert wire.arrived() == [b"one"]


def test_no_packet_overtakes_another_even_when_the_way_gets_shorter(wire):
    wire.send(b"one")
    wire.fabric.ways[EAST, WEST].delay = 0.0
    wire.send(b"two")

    assert wire.arrived() == []
    time.sleep(0.06)
    assert wire.arrived() == [b"one", b"two"]


def test_a_cut_loses_what_is_under_way_and_what_is_sent_and_healing_brings_none_of_it_back(wire):
    east, west = HOSTS["east-db"].address, HOSTS["west-db"].address
    wire.send(b"under way")
    wire.fabric.obey({"do": "cut", "pair": (east, west)})
    wire.send(b"sent")
    time.sleep(0.06)
    assert wire.arrived() == []

    wire.fabric.obey({"do": "heal"})
    wire.send(b"after")
    time.sleep(0.06)

    assert wire.arrived() == [b"after"]
    assert wire.fabric.dropped == 2


def test_a_cut_one_way_leaves_the_other_way_open(wire):
    wire.fabric.obey({"do": "cut", "pair": (HOSTS["west-db"].address, HOSTS["east-db"].address)})

    wire.send(b"through")
    time.sleep(0.06)

    assert wire.arrived() == [b"through"]


def test_what_goes_to_no_host_or_is_not_ipv4_is_not_carried(wire):
    wire.send(b"nowhere", to=socket.inet_aton("10.9.9.9"))
    wire.east.send(b"\x60" + bytes(60))
    wire.fabric.take(wire.fabric.devices[EAST], EAST)

    assert wire.fabric.under_way == []


def test_lateness_is_the_latest_delivery_since_it_was_forgotten(wire):
    wire.fabric.ways[EAST, WEST] = Way(0.0)
    wire.send(b"one")
    time.sleep(0.02)
    wire.arrived()
    assert wire.fabric.obey({"do": "figures"})["late_us_max"] >= 20_000

    assert wire.fabric.obey({"do": "forget"})["late_us_max"] == 0
