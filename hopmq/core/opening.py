"""How a connection comes to be open, or is refused: its handshake, the limits, the time it has."""

from typing import TYPE_CHECKING

from pamqp.commands import Connection

from hopmq.core.closing import closing_method, shortened
from hopmq.core.events import ConnectionRefused
from hopmq.core.handshake import (
    ClientHandshake,
    ServerHandshake,
    Step,
    describe_garbage,
    unexpected,
)
from hopmq.core.settings import ClientSettings, ServerSettings, Tuning
from hopmq.core.states import ConnectionState, Role
from hopmq.errors import FrameSyntaxError, HandshakeError, UsageError, connection_closed
from hopmq.wire.limits import FRAME_OVERHEAD

if TYPE_CHECKING:
    from hopmq.core.connection import ConnectionCore


class Opening:
    """The handshake of one connection, and what it does to the connection.

    Attributes:
        handshake: The role's side of the exchange.
        deadline: When it takes too long, on the owner's clock; None once it is over.
    """

    __slots__ = ("_connection", "_refusal", "deadline", "handshake")

    def __init__(self, connection: "ConnectionCore") -> None:
        """Begin, in the role that the connection has."""
        self._connection = connection
        self._refusal: ConnectionRefused | None = None
        self.deadline: float | None = None
        self.handshake: ClientHandshake | ServerHandshake
        settings = connection.settings
        if isinstance(settings, ClientSettings):
            self.handshake = ClientHandshake(settings)
        else:
            self.handshake = ServerHandshake(settings)
            self.deadline = connection.now + settings.handshake_timeout

    # --- the verdicts of a server --------------------------------------------------------------

    def challenge(self, challenge: bytes) -> None:
        """Ask the client for another SASL response."""
        if handshake := self._asking(Step.LOGIN):
            handshake.challenge(challenge)
            self.flush()

    def accept_login(self) -> None:
        """Let the client in."""
        if handshake := self._asking(Step.LOGIN):
            handshake.accept_login()
            self.flush()

    def accept_vhost(self) -> None:
        """Let the client use the virtual host it asked for."""
        if handshake := self._asking(Step.VERDICT):
            handshake.accept_vhost()
            self.flush()
            self.complete()

    def reject(self, reply_code: int, reply_text: str) -> None:
        """Refuse the credentials (403) or the virtual host (530), and say so."""
        if self._asking(Step.LOGIN, Step.VERDICT):
            self.turn_away(reply_code, reply_text)

    def turn_away(self, reply_code: int, reply_text: str) -> None:
        """End the handshake with a close that says why."""
        index = Connection.Open.index if self.handshake.step is Step.VERDICT else 0
        error = connection_closed(
            reply_code,
            shortened(reply_text),
            class_id=index >> 16,
            method_id=index & 0xFFFF,
            by_peer=False,
        )
        self._connection.send(closing_method(Connection.Close, error))
        self._end(ConnectionRefused(HandshakeError(f"refused: {error}")))

    def _asking(self, *steps: Step) -> ServerHandshake | None:
        """Return the handshake that wants a verdict; None when its client has gone meanwhile."""
        if self._connection.state is ConnectionState.CLOSED:
            return None
        if self.handshake.step not in steps or not isinstance(self.handshake, ServerHandshake):
            raise UsageError(f"the handshake waits for {self.handshake.step.value}")
        return self.handshake

    # --- its course ----------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what the handshake wants sent, and take over the limits it agreed on."""
        methods, self.handshake.outgoing = self.handshake.outgoing, []
        for method in methods:
            self._connection.send(method)
        if self.handshake.step in {Step.OPEN_OK, Step.OPEN}:
            self._tune(self.handshake.tuning)

    def _tune(self, tuning: Tuning) -> None:
        connection = self._connection
        connection.tuning = tuning
        connection.frame_max = tuning.frame_max
        if connection.role is Role.SERVER:
            # As RabbitMQ does: a limit of payloads, and of the number of channels.
            connection.decoder.frame_max = tuning.frame_max + FRAME_OVERHEAD
        else:
            connection.decoder.frame_max = tuning.frame_max
            connection.decoder.channel_max = tuning.channel_max

    def complete(self) -> None:
        """Take note that the handshake is complete."""
        connection = self._connection
        connection.move(ConnectionState.OPEN)
        self.deadline = None
        connection.heartbeat.start(connection.tuning.heartbeat, connection.now)

    # --- its end -------------------------------------------------------------------------------

    def refuse(self, refusal: ConnectionRefused) -> None:
        """End a handshake that failed; a server lets the client wait before it hangs up."""
        if isinstance(self.handshake, ServerHandshake):
            settings = self._connection.settings
            if self.handshake.step is Step.HEADER:
                # The one answer to a header that is not ours (AMQP 0-9-1, 4.2.2).
                self._connection.write(self.handshake.counter_offer)
            elif isinstance(settings, ServerSettings) and settings.silent_close_delay:
                self._refuse_later(refusal, settings.silent_close_delay)
                return
        self._end(refusal)

    def refuse_unexpected(self, what: str) -> None:
        """End a handshake whose peer sends something out of place."""
        self.refuse(unexpected(self.handshake.step, what))

    def refuse_garbage(self, error: FrameSyntaxError) -> None:
        """End a handshake with a peer whose bytes are no AMQP."""
        self.refuse(ConnectionRefused(describe_garbage(error)))

    def receive_eof(self, reason: str) -> None:
        """Take note that the link has ended."""
        self._end(self._refusal or ConnectionRefused(self.handshake.receive_eof(reason)))

    def handle_deadline(self, now: float) -> None:
        """Give up a client that takes too long; hang up on one that was refused."""
        if self.deadline is None or now < self.deadline:
            return
        assert isinstance(self.handshake, ServerHandshake)
        self._end(self._refusal or ConnectionRefused(self.handshake.timed_out()))

    def _refuse_later(self, refusal: ConnectionRefused, delay: float) -> None:
        """Hear nothing more, and hang up after a while."""
        if self._refusal is None:
            self._refusal = refusal
            self._connection.ignore_input()
            self.deadline = self._connection.now + delay
            self._connection.on_output()  # the owner has a new deadline

    def _end(self, refusal: ConnectionRefused) -> None:
        self._connection.stop()
        self._connection.add_event(refusal)
