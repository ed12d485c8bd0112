"""From a broker to an export that RabbitMQ can load."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from hopmq.broker.access import HASHING_ALGORITHM
from hopmq.broker.exchanges.exchange import Exchange
from hopmq.broker.json_values import json_table
from hopmq.broker.policies import Policy
from hopmq.broker.queues.queue import Queue

if TYPE_CHECKING:
    from hopmq.broker.emulation import Emulation
    from hopmq.broker.state import BrokerState
    from hopmq.broker.vhost import VirtualHost

Table = dict[str, Any]  # Any: what JSON holds

_RESERVED: Final = "amq."


def export_definitions(state: "BrokerState", vhost: "VirtualHost | None" = None) -> Table:
    """Return everything but messages, of the whole broker or of one virtual host.

    Exclusive queues are left out: they go with their connections.
    """
    return _of_broker(state) if vhost is None else _of_vhost(vhost)


def _of_broker(state: "BrokerState") -> Table:
    vhosts = list(state.vhosts.values())
    return {
        **_versions(state.emulation),
        "rabbitmq_definition_format": "cluster",
        "explanation": "Definitions of an embedded broker",
        "users": [
            {
                "name": user.name,
                "password_hash": user.password_hash,
                "hashing_algorithm": HASHING_ALGORITHM,
                "tags": list(user.tags),
                "limits": {},
            }
            for user in state.access
        ],
        "vhosts": [
            {"name": vhost.name, "limits": {}, "metadata": metadata_of(vhost)} for vhost in vhosts
        ],
        "permissions": [
            {
                "user": user.name,
                "vhost": name,
                "configure": permission.configure,
                "write": permission.write,
                "read": permission.read,
            }
            for user in state.access
            for name, permission in user.permissions.items()
            if name in state.vhosts
        ],
        "topic_permissions": [],
        "parameters": _in_each(vhosts, _parameters),
        "global_parameters": [],
        "policies": _in_each(vhosts, _policies),
        "queues": _in_each(vhosts, _queues),
        "exchanges": _in_each(vhosts, _exchanges),
        "bindings": _in_each(vhosts, _bindings),
    }


def _of_vhost(vhost: "VirtualHost") -> Table:
    return {
        **_versions(vhost.emulation),
        "rabbitmq_definition_format": "single_virtual_host",
        "original_vhost_name": vhost.name,
        "explanation": f"Definitions of virtual host '{vhost.name}'",
        "metadata": metadata_of(vhost),
        "description": vhost.metadata.description,
        "limits": {},
        "parameters": list(_parameters(vhost)),
        "policies": list(_policies(vhost)),
        "queues": list(_queues(vhost)),
        "exchanges": list(_exchanges(vhost)),
        "bindings": list(_bindings(vhost)),
    }


def _versions(emulation: "Emulation") -> Table:
    return {
        "rabbit_version": emulation.version,
        "rabbitmq_version": emulation.version,
        "product_name": "HopMQ",
        "product_version": emulation.version,
    }


def _in_each(vhosts: list["VirtualHost"], part: Any) -> list[Table]:  # Any: one of those below
    return [{**entry, "vhost": vhost.name} for vhost in vhosts for entry in part(vhost)]


def metadata_of(vhost: "VirtualHost") -> Table:
    """Return the metadata of a virtual host as RabbitMQ spells it."""
    metadata: Table = {
        "description": vhost.metadata.description,
        "tags": list(vhost.metadata.tags),
    }
    kind = vhost.metadata.default_queue_type
    if kind is not None:
        metadata["default_queue_type"] = kind
    return metadata


def policy_table(policy: Policy) -> Table:
    """Return a policy as RabbitMQ spells it, without its name."""
    return {
        "pattern": policy.pattern,
        "apply-to": policy.apply_to,
        "definition": dict(policy.definition),
        "priority": policy.priority,
    }


def _policies(vhost: "VirtualHost") -> Iterator[Table]:
    for policy in vhost.policies:
        yield {"name": policy.name, **policy_table(policy)}


def _parameters(vhost: "VirtualHost") -> Iterator[Table]:
    for policy in vhost.policies.operator:
        yield {
            "component": "operator_policy",
            "name": policy.name,
            "value": policy_table(policy),
        }


def _queues(vhost: "VirtualHost") -> Iterator[Table]:
    for queue in vhost.queues.values():
        if queue.owner is None:
            yield {
                "name": queue.name,
                "type": queue.kind,
                "durable": queue.durable,
                "auto_delete": queue.auto_delete,
                "arguments": json_table(queue.arguments),
            }


def _exchanges(vhost: "VirtualHost") -> Iterator[Table]:
    for exchange in vhost.exchanges.values():
        if exchange.name and not exchange.name.startswith(_RESERVED):
            yield _exchange(exchange)


def _exchange(exchange: Exchange) -> Table:
    return {
        "name": exchange.name,
        "type": exchange.type,
        "durable": exchange.durable,
        "auto_delete": exchange.auto_delete,
        "internal": exchange.internal,
        "arguments": json_table(exchange.arguments),
    }


def _bindings(vhost: "VirtualHost") -> Iterator[Table]:
    for binding in vhost.bindings():
        destination = binding.destination
        if isinstance(destination, Queue) and destination.owner is not None:
            continue
        yield {
            "source": binding.source,
            "destination": destination.name,
            "destination_type": "exchange" if destination.is_exchange else "queue",
            "routing_key": binding.routing_key,
            "arguments": json_table(binding.arguments),
        }
