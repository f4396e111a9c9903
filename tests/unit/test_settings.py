"""Settings are one value, complete or refused with every reason at once."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bank.settings import (
    DEVELOPMENT_IDENTITY_KEY,
    DEVELOPMENT_SECRET_KEY,
    Settings,
    SettingsRefused,
    masked_url,
    normalised_url,
    verifies_certificate,
)

OLD_KEY, NEW_KEY = (base64.urlsafe_b64encode(bytes(range(start, start + 32))).decode() for start in (0, 100))
PRODUCTION = {
    "BANK_ENV": "production",
    "DATABASE_URL": "postgresql://bank:hidden@db.example/bank?sslmode=verify-full&sslrootcert=/ca.pem",
    "SECRET_KEY": "Kz3vQ8mX1pL6tR9wB4nY7cF2hJ5sD0gA",
    "IDENTITY_KEYS": f"{NEW_KEY},{OLD_KEY}",
    "BANK_NAME": "First Bank of Testing",
    "BUSINESS_TIMEZONE": "Europe/Berlin",
}


#: What must be set beside a variable for it to be of use.
BESIDE = {
    name: {"DATABASE_URL": "postgresql://localhost/bank?sslmode=prefer"}
    for name in ("DATABASE_LOGIN_FILE", "DATABASE_REPLICA_URL", "SECURED_SECONDS", "SECURED_BY_URL")
}


def problems(**changes: str) -> list[str]:
    """What is wrong with production's settings when these are changed."""
    try:
        Settings.from_env({**PRODUCTION, **changes})
    except SettingsRefused as refused:
        return refused.problems
    return []


def test_a_laptop_needs_no_settings():
    settings = Settings.from_env({})

    assert not settings.production
    assert settings.database_url == "sqlite:///var/bank.sqlite"
    assert (settings.limit_per_payment_minor, settings.limit_per_day_minor) == (10_000_00, 25_000_00)


def test_production_starts_when_all_is_set():
    settings = Settings.from_env(PRODUCTION)

    assert settings.production
    assert settings.database_url.startswith("postgresql+psycopg2://bank:hidden@db.example/bank?")
    assert settings.identity_keys == (NEW_KEY, OLD_KEY)
    assert settings.business_timezone == ZoneInfo("Europe/Berlin")


def test_production_says_at_once_all_that_is_missing():
    with pytest.raises(SettingsRefused) as refused:
        Settings.from_env({"BANK_ENV": "production"})

    missing = [problem.split()[0] for problem in refused.value.problems]
    assert missing == ["DATABASE_URL", "SECRET_KEY", "IDENTITY_KEYS", "BANK_NAME", "BUSINESS_TIMEZONE"]
    assert all("is missing" in line for line in str(refused.value).splitlines())


def test_an_empty_variable_is_a_missing_one():
    assert problems(SECRET_KEY="  ") == ["SECRET_KEY is missing. docs/reference/settings.md says what it is for."]
    assert Settings.from_env({"POOL_SIZE": ""}).pool_size == 10


@pytest.mark.parametrize(
    ("name", "value", "because"),
    [
        ("SECRET_KEY", DEVELOPMENT_SECRET_KEY, "is weak"),
        ("SECRET_KEY", "short", "is weak"),
        ("SECRET_KEY", "a" * 64, "is weak"),
        ("IDENTITY_KEYS", DEVELOPMENT_IDENTITY_KEY, "must be comma-separated keys"),
        ("IDENTITY_KEYS", f"{NEW_KEY},{DEVELOPMENT_IDENTITY_KEY}", "must be comma-separated keys"),
        ("IDENTITY_KEYS", "not-a-key", "must be comma-separated keys"),
        ("IDENTITY_KEYS", f"{NEW_KEY},", "must be comma-separated keys"),
        ("IDENTITY_KEYS", NEW_KEY[:-5], "must be comma-separated keys"),
        ("DATABASE_URL", "postgresql://bank@db.example/bank", "must verify the server's certificate"),
        ("DATABASE_URL", "postgresql://bank@db.example/bank?sslmode=require", "must verify the server's certificate"),
        ("DATABASE_URL", "mysql://bank@db.example/bank", "must verify the server's certificate"),
    ],
)
def test_what_is_weak_is_refused_in_production_only(name: str, value: str, because: str):
    [problem] = problems(**{name: value})
    assert problem.startswith(f"{name} {because}")
    if because != "must be comma-separated keys":
        Settings.from_env({name: value})


def test_the_key_for_cookies_must_not_be_the_one_for_identity_numbers():
    assert problems(SECRET_KEY=NEW_KEY) == ["IDENTITY_KEYS must be other keys than SECRET_KEY."]


