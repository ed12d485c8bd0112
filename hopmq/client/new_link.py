"""A link whose handshake is under way, and which belongs to no connection yet."""

import asyncio
from collections.abc import Callable

from hopmq.core.connection import ConnectionCore
from hopmq.core.events import ConnectionEnded, ConnectionOpened, ConnectionRefused, CoreEvent
from hopmq.errors import HandshakeError
from hopmq.transport.link import Link


def _nothing() -> None:
    """Have no publisher to tell of room."""


class NewLink:
    """One link to a broker, from its first byte until it is handed over.

    Attributes:
        core, link: The state machine and its socket.
        label: Connection name and peer, for logs and errors.
        opened: Done when the handshake is.
    """

    __slots__ = ("_early", "core", "label", "link", "opened")

    def __init__(self, core: ConnectionCore, loop: asyncio.AbstractEventLoop, label: str) -> None:
        """Prepare a link; nothing is connected yet."""
        self.core: ConnectionCore = core
        self.label: str = label
        self.link: Link = Link(core, loop, self._await_opening, _nothing, label)
        self.opened: asyncio.Future[None] = loop.create_future()
        self._early: list[CoreEvent] = []

    def hand_over(
        self, on_events: Callable[[list[CoreEvent]], None], on_writable: Callable[[], None]
    ) -> None:
        """Tell another from now on, and at once what came behind the handshake."""
        self.link.on_events = on_events
        self.link.on_writable = on_writable
        early, self._early = self._early, []
        if early:
            on_events(early)

    def abandon(self) -> None:
        """Drop a link whose handshake nobody waits for any more."""
        self.opened.cancel()
        self.link.abort()

    def _await_opening(self, events: list[CoreEvent]) -> None:
        for event in events:
            match event:
                case ConnectionOpened() if not self.opened.done():
                    self.opened.set_result(None)
                case ConnectionRefused() if not self.opened.done():
                    self.opened.set_exception(event.error)
                case ConnectionEnded() if not self.opened.done():
                    self.opened.set_exception(HandshakeError(str(event.error)))
                case _:
                    self._early.append(event)
