"""Queues, exchanges and bindings: declared, asked for, purged, deleted, and what they route."""

import asyncio

import pytest

import hopmq
from client.conftest import Tap
from client.waiting import bodies, ready, until_ready
from conftest import RunningBroker
from hopmq import (
    AccessRefusedError,
    Channel,
    Connection,
    EncodeError,
    Exchange,
    NotFoundError,
    PreconditionFailedError,
    Queue,
    QueueInfo,
    UsageError,
)
from hopmq.errors import CommandInvalidError
from hopmq.testing import RabbitMQ

# --- queues ------------------------------------------------------------------------------------------


async def test_declaring_a_queue_tells_about_it(channel: Channel, name: str) -> None:
    assert await channel.declare_queue(name, exclusive=True) == QueueInfo(name, 0, 0)
    await channel.publish_many([b"", b""], routing_key=name)
    assert await channel.declare_queue(name, exclusive=True) == QueueInfo(name, 2, 0)
    async with channel.consume(name):
        assert (await channel.declare_queue(name, exclusive=True)).consumer_count == 1


async def test_connections_declare_like_channels(connection: Connection, name: str) -> None:
    info = await connection.declare_queue(Queue(name, exclusive=True))
    assert info == QueueInfo(name, 0, 0)
    await connection.declare_exchange(f"{name}-exchange", "fanout", auto_delete=True)
    await connection.bind(name, f"{name}-exchange")
    assert await connection.purge(name) == 0
    await connection.unbind(name, f"{name}-exchange")
    assert await connection.delete_queue(name) == 0


async def test_a_queue_is_durable_unless_asked_otherwise(
    channel: Channel, other: Connection, name: str
) -> None:
    await channel.declare_queue(name)
    try:
        assert (await other.declare_queue(name, durable=True)).name == name
        with pytest.raises(PreconditionFailedError, match="durable"):
            await other.declare_queue(name, durable=False)
    finally:
        await channel.delete_queue(name)


async def test_keywords_override_what_the_queue_says(channel: Channel, name: str) -> None:
    queue = Queue(name, exclusive=True, arguments={"x-max-length": 1})
    await channel.declare_queue(queue, arguments={"x-max-length": 2}, auto_delete=True)
    with pytest.raises(PreconditionFailedError, match="auto_delete"):
        await channel.declare_queue(queue, arguments={"x-max-length": 2})
    with pytest.raises(PreconditionFailedError, match="x-max-length"):
        await channel.declare_queue(queue, auto_delete=True)


async def test_a_passive_declare_only_asks(channel: Channel, name: str) -> None:
    with pytest.raises(NotFoundError, match=name):
        await channel.declare_queue(name, passive=True)
    await channel.declare_queue(name, durable=False, exclusive=True)
    assert (await channel.declare_queue(name, passive=True)).name == name
    with pytest.raises(NotFoundError, match="no such exchange"):
        await channel.declare_exchange("no such exchange", passive=True)
    await channel.declare_exchange("amq.fanout", passive=True)


async def test_the_broker_names_a_queue_without_a_name(channel: Channel) -> None:
    first = await channel.declare_queue("", exclusive=True)
    second = await channel.declare_queue(Queue.temporary())
    assert first.name.startswith("amq.gen-")
    assert first.name != second.name
    await channel.publish(b"here", routing_key=second.name, mandatory=True)
    assert await bodies(channel, second.name) == [b"here"]


async def test_a_temporary_queue_goes_with_its_connection(amqp_url: str, other: Connection) -> None:
    async with hopmq.connect(amqp_url) as connection:
        info = await connection.declare_queue(Queue.temporary())
        with pytest.raises(hopmq.ResourceLockedError):
            await other.declare_queue(info.name, passive=True)
    with pytest.raises(NotFoundError):
        await other.declare_queue(info.name, passive=True)


async def test_purge_drops_what_is_ready(channel: Channel, queue: str) -> None:
    await channel.publish_many([b""] * 7, routing_key=queue)
    assert await channel.purge(queue) == 7
    assert await channel.purge(Queue(queue)) == 0


async def test_delete_tells_how_many_messages_went(channel: Channel, name: str) -> None:
    await channel.declare_queue(name)
    await channel.publish_many([b""] * 3, routing_key=name)
    assert await channel.delete_queue(name) == 3
    assert await channel.delete_queue(name) == 0
    with pytest.raises(NotFoundError):
        await channel.declare_queue(name, passive=True)


async def test_a_conditional_delete_spares_what_is_in_use(channel: Channel, queue: str) -> None:
    await channel.publish(b"", routing_key=queue)
    with pytest.raises(PreconditionFailedError, match="not empty"):
        await channel.delete_queue(queue, if_empty=True)
    async with channel.consume(queue):
        with pytest.raises(PreconditionFailedError, match="in use"):
            await channel.delete_queue(queue, if_unused=True)
    await until_ready(channel, queue, 1)  # what its consumer had not read has gone back
    assert await channel.delete_queue(queue, if_unused=True) == 1


