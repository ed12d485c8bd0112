"""Sender-selected distribution: more routing keys of a message, in its headers CC and BCC."""

from collections.abc import Sequence
from typing import Final

from hopmq.broker.exchanges.headers import HEADERS_FLAG, headers_of
from hopmq.broker.exchanges.terms import type_of
from hopmq.broker.refusal import Refusal
from hopmq.errors import FrameSyntaxError
from hopmq.typedefs import FieldTable
from hopmq.wire.events import Published
from hopmq.wire.properties import decode_properties

OPEN: Final = "CC"
BLIND: Final = "BCC"

_OPEN_IN_TABLE: Final = b"\x02CC"
BLIND_IN_TABLE: Final = b"\x03BCC"
"""What stands in a property list with that header, and seldom in another."""
_BLIND_ARRAY: Final = BLIND_IN_TABLE + b"A"
_LENGTH: Final = 4


def routing_keys_of(message: Published) -> tuple[str, ...]:
    """Return the keys that a message is routed by: its own first, then those of CC and BCC.

    What is delivered has no BCC: once the keys are known, the message's properties are to be
    replaced by `without_blind`. A dead letter is routed by all of the keys, so they are to be
    kept with a message that has more than one.

    Raises:
        Refusal: 406, when CC or BCC is no array. What is no text in one is passed over.
    """
    raw = message.raw_properties
    # The names are looked for as bytes first: most messages with headers need not be decoded.
    if not raw[0] & HEADERS_FLAG or (_OPEN_IN_TABLE not in raw and BLIND_IN_TABLE not in raw):
        return (message.routing_key,)
    headers = headers_of(message)
    keys = (message.routing_key, *_listed(headers, OPEN), *_listed(headers, BLIND))
    return tuple(dict.fromkeys(keys))


def disclosed_keys_of(message: Published) -> tuple[str, ...]:
    """Return the keys that others may know, such as in `x-death`: all but those of BCC."""
    headers = headers_of(message)
    return tuple(dict.fromkeys((message.routing_key, *_listed(headers, OPEN))))


def _listed(headers: FieldTable, name: str) -> list[str]:
    if name not in headers:
        return []
    keys = headers[name]
    if not isinstance(keys, Sequence) or isinstance(keys, str | bytes):
        raise Refusal(
            406,
            "PRECONDITION_FAILED - invalid message: "
            f'{{unacceptable_type_in_header,"{name}",{type_of(keys)}}}',
        )
    return [key for key in keys if isinstance(key, str)]


def without_blind(message: Published) -> bytes:
    """Return the message's raw properties without BCC; nothing else changes by a byte.

    The entry is cut out of the bytes rather than encoded anew, which would change the widths of
    the numbers beside it. Bytes that look like the entry may stand elsewhere, in a table within
    the headers: a cut is taken only if it decodes to just what is wanted.
    """
    raw = message.raw_properties
    headers = dict(headers_of(message))
    if headers.pop(BLIND, None) is None:
        return raw
    table = _start_of_headers(raw)
    start = raw.find(_BLIND_ARRAY, table)
    while start >= 0:
        cut = _cut(raw, table, start)
        if _headers_in(cut) == headers:
            return cut
        start = raw.find(_BLIND_ARRAY, start + 1)
    return raw


def _cut(raw: bytes, table: int, start: int) -> bytes:
    """Cut an array out of the headers, whose length stands at `table`."""
    at = start + len(_BLIND_ARRAY)
    end = at + _LENGTH + int.from_bytes(raw[at : at + _LENGTH], "big")
    length = int.from_bytes(raw[table : table + _LENGTH], "big") - (end - start)
    head = raw[:table] + max(length, 0).to_bytes(_LENGTH, "big")
    return head + raw[table + _LENGTH : start] + raw[end:]


def _headers_in(raw: bytes) -> FieldTable | None:
    try:
        return decode_properties(raw).headers
    except FrameSyntaxError:
        return None


def _start_of_headers(raw: bytes) -> int:
    """Return where the table of headers starts: content type and encoding come before it."""
    at = 2
    for flag in (0x80, 0x40):
        if raw[0] & flag:
            at += 1 + raw[at]
    return at
