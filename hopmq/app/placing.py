"""Where a consumer reads: its queue, what that is bound to, and by which keys."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hopmq.app.errors import DeclarationError
from hopmq.app.groups import Group
from hopmq.app.routing import binding_key, has_parts
from hopmq.app.topology import Topology
from hopmq.bindings import Binding
from hopmq.entities import Exchange, Queue

BindingKey = str | Mapping[str, Any]
"""The key of a binding, or its arguments, for exchanges that look at headers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a consumer reads.

    Attributes:
        queue: Its queue; of a partitioned group, what its partitions are named after.
        topology: What must exist.
        pattern: The binding key that names its words, such as `order.{region}.created`.
        exchange: Where its messages come from, if not from the default exchange alone.
        bindings: How they come from there.
    """

    queue: Queue
    topology: Topology
    pattern: str | None = None
    exchange: Exchange | None = None
    bindings: tuple[Binding, ...] = ()


def place_of(
    queue: Queue | str | None,
    exchange: Exchange | None,
    bindings: tuple[BindingKey, ...],
    group: Group | None,
    *,
    prefix: str,
) -> Place:
    """Return what the options of a consumer come to.

    Raises:
        DeclarationError: They do not go together.
    """
    if group is not None:
        return _place_of_group(queue, exchange, bindings, group)
    if queue is None:
        raise DeclarationError("a consumer needs a queue, or a group and an exchange")
    own = prefixed(queue if isinstance(queue, Queue) else Queue(queue), prefix)
    if exchange is None:
        if bindings:
            raise DeclarationError(f"consumer of {own.name!r}: bindings= needs an exchange=")
        return Place(queue=own, topology=Topology(queues=(own,)))
    keys = _keys(exchange, bindings, own.name)
    bound = tuple(_binding(exchange, own.name, key) for key in keys)
    return Place(
        queue=own,
        topology=Topology(exchanges=(exchange,), queues=(own,), bindings=bound),
        pattern=_pattern(keys, own.name),
        exchange=exchange,
        bindings=bound,
    )


def _place_of_group(
    queue: Queue | str | None,
    exchange: Exchange | None,
    bindings: tuple[BindingKey, ...],
    group: Group,
) -> Place:
    if queue is not None:
        raise DeclarationError(f"{group!r} names its queues itself: leave queue out")
    if exchange is None:
        raise DeclarationError(f"{group!r} needs an exchange= whose messages it shares")
    name = group.queue_name(exchange.name)
    keys = _keys(exchange, bindings, name) if group.is_bound or bindings else ()
    bound = tuple(_binding(exchange, name, key) for key in keys)
    return Place(
        queue=group.queue(name),
        topology=group.topology(exchange, bound),
        pattern=_pattern(keys, name),
        exchange=exchange,
        bindings=bound,
    )


def exchange_of(exchange: Exchange | str | None) -> Exchange | None:
    """Return an exchange to declare; a mere name stands for a topic exchange."""
    return Exchange.topic(exchange) if isinstance(exchange, str) else exchange


def destination(exchange: Exchange | str) -> Topology:
    """Return what a publisher to an exchange needs; the default exchange is there.

    A mere name stands for a topic exchange, or for whatever has that name already.
    """
    if isinstance(exchange, Exchange):
        return Topology(exchanges=(exchange,))
    if not exchange:
        return Topology()
    return Topology(exchanges=(Exchange.topic(exchange),), as_found=frozenset({exchange}))


def prefixed(queue: Queue, prefix: str) -> Queue:
    """Return a queue with something before its name."""
    return replace(queue, name=prefix + queue.name) if prefix else queue


def _keys(exchange: Exchange, given: tuple[BindingKey, ...], queue: str) -> tuple[BindingKey, ...]:
    """Return the keys of bindings; without any given, what the type of the exchange means."""
    if given:
        if exchange.type == "direct" and any(
            isinstance(each, str) and has_parts(each) for each in given
        ):
            raise DeclarationError(
                f"consumer of {queue!r}: a direct exchange compares whole keys, and words are named "
                "in those of a topic exchange"
            )
        return given
    if exchange.type == "headers":
        raise DeclarationError(
            f"consumer of {queue!r}: a headers exchange needs bindings=, such as {{'kind': 'new'}}"
        )
    return ({"direct": queue, "topic": "#"}.get(exchange.type, ""),)


def _pattern(keys: Iterable[BindingKey], queue: str) -> str | None:
    """Return the one key that names its words, if any."""
    patterns = [key for key in keys if isinstance(key, str) and has_parts(key)]
    if len(patterns) > 1:
        raise DeclarationError(
            f"consumer of {queue!r}: one binding alone can name words of the routing key, "
            f"not each of {', '.join(patterns)}"
        )
    return patterns[0] if patterns else None


def _binding(exchange: Exchange, queue: str, key: BindingKey) -> Binding:
    if isinstance(key, str):
        return Binding(exchange.name, queue, routing_key=binding_key(key))
    return Binding(exchange.name, queue, arguments=dict(key))
