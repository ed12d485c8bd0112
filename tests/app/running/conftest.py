"""What tests of running applications share."""

from collections.abc import AsyncIterator

import pytest

from app.running.readings import Readings
from app.running.seen import Seen
from hopmq import Connection


@pytest.fixture
def seen() -> Seen:
    """Return what handlers note down what they see in."""
    return Seen()


@pytest.fixture
async def cleaned(other: Connection, name: str) -> AsyncIterator[str]:
    """Return a queue's name, and delete that queue and its parking queue in the end."""
    yield name
    for queue in (name, f"{name}.parked"):
        await other.delete_queue(queue)


@pytest.fixture
async def readings(anyio_backend: object) -> Readings:
    """Return what a consumer without a broker reads by."""
    return Readings()
