"""Who may do what at AWS: the policies as Terraform renders them, asked one action at a time.

AWS's own evaluation is not here, only a reading of it: identity policies of one account, deny before allow, and the condition
operators that are used. What an action is called, and which resource it asks for, is as AWS's service authorization
reference has it; only AWS can show that nothing is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from tests.infra.terraform import blocks, copy_of_infra, folders, initialise, terraform

ACCOUNT = "123456789012"
MANAGED = json.loads(aws_managed_policies_data)
STATE = "arn:aws:s3:::bank-{}-state-" + ACCOUNT

Statements = list[dict[str, Any]]
Context = Mapping[str, str | list[str]]

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("rights")]


# --- how AWS reads policies ---------------------------------------------------------------------------------------


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def like(pattern: str, text: str) -> bool:
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def holds(operator: str, key: str, wanted: list[str], context: Context) -> bool:
    """One condition; a key that a request does not have meets only those that say not."""
    for_all, for_any = operator.startswith("ForAllValues:"), operator.startswith("ForAnyValue:")
    name = operator.partition(":")[2] if for_all or for_any else operator
    if name == "Null":
        return (key not in context) == (wanted == ["true"])
    negated = "Not" in name
    compare = {"StringEquals": str.__eq__, "StringLike": like, "ArnEquals": like, "ArnLike": like, "Bool": str.__eq__}[
        name.replace("Not", "")
    ]
    if key not in context:
        return for_all or negated
    met = [any(compare(pattern, value) for pattern in wanted) != negated for value in many(context[key])]
    return any(met) if for_any else all(met)


def covers(statement: dict[str, Any], action: str, resource: str, context: Context) -> bool:
    if "Action" in statement:
        is_it = any(like(each.lower(), action.lower()) for each in many(statement["Action"]))
    else:
        is_it = not any(like(each.lower(), action.lower()) for each in many(statement["NotAction"]))
    if "Resource" in statement:
        there = any(like(each, resource) for each in many(statement["Resource"]))
    else:
        there = not any(like(each, resource) for each in many(statement["NotResource"]))
    conditions = statement.get("Condition", {})
    return (
        is_it
        and there
        and all(
            holds(operator, key, many(wanted), context)
            for operator, keys in conditions.items()
            for key, wanted in keys.items()
        )
    )


def allows(statements: Statements, action: str, resource: str, context: Context) -> bool:
    effects = {each["Effect"] for each in statements if covers(each, action, resource, context)}
    return effects == {"Allow"}


def statements_of(*documents: str) -> Statements:
    return [statement for document in documents for statement in many(json.loads(document)["Statement"])]


def managed(name: str) -> Statements:
    """A policy of AWS's own."""
    return many(MANAGED[name]["Document"]["Statement"])


# --- the policies -------------------------------------------------------------------------------------------------


