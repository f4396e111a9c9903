"""After both regions were applied to the emulator: does the account hold what the estate promises?"""

from __future__ import annotations

import base64
import gzip
import ipaddress
import json
import os
from pathlib import Path

import pytest

from tests.emulator.account import (
    EAST,
    REGIONS,
    WEST,
    WORLD,
    client,
    database,
    deployment,
    everything,
    group,
    launch_templates,
    load_balancer,
    network,
    owners_password,
    servers,
)

DOMAIN = "test.bank.example.org"
PORTS = {"postgres": 5432, "mysql": 3306}
TLS_ONLY = {"postgres": "rds.force_ssl", "mysql": "require_secure_transport"}

both_regions = pytest.mark.parametrize("region", REGIONS)


@pytest.fixture
def engine() -> str:
    return os.environ["EMULATOR_ENGINE"]


# --- who reaches whom ---------------------------------------------------------------------------------------------


@both_regions
def test_the_world_reaches_the_load_balancer_on_80_and_443_and_nothing_else(region):
    open_to_the_world = {
        (security_group["GroupId"], rule["FromPort"], rule["ToPort"], rule["IpProtocol"])
        for security_group in everything("ec2", region, "describe_security_groups", "SecurityGroups")
        if security_group["VpcId"] == network(region)["VpcId"]
        for rule in security_group["IpPermissions"]
        if WORLD & {source.get("CidrIp") or source.get("CidrIpv6") for source in rule["IpRanges"] + rule["Ipv6Ranges"]}
    }

    [of_the_load_balancer] = load_balancer(region)["SecurityGroups"]
    assert open_to_the_world == {(of_the_load_balancer, port, port, "tcp") for port in (80, 443)}


@both_regions
def test_nobody_else_has_the_load_balancers_group(region):
    wearers = [
        *(groups for template in launch_templates(region) for groups in template["SecurityGroupIds"]),
        *(each["VpcSecurityGroupId"] for each in database(region)["VpcSecurityGroups"]),
    ]

    assert wearers
    assert not set(wearers) & set(load_balancer(region)["SecurityGroups"])


@both_regions
def test_only_application_servers_of_both_regions_reach_the_database(region, engine):
    [worn] = [each["VpcSecurityGroupId"] for each in database(region)["VpcSecurityGroups"]]
    [security_group] = everything("ec2", region, "describe_security_groups", "SecurityGroups", GroupIds=[worn])
    other = WEST if region == EAST else EAST
    worn_by_servers = {groups for template in launch_templates(region) for groups in template["SecurityGroupIds"]}
    private = {each["CidrBlock"] for each in subnets(other, "private")}

    assert {rule["FromPort"] for rule in security_group["IpPermissions"]} == {PORTS[engine]}
    assert {
        pair["GroupId"] for rule in security_group["IpPermissions"] for pair in rule["UserIdGroupPairs"]
    } == worn_by_servers
    assert {source["CidrIp"] for rule in security_group["IpPermissions"] for source in rule["IpRanges"]} == private


@both_regions
def test_servers_have_no_public_address(region):
    private = subnets(region, "private")

    assert servers(region)
    assert {each["SubnetId"] for each in servers(region)} <= {each["SubnetId"] for each in private}
    assert not [each for each in private if each["MapPublicIpOnLaunch"]]
    assert not [template for template in launch_templates(region) if template.get("NetworkInterfaces")]


def test_the_networks_are_joined_both_ways():
    [peering] = everything("ec2", EAST, "describe_vpc_peering_connections", "VpcPeeringConnections")
    east, west = (ipaddress.ip_network(network(region)["CidrBlock"]) for region in REGIONS)

    assert peering["Status"]["Code"] == "active"
    assert not east.overlaps(west)
    for region, other in ((EAST, west), (WEST, east)):
        reached_from = [subnet["SubnetId"] for tier in ("private", "database") for subnet in subnets(region, tier)]
        tables = {
            association["SubnetId"]: {route.get("DestinationCidrBlock"): route for route in table["Routes"]}
            for table in everything("ec2", region, "describe_route_tables", "RouteTables")
            for association in table["Associations"]
            if "SubnetId" in association
        }
        assert len(reached_from) == 4
        for subnet in reached_from:
            assert tables[subnet][str(other)]["VpcPeeringConnectionId"] == peering["VpcPeeringConnectionId"]


@both_regions
def test_databases_have_no_way_out(region):
    isolated = {each["SubnetId"] for each in subnets(region, "database")}

    for table in everything("ec2", region, "describe_route_tables", "RouteTables"):
        if isolated & {each.get("SubnetId") for each in table["Associations"]}:
            assert not WORLD & {route.get("DestinationCidrBlock") for route in table["Routes"]}


