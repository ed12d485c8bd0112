"""Every error HopMQ raises: one tree under `HopMQError`.

HopMQError
├─ UsageError                        the call was wrong; nothing was sent
│  ├─ EncodeError                    a value has no exact AMQP form (also a ValueError)
│  └─ AlreadySettledError            a message was acknowledged or rejected twice
├─ FrameSyntaxError                  the codec's one answer to malformed bytes
├─ ConnectError                      no connection came about
│  ├─ AuthenticationError            refused credentials (403)
│  ├─ CredentialsError               the provider of credentials failed
│  ├─ VhostNotFoundError             the virtual host is missing or forbidden (530)
│  ├─ ConnectionLimitError           the broker takes no more connections (530)
│  ├─ CertificateError               the broker's certificate is not trusted
│  ├─ HandshakeError                 the peer does not speak AMQP 0-9-1, or not correctly
│  └─ ConnectTimeoutError            also a TimeoutError
├─ ClosedError
│  ├─ ConnectionClosed               an open connection ended; one subclass per reply code
│  │  └─ ForkedError                 another process's connection (also a UsageError)
│  └─ ChannelClosed                  a channel ended; one subclass per reply code
├─ NoChannelAvailableError           every channel id is in use
├─ RequestTimeoutError               the broker did not answer in time (also a TimeoutError)
├─ PoolTimeoutError                  a pool had no channel to spare in time (also a TimeoutError)
├─ ConsumerCancelledError            the broker ended a consumer
└─ PublishError                      a publish did not end confirmed; see `retry_safe`
   ├─ PublishReturnedError           mandatory and unroutable
   ├─ PublishNackedError             refused by the broker
   ├─ PublishNotSentError            never left this process
   ├─ PublishUnknownError            may have arrived
   └─ PublishManyError               some of `publish_many` failed
"""

from collections.abc import Sequence
from typing import Self


class HopMQError(Exception):
    """Any error raised by HopMQ."""


# --- the caller's own mistakes -------------------------------------------------------------


class UsageError(HopMQError):
    """The call was wrong; nothing was sent and nothing changed."""


class EncodeError(UsageError, ValueError):
    """A value has no exact AMQP form.

    Attributes:
        path: Where the value stands, such as `headers['a'][0]`; empty for the value itself.
    """

    def __init__(self, reason: str, path: str = "") -> None:
        """Describe what cannot be encoded and where it stands."""
        super().__init__(f"{path}: {reason}" if path else reason)
        self.reason: str = reason
        self.path: str = path


class AlreadySettledError(UsageError):
    """The message was acknowledged, rejected or taken with `no_ack` before."""


# --- bytes -----------------------------------------------------------------------------------


class FrameSyntaxError(HopMQError):
    """Malformed bytes from the peer, found by the codec.

    Attributes:
        offset: Bytes of the stream before the frame, or of the value before the fault.
        reason: What is wrong.
        reply_code: The AMQP reply code that answers it: 501 framing, 502 syntax,
            503 and 540 unknown methods, 504 channel numbers, 505 unexpected frames,
            506 more than the memory limit.
        frame: The octets of the frame at fault, as far as they have come; empty when it is a
            value by itself that is malformed.
    """

    def __init__(
        self, offset: int, reason: str, reply_code: int = 502, *, frame: bytes = b""
    ) -> None:
        """Describe a fault at `offset`."""
        super().__init__(f"{reason} (at byte {offset})")
        self.offset: int = offset
        self.reason: str = reason
        self.reply_code: int = reply_code
        self.frame: bytes = frame

    def __eq__(self, other: object) -> bool:
        """Compare by content, so that event lists can be compared."""
        if not isinstance(other, FrameSyntaxError):
            return NotImplemented
        return (self.offset, self.reason, self.reply_code) == (
            other.offset,
            other.reason,
            other.reply_code,
        )

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash((self.offset, self.reason, self.reply_code))


# --- connecting ------------------------------------------------------------------------------


class ConnectError(HopMQError):
    """No connection came about; the message says what was tried and what answered."""


class AuthenticationError(ConnectError):
    """The broker refused the credentials or offers no usable mechanism (403)."""


class CredentialsError(ConnectError):
    """The provider of credentials failed, or gave none in time; its own error is the cause."""


class VhostNotFoundError(ConnectError):
    """The virtual host does not exist, or this user may not use it (530)."""


class ConnectionLimitError(ConnectError):
    """The broker takes no more connections of this user, for this virtual host or at all (530)."""


class CertificateError(ConnectError):
    """The broker's certificate is not trusted, or is for another name."""


class HandshakeError(ConnectError):
    """The peer does not speak AMQP 0-9-1, or broke its rules during the handshake."""


class ConnectTimeoutError(ConnectError, TimeoutError):
    """The connection was not open within `connect_timeout`."""


