"""One partition as one member has it: in line for its messages, or at work on them."""

import asyncio
from collections.abc import Awaitable, Callable

from hopmq.app.groups.settling import InOrder
from hopmq.app.messaging import Messaging
from hopmq.client.channel import Channel
from hopmq.client.consumer import Consumer
from hopmq.client.message import Message
from hopmq.errors import HopMQError


class Partition:
    """A place in the line of those who consume a queue with a single active consumer.

    It gives its place up by closing its channel, when nothing is being worked on: then the broker
    takes back what was delivered and not settled before it makes the next one active. A mere
    basic.cancel lets the next begin with what comes after that.

    Attributes:
        queue: Its queue.
        is_active: Whether messages have come since it got in line.
        behind: Whose it was when it got in line.
    """

    def __init__(
        self,
        messaging: Messaging,
        queue: str,
        handle: Callable[[Message], Awaitable[None]],
        *,
        prefetch: int,
        consumer_tag: str,
        owner: Callable[[], str],
    ) -> None:
        """Be nowhere yet; `owner` says whose it is."""
        self.queue: str = queue
        self.is_active: bool = False
        self.behind: str | None = None
        self._messaging = messaging
        self._handle = handle
        self._prefetch = prefetch
        self._consumer_tag = consumer_tag
        self._owner = owner
        self._channel: Channel | None = None
        self._consumer: Consumer | None = None
        self._is_leaving = False
        self._is_stopping = False
        self._gives_back = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def is_interrupted(self) -> bool:
        """Whether it is to be in line, and waits to be restored with its connection or its queue."""
        consumer = None if self._channel is None else self._consumer
        return consumer is not None and consumer.is_wanted and not consumer.is_active

    async def keep(self, in_line: Callable[[], object]) -> None:
        """Be in line until `stop`; call `in_line` each time it is.

        Raises:
            HopMQError: The broker has ended it, or did not let it begin.
        """
        while not self._is_stopping:
            await self._be_in_line(in_line)

    async def step_back(self) -> None:
        """Finish what is being worked on, and go to the end of the line."""
        if self._channel is None or self._is_leaving:
            return
        self._is_leaving = True
        await self._idle.wait()
        if self._channel is not None:
            await self._channel.close()

    async def stop(self) -> None:
        """Finish what is being worked on, and leave the line."""
        self._is_stopping = True
        self._is_leaving = True
        await self._idle.wait()
        if self._channel is not None:
            await self._channel.close()

    def cut_off(self) -> None:
        """Cancel what is being worked on, which `stop` waits for."""
        if self._consumer is not None:
            self._consumer.cancel_handlers()

    # --- inside ------------------------------------------------------------------------------

    async def _be_in_line(self, in_line: Callable[[], object]) -> None:
        async with self._messaging.channel(
            confirms=False, prefetch=self._prefetch, consuming=True
        ) as channel:
            self._is_leaving = self._is_stopping
            self._gives_back = False
            self.is_active = False
            self.behind = self._owner()
            consumer = await channel.consume(
                self.queue, self._work, consumer_tag=self._consumer_tag
            )
            self._channel = channel
            self._consumer = consumer
            try:
                in_line()
                await consumer.wait_closed()
            except HopMQError:
                if not self._is_leaving:
                    raise
            finally:
                self._channel = None
                self.is_active = False

    async def _work(self, message: Message) -> None:
        if self._is_leaving:
            return  # it goes back when the channel is closed
        self.is_active = True
        self._idle.clear()
        message.context = InOrder(message.context, self._give_back)
        try:
            await self._handle(message)
        finally:
            self._idle.set()
        if self._gives_back and self._channel is not None:
            await self._channel.close()

    def _give_back(self) -> None:
        """Handle no more of what was delivered, and get in line again, as nothing may overtake."""
        self._is_leaving = True
        self._gives_back = True
