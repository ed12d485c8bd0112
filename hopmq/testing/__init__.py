"""What tests of messaging code need: brokers, started and broken at will, and time to turn."""

from hopmq.testing.certificates import Certificates
from hopmq.testing.clock import TurnedClock
from hopmq.testing.errors import BrokerError
from hopmq.testing.faults import Fault, Faults
from hopmq.testing.installations import Installation, find_installation, installations
from hopmq.testing.rabbitmq import RabbitMQ

__all__ = [
    "BrokerError",
    "Certificates",
    "Fault",
    "Faults",
    "Installation",
    "RabbitMQ",
    "TurnedClock",
    "find_installation",
    "installations",
]
