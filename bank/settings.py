"""Settings: the only reader of the environment; one value, complete or refused."""

from __future__ import annotations

import base64
import binascii
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from bank.money import InvalidAmount, Money, parse_amount

Environment = Literal["development", "production"]
T = TypeVar("T")

# What a laptop gets when nothing is set. They are published here, so production refuses them.
DEVELOPMENT_SECRET_KEY: Final = "development-only-secret-key-known-to-everyone"  # noqa: S105
DEVELOPMENT_IDENTITY_KEY: Final = base64.urlsafe_b64encode(b"development-only-identity-key-32").decode()
DEVELOPMENT_DATABASE_URL: Final = "sqlite:///var/bank.sqlite"

_DRIVERS: Final = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg2",
    "postgres": "postgresql+psycopg2",
    "postgresql+psycopg2": "postgresql+psycopg2",
    "mysql": "mysql+pymysql",
    "mysql+pymysql": "mysql+pymysql",
}
#: In a URL's query, the file that says who logs in: so the URL alone says all of how to connect.
LOGIN_FILE: Final = "login_file"
#: The same for a replica. It takes the login alone from the file: where the replica is, its own URL says.
REPLICA_LOGIN_FILE: Final = "replica_login_file"
#: All that in a URL's query says who logs in, for any of the drivers.
LOGIN_WORDS: Final = ("user", "password", "passwd", "passfile", LOGIN_FILE, REPLICA_LOGIN_FILE)
_LOCAL_HOSTS: Final = {"", "localhost", "127.0.0.1", "::1"}
_MYSQL_TLS: Final = {"ssl_ca", "ssl_cert", "ssl_key", "ssl_check_hostname"}


