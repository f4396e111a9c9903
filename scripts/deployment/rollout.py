"""Replace a region's servers by ones of another version of their launch template, and go back."""

from __future__ import annotations

from collections import Counter
from typing import Any

from botocore.exceptions import ClientError

from scripts.deployment.aws import Stop, client, code, polls, say
from scripts.deployment.model import Region

_GOING_FORWARD = ("Pending", "InProgress", "Baking")
_GOING_BACK = ("RollbackInProgress",)
_UNDER_WAY = (*_GOING_FORWARD, *_GOING_BACK, "Cancelling")


class Servers:
    """A region's group of servers, as AWS tells it at the moment of each question."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self._scaling = client("autoscaling", region.name)
        self._name = {"AutoScalingGroupName": region.group}

    def version(self) -> str:
        """The version that a server started now would have."""
        return str(self._group()["LaunchTemplate"]["Version"])

    def healthy(self) -> Counter[str]:
        """How many servers in service there are, by version."""
        return Counter(
            _server_version(server)
            for server in self._group()["Instances"]
            if server["LifecycleState"] == "InService" and server["HealthStatus"] == "Healthy"
        )

    def only(self, version: str) -> bool:
        """Is this version the group's, and that of every server that is not about to go?"""
        group = self._group()
        return str(group["LaunchTemplate"]["Version"]) == version and all(
            _server_version(server) == version
            for server in group["Instances"]
            if not server["LifecycleState"].startswith("Terminat")
        )

    def all_run(self, version: str) -> bool:
        """Does every server run this version, healthy and in service, and are there as many as there should be?"""
        return self.only(version) and self.healthy()[version] >= self._group()["DesiredCapacity"]

    def latest(self) -> dict[str, Any] | None:
        """The replacement that was started last, if there ever was one."""
        found = self._scaling.describe_instance_refreshes(**self._name, MaxRecords=1)["InstanceRefreshes"]
        return dict(found[0]) if found else None

    def under_way(self) -> dict[str, Any] | None:
        """The replacement that goes on now."""
        latest = self.latest()
        return latest if latest and latest["Status"] in _UNDER_WAY else None

    def replace(self, version: str, preferences: dict[str, Any]) -> str:
        """Begin to replace servers that are not of this version; answers the replacement's id."""
        template = {"LaunchTemplateId": self.region.template.id, "Version": version}
        try:
            started = self._scaling.start_instance_refresh(
                **self._name,
                Strategy="Rolling",
                DesiredConfiguration={"LaunchTemplate": template},
                Preferences={"SkipMatching": True, **preferences},
            )
        except ClientError as problem:
            if code(problem) != "InstanceRefreshInProgress":
                raise
            raise Stop(
                f"{self.region.name}: another roll-out began at the same moment. See: make status ENV=…"
            ) from problem
        return str(started["InstanceRefreshId"])

    def quiet_alarms(self) -> list[str]:
        """The alarms that may take a roll-out back, without those that ring already.

        AWS would take back at once what is rolled out while one rings: also the release that mends why it rings.
        """
        names = list(self.region.roll_out.alarms)
        if not names:
            return []
        found = client("cloudwatch", self.region.name).describe_alarms(AlarmNames=names)
        ringing = sorted(alarm["AlarmName"] for alarm in found["MetricAlarms"] if alarm["StateValue"] == "ALARM")
        if ringing:
            say(self.region.name, f"rings already and so will not take this roll-out back: {', '.join(ringing)}")
        return [name for name in names if name not in ringing]

    def turn_back(self) -> str:
        """Make the replacement that goes on undo itself; answers its id."""
        return str(self._scaling.rollback_instance_refresh(**self._name)["InstanceRefreshId"])

    def follow(self, refresh: str, minutes: float) -> dict[str, Any]:
        """Tell how the replacement goes on until it has ended, and answer its end.

        Raises:
            Stop: it has not ended within `minutes`. It goes on nevertheless.
        """
        told = ""
        for _ in polls(minutes * 60):
            found = self._scaling.describe_instance_refreshes(**self._name, InstanceRefreshIds=[refresh])
            now = dict(found["InstanceRefreshes"][0])
            told = self._tell(now, told)
            if now["Status"] not in _UNDER_WAY:
                return now
        raise Stop(
            f"{self.region.name}: after {minutes:g} minutes the replacement of servers is not at its end. It goes on by itself. "
            f"See: make status ENV=… To go back: make roll-back ENV=… REGION={self.region.name}"
        )

    def _tell(self, refresh: dict[str, Any], told: str) -> str:
        running = ", ".join(f"{count} of version {version}" for version, count in sorted(self.healthy().items()))
        line = f"{refresh['Status']}, {refresh.get('PercentageComplete', 0)} %; healthy: {running or 'none'}"
        if line != told:
            say(self.region.name, line)
        return line

    def _group(self) -> dict[str, Any]:
        found = self._scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.region.group])[
            "AutoScalingGroups"
        ]
        if not found:
            raise Stop(
                f"There is no group of servers {self.region.group} in {self.region.name}. Apply first: make apply ENV=…"
            )
        return dict(found[0])


