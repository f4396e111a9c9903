"""The wheel that others install has all that the bank needs: the schema's steps, templates, languages, typefaces, icons."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.gunicorn_server import answers, environment, wait_until
from tests.servers import free_port

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
    for file in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "wsgi.py"):
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
    [metadata] = unpacked.glob("*.dist-info")
    assert {path.name for path in unpacked.iterdir()} == {"bank", "wsgi.py", metadata.name}


def test_an_installed_bank_makes_its_tables_and_shows_its_log_in_in_spanish(unpacked: Path, tmp_path: Path):
    run(unpacked, tmp_path, "from bank.cli import main; main()", "db", "upgrade")

    where, page, found = json.loads(run(unpacked, tmp_path, OPEN))

    assert where.startswith(str(unpacked))
    assert '<html lang="es"' in page
    assert "Iniciar sesión" in page
    assert set(found.values()) == {200}
    for kind in (".css", ".js", ".woff2", "icons-"):
        assert any(kind in file for file in found), kind


def test_an_installed_bank_is_served_from_any_folder_by_its_own_configuration(unpacked: Path, tmp_path: Path):
    run(unpacked, tmp_path, "from bank.cli import main; main()", "db", "upgrade")
    port, log = free_port(), tmp_path / "log"
    env = environment(PYTHONPATH=str(unpacked), DATABASE_URL=f"sqlite:///{tmp_path}/bank.sqlite")
    command = [sys.executable, "-m", "gunicorn", "--config", "python:bank.gunicorn_conf", f"--bind=127.0.0.1:{port}"]
    with ExitStack() as running:
        output = running.enter_context(log.open("w"))
        server = running.enter_context(subprocess.Popen(command, cwd=tmp_path, env=env, stderr=output))
        running.callback(server.terminate)

        wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), 20, "the bank to open")

        assert server.poll() is None
    assert all(json.loads(line) for line in log.read_text().splitlines())
