"""What tests of messaging code need: brokers, started and broken at will, and time to turn."""

from hopmq.testing.certificates import Certificates
from hopmq.testing.clock import TurnedClock
from hopmq.testing.cluster import ClusterNode, RabbitMQCluster
from hopmq.testing.errors import BrokerError
from hopmq.testing.faults import Chaos, ChaosRule, Fault, Faults, apply_chaos, read_chaos
from hopmq.testing.installations import Installation, find_installation, installations
from hopmq.testing.proxy import FaultProxy
from hopmq.testing.rabbitmq import RabbitMQ
from hopmq.testing.thread import BrokerThread

__all__ = [
    "BrokerError",
    "BrokerThread",
    "Certificates",
    "Chaos",
    "ChaosRule",
    "ClusterNode",
    "Fault",
    "FaultProxy",
    "Faults",
    "Installation",
    "RabbitMQ",
    "RabbitMQCluster",
    "TurnedClock",
    "apply_chaos",
    "find_installation",
    "installations",
    "read_chaos",
]
