"""What the broker holds, as the management API shows it: exchanges, queues and bindings."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from hopmq.broker.address import ConnectionAddress
from hopmq.broker.exchanges.binding import Binding
from hopmq.broker.exchanges.exchange import Exchange
from hopmq.broker.json_values import json_table
from hopmq.broker.message import OVERHEAD
from hopmq.broker.queues.queue import Queue

if TYPE_CHECKING:
    from hopmq.broker.management.call import Call
    from hopmq.broker.state import BrokerState
    from hopmq.broker.vhost import VirtualHost

Table = dict[str, Any]  # Any: what JSON holds

DEFAULT_EXCHANGE: Final = "amq.default"
"""How the path of a request names the default exchange, whose name is empty."""
_REPLICATED: Final = frozenset({"quorum", "stream"})


def exchange_view(vhost: "VirtualHost", exchange: Exchange) -> Table:
    """Return an exchange."""
    policy = vhost.policies.of_exchange(exchange.name)
    view: Table = {
        "name": exchange.name,
        "vhost": vhost.name,
        "type": exchange.type,
        "durable": exchange.durable,
        "auto_delete": exchange.auto_delete,
        "internal": exchange.internal,
        "arguments": json_table(exchange.arguments),
    }
    if policy is not None:
        view["policy"] = policy.name
    return view


def unsettled_bytes(state: "BrokerState") -> Mapping[Queue, int]:
    """Return how many bytes of bodies were delivered and not settled, by queue."""
    sizes: dict[Queue, int] = {}
    for peer in state.peers:
        for channel in peer.channels.values():
            for entry, queue, _ in channel.unsettled.values():
                if isinstance(queue, Queue):
                    sizes[queue] = sizes.get(queue, 0) + len(entry.message.body)
    return sizes


def queue_view(call: "Call", queue: Queue, unsettled: int) -> Table:
    """Return a queue; `unsettled` is the bytes that its consumers have not settled."""
    vhost = queue.vhost
    policy = vhost.policies.of_queue(queue.name, queue.kind)
    limits = vhost.policies.operator.of_queue(queue.name, queue.kind)
    ready, out = queue.ready, queue.unsettled
    size = queue.message_bytes + unsettled
    roster = queue.roster
    view: Table = {
        "name": queue.name,
        "vhost": vhost.name,
        "type": queue.kind,
        "node": call.node,
        "state": "running",
        "durable": queue.durable,
        "auto_delete": queue.auto_delete,
        "exclusive": queue.owner is not None,
        "arguments": _arguments(queue),
        "policy": None if policy is None else policy.name,
        "operator_policy": None if limits is None else limits.name,
        "effective_policy_definition": json_table(queue.policy),
        "messages": ready + out,
        "messages_ready": ready,
        "messages_unacknowledged": out,
        "message_bytes": size,
        "message_bytes_ready": queue.message_bytes,
        "message_bytes_unacknowledged": unsettled,
        "memory": size + (ready + out) * OVERHEAD,
        "consumers": len(roster),
        "exclusive_consumer_tag": next((each.tag for each in roster if each.exclusive), None),
        "single_active_consumer_tag": roster.active.tag if roster.active is not None else None,
    }
    if queue.kind in _REPLICATED:
        view |= {"leader": call.node, "members": [call.node], "online": [call.node]}
    if queue.owner is not None:
        view["owner_pid_details"] = ConnectionAddress.of(queue.owner.link.transport).details()
    return view


def _arguments(queue: Queue) -> Table:
    """Return the arguments, and the kind of queue where the release tells it there."""
    arguments = json_table(queue.arguments)
    if queue.vhost.emulation.api_queue_types:
        arguments.setdefault("x-queue-type", queue.kind)
    return arguments


def binding_view(vhost: "VirtualHost", binding: Binding) -> Table:
    """Return a binding."""
    destination = binding.destination
    return {
        "source": binding.source,
        "vhost": vhost.name,
        "destination": destination.name,
        "destination_type": "exchange" if destination.is_exchange else "queue",
        "routing_key": binding.routing_key,
        "arguments": json_table(binding.arguments),
        "properties_key": binding.properties_key,
    }


def bindings_of(vhost: "VirtualHost") -> Iterator[Binding]:
    """Return every binding of a virtual host, those of the default exchange first."""
    for queue in vhost.queues.values():
        yield Binding("", queue, queue.name)
    yield from vhost.bindings()


def exchange_name(name: str) -> str:
    """Return the name of an exchange that a path means."""
    return "" if name == DEFAULT_EXCHANGE else name
