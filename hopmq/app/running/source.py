"""Where an application's connections come from, and whose they are."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, NoReturn, Protocol

from hopmq.app.messaging import Messaging
from hopmq.app.running.own_channels import OwnChannels
from hopmq.client.connect_options import check_urls
from hopmq.client.connection import Connection
from hopmq.client.health import Health
from hopmq.errors import ClosedError, ConnectionClosed, UsageError
from hopmq.resilience.pool import Pool
from hopmq.url import Endpoint, parse_url

logger: logging.Logger = logging.getLogger("hopmq.app")

_IN_ORDER: Final = 200
"""The reply code of a close that was asked for (AMQP 0-9-1, reply-success)."""


class Source(Protocol):
    """What an application publishes, consumes and declares by; opened for each run."""

    async def open(self) -> Messaging:
        """Connect, and return what there is."""

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109  # bounds several waits
        """End what `open` has begun, within `timeout` seconds."""

    async def wait_ended(self) -> ConnectionClosed:
        """Wait until there is no connection any more, and will be none; return why."""

    def health(self) -> Health:
        """Say how the connections are doing."""

    @property
    def places(self) -> Sequence[str]:
        """Where the brokers are, for errors: such as `localhost:5672`."""


class OwnPool:
    """A pool that is made for each run."""

    def __init__(self, urls: str | Sequence[str], name: str | None) -> None:
        """Connect to these."""
        self._urls = urls
        self._name = name
        self._pool = Pool(urls, name=name)

    async def open(self) -> Messaging:
        """Connect."""
        if self._pool.state == "closed":
            self._pool = Pool(self._urls, name=self._name)
        await self._pool.open()
        return self._pool

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109  # bounds several waits
        """Drain."""
        await self._pool.drain(timeout)

    async def wait_ended(self) -> ConnectionClosed:
        """Wait for ever: a pool replaces connections that have ended, and nobody else has this one."""
        return await _never()

    def health(self) -> Health:
        """Say how the pool is doing."""
        return self._pool.health()

    @property
    def places(self) -> Sequence[str]:
        """Where its URLs lead."""
        return [_place(parse_url(url)) for url in check_urls(self._urls)]


class GivenPool:
    """A pool of the user's; one that is open already stays open."""

    def __init__(self, pool: Pool) -> None:
        """Use `pool`."""
        self._pool = pool
        self._has_opened = False

    async def open(self) -> Messaging:
        """Connect, unless it has."""
        if self._pool.state == "new":
            self._has_opened = True
        await self._pool.open()
        return self._pool

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109  # bounds several waits
        """Drain, if it was opened here."""
        if self._has_opened:
            await self._pool.drain(timeout)

    async def wait_ended(self) -> ConnectionClosed:
        """Wait until the pool is closed: it replaces connections that have ended."""
        await self._pool.wait_closed()
        return _closed_by_program("pool")

    def health(self) -> Health:
        """Say how the pool is doing."""
        return self._pool.health()

    @property
    def places(self) -> Sequence[str]:
        """Nothing: whoever made the pool knows."""
        return ()


class GivenConnection:
    """A connection of the user's, which stays open."""

    def __init__(self, connection: Connection) -> None:
        """Use `connection`."""
        self._channels = OwnChannels(connection)

    async def open(self) -> Messaging:
        """Return what opens channels as they are needed."""
        return self._channels

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109  # bounds several waits
        """Close these channels."""
        try:
            async with asyncio.timeout(timeout):
                await self._channels.end()
        except (ClosedError, TimeoutError) as error:
            logger.info("the channels of an application did not end in order: %s", error)

    async def wait_ended(self) -> ConnectionClosed:
        """Wait until the connection has ended."""
        error = await self._channels.connection.wait_closed()
        is_ours = error.reply_code == _IN_ORDER and not error.by_peer
        return _closed_by_program("connection") if is_ours else error

    def health(self) -> Health:
        """Say how the connection is doing."""
        return self._channels.connection.health()

    @property
    def places(self) -> Sequence[str]:
        """Nothing: it is connected already."""
        return ()


def source_of(broker: str | Sequence[str] | Pool | Connection, name: str | None) -> Source:
    """Return where connections come from.

    Raises:
        UsageError: That is none.
    """
    if isinstance(broker, Pool):
        return GivenPool(broker)
    if isinstance(broker, Connection):
        return GivenConnection(broker)
    if isinstance(broker, str | Sequence):
        return OwnPool(broker, name)
    raise UsageError(f"a URL, a pool or a connection is due, not {type(broker).__name__}")


def _closed_by_program(what: str) -> ConnectionClosed:
    return ConnectionClosed(
        f"the {what} that the application was given was closed while it ran",
        reply_code=0,
        by_peer=False,
        hint=f"have the application end before the {what} is closed",
    )


def _place(endpoint: Endpoint) -> str:
    if endpoint.memory is not None:
        return f"memory://{endpoint.memory}"
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return endpoint.path or f"{host}:{endpoint.port}"


async def _never() -> NoReturn:
    await asyncio.get_running_loop().create_future()
    raise AssertionError
