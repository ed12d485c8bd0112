"""Who has not logged in can hold little, and not for long."""

import asyncio
import logging
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

import hopmq
from client.proxy import hang_up
from hopmq.broker import Broker
from hopmq.wire import PURE

SECONDS = 20.0
MANY = 200
HELD = 32 * 1024
"""Bytes that one of them may cost; its socket's own included."""


@pytest.fixture(autouse=True)
async def _bounded(anyio_backend: object) -> AsyncIterator[None]:
    async with asyncio.timeout(SECONDS):
        yield


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("hopmq.broker"), "disabled", True)


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    """Return a broker that hangs up on mistakes at once."""
    async with Broker(silent_close_delay=0.0) as broker:
        yield broker


Send = Callable[[Broker, bytes], Awaitable[asyncio.StreamReader]]


@pytest.fixture
async def send() -> AsyncIterator[Send]:
    """Return what opens a socket, sends something on it and leaves it open."""
    writers: list[asyncio.StreamWriter] = []

    async def send(broker: Broker, data: bytes) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        writers.append(writer)
        writer.write(data)
        return reader

    yield send
    for writer in writers:
        await hang_up(writer)


async def end_of(reader: asyncio.StreamReader) -> None:
    """Read until the broker has hung up."""
    try:
        while await reader.read(65_536):
            pass
    except ConnectionError:
        pass


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"\x01\x00\x00\xff\xff\xff\xff", id="of 4 GiB"),
        pytest.param(b"\x01\x00\x00\x00\x02\x00\x00", id="of 128 KiB"),
        pytest.param(b"\x03\x00\x01\x00\x01\x00\x00", id="a body of 64 KiB"),
    ],
)
async def test_a_large_frame_is_refused_by_its_head(
    broker: Broker, send: Send, frame: bytes
) -> None:
    await end_of(await send(broker, PURE.PROTOCOL_HEADER + frame))


async def test_what_is_sent_before_the_login_is_not_collected(broker: Broker, send: Send) -> None:
    unfinished = PURE.PROTOCOL_HEADER + b"\x01\x00\x00\x00\x0f\xf0" + bytes(3000)
    async with hopmq.connect(broker.url):
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            links = [await send(broker, unfinished) for _ in range(MANY)]
            for reader in links:
                await reader.read(1)  # connection.start: what was sent has been read
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # Both ends of every link are in this process.
        assert after - before < MANY * HELD


async def test_silence_and_drips_end_with_the_time_for_the_handshake(send: Send) -> None:
    async with Broker(handshake_timeout=0.2, silent_close_delay=0.0) as broker:
        beginnings = (b"", PURE.PROTOCOL_HEADER[:4], PURE.PROTOCOL_HEADER)
        for reader in [await send(broker, beginning) for beginning in beginnings]:
            await end_of(reader)
        assert not broker.state.peers
