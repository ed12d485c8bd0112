"""Publishes while a connection recovers: each policy, deadlines, order, names."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hopmq import Channel, Connection, Message, Properties, Receipt
from hopmq.broker import Broker
from hopmq.client.publishing import OnDisconnect
from hopmq.errors import (
    ConnectionLostError,
    PublishManyError,
    PublishNotSentError,
    PublishNotSentTimeoutError,
    PublishReturnedError,
    PublishUnknownError,
    PublishUnknownTimeoutError,
)
from hopmq.testing import FaultProxy, Faults

from .ends import start, turns
from .links import back, bounce, drained, lose, quick
from .promises import POLICIES, Promises


@pytest.fixture
async def faults(own: Broker) -> Faults:
    """Return what the broker can do, such as to confirm when it is told."""
    return Faults(own)


@pytest.fixture
async def connection(way: FaultProxy, judge: Channel) -> AsyncIterator[Connection]:
    """Return a connection by way of the proxy, to a broker with a queue `q`."""
    await judge.declare_queue("q")
    async with quick(way.url, name="subject") as opened:
        yield opened


async def messages(judge: Channel) -> list[Message]:
    """Take every message."""
    found = []
    while (message := await judge.get("q", no_ack=True)) is not None:
        found.append(message)
    return found


async def in_flight(
    channel: Channel, faults: Faults, promises: Promises, policy: OnDisconnect, count: int
) -> list[asyncio.Task[object]]:
    """Publish what the broker takes and does not confirm."""
    withheld = faults.withhold_confirms()
    tasks = [start(promises.publish(channel, "q", policy)) for _ in range(count)]
    await withheld.happened(count)
    withheld.cancel()
    return tasks


# --- policies -------------------------------------------------------------------------------------


async def test_wait_holds_what_comes_and_ends_what_was_under_way_as_unknown(
    connection: Connection, way: FaultProxy, faults: Faults, judge: Channel
) -> None:
    channel, promises = await connection.channel(), Promises()
    await in_flight(channel, faults, promises, "wait", 3)
    with way.refuse_connections():
        await lose(connection, way)
        await turns()
        assert promises.outcomes() == {"PublishUnknownError": 3}
        assert isinstance(promises.all()[0].outcome.__cause__, ConnectionLostError)
        held = [start(promises.publish(channel, "q")) for _ in range(20)]
        await turns()
        assert promises.outcomes() == {"PublishUnknownError": 3, "NoneType": 20}
        with pytest.raises(PublishNotSentError, match="recovering"):
            channel.publish_nowait(b"now", routing_key="q")
    await asyncio.gather(*held)
    assert promises.outcomes() == {"PublishUnknownError": 3, "Receipt": 20}
    promises.check(await drained(judge, "q"))


async def test_raise_holds_nothing(
    connection: Connection, way: FaultProxy, faults: Faults, judge: Channel
) -> None:
    channel = await connection.channel(on_disconnect="raise", max_unconfirmed=3)
    promises = Promises()
    await in_flight(channel, faults, promises, "raise", 3)
    held = [start(promises.publish(channel, "q", "raise")) for _ in range(2)]
    await turns()
    with way.refuse_connections():
        await lose(connection, way)
        await asyncio.gather(*held)
        for _ in range(2):
            await promises.publish(channel, "q", "raise")
        assert promises.outcomes() == {"PublishUnknownError": 3, "PublishNotSentError": 4}
        for promise in promises.all()[3:]:
            assert isinstance(promise.outcome, PublishNotSentError)
            assert type(promise.outcome.__cause__) is ConnectionLostError
            assert promise.outcome.retry_safe
        with pytest.raises(PublishManyError) as raised:
            await channel.publish_many([b"1", b"2"], routing_key="q")
        assert [type(each) for each in raised.value.outcomes] == [PublishNotSentError] * 2
    await back(connection)
    await promises.publish(channel, "q", "raise")
    assert promises.outcomes()["Receipt"] == 1
    promises.check(await drained(judge, "q"))


async def test_resend_sends_again_in_order_under_the_same_names(
    connection: Connection, way: FaultProxy, faults: Faults, judge: Channel
) -> None:
    channel, promises = await connection.channel(on_disconnect="resend"), Promises()
    lost = await in_flight(channel, faults, promises, "resend", 5)
    with way.refuse_connections():
        await lose(connection, way)
        held = [start(promises.publish(channel, "q", "resend")) for _ in range(5)]
        await turns()
        assert promises.outcomes() == {"NoneType": 10}
    await asyncio.gather(*lost, *held)
    receipts = [promise.outcome for promise in promises.all()]
    assert [isinstance(each, Receipt) and each.resent for each in receipts] == [True] * 5 + [
        False
    ] * 5
    arrived = await messages(judge)
    promises.check([message.body for message in arrived])
    assert [message.body for message in arrived[5:]] == [each.body for each in promises.all()]
    names = [message.message_id for message in arrived]
    assert names[:5] == names[5:10]
    assert None not in names
    assert len(set(names)) == 10
    assert all(message.persistent for message in arrived)


async def test_resend_keeps_the_publishers_own_name_and_the_rest_of_the_message(
    connection: Connection, way: FaultProxy, faults: Faults, judge: Channel
) -> None:
    channel = await connection.channel(on_disconnect="resend")
    body = bytearray(b"mine")
    own = Properties(message_id="own", headers={"a": 1}, priority=3, delivery_mode=1)
    with faults.withhold_confirms() as withheld:
        publishes = [
            start(channel.publish(body, routing_key="q", message_id="mine", headers={"b": 2})),
            start(channel.publish(memoryview(body), routing_key="q", properties=own)),
        ]
        await withheld.happened(2)
    body[:] = b"else"  # what was given stays as it was
    await bounce(connection, way)
    assert [(await publish).resent for publish in publishes] == [True, True]
    first, second = (await messages(judge))[-2:]
    assert (first.body, first.message_id, first.headers) == (b"mine", "mine", {"b": 2})
    assert (second.body, second.message_id, second.headers) == (b"mine", "own", {"a": 1})
    assert second.properties.priority == 3
    assert not second.persistent


async def test_resend_keeps_the_order_through_losses_in_the_middle_of_it(
    connection: Connection, way: FaultProxy, faults: Faults, judge: Channel
) -> None:
    channel = await connection.channel(on_disconnect="resend", max_unconfirmed=4)
    promises = Promises()
    publishes = []
    for _ in range(4):
        with faults.withhold_confirms() as withheld:
            publishes += [start(promises.publish(channel, "q", "resend")) for _ in range(3)]
            await withheld.happened()
            await lose(connection, way)
        # Nothing but the first of what is due goes through before the next loss.
        fault = way.cut("Basic.Publish", direction="to_broker", nth=2, let_through=None)
        await fault.happened()
        await connection.wait_for("recovering", timeout=30)
    await asyncio.gather(*publishes)
    assert promises.outcomes() == {"Receipt": 12}
    promises.check(await drained(judge, "q"))


async def test_what_came_back_is_returned_and_not_sent_again(
    connection: Connection, way: FaultProxy, faults: Faults, judge: Channel
) -> None:
    channel = await connection.channel(on_disconnect="resend")
    with faults.withhold_confirms() as withheld:
        lost = start(channel.publish(b"nowhere", routing_key="none", mandatory=True))
        await withheld.happened()
        await channel.flow(True)  # so that the return is here
        await lose(connection, way)
        with pytest.raises(PublishReturnedError):
            await lost
    await back(connection)
    with pytest.raises(PublishReturnedError):
        await channel.publish(b"nowhere", routing_key="none", mandatory=True)
    assert (await channel.publish(b"somewhere", routing_key="q", mandatory=True)).confirmed
    assert await drained(judge, "q") == [b"somewhere"]


async def test_what_comes_back_when_it_is_sent_again_may_have_arrived_before(
    connection: Connection, way: FaultProxy, faults: Faults, judge: Channel
) -> None:
    channel = await connection.channel(on_disconnect="resend")
    await judge.declare_queue("passing")
    with faults.withhold_confirms() as withheld:
        publish = start(channel.publish(b"", routing_key="passing", mandatory=True))
        await withheld.happened()
        with way.refuse_connections():
            await lose(connection, way)
            await judge.delete_queue("passing")
    with pytest.raises(PublishReturnedError) as returned:
        await publish
    assert not returned.value.retry_safe
    with pytest.raises(PublishReturnedError) as returned:
        await channel.publish(b"", routing_key="passing", mandatory=True)
    assert returned.value.retry_safe


async def test_without_confirms_what_is_held_goes_later(
    connection: Connection, way: FaultProxy, judge: Channel
) -> None:
    channel = await connection.channel(confirms=False)
    with way.refuse_connections():
        await lose(connection, way)
        held = [start(channel.publish(b"%d" % number, routing_key="q")) for number in range(3)]
        await turns()
        assert not any(publish.done() for publish in held)
    assert {(await publish).confirmed for publish in held} == {False}
    await channel.flow(True)
    assert await drained(judge, "q") == [b"0", b"1", b"2"]


async def test_a_pipeline_goes_on_through_a_loss(
    connection: Connection, way: FaultProxy, faults: Faults, judge: Channel
) -> None:
    channel = await connection.channel(on_disconnect="resend", max_unconfirmed=10)
    with faults.withhold_confirms(nth=15, times=2) as withheld:
        bodies = [b"%d" % number for number in range(60)]
        many = start(channel.publish_many(bodies, routing_key="q"))
        await withheld.happened(2)
        await lose(connection, way)
    receipts = await many
    assert len(receipts) == 60
    assert any(receipt.resent for receipt in receipts)
    handle = channel.publish_nowait(b"60", routing_key="q")
    await bounce(connection, way)
    assert (await handle).confirmed
    arrived = [int(body) for body in await drained(judge, "q")]
    assert list(dict.fromkeys(arrived)) == list(range(61))


async def test_a_pipeline_tells_which_messages_a_loss_has_left_unknown(
    connection: Connection, way: FaultProxy, faults: Faults, judge: Channel
) -> None:
    channel = await connection.channel(max_unconfirmed=10)
    with faults.withhold_confirms(nth=15, times=2) as withheld:
        many = start(channel.publish_many([b"%d" % each for each in range(60)], routing_key="q"))
        await withheld.happened(2)
        await lose(connection, way)
    with pytest.raises(PublishManyError) as raised:
        await many
    outcomes = raised.value.outcomes
    unknown = {each for each, outcome in enumerate(outcomes) if not isinstance(outcome, Receipt)}
    assert {14, 15} <= unknown
    assert {type(outcomes[each]) for each in unknown} == {PublishUnknownError}
    arrived = [int(body) for body in await drained(judge, "q")]
    assert sorted(set(arrived) | unknown) == list(range(60))
    assert arrived == sorted(set(arrived))


# --- deadlines ------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["wait", "resend"])
async def test_a_deadline_ends_the_wait_for_a_link(
    connection: Connection, way: FaultProxy, faults: Faults, judge: Channel, policy: OnDisconnect
) -> None:
    channel = await connection.channel(on_disconnect=policy)
    # Only who sends again waits for it; for others the loss comes first, on a busy machine too.
    limit = 0.3 if policy == "resend" else 30.0
    with faults.withhold_confirms() as withheld:
        sent = start(channel.publish(b"sent", routing_key="q", timeout=limit))
        await withheld.happened()
        with way.refuse_connections():
            await lose(connection, way)
            with pytest.raises(PublishNotSentTimeoutError, match="recovering"):
                await channel.publish(b"held", routing_key="q", timeout=0.02)
            with pytest.raises(PublishNotSentTimeoutError):
                await channel.publish(b"late", routing_key="q", timeout=0)
            with pytest.raises(PublishUnknownError) as raised:
                await sent
            assert isinstance(raised.value, PublishUnknownTimeoutError) == (policy == "resend")
    await back(connection)
    assert (await channel.publish(b"after", routing_key="q")).confirmed
    assert await drained(judge, "q") == [b"sent", b"after"]


async def test_what_waits_behind_the_window_to_be_sent_again_ends_as_unknown_at_its_deadline(
    connection: Connection, way: FaultProxy, faults: Faults, judge: Channel
) -> None:
    channel = await connection.channel(on_disconnect="resend", max_unconfirmed=2)
    withheld = faults.withhold_confirms()
    first = [start(channel.publish(b"%d" % each, routing_key="q", timeout=5)) for each in range(2)]
    await withheld.happened(2)
    await lose(connection, way)
    # Of the two only one has room on the next link, where nothing is confirmed either.
    channel._publishing._window = type(channel._publishing._window)(messages=1)
    await withheld.happened(3)
    second = start(channel.publish(b"2", routing_key="q", timeout=0.05))
    with pytest.raises(PublishNotSentTimeoutError):
        await second
    first[1].cancel()
    await turns()
    withheld.release()
    assert (await first[0]).resent
    assert await drained(judge, "q") == [b"0", b"1", b"0"]


# --- cancellation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES[::2])
async def test_a_publish_that_is_cancelled_while_it_waits_for_a_link_is_not_sent(
    connection: Connection, way: FaultProxy, faults: Faults, judge: Channel, policy: OnDisconnect
) -> None:
    channel, promises = await connection.channel(on_disconnect=policy), Promises()
    sent = await in_flight(channel, faults, promises, policy, 2)
    with way.refuse_connections():
        await lose(connection, way)
        held = [start(promises.publish(channel, "q", policy)) for _ in range(3)]
        await turns()
        for publish in [sent[0], held[1]]:
            publish.cancel()
        await turns()
    await asyncio.gather(*sent, *held, return_exceptions=True)
    arrived = await drained(judge, "q")
    promises.check(arrived)
    assert b"p 3" not in arrived
    assert arrived.count(b"p 0") == 1
    assert arrived.count(b"p 1") == (2 if policy == "resend" else 1)
