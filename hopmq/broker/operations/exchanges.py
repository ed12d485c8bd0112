"""Class exchange: declare, delete, bind and unbind (AMQP 0-9-1, 1.6; RabbitMQ's extensions)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pamqp.base import Frame
from pamqp.commands import Exchange as Methods

from hopmq.broker.equivalence import check_same, check_same_argument
from hopmq.broker.exchanges.binding import Binding
from hopmq.broker.exchanges.exchange import ALTERNATE, Exchange, check_alternate, check_type
from hopmq.broker.operations.names import stripped
from hopmq.broker.refusal import Refusal
from hopmq.wire import new_method

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel

_RESERVED: Final = "amq."


def _declare(channel: "BrokerChannel", method: Methods.Declare) -> None:
    name = stripped(method.exchange)
    if method.passive:
        _check_default(name)
        channel.peer.require_any("exchange", name)
        channel.vhost.exchange(name)
    else:
        check_type(method.exchange_type, channel.vhost.rules)
        _check_default(name)
        channel.peer.require("configure", "exchange", name)
        present = channel.vhost.exchanges.get(name)
        if present is None:
            create_exchange(channel, name, method)
        else:
            _check_equivalent(channel, present, method)
    if not method.nowait:
        channel.reply(new_method(Methods.DeclareOk))


def create_exchange(channel: "BrokerChannel", name: str, method: Methods.Declare) -> None:
    """Add an exchange where there is none of that name.

    Raises:
        Refusal: The name is reserved, or the arguments mean nothing.
    """
    vhost = channel.vhost
    arguments = method.arguments or {}
    if name.startswith(_RESERVED):
        raise Refusal(
            403, f"ACCESS_REFUSED - exchange name '{name}' contains reserved prefix 'amq.*'"
        )
    check_alternate(arguments, name, vhost.name)
    if ALTERNATE in arguments:
        channel.peer.require("read", "exchange", name)
        channel.peer.require("write", "exchange", str(arguments[ALTERNATE]))
    if method.internal:
        # Channels that know an exchange of that name from before may publish to it no longer.
        channel.peer.access.epoch += 1
    vhost.add_exchange(
        Exchange(
            name,
            method.exchange_type,
            durable=method.durable,
            auto_delete=method.auto_delete,
            internal=method.internal,
            arguments=arguments,
            rules=vhost.rules,
        )
    )


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
    name = stripped(method.exchange)
    _check_default(name)
    if name.startswith(_RESERVED):
        raise Refusal(
            403,
            f"ACCESS_REFUSED - deletion of system exchange '{name}' in vhost "
            f"'{channel.vhost.name}' not allowed",
        )
    channel.peer.require("configure", "exchange", name)
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
    vhost = channel.vhost
    source, destination = _ends(channel, method)
    vhost.exchange(source)
    end = vhost.exchange(destination)
    vhost.bind(Binding(source, end, method.routing_key, method.arguments or {}))
    if not method.nowait:
        channel.reply(new_method(Methods.BindOk))


def _unbind(channel: "BrokerChannel", method: Methods.Unbind) -> None:
    vhost = channel.vhost
    source, destination = _ends(channel, method)
    end = vhost.exchanges.get(destination)
    if source in vhost.exchanges and end is not None:
        vhost.unbind(Binding(source, end, method.routing_key, method.arguments or {}))
    if not method.nowait:
        channel.reply(new_method(Methods.UnbindOk))


def _ends(channel: "BrokerChannel", method: Methods.Bind | Methods.Unbind) -> tuple[str, str]:
    """Return source and destination of a binding that may be made or removed."""
    source, destination = stripped(method.source), stripped(method.destination)
    channel.peer.require("write", "exchange", destination)
    for name in (destination, source):
        _check_default(name)
    channel.peer.require("read", "exchange", source)
    return source, destination


def _check_default(name: str) -> None:
    if not name:
        raise Refusal(403, "ACCESS_REFUSED - operation not permitted on the default exchange")


OPERATIONS: Final[Mapping[type[Frame], Callable[..., Any]]] = {
    Methods.Declare: _declare,
    Methods.Delete: _delete,
    Methods.Bind: _bind,
    Methods.Unbind: _unbind,
}
