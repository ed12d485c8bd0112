"""FastStream's RabbitMQ broker, without its log of each message and without type conversion."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from aio_pika import RobustQueue
from faststream import AckPolicy
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitMessage, RabbitQueue
from measuring import unsupported
from scenarios import AsyncClient, main

FASTSTREAM_NAMES = {"type": "message_type", "delivery_mode": "persist"}
"""Properties that FastStream calls otherwise."""


class FastStream(AsyncClient):
    distribution = "faststream"
    broker: RabbitBroker
    queue: RabbitQueue
    declared: RobustQueue
    names: dict[str, Any]

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        options = self.options
        self.names = {
            FASTSTREAM_NAMES.get(name, name): value for name, value in options.properties.items()
        }
        if "persist" in self.names:
            self.names["persist"] = True
        app_id = self.names.pop("app_id", None)  # an option of the broker here
        self.broker = RabbitBroker(
            options.url,
            default_channel=Channel(
                prefetch_count=options.prefetch if options.scenario == "consume-ack" else None,
                publisher_confirms=options.scenario.startswith("confirm"),
            ),
            app_id=app_id,
            logger=None,
            apply_types=False,
        )
        self.queue = self._described_queue()
        async with self.broker:
            self.declared = await self.broker.declare_queue(self.queue)
            yield

    def _described_queue(self) -> RabbitQueue:
        match self.options.queue_type:
            case "quorum":
                return RabbitQueue(self.options.queue, queue_type=QueueType.QUORUM, durable=True)
            case "stream":
                return RabbitQueue(self.options.queue, queue_type=QueueType.STREAM, durable=True)
            case _:
                return RabbitQueue(self.options.queue, durable=self.options.queue_type is not None)

    def publishing(self) -> Coroutine[Any, Any, Any]:
        return self.broker.publish(self.options.body, self.options.queue, **self.names)

    async def round_trip(self) -> None:
        await self.declared.declare()

    async def consume_without_acks(self, delivered: Callable[[], None]) -> None:
        await self._consume(delivered, AckPolicy.ACK_FIRST)

    async def consume_with_acks(self, delivered: Callable[[], None]) -> None:
        await self._consume(delivered, AckPolicy.ACK)

    async def _consume(self, delivered: Callable[[], None], policy: AckPolicy) -> None:
        async def as_it_is(message: RabbitMessage) -> bytes:
            return message.body  # which is no JSON, whatever its content_type says

        @self.broker.subscriber(
            self.queue,
            ack_policy=policy,
            consume_args=self.options.consume_arguments,
            decoder=as_it_is,
            no_reply=True,
        )
        async def handle(body: bytes) -> None:
            delivered()

        await self.broker.start()

    async def listen_for_answers(self) -> None:
        if self.options.scenario == "rpc-many":
            unsupported("a request holds a lock until it is answered")

    def calling(self, correlation_id: str) -> Coroutine[Any, Any, Any]:
        return self.broker.request(
            self.options.body, self.options.queue, correlation_id=correlation_id
        )

    async def call(self, number: int) -> object:
        return await self.calling(str(number))


if __name__ == "__main__":
    main(FastStream)
