"""Jenkins as Terraform makes it: its configuration, its agents' and the pipeline's files agree, and its hosts' scripts do what they say.

No Jenkins runs here: the schema was written from the plugins' documents and sources, and only a Jenkins can tell whether it
takes the configuration.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest
import yaml
from moto.server import ThreadedMotoServer

from tests.infra.terraform import INFRA, ROOT, blocks, copy_of_infra, initialise, terraform
from tests.infra.test_pipeline import java
from tests.servers import not_run

MODULE = INFRA / "modules/cicd"
HOST = MODULE / "host"
PIPELINES = [ROOT / "Jenkinsfile", INFRA / "Jenkinsfile.drift"]
PLUGINS = (MODULE / "jenkins/plugins.txt").read_text().splitlines()
SCRIPTS = sorted(file for file in HOST.iterdir() if file.read_text().startswith(("#!", "# shellcheck")))
LABELS = {"build", "plan", "deploy"}
HOSTS = ["controller", *sorted(LABELS)]

# Whose each key of the configuration, each step of Job DSL and of the pipelines is; None: Jenkins' or Groovy's own.
CONFIGURATION = {
    "jenkins": "configuration-as-code",
    "globalMatrix": "matrix-auth",
    "scriptApproval": "script-security",
    "globalJobDslSecurityConfiguration": "job-dsl",
    "credentials": "credentials",
    "string": "plain-credentials",
    "usernamePassword": "credentials",
    "timestamper": "timestamper",
    "jobs": "job-dsl",
    "jobRestrictionProperty": "job-restrictions",
    "multibranchPipelineJob": "workflow-multibranch",
    "pipelineJob": "workflow-job",
    "periodicFolderTrigger": "cloudbees-folder",
    "gitBranchDiscovery": "git",
    "cpsScm": "workflow-cps",
    "branchSource": "branch-api",
}
DECLARATIVE = "pipeline-model-definition"
STEPS = {
    **dict.fromkeys(
        [
            *(
                "agent",
                "agents",
                "always",
                "axes",
                "axis",
                "choice",
                "cleanup",
                "environment",
                "matrix",
                "name",
                "options",
            ),
            *(
                "parallel",
                "parameters",
                "pipeline",
                "post",
                "stage",
                "stages",
                "steps",
                "unsuccessful",
                "values",
                "when",
            ),
            *("anyOf", "beforeAgent", "branch", "buildDiscarder", "choices", "description", "disableConcurrentBuilds"),
            *("disableRestartFromStage", "script", "skipStagesAfterUnstable", "triggers", "label", "cron"),
        ],
        DECLARATIVE,
    ),
    **dict.fromkeys(
        ["archiveArtifacts", "deleteDir", "readFile", "stash", "timeout", "unstash", "withEnv"], "workflow-basic-steps"
    ),
    "sh": "workflow-durable-task-step",
    "junit": "junit",
    "input": "pipeline-input-step",
    "message": "pipeline-input-step",
    "ok": "pipeline-input-step",
    "submitter": "pipeline-input-step",
    "withCredentials": "credentials-binding",
    "string": "plain-credentials",
    "lock": "lockable-resources",
    "milestone": "pipeline-milestone-step",
    "cleanWs": "ws-cleanup",
    "timestamps": "timestamper",
    **dict.fromkeys(["if", "return", "void", "import", "else", "def", "withAws"]),
}

pytestmark = pytest.mark.timeout(300)


class Rendered:
    """What Terraform would make, as its own tests' plan has it: resources by address, and what each host is told."""

    def __init__(self, directory: Path) -> None:
        module = copy_of_infra(directory) / "modules/cicd"
        head, _, _ = (module / "tests/cicd.tftest.hcl").read_text().partition('\nrun "')
        (module / "tests/rendered.tftest.hcl").write_text(head + '\nrun "rendered" {\n  command = plan\n}\n')
        initialise(module)
        done = terraform(module, "test", "-json", "-verbose", "-filter=tests/rendered.tftest.hcl")
        assert done.returncode == 0, done.stdout
        [plan] = [line for text in done.stdout.splitlines() if (line := json.loads(text))["type"] == "test_plan"]
        self.resources: dict[str, Any] = {
            each["address"]: each["change"]["after"] for each in plan["test_plan"]["resource_changes"]
        }

    def cloud_config(self, host: str) -> str:
        """What cloud-init reads."""
        if host == "controller":
            data = self.resources["aws_instance.controller"]["user_data_base64"]
        else:
            data = self.resources[f'aws_launch_template.agent["{host}"]']["user_data"]
        return gzip.decompress(base64.b64decode(data)).decode()

    def files(self, host: str) -> dict[str, str]:
        return {file["path"]: file["content"] for file in yaml.safe_load(self.cloud_config(host))["write_files"]}

    def environment(self, host: str) -> dict[str, str]:
        return dict(re.findall(r'^(\w+)="(.*)"$', self.files(host)["/etc/bank-cicd.env"], re.MULTILINE))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    return Rendered(tmp_path_factory.mktemp("cicd"))


