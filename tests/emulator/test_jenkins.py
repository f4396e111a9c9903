"""After Jenkins' own estate was applied to the emulator: is it as closed as it promises?"""

from __future__ import annotations

from tests.emulator.account import EAST, WORLD, client, everything, network


def test_nobody_reaches_jenkins_from_the_internet():
    groups = [
        each
        for each in everything("ec2", EAST, "describe_security_groups", "SecurityGroups")
        if each["VpcId"] == network(EAST, "bank-cicd")["VpcId"]
    ]

    assert len(groups) >= 3
    assert not [
        rule
        for each in groups
        for rule in each["IpPermissions"]
        if WORLD & {source["CidrIp"] for source in rule["IpRanges"]}
    ]


def test_hosts_are_private_and_encrypted_and_ask_for_a_token():
    [controller] = [
        instance
        for reservation in everything(
            "ec2",
            EAST,
            "describe_instances",
            "Reservations",
            Filters=[{"Name": "tag:Name", "Values": ["bank-cicd-controller"]}],
        )
        for instance in reservation["Instances"]
    ]
    volumes = everything(
        "ec2",
        EAST,
        "describe_volumes",
        "Volumes",
        Filters=[{"Name": "attachment.instance-id", "Values": [controller["InstanceId"]]}],
    )

    assert "PublicIpAddress" not in controller
    assert controller["MetadataOptions"]["HttpTokens"] == "required"
    assert len(volumes) == 2
    assert all(each["Encrypted"] for each in volumes)


def test_secrets_begin_empty():
    ours = [
        each["Name"]
        for each in everything("secretsmanager", EAST, "list_secrets", "SecretList")
        if each["Name"].startswith("bank-cicd/")
    ]

    assert ours
    for name in ours:
        assert not client("secretsmanager").describe_secret(SecretId=name).get("VersionIdsToStages")
