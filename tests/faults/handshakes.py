"""What a server may say during the handshake, and how a client is refused."""

import pytest
from pamqp.commands import Connection

import hopmq
from hopmq.errors import ConnectError
from hopmq.wire import new_method
from scripted import frames
from scripted.server import ScriptedServer

from .ends import soon

STEPS = ["Connection.Start", "Connection.Tune", "Connection.OpenOk"]
"""The frames that a server sends until a connection is open."""


def start_method(**fields: object) -> bytes:
    """Make a connection.start as brokers send it, but for some fields."""
    usual = {"version_major": 0, "version_minor": 9, "mechanisms": "PLAIN", "locales": "en_US"}
    return frames.method(0, new_method(Connection.Start, **{**usual, **fields}))


def tune(**fields: int) -> bytes:
    """Make a connection.tune."""
    usual = {"channel_max": 2047, "frame_max": 131_072, "heartbeat": 60}
    return frames.method(0, new_method(Connection.Tune, **{**usual, **fields}))


def closing(code: int, text: str) -> bytes:
    """Make a connection.close."""
    return frames.method(0, new_method(Connection.Close, reply_code=code, reply_text=text))


async def refusal(server: ScriptedServer, **options: object) -> ConnectError:
    """Return what connecting raises, once the socket is closed."""
    with pytest.raises(ConnectError) as raised:
        await soon(hopmq.connect(server.url, **options))  # type: ignore[arg-type]
    for peer in server.peers:
        await soon(peer.lost)
    return raised.value
