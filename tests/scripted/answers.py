"""What a well-behaved broker answers to each method."""

from collections.abc import Callable
from typing import Any

from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Confirm, Exchange, Queue, Tx

from hopmq.wire import new_method

_PLAIN: dict[type[Frame], type[Frame]] = {
    Exchange.Declare: Exchange.DeclareOk,
    Exchange.Delete: Exchange.DeleteOk,
    Exchange.Bind: Exchange.BindOk,
    Exchange.Unbind: Exchange.UnbindOk,
    Queue.Bind: Queue.BindOk,
    Queue.Unbind: Queue.UnbindOk,
    Queue.Purge: Queue.PurgeOk,
    Queue.Delete: Queue.DeleteOk,
    Basic.Qos: Basic.QosOk,
    Basic.Get: Basic.GetEmpty,
    Basic.Recover: Basic.RecoverOk,
    Confirm.Select: Confirm.SelectOk,
    Tx.Select: Tx.SelectOk,
    Tx.Commit: Tx.CommitOk,
    Tx.Rollback: Tx.RollbackOk,
}

# Any: each method has fields of its own.
_TAILORED: dict[type[Frame], Callable[[Any], Frame]] = {
    Queue.Declare: lambda asked: new_method(
        Queue.DeclareOk, queue=asked.queue or "amq.gen-scripted"
    ),
    Basic.Consume: lambda asked: new_method(Basic.ConsumeOk, consumer_tag=asked.consumer_tag),
    Basic.Cancel: lambda asked: new_method(Basic.CancelOk, consumer_tag=asked.consumer_tag),
    Channel.Flow: lambda asked: new_method(Channel.FlowOk, active=asked.active),
}


def answer(asked: Frame) -> Frame | None:
    """Return the answer to a method, or None where there is none."""
    kind = type(asked)
    if kind in _TAILORED:
        return _TAILORED[kind](asked)
    plain = _PLAIN.get(kind)
    return None if plain is None else new_method(plain)
