"""After everything was destroyed: the account is as empty as it began."""

from __future__ import annotations

import pytest

from tests.emulator.account import EAST, REGIONS, client, everything

# What an account holds without us: default networks, AWS's own keys, roles and policies.
LISTS = {
    "networks": ("ec2", "describe_vpcs", "Vpcs", lambda each: not each["IsDefault"]),
    "peerings": (
        "ec2",
        "describe_vpc_peering_connections",
        "VpcPeeringConnections",
        lambda each: each["Status"]["Code"] != "deleted",
    ),
    "addresses": ("ec2", "describe_addresses", "Addresses", None),
    "NAT gateways": ("ec2", "describe_nat_gateways", "NatGateways", lambda each: each["State"] != "deleted"),
    "endpoints": ("ec2", "describe_vpc_endpoints", "VpcEndpoints", lambda each: each["State"] != "deleted"),
    "launch templates": ("ec2", "describe_launch_templates", "LaunchTemplates", None),
    "disks": ("ec2", "describe_volumes", "Volumes", None),
    "instances": (
        "ec2",
        "describe_instances",
        "Reservations",
        lambda each: any(instance["State"]["Name"] != "terminated" for instance in each["Instances"]),
    ),
    "auto scaling groups": ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", None),
    "load balancers": ("elbv2", "describe_load_balancers", "LoadBalancers", None),
    "target groups": ("elbv2", "describe_target_groups", "TargetGroups", None),
    "firewalls": ("wafv2", "list_web_acls", "WebACLs", None),
    "certificates": ("acm", "list_certificates", "CertificateSummaryList", None),
    "databases": ("rds", "describe_db_instances", "DBInstances", None),
    "database subnet groups": ("rds", "describe_db_subnet_groups", "DBSubnetGroups", None),
    "database parameter groups": (
        "rds",
        "describe_db_parameter_groups",
        "DBParameterGroups",
        lambda each: not each["DBParameterGroupName"].startswith("default."),
    ),
    "secrets": ("secretsmanager", "list_secrets", "SecretList", None),
    "key aliases": ("kms", "list_aliases", "Aliases", lambda each: not each["AliasName"].startswith("alias/aws/")),
    "log groups": ("logs", "describe_log_groups", "logGroups", None),
    "alarms": ("cloudwatch", "describe_alarms", "MetricAlarms", None),
    "composite alarms": ("cloudwatch", "describe_alarms", "CompositeAlarms", None),
    "dashboards": ("cloudwatch", "list_dashboards", "DashboardEntries", None),
    "topics": ("sns", "list_topics", "Topics", None),
}
ONCE = {
    "buckets": ("s3", "list_buckets", "Buckets"),
    "roles": ("iam", "list_roles", "Roles"),
    "instance profiles": ("iam", "list_instance_profiles", "InstanceProfiles"),
    "zones": ("route53", "list_hosted_zones", "HostedZones"),
    "health checks": ("route53", "list_health_checks", "HealthChecks"),
}


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("what", LISTS)
def test_no_regional_thing_is_left(what, region):
    service, operation, key, is_ours = LISTS[what]
    asked = {"Scope": "REGIONAL"} if service == "wafv2" else {}

    assert [
        each for each in everything(service, region, operation, key, **asked) if is_ours is None or is_ours(each)
    ] == []


@pytest.mark.parametrize("what", ONCE)
def test_no_global_thing_is_left(what):
    service, operation, key = ONCE[what]

    assert [each for each in everything(service, EAST, operation, key) if "aws-service-role" not in str(each)] == []


def test_no_policy_of_ours_is_left():
    assert everything("iam", EAST, "list_policies", "Policies", Scope="Local") == []


@pytest.mark.parametrize("region", REGIONS)
def test_every_key_of_ours_waits_for_its_deletion(region):
    keys = [
        client("kms", region).describe_key(KeyId=each["KeyId"])["KeyMetadata"]
        for each in everything("kms", region, "list_keys", "Keys")
    ]
    # The emulator makes AWS's own keys when they are asked for ("Default key", "Default master key ..."), and calls them ours.
    ours = [each for each in keys if not each["Description"].startswith("Default ")]

    assert ours
    assert {each["KeyState"] for each in ours} <= {"PendingDeletion", "PendingReplicaDeletion"}
