"""What a server is told at its start: cloud-init takes it, systemd and the shell find no fault, and it does what it says."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
import yaml

from bank import gunicorn_conf
from bank.settings import Settings
from tests.gunicorn_server import answers
from tests.infra.machine import Amazon, Machine, amazon, aws_environment, network_of_its_own, require, trust_store
from tests.infra.rendering import MOST_BYTES, REGION, Rendering, files
from tests.infra.terraform import INFRA
from tests.infra.test_package import Packed, packed  # noqa: F401  # a fixture
from tests.servers import (
    MIGRATOR_ROLE,
    MariaDBServer,
    NotInstalled,
    PostgresServer,
    Server,
    free_port,
    leash,
    not_run,
    wait_for,
)
from tests.storage.test_tls import Authority

MODULE = INFRA / "modules/app"
SCRIPTS = sorted((MODULE / "server/usr/local/lib/bank").iterdir())
ROLES = ("app", "job")
ENGINES = {"postgresql": "postgres", "mysql": "mysql"}
EXPOSURE = {"bank": 2.0, "bank-metrics": 2.0, "bank-payments-due": 2.0, "bank-expire-holds": 2.0, "bank-verify": 2.0}
OTHERS_EXPOSURE = 6.5
MADE_BY_MODULE = {
    "BANK_ENV",
    "DATABASE_URL",
    "DATABASE_REPLICA_URL",
    "DATABASE_LOGIN_FILE",
    "PROXY_HOPS",
    "DRAIN_SECONDS",
    "PROMETHEUS_MULTIPROC_DIR",
}
SECRET = {"SECRET_KEY", "IDENTITY_KEYS"}
KEYS = {"SECRET_KEY": "0123456789abcdef" * 3, "IDENTITY_KEYS": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU="}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def rendering(tmp_path_factory: pytest.TempPathFactory) -> Rendering:
    return Rendering(tmp_path_factory.mktemp("rendering"))


@pytest.fixture(scope="module")
def configs(rendering: Rendering) -> dict[str, str]:
    """The cloud-config of each kind of server."""
    return {role: rendering.cloud_config(role) for role in ROLES}


def program(name: str, package: str) -> str:
    return shutil.which(name) or not_run("server", f"no {name} found; install {package}")


# What can be said without starting anything


@pytest.mark.parametrize("role", ROLES)
def test_cloud_init_takes_it(role: str, configs: dict[str, str], tmp_path: Path):
    config = tmp_path / "config.yaml"
    config.write_text(configs[role])

    done = subprocess.run(
        [program("cloud-init", "cloud-init"), "schema", "--config-file", config],
        check=False, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "deprecat" not in (done.stdout + done.stderr).lower().replace("schema deprecations: \n", "")


@pytest.mark.parametrize("role", ROLES)
def test_it_is_within_what_aws_takes(role: str, rendering: Rendering):
    assert len(rendering.user_data(role)) < MOST_BYTES * 3 / 4


@pytest.mark.parametrize(("begins", "engine"), ENGINES.items())
def test_the_bank_takes_the_settings_once_it_has_keys_and_a_login(
    begins: str, engine: str, rendering: Rendering, tmp_path: Path
):
    name = 'The "Bank" of $x & `y` \\ Sons'
    config = rendering.cloud_config(
        "app",
        settings={"BANK_NAME": name, "BUSINESS_TIMEZONE": "America/New_York", "LIMIT_PER_DAY": "20000"},
        database={"engine": engine, "address": "bank.example.rds.amazonaws.com", "port": 1234},
    )
    script = 'set -a; . "$1"; exec "$2" -c "import json, os; print(json.dumps(dict(os.environ)))"'
    file = tmp_path / "bank.env"
    file.write_text(files(config)["/etc/bank/bank.env"][0])
    read = subprocess.run(
        ["bash", "-euc", script, "_", file, sys.executable], env={}, check=True, capture_output=True, text=True
    )

    settings = Settings.from_env({**json.loads(read.stdout), **KEYS})

    assert settings.production
    assert settings.bank_name == name
    assert settings.proxy_hops == 1
    assert settings.database_login_file == "/run/bank/login.json"
    assert settings.database_url.startswith(begins)


def test_a_setting_is_given_by_whoever_may_or_made_by_the_module_or_secret():
    [allowed] = re.findall(
        r"setsubtract\(keys\(var\.settings\), \[(.*?)\]\)", (MODULE / "variables.tf").read_text(), re.DOTALL
    )
    given = set(re.findall(r'"([A-Z_]+)"', allowed))

    assert given | MADE_BY_MODULE | SECRET == set(Settings.from_env({}).shown())
    assert not given & (MADE_BY_MODULE | SECRET)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_shell_finds_no_fault(script: Path):
    done = subprocess.run(
        [program("shellcheck", "shellcheck"), script],
        check=False, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout
    assert re.search(r"^set -euo pipefail$", script.read_text(), re.MULTILINE)


def test_each_server_enables_units_that_it_has(configs: dict[str, str]):
    for config in configs.values():
        named = {
            word
            for command in yaml.safe_load(config)["runcmd"]
            for word in command
            if re.search(r"\.(service|timer)$", word)
        }
        assert named
        # logrotate brings its own.
        assert named - {"logrotate.timer"} <= {Path(path).name for path in files(config)}


def number(pattern: str, text: str) -> int:
    """The one number that the pattern finds."""
    [found] = re.findall(pattern, text)
    return int(found)


def test_a_server_that_ends_has_time_for_each_step(configs: dict[str, str]):
    written = files(configs["app"])
    drains = number(r'(?m)^DRAIN_SECONDS="(\d+)"$', written["/etc/bank/bank.env"][0])
    stops = number(r"(?m)^TimeoutStopSec=(\d+)$", written["/etc/systemd/system/bank.service"][0])
    hook = (MODULE / "app.tf").read_text().split('"drain" {')[1]
    check = (INFRA / "modules/alb/alb.tf").read_text().split("health_check {")[1].split("}")[0]
    noticed = number(r"interval\s+= (\d+)", check) * number(r"unhealthy_threshold = (\d+)", check)

    # An answer of 503 needs no time; a check that began just before draining may take its own.
    assert drains >= noticed + number(r"timeout\s+= (\d+)", check)
    # 60 is the most that DRAIN_SECONDS may be.
    assert stops > 60 + gunicorn_conf.graceful_timeout
    assert number(r"^[^}]*heartbeat_timeout\s+= (\d+)", hook) > 5 + stops + 60


def test_a_server_has_nothing_of_a_job(configs: dict[str, str]):
    assert not [path for path in files(configs["app"]) if "job" in path]
    assert "owner" not in configs["app"].replace("--no-same-owner", "")


def test_metrics_are_read_from_the_loopback_alone(configs: dict[str, str]):
    written = files(configs["app"])
    [scraped] = yaml.safe_load(written["/etc/bank/prometheus.yaml"][0])["scrape_configs"]
    agent = json.loads(written["/etc/bank/agent.json"][0])["logs"]["metrics_collected"]["prometheus"]

    [target] = scraped["static_configs"]
    assert target == {"targets": ["127.0.0.1:9100"], "labels": {"bank": f"bank-test-{REGION}"}}
    assert f"--listen {target['targets'][0]}" in written["/etc/systemd/system/bank-metrics.service"][0]
    assert agent["prometheus_config_path"] in written
    assert agent["emf_processor"]["metric_namespace"] == "Bank"


def test_the_agent_reads_the_file_that_the_bank_writes(configs: dict[str, str]):
    written = files(configs["app"])
    [log] = json.loads(written["/etc/bank/agent.json"][0])["logs"]["logs_collected"]["files"]["collect_list"]

    assert f"StandardError=append:{log['file_path']}\n" in written["/etc/systemd/system/bank.service"][0]
    assert written["/etc/logrotate.d/bank"][0].count(f"{log['file_path']} {{") == 1
    assert log["log_group_name"] == f"/bank-test-{REGION}/app"
    assert ["systemctl", "enable", "--now", "--no-block", "logrotate.timer"] in yaml.safe_load(configs["app"])["runcmd"]
    # systemd would make the file root's alone, since the bank has a UMask of 0077.
    made = ["install", "-m", "0640", "-g", "cwagent", "/dev/null", log["file_path"]]
    commands = yaml.safe_load(configs["app"])["runcmd"]
    assert commands.index(made) < next(place for place, command in enumerate(commands) if "bank.service" in command)


def test_a_jobs_server_ends_whatever_becomes_of_the_job_and_no_sooner(configs: dict[str, str]):
    [[command, *rest]] = yaml.safe_load(configs["job"])["bootcmd"]

    # `shutdown +120` ends a server at once while logind does not run yet, as is so when cloud-init begins.
    assert (command, rest) == ("systemd-run", ["--no-block", "--on-active=2h", "systemctl", "poweroff"])
    options = subprocess.run([command, *rest[:2], "--version"], check=False, capture_output=True, text=True)
    assert options.returncode == 0, options.stderr


def test_what_a_job_says_outlives_its_server(configs: dict[str, str]):
    assert "\nStandardOutput=journal+console\n" in files(configs["job"])["/etc/systemd/system/bank-job.service"][0]


# What a server does


class Estate(NamedTuple):
    """What a server finds around itself: the release in the bucket, secrets without values, and Amazon's own services."""

    endpoint: str
    release: dict[str, str]
    amazon: Amazon
    environment: dict[str, str]
    arns: dict[str, str]

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def secret(self, name: str) -> dict[str, str]:
        value: dict[str, str] = json.loads(
            self.client("secretsmanager").get_secret_value(SecretId=self.arns[name])["SecretString"]
        )
        return value

    def put(self, name: str, value: object) -> None:
        self.client("secretsmanager").put_secret_value(SecretId=self.arns[name], SecretString=json.dumps(value))