class SettingsRefused(ValueError):
    """Every missing or weak setting, one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Settings:
    """How this bank is run. docs/reference/settings.md explains each one."""

    database_url: str = field(repr=False)
    secret_key: str = field(repr=False)
    identity_keys: tuple[str, ...] = field(repr=False)
    bank_env: Environment = "development"
    bank_name: str = "Our Bank"
    currency: str = "USD"
    business_timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("America/New_York"))
    limit_per_payment_minor: int = 1_000_000
    limit_per_day_minor: int = 2_500_000
    customer_idle_seconds: int = 300
    staff_idle_seconds: int = 900
    session_absolute_seconds: int = 12 * 3600
    one_time_code_seconds: int = 7 * 24 * 3600
    proxy_hops: int = 0
    drain_seconds: int = 0
    pool_size: int = 10
    statement_seconds: int = 2
    password_memory_kib: int = 65_536
    password_hashers: int = 2
    name_checks_per_day: int = 20
    api_calls_per_minute: int = 600
    group_commit_most: int = 64
    database_replica_url: str = field(default="", repr=False)
    secured_seconds: int = 0
    secured_by_url: str = field(default="", repr=False)
    metrics_directory: str = ""

    @property
    def database_login_file(self) -> str:
        """The file that says who logs in to the database; empty when the URL does."""
        return make_url(self.database_url).normalized_query.get(LOGIN_FILE, ("",))[0]

    @property
    def production(self) -> bool:
        """Is this the real thing?"""
        return self.bank_env == "production"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the environment; report every missing or weak setting at once.

        Raises:
            SettingsRefused: listing each problem with what to do about it.
        """
        reader = _Reader(env)
        production = reader.choice("BANK_ENV", ("development", "production"), "development") == "production"
        currency = reader.text("CURRENCY", "USD", r"[A-Z]{3}", "must be a three-letter ISO 4217 code like USD")
        settings = cls(
            bank_env="production" if production else "development",
            database_url=reader.database_url(production),
            secret_key=reader.secret_key(production),
            identity_keys=reader.identity_keys(production),
            bank_name=reader.text(
                "BANK_NAME", None if production else "Our Bank", r".{1,60}", "must be 1 to 60 characters"
            ),
            currency=currency,
            business_timezone=reader.timezone("BUSINESS_TIMEZONE", None if production else "America/New_York"),
            limit_per_payment_minor=reader.amount("LIMIT_PER_PAYMENT", "10000", currency),
            limit_per_day_minor=reader.amount("LIMIT_PER_DAY", "25000", currency),
            customer_idle_seconds=reader.number("CUSTOMER_IDLE_SECONDS", 300, 60, 3600),
            staff_idle_seconds=reader.number("STAFF_IDLE_SECONDS", 900, 60, 3600),
            session_absolute_seconds=reader.number("SESSION_ABSOLUTE_SECONDS", 12 * 3600, 600, 24 * 3600),
            one_time_code_seconds=reader.number("ONE_TIME_CODE_SECONDS", 7 * 24 * 3600, 300, 30 * 24 * 3600),
            proxy_hops=reader.number("PROXY_HOPS", 0, 0, 5),
            drain_seconds=reader.number("DRAIN_SECONDS", 15 if production else 0, 0, 60),
            pool_size=reader.number("POOL_SIZE", 10, 1, 100),
            statement_seconds=reader.number("STATEMENT_SECONDS", 2, 1, 50),
            password_memory_kib=reader.number("PASSWORD_MEMORY_KIB", 65_536, 8_192, 1_048_576),
            password_hashers=reader.number("PASSWORD_HASHERS", 2, 1, 16),
            name_checks_per_day=reader.number("NAME_CHECKS_PER_DAY", 20, 1, 1000),
            api_calls_per_minute=reader.number("API_CALLS_PER_MINUTE", 600, 10, 1_000_000),
            group_commit_most=reader.number("GROUP_COMMIT_MOST", 64, 1, 1000),
            database_replica_url=reader.replica_url(production),
            secured_seconds=reader.secured_seconds(),
            secured_by_url=reader.replica_url(production, "SECURED_BY_URL"),
            metrics_directory=reader.text(
                "PROMETHEUS_MULTIPROC_DIR", "", r"(/.{1,200})?", "must be a folder's whole path"
            ),
        )
        if reader.problems:
            raise SettingsRefused(reader.problems)
        return settings

    def shown(self) -> dict[str, str]:
        """Each setting by its variable's name, with secrets masked."""
        return {
            "BANK_ENV": self.bank_env,
            "DATABASE_URL": masked_url(_without_login_file(self.database_url)),
            "DATABASE_LOGIN_FILE": self.database_login_file,
            "SECRET_KEY": "********",
            "IDENTITY_KEYS": ", ".join("********" for _ in self.identity_keys),
            "BANK_NAME": self.bank_name,
            "CURRENCY": self.currency,
            "BUSINESS_TIMEZONE": self.business_timezone.key,
            "LIMIT_PER_PAYMENT": Money(self.limit_per_payment_minor, self.currency).plain,
            "LIMIT_PER_DAY": Money(self.limit_per_day_minor, self.currency).plain,
            "CUSTOMER_IDLE_SECONDS": str(self.customer_idle_seconds),
            "STAFF_IDLE_SECONDS": str(self.staff_idle_seconds),
            "SESSION_ABSOLUTE_SECONDS": str(self.session_absolute_seconds),
            "ONE_TIME_CODE_SECONDS": str(self.one_time_code_seconds),
            "PROXY_HOPS": str(self.proxy_hops),
            "DRAIN_SECONDS": str(self.drain_seconds),
            "POOL_SIZE": str(self.pool_size),
            "STATEMENT_SECONDS": str(self.statement_seconds),
            "PASSWORD_MEMORY_KIB": str(self.password_memory_kib),
            "PASSWORD_HASHERS": str(self.password_hashers),
            "NAME_CHECKS_PER_DAY": str(self.name_checks_per_day),
            "API_CALLS_PER_MINUTE": str(self.api_calls_per_minute),
            "GROUP_COMMIT_MOST": str(self.group_commit_most),
            "DATABASE_REPLICA_URL": masked_url(_without_login_file(self.database_replica_url)),
            "SECURED_SECONDS": str(self.secured_seconds),
            "SECURED_BY_URL": masked_url(_without_login_file(self.secured_by_url)),
            "PROMETHEUS_MULTIPROC_DIR": self.metrics_directory,
        }


def database_named(env: Mapping[str, str]) -> str:
    """The URL that the environment names, its login file included; empty when it is refused."""
    return _Reader(env).database_url(production=True)


def normalised_url(url: str) -> str:
    """The URL with the driver this bank uses, whatever spelling of the database was given.

    >>> normalised_url("postgres://bank@db/bank")
    'postgresql+psycopg2://bank@db/bank'

    Raises:
        ValueError: it names no database that the bank knows.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _DRIVERS:
        raise ValueError("must begin with sqlite:///, postgresql:// or mysql://")
    if scheme == "sqlite" and rest.partition("?")[0] in ("", "/", "/:memory:"):
        raise ValueError("must name a file, like sqlite:///var/bank.sqlite: the bank's processes cannot share memory")
    return f"{_DRIVERS[scheme]}://{rest}"


def with_login_file(url: str, path: str, *, of_replica: bool = False) -> str:
    """The URL by which whoever the file names logs in.

    >>> with_login_file("mysql+pymysql://db/bank?ssl_ca=/ca.pem", "/run/login.json")
    'mysql+pymysql://db/bank?ssl_ca=/ca.pem&login_file=/run/login.json'
    """
    word = REPLICA_LOGIN_FILE if of_replica else LOGIN_FILE
    return f"{url}{'&' if '?' in url else '?'}{word}={quote(path)}"


def _without_login_file(url: str) -> str:
    return re.sub(rf"[?&]({LOGIN_FILE}|{REPLICA_LOGIN_FILE})=[^&]*$", "", url)


@dataclass(frozen=True, slots=True)
class LoginFile:
    """The file that a URL's query names."""

    path: Path
    #: The file gives its login alone.
    of_replica: bool = False


