"""The look at a region as its customers do: against gunicorn in production's manner behind a front that speaks TLS."""

from __future__ import annotations

import base64
import secrets
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bank.storage import migrate
from scripts.deployment import aws, smoke
from tests.gunicorn_server import GunicornServer
from tests.servers import APP_ROLE, NotInstalled, PostgresServer, not_run
from tests.storage.test_tls import Authority

Change = Callable[[str, int, dict[str, str], bytes], tuple[int, dict[str, str], bytes]]


class Front:
    """Does what the load balancer does: ends TLS, sends plain requests to https, passes the others on."""

    def __init__(self, behind: str, certificate: tuple[Path, Path]) -> None:
        self.behind = behind
        self.certificate = certificate
        self.change: Change = lambda _path, *answer: answer
        self.asked: list[str] = []

    @contextmanager
    def open(self) -> Iterator[tuple[str, str]]:
        front = self

        class Secure(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                front.asked.append(self.path)
                status, headers, body = front.change(self.path, *front.fetch(self.path))
                _answer(self, status, headers, body)

            def log_message(self, *_: object) -> None:
                pass

        class Plain(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                location = f"https://127.0.0.1:{secure.server_port}{self.path}"
                _answer(self, *front.change("plain", 301, {"Location": location}, b""))

            def log_message(self, *_: object) -> None:
                pass

        with (
            ThreadingHTTPServer(("127.0.0.1", 0), Secure) as secure,
            ThreadingHTTPServer(("127.0.0.1", 0), Plain) as plain,
        ):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            secure.socket = context.wrap_socket(secure.socket, server_side=True)
            # A client that leaves in the middle of the handshake is what some tests are about.
            secure.handle_error = lambda *_: None  # type: ignore[method-assign]
            threads = [threading.Thread(target=one.serve_forever) for one in (secure, plain)]
            for thread in threads:
                thread.start()
            try:
                yield f"https://127.0.0.1:{secure.server_port}", f"http://127.0.0.1:{plain.server_port}"
            finally:
                for one in (secure, plain):
                    one.shutdown()
                for thread in threads:
                    thread.join()

    def fetch(self, path: str) -> tuple[int, dict[str, str], bytes]:
        request = urllib.request.Request(
            self.behind + path, headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, dict(answer.headers), answer.read()


def _answer(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
            handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def front(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The bank as production runs it, its database's certificate verified, and what stands in front of it."""
    certificate = authority.issue(tmp_path_factory.mktemp("certificate"))
    try:
        database = PostgresServer(tcp=True, tls=certificate)
    except NotInstalled as missing:
        not_run("postgresql", str(missing))
    with database:
        urls = database.create_database("bank_smoke")
        migrate.upgrade(urls.migrator)
        migrate.grant(urls.migrator, APP_ROLE)
        settings = {
            "BANK_ENV": "production",
            "BANK_NAME": "Our Bank",
            "BUSINESS_TIMEZONE": "America/New_York",
            "PROXY_HOPS": "1",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "IDENTITY_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        }
        url = urls.app.partition("?")[0] + f"?sslmode=verify-full&sslrootcert={authority.file}"
        with GunicornServer(url, tmp_path_factory.mktemp("gunicorn"), workers=1, **settings) as server:
            yield Front(server.address, certificate)


@pytest.fixture
def addresses(front: Front, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """The encrypted address and the plain one; this machine trusts their certificate for the length of a test."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setattr(aws, "POLL_SECONDS", 0.05)
    front.asked.clear()
    front.change = lambda _path, *answer: answer
    with front.open() as addresses:
        monkeypatch.setattr(smoke, "plain", lambda _: addresses[1])
        yield addresses


def look(addresses: tuple[str, str], rounds: int = 3, patience: float = 0) -> None:
    smoke.smoke("us-east-1", addresses[0], rounds=rounds, over_seconds=0.1, patience_seconds=patience)


def test_a_sound_region_passes_as_often_as_asked(addresses: tuple[str, str], front: Front) -> None:
    look(addresses, rounds=3)

    assert [front.asked.count(path) for path in ("/healthz", "/readyz", "/writable", "/login")] == [3, 3, 3, 3]
    assert sum(path.startswith("/static/") for path in front.asked) == 3


def test_a_certificate_that_nobody_vouches_for_is_unsound(
    addresses: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")

    with pytest.raises(aws.Stop, match="certificate verify failed"):
        look(addresses)


def without(path: str, header: str) -> Change:
    """Leave a header out of an answer."""

    def change(asked: str, status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        if asked.startswith(path):
            headers = {name: value for name, value in headers.items() if name.lower() != header}
        return status, headers, body

    return change


def instead(path: str, status: int, old: bytes = b"", new: bytes = b"") -> Change:
    """Answer with another status, and something else in the body."""

    def change(asked: str, was: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        return (status, headers, body.replace(old, new)) if asked.startswith(path) else (was, headers, body)

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (instead("plain", 200), "does not lead to https"),
        (without("plain", "location"), "does not lead to https"),
        (instead("/healthz", 502), "/healthz answered 502"),
        (instead("/readyz", 503), "/readyz answered 503"),
        (instead("/writable", 503), "/writable answered 503"),
        (instead("/writable", 200, b'"ok"', b'"a page of somebody else"'), "/writable answered 200"),
        (instead("/login", 500), "/login answered 500"),
        (instead("/login", 200, b'method="post"', b""), "has no form"),
        (instead("/login", 200, b'type="password"', b""), "has no field for the password"),
        (instead("/login", 200, b"csrf_token", b""), "has no token"),
        (instead("/login", 200, b"?v=", b"?w="), "names no static file"),
        (without("/login", "strict-transport-security"), "to use https for a year"),
        (without("/login", "content-security-policy"), "has no content security policy"),
        (instead("/static/", 404), "answered 404"),
        (without("/static/", "cache-control"), "may not be kept by browsers"),
    ],
)
def test_what_is_not_as_it_should_be_is_said(
    addresses: tuple[str, str], front: Front, change: Change, says: str
) -> None:
    front.change = change

    with pytest.raises(aws.Stop, match="us-east-1: ") as stopped:
        look(addresses)

    assert says in stopped.value.message


def test_one_bad_answer_in_a_later_round_is_enough(addresses: tuple[str, str], front: Front) -> None:
    def change(path: str, status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        return (503 if path == "/readyz" and front.asked.count("/readyz") == 3 else status), headers, body

    front.change = change

    with pytest.raises(aws.Stop, match="round 3 of 4: .*/readyz answered 503"):
        look(addresses, rounds=4, patience=5)


def test_the_first_round_is_patient(addresses: tuple[str, str], front: Front) -> None:
    def change(path: str, status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        return (502 if path == "/healthz" and front.asked.count("/healthz") < 4 else status), headers, body

    front.change = change

    look(addresses, rounds=2, patience=10)

    assert front.asked.count("/healthz") == 5


def test_a_region_that_is_away_is_a_sentence() -> None:
    with pytest.raises(smoke.Unsound, match="gave no answer"):
        smoke.check("https://127.0.0.1:1", "http://127.0.0.1:1")


def test_the_plain_address_is_that_of_the_same_host() -> None:
    assert smoke.plain("https://us-east-1.bank.example") == "http://us-east-1.bank.example"
