"""Messages published and taken by the management API."""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from hopmq.broker.json_values import json_table, json_value
from hopmq.broker.management.call import arguments_of, check_keys, checked_name, text
from hopmq.broker.management.errors import ApiError, bad_request, missing
from hopmq.broker.queues.queue import Comeback, Queue
from hopmq.broker.refusal import Refusal
from hopmq.errors import EncodeError
from hopmq.typedefs import Timestamp
from hopmq.wire import Properties, Published, active
from hopmq.wire.properties import PROPERTY_NAMES

if TYPE_CHECKING:
    from hopmq.broker.management.call import Call

Table = dict[str, Any]  # Any: what JSON holds

_NUMBERS: Final = frozenset({"delivery_mode", "priority", "timestamp"})
_MODES: Final[Mapping[str, tuple[bool, bool]]] = {
    "ack_requeue_true": (True, False),
    "ack_requeue_false": (False, False),
    "reject_requeue_true": (True, True),
    "reject_requeue_false": (False, True),
}
"""By ackmode: whether the message goes back, and whether it counts as refused."""
_MOST: Final = 10_000
"""Messages taken by one request at most."""


# --- publishing ------------------------------------------------------------------------------------


def published(call: "Call", exchange: str) -> Table:
    """Publish what a request holds."""
    body = call.body()
    check_keys(body, "properties", "routing_key", "payload", "payload_encoding")
    message = Published(
        1,
        exchange,
        checked_name(text(body, "routing_key")),
        _payload(text(body, "payload"), body["payload_encoding"]),
        _raw_properties(body["properties"]),
    )
    _check_size(call, message)
    if exchange not in call.vhost.exchanges:
        raise _no_exchange(call, exchange)
    if call.state.memory.alarmed:
        # A client would be blocked until the alarm is over; a request cannot wait for that.
        raise bad_request("publishing is blocked by an alarm")
    try:
        return {"routed": call.channel.publish(message)}
    except Refusal as refusal:
        if refusal.code == 403:
            raise
        raise bad_request(f"{refusal.code} {refusal.text}") from refusal


def _no_exchange(call: "Call", exchange: str) -> ApiError:
    if call.state.emulation.api_quotes_amqp:
        return bad_request(f"404 NOT_FOUND - no exchange '{exchange}' in vhost '{call.vhost.name}'")
    return missing("exchange_not_found")


def _check_size(call: "Call", message: Published) -> None:
    limit = call.state.settings.max_message_size
    if len(message.body) > limit:
        raise bad_request(f"the message is larger than {limit} bytes")


def _payload(payload: str, encoding: object) -> bytes:
    if encoding == "string":
        try:
            return payload.encode()
        except UnicodeEncodeError as error:
            raise bad_request("payload is no text") from error
    if encoding == "base64":
        try:
            return base64.b64decode(payload, validate=True)
        except (binascii.Error, ValueError) as error:
            raise bad_request(["not_base64", payload[:100]]) from error
    raise bad_request(["unsupported_encoding", encoding])


def _raw_properties(table: object) -> bytes:
    if isinstance(table, list) and not table:
        table = {}  # as Erlang and PHP write an empty object
    if not isinstance(table, dict):
        raise bad_request("properties has to be an object")
    # Others are ignored, as RabbitMQ does it.
    given = {name: table[name] for name in PROPERTY_NAMES if table.get(name) is not None}
    for name, value in given.items():
        if name in _NUMBERS:
            if not isinstance(value, int) or isinstance(value, bool):
                raise bad_request(["not_int", name])
        elif name == "headers":
            given[name] = arguments_of(table, name)
        elif not isinstance(value, str):
            raise bad_request(["not_string", name])
    if "timestamp" in given:
        given["timestamp"] = _moment(given["timestamp"])
    try:
        return active.encode_properties(Properties(**given))
    except EncodeError as error:
        raise bad_request(f"properties: {error}") from error


def _moment(seconds: int) -> datetime | Timestamp:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return Timestamp(seconds)


# --- taking ----------------------------------------------------------------------------------------


def fetched(call: "Call", name: str) -> list[Table]:
    """Take messages out of a queue, and put them back if the request wants it."""
    body = call.body()
    check_keys(body, "count", "ackmode", "encoding")
    count, truncate = _number(body, "count"), _number(body, "truncate", None)
    mode = _MODES.get(str(body["ackmode"]))
    if mode is None:
        raise bad_request(
            f"Invalid ackmode value: {body['ackmode']}. Valid values are: {', '.join(_MODES)}"
        )
    if body["encoding"] not in ("auto", "base64"):
        raise bad_request(["unsupported_encoding", body["encoding"]])
    queue = call.channel.readable(name)
    requeue, is_reject = mode
    return _taken(
        queue,
        min(count or 0, _MOST),
        requeue=requeue,
        is_reject=is_reject,
        as_base64=body["encoding"] == "base64",
        truncate=truncate,
    )


def _number(body: Table, key: str, default: int | None = 0) -> int | None:
    value = body.get(key, default)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise bad_request(["not_integer", value])
    return value


def _taken(
    queue: Queue,
    count: int,
    *,
    requeue: bool,
    is_reject: bool,
    as_base64: bool,
    truncate: int | None,
) -> list[Table]:
    entries, views = [], []
    for _ in range(count):
        entry = queue.get()
        if entry is None:
            break
        raw = queue.properties_of(entry)
        properties = active.decode_properties(raw)
        views.append(
            {
                "exchange": entry.message.exchange,
                "routing_key": entry.message.routing_key,
                "redelivered": entry.redelivered,
                "message_count": queue.ready,
                "payload_bytes": len(entry.message.body),
                "properties": _properties_view(properties),
                **_payload_view(bytes(entry.message.body)[:truncate], as_base64=as_base64),
            }
        )
        entries.append(entry)
    if requeue:
        queue.take_back(entries, Comeback.REJECTED if is_reject else Comeback.NACKED)
        return views
    for entry in entries:
        if is_reject:
            queue.discard(entry)
        else:
            queue.settle(entry)
    return views


def _properties_view(properties: Properties) -> Table:
    view: Table = {}
    for name in PROPERTY_NAMES:
        value = getattr(properties, name)
        if value is not None:
            view[name] = json_table(value) if name == "headers" else json_value(value)
    return view


def _payload_view(payload: bytes, *, as_base64: bool) -> Table:
    if not as_base64:
        try:
            return {"payload": payload.decode(), "payload_encoding": "string"}
        except UnicodeDecodeError:
            pass
    return {"payload": base64.b64encode(payload).decode(), "payload_encoding": "base64"}
