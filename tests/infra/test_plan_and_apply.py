"""Planning and applying as `make` does it: real terraform, its state in S3 on moto, the roles assumed from there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.sts.models import sts_backends

from scripts import plan_summary
from tests.infra.estate import moto
from tests.infra.terraform import CONFIG, ROOT
from tests.servers import not_run

ACCOUNT = "123456789012"
BUCKET = f"bank-test-state-{ACCOUNT}"
RELEASE = {"commit": "0123456789abcdef0123456789abcdef01234567", "sha256": "ab" * 32}
SECRET = "a-secret-that-must-not-be-seen"

# Without a provider terraform starts at once. What it is like with one, the emulator's run shows.
LIVE = """
terraform {
  backend "s3" {
    key                         = "terraform.tfstate"
    region                      = "us-east-1"
    use_lockfile                = true
    use_path_style              = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
  }
}
variable "release" {
  type = object({ commit = string, sha256 = string })
}
variable "images" {
  type     = map(string)
  default  = { us-east-1 = "ami-newest" }
  nullable = false
}
resource "terraform_data" "servers" {
  input = [var.release.commit, var.images]
}
output "deployment" {
  value = { environment = "test", release = var.release, images = var.images }
}
"""

pytestmark = pytest.mark.timeout(240)


@dataclass
class Tree:
    """A copy of what the targets call, with a small environment `test` in it."""

    path: Path
    env: dict[str, str]

    def run(self, *command: str, code: int = 0, **env: str) -> str:
        """Run a command in the tree; answers all that it said."""
        done = subprocess.run(
            command, cwd=self.path, env=self.env | env, capture_output=True, text=True, timeout=120, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert SECRET not in said
        return said

    def terraform(self, *arguments: str, role: str = "plan", code: int = 0, **env: str) -> str:
        return self.run("scripts/as-role.sh", f"bank-test-{role}", "scripts/terraform.sh", *arguments, code=code, **env)

    @property
    def live(self) -> Path:
        return self.path / "infra/live/test/main.tf"

    def built(self, file: str) -> Path:
        return self.path / "build" / file

    def digest(self) -> str:
        return self.built("plans/test.tfplan.sha256").read_text().strip()

    def plan_and_apply(self) -> None:
        self.terraform("plan", "test")
        self.terraform("apply", "test", "test.tfplan", role="deploy", PLAN_SHA256=self.digest())


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    if not shutil.which("terraform"):
        not_run("infra", "no terraform found; https://developer.hashicorp.com/terraform/install has it")
    with moto() as address:
        yield address


@pytest.fixture
def tree(endpoint: str, tmp_path: Path) -> Tree:
    """The tree, its state's bucket new and empty."""
    # moto's own dictionaries: what was assumed is nothing that its API tells.
    sts_backends[ACCOUNT]["aws"].assumed_roles.clear()
    s3 = boto3.resource(
        "s3", region_name="us-east-1", endpoint_url=endpoint, aws_access_key_id="x", aws_secret_access_key="x"
    )
    bucket = s3.Bucket(BUCKET)
    if bucket.creation_date:
        bucket.objects.delete()
    else:
        bucket.create()
    (tmp_path / "scripts").mkdir()
    for name in ("as-role.sh", "terraform.sh", "plan_summary.py"):
        shutil.copy2(ROOT / "scripts" / name, tmp_path / "scripts" / name)
    made = Tree(
        tmp_path,
        {
            "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "AWS_ENDPOINT_URL": endpoint,
            # Terraform's own client asks for a role before it has looked at the line above.
            "AWS_ENDPOINT_URL_STS": endpoint,
            "AWS_ACCESS_KEY_ID": "AKIATESTING",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "BUILD_TAG": "jenkins-bank/main-7",
        },
    )
    made.live.parent.mkdir(parents=True)
    made.live.write_text(LIVE)
    made.built("package").mkdir(parents=True)
    made.built("package/release.json").write_text(json.dumps(RELEASE))
    return made


def assumed() -> list[tuple[str, str]]:
    """Which roles were assumed, and in whose name."""
    return [(one.role_arn, one.session_name) for one in sts_backends[ACCOUNT]["aws"].assumed_roles]


# --- Roles ------------------------------------------------------------------------------------------


def test_a_command_is_run_as_the_role_and_sees_no_keys(tree: Tree) -> None:
    who = tree.run("scripts/as-role.sh", "bank-test-plan", "aws", "sts", "get-caller-identity", "--output", "text")
    seen = tree.run("scripts/as-role.sh", "bank-test-plan", "sh", "-c", "env | grep ^AWS_")

    assert f"arn:aws:sts::{ACCOUNT}:assumed-role/bank-test-plan/jenkins-bank-main-7" in who
    names = {line.partition("=")[0] for line in seen.splitlines()}
    assert {"AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_ACCOUNT_ID"} <= names
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} & names