def split_login_file(url: str) -> tuple[URL, LoginFile | None]:
    """The URL for the driver, and the login file that it names.

    Raises:
        ValueError: the URL cannot be used, as the sentence's end says.
    """
    parsed = make_url(normalised_url(url))
    query = parsed.normalized_query
    named = query.get(LOGIN_FILE, query.get(REPLICA_LOGIN_FILE))
    if named is None:
        return parsed, None
    if parsed.get_backend_name() == "sqlite":
        raise ValueError("names a login file, and SQLite has no logins")
    if parsed.username or parsed.password or len(named) > 1 or len(set(LOGIN_WORDS) & set(parsed.query)) > 1:
        raise ValueError("names a login file, and the database's URL has a login already")
    if not re.fullmatch(r"/[^\0]{1,400}", named[0]):
        raise ValueError("names a login file by less, or more, than its whole path")
    bare = parsed.difference_update_query([LOGIN_FILE, REPLICA_LOGIN_FILE])
    return bare, LoginFile(Path(named[0]), LOGIN_FILE not in query)


def open_to_others(mode: int) -> bool:
    """May others than a file's owner and group do anything with it?"""
    return bool(stat.S_IMODE(mode) & stat.S_IRWXO)


def masked_url(url: str) -> str:
    """The URL without its password, wherever it stands.

    >>> masked_url("postgresql://bank:secret@db/bank?sslpassword=other")
    'postgresql://bank:********@db/bank?sslpassword=********'
    """
    # Up to the last @: a password may hold any other character, whether or not it should.
    without_login = re.sub(r"(?s)^([\w+]+://[^:/@]*):.*@", r"\1:********@", url)
    return re.sub(r"(?i)(\w*passw\w*)=[^&]*", r"\1=********", without_login)


def verifies_certificate(url: str) -> bool:
    """Does the connection stay on this machine, or prove who it speaks to?"""
    parsed = make_url(url)
    query = parsed.normalized_query
    if parsed.get_backend_name() == "sqlite" or "unix_socket" in query:
        return True
    hosts = [name for names in query.get("host", (parsed.host or "",)) for name in names.split(",")]
    if all(name in _LOCAL_HOSTS or name.startswith("/") for name in (*hosts, *query.get("hostaddr", ()))):
        return True
    if parsed.get_backend_name() == "postgresql":
        return query.get("sslmode") == ("verify-full",)
    # PyMySQL has more words for TLS, each of which would undo the check of the name.
    known = all(word in _MYSQL_TLS for word in query if word.startswith("ssl"))
    return known and "ssl_ca" in query and query.get("ssl_check_hostname", ("true",)) == ("true",)


