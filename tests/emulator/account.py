"""The emulated account, as the tests look at it: what the bank has in it, since Jenkins' own estate may be there as well."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import boto3

EAST, WEST = "us-east-1", "us-west-2"
REGIONS = (EAST, WEST)
WORLD = {"0.0.0.0/0", "::/0"}


@functools.cache
def client(service: str, region: str = EAST) -> Any:
    """A client of the emulator, whose address AWS_ENDPOINT_URL is."""
    return boto3.client(service, region_name=region)


def everything(service: str, region: str, operation: str, key: str, **asked: Any) -> list[Any]:
    """All pages of what an operation lists under `key`."""
    here = client(service, region)
    if not here.can_paginate(operation):
        return list(getattr(here, operation)(**asked)[key])
    return [each for page in here.get_paginator(operation).paginate(**asked) for each in page.get(key, [])]


def deployment() -> dict[str, Any]:
    """What `make apply` wrote for the pipeline."""
    return json.loads((Path(os.environ["EMULATOR_TREE"]) / "build/deployment/test.json").read_text())


def network(region: str, whose: str = "bank-test") -> dict[str, Any]:
    """The bank's network in a region; the emulator has a default one beside it."""
    [ours] = [
        each
        for each in everything("ec2", region, "describe_vpcs", "Vpcs")
        if not each["IsDefault"] and whose in str(each["Tags"])
    ]
    return ours


def database(region: str) -> dict[str, Any]:
    [ours] = everything("rds", region, "describe_db_instances", "DBInstances")
    return ours


def load_balancer(region: str) -> dict[str, Any]:
    [ours] = everything("elbv2", region, "describe_load_balancers", "LoadBalancers")
    return ours


def group(region: str) -> dict[str, Any]:
    """The auto scaling group of application servers."""
    name = deployment()["regions"][region]["group"]
    [ours] = everything(
        "autoscaling", region, "describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=[name]
    )
    return ours


def launch_templates(region: str) -> list[dict[str, Any]]:
    """Name and data of every launch template's default and latest version."""
    return [
        {"name": template["LaunchTemplateName"], **version["LaunchTemplateData"]}
        for template in everything("ec2", region, "describe_launch_templates", "LaunchTemplates")
        if template["LaunchTemplateName"].startswith("bank-test-")
        for version in everything(
            "ec2",
            region,
            "describe_launch_template_versions",
            "LaunchTemplateVersions",
            LaunchTemplateId=template["LaunchTemplateId"],
            Versions=["$Default", "$Latest"],
        )
    ]


def servers(region: str) -> list[dict[str, Any]]:
    """The application servers that the group has started, as far as an emulator starts any."""
    started = [each["InstanceId"] for each in group(region)["Instances"]]
    reservations = everything("ec2", region, "describe_instances", "Reservations", InstanceIds=started)
    return [each for reservation in reservations for each in reservation["Instances"]]


def owners_password() -> str:
    """The value that must be nowhere but in its secret."""
    secret = client("secretsmanager").get_secret_value(SecretId="bank-test/owner")
    return json.loads(secret["SecretString"])["password"]