def test_without_keys_it_is_the_machines_own_role_that_assumes(tree: Tree) -> None:
    del tree.env["AWS_ACCESS_KEY_ID"], tree.env["AWS_SECRET_ACCESS_KEY"]

    tree.run("scripts/as-role.sh", "bank-test-deploy", "true", AWS_ACCOUNT_ID=ACCOUNT)

    file = tree.built("aws/bank-test-deploy.ini").read_text()
    role = file[: file.index("[profile pipeline]")]
    assert "credential_source = Ec2InstanceMetadata" in role
    assert "source_profile" not in role


def test_a_person_s_own_profile_is_used_as_it_is(tree: Tree) -> None:
    said = tree.run(
        "scripts/as-role.sh",
        "bank-test-deploy",
        "sh",
        "-c",
        "echo $AWS_PROFILE",
        AWS_PROFILE="me",
        AWS_ACCOUNT_ID=ACCOUNT,
    )

    assert said == "me\n"
    assert not assumed()


def test_no_secret_is_written_to_a_file(tree: Tree) -> None:
    tree.plan_and_apply()

    written = [file for file in tree.path.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]
    assert written == []
    assert tree.built("aws/bank-test-plan.ini").exists()


@pytest.mark.parametrize("arguments", [[], ["bank-test-plan"], ["Administrator", "true"], ["bank-test-plan\n", "true"]])
def test_a_role_that_is_not_the_bank_s_is_refused(tree: Tree, arguments: list[str]) -> None:
    assert "Usage" in tree.run("scripts/as-role.sh", *arguments, code=2)


# --- Plan and apply ---------------------------------------------------------------------------------


def test_the_plan_is_made_by_one_role_and_applied_by_another(tree: Tree) -> None:
    said = tree.terraform("plan", "test")

    by_plan = set(assumed())
    assert by_plan == {(f"arn:aws:iam::{ACCOUNT}:role/bank-test-plan", "jenkins-bank-main-7")}
    assert "Plan: 1 to create." in said
    assert f"PLAN_SHA256={tree.digest()}" in said
    assert tree.built("plans/test.summary.txt").read_text() == "Plan: 1 to create.\n"
    assert "terraform_data.servers" in tree.built("plans/test.txt").read_text()
    assert tree.built("plans/test.tfplan").stat().st_mode & 0o077 == 0

    sts_backends[ACCOUNT]["aws"].assumed_roles.clear()
    tree.terraform("apply", "test", "test.tfplan", role="deploy", PLAN_SHA256=tree.digest())

    assert set(assumed()) == {(f"arn:aws:iam::{ACCOUNT}:role/bank-test-deploy", "jenkins-bank-main-7")}
    written = json.loads(tree.built("deployment/test.json").read_text())
    assert written == {"environment": "test", "release": RELEASE, "images": {"us-east-1": "ami-newest"}}


def test_only_the_plan_that_was_looked_at_is_applied(tree: Tree) -> None:
    tree.terraform("plan", "test")
    seen = tree.digest()
    # Another release: the same plan made again within a moment may be the same file, and is then rightly applied.
    tree.built("package/release.json").write_text(json.dumps(RELEASE | {"commit": "f" * 40}))
    tree.terraform("plan", "test")

    unseen = tree.terraform("apply", "test", role="deploy", code=1)
    other = tree.terraform("apply", "test", role="deploy", code=1, PLAN_SHA256=seen)
    elsewhere = tree.terraform("apply", "test", "production.tfplan", role="deploy", code=1, PLAN_SHA256=seen)

    assert "PLAN_SHA256 is not set" in unseen
    assert "is not the plan that was looked at" in other
    assert "is not a plan for test" in elsewhere
    assert not tree.built("deployment/test.json").exists()


def test_a_plan_whose_state_has_moved_is_refused(tree: Tree) -> None:
    tree.terraform("plan", "test")
    digest = tree.digest()
    shutil.copy(tree.built("plans/test.tfplan"), tree.built("older"))
    tree.terraform("apply", "test", role="deploy", PLAN_SHA256=digest)
    shutil.copy(tree.built("older"), tree.built("plans/test.tfplan"))

    assert "stale" in tree.terraform("apply", "test", role="deploy", code=1, PLAN_SHA256=digest)


def test_a_plan_that_fails_leaves_no_older_one_behind(tree: Tree) -> None:
    tree.terraform("plan", "test")
    tree.live.write_text(LIVE + 'resource "terraform_data" "broken" { input = nothing.of_this }\n')

    tree.terraform("plan", "test", code=1)

    assert list(tree.built("plans").iterdir()) == []


def test_a_new_apply_forgets_what_was_rolled_out_before(tree: Tree) -> None:
    tree.built("deployment").mkdir()
    before = tree.built("deployment/test-us-east-1-previous.json")
    before.write_text("{}")

    tree.plan_and_apply()

    assert not before.exists()


def test_the_deployment_can_be_read_again(tree: Tree) -> None:
    tree.plan_and_apply()
    tree.built("deployment/test.json").unlink()

    tree.terraform("output", "test", role="deploy")

    assert json.loads(tree.built("deployment/test.json").read_text())["release"] == RELEASE


@pytest.mark.parametrize("name", ["", "staging", "../test", "modules"])
def test_an_unknown_environment_is_refused(tree: Tree, name: str) -> None:
    assert "must be one of: test" in tree.terraform("plan", name, code=1)


