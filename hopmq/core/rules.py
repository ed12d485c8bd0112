"""Which methods may come from which end (AMQP 0-9-1, 1.3, with RabbitMQ's extensions)."""

from typing import Final

from pamqp.base import Frame
from pamqp.commands import INDEX_MAPPING, Basic, Channel, Confirm, Connection, Exchange, Queue, Tx

_EITHER: Final = {
    Connection.Close,
    Connection.CloseOk,
    Channel.Flow,
    Channel.FlowOk,
    Channel.Close,
    Channel.CloseOk,
    Basic.Cancel,
    Basic.CancelOk,
    Basic.Ack,
    Basic.Nack,
}

FROM_CLIENT: Final[frozenset[type[Frame]]] = frozenset(
    {
        Connection.StartOk,
        Connection.SecureOk,
        Connection.TuneOk,
        Connection.Open,
        Connection.UpdateSecret,
        Channel.Open,
        Exchange.Declare,
        Exchange.Delete,
        Exchange.Bind,
        Exchange.Unbind,
        Queue.Declare,
        Queue.Bind,
        Queue.Unbind,
        Queue.Purge,
        Queue.Delete,
        Basic.Qos,
        Basic.Consume,
        Basic.Publish,
        Basic.Get,
        Basic.Reject,
        Basic.RecoverAsync,
        Basic.Recover,
        Tx.Select,
        Tx.Commit,
        Tx.Rollback,
        Confirm.Select,
    }
    | _EITHER
)

FROM_SERVER: Final[frozenset[type[Frame]]] = frozenset(
    set(INDEX_MAPPING.values()) - FROM_CLIENT | _EITHER
)
