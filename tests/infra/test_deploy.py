"""The deployment tool: against moto over HTTP, and its look at customers' pages against a real server of the bank."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scripts import deploy
from scripts.deployment import aws, model
from tests.infra.estate import PRIMARY, SECONDARY, Estate, estate, moto

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ARCHIVE = b"an archive of the bank"
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()
ROOT = Path(__file__).parents[2]
KEY = f"releases/{COMMIT}/bank-{COMMIT}.tar.gz"

Deploy = Callable[..., Result]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Where moto listens; nothing here reaches an account, whatever credentials this shell has."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "NO_PROXY": "127.0.0.1",
        }.items():
            environment.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"):
            environment.delenv(name, raising=False)
        with moto() as address:
            environment.setenv("AWS_ENDPOINT_URL", address)
            yield address


@pytest.fixture
def regions(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Estate:
    """Both regions at version 1, with a release to be deployed."""
    monkeypatch.setattr(aws, "POLL_SECONDS", 0.02)
    (tmp_path / f"bank-{COMMIT}.tar.gz").write_bytes(ARCHIVE)
    return estate(endpoint, tmp_path, COMMIT, SHA256)


@pytest.fixture
def run(regions: Estate) -> Deploy:
    """The command, on the estate's file."""

    def deploy_it(*arguments: str) -> Result:
        result = CliRunner().invoke(deploy.main, [str(regions.deployment), *arguments])
        # A traceback is no sentence.
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return deploy_it


# --- upload -----------------------------------------------------------------------------------------


def test_the_archive_goes_to_both_regions_once(regions: Estate, run: Deploy) -> None:
    folder = str(regions.deployment.parent)

    first, second = run("upload", "--packages", folder), run("upload", "--packages", folder)

    assert first.exit_code == second.exit_code == 0
    assert first.output.count("uploaded") == 2
    assert second.output.count("is there already") == 2
    for region in (PRIMARY, SECONDARY):
        stored = regions.client("s3", region).get_object(Bucket=f"bank-test-{region}-artifacts", Key=KEY)
        assert stored["Body"].read() == ARCHIVE


def test_another_archive_of_the_same_commit_is_never_replaced(regions: Estate, run: Deploy) -> None:
    s3 = regions.client("s3", SECONDARY)
    s3.put_object(Bucket=f"bank-test-{SECONDARY}-artifacts", Key=KEY, Body=b"another", ChecksumAlgorithm="SHA256")

    result = run("upload", "--packages", str(regions.deployment.parent))

    assert result.exit_code == 1
    assert "another archive of the same commit" in result.output
    assert s3.get_object(Bucket=f"bank-test-{SECONDARY}-artifacts", Key=KEY)["Body"].read() == b"another"


def test_an_archive_without_a_known_digest_is_not_taken_for_this_one(regions: Estate, run: Deploy) -> None:
    s3 = regions.client("s3", PRIMARY)
    s3.put_object(Bucket=f"bank-test-{PRIMARY}-artifacts", Key=KEY, Body=ARCHIVE, ChecksumAlgorithm="CRC32")

    assert run("upload", "--region", "primary", "--packages", str(regions.deployment.parent)).exit_code == 1


def test_an_archive_that_was_not_applied_is_refused(regions: Estate, run: Deploy) -> None:
    file = regions.deployment.parent / f"bank-{COMMIT}.tar.gz"
    file.write_bytes(b"tampered with")

    result = run("upload", "--packages", str(file.parent))

    assert result.exit_code == 1
    assert "Plan and apply this archive first" in result.output
    assert not regions.client("s3", PRIMARY).list_objects_v2(Bucket=f"bank-test-{PRIMARY}-artifacts").get("Contents")


def test_a_missing_archive_is_a_sentence(regions: Estate, run: Deploy, tmp_path: Path) -> None:
    result = run("upload", "--packages", str(tmp_path / "nowhere"))

    assert result.exit_code == 1
    assert "make package" in result.output


def test_what_aws_refuses_is_a_sentence(regions: Estate, run: Deploy) -> None:
    said = regions.said()["regions"]
    said[SECONDARY]["artifacts"] = "no-such-bucket"
    regions.say(regions=said)

    result = run("upload", "--packages", str(regions.deployment.parent))

    assert result.exit_code == 1
    assert "AWS refused PutObject: NoSuchBucket" in result.output


# --- jobs -------------------------------------------------------------------------------------------


