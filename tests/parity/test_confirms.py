"""Publisher confirms and returns: what is answered, by which number, in which order."""

import pytest
from pamqp.commands import Confirm, Tx

from hopmq.wire import Ack, Properties, Returned, new_method
from parity.channel import ChannelDriver
from parity.endings import precondition_failed, refusal


async def confirmed(channel: ChannelDriver, count: int) -> list[int]:
    """Return the tags of the next confirms, in order, however they were put together."""
    tags: list[int] = []
    while len(tags) < count:
        ack = await channel.next(Ack)
        first = max(tags, default=0) + 1 if ack.multiple else ack.delivery_tag
        tags += range(first, ack.delivery_tag + 1)
    return tags


# --- confirms ----------------------------------------------------------------------------------


async def test_nothing_is_confirmed_unless_it_is_asked_for(
    channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name, exclusive=True)
    channel.publish(routing_key=name)
    assert await channel.get(name) is not None
    await channel.expect_silence()


async def test_publishes_count_from_one(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    await channel.confirm()
    for _ in range(100):
        channel.publish(routing_key=name)
    assert sorted(await confirmed(channel, 100)) == list(range(1, 101))


async def test_publishes_count_from_the_select_on(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    for _ in range(3):
        channel.publish(routing_key=name)
    await channel.confirm()
    channel.publish(routing_key=name)
    assert await confirmed(channel, 1) == [1]


async def test_each_channel_counts_for_itself(channel: ChannelDriver, name: str) -> None:
    other = await channel.peer.channel()
    for each in (channel, other):
        await each.confirm()
    for each in (channel, channel, other):
        each.publish(routing_key=name)
    assert await confirmed(channel, 2) == [1, 2]
    assert await confirmed(other, 1) == [1]


async def test_confirms_may_be_asked_for_again(channel: ChannelDriver, name: str) -> None:
    await channel.confirm()
    channel.publish(routing_key=name)
    await channel.next(Ack)
    await channel.confirm()
    channel.publish(routing_key=name)
    assert (await channel.next(Ack)).delivery_tag == 2


async def test_confirms_without_waiting_have_no_answer(channel: ChannelDriver, name: str) -> None:
    channel.send(Confirm.Select, nowait=True)
    await channel.expect_silence()
    channel.publish(routing_key=name)
    assert (await channel.next(Ack)).delivery_tag == 1


async def test_what_nobody_gets_is_confirmed(channel: ChannelDriver, name: str) -> None:
    await channel.confirm()
    channel.publish(routing_key=name)
    ack = await channel.next(Ack)
    assert (ack.delivery_tag, ack.multiple) == (1, False)


@pytest.mark.parametrize("persistent", [1, 2])
@pytest.mark.parametrize("durable", [False, True])
async def test_every_kind_of_message_is_confirmed(
    channel: ChannelDriver, name: str, persistent: int, durable: bool
) -> None:
    await channel.confirm()
    await channel.declare(name, durable=durable)
    await channel.put(routing_key=name, properties=Properties(delivery_mode=persistent))


async def test_a_message_for_many_queues_is_confirmed_once(
    channel: ChannelDriver, name: str
) -> None:
    await channel.confirm()
    await channel.exchange(name, "fanout")
    for number in range(5):
        await channel.declare(f"{name}-{number}", exclusive=True)
        await channel.bind(f"{name}-{number}", name)
    channel.publish(exchange=name)
    assert await confirmed(channel, 1) == [1]
    await channel.expect_silence()


async def test_a_reopened_channel_has_no_confirms(channel: ChannelDriver, name: str) -> None:
    first = await channel.peer.channel()
    await first.confirm()
    await first.put(routing_key=name)
    await first.close()
    again = await channel.peer.channel(first.number)
    again.publish(routing_key=name)
    await again.expect_silence()
    await again.confirm()
    again.publish(routing_key=name)
    assert await confirmed(again, 1) == [1]


async def test_confirms_and_transactions_exclude_each_other(channel: ChannelDriver) -> None:
    await channel.confirm()
    closed = await refusal(channel.call(new_method(Tx.Select), Tx.SelectOk))
    assert closed.answer == precondition_failed("cannot switch from confirm to tx mode")
    assert closed.blamed == (90, 10)


@pytest.mark.parametrize("nowait", [False, True])
async def test_transactions_and_confirms_exclude_each_other(
    channel: ChannelDriver, nowait: bool
) -> None:
    await channel.tx()
    channel.send(Confirm.Select, nowait=nowait)
    closed = await channel.until_closed()
    assert closed.answer == precondition_failed("cannot switch from tx to confirm mode")
    assert closed.blamed == (85, 10)


# --- returns -----------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", ["", "amq.direct", "amq.fanout", "amq.topic", "amq.headers"])
async def test_a_mandatory_message_comes_back_before_its_confirm(
    channel: ChannelDriver, name: str, exchange: str
) -> None:
    await channel.confirm()
    properties = Properties(message_id="1", headers={"a": 1}, delivery_mode=2, priority=9)
    channel.publish(
        b"a message", exchange=exchange, routing_key=name, properties=properties, mandatory=True
    )
    returned = await channel.next(Returned)
    assert (returned.reply_code, returned.reply_text) == (312, "NO_ROUTE")
    assert (returned.exchange, returned.routing_key) == (exchange, name)
    assert (returned.body, returned.properties) == (b"a message", properties)
    assert (await channel.next(Ack)).delivery_tag == 1


async def test_a_mandatory_message_comes_back_without_confirms_too(
    channel: ChannelDriver, name: str
) -> None:
    channel.publish(routing_key=name, mandatory=True)
    await channel.next(Returned)
    await channel.expect_silence()


async def test_a_mandatory_message_that_is_routed_does_not_come_back(
    channel: ChannelDriver, name: str
) -> None:
    await channel.confirm()
    await channel.declare(name, exclusive=True)
    channel.publish(routing_key=name, mandatory=True)
    await channel.next(Ack)
    await channel.expect_silence()


async def test_a_message_that_is_not_mandatory_does_not_come_back(
    channel: ChannelDriver, name: str
) -> None:
    await channel.confirm()
    channel.publish(routing_key=name)
    await channel.next(Ack)
    await channel.expect_silence()


async def test_each_return_precedes_its_own_confirm(channel: ChannelDriver, name: str) -> None:
    await channel.confirm()
    for number in range(10):
        channel.publish(str(number).encode(), routing_key=name, mandatory=True)
    returned: list[bytes] = []
    tags: list[int] = []
    while len(tags) < 10:
        event = await channel.any()
        if isinstance(event, Returned):
            returned.append(event.body)
            continue
        tags += range(len(tags) + 1, event.delivery_tag + 1)
        assert len(tags) <= len(returned)
    assert returned == [str(number).encode() for number in range(10)]


@pytest.mark.parametrize("size", [0, 131_065, 1_000_000])
async def test_a_body_comes_back_whole(channel: ChannelDriver, name: str, size: int) -> None:
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    channel.publish(body, routing_key=name, mandatory=True)
    assert (await channel.next(Returned)).body == body


async def test_a_returned_message_has_lost_its_hidden_keys(
    channel: ChannelDriver, name: str
) -> None:
    headers = {"CC": [f"{name}-1"], "BCC": [f"{name}-2"]}
    channel.publish(routing_key=name, mandatory=True, properties=Properties(headers=headers))
    returned = await channel.next(Returned)
    assert returned.properties.headers == {"CC": [f"{name}-1"]}


async def test_one_key_that_is_routed_is_enough(channel: ChannelDriver, name: str) -> None:
    await channel.confirm()
    await channel.declare(name, exclusive=True)
    properties = Properties(headers={"CC": [name]})
    channel.publish(routing_key=f"{name}-none", mandatory=True, properties=properties)
    await channel.next(Ack)