@contextmanager
def moto() -> Iterator[str]:
    """An AWS of the test's own; it forgets all of it."""
    port = free_port()
    command = [Path(sys.executable).parent / "moto_server", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    held = leash(process.pid, signal.SIGTERM, Path("/nonexistent"))
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/moto-api/"), "moto to answer")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
        held.communicate(b"let go\n")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "rds")


@pytest.fixture(scope="module")
def alone() -> Iterator[None]:
    """No network but this machine's own, and that one private."""
    require()
    with network_of_its_own():
        yield


@pytest.fixture
def estate(packed: Packed, alone: None, authority: Authority, tmp_path: Path) -> Iterator[Estate]:  # noqa: F811
    with moto() as endpoint, amazon() as services, trust_store(tmp_path, authority.file.read_bytes()) as site:
        environment = {**aws_environment(endpoint), "CURL_CA_BUNDLE": str(site)}
        estate = Estate(endpoint, packed.release, services, environment, {})
        bucket = estate.client("s3")
        bucket.create_bucket(Bucket="bank-test-artifacts")
        commit = packed.release["commit"]
        bucket.upload_file(str(packed.archive), "bank-test-artifacts", f"releases/{commit}/bank-{commit}.tar.gz")
        for name in ("owner", "login", "keys"):
            made = estate.client("secretsmanager").create_secret(Name=f"bank-test/{name}")
            estate.arns[name] = made["ARN"]
        yield estate


