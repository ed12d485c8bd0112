"""Connections, channels, messages, publishing and consuming, as users meet them."""
