"""Databases that stop, fall behind, are slow to reach, let nobody in or have no room left."""

from __future__ import annotations

from typing import Final

from tests.drill.faults_of_servers import FAULT_AT, RESTART_SECONDS, process_of
from tests.drill.scene import Scene
from tests.drill.seen import entries, has_all, lets_in

#: How long a database stays broken.
BROKEN_SECONDS: Final = 20.0
#: How many connections the primary takes, so that they can run out, and how big its disk is, so that it can be full.
FEW_CONNECTIONS: Final = 120
SMALL_DISK_MIB: Final = 420
_SEEN_SECONDS: Final = 20.0

REPLICA_AWAY = "the replica could not be reached"
REPLICA_BACK = "the replica has everything again"
HELD_BACK = "the replica fell behind"
FULL_HOUSE = "the primary let no more connections in"
RESTARTED = "a server was killed meanwhile, and started"
ROOM_AGAIN = "the primary lets connections in"
NO_SPACE = "the primary wrote that its disk is full"
WRITES_AGAIN = "payments are booked again"


def replica_stopped(scene: Scene) -> None:
    """The replica is shut down, and is there again twenty seconds later."""
    pair = scene.estate.databases
    scene.until(FAULT_AT)
    scene.fault("the replica is stopped")
    pair.stop("replica")
    scene.prove(REPLICA_AWAY, lambda: not scene.reaches("west-app1", *scene.place(pair.replica)))
    scene.until(FAULT_AT + BROKEN_SECONDS)
    pair.start_again("replica")
    scene.healed("the replica is started")
    scene.prove(REPLICA_BACK, lambda: has_all(pair), within=_SEEN_SECONDS)


def replica_held_back(scene: Scene) -> None:
    """The replica receives everything and applies nothing, for twenty seconds."""
    pair = scene.estate.databases
    scene.until(FAULT_AT)
    scene.fault("the replica is held back")
    pair.hold_back()
    scene.until(FAULT_AT + BROKEN_SECONDS)
    behind = entries(pair.primary) - entries(pair.replica)
    scene.prove(HELD_BACK, lambda: f"by {behind} entries" if behind > 0 else False)
    pair.go_on()
    scene.healed("the replica goes on")
    scene.prove(REPLICA_BACK, lambda: has_all(pair), within=_SEEN_SECONDS)


def connections_exhausted(scene: Scene) -> None:
    """Somebody takes every connection that the primary has left; a server dies, and finds none when it is back."""
    pair, victim = scene.estate.databases, scene.server("east-app1")
    scene.until(FAULT_AT)
    scene.fault("every connection to the primary is taken")
    taken = pair.exhaust()
    process = process_of(victim)
    victim.kill()
    # What the dead server held is free now.
    taken = pair.exhaust()
    scene.prove(FULL_HOUSE, lambda: f"after {taken}" if taken and not lets_in(pair.primary) else False, within=2)
    scene.until(FAULT_AT + RESTART_SECONDS)
    victim.start()
    scene.prove(RESTARTED, lambda: process.poll() == -9)
    scene.until(FAULT_AT + BROKEN_SECONDS)
    # Still: they were out all the time.
    scene.prove(FULL_HOUSE, lambda: not lets_in(pair.primary))
    pair.release()
    scene.prove(ROOM_AGAIN, lambda: lets_in(pair.primary), within=_SEEN_SECONDS)
    scene.healed("the connections are given back")


def disk_full(scene: Scene) -> None:
    """The primary's disk is full to the last byte, for twenty seconds."""
    pair = scene.estate.databases
    written = len(pair.primary.server_log())
    scene.until(FAULT_AT)
    scene.fault("the primary's disk is full")
    taken = pair.fill_disk()
    scene.prove(
        NO_SPACE,
        lambda: f"{taken // 2**20} MiB taken" if "No space left" in pair.primary.server_log()[written:] else False,
        within=_SEEN_SECONDS,
    )
    scene.until(FAULT_AT + BROKEN_SECONDS)
    pair.free_disk()
    # A server that gave up for want of room is started by its keeper, as RDS would.
    if pair.primary.process is None or pair.primary.process.poll() is not None:
        scene.note("the primary had ended itself, and is started again")
        pair.start_again("primary")
    # It may have given up in the middle and be going through its log.
    scene.prove(ROOM_AGAIN, lambda: lets_in(pair.primary), within=_SEEN_SECONDS)
    scene.healed("the disk has room")
    before = entries(pair.primary)
    scene.prove(WRITES_AGAIN, lambda: entries(pair.primary) > before, within=_SEEN_SECONDS)