def _result(tags: dict[str, str], **changed: str) -> str:
    said = {"job": tags["bank:job"], "id": tags["bank:job-id"], "release": COMMIT, "status": "succeeded"}
    return json.dumps(said | {"message": "The schema is at 0042."} | changed)


@pytest.mark.parametrize("job", ["migrate", "rotate-login"])
def test_a_job_runs_once_in_the_primary_region_and_reports(regions: Estate, run: Deploy, job: str) -> None:
    with regions.server_answers(_result) as servers:
        result = run(job)

    assert result.exit_code == 0, result.output
    assert "The schema is at 0042." in result.output
    assert [(server["bank:job"], server["Bank"]) for server in servers] == [(job, "bank-test")]
    [made] = [
        server
        for one in regions.client("ec2", PRIMARY).describe_instances(InstanceIds=[servers[0]["server"]])["Reservations"]
        for server in one["Instances"]
    ]
    template = regions.said()["regions"][PRIMARY]["job"]["launch_template"]
    assert made["SubnetId"] == regions.said()["regions"][PRIMARY]["job"]["subnet"]
    assert {"aws:ec2launchtemplate:id": template["id"], "aws:ec2launchtemplate:version": "2"}.items() <= servers[
        0
    ].items()
    # The result was read; nothing of it stays.
    assert not regions.client("ssm", PRIMARY).describe_parameters()["Parameters"]


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (lambda tags: _result(tags, status="failed", message="The door\x1b[31m is locked."), "The door[31m is locked."),
        (lambda tags: _result(tags, release="f" * 40), "that of another job or release"),
        (lambda tags: _result(tags, id="migrate-of-yesterday"), "that of another job or release"),
        (lambda _: "{", "cannot be understood"),
        (lambda _: "[]", "cannot be understood"),
        (lambda _: None, "did not say how"),
    ],
)
def test_a_job_that_did_not_succeed_fails(
    regions: Estate, run: Deploy, result: Callable[[dict[str, str]], str | None], says: str
) -> None:
    with regions.server_answers(result) as servers:
        done = run("migrate")

    assert done.exit_code == 1
    assert says in done.output
    assert f"aws ec2 get-console-output --region {PRIMARY} --instance-id {servers[0]['server']}" in done.output


def test_a_job_that_says_nothing_in_time_is_ended(regions: Estate, run: Deploy) -> None:
    with regions.server_answers(lambda _: "") as servers:
        done = run("migrate", "--minutes", "0.02")

    assert done.exit_code == 1
    assert "gave no result within 0.02 minutes" in done.output
    found = regions.client("ec2", PRIMARY).describe_instances(InstanceIds=[servers[0]["server"]])["Reservations"]
    assert found[0]["Instances"][0]["State"]["Name"] == "terminated"


# --- roll-out ---------------------------------------------------------------------------------------


def test_the_secondary_region_is_rolled_out_first_and_carefully(regions: Estate, run: Deploy) -> None:
    result = run("roll-out")

    assert result.exit_code == 0, result.output
    assert result.output.index(f"{SECONDARY}: all servers run version 2") < result.output.index(
        f"{PRIMARY}: rolling out"
    )
    assert "InProgress, 50 %; healthy: 1 of version 1, 1 of version 2" in result.output
    for region in (PRIMARY, SECONDARY):
        assert regions.versions(region) == ["2", "2", "2"]
        [refresh] = regions.refreshes.of(region)
        assert refresh["Preferences"] == {
            "MinHealthyPercentage": 100,
            "MaxHealthyPercentage": 150,
            "InstanceWarmup": 120,
            "CheckpointPercentages": [50, 100],
            "CheckpointDelay": 120,
            "AutoRollback": True,
            "SkipMatching": True,
            "AlarmSpecification": {"Alarms": [f"bank-test-{region}-5xx"]},
        }


def test_an_alarm_that_rings_already_does_not_take_back_what_mends_it(regions: Estate, run: Deploy) -> None:
    watched = regions.client("cloudwatch", PRIMARY)
    for name in ("5xx", "slow"):
        watched.put_metric_alarm(
            AlarmName=f"bank-test-{PRIMARY}-{name}",
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1,
            Threshold=1,
            MetricName=name,
            Namespace="Bank",
            Period=60,
            Statistic="Sum",
        )
    watched.set_alarm_state(AlarmName=f"bank-test-{PRIMARY}-5xx", StateValue="ALARM", StateReason="The old release.")
    said = regions.said()["regions"]
    said[PRIMARY]["roll_out"]["alarms"].append(f"bank-test-{PRIMARY}-slow")
    regions.say(regions=said)

    result = run("roll-out", "--region", "primary")

    assert result.exit_code == 0, result.output
    assert f"rings already and so will not take this roll-out back: bank-test-{PRIMARY}-5xx" in result.output
    [refresh] = regions.refreshes.of(PRIMARY)
    assert refresh["Preferences"]["AlarmSpecification"] == {"Alarms": [f"bank-test-{PRIMARY}-slow"]}


