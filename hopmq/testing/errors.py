"""The error of a broker that does not do what a test asks of it."""

from hopmq.errors import HopMQError


class BrokerError(HopMQError):
    """A broker did not start, or a command about it failed; the message ends with its output."""
