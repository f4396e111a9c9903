"""An estate on moto, as far as the deployment tool meets it; with instance refreshes, which moto has not.

What a refresh does here is what AWS documents, in as many steps as the tool asks: begun, half of the servers, ended. The
parameters are checked by boto3's own description of the service. Nothing of this shows how AWS itself would behave.
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
from moto.autoscaling.exceptions import AutoscalingClientError
from moto.autoscaling.models import InstanceState
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult
from moto.server import ThreadedMotoServer

PRIMARY, SECONDARY = "us-east-1", "us-west-2"
ACTIVE = ("Pending", "InProgress", "Baking", "Cancelling", "RollbackInProgress")


class RefreshInProgress(AutoscalingClientError):
    code = "InstanceRefreshInProgress"


class NoActiveRefresh(AutoscalingClientError):
    code = "ActiveInstanceRefreshNotFound"


@dataclass
class Refreshes:
    """Every refresh that was started, and how the next ones are to end, by region."""

    started: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    endings: dict[str, list[str]] = field(default_factory=dict)

    def of(self, region: str) -> list[dict[str, Any]]:
        return self.started.setdefault(region, [])

    def active(self, region: str) -> dict[str, Any] | None:
        return next((one for one in self.of(region) if one["Status"] in ACTIVE), None)


REFRESHES = Refreshes()


def _methods() -> dict[str, Callable[[AutoScalingResponse], ActionResult]]:
    refreshes = REFRESHES

    def group_of(response: AutoScalingResponse) -> Any:
        name = response._get_param("AutoScalingGroupName")
        [group] = response.autoscaling_backend.describe_auto_scaling_groups([name])
        return group

    def start(response: AutoScalingResponse) -> ActionResult:
        if refreshes.active(response.region):
            raise RefreshInProgress("An instance refresh is already in progress.")
        group = group_of(response)
        one = {
            "InstanceRefreshId": f"refresh-{len(refreshes.of(response.region)) + 1}",
            "AutoScalingGroupName": group.name,
            "Status": "Pending",
            "PercentageComplete": 0,
            "Preferences": response._get_param("Preferences"),
            "DesiredConfiguration": response._get_param("DesiredConfiguration"),
            "before": group.provided_launch_template_version,
            "ending": (refreshes.endings.get(response.region) or ["Successful"]).pop(0),
        }
        refreshes.of(response.region).insert(0, one)
        return ActionResult({"InstanceRefreshId": one["InstanceRefreshId"]})

    def describe(response: AutoScalingResponse) -> ActionResult:
        wanted = response._get_param("InstanceRefreshIds", [])
        found = [one for one in refreshes.of(response.region) if not wanted or one["InstanceRefreshId"] in wanted]
        if wanted:
            _go_on(found[0], group_of(response))
        return ActionResult({"InstanceRefreshes": found[: response._get_int_param("MaxRecords", 50)]})

    def roll_back(response: AutoScalingResponse) -> ActionResult:
        one = refreshes.active(response.region)
        if not one:
            raise NoActiveRefresh("No in progress or pending Instance Refresh found.")
        one["Status"] = "RollbackInProgress"
        return ActionResult({"InstanceRefreshId": one["InstanceRefreshId"]})

    return {
        "start_instance_refresh": start,
        "describe_instance_refreshes": describe,
        "rollback_instance_refresh": roll_back,
    }


def _go_on(refresh: dict[str, Any], group: Any) -> None:
    wanted = refresh["DesiredConfiguration"]["LaunchTemplate"]["Version"]
    match refresh["Status"], refresh["ending"]:
        case "Pending", _:
            refresh["Status"] = "InProgress"
        case "InProgress", _ if refresh["PercentageComplete"] < 50:
            refresh["PercentageComplete"] = 50
            group.instance_states[0].version = wanted
        case "InProgress", "stuck":
            pass
        case "InProgress", "Successful":
            refresh |= {"Status": "Successful", "PercentageComplete": 100}
            group.provided_launch_template_version = wanted
            for server in group.instance_states:
                server.version = wanted
        case "InProgress", "RollbackSuccessful":
            refresh["Status"] = "RollbackInProgress"
            refresh["RollbackDetails"] = {"RollbackReason": "An alarm rang."}
        case "InProgress", ending:
            refresh |= {"Status": ending, "StatusReason": "The servers did not become healthy."}
        case "RollbackInProgress", _:
            refresh["Status"] = "RollbackSuccessful"
            for server in group.instance_states:
                server.version = refresh["before"]


def _server_template(server: InstanceState) -> dict[str, Any]:
    """What moto says of a server is its template's default version, whatever the server was made from."""
    group = server.auto_scaling_group
    version = getattr(server, "version", group.provided_launch_template_version)
    return {"LaunchTemplateId": group.ec2_launch_template.id, "Version": str(version)}


