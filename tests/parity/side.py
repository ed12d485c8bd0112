"""One of two brokers that are driven alike: does an operation and tells everything observable."""

import re
from dataclasses import dataclass, field
from typing import Any

from pamqp.commands import Basic

from hopmq.wire import Properties, new_method
from parity.channel import ChannelDriver
from parity.closed import Closed
from parity.driver import Peer

_WIDTHS = re.compile("of type '(byte|short|signedint|long)'")


@dataclass(slots=True)
class Reader:
    """A consumer on a channel of its own.

    Attributes:
        channel: The channel.
        unsettled: Delivery tags that it has not settled.
        seen: Everything that it was sent.
    """

    channel: ChannelDriver
    unsettled: list[int] = field(default_factory=list)
    seen: list[tuple[object, ...]] = field(default_factory=list)


class Side:
    """A broker, a channel with confirms for requests and messages, and a reader for each queue.

    Attributes:
        prefix: Begins every name, so that runs do not meet.
        readers: By queue.
    """

    def __init__(self, peer: Peer, prefix: str) -> None:
        self.prefix = prefix
        self.readers: dict[str, Reader] = {}
        self._peer = peer
        self._channel: ChannelDriver | None = None
        self._held: list[int] = []

    async def channel(self) -> ChannelDriver:
        """Return the channel, opened again after a refusal has closed it."""
        if self._channel is None or self._channel.closed:
            self._channel = await self._peer.channel()
            await self._channel.confirm()
            self._held.clear()
        return self._channel

    async def do(self, name: str, *arguments: Any) -> object:
        """Do an operation; return what it brought, or how it was refused."""
        await self.channel()
        try:
            return await getattr(self, name)(*arguments)
        except Closed as closed:
            return ("refused", *(self._plain(part) for part in closed.answer), closed.blamed)

    # --- operations --------------------------------------------------------------------------

    async def declare(self, queue: str, arguments: dict[str, Any], auto_delete: bool) -> object:
        """Declare a queue; names in its arguments are taken as ours."""
        channel = await self.channel()
        found = await channel.declare(
            self._name(queue),
            durable=True,
            auto_delete=auto_delete,
            arguments={
                key: self._name(value) if value == "dead" else value
                for key, value in arguments.items()
            },
        )
        return self._plain(found.queue)

    async def delete(self, queue: str, if_unused: bool) -> object:
        """Delete a queue."""
        channel = await self.channel()
        return await channel.delete(self._name(queue), if_unused=if_unused) >= 0

    async def bind(self, queue: str, exchange: str, key: str) -> object:
        """Bind a queue to an exchange."""
        await (await self.channel()).bind(self._name(queue), self._name(exchange), key)
        return "bound"

    async def unbind(self, queue: str, exchange: str, key: str) -> object:
        """Remove a binding."""
        await (await self.channel()).unbind(self._name(queue), self._name(exchange), key)
        return "unbound"

    async def publish(
        self, exchange: str, key: str, body: bytes, priority: int | None, copies: list[str]
    ) -> object:
        """Publish with confirm; return whether it came back, and what it was answered."""
        channel = await self.channel()
        headers = {"CC": [self._name(each) for each in copies]} if copies else None
        channel.publish(
            body,
            exchange=self._name(exchange) if exchange else "",
            routing_key=self._name(key) if not exchange else key,
            properties=Properties(priority=priority, headers=headers),
            mandatory=True,
        )
        came = []
        while (event := await channel.any()) is not None:
            came.append(type(event).__name__)
            if came[-1] in {"Ack", "Nack"}:
                break
        return came

    async def get(self, queue: str) -> object:
        """Fetch a message and keep it unsettled."""
        fetched = await (await self.channel()).get(self._name(queue), no_ack=False)
        if fetched is None:
            return None
        self._held.append(fetched.delivery_tag)
        return self._content(fetched)

    async def settle_fetched(self, which: int, verdict: str, multiple: bool) -> object:
        """Settle a fetched message; or another one, which does not exist."""
        channel = await self.channel()
        tag = self._held[which % len(self._held)] if self._held else 99
        self._settle(channel, tag, verdict, multiple)
        await channel.qos(0)
        self._held = [each for each in self._held if not _covers(tag, verdict, multiple, each)]
        return "settled"

    async def consume(self, queue: str, prefetch: int) -> object:
        """Read a queue, if it is not read yet."""
        if queue in self.readers:
            return "read already"
        channel = await self._peer.channel()
        await channel.qos(prefetch)
        await channel.consume(self._name(queue), f"reader-of-{queue}")
        self.readers[queue] = Reader(channel)
        return "read"

    async def cancel(self, queue: str, close: bool) -> object:
        """Stop reading; what is unsettled goes back if the channel is closed."""
        reader = self.readers.pop(queue, None)
        if reader is None:
            return "not read"
        if not close:
            await reader.channel.cancel(f"reader-of-{queue}")
        await reader.channel.close()
        return "not read any more"

    async def settle(self, queue: str, which: int, verdict: str, multiple: bool) -> object:
        """Settle one of a reader's messages."""
        reader = self.readers.get(queue)
        if reader is None or not reader.unsettled:
            return "nothing to settle"
        tag = reader.unsettled[which % len(reader.unsettled)]
        self._settle(reader.channel, tag, verdict, multiple)
        reader.unsettled = [
            each for each in reader.unsettled if not _covers(tag, verdict, multiple, each)
        ]
        await reader.channel.call(new_method(Basic.Qos, prefetch_count=0), Basic.QosOk)
        return "settled"

    async def recover(self) -> object:
        """Have what was fetched put back."""
        await (await self.channel()).recover()
        self._held.clear()
        return "recovered"

    async def purge(self, queue: str) -> object:
        """Empty a queue."""
        return await (await self.channel()).purge(self._name(queue))

    # --- what can be seen at any time ----------------------------------------------------------

    async def look(self, queues: list[str]) -> object:
        """Return how many messages and consumers queues have, and what readers were sent."""
        counts = []
        for queue in queues:
            channel = await self._peer.channel()
            try:
                found = await channel.declare(self._name(queue), passive=True)
                counts.append((found.message_count, found.consumer_count))
                await channel.close()
            except Closed as closed:
                counts.append((closed.code, 0))
        for queue, reader in list(self.readers.items()):
            self._read(queue, reader)
        seen = {queue: list(reader.seen) for queue, reader in self.readers.items()}
        return counts, seen

    def _read(self, queue: str, reader: Reader) -> None:
        while reader.channel.inbox:
            event = reader.channel.inbox.popleft()
            if type(event).__name__ == "Delivery":
                reader.unsettled.append(event.delivery_tag)
                reader.seen.append((event.delivery_tag, *self._content(event)))
            else:
                reader.seen.append((type(event).__name__,))

    # --- inside ------------------------------------------------------------------------------

    def _settle(self, channel: ChannelDriver, tag: int, verdict: str, multiple: bool) -> None:
        if verdict == "ack":
            channel.ack(tag, multiple)
        elif verdict in {"nack", "drop"}:
            channel.nack(tag, multiple, verdict == "nack")
        else:
            channel.reject(tag, verdict == "reject")

    def _content(self, message: Any) -> tuple[object, ...]:  # Any: an event of either codec
        headers = dict(message.properties.headers or {})
        for death in headers.get("x-death", []):
            death.pop("time", None)
        return (
            message.body,
            message.redelivered,
            self._plain(message.exchange),
            self._plain(message.routing_key),
            message.properties.priority,
            self._plain(repr(sorted(headers.items(), key=repr))),
        )

    def _name(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def _plain(self, value: Any) -> Any:
        """Return text without what differs by nature: the prefix, and the width of an integer."""
        if not isinstance(value, str):
            return value
        return _WIDTHS.sub("of type 'integer'", value.replace(f"{self.prefix}-", ""))


def _covers(tag: int, verdict: str, multiple: bool, other: int) -> bool:
    """Return whether a settlement of `tag` settles `other`; a reject never does more than one."""
    several = multiple and not verdict.startswith("reject")
    return other <= tag if several else other == tag
