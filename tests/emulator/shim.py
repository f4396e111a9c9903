"""moto's server, with what it leaves out of AWS's answers filled in: `python shim.py -H 127.0.0.1 -p PORT`.

Each function below fills one gap of moto 5.2.5 that makes an apply hang, or that shows as a change in the plan after
it. When a newer moto fills one itself, its function goes: the emulator's test then passes without it.
"""

import copy
import functools
import json
import sys
from collections.abc import Callable
from typing import Any

import moto.server
from moto.acm.models import CertBundle
from moto.acm.responses import AWSCertificateManagerResponse
from moto.autoscaling.models import FakeScalingPolicy, LifecycleHook
from moto.autoscaling.responses import AutoScalingResponse
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.responses.monitoring import Monitoring
from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.kms.models import KmsBackend, kms_backends
from moto.kms.responses import KmsResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.rds.models import DBInstance, DBParameterGroup, RDSBackend, rds_backends
from moto.rds.responses import RDSResponse
from moto.route53.responses import Route53
from moto.s3.models import FakeDeleteMarker
from moto.secretsmanager.models import FakeSecret
from moto.wafv2.models import FakeWebACL, wafv2_backends
from moto.wafv2.responses import WAFV2Response
from werkzeug.wrappers import Response

Method = Callable[..., Any]


def around(owner: type, name: str) -> Callable[[Method], Method]:
    """Put the function in place of `owner.name`; what stood there is its first argument."""

    def put(function: Method) -> Method:
        original = getattr(owner, name)

        @functools.wraps(original)
        def replacement(*args: Any, **kwargs: Any) -> Any:
            return function(original, *args, **kwargs)

        setattr(owner, name, replacement)
        return function

    return put


@around(IAMPolicyStatement, "is_action_permitted")
def conditions_are_not_met(original: Method, self: IAMPolicyStatement, *args: Any, **kwargs: Any) -> PermissionResult:
    """A bucket's "deny all, unless by TLS" is read as "deny all"."""
    if self._statement["Effect"] == "Deny" and self._statement.get("Condition"):
        return PermissionResult.NEUTRAL
    return original(self, *args, **kwargs)


@around(KmsBackend, "replicate_key")
def a_primary_key_stays_one(original: Method, self: KmsBackend, *args: Any, **kwargs: Any) -> Any:
    """The key and its replica share one description of what they are, so the primary says that it is a replica; and
    aliases, which every region has its own of.
    """
    replica = original(self, *args, **kwargs)
    replica.multi_region_configuration = copy.deepcopy(replica.multi_region_configuration)
    replica.aliases = {}
    return replica


@around(KmsResponse, "replicate_key")
def a_replica_key_has_what_was_asked_for(original: Method, self: KmsResponse) -> str:
    """Tags, description and policy are dropped; Terraform waits ten minutes for the tags to appear."""
    answer = json.loads(original(self))
    there = kms_backends[self.current_account][self._get_param("ReplicaRegion")]
    key = there.keys[answer["ReplicaKeyMetadata"]["KeyId"]]
    key.description = self._get_param("Description") or ""
    key.policy = self._get_param("Policy") or key.policy
    there.tagger.tag_resource(key.id, self._get_param("Tags") or [])
    return json.dumps({"ReplicaKeyMetadata": key.to_dict()["KeyMetadata"], "ReplicaPolicy": key.policy})


def a_deletion_can_be_deleted(self: FakeDeleteMarker) -> None:
    """A bucket in which something was deleted cannot be emptied: what stands for the deletion knows no way to go."""


FakeDeleteMarker.dispose = a_deletion_can_be_deleted  # type: ignore[attr-defined]


@around(FakeSecret, "create_replicas")
def a_replicated_secret_keeps_its_key(
    original: Method, self: FakeSecret, regions: list[dict[str, str]], **kwargs: Any
) -> Any:
    """Every replica claims AWS's own key instead of the one it was given."""
    replicas = original(self, regions, **kwargs)
    for replica, asked in zip(replicas, regions, strict=True):
        replica.config["KmsKeyId"] = asked.get("KmsKeyId", replica.config["KmsKeyId"])
    return replicas


