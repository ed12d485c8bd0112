"""Calls when the link, the channel or the broker goes away under them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

import hopmq
from app.rpc.conftest import echo, opened, served
from hopmq import Exchange, Message, Pool
from hopmq.app.errors import CallError, CallTimeoutError, CallUnknownError, NoEndpointError
from hopmq.app.rpc import RpcClient
from hopmq.app.running.own_channels import OwnChannels
from hopmq.testing import FaultProxy


@pytest.fixture
async def pool(proxy: FaultProxy) -> AsyncIterator[Pool]:
    """Return a pool whose links can be cut."""
    async with opened(proxy.url) as pool:
        yield pool


class Waiting:
    """An endpoint that does not answer before it is told to; it counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.arrived = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, message: Message) -> bytes:
        self.asked.append(message.body)
        self.arrived.set()
        await self.go_on.wait()
        return message.body


async def test_a_call_under_way_when_the_link_is_lost_ends_as_unknown(
    client: RpcClient, worker: Pool, queue: str, proxy: FaultProxy
) -> None:
    work = Waiting()
    async with served(worker, queue, work):
        call = asyncio.create_task(client.call(b"once", routing_key=queue))
        await work.arrived.wait()
        proxy.disconnect()
        with pytest.raises(CallUnknownError, match="may have worked"):
            await call
        work.go_on.set()
        assert (await client.call(b"next", routing_key=queue)).body == b"next"
    assert work.asked == [b"once", b"next"]


async def test_an_idempotent_call_is_sent_again_on_the_next_link(
    client: RpcClient, worker: Pool, queue: str, proxy: FaultProxy
) -> None:
    work = Waiting()
    async with served(worker, queue, work):
        call = asyncio.create_task(client.call(b"x", routing_key=queue, idempotent=True))
        await work.arrived.wait()
        proxy.disconnect()
        while len(work.asked) < 2:
            work.arrived.clear()
            await work.arrived.wait()
        work.go_on.set()
        assert (await call).body == b"x"


async def test_an_idempotent_call_whose_reply_the_broker_lost_is_sent_once_more(
    client: RpcClient, worker: Pool, queue: str, proxy: FaultProxy
) -> None:
    """RabbitMQ that starts takes requests, and loses replies (seen on 4.0.5)."""
    asked: list[bytes] = []
    arrived = asyncio.Event()

    async def answer_the_third(message: Message) -> bytes | None:
        asked.append(message.body)
        arrived.set()
        return message.body if len(asked) >= 3 else None

    async with served(worker, queue, answer_the_third):
        call = asyncio.create_task(client.call(b"x", routing_key=queue, idempotent=True))
        await arrived.wait()
        proxy.disconnect()
        assert (await call).body == b"x"
        assert asked == [b"x"] * 3


async def test_calls_made_while_the_link_is_away_wait_for_the_next(
    client: RpcClient, worker: Pool, queue: str, proxy: FaultProxy
) -> None:
    asked: list[bytes] = []

    async def note(message: Message) -> bytes:
        asked.append(message.body)
        return message.body

    async with served(worker, queue, note):
        assert (await client.call(b"", routing_key=queue)).body == b""
        refusing = proxy.refuse_connections()
        line = client._lines.current  # what is between is inside
        assert line is not None
        proxy.disconnect()
        while line.lost_by is None:
            await asyncio.sleep(0.001)
        calls = [asyncio.create_task(client.call(b"%d" % n, routing_key=queue)) for n in range(100)]
        cancelled = calls.pop()
        await asyncio.sleep(0)
        cancelled.cancel()
        refusing.cancel()
        replies = await asyncio.gather(*calls)
    assert [reply.body for reply in replies] == [b"%d" % n for n in range(99)]
    assert b"99" not in asked


async def test_a_call_that_was_held_back_goes_by_the_next_link(
    client: RpcClient, worker: Pool, queue: str, proxy: FaultProxy
) -> None:
    async with served(worker, queue, echo):
        line = client._lines.current
        assert line is not None
        line._channel._session.blocked = "by a test"  # as by an alarm, until the link is another
        call = asyncio.create_task(client.call(b"x", routing_key=queue))
        while not len(line):
            await asyncio.sleep(0)
        proxy.disconnect()
        assert (await call).body == b"x"


async def test_an_idempotent_call_that_cannot_be_sent_again_was_sent_for_all_that(
    client: RpcClient, worker: Pool, pool: Pool, queue: str, proxy: FaultProxy
) -> None:
    work = Waiting()
    async with served(worker, queue, work):
        call = asyncio.create_task(client.call(b"x", routing_key=queue, idempotent=True))
        await work.arrived.wait()
        proxy.refuse_connections()
        proxy.disconnect()
        await pool.close()
        with pytest.raises(CallUnknownError):
            await call
        work.go_on.set()


