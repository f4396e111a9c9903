"""One run of a scenario while it goes on: its clock, what was done to the estate when, and proof that it bit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from tests.drill import namespaces
from tests.drill.estate import Estate, Region
from tests.drill.route53 import Route53
from tests.drill.servers import AppServer

#: How often a proof that is still to come is looked for.
_LOOK_SECONDS: Final = 0.1

Kind = Literal["fault", "healed", "note", "proof"]


class DidNotBite(Exception):
    """The fault did nothing that could be seen: what the run shows is worth nothing."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that the drill did or saw, `at` seconds after the load began."""

    at: float
    kind: Kind
    what: str


@dataclass(slots=True)
class Scene:
    """What a scenario acts on. Instants are seconds since the load began, which is at `began` of the monotonic clock."""

    estate: Estate
    route53: Route53
    began: float
    marks: list[Mark] = field(default_factory=list)
    #: What has been proven, and in which words.
    says: dict[str, str] = field(default_factory=dict)
    #: The region whose database takes writes, and whose is judged at the end.
    primary: str = "east"
    #: What a scenario wants known when it is judged, such as a version's name.
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def proven(self) -> set[str]:
        """What has been proven."""
        return set(self.says)

    # The clock

    def now(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self.began

    def until(self, at: float) -> None:
        """Wait for an instant of the run."""
        time.sleep(max(0.0, at - self.now()))

    # What is done

    def note(self, what: str, kind: Kind = "note") -> None:
        """Write down what happened just now."""
        self.marks.append(Mark(round(self.now(), 3), kind, what))

    def fault(self, what: str) -> None:
        """From now on it is broken; the first one begins the minute in which customers' waits are counted."""
        self.note(what, "fault")

    def healed(self, what: str) -> None:
        """From now on nothing is broken; the last one begins the time within which all has to go well."""
        self.note(what, "healed")

    def instant(self, kind: Kind, *, last: bool = False) -> float | None:
        """When the first or the last thing of this kind happened."""
        found = [mark.at for mark in self.marks if mark.kind == kind]
        return (found[-1] if last else found[0]) if found else None

    # Proof

    def prove(self, proof: str, holds: Callable[[], bool | str], *, within: float = 0.0) -> None:
        """Write a proof down as soon as it holds, with what it says for itself.

        Raises:
            DidNotBite: it did not hold `within` seconds.
        """
        deadline = time.monotonic() + within
        while not (said := _quietly(holds)):
            if time.monotonic() > deadline:
                raise DidNotBite(f"no proof that {proof}")
            time.sleep(_LOOK_SECONDS)
        # What was seen first is what is told: a second look only finds the same.
        self.says.setdefault(proof, proof if said is True else f"{proof}: {said}")
        self.note(self.says[proof], "proof")

    # What there is

    def region(self, name: str) -> Region:
        """A region's balancer and servers."""
        return self.estate.regions[name]

    def server(self, host: str) -> AppServer:
        """The application server on a host."""
        servers = (server for region in self.estate.regions.values() for server in region.servers)
        return next(server for server in servers if server.host == host)

    def place(self, database: Any) -> tuple[str, int]:
        """Address and port of a database, inside."""
        parts = urlsplit(database.url())
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def reaches(self, host: str, address: str, port: int, *, seconds: float = 1.0) -> bool:
        """Whether a connection can be made from a host."""
        line = namespaces.a_socket(host)
        try:
            line.settimeout(seconds)
            line.connect((address, port))
        except OSError:
            return False
        finally:
            line.close()
        return True

    def beside(self, *acts: Callable[[], object]) -> None:
        """Do things at the same moment; the first that fails is raised when all are over."""
        failed: list[BaseException] = []

        def do(act: Callable[[], object]) -> None:
            try:
                act()
            except BaseException as problem:  # noqa: BLE001  # raised again below
                failed.append(problem)

        threads = [threading.Thread(target=do, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]


def _quietly(holds: Callable[[], bool | str]) -> bool | str:
    """What cannot be asked does not hold yet."""
    try:
        return holds()
    except OSError:
        return False
