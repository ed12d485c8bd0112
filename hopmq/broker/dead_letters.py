"""Dead messages: what is written into their headers, and when they have gone round in a circle.

RabbitMQ, Dead Letter Exchanges: `x-death` lists every queue that a message has died in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from hopmq.broker.message import rewritten
from hopmq.broker.queues.queue import REJECTED
from hopmq.typedefs import FieldValue
from hopmq.wire import Published

_Death = dict[str, FieldValue]

X_DEATH: Final = "x-death"


def dead_lettered(
    message: Published,
    *,
    queue: str,
    reason: str,
    exchange: str,
    routing_key: str | None,
    wall: float,
    last_death: bool,
) -> Published:
    """Return the message as it goes to the dead letter exchange.

    Args:
        message: What died.
        queue: Where.
        reason: Why: rejected, expired, maxlen or delivery_limit.
        exchange: The dead letter exchange.
        routing_key: The key it goes with; its own when None.
        wall: The time, in seconds since 1970.
        last_death: Whether the headers x-last-death-* are written as well (RabbitMQ 4.0 on).
    """
    properties = message.properties
    headers = dict(properties.headers or {})
    death: _Death = {
        "count": 1,
        "reason": reason,
        "queue": queue,
        "time": datetime.fromtimestamp(int(wall), UTC),
        "exchange": message.exchange,
        "routing-keys": [message.routing_key, *_keys(headers, "CC"), *_keys(headers, "BCC")],
    }
    if properties.expiration is not None:
        death["original-expiration"] = properties.expiration
    deaths = _deaths(headers)
    if not deaths:
        headers |= _named("first", death)
    headers[X_DEATH] = _with_death(deaths, death)
    if last_death:
        headers |= _named("last", death)
    if routing_key is not None:
        headers.pop("CC", None)
    return rewritten(
        message,
        replace(properties, headers=headers, expiration=None),
        exchange=exchange,
        routing_key=message.routing_key if routing_key is None else routing_key,
    )


def is_circle(message: Published, queue: str) -> bool:
    """Return whether a dead message comes back to `queue` without anybody having rejected it."""
    passed: list[Mapping[str, Any]] = []
    for death in _deaths(message.properties.headers or {}):
        passed.append(death)
        if death.get("queue") == queue:
            return all(each.get("reason") != REJECTED for each in passed)
    return False


def _named(which: str, death: _Death) -> _Death:
    return {f"x-{which}-death-{key}": death[key] for key in ("reason", "queue", "exchange")}


def _deaths(headers: Mapping[str, Any]) -> list[_Death]:
    deaths = headers.get(X_DEATH)
    if not isinstance(deaths, list):
        return []
    return [death for death in deaths if isinstance(death, dict)]


def _with_death(deaths: Sequence[_Death], death: _Death) -> list[_Death]:
    """Put the newest death first; deaths of one queue and reason are one entry, counted."""
    same = ("queue", "reason")
    others = []
    for old in deaths:
        if all(old.get(key) == death[key] for key in same):
            count = old.get("count")
            death = {**death, **old, "count": count + 1 if isinstance(count, int) else 1}
        else:
            others.append(old)
    return [death, *others]


def _keys(headers: Mapping[str, Any], name: str) -> list[str]:
    keys = headers.get(name)
    if not isinstance(keys, list):
        return []
    return [key for key in keys if isinstance(key, str)]
