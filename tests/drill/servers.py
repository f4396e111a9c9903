"""The application's servers, each started by the very line that systemd starts it by."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.drill import clock
from tests.drill.clock import Clock
from tests.drill.packages import Package
from tests.drill.placed import one_at_a_time
from tests.drill.topology import HOSTS, ROOT, Network
from tests.servers import adopting_orphans, children

UNIT = ROOT / "infra/modules/app/server/etc/systemd/system/bank.service"
_INSTALLED = "/opt/bank/current"
_RUNTIME = "/run/bank/"
PORT = 8000


def exec_start(unit: str) -> list[str]:
    """The command of a unit.

    >>> exec_start("[Service]\\nExecStart=/bin/bank --port 1\\n")
    ['/bin/bank', '--port', '1']
    """
    [line] = re.findall(r"(?m)^ExecStart=(.+)$", unit)
    return shlex.split(line)


def environment(unit: str) -> dict[str, str]:
    """What a unit sets itself.

    >>> environment("[Service]\\nEnvironment=A=1\\n")
    {'A': '1'}
    """
    lines = re.findall(r"(?m)^Environment=(.+)$", unit)
    return dict(word.split("=", 1) for line in lines for word in shlex.split(line))


class AppServer:
    """One gunicorn in its host."""

    def __init__(
        self, network: Network, host: str, packages: Mapping[str, Package], env: Mapping[str, str], work: Path
    ) -> None:
        """Prepare one that runs the first of the packages; `work` is a folder that everybody may enter."""
        self.network = network
        self.host = self.name = host
        self.region = HOSTS[host].region
        self.url = f"http://{HOSTS[host].address}:{PORT}"
        self.log = network.directory / f"{host}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.env = dict(env)
        self._packages = packages
        self._package = next(iter(packages.values()))
        self._runtime = work / host
        self._clock_folder = work / f"{host}-clock"
        self._clock: Clock | None = None

    @property
    def package(self) -> str:
        """The package that it runs, or will at the next start."""
        return self._package.name

    def use(self, package: str) -> None:
        """Let the next start be of another package."""
        self._package = self._packages[package]

    def start(self) -> None:
        """Start, and do not wait."""
        assert self.process is None or self.process.poll() is not None, f"{self.host} runs already"
        self.tidy()
        unit = UNIT.read_text()
        shutil.rmtree(self._runtime, ignore_errors=True)
        folder = Path(self._local(_RUNTIME)) / "metrics"
        folder.mkdir(parents=True)
        for path in (self._runtime, folder):
            os.chown(path, self.network.account.pw_uid, self.network.account.pw_gid)
        own = {name: self._local(value) for name, value in environment(unit).items()}
        self.process = self.network.run(
            self.host,
            [*(self._clock.words() if self._clock else []), *(self._local(word) for word in exec_start(unit))],
            env=self.env | own,
            log=self.log,
            user=self._package.user,
        )

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait until it answers /readyz with 200.

        Raises:
            RuntimeError: it ended, or was not ready in that time.
        """
        deadline = time.monotonic() + seconds
        while self.health() != 200:
            ended = self.process is None or self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise RuntimeError(f"{self.host} {'ended' if ended else 'is not ready'}: {self.text()[-3000:]}")
            time.sleep(0.1)

    def health(self, path: str = "/readyz", *, seconds: float = 3) -> int:
        """The status of a path, asked on the host itself; 0 when there is no answer."""
        try:
            return self.network.get(self.host, f"{self.url}{path}", seconds=seconds)[0]
        except OSError:
            return 0

    def terminate(self) -> None:
        """SIGTERM, as systemd sends it, and do not wait."""
        assert self.process is not None
        self.process.terminate()

    def stop(self, seconds: float = 60) -> int:
        """SIGTERM, and wait until it has ended; answers the exit code."""
        self.terminate()
        assert self.process is not None
        return self.process.wait(seconds)

    def drain(self) -> None:
        """Ask it, on the host itself, to drain and end.

        Raises:
            RuntimeError: it would not.
        """
        status, _ = self.network.get(self.host, f"http://127.0.0.1:{PORT}/drain", method="POST")
        if status >= 300:
            raise RuntimeError(f"{self.host} answered {status} to POST /drain")

    def kill(self) -> None:
        """End its processes at once, as a power cut would."""
        if self.process is None or self.process.poll() is not None:
            return
        with one_at_a_time, adopting_orphans():
            # Stopped first, or the master would start others in place of those that end.
            self.process.send_signal(signal.SIGSTOP)
            pids = children(self.process.pid)
            for pid in (*pids, self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
            for pid in pids:
                with suppress(ChildProcessError):
                    os.waitpid(pid, 0)

    def clock_offset(self, seconds: float) -> None:
        """Step its clock, in a second while it runs; the first call restarts it with libfaketime, so make it early, with 0."""
        if self._clock:
            self._clock.step(seconds)
            return
        self._clock = Clock(self._clock_folder)
        self._clock.step(seconds)
        if self.process and self.process.poll() is None:
            self.kill()
            self.start()

    def tidy(self) -> None:
        """When it has ended: leave nothing of it on the machine."""
        if self._clock and self.process:
            clock.forget(self.process.pid)

    def text(self) -> str:
        """All that it wrote."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _local(self, text: str) -> str:
        return text.replace(_INSTALLED, str(self._package.folder)).replace(_RUNTIME, f"{self._runtime}/")
