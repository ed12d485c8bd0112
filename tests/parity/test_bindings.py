"""Binding queues and exchanges: what is missing, what is equal, and what is not allowed."""

import pytest
from pamqp.base import Frame
from pamqp.commands import Exchange, Queue

from hopmq.typedefs import FieldTable
from hopmq.wire import Ack, Returned, new_method
from parity.channel import ChannelDriver
from parity.endings import ON_DEFAULT_EXCHANGE, not_found, precondition_failed, refusal

MISSING_QUEUE = not_found("no queue 'no-such-queue' in vhost '/'")
MISSING_EXCHANGE = not_found("no exchange 'no-such-exchange' in vhost '/'")


def bind_queue(queue: str, exchange: str) -> Frame:
    """Return a request to bind."""
    return new_method(Queue.Bind, queue=queue, exchange=exchange, routing_key="key")


def bind_exchange(destination: str, source: str) -> Frame:
    """Return a request to bind."""
    return new_method(Exchange.Bind, destination=destination, source=source, routing_key="key")


@pytest.mark.parametrize(
    "method, answer",
    [
        (bind_queue("no-such-queue", "amq.direct"), MISSING_QUEUE),
        (bind_queue("no-such-queue", "no-such-exchange"), MISSING_EXCHANGE),
        (bind_queue("no-such-queue", ""), ON_DEFAULT_EXCHANGE),
        (bind_exchange("amq.direct", "no-such-exchange"), MISSING_EXCHANGE),
        (bind_exchange("no-such-exchange", "amq.direct"), MISSING_EXCHANGE),
        (bind_exchange("none", "no-such-exchange"), MISSING_EXCHANGE),
        (bind_exchange("", "amq.direct"), ON_DEFAULT_EXCHANGE),
        (bind_exchange("amq.direct", ""), ON_DEFAULT_EXCHANGE),
    ],
    ids=[
        "queue",
        "queue and exchange",
        "to the default exchange",
        "source",
        "destination",
        "source and destination",
        "default exchange as destination",
        "default exchange as source",
    ],
)
async def test_a_binding_needs_both_ends(
    channel: ChannelDriver, method: Frame, answer: tuple[str, int, str]
) -> None:
    channel.send(method)
    closed = await channel.until_closed()
    assert closed.answer == answer
    assert closed.blamed == divmod(method.index, 1 << 16)


