"""Cores with their links: a client, and a server that confirms what it is sent."""

import asyncio

from pamqp.base import Frame

from hopmq import wire
from hopmq.core.channel import ChannelCore
from hopmq.core.connection import ConnectionCore
from hopmq.core.events import (
    AuthenticationRequested,
    ChannelOpened,
    CoreEvent,
    VhostRequested,
)
from hopmq.core.sasl import Credentials
from hopmq.core.settings import ClientSettings, ServerSettings, Tuning
from hopmq.transport.link import Link
from hopmq.transport.timers import Timers
from hopmq.wire import Published
from scripted.answers import answer


def client_link(heartbeat: int = 0, clock: Timers | None = None) -> Link:
    """Return the link of a client, whose events nobody wants."""
    loop = asyncio.get_running_loop()
    settings = ClientSettings(
        credentials=Credentials("guest", "guest"), tuning=Tuning(heartbeat=heartbeat)
    )
    core = ConnectionCore(settings, (clock or loop).time(), codec=wire.active)
    return Link(core, loop, lambda _: None, lambda: None, "client", clock=clock)


class Server:
    """A server's end that is called in the order of the frames.

    Attributes:
        link: Its link.
        events: What it was told.
        published: The bodies it was sent.
    """

    def __init__(self, heartbeat: int = 0, clock: Timers | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.events: list[CoreEvent] = []
        self.published: list[bytes] = []
        settings = ServerSettings(tuning=Tuning(heartbeat=heartbeat))
        now = (clock or loop).time()
        core = ConnectionCore(settings, now, codec=wire.active, on_event=self._on_event)
        self.link = Link(core, loop, self._no_events, lambda: None, "server", clock=clock)

    def _no_events(self, events: list[CoreEvent]) -> None:
        raise AssertionError(events)

    def _on_event(self, event: CoreEvent) -> None:
        self.events.append(event)
        core = self.link.core
        match event:
            case AuthenticationRequested():
                core.opening.accept_login()
            case VhostRequested():
                core.opening.accept_vhost()
            case ChannelOpened(channel=number):
                self._serve(core.channels[number])
            case _:
                pass

    def _serve(self, channel: ChannelCore) -> None:
        core = self.link.core
        count = 0

        def on_published(message: Published) -> None:
            nonlocal count
            count += 1
            self.published.append(bytes(message.body))
            core.write(core.codec.encode_ack(channel.channel_id, count, False))

        def on_method(method: Frame) -> None:
            reply = answer(method)
            if reply is not None:
                channel.send(reply)

        channel.on_published = on_published
        channel.on_method = on_method

    def saw(self, kind: type) -> bool:
        """Return whether there was an event of that kind."""
        return any(isinstance(event, kind) for event in self.events)