def test_a_second_roll_out_replaces_nothing(regions: Estate, run: Deploy) -> None:
    run("roll-out", "--region", "primary")

    result = run("roll-out", "--region", "primary")

    assert result.exit_code == 0
    assert "is at version 2 already" in result.output
    assert len(regions.refreshes.of(PRIMARY)) == 1
    assert not regions.refreshes.of(SECONDARY)


def test_servers_that_never_become_healthy_are_not_waited_for_without_end(regions: Estate, run: Deploy) -> None:
    run("roll-out", "--region", "primary")
    regions.make_ill(PRIMARY)

    result = run("roll-out", "--region", "primary", "--minutes", "0.01")

    assert result.exit_code == 1
    assert "not all servers are healthy" in result.output


@pytest.mark.parametrize(
    ("ending", "why"), [("RollbackSuccessful", "An alarm rang."), ("Failed", "did not become healthy")]
)
def test_a_roll_out_that_fails_stops_before_the_next_region(
    regions: Estate, run: Deploy, ending: str, why: str
) -> None:
    regions.refreshes.endings[SECONDARY] = [ending]

    result = run("roll-out")

    assert result.exit_code == 1
    assert ending in result.output
    assert why in result.output
    assert regions.versions(PRIMARY) == ["1", "1", "1"]
    assert not regions.refreshes.of(PRIMARY)


def test_a_roll_out_that_takes_too_long_is_left_with_the_next_step(regions: Estate, run: Deploy) -> None:
    regions.refreshes.endings[PRIMARY] = ["stuck"]

    result = run("roll-out", "--region", PRIMARY, "--minutes", "0.01")

    assert result.exit_code == 1
    assert f"make roll-back ENV=… REGION={PRIMARY}" in result.output


def test_the_same_roll_out_is_followed_and_another_is_refused(regions: Estate, run: Deploy) -> None:
    regions.refreshes.endings[PRIMARY] = ["stuck"]
    run("roll-out", "--region", "primary", "--minutes", "0.01")

    again = run("roll-out", "--region", "primary", "--minutes", "0.01")
    said = regions.said()["regions"]
    said[PRIMARY]["launch_template"]["version"] = 1
    regions.say(regions=said)
    other = run("roll-out", "--region", "primary")

    assert "under way already; following it" in again.output
    assert other.exit_code == 1
    assert "another roll-out is under way (InProgress, to version 2)" in other.output
    assert len(regions.refreshes.of(PRIMARY)) == 1


# --- roll-back --------------------------------------------------------------------------------------


def test_what_was_rolled_out_from_here_goes_back_and_nothing_else(regions: Estate, run: Deploy) -> None:
    run("roll-out", "--region", "secondary")

    result = run("roll-back")

    assert result.exit_code == 0, result.output
    assert regions.versions(SECONDARY) == ["1", "1", "1"]
    back = regions.refreshes.of(SECONDARY)[0]
    # The alarm that rings because of the release must not stop its going.
    assert "AlarmSpecification" not in back["Preferences"]
    assert "CheckpointPercentages" not in back["Preferences"]
    assert not regions.refreshes.of(PRIMARY)


def test_both_regions_go_back_the_last_one_first(regions: Estate, run: Deploy) -> None:
    run("roll-out")

    result = run("roll-back")

    assert result.exit_code == 0
    assert result.output.index(f"{PRIMARY}: the group is back") < result.output.index(f"{SECONDARY}: going back")
    assert {*regions.versions(PRIMARY), *regions.versions(SECONDARY)} == {"1"}


def test_going_back_in_one_region_does_not_wait_for_the_other(regions: Estate, run: Deploy) -> None:
    run("roll-out")
    regions.refreshes.endings[PRIMARY] = ["Failed"]

    result = run("roll-back")

    assert result.exit_code == 1
    assert "1 of 2 regions did not go back" in result.output
    assert regions.versions(SECONDARY) == ["1", "1", "1"]


