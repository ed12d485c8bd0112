"""A client core and a server core with nothing between them but bytes and a clock of our own."""

from collections.abc import Callable
from typing import Any, TypeVar

from hopmq.core.channel import ChannelCore
from hopmq.core.connection import ConnectionCore
from hopmq.core.events import AuthenticationRequested, CoreEvent, VhostRequested
from hopmq.core.sasl import Credentials
from hopmq.core.settings import ClientSettings, ServerSettings, Tuning
from hopmq.core.states import ConnectionState
from hopmq.wire import Codec

from .actors import Waiting

EventT = TypeVar("EventT")

START = 1000.0
NO_HEARTBEAT = Tuning(heartbeat=0)


def client_settings(**fields: Any) -> ClientSettings:
    """Return settings of a client that sends no heartbeats, unless told otherwise."""
    defaults = {"credentials": Credentials("guest", "s3cret-word"), "tuning": NO_HEARTBEAT}
    return ClientSettings(**{**defaults, **fields})


def server_settings(**fields: Any) -> ServerSettings:
    """Return settings of a server that sends no heartbeats, unless told otherwise."""
    return ServerSettings(**{"tuning": NO_HEARTBEAT, **fields})


class ConnectionPair:
    """Both ends of a connection.

    Attributes:
        now: The time that both ends see.
        step: Bytes handed over in one piece; None hands over all there is.
        client_events, server_events: Everything that happened so far.
        answers: What the server's owner does about an event, by its type.
    """

    def __init__(
        self,
        codec: Codec,
        client: ClientSettings | None = None,
        server: ServerSettings | None = None,
        *,
        step: int | None = None,
    ) -> None:
        self.now = START
        self.step = step
        self.client = ConnectionCore(client or client_settings(), self.now, codec=codec)
        self.server = ConnectionCore(server or server_settings(), self.now, codec=codec)
        self.client_events: list[CoreEvent] = []
        self.server_events: list[CoreEvent] = []
        self.answers: dict[type, Callable[[Any], None]] = {
            AuthenticationRequested: lambda _: self.server.opening.accept_login(),
            VhostRequested: lambda _: self.server.opening.accept_vhost(),
        }

    def exchange(self) -> None:
        """Carry bytes both ways until both ends are silent."""
        while self.to_server() + self.to_client():
            pass

    def to_server(self) -> int:
        """Carry what the client wants sent; return how many bytes that was."""
        size = self._carry(self.client, self.server)
        for event in self.server.events():
            self.server_events.append(event)
            answer = self.answers.get(type(event))
            if answer is not None:
                answer(event)
        return size

    def to_client(self) -> int:
        """Carry what the server wants sent; return how many bytes that was."""
        size = self._carry(self.server, self.client)
        self.client_events += self.client.events()
        return size

    def _carry(self, sender: ConnectionCore, receiver: ConnectionCore) -> int:
        data = b"".join(sender.data_to_send(self.now))
        step = self.step or len(data) or 1
        for start in range(0, len(data), step):
            receiver.receive_data(data[start : start + step], self.now)
        return len(data)

    def open(self) -> "ConnectionPair":
        """Complete the handshake."""
        self.exchange()
        assert self.client.state is ConnectionState.OPEN, self.client_events
        assert self.server.state is ConnectionState.OPEN, self.server_events
        return self

    def open_channel(self) -> tuple[ChannelCore, ChannelCore]:
        """Open a channel and return it as both ends see it."""
        waiter = Waiting()
        channel = self.client.open_channel(waiter)
        self.exchange()
        assert waiter.answers == 1
        return channel, self.server.channels[channel.channel_id]

    def of_client(self, kind: type[EventT]) -> list[EventT]:
        """Return the client's events of one kind."""
        return [event for event in self.client_events if isinstance(event, kind)]

    def of_server(self, kind: type[EventT]) -> list[EventT]:
        """Return the server's events of one kind."""
        return [event for event in self.server_events if isinstance(event, kind)]

    def tick(self, seconds: float) -> None:
        """Let time pass, deadline by deadline, with bytes carried after each."""
        end = self.now + seconds
        while True:
            due = [d for core in (self.client, self.server) if (d := core.next_deadline())]
            now = min([*due, end])
            if now >= end:
                break
            self.now = max(now, self.now)
            self._fire()
        self.now = end
        self._fire()

    def _fire(self) -> None:
        for core in (self.client, self.server):
            deadline = core.next_deadline()
            if deadline is not None and deadline <= self.now:
                core.handle_deadline(self.now)
        self.exchange()
        self.client_events += self.client.events()
        self.server_events += self.server.events()
