"""/api/queues: queues, their contents, and what leads to them."""

from typing import Any, Final

from pamqp.commands import Queue as Methods

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
)
from hopmq.broker.management.client_views import consumer_view
from hopmq.broker.management.errors import bad_request, missing
from hopmq.broker.management.messages import fetched
from hopmq.broker.management.rights import Needs
from hopmq.broker.management.views import binding_view, bindings_of, queue_view, unsettled_bytes
from hopmq.broker.queues.queue import Queue
from hopmq.wire import new_method

Table = dict[str, Any]  # Any: what JSON holds


def _list(call: Call) -> list[Table]:
    sizes = unsettled_bytes(call.state)
    queues = [queue for vhost in call.vhosts() for queue in vhost.queues.values()]
    queues.sort(key=lambda queue: (queue.vhost.name, queue.name))
    return [queue_view(call, queue, sizes.get(queue, 0)) for queue in queues]


def _queue(call: Call) -> Queue:
    queue: Queue = found(call.vhost.queues.get(call.values["name"]))
    return queue


def _get(call: Call) -> Table:
    queue = _queue(call)
    view = queue_view(call, queue, unsettled_bytes(call.state).get(queue, 0))
    return {**view, "consumer_details": [consumer_view(call, each) for each in queue.roster]}


def _put(call: Call) -> Answer:
    body = call.body()
    name = checked_name(call.values["name"])
    is_new = name not in call.vhost.queues
    call.channel.do(
        new_method(
            Methods.Declare,
            queue=name,
            durable=flag(body, "durable"),
            auto_delete=flag(body, "auto_delete"),
            arguments=arguments_of(body),
            nowait=True,
        )
    )
    return CREATED if is_new else DONE


def _delete(call: Call) -> Answer:
    _queue(call)
    call.channel.do(
        new_method(
            Methods.Delete,
            queue=call.values["name"],
            if_unused=call.is_set("if-unused"),
            if_empty=call.is_set("if-empty"),
            nowait=True,
        )
    )
    return DONE


def _purge(call: Call) -> Answer:
    _queue(call)
    call.channel.do(new_method(Methods.Purge, queue=call.values["name"], nowait=True))
    return DONE


def _fetch(call: Call) -> list[Table]:
    name = call.values["name"]
    if name not in call.vhost.queues:
        raise missing(
            f"NOT_FOUND - no queue '{name}' in vhost '{call.vhost.name}'"
            if call.state.emulation.api_quotes_amqp
            else "queue_not_found"
        )
    return fetched(call, name)


def _act(call: Call) -> Answer:
    """Refuse: what there is to do with a queue (sync) concerns mirrors."""
    _queue(call)
    raise bad_request(["unknown", call.body().get("action")])


def _bindings(call: Call) -> list[Table]:
    queue = _queue(call)
    vhost = call.vhost
    return [
        binding_view(vhost, binding)
        for binding in bindings_of(vhost)
        if binding.destination is queue
    ]


RESOURCES: Final = (
    Resource(path="/queues", get=_list, is_list=True),
    Resource(path="/queues/{vhost}", needs=Needs.VHOST, get=_list, is_list=True),
    Resource(path="/queues/{vhost}/{name}", needs=Needs.VHOST, get=_get, put=_put, delete=_delete),
    Resource(path="/queues/{vhost}/{name}/contents", needs=Needs.VHOST, delete=_purge),
    Resource(path="/queues/{vhost}/{name}/get", needs=Needs.VHOST, post=_fetch),
    Resource(path="/queues/{vhost}/{name}/actions", needs=Needs.VHOST, post=_act),
    Resource(
        path="/queues/{vhost}/{name}/bindings", needs=Needs.VHOST, get=_bindings, is_list=True
    ),
)
