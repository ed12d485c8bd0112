"""Publishing: what a broker checks of a message, and what it leaves as it is."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from hopmq.typedefs import FieldTable
from hopmq.wire import Ack, Properties
from parity.channel import ChannelDriver
from parity.driver import Peer
from parity.endings import access_refused, not_found, precondition_failed

MIB = 1024 * 1024


async def round_trip(channel: ChannelDriver, queue: str, properties: Properties) -> Properties:
    """Publish a message, fetch it, and return its properties."""
    await channel.declare(queue, exclusive=True)
    channel.publish(routing_key=queue, properties=properties)
    message = await channel.get(queue)
    assert message is not None
    return message.properties


# --- where to ----------------------------------------------------------------------------------


@pytest.mark.parametrize("confirms", [False, True])
async def test_a_missing_exchange_costs_the_channel(channel: ChannelDriver, confirms: bool) -> None:
    if confirms:
        await channel.confirm()
    channel.publish(exchange="no-such-exchange", mandatory=True)
    closed = await channel.until_closed()
    assert closed.answer == not_found("no exchange 'no-such-exchange' in vhost '/'")
    assert closed.blamed == (60, 40)
    assert not channel.inbox


async def test_an_internal_exchange_is_not_published_to(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(name, internal=True)
    channel.publish(exchange=name)
    closed = await channel.until_closed()
    assert closed.answer == access_refused(
        f"cannot publish to internal exchange '{name}' in vhost '/'"
    )
    assert closed.blamed == (60, 40)


async def test_an_exchange_may_become_internal(channel: ChannelDriver, name: str) -> None:
    publisher = await channel.peer.channel()
    await channel.exchange(name)
    await publisher.confirm()
    await publisher.put(exchange=name)
    await channel.delete_exchange(name)
    await channel.exchange(name, internal=True)
    publisher.publish(exchange=name)
    assert (await publisher.until_closed()).code == 403


async def test_the_exchange_for_traces_is_internal(channel: ChannelDriver) -> None:
    channel.publish(exchange="amq.rabbitmq.trace")
    assert (await channel.until_closed()).answer == access_refused(
        "cannot publish to internal exchange 'amq.rabbitmq.trace' in vhost '/'"
    )


async def test_the_default_exchange_has_no_other_name(channel: ChannelDriver) -> None:
    channel.publish(exchange="amq.default")
    assert (await channel.until_closed()).answer == not_found(
        "no exchange 'amq.default' in vhost '/'"
    )


async def test_immediate_is_not_implemented(peer: Peer, name: str) -> None:
    channel = await peer.channel()
    await channel.declare(name, exclusive=True)
    channel.publish(routing_key=name, immediate=True)
    closed = await peer.until_closed()
    assert closed.answer == ("connection", 540, "NOT_IMPLEMENTED - immediate=true")
    assert closed.blamed == (60, 40)


async def test_messages_before_a_refused_one_are_routed(channel: ChannelDriver, name: str) -> None:
    publisher = await channel.peer.channel()
    await channel.declare(name, exclusive=True)
    publisher.publish(b"1", routing_key=name)
    publisher.publish(b"2", exchange="no-such-exchange")
    publisher.publish(b"3", routing_key=name)
    await publisher.until_closed()
    assert await channel.drain(name) == [b"1"]


# --- bodies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 131_064, 131_065, 131_072, 300_000, 16 * MIB])
async def test_a_body_arrives_as_it_was(channel: ChannelDriver, name: str, size: int) -> None:
    await channel.declare(name, exclusive=True)
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    channel.publish(body, routing_key=name)
    message = await channel.get(name)
    assert message is not None
    assert message.body == body


async def test_newer_releases_take_messages_of_16_mib_at_most(
    channel: ChannelDriver, release: str, name: str
) -> None:
    size = 16 * MIB + 1
    await channel.confirm()
    await channel.declare(name, exclusive=True)
    channel.publish(bytes(size), routing_key=name)
    if release == "3.10":
        await channel.next(Ack)
        return
    closed = await channel.until_closed()
    assert closed.answer == precondition_failed(
        f"message size {size} is larger than configured max size {16 * MIB}"
    )
    assert closed.blamed == (60, 40)


# --- properties --------------------------------------------------------------------------------

EVERYTHING = Properties(
    content_type="text/plain; charset=utf-8",
    content_encoding="gzip",
    headers={"a": 1, "b": "two", "c": [True, None, {"d": 1.5}], "e": Decimal("1.50")},
    delivery_mode=2,
    priority=9,
    correlation_id="correlation",
    reply_to="reply",
    expiration="60000",
    message_id="message",
    timestamp=datetime(2024, 2, 29, 12, 30, 15, tzinfo=UTC),
    type="type",
    user_id="guest",
    app_id="app",
    cluster_id="cluster",
)


async def test_all_properties_arrive_as_they_were(channel: ChannelDriver, name: str) -> None:
    assert await round_trip(channel, name, EVERYTHING) == EVERYTHING


async def test_no_properties_arrive_as_none(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    channel.publish(routing_key=name)
    message = await channel.get(name)
    assert message is not None
    assert message.raw_properties == b"\x00\x00"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-death": 1},
        {"x-delay": "long"},
        {"": ""},
        {"ü" * 127: "ü" * 1000},
        {"bytes": b"\xff\x00"},
        {"deep": {"deep": {"deep": [[[]]]}}},
        {"numbers": [-(1 << 63), (1 << 63) - 1, 0, -1, 255, 65536, 1.5, Decimal("-0.001")]},
        {"time": datetime(2024, 1, 1, tzinfo=UTC)},
        {f"header-{number}": number for number in range(200)},
    ],
    ids=lambda headers: ",".join(headers)[:20],
)
async def test_headers_arrive_as_they_were(
    channel: ChannelDriver, name: str, headers: FieldTable
) -> None:
    assert (await round_trip(channel, name, Properties(headers=headers))).headers == headers


@pytest.mark.parametrize("value", [1, 2])
async def test_a_delivery_mode_arrives_as_it_was(
    channel: ChannelDriver, name: str, value: int
) -> None:
    assert (await round_trip(channel, name, Properties(delivery_mode=value))).delivery_mode == value


@pytest.mark.parametrize("value", [0, 3, 255])
async def test_an_unknown_delivery_mode_is_refused_by_the_oldest_release(
    channel: ChannelDriver, release: str, name: str, value: int
) -> None:
    properties = Properties(delivery_mode=value)
    if release != "3.10":
        assert (await round_trip(channel, name, properties)).delivery_mode == value
        return
    channel.publish(routing_key=name, properties=properties)
    assert (await channel.until_closed()).answer == precondition_failed(
        f"invalid message: {{delivery_mode_unknown,{value}}}"
    )


@pytest.mark.parametrize("value", [0, 1, 9, 10, 255])
async def test_any_priority_will_do(channel: ChannelDriver, name: str, value: int) -> None:
    assert (await round_trip(channel, name, Properties(priority=value))).priority == value


@pytest.mark.parametrize("value", ["other", "", "Guest", "guest "])
async def test_a_user_id_is_the_users_own(channel: ChannelDriver, value: str) -> None:
    channel.publish(properties=Properties(user_id=value))
    closed = await channel.until_closed()
    assert closed.answer == precondition_failed(
        f"user_id property set to '{value}' but authenticated user was 'guest'"
    )
    assert closed.blamed == (60, 40)


TEN_YEARS = "315360000000"


@pytest.mark.parametrize("value", ["10000", "4294967296", TEN_YEARS])
async def test_an_expiration_is_milliseconds_in_digits(
    channel: ChannelDriver, name: str, value: str
) -> None:
    assert (await round_trip(channel, name, Properties(expiration=value))).expiration == value


async def test_a_sign_of_an_expiration_is_lost_in_newer_releases(
    channel: ChannelDriver, release: str, name: str
) -> None:
    expected = "+10000" if release == "3.10" else "10000"
    assert (await round_trip(channel, name, Properties(expiration="+10000"))).expiration == expected


@pytest.mark.parametrize(
    "value, words",
    [
        ("", "no_integer"),
        ("abc", "no_integer"),
        (" 10", "no_integer"),
        ("10 ", '{leftover_string," "}'),
        ("1.5", '{leftover_string,".5"}'),
        ("1e3", '{leftover_string,"e3"}'),
        ("-1", "{value_negative,-1}"),
        ("315360000001", "{value_too_large,315360000001}"),
    ],
)
async def test_another_expiration_is_refused(
    channel: ChannelDriver, value: str, words: str
) -> None:
    channel.publish(properties=Properties(expiration=value))
    closed = await channel.until_closed()
    assert closed.answer == precondition_failed(f"invalid expiration '{value}': {words}")
    assert closed.blamed == (60, 40)


async def test_an_expiration_of_zero_is_gone_unless_somebody_waits(
    channel: ChannelDriver, name: str
) -> None:
    await channel.confirm()
    await channel.declare(name, exclusive=True)
    await channel.put(routing_key=name, properties=Properties(expiration="0"))
    assert await channel.get(name) is None


async def test_nobody_answers_without_a_direct_reply_consumer(channel: ChannelDriver) -> None:
    channel.publish(properties=Properties(reply_to="amq.rabbitmq.reply-to"))
    closed = await channel.until_closed()
    assert closed.answer == precondition_failed("fast reply consumer does not exist")
    assert closed.blamed == (60, 40)


async def test_properties_are_checked_even_where_nothing_is_routed(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name)
    channel.publish(exchange=name, properties=replace(EVERYTHING, expiration="abc"))
    assert (await channel.until_closed()).code == 406


# --- CC and BCC --------------------------------------------------------------------------------


async def copies(channel: ChannelDriver, name: str, headers: FieldTable) -> list[FieldTable | None]:
    """Publish to the first of four queues; return the headers that each one got."""
    queues = [f"{name}-{letter}" for letter in "abcd"]
    for queue in queues:
        await channel.declare(queue, exclusive=True)
    channel.publish(routing_key=queues[0], properties=Properties(headers=headers))
    messages = [await channel.get(queue) for queue in queues]
    for message in messages:
        assert message is None or message.routing_key == queues[0]
    return [None if message is None else message.properties.headers for message in messages]


@pytest.mark.parametrize("header", ["CC", "BCC"])
async def test_a_message_is_routed_by_more_keys(
    channel: ChannelDriver, name: str, header: str
) -> None:
    headers: FieldTable = {header: [f"{name}-b", f"{name}-c"], "other": 1}
    kept = headers if header == "CC" else {"other": 1}
    assert await copies(channel, name, headers) == [kept, kept, kept, None]


async def test_both_headers_add_keys_and_one_is_hidden(channel: ChannelDriver, name: str) -> None:
    headers = {"CC": [f"{name}-b"], "BCC": [f"{name}-d"]}
    kept = {"CC": [f"{name}-b"]}
    assert await copies(channel, name, headers) == [kept, kept, None, kept]


async def test_keys_that_repeat_deliver_once(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    headers: FieldTable = {"CC": [name, name], "BCC": [name]}
    channel.publish(routing_key=name, properties=Properties(headers=headers))
    assert len(await channel.drain(name)) == 1


@pytest.mark.parametrize(
    "headers",
    [{"cc": ["-b"]}, {"Cc": ["-b"]}, {"CC": []}, {"CC": [1]}, {"BCC": [None]}],
    ids=str,
)
async def test_other_headers_add_no_keys(
    channel: ChannelDriver, name: str, headers: FieldTable
) -> None:
    kept = {} if "BCC" in headers else headers
    assert await copies(channel, name, headers) == [kept, None, None, None]


@pytest.mark.parametrize("header", ["CC", "BCC"])
@pytest.mark.parametrize(
    "value, kind",
    [("queue", "longstr"), (1, "byte"), ({}, "table"), (None, "void"), (True, "bool")],
)
async def test_added_keys_are_a_list(
    channel: ChannelDriver, header: str, value: object, kind: str
) -> None:
    headers = {header: value}
    channel.publish(properties=Properties(headers=headers))  # type: ignore[arg-type]
    closed = await channel.until_closed()
    assert closed.answer == precondition_failed(
        f'invalid message: {{unacceptable_type_in_header,"{header}",{kind}}}'
    )
    assert closed.blamed == (60, 40)


async def test_added_keys_are_routed_by_the_exchange(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(name, "topic")
    for letter in "ab":
        await channel.declare(f"{name}-{letter}", exclusive=True)
        await channel.bind(f"{name}-{letter}", name, f"{letter}.*")
    headers: FieldTable = {"CC": ["a.1", "a.2"], "BCC": ["b.1"]}
    channel.publish(exchange=name, routing_key="c.1", properties=Properties(headers=headers))
    for letter in "ab":
        assert len(await channel.drain(f"{name}-{letter}")) == 1