MakeMachine = Callable[..., Machine]


@pytest.fixture
def machine(estate: Estate, rendering: Rendering, tmp_path: Path) -> Iterator[MakeMachine]:
    """Start a server of a role: `machine("app", database=…)`."""
    with ExitStack() as running:

        def start(role: str, **changed: Any) -> Machine:
            values = {"release": estate.release, "secrets": estate.arns, **changed}
            directory = tmp_path / f"{role}-{len(list(tmp_path.iterdir()))}"
            directory.mkdir()
            return running.enter_context(Machine(directory, rendering.cloud_config(role, **values), estate.environment))

        yield start


def test_systemd_takes_every_unit(machine: MakeMachine):
    for server in (machine("app"), machine("job")):
        for program in ("bank", "gunicorn"):
            server.write(f"/opt/bank/current/bin/{program}", "#!/bin/sh\n", 0o755)
        units = [path for path in server.files if re.fullmatch(r"/etc/systemd/system/[^/]+", path)]

        done = server.run("systemd-analyze", "verify", "--man=no", *units, check=False)

        ours = [line for line in done.stderr.splitlines() if "bank" in line]
        assert units
        assert (done.returncode, ours) == (0, [])


def test_every_unit_is_denied_what_it_does_not_need(machine: MakeMachine):
    for server in (machine("app"), machine("job")):
        services = [
            Path(path).stem for path in server.files if re.fullmatch(r"/etc/systemd/system/[^/]+\.service", path)
        ]
        assert services
        for service in services:
            done = server.run("systemd-analyze", "security", "--offline=true", "--no-pager", f"{service}.service")
            [exposure] = re.findall(r"exposure level for \S+: ([\d.]+)", done.stdout)
            assert float(exposure) < EXPOSURE.get(service, OTHERS_EXPOSURE), f"{service} {exposure}"


