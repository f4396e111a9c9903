"""checkov finds nothing in infra/ beyond what infra/checkov-reviewed.yaml lists, with a reason for each."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.terraform import INFRA, ROOT, blocks, copy_of_infra, folders
from tests.servers import not_run

CHECKOV = ROOT / "build/checkov/bin/checkov"
REVIEWED = INFRA / "checkov-reviewed.yaml"
NOT_ITS_OWN = re.compile(r"module\.\w+\.|\[.*?\]")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What checkov says of the Terraform: the same with no network, since it need not ask anybody."""
    if not CHECKOV.exists():
        not_run("infra", "no checkov in build/checkov; make test-infra installs it")
    infra = copy_of_infra(tmp_path_factory.mktemp("checkov"))
    for file in infra.rglob("*.tf"):
        file.write_text(readable(file.read_text()))
    command = [CHECKOV, "--directory=.", "--framework=terraform", "--skip-download", "--output=json"]
    env = {"PATH": os.environ["PATH"], "HOME": str(infra)}
    done = subprocess.run(command, cwd=infra, env=env, check=False, capture_output=True, text=True, timeout=240)
    assert done.stdout.startswith("{"), done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def readable(text: str) -> str:
    """The same Terraform with plainer texts: checkov's parser does not end on a quoted word within a template."""
    written, at = [], 0
    for token in re.finditer(r'#.*|<<-?(\w+)\n(?:.*\n)*?\s*\1\n|"', text):
        if token.start() < at:
            continue
        written.append(text[at : token.start()])
        at, nests = end_of_text(text, token.end()) if token[0] == '"' else (token.end(), False)
        written.append('"template"' if nests else text[token.start() : at])
    return "".join([*written, text[at:]])


def end_of_text(text: str, at: int) -> tuple[int, bool]:
    """Where the quoted text ends that begins before `at`, and whether a template in it has quoted text of its own."""
    nests, depth = False, 0
    while depth or text[at] != '"':
        if text[at] == "\\":
            at += 2
        elif not depth:
            begins = text[at : at + 2] in {"${", "%{"}
            depth += begins
            at += 1 + begins
        elif text[at] == '"':
            at, nests = end_of_text(text, at + 1)[0], True
        else:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
    return at + 1, nests


def found(report: dict[str, Any]) -> set[str]:
    """Each failed check with the resource as its folder calls it, whichever region or environment has it."""
    return {
        f"{each['check_id']} {folder_of(each)} {re.sub(NOT_ITS_OWN, '', each['resource'])}"
        for each in report["results"]["failed_checks"]
    }


def folder_of(record: dict[str, Any]) -> str:
    return str(Path(record["file_path"]).parent).strip("/")


def reviewed() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = yaml.safe_load(REVIEWED.read_text())
    return entries


def accepted() -> list[str]:
    return [f"{entry['check']} {resource}" for entry in reviewed() for resource in entry["resources"]]


def test_checkov_read_every_file_and_looked_at_every_folder(report: dict[str, Any]):
    assert report["results"]["parsing_errors"] == []
    looked_at = {folder_of(each) for kind in ("passed_checks", "failed_checks") for each in report["results"][kind]}
    assert {folder for folder in folders() if blocks(folder, "resource")} - looked_at == set()


def test_checkov_finds_nothing_but_what_was_reviewed(report: dict[str, Any]):
    unreviewed = sorted(found(report) - set(accepted()))
    assert not unreviewed, "\n".join(unreviewed)


def test_what_was_reviewed_is_still_found(report: dict[str, Any]):
    gone = sorted(set(accepted()) - found(report))
    assert not gone, "\n".join(gone)


def test_every_exception_has_a_reason_and_stands_in_the_list():
    for entry in reviewed():
        assert len(entry["why"].split()) >= 5, entry["check"]
        assert entry["resources"], entry["check"]
    assert [name for name, times in Counter(accepted()).items() if times > 1] == []
    assert not [file for file in INFRA.rglob("*.tf") if "checkov:skip" in file.read_text()]


@pytest.mark.parametrize(
    ("text", "plainer"),
    [
        ('a = "x-${var.b}-y" # "it"\n', 'a = "x-${var.b}-y" # "it"\n'),
        ('a = "${b ? "c" : "d"}: ${e}"\nf = "g"\n', 'a = "template"\nf = "g"\n'),
        ('a = "say \\"${b["c"]}\\"", "d"', 'a = "template", "d"'),
        ('a = "${jsonencode({ b = "c" })}" # d', 'a = "template" # d'),
        ('a = <<-EOT\n  "b\n  EOT\nc = "d"\n', 'a = <<-EOT\n  "b\n  EOT\nc = "d"\n'),
    ],
)
def test_only_templates_with_quotes_of_their_own_are_made_plainer(text: str, plainer: str):
    assert readable(text) == plainer
