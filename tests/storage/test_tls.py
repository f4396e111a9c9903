"""TLS by the database URL: the certificate is verified, and so is the name of the host."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bank.cli import main
from bank.settings import verifies_certificate
from bank.storage import migrate
from bank.storage.engine import make_engine
from tests.servers import MariaDBServer, NotInstalled, PostgresServer, not_run

pytestmark = pytest.mark.dialects("postgresql", "mysql")

SERVERS = {"postgresql": PostgresServer, "mysql": MariaDBServer}
BY_URL = {"postgresql": "?sslmode=verify-full&sslrootcert={ca}", "mysql": "?ssl_ca={ca}"}


class Authority:
    """A certificate authority that nobody else trusts."""

    def __init__(self, directory: Path, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = directory / f"{name}.pem"
        certificate = (
            self._certificate(self.name, self.key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(**{**_NO_USAGE, "key_cert_sign": True, "crl_sign": True}), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, directory: Path) -> tuple[Path, Path]:
        """A certificate for 127.0.0.1 and for no name, and its key, as files."""
        key = ec.generate_private_key(ec.SECP256R1())
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = (
            self._certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "database")]), key.public_key())
            .add_extension(address, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        files = directory / "database.pem", directory / "database.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    def _certificate(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )


_NO_USAGE = dict.fromkeys(
    (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    ),
    False,
)  # fmt: skip


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    """The one that vouches for the servers, and a stranger."""
    directory = tmp_path_factory.mktemp("authorities")
    return Authority(directory, "ours"), Authority(directory, "stranger")


@pytest.fixture(scope="module")
def address(
    dialect: str, authorities: tuple[Authority, Authority], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL, as yet without parameters, of a database on a server that speaks TLS on a port."""
    certificate = authorities[0].issue(tmp_path_factory.mktemp(dialect))
    try:
        server = SERVERS[dialect](tcp=True, tls=certificate)
    except NotInstalled as missing:
        not_run(dialect, str(missing))
    with server:
        yield server.create_database("bank_tls").migrator.partition("?")[0]


def _query(url: str, statement: str) -> str:
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return str(connection.exec_driver_sql(statement).one()[-1])
    finally:
        engine.dispose()


def test_a_verified_certificate_lets_in_and_encrypts(
    address: str, dialect: str, authorities: tuple[Authority, Authority]
) -> None:
    url = address + BY_URL[dialect].format(ca=authorities[0].file)
    is_encrypted = {
        "postgresql": "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
        "mysql": "SHOW SESSION STATUS LIKE 'Ssl_version'",
    }

    assert _query(url, is_encrypted[dialect]) in ("True", "TLSv1.3")
    assert verifies_certificate(url.replace("127.0.0.1", "db.example.com"))
    assert migrate.upgrade(url) == migrate.head()


def test_a_certificate_of_another_authority_is_refused(
    address: str, dialect: str, authorities: tuple[Authority, Authority]
) -> None:
    url = address + BY_URL[dialect].format(ca=authorities[1].file)

    with pytest.raises(sa.exc.OperationalError, match=r"certificate verify failed"):
        _query(url, "SELECT 1")


def test_a_certificate_for_another_host_is_refused(
    address: str, dialect: str, authorities: tuple[Authority, Authority]
) -> None:
    url = address.replace("127.0.0.1", "localhost") + BY_URL[dialect].format(ca=authorities[0].file)

    with pytest.raises(
        sa.exc.OperationalError, match=r"does not match host|certificate is not valid for|Hostname mismatch"
    ):
        _query(url, "SELECT 1")


def test_a_backup_and_its_restore_go_by_the_same_certificate_and_a_password_of_any_letters(
    dialect: str, authorities: tuple[Authority, Authority], tmp_path: Path
) -> None:
    password = "sec:ret\\'\"#; $x=`"
    try:
        server = SERVERS[dialect](tcp=True, tls=authorities[0].issue(tmp_path))
    except NotInstalled as missing:
        not_run(dialect, str(missing))
    with server:
        urls = [sa.make_url(server.create_database(name).migrator) for name in ("bank_from", "bank_to")]
        with server.admin() as cursor:
            how = (
                "ALTER ROLE bank_migrator PASSWORD"
                if dialect == "postgresql"
                else "ALTER USER bank_migrator IDENTIFIED BY"
            )
            cursor.execute(f"{how} %s", (password,))

        def run(command: str, which: int, authority: Authority) -> str:
            url = urls[which].set(password=password).render_as_string(hide_password=False).partition("?")[0]
            env = {"DATABASE_URL": url + BY_URL[dialect].format(ca=authority.file)}
            result = CliRunner().invoke(main, ["db", *command.split()], env=env)
            assert password not in result.output
            return f"{result.exit_code} {result.output}"

        assert run("upgrade", 0, authorities[0]).startswith("0 ")
        assert "certificate" in run(f"backup {tmp_path}/b", 0, authorities[1])
        assert run(f"backup {tmp_path}/b", 0, authorities[0]).startswith("0 ")
        assert "certificate" in run(f"restore {tmp_path}/b", 1, authorities[1])
        assert "The bank is restored" in run(f"restore {tmp_path}/b", 1, authorities[0])