def test_a_release_is_installed_once_and_is_what_it_says(machine: MakeMachine, estate: Estate):
    server = machine("app")
    commit = estate.release["commit"]

    first = server.start("bank-release.service")
    assert first.returncode == 0, first.stderr
    assert server.run("readlink", "/opt/bank/current").stdout.strip() == f"/opt/bank/releases/{commit}/venv"
    assert f"0.1.0+g{commit[:12]}" in server.run("/opt/bank/current/bin/bank", "--version").stdout
    assert server.run("find", "/opt/bank", "-maxdepth", "1", "-name", ".*").stdout == ""

    estate.client("s3").delete_object(Bucket="bank-test-artifacts", Key=f"releases/{commit}/bank-{commit}.tar.gz")
    again = server.start("bank-release.service")
    assert again.returncode == 0, again.stderr


def test_an_archive_with_another_digest_is_refused(machine: MakeMachine, estate: Estate):
    server = machine("app", release={**estate.release, "sha256": "f" * 64})

    done = server.start("bank-release.service")

    assert done.returncode != 0
    assert "is not the one whose digest" in done.stderr
    assert not server.exists("/opt/bank/current")
    assert server.run("ls", "-A", "/opt/bank/releases").stdout == ""


def test_an_installation_that_was_cut_off_is_made_anew(machine: MakeMachine, estate: Estate):
    server = machine("app")
    half = f"/opt/bank/releases/{estate.release['commit']}/venv/bin"
    server.write(f"{half}/bank", "#!/bin/sh\necho half a bank\n", 0o755)

    done = server.start("bank-release.service")

    assert done.returncode == 0, done.stderr
    assert "half" not in server.run("/opt/bank/current/bin/bank", "--version").stdout


def test_the_databases_authorities_are_fetched(machine: MakeMachine, authority: Authority):
    server = machine("app")

    done = server.start("bank-release.service", nth=1)

    assert done.returncode == 0, done.stderr
    assert server.read("/etc/bank/rds.pem") == authority.file.read_text()
    assert server.stat("/etc/bank/rds.pem") == "root:root 644"


def test_a_stranger_in_the_place_of_the_authorities_is_refused(machine: MakeMachine):
    server = machine("app")

    done = server.start("bank-release.service", nth=1, CURL_CA_BUNDLE="/etc/ssl/certs/ca-certificates.crt")

    assert done.returncode != 0
    assert not server.exists("/etc/bank/rds.pem")


