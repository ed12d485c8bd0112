"""Connections, channels and consumers, as the management API shows them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hopmq.broker.address import ConnectionAddress
from hopmq.broker.json_values import json_table

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel
    from hopmq.broker.consumer import Consumer
    from hopmq.broker.management.call import Call
    from hopmq.broker.peer import Peer

Table = dict[str, Any]  # Any: what JSON holds


def connection_view(call: "Call", peer: "Peer") -> Table:
    """Return an open connection."""
    assert peer.vhost is not None
    address = ConnectionAddress.of(peer.link.transport)
    properties = json_table(getattr(peer.core.opening.handshake, "client_properties", {}))
    name = properties.get("connection_name")
    tuning = peer.core.tuning
    view: Table = {
        "name": address.name,
        "node": call.node,
        "vhost": peer.vhost.name,
        "user": peer.username,
        "user_who_performed_action": peer.username,
        "auth_mechanism": peer.mechanism,
        "type": "network",
        "protocol": "AMQP 0-9-1",
        "state": "blocked" if peer.is_blocked else "running",
        "host": address.host,
        "port": address.port,
        "peer_host": address.peer_host,
        "peer_port": address.peer_port,
        "ssl": address.is_tls,
        "channels": len(peer.channels),
        "channel_max": tuning.channel_max,
        "frame_max": tuning.frame_max,
        "timeout": tuning.heartbeat,
        "connected_at": int(peer.connected_at * 1000),
        "client_properties": properties,
    }
    if isinstance(name, str):
        view["user_provided_name"] = name
    return view


def channel_name(address: ConnectionAddress, channel: "BrokerChannel") -> str:
    """Return the name of a channel, which is its connection's and its number."""
    return f"{address.name} ({channel.number})"


def channels_of(call: "Call") -> Iterator["BrokerChannel"]:
    """Return the channels that a request may see."""
    for peer in call.peers():
        yield from peer.channels.values()


def channel_view(call: "Call", channel: "BrokerChannel") -> Table:
    """Return a channel."""
    peer = channel.peer
    address = ConnectionAddress.of(peer.link.transport)
    publishing = channel.publishing
    # What is counted anyway, as delivery tags; messages without confirms are not counted.
    stats = {"deliver_get": channel.last_tag}
    if publishing.is_confirming:
        stats |= {"publish": publishing.tag, "confirm": publishing.tag}
    return {
        "name": channel_name(address, channel),
        "number": channel.number,
        "node": call.node,
        "vhost": channel.vhost.name,
        "user": peer.username,
        "user_who_performed_action": peer.username,
        "connection_details": address.details(),
        "state": "running",
        "confirm": publishing.is_confirming,
        "transactional": channel.transaction is not None,
        "consumer_count": len(channel.consumers),
        "prefetch_count": channel.consumer_prefetch,
        "global_prefetch_count": channel.prefetch,
        "messages_unacknowledged": len(channel.unsettled),
        "messages_unconfirmed": 0,
        "messages_uncommitted": 0,
        "acks_uncommitted": 0,
        "message_stats": stats,
    }


def consumer_view(call: "Call", consumer: "Consumer") -> Table:
    """Return a consumer."""
    channel = consumer.channel
    address = ConnectionAddress.of(channel.peer.link.transport)
    queue = consumer.queue
    is_active = not queue.roster.single or queue.roster.active is consumer
    status = "up"
    if queue.roster.single:
        status = "single_active" if is_active else "waiting"
    view: Table = {
        "consumer_tag": consumer.tag,
        "ack_required": not consumer.no_ack,
        "active": is_active,
        "activity_status": status,
        "exclusive": consumer.exclusive,
        "prefetch_count": consumer.prefetch,
        "arguments": json_table(consumer.arguments),
        "queue": {"name": queue.name, "vhost": queue.vhost.name},
        "channel_details": {
            "connection_name": address.name,
            "name": channel_name(address, channel),
            "node": call.node,
            "number": channel.number,
            "peer_host": address.peer_host,
            "peer_port": address.peer_port,
            "user": channel.peer.username,
        },
    }
    if call.state.emulation.api_timeouts:
        view["consumer_timeout"] = _milliseconds(
            queue.settings.consumer_timeout or call.state.consumer_timeout
        )
    return view


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)
