"""Peers and channels of every broker in turn, on one event loop: the subject is the broker."""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from pamqp.commands import Exchange, Queue

from conftest import RunningBroker
from flavours import Flavour, flavours
from parity.channel import ChannelDriver
from parity.closed import Closed
from parity.driver import Peer
from parity.peers import Peers
from parity.policies import Policies

TIME_LIMIT = 60.0
"""Seconds for one test; a loaded machine included."""

RELEASES = ("3.10", "4.0", "4.3")
"""The releases whose behaviour is written down; another one is taken for the next older."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Bound every await of every test."""
    test = getattr(item, "obj", None)
    if inspect.iscoroutinefunction(test):
        item.obj = _bounded(test)  # type: ignore[attr-defined]


def _bounded(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def run(**fixtures: Any) -> None:  # Any: whatever the test asks for
        async with asyncio.timeout(TIME_LIMIT):
            await test(**fixtures)

    return run


@pytest.fixture(scope="session")
def flavour() -> Flavour:
    """Return asyncio with the codec that users have."""
    return next(each for each in reversed(flavours()) if each.loop == "asyncio")


@pytest.fixture(scope="session")
def anyio_backend(flavour: Flavour) -> tuple[str, dict[str, bool]]:
    """Run on the loop of this flavour: pytest keeps what it made for another one's."""
    return flavour.backend


class SharedPeer:
    """A connection that tests have in common until one of them costs it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._peer: Peer | None = None

    async def get(self) -> Peer:
        """Return the connection, opened again if it was lost."""
        if self._peer is None or self._peer.gone or self._peer.closed:
            await self.close()
            self._peer = await Peer.open(self._url)
        return self._peer

    async def tidy(self) -> None:
        """Close what channels a test has left, and delete what it declared on them."""
        peer = self._peer
        if peer is None:
            return
        for channel in peer.channels:
            if not (channel.closed or peer.closed or peer.gone):
                await channel.close()
        await clean_up(await self.get(), peer)

    async def close(self) -> None:
        """Close it."""
        if self._peer is not None:
            await self._peer.close()


async def clean_up(peer: Peer, declarer: Peer) -> None:
    """Delete through `peer` what `declarer` has declared; what is refused is gone or locked."""
    channel: ChannelDriver | None = None
    for method in declarer.forget_declared():
        channel = channel or await peer.channel()
        try:
            if isinstance(method, Queue.Declare):
                await channel.delete(method.queue)
            elif isinstance(method, Exchange.Declare):
                await channel.delete_exchange(method.exchange)
        except Closed as refused:
            if refused.scope == "connection":
                raise
            channel = None
    if channel is not None:
        await channel.close()


@pytest.fixture(scope="module")
async def shared(broker: RunningBroker) -> AsyncIterator[SharedPeer]:
    """Return the connection that the module's tests share."""
    shared = SharedPeer(broker.url)
    yield shared
    await shared.close()


@pytest.fixture
async def channel(shared: SharedPeer) -> AsyncIterator[ChannelDriver]:
    """Return an open channel of the shared connection; what is declared there is deleted."""
    yield await (await shared.get()).channel()
    await shared.tidy()


@pytest.fixture
async def peers(broker: RunningBroker, shared: SharedPeer) -> AsyncIterator[Peers]:
    """Return what opens connections, properly or not; what is declared there is deleted."""
    peers = Peers(broker.url)
    yield peers
    for peer in await peers.drop():
        await clean_up(await shared.get(), peer)


@pytest.fixture
async def peer(peers: Peers) -> Peer:
    """Return a connection of the test's own."""
    return await peers.open()


@pytest.fixture
async def second_peer(peers: Peers) -> Peer:
    """Return one more connection, to look from outside."""
    return await peers.open()


@pytest.fixture
async def policies(broker: RunningBroker) -> AsyncIterator[Policies]:
    """Return what sets policies in the virtual host of the tests; they are cleared afterwards."""
    policies = Policies(broker)
    yield policies
    await policies.clear_all()


@pytest.fixture(scope="module")
async def release(broker: RunningBroker, shared: SharedPeer) -> str:
    """Return which of `RELEASES` the broker behaves like."""
    version = broker.version or (await shared.get()).server_properties["version"]
    numbers = _numbers(str(version))
    return max((each for each in RELEASES if _numbers(each) <= numbers), key=_numbers)


def _numbers(version: str) -> tuple[int, int]:
    major, minor, *_ = version.split(".")
    return int(major), int(minor)
