"""Class queue: declare, bind, unbind, purge and delete (AMQP 0-9-1, 1.7)."""

import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pamqp.base import Frame
from pamqp.commands import Queue as Methods

from hopmq.broker.equivalence import check_same, check_same_argument
from hopmq.broker.exchanges.binding import Binding
from hopmq.broker.operations.names import stripped
from hopmq.broker.queues.arguments import (
    DEFAULT_TYPE,
    TYPE,
    as_compared,
    check_dead_letter_exchange,
    check_declaration,
    check_server_named,
    check_type,
    compared,
    rules_of,
)
from hopmq.broker.queues.kinds import KINDS, new_queue
from hopmq.broker.queues.queue import Queue
from hopmq.broker.refusal import Refusal
from hopmq.broker.reply_to import PREFIX, PSEUDO_QUEUE
from hopmq.wire import new_method

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel
    from hopmq.broker.vhost import VirtualHost

_RESERVED: Final = "amq."
_GENERATED: Final = "amq.gen-"


def _declare(channel: "BrokerChannel", method: Methods.Declare) -> None:
    name = stripped(method.queue)
    if name == PSEUDO_QUEUE or name.startswith(PREFIX):
        _declare_reply_address(channel, name, method)
        return
    queue = _passive(channel, name) if method.passive else _declared(channel, name, method)
    channel.last_queue = queue.name
    queue.touch()
    if not method.nowait:
        channel.reply(
            new_method(
                Methods.DeclareOk,
                queue=queue.name,
                message_count=queue.ready,
                consumer_count=len(queue.roster),
            )
        )


def _passive(channel: "BrokerChannel", name: str) -> Queue:
    """Return what is there; an empty name is a name as any other here."""
    channel.peer.require_any("queue", name)
    queue = channel.vhost.queue(name)
    check_owner(channel, queue)
    return queue


def _declare_reply_address(channel: "BrokerChannel", name: str, method: Methods.Declare) -> None:
    """Answer whether replies to an address would arrive, without a queue (direct reply-to)."""
    if name != PSEUDO_QUEUE and channel.vhost.replies.find(name) is None:
        channel.vhost.queue(name)
    if not method.nowait:
        channel.reply(new_method(Methods.DeclareOk, queue=name, message_count=0, consumer_count=1))


def _declared(channel: "BrokerChannel", name: str, method: Methods.Declare) -> Queue:
    vhost = channel.vhost
    arguments = _with_default_type(vhost, method)
    server_named = not name
    if server_named:
        check_server_named(check_type(vhost, name, arguments, KINDS))
        name = _GENERATED + secrets.token_urlsafe(16)
    elif name.startswith(_RESERVED):
        raise _reserved(name)
    channel.peer.require("configure", "queue", name)
    present = vhost.queues.get(name)
    if present is None:
        return create_queue(channel, name, method, arguments, server_named=server_named)
    if present.owner is not (channel.peer if method.exclusive else None):
        raise Refusal(405, locked(present.name, present.vhost.name))
    _check_equivalent(present, method, arguments)
    return present


def _reserved(name: str) -> Refusal:
    return Refusal(403, f"ACCESS_REFUSED - queue name '{name}' contains reserved prefix 'amq.*'")


def _with_default_type(vhost: "VirtualHost", method: Methods.Declare) -> Mapping[str, Any]:
    """Return the arguments, with the virtual host's own kind of queue where they name none."""
    arguments: Mapping[str, Any] = method.arguments or {}
    kind = vhost.metadata.default_queue_type
    if (
        kind in (None, "classic")
        or not vhost.emulation.default_queue_types
        or not method.durable
        or method.exclusive
        or "x-queue-type" in arguments
    ):
        return arguments
    return {**arguments, "x-queue-type": kind}


def create_queue(
    channel: "BrokerChannel",
    name: str,
    method: Methods.Declare,
    arguments: Mapping[str, Any],
    *,
    server_named: bool,
) -> Queue:
    """Return a new queue of the channel's virtual host, where there is none of that name.

    Raises:
        Refusal: The declaration means nothing.
    """
    vhost = channel.vhost
    exchange = check_dead_letter_exchange(vhost, name, arguments)
    if exchange is not None:
        channel.peer.require("read", "queue", name)
        channel.peer.require("write", "exchange", exchange)
    kind = check_type(vhost, name, arguments, KINDS)
    if server_named:
        check_server_named(kind)
    check_declaration(
        vhost,
        name,
        kind,
        arguments,
        durable=_is_durable(method),
        exclusive=method.exclusive,
        auto_delete=method.auto_delete,
    )
    queue = new_queue(
        kind,
        vhost,
        name,
        durable=_is_durable(method),
        owner=channel.peer if method.exclusive else None,
        auto_delete=method.auto_delete,
        arguments=arguments,
    )
    if method.exclusive:
        channel.peer.exclusive_queues[queue] = None
    vhost.add_queue(queue)
    return queue


def _is_durable(method: Methods.Declare) -> bool:
    """Return whether a queue outlives its broker: one that goes with its connection does not."""
    return bool(method.durable and not method.exclusive)