@around(LaunchTemplate, "create_version")
def a_launch_template_tags_itself_only(
    original: Method, self: LaunchTemplate, data: dict[str, Any], description: str
) -> Any:
    """The template's own tags come back as tags of the instances it starts."""
    if specifications := data.get("TagSpecifications"):
        data["TagSpecifications"] = [each for each in specifications if each["ResourceType"] != "launch-template"]
    return original(self, data, description)


@around(Monitoring, "monitor_instances")
def instances_are_watched(original: Method, self: Monitoring) -> ActionResult:
    """Detailed monitoring cannot be switched on."""
    instances = [self.ec2_backend.get_instance(name) for name in self._get_param("InstanceIds", [])]
    for instance in instances:
        instance.monitoring_state = "enabled"
    return ActionResult(
        {"InstanceMonitorings": [{"InstanceId": each.id, "Monitoring": {"State": "enabled"}} for each in instances]}
    )


def described_rule(self: SecurityGroupRule) -> str | None:
    """A rule that names another group keeps its description there, where moto does not look."""
    return self.ip_range.get("Description") or (self.source_group or {}).get("Description")


SecurityGroupRule.description = property(described_rule)  # type: ignore[assignment]


def a_firewall_remembers_what_it_hides(original: Method, self: WAFV2Response) -> Any:
    """What is to be left out of a firewall's log is dropped."""
    answer = original(self)
    asked = json.loads(self.body)
    firewalls = self.wafv2_backend.wacls.values()
    [firewall] = [each for each in firewalls if each.name == asked["Name"]]
    firewall.data_protection_config = asked.get("DataProtectionConfig")  # type: ignore[attr-defined]
    return answer


for write in ("create_web_acl", "update_web_acl"):
    around(WAFV2Response, write)(a_firewall_remembers_what_it_hides)


@around(FakeWebACL, "to_dict")
def a_firewall_says_what_it_hides(original: Method, self: FakeWebACL) -> dict[str, Any]:
    return {**original(self), "DataProtectionConfig": getattr(self, "data_protection_config", None)}


@around(Route53, "create_hosted_zone")
def a_zone_of_a_network_is_private(original: Method, self: Route53) -> Any:
    """A zone's network is kept only if the zone is called private, too, which AWS concludes by itself."""
    answer = original(self)
    zone = answer.result["HostedZone"]
    if (network := self._get_param("VPC.VPCId")) and not zone.vpcs:
        zone.private_zone = True
        zone.add_vpc(network, self._get_param("VPC.VPCRegion"))
    return answer


@around(AWSCertificateManagerResponse, "request_certificate")
def a_certificate_remembers_the_kind_of_its_key(original: Method, self: AWSCertificateManagerResponse) -> Any:
    """Every certificate that is asked for has RSA keys."""
    answer = original(self)
    certificate = self.acm_backend.get_certificate(answer.result["CertificateArn"])
    certificate.asked_for = self._get_param("KeyAlgorithm")  # type: ignore[attr-defined]
    return answer


@around(CertBundle, "describe")
def a_certificate_has_the_kind_of_key_that_was_asked_for(original: Method, self: CertBundle) -> dict[str, Any]:
    answer = original(self)
    answer["Certificate"]["KeyAlgorithm"] = getattr(self, "asked_for", None) or answer["Certificate"]["KeyAlgorithm"]
    return answer


KEPT_BY_GROUPS = {
    "DefaultInstanceWarmup": "default_instance_warmup",
    "InstanceMaintenancePolicy": "instance_maintenance_policy",
    "MaxInstanceLifetime": "max_instance_lifetime",
}


