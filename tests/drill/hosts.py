"""The drill's nine hosts: a customer, and two regions of a load balancer, two application servers and a database each."""

from __future__ import annotations

import pwd
from collections.abc import Iterator
from dataclasses import dataclass

REGIONS = ("east", "west")
#: Who runs what needs no root, the first that this machine has.
ACCOUNTS = ("drill", "postgres", "mysql", "nobody")


@dataclass(frozen=True, slots=True)
class Host:
    """A machine of the drill: a network namespace with one address."""

    name: str
    region: str
    address: str


def _hosts() -> Iterator[Host]:
    yield Host("customer", "customer", "10.0.0.10")
    for number, region in enumerate(REGIONS, 1):
        for role, last in (("lb", 5), ("app1", 11), ("app2", 12), ("db", 20)):
            yield Host(f"{region}-{role}", region, f"10.{number}.0.{last}")


HOSTS = {host.name: host for host in _hosts()}


@dataclass(frozen=True, slots=True)
class Distances:
    """One way, in milliseconds: between the regions, inside one, and from the customer to each."""

    regions_ms: float = 32.5
    #: User space adds about a third of a millisecond to it.
    inside_ms: float = 0.08
    customer_east_ms: float = 5.0
    customer_west_ms: float = 5.0

    def between(self, one: Host, other: Host) -> float:
        """How long a packet takes, in milliseconds."""
        regions = {one.region, other.region}
        if len(regions) == 1:
            return self.inside_ms
        if "customer" not in regions:
            return self.regions_ms
        return self.customer_east_ms if "east" in regions else self.customer_west_ms


def account() -> pwd.struct_passwd:
    """Who runs what needs no root."""
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in ACCOUNTS if name in known)


def addresses(name: str) -> list[str]:
    """The addresses of a host, or of all a region's hosts.

    Raises:
        KeyError: no host and no region is called that.
    """
    if name in HOSTS:
        return [HOSTS[name].address]
    if found := [host.address for host in HOSTS.values() if host.region == name]:
        return found
    raise KeyError(name)
