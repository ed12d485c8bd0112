"""TLS contexts: for clients as AMQP URLs describe them, and for listeners."""

import os
import ssl
from typing import Final, TypeAlias

from hopmq.errors import UsageError
from hopmq.url import Endpoint

_File: TypeAlias = str | os.PathLike[str]

_TLS_TEXTS: Final = {
    "cacertfile",
    "certfile",
    "keyfile",
    "password",
    "verify",
    "fail_if_no_peer_cert",
    "server_name_indication",
}


def client_context(endpoint: Endpoint) -> ssl.SSLContext | None:
    """Return the context for an amqps URL, None for a plain one.

    Certificates and host names are verified unless the URL says `verify=verify_none`; TLS 1.2
    is the minimum. `fail_if_no_peer_cert` and `depth` concern servers and have no effect here.

    Raises:
        UsageError: A file cannot be used, or TLS parameters stand in a URL without TLS.
    """
    texts = endpoint.texts
    if not endpoint.tls:
        given = sorted(_TLS_TEXTS & texts.keys())
        if given:
            raise UsageError(f"URL parameter {given[0]} needs amqps://")
        return None
    try:
        context = ssl.create_default_context(cafile=texts.get("cacertfile"))
        if "certfile" in texts:
            context.load_cert_chain(
                texts["certfile"], texts.get("keyfile"), lambda: texts.get("password", "")
            )
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"cannot use cacertfile, certfile or keyfile of {endpoint.address}: {error}"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if texts.get("verify") == "verify_none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def server_context(
    certfile: _File, keyfile: _File | None = None, cacertfile: _File | None = None
) -> ssl.SSLContext:
    """Return a context to listen with; TLS 1.2 is the minimum.

    Args:
        certfile: The server's certificate, PEM.
        keyfile: Its private key, PEM; in `certfile` when left out.
        cacertfile: Authorities of clients' certificates, PEM; a client that shows one is
            verified, and may also show none. Without, none is asked for.

    Raises:
        UsageError: A file cannot be used.
    """
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=cacertfile)
        # A key with a passphrase is refused here rather than asked for on the terminal.
        context.load_cert_chain(certfile, keyfile, lambda: "")
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"cannot use the certificate {certfile}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cacertfile is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
    return context
