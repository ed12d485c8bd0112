"""TLS contexts as AMQP URLs describe them."""

import ssl
from typing import Final

from hopmq.errors import UsageError
from hopmq.url import Endpoint

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
