"""What tests of retries share: workers that fail, and brokers on a turned clock."""

from collections.abc import AsyncIterator
from typing import get_args

import pytest

from app.retry.work import Work
from conftest import RunningBroker
from hopmq import Pool
from hopmq.app.clock import LoopTime
from hopmq.broker import Broker
from hopmq.broker.emulation import Release
from hopmq.testing import TurnedClock

# --- time that is turned: embedded brokers, and no waiting ---------------------------------------


@pytest.fixture
def clock() -> TurnedClock:
    """Return a clock that stands still."""
    return TurnedClock()


@pytest.fixture(params=get_args(Release))
def release(request: pytest.FixtureRequest) -> Release:
    """Return each release that is emulated."""
    chosen: Release = request.param
    return chosen


@pytest.fixture
async def turned(
    anyio_backend: object, clock: TurnedClock, release: Release, name: str
) -> AsyncIterator[Pool]:
    """Return a pool of a broker of each release that goes by the clock."""
    async with (
        Broker(host=None, name=name, clock=clock, emulate=release),
        Pool(f"memory://{name}", heartbeat=0) as pool,
    ):
        yield pool


@pytest.fixture
async def work(turned: Pool, clock: TurnedClock, name: str) -> AsyncIterator[Work]:
    """Return work on a queue of such a broker."""
    async with Work(turned, clock, name) as work:
        yield work


# --- time as it is: real brokers, and embedded ones ----------------------------------------------


@pytest.fixture
async def pool(amqp_url: str) -> AsyncIterator[Pool]:
    """Return a pool of each broker in turn."""
    async with Pool(amqp_url) as pool:
        yield pool


@pytest.fixture
async def real_work(pool: Pool, name: str) -> AsyncIterator[Work]:
    """Return work on a queue of each broker in turn."""
    async with Work(pool, LoopTime(), name) as work:
        yield work
        await work.delete()


@pytest.fixture
def version(broker: RunningBroker) -> tuple[int, ...]:
    """Return the release of the broker at hand."""
    return tuple(map(int, (broker.version or "0").split(".")))
