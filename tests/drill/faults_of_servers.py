"""Servers and load balancers that are killed, told to stop, replaced by another version, or lose their clock."""

from __future__ import annotations

import email.utils
import http.client
import subprocess
import time
from typing import Final

from tests.drill import namespaces
from tests.drill.balancer import Balancer
from tests.drill.scene import Scene
from tests.drill.servers import AppServer

#: When a scenario breaks the first thing, in seconds after the load began.
FAULT_AT: Final = 8.0
#: systemd's RestartSec of the unit.
RESTART_SECONDS: Final = 5.0
_DOWN_SECONDS: Final = 30.0
_UP_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 60.0
STEP_SECONDS: Final = 600

#: Of proofs: what has been seen. A scenario names those without which its run is worth nothing.
GONE = "the process was killed"
TAKEN_OUT = "its load balancer took it out"
MOVED = "Route 53 led customers away"
BACK = "its load balancer sends to it again"
IN_ORDER = "it ended by itself, in order"
DRAINED = "its load balancer took it out before it ended"
SIDE_BY_SIDE = "both versions answered at the same time"
REPLACED = "all servers run the new version"
CLOCK = "its answers bear another time"
CLOCK_RIGHT = "its answers bear the right time again"
SERVED = "servers of both regions answered"
MOVED_BACK = "Route 53 leads customers there again"


def nothing(scene: Scene) -> None:
    """Nothing is broken: what the drill itself costs, and how fast the bank is."""
    scene.until(FAULT_AT)
    scene.prove(SERVED, lambda: _all_served(scene))


def _all_served(scene: Scene) -> str | bool:
    served = _answered(scene)
    return ", ".join(f"{host} {count}" for host, count in served.items()) if all(served.values()) else False


def one_killed(scene: Scene) -> None:
    """A server dies by kill -9; systemd starts it again."""
    _kill_servers(scene, [scene.server("west-app1")])


def region_killed(scene: Scene) -> None:
    """Both servers of the region beside the replica die at once."""
    _kill_servers(scene, scene.region("west").servers)
    # What follows is Route 53's way back, too.
    scene.prove(MOVED_BACK, lambda: leads(scene, "west", healthy=True), within=_UP_SECONDS)


def _kill_servers(scene: Scene, victims: list[AppServer]) -> None:
    balancer = scene.region("west").balancer
    processes = [process_of(victim) for victim in victims]
    scene.until(FAULT_AT)
    scene.fault(f"killed: {', '.join(victim.host for victim in victims)}")
    scene.beside(*(victim.kill for victim in victims))
    scene.prove(GONE, lambda: all(process.poll() == -9 for process in processes), within=5)
    scene.prove(TAKEN_OUT, lambda: not any(is_up(balancer, victim) for victim in victims), within=_DOWN_SECONDS)
    if len(victims) > 1:
        scene.prove(MOVED, lambda: leads(scene, "west", healthy=False), within=_DOWN_SECONDS)
    scene.until(FAULT_AT + RESTART_SECONDS)
    for victim in victims:
        victim.start()
    scene.prove(BACK, lambda: all(is_up(balancer, victim) for victim in victims), within=_UP_SECONDS)
    scene.healed("started again")


def balancer_killed(scene: Scene) -> None:
    """The load balancer of a region dies, and is there again twenty seconds later."""
    balancer = scene.region("west").balancer
    scene.until(FAULT_AT)
    scene.fault("killed: the load balancer of west")
    balancer.kill()
    scene.prove(GONE, lambda: not scene.reaches("customer", *balancer.address))
    scene.prove(MOVED, lambda: leads(scene, "west", healthy=False), within=_DOWN_SECONDS)
    scene.until(FAULT_AT + 20)
    balancer.start()
    scene.prove(MOVED_BACK, lambda: leads(scene, "west", healthy=True), within=_UP_SECONDS)
    scene.healed("started again")


def told_to_stop(scene: Scene) -> None:
    """A server gets SIGTERM and nothing else, as from `systemctl stop`."""
    victim = scene.server("west-app1")
    scene.until(FAULT_AT)
    scene.fault(f"SIGTERM to {victim.host}")
    _end_in_order(scene, victim)
    victim.start()
    scene.prove(BACK, lambda: is_up(scene.region("west").balancer, victim), within=_UP_SECONDS)
    scene.healed("started again")