@dataclass(slots=True)
class _Reader:
    """Reads one variable at a time and collects what is wrong."""

    env: Mapping[str, str]
    problems: list[str] = field(default_factory=list)

    def _value(self, name: str, default: str | None, read: Callable[[str], T], otherwise: T) -> T:
        text = self.env.get(name, "").strip() or default
        if text is None:
            self.problems.append(f"{name} is missing. docs/reference/settings.md says what it is for.")
            return otherwise
        try:
            return read(text)
        except ValueError as problem:
            self.problems.append(f"{name} {problem}.")
            return otherwise

    def text(self, name: str, default: str | None, pattern: str, rule: str) -> str:
        def read(text: str) -> str:
            if not re.fullmatch(pattern, text):
                raise ValueError(rule)
            return text

        return self._value(name, default, read, "")

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        return self.text(name, default, "|".join(choices), f"must be one of {', '.join(choices)}") or default

    def number(self, name: str, default: int, least: int, most: int) -> int:
        def read(text: str) -> int:
            if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
                raise ValueError(f"must be a whole number from {least} to {most}")
            return int(text)

        return self._value(name, str(default), read, default)

    def amount(self, name: str, default: str, currency: str) -> int:
        def read(text: str) -> int:
            try:
                return parse_amount(text, currency).minor_units
            except InvalidAmount as problem:
                raise ValueError(f"must be an amount: {str(problem).rstrip('.')}") from problem

        return self._value(name, default, read, 0)

    def timezone(self, name: str, default: str | None) -> ZoneInfo:
        def read(text: str) -> ZoneInfo:
            if text not in available_timezones():
                raise ValueError("must be a name like America/New_York from the IANA time zone database")
            return ZoneInfo(text)

        return self._value(name, default, read, ZoneInfo("UTC"))

    def database_url(self, production: bool) -> str:
        default = None if production else DEVELOPMENT_DATABASE_URL
        url = self._value("DATABASE_URL", default, lambda text: _usable(text, production), "")
        return self._with_login_file(url, production) if url else url

    def replica_url(self, production: bool, name: str = "DATABASE_REPLICA_URL") -> str:
        """Whoever logs in to the primary logs in to its copy."""

        def read(text: str) -> str:
            url = text and _usable(text, production)
            driver = _DRIVERS.get(self.env.get("DATABASE_URL", "").strip().partition("://")[0])
            if url and (driver in (None, "sqlite") or not url.startswith(f"{driver}://")):
                raise ValueError("must be a replica of the database that DATABASE_URL names; SQLite has none")
            return url

        url = self._value(name, "", read, "")
        return self._with_login_file(url, production, of_replica=True) if url else url

    def secured_seconds(self) -> int:
        """PostgreSQL's primary knows how far its standbys are; for MySQL's, the other region has to be asked."""
        seconds = self.number("SECURED_SECONDS", 0, 0, 10)
        driver = _DRIVERS.get(self.env.get("DATABASE_URL", "").strip().partition("://")[0], "sqlite")
        copies = (self.env.get(name, "").strip() for name in ("SECURED_BY_URL", "DATABASE_REPLICA_URL"))
        if seconds and driver == "sqlite":
            self.problems.append("SECURED_SECONDS must be 0: SQLite has no copy in another region.")
        elif seconds and driver.startswith("mysql") and not any(copies):
            self.problems.append(
                "SECURED_SECONDS needs SECURED_BY_URL, or DATABASE_REPLICA_URL: a MySQL primary cannot say what its replica has."
            )
        return seconds

    def _with_login_file(self, url: str, production: bool, *, of_replica: bool = False) -> str:
        def read(text: str) -> str:
            named = with_login_file(url, text, of_replica=of_replica) if text else url
            _, file = split_login_file(named)
            if file and production and _is_open_to_others(file.path):
                raise ValueError(f"names {file.path}, which is open to others: chmod 600 it")
            return named

        return self._value("DATABASE_LOGIN_FILE", "", read, "")

    def secret_key(self, production: bool) -> str:
        def read(text: str) -> str:
            if production and (len(text) < 32 or len(set(text)) < 10 or text == DEVELOPMENT_SECRET_KEY):
                raise ValueError("is weak: make one with `bank keys new`")
            return text

        return self._value("SECRET_KEY", None if production else DEVELOPMENT_SECRET_KEY, read, "")

    def identity_keys(self, production: bool) -> tuple[str, ...]:
        def read(text: str) -> tuple[str, ...]:
            keys = tuple(key.strip() for key in text.split(","))
            for key in keys:
                if _key_length(key) != 32 or (production and key == DEVELOPMENT_IDENTITY_KEY):
                    raise ValueError("must be comma-separated keys as `bank keys new` makes them, the newest first")
                if production and key == self.env.get("SECRET_KEY", "").strip():
                    raise ValueError("must be other keys than SECRET_KEY")
            return keys

        return self._value("IDENTITY_KEYS", None if production else DEVELOPMENT_IDENTITY_KEY, read, ())


def _usable(text: str, production: bool) -> str:
    """A database's URL with the driver this bank uses, if it may be connected to like that."""
    url = normalised_url(text)
    try:
        make_url(url)
    except (ArgumentError, ValueError) as problem:
        raise ValueError("cannot be read: a password's special characters must be percent-encoded") from problem
    if production and not verifies_certificate(url):
        raise ValueError(
            "must verify the server's certificate in production: add ?sslmode=verify-full&sslrootcert=FILE"
            " (PostgreSQL) or ?ssl_ca=FILE (MySQL)"
        )
    return url


def _is_open_to_others(path: Path) -> bool:
    """One that is missing may come later; whoever reads it looks again."""
    try:
        return open_to_others(path.stat().st_mode)
    except OSError:
        return False


def _key_length(key: str) -> int:
    try:
        return len(base64.urlsafe_b64decode(key.encode()))
    except (binascii.Error, ValueError):
        return 0