def _check_equivalent(queue: Queue, method: Methods.Declare, arguments: Mapping[str, Any]) -> None:
    what = f"queue '{queue.name}' in vhost '{queue.vhost.name}'"
    check_same(what, "durable", _is_durable(method), queue.durable)
    check_same(what, "auto_delete", method.auto_delete, queue.auto_delete)
    rules = rules_of(queue.vhost)
    received, current = (as_compared(each, rules) for each in (arguments, queue.arguments))
    for name in compared(queue.kind, rules):
        check_same_argument(what, name, received, current)
    if received.get(TYPE, DEFAULT_TYPE) != queue.kind:
        check_same_argument(what, TYPE, received, current)


def find_queue(channel: "BrokerChannel", name: str) -> Queue:
    """Return the queue of that name; an empty one means the queue declared last.

    Raises:
        Refusal: There is none (404), or it is another connection's own (405).
    """
    queue = channel.vhost.queue(named_queue(channel, name))
    check_owner(channel, queue)
    return queue


def check_owner(channel: "BrokerChannel", queue: Queue) -> None:
    """Refuse a queue that is exclusive to another connection (405)."""
    if queue.owner is not None and queue.owner is not channel.peer:
        raise Refusal(405, locked(queue.name, queue.vhost.name))


def locked(queue: str, vhost: str) -> str:
    """Return what clients are told of a queue that is another connection's own."""
    return (
        f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{queue}' in "
        f"vhost '{vhost}'. It could be originally declared on another connection "
        "or the exclusive property value does not match that of the original declaration."
    )


def named_queue(channel: "BrokerChannel", name: str) -> str:
    """Return the name of a queue; an empty one means the queue declared last.

    Raises:
        Refusal: None was declared (404).
    """
    if name:
        return name
    if not channel.last_queue:
        raise Refusal(404, "NOT_FOUND - no previously declared queue")
    return channel.last_queue


def readable_queue(channel: "BrokerChannel", name: str) -> Queue:
    """Return a queue that the channel's user may read; see `find_queue`.

    Raises:
        Refusal: It may not (403), which is asked first; or as for `find_queue`.
    """
    name = named_queue(channel, name)
    channel.peer.require("read", "queue", name)
    return find_queue(channel, name)


def is_volatile(channel: "BrokerChannel", name: str) -> bool:
    """Return whether a name is an address that counts as a queue, if one with few operations."""
    vhost = channel.vhost
    return vhost.emulation.volatile_queues and vhost.replies.find(name) is not None


def _bind(channel: "BrokerChannel", method: Methods.Bind) -> None:
    name, source, routing_key = _ends(channel, method)
    channel.vhost.exchange(source)
    queue = find_queue(channel, name)
    channel.vhost.bind(Binding(source, queue, routing_key, method.arguments or {}))
    if not method.nowait:
        channel.reply(new_method(Methods.BindOk))


def _unbind(channel: "BrokerChannel", method: Methods.Unbind) -> None:
    vhost = channel.vhost
    is_address = vhost.replies.find(method.queue) is not None
    if not is_address or is_volatile(channel, method.queue):
        name, source, routing_key = _ends(channel, method)
        if source in vhost.exchanges and name in vhost.queues:
            queue = find_queue(channel, name)
            vhost.unbind(Binding(source, queue, routing_key, method.arguments or {}))
    channel.reply(new_method(Methods.UnbindOk))


def _ends(channel: "BrokerChannel", method: Methods.Bind | Methods.Unbind) -> tuple[str, str, str]:
    """Return the queue, the exchange and the key of a binding that may be made or removed."""
    name = stripped(named_queue(channel, method.queue))
    source = stripped(method.exchange)
    if is_volatile(channel, name):
        raise Refusal(
            403, "ACCESS_REFUSED - cannot bind or unbind to a volatile (direct reply-to) queue"
        )
    routing_key = method.routing_key
    if not method.queue and not routing_key:
        routing_key = channel.last_queue
    channel.peer.require("write", "queue", name)
    if not source:
        raise Refusal(403, "ACCESS_REFUSED - operation not permitted on the default exchange")
    channel.peer.require("read", "exchange", source)
    return name, source, routing_key


def _purge(channel: "BrokerChannel", method: Methods.Purge) -> None:
    count = 0
    if not is_volatile(channel, method.queue):
        count = readable_queue(channel, method.queue).purge()
    if not method.nowait:
        channel.reply(new_method(Methods.PurgeOk, message_count=count))


def _delete(channel: "BrokerChannel", method: Methods.Delete) -> None:
    name = stripped(named_queue(channel, method.queue))
    channel.peer.require("configure", "queue", name)
    count = 0
    queue = channel.vhost.queues.get(name)
    if queue is not None:
        check_owner(channel, queue)
        queue.check_deletion(if_unused=method.if_unused, if_empty=method.if_empty)
        count = channel.vhost.delete_queue(queue)
    if not method.nowait:
        channel.reply(new_method(Methods.DeleteOk, message_count=count))


OPERATIONS: Final[Mapping[type[Frame], Callable[..., Any]]] = {
    Methods.Declare: _declare,
    Methods.Bind: _bind,
    Methods.Unbind: _unbind,
    Methods.Purge: _purge,
    Methods.Delete: _delete,
}
