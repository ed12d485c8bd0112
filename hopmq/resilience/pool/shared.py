"""The channels that publishers share: which one is next, and when there is to be another."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from hopmq.client.channel import Channel
from hopmq.errors import HopMQError, PublishNotSentError, PublishNotSentTimeoutError
from hopmq.resilience.pool.entries import ChannelSettings
from hopmq.resilience.pool.lease import Lease
from hopmq.resilience.pool.side import Side


@dataclass(slots=True, eq=False, kw_only=True)
class SharedChannel:
    """A channel that any publisher may use.

    Attributes:
        lease: Whose it is.
        channel: The same, nearer at hand.
        published: Messages so far, or batches of them.
        batches: Batches that go on now.
        published_before: What `published` was when it was last looked at.
    """

    lease: Lease
    channel: Channel
    published: int = 0
    batches: int = 0
    published_before: int = 0

    def has_ended(self) -> bool:
        """Return whether it is of no use any more; one that recovers is."""
        return not self.channel.is_open and not self.channel.is_recovering

    def look(self) -> bool:
        """Return whether nobody has used it since this was called before."""
        is_unused = self.published == self.published_before and not self.batches
        self.published_before = self.published
        return is_unused


class SharedChannels:
    """A few channels for any number of publishers.

    One channel takes all messages until its window is full; then the emptiest of the others
    does. Where all are full, one more is opened, as long as the bounds of the pool allow it.

    Attributes:
        current: What the next message goes to, if it has room for it.
    """

    def __init__(
        self,
        side: Side,
        settings: ChannelSettings,
        on_refused: Callable[[], None] = lambda: None,
        *,
        keep: int = 1,
        grows: bool = True,
    ) -> None:
        """Have no channel before somebody publishes.

        Args:
            side: Where channels come from.
            settings: What they are opened with.
            on_refused: Called when the broker has closed one of them.
            keep: How many stay open although nobody publishes.
            grows: Whether there may be more than one.
        """
        self.current: SharedChannel | None = None
        self._side = side
        self._settings = settings
        self._on_refused = on_refused
        self._keep = keep
        self._grows = grows
        self._channels: list[SharedChannel] = []
        self._turn = 0
        self._opening: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how many channels there are."""
        return len(self._channels)

    @property
    def unconfirmed(self) -> int:
        """How many messages await their confirm."""
        return sum(shared.channel.unconfirmed for shared in self._channels)

    # --- for publishers ----------------------------------------------------------------------

    def choose(self) -> SharedChannel | None:
        """Return the channel that the next message goes to; None when it has to wait for one."""
        self._drop_ended()
        ready = [shared for shared in self._channels if shared.channel.has_room]
        if ready:
            self.current = min(ready, key=lambda shared: shared.channel.unconfirmed)
            return self.current
        if self._would_more_help():
            self.open()
        usable = [shared for shared in self._channels if shared.channel.is_open]
        usable = usable or self._channels
        if not usable:
            return None
        # All are full: none shall have a longer line than the others.
        self._turn += 1
        return usable[self._turn % len(usable)]

    async def wait(self, timeout: float) -> SharedChannel:  # noqa: ASYNC109  # named in the error
        """Return the channel that the next message goes to, as soon as there is one.

        Raises:
            PublishNotSentError: There is none, and none can be had; or none came in time.
        """
        chosen = self.choose()
        if chosen is not None:
            return chosen
        try:
            async with asyncio.timeout(None if timeout == inf else timeout):
                while chosen is None:
                    await asyncio.shield(self.open())
                    chosen = self.choose()
        except TimeoutError:
            failure = self._side.last_failure
            why = "there is no channel for it" if failure is None else str(failure)
            raise PublishNotSentTimeoutError(
                f"not sent: the deadline passed before it could be: {why}"
            ) from failure
        except HopMQError as error:
            raise PublishNotSentError(f"not sent: {error}") from error
        return chosen

    async def first(self) -> None:
        """Have a channel.

        Raises:
            HopMQError: None can be had.
        """
        while self.choose() is None:
            await asyncio.shield(self.open())

    def open(self) -> "asyncio.Task[None]":
        """Have one more channel, some time."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._add())
            self._opening.add_done_callback(self._opened)
        return self._opening

    # --- for the pool ------------------------------------------------------------------------

    def tend(self) -> None:
        """Drop what has ended, and have at least one again if one is to be kept."""
        self._drop_ended()
        if self._keep and not self._channels:
            self.open()

    def shrink(self) -> None:
        """Give back what nobody has used since this was called before."""
        self._drop_ended()
        unused = [shared for shared in self._channels if shared.look()]
        unused.sort(key=lambda shared: shared is self.current)
        for shared in unused[: max(0, len(self._channels) - self._keep)]:
            self._remove(shared)
            retiring = asyncio.create_task(self._retire(shared))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)

    async def wait_for_confirms(self) -> None:
        """Wait until every publish so far has its outcome."""
        for shared in list(self._channels):
            await shared.channel.wait_for_confirms()

    async def close(self) -> None:
        """End what goes on in the background."""
        tasks = [*self._retiring, *([self._opening] if self._opening else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # --- inside ------------------------------------------------------------------------------

    def _would_more_help(self) -> bool:
        """Return whether the windows are what is full, and the bounds allow another one."""
        if not self._grows or self._opening is not None:
            return False
        of_open = [each.lease.connection for each in self._channels if each.channel.is_open]
        connections = [self._side.connections.get(number) for number in of_open]
        # An alarm would block another connection as well.
        wait_for_confirms = any(each is not None and not each.is_blocked for each in connections)
        return wait_for_confirms and self._side.could_grow(self._settings)

    async def _add(self) -> None:
        lease = await self._side.acquire(self._settings, None)
        self._opening = None  # at once: the next publish may find this one full
        self._channels.append(SharedChannel(lease=lease, channel=lease.channel))
        self.choose()

    def _opened(self, opening: "asyncio.Task[None]") -> None:
        if self._opening is opening:
            self._opening = None
        if not opening.cancelled():
            opening.exception()  # whoever waits for a channel is told

    def _drop_ended(self) -> None:
        for shared in [each for each in self._channels if each.has_ended()]:
            self._remove(shared)
            self._side.give_back(shared.lease, clean=False)
            if shared.lease.connection in self._side.connections:
                self._on_refused()

    def _remove(self, shared: SharedChannel) -> None:
        self._channels.remove(shared)
        if self.current is shared:
            self.current = None

    async def _retire(self, shared: SharedChannel) -> None:
        await shared.channel.wait_for_confirms()
        self._side.give_back(shared.lease, clean=shared.lease.is_unchanged())
