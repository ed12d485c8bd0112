"""Publishes that the broker returns or refuses."""

import asyncio
import logging

import pytest

import hopmq
from client.waiting import bodies, fetch_all
from hopmq import (
    Channel,
    Connection,
    NotFoundError,
    Properties,
    PublishManyError,
    PublishNackedError,
    PublishNotSentError,
    PublishReturnedError,
    PublishUnknownError,
    Queue,
    Receipt,
    Returned,
)

# --- returned ----------------------------------------------------------------------------------------


async def test_an_unroutable_mandatory_message_is_returned(channel: Channel) -> None:
    with pytest.raises(PublishReturnedError, match="nowhere") as caught:
        await channel.publish(b"", exchange="amq.direct", routing_key="nowhere", mandatory=True)
    error = caught.value
    assert (error.reply_code, error.reply_text) == (312, "NO_ROUTE")
    assert (error.exchange, error.routing_key) == ("amq.direct", "nowhere")
    assert error.retry_safe
    assert channel.unconfirmed == 0


async def test_a_routable_mandatory_message_is_confirmed(channel: Channel, queue: str) -> None:
    receipt = await channel.publish(b"here", routing_key=queue, mandatory=True)
    assert receipt.confirmed
    assert await bodies(channel, queue) == [b"here"]


async def test_equal_message_ids_do_not_swap_results(channel: Channel, queue: str) -> None:
    unroutable, routable = await asyncio.gather(
        channel.publish(b"1", routing_key="nowhere", message_id="same", mandatory=True),
        channel.publish(b"2", routing_key=queue, message_id="same", mandatory=True),
        return_exceptions=True,
    )
    assert isinstance(unroutable, PublishReturnedError)
    assert isinstance(routable, Receipt)


async def test_each_return_finds_its_publish_among_many(channel: Channel, queue: str) -> None:
    keys = [queue if number % 3 else "nowhere" for number in range(200)]
    outcomes = await asyncio.gather(
        *(channel.publish(b"", routing_key=key, message_id="m", mandatory=True) for key in keys),
        return_exceptions=True,
    )
    for key, outcome in zip(keys, outcomes, strict=True):
        assert type(outcome) is (Receipt if key == queue else PublishReturnedError)


async def test_handles_and_batches_are_returned_too(channel: Channel) -> None:
    handle = channel.publish_nowait(b"", routing_key="nowhere", mandatory=True)
    with pytest.raises(PublishReturnedError):
        await handle
    assert isinstance(handle.outcome, PublishReturnedError)
    with pytest.raises(PublishManyError) as caught:
        await channel.publish_many([b"1", b"2"], routing_key="nowhere", mandatory=True)
    assert [type(each) for each in caught.value.outcomes] == [PublishReturnedError] * 2
    assert caught.value.retry_safe


async def test_nobody_sees_the_header_that_returns_are_matched_by(
    connection: Connection, queue: str
) -> None:
    returned: list[Returned] = []
    async with connection.channel(on_return=returned.append) as channel:
        properties = Properties(headers={"mine": 1}, message_id="m")
        await channel.publish(b"", routing_key=queue, mandatory=True, properties=properties)
        await channel.publish(b"", routing_key=queue, mandatory=True)
        with pytest.raises(PublishReturnedError):
            await channel.publish(b"", routing_key="nowhere", mandatory=True, headers={"mine": 2})
        assert properties == Properties(headers={"mine": 1}, message_id="m")
        messages = await fetch_all(channel, queue)
        assert [message.headers for message in messages] == [{"mine": 1}, {}]
        [message] = returned
        assert message.properties.headers == {"mine": 2}


async def test_returns_without_confirms_go_to_on_return(connection: Connection) -> None:
    returned: asyncio.Queue[Returned] = asyncio.Queue()
    async with connection.channel(confirms=False, on_return=returned.put_nowait) as channel:
        properties = Properties(headers={"mine": 1})
        await channel.publish(b"back", routing_key="nowhere", mandatory=True, properties=properties)
        message = await returned.get()
    assert message.body == b"back"
    assert message.routing_key == "nowhere"
    assert message.reply_code == 312
    assert message.properties == properties


