"""Every request a client makes, and the frame that answers it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hopmq import Exchange, Queue

from .ends import Ends


@dataclass(frozen=True, slots=True)
class Operation:
    """One public call that waits for one answer."""

    name: str
    answer: str
    call: Callable[[Ends], Awaitable[object]]

    def __str__(self) -> str:
        return f"{self.name}-{self.answer}"


TOPOLOGY = [
    Operation("declare_queue", "Channel.OpenOk", lambda ends: ends.connection.declare_queue("q")),
    Operation("declare_queue", "Queue.DeclareOk", lambda ends: ends.channel.declare_queue("q")),
    Operation(
        "declare_exchange",
        "Exchange.DeclareOk",
        lambda ends: ends.channel.declare_exchange("x", "topic"),
    ),
    Operation(
        "declare",
        "Exchange.DeclareOk",
        lambda ends: ends.channel.declare(Queue("q"), Exchange("x"), Queue("r")),
    ),
    Operation("bind", "Queue.BindOk", lambda ends: ends.channel.bind("q", "x", "k")),
    Operation("unbind", "Queue.UnbindOk", lambda ends: ends.channel.unbind("q", "x", "k")),
    Operation(
        "bind_exchange", "Exchange.BindOk", lambda ends: ends.channel.bind_exchange("x", "y")
    ),
    Operation(
        "unbind_exchange", "Exchange.UnbindOk", lambda ends: ends.channel.unbind_exchange("x", "y")
    ),
    Operation("purge", "Queue.PurgeOk", lambda ends: ends.channel.purge("q")),
    Operation("delete_queue", "Queue.DeleteOk", lambda ends: ends.channel.delete_queue("q")),
    Operation(
        "delete_exchange", "Exchange.DeleteOk", lambda ends: ends.channel.delete_exchange("x")
    ),
]

REQUESTS = [
    *TOPOLOGY,
    Operation("channel", "Channel.OpenOk", lambda ends: ends.connection.channel()),
    Operation("channel", "Basic.QosOk", lambda ends: ends.connection.channel()),
    Operation("channel", "Confirm.SelectOk", lambda ends: ends.connection.channel()),
    Operation(
        "update_secret",
        "Connection.UpdateSecretOk",
        lambda ends: ends.connection.update_secret("fresh"),
    ),
    Operation("set_prefetch", "Basic.QosOk", lambda ends: ends.channel.set_prefetch(3)),
    Operation("flow", "Channel.FlowOk", lambda ends: ends.channel.flow(True)),
    Operation("get", "Basic.GetEmpty", lambda ends: ends.channel.get("q")),
    Operation("recover", "Basic.RecoverOk", lambda ends: ends.channel.recover()),
    Operation("consume", "Basic.ConsumeOk", lambda ends: ends.channel.consume("q")),
]
