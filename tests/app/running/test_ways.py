"""Consumers in batches, in order by key, in groups, and behind middleware, as applications declare them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

import hopmq
from app.running.seen import Seen
from hopmq import Connection, Message, Queue
from hopmq.app import (
    App,
    Batch,
    BatchFailures,
    Constant,
    ConsumeContext,
    DeclarationError,
    Group,
    Header,
    PublishContext,
    Retry,
)
from hopmq.resilience.pool import Pool


@dataclass
class Order:
    """A payload."""

    id: int


async def left_in(connection: Connection, queue: str) -> int:
    return (await connection.declare_queue(queue, passive=True)).message_count


# --- batches -------------------------------------------------------------------------------------


async def test_a_batch_is_handed_over_as_a_list(amqp_url: str, cleaned: str, seen: Seen) -> None:
    app = App(amqp_url)

    @app.consumer(cleaned, batch=Batch(3, seconds=60))
    async def handle(orders: list[Order]) -> None:
        await seen.add([each.id for each in orders])

    async with app:
        for number in range(6):
            await app.publish(Order(id=number), routing_key=cleaned)
        assert await seen.count(2) == [[0, 1, 2], [3, 4, 5]]


async def test_what_a_batch_singles_out_is_parked_and_the_rest_is_done(
    amqp_url: str, cleaned: str, seen: Seen, other: Connection
) -> None:
    app = App(amqp_url)

    @app.consumer(cleaned, batch=Batch(3, seconds=60), retry=None)
    async def handle(orders: list[Order]) -> None:
        await seen.add([each.id for each in orders])
        if 1 in [each.id for each in orders]:
            raise BatchFailures({1: ValueError("no stock")})

    async with app, other.channel() as channel:
        for body in (b'{"id": 0}', b'{"id": 1}', b"broken"):
            await channel.publish(body, routing_key=cleaned)
        assert await seen.count(1) == [[0, 1]]
        while await left_in(other, f"{cleaned}.parked") < 2:
            await asyncio.sleep(0)
        reasons = set()
        while (parked := await channel.get(f"{cleaned}.parked")) is not None:
            reasons.add((parked.body, parked.headers["x-hopmq-error"]))
            parked.ack()
        assert reasons == {
            (b'{"id": 1}', "ValueError"),
            (b"broken", "hopmq.app.errors.PayloadError"),
        }
    assert await left_in(other, cleaned) == 0


def test_a_batch_that_never_fills_is_refused() -> None:
    app = App()
    with pytest.raises(DeclarationError, match="prefetch"):
        app.consumer("orders", batch=Batch(10), prefetch=5)
    with pytest.raises(DeclarationError, match="batch or order_by"):
        app.consumer("orders", batch=Batch(10), order_by="routing_key")


# --- order ---------------------------------------------------------------------------------------


async def test_messages_of_one_key_keep_their_order_through_failures(
    amqp_url: str, cleaned: str, seen: Seen
) -> None:
    app = App(amqp_url)
    failed: set[int] = set()
    at_once: set[str] = set()

    @app.consumer(
        cleaned,
        order_by="header:customer",
        concurrency=4,
        retry=Retry(attempts=3, backoff=Constant(0.01)),
    )
    async def handle(
        order: Order, customer: Annotated[str, Header("customer")], context: ConsumeContext
    ) -> None:
        assert customer not in at_once
        at_once.add(customer)
        try:
            await asyncio.sleep(0)
            if order.id % 3 == 0 and order.id not in failed:
                failed.add(order.id)
                assert context.attempt == 1
                raise ValueError("try again")
            assert context.attempt == (2 if order.id in failed else 1)
        finally:
            at_once.discard(customer)
        await seen.add((customer, order.id))

    async with app:
        for number in range(20):
            await app.publish(
                Order(id=number), routing_key=cleaned, headers={"customer": f"c{number % 2}"}
            )
        await seen.count(20)
    for customer in ("c0", "c1"):
        numbers = [item[1] for item in seen.items if item[0] == customer]  # type: ignore[index]
        assert numbers == sorted(numbers)


# --- groups --------------------------------------------------------------------------------------


async def test_members_of_a_group_share_messages_and_other_groups_get_all(
    amqp_url: str, name: str, other: Connection
) -> None:
    everything: dict[str, Seen] = {"billing": Seen(), "shipping": Seen()}

    def member(group: str) -> App:
        app = App(amqp_url)

        @app.consumer(exchange=name, group=Group(group))
        async def handle(order: Order) -> None:
            await everything[group].add(order.id)

        return app

    async with member("billing") as app, member("billing"), member("shipping"):
        for number in range(10):
            await app.publish(Order(id=number), exchange=name, routing_key="order.new")
        for seen in everything.values():
            assert sorted(map(int, map(str, await seen.count(10)))) == list(range(10))
    for group in everything:
        for queue in (f"{name}.{group}", f"{name}.{group}.parked"):
            await other.delete_queue(queue)
    await other.delete_exchange(name)


async def test_every_member_of_a_broadcast_group_gets_all(
    amqp_url: str, name: str, other: Connection
) -> None:
    members = [Seen(), Seen()]

    def member(seen: Seen) -> App:
        app = App(amqp_url)

        @app.consumer(exchange=name, group=Group.broadcast("caches"))
        async def handle(order: Order) -> None:
            await seen.add(order.id)

        return app

    async with member(members[0]) as app, member(members[1]):
        await app.publish(Order(id=1), exchange=name, routing_key="order.new")
        for seen in members:
            assert await seen.count(1) == [1]
    await other.delete_queue(f"{name}.caches.parked")
    for exchange in (name, f"{name}.caches"):
        await other.delete_exchange(exchange)


async def test_what_a_broadcast_group_has_parked_is_given_back_to_the_members_there_are(
    amqp_url: str, name: str, other: Connection
) -> None:
    group = Group.broadcast("caches")
    bystander = await other.declare_queue(Queue.temporary(f"{name}.bystander"))

    def member(seen: Seen, *, fails: bool) -> App:
        app = App(amqp_url)

        @app.consumer(exchange=name, group=group, retry=None)
        async def handle(order: Order) -> None:
            await seen.add(order.id)
            if fails:
                raise ValueError("not yet")

        return app

    failing, seen = Seen(), [Seen(), Seen()]
    async with member(failing, fails=True) as app:
        await other.bind(bystander.name, name, "#")
        await app.publish(Order(id=1), exchange=name, routing_key="order.new")
        await failing.count(1)
    async with member(seen[0], fails=False) as app, member(seen[1], fails=False):
        parking = app.parking(group.queue_name(name))
        assert await parking.requeue_all() == 1
        for each in seen:
            assert await each.count(1) == [1]
        assert await parking.count() == 0
    assert await other.purge(bystander.name) == 1, "others have heard of it once"
    await other.delete_queue(f"{name}.caches.parked")
    for exchange in (name, f"{name}.caches"):
        await other.delete_exchange(exchange)


async def test_a_partitioned_group_hashed_by_its_publishers(
    amqp_url: str, name: str, seen: Seen, other: Connection
) -> None:
    app = App(amqp_url)
    group = Group("billing", partitions=4, hashed_by="publisher")

    parked_once: set[int] = set()

    @app.consumer(exchange=name, group=group, retry=None)
    async def handle(order: Order) -> None:
        if order.id == 3 and not parked_once:
            parked_once.add(order.id)
            raise ValueError("not yet")
        await seen.add(order.id)

    async with app:
        for number in range(8):
            await app.publish(
                Order(id=number),
                exchange=group.exchange_name(name),
                routing_key=group.routing_key(f"customer-{number}"),
                mandatory=True,
            )
        await seen.count(7)
        parking = app.parking(group.queue_name(name))
        while not (parked := await parking.list()):
            await asyncio.sleep(0)
        await parking.requeue(parked[0].id)
        assert (await seen.count(8))[-1] == 3
    for queue in (*group.partition_names(name), f"{name}.billing.parked"):
        await other.delete_queue(queue)
    for exchange in (name, group.exchange_name(name), group.members_name(name)):
        await other.delete_exchange(exchange)


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({}, "a queue, or a group"),
        ({"group": Group("g")}, "needs an exchange"),
        ({"group": Group("g"), "exchange": "x", "queue": "q"}, "leave queue out"),
        (
            {"group": Group("g", partitions=2), "exchange": "x", "order_by": "routing_key"},
            "leave out order_by=",
        ),
        (
            {"group": Group("g", partitions=2), "exchange": "x", "concurrency": 2, "priority": 1},
            "leave out concurrency=, priority=",
        ),
        (
            {"group": Group("g", partitions=2), "exchange": "x", "batch": Batch(2)},
            "leave out batch=",
        ),
    ],
)
def test_groups_that_cannot_be_meant_are_refused_at_once(
    options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(DeclarationError, match=complaint):
        App().consumer(**options)(lambda: None)


# --- middleware ----------------------------------------------------------------------------------


async def test_middleware_stands_around_handlers_from_the_application_inwards(
    amqp_url: str, cleaned: str, seen: Seen
) -> None:
    def named(name: str) -> Any:
        async def middleware(
            context: ConsumeContext, call_next: Callable[[ConsumeContext], Awaitable[Any]]
        ) -> Any:
            context.state.setdefault("way", []).append(name)
            return await call_next(context)

        return middleware

    app = App(amqp_url, middleware=[named("app, first"), named("app, second")])

    @app.consumer(cleaned, middleware=[named("consumer")])
    async def handle(order: Order, context: ConsumeContext) -> None:
        await seen.add(context.state["way"])

    async with app:
        await app.publish(Order(id=1), routing_key=cleaned)
        assert await seen.count(1) == [["app, first", "app, second", "consumer"]]


async def test_middleware_changes_what_is_published(
    amqp_url: str, cleaned: str, seen: Seen
) -> None:
    async def stamp(
        context: PublishContext, call_next: Callable[[PublishContext], Awaitable[Any]]
    ) -> Any:
        context.properties.headers = {"tenant": 5}
        return await call_next(context)

    app = App(amqp_url, publish_middleware=[stamp])

    @app.consumer(cleaned)
    async def handle(message: Message) -> None:
        await seen.add(dict(message.headers))

    async with app:
        await app.publish(Order(id=1), routing_key=cleaned)
        assert await seen.count(1) == [{"tenant": 5}]


# --- streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_stream_is_read_from_where_it_is_told(
    amqp_url: str, cleaned: str, seen: Seen, concurrency: int
) -> None:
    app = App(amqp_url)

    @app.consumer(
        hopmq.Queue.stream(cleaned),
        arguments={"x-stream-offset": "first"},
        concurrency=concurrency,
        retry=Retry(attempts=2, backoff=Constant(0.01)),
    )
    async def handle(order: Order, context: ConsumeContext) -> None:
        if context.attempt == 1:
            raise ValueError("in place")
        await seen.add(order.id)

    async with Pool(amqp_url) as pool:
        await pool.declare_queue(hopmq.Queue.stream(cleaned))
        for number in range(3):
            await pool.publish(b'{"id": %d}' % number, routing_key=cleaned)
        async with app:
            assert sorted(map(str, await seen.count(3))) == ["0", "1", "2"]
