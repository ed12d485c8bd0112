"""What typed constructors send is what brokers accept, and what they refuse brokers refuse."""

from typing import Any

import pytest
from pamqp.commands import Queue as QueueMethods

import hopmq
from hopmq import ChannelClosed, Connection, Queue, QueueInfo, UsageError
from hopmq.wire import new_method

ACCEPTED: list[dict[str, Any]] = [
    {},
    {"message_ttl": 60.5},
    {"expires": 600},
    {"max_length": 1000},
    {"max_length_bytes": 10**6},
    {"overflow": "drop-head"},
    {"overflow": "reject-publish"},
    {"dead_letter_exchange": "dead", "dead_letter_routing_key": "key"},
    {"single_active_consumer": True},
]
ACCEPTED_BY_CLASSIC: list[dict[str, Any]] = [
    *ACCEPTED,
    {"overflow": "reject-publish-dlx"},
    {"max_priority": 5},
    {"exclusive": True, "durable": False, "auto_delete": True},
]
ACCEPTED_BY_QUORUM: list[dict[str, Any]] = [
    *ACCEPTED,
    {"delivery_limit": 5},
    {"initial_group_size": 1},
    {
        "dead_letter_strategy": "at-least-once",
        "overflow": "reject-publish",
        "dead_letter_exchange": "dead",
    },
]
ACCEPTED_BY_STREAM: list[dict[str, Any]] = [
    {},
    {"max_age": "7D"},
    {"max_age": "12h"},
    {"max_length_bytes": 10**9},
    {"max_segment_size": 10**7},
    {"initial_cluster_size": 1},
]

REFUSED: list[tuple[str, dict[str, Any]]] = [
    *(
        (kind, {argument: value})
        for kind in ("classic", "quorum")
        for argument, value in [
            ("x-message-ttl", -1),
            ("x-message-ttl", "60"),
            ("x-expires", 0),
            ("x-max-length", -1),
            ("x-max-length-bytes", -1),
            ("x-overflow", "spill"),
            ("x-dead-letter-routing-key", "key"),
            ("x-max-age", "7D"),
            ("x-stream-max-segment-size-bytes", 10**7),
            ("x-initial-cluster-size", 1),
        ]
    ),
    *(("classic", {argument: value}) for argument, value in [("x-max-priority", 256)]),
    ("classic", {"x-delivery-limit": 5}),
    ("classic", {"x-dead-letter-strategy": "at-most-once"}),
    ("classic", {"x-quorum-initial-group-size": 1}),
    ("quorum", {"x-max-priority": 5}),
    ("quorum", {"x-queue-mode": "lazy"}),
    ("quorum", {"x-queue-version": 2}),
    ("quorum", {"x-quorum-initial-group-size": 0}),
    ("quorum", {"x-dead-letter-strategy": "twice"}),
    ("stream", {"x-max-age": "7"}),
    ("stream", {"x-max-age": "0s"}),
    ("stream", {"x-stream-max-segment-size-bytes": 3_000_000_001}),
    ("stream", {"x-initial-cluster-size": 0}),
    *(
        ("stream", {argument: value})
        for argument, value in [
            ("x-message-ttl", 1000),
            ("x-expires", 1000),
            ("x-max-length", 5),
            ("x-overflow", "drop-head"),
            ("x-dead-letter-exchange", "dead"),
            ("x-single-active-consumer", True),
            ("x-max-priority", 5),
            ("x-queue-mode", "lazy"),
            ("x-queue-version", 2),
            ("x-delivery-limit", 5),
            ("x-quorum-initial-group-size", 1),
            ("x-dead-letter-strategy", "at-most-once"),
        ]
    ),
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run on one event loop: what is sent does not depend on it."""
    return "asyncio"


@pytest.mark.parametrize(
    "kind, options",
    [
        *(("classic", options) for options in ACCEPTED_BY_CLASSIC),
        *(("quorum", options) for options in ACCEPTED_BY_QUORUM),
        *(("stream", options) for options in ACCEPTED_BY_STREAM),
    ],
    ids=str,
)
async def test_brokers_accept_what_constructors_send(
    connection: Connection, name: str, kind: str, options: dict[str, Any]
) -> None:
    queue: Queue = getattr(Queue, kind)(name, **options)
    assert await connection.declare_queue(queue) == QueueInfo(name, 0, 0)
    assert await connection.declare_queue(queue) == QueueInfo(name, 0, 0)
    await connection.delete_queue(queue)


@pytest.mark.parametrize("kind, arguments", REFUSED, ids=str)
async def test_what_is_refused_here_brokers_refuse(
    connection: Connection, name: str, kind: str, arguments: dict[str, Any]
) -> None:
    table = {"x-queue-type": kind, **arguments}
    with pytest.raises(UsageError):
        Queue(name, arguments=table)
    method = new_method(QueueMethods.Declare, queue=name, durable=True, arguments=table)
    with pytest.raises(ChannelClosed) as caught:
        await connection._ask_topology(method, QueueMethods.DeclareOk)
    assert caught.value.reply_code == 406


@pytest.mark.parametrize("kind", ["quorum", "stream"])
@pytest.mark.parametrize(
    "flags",
    [{"queue": ""}, {"durable": False}, {"exclusive": True}, {"auto_delete": True}],
    ids=str,
)
async def test_flags_that_are_refused_here_brokers_refuse(
    connection: Connection, name: str, kind: str, flags: dict[str, Any]
) -> None:
    fields = {"queue": name, "durable": True, "arguments": {"x-queue-type": kind}, **flags}
    method = new_method(QueueMethods.Declare, **fields)
    with pytest.raises(ChannelClosed) as caught:
        await connection._ask_topology(method, QueueMethods.DeclareOk)
    assert caught.value.reply_code == 406


async def test_an_unknown_type_of_queue_is_a_clear_error(connection: Connection, name: str) -> None:
    with pytest.raises(hopmq.HopMQError, match=r"of-a-plugin|541"):
        await connection.declare_queue(name, arguments={"x-queue-type": "of-a-plugin"})