def test_what_is_under_way_is_undone(regions: Estate, run: Deploy) -> None:
    regions.refreshes.endings[SECONDARY] = ["stuck"]
    run("roll-out", "--region", "secondary", "--minutes", "0.01")
    assert sorted(regions.versions(SECONDARY)) == ["1", "1", "2"]

    result = run("roll-back")

    assert result.exit_code == 0, result.output
    assert "undoing the roll-out that is under way" in result.output
    assert regions.versions(SECONDARY) == ["1", "1", "1"]


def test_nothing_is_done_twice_when_aws_went_back_by_itself(regions: Estate, run: Deploy) -> None:
    regions.refreshes.endings[SECONDARY] = ["RollbackSuccessful"]
    run("roll-out")

    result = run("roll-back")

    assert result.exit_code == 0
    assert "all servers run version 1 already" in result.output
    assert len(regions.refreshes.of(SECONDARY)) == 1


def test_what_ran_before_is_remembered_from_the_first_try(regions: Estate, run: Deploy) -> None:
    run("roll-out", "--region", "secondary")
    run("roll-out", "--region", "secondary")

    run("roll-back")

    assert regions.versions(SECONDARY) == ["1", "1", "1"]


def test_a_person_names_the_version(regions: Estate, run: Deploy) -> None:
    run("roll-out", "--region", "primary")
    regions.deployment.with_name(f"test-{PRIMARY}-previous.json").unlink()

    unnamed = run("roll-back", "--region", "primary")
    everywhere = run("roll-back", "--version", "1")
    named = run("roll-back", "--region", "primary", "--version", "1")

    assert unnamed.exit_code == 1
    assert "which version to go back to?" in unnamed.output
    assert everywhere.exit_code == 2
    assert named.exit_code == 0
    assert regions.versions(PRIMARY) == ["1", "1", "1"]


def test_with_nothing_rolled_out_nothing_goes_back(regions: Estate, run: Deploy) -> None:
    result = run("roll-back")

    assert result.exit_code == 0
    assert "nothing to take back" in result.output


# --- status, and the file ---------------------------------------------------------------------------


def test_status_shows_what_runs_where(regions: Estate, run: Deploy) -> None:
    run("roll-out", "--region", "secondary")

    result = run("status")

    assert result.exit_code == 0, result.output
    assert f"{SECONDARY} (secondary)" in result.output
    assert f"group     bank-test-{PRIMARY}: version 1; applied: 2" in result.output
    assert "2 of version 2" in result.output
    assert "release 2 of app" in result.output


def test_an_unknown_region_is_refused_before_anything_is_done(regions: Estate, run: Deploy) -> None:
    result = run("roll-out", "--region", "eu-west-1")

    assert result.exit_code == 2
    assert "There is no region 'eu-west-1'" in result.output


@pytest.mark.parametrize(
    "changed",
    [
        {"release": {"commit": "main", "sha256": SHA256}},
        {"release": {"commit": COMMIT}},
        {"primary": "eu-west-1"},
        {"regions": []},
        {"regions": {}},
    ],
)
def test_a_file_that_is_something_else_is_a_sentence(regions: Estate, run: Deploy, changed: dict[str, object]) -> None:
    regions.say(**changed)

    result = run("status")

    assert result.exit_code == 1
    assert "is not Terraform's output" in result.output


@pytest.mark.parametrize(
    ("key", "value"), [("url", "http://plain.example"), ("launch_template", {"id": "lt-1", "version": "$Latest"})]
)
def test_a_region_that_cannot_be_right_is_refused(regions: Estate, key: str, value: object) -> None:
    said = regions.said()["regions"]
    said[PRIMARY][key] = value
    regions.say(regions=said)

    with pytest.raises(aws.Stop, match="is not Terraform's output"):
        model.read(regions.deployment)


def test_without_its_file_the_tool_names_the_next_step(tmp_path: Path) -> None:
    result = CliRunner().invoke(deploy.main, [str(tmp_path / "none.json"), "status"])

    assert result.exit_code == 1
    assert "make deployment" in result.output


def test_the_tool_runs_as_make_calls_it() -> None:
    command = [sys.executable, "-m", "scripts.deploy", "--help"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in ("migrate", "roll-back", "roll-out", "rotate-login", "smoke", "status", "upload"):
        assert f"\n  {name} " in said