@pytest.mark.parametrize(
    ("name", "good", "field", "read", "bad"),
    [
        ("BANK_ENV", "development", "bank_env", "development", ["prod", "Production", "test"]),
        ("BANK_NAME", "Bänk of 東京", "bank_name", "Bänk of 東京", ["x" * 61]),
        ("CURRENCY", "JPY", "currency", "JPY", ["usd", "US", "USDX", "$"]),
        ("BUSINESS_TIMEZONE", "Asia/Tokyo", "business_timezone", ZoneInfo("Asia/Tokyo"), ["Mars/Base", "../etc/passwd", "GMT+25"]),
        ("LIMIT_PER_PAYMENT", "1,250.50", "limit_per_payment_minor", 1_250_50, ["0", "-1", "1e9", "1.001", "lots"]),
        ("LIMIT_PER_DAY", " 7 ", "limit_per_day_minor", 7_00, ["0", "-1", "1,00"]),
        ("CUSTOMER_IDLE_SECONDS", "60", "customer_idle_seconds", 60, ["59", "3601", "1.5", "-60", "٦٠", "5m"]),
        ("STAFF_IDLE_SECONDS", "3600", "staff_idle_seconds", 3600, ["59", "3601"]),
        ("SESSION_ABSOLUTE_SECONDS", "600", "session_absolute_seconds", 600, ["599", "86401"]),
        ("ONE_TIME_CODE_SECONDS", "300", "one_time_code_seconds", 300, ["299", "2592001"]),
        ("PROXY_HOPS", "1", "proxy_hops", 1, ["-1", "6"]),
        ("POOL_SIZE", "100", "pool_size", 100, ["0", "101"]),
        ("STATEMENT_SECONDS", "3", "statement_seconds", 3, ["0", "51"]),
        ("PASSWORD_MEMORY_KIB", "8192", "password_memory_kib", 8_192, ["8191", "1048577"]),
        ("PASSWORD_HASHERS", "1", "password_hashers", 1, ["0", "17"]),
        ("NAME_CHECKS_PER_DAY", "1", "name_checks_per_day", 1, ["0", "1001"]),
        ("API_CALLS_PER_MINUTE", "10", "api_calls_per_minute", 10, ["9", "1000001"]),
        ("DRAIN_SECONDS", "20", "drain_seconds", 20, ["-1", "61", "soon"]),
        ("GROUP_COMMIT_MOST", "1", "group_commit_most", 1, ["0", "1001", "off"]),
        ("DATABASE_URL", "sqlite:////tmp/x.sqlite", "database_url", "sqlite:////tmp/x.sqlite",
         ["oracle://x", "bank.sqlite", "postgresql:/x", "postgresql://u:secret@h:port/x", "sqlite://", "sqlite:///:memory:"]),
        ("DATABASE_REPLICA_URL", "postgres:///near", "database_replica_url", "postgresql+psycopg2:///near",
            ["oracle://db/bank", "mysql://localhost/bank", "sqlite:////tmp/x.sqlite"]),
        ("SECURED_SECONDS", "1", "secured_seconds", 1, ["-1", "11", "soon"]),
        ("SECURED_BY_URL", "postgres:///far", "secured_by_url", "postgresql+psycopg2:///far",
            ["oracle://db/bank", "mysql://localhost/bank", "sqlite:////tmp/x.sqlite"]),
        ("DATABASE_LOGIN_FILE", "/run/b nk/l+g%n.json", "database_login_file", "/run/b nk/l+g%n.json",
         ["login.json", "./login.json", "/" + 500 * "x"]),
        ("PROMETHEUS_MULTIPROC_DIR", "/run/bank/metrics", "metrics_directory", "/run/bank/metrics",
         ["metrics", "./metrics", "/" + 500 * "x"]),
        ("SECRET_KEY", "anything", "secret_key", "anything", []),
        ("IDENTITY_KEYS", f" {NEW_KEY} , {OLD_KEY} ", "identity_keys", (NEW_KEY, OLD_KEY), ["x"]),
    ],
)  # fmt: skip
def test_each_variable_is_read_or_refused_by_name(name: str, good: str, field: str, read: Any, bad: list[str]):
    beside = BESIDE.get(name, {})
    assert getattr(Settings.from_env({name: good, **beside}), field) == read
    for value in bad:
        with pytest.raises(SettingsRefused) as refused:
            Settings.from_env({name: value, **beside})
        [problem] = refused.value.problems
        assert problem.startswith(f"{name} ")
        assert "secret" not in problem


