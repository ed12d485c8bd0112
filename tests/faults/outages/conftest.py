"""What tests of faults of brokers may ask for."""

from collections.abc import AsyncIterator

import pytest

from hopmq.broker import Broker
from hopmq.testing.faults import Faults


@pytest.fixture
async def embedded() -> AsyncIterator[Broker]:
    """Return an embedded broker of the test's own, on its own loop."""
    async with Broker(silent_close_delay=0) as broker:
        yield broker


@pytest.fixture
async def faults(embedded: Broker) -> Faults:
    """Return the faults of that broker."""
    return Faults(embedded)
