"""Delays by the ladder: exact, in nobody's way, and nothing is lost at their end."""

import random
from datetime import UTC, datetime, timedelta

import pytest

import hopmq
from app.retry.work import GRAIN
from hopmq import Message, Pool
from hopmq.app.clock import LoopTime
from hopmq.app.header_names import EXCHANGE
from hopmq.app.retry import Delays, publish_delayed, seconds_until
from hopmq.app.retry.ladder import LONGEST, UNDELIVERED, steps_of, topology_of
from hopmq.errors import NotFoundError, UsageError
from hopmq.testing import TurnedClock
from hopmq.wire import Properties

HOURS = 5 * 3600.0


class Arrivals:
    """What a queue received, and when."""

    def __init__(self, clock: TurnedClock) -> None:
        """Begin now."""
        self.begin = clock.time()
        self.clock = clock
        self.messages: list[Message] = []
        self.at: dict[bytes, float] = {}

    async def take(self, message: Message) -> None:
        """Note a message."""
        assert message.body not in self.at
        self.messages.append(message)
        self.at[message.body] = self.clock.time() - self.begin
        message.ack()


@pytest.fixture
async def arrivals(turned: Pool, clock: TurnedClock) -> Arrivals:
    """Return the arrivals in queue `due`."""
    await turned.declare_queue(hopmq.Queue.quorum("due"))
    arrivals = Arrivals(clock)
    await turned.consume("due", arrivals.take)
    return arrivals


def test_steps_add_up_to_the_delay_or_a_little_more() -> None:
    chance = random.Random(3)
    delays = [0.0, 0.001, 0.125, 0.126, 1.0, LONGEST]
    delays += [chance.uniform(0, 10 ** chance.uniform(-2, 6.9)) for _ in range(1000)]
    for delay in delays:
        levels = [step.level for step in steps_of(delay)]
        assert levels == sorted(set(levels), reverse=True)
        assert 0 <= sum(2**level / 8 for level in levels) - delay < 0.125


@pytest.mark.parametrize("delay", [-0.001, LONGEST + 1, float("inf"), float("nan")])
async def test_other_delays_are_refused(turned: Pool, delay: float) -> None:
    await turned.declare_queue("due")
    with pytest.raises(UsageError, match="97 days"):
        await Delays(turned).publish(b"", delay, routing_key="due")


async def test_delays_are_exact_and_none_holds_up_another(
    turned: Pool, clock: TurnedClock, arrivals: Arrivals
) -> None:
    chance = random.Random(7)
    delays = Delays(turned)
    due = {}
    for number in range(300):
        levels = {chance.randrange(17) for _ in range(3)}
        body, delay = b"%d" % number, sum(2**level / 8 for level in levels)
        priority = chance.choice([None, 0, 4, 5, 9, 200])
        await clock.advance(chance.choice([0, 0.125, 1, 30]))
        due[body] = clock.time() - arrivals.begin + delay
        await delays.publish(
            body, delay, routing_key="due", properties=Properties(priority=priority)
        )
    await clock.advance(HOURS)
    assert arrivals.at == pytest.approx(due)


async def test_what_is_published_later_may_be_due_earlier(
    turned: Pool, clock: TurnedClock, arrivals: Arrivals
) -> None:
    delays = Delays(turned)
    await delays.publish(b"late", 100, routing_key="due")
    await clock.advance(10)
    await delays.publish(b"early", 50, routing_key="due")
    await delays.publish(b"at once", 0, routing_key="due")
    await clock.advance(100)
    assert arrivals.at == {b"at once": 10, b"early": 60, b"late": 100}


async def test_a_delayed_message_is_what_was_published(
    turned: Pool, clock: TurnedClock, arrivals: Arrivals
) -> None:
    await turned.declare_exchange("orders", "topic")
    await turned.bind("due", "orders", "order.*.created")
    await turned.bind("due", "orders", "copy.#")
    sent = Properties(
        headers={"shop": "3"}, message_id="m", priority=7, content_type="x/y", delivery_mode=1
    )
    await publish_delayed(
        turned, 77.5, exchange="orders", routing_key="order.eu.created", body=b"1", properties=sent
    )
    await clock.advance(78)
    (message,) = arrivals.messages
    assert message.routing_key == "order.eu.created"
    properties = message.properties
    assert (properties.message_id, properties.priority) == ("m", 7)
    assert (properties.content_type, properties.delivery_mode) == ("x/y", 1)
    assert message.headers["shop"] == "3"
    assert message.headers[EXCHANGE] == "orders"


async def test_copies_go_where_the_sender_says(
    turned: Pool, clock: TurnedClock, arrivals: Arrivals
) -> None:
    await turned.declare_exchange("orders", "direct")
    await turned.bind("due", "orders", "copy")
    properties = Properties(headers={"CC": ["copy"]})
    await Delays(turned).publish(
        b"1", 3, exchange="orders", routing_key="nobody", properties=properties
    )
    await clock.advance(3)
    assert [each.routing_key for each in arrivals.messages] == ["nobody"]


