"""aiormq, on which aio-pika stands.

What is written is not waited for (`wait=False`), as it allows and is faster.
"""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import aiormq
from aiormq.abc import AbstractChannel, DeliveredMessage
from measuring import REPLY_TO
from scenarios import AsyncClient, main

PAMQP_NAMES = {"type": "message_type"}
"""Properties that pamqp calls otherwise."""


class Aiormq(AsyncClient):
    distribution = "aiormq"
    channel: AbstractChannel
    properties: aiormq.spec.Basic.Properties | None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        values = {
            PAMQP_NAMES.get(name, name): value for name, value in self.options.properties.items()
        }
        self.properties = aiormq.spec.Basic.Properties(**values) if values else None
        connection = await aiormq.connect(self.options.url)
        try:
            self.channel = await connection.channel(
                publisher_confirms=self.options.scenario.startswith("confirm")
            )
            await self.channel.queue_declare(self.options.queue, **self.options.queue_options)
            yield
        finally:
            await connection.close()

    def publishing(self) -> Coroutine[Any, Any, Any]:
        return self.channel.basic_publish(
            self.options.body,
            routing_key=self.options.queue,
            properties=self.properties,
            wait=False,
        )

    async def round_trip(self) -> None:
        await self.channel.queue_declare(self.options.queue, passive=True)

    async def consume_without_acks(self, delivered: Callable[[], None]) -> None:
        async def on_message(message: DeliveredMessage) -> None:
            delivered()

        await self.channel.basic_consume(
            self.options.queue,
            on_message,
            no_ack=True,
            arguments=self.options.consume_arguments,
        )

    async def consume_with_acks(self, delivered: Callable[[], None]) -> None:
        async def on_message(message: DeliveredMessage) -> None:
            assert message.delivery_tag is not None
            await message.channel.basic_ack(message.delivery_tag, wait=False)
            delivered()

        await self.channel.basic_qos(prefetch_count=self.options.prefetch)
        await self.channel.basic_consume(
            self.options.queue, on_message, arguments=self.options.consume_arguments
        )

    async def listen_for_answers(self) -> None:
        async def on_answer(message: DeliveredMessage) -> None:
            correlation_id = message.header.properties.correlation_id
            assert correlation_id is not None
            self.answers.pop(correlation_id).set_result(message.body)

        await self.channel.basic_consume(REPLY_TO, on_answer, no_ack=True)

    def calling(self, correlation_id: str) -> Coroutine[Any, Any, Any]:
        properties = aiormq.spec.Basic.Properties(correlation_id=correlation_id, reply_to=REPLY_TO)
        return self.channel.basic_publish(
            self.options.body, routing_key=self.options.queue, properties=properties, wait=False
        )


if __name__ == "__main__":
    main(Aiormq)
