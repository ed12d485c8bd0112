"""aio-pika, the asyncio client, on every broker: plain, and reconnecting through a broken link."""

import asyncio
from collections.abc import AsyncIterator

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import (
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
    ProbableAuthenticationError,
)

from client.proxy import Proxy
from flavours import Flavour, flavours

PATIENCE = 20.0


@pytest.fixture(scope="session")
def flavour() -> Flavour:
    """Return asyncio with the codec that users have: the broker is the subject here."""
    return next(each for each in reversed(flavours()) if each.loop == "asyncio")


@pytest.fixture(scope="session")
def anyio_backend(flavour: Flavour) -> tuple[str, dict[str, bool]]:
    """Run on the loop of this flavour: pytest keeps what it made for another one's."""
    return flavour.backend


@pytest.fixture
async def connection(amqp_url: str) -> AsyncIterator[AbstractConnection]:
    """Return an open connection."""
    async with asyncio.timeout(PATIENCE):
        async with await aio_pika.connect(amqp_url) as opened:
            yield opened


@pytest.fixture
async def channel(connection: AbstractConnection) -> AbstractChannel:
    """Return an open channel with confirms."""
    return await connection.channel()


def message(body: bytes, **properties: object) -> aio_pika.Message:
    return aio_pika.Message(body, **properties)  # type: ignore[arg-type]


async def test_published_messages_are_consumed(channel: AbstractChannel, name: str) -> None:
    queue = await channel.declare_queue(name, exclusive=True)
    await channel.set_qos(prefetch_count=10)
    for number in range(100):
        confirm = await channel.default_exchange.publish(message(b"%d" % number), name)
        assert confirm is not None
    got = []
    async with asyncio.timeout(PATIENCE), queue.iterator() as messages:
        async for each in messages:
            async with each.process():
                got.append(int(each.body))
            if len(got) == 100:
                break
    assert got == list(range(100))


async def test_an_unroutable_message_is_an_error(connection: AbstractConnection) -> None:
    async with asyncio.timeout(PATIENCE):
        channel = await connection.channel(on_return_raises=True)
        with pytest.raises(DeliveryError):
            await channel.default_exchange.publish(message(b"lost"), "no such queue")


async def test_a_nacked_message_comes_again(channel: AbstractChannel, name: str) -> None:
    queue = await channel.declare_queue(name, exclusive=True)
    await channel.default_exchange.publish(message(b"again"), name)
    async with asyncio.timeout(PATIENCE):
        first = await queue.get()
        await first.nack(requeue=True)
        second = await queue.get()
        assert (first.redelivered, second.redelivered) == (False, True)
        await second.ack()
        assert await queue.get(fail=False) is None


async def test_a_rejected_message_is_dead_lettered(channel: AbstractChannel, name: str) -> None:
    dead = await channel.declare_queue(f"{name}-dead", exclusive=True)
    exchange = await channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC, auto_delete=True)
    await dead.bind(exchange, "failed.#")
    queue = await channel.declare_queue(
        name,
        exclusive=True,
        arguments={"x-dead-letter-exchange": name, "x-dead-letter-routing-key": "failed.now"},
    )
    await channel.default_exchange.publish(message(b"bad", headers={"kept": 1}), name)
    async with asyncio.timeout(PATIENCE):
        await (await queue.get()).reject(requeue=False)
        arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        await dead.consume(arrived.put, no_ack=True)
        letter = await arrived.get()
    assert letter.headers["kept"] == 1
    assert letter.headers["x-first-death-queue"] == name
    assert letter.routing_key == "failed.now"


async def test_refusals_have_their_own_errors(connection: AbstractConnection, name: str) -> None:
    async with asyncio.timeout(PATIENCE):
        first = await connection.channel()
        await first.declare_queue(name, exclusive=True)
        with pytest.raises(ChannelPreconditionFailed):
            await first.declare_queue(name, exclusive=True, auto_delete=True)
        second = await connection.channel()
        with pytest.raises(ChannelNotFoundEntity):
            await second.get_queue("no such queue")


async def test_a_wrong_password_is_refused(amqp_url: str) -> None:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ProbableAuthenticationError):
            await aio_pika.connect(amqp_url.replace("guest:guest@", "guest:wrong@"))


async def test_rpc_of_its_own_works(connection: AbstractConnection, name: str) -> None:
    async with asyncio.timeout(PATIENCE):
        channel = await connection.channel()
        queue = await channel.declare_queue(name, exclusive=True)

        async def answer(request: AbstractIncomingMessage) -> None:
            async with request.process():
                reply = message(request.body.upper(), correlation_id=request.correlation_id)
                await channel.default_exchange.publish(reply, request.reply_to or "")

        await queue.consume(answer)
        replies = await channel.declare_queue(exclusive=True)
        answered: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        await replies.consume(answered.put, no_ack=True)
        await channel.default_exchange.publish(
            message(b"hello", reply_to=replies.name, correlation_id="1"), name
        )
        reply = await answered.get()
    assert (reply.body, reply.correlation_id) == (b"HELLO", "1")


async def test_a_robust_connection_comes_back_with_its_consumer(amqp_url: str, name: str) -> None:
    async with asyncio.timeout(PATIENCE), Proxy(amqp_url) as relay:
        connection = await aio_pika.connect_robust(relay.url, reconnect_interval=0.1)
        async with connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(name, auto_delete=False, durable=True)
            got: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
            await queue.consume(got.put, no_ack=True)
            back = asyncio.Event()
            connection.reconnect_callbacks.add(lambda *_: back.set())
            relay.cut()
            await back.wait()
            async with await aio_pika.connect(amqp_url) as other:
                publisher = await other.channel()
                await publisher.default_exchange.publish(message(b"after"), name)
                assert (await got.get()).body == b"after"
                await publisher.queue_delete(name)
