"""Settlements: what reaches the broker means exactly what the application said."""

from collections.abc import Iterator

import pytest
from pamqp.commands import Basic, Channel

from hopmq.core.channel import ChannelCore, Settlement
from hopmq.core.connection import ConnectionCore
from hopmq.core.deliveries import DeliveryLedger
from hopmq.core.events import MessageSettled
from hopmq.core.replies import NOBODY
from hopmq.errors import AlreadySettledError
from hopmq.wire import Codec, Delivery, new_method

from .actors import Waiting, deliver, get_ok, method, names, written
from .pair import START, ConnectionPair


def received(channel: ChannelCore, *tags: int) -> ChannelCore:
    """Have deliveries that wait for their settlement."""
    channel.deliveries.unsettled.update(tags)
    return channel


def settled(core: ConnectionCore) -> list[tuple[str, int, bool]]:
    """Take the settlements that a core wants sent."""
    return [
        (type(event).__name__, event.delivery_tag, getattr(event, "multiple", False))
        for event in written(core)
        if hasattr(event, "delivery_tag")
    ]


@pytest.fixture
def holding(client: ConnectionCore, channel: ChannelCore) -> ChannelCore:
    """Return the channel with deliveries 1 to 5 unsettled."""
    return received(channel, 1, 2, 3, 4, 5)


# --- coalescing ------------------------------------------------------------------------------------


def test_acks_of_one_turn_leave_as_one_frame(client: ConnectionCore, holding: ChannelCore) -> None:
    for tag in (2, 1, 3):
        assert holding.ack(tag) is Settlement.SENT
    assert settled(client) == [("Ack", 3, True)]


def test_one_ack_is_not_multiple(client: ConnectionCore, holding: ChannelCore) -> None:
    holding.ack(1)
    assert settled(client) == [("Ack", 1, False)]


def test_acks_do_not_reach_over_what_is_unsettled(
    client: ConnectionCore, holding: ChannelCore
) -> None:
    for tag in (1, 2, 4, 5):
        holding.ack(tag)
    assert settled(client) == [("Ack", 2, True), ("Ack", 4, False), ("Ack", 5, False)]


def test_acks_of_two_turns_leave_in_two_frames(
    client: ConnectionCore, holding: ChannelCore
) -> None:
    holding.ack(1)
    assert settled(client) == [("Ack", 1, False)]
    holding.ack(2)
    holding.ack(3)
    assert settled(client) == [("Ack", 3, True)]
    assert settled(client) == []


def test_an_ack_asks_for_output_once(client: ConnectionCore, holding: ChannelCore) -> None:
    asked: list[None] = []
    client.on_output = lambda: asked.append(None)
    holding.ack(1)
    holding.ack(2)
    assert asked == [None]


def test_acks_leave_before_the_method_that_follows_them(
    client: ConnectionCore, holding: ChannelCore
) -> None:
    holding.ack(1)
    holding.send(new_method(Basic.Qos))
    assert names(written(client)) == ["Ack", "Basic.Qos"]


@pytest.mark.parametrize("closing", ["channel", "connection"])
def test_acks_leave_before_a_close(
    client: ConnectionCore, holding: ChannelCore, closing: str
) -> None:
    holding.ack(1)
    if closing == "channel":
        holding.close(NOBODY)
    else:
        client.close()
    assert names(written(client))[0] == "Ack"


