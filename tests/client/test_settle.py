"""Settling messages: ack, nack, reject, several at once, twice, and too late."""

import asyncio
import itertools
import random
from collections.abc import Callable

import pytest

from client.conftest import Tap
from client.proxy import Proxy
from client.waiting import bodies, fetch_all, ready, until_ready
from hopmq import (
    AlreadySettledError,
    Channel,
    Connection,
    Message,
    Queue,
    Settlement,
)

ACK_FRAME = 21
"""Bytes of a basic.ack: 8 of the frame, 4 of the method, 8 of the tag, 1 of the bit."""


async def take(channel: Channel, queue: str, count: int) -> list[Message]:
    """Fill `queue` with numbers and consume them all, unsettled."""
    await channel.publish_many([b"%d" % number for number in range(count)], routing_key=queue)
    consumer = await channel.consume(queue)
    return [await anext(consumer) for _ in range(count)]


async def left(channel: Channel, other: Connection, queue: str, count: int) -> list[bytes]:
    """Close the channel, so that unsettled messages go back; return what is in the queue then."""
    await channel.close()
    await until_ready(other, queue, count)
    return sorted(await bodies(await other.channel(), queue), key=int)


# --- one ---------------------------------------------------------------------------------------------


async def test_an_acknowledged_message_is_gone(
    channel: Channel, other: Connection, queue: str
) -> None:
    messages = await take(channel, queue, 3)
    assert messages[1].ack() is Settlement.SENT
    assert await left(channel, other, queue, 2) == [b"0", b"2"]


async def test_a_nacked_message_comes_again(channel: Channel, queue: str) -> None:
    await channel.publish(b"again", routing_key=queue)
    async with channel.consume(queue) as consumer:
        assert (await anext(consumer)).nack()
        message = await anext(consumer)
        assert message.body == b"again"
        assert message.redelivered
        message.ack()


async def test_a_nack_without_requeue_drops(
    channel: Channel, other: Connection, queue: str
) -> None:
    messages = await take(channel, queue, 3)
    messages[0].nack(requeue=False)
    assert await left(channel, other, queue, 2) == [b"1", b"2"]


async def test_a_reject_drops_unless_asked_otherwise(
    channel: Channel, other: Connection, queue: str
) -> None:
    messages = await take(channel, queue, 2)
    messages[0].reject()
    messages[1].reject(requeue=True)
    await channel.close()
    await until_ready(other, queue, 1)
    [message] = await fetch_all(await other.channel(), queue)
    assert (message.body, message.redelivered) == (b"1", True)


async def test_a_rejected_message_is_dead_lettered(connection: Connection, name: str) -> None:
    dead = f"{name}-dead"
    queue = Queue.classic(
        name, exclusive=True, dead_letter_exchange="", dead_letter_routing_key=dead
    )
    channel = await connection.channel()
    await channel.declare(queue, Queue(dead, exclusive=True))
    await channel.publish(b"bad", routing_key=name)
    message = await channel.get(name)
    assert message is not None
    message.reject()
    await until_ready(connection, dead, 1)
    [letter] = await fetch_all(channel, dead)
    assert letter.headers["x-first-death-reason"] == "rejected"
    deaths = letter.headers["x-death"]
    assert isinstance(deaths, list)
    assert deaths[0]["count"] == 1


# --- several -----------------------------------------------------------------------------------------


async def test_a_multiple_ack_settles_everything_before(
    channel: Channel, other: Connection, queue: str
) -> None:
    messages = await take(channel, queue, 6)
    messages[3].ack(multiple=True)
    assert [message.settled for message in messages] == [True] * 4 + [False] * 2
    assert await left(channel, other, queue, 2) == [b"4", b"5"]


async def test_a_multiple_nack_returns_everything_before(
    connection: Connection, queue: str
) -> None:
    channel = await connection.channel(prefetch=4)
    await channel.publish_many([b"0", b"1", b"2", b"3"], routing_key=queue)
    consumer = await channel.consume(queue)
    messages = [await anext(consumer) for _ in range(4)]
    messages[1].ack()
    messages[2].nack(multiple=True)
    again = [await anext(consumer), await anext(consumer)]
    assert [(message.body, message.redelivered) for message in again] == [
        (b"0", True),
        (b"2", True),
    ]
    assert not messages[3].settled
    messages[3].ack(multiple=True)


