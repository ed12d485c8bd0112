"""What the broker says of itself in the handshake, and whom it knows at first."""

from collections.abc import Iterable
from typing import Final

from hopmq._version import __version__
from hopmq.broker.access import ADMINISTRATOR, Permission, User, new_user
from hopmq.broker.emulation import Emulation
from hopmq.typedefs import FieldTable

NODE: Final = "hopmq@localhost"
"""The name of the one node, and of its cluster."""

CAPABILITIES: Final[dict[str, bool]] = {
    "publisher_confirms": True,
    "exchange_exchange_bindings": True,
    "basic.nack": True,
    "consumer_cancel_notify": True,
    "connection.blocked": True,
    "consumer_priorities": True,
    "authentication_failure_close": True,
    "per_consumer_qos": True,
    "direct_reply_to": True,
}


def server_properties(emulation: Emulation) -> FieldTable:
    """Return the properties of the server in connection.start."""
    return {
        "product": "HopMQ",
        "version": __version__,
        "platform": "Python",
        "emulates": emulation.version,
        "copyright": "The HopMQ authors",
        "cluster_name": NODE,
        "information": f"embedded broker, in memory; behaves like RabbitMQ {emulation.version}",
        "capabilities": dict(CAPABILITIES),
    }


def default_users(vhosts: Iterable[str]) -> tuple[User, ...]:
    """Return guest, whose password is guest, and who may do everything."""
    everywhere = {vhost: Permission() for vhost in vhosts}
    return (new_user("guest", "guest", tags=(ADMINISTRATOR,), permissions=everywhere),)
