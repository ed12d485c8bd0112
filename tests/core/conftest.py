"""Cores on each codec in turn: as a pair, or one end alone with its handshake behind it."""

import pytest

from flavours import compiled_codec
from hopmq.core.channel import ChannelCore
from hopmq.core.connection import ConnectionCore
from hopmq.wire import PURE, Codec

from .actors import names, parsed
from .pair import ConnectionPair

COMPILED = compiled_codec()
CODECS = [pytest.param(each, id=each.name) for each in (PURE, COMPILED) if each is not None]


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> Codec:
    """Return each codec in turn."""
    chosen = request.param
    assert isinstance(chosen, Codec)
    return chosen


@pytest.fixture
def pair(codec: Codec) -> ConnectionPair:
    """Return an open connection."""
    return ConnectionPair(codec).open()


@pytest.fixture
def client(pair: ConnectionPair) -> ConnectionCore:
    """Return the client of an open connection, for a peer written by hand."""
    return pair.client


@pytest.fixture
def server(pair: ConnectionPair) -> ConnectionCore:
    """Return the server of an open connection, for a peer written by hand."""
    return pair.server


@pytest.fixture
def channel(pair: ConnectionPair) -> ChannelCore:
    """Return an open channel, number 1, of the open connection's client."""
    return pair.open_channel()[0]


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name frames by what they hold rather than by their bytes."""
    if not isinstance(val, bytes):
        return None
    return "+".join(names(parsed(val))) or "part of a frame"