async def test_a_message_that_was_delayed_before_can_be_again(
    turned: Pool, clock: TurnedClock, arrivals: Arrivals
) -> None:
    delays = Delays(turned)
    await delays.publish(b"1", 3.375, routing_key="due")
    for number in range(2, 5):
        await clock.advance(3.375)
        before = arrivals.messages[-1]
        await delays.publish(b"%d" % number, 3.375, routing_key="due", properties=before.properties)
    await clock.advance(3.375)
    assert arrivals.at == {b"%d" % number: number * 3.375 for number in range(1, 5)}


async def test_the_default_exchange_needs_the_queue(turned: Pool) -> None:
    with pytest.raises(NotFoundError):
        await Delays(turned).publish(b"1", 3, routing_key="nowhere")


async def test_an_exchange_has_to_be_there(turned: Pool) -> None:
    with pytest.raises(NotFoundError):
        await Delays(turned).publish(b"1", 3, exchange="nowhere")


async def test_an_expiration_is_refused(turned: Pool) -> None:
    await turned.declare_queue("due")
    with pytest.raises(UsageError, match="expiration"):
        await Delays(turned).publish(
            b"1", 3, routing_key="due", properties=Properties(expiration="1000")
        )


async def test_what_was_delayed_for_a_queue_that_is_gone_is_kept(
    turned: Pool, clock: TurnedClock
) -> None:
    await turned.declare_queue("due")
    await Delays(turned).publish(b"1", 3, routing_key="due")
    await turned.delete_queue("due")
    await clock.advance(4)
    async with turned.channel() as channel:
        message = await channel.get(UNDELIVERED)
        assert message is not None
        message.ack()
    assert (message.body, message.routing_key) == (b"1", "due")


def test_until_a_moment(clock: TurnedClock) -> None:
    now = datetime.fromtimestamp(clock.wall(), UTC)
    assert seconds_until(now + timedelta(hours=1), clock) == pytest.approx(3600)
    assert seconds_until(now - timedelta(hours=1), clock) == 0
    with pytest.raises(UsageError, match="time zone"):
        seconds_until(now.replace(tzinfo=None), clock)
    with pytest.raises(UsageError, match="97 days"):
        seconds_until(now + timedelta(days=98), clock)


# --- real brokers too ----------------------------------------------------------------------------


async def test_no_broker_is_early_or_loses_one(pool: Pool, name: str) -> None:
    chance = random.Random(11)
    clock = LoopTime()
    await pool.declare_queue(hopmq.Queue.quorum(name))
    begun: dict[bytes, tuple[float, float]] = {}
    delays = Delays(pool)
    for number in range(300):
        body, delay = b"%d" % number, chance.uniform(0.05, 4)
        begun[body] = clock.time(), delay
        await delays.publish(
            body,
            delay,
            routing_key=name,
            properties=Properties(priority=chance.choice([None, 0, 5, 9])),
        )
    arrived = []
    async with pool.consume(name) as consumer:
        async for message in consumer:
            message.ack()
            at, delay = begun[message.body]
            assert clock.time() - at >= delay - GRAIN
            arrived.append(message.body)
            if len(arrived) == len(begun):
                break
    assert sorted(arrived) == sorted(begun)
    assert await pool.delete_queue(name) == 0


async def test_nobody_waits_for_messages_that_nobody_takes(pool: Pool, name: str) -> None:
    await pool.declare_queue(hopmq.Queue.quorum(name))
    await pool.declare_queue(
        hopmq.Queue.classic(f"{name}-full", max_length=1, overflow="reject-publish")
    )
    await pool.declare_exchange(f"{name}-deaf", "direct")
    delays = Delays(pool)
    for _ in range(50):  # more than RabbitMQ takes in hand at once to dead-letter at least once
        await delays.publish(b"deaf", 0.125, exchange=f"{name}-deaf", routing_key="nobody")
        await delays.publish(b"full", 0.125, routing_key=f"{name}-full")
    for _ in range(3):
        await delays.publish(b"mine", 0.25, routing_key=name)
    async with pool.consume(name) as consumer:
        for _ in range(3):
            message = await anext(consumer)
            message.ack()
            assert message.body == b"mine"
    for queue in (name, f"{name}-full", f"hopmq.due.in.{name}-full", f"hopmq.due.to.{name}-deaf"):
        await pool.delete_queue(queue)
    await pool.delete_exchange(f"{name}-deaf")


async def test_the_highest_level_is_accepted(pool: Pool) -> None:
    await topology_of(steps_of(LONGEST)).declare(pool)
