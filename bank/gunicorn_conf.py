"""How gunicorn serves the bank; the address, and what differs by host, come on the command line."""

import gc
import logging
import os
import signal
from pathlib import Path
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.http.message import Request
from gunicorn.workers.base import Worker

from bank.settings import Settings
from bank.storage import pool
from bank.storage.lanes import PAYMENTS_AT_ONCE
from bank.web import draining, metrics

wsgi_app = "wsgi:app"

# A request mostly waits for the database, so threads; two processes, so that one may die. Some threads are for pages
# alone, so that commits that hang do not stop them.
worker_class = "gthread"
workers = 2
threads = PAYMENTS_AT_ONCE + 8

# Loaded once and forked: starts sooner, shares memory, and tells its problems once. Connections come after the fork.
preload_app = True

# Longer than a load balancer's idle timeout of 60 s, or it would send a request down a closing connection.
keepalive = 75
timeout = 60
graceful_timeout = 30

# The heartbeat's file must never wait for a disk: a worker that seems dead is killed.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None

# Instances of one user would share this socket in the home directory, and nobody here uses it.
control_socket_disable = True

# Which proxies to believe is the application's setting (PROXY_HOPS), not a second one here.
forwarded_allow_ips = ""


class ServerLog(Logger):
    """The server's own log, without a line for each request: the application writes that one."""

    def access(self, *_: object) -> None:
        """Do not even put it together, which costs more than writing it."""


logger_class = ServerLog

# The server's lines look like the application's, and whatever any library has to say becomes one of them.
logconfig_dict = {
    "formatters": {"json": {"()": "bank.web.json_lines.JsonLines"}},
    "handlers": {"stderr": {"class": "bank.web.json_lines.Lines", "formatter": "json"}},
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": ["stderr"], "propagate": False}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
}


def on_starting(_server: Arbiter) -> None:
    """Count from nothing; only the processes of this server add to it."""
    metrics.begin(Settings.from_env(os.environ).metrics_directory)


def when_ready(server: Arbiter) -> None:
    """Have all templates compiled. Drain at the first SIGTERM, end at the second or when draining is over; SIGINT ends at once, as ever."""
    draining.ended_by_this_process()
    app: Any = server.app.wsgi()
    for name in app.jinja_env.list_templates():
        # Once for all processes, and before anybody waits for a page.
        app.jinja_env.get_template(name)
    seconds = Settings.from_env(os.environ).drain_seconds
    if not seconds:
        return
    # The master's loop calls it when the signal has come. Ending is gunicorn's own: no more connections, and what runs is
    # finished.
    end = server.handle_term

    def drain_or_end() -> None:
        if draining.draining():
            signal.setitimer(signal.ITIMER_REAL, 0)
            end()
        draining.begin()
        logging.getLogger("gunicorn.error").info(
            "Draining for %s seconds: health checks fail, and requests are answered.", seconds
        )
        # The loop goes on meanwhile, and replaces processes that die; a thread would be forked with them.
        signal.signal(signal.SIGALRM, lambda *_: server.SIG_QUEUE.put_nowait(signal.SIGTERM))
        signal.setitimer(signal.ITIMER_REAL, seconds)

    server.handle_term = drain_or_end  # type: ignore[method-assign]


def pre_request(_worker: Worker, request: Request) -> None:
    """Close each connection with its next answer while draining: the load balancer must find another server."""
    if draining.draining():
        request.force_close()


def post_worker_init(worker: Worker) -> None:
    """Open this process's connections before anybody waits for one."""
    app: Any = worker.wsgi
    bank = app.extensions["bank"].bank
    pool.open_ahead(bank.engine)
    if bank.near:
        pool.open_ahead(bank.near.replica.engine)
    # What is loaded by now stays: the garbage collector would look through it again and again, 70 ms each time.
    gc.collect()
    gc.freeze()


def child_exit(_server: Arbiter, worker: Worker) -> None:
    """Keep what the process counted, and not the connections it had."""
    metrics.ended(Settings.from_env(os.environ).metrics_directory, int(worker.pid))