# --- exchanges ---------------------------------------------------------------------------------------


async def test_a_direct_exchange_routes_by_equal_keys(channel: Channel, name: str) -> None:
    exchange = await channel.declare_exchange(Exchange.direct(name, auto_delete=True))
    await channel.declare_queue(name, exclusive=True)
    await channel.bind(name, exchange, "right")
    await channel.publish(b"1", exchange=exchange, routing_key="right")
    await channel.publish(b"2", exchange=exchange, routing_key="wrong")
    assert await bodies(channel, name) == [b"1"]


async def test_a_fanout_exchange_routes_to_everything(channel: Channel, name: str) -> None:
    await channel.declare_exchange(name, "fanout", auto_delete=True)
    queues = [(await channel.declare_queue("", exclusive=True)).name for _ in range(3)]
    for queue in queues:
        await channel.bind(queue, name)
    await channel.publish(b"all", exchange=name, routing_key="whatever")
    assert [await bodies(channel, queue) for queue in queues] == [[b"all"]] * 3


async def test_a_topic_exchange_routes_by_patterns(channel: Channel, name: str) -> None:
    await channel.declare_exchange(Exchange.topic(name, auto_delete=True))
    await channel.declare_queue(name, exclusive=True)
    await channel.bind(name, name, "orders.*.new")
    await channel.bind(name, name, "audit.#")
    keys = ["orders.eu.new", "orders.new", "audit", "audit.a.b", "other"]
    for key in keys:
        await channel.publish(key.encode(), exchange=name, routing_key=key)
    assert await bodies(channel, name) == [b"orders.eu.new", b"audit", b"audit.a.b"]


async def test_a_headers_exchange_routes_by_headers(channel: Channel, name: str) -> None:
    await channel.declare_exchange(Exchange.headers(name, auto_delete=True))
    await channel.declare_queue(name, exclusive=True)
    await channel.bind(name, name, arguments={"x-match": "all", "kind": "order", "urgent": True})
    await channel.publish(b"1", exchange=name, headers={"kind": "order", "urgent": True})
    await channel.publish(b"2", exchange=name, headers={"kind": "order"})
    assert await bodies(channel, name) == [b"1"]


async def test_a_type_of_a_plugin_goes_by_its_name(rabbitmq: RabbitMQ, name: str) -> None:
    async with hopmq.connect(rabbitmq.url) as connection, connection.channel() as channel:
        await channel.declare_exchange(name, "x-consistent-hash", auto_delete=True)
        queues = [(await channel.declare_queue("", exclusive=True)).name for _ in range(2)]
        for queue in queues:
            await channel.bind(queue, name, "10")
        for number in range(100):
            channel.publish_nowait(b"", exchange=name, routing_key=str(number))
        await channel.wait_for_confirms()
        shares = [len(await bodies(channel, queue)) for queue in queues]
    assert sum(shares) == 100
    assert min(shares) > 10


async def test_an_unknown_type_is_a_clear_error(
    broker: RunningBroker, connection: Connection, name: str
) -> None:
    # RabbitMQ before 4.0 closes the whole connection for it.
    with pytest.raises(
        (CommandInvalidError, PreconditionFailedError), match="unknown exchange type 'x-unheard-of'"
    ):
        await connection.declare_exchange(name, "x-unheard-of")
    before_4 = (broker.version or connection.version).startswith("3.")
    assert connection.is_open is not before_4
    if before_4:
        assert isinstance(await connection.wait_closed(), CommandInvalidError)


async def test_unbind_stops_the_routing(channel: Channel, name: str) -> None:
    await channel.declare_exchange(name, "fanout")
    await channel.declare_queue(name, exclusive=True)
    await channel.bind(name, name)
    await channel.publish(b"1", exchange=name)
    await channel.unbind(name, name)
    await channel.unbind(name, name)
    await channel.publish(b"2", exchange=name)
    assert await bodies(channel, name) == [b"1"]
    await channel.delete_exchange(name)


async def test_bindings_differ_by_their_arguments(channel: Channel, name: str) -> None:
    exchange = await channel.declare_exchange(Exchange.headers(name, auto_delete=True))
    queue = Queue(name, exclusive=True)
    await channel.declare_queue(queue)
    await channel.bind(queue, exchange, arguments={"a": 1})
    await channel.bind(queue, exchange, arguments={"b": 1})
    await channel.unbind(queue, exchange, arguments={"a": 1})
    await channel.publish(b"a", exchange=exchange, headers={"a": 1})
    await channel.publish(b"b", exchange=exchange, headers={"b": 1})
    assert await bodies(channel, name) == [b"b"]


async def test_exchanges_bind_to_exchanges(channel: Channel, name: str) -> None:
    source = await channel.declare_exchange(Exchange.topic(f"{name}-source"))
    inner = await channel.declare_exchange(Exchange.fanout(f"{name}-inner", internal=True))
    await channel.declare_queue(name, exclusive=True)
    await channel.bind(name, inner)
    await channel.bind_exchange(inner, source, "a.#")
    await channel.publish(b"1", exchange=source, routing_key="a.b")
    await channel.publish(b"2", exchange=source, routing_key="b")
    await channel.unbind_exchange(inner, source, "a.#")
    await channel.publish(b"3", exchange=source, routing_key="a.b")
    assert await bodies(channel, name) == [b"1"]
    await channel.delete_exchange(source)
    await channel.delete_exchange(inner)


