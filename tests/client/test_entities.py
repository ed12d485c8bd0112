"""Queues and exchanges as values: what their constructors mean and what they refuse."""

import dataclasses
from typing import Any

import pytest

from hopmq import Exchange, Queue, QueueInfo, UsageError

# --- what they mean ------------------------------------------------------------------------------------


def test_a_plain_queue_is_durable_shared_and_of_the_default_type() -> None:
    queue = Queue("orders")
    assert (queue.durable, queue.exclusive, queue.auto_delete) == (True, False, False)
    assert queue.arguments == {}
    assert queue.kind is None


def test_the_arguments_of_a_classic_queue() -> None:
    queue = Queue.classic(
        "orders",
        durable=False,
        exclusive=True,
        auto_delete=True,
        message_ttl=1.5,
        expires=60,
        max_length=10,
        max_length_bytes=1000,
        overflow="reject-publish-dlx",
        dead_letter_exchange="dead",
        dead_letter_routing_key="orders",
        max_priority=5,
        single_active_consumer=True,
        arguments={"x-queue-version": 2},
    )
    assert queue == Queue(
        "orders",
        durable=False,
        exclusive=True,
        auto_delete=True,
        arguments={
            "x-queue-type": "classic",
            "x-message-ttl": 1500,
            "x-expires": 60_000,
            "x-max-length": 10,
            "x-max-length-bytes": 1000,
            "x-overflow": "reject-publish-dlx",
            "x-dead-letter-exchange": "dead",
            "x-dead-letter-routing-key": "orders",
            "x-max-priority": 5,
            "x-single-active-consumer": True,
            "x-queue-version": 2,
        },
    )
    assert queue.kind == "classic"


def test_the_arguments_of_a_quorum_queue() -> None:
    queue = Queue.quorum(
        "orders",
        delivery_limit=5,
        message_ttl=0,
        expires=1,
        max_length=0,
        max_length_bytes=0,
        overflow="reject-publish",
        dead_letter_exchange="",
        dead_letter_routing_key="dead",
        dead_letter_strategy="at-least-once",
        initial_group_size=3,
        single_active_consumer=True,
        arguments={"x-delayed-retry-type": "all"},
    )
    assert queue.arguments == {
        "x-queue-type": "quorum",
        "x-delivery-limit": 5,
        "x-message-ttl": 0,
        "x-expires": 1000,
        "x-max-length": 0,
        "x-max-length-bytes": 0,
        "x-overflow": "reject-publish",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "dead",
        "x-dead-letter-strategy": "at-least-once",
        "x-quorum-initial-group-size": 3,
        "x-single-active-consumer": True,
        "x-delayed-retry-type": "all",
    }
    assert (queue.durable, queue.exclusive, queue.auto_delete) == (True, False, False)
    assert queue.kind == "quorum"


def test_the_arguments_of_a_stream() -> None:
    queue = Queue.stream(
        "log",
        max_age="7D",
        max_length_bytes=10**12,
        max_segment_size=10**8,
        initial_cluster_size=3,
        arguments={"x-stream-filter-size-bytes": 32},
    )
    assert queue.arguments == {
        "x-queue-type": "stream",
        "x-max-age": "7D",
        "x-max-length-bytes": 10**12,
        "x-stream-max-segment-size-bytes": 10**8,
        "x-initial-cluster-size": 3,
        "x-stream-filter-size-bytes": 32,
    }
    assert queue.durable
    assert queue.kind == "stream"


@pytest.mark.parametrize("kind", ["classic", "quorum", "stream"])
def test_what_is_not_said_is_left_to_the_broker(kind: str) -> None:
    assert getattr(Queue, kind)("orders").arguments == {"x-queue-type": kind}


def test_a_temporary_queue_is_of_one_connection_and_named_by_the_broker() -> None:
    queue = Queue.temporary(arguments={"x-max-length": 5})
    assert queue == Queue("", durable=False, exclusive=True, arguments={"x-max-length": 5})
    assert Queue.temporary("mine").name == "mine"


@pytest.mark.parametrize("kind", ["direct", "fanout", "topic", "headers"])
def test_the_arguments_of_an_exchange(kind: str) -> None:
    make = getattr(Exchange, kind)
    assert make("routes") == Exchange("routes", kind)
    exchange = make(
        "routes",
        durable=False,
        auto_delete=True,
        internal=True,
        alternate_exchange="rest",
        arguments={"mine": 1},
    )
    assert exchange == Exchange(
        "routes",
        kind,
        durable=False,
        auto_delete=True,
        internal=True,
        arguments={"mine": 1, "alternate-exchange": "rest"},
    )


