"""All that can be measured, by name; what of it is asked for, and what this machine lacks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from bank.bench import growth, importing, library, over_http
from bank.bench.place import Item, Place, Plan
from bank.bench.reference import TpcB
from bank.bench.servers import MariaDBServer, NotInstalled, PostgreSQLServer

Stage = Callable[[Place, set[str]], AbstractContextManager[list[Item]]]

_TPCB: Final = TpcB.says
_FLOOR: Final = "the same rows by hand-made statements, a transaction each"
_SMALL: Final = f"the same at {growth.SMALL:,} postings"


@dataclass(frozen=True, slots=True)
class Subject:
    """A measurement: `against` is its reference, and one `unit` is what its figures are for."""

    name: str
    group: str
    database: str
    unit: str
    against: str
    says: str

    @property
    def served(self) -> bool:
        """Is it measured once more for each way of serving?"""
        return self.group in _SERVED

    @property
    def once(self) -> bool:
        """It takes as long as it takes, and other rounds of it would tell no more."""
        return self.name == "memory"


_SERVED: Final = {"http", "pages", "memory"}
_ALL: Final = (
    ("transfer", "library", "postgresql", "transfer", _TPCB, "one by one through the door, by one process"),
    ("batch-100", "library", "postgresql", "transfer", _TPCB, "a hundred in each call of the door"),
    ("batch-1000", "library", "postgresql", "transfer", _TPCB, "a thousand in each call of the door"),
    ("processes", "library", "postgresql", "transfer", _TPCB, f"one by one, by {library.SEVERAL} processes"),
    ("hot-account", "library", "postgresql", "transfer", _TPCB, f"all from one account, by {library.SEVERAL} processes"),
    ("http-transfer", "http", "postgresql", "transfer", _TPCB, f"POST /api/v1/transfers, {over_http.CONNECTIONS} connections"),
    ("http-hot-account", "http", "postgresql", "transfer", _TPCB, "the same, all to one account"),
    ("http-batch-1000", "http", "postgresql", "transfer", _TPCB, f"POST /api/v1/batches, {over_http.BATCH:,} in each"),
    ("page", "pages", "postgresql", "page", _TPCB, "a signed-in customer's account with 20 movements"),
    ("balance", "pages", "postgresql", "balance", _TPCB, "GET /api/v1/accounts/NUMBER"),
    ("growth-page", "growth", "postgresql", "page", _SMALL, "the page of an account with a tenth of a large bank's postings"),
    ("growth-balance", "growth", "postgresql", "balance", _SMALL, "a balance in a large bank, by the library"),
    ("growth-transfer", "growth", "postgresql", "transfer", _SMALL, "a transfer in a large bank, by the library"),
    ("sqlite-transfer", "sqlite", "sqlite", "transfer", _FLOOR, f"one by one, by {library.SEVERAL} processes, synchronous = FULL"),
    ("mysql-transfer", "mysql", "mysql", "transfer", _FLOOR, "one by one through the door, by one process"),
    ("mysql-batch-100", "mysql", "mysql", "transfer", _FLOOR, "a hundred in each call of the door"),
    ("import", "import", "postgresql", "posting", "", "`bank import transactions` of the folder that --transactions names"),
    ("memory", "memory", "postgresql", "request", "", "the largest worker's resident memory while it answers payments and pages"),
)  # fmt: skip
SUBJECTS: Final = tuple(Subject(*each) for each in _ALL)
NAMES: Final = tuple(subject.name for subject in SUBJECTS)
GROUPS: Final = tuple(dict.fromkeys(subject.group for subject in SUBJECTS))

#: What measures which groups, in the order in which it is done.
_STAGES: Final[tuple[tuple[Stage, set[str]], ...]] = (
    (library.on_postgresql, {"library"}),
    (over_http.stage, _SERVED),
    (library.on_mariadb, {"mysql"}),
    (library.on_sqlite, {"sqlite"}),
    (importing.stage, {"import"}),
    (growth.stage, {"growth"}),
)


def chosen(only: Iterable[str], databases: Iterable[str], plan: Plan) -> list[Subject]:
    """What is asked for by names and groups, on these databases; all of it, if nothing is named.

    Without a folder there is no import, unless it is named.
    """
    words, kinds = set(only), set(databases)
    unnamed = {subject.name for subject in SUBJECTS if plan.transactions or subject.name != "import"}
    return [
        subject
        for subject in SUBJECTS
        if ({subject.name, subject.group} & words if words else subject.name in unnamed)
        and (not kinds or subject.database in kinds)
    ]


def missing(subjects: Iterable[Subject], plan: Plan) -> list[str]:
    """What stands against measuring these, a sentence each."""
    problems = []
    for server in (PostgreSQLServer, MariaDBServer):
        if any(subject.database == server.kind for subject in subjects):
            try:
                server.find_binaries()
            except NotInstalled as lacking:
                problems.append(f"{lacking}.")
    if any(subject.name == "import" for subject in subjects) and plan.transactions is None:
        problems.append("import needs a folder: --transactions DIRECTORY.")
    problems += [
        f"gevent is missing, which {serving} needs: pip install gevent."
        for serving in plan.servings
        if serving and serving.worker_class == "gevent" and not find_spec("gevent")
    ]
    return problems


def stages(subjects: Iterable[Subject]) -> list[tuple[Stage, set[str]]]:
    """What measures them, each with the names that it is to measure."""
    wanted = [(stage, {each.name for each in subjects if each.group in groups}) for stage, groups in _STAGES]
    return [(stage, names) for stage, names in wanted if names]
