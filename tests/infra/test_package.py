"""What `make package` packs is what a server needs: complete, always the same, and installed without a network."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.gunicorn_server import answers
from tests.servers import free_port, leash, not_run, wait_for

ROOT = Path(__file__).parents[2]
SERVER = ("linux", "x86_64", (3, 11))
PLAIN = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Packed(NamedTuple):
    """A commit of the tree as it stands, packed and unpacked."""

    clone: Path
    archive: Path
    content: Path
    release: dict[str, str]

    @property
    def wheels(self) -> dict[str, Path]:
        """The wheelhouse by name==version."""
        return {named(wheel): wheel for wheel in (self.content / "wheelhouse").iterdir()}


def named(wheel: Path) -> str:
    name, version, *_ = wheel.name.split("-")
    return f"{name.replace('_', '-').lower()}=={version}"


def git(directory: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org", *arguments]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout


def package(clone: Path, *, umask: int = 0o022) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/package.py"]
    return subprocess.run(command, cwd=clone, check=False, capture_output=True, text=True, umask=umask)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """The working tree as it stands, committed to a repository of the test's own and packed there."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        not_run("package", "a release is a commit, and this is no git checkout")
    clone, content = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("content")
    listed = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    git(clone, "init", "--quiet")
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message=as it stands")
    done = package(clone)
    assert done.returncode == 0, done.stdout + done.stderr
    release = json.loads((clone / "build/package/release.json").read_text())
    archive = clone / f"build/package/bank-{release['commit']}.tar.gz"
    subprocess.run(["tar", "--extract", "--gzip", "--file", archive, "--directory", content], check=True)
    return Packed(clone, archive, content, release)


def without_network() -> list[str]:
    """What runs a command where there is no network, not even this machine's own."""
    ways = (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]) if shutil.which("unshare") else ()
    allowed = (way for way in ways if subprocess.run([*way, "true"], check=False, capture_output=True).returncode == 0)
    return next(allowed, None) or not_run("package", "unshare (util-linux) cannot take the network away here")