async def test_a_multiple_nack_without_requeue_drops_everything_before(
    channel: Channel, other: Connection, queue: str
) -> None:
    messages = await take(channel, queue, 5)
    messages[2].nack(multiple=True, requeue=False)
    assert await left(channel, other, queue, 2) == [b"3", b"4"]


# --- acks of one turn ----------------------------------------------------------------------------------


async def test_acks_of_one_turn_go_as_one(
    connection: Connection, other: Connection, tap: Tap, queue: str
) -> None:
    channel = await connection.channel()
    messages = await take(channel, queue, 100)
    tap.sent = 0
    for message in messages:
        message.ack()
    await asyncio.sleep(0.01)
    assert tap.sent == ACK_FRAME
    assert await left(channel, other, queue, 0) == []


async def test_a_coalesced_ack_never_reaches_over_an_unsettled_message(
    connection: Connection, other: Connection, tap: Tap, queue: str
) -> None:
    channel = await connection.channel()
    messages = await take(channel, queue, 100)
    tap.sent = 0
    for number, message in enumerate(messages):
        if number not in {50, 98}:
            message.ack()
    await asyncio.sleep(0.01)
    assert tap.sent == ACK_FRAME * (1 + 47 + 1)
    assert await left(channel, other, queue, 2) == [b"50", b"98"]


@pytest.mark.parametrize("seed", range(3))
async def test_settlements_of_every_kind_in_any_order_leave_what_they_should(
    connection: Connection, other: Connection, queue: str, seed: int
) -> None:
    channel = await connection.channel(prefetch=0)
    chance = random.Random(seed)
    messages = await take(channel, queue, 300)
    kept = set(messages)
    while len(kept) > 20:
        message = chance.choice(sorted(kept, key=lambda each: each.delivery_tag))
        before = {each for each in kept if each.delivery_tag <= message.delivery_tag}
        match chance.randrange(40):
            case 0:
                message.ack(multiple=True)
                kept -= before
            case 1:
                message.nack(requeue=False)
                kept.discard(message)
            case 2:
                message.reject()
                kept.discard(message)
            case 3:
                await asyncio.sleep(0)
            case _:
                message.ack()
                kept.discard(message)
    expected = sorted((message.body for message in kept), key=int)
    assert await left(channel, other, queue, len(expected)) == expected


async def test_acks_go_before_the_request_that_follows_them(
    connection: Connection, channel: Channel, queue: str
) -> None:
    messages = await take(channel, queue, 10)
    for message in messages:
        message.ack()
    await channel.recover()
    assert await ready(connection, queue) == 0


async def test_an_ack_in_the_same_turn_as_close_is_sent(
    connection: Connection, other: Connection, queue: str
) -> None:
    channel = await connection.channel()
    messages = await take(channel, queue, 3)
    for message in messages:
        message.ack()
    await connection.close()
    assert await bodies(await other.channel(), queue) == []


async def test_an_ack_does_not_reach_over_a_fetched_message_of_the_same_read(
    proxy: Proxy, proxied: Connection, other: Connection, queue: str, name: str
) -> None:
    fetched_from = f"{name}-fetched"
    await other.declare_queue(fetched_from, auto_delete=False)
    theirs = await other.channel()
    channel = await proxied.channel()
    await channel.consume(queue, lambda message: settle(message))

    def settle(message: Message) -> None:
        message.ack()

    try:
        await theirs.publish(b"fetched", routing_key=fetched_from)
        proxy.answers.hold()
        for between in (False, True):
            if between:
                fetching = asyncio.create_task(channel.get(fetched_from))
                await until_ready(other, fetched_from, 0)
            await theirs.publish_many([b"1", b"2"], routing_key=queue)
            await until_ready(other, queue, 0)
        proxy.answers.release()
        message = await fetching
        assert message is not None
        assert not message.settled
        await channel.close()
        await until_ready(other, fetched_from, 1)
    finally:
        await other.delete_queue(fetched_from)


# --- twice, or too late ----------------------------------------------------------------------------------


