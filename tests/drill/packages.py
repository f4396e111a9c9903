"""The application as servers get it: the wheel of a commit or of the working tree, installed in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.drill.topology import ROOT

#: What the wheel is made of.
_SOURCES = ("bank", "migrations", "wsgi.py", "setup.py", "setup.cfg", "pyproject.toml", "README.md")
_BUILD_SECONDS = 120
_GUNICORN = """#!{python}
from gunicorn.app.wsgiapp import run

if __name__ == "__main__":
    raise SystemExit(run())
"""


@dataclass(frozen=True, slots=True)
class Package:
    """A version of the bank, ready to be served: its folder is what /opt/bank/current leads to on a server."""

    name: str
    folder: Path
    #: A commit, or "working tree".
    version: str
    #: Who may run it: "drill", or "root" where nobody else can read this machine's Python.
    user: str

    @property
    def bank(self) -> Path:
        """Its `bank` command."""
        return self.folder / "bin/bank"

    @property
    def modules(self) -> Path:
        """The folder that holds its `bank/`."""
        [found] = self.folder.glob("lib/python*/site-packages")
        return found


def build(name: str, ref: str, work: Path) -> Package:
    """Package a commit, or the working tree if `ref` is empty: in about three seconds, for what it needs is .venv's.

    Raises:
        RuntimeError: what the builder complained of.
    """
    source, wheels, folder = work / f"{name}-source", work / f"{name}-wheels", work / name
    for directory in (source, wheels):
        directory.mkdir(parents=True)
    version = _check_out(ref, source)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    _run(*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", f"--wheel-dir={wheels}", source)
    python, user = _python()
    _run(python, "-m", "venv", "--without-pip", folder)
    [packages] = folder.glob("lib/python*/site-packages")
    [wheel] = wheels.glob("*.whl")
    install = ("install", "--quiet", "--no-deps", "--no-index", "--offline", "--compile-bytecode")
    _run(sys.executable, "-m", "uv", "pip", *install, f"--python={folder / 'bin/python'}", wheel)
    # Behind the package's own, so the bank is the wheel's and all else is .venv's.
    (packages / "needs.pth").write_text(f"{_needs()}\n")
    script = folder / "bin/gunicorn"
    script.write_text(_GUNICORN.format(python=folder / "bin/python"))
    script.chmod(0o755)
    for directory in (source, wheels):
        shutil.rmtree(directory)
    return Package(name, folder, version, user)


def _check_out(ref: str, source: Path) -> str:
    if not ref:
        listed = _run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *_SOURCES)
        for file in filter(None, listed.decode().split("\0")):
            # What is deleted and not committed is listed, too.
            if (ROOT / file).is_file():
                (source / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, source / file)
        return "working tree"
    archive = source.with_suffix(".tar")
    _run("git", "archive", "--output", archive, ref, *_SOURCES)
    _run("tar", "--extract", "--no-same-owner", "--file", archive, "--directory", source)
    archive.unlink()
    return _run("git", "rev-parse", "--short=12", ref).decode().strip()


def _python() -> tuple[Path, str]:
    """The Python for servers, and who can run it: this one may lie in a home that nobody else can enter."""
    own = Path(sys.executable).resolve()
    systems = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    if not _open_to_all(_needs()):
        return own, "root"
    for python in (own, systems):
        if python.exists() and _open_to_all(python):
            return python, "drill"
    return own, "root"


def _needs() -> Path:
    """Where this Python has what the bank needs."""
    import flask

    return Path(flask.__file__).parents[1]


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.parents) and bool(path.stat().st_mode & 0o004)


def _run(*words: str | Path) -> bytes:
    done = subprocess.run([*map(str, words)], cwd=ROOT, capture_output=True, check=False, timeout=_BUILD_SECONDS)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words[:6]))} ...: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout
