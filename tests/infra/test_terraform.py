"""The estate's Terraform holds together: valid from every root, each module's promises kept, its example true."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

import pytest

from tests.infra.terraform import (
    INFRA,
    blocks,
    copy_of_infra,
    folders,
    initialise,
    is_root,
    readme,
    readme_example,
    terraform,
)

FOLDERS = folders()
MODULES = [folder for folder in FOLDERS if folder.startswith("modules/")]
ROOTS = [folder for folder in FOLDERS if is_root(folder)]
TESTED = sorted({file.parents[1].relative_to(INFRA).as_posix() for file in INFRA.rglob("*.tftest.hcl")})
PINNED = {"hashicorp/aws": "~> 5.100"}

pytestmark = pytest.mark.timeout(300)


def side_by_side(names: list[str], what: str) -> list[object]:
    """Each of these on whichever processor is free; nearly all their time is the provider's own start."""
    return [pytest.param(name, marks=pytest.mark.xdist_group(f"{what} {name}"), id=name) for name in names]


@pytest.fixture(scope="session")
def infra(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of infra/ that this process may initialise."""
    return copy_of_infra(tmp_path_factory.mktemp("terraform"))


@pytest.mark.parametrize("folder", side_by_side(TESTED, "test"))
def test_it_keeps_the_promises_that_its_tests_name(folder: str, infra: Path):
    initialise(infra / folder)

    done = terraform(infra / folder, "test", "-no-color")

    assert done.returncode == 0, done.stdout
    assert re.search(r"^Success! [1-9]\d* passed, 0 failed\.$", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize("folder", side_by_side(ROOTS, "validate"))
def test_a_root_and_all_that_it_calls_is_valid(folder: str, infra: Path):
    initialise(infra / folder)

    done = terraform(infra / folder, "validate", "-json")

    verdict = json.loads(done.stdout)
    complaints = [f"{each['summary']}: {each.get('detail', '')}" for each in verdict["diagnostics"]]
    assert (verdict["valid"], complaints) == (True, []), done.stdout


@pytest.mark.xdist_group("examples")
def test_the_example_in_each_modules_readme_is_valid(infra: Path):
    root = infra / "examples"
    root.mkdir()
    examples = {Path(module).name: readme_example(module) for module in MODULES}
    for name, example in examples.items():
        (root / f"{name}.tf").write_text(completed(example, examples))
    (root / "elsewhere.tf").write_text('variable "elsewhere" {\n  type = any\n}\n')
    initialise(root)

    done = terraform(root, "validate", "-json")

    complaints = [
        (each["range"]["filename"], each["summary"], each["detail"]) for each in json.loads(done.stdout)["diagnostics"]
    ]
    assert complaints == [], done.stdout


def completed(example: str, examples: Collection[str]) -> str:
    """The example with a stand-in for whatever lies outside of all examples; modules that have one are called for real."""
    outside = rf'(?<![\w./"-])((?:aws_\w+|data|ephemeral|local|var)\.|module\.(?!(?:{"|".join(examples)})\b))(?=\w)'
    return re.sub(outside, r"var.elsewhere.\1", example)


@pytest.mark.parametrize("module", MODULES)
def test_a_modules_readme_begins_with_its_name_and_calls_it(module: str):
    name = Path(module).name

    assert readme(module).startswith(f"# {name}\n")
    assert re.search(rf'^module "{name}" {{\n  source\s+= "\.\./modules/{name}"$', readme_example(module), re.MULTILINE)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_tests(module: str):
    assert module in TESTED


@pytest.mark.parametrize("folder", FOLDERS)
def test_variables_outputs_and_providers_are_what_they_are_everywhere(folder: str):
    for kind in ("variable", "output"):
        undescribed = [
            name
            for name, body in blocks(folder, kind).items()
            if not re.search(r"^  description +=", body, re.MULTILINE)
        ]
        assert undescribed == [], kind
    [terraform_block] = blocks(folder, "terraform").values()
    providers = dict(re.findall(r'source += "([^"]+)"\s+version += "([^"]+)"', terraform_block))
    assert providers == PINNED
    assert re.search(r'^  required_version = ">= 1\.11"$', terraform_block, re.MULTILINE)


def test_what_is_written_is_all_called_from_some_root():
    calls = {
        folder: {
            (INFRA / folder / source).resolve().relative_to(INFRA.resolve()).as_posix()
            for body in blocks(folder, "module").values()
            for source in re.findall(r'^  source += "(\.[^"]*)"$', body, re.MULTILINE)
        }
        for folder in FOLDERS
    }
    reached, ahead = set(), set(ROOTS)
    while ahead:
        reached |= ahead
        ahead = {called for folder in ahead for called in calls.get(folder, ())} - reached

    assert set(FOLDERS) - reached == set()


def test_it_is_formatted():
    done = terraform(INFRA, "fmt", "-check", "-recursive", "-diff", "-no-color")
    assert done.returncode == 0, done.stdout
