"""The management API: the same tests against RabbitMQ's plugin and the embedded broker's own."""