def rendered(module: Path, head: str) -> dict[str, Any]:
    """What a module would make, by address."""
    (module / "tests/rendered.tftest.hcl").write_text(head + '\nrun "rendered" {\n  command = plan\n}\n')
    initialise(module)
    done = terraform(module, "test", "-json", "-verbose", "-filter=tests/rendered.tftest.hcl")
    assert done.returncode == 0, done.stdout
    [plan] = [line for text in done.stdout.splitlines() if (line := json.loads(text))["type"] == "test_plan"]
    return {each["address"]: each["change"]["after"] for each in plan["test_plan"]["resource_changes"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    infra = copy_of_infra(tmp_path_factory.mktemp("rights"))
    bootstrap, app = infra / "bootstrap", infra / "modules/app"
    head = (bootstrap / "tests/bootstrap.tftest.hcl").read_text().partition('\nrun "')[0]
    # The app's own tests have a mock for a provider, which renders no policies; only their variables are taken.
    provider = head.partition("\nvariables {")[0]
    tests = (app / "tests/app.tftest.hcl").read_text()
    [variables] = re.findall(r"^variables {\n.*?^}", tests, re.MULTILINE | re.DOTALL)
    variables = variables.replace('-artifacts"', f'-artifacts-{ACCOUNT}"')
    image = (
        'override_data {\n  target = data.aws_ssm_parameter.image\n  values = { value = "ami-0123456789abcdef0" }\n}'
    )
    return rendered(bootstrap, head) | rendered(app, f"{provider}\n{image}\n\n{variables}\n")


@pytest.fixture(scope="module")
def rights(made: dict[str, Any]) -> dict[str, Statements]:
    """Role or boundary => all that its policies say."""

    def of(pattern: str) -> list[str]:
        found = [values["policy"] for address, values in made.items() if re.fullmatch(pattern, address)]
        assert found, pattern
        return found

    said = {}
    for name in ("test", "production"):
        both = r'aws_iam_role_policy\.(state|closed)\["{}"\]'
        said[f"{name}-plan"] = [*statements_of(*of(both.format(f"{name}-plan"))), *managed("ReadOnlyAccess")]
        said[f"{name}-deploy"] = statements_of(
            *of(both.format(f"{name}-deploy")),
            *of(rf'aws_iam_role_policy\.(deploy|limits)\["{name}"\]'),
            *of(rf'aws_iam_policy\.estate\["{name}-deploy-\w+"\]'),
        )
        said[f"{name}-boundary"] = statements_of(*of(rf'aws_iam_policy\.boundary\["{name}"\]'))
    for name in ("app", "job"):
        said[name] = statements_of(*of(rf'aws_iam_role_policy\.server\["{name}"\]'))
    return said


def arn(service: str, rest: str, region: str = "us-east-1") -> str:
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{rest}"


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def group(name: str) -> str:
    return arn("autoscaling", f"autoScalingGroup:0:autoScalingGroupName/{name}")


def secret(name: str) -> str:
    return arn("secretsmanager", f"secret:{name}-AbCdEf")


# --- a deployment can do what the estate needs --------------------------------------------------------------------


class Needs(NamedTuple):
    """What Terraform asks of AWS for a resource of this type: to make it, and of one that is there."""

    resource: str
    new: str = ""
    kept: str = ""


NAME = "bank-test-us-east-1"
BUCKET = Needs(f"arn:aws:s3:::{NAME}-artifacts-{ACCOUNT}", "s3:CreateBucket", "s3:DeleteBucket s3:PutBucketTagging")
VPC = arn("ec2", "vpc/vpc-0")
SECURITY_GROUP = arn("ec2", "security-group/sg-0")
TABLE = arn("ec2", "route-table/rtb-0")
BALANCER = arn("elasticloadbalancing", f"loadbalancer/app/{NAME}/0")
WEB_ACL = arn("wafv2", f"regional/webacl/{NAME}/0")
DATABASE = arn("rds", f"db:{NAME}")
KEY = arn("kms", "key/mrk-0")
LOGS = arn("logs", f"log-group:/{NAME}/app:*")
TOPIC = arn("sns", f"{NAME}-alarms")
ROLE = role(f"{NAME}-app")
PROFILE = f"arn:aws:iam::{ACCOUNT}:instance-profile/{NAME}-app"
ALARM = arn("cloudwatch", f"alarm:{NAME}-replica-lag")
TEMPLATE = arn("ec2", "launch-template/lt-0")

NEEDS = {
    "aws_acm_certificate": Needs(
        arn("acm", "certificate/0"),
        "acm:RequestCertificate acm:AddTagsToCertificate",
        "acm:DescribeCertificate acm:ListTagsForCertificate acm:DeleteCertificate",
    ),
    "aws_acm_certificate_validation": Needs(arn("acm", "certificate/0"), kept="acm:DescribeCertificate"),
    "aws_autoscaling_group": Needs(
        group(NAME),
        "autoscaling:CreateAutoScalingGroup autoscaling:CreateOrUpdateTags autoscaling:EnableMetricsCollection",
        "autoscaling:UpdateAutoScalingGroup autoscaling:DescribeAutoScalingGroups autoscaling:DeleteAutoScalingGroup",
    ),
    "aws_autoscaling_lifecycle_hook": Needs(
        group(NAME),
        kept="autoscaling:PutLifecycleHook autoscaling:DescribeLifecycleHooks autoscaling:DeleteLifecycleHook",
    ),
    "aws_autoscaling_policy": Needs(
        group(NAME), kept="autoscaling:PutScalingPolicy autoscaling:DescribePolicies autoscaling:DeletePolicy"
    ),
    "aws_cloudwatch_composite_alarm": Needs(
        ALARM,
        "cloudwatch:PutCompositeAlarm cloudwatch:TagResource",
        "cloudwatch:DescribeAlarms cloudwatch:DeleteAlarms",
    ),
    "aws_cloudwatch_dashboard": Needs(
        f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{NAME}",
        kept="cloudwatch:PutDashboard cloudwatch:GetDashboard cloudwatch:DeleteDashboards",
    ),
    "aws_cloudwatch_log_group": Needs(
        LOGS,
        "logs:CreateLogGroup logs:TagResource logs:AssociateKmsKey",
        "logs:PutRetentionPolicy logs:DescribeLogGroups logs:ListTagsForResource logs:DeleteLogGroup",
    ),
    "aws_cloudwatch_metric_alarm": Needs(
        ALARM,
        "cloudwatch:PutMetricAlarm cloudwatch:TagResource",
        "cloudwatch:DescribeAlarms cloudwatch:ListTagsForResource cloudwatch:DeleteAlarms",
    ),
    "aws_db_instance": Needs(
        DATABASE,
        "rds:CreateDBInstance rds:CreateDBInstanceReadReplica rds:AddTagsToResource",
        "rds:ModifyDBInstance rds:RebootDBInstance rds:DescribeDBInstances rds:ListTagsForResource rds:DeleteDBInstance",
    ),
    "aws_db_instance_automated_backups_replication": Needs(
        arn("rds", "auto-backup:ab-0"),
        kept="rds:StartDBInstanceAutomatedBackupsReplication rds:StopDBInstanceAutomatedBackupsReplication",
    ),
    "aws_db_parameter_group": Needs(
        arn("rds", f"pg:{NAME}-2026"),
        "rds:CreateDBParameterGroup rds:AddTagsToResource",
        "rds:ModifyDBParameterGroup rds:DescribeDBParameters rds:DeleteDBParameterGroup",
    ),
    "aws_db_subnet_group": Needs(
        arn("rds", f"subgrp:{NAME}"), "rds:CreateDBSubnetGroup", "rds:DescribeDBSubnetGroups rds:DeleteDBSubnetGroup"
    ),
    "aws_default_security_group": Needs(
        SECURITY_GROUP, "ec2:CreateTags", "ec2:RevokeSecurityGroupIngress ec2:RevokeSecurityGroupEgress"
    ),
    "aws_eip": Needs(arn("ec2", "elastic-ip/0"), "ec2:AllocateAddress ec2:CreateTags", "ec2:ReleaseAddress"),
    "aws_flow_log": Needs(arn("ec2", "vpc-flow-log/fl-0"), "ec2:CreateFlowLogs", "ec2:DeleteFlowLogs"),
    "aws_iam_instance_profile": Needs(
        PROFILE,
        "iam:CreateInstanceProfile iam:TagInstanceProfile",
        "iam:AddRoleToInstanceProfile iam:GetInstanceProfile iam:RemoveRoleFromInstanceProfile iam:DeleteInstanceProfile",
    ),
    "aws_iam_role": Needs(
        ROLE,
        "iam:CreateRole iam:TagRole",
        "iam:GetRole iam:ListRolePolicies iam:ListAttachedRolePolicies iam:ListInstanceProfilesForRole iam:DeleteRole",
    ),
    "aws_iam_role_policy": Needs(ROLE, kept="iam:PutRolePolicy iam:GetRolePolicy iam:DeleteRolePolicy"),
    "aws_iam_role_policy_attachment": Needs(ROLE, kept="iam:AttachRolePolicy iam:DetachRolePolicy"),
    "aws_internet_gateway": Needs(
        arn("ec2", "internet-gateway/igw-0"),
        "ec2:CreateInternetGateway ec2:CreateTags",
        "ec2:AttachInternetGateway ec2:DetachInternetGateway ec2:DeleteInternetGateway",
    ),
    "aws_kms_alias": Needs(
        arn("kms", f"alias/{NAME}-logs"), kept="kms:CreateAlias kms:ListAliases kms:UpdateAlias kms:DeleteAlias"
    ),
    "aws_kms_key": Needs(
        KEY,
        "kms:CreateKey kms:TagResource",
        "kms:EnableKeyRotation kms:DescribeKey kms:GetKeyPolicy kms:GetKeyRotationStatus kms:ListResourceTags "
        "kms:PutKeyPolicy kms:CreateAlias kms:ScheduleKeyDeletion",
    ),
    "aws_kms_replica_key": Needs(KEY, "kms:CreateKey kms:TagResource", "kms:ReplicateKey"),
    "aws_launch_template": Needs(
        TEMPLATE,
        "ec2:CreateLaunchTemplate ec2:CreateTags",
        "ec2:CreateLaunchTemplateVersion ec2:ModifyLaunchTemplate ec2:DescribeLaunchTemplateVersions ec2:DeleteLaunchTemplate",
    ),
    "aws_lb": Needs(
        BALANCER,
        "elasticloadbalancing:CreateLoadBalancer elasticloadbalancing:AddTags",
        "elasticloadbalancing:ModifyLoadBalancerAttributes elasticloadbalancing:DescribeLoadBalancers "
        "elasticloadbalancing:SetWebACL elasticloadbalancing:CreateListener elasticloadbalancing:DeleteLoadBalancer",
    ),
    "aws_lb_listener": Needs(
        arn("elasticloadbalancing", f"listener/app/{NAME}/0/0"),
        "elasticloadbalancing:AddTags",
        "elasticloadbalancing:ModifyListener elasticloadbalancing:DescribeListeners elasticloadbalancing:DeleteListener",
    ),
    "aws_lb_target_group": Needs(
        arn("elasticloadbalancing", f"targetgroup/{NAME}-app/0"),
        "elasticloadbalancing:CreateTargetGroup elasticloadbalancing:AddTags",
        "elasticloadbalancing:ModifyTargetGroupAttributes elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DeleteTargetGroup",
    ),
    "aws_nat_gateway": Needs(
        arn("ec2", "natgateway/nat-0"), "ec2:CreateNatGateway ec2:CreateTags", "ec2:DeleteNatGateway"
    ),
    "aws_route": Needs(TABLE, kept="ec2:CreateRoute ec2:ReplaceRoute ec2:DeleteRoute"),
    "aws_route53_health_check": Needs(
        "arn:aws:route53:::healthcheck/0",
        "route53:CreateHealthCheck route53:ChangeTagsForResource",
        "route53:GetHealthCheck route53:ListTagsForResource route53:UpdateHealthCheck route53:DeleteHealthCheck",
    ),
    "aws_route53_record": Needs(
        "arn:aws:route53:::hostedzone/Z0",
        kept="route53:ChangeResourceRecordSets route53:ListResourceRecordSets route53:GetHostedZone",
    ),
    "aws_route_table": Needs(
        TABLE, "ec2:CreateRouteTable ec2:CreateTags", "ec2:DescribeRouteTables ec2:DeleteRouteTable"
    ),
    "aws_route_table_association": Needs(TABLE, kept="ec2:AssociateRouteTable ec2:DisassociateRouteTable"),
    "aws_s3_bucket": BUCKET,
    "aws_s3_bucket_lifecycle_configuration": BUCKET._replace(
        kept="s3:PutLifecycleConfiguration s3:GetLifecycleConfiguration"
    ),
    "aws_s3_bucket_ownership_controls": BUCKET._replace(kept="s3:PutBucketOwnershipControls"),
    "aws_s3_bucket_policy": BUCKET._replace(kept="s3:PutBucketPolicy s3:GetBucketPolicy s3:DeleteBucketPolicy"),
    "aws_s3_bucket_public_access_block": BUCKET._replace(kept="s3:PutBucketPublicAccessBlock"),
    "aws_s3_bucket_server_side_encryption_configuration": BUCKET._replace(kept="s3:PutEncryptionConfiguration"),
    "aws_s3_bucket_versioning": BUCKET._replace(kept="s3:PutBucketVersioning s3:GetBucketVersioning"),
    "aws_secretsmanager_secret": Needs(
        secret("bank-test/keys"),
        "secretsmanager:CreateSecret secretsmanager:TagResource",
        "secretsmanager:ReplicateSecretToRegions secretsmanager:DescribeSecret secretsmanager:GetResourcePolicy "
        "secretsmanager:RemoveRegionsFromReplication secretsmanager:DeleteSecret",
    ),
    "aws_secretsmanager_secret_version": Needs(
        secret("bank-test/owner"),
        kept="secretsmanager:PutSecretValue secretsmanager:GetSecretValue secretsmanager:UpdateSecretVersionStage",
    ),
    "aws_security_group": Needs(
        SECURITY_GROUP, "ec2:CreateSecurityGroup ec2:CreateTags", "ec2:DescribeSecurityGroups ec2:DeleteSecurityGroup"
    ),
    "aws_sns_topic": Needs(
        TOPIC, "sns:CreateTopic sns:TagResource", "sns:SetTopicAttributes sns:GetTopicAttributes sns:DeleteTopic"
    ),
    "aws_sns_topic_policy": Needs(TOPIC, kept="sns:SetTopicAttributes"),
    "aws_sns_topic_subscription": Needs(
        TOPIC, kept="sns:Subscribe sns:GetSubscriptionAttributes sns:ListSubscriptionsByTopic sns:Unsubscribe"
    ),
    "aws_subnet": Needs(
        arn("ec2", "subnet/subnet-0"), "ec2:CreateSubnet ec2:CreateTags", "ec2:ModifySubnetAttribute ec2:DeleteSubnet"
    ),
    "aws_vpc": Needs(
        VPC, "ec2:CreateVpc ec2:CreateTags", "ec2:ModifyVpcAttribute ec2:DescribeVpcAttribute ec2:DeleteVpc"
    ),
    "aws_vpc_endpoint": Needs(
        arn("ec2", "vpc-endpoint/vpce-0"),
        "ec2:CreateVpcEndpoint ec2:CreateTags",
        "ec2:ModifyVpcEndpoint ec2:DescribePrefixLists ec2:DeleteVpcEndpoints",
    ),
    "aws_vpc_peering_connection": Needs(
        arn("ec2", "vpc-peering-connection/pcx-0"),
        "ec2:CreateVpcPeeringConnection ec2:CreateTags",
        "ec2:DescribeVpcPeeringConnections ec2:DeleteVpcPeeringConnection",
    ),
    "aws_vpc_peering_connection_accepter": Needs(
        arn("ec2", "vpc-peering-connection/pcx-0"), "ec2:AcceptVpcPeeringConnection ec2:CreateTags"
    ),
    "aws_vpc_security_group_egress_rule": Needs(
        SECURITY_GROUP, "ec2:AuthorizeSecurityGroupEgress ec2:CreateTags", "ec2:RevokeSecurityGroupEgress"
    ),
    "aws_vpc_security_group_ingress_rule": Needs(
        SECURITY_GROUP,
        "ec2:AuthorizeSecurityGroupIngress ec2:CreateTags",
        "ec2:DescribeSecurityGroupRules ec2:RevokeSecurityGroupIngress",
    ),
    "aws_wafv2_web_acl": Needs(
        WEB_ACL,
        "wafv2:CreateWebACL wafv2:TagResource",
        "wafv2:UpdateWebACL wafv2:GetWebACL wafv2:ListTagsForResource wafv2:DeleteWebACL",
    ),
    "aws_wafv2_web_acl_association": Needs(
        BALANCER, kept="wafv2:AssociateWebACL wafv2:GetWebACLForResource wafv2:DisassociateWebACL"
    ),
    "aws_wafv2_web_acl_logging_configuration": Needs(
        WEB_ACL, kept="wafv2:PutLoggingConfiguration wafv2:GetLoggingConfiguration wafv2:DeleteLoggingConfiguration"
    ),
}

HERE: Context = {
    "aws:RequestedRegion": "us-east-1",
    "iam:PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/bank-test-boundary",
    "route53:ChangeResourceRecordSetsNormalizedRecordNames": [
        "test.bank.example.org",
        "_a.us-east-1.test.bank.example.org",
    ],
}
OURS = HERE | {"aws:ResourceTag/Bank": "bank-test"}
NEW = HERE | {"aws:RequestTag/Bank": "bank-test"}


def types_of_the_estate() -> set[str]:
    estate = [name for name in folders() if name in {"estate", "region"} or name.startswith("modules/")]
    return {
        block.partition(".")[0] for folder in estate if folder != "modules/cicd" for block in blocks(folder, "resource")
    }


def test_of_every_type_in_the_estate_it_is_known_what_it_takes():
    assert set(NEEDS) == types_of_the_estate()


@pytest.mark.parametrize("kind", NEEDS)
def test_a_deployment_may_make_change_and_destroy_each_type(rights: dict[str, Statements], kind: str):
    needs = NEEDS[kind]
    for actions, context in ((needs.new, NEW), (needs.kept, OURS)):
        for action in actions.split():
            assert allows(rights["test-deploy"], action, needs.resource, context), action
            assert allows(
                rights["test-deploy"], action, needs.resource, {**context, "aws:RequestedRegion": "us-west-2"}
            )


RUNS = [
    ("autoscaling:StartInstanceRefresh", group(NAME), OURS),
    ("autoscaling:RollbackInstanceRefresh", group(NAME), OURS),
    ("autoscaling:DescribeInstanceRefreshes", "*", HERE),
    ("cloudwatch:DescribeAlarms", "*", HERE),
    ("elasticloadbalancing:DescribeTargetHealth", "*", HERE),
    ("ec2:DescribeInstances", "*", HERE),
    ("ec2:RunInstances", TEMPLATE, OURS),
    ("ec2:RunInstances", arn("ec2", "instance/*"), NEW),
    ("ec2:CreateTags", arn("ec2", "instance/i-0"), NEW),
    ("ec2:TerminateInstances", arn("ec2", "instance/i-0"), OURS),
    ("s3:PutObject", f"{BUCKET.resource}/releases/0/bank-0.tar.gz", HERE),
    ("s3:GetObject", f"{BUCKET.resource}/releases/0/bank-0.tar.gz", HERE),
    ("s3:PutObject", f"{STATE.format('test')}/terraform.tfstate", HERE),
    ("s3:PutObject", f"{STATE.format('test')}/terraform.tfstate.tflock", HERE),
    ("ssm:GetParameter", arn("ssm", f"parameter/{NAME}/jobs/migrate-0"), HERE),
    ("ssm:DeleteParameter", arn("ssm", f"parameter/{NAME}/jobs/migrate-0"), HERE),
    ("ssm:GetParameter", "arn:aws:ssm:us-east-1::parameter/aws/service/ami-amazon-linux-latest/al2023", HERE),
    ("secretsmanager:GetRandomPassword", "*", HERE),
    ("kms:GenerateDataKey", KEY, OURS | {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}),
    ("kms:CreateGrant", KEY, OURS | {"kms:GrantIsForAWSResource": "true"}),
    ("iam:PassRole", ROLE, HERE | {"iam:PassedToService": "ec2.amazonaws.com"}),
    ("iam:PassRole", role(f"{NAME}-flow-logs"), HERE | {"iam:PassedToService": "vpc-flow-logs.amazonaws.com"}),
    (
        "iam:PassRole",
        role(f"{NAME}-database-monitoring"),
        HERE | {"iam:PassedToService": "monitoring.rds.amazonaws.com"},
    ),
]


@pytest.mark.parametrize(
    ("action", "resource", "context"), RUNS, ids=[f"{action} {n}" for n, (action, *_) in enumerate(RUNS)]
)
def test_a_deployment_may_roll_out_and_run_jobs(
    rights: dict[str, Statements], action: str, resource: str, context: Context
):
    assert allows(rights["test-deploy"], action, resource, context)


# --- and nothing else ---------------------------------------------------------------------------------------------

THEIRS = HERE | {"aws:ResourceTag/Bank": "bank-production"}
JENKINS = HERE | {"aws:ResourceTag/Bank": "bank-cicd"}
PRODUCTION = "bank-production-us-east-1"
SERVER = arn("ec2", "instance/i-0")
STATE_KEY = HERE | {"kms:ResourceAliases": ["alias/bank-production-state"]}

# What is untagged here has no tags at AWS, or none that policies can ask for.
REFUSED: dict[str, list[tuple[str, str, Context]]] = {
    "servers of its own into another's group": [("autoscaling:UpdateAutoScalingGroup", group(PRODUCTION), HERE)],
    "another's customers, to its own servers": [
        ("elasticloadbalancing:ModifyListener", arn("elasticloadbalancing", f"listener/app/{PRODUCTION}/0/0"), HERE),
        ("elasticloadbalancing:RegisterTargets", arn("elasticloadbalancing", f"targetgroup/{PRODUCTION}-app/0"), HERE),
        ("wafv2:DisassociateWebACL", arn("elasticloadbalancing", f"loadbalancer/app/{PRODUCTION}/0"), HERE),
        (
            "route53:ChangeResourceRecordSets",
            "arn:aws:route53:::hostedzone/Z0",
            HERE
            | {"route53:ChangeResourceRecordSetsNormalizedRecordNames": ["test.bank.example.org", "bank.example.org"]},
        ),
    ],
    "another's servers, or Jenkins' agents": [
        (action, SERVER, whose)
        for whose in (THEIRS, JENKINS)
        for action in (
            "ec2:TerminateInstances",
            "ec2:ModifyInstanceAttribute",
            "ec2:ReplaceIamInstanceProfileAssociation",
        )
    ],
    "another's tag": [("ec2:CreateTags", SERVER, HERE | {"aws:RequestTag/Bank": "bank-production"})],
    "another's alarms": [
        ("cloudwatch:DeleteDashboards", f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{PRODUCTION}", HERE),
        ("cloudwatch:DisableAlarmActions", arn("cloudwatch", f"alarm:{PRODUCTION}-replica-lag"), HERE),
        ("cloudwatch:PutCompositeAlarm", arn("cloudwatch", f"alarm:{PRODUCTION}-customers-cannot-bank"), THEIRS),
        ("cloudwatch:PutMetricData", "*", HERE | {"cloudwatch:namespace": "Bank"}),
    ],
    "another's database": [("rds:ModifyDBInstance", arn("rds", f"db:{PRODUCTION}"), HERE)],
    "backups, whosever": [
        ("rds:DeleteDBInstanceAutomatedBackup", arn("rds", "auto-backup:ab-0"), HERE),
        ("rds:ModifyDBSnapshotAttribute", arn("rds", f"snapshot:{NAME}-0"), OURS),
    ],
    "secrets that are not Terraform's": [
        *(("secretsmanager:GetSecretValue", secret(f"bank-test/{name}"), OURS) for name in ("login", "keys")),
        *(("secretsmanager:PutSecretValue", secret(f"bank-test/{name}"), OURS) for name in ("login", "keys")),
        ("secretsmanager:PutResourcePolicy", secret("bank-test/owner"), OURS),
        ("secretsmanager:GetSecretValue", secret("bank-production/owner"), HERE),
        ("secretsmanager:GetSecretValue", secret("bank-cicd/agent-deploy-1"), HERE),
    ],
    "keys, by way of a service or a grant": [
        ("kms:Decrypt", KEY, OURS),
        ("kms:Decrypt", KEY, THEIRS | {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}),
        ("kms:CreateGrant", KEY, OURS),
        ("kms:TagResource", KEY, STATE_KEY | {"aws:RequestTag/Bank": "bank-test"}),
        ("kms:ScheduleKeyDeletion", KEY, STATE_KEY | {"aws:ResourceTag/Bank": "bank-test"}),
    ],
    "a role for somebody else": [
        ("iam:PassRole", role("bank-production-us-east-1-job"), HERE | {"iam:PassedToService": "ec2.amazonaws.com"}),
        ("iam:PassRole", role("bank-cicd-controller"), HERE | {"iam:PassedToService": "ec2.amazonaws.com"}),
        ("iam:PassRole", ROLE, HERE | {"iam:PassedToService": "lambda.amazonaws.com"}),
        ("sts:AssumeRole", role("bank-production-deploy"), HERE),
    ],
    "more rights than it has": [
        ("iam:CreateRole", ROLE, {"aws:RequestedRegion": "us-east-1"}),
        ("iam:PutRolePolicy", role("bank-test-deploy"), HERE),
        ("iam:UpdateAssumeRolePolicy", role("bank-test-plan"), HERE),
        ("iam:UpdateAssumeRolePolicy", role("bank-production-deploy"), HERE),
        ("iam:PutRolePolicy", role("bank-cicd-deploy-agent"), HERE),
        ("iam:DeleteRolePermissionsBoundary", ROLE, HERE),
        ("iam:CreatePolicyVersion", f"arn:aws:iam::{ACCOUNT}:policy/bank-test-boundary", HERE),
        ("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/jenkins", HERE),
        (
            "iam:CreateServiceLinkedRole",
            role("aws-service-role/ssm.amazonaws.com/AWSServiceRoleForAmazonSSM"),
            HERE | {"iam:AWSServiceName": "ssm.amazonaws.com"},
        ),
    ],
    "into a server": [
        ("ssm:SendCommand", SERVER, OURS),
        ("ssm:StartSession", SERVER, OURS),
        ("ssm:CreateDocument", arn("ssm", "document/mine"), HERE),
        ("ec2:GetPasswordData", SERVER, OURS),
        ("ec2:GetConsoleOutput", SERVER, OURS),
    ],
    "a job's result, made up": [("ssm:PutParameter", arn("ssm", f"parameter/{NAME}/jobs/migrate-0"), HERE)],
    "what customers did": [
        ("logs:FilterLogEvents", LOGS, OURS),
        ("logs:PutSubscriptionFilter", LOGS, OURS),
        ("wafv2:GetSampledRequests", WEB_ACL, OURS),
        ("pi:GetDimensionKeyDetails", arn("pi", "metrics/rds/db-0"), HERE),
        ("s3:GetObject", f"arn:aws:s3:::{NAME}-alb-logs-{ACCOUNT}/AWSLogs/0", HERE),
        ("ebs:GetSnapshotBlock", "arn:aws:ec2:us-east-1::snapshot/snap-0", HERE),
    ],
    "states": [
        ("s3:GetObject", f"{STATE.format('production')}/terraform.tfstate", HERE),
        ("s3:PutObject", f"{STATE.format('cicd')}/terraform.tfstate", HERE),
        ("s3:PutBucketPolicy", STATE.format("test"), HERE),
        ("s3:DeleteObject", f"{STATE.format('test')}/terraform.tfstate", HERE),
        ("s3:DeleteObjectVersion", f"{STATE.format('test')}/terraform.tfstate", HERE),
    ],
    "another region": [("ec2:RunInstances", SERVER, {**NEW, "aws:RequestedRegion": "eu-west-1"})],
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("purpose", ["deploy", "plan"])
def test_the_pipeline_does_not_get(rights: dict[str, Statements], purpose: str, what: str):
    got = [
        (action, resource)
        for action, resource, context in REFUSED[what]
        if allows(rights[f"test-{purpose}"], action, resource, context)
    ]

    assert got == []


def test_who_plans_writes_nothing_but_the_lock(rights: dict[str, Statements]):
    writes = {action for needs in NEEDS.values() for action in f"{needs.new} {needs.kept}".split()}
    writes |= {"s3:PutObject", "s3:DeleteObject", "ec2:RunInstances", "ssm:PutParameter"}
    reading = re.compile(r"\w+:(Get|List|Describe)")
    for action in sorted(action for action in writes if not reading.match(action)):
        for resource in {needs.resource for needs in NEEDS.values()} | {f"{STATE.format('test')}/terraform.tfstate"}:
            assert not allows(rights["test-plan"], action, resource, OURS), (action, resource)
    assert allows(rights["test-plan"], "s3:PutObject", f"{STATE.format('test')}/terraform.tfstate.tflock", HERE)


# --- servers ------------------------------------------------------------------------------------------------------


def examples(statements: Statements) -> Iterable[tuple[str, str, Context]]:
    """What the statements allow, each action once, as somebody would ask for it."""
    for statement in statements:
        assert statement["Effect"] == "Allow"
        context = {
            key: many(value)[0] for keys in statement.get("Condition", {}).values() for key, value in keys.items()
        }
        for action in many(statement["Action"]):
            for resource in many(statement["Resource"]):
                yield action, resource.replace("*", "0") if resource != "*" else resource, context


def test_the_boundary_leaves_servers_and_jobs_what_their_roles_say(rights: dict[str, Statements], made: dict[str, Any]):
    environment = made["aws_autoscaling_group.app"]["name"].split("-")[1]
    asked = [*examples(rights["app"]), *examples(rights["job"])]
    assert len(asked) > 15
    for action, resource, context in asked:
        tagged = HERE | {"aws:ResourceTag/Bank": f"bank-{environment}"} | context
        assert allows(rights[f"{environment}-boundary"], action, resource, tagged), (action, resource)


STREAM = "logs:CreateLogStream logs:PutLogEvents logs:DescribeLogStreams"
HELPERS = {
    arn("logs", f"log-group:/{NAME}/flow:*"): STREAM,
    arn("logs", "log-group:RDSOSMetrics:log-stream:0"): f"{STREAM} logs:GetLogEvents",
    "*": "ssmmessages:OpenControlChannel ec2messages:GetMessages ssm:UpdateInstanceInformation",
}


@pytest.mark.parametrize(
    ("action", "resource"),
    [(action, resource) for resource, actions in HELPERS.items() for action in actions.split()],
)
def test_the_boundary_leaves_awss_helpers_what_they_need(rights: dict[str, Statements], action: str, resource: str):
    helpers = [*managed("AmazonRDSEnhancedMonitoringRole"), *managed("AmazonSSMManagedInstanceCore")]
    assert "flow" in resource or allows(helpers, action, resource, HERE), "AWS's own policy does not have it either"
    assert allows(rights["test-boundary"], action, resource, HERE)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("secretsmanager:GetSecretValue", secret("bank-production/keys")),
        ("secretsmanager:GetSecretValue", secret("bank-cicd/admin-password")),
        ("ssm:GetParameter", arn("ssm", "parameter/anything")),
        ("ssm:SendCommand", SERVER),
        ("iam:PassRole", ROLE),
        ("sts:AssumeRole", role("bank-production-deploy")),
        ("ec2:RunInstances", SERVER),
        ("s3:PutObject", f"{BUCKET.resource}/releases/0/bank-0.tar.gz"),
        ("s3:GetObject", f"{STATE.format('test')}/terraform.tfstate"),
        ("autoscaling:CompleteLifecycleAction", group(PRODUCTION)),
    ],
)
def test_no_server_gets_beyond_its_environment_whatever_its_role_is_given(
    rights: dict[str, Statements], action: str, resource: str
):
    assert not allows(rights["test-boundary"], action, resource, OURS)


@pytest.mark.parametrize("name", ["app", "job"])
def test_a_server_writes_no_release_and_reads_no_parameter(rights: dict[str, Statements], name: str):
    for action in ("s3:PutObject", "ssm:GetParameter", "ec2:CreateTags", "sts:AssumeRole", "iam:PassRole"):
        assert not any(covers(each, action, "*", OURS) for each in rights[name])


def test_an_app_server_has_neither_the_owners_password_nor_a_say_in_jobs(
    rights: dict[str, Statements], made: dict[str, Any]
):
    asked = [resource for action, resource, _ in examples(rights["app"]) if action == "secretsmanager:GetSecretValue"]
    assert len(asked) == 2
    assert not [resource for resource in asked if "owner" in resource]
    assert not {"ssm:PutParameter", "secretsmanager:PutSecretValue"} & {
        action for action, *_ in examples(rights["app"])
    }