async def test_a_queue_needs_an_exchange(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    assert (await refusal(channel.bind(name, "no-such-exchange"))).answer == MISSING_EXCHANGE


@pytest.mark.parametrize("unbind", [False, True])
async def test_the_default_exchange_has_bindings_of_its_own_only(
    channel: ChannelDriver, name: str, unbind: bool
) -> None:
    await channel.declare(name, exclusive=True)
    request = channel.unbind(name, "", name) if unbind else channel.bind(name, "", "key")
    assert (await refusal(request)).answer == ON_DEFAULT_EXCHANGE


async def test_exchanges_are_not_unbound_from_the_default_exchange(
    channel: ChannelDriver,
) -> None:
    closed = await refusal(channel.unbind_exchange("amq.direct", "", "key"))
    assert closed.answer == ON_DEFAULT_EXCHANGE
    assert closed.blamed == (40, 40)


@pytest.mark.parametrize(
    "queue, exchange",
    [
        ("no-such-queue", "no-such-exchange"),
        ("no-such-queue", "amq.direct"),
    ],
)
async def test_unbinding_a_queue_that_is_missing_succeeds(
    channel: ChannelDriver, queue: str, exchange: str
) -> None:
    await channel.unbind(queue, exchange, "key")


@pytest.mark.parametrize("exchange", ["no-such-exchange", "amq.direct", "amq.headers"])
async def test_removing_a_binding_that_is_missing_succeeds(
    channel: ChannelDriver, name: str, exchange: str
) -> None:
    await channel.declare(name, exclusive=True)
    await channel.unbind(name, exchange, "key")


@pytest.mark.parametrize(
    "destination, source",
    [
        ("no-such-exchange", "no-such-exchange"),
        ("no-such-exchange", "amq.direct"),
        ("amq.direct", "no-such-exchange"),
        ("amq.direct", "amq.fanout"),
    ],
)
async def test_removing_a_binding_of_exchanges_that_is_missing_succeeds(
    channel: ChannelDriver, destination: str, source: str
) -> None:
    await channel.unbind_exchange(destination, source, "key")


async def test_the_queue_left_out_is_the_one_declared_last(channel: ChannelDriver) -> None:
    declared = await channel.declare(exclusive=True)
    await channel.bind("", "amq.direct", "by-its-key")
    await channel.bind("", "amq.direct")  # and without a key: by its own name
    channel.publish(b"1", exchange="amq.direct", routing_key="by-its-key")
    channel.publish(b"2", exchange="amq.direct", routing_key=str(declared.queue))
    assert await channel.drain("") == [b"1", b"2"]


async def test_without_a_queue_declared_before_none_can_be_left_out(
    channel: ChannelDriver,
) -> None:
    closed = await refusal(channel.bind("", "amq.direct", "key"))
    assert closed.answer == not_found("no previously declared queue")
    assert closed.blamed == (50, 20)


async def test_an_empty_key_is_a_key_when_the_queue_is_named(
    channel: ChannelDriver, name: str
) -> None:
    await channel.declare(name, exclusive=True)
    await channel.bind(name, "amq.direct", "")
    channel.publish(b"1", exchange="amq.direct", routing_key=name)
    channel.publish(b"2", exchange="amq.direct", routing_key="")
    assert await channel.drain(name) == [b"2"]


# --- what makes two bindings equal -------------------------------------------------------------

ARGUMENTS: list[FieldTable | None] = [None, {"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
async def test_equal_bindings_are_one(
    channel: ChannelDriver, name: str, arguments: FieldTable | None
) -> None:
    await channel.confirm()
    await channel.declare(name, exclusive=True)
    for _ in range(3):
        await channel.bind(name, "amq.direct", name, arguments)
    channel.publish(exchange="amq.direct", routing_key=name)
    assert len(await channel.drain(name)) == 1
    await channel.unbind(name, "amq.direct", name, arguments)
    channel.publish(exchange="amq.direct", routing_key=name, mandatory=True)
    await channel.next(Ack)
    await channel.next(Returned)


@pytest.mark.parametrize("one", ARGUMENTS, ids=str)
@pytest.mark.parametrize("other", ARGUMENTS, ids=str)
async def test_arguments_tell_bindings_apart(
    channel: ChannelDriver, name: str, one: FieldTable | None, other: FieldTable | None
) -> None:
    await channel.confirm()
    await channel.declare(name, exclusive=True)
    await channel.bind(name, "amq.direct", name, one)
    await channel.bind(name, "amq.direct", name, other)
    await channel.unbind(name, "amq.direct", name, one)
    channel.publish(exchange="amq.direct", routing_key=name)
    assert len(await channel.drain(name)) == (0 if one == other else 1)


async def test_the_order_of_arguments_does_not_matter(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    await channel.bind(name, "amq.direct", name, {"a": 1, "b": 2})
    await channel.unbind(name, "amq.direct", name, {"b": 2, "a": 1})
    channel.publish(exchange="amq.direct", routing_key=name)
    assert await channel.drain(name) == []


async def test_an_unbind_removes_one_key_of_many(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    for key in ("a", "b"):
        await channel.bind(name, "amq.topic", f"{name}.{key}")
    await channel.unbind(name, "amq.topic", f"{name}.a")
    for key in ("a", "b"):
        channel.publish(key.encode(), exchange="amq.topic", routing_key=f"{name}.{key}")
    assert await channel.drain(name) == [b"b"]


async def test_bindings_go_with_their_queue(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    await channel.bind(name, "amq.direct", name)
    await channel.delete(name)
    await channel.declare(name, exclusive=True)
    channel.publish(exchange="amq.direct", routing_key=name)
    assert await channel.drain(name) == []


async def test_durable_and_transient_may_be_bound_together(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name, durable=True)
    await channel.exchange(f"{name}-t")
    await channel.declare(name, durable=True)
    await channel.declare(f"{name}-t", exclusive=True)
    for queue in (name, f"{name}-t"):
        for exchange in (name, f"{name}-t"):
            await channel.bind(queue, exchange, "key")
    channel.publish(exchange=name, routing_key="key")
    channel.publish(exchange=f"{name}-t", routing_key="key")
    for queue in (name, f"{name}-t"):
        assert len(await channel.drain(queue)) == 2


# --- what an exchange's type says of its bindings ----------------------------------------------


@pytest.mark.parametrize(
    "value, words",
    [
        (
            "none",
            'Invalid x-match field value <<"none">>; expected all, any, all-with-x, or any-with-x',
        ),
        (1, "Invalid x-match field type byte (value 1); expected longstr"),
        (True, "Invalid x-match field type bool (value true); expected longstr"),
    ],
)
async def test_x_match_is_one_of_four_words(
    channel: ChannelDriver, name: str, value: str | int, words: str
) -> None:
    await channel.declare(name, exclusive=True)
    closed = await refusal(channel.bind(name, "amq.headers", "", {"x-match": value}))
    assert closed.answer == precondition_failed(words)
    assert closed.blamed == (50, 20)


@pytest.mark.parametrize(
    "weight, words",
    [
        ("0", "The binding key must be greater than 0"),
        ("-1", "The binding key must be greater than 0"),
        ("abc", 'The binding key must be an integer: <<"abc">>'),
        ("1.5", 'The binding key must be an integer: <<"1.5">>'),
        ("", "The binding key must be an integer: <<>>"),
    ],
)
async def test_the_key_of_a_consistent_hash_binding_is_its_weight(
    channel: ChannelDriver, name: str, weight: str, words: str
) -> None:
    await channel.exchange(name, "x-consistent-hash")
    await channel.declare(name, exclusive=True)
    closed = await refusal(channel.bind(name, name, weight))
    assert closed.answer == precondition_failed(words)


@pytest.mark.parametrize("key, count", [("#.#.#", 3), ("#.a.#.b.#", 3), ("#.#.#.#", 4)])
async def test_newer_releases_want_two_wildcards_of_many_words_at_most(
    channel: ChannelDriver, release: str, name: str, key: str, count: int
) -> None:
    await channel.declare(name, exclusive=True)
    if release in {"3.10", "4.0"}:
        await channel.bind(name, "amq.topic", key)
        return
    closed = await refusal(channel.bind(name, "amq.topic", key))
    assert closed.answer == precondition_failed(
        f"Topic binding key '{key}' uses {count} '#' wildcards, at most 2 are allowed"
    )


# --- nowait ------------------------------------------------------------------------------------


async def test_binding_without_waiting_has_no_answer(channel: ChannelDriver, name: str) -> None:
    await channel.declare(name, exclusive=True)
    fields = {"queue": name, "exchange": "amq.direct", "routing_key": name}
    channel.send(Queue.Bind, nowait=True, **fields)
    await channel.expect_silence()
    channel.publish(exchange="amq.direct", routing_key=name)
    assert len(await channel.drain(name)) == 1


async def test_binding_exchanges_without_waiting_has_no_answer(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name, "fanout")
    await channel.declare(name, exclusive=True)
    await channel.bind(name, name)
    ends = {"destination": name, "source": "amq.direct", "routing_key": name}
    channel.send(Exchange.Bind, nowait=True, **ends)
    await channel.expect_silence()
    channel.publish(exchange="amq.direct", routing_key=name)
    assert len(await channel.drain(name)) == 1
    channel.send(Exchange.Unbind, nowait=True, **ends)
    await channel.expect_silence()
    channel.publish(exchange="amq.direct", routing_key=name)
    assert await channel.drain(name) == []


async def test_binding_without_waiting_is_refused_all_the_same(channel: ChannelDriver) -> None:
    channel.send(Queue.Bind, queue="no-such-queue", exchange="amq.direct", nowait=True)
    assert (await channel.until_closed()).answer == MISSING_QUEUE
