"""The databases' own tools, started with no secret in their arguments; what they write and what they read in."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from bank.errors import Refused, Unavailable

_CHUNK: Final = 1 << 20

Progress = Callable[[int], object]


class BackupRefused(Refused):
    """This cannot be backed up, or not restored, here."""

    code = "backup_refused"


class ToolFailed(Unavailable):
    """The database's own tool ended before its work was done."""

    code = "tool_failed"


class Dump:
    """What a tool writes, passed on into a file."""

    def __init__(self, tool: subprocess.Popen[bytes], file: IO[bytes], errors: IO[bytes], progress: Progress) -> None:
        self._tool, self._file, self._errors, self._progress = tool, file, errors, progress

    def write_until(self, word: bytes) -> None:
        """Pass on until the word has come by, or the first few bytes; or all, if there is no more."""
        assert self._tool.stdout is not None
        end = b""
        while chunk := os.read(self._tool.stdout.fileno(), _CHUNK):
            self._write(chunk)
            if word in end + chunk:
                return
            end = chunk[-len(word) :]

    def write_all(self) -> None:
        """Pass on all the rest, and see that the tool ended well."""
        self.write_until(b"\0no tool writes this\0")
        self._file.flush()
        os.fsync(self._file.fileno())
        _judge(self._tool, self._errors)

    def _write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._progress(len(chunk))


@contextmanager
def writing(command: Sequence[str], file: IO[bytes], progress: Progress) -> Iterator[Dump]:
    with (
        tempfile.TemporaryFile() as errors,
        _started(command, stdout=subprocess.PIPE, stderr=errors) as tool,
    ):
        yield Dump(tool, file, errors, progress)


def feed(command: Sequence[str], pieces: Iterable[bytes], progress: Progress) -> None:
    with (
        tempfile.TemporaryFile() as errors,
        _started(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors) as tool,
    ):
        assert tool.stdin is not None
        # A tool that ends early says why.
        with suppress(BrokenPipeError):
            for piece in pieces:
                tool.stdin.write(piece)
                progress(len(piece))
            tool.stdin.close()
        _judge(tool, errors)


@contextmanager
def _started(command: Sequence[str], **pipes: Any) -> Iterator[subprocess.Popen[bytes]]:
    # The programs are ours, and their arguments a list that no shell reads.
    tool = subprocess.Popen(  # noqa: S603
        command, env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"}, **{"stdin": subprocess.DEVNULL, **pipes}
    )
    try:
        yield tool
    finally:
        tool.kill()
        for pipe in (tool.stdin, tool.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()
        tool.wait()


def _judge(tool: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    if tool.wait() == 0:
        return
    errors.seek(0)
    lines = [line for line in errors.read().decode(errors="replace").splitlines() if line.strip()]
    told = next((line for line in lines if "rror" in line or "abort" in line), lines[-1] if lines else "")
    args: Any = tool.args
    raise ToolFailed(f"{Path(args[0]).name} says: {told[:300] or f'nothing, and ended with {tool.returncode}'}")


@contextmanager
def secret_file(text: str) -> Iterator[Path]:
    """A file that nobody else can read, for as long as the body lasts."""
    with tempfile.TemporaryDirectory(prefix="bank-") as directory:
        path = Path(directory) / "login"
        with private_file(path) as file:
            file.write(text.encode())
        yield path


def private_file(path: Path) -> IO[bytes]:
    """A new file that only its owner can read, open for writing."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def installed(name: str, *, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise BackupRefused(
            f"{name} is not on this machine: install {package}, of the server's version or a later one."
        )
    return found


def version_of(tool: str) -> str:
    return subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk
