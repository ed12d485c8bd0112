"""/api/vhosts: virtual hosts."""

from typing import Any, Final

from hopmq.broker.access import Permission
from hopmq.broker.definitions.exporting import metadata_of
from hopmq.broker.management.call import (
    CREATED,
    DONE,
    Answer,
    Call,
    Resource,
    checked_name,
    found,
    text,
)
from hopmq.broker.management.errors import bad_request
from hopmq.broker.management.resources.users import tags_of
from hopmq.broker.management.rights import Needs, is_monitor
from hopmq.broker.vhost import VirtualHost
from hopmq.broker.vhost_metadata import VhostMetadata

Table = dict[str, Any]  # Any: what JSON holds


def _view(call: Call, vhost: VirtualHost) -> Table:
    metadata = vhost.metadata
    queues = vhost.queues.values()
    ready = sum(queue.ready for queue in queues)
    unsettled = sum(queue.unsettled for queue in queues)
    return {
        "name": vhost.name,
        "description": metadata.description,
        "tags": list(metadata.tags),
        "default_queue_type": metadata.default_queue_type or "classic",
        "metadata": metadata_of(vhost),
        "tracing": False,
        "cluster_state": {call.node: "running"},
        "messages": ready + unsettled,
        "messages_ready": ready,
        "messages_unacknowledged": unsettled,
    }


def _list(call: Call) -> list[Table]:
    vhosts = sorted(call.state.vhosts.values(), key=lambda vhost: vhost.name)
    seen = vhosts if is_monitor(call.user) else set(call.vhosts())
    return [_view(call, vhost) for vhost in vhosts if vhost in seen]


def _get(call: Call) -> Table:
    vhost: VirtualHost = found(call.state.vhosts.get(call.values["name"]))
    if not is_monitor(call.user):
        found(vhost.name if vhost.name in call.user.permissions else None)
    return _view(call, vhost)


def _put(call: Call) -> Answer:
    name = checked_name(call.values["name"])
    body = call.body()
    if body.get("tracing") not in (None, False, "false"):
        raise bad_request("tracing is not supported")
    is_new = name not in call.state.vhosts
    vhost = call.state.add_vhost(name)
    if is_new:
        call.state.allow(call.user.name, name, Permission())
    kind = body.get("default_queue_type", body.get("defaultqueuetype"))
    vhost.metadata = VhostMetadata(
        description=text(body, "description"),
        tags=tags_of(body) if "tags" in body else (),
        default_queue_type=kind if isinstance(kind, str) else None,
    )
    return CREATED if is_new else DONE


def _delete(call: Call) -> Answer:
    name = call.values["name"]
    found(call.state.vhosts.get(name))
    call.state.delete_vhost(name)
    for user in call.state.access:
        user.permissions.pop(name, None)
    call.state.access.epoch += 1
    return DONE


RESOURCES: Final = (
    Resource(path="/vhosts", get=_list, is_list=True),
    Resource(
        path="/vhosts/{name}",
        needs_to_change=Needs.ADMINISTRATOR,
        get=_get,
        put=_put,
        delete=_delete,
    ),
)
