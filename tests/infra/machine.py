"""A server of the bank as far as one machine can be another: its own /etc, /opt, /run and /var, and a network of its own.

Nothing of it reaches the real ones, nor any network. The scripts and units are those that cloud-init writes. systemd does
not run, so commands are started as a unit's lines say: its user, its environment files, its command. Amazon's metadata
service and what moto lacks of auto scaling are answered here, and recorded.
"""

from __future__ import annotations

import ctypes
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.infra.rendering import REGION, files
from tests.servers import leash, not_run, wait_for

BIN = Path(sys.executable).parent
INTERPRETER = Path(sys.base_prefix) / "bin/python3.11"
OWN = ("etc", "opt", "run", "usr/local", "var/log")
TRUST_STORE = "truststore.pki.rds.amazonaws.com"
CLONE_NEWNET = 0x40000000
PR_SET_MDWE = 65

# systemd's MemoryDenyWriteExecute, as the kernel itself knows it since 6.3.
WITHOUT_WRITABLE_CODE = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({PR_SET_MDWE}, 1, 0, 0, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def require() -> None:
    """Only root can be another machine."""
    if os.geteuid() != 0:
        not_run("server", "only root can make a mount and a network namespace")
    for program in ("unshare", "nsenter", "ip", "useradd", "setpriv", "jq", "curl", "openssl"):
        if not shutil.which(program):
            not_run("server", f"no {program} found")
    if subprocess.run(["unshare", "--mount", "--net", "true"], check=False, capture_output=True).returncode:
        not_run("server", "namespaces are not allowed here")


@contextmanager
def network_of_its_own() -> Iterator[None]:
    """Take this process, and all that it starts, to a network that has only itself, with the metadata service's address."""
    libc = ctypes.CDLL(None, use_errno=True)
    # The thread's, which is the one that moves.
    with Path("/proc/thread-self/ns/net").open() as before:
        assert libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            subprocess.run(["ip", "address", "add", "169.254.169.254/32", "dev", "lo"], check=True)
            yield
        finally:
            assert libc.setns(before.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())


class Amazon:
    """What of Amazon's a server meets besides moto: metadata by version 2 alone, and lifecycle hooks, on port 80."""

    def __init__(self) -> None:
        self.metadata: dict[str, str] = {"instance-id": "i-0123456789abcdef0"}
        self.completed: list[dict[str, str]] = []
        self.waits = True

    def metadata_at(self, path: str) -> str | None:
        return self.metadata.get(path.removeprefix("/latest/meta-data/"))

    def complete(self, body: str) -> bool:
        """The group's answer to a server that says that it is done."""
        self.completed.append({name: values[0] for name, values in parse_qs(body).items()})
        return self.waits


class _Handler(BaseHTTPRequestHandler):
    amazon: Amazon

    def do_PUT(self) -> None:
        if self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]:
            self._answer(200, "the token")
        else:
            self._answer(404, "")

    def do_GET(self) -> None:
        if self.headers["X-aws-ec2-metadata-token"] != "the token":
            self._answer(401, "")
        elif (value := self.amazon.metadata_at(self.path)) is None:
            self._answer(404, "")
        else:
            self._answer(200, value)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.amazon.complete(body):
            self._answer(200, "<Response><CompleteLifecycleActionResult/></Response>")
        else:
            problem = "<Code>ValidationError</Code><Message>No active Lifecycle Action found</Message>"
            self._answer(400, f"<ErrorResponse><Error>{problem}</Error></ErrorResponse>")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def amazon() -> Iterator[Amazon]:
    """The metadata service at its own address."""
    answers = Amazon()
    handler = type("Handler", (_Handler,), {"amazon": answers})
    with serving(ThreadingHTTPServer(("169.254.169.254", 80), handler)):
        yield answers


@contextmanager
def trust_store(directory: Path, authorities: bytes) -> Iterator[Path]:
    """The site of RDS's authorities, on this network; answers the certificate by which curl knows it."""
    certificate, key = directory / "site.pem", directory / "site.key"
    subject = ["-subj", f"/CN={TRUST_STORE}", "-addext", f"subjectAltName=DNS:{TRUST_STORE}"]
    making = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "1"]
    subprocess.run([*making, *subject, "-keyout", key, "-out", certificate], check=True, capture_output=True)

    class Site(_Handler):
        def do_GET(self) -> None:
            self._answer(200, authorities.decode())

    server = ThreadingHTTPServer(("127.0.0.1", 443), Site)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server):
        yield certificate


