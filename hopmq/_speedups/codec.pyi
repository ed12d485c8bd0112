"""The compiled codec; its classes stand in for those of `hopmq.wire.events` and `decoder`."""

from collections.abc import Callable
from typing import Any, Final

from hopmq.core.confirms import ConfirmLedger as ConfirmLedger
from hopmq.core.connection import ConnectionCore
from hopmq.core.dispatch import Dispatch
from hopmq.core.pending import Pending as Pending
from hopmq.core.pending import Receipt as Receipt
from hopmq.core.unread import Unread as Unread
from hopmq.core.unread import UnreadBytes as UnreadBytes
from hopmq.wire.decode_values import decode_table as decode_table
from hopmq.wire.decoder import Decoder as Decoder
from hopmq.wire.encode_values import encode_table as encode_table
from hopmq.wire.encoder import append_deliver as append_deliver
from hopmq.wire.encoder import append_get_ok as append_get_ok
from hopmq.wire.encoder import append_publish as append_publish
from hopmq.wire.encoder import append_return as append_return
from hopmq.wire.encoder import encode_ack as encode_ack
from hopmq.wire.encoder import encode_method as encode_method
from hopmq.wire.encoder import encode_nack as encode_nack
from hopmq.wire.encoder import encode_reject as encode_reject
from hopmq.wire.events import Ack as Ack
from hopmq.wire.events import Content as Content
from hopmq.wire.events import Delivery as Delivery
from hopmq.wire.events import Fetched as Fetched
from hopmq.wire.events import Heartbeat as Heartbeat
from hopmq.wire.events import Method as Method
from hopmq.wire.events import Nack as Nack
from hopmq.wire.events import Oversized as Oversized
from hopmq.wire.events import ProtocolHeader as ProtocolHeader
from hopmq.wire.events import Published as Published
from hopmq.wire.events import Reject as Reject
from hopmq.wire.events import Returned as Returned
from hopmq.wire.properties import decode_properties as decode_properties
from hopmq.wire.properties import encode_properties as encode_properties

CODEC_VERSION: Final[int]
HEARTBEAT: Final[bytes]
PROTOCOL_HEADER: Final[bytes]

# Any: the decoder's events have no common type.
def client_batch(
    dispatch: Dispatch,
    connection: ConnectionCore,
    delivery_type: type[Delivery],
    handlers: dict[type, Callable[[Dispatch, Any], None]],
    events: list[Any],
    /,
) -> None: ...
