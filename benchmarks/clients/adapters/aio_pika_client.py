"""aio-pika, on a robust connection as its own documentation teaches."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from measuring import REPLY_TO
from scenarios import AsyncClient, main


class AioPika(AsyncClient):
    distribution = "aio-pika"
    channel: AbstractChannel
    queue: AbstractQueue

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        confirms = self.options.scenario.startswith("confirm")
        async with await aio_pika.connect_robust(self.options.url) as connection:
            self.channel = await connection.channel(publisher_confirms=confirms)
            self.queue = await self.channel.declare_queue(
                self.options.queue, **self.options.queue_options
            )
            yield

    def publishing(self) -> Coroutine[Any, Any, Any]:
        message = aio_pika.Message(self.options.body, **self.options.properties)
        return self.channel.default_exchange.publish(message, self.options.queue)

    async def round_trip(self) -> None:
        await self.channel.get_queue(self.options.queue)

    async def consume_without_acks(self, delivered: Callable[[], None]) -> None:
        async def on_message(message: AbstractIncomingMessage) -> None:
            delivered()

        await self.queue.consume(on_message, no_ack=True, arguments=self.options.consume_arguments)

    async def consume_with_acks(self, delivered: Callable[[], None]) -> None:
        async def on_message(message: AbstractIncomingMessage) -> None:
            await message.ack()
            delivered()

        await self.channel.set_qos(prefetch_count=self.options.prefetch)
        await self.queue.consume(on_message, arguments=self.options.consume_arguments)

    async def listen_for_answers(self) -> None:
        async def on_answer(message: AbstractIncomingMessage) -> None:
            assert message.correlation_id is not None
            self.answers.pop(message.correlation_id).set_result(message.body)

        queue = await self.channel.get_queue(REPLY_TO, ensure=False)
        await queue.consume(on_answer, no_ack=True)

    def calling(self, correlation_id: str) -> Coroutine[Any, Any, Any]:
        message = aio_pika.Message(
            self.options.body, correlation_id=correlation_id, reply_to=REPLY_TO
        )
        return self.channel.default_exchange.publish(message, self.options.queue)


if __name__ == "__main__":
    main(AioPika)
