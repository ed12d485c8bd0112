"""What a handler cannot be given is parked at once, with the reason: never dropped, never looped."""

import asyncio
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from app.running.seen import Seen
from hopmq import Connection, Exchange, Properties
from hopmq.app import App, Header, Retry, Serialization, SizeLimits
from hopmq.resilience import Constant

LIMITED = Serialization(limits=SizeLimits(max_body=100, max_decoded=200))


@dataclass
class Order:
    """A payload."""

    id: int


async def parked_headers(connection: Connection, queue: str, count: int) -> Mapping[str, str]:
    """Wait for parked messages; return the reason of each by its name."""
    async with connection.channel() as channel:
        reasons = {}
        async with channel.consume(f"{queue}.parked") as consumer, asyncio.timeout(20):
            async for message in consumer:
                assert message.headers["x-hopmq-error"] == "hopmq.app.errors.PayloadError"
                assert message.headers["x-hopmq-attempts"] == 1
                reasons[str(message.message_id)] = str(message.headers["x-hopmq-reason"])
                message.ack()
                if len(reasons) == count:
                    break
        return reasons


async def test_what_cannot_be_read_is_parked_at_once_with_the_reason(
    amqp_url: str, cleaned: str, seen: Seen, other: Connection
) -> None:
    app = App(amqp_url, serialization=LIMITED)

    @app.consumer(
        cleaned,
        exchange=Exchange.topic("amq.topic"),
        bindings=["order.{number}"],
        retry=Retry(attempts=5, backoff=Constant(60)),
    )
    async def handle(order: Order, number: int, tenant: Annotated[int, Header("tenant")]) -> None:
        await seen.add((order, number, tenant))

    good = b'{"id": 1}'
    tenant = {"tenant": 3}
    json = "application/json"
    wrong: dict[str, tuple[bytes, str, Properties]] = {
        "not JSON": (b"{", "order.2", Properties(content_type=json, headers=tenant)),
        "wrong type": (b'{"id": "x"}', "order.2", Properties(content_type=json, headers=tenant)),
        "format": (good, "order.2", Properties(content_type="text/xml", headers=tenant)),
        "large": (b" " * 101, "order.2", Properties(content_type=json, headers=tenant)),
        "bomb": (
            gzip.compress(b" " * 201),
            "order.2",
            Properties(content_type=json, content_encoding="gzip", headers=tenant),
        ),
        "no header": (good, "order.2", Properties(content_type=json)),
        "header": (good, "order.2", Properties(content_type=json, headers={"tenant": "x"})),
        "key": (good, "order.x", Properties(content_type=json, headers=tenant)),
    }
    async with app, other.channel() as channel:
        for name, (body, key, properties) in wrong.items():
            properties.message_id = name
            await channel.publish(
                body, exchange="amq.topic", routing_key=key, properties=properties
            )
        fine = Properties(content_type=json, headers=tenant)
        await channel.publish(good, exchange="amq.topic", routing_key="order.2", properties=fine)
        reasons = await parked_headers(other, cleaned, len(wrong))
        assert await seen.count(1) == [(Order(1), 2, 3)]

    expected = {
        "not JSON": "the body is no Order: ",
        "wrong type": "the body is no Order: Expected `int`, got `str` - at `$.id`",
        "format": "content type 'text/xml' is not known",
        "large": "the body has 101 bytes",
        "bomb": "the body is larger than 200 bytes when unpacked",
        "no header": "header 'tenant' is missing",
        "header": "header 'tenant': Expected `int`",
        "key": "'number' of routing key 'order.x': ",
    }
    for name, reason in expected.items():
        assert reason in reasons[name]
