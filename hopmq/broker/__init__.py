"""The embedded broker: an AMQP 0-9-1 server in memory, for trying out, developing and testing.

It holds everything in memory, on one node: it is no replacement for RabbitMQ.
"""

from hopmq.broker.access import Permission, User, new_user
from hopmq.broker.clock import Clock, LoopClock
from hopmq.broker.definitions import DefinitionsError
from hopmq.broker.policies import Policy
from hopmq.broker.server import Broker

__all__ = [
    "Broker",
    "Clock",
    "DefinitionsError",
    "LoopClock",
    "Permission",
    "Policy",
    "User",
    "new_user",
]
