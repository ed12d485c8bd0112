"""From an exchange to queues: through bindings between exchanges and alternate exchanges."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from hopmq.broker.exchanges.binding import Destination
from hopmq.broker.exchanges.exchange import Exchange
from hopmq.wire.events import Published

Postpone: TypeAlias = Callable[[Exchange, Published, float], None]
"""Is told of an exchange that a message has reached, and of the seconds it has to wait there."""


def resolve(
    exchanges: Mapping[str, Exchange],
    exchange: Exchange,
    message: Published,
    routing_keys: Sequence[str],
    postpone: Postpone | None = None,
) -> Sequence[Destination]:
    """Return the queues that a message reaches, each once; not to be changed.

    Args:
        exchanges: The exchanges of the virtual host by name, for alternate exchanges.
        exchange: Where the message is published; if it delays, the wait is over.
        message: The message.
        routing_keys: Its keys, the first being its own; see `routing_keys_of`.
        postpone: What takes messages that further exchanges delay, to resolve them from there
            later; without it they do not wait.
    """
    router = exchange.router
    if len(routing_keys) == 1:
        found = router.route(message, routing_keys[0])
        if found and not router.reaches_exchanges:
            return found
    return _walk(exchanges, exchange, message, routing_keys, postpone)


def _walk(
    exchanges: Mapping[str, Exchange],
    first: Exchange,
    message: Published,
    routing_keys: Sequence[str],
    postpone: Postpone | None,
) -> Sequence[Destination]:
    queues: dict[Destination, None] = {}
    seen = {first}
    ahead = [first]
    while ahead:
        exchange = ahead.pop()
        if postpone is not None and exchange is not first:
            delay = exchange.delay_of(message)
            if delay:
                postpone(exchange, message, delay)
                continue
        for end in _route(exchanges, exchange, message, routing_keys):
            if not isinstance(end, Exchange):
                queues[end] = None
            elif end not in seen:
                seen.add(end)
                ahead.append(end)
    return tuple(queues)


def _route(
    exchanges: Mapping[str, Exchange],
    exchange: Exchange,
    message: Published,
    routing_keys: Sequence[str],
) -> Sequence[Destination]:
    """Return where one exchange leads, which is its alternate when nothing else matches."""
    router = exchange.router
    keys = routing_keys if router.by_key else routing_keys[:1]
    found = [end for key in keys for end in router.route(message, key)]
    if found:
        return found
    # The default exchange as an alternate routes nowhere in RabbitMQ, which stores no bindings
    # for it.
    name = exchange.alternate_exchange
    alternate = exchanges.get(name) if name else None
    return () if alternate is None else (alternate,)