@dataclass
class Estate:
    """Both regions of an environment, and the file that says so."""

    endpoint: str
    deployment: Path
    refreshes: Refreshes

    def client(self, service: str, region: str) -> Any:
        return _client(service, region, self.endpoint)

    def said(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.deployment.read_text())
        return said

    def say(self, **changed: Any) -> None:
        self.deployment.write_text(json.dumps(self.said() | changed))

    def versions(self, region: str) -> list[str]:
        """The group's version, and those of its servers."""
        [group] = self.client("autoscaling", region).describe_auto_scaling_groups()["AutoScalingGroups"]
        servers = [server["LaunchTemplate"]["Version"] for server in group["Instances"]]
        return [group["LaunchTemplate"]["Version"], *servers]

    def make_ill(self, region: str) -> None:
        """Let one server of the region be unhealthy."""
        scaling = self.client("autoscaling", region)
        [group] = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        scaling.set_instance_health(InstanceId=group["Instances"][0]["InstanceId"], HealthStatus="Unhealthy")

    @contextmanager
    def server_answers(self, result: Callable[[dict[str, str]], str | None]) -> Iterator[list[dict[str, str]]]:
        """Play the server of a job: wait for one with the tags, write `result` of the tags (None: end and say nothing)."""
        seen: list[dict[str, str]] = []
        over = threading.Event()

        def play() -> None:
            ec2, ssm = self.client("ec2", PRIMARY), self.client("ssm", PRIMARY)
            while not over.wait(0.05):
                found = ec2.describe_instances(Filters=[{"Name": "tag-key", "Values": ["bank:job"]}])["Reservations"]
                for server in (server for one in found for server in one["Instances"]):
                    tags = {tag["Key"]: tag["Value"] for tag in server["Tags"]} | {"server": server["InstanceId"]}
                    if tags in seen:
                        continue
                    seen.append(tags)
                    text = result(tags)
                    if text is None:
                        ec2.terminate_instances(InstanceIds=[server["InstanceId"]])
                    elif text:
                        ssm.put_parameter(
                            Name=f"/bank-test-{PRIMARY}/jobs/{tags['bank:job-id']}", Value=text, Type="String"
                        )

        player = threading.Thread(target=play)
        player.start()
        try:
            yield seen
        finally:
            over.set()
            player.join()


@cache
def _client(service: str, region: str, endpoint: str) -> Any:
    return boto3.client(service, region_name=region, endpoint_url=endpoint)


@contextmanager
def moto() -> Iterator[str]:
    """moto on a port of its own, with what it lacks; answers its address."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    with (
        mock.patch.multiple(AutoScalingResponse, create=True, **_methods()),
        mock.patch.object(InstanceState, "launch_template", property(_server_template)),
    ):
        server.start()
        try:
            host, port = server.get_host_and_port()
            yield f"http://{host}:{port}"
        finally:
            server.stop()


def estate(endpoint: str, directory: Path, commit: str, sha256: str) -> Estate:
    """Make both regions anew, with two servers each that run version 1; version 2 is to be rolled out."""
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")).close()
    REFRESHES.started.clear()
    REFRESHES.endings.clear()
    made = Estate(endpoint, directory / "test.json", REFRESHES)
    said = {
        "environment": "test",
        "domain": "test.bank.example",
        "primary": PRIMARY,
        "release": {"commit": commit, "sha256": sha256},
        "regions": {region: _region(made, region) for region in (PRIMARY, SECONDARY)},
    }
    made.deployment.write_text(json.dumps(said))
    return made


def _region(made: Estate, region: str) -> dict[str, Any]:
    name = f"bank-test-{region}"
    ec2, s3, scaling = (made.client(service, region) for service in ("ec2", "s3", "autoscaling"))
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=f"{name}-artifacts", **where)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    templates = {}
    for use in ("app", "job"):
        data = {"ImageId": "ami-12c6146b", "InstanceType": "t3.small"}
        made_now = ec2.create_launch_template(LaunchTemplateName=f"{name}-{use}", LaunchTemplateData=data)[
            "LaunchTemplate"
        ]
        templates[use] = made_now["LaunchTemplateId"]
        ec2.create_launch_template_version(
            LaunchTemplateId=templates[use], LaunchTemplateData=data, VersionDescription=f"release 2 of {use}"
        )
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchTemplate={"LaunchTemplateId": templates["app"], "Version": "1"},
        MinSize=2,
        MaxSize=4,
        DesiredCapacity=2,
        VPCZoneIdentifier=subnet,
    )
    return {
        "url": f"https://{region}.test.bank.example",
        "artifacts": f"{name}-artifacts",
        "group": name,
        "launch_template": {"id": templates["app"], "version": 2},
        "job": {
            "launch_template": {"id": templates["job"], "version": 2},
            "subnet": subnet,
            "parameters": f"/{name}/jobs",
        },
        "roll_out": {
            "min_healthy_percent": 100,
            "max_healthy_percent": 150,
            "warm_up_seconds": 120,
            "checkpoint_percents": [50, 100],
            "checkpoint_seconds": 120,
            "alarms": [f"{name}-5xx"],
        },
    }
