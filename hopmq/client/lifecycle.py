"""Where a connection stands, what happens to it, and how a program hears of both."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from hopmq.errors import RequestTimeoutError, UsageError
from hopmq.events import (
    AttemptFailed,
    Blocked,
    ChannelLost,
    Closed,
    Connected,
    ConnectionEvent,
    ConsumerLost,
    EntityFailed,
)
from hopmq.values import Value

logger: logging.Logger = logging.getLogger("hopmq.connection")

State: TypeAlias = Literal["connecting", "open", "blocked", "recovering", "closing", "closed"]
"""`blocked` is open, and takes no publishes; after `closed` nothing follows."""

_STATES: Final = frozenset(get_args(State))
_MAX_UNREAD: Final = 1000

Listener: TypeAlias = Callable[[ConnectionEvent], object]


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Counters(Value):
    """What has happened to a connection, counted.

    Attributes:
        links: Links that were opened.
        attempts_failed: Attempts to open one that failed.
        entities_failed: Refusals of what was to be restored.
        channels_lost: Channels that the broker closed.
        consumers_lost: Consumers that the broker ended or would not restore.
        blocked: Times the broker has blocked publishing.
    """

    links: int = 0
    attempts_failed: int = 0
    entities_failed: int = 0
    channels_lost: int = 0
    consumers_lost: int = 0
    blocked: int = 0


_COUNTED: Final[dict[type[ConnectionEvent], str]] = {
    Connected: "links",
    AttemptFailed: "attempts_failed",
    EntityFailed: "entities_failed",
    ChannelLost: "channels_lost",
    ConsumerLost: "consumers_lost",
    Blocked: "blocked",
}


@dataclass(slots=True, eq=False)
class _Reader:
    """One iteration over events."""

    unread: deque[ConnectionEvent] = field(default_factory=lambda: deque(maxlen=_MAX_UNREAD))
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


class Lifecycle:
    """The state of one connection and its listeners.

    Attributes:
        state: Where it stands.
        counters: What was counted.
    """

    __slots__ = ("_closed", "_listeners", "_waiting", "counters", "state")

    def __init__(self) -> None:
        """Begin with a link that is being opened."""
        self.state: State = "connecting"
        self.counters: Counters = Counters()
        self._closed: Closed | None = None
        self._listeners: list[Listener] = []
        self._waiting: list[tuple[frozenset[str], asyncio.Future[State]]] = []

    def move(self, state: State) -> None:
        """Change state and wake whoever waits for it."""
        self.state = state
        waiting, self._waiting = self._waiting, []
        for states, waiter in waiting:
            if waiter.done():
                continue
            if state in states or state == "closed":
                waiter.set_result(state)
            else:
                self._waiting.append((states, waiter))

    async def wait_for(self, states: tuple[str, ...], timeout: float | None) -> State:  # noqa: ASYNC109  # named in the error
        """Wait until the state is one of `states`, or `closed`; return it.

        Raises:
            RequestTimeoutError: It was none of them within `timeout` seconds.
        """
        wanted = frozenset(states)
        if not wanted or not wanted <= _STATES:
            raise UsageError(f"states are {', '.join(sorted(_STATES))}, not {', '.join(states)}")
        if self.state in wanted or self.state == "closed":
            return self.state
        waiter: asyncio.Future[State] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, waiter))
        try:
            async with asyncio.timeout(timeout):
                return await waiter
        except TimeoutError:
            raise RequestTimeoutError(
                f"the connection is {self.state}: not {' or '.join(states)} within {timeout:g} seconds"
            ) from None
        finally:
            self._waiting = [each for each in self._waiting if each[1] is not waiter]

    def add_listener(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each event; return what removes it again."""
        self._listeners.append(listener)

        def remove() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return remove

    def tell(self, event: ConnectionEvent) -> None:
        """Count an event and pass it on."""
        if isinstance(event, Closed):
            self._closed = event
        counter = _COUNTED.get(type(event))
        if counter is not None:
            setattr(self.counters, counter, getattr(self.counters, counter) + 1)
        for listener in list(self._listeners):
            try:
                listener(event)
            except (Exception, asyncio.CancelledError):
                # The listener is the user's: nothing may pass the reader.
                logger.exception("%s: a listener failed on %r", event.connection, event)

    async def events(self) -> AsyncIterator[ConnectionEvent]:
        """Yield events, of which `Closed` is the last; only that one where it has been told."""
        if self._closed is not None:
            yield self._closed
            return
        reader = _Reader()

        def take(event: ConnectionEvent) -> None:
            reader.unread.append(event)
            reader.arrived.set()

        remove = self.add_listener(take)
        try:
            while True:
                await reader.arrived.wait()
                reader.arrived.clear()
                while reader.unread:
                    event = reader.unread.popleft()
                    yield event
                    if isinstance(event, Closed):
                        return
        finally:
            remove()