class Machine:
    """The server: its files, and commands that run as its units do."""

    def __init__(self, directory: Path, cloud_config: str, environment: dict[str, str]) -> None:
        self.files = files(cloud_config)
        self.directory = directory
        self.environment = environment
        self._running = ExitStack()

    def __enter__(self) -> Machine:
        holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert holder.stdout is not None
        holder.stdout.readline()
        self._running.callback(holder.communicate)
        self._enter = ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "--"]
        try:
            self._furnish()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _furnish(self) -> None:
        """Do what cloud-init and its commands do before they start units."""
        for path, (content, mode) in self.files.items():
            self._write_before(path, content, mode)
        shut = [str(parent)[1:] for parent in INTERPRETER.parents if not parent.stat().st_mode & 0o001]
        for folder in (*OWN, *shut[-1:]):
            upper, work = self._upper(folder), self.directory / "work" / folder.replace("/", "-")
            upper.mkdir(parents=True, exist_ok=True)
            work.mkdir(parents=True)
            layers = f"lowerdir=/{folder},upperdir={upper},workdir={work}"
            self.run("mount", "-t", "overlay", "overlay", "-o", layers, f"/{folder}")
        # The bank's user must get at the interpreter, even at one that root keeps to itself.
        for folder in reversed(shut):
            self.run("chmod", "o+x", f"/{folder}")
        self.run("useradd", "--system", "--no-create-home", "--shell", "/sbin/nologin", "bank")
        self.run("install", "-d", "-m", "0750", "/var/log/bank")
        self.run("sh", "-c", f"echo 127.0.0.1 {TRUST_STORE} >>/etc/hosts")
        self.tmpfiles()
        for program in (BIN / "aws", INTERPRETER):
            self.write(f"/usr/local/bin/{program.name}", f'#!/bin/sh\nexec {shlex.quote(str(program))} "$@"\n', 0o755)
        # What it is told is written down; there is no systemd to tell.
        self.write("/usr/local/bin/systemctl", '#!/bin/sh\necho "$*" >>/run/systemctl.log\n', 0o755)

    def _upper(self, folder: str) -> Path:
        return self.directory / "upper" / folder.replace("/", "-")

    def _write_before(self, path: str, content: str, mode: int) -> None:
        """Write a file into what is about to be laid over the real directories; thirty commands there would take long."""
        [folder] = [folder for folder in OWN if path.startswith(f"/{folder}/")]
        file = self._upper(folder) / path.removeprefix(f"/{folder}/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(mode)

    def tmpfiles(self) -> None:
        """Make the directories that bank.conf lists, as after each start."""
        for line in self.files["/etc/tmpfiles.d/bank.conf"][0].splitlines():
            if line.startswith("d "):
                _, path, mode, user, group = line.split()
                self.run("install", "-d", "-m", mode, "-o", user, "-g", group, path)

    def write(self, path: str, content: str, mode: int = 0o644) -> None:
        self.run("mkdir", "-p", str(Path(path).parent))
        self.run("sh", "-c", 'cat >"$1" && chmod "$2" "$1"', "_", path, f"{mode:o}", stdin=content)

    def read(self, path: str) -> str:
        return self.run("cat", path).stdout

    def stat(self, path: str) -> str:
        """Like `root:bank 440`."""
        return self.run("stat", "--format=%U:%G %a", path).stdout.strip()

    def exists(self, path: str) -> bool:
        return self.run("test", "-e", path, check=False).returncode == 0

    def run(self, *command: str, check: bool = True, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command there, with a plain environment."""
        done = subprocess.run(
            [*self._enter, *command],
            env=self._env(env),
            check=False,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert not check or done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
        return done

    def _env(self, more: dict[str, str]) -> dict[str, str]:
        return {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **self.environment, **more}

    # Units

    def lines(self, unit: str, key: str) -> list[str]:
        """All values of a key in the unit and in what is dropped beside it."""
        beside = f"/etc/systemd/system/{unit}.d/sandbox.conf"
        text = self.files[f"/etc/systemd/system/{unit}"][0] + self.files.get(beside, ("", 0))[0]
        return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)

    def command(self, unit: str, nth: int = 0) -> list[str]:
        """What starts the unit's process: who it is, its environment, its command."""
        sources = "".join(f". {shlex.quote(file)}; " for file in self.lines(unit, "EnvironmentFile"))
        settings = "".join(f"export {setting}; " for setting in self.lines(unit, "Environment"))
        shell = ["bash", "-euc", f'set -a; {sources}{settings}exec "$@"', "_"]
        command = shlex.split(self.lines(unit, "ExecStart")[nth])
        if user := self.lines(unit, "User"):
            denied = ["setpriv", f"--reuid={user[0]}", f"--regid={user[0]}", "--clear-groups", "--no-new-privs"]
            command = [*denied, "--bounding-set=-all", sys.executable, "-c", WITHOUT_WRITABLE_CODE, *command]
        return [*self._enter, *shell, *command]

    def start(self, unit: str, nth: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """Do what a unit does that ends by itself."""
        return subprocess.run(
            self.command(unit, nth), env=self._env(env), check=False, capture_output=True, text=True, timeout=300
        )

    @contextmanager
    def started(self, unit: str, is_up: Any, **env: str) -> Iterator[Path]:
        """Run a unit that stays, and wait until it is up; answers its log."""
        for folder in self.lines(unit, "RuntimeDirectory"):
            self.run("install", "-d", "-m", "0750", "-o", "bank", "-g", "bank", f"/run/{folder}")
        log = self.directory / f"{unit}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(self.command(unit), env=self._env(env), stdout=output, stderr=output)
        held = leash(process.pid, signal.SIGTERM, self.directory / "nothing")

        def up() -> bool:
            assert process.poll() is None, log.read_text()
            return bool(is_up())

        try:
            wait_for(up, unit)
            yield log
        finally:
            process.terminate()
            process.wait(40)
            with suppress(BrokenPipeError):
                held.communicate(b"let go\n")


def aws_environment(endpoint: str) -> dict[str, str]:
    """Whom the AWS CLI speaks to: moto, but for lifecycle hooks, which moto lacks."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT_URL_AUTO_SCALING": "http://169.254.169.254",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_REGION": REGION,
        "NO_PROXY": "*",
        "PIP_CONFIG_FILE": os.devnull,
    }