# --- closed connections and channels ---------------------------------------------------------


class ClosedError(HopMQError):
    """The connection or the channel has ended."""

    default_code = 0
    default_hint = ""

    def __init__(
        self,
        reply_text: str = "",
        *,
        reply_code: int | None = None,
        class_id: int = 0,
        method_id: int = 0,
        by_peer: bool = True,
        hint: str = "",
    ) -> None:
        """Keep what was said when it closed."""
        code = self.default_code if reply_code is None else reply_code
        text = f"{code} {reply_text}" if code else reply_text
        hint = hint or self.default_hint
        super().__init__(f"{text} ({hint})" if hint else text)
        self.reply_code: int = code
        self.reply_text: str = reply_text
        self.class_id: int = class_id
        self.method_id: int = method_id
        self.by_peer: bool = by_peer
        self.hint: str = hint
        self.unprocessed: bool = False

    def again(self) -> Self:
        """Return a new error that says the same, so that each waiter has a traceback of its own."""
        return type(self)(
            self.reply_text,
            reply_code=self.reply_code,
            class_id=self.class_id,
            method_id=self.method_id,
            by_peer=self.by_peer,
            hint=self.hint,
        )


class ConnectionClosed(ClosedError):
    """The connection has ended.

    Attributes:
        reply_code: AMQP reply code; 0 when the link ended without one, 200 for a normal close.
        reply_text: The text that came with it.
        class_id: The class of the method that caused it, or 0.
        method_id: That method, or 0.
        by_peer: True when the broker closed it, False when this side did.
        hint: What to do about it, where that is known.
        unprocessed: True when the request that raised this stood behind the one that closed
            the channel, so that the broker never acted on it.
    """


class ConnectionLostError(ConnectionClosed):
    """The link ended without a close: reset, end of stream, or missed heartbeats."""


class ForkedError(ConnectionClosed, UsageError):
    """The connection belongs to the process that this one was forked from.

    Nothing was sent, and the parent's connection is as it was. Connect anew in the child.
    """


class ConnectionForcedError(ConnectionClosed):
    """320: an operator or a shutdown closed the connection."""

    default_code = 320


class FramingError(ConnectionClosed):
    """501: a frame was malformed, too large or out of place."""

    default_code = 501


class MethodSyntaxError(ConnectionClosed):
    """502: a frame held illegal values."""

    default_code = 502


class CommandInvalidError(ConnectionClosed):
    """503: a method that is not valid here."""

    default_code = 503


class ChannelNumberError(ConnectionClosed):
    """504: a frame for a channel that is not open."""

    default_code = 504


class UnexpectedFrameError(ConnectionClosed):
    """505: a frame that was not expected at this point."""

    default_code = 505


class ResourceError(ConnectionClosed):
    """506: the peer ran out of resources or passed a memory limit."""

    default_code = 506


class NotAllowedError(ConnectionClosed):
    """530: the broker does not allow this."""

    default_code = 530


class MethodNotImplementedError(ConnectionClosed):
    """540: the peer does not implement this."""

    default_code = 540


class InternalBrokerError(ConnectionClosed):
    """541: the broker failed inside."""

    default_code = 541


class ChannelClosed(ClosedError):
    """The channel has ended; its connection and its other channels live on.

    Attributes:
        reply_code: AMQP reply code; 0 when the connection ended, 200 for a normal close.
        reply_text: The text that came with it.
        class_id: The class of the method that caused it, or 0.
        method_id: That method, or 0.
        by_peer: True when the broker closed it, False when this side did.
        hint: What to do about it, where that is known.
        unprocessed: True when the request that raised this stood behind the one that closed
            the channel, so that the broker never acted on it.
    """


class ContentTooLargeError(ChannelClosed):
    """311: a message is larger than the receiver accepts."""

    default_code = 311


class AccessRefusedError(ChannelClosed):
    """403: the user lacks a permission, or another consumer is exclusive."""

    default_code = 403
    default_hint = "check the user's permissions and whether another consumer is exclusive"


class NotFoundError(ChannelClosed):
    """404: the queue or exchange does not exist."""

    default_code = 404
    default_hint = "declare it first, and check its name and the virtual host"


class ResourceLockedError(ChannelClosed):
    """405: the queue is exclusive to another connection."""

    default_code = 405
    default_hint = "the queue is exclusive to another connection; wait until that one is gone"


class PreconditionFailedError(ChannelClosed):
    """406: arguments differ from those declared, an unknown delivery tag, and the like."""

    default_code = 406
    default_hint = "use the arguments it was declared with, or delete it first"


def _by_code(base: type[ClosedError]) -> dict[int, type[ClosedError]]:
    return {kind.default_code: kind for kind in base.__subclasses__() if kind.default_code}


