"""What `connect` takes beside URLs, and what of it cannot be meant."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from hopmq.core.settings import Tuning
from hopmq.errors import UsageError
from hopmq.typedefs import FieldTable
from hopmq.values import Value
from hopmq.wire.limits import DEFAULT_MAX_MESSAGE_SIZE, FRAME_MIN_SIZE, MAX_CHANNEL

_MAX_SHORT: Final = 65_535
_MAX_LONG: Final = 2**32 - 1


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class ConnectOptions(Value):
    """What `connect` takes beside URLs; None leaves it to the URL, then to the default.

    Raises:
        UsageError: A value is of the wrong type or out of its range. Passwords are not quoted.
    """

    name: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    vhost: str | None = None
    heartbeat: int | None = None
    frame_max: int | None = None
    channel_max: int | None = None
    connect_timeout: float | None = None
    request_timeout: float = 30.0
    publish_timeout: float = 30.0
    ssl_context: ssl.SSLContext | None = None
    auth_mechanisms: Sequence[str] | None = None
    client_properties: FieldTable = field(default_factory=dict)
    max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE
    max_unread_size: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        """Refuse at the call what would fail later, in the middle of the handshake or of work."""
        for text in ("name", "username", "password", "vhost"):
            if not isinstance(getattr(self, text), str | None):
                raise UsageError(f"{text} is a str, not {_kind(getattr(self, text))}")
        for limit in ("heartbeat", "frame_max", "channel_max"):
            if getattr(self, limit) is not None:
                _check_whole(limit, getattr(self, limit))
        if self.connect_timeout is not None:
            check_timeout("connect_timeout", self.connect_timeout)
        check_timeout("request_timeout", self.request_timeout)
        check_timeout("publish_timeout", self.publish_timeout)
        for size in ("max_message_size", "max_unread_size"):
            _check_whole(size, getattr(self, size))
            if getattr(self, size) < 1:
                raise UsageError(f"{size} is a positive number of bytes")
        if isinstance(self.auth_mechanisms, str):
            raise UsageError("auth_mechanisms is a list, such as ['PLAIN'], not one str")


def check_tuning(tuning: Tuning) -> None:
    """Refuse limits that AMQP cannot carry."""
    if not 0 <= tuning.heartbeat <= _MAX_SHORT:
        raise UsageError(f"heartbeat is 0 to {_MAX_SHORT} seconds, not {tuning.heartbeat}")
    if not FRAME_MIN_SIZE <= tuning.frame_max <= _MAX_LONG:
        raise UsageError(f"frame_max is at least {FRAME_MIN_SIZE} bytes, not {tuning.frame_max}")
    if not 1 <= tuning.channel_max <= MAX_CHANNEL:
        raise UsageError(f"channel_max is 1 to {MAX_CHANNEL}, not {tuning.channel_max}")


def check_timeout(name: str, seconds: object) -> None:
    """Refuse a time that nothing could keep."""
    if not isinstance(seconds, int | float) or not seconds > 0:
        raise UsageError(f"{name} is a positive number of seconds, not {seconds!r}")


def check_urls(urls: object) -> list[str]:
    """Return the URLs as a list; their texts, which may hold passwords, are not quoted."""
    several = [urls] if isinstance(urls, str) else urls
    if isinstance(several, bytes) or not isinstance(several, Sequence):
        raise UsageError(f"a URL is a str, or several in a list, not {_kind(urls)}")
    if not several:
        raise UsageError("at least one URL is needed")
    for url in several:
        if not isinstance(url, str):
            raise UsageError(f"a URL is a str, not {_kind(url)}")
    return list(several)


def _check_whole(name: str, value: object) -> None:
    if not isinstance(value, int):
        raise UsageError(f"{name} is a whole number, not {value!r}")


def _kind(value: object) -> str:
    return type(value).__name__
