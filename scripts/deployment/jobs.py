"""Run a job once, on a server made for it that ends with it."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from botocore.exceptions import ClientError

from scripts.deployment.aws import Stop, client, code, polls, say
from scripts.deployment.model import Deployment, Region

# A server that has ended may have written its result just before.
_LAST_LOOKS = 3
_MESSAGE_MAX = 500


def run(deployment: Deployment, job: str, *, minutes: float) -> None:
    """Run `job` in the primary region and wait for its result.

    Raises:
        Stop: it failed, or said nothing within `minutes`.
    """
    region = deployment.regions[deployment.primary]
    job_id = f"{job}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"
    ec2 = client("ec2", region.name)
    instance = _start(ec2, deployment.environment, region, job, job_id)
    say(region.name, f"{job}: server {instance} was started for {job_id}")
    try:
        result = _wait(ec2, region, instance, job_id, minutes)
    except Stop:
        # It ends itself, but only if it still can.
        ec2.terminate_instances(InstanceIds=[instance])
        say(region.name, f"{job}: server {instance} was told to end")
        raise
    _report(deployment, region, job, job_id, result, instance)


def _start(ec2: Any, environment: str, region: Region, job: str, job_id: str) -> str:
    # By the first tag another environment's deployment is kept from this server.
    tags = {"Bank": f"bank-{environment}", "bank:job": job, "bank:job-id": job_id}
    started = ec2.run_instances(
        LaunchTemplate={"LaunchTemplateId": region.job.template.id, "Version": region.job.template.version},
        SubnetId=region.job.subnet,
        MinCount=1,
        MaxCount=1,
        # A retry after a lost answer must not start a second one.
        ClientToken=job_id,
        TagSpecifications=[
            {
                "ResourceType": "instance",
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            }
        ],
    )
    return str(started["Instances"][0]["InstanceId"])


def _wait(ec2: Any, region: Region, instance: str, job_id: str, minutes: float) -> str:
    ssm = client("ssm", region.name)
    name = f"{region.job.parameters}/{job_id}"
    seen, looks_left = "", _LAST_LOOKS
    for _ in polls(minutes * 60):
        if (result := _take(ssm, name)) is not None:
            return result
        state = _state(ec2, instance)
        if state != seen:
            say(region.name, f"server {instance} is {state}")
            seen = state
        if state in ("shutting-down", "terminated", "stopping", "stopped"):
            looks_left -= 1
        if not looks_left:
            raise Stop(f"Server {instance} ended and did not say how {job_id} went. {_console(region, instance)}")
    raise Stop(f"{job_id} gave no result within {minutes:g} minutes. {_console(region, instance)}")


def _take(ssm: Any, name: str) -> str | None:
    """Read the result and remove it, if it is there."""
    try:
        value = str(ssm.get_parameter(Name=name)["Parameter"]["Value"])
    except ClientError as problem:
        if code(problem) != "ParameterNotFound":
            raise
        return None
    ssm.delete_parameter(Name=name)
    return value


def _state(ec2: Any, instance: str) -> str:
    try:
        found = ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    except ClientError as problem:
        # A server is not known everywhere in the first seconds of its life.
        if code(problem) != "InvalidInstanceID.NotFound":
            raise
        return "pending"
    return str(found[0]["Instances"][0]["State"]["Name"]) if found else "pending"


def _report(deployment: Deployment, region: Region, job: str, job_id: str, text: str, instance: str) -> None:
    try:
        result = json.loads(text)
        status, release, same = result["status"], result["release"], result["id"] == job_id
        message = "".join(letter for letter in str(result["message"]) if letter.isprintable())[:_MESSAGE_MAX]
    except (ValueError, KeyError, TypeError) as problem:
        raise Stop(f"The result of {job_id} cannot be understood. {_console(region, instance)}") from problem
    if not same or release != deployment.release.commit:
        raise Stop(
            f"The result of {job_id} is that of another job or release ({release}). {_console(region, instance)}"
        )
    if status != "succeeded":
        raise Stop(f"{job} failed: {message} {_console(region, instance)}")
    say(region.name, f"{job} succeeded: {message}")


def _console(region: Region, instance: str) -> str:
    """Where all that a job said is still to be read: its server sends no log anywhere, and is gone when it has ended."""
    return (
        "Its console, for about an hour after its end, for operators: "
        f"aws ec2 get-console-output --region {region.name} --instance-id {instance} --output text"
    )
