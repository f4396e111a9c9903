"""The primary lost, alone or with its whole region, and the replica that takes over."""

from __future__ import annotations

import re
import time
from typing import Any, Final

from click.testing import CliRunner

from bank.cli import main as cli
from tests.drill.faults_of_servers import FAULT_AT
from tests.drill.scene import Scene
from tests.drill.seen import entries, has_all

#: How long it takes until somebody, or something, has decided that the primary will not come back.
DETECTION_SECONDS: Final = 3.0
#: When the primary of before comes back, seconds after it was lost.
_BACK_AFTER_SECONDS: Final = 20.0
_SEEN_SECONDS: Final = 20.0

KILLED = "the primary was killed"
UNREACHABLE = "nobody could reach the primary"
TOOK_OVER = "payments are booked on the promoted database"
UNTOUCHED = "the old primary came back, and nothing was booked on it"
FOLLOWS = "the old primary follows the new one"
REGION_GONE = "nothing runs in east"
BEHIND = "the lost primary had entries that the other region had not"


def primary_killed(scene: Scene) -> None:
    """The primary's links are cut and it dies; the replica takes over; the old one comes back and follows the new."""
    pair, network = scene.estate.databases, scene.estate.network
    old = pair.primary
    scene.until(FAULT_AT)
    scene.fault("the primary is cut off and killed")
    # Without its links first: the kernel would send what a dead process had written.
    network.isolate(old.host)
    network.cut("east", old.host)
    pair.kill("primary")
    scene.prove(KILLED, lambda: old.process is None)
    scene.prove(UNREACHABLE, lambda: not scene.reaches("east-app1", *scene.place(old), seconds=0.5))
    scene.until(FAULT_AT + DETECTION_SECONDS)
    take_over(scene)
    scene.prove(TOOK_OVER, lambda: entries(pair.primary) > scene.told["entries"], within=_SEEN_SECONDS)
    scene.until(FAULT_AT + _BACK_AFTER_SECONDS)
    network.heal()
    _bring_back(scene, old)
    scene.healed("both databases are there")


def _bring_back(scene: Scene, old: Any) -> None:
    """First as the primary that it believes to be, closed to nobody; then as the new one's replica."""
    pair = scene.estate.databases
    pair.start_again("replica")
    scene.note("the old primary is there again, and would take writes")
    before = entries(old)
    time.sleep(3)
    scene.prove(UNTOUCHED, lambda: entries(old) == before)
    pair.fence()
    scene.note(f"the old primary is to follow: {pair.follow_back()}")
    scene.prove(FOLLOWS, lambda: has_all(pair), within=_SEEN_SECONDS)


def region_lost(scene: Scene) -> None:
    """East is cut off from west, goes on for three seconds, and dies with all that is in it; west takes over for good."""
    pair, network = scene.estate.databases, scene.estate.network
    lost, left = pair.at["east"], pair.at["west"]
    scene.until(FAULT_AT)
    scene.fault("east is cut off from west")
    network.cut("east", "west")
    # All that while customers reach east: what it accepts on its own is what can be lost.
    scene.until(FAULT_AT + DETECTION_SECONDS)
    network.isolate("east")
    scene.note("east is lost")
    ahead = entries(lost) - entries(left)
    scene.beside(lambda: _kill_east(scene), lambda: take_over(scene))
    scene.healed("west has taken over")
    scene.prove(REGION_GONE, lambda: _is_gone(scene, lost))
    scene.prove(BEHIND, lambda: f"{ahead} entries" if ahead > 0 else False)
    scene.prove(TOOK_OVER, lambda: entries(pair.primary) > scene.told["entries"], within=_SEEN_SECONDS)


def _kill_east(scene: Scene) -> None:
    east = scene.region("east")
    scene.beside(
        east.balancer.kill, *(server.kill for server in east.servers), lambda: scene.estate.databases.kill("east")
    )


def _is_gone(scene: Scene, database: Any) -> bool:
    servers = [server.process for server in scene.region("east").servers]
    return database.process is None and all(process is None or process.poll() is not None for process in servers)


def take_over(scene: Scene) -> None:
    """What an operator does when the primary is lost: promote, raise the term, tell the servers of both regions.

    There is no other copy now: taking over says so, and payments that are secured wait for none until one follows again.
    """
    pair = scene.estate.databases
    pair.promote()
    scene.primary = pair.primary.region
    scene.told["entries"] = entries(pair.primary)
    scene.note(f"the replica in {scene.primary} is promoted")
    term = term_in(_command(scene, "take-over"))
    scene.estate.point_at(scene.primary, term)
    scene.note(f"the servers are told: {scene.primary}, term {term}")


def _command(scene: Scene, *words: str) -> str:
    """`bank db …` on the primary, in this process: what stands by to promote has its programs loaded."""
    told = {"DATABASE_URL": scene.estate.databases.primary.local_url("migrator")}
    done = CliRunner().invoke(cli, ["db", *words], env=told, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def term_in(said: str) -> int:
    """The term in what `bank db take-over` prints for the login's secret.

    >>> term_in('Put this into the secret: {"host": "...", "port": 5432, "term": 3}')
    3
    """
    found = re.search(r'"term": *"?(\d+)', said)
    if not found:
        raise AssertionError(f"no term in: {said}")
    return int(found[1])
