"""Groups that share one queue, and groups whose members get all, whoever comes, leaves and dies."""

import asyncio

import pytest

from app.groups.conftest import Declaring
from app.groups.waiting import until
from hopmq import Exchange, Message, NotFoundError, Pool, ResourceLockedError
from hopmq.app.groups import Group
from hopmq.bindings import Binding
from hopmq.testing import FaultProxy
from pool.conftest import QUICKLY, opened

BILLING = Group("billing")


@pytest.fixture
async def exchange(name: str, declare: Declaring) -> Exchange:
    """Return an exchange whose messages a group shares."""
    exchange = Exchange.topic(name)
    await declare(BILLING, exchange, "#")
    return exchange


async def publish(pool: Pool, exchange: Exchange, *numbers: int) -> None:
    for number in numbers:
        await pool.publish(b"%d" % number, exchange=exchange, routing_key="order.new")


# --- one queue -----------------------------------------------------------------------------------


async def test_messages_go_to_whoever_is_free(pool: Pool, exchange: Exchange) -> None:
    queue = BILLING.queue_name(exchange.name)
    stuck, is_over, got = asyncio.Event(), asyncio.Event(), list[bytes]()

    async def slow(message: Message) -> None:
        stuck.set()
        await is_over.wait()
        got.append(message.body)
        message.ack()

    async def quick(message: Message) -> None:
        got.append(message.body)
        message.ack()

    async with pool.consume(queue, slow, prefetch=1):
        await publish(pool, exchange, 0)
        await stuck.wait()
        async with pool.consume(queue, quick, prefetch=1):
            await publish(pool, exchange, *range(1, 30))
            await until(lambda: len(got) == 29)
            is_over.set()
        await until(lambda: len(got) == 30)
    assert sorted(map(int, got)) == list(range(30))


async def test_one_that_leaves_finishes_what_it_has_and_others_get_the_rest(
    pool: Pool, exchange: Exchange
) -> None:
    queue = BILLING.queue_name(exchange.name)
    begun, is_over, got = asyncio.Event(), asyncio.Event(), list[tuple[str, bytes]]()

    async def leaving(message: Message) -> None:
        begun.set()
        await is_over.wait()
        got.append(("leaving", message.body))
        message.ack()

    async def staying(message: Message) -> None:
        got.append(("staying", message.body))
        message.ack()

    consumer = await pool.consume(queue, leaving, prefetch=10)
    await publish(pool, exchange, *range(10))
    await begun.wait()
    async with pool.consume(queue, staying):
        ending = asyncio.create_task(consumer.cancel())
        await until(lambda: len(got) == 9)
        is_over.set()
        await ending
    assert got[-1] == ("leaving", b"0")
    assert sorted(int(body) for _, body in got) == list(range(10)), "each once"


async def test_what_one_that_dies_has_in_hand_goes_to_others(
    pool: Pool, amqp_url: str, exchange: Exchange
) -> None:
    queue = BILLING.queue_name(exchange.name)
    begun, got = asyncio.Event(), list[tuple[bool, bytes]]()
    hangs: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def dying(message: Message) -> None:
        begun.set()
        await hangs

    async def staying(message: Message) -> None:
        got.append((message.redelivered, message.body))
        message.ack()

    async with FaultProxy(amqp_url) as proxy, opened(proxy.url, recovery=None) as other:
        await other.consume(queue, dying, prefetch=5)
        await publish(pool, exchange, *range(5))
        await begun.wait()
        async with pool.consume(queue, staying):
            proxy.cut("Connection.Close", times=None)  # the broker sees the end of the stream
            await other.close()
            await publish(pool, exchange, 5)
            await until(lambda: len(got) == 6)
        assert sorted(got) == [(False, b"5"), *((True, b"%d" % number) for number in range(5))]
        hangs.cancel()


# --- all get all ---------------------------------------------------------------------------------


def all_of(exchange: Exchange) -> list[Binding]:
    return [Binding(exchange.name, "", routing_key="#")]


async def gone(pool: Pool, queue: str) -> None:
    """Wait until a queue has gone: what is published in that moment, RabbitMQ may refuse."""
    while True:
        try:
            await pool.declare_queue(queue, passive=True)
        except NotFoundError:
            return


async def test_each_member_gets_all_that_is_published_while_it_is_there(
    pool: Pool, exchange: Exchange
) -> None:
    group, got = Group.broadcast("caches"), [list[bytes](), list[bytes]()]
    queues = [await group.join(pool, exchange, all_of(exchange)) for _ in got]
    assert len(set(queues)) == 2
    first = await pool.consume(queues[0], lambda m: got[0].append(m.body), no_ack=True)
    second = await pool.consume(queues[1], lambda m: got[1].append(m.body), no_ack=True)
    await publish(pool, exchange, 1)
    await until(lambda: got == [[b"1"], [b"1"]])
    await first.cancel()
    await gone(pool, queues[0])
    await publish(pool, exchange, 2)
    await until(lambda: got == [[b"1"], [b"1", b"2"]])
    await second.cancel()


@pytest.mark.parametrize("member", [None, "replica-1"])
async def test_a_member_has_its_queue_again_when_its_link_is_back(
    pool: Pool, amqp_url: str, exchange: Exchange, member: str | None
) -> None:
    got: list[bytes] = []
    async with FaultProxy(amqp_url) as proxy, opened(proxy.url, recovery=QUICKLY) as other:
        group = Group.broadcast("caches", member=member)
        queue = await group.join(other, exchange, all_of(exchange))
        if member is not None:
            assert queue == f"{exchange.name}.caches.replica-1"
        async with other.consume(queue, lambda m: got.append(m.body), no_ack=True) as consumer:
            await publish(pool, exchange, 1)
            await until(lambda: got == [b"1"])
            links = proxy.accepted
            proxy.cut("Basic.Deliver", let_through=None)
            await publish(pool, exchange, 2)  # by whose confirm it may be back already
            await until(lambda: proxy.accepted > links and consumer.is_active)
            await publish(pool, exchange, 3)
            await until(lambda: got[-1] == b"3")
            assert (consumer.queue == queue) is (member is not None)


async def test_two_members_cannot_have_one_name(
    pool: Pool, amqp_url: str, exchange: Exchange
) -> None:
    group = Group.broadcast("caches", member="replica-1")
    queue = await group.join(pool, exchange, all_of(exchange))
    async with pool.consume(queue, lambda _: None, no_ack=True), opened(amqp_url) as other:
        with pytest.raises(ResourceLockedError):
            async with asyncio.timeout(20):
                await group.join(other, exchange, all_of(exchange))


async def test_nothing_is_left_of_a_member_that_has_left(pool: Pool, exchange: Exchange) -> None:
    group = Group.broadcast("caches", member="replica-1")
    for _ in range(3):
        queue = await group.join(pool, exchange, all_of(exchange))
        async with pool.consume(queue, lambda _: None, no_ack=True):
            pass
        assert (await pool.delete_queue(queue)) == 0, "it is gone, which is no error"
