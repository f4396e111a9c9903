"""`bank metrics`: serve what the bank counts of itself, on a port of its own."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

import click
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from bank.cli import common
from bank.errors import BankError
from bank.ledger import verify
from bank.ledger.verify import Verification
from bank.storage.transaction import Bank

_STATEMENT_SECONDS: Final = 3
_READ_AGAIN_AFTER_SECONDS: Final = 15
#: So long a client may be silent.
_CLIENT_SECONDS: Final = 10


def _address(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    try:
        address = str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError as problem:
        raise click.BadParameter("must be ADDRESS:PORT, like 127.0.0.1:9100 or [::1]:9100.") from problem
    if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        raise click.BadParameter("must end with a port from 1 to 65535.")
    return address, int(port)


@click.command()
@click.option(
    "--listen", default="127.0.0.1:9100", show_default=True, metavar="ADDRESS:PORT", callback=_address,
    help="Where to serve them; whoever reaches it may read them.",
)  # fmt: skip
@common.in_sentences
def metrics(listen: tuple[str, int]) -> None:
    """Serve metrics in Prometheus's text format until it is stopped.

    The servers' processes count requests into the folder PROMETHEUS_MULTIPROC_DIR, which this adds up; the ledger's
    figures come from the database, no more often than every 15 seconds. No figure is about a customer.
    """
    settings = common.settings()
    registry = CollectorRegistry()
    registry.register(LedgerGauges(Bank.open(settings, statement_seconds=_STATEMENT_SECONDS)))
    try:
        if settings.metrics_directory:
            Path(settings.metrics_directory).mkdir(mode=0o700, parents=True, exist_ok=True)
            MultiProcessCollector(registry, settings.metrics_directory)  # type: ignore[no-untyped-call]
        server, thread = start_http_server(listen[1], listen[0], registry)
    except OSError as problem:
        raise click.ClickException(f"Metrics cannot be served: {problem.strerror}.") from problem
    server.RequestHandlerClass.timeout = _CLIENT_SECONDS  # type: ignore[attr-defined]
    counted = "" if settings.metrics_directory else " Without PROMETHEUS_MULTIPROC_DIR no requests are counted."
    click.echo(f"Metrics are served on port {listen[1]} of {listen[0]}.{counted}")
    thread.join()


class LedgerGauges(Collector):
    """What the database knows, read at most every 15 seconds however many ask."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._one_reads = threading.Lock()
        self._read_at = -float(_READ_AGAIN_AFTER_SECONDS)
        self._up = False
        self._last: Verification | None = None

    def collect(self) -> Iterator[Metric]:
        """The figures as they are known now; of a database that is away, that it is."""
        with self._one_reads:
            if time.monotonic() - self._read_at >= _READ_AGAIN_AFTER_SECONDS:
                self._read()
                self._read_at = time.monotonic()
            up, last = self._up, self._last
        release = GaugeMetricFamily("bank_info", "The release that is installed", labels=["release"])
        release.add_metric([version("retail-bank")], 1)
        yield release
        yield GaugeMetricFamily("bank_database_up", "Does the database answer? 1 is yes", value=up)
        if last:
            yield from _figures(last, self._bank)

    def _read(self) -> None:
        try:
            with self._bank.reader() as reader:
                self._last = verify.last(reader)
            self._up = True
        except (BankError, SQLAlchemyError):
            self._last, self._up = None, False


def _figures(last: Verification, bank: Bank) -> Iterator[Metric]:
    ago = max(0.0, (bank.clock.now() - last.at).total_seconds())
    for name, told, value in (
        ("bank_ledger_findings", "Places in which the ledger was broken when it was last verified", last.findings),
        ("bank_ledger_verified_seconds_ago", "How long ago the ledger was last verified", ago),
        ("bank_ledger_entries", "Journal entries that were verified then", last.entries),
    ):
        yield GaugeMetricFamily(name, told, value=value)
