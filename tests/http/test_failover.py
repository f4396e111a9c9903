"""The primary lost and its replica promoted under real servers, which are not started again: they follow their login file."""

from __future__ import annotations

import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bank.settings import with_login_file
from tests.builders import Branch
from tests.failover import Estate, an_estate, printed_place, write_login
from tests.gunicorn_server import BIN, ROOT, GunicornServer, environment, wait_until
from tests.http.browsing import RemoteBrowser
from tests.http.conftest import Serve
from tests.ledger import assert_books_balance

pytestmark = pytest.mark.dialects("postgresql", "mysql")

#: From the new file on, however busy this machine is.
FOLLOW_SECONDS = 10


@pytest.fixture
def estate(dialect: str, tmp_path: Path) -> Iterator[Estate]:
    with an_estate(dialect, tmp_path / "login.json") as estate:
        yield estate


def take_over(estate: Estate) -> dict[str, Any]:
    """As an operator does it on a server; answers what goes into the secret."""
    env = environment(DATABASE_URL=estate.address, DATABASE_LOGIN_FILE=str(estate.file))
    command = [BIN / "bank", "db", "take-over", f"--port={estate.replica.port}"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return printed_place(done.stdout)


@dataclass
class Payer:
    """Alice at her browser, who pays Bob 1.00 again and again, each form until it is answered as paid."""

    server: GunicornServer
    branch: Branch
    paid: int = 0
    statuses: set[int] = field(default_factory=set)
    failures: list[BaseException] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Payer:
        self._thread = threading.Thread(target=self._pay_on)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(60)

    def _pay_on(self) -> None:
        try:
            alice = RemoteBrowser(self.server.address, self.branch.session_of("alice"))
            payer, payee = self.branch.number("alice_current"), self.branch.number("bob_current")
            form = alice.fill("/pay", from_account=payer, to_account=payee, amount="1.00", reference="On and on")
            while not self._end.wait(0.1):
                self._pay(alice, {**form, "operation": str(uuid.uuid4())})
        except BaseException as failure:  # noqa: BLE001  # shown by the test
            self.failures.append(failure)

    def _pay(self, alice: RemoteBrowser, form: dict[str, str]) -> None:
        # Also when the test ends: whatever was asked is paid.
        while (status := alice.ask("/pay", form).status) != 303:
            self.statuses.add(status)
            assert status == 503
            time.sleep(0.1)
        self.paid += 1

    def go_on(self, more: int = 4) -> None:
        """Wait until so many more are paid."""
        target = self.paid + more
        wait_until(lambda: self.failures or self.paid >= target, 60, "payments")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_servers_pay_on_at_the_promoted_replica_without_being_started_again(
    estate: Estate, open_branch: Callable[[str], Branch], serve: Serve
):
    branch = open_branch(with_login_file(estate.address, str(estate.file)))
    before = branch.balance("bob_current")
    how = {"DATABASE_LOGIN_FILE": str(estate.file), "POOL_SIZE": "3", "STATEMENT_SECONDS": "2"}
    server = serve(estate.address, workers=2, **how)
    assert server.process
    master = server.process.pid

    with Payer(server, branch) as payer:
        payer.go_on()
        branch.bank.engine.dispose()
        # In order: this test is about what comes after.
        estate.primary.stop()
        wait_until(lambda: payer.failures or payer.statuses, 60, "a payment that is refused")
        estate.replica.promote()
        write_login(estate.file, estate.urls.app, **take_over(estate))
        began = time.monotonic()
        payer.go_on(1)
        took = time.monotonic() - began
        payer.go_on()
    writable = RemoteBrowser(server.address).get("/writable").status

    assert payer.failures == []
    assert payer.statuses == {503}
    assert took < FOLLOW_SECONDS
    assert writable == 200
    assert server.process.pid == master
    assert branch.balance("bob_current") == before + 100 * payer.paid
    assert_books_balance(branch.bank)
