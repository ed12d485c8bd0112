"""The embedded broker: an AMQP 0-9-1 server in memory, for trying out, developing and testing."""