# --- the way in ---------------------------------------------------------------------------------------------------


@both_regions
def test_the_load_balancer_stands_in_two_zones_and_reaches_healthy_servers(region):
    balancer = load_balancer(region)
    [targets] = everything("elbv2", region, "describe_target_groups", "TargetGroups")
    health = client("elbv2", region).describe_target_health(TargetGroupArn=targets["TargetGroupArn"])[
        "TargetHealthDescriptions"
    ]
    healthy = {each["Target"]["Id"] for each in health if each["TargetHealth"]["State"] == "healthy"}

    assert balancer.get("Scheme", "internet-facing") == "internet-facing"
    assert {each["ZoneName"] for each in balancer["AvailabilityZones"]} == {
        each["AvailabilityZone"] for each in subnets(region, "public")
    }
    assert len(balancer["AvailabilityZones"]) == 2
    assert healthy == {each["InstanceId"] for each in servers(region)}
    assert (targets["HealthCheckPath"], targets["Matcher"]) == ("/healthz", {"HttpCode": "200"})


@both_regions
def test_443_serves_the_regions_certificate_and_80_only_points_there(region):
    listeners = everything(
        "elbv2", region, "describe_listeners", "Listeners", LoadBalancerArn=load_balancer(region)["LoadBalancerArn"]
    )
    by_port = {each["Port"]: each for each in listeners}
    [certificate] = [each["CertificateArn"] for each in by_port[443]["Certificates"]]
    issued = client("acm", region).describe_certificate(CertificateArn=certificate)["Certificate"]
    [redirect] = by_port[80]["DefaultActions"]

    assert set(by_port) == {80, 443}
    assert (by_port[443]["Protocol"], by_port[443]["SslPolicy"]) == ("HTTPS", "ELBSecurityPolicy-TLS13-1-2-2021-06")
    assert (issued["Status"], set(issued["SubjectAlternativeNames"])) == ("ISSUED", {DOMAIN, f"{region}.{DOMAIN}"})
    assert (redirect["Type"], redirect["RedirectConfig"]["Protocol"], redirect["RedirectConfig"]["Port"]) == (
        "redirect",
        "HTTPS",
        "443",
    )


@both_regions
def test_the_firewall_stands_before_the_load_balancer(region):
    acl = client("wafv2", region).get_web_acl_for_resource(ResourceArn=load_balancer(region)["LoadBalancerArn"])[
        "WebACL"
    ]
    kinds = {kind for rule in acl["Rules"] for kind in rule["Statement"]}

    assert kinds == {"RateBasedStatement", "ManagedRuleGroupStatement"}


