"""Bring a release to the estate, watch it, take it back: `python -m scripts.deploy build/deployment/test.json --help`.

What is to be deployed where is Terraform's output `deployment`, which `make deployment ENV=…` writes into that file. The
credentials are those of the environment; `make` assumes the right role.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from scripts.deployment import archive, jobs, model, rollout, smoke
from scripts.deployment.aws import Sentences, Stop, client

_REGION = click.option("--region", help="A region's name, `primary` or `secondary`; all of them otherwise.")


def _minutes(default: float) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The longest wait."""
    return click.option(
        "--minutes", type=click.FloatRange(0, 240), default=default, show_default=True, help="The longest wait."
    )


@click.group(cls=Sentences)
@click.argument("deployment", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_context
def main(context: click.Context, deployment: Path) -> None:
    """Deploy what the file DEPLOYMENT says; with several regions, the one that has the database comes last."""
    context.obj = deployment


@main.command()
@_REGION
@click.option("--packages", type=click.Path(path_type=Path), default=Path("build/package"), show_default=True)
@click.pass_obj
def upload(path: Path, region: str | None, packages: Path) -> None:
    """Store the release's archive in each region's bucket. Safe to run again."""
    deployment = model.read(path)
    file = packages / deployment.release.archive
    archive.check(deployment.release, file)
    for one in deployment.chosen(region):
        archive.upload(deployment.release, one, file)


@main.command()
@_minutes(30)
@click.pass_obj
def migrate(path: Path, minutes: float) -> None:
    """Bring the schema up to date, once, on a server made for it in the primary region."""
    jobs.run(model.read(path), "migrate", minutes=minutes)


@main.command("rotate-login")
@_minutes(15)
@click.pass_obj
def rotate_login(path: Path, minutes: float) -> None:
    """Give the application a new login to the database; the one in use goes on working until the next time."""
    jobs.run(model.read(path), "rotate-login", minutes=minutes)


@main.command("roll-out")
@_REGION
@_minutes(90)
@click.pass_obj
def roll_out(path: Path, region: str | None, minutes: float) -> None:
    """Replace the servers, a few at a time, and watch them become healthy. Safe to run again."""
    for one in model.read(path).chosen(region):
        _remember(path, one)
        rollout.roll_out(one, minutes=minutes)


@main.command("smoke")
@_REGION
@click.option("--rounds", type=click.IntRange(1, 100), default=12, show_default=True)
@click.option("--over", "over_seconds", type=click.FloatRange(0, 600), default=30, show_default=True, help="Seconds.")
@click.option(
    "--patience",
    type=click.FloatRange(0, 1800),
    default=300,
    show_default=True,
    help="Seconds until the first success.",
)
@click.pass_obj
def smoke_test(path: Path, region: str | None, rounds: int, over_seconds: float, patience: float) -> None:
    """Look at each region through its load balancer, as customers do."""
    for one in model.read(path).chosen(region):
        smoke.smoke(one.name, one.url, rounds=rounds, over_seconds=over_seconds, patience_seconds=patience)


@main.command("roll-back")
@_REGION
@click.option("--version", help="Of the launch template. Otherwise the one that the last roll-out from here replaced.")
@_minutes(90)
@click.pass_obj
def roll_back(path: Path, region: str | None, version: str | None, minutes: float) -> None:
    """Bring back what ran before. Without --region: in all regions that were rolled out from here since the last apply.

    The schema stays as it is: each release runs on the next one's schema.
    """
    if version and (region is None or not version.isdecimal()):
        raise click.BadParameter("A version is a number, and each region has its own: name --region too.")
    deployment = model.read(path)
    chosen = [one for one in deployment.chosen(region) if region or _previous_file(path, one).exists()]
    if not chosen:
        click.echo(
            "No region was rolled out from this folder since the last apply, so there is nothing to take back. If another machine "
            "did it: `make status ENV=…` lists the versions; then make roll-back ENV=… REGION=… VERSION=…"
        )
    problems = []
    # The one that was rolled out last goes first; a failure in one region must not keep the other from going back.
    for one in reversed(chosen):
        try:
            rollout.roll_back(one, version or _previous(path, one), minutes=minutes)
        except Stop as problem:
            problems.append(problem.message)
            click.echo(problem.message, err=True)
    if problems:
        raise Stop(f"{len(problems)} of {len(chosen)} regions did not go back; the reasons are above.")


@main.command()
@click.pass_obj
def status(path: Path) -> None:
    """Show what runs where, which versions there are, and what was rolled out last."""
    deployment = model.read(path)
    click.echo(f"{deployment.environment}: release {deployment.release.commit} was applied last")
    for region in deployment.in_order():
        servers = rollout.Servers(region)
        click.echo(f"\n{region.name} ({deployment.role_of(region)}), {region.url}")
        click.echo(f"  group     {region.group}: version {servers.version()}; applied: {region.template.version}")
        for version, count in sorted(servers.healthy().items()):
            click.echo(f"  healthy   {count} of version {version}")
        if latest := servers.latest():
            percent = latest.get("PercentageComplete", 0)
            click.echo(
                f"  roll-out  {latest['Status']}, {percent} %, begun {latest.get('StartTime', 'at an unknown time')}"
            )
        for line in _versions(region):
            click.echo(f"  version   {line}")


def _versions(region: model.Region) -> list[str]:
    ec2 = client("ec2", region.name)
    found = ec2.describe_launch_template_versions(LaunchTemplateId=region.template.id, MaxResults=100)[
        "LaunchTemplateVersions"
    ]
    newest = sorted(found, key=lambda one: int(one["VersionNumber"]), reverse=True)[:5]
    return [
        f"{one['VersionNumber']}, made {one['CreateTime']:%Y-%m-%d %H:%M}Z {one.get('VersionDescription', '')}"
        for one in newest
    ]


def _previous_file(path: Path, region: model.Region) -> Path:
    """Beside the deployment's own file; a new apply removes it."""
    return path.with_name(f"{path.stem}-{region.name}-previous.json")


def _remember(path: Path, region: model.Region) -> None:
    """Write down what runs before it is replaced; run again, when it has been, this leaves what was written."""
    version = rollout.Servers(region).version()
    if version != region.template.version:
        _previous_file(path, region).write_text(
            json.dumps({"launch_template": region.template.id, "version": version}) + "\n"
        )


def _previous(path: Path, region: model.Region) -> str | None:
    file = _previous_file(path, region)
    return str(json.loads(file.read_text())["version"]) if file.exists() else None


if __name__ == "__main__":
    main()
