"""SASL mechanisms of the client side: PLAIN, AMQPLAIN and EXTERNAL."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hopmq.errors import EncodeError, UsageError
from hopmq.values import Value
from hopmq.wire import active
from hopmq.wire.reasons import SURROGATES


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class Credentials(Value):
    """Who connects; the password never shows in a repr."""

    username: str
    password: str = field(repr=False)


def _plain(credentials: Credentials) -> bytes:
    """RFC 4616, with an empty authorization identity."""
    try:
        return b"\0" + credentials.username.encode() + b"\0" + credentials.password.encode()
    except UnicodeEncodeError:
        # Its cause is left out: it quotes the password.
        raise EncodeError(SURROGATES, "credentials") from None


def _amqplain(credentials: Credentials) -> bytes:
    """RabbitMQ's older mechanism: a table without its length."""
    login = {"LOGIN": credentials.username, "PASSWORD": credentials.password}
    return active.encode_table(login)[4:]


def _external(_: Credentials) -> bytes:
    """RFC 4422, appendix A: the identity comes from the TLS certificate."""
    return b""


MECHANISMS: dict[str, Callable[[Credentials], bytes]] = {
    "PLAIN": _plain,
    "AMQPLAIN": _amqplain,
    "EXTERNAL": _external,
}


def initial_response(mechanism: str, credentials: Credentials) -> bytes:
    """Return the first response of `mechanism`."""
    return MECHANISMS[mechanism](credentials)


def check_mechanisms(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names in upper case, or raise for one that is not supported."""
    known = names if all(map(str.isupper, names)) else tuple(name.upper() for name in names)
    for name in known:
        if name not in MECHANISMS:
            supported = ", ".join(MECHANISMS)
            raise UsageError(f"unknown SASL mechanism {name!r}; supported: {supported}")
    if not known:
        raise UsageError("at least one SASL mechanism is needed")
    return known