def test_a_missing_package_and_a_missing_bucket_are_sentences(tree: Tree) -> None:
    no_bucket = tree.terraform("plan", "test", code=1, STATE_BUCKET="no-such-bucket")
    tree.built("package/release.json").unlink()
    no_package = tree.terraform("plan", "test", code=1)

    assert "infra/bootstrap makes it" in no_bucket
    assert "make package" in no_package


# --- Drift ------------------------------------------------------------------------------------------


def test_drift_is_measured_against_the_release_that_was_applied(tree: Tree) -> None:
    tree.plan_and_apply()
    tree.built("package/release.json").write_text(json.dumps({"commit": "f" * 40, "sha256": "0" * 64}))
    tree.live.write_text(LIVE.replace("ami-newest", "ami-newer"))

    assert "test is what its code says" in tree.terraform("drift", "test")


def test_drift_fails_and_names_what_differs(tree: Tree) -> None:
    tree.plan_and_apply()
    tree.live.write_text(LIVE.replace("input = [var.release.commit, var.images]", 'input = "another"'))

    said = tree.terraform("drift", "test", code=1)

    assert "change: terraform_data.servers" in said
    assert tree.built("plans/test-drift.txt").exists()
    assert not tree.built("plans/test-drift.tfplan").exists()


def test_drift_of_what_was_never_applied_is_a_sentence(tree: Tree) -> None:
    assert "nothing has been applied there yet" in tree.terraform("drift", "test", code=1)


# --- The summary ------------------------------------------------------------------------------------


def change(address: str, *actions: str) -> dict[str, Any]:
    return {"address": address, "type": address.split(".")[-2], "change": {"actions": list(actions)}}


@pytest.mark.parametrize(
    ("actions", "word"),
    [(("delete",), "destroy"), (("delete", "create"), "replace"), (("create", "delete"), "replace")],
)
def test_a_plan_that_takes_data_away_is_refused_unless_that_is_meant(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], actions: tuple[str, ...], word: str
) -> None:
    monkeypatch.delenv("ALLOW_DESTROY", raising=False)

    def summary() -> tuple[int, str]:
        import io

        plan = {
            "resource_changes": [
                change("module.a.aws_db_instance.bank", *actions),
                change("aws_subnet.old", *actions),
                change("aws_subnet.new", "create"),
                change("aws_subnet.same", "no-op"),
                change("data.aws_region.here", "read"),
            ]
        }
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(plan)))
        code = plan_summary.main([])
        return code, "".join(capsys.readouterr())

    code, said = summary()
    assert code == 1
    assert f"Plan: 1 to create, 2 to {word}." in said
    assert f"{word}: module.a.aws_db_instance.bank" in said
    assert "Refused: module.a.aws_db_instance.bank would be destroyed" in said
    assert "aws_subnet.same" not in said

    monkeypatch.setenv("ALLOW_DESTROY", "no")
    assert summary()[0] == 1
    monkeypatch.setenv("ALLOW_DESTROY", "yes")
    assert summary()[0] == 0


def test_an_empty_plan_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("{}"))

    assert plan_summary.main([]) == 0
    assert capsys.readouterr().out == "Plan: nothing.\n"


def test_every_kind_of_thing_that_keeps_data_is_guarded() -> None:
    """Whatever the estate declares of these families is in the list, or this is where it is left out for a reason."""
    import re

    keeping = re.compile(
        r"aws_(db_instance|rds_cluster|kms_key|kms_replica|s3_bucket|secretsmanager_secret|ebs_volume|efs|backup_vault)"
    )
    harmless = re.compile(r"aws_s3_bucket_|aws_secretsmanager_secret_|aws_kms_key_policy|aws_backup_vault_")
    declared = {
        type_
        for folder in ("modules", "region", "estate", "live")
        for file in (ROOT / "infra" / folder).rglob("*.tf")
        for type_ in re.findall(r'^resource "(\w+)"', file.read_text(), re.MULTILINE)
        if keeping.match(type_) and not harmless.match(type_)
    }
    assert declared
    assert declared <= plan_summary.KEEPS_DATA


@pytest.mark.slow
def test_a_real_plan_that_destroys_a_log_group_is_refused(tree: Tree) -> None:
    """With the provider: what terraform itself writes about a resource is what the summary reads."""
    if CONFIG.exists():
        tree.env["TF_CLI_CONFIG_FILE"] = str(CONFIG)
    provider = """
    provider "aws" {
      region                      = "us-east-1"
      skip_credentials_validation = true
    }
    resource "aws_cloudwatch_log_group" "audit" {
      name = "/bank-test/audit"
    }
    """
    tree.live.write_text(LIVE + provider)
    tree.plan_and_apply()
    tree.live.write_text(LIVE + provider.replace("/bank-test/audit", "/bank-test/other"))

    refused = tree.terraform("plan", "test", code=1)
    assert "replace: aws_cloudwatch_log_group.audit" in refused
    assert not tree.built("plans/test.tfplan").exists()
