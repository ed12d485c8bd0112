"""A management API over HTTP, as RabbitMQ's plugin has it: what tools and tests need of it."""

from hopmq.broker.management.server import ManagementServer

__all__ = ["ManagementServer"]
