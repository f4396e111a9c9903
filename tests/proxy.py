"""A unix socket in front of a database server's, where connections can be cut at a chosen word."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa


@dataclass
class Proxy:
    """Passes bytes both ways until told otherwise."""

    directory: Path
    target: Path
    cut_at: bytes | None = None
    after_it: bool = False
    away_after_cut: bool = False
    away: bool = False
    open_ones: list[socket.socket] = field(default_factory=list)
    #: What clients said, a burst each: the beginning of all that came before the server answered.
    bursts: list[bytes] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The socket to connect to; named as the server's own, since PostgreSQL's name is fixed."""
        return self.directory / self.target.name

    def lose_request(self, word: bytes, *, then_away: bool = False) -> None:
        """Cut the next connection that says `word`, before the server hears it."""
        self.cut_at, self.after_it, self.away_after_cut = word, False, then_away

    def lose_reply(self, word: bytes, *, then_away: bool = False) -> None:
        """Cut the next connection that says `word`, when the server has done it and answers."""
        self.cut_at, self.after_it, self.away_after_cut = word, True, then_away

    def drop_all(self) -> None:
        """Cut every connection there is, as a server does that restarts."""
        while self.open_ones:
            _close(self.open_ones.pop())

    def serve(self, listener: socket.socket) -> None:
        """Accept until the listener is closed."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if self.away:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self.target))
            self.open_ones += [client, server]
            fatal, answered = threading.Event(), threading.Event()
            answered.set()
            for pump in (self._requests, self._replies):
                threading.Thread(target=pump, args=(client, server, fatal, answered), daemon=True).start()

    def _requests(
        self, client: socket.socket, server: socket.socket, fatal: threading.Event, answered: threading.Event
    ) -> None:
        with suppress(OSError):
            while said := client.recv(1 << 16):
                if answered.is_set():
                    answered.clear()
                    self.bursts.append(said[:4000])
                if self.cut_at and self.cut_at in said:
                    self.cut_at, self.away = None, self.away_after_cut
                    fatal.set()
                    if not self.after_it:
                        break
                server.sendall(said)
        _close(client)
        _close(server)

    def _replies(
        self, client: socket.socket, server: socket.socket, fatal: threading.Event, answered: threading.Event
    ) -> None:
        with suppress(OSError):
            while said := server.recv(1 << 16):
                if fatal.is_set():
                    break
                answered.set()
                client.sendall(said)
        _close(client)
        _close(server)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def proxied(url: str) -> Iterator[tuple[str, Proxy]]:
    """The URL of a private server's database, through a proxy, and the proxy."""
    name = "host" if url.startswith("postgresql") else "unix_socket"
    there = sa.make_url(url).query[name]
    assert isinstance(there, str)
    with proxy_before(Path(there) / ".s.PGSQL.5432" if name == "host" else Path(there)) as proxy:
        yield url.replace(there, str(proxy.directory if name == "host" else proxy.path)), proxy


@contextmanager
def proxy_before(target: Path) -> Iterator[Proxy]:
    """A proxy in front of the server's socket `target`."""
    with tempfile.TemporaryDirectory(prefix="proxy-") as directory, socket.socket(socket.AF_UNIX) as listener:
        proxy = Proxy(Path(directory), target)
        listener.bind(str(proxy.path))
        listener.listen()
        thread = threading.Thread(target=proxy.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            # close() alone would leave accept() waiting.
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            proxy.drop_all()