def test_every_variable_is_tested_above():
    [mark] = [m for m in test_each_variable_is_read_or_refused_by_name.pytestmark if m.name == "parametrize"]
    assert {row[0] for row in mark.args[1]} == set(Settings.from_env({}).shown())


@pytest.mark.parametrize(
    ("url", "because"),
    [
        ("sqlite:///var/bank.sqlite", "SQLite has no logins"),
        ("postgresql://bank@localhost/bank", "has a login already"),
        ("postgresql://:hidden@localhost/bank", "has a login already"),
        ("postgresql:///bank?host=/run&user=bank", "has a login already"),
        ("postgresql://localhost/bank?password=hidden", "has a login already"),
        ("postgresql://localhost/bank?passfile=/home/bank/.pgpass", "has a login already"),
        ("postgresql://localhost/bank?login_file=/run/other.json", "has a login already"),
        ("mysql://bank@localhost/bank", "has a login already"),
        ("mysql://localhost/bank?passwd=hidden", "has a login already"),
    ],
)
def test_a_login_file_is_the_only_login(url: str, because: str):
    with pytest.raises(SettingsRefused) as refused:
        Settings.from_env({"DATABASE_URL": url, "DATABASE_LOGIN_FILE": "/run/bank/login.json"})

    [problem] = refused.value.problems
    assert problem.startswith("DATABASE_LOGIN_FILE names a login file")
    assert problem.endswith(f"{because}.")
    assert "hidden" not in problem


def test_production_refuses_a_login_file_that_others_may_read(tmp_path: Path):
    file = tmp_path / "login.json"
    beside = {"DATABASE_URL": "mysql://db.example/bank?ssl_ca=/ca.pem", "DATABASE_LOGIN_FILE": str(file)}

    # It may come later.
    assert problems(**beside) == []
    file.write_text("{}")
    file.chmod(0o640)
    assert problems(**beside) == []
    for mode in (0o644, 0o602, 0o641):
        file.chmod(mode)
        assert problems(**beside) == [f"DATABASE_LOGIN_FILE names {file}, which is open to others: chmod 600 it."]
    Settings.from_env(beside)


def test_a_login_file_is_shown_as_it_was_set():
    beside = {"DATABASE_URL": "mysql://db.example/bank?ssl_ca=/ca.pem", "DATABASE_LOGIN_FILE": "/run/bank/login.json"}
    shown = Settings.from_env(beside).shown()

    assert shown["DATABASE_URL"] == "mysql+pymysql://db.example/bank?ssl_ca=/ca.pem"
    assert shown["DATABASE_LOGIN_FILE"] == "/run/bank/login.json"
    again = Settings.from_env({name: value for name, value in shown.items() if name.startswith("DATABASE")})
    assert again.shown() == shown


@pytest.mark.parametrize(
    ("beside", "because"),
    [
        ({}, "must be 0: SQLite has no copy"),
        ({"DATABASE_URL": "mysql://localhost/bank"}, "needs SECURED_BY_URL, or DATABASE_REPLICA_URL"),
    ],
)
def test_payments_are_secured_only_where_it_can_be_known(beside: dict[str, str], because: str):
    with pytest.raises(SettingsRefused) as refused:
        Settings.from_env({"SECURED_SECONDS": "1", **beside})

    [problem] = refused.value.problems
    assert problem.startswith(f"SECURED_SECONDS {because}")


@pytest.mark.parametrize("name", ["SECURED_BY_URL", "DATABASE_REPLICA_URL"])
def test_payments_of_a_mysql_bank_are_secured_by_its_copy(name: str):
    copy = {name: "mysql://localhost:3307/bank"}

    assert Settings.from_env({"DATABASE_URL": "mysql://localhost/bank", "SECURED_SECONDS": "2", **copy}).secured_seconds


def test_limits_are_read_in_the_banks_currency():
    settings = Settings.from_env({"CURRENCY": "JPY", "LIMIT_PER_PAYMENT": "500000"})
    assert settings.limit_per_payment_minor == 500_000
    assert settings.shown()["LIMIT_PER_PAYMENT"] == "500000"


