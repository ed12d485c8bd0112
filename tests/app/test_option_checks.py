"""Options of decorators that cannot be meant are refused where they stand."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hopmq import Exchange, Message, Queue
from hopmq.app import App, Batch, ConsumeContext, DeclarationError, Retry
from hopmq.app.middleware import Logging


async def alone(context: ConsumeContext) -> None:
    """Be no middleware: nothing comes next."""


@pytest.mark.parametrize(
    "options, fault",
    [
        ({"retry": 3}, "retry is Retry(attempts=5) or None, not 3"),
        ({"retry": Retry}, "retry is Retry(attempts=5) or None, not <class"),
        ({"batch": 10}, "batch is Batch(100) or None, not 10"),
        ({"group": "billing"}, "group is Group(\"billing\") or None, not 'billing'"),
        ({"concurrency": "2"}, "concurrency is at least 1, not '2'"),
        ({"concurrency": 2, "prefetch": 1}, "a prefetch of 1 never gives 2 handlers something"),
        ({"middleware": Logging()}, "middleware is a list, such as [Logging()], not <"),
        ({"middleware": [Logging]}, "middleware Logging is a class, and one of it is due"),
        ({"middleware": [None]}, "middleware None cannot be called with a context and what"),
        ({"middleware": [alone]}, "cannot be called with a context and what comes next"),
        ({"exchange": "e", "bindings": None}, "a routing key or a table of arguments, not None"),
        ({"exchange": "e", "bindings": ["a", 5]}, "a routing key or a table of arguments, not 5"),
        (
            {"exchange": Exchange.direct("e"), "bindings": "order.{region}"},
            "a direct exchange compares whole keys",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_option_of_another_kind_is_refused(options: dict[str, Any], fault: str) -> None:
    app = App("amqp://nowhere.invalid")
    with pytest.raises(DeclarationError, match=re.escape(fault)):

        @app.consumer("orders", **options)
        async def handle(body: bytes) -> None:
            """Do nothing."""


@pytest.mark.parametrize("queue", ["", Queue("")])
def test_a_queue_has_a_name(queue: Queue | str) -> None:
    app = App("amqp://nowhere.invalid")
    with pytest.raises(DeclarationError, match="a queue needs a name"):
        app.consumer(queue)
    with pytest.raises(DeclarationError, match="a queue needs a name"):
        app.endpoint(queue)


def test_a_batch_has_a_number_of_messages() -> None:
    size: Any = "10"
    with pytest.raises(DeclarationError, match="a batch has at least one message, not '10'"):
        Batch(size)


async def key(message: Message) -> str:
    return message.routing_key


def test_an_order_is_by_a_plain_function() -> None:
    by: Any = key
    with pytest.raises(DeclarationError, match="order_by is a plain function"):
        App("amqp://nowhere.invalid").consumer("orders", order_by=by)


def test_options_may_come_from_generators() -> None:
    async def around(
        context: ConsumeContext, call_next: Callable[[ConsumeContext], Awaitable[Any]]
    ) -> Any:
        return await call_next(context)

    app = App("amqp://nowhere.invalid")
    declare = app.consumer(
        "orders",
        exchange="shop",
        bindings=(key for key in ("a", "b")),
        middleware=(each for each in (around,)),
    )

    @declare
    async def handle(body: bytes) -> None:
        """Do nothing."""

    bindings = [each for each in app.topology.bindings if each.source == "shop"]
    assert [each.routing_key for each in bindings] == ["a", "b"]
    (consumer,) = app.declared.consumers
    assert consumer.middleware == (around,)


def test_a_queue_has_one_handler_whatever_it_is_called() -> None:
    app = App("amqp://nowhere.invalid")
    for name in ("first", "second"):

        @app.consumer("orders", name=name)
        async def handle(body: bytes) -> None:
            """Do nothing."""

    with pytest.raises(DeclarationError, match="'orders' has 2 handlers"):
        _ = app.topology


def test_a_stream_may_have_several() -> None:
    app = App("amqp://nowhere.invalid")
    for name in ("first", "second"):

        @app.consumer(Queue.stream("events"), name=name)
        async def handle(body: bytes) -> None:
            """Do nothing."""

    assert Queue.stream("events") in app.topology.queues
