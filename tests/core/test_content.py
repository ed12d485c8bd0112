"""Messages on their way in: to consumers, to requests, back to publishers, and too large ones."""

from typing import Any

import pytest
from pamqp.commands import Basic, Channel, Confirm

from hopmq.core.channel import RETURN_TOKEN, ChannelCore
from hopmq.core.connection import ConnectionCore
from hopmq.core.events import (
    ChannelEnded,
    ConnectionEnded,
    ConsumerCancelled,
    MessagePublished,
    MessageReturned,
    MessageSkipped,
)
from hopmq.core.replies import NOBODY
from hopmq.core.states import ChannelState, ConnectionState
from hopmq.errors import (
    ContentTooLargeError,
    UnexpectedFrameError,
)
from hopmq.wire import Codec, Properties, new_method

from .actors import (
    Publish,
    Waiting,
    deliver,
    frame,
    get_ok,
    method,
    methods,
    returned,
    written,
)
from .conversation import SERVER_SIDE
from .pair import START, ConnectionPair, client_settings, server_settings


def code_of(core: ConnectionCore) -> int:
    """Return the reply code of the error that has just ended a connection."""
    *_, ended = core.events()
    assert isinstance(ended, ConnectionEnded)
    return ended.error.reply_code


# --- deliveries ----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 5, None])
def test_each_delivery_reaches_its_consumer_once_and_in_order(
    client: ConnectionCore, channel: ChannelCore, step: int | None
) -> None:
    got: dict[str, list[Any]] = {"one": [], "two": []}
    for tag, messages in got.items():
        channel.consumers[tag] = messages.append
    data = b"".join(deliver(1, tag, number, b"x" * number) for number, tag in enumerate(
        ["one", "two", "one", "two", "two"], start=1
    ))  # fmt: skip
    for start in range(0, len(data), step or len(data)):
        client.receive_data(data[start : start + (step or len(data))], START)
    assert [each.delivery_tag for each in got["one"]] == [1, 3]
    assert [each.delivery_tag for each in got["two"]] == [2, 4, 5]
    assert [len(each.body) for each in got["two"]] == [2, 4, 5]
    assert client.events() == []


def test_a_delivery_keeps_all_that_was_published(pair: ConnectionPair) -> None:
    channel, _ = pair.open_channel()
    properties = Properties(content_type="text/plain", headers={"n": 1}, delivery_mode=2)
    channel.publish(None, "orders", "eu.new", True, properties, b"hello")
    pair.exchange()
    (event,) = pair.of_server(MessagePublished)
    message = event.message
    assert event.channel == 1
    assert (message.exchange, message.routing_key, message.mandatory) == ("orders", "eu.new", True)
    assert message.properties == properties
    assert message.body == b"hello"


def test_the_owner_chooses_the_class_of_deliveries(codec: Codec) -> None:
    chosen: Any = type("Chosen", (codec.Delivery,), {"__slots__": ()})
    owned = ConnectionCore(client_settings(), START, codec=codec, delivery_type=chosen)
    owned.receive_data(SERVER_SIDE, START)
    channel = owned.open_channel(Waiting())
    owned.receive_data(method(1, Channel.OpenOk), START)
    got: list[Any] = []
    channel.consumers["tag"] = got.append
    owned.receive_data(deliver(1, "tag", 1), START)
    assert type(got[0]) is chosen


@pytest.mark.parametrize("tag", ["", "unknown", "TAG"])
def test_a_delivery_for_an_unknown_consumer_is_a_505(
    client: ConnectionCore, channel: ChannelCore, tag: str
) -> None:
    channel.consumers["tag"] = lambda _: None
    client.receive_data(deliver(1, tag, 1), START)
    assert code_of(client) == 505


def test_a_consumer_of_another_channel_does_not_count(
    pair: ConnectionPair, client: ConnectionCore, channel: ChannelCore
) -> None:
    other, _ = pair.open_channel()
    other.consumers["tag"] = lambda _: None
    client.receive_data(deliver(1, "tag", 1), START)
    assert code_of(client) == 505


