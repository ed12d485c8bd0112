"""Direct, fanout and default exchanges, exchanges behind exchanges, and alternate ones."""

from collections import Counter

import pytest

from hopmq.wire import Properties
from parity.channel import ChannelDriver
from parity.routes import is_routed

# --- the default exchange ----------------------------------------------------------------------


async def test_every_queue_is_bound_to_the_default_exchange_by_its_name(
    channel: ChannelDriver, name: str
) -> None:
    await channel.confirm()
    assert not await is_routed(channel, "", name)
    await channel.declare(name, exclusive=True)
    assert await is_routed(channel, "", name)
    assert not await is_routed(channel, "", name.upper())
    await channel.delete(name)
    assert not await is_routed(channel, "", name)


async def test_a_server_named_queue_is_bound_to_it_too(channel: ChannelDriver) -> None:
    await channel.confirm()
    declared = await channel.declare(exclusive=True)
    assert await is_routed(channel, "", str(declared.queue))


async def test_the_empty_key_is_no_queue(channel: ChannelDriver) -> None:
    await channel.confirm()
    await channel.declare(exclusive=True)
    assert not await is_routed(channel, "", "")


# --- direct and fanout -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bound, key, expected",
    [
        ("key", "key", True),
        ("key", "Key", False),
        ("key", "key ", False),
        ("key", "", False),
        ("", "", True),
        ("", "key", False),
        ("#", "key", False),
        ("#", "#", True),
        ("*", "key", False),
        ("a.b", "a.b", True),
        ("ü" * 127, "ü" * 127, True),
        ("x" * 255, "x" * 255, True),
        ("x" * 255, "x" * 254, False),
    ],
)
async def test_a_direct_exchange_compares_whole_keys(
    channel: ChannelDriver, name: str, bound: str, key: str, expected: bool
) -> None:
    await channel.confirm()
    await channel.exchange(name, "direct")
    await channel.declare(name, exclusive=True)
    await channel.bind(name, name, bound)
    assert await is_routed(channel, name, key) is expected


@pytest.mark.parametrize("key", ["", "key", "a.b.c"])
@pytest.mark.parametrize("bound", ["", "other"])
async def test_a_fanout_exchange_looks_at_no_key(
    channel: ChannelDriver, name: str, bound: str, key: str
) -> None:
    await channel.confirm()
    await channel.exchange(name, "fanout")
    assert not await is_routed(channel, name, key)
    await channel.declare(name, exclusive=True)
    await channel.bind(name, name, bound)
    assert await is_routed(channel, name, key)


@pytest.mark.parametrize("exchange_type", ["direct", "fanout", "topic", "headers"])
async def test_every_bound_queue_gets_one_copy(
    channel: ChannelDriver, name: str, exchange_type: str
) -> None:
    await channel.exchange(name, exchange_type)
    queues = [f"{name}-{number}" for number in range(3)]
    for queue in queues:
        await channel.declare(queue, exclusive=True)
        await channel.bind(queue, name, "key")
    channel.publish(b"a message", exchange=name, routing_key="key")
    for queue in queues:
        assert await channel.drain(queue) == [b"a message"]


@pytest.mark.parametrize("exchange_type", ["direct", "fanout"])
async def test_several_bindings_of_a_queue_deliver_once(
    channel: ChannelDriver, name: str, exchange_type: str
) -> None:
    await channel.exchange(name, exchange_type)
    await channel.declare(name, exclusive=True)
    for key in ("key", "other"):
        await channel.bind(name, name, key)
    await channel.bind(name, name, "key", {"an": "argument"})
    channel.publish(exchange=name, routing_key="key")
    assert len(await channel.drain(name)) == 1


