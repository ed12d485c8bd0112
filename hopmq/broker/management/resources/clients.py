"""/api/connections, /api/channels and /api/consumers."""

from typing import Any, Final

from hopmq.broker.address import ConnectionAddress
from hopmq.broker.management.call import DONE, Answer, Call, Resource, found
from hopmq.broker.management.client_views import (
    channel_name,
    channel_view,
    channels_of,
    connection_view,
    consumer_view,
)
from hopmq.broker.management.rights import Needs
from hopmq.broker.peer import Peer
from hopmq.broker.refusal import Refusal

Table = dict[str, Any]  # Any: what JSON holds

_REASON: Final = "Closed via management plugin"


def _connections(call: Call) -> list[Table]:
    return [connection_view(call, peer) for peer in call.peers()]


def _peer(call: Call) -> Peer:
    name = call.values["name"]
    for peer in call.peers():
        if ConnectionAddress.of(peer.link.transport).name == name:
            return peer
    result: Peer = found(None)
    return result


def _connection(call: Call) -> Table:
    return connection_view(call, _peer(call))


def _close(call: Call) -> Answer:
    _close_one(call, _peer(call))
    return DONE


def _close_one(call: Call, peer: Peer) -> None:
    reason = call.headers.get("x-reason", _REASON).encode("latin-1").decode("utf-8", "replace")
    refusal = Refusal(320, f"CONNECTION_FORCED - {reason}")  # which cuts what is too long
    peer.close(refusal.code, refusal.text)


def _of_user(call: Call) -> list[Table]:
    shown = ("name", "node", "user", "vhost")
    return [
        {key: connection_view(call, peer)[key] for key in shown} for peer in _peers_of_user(call)
    ]


def _close_of_user(call: Call) -> Answer:
    for peer in _peers_of_user(call):
        _close_one(call, peer)
    return DONE


def _peers_of_user(call: Call) -> list[Peer]:
    return [peer for peer in call.peers() if peer.username == call.values["user"]]


def _channels_of_connection(call: Call) -> list[Table]:
    return [channel_view(call, channel) for channel in _peer(call).channels.values()]


def _channels(call: Call) -> list[Table]:
    return [channel_view(call, channel) for channel in channels_of(call)]


def _channel(call: Call) -> Table:
    for channel in channels_of(call):
        address = ConnectionAddress.of(channel.peer.link.transport)
        if channel_name(address, channel) == call.values["name"]:
            details = [consumer_view(call, each) for each in channel.consumers.values()]
            return {**channel_view(call, channel), "consumer_details": details}
    result: Table = found(None)
    return result


def _consumers(call: Call) -> list[Table]:
    return [
        consumer_view(call, consumer)
        for channel in channels_of(call)
        for consumer in channel.consumers.values()
    ]


RESOURCES: Final = (
    Resource(path="/connections", get=_connections, is_list=True),
    Resource(path="/connections/{name}", get=_connection, delete=_close),
    Resource(path="/connections/{name}/channels", get=_channels_of_connection, is_list=True),
    Resource(
        path="/connections/username/{user}", get=_of_user, delete=_close_of_user, is_list=True
    ),
    Resource(path="/vhosts/{vhost}/connections", needs=Needs.VHOST, get=_connections, is_list=True),
    Resource(path="/channels", get=_channels, is_list=True),
    Resource(path="/channels/{name}", get=_channel),
    Resource(path="/vhosts/{vhost}/channels", needs=Needs.VHOST, get=_channels, is_list=True),
    Resource(path="/consumers", get=_consumers, is_list=True),
    Resource(path="/consumers/{vhost}", needs=Needs.VHOST, get=_consumers, is_list=True),
)