def test_nothing_is_delivered_after_a_fault_in_the_same_read(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    got: list[Any] = []
    channel.consumers["tag"] = got.append
    data = deliver(1, "tag", 1) + deliver(1, "unknown", 2) + deliver(1, "tag", 3)
    client.receive_data(data, START)
    assert [each.delivery_tag for each in got] == [1]


def test_the_brokers_cancel_ends_the_consumer_and_is_told(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    channel.consumers["tag"] = lambda _: None
    client.receive_data(method(1, Basic.Cancel, consumer_tag="tag", nowait=True), START)
    assert client.events() == [ConsumerCancelled(1, "tag")]
    assert channel.consumers == {}
    assert written(client) == []


def test_a_cancel_of_an_unknown_consumer_is_answered_and_told_to_nobody(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    client.receive_data(method(1, Basic.Cancel, consumer_tag="gone"), START)
    assert client.events() == []
    (reply,) = methods(written(client))
    assert isinstance(reply, Basic.CancelOk)
    assert reply.consumer_tag == "gone"


# --- fetched ---------------------------------------------------------------------------------------


def test_a_get_ok_that_nobody_asked_for_is_a_505(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    client.receive_data(get_ok(1, 1), START)
    assert code_of(client) == 505


def test_a_get_ok_cannot_answer_anything_but_a_get(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    waiter = Waiting()
    channel.request(waiter, new_method(Basic.Qos), Basic.QosOk)
    client.receive_data(get_ok(1, 1), START)
    assert isinstance(waiter.error, UnexpectedFrameError)


# --- returned --------------------------------------------------------------------------------------


@pytest.fixture
def publishes(channel: ChannelCore) -> list[Publish]:
    """Return three publishes on the channel, which has confirms."""
    channel.select_confirms(NOBODY)
    made = [Publish() for _ in range(3)]
    for publish in made:
        channel.publish(publish, "", "q", True, None, b"")
    return made


def test_a_return_finds_its_publish_by_the_token_alone(
    client: ConnectionCore, channel: ChannelCore, publishes: list[Publish]
) -> None:
    data = method(1, Confirm.SelectOk) + returned(1, {RETURN_TOKEN: 2}, b"second")
    client.receive_data(data, START)
    assert [publish.came_back is not None for publish in publishes] == [False, True, False]
    assert publishes[1].came_back is not None
    assert publishes[1].came_back.body == b"second"
    (event,) = client.events()
    assert isinstance(event, MessageReturned)


def test_the_token_is_shown_to_nobody(
    client: ConnectionCore, channel: ChannelCore, publishes: list[Publish]
) -> None:
    data = method(1, Confirm.SelectOk) + returned(1, {RETURN_TOKEN: 2, "own": "header"})
    client.receive_data(data, START)
    (event,) = client.events()
    assert isinstance(event, MessageReturned)
    assert event.message.properties.headers == {"own": "header"}


def test_a_return_does_not_settle_its_publish_the_ack_behind_it_does(
    client: ConnectionCore, channel: ChannelCore, publishes: list[Publish], codec: Codec
) -> None:
    client.receive_data(method(1, Confirm.SelectOk) + returned(1, {RETURN_TOKEN: 1}), START)
    assert publishes[0].outcome is None
    client.receive_data(codec.encode_ack(1, 1, False), START)
    assert publishes[0].outcome == "confirmed"
    assert publishes[0].came_back is not None


@pytest.mark.parametrize("token", [None, 0, 4, -1, 2**62, "2", 2.0, b"2", [2]])
def test_a_return_with_a_token_that_is_none_of_ours_is_only_told(
    client: ConnectionCore, channel: ChannelCore, publishes: list[Publish], token: Any
) -> None:
    client.receive_data(method(1, Confirm.SelectOk) + returned(1, {RETURN_TOKEN: token}), START)
    assert [publish.came_back for publish in publishes] == [None] * 3
    assert [type(event) for event in client.events()] == [MessageReturned]


def test_a_return_without_headers_or_confirms_is_only_told(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    client.receive_data(returned(1) + returned(1, {RETURN_TOKEN: 1}), START)
    assert [type(event) for event in client.events()] == [MessageReturned] * 2


def test_a_message_id_never_matches_a_return(
    client: ConnectionCore, channel: ChannelCore, publishes: list[Publish], codec: Codec
) -> None:
    out: list[Any] = []
    properties = Properties(message_id="2", correlation_id="2")
    codec.append_return(out, 1, 312, "NO_ROUTE", "", "q", properties, b"", 4096)
    client.receive_data(method(1, Confirm.SelectOk) + b"".join(out), START)
    assert [publish.came_back for publish in publishes] == [None] * 3


# --- too large -------------------------------------------------------------------------------------


@pytest.fixture
def small(codec: Codec) -> ConnectionPair:
    """Return an open connection whose ends accept messages of 100 bytes."""
    return ConnectionPair(
        codec, client_settings(max_message_size=100), server_settings(max_message_size=100)
    ).open()


def test_a_message_of_the_limit_passes(small: ConnectionPair) -> None:
    channel, _ = small.open_channel()
    got: list[Any] = []
    channel.consumers["tag"] = got.append
    small.client.receive_data(deliver(1, "tag", 1, bytes(100)), START)
    assert len(got[0].body) == 100


@pytest.mark.parametrize("step", [1, None])
def test_a_message_above_the_limit_closes_its_channel_alone(
    small: ConnectionPair, step: int | None
) -> None:
    channel, _ = small.open_channel()
    other, _ = small.open_channel()
    got: list[Any] = []
    other.consumers["tag"] = channel.consumers["tag"] = got.append
    data = deliver(1, "tag", 1, bytes(101)) + deliver(1, "tag", 2) + deliver(2, "tag", 1)
    for start in range(0, len(data), step or len(data)):
        small.client.receive_data(data[start : start + (step or len(data))], START)
    skipped, ended = small.client.events()
    assert skipped == MessageSkipped(1, 101)
    assert isinstance(ended, ChannelEnded)
    assert isinstance(ended.error, ContentTooLargeError)
    assert [each.channel for each in got] == [2]
    assert channel.state is ChannelState.CLOSING
    assert other.state is ChannelState.OPEN
    (close,) = methods(written(small.client))
    assert isinstance(close, Channel.Close)
    assert close.reply_code == 311
    small.client.receive_data(method(1, Channel.CloseOk), START)
    assert channel.state is ChannelState.CLOSED
    assert small.client.state is ConnectionState.OPEN


def test_a_get_of_a_message_above_the_limit_fails_with_it(small: ConnectionPair) -> None:
    channel, _ = small.open_channel()
    waiter = Waiting()
    channel.request(waiter, new_method(Basic.Get), small.client.codec.Fetched, Basic.GetEmpty)
    small.client.receive_data(get_ok(1, 1, bytes(101)), START)
    assert isinstance(waiter.error, ContentTooLargeError)


def test_a_publish_above_the_servers_limit_closes_its_channel_alone(small: ConnectionPair) -> None:
    channel, theirs = small.open_channel()
    small.open_channel()
    channel.publish(None, "", "q", False, None, bytes(10_000))
    channel.publish(None, "", "q", False, None, b"behind it")
    small.exchange()
    assert small.of_server(MessageSkipped) == [MessageSkipped(1, 10_000)]
    assert small.of_server(MessagePublished) == []
    (ended,) = small.of_client(ChannelEnded)
    assert ended.error.reply_code == 406  # as RabbitMQ has it
    assert theirs.state is ChannelState.CLOSED
    assert list(small.client.channels) == list(small.server.channels) == [2]


def test_the_announced_size_alone_costs_nothing(small: ConnectionPair) -> None:
    channel, _ = small.open_channel()
    channel.consumers["tag"] = lambda _: None
    head = deliver(1, "tag", 1, b"")
    begin = head[: head.index(b"\xce") + 1]
    header = frame(2, 1, bytes.fromhex("003c 0000 ffffffffffffffff 0000"))
    small.client.receive_data(begin + header, START)
    assert small.client.events()[0] == MessageSkipped(1, 2**64 - 1)
    for _ in range(100):
        small.client.receive_data(frame(3, 1, bytes(4000)), START)
    assert small.client.decoder.buffered == 0
    assert small.client.state is ConnectionState.OPEN


# --- broken contents -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data, code",
    [
        (frame(3, 1, b"body"), 505),
        (frame(2, 1, bytes.fromhex("003c 0000 0000000000000001 0000")), 505),
        (deliver(1, "tag", 1)[:-12] + method(1, Basic.QosOk), 505),
        (deliver(1, "tag", 1)[:-12] + deliver(1, "tag", 2), 505),
        (deliver(1, "tag", 1)[:-12] + frame(3, 1, b"body and more"), 501),
        (frame(2, 0, bytes.fromhex("003c 0000 0000000000000001 0000")), 504),
    ],
)
def test_contents_out_of_order_end_the_connection(
    client: ConnectionCore, channel: ChannelCore, data: bytes, code: int
) -> None:
    channel.consumers["tag"] = lambda _: None
    client.receive_data(data, START)
    assert code_of(client) == code


def test_heartbeats_may_stand_between_the_frames_of_a_message(
    client: ConnectionCore, channel: ChannelCore
) -> None:
    got: list[Any] = []
    channel.consumers["tag"] = got.append
    data = deliver(1, "tag", 1)
    client.receive_data(data[:-12] + frame(8, 0, b"") + data[-12:], START)
    assert got[0].body == b"body"


def test_too_much_in_unfinished_messages_ends_the_connection(small: ConnectionPair) -> None:
    begin = deliver(1, "tag", 1, b"")
    begin = begin[: begin.index(b"\xce") + 1]
    header = frame(2, 1, bytes.fromhex("003c 0000 0000000000000064 0000"))
    for number in range(1, 6):
        channel, _ = small.open_channel()
        channel.consumers["tag"] = lambda _: None
        part = begin + header + frame(3, 1, bytes(99))
        small.client.receive_data(_on_channel(part, number), START)
    assert code_of(small.client) == 506


def _on_channel(data: bytes, channel: int) -> bytes:
    """Move frames of channel 1 to another."""
    return data.replace(b"\x00\x01\x00\x00", channel.to_bytes(2, "big") + b"\x00\x00")