async def test_settling_twice_is_refused_here(channel: Channel, tap: Tap, queue: str) -> None:
    ways: list[Callable[[Message], Settlement]] = [Message.ack, Message.nack, Message.reject]
    for settle, settle_again in itertools.product(ways, ways):
        await channel.publish(b"", routing_key=queue)
        message = await channel.get(queue)
        assert message is not None
        settle(message)
        await channel.purge(queue)  # its answer comes after the settlement has left
        tap.sent = 0
        with pytest.raises(AlreadySettledError):
            settle_again(message)
        assert tap.is_silent
    await channel.set_prefetch(1)
    assert channel.is_open


async def test_settling_what_a_multiple_ack_covered_is_refused_here(
    channel: Channel, queue: str
) -> None:
    messages = await take(channel, queue, 2)
    messages[1].ack(multiple=True)
    with pytest.raises(AlreadySettledError):
        messages[0].ack()
    await channel.set_prefetch(1)
    assert channel.is_open


async def test_settling_a_message_taken_without_acks_is_refused_here(
    channel: Channel, queue: str
) -> None:
    await channel.publish_many([b"1", b"2"], routing_key=queue)
    fetched = await channel.get(queue, no_ack=True)
    assert fetched is not None
    async with channel.consume(queue, no_ack=True) as consumer:
        for message in (fetched, await anext(consumer)):
            assert message.settled
            with pytest.raises(AlreadySettledError, match="no_ack"):
                message.ack()
    await channel.set_prefetch(1)
    assert channel.is_open


async def test_settling_after_the_channel_closed_does_nothing_and_says_so(
    channel: Channel, other: Connection, tap: Tap, queue: str
) -> None:
    messages = await take(channel, queue, 3)
    await channel.close()
    tap.sent = 0
    assert messages[0].ack() is Settlement.STALE
    assert messages[1].nack() is Settlement.STALE
    assert not messages[2].reject()
    assert tap.is_silent
    await until_ready(other, queue, 3)
    assert all(message.redelivered for message in await fetch_all(await other.channel(), queue))


async def test_settling_after_the_connection_closed_does_nothing_and_says_so(
    connection: Connection, channel: Channel, queue: str
) -> None:
    [message] = await take(channel, queue, 1)
    await connection.close()
    assert message.ack() is Settlement.STALE
    assert message.ack(multiple=True) is Settlement.STALE
    async with message.process():
        pass


async def test_a_stale_message_does_not_settle_one_of_a_new_channel(
    connection: Connection, channel: Channel, queue: str
) -> None:
    [stale] = await take(channel, queue, 1)
    await channel.close()
    again = await connection.channel()
    assert again.number == channel.number
    consumer = await again.consume(queue)
    fresh = await anext(consumer)
    assert fresh.delivery_tag == stale.delivery_tag
    assert stale.ack() is Settlement.STALE
    assert not fresh.settled
    assert fresh.ack() is Settlement.SENT


# --- process -----------------------------------------------------------------------------------------


async def test_process_acknowledges_at_the_end_of_the_block(
    channel: Channel, other: Connection, queue: str
) -> None:
    messages = await take(channel, queue, 2)
    async with messages[0].process() as message:
        assert message is messages[0]
        assert not message.settled
    with messages[1].process():
        pass
    assert all(message.settled for message in messages)
    assert await left(channel, other, queue, 0) == []


async def test_process_returns_the_message_after_an_error(
    channel: Channel, other: Connection, queue: str
) -> None:
    messages = await take(channel, queue, 2)
    with pytest.raises(ZeroDivisionError):
        async with messages[0].process():
            raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), messages[1].process(requeue=False):
        raise ZeroDivisionError
    assert await left(channel, other, queue, 1) == [b"0"]


async def test_process_returns_the_message_when_cancelled(
    channel: Channel, other: Connection, queue: str
) -> None:
    [message] = await take(channel, queue, 1)

    async def work() -> None:
        async with message.process():
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await left(channel, other, queue, 1) == [b"0"]


async def test_process_leaves_a_settled_message_alone(channel: Channel, queue: str) -> None:
    messages = await take(channel, queue, 2)
    async with messages[0].process():
        messages[0].ack()
    messages[1].reject()
    with pytest.raises(ZeroDivisionError):
        async with messages[1].process():
            raise ZeroDivisionError
    await channel.set_prefetch(1)
    assert channel.is_open
