"""One client of the broker: its connection, who it is, and what it has opened."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pamqp.commands import Connection

from hopmq import wire
from hopmq.broker.access import OPERATIONS, Access, Operation
from hopmq.broker.channel import BrokerChannel
from hopmq.broker.login import MalformedLoginError, logged_in
from hopmq.broker.queues.queue import Queue
from hopmq.broker.refusal import Refusal
from hopmq.core.connection import ConnectionCore
from hopmq.core.events import (
    AuthenticationRequested,
    ChallengeAnswered,
    ChannelEnded,
    ChannelOpened,
    ConnectionEnded,
    ConnectionRefused,
    CoreEvent,
    SecretUpdated,
    VhostRequested,
)
from hopmq.core.settings import ServerSettings
from hopmq.errors import AuthenticationError, HopMQError, connection_closed
from hopmq.transport.link import Link
from hopmq.wire import new_method

if TYPE_CHECKING:
    from hopmq.broker.state import BrokerState
    from hopmq.broker.vhost import VirtualHost

logger: logging.Logger = logging.getLogger("hopmq.broker")

SHUTDOWN: Final = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"
_TURN_SIZE: Final = 256 * 1024
"""Bytes written to one client in one turn of the loop; the others have their turn then."""


class Peer:
    """The broker's end of one connection.

    Attributes:
        number: Its number among all connections of the broker, from 1.
        core, link: Its protocol and its socket.
        access: The users of the broker.
        username: Who it is, once it has logged in.
        mechanism: How it has logged in.
        connected_at: When it came in, in seconds since 1970; 0 until then.
        vhost: The virtual host it works in, once it has opened it.
        channels: By number.
        exclusive_queues: Those that go with it.
        held: Whether it is sent no messages for now, since its socket does not keep up.
        is_blocked: Whether it is not read, because of an alarm.
        turn_size: Bytes that it is sent in one turn of the loop.
    """

    def __init__(
        self, broker: "BrokerState", settings: ServerSettings, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Wait for the client to begin."""
        self._broker = broker
        self._loop = loop
        self.number: int = broker.next_number()
        self.core: ConnectionCore = ConnectionCore(
            settings, broker.clock.time(), codec=wire.active, on_event=self._on_event
        )
        trace_name = f"broker #{self.number}"
        self.link: Link = Link(
            self.core,
            loop,
            self._ignore,
            self._on_writable,
            trace_name,
            clock=broker.clock,
            on_made=lambda: broker.remember(self),
        )
        self.access: Access = broker.access
        self.username: str = ""
        self.mechanism: str = ""
        self.connected_at: float = 0.0
        self.vhost: VirtualHost | None = None
        self.channels: dict[int, BrokerChannel] = {}
        self.exclusive_queues: dict[Queue, None] = {}
        self.held: bool = False
        self.turn_size: int = _TURN_SIZE
        self.is_blocked: bool = False
        self._put_off: deque[Callable[[], None]] = deque()

    def __repr__(self) -> str:
        """Show who it is and where it comes from."""
        return f"<Peer {self.label}>"

    @property
    def client_name(self) -> str | None:
        """What the client calls its connection; None before it has said so, or if it does not."""
        properties = getattr(self.core.opening.handshake, "client_properties", {})
        name = properties.get("connection_name")
        return name if isinstance(name, str) else None

    @property
    def label(self) -> str:
        """The client's number, name and address, for logs."""
        name = self.client_name
        place = self.link.transport.get_extra_info("peername") or "in process"
        address = f"{place[0]}:{place[1]}" if isinstance(place, tuple) else str(place)
        who = address if name is None else f"{name} ({address})"
        return f"#{self.number} {who}"

    def has_capability(self, name: str) -> bool:
        """Return whether the client says that it knows a capability."""
        properties: Any = getattr(self.core.opening.handshake, "client_properties", {})
        capabilities = properties.get("capabilities")
        return isinstance(capabilities, dict) and capabilities.get(name) is True

    def require(self, operation: Operation, kind: str, name: str) -> None:
        """Refuse what the user has no permission for (403).

        Args:
            operation: What it is about to do.
            kind: To an `exchange` or a `queue`.
            name: Of that name; the default exchange is called amq.default here.
        """
        assert self.vhost is not None
        if kind == "exchange" and not name:
            name = "amq.default"
        if not self.access.allows(self.username, self.vhost.name, operation, name):
            word = f"{operation} " if self.vhost.emulation.names_operations else ""
            raise Refusal(
                403,
                f"ACCESS_REFUSED - {word}access to {kind} '{name}' in vhost "
                f"'{self.vhost.name}' refused for user '{self.username}'",
            )

    @property
    def consumer_timeout(self) -> float | None:
        """Seconds that a delivery may stay unsettled; None for ever."""
        return self._broker.consumer_timeout

    def require_any(self, kind: str, name: str) -> None:
        """Refuse to say whether something is there to whom it is nothing (403; since 4.3)."""
        assert self.vhost is not None
        if self.vhost.emulation.hides_from_strangers and not any(
            self.access.allows(self.username, self.vhost.name, operation, name)
            for operation in OPERATIONS
        ):
            self.require("configure", kind, name)

    # --- ending ----------------------------------------------------------------------------

    def refuse(self, refusal: Refusal, index: int) -> None:
        """Close the connection and say why."""
        logger.warning("%s: closed: %d %s", self.label, refusal.code, refusal.text)
        self._begin_close(refusal.code, refusal.text, index)

    def close(self, code: int = 320, text: str = SHUTDOWN) -> None:
        """Close the connection in order."""
        self._begin_close(code, text, 0)
        self.link.flush()
        self.link.resume_reading()  # an alarm must not stand before the client's answer

    def _begin_close(self, code: int, text: str, index: int) -> None:
        for channel in list(self.channels.values()):
            channel.publishing.flush_acks()
        self.core.close_with(
            connection_closed(
                code, text, class_id=index >> 16, method_id=index & 0xFFFF, by_peer=False
            )
        )

    def log_channel_error(self, number: int, refusal: Refusal) -> None:
        """Note that a channel was closed for what its client did."""
        logger.warning("%s: channel %d closed: %s", self.label, number, refusal)

    # --- pace ------------------------------------------------------------------------------

    def hold(self) -> None:
        """Send no more messages in this turn of the loop."""
        if not self.held:
            self.held = True
            self._loop.call_soon(self._release)

    def _release(self) -> None:
        """Send messages again, unless the socket does not keep up."""
        self.link.flush()
        if self.link.write_paused or not self.held:
            return
        self.held = False
        self._serve()

    def _on_writable(self) -> None:
        if self.held:
            self.held = False
            self._serve()

    def _serve(self) -> None:
        """Have every queue know that this client's consumers have room again."""
        queues: dict[Queue, None] = {}
        for channel in self.channels.values():
            for consumer in channel.consumers.values():
                if consumer.parked:
                    consumer.queue.roster.unpark(consumer)
                    queues[consumer.queue] = None
        for queue in queues:
            queue.dispatch()

    def block(self, reason: str = "low on memory") -> None:
        """Read nothing more from a client that publishes during an alarm, and say so to it.

        What was read already waits as well: `put_off` keeps it.
        """
        if self.is_blocked:
            return
        self.is_blocked = True
        logger.warning("%s: blocked: %s", self.label, reason)
        if self.has_capability("connection.blocked"):
            self.core.send(new_method(Connection.Blocked, reason=reason))
        self.link.pause_reading()

    def unblock(self) -> None:
        """Read again: the alarm is over."""
        if not self.is_blocked:
            return
        self.is_blocked = False
        if self.has_capability("connection.blocked"):
            self.core.send(new_method(Connection.Unblocked))
        self.link.resume_reading()
        while self._put_off and not self.is_blocked:
            self._put_off.popleft()()

    def put_off(self, later: Callable[[], None]) -> None:
        """Keep what a blocked client has said, to be done when it is unblocked."""
        self._put_off.append(later)

    # --- events ----------------------------------------------------------------------------

    def _ignore(self, events: list[CoreEvent]) -> None:
        """Do nothing: events were acted on when they happened."""

    def _on_event(self, event: CoreEvent) -> None:
        handler: Callable[[Any], None] | None = self._handlers.get(type(event))
        if handler is not None:
            handler(self, event)  # type: ignore[call-arg]

    def _channel_opened(self, event: ChannelOpened) -> None:
        assert self.vhost is not None
        core = self.core.channels[event.channel]
        self.channels[event.channel] = BrokerChannel(self, self.vhost, core)

    def _channel_ended(self, event: ChannelEnded) -> None:
        channel = self.channels.get(event.channel)
        if channel is not None:
            channel.end()

    def _login(self, event: AuthenticationRequested | ChallengeAnswered) -> None:
        mechanism = getattr(event, "mechanism", "")
        try:
            name = logged_in(self.access, mechanism, event.response, self.link.transport)
        except MalformedLoginError as error:
            logger.warning("%s: login failed: %s", self.label, error)
            self.core.opening.refuse(ConnectionRefused(AuthenticationError(str(error))))
            return
        if name is None:
            self._refuse_login(mechanism)
            return
        self.username = name
        self.mechanism = mechanism
        self.core.opening.accept_login()

    def _refuse_login(self, mechanism: str) -> None:
        """Refuse credentials; a client that does not expect a close is hung up on."""
        text = (
            f"ACCESS_REFUSED - Login was refused using authentication mechanism {mechanism}. "
            "For details see the broker logfile."
        )
        logger.warning("%s: login refused (%s)", self.label, mechanism)
        if self.has_capability("authentication_failure_close"):
            self.core.opening.reject(403, text)
        else:
            self.core.opening.refuse(ConnectionRefused(AuthenticationError(text)))

    def _enter(self, event: VhostRequested) -> None:
        vhost = self._broker.vhosts.get(event.virtual_host)
        user = self.access.user(self.username)
        if vhost is None:
            self.core.opening.reject(530, f"NOT_ALLOWED - vhost {event.virtual_host} not found")
        elif user is None or vhost.name not in user.permissions:
            self.core.opening.reject(
                530,
                f"NOT_ALLOWED - access to vhost '{vhost.name}' refused for user '{self.username}'",
            )
        else:
            self.vhost = vhost
            self.connected_at = self._broker.clock.wall()
            logger.info("%s: user %s connected to %s", self.label, self.username, vhost.name)
            self.core.opening.accept_vhost()

    def _update_secret(self, event: SecretUpdated) -> None:
        """Agree to any secret, as RabbitMQ does for users of its own: they have logged in before."""
        logger.info("%s: user %s updated secret: %s", self.label, self.username, event.reason)
        self.core.send(new_method(Connection.UpdateSecretOk))

    def _ended(self, event: ConnectionEnded | ConnectionRefused) -> None:
        error: HopMQError = event.error
        logger.info("%s: ended: %s", self.label, error)
        for channel in list(self.channels.values()):
            channel.end()
        for queue in list(self.exclusive_queues):
            queue.vhost.delete_queue(queue)
        self._broker.forget(self)

    _handlers: Final[dict[type, Callable[..., None]]] = {
        ChannelOpened: _channel_opened,
        ChannelEnded: _channel_ended,
        AuthenticationRequested: _login,
        ChallengeAnswered: _login,
        VhostRequested: _enter,
        SecretUpdated: _update_secret,
        ConnectionEnded: _ended,
        ConnectionRefused: _ended,
    }
