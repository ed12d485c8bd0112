"""/api/exchanges: exchanges, publishing to them, and what leads from and to them."""

from typing import Any, Final

from pamqp.commands import Exchange as Methods

from hopmq.broker.exchanges.exchange import Exchange
from hopmq.broker.management.call import (
    CREATED,
    DONE,
    Answer,
    Call,
    Resource,
    arguments_of,
    checked_name,
    flag,
    found,
    text,
)
from hopmq.broker.management.errors import not_authorised
from hopmq.broker.management.messages import published
from hopmq.broker.management.rights import Needs
from hopmq.broker.management.views import (
    binding_view,
    bindings_of,
    exchange_name,
    exchange_view,
)
from hopmq.wire import new_method

Table = dict[str, Any]  # Any: what JSON holds


def _list(call: Call) -> list[Table]:
    return [
        exchange_view(vhost, exchange)
        for vhost in sorted(call.vhosts(), key=lambda vhost: vhost.name)
        for _, exchange in sorted(vhost.exchanges.items())
    ]


def _exchange(call: Call) -> Exchange:
    exchange: Exchange = found(call.vhost.exchanges.get(exchange_name(call.values["name"])))
    return exchange


def _get(call: Call) -> Table:
    return {**exchange_view(call.vhost, _exchange(call)), "incoming": [], "outgoing": []}


def _put(call: Call) -> Answer:
    body = call.body()
    name = checked_name(exchange_name(call.values["name"]))
    is_new = name not in call.vhost.exchanges
    call.channel.do(
        new_method(
            Methods.Declare,
            exchange=name,
            exchange_type=checked_name(text(body, "type", "direct")),
            durable=flag(body, "durable"),
            auto_delete=flag(body, "auto_delete"),
            internal=flag(body, "internal"),
            arguments=arguments_of(body),
            nowait=True,
        )
    )
    return CREATED if is_new else DONE


def _delete(call: Call) -> Answer:
    exchange = _exchange(call)
    if not exchange.name:
        raise not_authorised("Access refused.")
    if_unused = call.is_set("if-unused")
    call.channel.do(
        new_method(Methods.Delete, exchange=exchange.name, if_unused=if_unused, nowait=True)
    )
    return DONE


def _publish(call: Call) -> Table:
    return published(call, exchange_name(call.values["name"]))


def _from(call: Call) -> list[Table]:
    exchange, vhost = _exchange(call), call.vhost
    return [
        binding_view(vhost, binding)
        for binding in bindings_of(vhost)
        if binding.source == exchange.name
    ]


def _to(call: Call) -> list[Table]:
    exchange, vhost = _exchange(call), call.vhost
    return [
        binding_view(vhost, binding)
        for binding in vhost.bindings()
        if binding.destination is exchange
    ]


RESOURCES: Final = (
    Resource(path="/exchanges", get=_list, is_list=True),
    Resource(path="/exchanges/{vhost}", needs=Needs.VHOST, get=_list, is_list=True),
    Resource(
        path="/exchanges/{vhost}/{name}", needs=Needs.VHOST, get=_get, put=_put, delete=_delete
    ),
    Resource(path="/exchanges/{vhost}/{name}/publish", needs=Needs.VHOST, post=_publish),
    Resource(
        path="/exchanges/{vhost}/{name}/bindings/source",
        needs=Needs.VHOST,
        get=_from,
        is_list=True,
    ),
    Resource(
        path="/exchanges/{vhost}/{name}/bindings/destination",
        needs=Needs.VHOST,
        get=_to,
        is_list=True,
    ),
)