def test_secrets_are_fetched_for_the_bank_alone_and_kept_when_amazon_is_away(machine: MakeMachine, estate: Estate):
    server = machine("app")
    assert server.start("bank-secrets.service").returncode != 0
    assert server.run("ls", "-A", "/run/bank").stdout == ""

    estate.put("login", {"username": "bank_app_a", "password": "first"})
    estate.put("keys", KEYS)
    done = server.start("bank-secrets.service")
    assert done.returncode == 0, done.stderr
    assert json.loads(server.read("/run/bank/login.json")) == {"username": "bank_app_a", "password": "first"}
    assert server.read("/run/bank/keys.env") == "".join(f"{name}={value}\n" for name, value in KEYS.items())
    assert {server.stat(f"/run/bank/{file}") for file in ("login.json", "keys.env")} == {"root:bank 440"}
    assert server.stat("/run/bank") == "root:bank 750"

    away = server.start("bank-secrets.service", AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}")
    assert away.returncode != 0
    assert json.loads(server.read("/run/bank/login.json"))["password"] == "first"

    estate.put("login", {"username": "bank_app_b", "password": "second"})
    assert server.start("bank-secrets.service").returncode == 0
    assert json.loads(server.read("/run/bank/login.json")) == {"username": "bank_app_b", "password": "second"}
    assert sorted(server.run("ls", "-A", "/run/bank").stdout.split()) == ["keys.env", "login.json"]

    moved = {"username": "bank_app_b", "password": "second", "host": "db.example", "port": 5432, "term": 2}
    estate.put("login", {**moved, "more": "for nobody"})
    assert server.start("bank-secrets.service").returncode == 0
    assert json.loads(server.read("/run/bank/login.json")) == moved


@pytest.mark.parametrize(
    "login",
    [
        {"username": "bank_app_a"},
        {"username": "", "password": "x"},
        ["bank_app_a"],
        "text",
        {"username": "bank_app_a", "password": "x", "host": ""},
        {"username": "bank_app_a", "password": "x", "host": "db.example", "port": "5432"},
    ],
)
def test_half_a_login_replaces_none(login: object, machine: MakeMachine, estate: Estate):
    server = machine("app")
    estate.put("login", {"username": "bank_app_a", "password": "whole"})
    estate.put("keys", KEYS)
    assert server.start("bank-secrets.service").returncode == 0

    estate.put("login", login)

    assert server.start("bank-secrets.service").returncode != 0
    assert json.loads(server.read("/run/bank/login.json"))["password"] == "whole"


