"""Carry a connection core's bytes over asyncio: TCP, TLS and unix sockets."""