@pytest.fixture
def records():
    [zone] = [
        each
        for each in everything("route53", EAST, "list_hosted_zones", "HostedZones")
        if each["Name"] == "bank.example.org."
    ]
    return everything("route53", EAST, "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone["Id"])


def test_the_name_leads_to_both_regions_while_they_are_healthy(records):
    answers = {each["Region"]: each for each in records if each["Name"] == f"{DOMAIN}." and "Region" in each}
    checks = {
        each["Id"]: each["HealthCheckConfig"]
        for each in everything("route53", EAST, "list_health_checks", "HealthChecks")
    }

    assert set(answers) == set(REGIONS)
    for region, answer in answers.items():
        vote = checks[answer["HealthCheckId"]]
        assert answer["AliasTarget"]["DNSName"].rstrip(".") == load_balancer(region)["DNSName"]
        assert (vote["Type"], vote["HealthThreshold"]) == ("CALCULATED", 2)
        asked = [checks[child] for child in vote["ChildHealthChecks"]]
        [other] = set(REGIONS) - {region}
        assert {(each["FullyQualifiedDomainName"], each["ResourcePath"], each["Inverted"]) for each in asked} == {
            (f"{region}.{DOMAIN}", "/readyz", False),
            (f"{region}.{DOMAIN}", "/writable", False),
            (f"{other}.{DOMAIN}", "/writable", True),
        }
    assert sorted(each["Type"] for each in checks.values()) == ["CALCULATED"] * 2 + ["HTTPS"] * 6


def test_each_region_has_a_name_and_only_amazon_may_certify_them(records):
    [authority] = [each["ResourceRecords"] for each in records if each["Type"] == "CAA"]
    regions = {
        each["Name"]: each["AliasTarget"]["DNSName"].rstrip(".") for each in records if each["Name"].startswith(REGIONS)
    }

    assert regions == {f"{region}.{DOMAIN}.": load_balancer(region)["DNSName"] for region in REGIONS}
    assert {each["Value"] for each in authority} == {'0 issue "amazon.com"', '0 issuewild ";"'}


# --- the servers --------------------------------------------------------------------------------------------------


@both_regions
def test_servers_and_jobs_ask_for_a_token_and_write_to_encrypted_disks(region):
    templates = launch_templates(region)

    assert {each["name"] for each in templates} == {f"bank-test-{region}", f"bank-test-{region}-job"}
    for template in templates:
        assert (template["MetadataOptions"]["HttpTokens"], template["MetadataOptions"]["HttpPutResponseHopLimit"]) == (
            "required",
            1,
        )
        assert [disk["Ebs"]["Encrypted"] for disk in template["BlockDeviceMappings"]] == [True]
        assert "KeyName" not in template


@both_regions
def test_user_data_says_the_release_and_no_secret(region):
    password = owners_password()
    release = deployment()["release"]

    for template in launch_templates(region):
        text = gzip.decompress(base64.b64decode(template["UserData"])).decode()
        assert text.startswith("#cloud-config\n")
        assert release["commit"] in text
        assert release["sha256"] in text
        assert password not in text


@both_regions
def test_at_least_two_servers_over_two_zones_are_replaced_with_care(region):
    servers_group = group(region)
    hooks = everything(
        "autoscaling",
        region,
        "describe_lifecycle_hooks",
        "LifecycleHooks",
        AutoScalingGroupName=servers_group["AutoScalingGroupName"],
    )

    assert servers_group["MinSize"] >= 2
    assert len(servers(region)) >= 2
    # AWS spreads servers over them; the emulator takes one.
    assert set(servers_group["VPCZoneIdentifier"].split(",")) == {
        each["SubnetId"] for each in subnets(region, "private")
    }
    assert len(servers_group["AvailabilityZones"]) == 2
    assert servers_group["HealthCheckType"] == "ELB"
    assert "autoscaling:EC2_INSTANCE_TERMINATING" in {each["LifecycleTransition"] for each in hooks}
    assert set(deployment()["regions"][region]["roll_out"]["alarms"]) <= set(alarms(region))


@both_regions
def test_the_deployment_finds_what_it_is_told_of(region):
    told = deployment()["regions"][region]
    [version] = client("ec2", region).describe_launch_template_versions(
        LaunchTemplateId=told["job"]["launch_template"]["id"], Versions=[str(told["job"]["launch_template"]["version"])]
    )["LaunchTemplateVersions"]

    assert told["url"] == f"https://{region}.{DOMAIN}"
    assert told["artifacts"] in buckets()
    assert told["job"]["subnet"] in {each["SubnetId"] for each in subnets(region, "private")}
    assert version["LaunchTemplateData"]["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert told["launch_template"]["id"] == group(region)["LaunchTemplate"]["LaunchTemplateId"]


# --- the databases ------------------------------------------------------------------------------------------------


@both_regions
def test_the_database_is_private_encrypted_and_speaks_tls_only(region, engine):
    here = database(region)
    [parameters] = here["DBParameterGroups"]
    set_by_us = {
        each["ParameterName"]: each["ParameterValue"]
        for each in everything(
            "rds",
            region,
            "describe_db_parameters",
            "Parameters",
            DBParameterGroupName=parameters["DBParameterGroupName"],
        )
        if each.get("Source") == "user"
    }

    assert here["Engine"] == engine
    assert not here["PubliclyAccessible"]
    assert here["StorageEncrypted"]
    assert set_by_us[TLS_ONLY[engine]] == "1"
    assert here["BackupRetentionPeriod"] >= 7
    assert {each["SubnetIdentifier"] for each in here["DBSubnetGroup"]["Subnets"]} == {
        each["SubnetId"] for each in subnets(region, "database")
    }


def test_the_second_regions_database_follows_the_first():
    primary, replica = database(EAST), database(WEST)

    assert primary["ReadReplicaDBInstanceIdentifiers"] == [replica["DBInstanceArn"]]
    assert replica["ReadReplicaSourceDBInstanceIdentifier"] == primary["DBInstanceArn"]
    # Halves of one multi-region key have one id.
    assert replica["KmsKeyId"].partition(":key/")[2] == primary["KmsKeyId"].partition(":key/")[2]
    assert replica["KmsKeyId"].split(":")[3] == WEST


def test_backups_are_copied_to_the_second_region():
    [copy] = database(EAST)["DBInstanceAutomatedBackupsReplications"]
    arn = copy["DBInstanceAutomatedBackupsArn"]
    [backup] = everything(
        "rds",
        WEST,
        "describe_db_instance_automated_backups",
        "DBInstanceAutomatedBackups",
        DBInstanceAutomatedBackupsArn=arn,
    )

    assert (backup["DBInstanceArn"], backup["Status"]) == (database(EAST)["DBInstanceArn"], "replicating")
    assert backup["KmsKeyId"].split(":")[3] == WEST


# --- secrets ------------------------------------------------------------------------------------------------------


def test_secrets_are_in_both_regions_under_keys_of_the_bank():
    secrets = {each["Name"] for each in everything("secretsmanager", EAST, "list_secrets", "SecretList")}
    secrets = {name for name in secrets if name.startswith("bank-test/")}

    assert secrets == {"bank-test/owner", "bank-test/login", "bank-test/keys"}
    for name in secrets:
        secret = client("secretsmanager").describe_secret(SecretId=name)
        [replica] = secret["ReplicationStatus"]
        assert ":key/mrk-" in secret["KmsKeyId"]
        assert (replica["Region"], replica["Status"]) == (WEST, "InSync")
        assert replica["KmsKeyId"] == secret["KmsKeyId"].replace(EAST, WEST)
    there = client("secretsmanager", WEST).get_secret_value(SecretId="bank-test/owner")
    assert json.loads(there["SecretString"]) == {"username": "bank_owner", "password": owners_password()}


def test_the_owners_password_is_in_no_state_and_no_log():
    password = owners_password().encode()
    states = [
        client("s3").get_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])["Body"].read()
        for bucket in buckets()
        if "-state-" in bucket
        for version in everything("s3", EAST, "list_object_versions", "Versions", Bucket=bucket)
    ]
    tree = Path(os.environ["EMULATOR_TREE"])
    files = [
        each.read_bytes()
        for folder in (tree / "build", tree / "infra", tree.parent / "logs")
        for each in folder.rglob("*")
        if each.is_file()
    ]

    assert len(password) == 40
    assert states
    assert not [text for text in states + files if password in text]


