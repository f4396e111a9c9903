"""What the drill breaks, what proves that it did, and what customers may notice of it at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.drill import faults_of_databases as databases
from tests.drill import faults_of_links as links
from tests.drill import faults_of_regions as regions
from tests.drill import faults_of_servers as servers
from tests.drill.scene import Scene
from tests.drill.targets import FaultKind
from tests.drill.without_idempotency import take_out

#: What a payment waits for the other region, where payments are secured.
SECURED_SECONDS: Final = 2
ENGINES: Final = ("postgresql", "mysql")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault with its proof; `kind` says what is aimed for, `least_seconds` how much load it needs to be broken and healed."""

    name: str
    play: Callable[[Scene], None]
    proofs: tuple[str, ...]
    kind: FaultKind = "server"
    least_seconds: int = 40
    secured: bool = False
    #: What the estate is made with beside the usual.
    estate: Mapping[str, Any] = field(default_factory=dict)
    #: A mistake made in the run's own copy of the application: the drill has to find it.
    spoil: Callable[[Path], None] | None = None
    #: Ahead of the load.
    prepare: Callable[[Scene], None] | None = None
    #: Rules that the run has to break, or it has shown nothing; and those that it may break beside them.
    must_break: frozenset[str] = frozenset()
    may_break: frozenset[str] = frozenset()
    engines: tuple[str, ...] = ENGINES
    moreover: str = ""

    @property
    def about(self) -> str:
        """What is done, in a sentence."""
        return f"{(self.play.__doc__ or '').strip()} {self.moreover}".strip()


_OLD_AND_NEW: Final = ("old", "new")


def _all() -> tuple[Scenario, ...]:
    s, d, k, r = servers, databases, links, regions
    return (
        Scenario("baseline", s.nothing, (s.SERVED,), "baseline", 20),
        Scenario("server-killed", s.one_killed, (s.GONE, s.TAKEN_OUT, s.BACK)),
        Scenario("region-servers-killed", s.region_killed, (s.GONE, s.TAKEN_OUT, s.MOVED, s.BACK, s.MOVED_BACK)),
        Scenario("balancer-killed", s.balancer_killed, (s.GONE, s.MOVED, s.MOVED_BACK), "server", 50),
        Scenario("sigterm", s.told_to_stop, (s.IN_ORDER, s.DRAINED, s.BACK), "release", 60),
        Scenario(
            "release", s.released, (s.SIDE_BY_SIDE, s.REPLACED, s.BACK), "release", 120,
            estate={"packages": _OLD_AND_NEW, "schema": "new"}, moreover="The schema is the new one from the start.",
        ),
        Scenario(
            "release-before-migration", s.released, (s.SIDE_BY_SIDE, s.REPLACED, s.BACK), "release", 120,
            estate={"packages": _OLD_AND_NEW, "schema": "old"}, moreover="The schema stays the old one.",
        ),
        Scenario("clock-stepped", s.clock_stepped, (s.CLOCK, s.CLOCK_RIGHT), prepare=s.clock_made_steppable),
        Scenario("link-cut-10", k.cut_for(10), (k.CUT, k.BOTH_WAYS, k.WHOLE), "database"),
        Scenario("link-cut-90", k.cut_for(90), (k.CUT, k.BOTH_WAYS, k.WHOLE), "database", 115),
        Scenario("link-cut-one-way", k.cut_for(20, one_way=True), (k.CUT, k.ONE_WAY, k.WHOLE), "database", 45),
        # With two seconds more and above nobody could pay within two seconds, whatever the bank did.
        Scenario("slow-database", k.slow_for(20, more=0.5), (k.SLOW, k.FAST), "database", 45),
        Scenario("replica-stopped", d.replica_stopped, (d.REPLICA_AWAY, d.REPLICA_BACK), "database", 45),
        Scenario("replica-held-back", d.replica_held_back, (d.HELD_BACK, d.REPLICA_BACK), "database", 45),
        Scenario(
            "connections-exhausted", d.connections_exhausted, (d.FULL_HOUSE, d.RESTARTED, d.ROOM_AGAIN), "database", 45,
            estate={"max_connections": d.FEW_CONNECTIONS},
        ),
        Scenario(
            "disk-full", d.disk_full, (d.NO_SPACE, d.WRITES_AGAIN), "other", 45, estate={"disk_mib": d.SMALL_DISK_MIB},
            moreover="Nobody takes over, so nobody can pay that long.",
        ),
        Scenario(
            "primary-killed", r.primary_killed, (r.KILLED, r.UNREACHABLE, r.TOOK_OVER, r.UNTOUCHED, r.FOLLOWS), "database",
            60, secured=True, moreover="Payments are confirmed once west has them: the last ones are not lost with it.",
        ),
        Scenario(
            "region-lost", r.region_lost, (r.REGION_GONE, r.TOOK_OVER), "region", 35, secured=True,
            # What is read on a primary that is about to be lost may be newer than what the other region has: it is
            # what was confirmed that is secured.
            may_break=frozenset({"stale", "unreal"}),
            moreover="Payments are confirmed once west has them; none is lost.",
        ),
        Scenario(
            "region-lost-unsecured", r.region_lost, (r.REGION_GONE, r.BEHIND, r.TOOK_OVER), "region", 35,
            must_break=frozenset({"lost"}), may_break=frozenset({"stale", "unreal"}),
            moreover="Payments are confirmed without asking west; some are lost, and the drill has to find that.",
        ),
        Scenario(
            # What is booked is answered too late, and asked for again.
            "without-idempotency", k.slow_for(6, more=2.0), (k.SLOW, k.FAST), "other",
            spoil=take_out, must_break=frozenset({"duplicate"}), may_break=frozenset({"unresolved", "unreal", "phantom"}),
            moreover="The application forgot to look at idempotency keys; the drill has to find that.",
        ),
    )  # fmt: skip


SCENARIOS: Final = {scenario.name: scenario for scenario in _all()}
SMOKE: Final = ("baseline", "server-killed", "region-lost")
