"""What tests of messaging code need: real RabbitMQ brokers, started and broken at will."""

from hopmq.testing.certificates import Certificates
from hopmq.testing.errors import BrokerError
from hopmq.testing.installations import Installation, find_installation, installations
from hopmq.testing.rabbitmq import RabbitMQ

__all__ = [
    "BrokerError",
    "Certificates",
    "Installation",
    "RabbitMQ",
    "find_installation",
    "installations",
]