def test_nobody_holds_the_states_lock():
    kept = {each["Key"] for each in everything("s3", EAST, "list_objects_v2", "Contents", Bucket=state_bucket())}

    assert kept == {"terraform.tfstate"}


def test_servers_cannot_read_the_owners_secret():
    for region in REGIONS:
        app, job = (role_policies(f"bank-test-{region}-{role}") for role in ("app", "job"))
        assert "secret:bank-test/owner" not in app
        assert "secret:bank-test/owner" in job


# --- what is kept, and who hears of it ----------------------------------------------------------------------------


def test_every_bucket_is_closed_encrypted_versioned_and_speaks_tls_only():
    s3 = client("s3")

    assert len(buckets()) >= 6
    for bucket in buckets():
        closed = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        statements = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        assert all(closed.values()), bucket
        assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"], bucket
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled", bucket
        assert [
            each
            for each in statements
            if each["Effect"] == "Deny"
            and each.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
            and each["Principal"] == "*"
        ], bucket


@both_regions
def test_every_log_is_encrypted_and_forgotten(region):
    logs = [
        each
        for each in everything("logs", region, "describe_log_groups", "logGroups")
        if "bank-test-" in each["logGroupName"]
    ]

    assert {f"/bank-test-{region}/app", f"/bank-test-{region}/flow"} <= {each["logGroupName"] for each in logs}
    for log in logs:
        assert log.get("retentionInDays"), log["logGroupName"]
        assert log.get("kmsKeyId"), log["logGroupName"]


@both_regions
def test_every_alarm_tells_somebody_or_rolls_back(region):
    told = {each["TopicArn"] for each in everything("sns", region, "list_subscriptions", "Subscriptions")}
    rules = " ".join(each.get("AlarmRule", "") for each in alarms(region).values())
    roll_back = deployment()["regions"][region]["roll_out"]["alarms"]

    assert told
    for name, alarm in alarms(region).items():
        assert set(alarm["AlarmActions"]) & told or name in rules or name in roll_back, name


def subnets(region: str, tier: str) -> list[dict]:
    return everything(
        "ec2",
        region,
        "describe_subnets",
        "Subnets",
        Filters=[{"Name": "vpc-id", "Values": [network(region)["VpcId"]]}, {"Name": "tag:Tier", "Values": [tier]}],
    )


def alarms(region: str) -> dict[str, dict]:
    here = client("cloudwatch", region).describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return {each["AlarmName"]: each for each in here["MetricAlarms"] + here["CompositeAlarms"]}


def buckets() -> list[str]:
    return [each["Name"] for each in client("s3").list_buckets()["Buckets"]]


def state_bucket() -> str:
    [bucket] = [each for each in buckets() if each.startswith("bank-test-state-")]
    return bucket


def role_policies(role: str) -> str:
    """All that a role's own policies say, as text."""
    iam = client("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return json.dumps([iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names])
