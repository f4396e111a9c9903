"""Links between the regions that carry nothing, in one direction or both, and a database that is far too far away."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from tests.drill import namespaces, topology
from tests.drill.faults_of_servers import FAULT_AT
from tests.drill.scene import Scene

CUT = "nothing came through from west to east"
BOTH_WAYS = "nothing came through from east to west"
ONE_WAY = "the other direction was open"
WHOLE = "both directions are open again"
SLOW = "a connection to the primary took far too long"
FAST = "the primary answers as before"


def cut_for(seconds: float, *, one_way: bool = False) -> Callable[[Scene], None]:
    """Let the link between the regions carry nothing for so long; one way: nothing from west to east."""

    def play(scene: Scene) -> None:
        scene.until(FAULT_AT)
        scene.fault("the link from west to east is cut" if one_way else "the link between the regions is cut")
        scene.estate.network.cut("west", "east", one_way=one_way)
        scene.prove(CUT, lambda: not carries("west-app1", "east-db"), within=2)
        if one_way:
            scene.prove(ONE_WAY, lambda: carries("east-db", "west-app1"))
        else:
            scene.prove(BOTH_WAYS, lambda: not carries("east-db", "west-app1"))
        scene.until(FAULT_AT + seconds)
        # Proven at its end too: it was cut all the time.
        scene.prove(CUT, lambda: not carries("west-app1", "east-db"))
        scene.estate.network.heal()
        scene.healed("the link is whole")
        scene.prove(WHOLE, lambda: carries("west-app1", "east-db") and carries("east-db", "west-app1"), within=2)

    what = "carries nothing from west to east" if one_way else "carries nothing"
    play.__doc__ = f"The link between the regions {what}, for {seconds:g} seconds."
    return play


def slow_for(seconds: float, *, more: float) -> Callable[[Scene], None]:
    """Let every round trip to the primary take so many seconds `more`, from everywhere, and for so long."""

    def play(scene: Scene) -> None:
        scene.until(FAULT_AT)
        scene.fault(f"{more:g} s more to the primary")
        scene.estate.databases.slow(more)
        scene.prove(SLOW, lambda: _took(scene, at_least=more))
        scene.until(FAULT_AT + seconds)
        scene.estate.network.heal()
        scene.healed("the primary is near again")
        scene.prove(FAST, lambda: not _took(scene, at_least=more / 2))

    play.__doc__ = (
        f"Every round trip to the primary takes {more:g} seconds more, from everywhere, for {seconds:g} seconds; to the"
        " replica it takes what it took."
    )
    return play


def _took(scene: Scene, *, at_least: float) -> str | bool:
    """How long a connection from the server beside it takes, if that is long."""
    database = scene.estate.databases.primary
    began = time.monotonic()
    if not scene.reaches("east-app1", *scene.place(database), seconds=3 * at_least):
        return False
    took = time.monotonic() - began
    return f"{took:.1f} s" if took >= at_least else False


def carries(one: str, other: str, *, seconds: float = 0.5) -> bool:
    """Whether a packet gets from a host to another; TCP would need both directions."""
    with _datagrams(other) as there, _datagrams(one) as here:
        there.bind((topology.HOSTS[other].address, 0))
        there.settimeout(seconds)
        here.sendto(b"?", there.getsockname())
        try:
            there.recv(1)
        except TimeoutError:
            return False
        return True


def _datagrams(host: str) -> socket.socket:
    with namespaces.inside(host):
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
