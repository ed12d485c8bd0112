"""A server that speaks AMQP by the core's server role and misbehaves on cue, for tests of clients."""
