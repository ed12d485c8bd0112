"""/api/bindings: what leads from an exchange to a queue or to another exchange."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, unquote_plus

from pamqp.commands import Exchange, Queue

from hopmq.broker.exchanges.binding import Binding
from hopmq.broker.management.call import (
    DONE,
    Answer,
    Call,
    Resource,
    arguments_of,
    checked_name,
    found,
    text,
)
from hopmq.broker.management.errors import not_found
from hopmq.broker.management.rights import Needs
from hopmq.broker.management.views import binding_view, bindings_of, exchange_name
from hopmq.wire import new_method

Table = dict[str, Any]  # Any: what JSON holds

_PAIR: Final = "/bindings/{vhost}/e/{source}/{kind}/{destination}"


def _list(call: Call) -> list[Table]:
    return [
        binding_view(vhost, binding) for vhost in call.vhosts() for binding in bindings_of(vhost)
    ]


def _to_exchange(call: Call) -> bool:
    kind = call.values["kind"]
    if kind not in ("q", "e"):
        raise not_found()
    return kind == "e"


def _between(call: Call) -> Iterator[Binding]:
    source = exchange_name(call.values["source"])
    to_exchange = _to_exchange(call)
    for binding in bindings_of(call.vhost):
        destination = binding.destination
        if (
            binding.source == source
            and destination.name == call.values["destination"]
            and destination.is_exchange is to_exchange
        ):
            yield binding


def _list_between(call: Call) -> list[Table]:
    return [binding_view(call.vhost, binding) for binding in _between(call)]


def _add(call: Call) -> Answer:
    body = call.body()
    routing_key = checked_name(text(body, "routing_key"))
    arguments = arguments_of(body)
    source, destination = exchange_name(call.values["source"]), call.values["destination"]
    if _to_exchange(call):
        call.channel.do(
            new_method(
                Exchange.Bind,
                source=source,
                destination=destination,
                routing_key=routing_key,
                arguments=arguments,
                nowait=True,
            )
        )
    else:
        call.channel.do(
            new_method(
                Queue.Bind,
                exchange=source,
                queue=destination,
                routing_key=routing_key,
                arguments=arguments,
                nowait=True,
            )
        )
    key = next(
        binding.properties_key
        for binding in _between(call)
        if binding.routing_key == routing_key and dict(binding.arguments) == arguments
    )
    location = f"{quote(destination, safe='')}/{quote(key, safe='~')}"
    return Answer(status=HTTPStatus.CREATED, location=location)


def _one(call: Call) -> Binding:
    wanted = call.values["properties"]
    for binding in _between(call):
        key = binding.properties_key
        # Clients quote the key once or twice; RabbitMQ takes both.
        if wanted in (key, unquote_plus(key)):
            return binding
    result: Binding = found(None)
    return result


def _get(call: Call) -> Table:
    return binding_view(call.vhost, _one(call))


def _delete(call: Call) -> Answer:
    binding = _one(call)
    if binding.destination.is_exchange:
        call.channel.do(
            new_method(
                Exchange.Unbind,
                source=binding.source,
                destination=binding.destination.name,
                routing_key=binding.routing_key,
                arguments=binding.arguments,
                nowait=True,
            )
        )
    else:
        call.channel.do(
            new_method(
                Queue.Unbind,
                exchange=binding.source,
                queue=binding.destination.name,
                routing_key=binding.routing_key,
                arguments=binding.arguments,
            )
        )
    return DONE


RESOURCES: Final = (
    Resource(path="/bindings", get=_list, is_list=True),
    Resource(path="/bindings/{vhost}", needs=Needs.VHOST, get=_list, is_list=True),
    Resource(path=_PAIR, needs=Needs.VHOST, get=_list_between, post=_add, is_list=True),
    Resource(path=f"{_PAIR}/{{properties}}", needs=Needs.VHOST, get=_get, delete=_delete),
)
