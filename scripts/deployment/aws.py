"""How this tool talks to AWS: clients that give up, refusals as sentences, waits with an end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

POLL_SECONDS = 10.0

_CONFIG = Config(connect_timeout=10, read_timeout=120, retries={"mode": "standard", "total_max_attempts": 6})


class Stop(click.ClickException):
    """The deployment cannot go on; the sentence says why, and what to do next."""


def client(service: str, region: str) -> Any:
    """A client with the credentials of the environment."""
    return boto3.client(service, region_name=region, config=_CONFIG)


def code(problem: ClientError) -> str:
    """AWS's own word for what went wrong."""
    return str(problem.response["Error"]["Code"])


class Sentences(click.Group):
    """A command whose failures at AWS are one sentence and not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a refusal or a broken connection ends it with exit code 1."""
        try:
            return super().invoke(ctx)
        except ClientError as problem:
            error = problem.response["Error"]
            raise Stop(
                f"AWS refused {problem.operation_name}: {code(problem)}: {error.get('Message', '')}"
            ) from problem
        except BotoCoreError as problem:
            raise Stop(f"AWS could not be asked: {problem}") from problem


def polls(seconds: float) -> Iterator[None]:
    """Let the caller look at once, again every few seconds, and a last time when `seconds` are over."""
    end = time.monotonic() + seconds
    while True:
        yield
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(POLL_SECONDS, left))


def say(region: str, sentence: str) -> None:
    """Print a line of progress, with the time."""
    click.echo(f"{time.strftime('%H:%M:%S', time.gmtime())}Z {region}: {sentence}")
