"""Class exchange: declare, delete, bind and unbind (AMQP 0-9-1, 1.6; RabbitMQ's extensions)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pamqp.base import Frame
from pamqp.commands import Exchange as Methods

from hopmq.broker.equivalence import check_same, check_same_argument
from hopmq.broker.exchanges.binding import Binding
from hopmq.broker.exchanges.exchange import Exchange
from hopmq.broker.refusal import Refusal
from hopmq.wire import new_method

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel

_RESERVED: Final = "amq."


def _declare(channel: "BrokerChannel", method: Methods.Declare) -> None:
    name = _stripped(method.exchange)
    vhost = channel.vhost
    if method.passive:
        if name:
            vhost.exchange(name)
    elif not name:
        raise Refusal(
            403,
            "ACCESS_REFUSED - operation not permitted on the default exchange",
        )
    elif (present := vhost.exchanges.get(name)) is not None:
        channel.peer.require("configure", "exchange", name)
        _check_equivalent(channel, present, method)
    else:
        channel.peer.require("configure", "exchange", name)
        if name.startswith(_RESERVED):
            raise Refusal(
                403,
                f"ACCESS_REFUSED - exchange name '{name}' contains reserved prefix 'amq.*'",
            )
        vhost.add_exchange(
            Exchange(
                name,
                method.exchange_type,
                durable=method.durable,
                auto_delete=method.auto_delete,
                internal=method.internal,
                arguments=method.arguments or {},
                rules=vhost.rules,
            )
        )
    if not method.nowait:
        channel.reply(new_method(Methods.DeclareOk))


def _check_equivalent(
    channel: "BrokerChannel", exchange: Exchange, method: Methods.Declare
) -> None:
    what = f"exchange '{exchange.name}' in vhost '{channel.vhost.name}'"
    check_same(what, "type", method.exchange_type, exchange.type)
    check_same(what, "durable", method.durable, exchange.durable)
    check_same(what, "auto_delete", method.auto_delete, exchange.auto_delete)
    check_same(what, "internal", method.internal, exchange.internal)
    check_same_argument(what, "alternate-exchange", method.arguments or {}, exchange.arguments)


def _delete(channel: "BrokerChannel", method: Methods.Delete) -> None:
    name = _stripped(method.exchange)
    _check_default(name)
    channel.peer.require("configure", "exchange", name)
    if name.startswith(_RESERVED):
        raise Refusal(
            403, f"ACCESS_REFUSED - exchange name '{name}' contains reserved prefix 'amq.*'"
        )
    exchange = channel.vhost.exchanges.get(name)
    if exchange is not None:
        if method.if_unused and not exchange.router.is_empty:
            raise Refusal(
                406,
                f"PRECONDITION_FAILED - exchange '{name}' in vhost '{channel.vhost.name}' in use",
            )
        channel.vhost.delete_exchange(exchange)
    if not method.nowait:
        channel.reply(new_method(Methods.DeleteOk))


def _bind(channel: "BrokerChannel", method: Methods.Bind) -> None:
    binding = _binding(channel, method)
    channel.vhost.bind(binding)
    if not method.nowait:
        channel.reply(new_method(Methods.BindOk))


def _unbind(channel: "BrokerChannel", method: Methods.Unbind) -> None:
    binding = _binding(channel, method)
    channel.vhost.unbind(binding)
    if not method.nowait:
        channel.reply(new_method(Methods.UnbindOk))


def _binding(channel: "BrokerChannel", method: Methods.Bind | Methods.Unbind) -> Binding:
    for name in (method.source, method.destination):
        _check_default(name)
    channel.peer.require("write", "exchange", method.destination)
    channel.peer.require("read", "exchange", method.source)
    channel.vhost.exchange(method.source)
    return Binding(
        method.source,
        channel.vhost.exchange(method.destination),
        method.routing_key,
        method.arguments or {},
    )


def _check_default(name: str) -> None:
    if not name:
        raise Refusal(403, "ACCESS_REFUSED - operation not permitted on the default exchange")


def _stripped(name: str) -> str:
    """Drop line breaks, as RabbitMQ does in names of exchanges and queues."""
    return name.replace("\r", "").replace("\n", "")


OPERATIONS: Final[Mapping[type[Frame], Callable[..., Any]]] = {
    Methods.Declare: _declare,
    Methods.Delete: _delete,
    Methods.Bind: _bind,
    Methods.Unbind: _unbind,
}