def test_settings_are_shown_without_their_secrets():
    settings = Settings.from_env(PRODUCTION)
    shown = settings.shown()

    for secret in ("hidden", PRODUCTION["SECRET_KEY"], NEW_KEY, OLD_KEY):
        assert secret not in str(shown)
        assert secret not in repr(settings)
    assert shown["IDENTITY_KEYS"] == "********, ********"
    assert shown["BANK_NAME"] == "First Bank of Testing"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///var/bank.sqlite", "sqlite:///var/bank.sqlite"),
        ("postgresql://bank@db/bank", "postgresql://bank@db/bank"),
        ("postgresql://db:5432/bank", "postgresql://db:5432/bank"),
        ("postgresql://bank:secret@db:5432/bank", "postgresql://bank:********@db:5432/bank"),
        ("mysql+pymysql://bank:se/cr?et#@db/bank", "mysql+pymysql://bank:********@db/bank"),
        ("mysql://bank:secret@1@db/bank", "mysql://bank:********@db/bank"),
        ("mysql://:secret@db/bank", "mysql://:********@db/bank"),
        ("mysql://bank:@db/bank", "mysql://bank:********@db/bank"),
        (
            "postgresql:///bank?host=/run&password=secret&user=x",
            "postgresql:///bank?host=/run&password=********&user=x",
        ),
        ("postgresql://db/bank?sslpassword=secret", "postgresql://db/bank?sslpassword=********"),
        ("mysql://db/bank?PASSWD=secret", "mysql://db/bank?PASSWD=********"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str):
    assert masked_url(url) == shown


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("sqlite:///x", "sqlite:///x"),
        ("postgres://h/b", "postgresql+psycopg2://h/b"),
        ("postgresql://h/b", "postgresql+psycopg2://h/b"),
        ("postgresql+psycopg2://h/b", "postgresql+psycopg2://h/b"),
        ("mysql://h/b", "mysql+pymysql://h/b"),
        ("mysql+pymysql://h/b", "mysql+pymysql://h/b"),
    ],
)
def test_every_spelling_of_a_url_names_the_driver_that_is_used(given: str, used: str):
    assert normalised_url(given) == used
    assert normalised_url(used) == used


@pytest.mark.parametrize(
    ("url", "verified"),
    [
        # Nobody else is on this machine's wires.
        ("sqlite:///x", True),
        ("postgresql://bank@localhost/b", True),
        ("postgresql://bank@127.0.0.1:5432/b", True),
        ("postgresql://bank@[::1]/b", True),
        ("postgresql:///b?host=/run/postgresql", True),
        ("mysql://bank@localhost/b", True),
        ("mysql://bank@h/b?unix_socket=/run/mysqld.sock", True),
        # Off it the certificate must be verified, with the name in it.
        ("postgresql://bank@h/b", False),
        ("postgresql://bank@h/b?sslmode=prefer", False),
        ("postgresql://bank@h/b?sslmode=require", False),
        ("postgresql://bank@h/b?sslmode=verify-ca", False),
        ("postgresql://bank@h/b?sslmode=verify-full", True),
        ("postgresql://bank@h/b?sslmode=verify-full&sslmode=disable", False),
        ("mysql://bank@h/b?ssl_ca=/ca.pem", True),
        ("mysql://bank@h/b?ssl_ca=/ca.pem&ssl_check_hostname=true", True),
        ("mysql://bank@h/b?ssl_ca=/ca.pem&ssl_check_hostname=false", False),
        ("mysql://bank@h/b?ssl_check_hostname=true", False),
        ("mysql://bank@h/b?ssl_ca=/ca.pem&ssl_cert=/c.pem&ssl_key=/k.pem", True),
        # Words of the driver that would quietly turn it off again.
        ("mysql://bank@h/b?ssl_ca=/ca.pem&ssl_disabled=true", False),
        ("mysql://bank@h/b?ssl_ca=/ca.pem&ssl_verify_cert=true", False),
        ("mysql://bank@h/b?ssl=true", False),
        # A host may hide in the query, or behind another.
        ("postgresql://bank@localhost/b?host=h", False),
        ("postgresql://bank@localhost/b?hostaddr=10.0.0.1", False),
        ("postgresql:///b?host=/run,h", False),
        ("postgresql:///b?host=h&host=localhost", False),
        ("postgresql://u:p/w@h/b", False),
    ],
)
def test_a_server_elsewhere_must_prove_who_it_is(url: str, verified: bool):
    assert verifies_certificate(normalised_url(url)) is verified
    told = [problem for problem in problems(DATABASE_URL=url) if "certificate" in problem]
    assert bool(told) is not verified


def test_nothing_else_reads_the_environment():
    modules = [path for path in (Path(__file__).parents[2] / "bank").rglob("*.py") if path.name != "settings.py"]
    reads = [
        line for path in modules for line in path.read_text().splitlines() if "os.environ" in line or "getenv" in line
    ]

    assert all("Settings.from_env(os.environ)" in line for line in reads)