async def test_each_of_a_row_without_confirms_is_returned(connection: Connection) -> None:
    returned: asyncio.Queue[Returned] = asyncio.Queue()
    async with connection.channel(confirms=False, on_return=returned.put_nowait) as channel:
        await channel.publish_many([b"1", b"2", b"3"], routing_key="nowhere", mandatory=True)
        assert [(await returned.get()).body for _ in range(3)] == [b"1", b"2", b"3"]


async def test_a_return_that_nobody_takes_is_logged(
    connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    async with connection.channel(confirms=False) as channel:
        await channel.publish(b"back", routing_key="nowhere", mandatory=True)
        await channel.set_prefetch(1)  # its answer comes after the return
    assert "312" in caplog.text


async def test_an_error_in_on_return_harms_nobody(
    connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(message: Returned) -> None:
        raise ZeroDivisionError

    async with connection.channel(on_return=fail) as channel:
        with pytest.raises(PublishReturnedError):
            await channel.publish(b"", routing_key="nowhere", mandatory=True)
        assert (await channel.publish(b"", routing_key="nowhere")).confirmed
    assert "ZeroDivisionError" in caplog.text


# --- nacked ------------------------------------------------------------------------------------------


async def test_a_full_queue_that_rejects_publishes_nacks(connection: Connection, name: str) -> None:
    queue = Queue.classic(name, exclusive=True, max_length=2, overflow="reject-publish")
    async with connection.channel() as channel:
        await channel.declare_queue(queue)
        await channel.publish(b"1", routing_key=name)
        await channel.publish(b"2", routing_key=name)
        with pytest.raises(PublishNackedError, match="refused") as caught:
            await channel.publish(b"3", routing_key=name)
        assert not caught.value.retry_safe
        assert await bodies(channel, name) == [b"1", b"2"]
        assert (await channel.publish(b"4", routing_key=name)).delivery_tag == 4


async def test_each_nack_finds_its_publish(connection: Connection, name: str) -> None:
    queue = Queue.classic(name, exclusive=True, max_length=3, overflow="reject-publish")
    async with connection.channel() as channel:
        await channel.declare_queue(queue)
        with pytest.raises(PublishManyError) as caught:
            await channel.publish_many([b"%d" % number for number in range(50)], routing_key=name)
        arrived = await bodies(channel, name)
        assert channel.unconfirmed == 0
    confirmed = [
        b"%d" % number
        for number, outcome in enumerate(caught.value.outcomes)
        if isinstance(outcome, Receipt)
    ]
    refused = [each for each in caught.value.outcomes if isinstance(each, PublishNackedError)]
    assert confirmed == arrived
    assert len(refused) + len(confirmed) == 50
    assert refused
    assert not caught.value.retry_safe


# --- closed for it -------------------------------------------------------------------------------------


async def test_publishing_to_a_missing_exchange_closes_the_channel_and_says_why(
    connection: Connection, channel: Channel
) -> None:
    with pytest.raises(PublishUnknownError, match="no such exchange") as caught:
        await channel.publish(b"", exchange="no such exchange")
    assert isinstance(caught.value.__cause__, NotFoundError)
    assert not caught.value.retry_safe
    assert not channel.is_open
    with pytest.raises(PublishNotSentError, match="no such exchange") as later:
        await channel.publish(b"", routing_key="q")
    assert isinstance(later.value.__cause__, NotFoundError)
    again = await connection.channel()
    assert (await again.publish(b"", routing_key="nowhere")).confirmed


async def test_a_forged_user_id_closes_the_channel_and_says_why(channel: Channel) -> None:
    with pytest.raises(PublishUnknownError) as caught:
        await channel.publish(b"", routing_key="q", properties=Properties(user_id="root"))
    assert isinstance(caught.value.__cause__, hopmq.PreconditionFailedError)


async def test_a_channel_closed_for_a_publish_is_logged_once(
    channel: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "hopmq")
    publishes = [channel.publish_nowait(b"", exchange="no such exchange") for _ in range(20)]
    for publish in publishes:
        with pytest.raises(PublishUnknownError):
            await publish
    assert len([line for line in caplog.records if "no such exchange" in line.getMessage()]) == 1