async def test_an_exchange_may_have_gone_with_the_link(
    client: RpcClient, worker: Pool, queue: str, name: str, proxy: FaultProxy
) -> None:
    """Then it is no mistake of other callers, and costs them nothing."""
    exchange = f"{name}-x"
    await worker.declare_exchange(Exchange.fanout(exchange))
    await worker.bind(queue, exchange)
    work = Waiting()
    async with served(worker, queue, work):
        work.go_on.set()
        await client.call(b"", exchange=exchange, routing_key="")
        line = client._lines.current
        assert line is not None
        await worker.delete_exchange(exchange)
        proxy.disconnect()
        while line.lost_by is None:
            await asyncio.sleep(0.001)
        work.go_on.clear()
        work.arrived.clear()
        call = asyncio.create_task(client.call(b"x", routing_key=queue))
        await work.arrived.wait()
        with pytest.raises(NoEndpointError):
            await client.call(b"", exchange=exchange, routing_key="")
        work.go_on.set()
        assert (await call).body == b"x"


async def test_a_call_ends_in_time_although_no_link_comes(
    client: RpcClient, worker: Pool, queue: str, proxy: FaultProxy
) -> None:
    async with served(worker, queue, echo):
        proxy.refuse_connections()
        proxy.disconnect()
        calls = [
            client.call(b"", routing_key=queue, timeout=0.2, idempotent=n % 2 == 0)
            for n in range(20)
        ]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(each) for each in outcomes} <= {CallTimeoutError, CallUnknownError}
    assert CallTimeoutError in {type(each) for each in outcomes}


async def test_a_line_that_says_nothing_ends_no_call_late(
    client: RpcClient, worker: Pool, queue: str, proxy: FaultProxy
) -> None:
    async with served(worker, queue, echo):
        with proxy.black_hole(), pytest.raises(CallTimeoutError):
            await client.call(b"", routing_key=queue, timeout=0.2)


async def test_many_calls_through_many_losses_of_the_link(
    client: RpcClient, worker: Pool, queue: str, proxy: FaultProxy
) -> None:
    async def call(number: int) -> str:
        body = b"%d" % number
        try:
            reply = await client.call(body, routing_key=queue, idempotent=number % 2 == 0)
        except CallUnknownError:
            return "unknown"
        assert reply.body == body
        return "answered"

    async def caller(numbers: range) -> list[str]:
        return [await call(number) for number in numbers]

    async with served(worker, queue, echo):
        calling = [
            asyncio.create_task(caller(range(first, first + 12))) for first in range(0, 12_000, 12)
        ]
        for times in range(1, 6):
            while proxy.passed("to_client") < times * 200_000 and not all(
                map(asyncio.Task.done, calling)
            ):
                await asyncio.sleep(0.001)
            proxy.disconnect(reset=times % 2 == 0)
        outcomes = [outcome for each in await asyncio.gather(*calling) for outcome in each]
    assert {outcomes[number] for number in range(0, len(outcomes), 2)} == {"answered"}
    assert {outcomes[number] for number in range(1, len(outcomes), 2)} == {"answered", "unknown"}
    line = client._lines.current
    assert line is None or len(line) == 0


async def test_replies_come_although_messages_of_others_wait_unread(
    amqp_url: str, worker: Pool, queue: str, name: str
) -> None:
    unread = f"{name}-unread"
    await worker.declare_queue(unread)
    await worker.publish_many([bytes(16 * 1024)] * 110, routing_key=unread)
    connection = await hopmq.connect(amqp_url, max_unread_size=256 * 1024)
    async with (
        RpcClient(OwnChannels(connection)) as client,
        connection.channel(prefetch=0) as channel,
        served(worker, queue, echo),
    ):
        await channel.consume(unread)
        budget = connection._session.budget
        while not budget.paused:
            await asyncio.sleep(0.001)
        for _ in range(3):
            assert (await client.call(b"x", routing_key=queue, timeout=20)).body == b"x"
    await connection.close()
    await worker.delete_queue(unread)


async def test_a_channel_that_the_broker_closes_is_replaced(
    client: RpcClient, worker: Pool, queue: str, name: str
) -> None:
    """An exchange that was there goes away: only then does a call cost the others anything."""
    exchange = f"{name}-x"
    await worker.declare_exchange(Exchange.fanout(exchange))
    await worker.bind(queue, exchange)
    work = Waiting()
    async with served(worker, queue, work):
        work.go_on.set()
        await client.call(b"", exchange=exchange, routing_key="")
        work.go_on.clear()
        work.asked.clear()
        work.arrived.clear()
        calls = [
            asyncio.create_task(client.call(b"%d" % n, routing_key=queue, idempotent=n == 1))
            for n in range(2)
        ]
        await work.arrived.wait()
        await worker.delete_exchange(exchange)
        with pytest.raises(CallError):
            await client.call(b"", exchange=exchange, routing_key="")
        with pytest.raises(CallUnknownError):
            await calls[0]
        work.go_on.set()
        assert (await calls[1]).body == b"1"
