"""How gunicorn serves the bank; the address, and what differs by host, come on the command line."""

import gc
import os
from pathlib import Path
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker

from bank.settings import Settings
from bank.storage import pool
from bank.web import metrics

wsgi_app = "wsgi:app"

# A request mostly waits for the database, so threads; two processes, so that one may die.
worker_class = "gthread"
workers = 2
threads = 16

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
