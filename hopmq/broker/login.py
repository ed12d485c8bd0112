"""SASL on the broker's side: what a client's response says, and whether it is let in."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from hopmq.broker.access import Access
from hopmq.errors import FrameSyntaxError, HopMQError
from hopmq.wire import active

if TYPE_CHECKING:
    import asyncio

MECHANISMS: Final = ("PLAIN", "AMQPLAIN")
EXTERNAL: Final = "EXTERNAL"


class MalformedLoginError(HopMQError):
    """A response that is none of its mechanism, or a mechanism that was not offered."""


def logged_in(
    access: Access, mechanism: str, response: bytes, transport: "asyncio.BaseTransport"
) -> str | None:
    """Return the name of the user whom a response lets in; None when it lets nobody in.

    Raises:
        MalformedLoginError: The response names nobody at all.
    """
    if mechanism == EXTERNAL:
        name = _certified_name(transport)
        if name is None:
            raise MalformedLoginError("EXTERNAL without a certificate")
        return name if access.user(name) is not None else None
    read = _READERS.get(mechanism)
    credentials = None if read is None else read(response)
    if credentials is None:
        raise MalformedLoginError(f"no response of {mechanism}")
    user = access.authenticate(*credentials)
    return None if user is None else user.name


def _plain(response: bytes) -> tuple[str, bytes] | None:
    """Read a response of PLAIN (RFC 4616)."""
    parts = response.split(b"\0")
    if len(parts) != 3 or parts[0]:
        return None
    return parts[1].decode("utf-8", "replace"), parts[2]


def _amqplain(response: bytes) -> tuple[str, bytes] | None:
    """Read a response of AMQPLAIN: a table without its length."""
    try:
        table = active.decode_table(len(response).to_bytes(4, "big") + response)
    except FrameSyntaxError:
        return None
    login, password = table.get("LOGIN"), table.get("PASSWORD")
    if not isinstance(login, str) or not isinstance(password, (str, bytes)):
        return None
    return login, password.encode() if isinstance(password, str) else password


_READERS: Final[dict[str, Callable[[bytes], tuple[str, bytes] | None]]] = {
    "PLAIN": _plain,
    "AMQPLAIN": _amqplain,
}


def _certified_name(transport: "asyncio.BaseTransport") -> str | None:
    """Return the common name of the client's certificate, which TLS has verified."""
    certificate: Any = transport.get_extra_info("peercert")  # a dict of nested tuples
    for part in (certificate or {}).get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return None
