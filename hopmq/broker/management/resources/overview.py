"""/api/overview, /api/nodes and what else tells of the broker as a whole."""

import os
import platform
from http import HTTPStatus
from typing import Any, Final

from hopmq._version import __version__
from hopmq.broker.exchanges.exchange import DESCRIPTIONS, types_of
from hopmq.broker.exchanges.rules import RULES
from hopmq.broker.management.call import Call, ListenerInfo, Resource, found
from hopmq.broker.management.errors import ApiError, not_found
from hopmq.broker.management.rights import Needs

Table = dict[str, Any]  # Any: what JSON holds


_OF_ERLANG: Final = (
    "run_queue",
    "fd_total",
    "fd_used",
    "sockets_total",
    "sockets_used",
    "proc_total",
    "proc_used",
    "disk_free",
    "disk_free_limit",
)
"""Numbers of a node that mean nothing here, and that some tools insist on."""


def _overview(call: Call) -> Table:
    emulation = call.state.emulation
    vhosts = list(call.vhosts())
    queues = [queue for vhost in vhosts for queue in vhost.queues.values()]
    ready = sum(queue.ready for queue in queues)
    unsettled = sum(queue.unsettled for queue in queues)
    peers = call.peers()
    view: Table = {
        "management_version": emulation.version,
        "rabbitmq_version": emulation.version,
        "product_name": "HopMQ",
        "product_version": __version__,
        "python_version": platform.python_version(),
        "cluster_name": call.node,
        "rates_mode": "none",
        "disable_stats": False,
        "enable_queue_totals": False,
        "exchange_types": [
            {"name": name, "description": DESCRIPTIONS[name], "enabled": True}
            for name in types_of(RULES[emulation.release])
        ],
        "object_totals": {
            "channels": sum(len(peer.channels) for peer in peers),
            "connections": len(peers),
            "consumers": sum(len(queue.roster) for queue in queues),
            "exchanges": sum(len(vhost.exchanges) for vhost in vhosts),
            "queues": len(queues),
        },
        "queue_totals": {
            "messages": ready + unsettled,
            "messages_ready": ready,
            "messages_unacknowledged": unsettled,
        },
        "message_stats": {},
        "churn_rates": {},
        "statistics_db_event_queue": 0,
    }
    if call.sees_others:
        view["node"] = call.node
        view["listeners"] = [_listener(call, each) for each in call.listeners]
        view["contexts"] = []
    return view


def _listener(call: Call, listener: ListenerInfo) -> Table:
    return {
        "node": call.node,
        "protocol": listener.protocol,
        "ip_address": listener.host,
        "port": listener.port,
        "tls": listener.is_tls,
        "socket_opts": {},
    }


def _node(call: Call) -> Table:
    memory = call.state.memory
    return {
        "name": call.node,
        "type": "disc",
        "running": True,
        "being_drained": False,
        "os_pid": str(os.getpid()),
        "uptime": int(call.uptime * 1000),
        "mem_used": memory.used,
        "mem_limit": memory.limit,
        "mem_alarm": memory.alarmed,
        "disk_free_alarm": False,
        "processors": os.cpu_count() or 1,
        "rates_mode": "none",
        "exchange_types": _overview(call)["exchange_types"],
        "partitions": [],
        "applications": [],
        "enabled_plugins": ["rabbitmq_management"],
        **dict.fromkeys(_OF_ERLANG, 0),
    }


def _nodes(call: Call) -> list[Table]:
    return [_node(call)]


def _one_node(call: Call) -> Table:
    found(call.node if call.values["name"] == call.node else None)
    return _node(call)


def _cluster_name(call: Call) -> Table:
    return {"name": call.node}


def _nothing(_call: Call) -> list[Table]:
    return []


def _version(call: Call) -> str:
    if not call.state.emulation.api_version:
        raise not_found()
    return call.state.emulation.version


# --- health ----------------------------------------------------------------------------------------


def _fine(_call: Call) -> Table:
    return {"status": "ok"}


def _alone(_call: Call) -> Table:
    return {"status": "ok", "reason": "single node cluster"}