def a_group_remembers_how_it_is_replaced(original: Method, self: AutoScalingResponse) -> Any:
    """What an auto scaling group is told of its instances' lives is dropped."""
    answer = original(self)
    [group] = self.autoscaling_backend.describe_auto_scaling_groups([self._get_param("AutoScalingGroupName")])
    for asked, kept in KEPT_BY_GROUPS.items():
        if (value := self._get_param(asked)) is not None:
            setattr(group, kept, value)
    return answer


for write in ("create_auto_scaling_group", "update_auto_scaling_group"):
    around(AutoScalingResponse, write)(a_group_remembers_how_it_is_replaced)


@around(LifecycleHook, "__init__")
def a_hook_calls_nobody(original: Method, self: LifecycleHook, *args: Any, **kwargs: Any) -> None:
    """Every hook has a made-up role and queue."""
    original(self, *args, **kwargs)
    self.role_arn = self.notification_target_arn = None  # type: ignore[assignment]


@around(FakeScalingPolicy, "__init__")
def a_policy_that_tracks_predicts_nothing(original: Method, self: FakeScalingPolicy, *args: Any, **kwargs: Any) -> None:
    """Every policy comes with an empty prediction, and none says that it is switched on."""
    original(self, *args, **kwargs)
    self.predictive_scaling_configuration = self.predictive_scaling_configuration or None  # type: ignore[assignment]
    self.enabled = True  # type: ignore[attr-defined]


# Composite alarms are read back and deleted, but not made; moto's metric alarms know of their rule.
CloudWatchResponse.put_composite_alarm = CloudWatchResponse.put_metric_alarm  # type: ignore[attr-defined]


@around(DBParameterGroup, "update_parameters")
def parameters_are_ours(original: Method, self: DBParameterGroup, new_parameters: Any) -> None:
    """Terraform looks for its parameters among those whose source is the user."""
    original(self, [{**each, "Source": "user"} for each in new_parameters])


INSIGHTS = ("enable_performance_insights", "performance_insights_kms_key_id", "performance_insights_retention_period")


@around(DBInstance, "__init__")
def a_database_remembers_its_insights(original: Method, self: DBInstance, *args: Any, **kwargs: Any) -> None:
    """What is asked for of Performance Insights is not kept; and the authority that AWS takes by itself is another one,
    so that Terraform changes it and waits for 80 seconds.
    """
    kwargs.setdefault("ca_certificate_identifier", "rds-ca-rsa2048-g1")
    original(self, *args, **kwargs)
    for name in INSIGHTS:
        setattr(self, name, kwargs.get(name))


DBInstance.performance_insights_enabled = property(lambda self: bool(self.enable_performance_insights))  # type: ignore[attr-defined]


@around(DBInstance, "update")
def a_replica_stands_in_its_own_region(original: Method, self: DBInstance, **new: Any) -> None:
    """Its subnets and parameters are looked for in the primary's region, which it is moved out of last."""
    self.backend = new.get("backend", self.backend)
    original(self, **new)


def a_replica_elsewhere_can_go(self: DBInstance, replica: DBInstance) -> None:
    """A primary knows a replica in another region by its ARN, and forgets it by its name."""
    self.replicas = [
        each for each in self.replicas if each not in {replica.db_instance_identifier, replica.db_instance_arn}
    ]


DBInstance.remove_replica = a_replica_elsewhere_can_go  # type: ignore[method-assign]


# Copies of a database's backups in another region, which moto does not know at all: by (account, region), by the
# database's ARN.
copies: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}


def start_backup_copies(self: RDSResponse) -> ActionResult:
    arn = self.params["SourceDBInstanceArn"]
    source = rds_backends[self.current_account][arn.split(":")[3]].find_db_from_id(arn)
    copied = {
        "DBInstanceArn": arn,
        "DBInstanceIdentifier": source.db_instance_identifier,
        "DBInstanceAutomatedBackupsArn": f"arn:aws:rds:{self.region}:{self.current_account}:auto-backup:ab-{source.db_instance_identifier}",
        "Region": source.region,
        "Engine": source.engine,
        "Encrypted": source.storage_encrypted,
        "KmsKeyId": self.params.get("KmsKeyId"),
        "BackupRetentionPeriod": int(self.params.get("BackupRetentionPeriod", 7)),
        "Status": "replicating",
    }
    copies.setdefault((self.current_account, self.region), {})[arn] = copied
    return ActionResult({"DBInstanceAutomatedBackup": copied})


