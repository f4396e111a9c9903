"""Alarms ring when they should, say what to do, and have their page; the dashboard shows what they watch."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.infra.terraform import INFRA, copy_of_infra, initialise, terraform

ROOT = INFRA.parent
PAGE = ROOT / "docs/operating/alarms.md"
RUNBOOK = PAGE.relative_to(ROOT).as_posix()
GIB = 2**30

# As AWS documents them: names of metrics, and what each is asked by.
KNOWN = {
    "AWS/ApplicationELB": {
        "RequestCount": {"LoadBalancer"},
        "HTTPCode_ELB_5XX_Count": {"LoadBalancer"},
        "HTTPCode_Target_5XX_Count": {"LoadBalancer", "TargetGroup"},
        "TargetResponseTime": {"LoadBalancer", "TargetGroup"},
        "UnHealthyHostCount": {"LoadBalancer", "TargetGroup"},
        "HealthyHostCount": {"LoadBalancer", "TargetGroup", "AvailabilityZone"},
    },
    "AWS/AutoScaling": {
        "GroupInServiceInstances": {"AutoScalingGroupName"},
        "GroupDesiredCapacity": {"AutoScalingGroupName"},
    },
    "AWS/EC2": {"CPUUtilization": {"AutoScalingGroupName"}},
    "AWS/RDS": {
        name: {"DBInstanceIdentifier"}
        for name in [
            "CPUUtilization",
            "DatabaseConnections",
            "FreeStorageSpace",
            "FreeableMemory",
            "ReadLatency",
            "WriteLatency",
            "MaximumUsedTransactionIDs",
            "ReplicaLag",
        ]
    },
    "AWS/WAFV2": {"BlockedRequests": {"WebACL", "Rule", "Region"}},
    "AWS/Route53": {"HealthCheckStatus": {"HealthCheckId"}},
}
# Gauges of the CloudWatch agent itself.
OF_THE_AGENT = {"mem_used_percent", "disk_used_percent"}

RUNS = {
    "observability": {
        "primary": "",
        "replica": 'role = "replica"',
        "mysql": (
            'role = "replica"\n    database = { identifier = "bank-test-us-east-1", max_connections = 400,'
            ' storage_gib = 100, engine = "mysql" }'
        ),
    },
    "watch": {"everywhere": ""},
}

pytestmark = pytest.mark.timeout(300)


def planned(directory: Path, module: str) -> dict[str, dict[str, dict[str, Any]]]:
    """What Terraform would make, by run and address; the module's own tests say with which values."""
    folder = directory / "modules" / module
    [tests] = (folder / "tests").glob("*.tftest.hcl")
    stand_ins = tests.read_text().split('\nrun "')[0]
    runs = [
        f'run "{name}" {{\n  command = plan\n  variables {{\n    {values}\n  }}\n}}'
        for name, values in RUNS[module].items()
    ]
    tests.write_text("\n".join([stand_ins, *runs]))
    initialise(folder)

    done = terraform(folder, "test", "-json", "-verbose")

    assert done.returncode == 0, done.stdout
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {
        line["@testrun"]: {
            change["address"]: change["change"]["after"] for change in line["test_plan"]["resource_changes"]
        }
        for line in lines
        if line["type"] == "test_plan"
    }


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, Any]]]:
    infra = copy_of_infra(tmp_path_factory.mktemp("alarms"))
    made = {run: plan for module in RUNS for run, plan in planned(infra, module).items()}
    assert set(made) == {run for runs in RUNS.values() for run in runs}
    return made


