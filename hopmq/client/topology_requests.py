"""The methods that declare and bind, and what answers them."""

from typing import TypeAlias

from pamqp.base import Frame
from pamqp.commands import Exchange as ExchangeMethods, Queue as QueueMethods

from hopmq.bindings import Binding
from hopmq.entities import Exchange, Queue
from hopmq.wire import new_method

Request: TypeAlias = tuple[Frame, type[Frame]]
"""A method, and the type of its reply."""


def declare_queue(queue: Queue, passive: bool = False) -> QueueMethods.Declare:
    """Ask for a queue (AMQP 0-9-1, queue.declare)."""
    return new_method(
        QueueMethods.Declare,
        queue=queue.name,
        passive=passive,
        durable=queue.durable,
        exclusive=queue.exclusive,
        auto_delete=queue.auto_delete,
        arguments=queue.arguments,
    )


def declare_exchange(exchange: Exchange, passive: bool = False) -> ExchangeMethods.Declare:
    """Ask for an exchange (AMQP 0-9-1, exchange.declare)."""
    return new_method(
        ExchangeMethods.Declare,
        exchange=exchange.name,
        exchange_type=exchange.type,
        passive=passive,
        durable=exchange.durable,
        auto_delete=exchange.auto_delete,
        internal=exchange.internal,
        arguments=exchange.arguments,
    )


def bind(binding: Binding) -> Request:
    """Ask for a binding."""
    if binding.kind == "queue":
        return _of_queue(QueueMethods.Bind, binding), QueueMethods.BindOk
    return _of_exchange(ExchangeMethods.Bind, binding), ExchangeMethods.BindOk


def unbind(binding: Binding) -> Request:
    """Ask for the end of a binding."""
    if binding.kind == "queue":
        return _of_queue(QueueMethods.Unbind, binding), QueueMethods.UnbindOk
    return _of_exchange(ExchangeMethods.Unbind, binding), ExchangeMethods.UnbindOk


def _of_queue(kind: type[QueueMethods.Bind] | type[QueueMethods.Unbind], binding: Binding) -> Frame:
    return new_method(
        kind,
        queue=binding.destination,
        exchange=binding.source,
        routing_key=binding.routing_key,
        arguments=binding.arguments,
    )


def _of_exchange(
    kind: type[ExchangeMethods.Bind] | type[ExchangeMethods.Unbind], binding: Binding
) -> Frame:
    return new_method(
        kind,
        destination=binding.destination,
        source=binding.source,
        routing_key=binding.routing_key,
        arguments=binding.arguments,
    )