_CONNECTION_CLOSES = _by_code(ConnectionClosed)
_CHANNEL_CLOSES = _by_code(ChannelClosed)


def connection_closed(
    reply_code: int,
    reply_text: str,
    *,
    class_id: int = 0,
    method_id: int = 0,
    by_peer: bool = True,
    hint: str = "",
) -> ConnectionClosed:
    """Return the error of a connection close, of the class that its reply code names."""
    kind = _CONNECTION_CLOSES.get(reply_code, ConnectionClosed)
    error = kind(
        reply_text,
        reply_code=reply_code,
        class_id=class_id,
        method_id=method_id,
        by_peer=by_peer,
        hint=hint,
    )
    assert isinstance(error, ConnectionClosed)
    return error


def channel_closed(
    reply_code: int,
    reply_text: str,
    *,
    class_id: int = 0,
    method_id: int = 0,
    by_peer: bool = True,
    hint: str = "",
) -> ChannelClosed:
    """Return the error of a channel close, of the class that its reply code names."""
    kind = _CHANNEL_CLOSES.get(reply_code, ChannelClosed)
    error = kind(
        reply_text,
        reply_code=reply_code,
        class_id=class_id,
        method_id=method_id,
        by_peer=by_peer,
        hint=hint,
    )
    assert isinstance(error, ChannelClosed)
    return error


# --- waiting ---------------------------------------------------------------------------------


class NoChannelAvailableError(HopMQError):
    """Every channel id up to `channel_max` is in use."""


class RequestTimeoutError(HopMQError, TimeoutError):
    """The broker did not answer a request in time; the connection stays usable."""


class PoolTimeoutError(HopMQError, TimeoutError):
    """A pool had no channel to spare within `acquire_timeout`; the message says what was waited for."""


class ConsumerCancelledError(HopMQError):
    """The broker ended the consumer: its queue was deleted or moved.

    Attributes:
        consumer_tag: The consumer that ended.
    """

    def __init__(self, message: str, consumer_tag: str) -> None:
        """Name the consumer that ended."""
        super().__init__(message)
        self.consumer_tag: str = consumer_tag

    def again(self) -> Self:
        """Return a new error that says the same, so that each reader has one of its own."""
        return type(self)(str(self), self.consumer_tag)


# --- publishing ------------------------------------------------------------------------------


class PublishError(HopMQError):
    """A publish did not end confirmed.

    Attributes:
        retry_safe: True when publishing again cannot create a duplicate.
    """

    retry_safe: bool = False


class PublishReturnedError(PublishError):
    """The message was `mandatory` and no queue took it.

    One that had been sent before (`on_disconnect="resend"`) is not `retry_safe`: it may have
    arrived then.

    Attributes:
        reply_code: 312 (no route) or 313 (no consumers).
        reply_text: The broker's words.
        exchange: Where it was published to.
        routing_key: The key it was published with.
    """

    retry_safe: bool = True

    def __init__(self, reply_code: int, reply_text: str, exchange: str, routing_key: str) -> None:
        """Say which publish came back and why."""
        super().__init__(
            f"returned by the broker: {reply_code} {reply_text} "
            f"(exchange {exchange!r}, routing key {routing_key!r}); bind a queue to that key, "
            "or publish without mandatory"
        )
        self.reply_code: int = reply_code
        self.reply_text: str = reply_text
        self.exchange: str = exchange
        self.routing_key: str = routing_key


class PublishNackedError(PublishError):
    """The broker refused the message (`basic.nack`).

    Some of the queues it was routed to may have taken it, so a retry may duplicate it there.
    """


class PublishNotSentError(PublishError):
    """The message never left this process: publishing again is safe."""

    retry_safe: bool = True


class PublishNotSentTimeoutError(PublishNotSentError, TimeoutError):
    """The deadline passed before the message could be sent."""


class PublishUnknownError(PublishError):
    """The message was sent and its confirm never came: it may have arrived."""


class PublishUnknownTimeoutError(PublishUnknownError, TimeoutError):
    """The deadline passed before the confirm came."""


class PublishManyError(PublishError):
    """Some messages of a `publish_many` did not end confirmed.

    Attributes:
        outcomes: One entry per message, in order: a `Receipt` or the error it ended with.
        retry_safe: True when every failed message may safely be published again.
    """

    def __init__(self, outcomes: Sequence[object]) -> None:
        """Keep every outcome, in order."""
        failed = [outcome for outcome in outcomes if isinstance(outcome, HopMQError)]
        super().__init__(
            f"{len(failed)} of {len(outcomes)} messages were not confirmed; the first: {failed[0]}"
        )
        self.outcomes: list[object] = list(outcomes)
        self.retry_safe: bool = all(getattr(error, "retry_safe", True) for error in failed)