def status(path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:8000{path}", timeout=20) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_the_bank_opens_while_the_database_is_away(machine: MakeMachine, estate: Estate):
    server = machine("app", database={"engine": "postgres", "address": "127.0.0.1", "port": free_port()})
    estate.put("login", {"username": "bank_app_a", "password": "first"})
    estate.put("keys", KEYS)
    for unit, nth in (("bank-release.service", 0), ("bank-release.service", 1), ("bank-secrets.service", 0)):
        done = server.start(unit, nth)
        assert done.returncode == 0, done.stderr

    with server.started("bank.service", lambda: status("/healthz") == 200):
        assert status("/readyz") == 503


class Database(NamedTuple):
    """A database server that speaks TLS, and what a region's servers are told of it."""

    server: Server
    owner: dict[str, str]

    @property
    def told(self) -> dict[str, object]:
        return {"engine": ENGINES[self.server.dialect], "address": "127.0.0.1", "port": self.server.port}


@pytest.fixture(params=ENGINES)
def database(
    request: pytest.FixtureRequest, alone: None, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    kind = {"postgresql": PostgresServer, "mysql": MariaDBServer}[request.param]
    certificate = authority.issue(tmp_path_factory.mktemp("database"))
    try:
        server = kind(tcp=True, tls=certificate)
    except NotInstalled as missing:
        not_run(request.param, str(missing))
    with server:
        server.create_database("bank")
        with server.admin() as cursor:
            # As the owner of a database on RDS may.
            cursor.execute(
                f"ALTER ROLE {MIGRATOR_ROLE} CREATEROLE"
                if request.param == "postgresql"
                else f"GRANT CREATE USER ON *.* TO {MIGRATOR_ROLE}@'%'"
            )
        yield Database(server, {"username": MIGRATOR_ROLE, "password": server.passwords[MIGRATOR_ROLE]})


#: What a login says beside who logs in.
PLACE = ("host", "port", "term")


def result(estate: Estate, job_id: str) -> dict[str, str]:
    found = estate.client("ssm").get_parameter(Name=f"/bank-test-{REGION}/jobs/{job_id}")["Parameter"]
    value: dict[str, str] = json.loads(found["Value"])
    return value


def do(job: str, job_id: str, server: Machine, estate: Estate) -> dict[str, str]:
    """Do a job; answers how it says that it ended."""
    estate.amazon.metadata |= {"tags/instance/bank:job": job, "tags/instance/bank:job-id": job_id}
    done = server.start("bank-job.service")
    said = result(estate, job_id)
    assert said["status"] == ("failed" if done.returncode else "succeeded"), done.stderr
    secrets = [estate.secret(name) for name in ("owner", "login", "keys")] if said["status"] == "succeeded" else []
    for value in (value for secret in secrets for name, value in secret.items() if name not in ("username", *PLACE)):
        assert value not in done.stdout + done.stderr + said["message"]
    assert not server.exists("/run/bank/job")
    return said


def test_jobs_make_the_schema_and_rotate_the_login_while_the_bank_serves(
    machine: MakeMachine, estate: Estate, database: Database
):
    estate.put("owner", database.owner)
    job = machine("job", database=database.told)

    first = do("migrate", "first", job, estate)
    assert first.pop("message").startswith("The schema is at ")
    assert first == {"job": "migrate", "id": "first", "release": estate.release["commit"], "status": "succeeded"}
    made = {name: estate.secret(name) for name in ("login", "keys")}
    assert made["login"]["username"] == "bank_app_a"
    assert set(made["keys"]) == SECRET

    server = machine("app", database=database.told)
    for unit, nth in (("bank-release.service", 0), ("bank-release.service", 1), ("bank-secrets.service", 0)):
        done = server.start(unit, nth)
        assert done.returncode == 0, done.stderr
    with server.started("bank.service", lambda: status("/readyz") == 200):
        ready = server.start("bank-ready.service")
        assert ready.returncode == 0, ready.stderr
        [completed] = estate.amazon.completed
        assert (completed["LifecycleHookName"], completed["InstanceId"]) == ("ready", "i-0123456789abcdef0")
        assert (completed["AutoScalingGroupName"], completed["LifecycleActionResult"]) == (
            f"bank-test-{REGION}", "CONTINUE",
        )  # fmt: skip

        assert do("migrate", "second", job, estate)["status"] == "succeeded"
        assert {name: estate.secret(name) for name in ("login", "keys")} == made

        assert do("rotate-login", "third", job, estate)["status"] == "succeeded"
        assert estate.secret("login")["username"] == "bank_app_b"
        assert estate.secret("keys") == made["keys"]
        assert status("/readyz") == 200
        assert server.start("bank-secrets.service").returncode == 0
        assert status("/writable") == 200

        # As after a promotion: jobs and servers follow, and a rotation forgets nothing.
        place = {"host": database.told["address"], "port": database.told["port"], "term": 0}
        estate.put("login", {**estate.secret("login"), **place})
        assert do("rotate-login", "fourth", job, estate)["status"] == "succeeded"
        turned = estate.secret("login")
        assert (turned.pop("username"), len(turned.pop("password")), turned) == ("bank_app_a", 43, place)
        estate.put("login", {**estate.secret("login"), "term": 1})
        assert "has term 0" in do("migrate", "fifth", job, estate)["message"]
        estate.put("login", {**estate.secret("login"), **place})
        assert server.start("bank-secrets.service").returncode == 0
        assert status("/writable") == 200

    for task in ("bank-payments-due", "bank-expire-holds", "bank-verify"):
        done = server.start(f"{task}.service")
        assert done.returncode == 0, f"{task}: {done.stdout}{done.stderr}"


def test_a_job_that_fails_says_so(machine: MakeMachine, estate: Estate):
    server = machine("job", database={"engine": "postgres", "address": "127.0.0.1", "port": free_port()})

    assert do("migrate", "no-owner", server, estate)["message"] == (
        "The owner's secret is empty: apply the estate first."
    )
    estate.put("owner", {"username": "bank_owner", "password": "unused"})
    assert "database" in do("migrate", "away", server, estate)["message"]
    assert do("rotate-login", "too-soon", server, estate)["message"].startswith("There is no login yet")
    assert do("drop-everything", "unknown", server, estate)["message"] == 'There is no job "drop-everything".'


def test_a_job_whose_tags_name_no_place_for_its_result_does_nothing(machine: MakeMachine, estate: Estate):
    server = machine("job")
    estate.amazon.metadata |= {"tags/instance/bank:job": "migrate", "tags/instance/bank:job-id": "../../x"}

    done = server.start("bank-job.service")

    assert done.returncode != 0
    assert not server.exists("/opt/bank/current")


def test_keys_that_another_job_made_meanwhile_are_not_written_over(machine: MakeMachine, estate: Estate):
    server = machine("job")
    estate.client("secretsmanager").put_secret_value(
        SecretId=estate.arns["keys"],
        SecretString=json.dumps(KEYS),
        ClientRequestToken="00000000-0000-4000-8000-000000000001",
    )
    # As do-job puts them when it found none.
    server.write("/run/bank/other", json.dumps({"SECRET_KEY": "other", "IDENTITY_KEYS": "other"}))
    [put] = re.findall(r"^put\(\) \{.*?^\}$", server.read("/usr/local/lib/bank/do-job"), re.MULTILINE | re.DOTALL)
    [first] = re.findall(
        r"^put_first\(\) \{.*?^\}$", server.read("/usr/local/lib/bank/do-job"), re.MULTILINE | re.DOTALL
    )

    done = server.run(
        "bash", "-euc", f'{put}\n{first}\nput_first "$1" /run/bank/other', "_", estate.arns["keys"],
        check=False, AWS_DEFAULT_REGION=REGION, SECRETS_HOME_REGION=REGION,
    )  # fmt: skip

    assert done.returncode != 0
    assert "ResourceExistsException" in done.stderr
    assert estate.secret("keys") == KEYS


def test_a_server_that_is_to_end_stops_the_bank_and_says_so(machine: MakeMachine, estate: Estate):
    server = machine("app")
    estate.amazon.metadata["autoscaling/target-lifecycle-state"] = "Terminated"

    done = server.start("bank-drain.service")

    assert done.returncode == 0, done.stderr
    assert server.read("/run/systemctl.log").splitlines() == [
        "stop bank-*.timer",
        "stop bank.service bank-metrics.service",
    ]
    assert [completed["LifecycleHookName"] for completed in estate.amazon.completed] == ["drain"]


def test_a_server_that_was_started_again_need_not_be_waited_for(machine: MakeMachine, estate: Estate):
    server = machine("app")
    estate.amazon.waits = False

    done = server.run(
        "/usr/local/lib/bank/complete-hook", "ready", check=False, GROUP="bank", AWS_DEFAULT_REGION=REGION
    )

    assert done.returncode == 75
