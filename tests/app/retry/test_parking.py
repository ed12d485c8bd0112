"""Parked messages: looked at in place, given back as if they had never failed, or dropped."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime

import pytest

import hopmq
from app.retry.work import Work, always
from hopmq import Message, Pool, Queue
from hopmq.app import retry
from hopmq.app.header_names import ATTEMPTS, ERROR, EXCHANGE, FIRST_FAILED, PARKED_ID, QUEUE, REASON
from hopmq.app.retry import Park, Parking, Retry
from hopmq.entities import QueueInfo
from hopmq.errors import NotFoundError, PublishReturnedError, ResourceLockedError
from hopmq.testing import FaultProxy
from hopmq.wire import Properties

NO_RETRY = Retry(attempts=1)


async def park(work: Work, *bodies: bytes) -> Parking:
    """Have messages parked, in order; nobody works on the queue any more."""
    await work.fail(always(ValueError("no such customer")), NO_RETRY, concurrency=1)
    for body in bodies:
        await work.publish(body)
    await work.until(len(bodies))
    await work.stop()
    return Parking(work.pool, work.queue)


async def test_a_parked_message_says_what_happened(real_work: Work) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    parking = await park(real_work, b"order")
    (parked,) = await parking.list()
    assert (parked.reason, parked.error) == ("no such customer", "ValueError")
    assert (parked.exchange, parked.routing_key) == ("", real_work.queue.name)
    assert (parked.attempts, parked.body) == (1, b"order")
    assert parked.first_failed is not None
    assert parked.first_failed == parked.last_failed
    assert before <= parked.first_failed <= datetime.now(UTC)
    assert parked.headers[QUEUE] == real_work.queue.name


async def test_looking_leaves_everything_in_place(real_work: Work) -> None:
    bodies = [b"%d" % number for number in range(150)]
    parking = await park(real_work, *bodies)
    for limit, expected in [(40, bodies[:40]), (200, bodies), (3, bodies[:3]), (0, [])]:
        assert [each.body for each in await parking.list(limit)] == expected
    third = (await parking.list())[2]
    assert await parking.show(third.id) == third
    assert await parking.show("nobody") is None
    assert [each.body for each in await parking.list(200)] == bodies
    assert await parking.count() == 150


async def test_many_are_looked_at_by_few_requests(
    real_work: Work, amqp_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    parked = f"{real_work.queue.name}.parked"
    await real_work.pool.declare_queue(Queue.quorum(parked))
    await real_work.pool.publish_many(map(str.encode, map(str, range(500))), routing_key=parked)
    with caplog.at_level(logging.DEBUG, "hopmq.wire"):
        async with Pool(amqp_url) as pool:
            parking = Parking(pool, real_work.queue)
            last = (await parking.list(500))[-1]
            caplog.clear()
            assert await parking.show(last.id) is not None
    methods = [each for each in caplog.messages if " > Basic." in each or " > Queue." in each]
    assert 10 < len(methods) < 100  # an embedded broker's answers are among them


async def test_who_is_cancelled_keeps_nothing_in_hand(real_work: Work, amqp_url: str) -> None:
    bodies = [b"%d" % number for number in range(50)]
    await park(real_work, *bodies)
    async with Overcounting(amqp_url) as pool:
        looking = asyncio.create_task(Parking(pool, real_work.queue).list())
        parking = Parking(real_work.pool, real_work.queue)
        await until_there_are(parking, 0)
        looking.cancel()
        await asyncio.wait([looking], timeout=10)
        assert looking.cancelled()
        await until_there_are(parking, 50)
        assert [each.body for each in await parking.list()] == bodies


async def test_what_others_have_taken_meanwhile_is_not_waited_for(
    real_work: Work, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await park(real_work, b"1", b"2")
    monkeypatch.setattr(retry.parking, "_QUIET", 0.1)
    async with Overcounting(amqp_url) as pool:
        parking = Parking(pool, real_work.queue)
        assert [each.body for each in await parking.list()] == [b"1", b"2"]
        assert await parking.requeue_all() == 2


@pytest.mark.parametrize("limit", [1, 3])
async def test_what_a_slow_broker_delivers_late_is_looked_at_in_order(
    real_work: Work, amqp_url: str, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    bodies = [b"1", b"2", b"3"]
    await park(real_work, *bodies)
    monkeypatch.setattr(retry.parking, "_QUIET", 0.05)
    async with FaultProxy(amqp_url) as proxy, Pool(proxy.url) as pool:
        proxy.stall("Basic.Deliver", seconds=0.2)
        parking = Parking(pool, real_work.queue)
        assert [each.body for each in await parking.list(limit)] == bodies[:limit]
        assert [each.body for each in await parking.list()] == bodies


async def test_looking_often_costs_no_message(real_work: Work) -> None:
    parking = await park(real_work, b"1", b"2")
    for _ in range(25):
        assert len(await parking.list()) == 2


async def test_what_is_requeued_has_never_failed(real_work: Work, name: str) -> None:
    topic = await real_work.pool.declare_exchange(f"{name}-topic", "topic")
    await real_work.pool.declare_queue(real_work.queue)
    await real_work.pool.bind(real_work.queue, topic, "order.#")
    await real_work.fail(always(ValueError()), NO_RETRY)
    properties = Properties(headers={"shop": "3"}, message_id="m", priority=3, content_type="x/y")
    await real_work.pool.publish(
        b"order", exchange=topic, routing_key="order.eu", properties=properties
    )
    await real_work.until(1)
    await real_work.stop()
    parking = Parking(real_work.pool, real_work.queue.name)
    (parked,) = await parking.list()
    assert parked.exchange == f"{name}-topic"
    assert await parking.requeue(parked.id) == 1
    assert await parking.count() == 0
    await real_work.fail(lambda message, attempt: None, NO_RETRY)
    await real_work.until(2)
    again = real_work.attempts[1]
    assert (again.number, again.body, again.message.routing_key) == (1, b"order", "order.eu")
    assert again.message.headers["shop"] == "3"
    assert not {ATTEMPTS, FIRST_FAILED, REASON, ERROR, PARKED_ID} & again.message.headers.keys()
    assert again.message.headers[EXCHANGE] == f"{name}-topic"
    properties = again.message.properties
    assert (properties.message_id, properties.priority) == ("m", 3)
    assert properties.content_type == "x/y"
    await real_work.pool.delete_exchange(topic)


async def test_those_that_are_named_are_requeued_or_dropped(real_work: Work) -> None:
    parking = await park(real_work, b"1", b"2", b"3", b"4", b"5")
    one, two, _, four, five = [each.id for each in await parking.list()]
    assert await parking.requeue(two, four, "nobody") == 2
    assert await parking.drop(one, five, five) == 2
    assert [each.body for each in await parking.list()] == [b"3"]
    await real_work.fail(lambda message, attempt: None, NO_RETRY)
    await real_work.until(7)
    assert [each.body for each in real_work.attempts[5:]] == [b"2", b"4"]


async def test_all_are_requeued_in_their_order(real_work: Work) -> None:
    bodies = [b"%d" % number for number in range(120)]
    parking = await park(real_work, *bodies)
    assert await parking.requeue_all() == 120
    await real_work.fail(lambda message, attempt: None, NO_RETRY, concurrency=1)
    await real_work.until(240)
    assert [each.body for each in real_work.attempts[120:]] == bodies
    assert await parking.count() == 0


async def test_all_are_dropped(real_work: Work) -> None:
    parking = await park(real_work, b"1", b"2")
    assert await parking.drop_all() == 2
    assert await parking.list() == []


async def test_operators_at_once_lose_and_double_nothing(real_work: Work, amqp_url: str) -> None:
    bodies = [b"%d" % number for number in range(40)]
    await park(real_work, *bodies)
    async with Pool(amqp_url) as other:
        parkings = [Parking(pool, real_work.queue) for pool in (real_work.pool, other) * 2]
        listed = await asyncio.gather(*(parking.list() for parking in parkings))
        assert [[each.body for each in one] for one in listed] == [bodies] * 4
        halves = [each.id for each in listed[0]][::2], [each.id for each in listed[0]][1::2]
        counts = await asyncio.gather(
            parkings[0].requeue(*halves[0]),
            parkings[1].requeue(*halves[0]),
            parkings[2].drop(*halves[1][:5]),
            parkings[3].list(),
            parkings[1].requeue(*halves[1][5:]),
        )
    assert counts[0] + counts[1] == 20
    assert (counts[2], counts[4]) == (5, 15)
    assert await parkings[0].count() == 0
    await real_work.fail(lambda message, attempt: None, NO_RETRY)
    await real_work.until(40 + 35)
    dropped = set(bodies[1::2][:5])
    assert sorted(each.body for each in real_work.attempts[40:]) == sorted({*bodies} - dropped)


async def test_an_operator_who_waits_too_long_is_told(real_work: Work, amqp_url: str) -> None:
    await park(real_work, b"1")
    sign = hopmq.Queue(f"{real_work.queue.name}.parked.taken", durable=False, exclusive=True)
    async with Pool(amqp_url) as other:
        await other.declare_queue(sign)
        with pytest.raises(ResourceLockedError):
            await Parking(real_work.pool, real_work.queue, patience=0.2).list()
    assert len(await Parking(real_work.pool, real_work.queue).list()) == 1


async def test_what_others_put_there_is_shown_as_well(real_work: Work) -> None:
    parking = await park(real_work)
    where = f"{real_work.queue.name}.parked"
    await real_work.pool.publish(b"1", routing_key=where)
    await real_work.pool.publish(b"2", routing_key=where, headers={"x-hopmq-attempts": "many"})
    one, two = await parking.list()
    assert (one.body, one.attempts, one.first_failed, one.reason) == (b"1", 0, None, "")
    assert (two.attempts, await parking.show(two.id)) == (0, two)
    assert await parking.requeue(one.id) == 1
    assert [each.body for each in await parking.list()] == [b"2"]


async def test_without_its_queue_nothing_is_requeued(real_work: Work) -> None:
    parking = await park(real_work, b"1")
    await real_work.pool.delete_queue(real_work.queue)
    with pytest.raises(NotFoundError):
        await parking.requeue_all()
    assert await parking.count() == 1


async def test_what_was_requeued_is_parked_no_more_when_another_copy_is_not_stored(
    real_work: Work, name: str
) -> None:
    pool, queue = real_work.pool, real_work.queue
    await park(real_work)
    entrance = await pool.declare_exchange(f"{name}-entrance", "fanout")
    await pool.bind(f"{queue.name}.parked", entrance)
    orders = await pool.declare_exchange(f"{name}-orders", "topic")
    await pool.bind(queue, orders, "order.#")
    for key in ("order.1", "nowhere", "order.2"):
        await pool.publish(key.encode(), exchange=entrance, routing_key=key)
    parking = Parking(pool, queue, exchange=orders)
    with pytest.raises(PublishReturnedError):
        await parking.requeue_all()
    assert [each.body for each in await parking.list()] == [b"nowhere"]
    await real_work.fail(lambda message, attempt: None, NO_RETRY, concurrency=1)
    await real_work.until(2)
    assert [each.body for each in real_work.attempts] == [b"order.1", b"order.2"]
    for exchange in (entrance, orders):
        await pool.delete_exchange(exchange)


async def test_what_was_not_requeued_is_there_when_that_is_told(
    real_work: Work, name: str, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await park(real_work, b"1", b"2")
    orders = await real_work.pool.declare_exchange(f"{name}-orders", "topic")
    async with Lagging(amqp_url) as pool:
        monkeypatch.setattr(retry.parking, "_give_back", pool.give_back)
        parking = Parking(pool, real_work.queue, exchange=orders)
        with pytest.raises(PublishReturnedError):
            await parking.requeue_all()
        assert [each.body for each in await parking.list()] == [b"1", b"2"]
    await real_work.pool.delete_exchange(orders)


async def test_a_handlers_own_reason_is_kept(real_work: Work) -> None:
    error = Park("sold out")
    error.__cause__ = KeyError("item")  # as `raise Park("sold out") from ...` does
    await real_work.fail(always(error), Retry(attempts=5))
    await real_work.publish()
    await real_work.until(1)
    (parked,) = await Parking(real_work.pool, real_work.queue).list()
    assert (parked.reason, parked.error, parked.attempts) == ("sold out", "KeyError", 1)


class Overcounting(Pool):
    """Tells of a message more than there is, as when another takes one right after the count."""

    async def declare_queue(self, queue: Queue | str, *, passive: bool = False) -> QueueInfo:
        """See `Pool`."""
        info = await super().declare_queue(queue, passive=passive)
        return replace(info, message_count=info.message_count + 1)


class Lagging(Pool):
    """Tells of no message for a while after some have gone back, as of a queue on a slow disk."""

    asks_in_vain = 0

    def give_back(self, portion: list[Message]) -> None:
        """See `hopmq.app.retry.parking`."""
        portion[-1].nack(multiple=True)
        self.asks_in_vain = 3

    async def declare_queue(self, queue: Queue | str, *, passive: bool = False) -> QueueInfo:
        """See `Pool`."""
        info = await super().declare_queue(queue, passive=passive)
        if not passive or not self.asks_in_vain:
            return info
        self.asks_in_vain -= 1
        return replace(info, message_count=0)


async def until_there_are(parking: Parking, count: int) -> None:
    """Wait until as many are parked and in nobody's hand."""
    while await parking.count() != count:
        await asyncio.sleep(0.01)