def install(prefix: Path, content: Path) -> subprocess.CompletedProcess[str]:
    """Install the archive's content into a clean prefix as a server does."""
    if (sys.platform, platform.machine(), sys.version_info[:2]) != SERVER:
        not_run("package", "its wheels are for Linux on x86_64 with Python 3.11")
    subprocess.run([sys.executable, "-m", "venv", prefix], check=True)
    pip = [prefix / "bin/pip", "install", "--quiet", "--no-index", "--find-links=wheelhouse", "--require-hashes"]
    command = [*without_network(), *pip, "--requirement=requirements.txt"]
    return subprocess.run(command, cwd=content, env=PLAIN, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def prefix(packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a server has under /opt/bank/releases/<commit>/venv."""
    prefix = tmp_path_factory.mktemp("server") / "venv"
    done = install(prefix, packed.content)
    assert done.returncode == 0, done.stdout + done.stderr
    return prefix


@pytest.fixture(scope="module")
def bill(packed: Packed) -> dict[str, Any]:
    """The bill of materials."""
    text: dict[str, Any] = json.loads((packed.content / "sbom.cdx.json").read_text())
    return text


def test_the_same_commit_gives_the_same_bytes_wherever_it_is_packed(packed: Packed, tmp_path: Path):
    git(tmp_path, "clone", "--quiet", str(packed.clone), "elsewhere")

    done = package(tmp_path / "elsewhere", umask=0o077)

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "elsewhere/build/package/release.json").read_text()) == packed.release


def test_release_json_names_the_commit_and_the_digest_of_the_archive(packed: Packed):
    assert packed.release == {
        "commit": git(packed.clone, "rev-parse", "HEAD").strip(),
        "sha256": hashlib.sha256(packed.archive.read_bytes()).hexdigest(),
    }


def test_the_archive_has_wheels_their_digests_and_the_bill_of_materials_and_nothing_else(packed: Packed):
    with tarfile.open(packed.archive) as tar:
        entries = tar.getmembers()

    names = [entry.name for entry in entries]
    assert [name for name in names if not re.fullmatch(r"wheelhouse/[\w.+-]+\.whl", name)] == [
        "requirements.txt",
        "sbom.cdx.json",
    ]
    assert {(entry.uid, entry.gid, entry.mode, entry.isfile()) for entry in entries} == {(0, 0, 0o644, True)}


def test_the_banks_wheel_names_the_commit_and_holds_what_is_committed_of_the_bank_alone(packed: Packed):
    [wheel] = packed.content.glob("wheelhouse/retail_bank-*.whl")
    assert wheel.name == f"retail_bank-0.1.0+g{packed.release['commit'][:12]}-py3-none-any.whl"

    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
    committed = set(git(packed.clone, "ls-files").splitlines())
    assert not {name.replace("bank/migrations/", "migrations/") for name in files} - committed
    assert {name for name in committed if name.startswith("bank/")} <= files


def test_a_server_installs_all_that_the_bank_needs_without_a_network(packed: Packed, prefix: Path):
    done = subprocess.run([prefix / "bin/pip", "check"], check=False, env=PLAIN, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

    listed = subprocess.run([prefix / "bin/pip", "list", "--format=freeze"], check=True, env=PLAIN, capture_output=True)
    installed = {line.replace("_", "-").lower() for line in listed.stdout.decode().splitlines()}
    # A new environment brings these two along.
    assert {line for line in installed if not re.match(r"(pip|setuptools)==", line)} == set(packed.wheels)


def test_a_wheel_that_was_tampered_with_is_refused(packed: Packed, tmp_path: Path):
    shutil.copytree(packed.content, tmp_path / "content")
    [wheel] = (tmp_path / "content/wheelhouse").glob("flask-[0-9]*.whl")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("flask/also.py", "")

    done = install(tmp_path / "venv", tmp_path / "content")

    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


@pytest.fixture
def address(prefix: Path, tmp_path: Path) -> Iterator[str]:
    """The installed bank as a server starts it, in production, while its database is away."""
    port = free_port()
    settings = {
        "BANK_ENV": "production",
        "BANK_NAME": "Test Bank",
        "BUSINESS_TIMEZONE": "America/New_York",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "IDENTITY_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "DATABASE_URL": f"postgresql://bank_app@127.0.0.1:{free_port()}/bank?sslmode=verify-full&sslrootcert=system",
    }
    log = tmp_path / "gunicorn.log"
    command = [prefix / "bin/gunicorn", "--config=python:bank.gunicorn_conf", f"--bind=127.0.0.1:{port}"]
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=tmp_path, env=PLAIN | settings, stdout=output, stderr=output)
    held = leash(server.pid, signal.SIGTERM, tmp_path / "nothing")

    def up() -> bool:
        assert server.poll() is None, log.read_text()
        return answers(f"http://127.0.0.1:{port}/healthz")

    try:
        wait_for(up, "the installed gunicorn to answer")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        # As long as gunicorn waits for what is under way, and a little for a busy machine.
        server.wait(90)
        held.communicate(b"let go\n")


def test_its_gunicorn_answers_while_the_database_is_away(address: str):
    assert answers(f"{address}/healthz")
    assert not answers(f"{address}/readyz")


def test_the_installed_bank_makes_its_tables(prefix: Path, tmp_path: Path):
    env = PLAIN | {"DATABASE_URL": f"sqlite:///{tmp_path / 'bank.sqlite'}"}

    done = subprocess.run(
        [prefix / "bin/bank", "db", "upgrade"], cwd=tmp_path, env=env, check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bank.sqlite").stat().st_size > 0


def test_the_bill_of_materials_is_valid_cyclonedx(packed: Packed):
    text = (packed.content / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_the_bill_of_materials_is_the_bank_and_each_wheel_with_its_digest(packed: Packed, bill: dict[str, Any]):
    bank = bill["metadata"]["component"]
    listed = {
        f"{part['name'].replace('_', '-').lower()}=={part['version']}": [each["content"] for each in part["hashes"]]
        for part in [bank, *bill["components"]]
    }

    assert (bank["name"], bank["type"]) == ("retail-bank", "application")
    assert listed == {name: [hashlib.sha256(wheel.read_bytes()).hexdigest()] for name, wheel in packed.wheels.items()}
    assert len(bill["components"]) == len(packed.wheels) - 1
    [needs] = [entry["dependsOn"] for entry in bill["dependencies"] if entry["ref"] == bank["bom-ref"]]
    assert any(ref.startswith("Flask==") for ref in needs)


def licences(part: dict[str, Any]) -> list[str]:
    """What the part's makers say of its licence, by id, expression or words."""
    entries = part.get("licenses", [])
    return [
        entry.get("expression") or entry["license"].get("id") or entry["license"].get("name", "") for entry in entries
    ]


def test_every_part_has_a_licence_that_lets_the_bank_use_it(bill: dict[str, Any]):
    for part in bill["components"]:
        said = licences(part)
        assert said, part["name"]
        assert all(said), part["name"]
        # The lesser GPL, for libraries, asks nothing of the bank's own code; the GPL would.
        strict = [text for text in said if re.search(r"\bA?GPL|GNU (Affero )?General Public", text)]
        assert len(strict) < len(said), (part["name"], said)


def test_what_is_not_committed_is_not_packed(packed: Packed, tmp_path: Path):
    git(tmp_path, "clone", "--quiet", str(packed.clone), "changed")
    with (tmp_path / "changed/README.md").open("a") as file:
        file.write("\n")

    done = package(tmp_path / "changed")

    assert done.returncode == 1
    assert done.stderr == (
        "Nothing was packed: the tree is not what is committed (README.md); commit or remove it first.\n"
    )


def test_a_folder_that_is_no_checkout_is_not_packed(packed: Packed, tmp_path: Path):
    shutil.copytree(packed.clone / "scripts", tmp_path / "scripts")

    done = package(tmp_path)

    assert done.returncode == 1
    assert done.stderr.startswith("Nothing was packed: this is not a git checkout")
