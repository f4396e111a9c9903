"""Pack the commit for a server: `make package` writes build/package/bank-<commit>.tar.gz and release.json beside it.

The archive has the bank's own wheel, a wheel of all that it needs (for Amazon Linux 2023 on x86_64 with Python 3.11,
whatever machine packs), requirements.txt with the digest of each, and sbom.cdx.json, the bill of materials. A server
installs it without any network:

    pip install --no-index --find-links wheelhouse --require-hashes -r requirements.txt

The same commit packed again gives the same bytes, so its digest names what was tested and what is rolled out.
"""

from __future__ import annotations

import argparse
import configparser
import gzip
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "build/package"
BANK = "retail-bank"

# Amazon Linux 2023 has glibc 2.34, so wheels for any older one run there as well.
SERVER = [
    "--only-binary=:all:",
    "--implementation=cp",
    "--python-version=3.11",
    *(f"--abi={abi}" for abi in ("cp311", "abi3", "none")),
    *(f"--platform=manylinux_2_{minor}_x86_64" for minor in range(34, 16, -1)),
    "--platform=manylinux2014_x86_64",
]


class NotPackedError(Exception):
    """Why there is no package, in a sentence."""


def main() -> None:
    """Pack what is committed, and say what came of it."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    # The modes of files that the build writes get into the wheel.
    os.umask(0o022)
    try:
        commit = committed()
        with tempfile.TemporaryDirectory() as work:
            release = pack(commit, Path(work))
    except NotPackedError as refusal:
        sys.exit(f"Nothing was packed: {refusal}")
    print(f"{PACKAGE.relative_to(ROOT)}/bank-{commit}.tar.gz\nsha256 {release['sha256']}")


def committed() -> str:
    """The commit that is checked out, if the tree is nothing but that commit."""
    try:
        top = Path(git("rev-parse", "--show-toplevel").strip())
    except (OSError, NotPackedError):
        top = Path()
    if not top.is_absolute() or top.resolve() != ROOT:
        raise NotPackedError("this is not a git checkout, and a release is a commit; clone the repository.")
    if changes := git("status", "--porcelain").splitlines():
        some = ", ".join(line[3:] for line in changes[:3])
        raise NotPackedError(f"the tree is not what is committed ({some}); commit or remove it first.")
    return git("rev-parse", "HEAD").strip()


def pack(commit: str, work: Path) -> dict[str, str]:
    """Write the archive and release.json; answers what the latter says."""
    epoch = int(git("show", "-s", "--format=%ct", commit))
    source, content = work / "source", work / "content"
    wheelhouse = content / "wheelhouse"
    wheelhouse.mkdir(parents=True)

    check_out(commit, source)
    print(f"Building the bank's wheel of {commit[:12]} ...", flush=True)
    build_wheel(source, wheelhouse, commit, epoch)
    print("Collecting the wheels that it needs on a server ...", flush=True)
    collect_wheels(source, wheelhouse, work)
    wheels = {wheel.name: digest(wheel) for wheel in sorted(wheelhouse.iterdir())}
    requirements = content / "requirements.txt"
    requirements.write_text("".join(f"{pinned(wheel)} --hash=sha256:{sha256}\n" for wheel, sha256 in wheels.items()))
    print("Writing the bill of materials ...", flush=True)
    bill = bill_of_materials(requirements, wheels, work, epoch)
    (content / "sbom.cdx.json").write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n")

    shutil.rmtree(PACKAGE, ignore_errors=True)
    PACKAGE.mkdir(parents=True)
    archive = PACKAGE / f"bank-{commit}.tar.gz"
    archive_of(content, archive, epoch)
    release = {"commit": commit, "sha256": digest(archive)}
    (PACKAGE / "release.json").write_text(json.dumps(release) + "\n")
    return release


def check_out(commit: str, source: Path) -> None:
    """Lay the commit's files out; what git ignores or does not know never comes along."""
    source.mkdir(exist_ok=True)
    archived = source.with_suffix(".tar")
    run("git", "-c", "tar.umask=0022", "archive", "--output", archived, commit)
    # Python's own tarfile has no safe way to do it before 3.11.4, and Debian 12 has 3.11.2.
    run("tar", "--extract", "--no-same-owner", "--preserve-permissions", "--file", archived, "--directory", source)


