"""The exchange `x-delayed-message`: what it is made of, and how long a message has to wait.

It has the bindings of another type, named by its argument `x-delayed-type`, and routes as that
type does once a message is due. The waiting is done by whoever owns the exchanges.
"""

import re
from dataclasses import replace
from typing import Final

from hopmq.broker.exchanges.headers import headers_of
from hopmq.broker.refusal import Refusal
from hopmq.typedefs import FieldTable, FieldValue, Timestamp
from hopmq.wire.events import Published
from hopmq.wire.properties import encode_properties

DELAYED: Final = "x-delayed-message"
DELAY_HEADER: Final = "x-delay"
LONGEST: Final = 4_294_967_295
"""Milliseconds that a message can wait at most; with more it does not wait at all."""

_MILLISECONDS: Final = 1000
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,20}")


def delegate_of(arguments: FieldTable) -> str:
    """Return the type that routes in the end.

    Raises:
        Refusal: There is none, or it is `x-delayed-message` itself.
    """
    delegate = arguments.get("x-delayed-type")
    if delegate == DELAYED:
        fault = f"'{DELAYED}' can't be used for 'x-delayed-type'"
    elif not isinstance(delegate, str):
        fault = "'x-delayed-type' must be an existing exchange type"
    else:
        return delegate
    raise Refusal(406, f"PRECONDITION_FAILED - Invalid argument, {fault}")


def delay_of(message: Published) -> float:
    """Return the seconds that a message asks to wait by its header `x-delay`; 0 for none.

    The header is in milliseconds: a number, cut to a whole one, or a string of digits. Anything
    else asks for nothing, and so does what is negative, as RabbitMQ leaves it after the wait.
    """
    wanted = _whole(headers_of(message).get(DELAY_HEADER))
    return wanted / _MILLISECONDS if 0 < wanted <= LONGEST else 0.0


def waited(message: Published) -> bytes:
    """Return raw properties that tell that the wait is over: `x-delay` is negative.

    So the plugin of RabbitMQ leaves it, and another delayed exchange lets the message through.
    """
    headers = dict(headers_of(message))
    headers[DELAY_HEADER] = -_whole(headers.get(DELAY_HEADER))
    return encode_properties(replace(message.properties, headers=headers))


def _whole(value: FieldValue) -> int:
    if isinstance(value, bool | Timestamp):
        return 0
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if abs(value) <= LONGEST else 0
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    return 0
