"""Every shell script of the project, on a laptop or on a server, is one that shellcheck has nothing to say about."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.infra.terraform import ROOT
from tests.servers import not_run

SHELL = re.compile(rb"#!(/usr)?/bin/(env )?(ba|da)?sh\b")


def scripts() -> list[str]:
    """Files that end in .sh, and those that begin as a shell's script does whatever they are called."""
    files = (file for place in (".ci", "infra", "scripts") for file in (ROOT / place).rglob("*") if file.is_file())
    return sorted(
        file.relative_to(ROOT).as_posix() for file in files if ".terraform" not in file.parts and is_shell(file)
    )


def is_shell(file: Path) -> bool:
    return file.suffix == ".sh" or bool(SHELL.match(file.read_bytes()[:40]))


@pytest.mark.parametrize("script", scripts())
def test_shellcheck_has_nothing_to_say(script: str):
    if not shutil.which("shellcheck"):
        not_run("infra", "no shellcheck found; scripts/test-deps.sh infra installs it")
    done = subprocess.run(
        ["shellcheck", "--external-sources", "--source-path=SCRIPTDIR", script],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", scripts())
def test_a_script_stops_at_its_first_mistake(script: str):
    text = (ROOT / script).read_text()
    sourced = not text.startswith("#!")
    assert sourced or re.search(r"^set -euo? ?(pipefail)?$|^set -eu$", text, re.MULTILINE)


def test_the_scripts_were_found():
    assert {".ci/run", "scripts/test-infra.sh", "scripts/terraform-mirror.sh"} <= set(scripts())
