"""A backup: a directory with a dump of the database, and a manifest that says what is in it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from bank.storage.dumps import DUMPS, Dumps
from bank.storage.tools import BackupRefused, Progress, chunks, private_file

_FORMAT: Final = 1
_MANIFEST: Final = "manifest.json"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a bank holds at one instant: rows by table, the newest entry's id, minor units by line of the chart."""

    rows: dict[str, int]
    newest_entry: int
    trial_balance: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Manifest:
    """When and how a backup was made, of what; and the SHA-256 of its dump."""

    made_at: str
    release: str
    schema: str
    #: The kind of database, as the bank knows it, and its server and tool in their own words.
    engine: str
    server: str
    tool: str
    bytes: int
    sha256: str
    rows: dict[str, int]
    newest_entry: int
    trial_balance: list[list[Any]]
    format: int = _FORMAT

    @property
    def contents(self) -> Contents:
        """What the bank held."""
        return Contents(self.rows, self.newest_entry, self.trial_balance)

    @property
    def dumps(self) -> Dumps:
        """How its kind of database is read back."""
        return DUMPS[self.engine]


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """A directory to fill, that nobody else may enter; it gets its name when the body has ended well.

    Raises:
        BackupRefused: something has that name already, or it cannot be made.
    """
    refuse_existing(path)
    try:
        unfinished = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as problem:
        raise BackupRefused(f"{path} cannot be made: {problem.strerror}.") from problem
    try:
        yield unfinished
        unfinished.rename(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def refuse_existing(path: Path) -> None:
    """See that nothing would be written over.

    Raises:
        BackupRefused: something has that name already.
    """
    if path.exists():
        raise BackupRefused(f"{path} exists already: a backup is never written over.")


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Put the manifest beside the dump, on disk before this answers."""
    with private_file(directory / _MANIFEST) as file:
        file.write(json.dumps(asdict(manifest), indent=1, ensure_ascii=False).encode())
        file.flush()
        os.fsync(file.fileno())


def read_manifest(directory: Path) -> Manifest:
    """What the backup says of itself.

    Raises:
        BackupRefused: it is none, or of another format.
    """
    try:
        told = json.loads((directory / _MANIFEST).read_text())
    except (OSError, ValueError) as problem:
        raise BackupRefused(f"{directory} is no backup of a bank: {_MANIFEST} cannot be read.") from problem
    if not isinstance(told, dict) or told.get("format") != _FORMAT:
        raise BackupRefused(f"{directory} is a backup in a format that this release does not know.")
    if set(told) != {field.name for field in fields(Manifest)} or told["engine"] not in DUMPS:
        raise BackupRefused(f"{directory} is no backup of a bank: {_MANIFEST} says less, or more, than one does.")
    return Manifest(**told)


def digest(path: Path, progress: Progress) -> tuple[int, str]:
    """How many bytes the file has, and their SHA-256."""
    found, length = hashlib.sha256(), 0
    with path.open("rb") as file:
        for chunk in chunks(file):
            found.update(chunk)
            length += len(chunk)
            progress(len(chunk))
    return length, found.hexdigest()


def check_dump(directory: Path, manifest: Manifest, progress: Progress) -> Path:
    """The dump, if it is byte for byte what was written.

    Raises:
        BackupRefused: it is missing, shorter, longer or changed.
    """
    path = directory / manifest.dumps.file_name
    try:
        length, sha256 = digest(path, progress)
    except OSError as problem:
        raise BackupRefused(f"{path} cannot be read: {problem.strerror}.") from problem
    if length != manifest.bytes:
        raise BackupRefused(f"{path} has {length:,} bytes, and {manifest.bytes:,} were written: it is not whole.")
    if sha256 != manifest.sha256:
        raise BackupRefused(f"{path} is not what was written: its SHA-256 is another.")
    return path


def differences(expected: Contents, found: Contents) -> list[str]:
    """In what the restored bank is not what was backed up."""
    told = [
        f"{name}: {found.rows.get(name, 0):,} rows in place of {count:,}"
        for name, count in expected.rows.items()
        if found.rows.get(name) != count
    ]
    if found.newest_entry != expected.newest_entry:
        told.append(f"the newest entry is {found.newest_entry}, not {expected.newest_entry}")
    if found.trial_balance != expected.trial_balance:
        told.append("the trial balance is another")
    return told


def refuse_elsewhere(manifest: Manifest, *, engine: str, server: str, tool: str) -> None:
    """See that the backup fits to the target's kind of database, its server and the tools here.

    Raises:
        BackupRefused: as it says.
    """
    if manifest.engine != engine or manifest.server.split()[0] != server.split(maxsplit=1)[0]:
        raise BackupRefused(
            f"The backup is of {manifest.server}, and the target is {server}. `bank db copy` moves a bank between kinds of"
            " databases: restore to one of its own kind first."
        )
    if _major(manifest.server) > _major(server):
        raise BackupRefused(f"The backup is of {manifest.server}, and the target is older: {server}.")
    if engine == "postgresql" and _major(manifest.tool) > _major(tool):
        raise BackupRefused(f"The backup was made by {manifest.tool}, and the tool here is older: {tool}.")


def _major(text: str) -> int:
    """The first number in what a server or tool says it is; 0 if it has none.

    >>> _major("pg_dump (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)")
    15
    """
    words = (word.partition(".")[0] for word in text.split())
    return next((int(word) for word in words if word.isascii() and word.isdigit()), 0)