def alarms_of(plan: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The alarms by what their names say beside the region's."""
    found = {address: after for address, after in plan.items() if re.match(r"aws_cloudwatch_\w+_alarm\.", address)}
    assert found
    return {
        re.sub(r"^bank-test-(us-east-1-(?!does|takes))?", "", after["alarm_name"]): after for after in found.values()
    }


def all_alarms(plans: dict[str, dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    return {key: alarm for plan in plans.values() for key, alarm in alarms_of(plan).items()}


def asked_for(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics that an alarm asks for: namespace, name and dimensions."""
    if alarm.get("metric_name"):
        return [alarm]
    return [metric for query in alarm.get("metric_query", []) for metric in query["metric"]]


def identity(metric: dict[str, Any]) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    return metric["namespace"], metric["metric_name"], tuple(sorted(metric["dimensions"].items()))


def dashboard(plan: dict[str, dict[str, Any]]) -> dict[str, Any]:
    [body] = [json.loads(after["dashboard_body"]) for address, after in plan.items() if "dashboard" in address]
    return body


def shown(plan: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The metrics on the dashboard."""
    found = []
    for widget in dashboard(plan)["widgets"]:
        for namespace, name, *rest in widget["properties"].get("metrics", []):
            pairs = iter(rest[:-1])
            found.append(
                {"namespace": namespace, "metric_name": name, "dimensions": dict(zip(pairs, pairs, strict=True))}
            )
    return found


# --- the page -----------------------------------------------------------------


def sections() -> dict[str, str]:
    """The page's sections on alarms, by heading."""
    parts = re.split(r"^###? (.+)\n", PAGE.read_text(), flags=re.MULTILINE)
    return {
        heading: text for heading, text in zip(parts[1::2], parts[2::2], strict=True) if re.match(r"[a-z]", heading)
    }


def test_each_alarm_has_its_heading_and_each_heading_its_alarm(plans: dict[str, dict[str, dict[str, Any]]]):
    named = {alarm["alarm_description"].rpartition("#")[2] for alarm in all_alarms(plans).values()}

    assert named == set(sections())


def test_an_alarms_name_leads_to_its_heading(plans: dict[str, dict[str, dict[str, Any]]]):
    for key, alarm in all_alarms(plans).items():
        # Zones follow the heading, regions come before it.
        heading = re.sub(r"-us-east-1[ab]$|^us-(east-1|west-2)-", "", key)
        assert alarm["alarm_description"].endswith(f" {RUNBOOK}#{heading}")


@pytest.mark.parametrize("heading", sections())
def test_a_section_says_what_it_means_what_to_look_at_and_how_to_mend_it(heading: str):
    text = sections()[heading]

    parts = re.findall(r"^\*\*(It means|Customers notice|Look first|Mend)\b", text, re.MULTILINE)
    assert parts == ["It means", "Customers notice", "Look first", "Mend"]
    assert re.findall(r"^(\d)\. ", text, re.MULTILINE) == ["1", "2", "3"]


@pytest.mark.parametrize("heading", sections())
def test_a_section_has_no_thresholds_of_its_own(heading: str):
    """They stand in the mail, as Terraform was told them; here they would grow old."""
    figures = set(re.findall(r"\b(\d+) (?:%|ms|s|hours|MiB|minutes)(?!\w)", sections()[heading]))

    # What gunicorn and the group do, in seconds and minutes, is set elsewhere.
    assert figures <= {"60", "15"}


# --- what is told -------------------------------------------------------------


def test_each_alarm_says_how_soon_and_is_told_both_ways(plans: dict[str, dict[str, dict[str, Any]]]):
    for key, alarm in all_alarms(plans).items():
        assert re.match(r"(Now|Today): \S.{40,}", alarm["alarm_description"]), key
        assert len(alarm["alarm_description"]) <= 1024, key
        assert len(alarm["alarm_actions"]) == 1, key
        assert alarm["alarm_actions"] == alarm["ok_actions"], key


def test_what_no_data_means_is_chosen_for_each_alarm(plans: dict[str, dict[str, dict[str, Any]]]):
    chosen = {key: alarm["treat_missing_data"] for key, alarm in all_alarms(plans).items() if "alarm_rule" not in alarm}

    assert {key for key, means in chosen.items() if means == "breaching"} == {
        "ledger-not-verified",
        "group-too-small",
        "replica-lag",
        "zone-without-server-us-east-1a",
        "zone-without-server-us-east-1b",
        "us-east-1-does-not-serve",
        "us-east-1-takes-no-payments",
        "us-west-2-does-not-serve",
        "us-west-2-takes-no-payments",
    }
    assert {key for key, means in chosen.items() if means == "ignore"} == {"ledger-broken", "database-storage"}
    assert set(chosen.values()) == {"breaching", "ignore", "notBreaching"}


# --- when it rings ------------------------------------------------------------


def judged(alarm: dict[str, Any], values: dict[str, float | None]) -> float | None:
    """An alarm's figure for a period; None if it has none. CloudWatch's arithmetic happens to read as Python's."""
    [judging] = [query for query in alarm["metric_query"] if query["return_data"]]
    if judging["expression"] is None:
        return values[judging["id"]]
    # IF is one of Python's words.
    expression = judging["expression"].replace("IF(", "either(")
    words = {
        "either": lambda condition, one, other: one if condition else other,
        "FILL": lambda value, instead: instead if value is None else value,
    }
    try:
        return eval(expression, {"__builtins__": {}}, {**words, **values})  # ours, from the tree
    except (TypeError, ZeroDivisionError):
        return None


def rings(alarm: dict[str, Any], values: dict[str, float | None]) -> bool:
    """Whether a period with these values counts as a bad one."""
    value = judged(alarm, values)
    if value is None:
        return alarm["treat_missing_data"] == "breaching"
    if alarm["comparison_operator"] == "LessThanThreshold":
        return value < alarm["threshold"]
    assert alarm["comparison_operator"] == "GreaterThanOrEqualToThreshold"
    return value >= alarm["threshold"]


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("load-balancer-errors", {"requests": 100, "load_balancer_errors": 10}, True),
        ("load-balancer-errors", {"requests": 1000, "load_balancer_errors": 10}, False),
        # No server to take any: such requests are not counted as requests.
        ("load-balancer-errors", {"requests": None, "load_balancer_errors": 30}, True),
        ("load-balancer-errors", {"requests": 5, "load_balancer_errors": 5}, False),
        ("load-balancer-errors", {"requests": None, "load_balancer_errors": None}, False),
        ("server-errors", {"requests": 100, "server_errors": 5}, True),
        ("server-errors", {"requests": 100, "server_errors": 4}, False),
        ("server-errors", {"requests": 19, "server_errors": 19}, False),
        ("server-errors", {"requests": 1000, "server_errors": None}, False),
        ("slow-answers", {"requests": 20, "latency": 2.0}, True),
        ("slow-answers", {"requests": 20, "latency": 1.9}, False),
        ("slow-answers", {"requests": 19, "latency": 50.0}, False),
        ("slow-answers", {"requests": None, "latency": None}, False),
        ("servers-unhealthy", {"unhealthy": 1}, True),
        ("servers-unhealthy", {"unhealthy": 0}, False),
        ("zone-without-server-us-east-1a", {"healthy_us_east_1a": 0}, True),
        ("zone-without-server-us-east-1a", {"healthy_us_east_1a": 1}, False),
        ("zone-without-server-us-east-1a", {"healthy_us_east_1a": None}, True),
        ("group-too-small", {"in_service": 1, "wanted": 2}, True),
        ("group-too-small", {"in_service": 3, "wanted": 2}, False),
        ("group-too-small", {"in_service": None, "wanted": 2}, True),
        ("server-disk", {"server_disk": 85}, True),
        ("server-disk", {"server_disk": 84}, False),
        ("ledger-broken", {"findings": 1}, True),
        ("ledger-broken", {"findings": 0}, False),
        ("ledger-not-verified", {"verified_ago": 26 * 3600}, True),
        ("ledger-not-verified", {"verified_ago": 25 * 3600}, False),
        ("ledger-not-verified", {"verified_ago": None}, True),
        ("database-away", {"database_up": 0}, True),
        ("database-away", {"database_up": 1}, False),
        ("database-cpu", {"database_cpu": 80}, True),
        ("database-cpu", {"database_cpu": 79}, False),
        ("database-storage", {"free_storage": 7 * GIB}, True),
        ("database-storage", {"free_storage": 9 * GIB}, False),
        ("database-memory", {"free_memory": GIB / 8}, True),
        ("database-memory", {"free_memory": GIB}, False),
        ("database-connections", {"connections": 320}, True),
        ("database-connections", {"connections": 319}, False),
        ("database-disk-slow", {"read_latency": 0.001, "write_latency": 0.02}, True),
        ("database-disk-slow", {"read_latency": 0.03, "write_latency": 0.001}, True),
        ("database-disk-slow", {"read_latency": 0.01, "write_latency": 0.01}, False),
        ("database-transaction-ids", {"transaction_ids": 1_000_000_000}, True),
        ("database-transaction-ids", {"transaction_ids": 200_000_000}, False),
        ("replica-lag", {"replica_lag": 60}, True),
        ("replica-lag", {"replica_lag": 0}, False),
        # It has stopped to follow.
        ("replica-lag", {"replica_lag": -1}, True),
        ("replica-lag", {"replica_lag": None}, True),
        ("firewall-surge", {"blocked": 2000}, True),
        ("firewall-surge", {"blocked": None}, False),
    ],
)
def test_an_alarm_rings_for_what_it_is_there_for(
    plans: dict[str, dict[str, dict[str, Any]]], key: str, values: dict[str, float | None], *, expected: bool
):
    assert rings(all_alarms(plans)[key], values) is expected


def test_every_alarm_of_a_region_was_asked_when_it_rings(plans: dict[str, dict[str, dict[str, Any]]]):
    [asked] = [mark for mark in test_an_alarm_rings_for_what_it_is_there_for.pytestmark if mark.name == "parametrize"]
    asked_both_ways = {(key, expected) for key, _, expected in asked.args[1]}
    keys = {key for key, alarm in all_alarms(plans).items() if alarm.get("metric_query")} - {
        "zone-without-server-us-east-1b"
    }

    assert asked_both_ways == {(key, rings) for key in keys for rings in (True, False)}


# --- what it watches ----------------------------------------------------------


def test_every_metric_is_one_that_somebody_publishes(plans: dict[str, dict[str, dict[str, Any]]]):
    used = [metric for alarm in all_alarms(plans).values() for metric in asked_for(alarm)]
    used += [metric for run in RUNS["observability"] for metric in shown(plans[run])]

    of_aws = [metric for metric in used if metric["namespace"] != "Bank"]
    assert of_aws
    for metric in of_aws:
        assert KNOWN[metric["namespace"]][metric["metric_name"]] == set(metric["dimensions"]), metric


def test_what_the_bank_is_asked_it_counts_and_its_servers_send(plans: dict[str, dict[str, dict[str, Any]]]):
    used = [metric for alarm in all_alarms(plans).values() for metric in asked_for(alarm)]
    used += [metric for run in RUNS["observability"] for metric in shown(plans[run])]
    of_the_bank = {metric["metric_name"] for metric in used if metric["namespace"] == "Bank"}
    dimensions = {frozenset(metric["dimensions"].items()) for metric in used if metric["namespace"] == "Bank"}
    source = "\n".join(file.read_text() for file in (ROOT / "bank").rglob("*.py"))
    agent = "\n".join(file.read_text() for file in (INFRA / "modules/app").glob("*.tf"))
    selectors = re.findall(r'dimensions\s*=\s*\[\["bank"\]\],\s*metric_selectors\s*=\s*\[([^\]]+)\]', agent)
    sent = [pattern for group in selectors for pattern in re.findall(r'"([^"]+)"', group)]

    assert of_the_bank > OF_THE_AGENT
    assert dimensions == {frozenset({("bank", "bank-test-us-east-1")})}
    for name in of_the_bank - OF_THE_AGENT:
        assert f'"{name}"' in source, "the bank does not count this"
        assert any(re.search(pattern, name) for pattern in sent), f"servers do not send {name}"
    assert re.search(r'aggregation_dimensions\s*=\s*\[\["bank"\]\]', agent)
    for name in OF_THE_AGENT:
        assert f'"{name}"' in agent or f'"{name.partition("_")[2]}"' in agent, name


def test_the_group_publishes_what_is_asked_of_it(plans: dict[str, dict[str, dict[str, Any]]]):
    group = re.search(r"enabled_metrics\s*=\s*\[([^\]]+)\]", (INFRA / "modules/app/app.tf").read_text())
    assert group

    asked = {metric["metric_name"] for metric in shown(plans["primary"]) if metric["namespace"] == "AWS/AutoScaling"}

    assert asked <= set(re.findall(r'"(\w+)"', group[1]))


# --- the dashboard ------------------------------------------------------------


@pytest.mark.parametrize("run", RUNS["observability"])
def test_the_dashboard_shows_whatever_an_alarm_watches(run: str, plans: dict[str, dict[str, dict[str, Any]]]):
    watched = {identity(metric) for alarm in alarms_of(plans[run]).values() for metric in asked_for(alarm)}

    assert watched <= {identity(metric) for metric in shown(plans[run])}


@pytest.mark.parametrize("run", RUNS["observability"])
def test_the_dashboard_lists_every_alarm_of_the_region(run: str, plans: dict[str, dict[str, dict[str, Any]]]):
    [listed] = [
        widget["properties"]["alarms"] for widget in dashboard(plans[run])["widgets"] if widget["type"] == "alarm"
    ]

    prefix = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:"
    assert {arn.removeprefix(prefix) for arn in listed} == {
        alarm["alarm_name"] for alarm in alarms_of(plans[run]).values()
    }


@pytest.mark.parametrize("run", RUNS["observability"])
def test_nothing_on_the_dashboard_hides_behind_something_else(run: str, plans: dict[str, dict[str, dict[str, Any]]]):
    taken: dict[tuple[int, int], str] = {}
    for number, widget in enumerate(dashboard(plans[run])["widgets"]):
        assert widget["x"] + widget["width"] <= 24, widget
        for x in range(widget["x"], widget["x"] + widget["width"]):
            for y in range(widget["y"], widget["y"] + widget["height"]):
                assert taken.setdefault((x, y), str(number)) == str(number), widget


def test_the_dashboard_leads_to_the_page(plans: dict[str, dict[str, dict[str, Any]]]):
    first = dashboard(plans["primary"])["widgets"][0]

    assert first["type"] == "text"
    assert RUNBOOK in first["properties"]["markdown"]
