"""Class basic without its messages: qos, consume, cancel, get and recover (AMQP 0-9-1, 1.8)."""

import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pamqp.base import Frame
from pamqp.commands import Basic, Channel

from hopmq.broker.consumer import Consumer
from hopmq.broker.operations.queues import is_volatile, readable_queue
from hopmq.broker.queues.queue import Comeback
from hopmq.broker.refusal import Refusal
from hopmq.broker.reply_to import PSEUDO_QUEUE
from hopmq.wire import new_method

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel


def _qos(channel: "BrokerChannel", method: Basic.Qos) -> None:
    if method.prefetch_size:
        raise Refusal(540, f"NOT_IMPLEMENTED - prefetch_size!=0 ({method.prefetch_size})")
    is_global = method.global_ and channel.vhost.emulation.global_prefetch
    if not is_global:
        channel.consumer_prefetch = method.prefetch_count
    # A prefetch for each consumer takes that of the channel away.
    _limit_channel(channel, method.prefetch_count if is_global else 0)
    channel.reply(new_method(Basic.QosOk))


def _limit_channel(channel: "BrokerChannel", prefetch: int) -> None:
    if channel.prefetch == prefetch:
        return
    channel.prefetch = prefetch
    for consumer in list(channel.consumers.values()):
        if consumer.parked:
            consumer.queue.roster.unpark(consumer)
            consumer.queue.dispatch()


def _consume(channel: "BrokerChannel", method: Basic.Consume) -> None:
    if method.queue == PSEUDO_QUEUE:
        _consume_replies(channel, method)
        return
    if is_volatile(channel, method.queue):
        raise Refusal(
            406,
            "PRECONDITION_FAILED - only creator channel may consume from queue "
            f"'{method.queue}' in vhost '{channel.vhost.name}'",
        )
    queue = readable_queue(channel, method.queue)
    tag = _new_tag(channel, method.consumer_tag)
    arguments: Mapping[str, Any] = method.arguments or {}
    queue.check_consumer(
        channel, no_ack=method.no_ack, exclusive=method.exclusive, arguments=arguments
    )
    consumer = Consumer(
        channel,
        queue,
        tag,
        no_ack=method.no_ack,
        exclusive=method.exclusive,
        priority=arguments.get("x-priority", 0),
        prefetch=channel.consumer_prefetch,
        arguments=arguments,
    )
    channel.consumers[tag] = consumer
    if not method.nowait:
        channel.reply(new_method(Basic.ConsumeOk, consumer_tag=tag))
    queue.add_consumer(consumer)
    if not method.no_ack:
        channel.patience.start(queue, consumer)
    queue.dispatch()


def _consume_replies(channel: "BrokerChannel", method: Basic.Consume) -> None:
    """Give the channel an address at which replies reach it (RabbitMQ, Direct Reply-to)."""
    if not method.no_ack:
        raise Refusal(406, "PRECONDITION_FAILED - reply consumer cannot acknowledge")
    if channel.reply_address is not None:
        raise Refusal(406, "PRECONDITION_FAILED - reply consumer already set")
    tag = _new_tag(channel, method.consumer_tag)
    channel.reply_address = channel.vhost.replies.add(channel, tag)
    if not method.nowait:
        channel.reply(new_method(Basic.ConsumeOk, consumer_tag=tag))


def _new_tag(channel: "BrokerChannel", wanted: str) -> str:
    if not wanted:
        return f"amq.ctag-{secrets.token_urlsafe(16)}"
    address = channel.reply_address
    if wanted in channel.consumers or (address is not None and address.tag == wanted):
        raise Refusal(530, f"NOT_ALLOWED - attempt to reuse consumer tag '{wanted}'")
    return wanted


def _cancel(channel: "BrokerChannel", method: Basic.Cancel) -> None:
    tag = method.consumer_tag or ""
    consumer = channel.consumers.pop(tag, None)
    if consumer is not None:
        consumer.queue.remove_consumer(consumer)
    address = channel.reply_address
    if address is not None and address.tag == tag:
        channel.vhost.replies.remove(address)
        channel.reply_address = None
    if not method.nowait:
        channel.reply(new_method(Basic.CancelOk, consumer_tag=tag))


def _get(channel: "BrokerChannel", method: Basic.Get) -> None:
    if is_volatile(channel, method.queue):
        raise Refusal(
            540,
            "NOT_IMPLEMENTED - basic.get not supported by volatile queue "
            f"'{method.queue}' in vhost '{channel.vhost.name}'",
        )
    queue = readable_queue(channel, method.queue)
    entry = queue.get()
    if entry is None:
        channel.reply(new_method(Basic.GetEmpty))
        return
    channel.publishing.flush_acks()
    tag = channel.last_tag = channel.last_tag + 1
    message = entry.message
    connection = channel.connection
    connection.wrote(
        connection.codec.append_get_ok(
            connection.out,
            channel.number,
            tag,
            entry.redelivered,
            message.exchange,
            message.routing_key,
            queue.ready,
            queue.properties_of(entry),
            message.body,
            connection.frame_max,
        )
    )
    if method.no_ack:
        queue.settle(entry)
    else:
        channel.unsettled[tag] = (entry, queue, None)
        channel.patience.start(queue, None)


def _recover(channel: "BrokerChannel", method: Basic.Recover) -> None:
    _check_recover(channel, method.requeue)
    # First the answer: what follows it is delivered anew.
    channel.reply(new_method(Basic.RecoverOk))
    channel.take_back(list(channel.unsettled), Comeback.RECOVERED)


def _recover_async(channel: "BrokerChannel", method: Basic.RecoverAsync) -> None:
    _check_recover(channel, method.requeue)
    channel.take_back(list(channel.unsettled), Comeback.RECOVERED)


def _check_recover(channel: "BrokerChannel", requeue: bool) -> None:
    if not requeue:
        raise Refusal(540, "NOT_IMPLEMENTED - requeue=false")
    for queue in {queue for _, queue, _ in channel.unsettled.values()}:
        queue.check_recovery()


def _flow(channel: "BrokerChannel", method: Channel.Flow) -> None:
    if not method.active:
        raise Refusal(540, "NOT_IMPLEMENTED - active=false")
    channel.reply(new_method(Channel.FlowOk, active=True))


def _cancel_ok(channel: "BrokerChannel", _method: Basic.CancelOk) -> None:
    """Refuse an answer to a notification that asked for none."""
    if channel.vhost.emulation.timeout_cancels:
        raise Refusal(541, "INTERNAL_ERROR")
    raise Refusal(503, "COMMAND_INVALID - unimplemented method")


OPERATIONS: Final[Mapping[type[Frame], Callable[..., Any]]] = {
    Basic.Qos: _qos,
    Basic.Consume: _consume,
    Basic.Cancel: _cancel,
    Basic.CancelOk: _cancel_ok,
    Basic.Get: _get,
    Basic.Recover: _recover,
    Basic.RecoverAsync: _recover_async,
    Channel.Flow: _flow,
}