def stop_backup_copies(self: RDSResponse) -> ActionResult:
    stopped = copies[self.current_account, self.region].pop(self.params["SourceDBInstanceArn"])
    return ActionResult({"DBInstanceAutomatedBackup": stopped})


RDSResponse.start_db_instance_automated_backups_replication = start_backup_copies  # type: ignore[attr-defined]
RDSResponse.stop_db_instance_automated_backups_replication = stop_backup_copies  # type: ignore[attr-defined]


@around(RDSBackend, "describe_db_instance_automated_backups")
def backups_are_found_by_their_arn(original: Method, self: RDSBackend, **asked: Any) -> list[Any]:
    if arn := asked.get("db_instance_automated_backups_arn"):
        here = copies.get((self.account_id, self.region_name), {}).values()
        return [each for each in here if each["DBInstanceAutomatedBackupsArn"] == arn]
    return list(original(self, **asked))


def where_a_database_is_copied_to(self: DBInstance) -> list[dict[str, str]]:
    held = [each[self.db_instance_arn] for each in copies.values() if self.db_instance_arn in each]
    return [{"DBInstanceAutomatedBackupsArn": each["DBInstanceAutomatedBackupsArn"]} for each in held]


DBInstance.db_instance_automated_backups_replications = property(where_a_database_is_copied_to)  # type: ignore[attr-defined]


@around(WAFV2Response, "create_web_acl")
def a_firewall_remembers_what_its_log_hides(original: Method, self: WAFV2Response) -> Any:
    """What is to be replaced in the firewall's log is dropped."""
    answer = original(self)
    arn = json.loads(answer[2])["Summary"]["ARN"]
    wafv2_backends[self.current_account][self.region].wacls[arn].hides = json.loads(self.body).get(
        "DataProtectionConfig"
    )  # type: ignore[attr-defined]
    return answer


@around(FakeWebACL, "to_dict")
def a_firewall_says_what_its_log_hides(original: Method, self: FakeWebACL) -> dict[str, Any]:
    return {**original(self), "DataProtectionConfig": getattr(self, "hides", None)}


@around(DomainDispatcherApplication, "__call__")
def a_gap_is_said_at_once(original: Method, self: Any, environ: Any, start_response: Any) -> Any:
    """What moto lacks, it answers with 500, which AWS's clients take for a fault that passes: they ask for ten minutes."""
    try:
        return original(self, environ, start_response)
    except NotImplementedError as gap:
        print(f"NotImplementedError: {gap}", file=sys.stderr, flush=True)
        start_response("400 Bad Request", [("Content-Type", "text/plain")])
        return [str(gap).encode()]


#: What was answered, by the id that AWS's clients give to an operation and keep when they send it again.
ANSWERED: dict[str, Response] = {}
ANSWERS_KEPT = 2000


@around(DomainDispatcherApplication, "__call__")
def what_is_sent_again_is_answered_again(original: Method, self: Any, environ: Any, start_response: Any) -> Any:
    """A client that lost an answer sends its request again; moto does it twice, and says that the thing exists already."""
    operation = environ.get("HTTP_AMZ_SDK_INVOCATION_ID", "")
    answer = ANSWERED.get(operation)
    if answer is None:
        answer = Response.from_app(functools.partial(original, self), environ)
        if operation and answer.status_code < 400 and environ["REQUEST_METHOD"] != "GET":
            answer.freeze()
            ANSWERED[operation] = answer
            while len(ANSWERED) > ANSWERS_KEPT:
                ANSWERED.pop(next(iter(ANSWERED)), None)
    return answer(environ, start_response)


if __name__ == "__main__":
    moto.server.main(sys.argv[1:])