def build_wheel(source: Path, wheelhouse: Path, commit: str, epoch: int) -> None:
    """Build the bank's wheel, whose version ends in the commit."""
    with (source / "setup.cfg").open("a") as settings:
        settings.write(f"\n[egg_info]\ntag_build = +g{commit[:12]}\n")
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", f"--wheel-dir={wheelhouse}", source, epoch=epoch)
    if not any(wheelhouse.glob(f"*+g{commit[:12]}-py3-none-any.whl")):
        raise NotPackedError("the bank's wheel did not take the commit into its version.")


def collect_wheels(source: Path, wheelhouse: Path, work: Path) -> None:
    """Download what requirements.lock pins, but for the tools that build the bank: its wheel is built already."""
    settings = configparser.ConfigParser()
    settings.read(source / "setup.cfg")
    build_tools = re.findall(r"^[\w-]+", settings["options.extras_require"]["build"], re.MULTILINE)
    entries = re.split(r"^(?=[a-z])", (source / "requirements.lock").read_text(), flags=re.MULTILINE)
    wanted = work / "server.lock"
    wanted.write_text("".join(entry for entry in entries if entry.partition("==")[0] not in build_tools))
    pip("download", "--no-deps", "--require-hashes", *SERVER, f"--dest={wheelhouse}", "--requirement", wanted)


def bill_of_materials(requirements: Path, wheels: dict[str, str], work: Path, epoch: int) -> dict[str, Any]:
    """What is in the wheelhouse as CycloneDX, read from the wheels' own metadata: the bank, and what it is made of."""
    # Unpacked for the server's platform and never run, so any machine can do it.
    unpacked = work / "unpacked"
    venv.create(unpacked)
    [packages] = unpacked.glob("lib/python*/site-packages")
    find = ("--no-deps", "--no-index", f"--find-links={requirements.parent / 'wheelhouse'}", "--require-hashes")
    pip("install", *find, *SERVER, "--no-compile", f"--target={packages}", "--requirement", requirements)
    reader = ("-m", "cyclonedx_py", "environment", "--output-reproducible", unpacked / "bin/python")
    bill: dict[str, Any] = json.loads(run(sys.executable, *reader, epoch=epoch))

    digests = {pinned(wheel): sha256 for wheel, sha256 in wheels.items()}
    for component in bill["components"]:
        name = f"{normalised(component['name'])}=={component['version']}"
        component["hashes"] = [{"alg": "SHA-256", "content": digests[name]}]
        [dist] = importlib.metadata.distributions(name=component["name"], path=[str(packages)])
        # cyclonedx-py leaves out the free text where the wheel also has the licence as a file.
        if "licenses" not in component and (licence := dist.metadata["License"]):
            component["licenses"] = [{"license": {"name": licence, "acknowledgement": "declared"}}]
    [bank] = [component for component in bill["components"] if component["name"] == BANK]
    bill["components"].remove(bank)
    # It is in no public index, so it has no address there.
    del bank["purl"]
    bill["metadata"]["component"] = bank | {"type": "application"}
    return bill


def archive_of(content: Path, archive: Path, epoch: int) -> None:
    """Pack the files in order, all root's and of the commit's time, so that only what they say counts."""
    with archive.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:  # noqa: SIM117
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for file in sorted(file for file in content.rglob("*") if file.is_file()):
                entry = tarfile.TarInfo(file.relative_to(content).as_posix())
                entry.size, entry.mtime, entry.mode = file.stat().st_size, epoch, 0o644
                with file.open("rb") as data:
                    tar.addfile(entry, data)


def pinned(wheel: str) -> str:
    """Name and version of a wheel as requirements say them, like flask-wtf==1.3.0."""
    name, version, *_ = wheel.split("-")
    return f"{normalised(name)}=={version}"


def normalised(name: str) -> str:
    """The one spelling of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def digest(file: Path) -> str:
    """SHA-256 of the file, in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def git(*arguments: str) -> str:
    """What git says about this tree."""
    return run("git", *arguments).decode()


def pip(*arguments: str | Path, epoch: int | None = None) -> None:
    """Run the pip of this Python."""
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments, epoch=epoch)


def run(*command: str | Path, epoch: int | None = None) -> bytes:
    """What the command prints; what it complains of, if it fails."""
    env = os.environ | {"PYTHONHASHSEED": "0"} | ({} if epoch is None else {"SOURCE_DATE_EPOCH": str(epoch)})
    done = subprocess.run(  # noqa: S603
        command, cwd=ROOT, env=env, capture_output=True, check=False, timeout=600
    )
    if done.returncode:
        shown = " ".join(str(word) for word in command[:4])
        raise NotPackedError(f"`{shown} ...` ended with {done.returncode}.\n{done.stderr.decode(errors='replace')}")
    return done.stdout


if __name__ == "__main__":
    main()
