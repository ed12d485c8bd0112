"""Dead messages: what is written into their headers, and when they have gone round in a circle.

RabbitMQ, Dead Letter Exchanges: `x-death` lists every queue that a message has died in.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from hopmq.broker.emulation import Emulation
from hopmq.broker.message import EXPIRATION, Annotations
from hopmq.broker.property_list import (
    Field,
    MalformedTableError,
    array,
    fields_of,
    headers_of,
    integer_of,
    items_of,
    moment,
    number,
    table,
    text,
    with_headers,
    without_expiration,
)
from hopmq.broker.queues.queue import REJECTED
from hopmq.wire import Published

_Death = dict[str, Field]

X_DEATH: Final = "x-death"
_FIRST: Final = "x-first-death-"
_LAST: Final = "x-last-death-"
_NAMED: Final = ("reason", "queue", "exchange")
_REJECTED: Final = text(REJECTED)
_TEXT: Final = b"S"


def dead_lettered(
    message: Published,
    *,
    queue: str,
    reason: str,
    exchange: str,
    routing_key: str | None,
    wall: float,
    emulation: Emulation,
) -> Published:
    """Return the message as it goes to the dead letter exchange.

    Args:
        message: What died.
        queue: Where.
        reason: Why: rejected, expired, maxlen or delivery_limit.
        exchange: The dead letter exchange.
        routing_key: The key it goes with; its own when None.
        wall: The time, in seconds since 1970.
        emulation: Which release writes the headers.
    """
    headers = _headers(message)
    keys = _keys(message)
    death = {
        "count": number(1),
        "reason": text(reason),
        "queue": text(queue),
        "time": moment(wall),
        "exchange": text(message.exchange),
        "routing-keys": array(_disclosed(message, headers)),
    }
    expiration = _expiration(message)
    if expiration is not None:
        own = {"original-expiration": text(expiration)}
        death = own | death if emulation.message_containers else death | own
    if emulation.message_containers:
        _add_to_container(headers, death, is_first=not _has_died(message))
    else:
        _add(headers, death)
        if routing_key is not None:
            headers.pop("CC", None)
    dead = Published(
        message.channel,
        exchange,
        message.routing_key if routing_key is None else routing_key,
        message.body,
        _with_headers(message.raw_properties, headers),
    )
    dead.context = Annotations(keys if routing_key is None else (routing_key,), died=True)
    return dead


def is_circle(message: Published, queue: str) -> bool:
    """Return whether a dead message comes back to `queue` without anybody having rejected it."""
    name = text(queue)
    passed: list[_Death] = []
    for death in _deaths(_headers(message)):
        passed.append(death)
        if death.get("queue") == name:
            return all(each.get("reason") != _REJECTED for each in passed)
    return False


# --- headers -------------------------------------------------------------------------------


def _add_to_container(headers: dict[str, Field], death: _Death, *, is_first: bool) -> None:
    """Write a death as RabbitMQ does since 4.0, which believes nobody but itself."""
    if is_first:
        for name in list(headers):
            if name == X_DEATH or name.startswith((_FIRST, _LAST)):
                del headers[name]
    match, others = _parted(_deaths(headers), death)
    _list(headers, [_counted(match, death), *others])
    if is_first:
        headers |= {_FIRST + key: death[key] for key in _NAMED}
    headers |= {_LAST + key: death[key] for key in _NAMED}


def _add(headers: dict[str, Field], death: _Death) -> None:
    """Write a death as RabbitMQ did before 4.0.

    It groups the earlier ones by queue and reason, which turns their order round.
    """
    if X_DEATH not in headers:
        headers |= {_FIRST + key: death[key] for key in _NAMED}
        _list(headers, [death])
        return
    match, others = _parted(_deaths(headers)[::-1], death)
    if headers[X_DEATH][:1] == b"A":
        death = dict(sorted(_counted(match, death).items()))
    _list(headers, [death, *others])


def _parted(deaths: Sequence[_Death], death: _Death) -> tuple[_Death | None, list[_Death]]:
    """Return the entry for the same queue and reason, if there is one, and all others."""
    match, others = None, []
    for each in deaths:
        if all(each.get(key) == death[key] for key in ("queue", "reason")):
            match = each
        else:
            others.append(each)
    return match, others


def _counted(match: _Death | None, death: _Death) -> _Death:
    """Return the entry for a death: the earlier one of its kind, counted once more."""
    if match is None:
        return death
    return match | {"count": number(integer_of(match.get("count", b"")) + 1)}


def _list(headers: dict[str, Field], deaths: Sequence[_Death]) -> None:
    headers[X_DEATH] = array(map(table, deaths))


def _deaths(headers: Mapping[str, Field]) -> list[_Death]:
    try:
        found = [fields_of(item) for item in items_of(headers.get(X_DEATH, b""))]
    except MalformedTableError:
        return []
    return [death for death in found if death]


def _headers(message: Published) -> dict[str, Field]:
    try:
        return headers_of(message.raw_properties)
    except MalformedTableError:
        return {}


def _with_headers(raw: bytes, headers: Mapping[str, Field]) -> bytes:
    try:
        return with_headers(without_expiration(raw), headers)
    except MalformedTableError:
        return raw


# --- the message ---------------------------------------------------------------------------


def _has_died(message: Published) -> bool:
    return isinstance(message.context, Annotations) and message.context.died


def _keys(message: Published) -> tuple[str, ...]:
    if isinstance(message.context, Annotations):
        return message.context.keys
    return (message.routing_key,)


def _disclosed(message: Published, headers: Mapping[str, Field]) -> list[Field]:
    """Return the routing keys that others may know: all but those of BCC, as they were given."""
    own = text(message.routing_key)
    try:
        copies = items_of(headers.get("CC", b""))
    except MalformedTableError:
        return [own]
    return [own, *(copy for copy in copies if copy[:1] == _TEXT)]


def _expiration(message: Published) -> str | None:
    return message.properties.expiration if message.raw_properties[0] & EXPIRATION else None
