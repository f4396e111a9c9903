"""The wheel that others install has all that the bank needs: the schema's steps, templates, languages, typefaces, icons."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.gunicorn_server import environment

ROOT = Path(__file__).parents[2]
NOT_SHIPPED = shutil.ignore_patterns("__pycache__")

BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
OPEN = """
import json, os, re
import bank
from bank.app import create_app
from bank.settings import Settings

client = create_app(Settings.from_env(os.environ)).test_client()
page = client.get("/login", headers={"Accept-Language": "es"}).text
css = client.get("/static/bank.css").text
files = {*re.findall(r'"(/static/[^"#]+)', page), *("/static/" + name for name in re.findall(r'url[(]"([^"]+)', css))}
print(json.dumps([bank.__file__, page, {file: client.get(file).status_code for file in files}]))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install` would put into place; built from a copy, since building leaves files behind."""
    source, built, unpacked = (tmp_path_factory.mktemp(name) for name in ("source", "built", "unpacked"))
    for folder in ("bank", "migrations"):
        shutil.copytree(ROOT / folder, source / folder, ignore=NOT_SHIPPED)
    for file in ("setup.py", "setup.cfg", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, source)
    subprocess.run([sys.executable, "-c", BUILD, built], cwd=source, check=True, capture_output=True)
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    return unpacked


def run(unpacked: Path, directory: Path, script: str, *arguments: str) -> str:
    """What a program prints that sees the unpacked wheel and no checkout."""
    env = environment(PYTHONPATH=str(unpacked), DATABASE_URL=f"sqlite:///{directory / 'bank.sqlite'}")
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, cwd=directory, env=env, check=True, capture_output=True, text=True).stdout


def files(folder: Path, called: str) -> set[str]:
    return {
        f"{called}/{file.relative_to(folder).as_posix()}"
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_the_wheel_has_every_file_of_the_bank_and_no_other(unpacked: Path):
    assert files(unpacked / "bank", "bank") == files(ROOT / "bank", "bank") | files(
        ROOT / "migrations", "bank/migrations"
    )


def test_an_installed_bank_makes_its_tables_and_shows_its_log_in_in_spanish(unpacked: Path, tmp_path: Path):
    run(unpacked, tmp_path, "from bank.cli import main; main()", "db", "upgrade")

    where, page, found = json.loads(run(unpacked, tmp_path, OPEN))

    assert where.startswith(str(unpacked))
    assert '<html lang="es"' in page
    assert "Iniciar sesión" in page
    assert set(found.values()) == {200}
    for kind in (".css", ".js", ".woff2", "icons-"):
        assert any(kind in file for file in found), kind
