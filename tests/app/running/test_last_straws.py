"""What no handler should do to its worker, and what no worker should do to a message."""

import asyncio

import pytest

from app.running.seen import Seen
from hopmq import Connection, Queue
from hopmq.app import App, Batch, BatchFailures, RemoteError


class Outcome(BaseException):
    """What frameworks raise past `except Exception`, as pytest's `fail` does."""


async def until_parked(connection: Connection, queue: str, count: int) -> None:
    async with asyncio.timeout(20):
        while (
            await connection.declare_queue(f"{queue}.parked", passive=True)
        ).message_count < count:
            await asyncio.sleep(0)


@pytest.mark.parametrize("order_by", [None, "routing_key"])
async def test_a_worker_outlives_whatever_its_handler_raises(
    order_by: str | None, amqp_url: str, cleaned: str, seen: Seen, other: Connection
) -> None:
    app = App(amqp_url)

    @app.consumer(cleaned, order_by=order_by)
    async def handle(body: bytes) -> None:
        if body == b"odd":
            raise Outcome
        await seen.add(body)

    async with app:
        await app.publish(b"odd", routing_key=cleaned)
        await app.publish(b"good", routing_key=cleaned)
        assert await seen.count(1) == [b"good"]
        await until_parked(other, cleaned, 1)


async def test_an_endpoint_outlives_whatever_its_handler_raises(
    amqp_url: str, cleaned: str, seen: Seen
) -> None:
    app = App(amqp_url)

    @app.endpoint(cleaned)
    async def handle(body: bytes) -> str:
        if body == b"odd":
            raise Outcome
        return "good"

    async with app:
        with pytest.raises(RemoteError):
            await app.request(cleaned, b"odd", timeout=20)
        assert await app.request(cleaned, b"", returns=str, timeout=20) == "good"


async def test_a_batch_parks_what_the_broker_would_drop_next(
    amqp_url: str, cleaned: str, seen: Seen, other: Connection
) -> None:
    queue = Queue.quorum(cleaned, delivery_limit=1)
    await other.declare_queue(queue)
    async with other.channel() as channel:
        await channel.publish(b"deadly", routing_key=cleaned)
        async with asyncio.timeout(20):
            while (message := await channel.get(cleaned)) is None:
                await asyncio.sleep(0)
        message.reject(requeue=True)

    app = App(amqp_url)

    @app.consumer(queue, batch=Batch(1))
    async def handle(bodies: list[bytes]) -> None:
        for body in bodies:
            await seen.add(body)

    async with app:
        await app.publish(b"good", routing_key=cleaned)
        assert await seen.count(1) == [b"good"]
        await until_parked(other, cleaned, 1)


async def test_a_batch_that_singles_out_what_it_did_not_get_has_failed(
    amqp_url: str, cleaned: str, other: Connection
) -> None:
    app = App(amqp_url)

    @app.consumer(cleaned, batch=Batch(2), retry=None)
    async def handle(bodies: list[bytes]) -> None:
        raise BatchFailures({-1: ValueError()})

    async with app:
        await app.publish(b"1", routing_key=cleaned)
        await app.publish(b"2", routing_key=cleaned)
        await until_parked(other, cleaned, 2)
