"""A codec: the names that the pure and the compiled one have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pamqp.base import Frame

from hopmq.typedefs import Body, FieldTable, FieldValue
from hopmq.wire import decode_values, decoder, encode_values, encoder, events, properties
from hopmq.wire.encoder import Piece
from hopmq.wire.properties import Properties

AppendPublish: TypeAlias = Callable[
    [list[Piece], int, str, str, bool, Properties | bytes | None, Body, int], int
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Codec:
    """One of the two codecs; both have the same names, types, limits and errors.

    The functions take their arguments by position, in the order that `hopmq.wire.encoder`
    documents.
    """

    name: Literal["cython", "pure"]

    Decoder: type[decoder.Decoder]
    Content: type[events.Content]
    Delivery: type[events.Delivery]
    Fetched: type[events.Fetched]
    Returned: type[events.Returned]
    Published: type[events.Published]
    Ack: type[events.Ack]
    Nack: type[events.Nack]
    Reject: type[events.Reject]
    Method: type[events.Method]
    Heartbeat: type[events.Heartbeat]
    ProtocolHeader: type[events.ProtocolHeader]
    Oversized: type[events.Oversized]

    encode_method: Callable[[int, Frame, int], bytes]
    append_publish: AppendPublish
    append_deliver: Callable[
        [
            list[Piece],
            int,
            str,
            int,
            bool,
            str,
            str,
            Properties | bytes | None,
            Body,
            int,
        ],
        int,
    ]
    append_get_ok: Callable[
        [list[Piece], int, int, bool, str, str, int, Properties | bytes | None, Body, int], int
    ]
    append_return: Callable[
        [list[Piece], int, int, str, str, str, Properties | bytes | None, Body, int], int
    ]
    encode_ack: Callable[[int, int, bool], bytes]
    encode_nack: Callable[[int, int, bool, bool], bytes]
    encode_reject: Callable[[int, int, bool], bytes]
    encode_properties: Callable[[Properties], bytes]
    decode_properties: Callable[[bytes], Properties]
    encode_table: Callable[[FieldTable], bytes]
    decode_table: Callable[[bytes], dict[str, FieldValue]]

    HEARTBEAT: bytes = encoder.HEARTBEAT
    PROTOCOL_HEADER: bytes = encoder.PROTOCOL_HEADER


PURE = Codec(
    name="pure",
    Decoder=decoder.Decoder,
    Content=events.Content,
    Delivery=events.Delivery,
    Fetched=events.Fetched,
    Returned=events.Returned,
    Published=events.Published,
    Ack=events.Ack,
    Nack=events.Nack,
    Reject=events.Reject,
    Method=events.Method,
    Heartbeat=events.Heartbeat,
    ProtocolHeader=events.ProtocolHeader,
    Oversized=events.Oversized,
    encode_method=encoder.encode_method,
    append_publish=encoder.append_publish,
    append_deliver=encoder.append_deliver,
    append_get_ok=encoder.append_get_ok,
    append_return=encoder.append_return,
    encode_ack=encoder.encode_ack,
    encode_nack=encoder.encode_nack,
    encode_reject=encoder.encode_reject,
    encode_properties=properties.encode_properties,
    decode_properties=properties.decode_properties,
    encode_table=encode_values.encode_table,
    decode_table=decode_values.decode_table,
)
"""The codec that is always there."""