def roll_out(region: Region, *, minutes: float) -> None:
    """Bring the planned version to all servers of the region; AWS goes back by itself if they do not become healthy.

    Raises:
        Stop: it went back, it failed, or it takes longer than `minutes`.
    """
    servers, wanted = Servers(region), region.template.version
    if goes_on := servers.under_way():
        if _version_of(goes_on) != wanted or goes_on["Status"] not in _GOING_FORWARD:
            raise Stop(
                f"{region.name}: another roll-out is under way ({goes_on['Status']}, to version {_version_of(goes_on) or 'unknown'}). "
                "Wait for its end (make status ENV=…) or undo it (make roll-back ENV=… REGION=…); then run this again."
            )
        say(region.name, f"the roll-out of version {wanted} is under way already; following it")
        refresh = str(goes_on["InstanceRefreshId"])
    elif servers.only(wanted):
        _wait_until_healthy(servers, wanted, minutes)
        return
    else:
        say(region.name, f"rolling out version {wanted}; the group is at version {servers.version()}")
        refresh = servers.replace(wanted, _careful(region, servers.quiet_alarms()))
    end = servers.follow(refresh, minutes)
    if end["Status"] != "Successful":
        raise Stop(
            f"{region.name}: the roll-out of version {wanted} ended as {end['Status']}. {_why(end)} "
            f"The group is now at version {servers.version()}. Read the servers' log in the log group of {region.name} before trying again."
        )
    say(region.name, f"all servers run version {wanted}")


def roll_back(region: Region, previous: str | None, *, minutes: float) -> None:
    """Bring back the version before: undo what is under way, or replace the servers once more.

    Raises:
        Stop: nobody says which version that is, or going back failed.
    """
    servers = Servers(region)
    goes_on = servers.under_way()
    if goes_on and goes_on["Status"] == "Cancelling":
        raise Stop(f"{region.name}: a roll-out is being cancelled. Run this again when it is (make status ENV=…).")
    if goes_on:
        forward = goes_on["Status"] in _GOING_FORWARD
        say(region.name, "undoing the roll-out that is under way" if forward else "AWS undoes the roll-out already")
        refresh, wanted_end = (
            (servers.turn_back() if forward else str(goes_on["InstanceRefreshId"])),
            "RollbackSuccessful",
        )
    elif previous is None:
        raise Stop(f"{region.name}: which version to go back to? `make status ENV=…` lists them; then add VERSION=…")
    elif servers.only(previous):
        say(region.name, f"all servers run version {previous} already")
        return
    else:
        say(region.name, f"going back to version {previous}; the group is at version {servers.version()}")
        refresh, wanted_end = servers.replace(previous, _quick(region)), "Successful"
    end = servers.follow(refresh, minutes)
    if end["Status"] != wanted_end:
        raise Stop(f"{region.name}: going back ended as {end['Status']}. {_why(end)} See: make status ENV=…")
    say(region.name, f"the group is back at version {servers.version()}")


def _wait_until_healthy(servers: Servers, wanted: str, minutes: float) -> None:
    """The group has its version already: on the first deployment its servers only wait for the archive and the schema."""
    say(servers.region.name, f"the group is at version {wanted} already; waiting until all its servers are healthy")
    for _ in polls(minutes * 60):
        if servers.all_run(wanted):
            say(servers.region.name, f"all servers run version {wanted}")
            return
    raise Stop(
        f"{servers.region.name}: after {minutes:g} minutes not all servers are healthy. Read their log; see: make status ENV=…"
    )


def _careful(region: Region, alarms: list[str]) -> dict[str, Any]:
    how = region.roll_out
    preferences: dict[str, Any] = {
        "MinHealthyPercentage": how.min_healthy_percent,
        "MaxHealthyPercentage": how.max_healthy_percent,
        "InstanceWarmup": how.warm_up_seconds,
        "AutoRollback": True,
    }
    if how.checkpoint_percents:
        preferences |= {
            "CheckpointPercentages": list(how.checkpoint_percents),
            "CheckpointDelay": how.checkpoint_seconds,
        }
    if alarms:
        preferences["AlarmSpecification"] = {"Alarms": alarms}
    return preferences


def _quick(region: Region) -> dict[str, Any]:
    """Going back stops for nothing: neither at checkpoints, nor for the alarms that are why one goes back."""
    how = region.roll_out
    return {
        "MinHealthyPercentage": how.min_healthy_percent,
        "MaxHealthyPercentage": how.max_healthy_percent,
        "InstanceWarmup": how.warm_up_seconds,
        "AutoRollback": False,
    }


def _server_version(server: dict[str, Any]) -> str:
    return str(server.get("LaunchTemplate", {}).get("Version", "none"))


def _version_of(refresh: dict[str, Any]) -> str:
    return str(refresh.get("DesiredConfiguration", {}).get("LaunchTemplate", {}).get("Version", ""))


def _why(refresh: dict[str, Any]) -> str:
    reasons = [refresh.get("RollbackDetails", {}).get("RollbackReason"), refresh.get("StatusReason")]
    return " ".join(dict.fromkeys(reason for reason in reasons if reason)) or "AWS gives no reason."
