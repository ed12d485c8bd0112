"""Faults of requests: refused with a code, as a broker refuses what it does not like."""

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from pamqp.commands import Basic

from hopmq.broker.operations import OPERATIONS
from hopmq.broker.operations.queues import locked
from hopmq.broker.refusal import CODES_OF_CHANNEL, Refusal
from hopmq.errors import UsageError
from hopmq.testing.faults.fault import Fault
from hopmq.testing.faults.selection import Selection

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel
    from hopmq.broker.peer import Peer

LOGIN: Final = "Connection.StartOk"
VHOST: Final = "Connection.Open"

REFUSABLE: Final = frozenset(
    {LOGIN, VHOST, Basic.Publish.name, Basic.Ack.name, Basic.Nack.name, Basic.Reject.name}
    | {method.name for method in OPERATIONS}
)
"""Requests that a fault can refuse: what a broker sees of a channel, and the login."""

_OF_QUEUES: Final = (
    "Queue.Declare",
    "Queue.Bind",
    "Queue.Unbind",
    "Queue.Purge",
    "Queue.Delete",
    "Basic.Consume",
    "Basic.Get",
)


class Refused(Fault):
    """Refuse requests with a code and a text."""

    def __init__(
        self,
        where: Selection,
        *,
        at: tuple[str, ...],
        code: int,
        text: str,
        closes_connection: bool | None,
        nth: int,
        times: int | None,
    ) -> None:
        """Refuse the methods `at`."""
        if not 200 <= code <= 999:
            raise UsageError(f"a reply code has three digits, not {code}")
        for pattern in at:
            check_requests(pattern)
        super().__init__(f"{code} for {', '.join(at)}", where, nth=nth, times=times)
        self.code: int = code
        self._at = at
        self._text = text
        self._closes_connection = closes_connection

    def check_handshake(self, peer: "Peer", method: str) -> bool:
        """Return whether a step of the handshake is refused."""
        return self._names(method) and self.where.has_peer(peer) and self.takes()

    def check(self, channel: "BrokerChannel", method: str, queue: str | None) -> None:
        """Raise the refusal, if it is for this request."""
        if self._names(method) and self.where.has_request(channel, queue) and self.takes():
            refusal = Refusal(self.code, self.text_for(channel, queue))
            if self._closes_connection is not None:
                refusal.closes_connection = self._closes_connection
            raise refusal

    def text_for(self, channel: "BrokerChannel | None", queue: str | None) -> str:
        """Return the reply text."""
        return self._text

    def _names(self, method: str) -> bool:
        return self.is_active and any(fnmatchcase(method, at) for at in self._at)


class Locked(Refused):
    """Refuse a queue as if another connection had it for itself (405)."""

    def __init__(self, where: Selection, *, times: int | None) -> None:
        """Refuse whatever names the queue."""
        super().__init__(
            where, at=_OF_QUEUES, code=405, text="", closes_connection=None, nth=1, times=times
        )

    def text_for(self, channel: "BrokerChannel | None", queue: str | None) -> str:
        """Return RabbitMQ's text."""
        return locked(queue or "", "/" if channel is None else channel.vhost.name)


def check_requests(at: str) -> None:
    """Raise a UsageError unless there are such requests."""
    if not any(fnmatchcase(method, at) for method in REFUSABLE):
        raise UsageError(f"no request {at!r} can be refused; requests are such as Queue.Declare")


def default_text(code: int) -> str:
    """Return what RabbitMQ's texts begin with for that code, and that this was a test's doing."""
    name = _NAMES.get(code, "INTERNAL_ERROR" if code not in CODES_OF_CHANNEL else "REFUSED")
    return f"{name} - refused by a fault of a test"


_NAMES: Final = {
    311: "CONTENT_TOO_LARGE",
    312: "NO_ROUTE",
    313: "NO_CONSUMERS",
    320: "CONNECTION_FORCED",
    402: "INVALID_PATH",
    403: "ACCESS_REFUSED",
    404: "NOT_FOUND",
    405: "RESOURCE_LOCKED",
    406: "PRECONDITION_FAILED",
    501: "FRAME_ERROR",
    502: "SYNTAX_ERROR",
    503: "COMMAND_INVALID",
    504: "CHANNEL_ERROR",
    505: "UNEXPECTED_FRAME",
    506: "RESOURCE_ERROR",
    530: "NOT_ALLOWED",
    540: "NOT_IMPLEMENTED",
}