async def test_nobody_publishes_to_an_internal_exchange(channel: Channel, name: str) -> None:
    await channel.declare_exchange(Exchange.fanout(name, internal=True))
    with pytest.raises(hopmq.PublishUnknownError, match="403"):
        await channel.publish(b"", exchange=name)


async def test_an_alternate_exchange_takes_what_cannot_be_routed(
    channel: Channel, name: str
) -> None:
    await channel.declare(
        Exchange.fanout(f"{name}-rest"),
        Exchange.direct(name, alternate_exchange=f"{name}-rest"),
        Queue(name, exclusive=True),
    )
    await channel.bind(name, f"{name}-rest")
    await channel.publish(b"lost", exchange=name, routing_key="nowhere", mandatory=True)
    assert await bodies(channel, name) == [b"lost"]
    await channel.delete_exchange(name)
    await channel.delete_exchange(f"{name}-rest")


async def test_a_conditional_delete_spares_a_bound_exchange(channel: Channel, name: str) -> None:
    await channel.declare(Exchange.fanout(name), Queue(name, exclusive=True))
    await channel.bind(name, name)
    with pytest.raises(PreconditionFailedError, match="in use"):
        await channel.delete_exchange(name, if_unused=True)
    await channel.delete_exchange(name)
    await channel.delete_exchange(name)


async def test_a_declared_exchange_is_what_was_asked_for(channel: Channel, name: str) -> None:
    exchange = await channel.declare_exchange(
        Exchange.topic(name), "fanout", durable=False, auto_delete=True, internal=True
    )
    assert exchange == Exchange(
        name, "fanout", durable=False, auto_delete=True, internal=True, arguments={}
    )
    with pytest.raises(PreconditionFailedError, match="type"):
        await channel.declare_exchange(exchange, "topic")
    await channel.delete_exchange(exchange)


async def test_reserved_names_are_refused(connection: Connection) -> None:
    for attempt in (
        connection.declare_queue("amq.mine"),
        connection.declare_exchange("amq.mine"),
        connection.delete_exchange("amq.direct"),
        connection.bind("q", ""),
    ):
        with pytest.raises(AccessRefusedError) as caught:
            await attempt
        assert caught.value.reply_code == 403
    assert connection.is_open


# --- refused before the wire ---------------------------------------------------------------------------


async def test_names_that_cannot_be_sent_are_refused_here(connection: Connection, tap: Tap) -> None:
    await connection.declare_queue("", exclusive=True)  # opens the channel that declares
    tap.sent = 0
    long = "é" * 128
    for attempt in (
        connection.declare_queue(long),
        connection.declare_exchange(long),
        connection.bind(long, "amq.fanout"),
        connection.bind("q", "amq.fanout", long),
        connection.purge(long),
        connection.delete_queue(long),
        connection.declare_queue("q", arguments={"x": object()}),  # type: ignore[dict-item]
    ):
        with pytest.raises(EncodeError):
            await attempt
    for refused in (
        connection.declare_exchange(""),
        connection.declare_queue("", arguments={"x-queue-type": "quorum"}),
        connection.declare_queue("q", exclusive=True, arguments={"x-queue-type": "stream"}),
        connection.declare_queue(Queue.quorum("q"), durable=False),
    ):
        with pytest.raises(UsageError):
            await refused
    assert tap.is_silent


async def test_several_entities_are_declared_in_order(channel: Channel, name: str) -> None:
    await channel.declare(
        Exchange.topic(name, auto_delete=True),
        *(Queue(f"{name}-{number}", exclusive=True) for number in range(20)),
    )
    for number in range(20):
        await channel.bind(f"{name}-{number}", name, "#")
    await channel.publish(b"", exchange=name)
    counts = [await ready(channel, f"{name}-{number}") for number in range(20)]
    assert counts == [1] * 20


async def test_declare_raises_the_first_refusal_and_declares_the_rest(
    channel: Channel, queue: str, name: str
) -> None:
    with pytest.raises(PreconditionFailedError, match="x-max-length"):
        await channel.declare(
            Queue(f"{name}-before", exclusive=True),
            Queue(queue, arguments={"x-max-length": 5}),
            Queue("amq.refused too"),
            Queue(f"{name}-after", exclusive=True),
        )
    assert await ready(channel, f"{name}-before") == 0
    assert await ready(channel, f"{name}-after") == 0


async def test_a_secret_is_renewed_while_the_connection_works(
    connection: Connection, channel: Channel
) -> None:
    publishing = asyncio.create_task(channel.publish_many([b""] * 500, routing_key="nowhere"))
    await connection.update_secret("guest", "tests")
    assert len(await publishing) == 500