@pytest.fixture(scope="module")
def configuration(rendered: Rendered) -> dict[str, Any]:
    """Both files as Jenkins puts them together."""
    folder = "/etc/jenkins/casc/"
    parts = [yaml.safe_load(text) for path, text in rendered.files("controller").items() if path.startswith(folder)]
    assert len(parts) == 2
    first, second = parts
    # Jenkins refuses to start when two files set the same.
    assert set(first) & set(second) == {"jenkins"}
    assert not set(first["jenkins"]) & set(second["jenkins"])
    return first | second | {"jenkins": first["jenkins"] | second["jenkins"]}


def pipelines() -> str:
    return "\n".join(file.read_text() for file in PIPELINES)


# --- the configuration ---


def test_the_configuration_has_only_known_keys(configuration: dict[str, Any]):
    schema = json.loads((Path(__file__).parent / "jcasc.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)

    jsonschema.validate(configuration, schema)


def test_nobody_but_a_known_user_may_do_anything(configuration: dict[str, Any]):
    entries = configuration["jenkins"]["authorizationStrategy"]["globalMatrix"]["entries"]
    rights = {next(iter(each.values()))["name"]: next(iter(each.values()))["permissions"] for each in entries}

    assert set(rights) == {"admin", "authenticated"}
    assert "Overall/Administer" not in rights["authenticated"]


def test_whoever_the_pipeline_asks_for_approval_can_log_in(configuration: dict[str, Any]):
    asked = set(re.findall(r"submitter:? '([^']+)'", pipelines()))

    assert asked
    assert asked <= {user["id"] for user in configuration["jenkins"]["securityRealm"]["local"]["users"]}


def test_labels_are_the_same_in_terraform_in_jenkins_and_in_the_pipelines(
    configuration: dict[str, Any], rendered: Rendered
):
    nodes = {node["permanent"]["name"]: node["permanent"]["labelString"] for node in configuration["jenkins"]["nodes"]}
    groups = {
        values["tag"][index]["value"]
        for address, values in rendered.resources.items()
        if address.startswith("aws_autoscaling_group.agent")
        for index in range(len(values["tag"]))
        if values["tag"][index]["key"] == "bank:node"
    }

    assert set(nodes.values()) == LABELS
    assert set(nodes) == groups
    asked_for = re.findall(r"agent \{ label (.+) \}$", pipelines(), re.MULTILINE)
    # One is chosen by branch: both of its names are between the quotes.
    named = {name for label in asked_for for name in re.findall(r"(?:^|[?:] )'([^']+)'", label)}
    assert named == LABELS
    assert {rendered.environment(host)["LABEL"] for host in sorted(LABELS)} == LABELS


def test_secrets_have_the_same_names_wherever_they_are_named(rendered: Rendered):
    text = rendered.files("controller")["/etc/jenkins/casc/jenkins.yaml"]
    read = {name: bool(default) for name, default in re.findall(r"\$\{([a-z-]+?)(:-[a-z]*)?\}", text)}
    environment = rendered.environment("controller")
    made = {
        values["name"].removeprefix("bank-cicd/")
        for address, values in rendered.resources.items()
        if address.startswith("aws_secretsmanager_secret.jenkins")
    }

    # What may be missing has a default, and nothing else has.
    assert {name for name, default in read.items() if not default} == set(environment["REQUIRED_SECRETS"].split())
    assert {name for name, default in read.items() if default} == set(environment["OPTIONAL_SECRETS"].split())
    assert made == set(read)


def test_what_is_no_secret_comes_from_the_services_environment(rendered: Rendered):
    text = rendered.files("controller")["/etc/jenkins/casc/jenkins.yaml"]
    read = set(re.findall(r"\$\{([A-Z_]+)\}", text))

    assert read
    assert read <= set(rendered.environment("controller"))


def test_credentials_that_the_pipelines_name_exist(configuration: dict[str, Any]):
    [domain] = configuration["credentials"]["system"]["domainCredentials"]
    known = {next(iter(each.values()))["id"] for each in domain["credentials"]}
    jobs = "\n".join(job["script"] for job in configuration["jobs"])
    named = set(re.findall(r"credentialsId: '([^']+)'", pipelines()))

    assert named == {"aws-access-key-id", "aws-secret-access-key"}
    assert known == named | set(re.findall(r"credentials(?:Id)?\('([^']+)'\)", jobs))


def test_jobs_run_files_that_exist(configuration: dict[str, Any]):
    paths = re.findall(r"scriptPath\('([^']+)'\)", "\n".join(job["script"] for job in configuration["jobs"]))

    assert {ROOT / path for path in paths} == set(PIPELINES)
    assert all((ROOT / path).exists() for path in paths)


def test_no_agent_takes_both_what_was_reviewed_and_what_was_not(configuration: dict[str, Any]):
    reviewed = [
        "bank/main/part of bank » main #1",
        "bank/dev/part of bank » dev #1",
        # The nightly job is main's: it looks at production, too.
        "drift/part of drift #1",
    ]
    branches = [
        f"bank/{name}/part of bank » {name} #1"
        for name in ("feature", "main%2Fmine", "mainly", "dev-2", "drift", "PR-7")
    ]
    taken = {}
    for node in (each["permanent"] for each in configuration["jenkins"]["nodes"]):
        [restriction] = node["nodeProperties"]
        pattern = restriction["jobRestrictionProperty"]["jobRestriction"]["regexNameRestriction"]["regexExpression"]
        taken[node["name"]] = [job for job in [*reviewed, *branches] if re.fullmatch(pattern, job)]
        assert not re.fullmatch(pattern, "elsewhere/main")

    # What plans the test environment has no right that drift could lose to a branch.
    plan = taken.pop("plan-1")
    assert taken == {"build-1": reviewed, "build-2": branches, "deploy-1": reviewed}
    assert plan == [reviewed[2], *branches]


# --- plugins ---


def test_plugins_are_pinned_and_sorted():
    names = [plugin.partition(":")[0] for plugin in PLUGINS]

    assert all(re.fullmatch(r"[a-z0-9-]+:[0-9][A-Za-z0-9._-]+", plugin) for plugin in PLUGINS)
    assert names == sorted(set(names))


def test_every_key_and_step_has_its_plugin(configuration: dict[str, Any]):
    installed = {plugin.partition(":")[0] for plugin in PLUGINS}
    text = yaml.safe_dump(configuration) + "\n".join(job["script"] for job in configuration["jobs"])
    used = {plugin for key, plugin in CONFIGURATION.items() if re.search(rf"\b{key}\b", text)}
    # Comments and what is between quotes are for people and for the shell.
    code = re.sub(r"//.*|'[^']*'|\"[^\"]*\"", "''", pipelines())
    steps = set(re.findall(r"(?:^|[{;])\s*([a-z]\w+)(?= *[({:]| ')", code, re.MULTILINE))

    assert len(used) > 10
    assert steps - set(STEPS) == set(), "Say in STEPS which plugin brings it."
    assert used | {plugin for step in steps if (plugin := STEPS[step])} <= installed


# --- the hosts ---


def test_scripts_are_clean():
    if not shutil.which("shellcheck"):
        not_run("infra", "no shellcheck found")

    done = subprocess.run(
        ["shellcheck", "--external-sources", f"--source-path={HOST}", *SCRIPTS],
        check=False,
        capture_output=True,
        text=True,
    )

    assert len(SCRIPTS) == 7
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("host", HOSTS)
def test_cloud_init_takes_what_a_host_is_told(host: str, rendered: Rendered, tmp_path: Path):
    if not shutil.which("cloud-init"):
        not_run("infra", "no cloud-init found")
    config = tmp_path / "user-data.yaml"
    config.write_text(rendered.cloud_config(host))

    done = subprocess.run(
        ["cloud-init", "schema", "--config-file", config], check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_units_are_what_systemd_understands(rendered: Rendered, tmp_path: Path):
    if not shutil.which("systemd-analyze"):
        not_run("infra", "no systemd-analyze found")
    stub = tmp_path / "stub"
    stub.write_text("#!/bin/sh\n")
    stub.chmod(0o755)
    # Debian's own unit is Jenkins' package's; only what is added to it is ours.
    (tmp_path / "jenkins.service").write_text(f"[Service]\nExecStart={stub}\nUser=root\n")
    units = {"jenkins.service", "jenkins-agent.service"}
    for host in ("controller", "build"):
        for path, content in rendered.files(host).items():
            if path.startswith("/etc/systemd/system/"):
                file = tmp_path / path.removeprefix("/etc/systemd/system/")
                file.parent.mkdir(exist_ok=True)
                file.write_text(
                    re.sub(r"(?<==)(\+?)/usr/(?:local/sbin|bin)/[\w-]+", rf"\g<1>{stub}", content).replace(
                        "User=jenkins", "User=root"
                    )
                )

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(tmp_path / unit for unit in units)],
        check=False,
        capture_output=True,
        text=True,
    )

    complaints = [line for line in done.stderr.splitlines() if "jenkins" in line]
    assert (done.returncode, complaints) == (0, [])


def test_groovy_reads_what_jenkins_will_run(configuration: dict[str, Any], tmp_path: Path):
    if not shutil.which("groovy"):
        not_run("infra", "no groovy found")
    sources = [MODULE / "jenkins/agents.groovy"]
    for number, job in enumerate(configuration["jobs"]):
        sources.append(tmp_path / f"job{number}.groovy")
        sources[-1].write_text(job["script"])
    # As far as the syntax: the classes are Jenkins' own.
    reader = tmp_path / "reader.groovy"
    reader.write_text(
        "import org.codehaus.groovy.control.*\n"
        "args.each { def unit = new CompilationUnit(); unit.addSource(new File(it)); unit.compile(Phases.CONVERSION) }\n"
        "println 'read ' + args.size()\n"
    )

    done = subprocess.run(
        ["groovy", reader, *sources],
        env=java(),
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.stdout == f"read {len(sources)}\n", done.stderr


def test_terraforms_checksum_is_that_of_the_version_it_stands_beside():
    body = blocks("modules/cicd", "variable")["versions"]
    version, checksum = (
        re.search(rf'{name} += optional\(string, "([^"]+)"\)', body) for name in ("terraform", "terraform_sha256")
    )
    assert version
    assert checksum
    program = shutil.which("terraform")
    if (
        not program
        or f"v{version[1]}\n"
        not in subprocess.run([program, "version"], check=True, capture_output=True, text=True).stdout
    ):
        not_run("infra", f"no terraform {version[1]} to measure")

    assert hashlib.sha256(Path(program or "").read_bytes()).hexdigest() == checksum[1]


def bash(script: str, **env: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"PATH": path, "LC_ALL": "C.UTF-8", **env},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


# `fetch` takes https alone; here a key comes from a file.
TRUST = f'. {HOST}/trust.sh; fetch() {{ cp "$1" "$2"; }}; '


def test_a_signer_is_trusted_by_fingerprint_alone(tmp_path: Path):
    home = {"GNUPGHOME": str(tmp_path / "gnupg"), "HOME": str(tmp_path)}
    (tmp_path / "gnupg").mkdir(mode=0o700)
    made = bash(
        f"gpg --batch --quiet --passphrase '' --quick-generate-key signer@example.org ed25519 sign; gpg --armor --export >{tmp_path}/key; "
        "gpg --list-keys --with-colons | awk -F: '$1 == \"fpr\" { print $10; exit }'",
        **home,
    )
    fingerprint = made.stdout.strip()
    assert len(fingerprint) == 40, made.stderr

    right = bash(f"{TRUST} trust {tmp_path}/key {fingerprint} {tmp_path}/keyring", **home)
    wrong = bash(f"{TRUST} trust {tmp_path}/key {'0' * 40} {tmp_path}/other", **home)
    nothing = bash(f"{TRUST} trust /dev/null {fingerprint} {tmp_path}/other", **home)

    assert (right.returncode, right.stderr) == (0, "")
    assert (tmp_path / "keyring").exists()
    assert wrong.returncode != 0
    assert fingerprint in wrong.stderr
    assert nothing.returncode != 0
    assert not (tmp_path / "other").exists()


def test_a_changed_program_is_refused(tmp_path: Path):
    program = tmp_path / "terraform"
    program.write_bytes(b"as it was measured")
    checksum = hashlib.sha256(program.read_bytes()).hexdigest()

    assert bash(f"{TRUST} matches {program} {checksum}").returncode == 0
    program.write_bytes(b"as somebody changed it")
    refused = bash(f"{TRUST} matches {program} {checksum}")
    assert refused.returncode != 0
    assert "not what was expected" in refused.stderr


def test_software_comes_by_tls_alone():
    refused = bash(f". {HOST}/trust.sh; fetch http://127.0.0.1:9/ /dev/null")

    assert refused.returncode != 0
    assert "Protocol" in refused.stderr


# --- secrets, with the real AWS CLI against moto ---


@pytest.fixture
def aws() -> Iterator[dict[str, str]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # What another test of this process left there.
    urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"").close()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "*",
            "PREFIX": "bank-cicd",
            "OWNER": f"{os.getuid()}:{os.getgid()}",
        }
    finally:
        server.stop()


def store(aws: dict[str, str]) -> Any:
    return boto3.client(
        "secretsmanager",
        endpoint_url=aws["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


def test_secrets_lie_in_files_for_jenkins_alone(aws: dict[str, str], tmp_path: Path):
    secrets = store(aws)
    secrets.create_secret(Name="bank-cicd/admin-password", SecretString="a long one")
    secrets.create_secret(Name="bank-cicd/git-password")
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "git-password").write_text("of another time")

    done = bash(
        str(HOST / "fetch-secrets"),
        SECRETS=str(folder),
        REQUIRED_SECRETS="admin-password",
        OPTIONAL_SECRETS="git-password",
        **aws,
    )

    assert done.returncode == 0, done.stderr
    assert {file.name: file.read_text() for file in folder.iterdir()} == {"admin-password": "a long one\n"}
    assert (folder / "admin-password").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert "a long one" not in done.stdout + done.stderr


def test_jenkins_does_not_start_without_a_secret_that_it_needs(aws: dict[str, str], tmp_path: Path):
    done = bash(
        str(HOST / "fetch-secrets"),
        SECRETS=str(tmp_path),
        REQUIRED_SECRETS="admin-password",
        OPTIONAL_SECRETS="",
        **aws,
    )

    assert done.returncode == 1
    assert "bank-cicd/admin-password" in done.stderr


def test_agents_keys_are_published_when_they_are_new_and_left_when_they_are_not(aws: dict[str, str], tmp_path: Path):
    secrets = store(aws)
    secrets.create_secret(Name="bank-cicd/agent-build-1")
    for expected in ("was published", ""):
        (tmp_path / "build-1").write_text("0123456789abcdef")
        done = bash(str(HOST / "publish-agent-keys"), AGENT_KEYS=str(tmp_path), **aws)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout
        assert bool(expected) == bool(done.stdout)
        assert "0123456789abcdef" not in done.stdout + done.stderr
        assert list(tmp_path.iterdir()) == []

    assert secrets.get_secret_value(SecretId="bank-cicd/agent-build-1")["SecretString"] == "0123456789abcdef"
    [version] = secrets.list_secret_version_ids(SecretId="bank-cicd/agent-build-1")["Versions"]
    assert version["VersionStages"] == ["AWSCURRENT"]
