"""Certificates for TLS on the loopback interface, made with the `openssl` command."""

import shutil
import ssl
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hopmq.errors import UsageError
from hopmq.testing.errors import BrokerError
from hopmq.transport.tls import server_context

_SETTINGS = """\
[req]
distinguished_name = name
prompt = no
[name]
CN = unnamed
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {alternatives}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """PEM files of a private authority, a server and a client; valid for a few days.

    Attributes:
        authority: Certificate that signed the others: what a client trusts.
        server: Certificate of the server, for the host names asked for.
        server_key: Its private key.
        client: Certificate of the client, whose common name is the user's name.
        client_key: Its private key.
    """

    authority: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        hosts: Sequence[str] = ("DNS:localhost", "IP:127.0.0.1", "IP:::1"),
        user: str = "guest",
    ) -> "Certificates":
        """Make new certificates in `folder`.

        Args:
            folder: Where the files go; made when missing.
            hosts: What the server is called, in OpenSSL's spelling of alternative names.
            user: Common name of the client's certificate, which RabbitMQ's EXTERNAL
                mechanism takes as the name of the user.

        Raises:
            UsageError: The `openssl` command is not installed.
            BrokerError: The `openssl` command failed.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "openssl.cnf").write_text(_SETTINGS.format(alternatives=", ".join(hosts)))
        _issue(folder, "authority", "HopMQ test authority", extensions="authority")
        signed = ("-CA", "authority.pem", "-CAkey", "authority.key")
        _issue(folder, "server", "localhost", *signed, extensions="leaf")
        _issue(folder, "client", user, *signed, extensions="leaf")
        return cls(
            authority=folder / "authority.pem",
            server=folder / "server.pem",
            server_key=folder / "server.key",
            client=folder / "client.pem",
            client_key=folder / "client.key",
        )

    def server_context(self) -> ssl.SSLContext:
        """Return a context to listen with, such as an embedded broker's `tls`.

        A client may show a certificate, which is verified, or none.
        """
        return server_context(self.server, self.server_key, self.authority)


def _issue(folder: Path, name: str, common_name: str, *signed: str, extensions: str) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        msg = "certificates cannot be made: the openssl command is not installed"
        raise UsageError(msg)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    files = ("-keyout", f"{name}.key", "-out", f"{name}.pem")
    subject = ("-subj", f"/CN={common_name}", "-days", "30")
    settings = ("-config", "openssl.cnf", "-extensions", extensions)
    done = subprocess.run(
        [openssl, "req", "-x509", *settings, *key, *subject, *signed, *files],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if done.returncode:
        msg = f"openssl did not make the certificate {name}: {done.stderr.strip()}"
        raise BrokerError(msg)