def _end_in_order(scene: Scene, victim: AppServer) -> None:
    balancer, process = balancer_of(scene, victim), process_of(victim)
    victim.terminate()
    deadline, seen_out = time.monotonic() + _STOP_SECONDS, False
    while process.poll() is None and time.monotonic() < deadline:
        seen_out = seen_out or not is_up(balancer, victim)
        time.sleep(0.05)
    scene.prove(IN_ORDER, lambda: process.poll() == 0)
    scene.prove(DRAINED, lambda: seen_out)


def released(scene: Scene) -> None:
    """Every server is replaced by one of the new version, one after the other, as a roll-out does it."""
    scene.until(FAULT_AT)
    scene.fault("the release begins")
    for server in [*scene.region("west").servers, *scene.region("east").servers]:
        _replace(scene, server)
    scene.prove(REPLACED, lambda: {server.package for server in scene.estate.servers()} == {"new"})
    scene.healed("released")


def _replace(scene: Scene, server: AppServer) -> None:
    balancer = balancer_of(scene, server)
    # The group takes a server out at the load balancer before it tells it to end, whatever version that runs.
    balancer.deregister(server.name)
    # Longer than the longest request takes, and far less than the 300 s that the load balancer would give it.
    time.sleep(3)
    server.stop()
    server.use("new")
    server.start()
    server.wait_ready()
    balancer.register(server.name)
    scene.prove(BACK, lambda: is_up(balancer, server), within=_UP_SECONDS)
    scene.note(f"{server.host} runs the new version")
    others = [each for each in scene.estate.servers() if each.package == "old"]
    if others:
        before = _answered(scene)
        scene.prove(SIDE_BY_SIDE, lambda: _both_answer(scene, before, others), within=10)


def _both_answer(scene: Scene, before: dict[str, int], old: list[AppServer]) -> str | bool:
    now = _answered(scene)
    grown = {host: now[host] - before[host] for host in now}
    by_old = sum(grown[server.host] for server in old)
    by_new = sum(grown.values()) - by_old
    return f"{by_old} answers by the old, {by_new} by the new" if min(by_old, by_new) > 0 else False


def _answered(scene: Scene) -> dict[str, int]:
    """How many requests each server had from its load balancer. A check of health is none."""
    return {
        server.host: int(balancer_of(scene, server).figures()[short(server)]["stot"])
        for server in scene.estate.servers()
    }


def clock_made_steppable(scene: Scene) -> None:
    """Ahead of the load: the server is started anew, with a library that can lie to it about the time."""
    scene.server("west-app1").clock_offset(0)
    scene.server("west-app1").wait_ready()


def clock_stepped(scene: Scene) -> None:
    """One server's clock jumps ten minutes ahead, and twenty seconds later back."""
    victim = scene.server("west-app1")
    scene.until(FAULT_AT)
    scene.fault(f"the clock of {victim.host} jumps {STEP_SECONDS} s ahead")
    victim.clock_offset(STEP_SECONDS)
    scene.prove(CLOCK, lambda: abs(_seconds_ahead(victim) - STEP_SECONDS) < 5, within=5)
    scene.until(FAULT_AT + 20)
    victim.clock_offset(0)
    scene.prove(CLOCK_RIGHT, lambda: abs(_seconds_ahead(victim)) < 5, within=5)
    scene.healed("the clock is right")


def _seconds_ahead(server: AppServer) -> float:
    """How far the Date of a server's answers is ahead of our clock."""
    address = server.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(address[0], int(address[2]), timeout=5)
    connection.sock = namespaces.a_socket(server.host)
    try:
        connection.sock.settimeout(5)
        connection.sock.connect((address[0], int(address[2])))
        connection.request("GET", "/healthz")
        told = connection.getresponse().headers["Date"]
    finally:
        connection.close()
    return email.utils.parsedate_to_datetime(told).timestamp() - time.time()


def leads(scene: Scene, region: str, *, healthy: bool) -> bool:
    """Whether Route 53 has this opinion of a region, formed since the fault."""
    began = scene.instant("fault") or 0.0
    changes = [each for each in scene.route53.changes() if each["region"] == region and each["at"] >= began]
    return bool(changes) and changes[-1]["healthy"] is healthy


def is_up(balancer: Balancer, server: AppServer) -> bool:
    """Whether its load balancer sends to it."""
    return balancer.states().get(short(server), "").startswith("UP")


def balancer_of(scene: Scene, server: AppServer) -> Balancer:
    """The load balancer in front of a server."""
    return scene.region(server.host.partition("-")[0]).balancer


def process_of(server: AppServer) -> subprocess.Popen[bytes]:
    """The running process of a server."""
    assert server.process is not None
    return server.process


def short(server: AppServer) -> str:
    """What its load balancer calls it."""
    return server.host.partition("-")[2]
