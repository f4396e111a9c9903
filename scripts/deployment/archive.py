"""Put a release's archive into a region's bucket, once."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from botocore.exceptions import ClientError

from scripts.deployment.aws import Stop, client, code, say
from scripts.deployment.model import Region, Release

# One PUT carries up to 5 GB; a bank of this size is a mistake.
_BYTES_MAX = 1 << 30


def check(release: Release, file: Path) -> None:
    """Make sure that the file is the one that was planned and approved.

    Raises:
        Stop: it is missing, too large, or another one.
    """
    try:
        size = file.stat().st_size
    except OSError as problem:
        raise Stop(
            f"{file} cannot be read ({problem.strerror}). `make package` at commit {release.commit} makes it."
        ) from problem
    if size > _BYTES_MAX:
        raise Stop(f"{file} has {size} bytes; an archive has at most {_BYTES_MAX}.")
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != release.sha256:
        raise Stop(
            f"{file} has the digest {digest}, but {release.sha256} was applied. Plan and apply this archive first."
        )


def upload(release: Release, region: Region, file: Path) -> None:
    """Store the archive under its commit; what is there already is never replaced.

    Raises:
        Stop: another archive is there under the same commit.
    """
    checksum = base64.b64encode(bytes.fromhex(release.sha256)).decode()
    s3 = client("s3", region.name)
    where = {"Bucket": region.artifacts, "Key": release.key}
    try:
        with file.open("rb") as content:
            # S3 computes the digest as well and refuses what differs, or what is there already.
            s3.put_object(**where, Body=content, ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum, IfNoneMatch="*")
    except ClientError as problem:
        if code(problem) != "PreconditionFailed":
            raise
    else:
        say(region.name, f"uploaded {release.archive}")
        return
    if s3.head_object(**where, ChecksumMode="ENABLED").get("ChecksumSHA256") != checksum:
        raise Stop(
            f"s3://{region.artifacts}/{release.key} is another archive of the same commit. "
            "Servers would refuse it. Find out who put it there; then commit anew, so that the release has a name of its own."
        )
    say(region.name, f"{release.archive} is there already")