def test_a_message_fetched_amid_deliveries_is_not_acked_with_them(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    """The reply is noted as it comes: before its waiter runs, an ack may reach over it."""
    unsettled = channel.deliveries.unsettled
    channel.request(
        Waiting(),
        new_method(Basic.Get),
        client.codec.Fetched,
        before_reply=lambda reply: unsettled.add(reply.delivery_tag),
    )

    def consume(message: Delivery) -> None:
        unsettled.add(message.delivery_tag)
        channel.ack(message.delivery_tag)

    channel.consumers["tag"] = consume
    written(client)
    client.receive_data(deliver(1, "tag", 1) + get_ok(1, 2) + deliver(1, "tag", 3), START)
    assert settled(client) == [("Ack", 1, False), ("Ack", 3, False)]


# --- multiple, nack, reject --------------------------------------------------------------------------


def test_a_multiple_ack_settles_all_below(client: ConnectionCore, holding: ChannelCore) -> None:
    holding.ack(3, multiple=True)
    assert settled(client) == [("Ack", 3, True)]
    assert holding.deliveries.unsettled == {4, 5}


def test_a_multiple_ack_is_not_made_void_by_the_acks_before_it(
    client: ConnectionCore, holding: ChannelCore
) -> None:
    """An ack of 3 by multiple would cover 2, and the broker closes on an ack of 2 after that."""
    holding.ack(1)
    holding.ack(3)
    holding.ack(2, multiple=True)
    assert settled(client) == [("Ack", 1, False), ("Ack", 3, False), ("Ack", 2, True)]


def test_a_multiple_nack_is_never_covered_by_an_ack(
    client: ConnectionCore, holding: ChannelCore
) -> None:
    holding.ack(1)
    holding.ack(3)
    holding.nack(2, multiple=True)
    assert settled(client) == [("Ack", 1, False), ("Ack", 3, False), ("Nack", 2, True)]


def test_a_nack_and_a_reject_leave_at_once_as_they_are(
    client: ConnectionCore, holding: ChannelCore
) -> None:
    holding.nack(2, requeue=False)
    holding.reject(1, requeue=True)
    nack, reject = written(client)
    assert (nack.delivery_tag, nack.multiple, nack.requeue) == (2, False, False)
    assert (reject.delivery_tag, reject.requeue) == (1, True)
    assert holding.deliveries.unsettled == {3, 4, 5}


# --- twice, never, too late ----------------------------------------------------------------------------

SETTLEMENTS = [
    lambda channel, tag: channel.ack(tag),
    lambda channel, tag: channel.ack(tag, multiple=True),
    lambda channel, tag: channel.nack(tag),
    lambda channel, tag: channel.nack(tag, multiple=True),
    lambda channel, tag: channel.reject(tag),
]


@pytest.mark.parametrize("first", SETTLEMENTS)
@pytest.mark.parametrize("second", SETTLEMENTS)
def test_a_message_is_settled_once(
    client: ConnectionCore, holding: ChannelCore, first: object, second: object
) -> None:
    assert callable(first)
    assert callable(second)
    first(holding, 2)
    written(client)
    with pytest.raises(AlreadySettledError):
        second(holding, 2)
    assert written(client) == []
    assert {3, 4, 5} <= holding.deliveries.unsettled


@pytest.mark.parametrize("settle", SETTLEMENTS)
def test_a_message_below_a_multiple_is_settled(
    client: ConnectionCore, holding: ChannelCore, settle: object
) -> None:
    assert callable(settle)
    holding.ack(3, multiple=True)
    with pytest.raises(AlreadySettledError):
        settle(holding, 1)


@pytest.mark.parametrize("settle", SETTLEMENTS)
def test_a_message_that_was_never_delivered_cannot_be_settled(
    client: ConnectionCore, holding: ChannelCore, settle: object
) -> None:
    assert callable(settle)
    with pytest.raises(AlreadySettledError):
        settle(holding, 6)
    assert holding.deliveries.unsettled == {1, 2, 3, 4, 5}
    assert written(client) == []


@pytest.mark.parametrize("settle", SETTLEMENTS)
@pytest.mark.parametrize("end", ["channel", "peer", "connection", "eof"])
def test_a_settlement_after_the_end_is_stale_and_writes_nothing(
    client: ConnectionCore, holding: ChannelCore, settle: object, end: str
) -> None:
    assert callable(settle)
    if end == "channel":
        holding.close(NOBODY)
    elif end == "peer":
        client.receive_data(method(1, Channel.Close, reply_code=406), START)
    elif end == "connection":
        client.close()
    else:
        client.receive_eof(START)
    written(client)
    result = settle(holding, 1)
    assert result is Settlement.STALE
    assert not result
    assert written(client) == []


def test_acks_that_had_not_left_are_dropped_when_the_peer_closes(
    client: ConnectionCore, holding: ChannelCore
) -> None:
    holding.ack(1)
    client.receive_data(method(1, Channel.Close, reply_code=406), START)
    assert names(written(client)) == ["Channel.CloseOk"]


# --- recover -------------------------------------------------------------------------------------------


def test_what_was_recovered_is_stale(client: ConnectionCore, holding: ChannelCore) -> None:
    holding.ack(1)
    holding.recover(NOBODY, [])
    assert names(written(client)) == ["Ack", "Basic.Recover"]
    assert holding.ack(2) is Settlement.STALE
    assert holding.nack(5, multiple=True) is Settlement.STALE
    client.receive_data(method(1, Basic.RecoverOk), START)
    assert holding.reject(3) is Settlement.STALE
    assert written(client) == []
    assert received(holding, 6).ack(6) is Settlement.SENT


def test_what_arrives_before_recover_ok_is_stale_and_not_passed_on(
    client: ConnectionCore, holding: ChannelCore
) -> None:
    got: list[int] = []
    holding.consumers["tag"] = lambda message: got.append(message.delivery_tag)
    holding.recover(NOBODY, ["tag"])
    data = deliver(1, "tag", 6) + method(1, Basic.RecoverOk) + deliver(1, "tag", 7)
    client.receive_data(data, START)
    assert got == [7]
    assert holding.ack(6) is Settlement.STALE


# --- the server's side -----------------------------------------------------------------------------------


def test_settlements_reach_the_servers_owner_as_they_were_sent(
    pair: ConnectionPair, codec: Codec
) -> None:
    channel = received(pair.open_channel()[0], 1, 2, 3, 4)
    channel.ack(1)
    channel.ack(2)
    channel.nack(3, requeue=False)
    channel.reject(4, requeue=False)
    pair.exchange()
    assert [event.settlement for event in pair.of_server(MessageSettled)] == [
        codec.Nack(1, 3, False, False),
        codec.Reject(1, 4, False),
        codec.Ack(1, 2, True),
    ]


# --- time --------------------------------------------------------------------------------------------------


class CountingSet(set[int]):
    """A set that counts how often it is looked into, and passed through."""

    looks = 0

    def __contains__(self, tag: object) -> bool:
        self.looks += 1
        return super().__contains__(tag)

    def __iter__(self) -> Iterator[int]:
        self.looks += len(self)
        return super().__iter__()


def flush(ledger: DeliveryLedger, *tags: int) -> list[tuple[int, bool]]:
    for tag in tags:
        assert ledger.settle(tag)
    frames: list[tuple[int, bool]] = []
    ledger.pending += tags
    ledger.flush(lambda tag, multiple: frames.append((tag, multiple)))
    return frames


def test_huge_tags_and_gaps_cost_no_time() -> None:
    ledger = DeliveryLedger()
    ledger.unsettled = counting = CountingSet({1, 2**40, 2**62, 2**63, 2**64 - 2, 2**64 - 1})
    assert flush(ledger, 2**62, 2**63) == [(2**62, False), (2**63, False)]
    assert flush(ledger, 1, 2**40) == [(2**40, True)]
    assert flush(ledger, 2**64 - 2, 2**64 - 1) == [(2**64 - 1, True)]
    assert counting.looks < 10_000


def test_a_message_that_stays_unsettled_does_not_slow_the_others_down() -> None:
    ledger = DeliveryLedger()
    ledger.unsettled = counting = CountingSet(range(1, 40_001))
    for tag in range(2, 20_000, 2):
        assert flush(ledger, tag, tag + 1) == [(tag, False), (tag + 1, False)]
    assert counting.looks < 50_000


def test_many_unsettled_messages_do_not_slow_the_others_down() -> None:
    ledger = DeliveryLedger()
    ledger.unsettled = counting = CountingSet(range(100_000, 110_000))
    ledger.unsettled.update(range(1_000_000, 1_002_000))
    for tag in range(1_000_000, 1_002_000, 2):
        assert flush(ledger, tag, tag + 1) == [(tag, False), (tag + 1, False)]
    assert counting.looks < 100_000


def test_each_tag_in_order_is_looked_at_about_once() -> None:
    ledger = DeliveryLedger()
    ledger.unsettled = counting = CountingSet(range(1, 40_001))
    for tag in range(1, 40_000, 2):
        assert flush(ledger, tag, tag + 1) == [(tag + 1, True)]
    assert counting.looks < 4 * 40_000
