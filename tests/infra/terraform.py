"""Terraform as the tests run it: on a copy of infra/, without an account."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.servers import not_run

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
CONFIG = ROOT / "build/terraform/cli.tfrc"
LEFT_BY_TERRAFORM = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate", "*.tfplan")


def folders() -> list[str]:
    """Each folder of infra/ that is Terraform, by its path there."""
    return sorted(
        {file.parent.relative_to(INFRA).as_posix() for file in INFRA.rglob("*.tf") if ".terraform" not in file.parts}
    )


def is_root(folder: str) -> bool:
    """Is this applied by itself, and no module of others?"""
    return folder.partition("/")[0] in {"bootstrap", "cicd", "live"}


def blocks(folder: str, kind: str) -> dict[str, str]:
    """The folder's blocks of a kind by their names, like `aws_lb.bank`; relies on `terraform fmt`'s indents."""
    text = "\n".join(file.read_text() for file in sorted((INFRA / folder).glob("*.tf")))
    found = re.findall(rf'^{kind} ((?:"[\w-]+" ?)*){{\n(.*?)^}}', text, re.MULTILINE | re.DOTALL)
    return {".".join(re.findall(r"[\w-]+", labels)): body for labels, body in found}


def readme(folder: str) -> str:
    """What the folder says of itself; nothing, if it has no README."""
    file = INFRA / folder / "README.md"
    return file.read_text() if file.exists() else ""


def readme_example(folder: str) -> str:
    """The module's call as its README shows it."""
    return "\n".join(re.findall(r"^```hcl\n(.*?)^```", readme(folder), re.MULTILINE | re.DOTALL))


def copy_of_infra(directory: Path) -> Path:
    """A copy, so that neither providers nor lock files of modules come to lie in the tree."""
    shutil.copytree(INFRA, directory / "infra", ignore=LEFT_BY_TERRAFORM)
    return directory / "infra"


def terraform(folder: Path, *arguments: str, seconds: int = 240, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run terraform in a folder; its output holds what it complains of, too."""
    if not shutil.which("terraform"):
        not_run("infra", "no terraform found; https://developer.hashicorp.com/terraform/install has it")
    # Nothing here may reach an account, whatever credentials this shell has.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    env |= {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "CHECKPOINT_DISABLE": "1",
        "TF_IN_AUTOMATION": "1",
    }
    if CONFIG.exists():
        env["TF_CLI_CONFIG_FILE"] = str(CONFIG)
    return subprocess.run(
        ["terraform", *arguments],
        cwd=folder,
        env=env,
        check=False,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
    )


def initialise(folder: Path) -> None:
    """Make the folder ready for `validate` and `test`: modules and provider, but no state."""
    done = terraform(folder, "init", "-backend=false", "-input=false", "-no-color")
    assert done.returncode == 0, done.stdout
