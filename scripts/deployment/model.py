"""What Terraform says is to be deployed where: its output `deployment`, read and checked."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from scripts.deployment.aws import Stop

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Release:
    """A commit, and the digest of the archive that was made from it."""

    commit: str
    sha256: str

    def __post_init__(self) -> None:
        if not _COMMIT.fullmatch(self.commit) or not _SHA256.fullmatch(self.sha256):
            raise ValueError("the release is not a commit of 40 and a digest of 64 hexadecimal digits")

    @property
    def archive(self) -> str:
        """The archive's file name."""
        return f"bank-{self.commit}.tar.gz"

    @property
    def key(self) -> str:
        """Where the archive is in a region's bucket."""
        return f"releases/{self.commit}/{self.archive}"


@dataclass(frozen=True, slots=True)
class Template:
    """One version of a launch template."""

    id: str
    version: str


@dataclass(frozen=True, slots=True)
class Job:
    """How a one-off server is made, and where it writes what became of it."""

    template: Template
    subnet: str
    parameters: str


@dataclass(frozen=True, slots=True)
class RollOut:
    """How carefully servers are replaced."""

    min_healthy_percent: int
    max_healthy_percent: int
    warm_up_seconds: int
    checkpoint_percents: tuple[int, ...]
    checkpoint_seconds: int
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """One region: its address, its bucket, its servers."""

    name: str
    url: str
    artifacts: str
    group: str
    template: Template
    job: Job
    roll_out: RollOut


@dataclass(frozen=True, slots=True)
class Deployment:
    """An environment with the release that Terraform prepared for it."""

    environment: str
    primary: str
    release: Release
    regions: dict[str, Region]

    def in_order(self) -> list[Region]:
        """The regions as they are rolled out: the one that has the database comes last."""
        return sorted(self.regions.values(), key=lambda region: (region.name == self.primary, region.name))

    def chosen(self, word: str | None) -> list[Region]:
        """The regions that a person means: all, the `primary`, the `secondary`, or one by its name."""
        if word is None:
            return self.in_order()
        if found := [region for region in self.in_order() if word in (region.name, self.role_of(region))]:
            return found
        raise click.BadParameter(
            f"There is no region {word!r}; there are {', '.join(self.regions)}, primary, secondary."
        )

    def role_of(self, region: Region) -> str:
        """`primary` where the database takes writes, else `secondary`."""
        return "primary" if region.name == self.primary else "secondary"


def read(path: Path) -> Deployment:
    """Read the file that `make deployment` wrote.

    Raises:
        Stop: there is no such file, or it is not what this tool knows.
    """
    try:
        with path.open("rb") as file:
            return _deployment(json.loads(file.read(_BYTES_MAX)))
    except OSError as problem:
        raise Stop(f"{path} cannot be read ({problem.strerror}). `make deployment ENV=…` writes it.") from problem
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise Stop(
            f"{path} is not Terraform's output `deployment`: {problem!r}. Write it anew: make deployment ENV=…"
        ) from problem


def _deployment(said: dict[str, Any]) -> Deployment:
    regions = {name: _region(name, region) for name, region in said["regions"].items()}
    if said["primary"] not in regions:
        raise ValueError("the primary is none of the regions")
    return Deployment(said["environment"], said["primary"], Release(**said["release"]), regions)


def _region(name: str, said: dict[str, Any]) -> Region:
    if not re.fullmatch(r"https://[a-z0-9.-]+", said["url"]):
        raise ValueError(f"the address of {name} is not https")
    job, roll_out = said["job"], said["roll_out"]
    return Region(
        name=name,
        url=said["url"],
        artifacts=said["artifacts"],
        group=said["group"],
        template=_template(said["launch_template"]),
        job=Job(_template(job["launch_template"]), job["subnet"], job["parameters"]),
        roll_out=RollOut(
            min_healthy_percent=int(roll_out["min_healthy_percent"]),
            max_healthy_percent=int(roll_out["max_healthy_percent"]),
            warm_up_seconds=int(roll_out["warm_up_seconds"]),
            checkpoint_percents=tuple(int(percent) for percent in roll_out["checkpoint_percents"]),
            checkpoint_seconds=int(roll_out["checkpoint_seconds"]),
            alarms=tuple(roll_out["alarms"]),
        ),
    )


def _template(said: dict[str, Any]) -> Template:
    version = str(said["version"])
    # AWS takes the words $Latest and $Default too, but can then not go back to what they meant before.
    if not version.isdecimal():
        raise ValueError(f"the launch template's version is {version!r} and not a number")
    return Template(said["id"], version)
