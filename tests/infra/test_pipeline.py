"""The Jenkinsfile, run against a recording of Jenkins' words: what happens on which agent and branch, in which order.

Neither Jenkins nor a plugin takes part: its sandbox, its suspended scripts and the masking of its log are not shown here.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.servers import not_run

ROOT = Path(__file__).parents[2]
JENKINSFILE = (ROOT / "Jenkinsfile").read_text()
DRIFT = (ROOT / "infra/Jenkinsfile.drift").read_text()
TIMEOUT_SECONDS = 90

Event = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    branch: str
    credentials: str = "store"
    failing: tuple[str, ...] = ()
    text: str = field(default=JENKINSFILE, repr=False)


SCENARIOS = {
    "main": Scenario("main"),
    "main with the agent's role": Scenario("main", "instance-role"),
    "dev": Scenario("dev"),
    "dev with the agent's role": Scenario("dev", "instance-role"),
    "feature": Scenario("feature/main"),
    "pull request": Scenario("PR-7"),
    "turned down": Scenario("main", failing=("^input$",)),
    **{
        f"{what} fails": Scenario("main", failing=(rf"^make {what}\b",))
        for what in ("lint", "test-storage DIALECT=mysql", "test$", "test-pages", "package", "test-infra", "plan")
    },
    "apply fails": Scenario("main", failing=("^make apply",)),
    "migrate fails": Scenario("main", failing=("^make migrate",)),
    "secondary does not roll out": Scenario("main", failing=("^make roll-out .*secondary",)),
    "secondary smokes": Scenario("main", failing=("^make smoke .*secondary",)),
    "primary does not roll out": Scenario("dev", failing=("^make roll-out .*primary",)),
    "primary smokes": Scenario("main", failing=("^make smoke .*primary",)),
    "roll-back fails too": Scenario("main", failing=("^make smoke .*primary", "^make roll-back")),
    "drift": Scenario("main", text=DRIFT),
    "drift of test": Scenario("main", failing=("^make drift ENV=test",), text=DRIFT),
}


# --- What must hold on every run --------------------------------------------------------------------


def check(name: str, scenario: Scenario, events: list[Event]) -> None:
    """Everything that holds whatever happens; a planted mistake has to break it."""
    assert not [event for event in events if event["event"] == "broken"], f"{name}: {events[-1]}"
    assert events[0]["agent_at_top"] == ["none"]
    delivers = scenario.branch in ("main", "dev")
    environment = "production" if scenario.branch == "main" else "test"
    _rights_stay_with_their_labels(events, reviewed=delivers)
    _people_wait_without_an_agent(events)
    if not delivers:
        assert not {"apply", "upload", "migrate", "roll-out", "roll-back"} & set(targets(events))
        assert not kinds(events, "input")
    if "apply" in targets(events):
        _what_was_looked_at_is_applied(scenario, events, environment)
    _secrets_are_in_no_argument(scenario, events)
    _nothing_secret_is_archived(events)


def _rights_stay_with_their_labels(events: list[Event], *, reviewed: bool) -> None:
    # What is going to be applied is planned where no branch's code ever ran; production is nowhere else looked at.
    allowed = {"plan": "deploy" if reviewed else "plan"} | dict.fromkeys(
        ("apply", "upload", "migrate", "roll-out", "smoke", "roll-back"), "deploy"
    )
    for event in kinds(events, "sh"):
        if target(event) == "drift":
            allowed["drift"] = "deploy" if event["expanded"].endswith("ENV=production") else "plan"
        assert event["agent"] == allowed.get(target(event), event["agent"]), event
        # Nothing runs beside these on an agent with rights at AWS.
        if event["agent"] in ("plan", "deploy"):
            assert target(event) in allowed, event
        else:
            assert event["agent"] == "build", event
            assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} & set(event["variables"]), event


def _people_wait_without_an_agent(events: list[Event]) -> None:
    for asked in kinds(events, "input"):
        assert asked["agent"] is None
        assert asked["submitter"] == "release-checkers"


def _what_was_looked_at_is_applied(scenario: Scenario, events: list[Event], environment: str) -> None:
    plan, apply = (first(events, f"make {what} ENV={environment}") for what in ("plan", "apply"))
    tests = [
        index for index, event in enumerate(events) if target(event) in ("lint", "test", "test-storage", "test-infra")
    ]
    assert max(tests) < plan < apply
    assert events[apply]["expanded"] == f"make apply ENV={environment} PLAN={environment}.tfplan"
    assert "PLAN_SHA256" in events[apply]["variables"]
    # The stub of `make apply` fails unless the plan is here and has the digest that was read when it was made.
    assert [event["name"] for event in events[plan:apply] if event["event"] == "unstash"] == ["plan"]
    if scenario.branch == "main":
        [asked] = (index for index, event in enumerate(events) if event["event"] == "input")
        assert plan < asked < apply
        assert "sha256 of plan 1 of production" in events[asked]["message"]
        assert "Plan: 1 to change." in events[asked]["message"]
    else:
        assert not kinds(events, "input")


def _secrets_are_in_no_argument(scenario: Scenario, events: list[Event]) -> None:
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} & set(events[0]["environment"])
    asked_for = {id_ for event in kinds(events, "credentials") for id_ in event["ids"]}
    if scenario.credentials == "instance-role":
        assert not asked_for
    else:
        assert asked_for <= {"aws-access-key-id", "aws-secret-access-key"}
    for event in kinds(events, "sh"):
        assert "SECRET" not in event["expanded"], event
        assert not re.search(r"\$\{?(AWS|TF_VAR)_", event["command"]), event
        at_aws = target(event) in ("plan", "apply", "upload", "migrate", "roll-out", "smoke", "roll-back", "drift")
        assert ("AWS_ACCESS_KEY_ID" in event["variables"]) == (at_aws and scenario.credentials == "store"), event


def _nothing_secret_is_archived(events: list[Event]) -> None:
    for event in kinds(events, "archive"):
        assert not [file for file in event["files"] if file.endswith((".tfplan", ".tfstate"))]


# --- What each run is for ---------------------------------------------------------------------------

PIPELINE = [
    *("lint", "test-storage", "test-storage", "test-storage", "test", "test-pages", "package", "test-infra", "plan"),
    *("apply", "upload", "migrate", "roll-out", "smoke", "roll-out", "smoke"),
]


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[Event]]:
    """What happened in every scenario."""
    return run(SCENARIOS)


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_run_keeps_the_rules(recorded: dict[str, list[Event]], name: str) -> None:
    check(name, SCENARIOS[name], recorded[name])


@pytest.mark.parametrize("name", ["main", "main with the agent's role", "dev", "dev with the agent's role"])
def test_main_and_dev_go_all_the_way_in_this_order(recorded: dict[str, list[Event]], name: str) -> None:
    events = recorded[name]
    assert targets(events) == PIPELINE
    environment = "production" if name.startswith("main") else "test"
    assert {found[1] for event in kinds(events, "sh") if (found := re.search(r"ENV=(\w+)", event["expanded"]))} == {
        environment
    }
    assert bool(kinds(events, "input")) == name.startswith("main")
    assert not events[-1]["failed"]


@pytest.mark.parametrize("name", ["feature", "pull request"])
def test_other_branches_stop_after_a_plan_for_test(recorded: dict[str, list[Event]], name: str) -> None:
    events = recorded[name]
    assert targets(events) == PIPELINE[: PIPELINE.index("plan") + 1]
    assert "make plan ENV=test" in [event["expanded"] for event in kinds(events, "sh")]
    assert "deploy" not in {event["label"] for event in kinds(events, "agent")}
    assert not events[-1]["failed"]


def test_the_databases_are_tested_one_by_one_and_reported(recorded: dict[str, list[Event]]) -> None:
    reports = [file for event in kinds(recorded["feature"], "junit") for file in event["files"]]
    databases = [f"build/junit/storage-{dialect}.xml" for dialect in ("sqlite", "postgresql", "mysql")]
    assert reports == [*databases, "build/junit/tests.xml", *(f"build/junit/{name}.xml" for name in ("pages", "infra"))]


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name.endswith(" fails")])
def test_nothing_is_deployed_after_a_failure(recorded: dict[str, list[Event]], name: str) -> None:
    events = recorded[name]
    assert events[-1]["failed"]
    # The others of a matrix may end; what comes after it does not begin.
    failed = min(index for index, event in enumerate(events) if event["event"] == "failed")
    after = set(targets(events[failed + 1 :]))
    assert after <= {"test-storage", "test-pages"}
    assert not {"roll-out", "roll-back"} & set(targets(events))


def test_who_says_no_stops_it(recorded: dict[str, list[Event]]) -> None:
    events = recorded["turned down"]
    assert targets(events) == PIPELINE[: PIPELINE.index("plan") + 1]
    assert events[-1]["failed"]


@pytest.mark.parametrize(
    ("name", "done"),
    [
        ("secondary does not roll out", ["roll-out"]),
        ("secondary smokes", ["roll-out", "smoke"]),
        ("primary does not roll out", ["roll-out", "smoke", "roll-out"]),
        ("primary smokes", ["roll-out", "smoke", "roll-out", "smoke"]),
        ("roll-back fails too", ["roll-out", "smoke", "roll-out", "smoke"]),
    ],
)
def test_it_goes_back_by_itself_in_every_region_that_was_rolled_out(
    recorded: dict[str, list[Event]], name: str, done: list[str]
) -> None:
    events = recorded[name]
    rolled = [*PIPELINE[: PIPELINE.index("roll-out")], *done, "roll-back"]
    assert targets(events) == rolled
    # Without a region: the tool goes back in those that were rolled out, as it wrote down in this very folder.
    back = kinds(events, "sh")[-1]
    assert back["expanded"] == f"make roll-back ENV={'test' if SCENARIOS[name].branch == 'dev' else 'production'}"
    delivered = [event for event in kinds(events, "sh") if event["agent"] == "deploy" and target(event) != "plan"]
    assert {event["folder"] for event in delivered} == {back["folder"]}
    assert events[-1]["failed"]


def test_the_region_without_the_database_goes_first(recorded: dict[str, list[Event]]) -> None:
    regions = [
        event["expanded"].rpartition("=")[2]
        for event in kinds(recorded["main"], "sh")
        if "REGION=" in event["expanded"]
    ]
    assert regions == ["secondary", "secondary", "primary", "primary"]


def test_older_plans_never_follow_newer_ones(recorded: dict[str, list[Event]]) -> None:
    assert {"disableConcurrentBuilds", "disableRestartFromStage", "buildDiscarder"} <= set(
        recorded["main"][0]["options"]
    )


def test_everything_but_the_apply_has_an_end(recorded: dict[str, list[Event]]) -> None:
    limited = {event["stage"] for event in kinds(recorded["main"], "options") if "timeout" in event["options"]}
    for event in [*kinds(recorded["main"], "sh"), *kinds(recorded["main"], "input"), *kinds(recorded["drift"], "sh")]:
        drift = {one["stage"] for one in kinds(recorded["drift"], "options")}
        assert (event["stage"] in limited | drift) == (event["stage"] != "Deliver / Apply"), event["stage"]


def test_every_folder_is_left_empty(recorded: dict[str, list[Event]]) -> None:
    for name, events in recorded.items():
        used = {event["folder"] for event in kinds(events, "sh")}
        assert used == {event["folder"] for event in kinds(events, "deleted")}, name


def test_nights_look_for_drift_in_both_environments(recorded: dict[str, list[Event]]) -> None:
    said = [event["expanded"] for event in kinds(recorded["drift"], "sh")]
    assert said[:2] == ["make drift ENV=test", "make drift ENV=production"]
    assert said[2:] == ["make test-emulator ENGINE=postgres", "make test-emulator ENGINE=mysql", "make drill-all"]
    assert recorded["drift"][0]["triggers"] == {"cron": ["H 5 * * *"]}
    # Drift in one does not hide the others, and fails the night.
    assert [event["expanded"] for event in kinds(recorded["drift of test"], "sh")] == said
    assert recorded["drift of test"][-1]["failed"]


def test_production_is_read_where_no_branch_runs(recorded: dict[str, list[Event]]) -> None:
    agents = {event["expanded"]: event["agent"] for event in kinds(recorded["drift"], "sh")}
    assert (agents["make drift ENV=test"], agents["make drift ENV=production"]) == ("plan", "deploy")


def test_every_target_is_in_the_makefile() -> None:
    known = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    called = set(re.findall(r"\bmake ([a-z-]+)", JENKINSFILE + DRIFT))
    assert called
    assert called <= known


@pytest.mark.parametrize(
    ("target", "role"),
    [(name, "plan") for name in ("plan", "drift")]
    + [
        (name, "deploy")
        for name in (
            "apply",
            "deployment",
            "upload",
            "migrate",
            "rotate-login",
            "roll-out",
            "smoke",
            "roll-back",
            "status",
        )
    ],
)
def test_each_target_takes_the_role_it_needs(target: str, role: str) -> None:
    command = ["make", "--dry-run", target, "ENV=test"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    roles = set(re.findall(r"scripts/as-role\.sh (\S+)", said))
    assert roles == {f"bank-test-{role}"}
    without = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert without.returncode == 2
    assert f"ENV is missing, as in: make {target} ENV=test" in without.stderr


# --- Planted mistakes: each must be found -----------------------------------------------------------


def replaced(old: str, new: str) -> Callable[[], str]:
    def text() -> str:
        assert JENKINSFILE.count(old) >= 1, f"the Jenkinsfile has no {old!r} to make a mistake of"
        return JENKINSFILE.replace(old, new)

    return text


def approval_after_delivery() -> str:
    """The two stages, one in place of the other."""
    approve = JENKINSFILE.index("    // No agent: a person may take hours.")
    deliver = JENKINSFILE.index("    // One agent and one folder for all of it")
    end = JENKINSFILE.index("  }\n}\n\n// The keys are in the environment")
    return JENKINSFILE[:approve] + JENKINSFILE[deliver:end] + JENKINSFILE[approve:deliver] + JENKINSFILE[end:]


PLANNED_ON = """agent { label "${env.BRANCH_NAME in ['main', 'dev'] ? 'deploy' : 'plan'}" }"""

MISTAKES: dict[str, tuple[str, Callable[[], str]]] = {
    "an agent for all of it": ("feature", replaced("pipeline {\n  agent none", "pipeline {\n  agent { label 'build' }")),
    "any agent for all of it": ("feature", replaced("  agent none", "  agent any")),
    "approved when it is done": ("main", approval_after_delivery),
    "nobody is asked": ("main", replaced("      when { branch 'main' }", "      when { branch 'never' }")),
    "anybody may approve": ("main", replaced("          submitter: 'release-checkers'", "          submitter: ''")),
    "people wait on an agent": (
        "main",
        replaced("      when { branch 'main' }", "      agent { label 'build' }\n      when { branch 'main' }"),
    ),
    "another plan is applied": (
        "main",
        replaced("            unstash 'plan'", "            unstash 'release'\n            sh 'make plan ENV=$ENVIRONMENT'"),
    ),
    "the plan is applied unseen": ("main", replaced("make apply ENV=$ENVIRONMENT PLAN=$ENVIRONMENT.tfplan", "make apply ENV=$ENVIRONMENT")),
    "no digest": ("main", replaced('withEnv(["PLAN_SHA256=${planDigest}"])', 'withEnv(["OTHER=${planDigest}"])')),
    "branches deploy": ("feature", replaced("          branch 'dev'", "          branch 'dev'\n          branch 'feature/main'")),
    "an agent for what is skipped": ("feature", replaced("        beforeAgent true\n", "")),
    "planned with the right to change": ("feature", replaced(PLANNED_ON, "agent { label 'deploy' }")),
    "planned beside branches": ("main", replaced(PLANNED_ON, "agent { label 'plan' }")),
    "the plan itself is archived": ("main", replaced('${env.ENVIRONMENT}.txt,', '${env.ENVIRONMENT}.tfplan,')),
    "a secret as an argument": (
        "main",
        replaced("'make upload ENV=$ENVIRONMENT'", "'make upload ENV=$ENVIRONMENT KEY=$AWS_SECRET_ACCESS_KEY'"),
    ),
    "keys for everything": ("main", replaced("CI = 'true'", "CI = 'true'\n    AWS_ACCESS_KEY_ID = 'x'")),
    "keys for the tests": ("main", replaced("        sh 'make lint'", "        withAws('make lint')")),
    "planned before the tests": ("main", replaced("        sh 'make lint'", "        sh 'true'")),
    "no Jenkinsfile at all": ("main", replaced("    stage('Lint') {", "    stage('Lint') ")),
    "an unknown step": ("main", replaced("        sh 'make lint'", "        shell 'make lint'")),
    "a section in the wrong place": ("main", replaced("  stages {\n    stage('Lint')", "  steps {\n    stage('Lint')")),
}  # fmt: skip


@pytest.fixture(scope="module")
def mistaken() -> dict[str, list[Event]]:
    """What happens with each mistake in the file."""
    return run({name: mistake(name) for name in MISTAKES})


def mistake(name: str) -> Scenario:
    base, text = MISTAKES[name]
    return Scenario(SCENARIOS[base].branch, text=text())


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_jenkinsfile_is_found(mistaken: dict[str, list[Event]], name: str) -> None:
    scenario, events = mistake(name), mistaken[name]
    with pytest.raises((AssertionError, ValueError, KeyError)):
        check(name, scenario, events)
        assert targets(events) == (PIPELINE if scenario.branch == "main" else PIPELINE[: PIPELINE.index("plan") + 1])
        assert "deploy" not in {event["label"] for event in kinds(events, "agent")} or scenario.branch == "main"


# --- Running and reading ----------------------------------------------------------------------------


def run(scenarios: dict[str, Scenario]) -> dict[str, list[Event]]:
    """Run them all in one process: most of the time is the start of Java."""
    groovy = shutil.which("groovy")
    if not groovy:
        not_run("pipeline", "no groovy found; Debian's package `groovy` has it")
    said = [
        {"name": name, "text": one.text, "branch": one.branch, "credentials": one.credentials, "failing": one.failing}
        for name, one in scenarios.items()
    ]
    command = [groovy, str(Path(__file__).with_name("pipeline.groovy"))]
    done = subprocess.run(
        command,
        input=json.dumps(said),
        env=java(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-2000:]
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return {name: [event for event in events if event["scenario"] == name] for name in scenarios}


def java() -> dict[str, str]:
    """An environment with a Java that Debian's groovy 2.4 understands: it was made for 8 and runs on up to 17."""
    homes = [Path("/usr/lib/jvm/default-java"), *sorted(Path("/usr/lib/jvm").glob("java-*-openjdk-*"))]
    home = next((str(home) for home in homes if (home / "bin/java").exists()), "")
    return {"PATH": "/usr/bin:/bin"} | ({"JAVA_HOME": home} if home else {})


def kinds(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event["event"] == kind]


def target(event: Event) -> str:
    """The make target of a step, if it is one."""
    found = re.match(r"make ([a-z-]+)", event.get("expanded", ""))
    return found[1] if found else ""


def targets(events: list[Event]) -> list[str]:
    return [target(event) for event in events if target(event)]


def first(events: list[Event], command: str) -> int:
    return next(index for index, event in enumerate(events) if event.get("expanded", "").startswith(command))
