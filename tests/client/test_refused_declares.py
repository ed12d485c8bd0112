"""A refused declare costs nobody a channel: not the caller, its publishers or its consumers."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from client.proxy import Proxy
from client.waiting import bodies
from hopmq import (
    AccessRefusedError,
    Channel,
    ChannelClosed,
    Connection,
    ConnectionLostError,
    Message,
    NotFoundError,
    PreconditionFailedError,
    Queue,
    QueueInfo,
    ResourceLockedError,
)

Attempt = Callable[[Channel, str], Awaitable[object]]

REFUSALS: dict[str, tuple[type[ChannelClosed], int, Attempt]] = {
    "missing": (
        NotFoundError,
        404,
        lambda channel, queue: channel.declare_queue(f"{queue} missing", passive=True),
    ),
    "missing to purge": (
        NotFoundError,
        404,
        lambda channel, queue: channel.purge(f"{queue} missing"),
    ),
    "missing to bind": (
        NotFoundError,
        404,
        lambda channel, queue: channel.bind(queue, f"{queue} missing"),
    ),
    "locked": (
        ResourceLockedError,
        405,
        lambda channel, queue: channel.declare_queue(f"{queue} locked"),
    ),
    "different": (
        PreconditionFailedError,
        406,
        lambda channel, queue: channel.declare_queue(queue, arguments={"x-max-length": 7}),
    ),
    "different exchange": (
        PreconditionFailedError,
        406,
        lambda channel, queue: channel.declare_exchange("amq.direct", "fanout"),
    ),
    "reserved": (
        AccessRefusedError,
        403,
        lambda channel, queue: channel.declare_queue("amq.mine"),
    ),
}


@pytest.mark.parametrize("why", REFUSALS)
async def test_a_refusal_leaves_the_channel_and_its_work_untouched(
    channel: Channel, other: Connection, queue: str, why: str
) -> None:
    kind, code, attempt = REFUSALS[why]
    await other.declare_queue(f"{queue} locked", exclusive=True)
    received: list[bytes] = []
    complete = asyncio.Event()

    async def handle(message: Message) -> None:
        received.append(message.body)
        message.ack()
        await asyncio.sleep(0)
        if len(received) == 300:
            complete.set()

    number = channel.number
    async with channel.consume(queue, handle) as consumer:
        sent = [b"%d" % each for each in range(300)]
        publishing = asyncio.create_task(channel.publish_many(sent, routing_key=queue))
        for _ in range(3):
            with pytest.raises(kind) as caught:
                await attempt(channel, queue)
            assert caught.value.reply_code == code
            assert caught.value.by_peer
        receipts = await publishing
        await complete.wait()
        assert consumer.is_active
    assert channel.is_open
    assert channel.number == number
    assert [receipt.delivery_tag for receipt in receipts] == list(range(1, 301))
    assert received == sent


async def test_the_error_names_what_differs_and_what_to_do(channel: Channel, queue: str) -> None:
    with pytest.raises(PreconditionFailedError) as caught:
        await channel.declare_queue(queue, arguments={"x-message-ttl": 5})
    assert "x-message-ttl" in caught.value.reply_text
    assert queue in str(caught.value)
    assert caught.value.hint
    assert (caught.value.class_id, caught.value.method_id) == (50, 10)


async def test_pipelined_declares_each_get_their_own_answer(
    connection: Connection, channel: Channel, queue: str, name: str
) -> None:
    outcomes = await asyncio.gather(
        channel.declare_queue(f"{name}-1", exclusive=True),
        connection.declare_queue(f"{name}-2", exclusive=True),
        channel.declare_queue(queue, arguments={"x-max-length": 1}),
        channel.declare_queue(f"{name}-3", exclusive=True),
        connection.declare_queue(f"{name} missing", passive=True),
        channel.purge(queue),
        channel.bind(queue, "amq.fanout"),
        channel.declare_queue("amq.mine"),
        channel.declare_queue(queue),
        return_exceptions=True,
    )
    assert [
        type(each) if isinstance(each, BaseException) else getattr(each, "name", each)
        for each in outcomes
    ] == [
        f"{name}-1",
        f"{name}-2",
        PreconditionFailedError,
        f"{name}-3",
        NotFoundError,
        0,
        None,
        AccessRefusedError,
        queue,
    ]


@pytest.mark.parametrize("refused", [0, 7, 19])
async def test_one_refusal_amid_many_declares_of_the_same_kind(
    channel: Channel, queue: str, name: str, refused: int
) -> None:
    names = [f"{name}-{number}" for number in range(20)]
    queues = [Queue(each, exclusive=True) for each in names]
    queues[refused] = Queue(queue, arguments={"x-max-length": 1})
    outcomes = await asyncio.gather(
        *(channel.declare_queue(each) for each in queues), return_exceptions=True
    )
    for number, outcome in enumerate(outcomes):
        if number == refused:
            assert isinstance(outcome, PreconditionFailedError)
        else:
            assert outcome == QueueInfo(names[number], 0, 0)


async def test_many_refusals_leave_no_channel_behind(connection: Connection) -> None:
    for _ in range(50):
        with pytest.raises(NotFoundError):
            await connection.declare_queue("no such queue", passive=True)
    assert len(connection._core.channels) <= 1


async def test_a_cancelled_declare_leaves_the_others_in_step(channel: Channel, name: str) -> None:
    declares = [
        asyncio.create_task(channel.declare_queue(f"{name}-{number}", exclusive=True))
        for number in range(10)
    ]
    await channel.declare_queue(f"{name}-first", exclusive=True)
    for number in (0, 3, 4, 9):
        declares[number].cancel()
    outcomes = await asyncio.gather(*declares, return_exceptions=True)
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, QueueInfo):
            assert outcome.name == f"{name}-{number}"
    assert (await channel.declare_queue(f"{name}-last", exclusive=True)).name == f"{name}-last"


async def test_a_declare_on_a_broken_link_is_a_connection_error(
    proxy: Proxy, proxied: Connection, name: str
) -> None:
    await proxied.declare_queue(name, exclusive=True)
    proxy.requests.hold()
    declares = [asyncio.create_task(proxied.declare_queue("", exclusive=True)) for _ in range(5)]
    await asyncio.sleep(0)
    proxy.cut()
    outcomes = await asyncio.gather(*declares, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionLostError] * 5


async def test_an_exclusive_queue_belongs_to_the_connection_not_to_the_channel(
    connection: Connection, name: str
) -> None:
    async with connection.channel() as channel:
        await channel.declare_queue(name, exclusive=True)
        with pytest.raises(NotFoundError):
            await channel.declare_queue("no such queue", passive=True)
    channel = await connection.channel()
    await channel.publish(b"still here", routing_key=name)
    assert await bodies(channel, name) == [b"still here"]
