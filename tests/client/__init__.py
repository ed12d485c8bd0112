"""The client against real brokers, on every event loop and with both codecs."""
