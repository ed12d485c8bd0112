"""Read AMQP URLs (RabbitMQ URI specification and URI query parameters).

A URL without a path, and one whose path is a single `/`, both mean virtual host `/`. The
specification reads the second as the virtual host with the empty name, but RabbitMQ creates no
such host and every broker has `/`, so the strict reading could only ever fail. Name other hosts
percent-encoded: `amqp://host/team%2Fa`.
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from hopmq.errors import UsageError
from hopmq.values import Value

DEFAULT_URL: Final = "amqp://localhost"
_PORTS: Final = {"amqp": 5672, "amqps": 5671, "amqp+unix": 0, "memory": 0}
_DEFAULT_MEMORY: Final = "default"
_NUMBERS: Final = {"heartbeat", "connection_timeout", "channel_max", "frame_max", "depth"}
_TEXTS: Final = {
    "cacertfile",
    "certfile",
    "keyfile",
    "password",
    "verify",
    "fail_if_no_peer_cert",
    "server_name_indication",
    "name",
}
_VERIFY: Final = {"verify_peer", "verify_none"}
_MAX_DIGITS: Final = 10
_STRAY: Final = "percent-encode / ? # @ in names and passwords (%2F %3F %23 %40)"


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Endpoint(Value):
    """What a URL says.

    Attributes:
        tls: True for amqps.
        host, port: The TCP address; unused with `path` and `memory`.
        path: A unix socket (`amqp+unix:///run/amqp.sock?vhost=%2F`).
        memory: The name of a broker within this process (`memory://name/vhost`).
        username, password: None when the URL names none.
        vhost: The virtual host.
        numbers, texts: The query parameters given.
        mechanisms: Every `auth_mechanism`, in order.
    """

    tls: bool = False
    host: str = "localhost"
    port: int = 5672
    path: str | None = None
    memory: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    vhost: str = "/"
    numbers: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict, repr=False)
    mechanisms: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The URL without anything secret, for logs and errors."""
        user = f"{quote(self.username, safe='')}@" if self.username else ""
        vhost = "" if self.vhost == "/" else f"/{quote(self.vhost, safe='')}"
        if self.memory is not None:
            return f"memory://{user}{quote(self.memory, safe='')}{vhost}"
        scheme = "amqp+unix" if self.path else "amqps" if self.tls else "amqp"
        host = f"[{self.host}]" if ":" in self.host else self.host
        place = self.path or f"{host}:{self.port}"
        return f"{scheme}://{user}{place}{vhost}"


def parse_url(url: str) -> Endpoint:
    """Return what `url` says.

    Raises:
        UsageError: It is not an AMQP URL, or has a parameter that is unknown or not valid. The
            message never repeats the URL, which may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # Its text may quote the password: what stands behind a stray `/` looks like a port.
        raise UsageError(f"not a valid URL: check its host and port; {_STRAY}") from None
    if parts.scheme not in _PORTS:
        known = ", ".join(f"{scheme}://" for scheme in _PORTS)
        raise UsageError(f"unknown URL scheme {parts.scheme!r}; HopMQ knows {known}")
    if port == 0:
        raise UsageError("port 0 in a URL: a broker's port is 1 to 65535")
    if parts.fragment or "@" in parts.path or "@" in parts.query:
        raise UsageError(f"not a valid URL: {_STRAY}")
    numbers, texts, mechanisms, vhost = _query(parts)
    unix = parts.scheme == "amqp+unix"
    if unix and not parts.path:
        raise UsageError("amqp+unix:// needs the path of a socket")
    return Endpoint(
        tls=parts.scheme == "amqps",
        host=unquote(parts.hostname or "localhost"),
        port=port or _PORTS[parts.scheme],
        path=unquote(parts.path) if unix else None,
        memory=_memory(parts) if parts.scheme == "memory" else None,
        username=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        vhost=(vhost or "/") if unix else _vhost(parts.path),
        numbers=numbers,
        texts=texts,
        mechanisms=mechanisms,
    )


def _memory(parts: SplitResult) -> str:
    # Not parts.hostname, which is in lower case: names of brokers are told apart by it.
    name = parts.netloc.rpartition("@")[2]
    if ":" in name:
        raise UsageError("memory:// has a name and no port")
    return unquote(name) or _DEFAULT_MEMORY


def _vhost(path: str) -> str:
    segment = path[1:]
    if "/" in segment:
        raise UsageError(
            "more than one segment in the URL's path: percent-encode slashes in the name of a "
            "virtual host (%2F)"
        )
    return unquote(segment) or "/"


def _query(
    parts: SplitResult,
) -> tuple[dict[str, int], dict[str, str], tuple[str, ...], str | None]:
    numbers: dict[str, int] = {}
    texts: dict[str, str] = {}
    mechanisms: list[str] = []
    vhost = None
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "auth_mechanism":
            mechanisms.append(value)
        elif name == "vhost" and parts.scheme == "amqp+unix":
            vhost = value
        elif name in _NUMBERS:
            numbers[name] = _number(name, value)
        elif name in _TEXTS:
            texts[name] = value
        else:
            raise UsageError(f"unknown URL parameter {name!r}")
    if texts.get("verify", "verify_peer") not in _VERIFY:
        raise UsageError("URL parameter verify is verify_peer or verify_none")
    return numbers, texts, tuple(mechanisms), vhost


def _number(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > _MAX_DIGITS:
        raise UsageError(f"URL parameter {name} is a whole number, not {value[:20]!r}")
    return int(value)