def _alarms(call: Call) -> Table:
    if not call.state.memory.alarmed:
        return {"status": "ok"}
    alarms = [{"node": call.node, "resource": "memory"}]
    raise CheckFailedError(
        {"reason": "There are alarms in effect in the cluster", "alarms": alarms}
    )


def _port_listener(call: Call) -> Table:
    ports = [listener.port for listener in call.listeners]
    wanted = call.values["port"]
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 6):
        raise ApiError(HTTPStatus.BAD_REQUEST, "bad_request", "Invalid port")
    if int(wanted) in ports:
        return {"status": "ok", "port": int(wanted)}
    raise CheckFailedError({"reason": "No active listener", "missing": int(wanted), "ports": ports})


_PROTOCOLS: Final = {"amqp091": "amqp", "amqp0-9-1": "amqp", "amqps": "amqp/ssl"}


def _protocol_listener(call: Call) -> Table:
    protocols = sorted({listener.protocol for listener in call.listeners})
    wanted = call.values["protocol"].lower()
    if _PROTOCOLS.get(wanted, wanted) in protocols:
        return {"status": "ok", "protocols": protocols}
    missing = [wanted] if call.state.emulation.api_lists_missing else wanted
    raise CheckFailedError(
        {"reason": "No active listener", "missing": missing, "protocols": protocols}
    )


class CheckFailedError(ApiError):
    """A health check has found something.

    Attributes:
        body: What the answer says.
    """

    def __init__(self, body: Table) -> None:
        """Answer 503."""
        super().__init__(HTTPStatus.SERVICE_UNAVAILABLE, "failed", body["reason"])
        self.body: Table = {"status": "failed", **body}


_FINE: Final = (
    "certificate-expiration/{within}/{unit}",
    "virtual-hosts",
    "ready-to-serve-clients",
    "is-in-service",
)
_MONITOR: Final = Needs.MONITORING
_CHECKS: Final = "/health/checks"

RESOURCES: Final = (
    Resource(path="/overview", get=_overview),
    Resource(path="/nodes", needs=_MONITOR, get=_nodes, is_list=True),
    Resource(path="/nodes/{name}", needs=_MONITOR, get=_one_node),
    Resource(path="/cluster-name", get=_cluster_name),
    Resource(path="/extensions", get=_nothing),
    Resource(path="/version", get=_version),
    Resource(path="/parameters", needs=Needs.POLICYMAKER, get=_nothing, is_list=True),
    Resource(path="/parameters/{component}", needs=Needs.POLICYMAKER, get=_nothing, is_list=True),
    Resource(path="/global-parameters", needs=Needs.POLICYMAKER, get=_nothing, is_list=True),
    Resource(path="/vhost-limits", get=_nothing, is_list=True),
    Resource(path="/vhost-limits/{vhost}", needs=Needs.VHOST, get=_nothing, is_list=True),
    Resource(path="/user-limits", get=_nothing, is_list=True),
    Resource(path="/user-limits/{user}", get=_nothing, is_list=True),
    Resource(path="/deprecated-features", needs=Needs.ADMINISTRATOR, get=_nothing, is_list=True),
    Resource(
        path="/deprecated-features/used", needs=Needs.ADMINISTRATOR, get=_nothing, is_list=True
    ),
    Resource(path="/feature-flags", needs=Needs.ADMINISTRATOR, get=_nothing, is_list=True),
    Resource(path="/aliveness-test/{vhost}", needs=Needs.VHOST, get=_fine),
    Resource(path="/healthchecks/node", get=_fine),
    Resource(path=f"{_CHECKS}/node-is-quorum-critical", get=_alone),
    Resource(path=f"{_CHECKS}/alarms", get=_alarms),
    Resource(path=f"{_CHECKS}/local-alarms", get=_alarms),
    Resource(path=f"{_CHECKS}/port-listener/{{port}}", get=_port_listener),
    Resource(path=f"{_CHECKS}/protocol-listener/{{protocol}}", get=_protocol_listener),
    *(Resource(path=f"{_CHECKS}/{check}", get=_fine) for check in _FINE),
)
