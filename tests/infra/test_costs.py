"""The cost estimate adds up, and is made for the sizes that Terraform has."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from math import prod
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operating/costs.md").read_text()
ESTIMATES = ("Production", "Test", "Jenkins")


def section(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a Markdown table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def money(cell: str) -> Decimal:
    return Decimal(cell.strip("*"))


@pytest.mark.parametrize("heading", ESTIMATES)
def test_each_line_is_what_it_multiplies_and_the_total_is_their_sum(heading: str):
    *lines, total = rows(section(heading))

    for what, many, each, month, _ in lines:
        product = prod((Decimal(factor) for factor in many.split(" × ")), start=Decimal(each))
        assert money(month) == product.quantize(Decimal("0.01"), ROUND_HALF_UP), what
    assert (total[0], money(total[3])) == ("**Total**", sum(money(line[3]) for line in lines))
    assert len(lines) > 5


def test_the_summary_is_the_sum_of_the_estimates():
    *lines, total = rows(PAGE.partition("\n## ")[0])

    totals = [money(rows(section(heading))[-1][3]) for heading in ESTIMATES]
    assert [money(line[1]) for line in lines] == totals
    assert money(total[1]) == sum(totals)


def test_every_price_says_where_it_comes_from():
    known = {row[0] for row in rows(section("Where prices come from"))}

    assert {line[4] for heading in ESTIMATES for line in rows(section(heading))[:-1]} <= known


def terraform(path: str) -> str:
    return (ROOT / "infra" / path).read_text()


def found(pattern: str, path: str) -> str:
    match = re.search(pattern, terraform(path))
    assert match, f"infra/{path} has nothing like {pattern}"
    return match[1]


def quantity(heading: str, what: str) -> int:
    """The first factor of the only line that begins like this."""
    [line] = [line for line in rows(section(heading)) if line[0].startswith(what)]
    return int(line[1].partition(" ")[0])


def test_the_estimates_are_for_the_sizes_that_terraform_has():
    defaults = "modules/app/variables.tf"
    production, test = (" ".join(line[0] for line in rows(section(name))) for name in ESTIMATES[:2])

    for pattern, path, estimate in (
        (r'instance_type += optional\(string, "([^"]+)"\)', defaults, production),
        (r'instance_class += optional\(string, "([^"]+)"\)', "region/variables.tf", production),
        (r'instance_type = "([^"]+)"', "live/test/main.tf", test),
        (r'instance_class = "([^"]+)"', "live/test/main.tf", test),
    ):
        assert f"`{found(pattern, path)}`" in estimate

    servers = 2 * int(found(r"least += optional\(number, (\d+)\)", defaults))
    endpoints = (
        found(r'"interface_endpoints" \{[^}]+default += \[([^\]]+)\]', "modules/network/variables.tf").count(",") + 1
    )
    agents = terraform("modules/cicd/variables.tf")
    for label, line in (("build", "agents that build"), ("plan", "agents that plan and deploy")):
        size = re.search(
            rf'{label} += .*count = optional\(number, (\d+)\), instance_type = optional\(string, "([^"]+)"\)', agents
        )
        assert size
        assert f"{line}, `{size[2]}`" in section("Jenkins")
        assert quantity("Jenkins", line) == int(size[1]) * (2 if label == "plan" else 1)
    assert quantity("Jenkins", "interface endpoints") == endpoints * 2

    for heading in ESTIMATES[:2]:
        zones = terraform(f"live/{heading.lower()}/main.tf").count("zones = {") * 2
        assert quantity(heading, "servers,") == servers
        without = "interface_endpoints = []" in terraform(f"live/{heading.lower()}/main.tf")
        assert without or quantity(heading, "interface endpoints") == endpoints * zones
        assert without != ("interface endpoints" in section(heading))
        single = 'nat = "single"' in terraform(f"live/{heading.lower()}/main.tf")
        assert quantity(heading, "NAT gateways") == (2 if single else zones)
        assert quantity(heading, "public addresses") == quantity(heading, "NAT gateways") + zones