async def test_a_message_tells_its_exchange_and_key(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(name, "fanout")
    await channel.declare(name, exclusive=True)
    await channel.bind(name, name, "bound")
    channel.publish(exchange=name, routing_key="published")
    message = await channel.get(name)
    assert message is not None
    assert (message.exchange, message.routing_key) == (name, "published")


# --- exchanges behind exchanges ----------------------------------------------------------------


async def test_a_message_goes_on_to_bound_exchanges_and_keeps_its_key(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name, "direct")
    await channel.exchange(f"{name}-2", "topic")
    await channel.declare(name, exclusive=True)
    await channel.bind_exchange(f"{name}-2", name, "a.b")
    await channel.bind(name, f"{name}-2", "*.b")
    channel.publish(b"1", exchange=name, routing_key="a.b")
    channel.publish(b"2", exchange=name, routing_key="c.b")
    message = await channel.get(name)
    assert message is not None
    assert (message.exchange, message.routing_key, message.body) == (name, "a.b", b"1")
    assert await channel.drain(name) == []


async def test_two_ways_to_a_queue_deliver_once(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(name, "fanout")
    await channel.declare(name, exclusive=True)
    await channel.bind(name, name)
    for way in ("left", "right"):
        await channel.exchange(f"{name}-{way}", "fanout")
        await channel.bind_exchange(f"{name}-{way}", name)
        await channel.bind(name, f"{name}-{way}")
    channel.publish(exchange=name)
    assert len(await channel.drain(name)) == 1


async def test_a_circle_of_exchanges_ends(channel: ChannelDriver, name: str) -> None:
    ring = [f"{name}-{number}" for number in range(3)]
    await channel.declare(name, exclusive=True)
    for exchange in ring:
        await channel.exchange(exchange, "fanout")
        await channel.bind(name, exchange)
    for source, destination in zip(ring, [*ring[1:], ring[0]], strict=True):
        await channel.bind_exchange(destination, source)
    await channel.bind_exchange(ring[0], ring[0])
    channel.publish(exchange=ring[1])
    assert len(await channel.drain(name)) == 1


async def test_an_internal_exchange_is_reached_through_another(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name, "fanout")
    await channel.exchange(f"{name}-internal", "fanout", internal=True)
    await channel.declare(name, exclusive=True)
    await channel.bind_exchange(f"{name}-internal", name)
    await channel.bind(name, f"{name}-internal")
    channel.publish(b"a message", exchange=name)
    assert await channel.drain(name) == [b"a message"]


async def test_an_unbound_exchange_is_passed_no_more(channel: ChannelDriver, name: str) -> None:
    await channel.confirm()
    await channel.exchange(name, "fanout")
    await channel.exchange(f"{name}-2", "fanout")
    await channel.declare(name, exclusive=True)
    await channel.bind(name, f"{name}-2")
    await channel.bind_exchange(f"{name}-2", name)
    assert await is_routed(channel, name)
    await channel.unbind_exchange(f"{name}-2", name)
    assert not await is_routed(channel, name)


# --- alternate exchanges -----------------------------------------------------------------------


async def with_alternate(channel: ChannelDriver, name: str, alternate: str) -> None:
    """Declare a direct exchange that passes on what it cannot route."""
    await channel.exchange(name, arguments={"alternate-exchange": alternate})


async def test_what_is_not_routed_goes_to_the_alternate_exchange(
    channel: ChannelDriver, name: str
) -> None:
    await channel.confirm()
    await channel.exchange(f"{name}-alternate", "fanout")
    await with_alternate(channel, name, f"{name}-alternate")
    await channel.declare(name, exclusive=True)
    await channel.bind(name, f"{name}-alternate")
    assert await is_routed(channel, name, "key", body=b"a message")
    message = await channel.get(name)
    assert message is not None
    assert (message.exchange, message.routing_key) == (name, "key")


async def test_what_is_routed_does_not_go_there(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(f"{name}-alternate", "fanout")
    await with_alternate(channel, name, f"{name}-alternate")
    for queue, exchange in ((name, name), (f"{name}-lost", f"{name}-alternate")):
        await channel.declare(queue, exclusive=True)
        await channel.bind(queue, exchange, "key")
    channel.publish(b"1", exchange=name, routing_key="key")
    channel.publish(b"2", exchange=name, routing_key="other")
    assert await channel.drain(name) == [b"1"]
    assert await channel.drain(f"{name}-lost") == [b"2"]


async def test_alternates_are_followed_along_a_chain(channel: ChannelDriver, name: str) -> None:
    await channel.confirm()
    await with_alternate(channel, name, f"{name}-2")
    await with_alternate(channel, f"{name}-2", f"{name}-3")
    await channel.exchange(f"{name}-3", "fanout", internal=True)
    await channel.declare(name, exclusive=True)
    await channel.bind(name, f"{name}-3")
    assert await is_routed(channel, name, "key")


@pytest.mark.parametrize("alternate", ["", "amq.default", "no-such-exchange"])
async def test_an_alternate_that_is_missing_takes_nothing(
    channel: ChannelDriver, name: str, alternate: str
) -> None:
    await channel.confirm()
    await channel.declare(name, exclusive=True)
    await with_alternate(channel, name, alternate)
    assert not await is_routed(channel, name, name)


@pytest.mark.parametrize("length", [1, 2, 3])
async def test_a_circle_of_alternates_ends(channel: ChannelDriver, name: str, length: int) -> None:
    await channel.confirm()
    for number in range(length):
        await with_alternate(channel, f"{name}-{number}", f"{name}-{(number + 1) % length}")
    assert not await is_routed(channel, f"{name}-0", "key")


async def test_an_exchange_behind_counts_as_routed_even_where_it_leads_nowhere(
    channel: ChannelDriver, name: str
) -> None:
    await channel.confirm()
    await channel.exchange(f"{name}-alternate", "fanout")
    await with_alternate(channel, name, f"{name}-alternate")
    await channel.exchange(f"{name}-behind", "fanout")
    await channel.bind_exchange(f"{name}-behind", name, "key")
    await channel.declare(name, exclusive=True)
    await channel.bind(name, f"{name}-alternate")
    assert not await is_routed(channel, name, "key")
    assert await is_routed(channel, name, "other")


# --- x-consistent-hash -------------------------------------------------------------------------


async def shares(
    channel: ChannelDriver, name: str, messages: list[tuple[str, Properties | None]]
) -> dict[str, list[bytes]]:
    """Publish messages with their number as body; return what each of two queues got."""
    queues = [f"{name}-1", f"{name}-2"]
    for queue in queues:
        await channel.declare(queue, exclusive=True)
        await channel.bind(queue, name, "10")
    for number, (key, properties) in enumerate(messages):
        body = str(number).encode()
        channel.publish(body, exchange=name, routing_key=key, properties=properties)
    return {queue: await channel.drain(queue) for queue in queues}


async def test_a_consistent_hash_exchange_gives_each_message_to_one_queue(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name, "x-consistent-hash")
    got = await shares(channel, name, [(str(number), None) for number in range(200)])
    counts = {queue: len(bodies) for queue, bodies in got.items()}
    assert sum(counts.values()) == 200
    assert min(counts.values()) > 40


async def test_equal_keys_go_to_the_same_queue(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(name, "x-consistent-hash")
    got = await shares(channel, name, [("same", None)] * 20)
    assert sorted(map(len, got.values())) == [0, 20]


@pytest.mark.parametrize(
    "arguments, properties",
    [
        ({"hash-header": "h"}, [Properties(headers={"h": str(n)}) for n in range(200)]),
        ({"hash-property": "message_id"}, [Properties(message_id=str(n)) for n in range(200)]),
        (
            {"hash-property": "correlation_id"},
            [Properties(correlation_id=str(n)) for n in range(200)],
        ),
    ],
    ids=["header", "message_id", "correlation_id"],
)
async def test_something_else_than_the_key_may_be_hashed(
    channel: ChannelDriver, name: str, arguments: dict[str, str], properties: list[Properties]
) -> None:
    await channel.exchange(name, "x-consistent-hash", arguments=arguments)
    got = await shares(channel, name, [("same", each) for each in properties])
    assert min(map(len, got.values())) > 40


async def test_a_larger_weight_gets_a_larger_share(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(name, "x-consistent-hash")
    for queue, weight in ((f"{name}-1", "10"), (f"{name}-9", "90")):
        await channel.declare(queue, exclusive=True)
        await channel.bind(queue, name, weight)
    for number in range(300):
        channel.publish(exchange=name, routing_key=str(number))
    counts = Counter({n: len(await channel.drain(f"{name}-{n}")) for n in ("1", "9")})
    assert counts.total() == 300
    assert counts["9"] > 2 * counts["1"]


async def test_without_queues_a_consistent_hash_exchange_routes_nothing(
    channel: ChannelDriver, name: str
) -> None:
    await channel.confirm()
    await channel.exchange(name, "x-consistent-hash")
    assert not await is_routed(channel, name, "key")