def test_a_plain_exchange_is_direct_and_durable() -> None:
    exchange = Exchange("routes")
    assert exchange.type == "direct"
    assert (exchange.durable, exchange.auto_delete, exchange.internal) == (True, False, False)


@pytest.mark.parametrize("entity", [Queue("q"), Exchange("x"), QueueInfo("q", 0, 0)], ids=repr)
def test_entities_cannot_be_changed(entity: Any) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        entity.name = "other"


def test_entities_do_not_share_their_arguments() -> None:
    given: dict[str, Any] = {"mine": 1}
    queue = Queue.classic("q", arguments=given)
    given["mine"] = 2
    assert queue.arguments["mine"] == 1
    assert Queue("a").arguments is not Queue("b").arguments


# --- what they refuse ----------------------------------------------------------------------------------

VALUES: list[dict[str, Any]] = [
    {"message_ttl": -0.001},
    {"message_ttl": float("nan")},
    {"message_ttl": float("inf")},
    {"message_ttl": "60"},
    {"expires": 0},
    {"expires": -1},
    {"max_length": -1},
    {"max_length": 1.5},
    {"max_length": True},
    {"max_length_bytes": -1},
    {"overflow": "spill"},
    {"dead_letter_routing_key": "key"},
]


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("make", [Queue.classic, Queue.quorum], ids=lambda each: each.__name__)
def test_values_that_cannot_be_are_refused(make: Any, value: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        make("q", **value)


@pytest.mark.parametrize(
    "value",
    [
        {"max_priority": 256},
        {"max_priority": -1},
        {"arguments": {"x-delivery-limit": 5}},
        {"arguments": {"x-max-age": "7D"}},
        {"arguments": {"x-quorum-initial-group-size": 3}},
    ],
    ids=str,
)
def test_a_classic_queue_refuses(value: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Queue.classic("q", **value)


@pytest.mark.parametrize(
    "value",
    [
        {"initial_group_size": 0},
        {"dead_letter_strategy": "twice"},
        {"dead_letter_strategy": "at-least-once"},
        {"dead_letter_strategy": "at-least-once", "overflow": "reject-publish"},
        {"dead_letter_strategy": "at-least-once", "dead_letter_exchange": "dead"},
        {"overflow": "reject-publish-dlx"},
        {"arguments": {"x-max-priority": 5}},
        {"arguments": {"x-queue-mode": "lazy"}},
        {"arguments": {"x-max-age": "7D"}},
    ],
    ids=str,
)
def test_a_quorum_queue_refuses(value: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Queue.quorum("q", **value)


@pytest.mark.parametrize(
    "value",
    [
        {"max_age": "7"},
        {"max_age": "D"},
        {"max_age": "0D"},
        {"max_age": "7W"},
        {"max_age": ""},
        {"max_age": "7D "},
        {"max_age": 7},
        {"max_segment_size": -1},
        {"max_segment_size": 3_000_000_001},
        {"max_length_bytes": -1},
        {"initial_cluster_size": 0},
        *(
            {"arguments": {argument: value}}
            for argument, value in {
                "x-message-ttl": 1,
                "x-expires": 1,
                "x-max-length": 1,
                "x-overflow": "drop-head",
                "x-dead-letter-exchange": "dead",
                "x-single-active-consumer": True,
                "x-max-priority": 5,
                "x-delivery-limit": 5,
            }.items()
        ),
    ],
    ids=str,
)
def test_a_stream_refuses(value: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Queue.stream("log", **value)


@pytest.mark.parametrize("kind", ["quorum", "stream"])
@pytest.mark.parametrize(
    "flags",
    [{"name": ""}, {"durable": False}, {"exclusive": True}, {"auto_delete": True}],
    ids=str,
)
def test_replicated_queues_are_named_durable_and_shared(kind: str, flags: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=kind):
        Queue(**{"name": "q", "arguments": {"x-queue-type": kind}, **flags})


def test_the_type_of_a_queue_is_a_name() -> None:
    with pytest.raises(UsageError, match="x-queue-type"):
        Queue("q", arguments={"x-queue-type": 5})


def test_a_type_of_a_plugin_is_left_to_the_broker() -> None:
    assert Queue("q", arguments={"x-queue-type": "of-a-plugin", "x-max-age": "1D"}).kind


def test_the_default_exchange_is_never_declared() -> None:
    with pytest.raises(UsageError, match="default exchange"):
        Exchange("")
