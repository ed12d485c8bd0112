"""What tests of middleware share: a turned clock, a consumer and messages that nobody delivered."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hopmq.app.context import ConsumeContext, attempt_of
from hopmq.app.middleware import DeduplicationStore, MemoryStore, SqliteStore
from hopmq.testing import TurnedClock


@pytest.fixture
def clock() -> TurnedClock:
    """Return a clock that stands still."""
    return TurnedClock()


@pytest.fixture(params=["memory", "sqlite"])
async def store(
    request: pytest.FixtureRequest, anyio_backend: object, tmp_path: Path
) -> AsyncIterator[DeduplicationStore]:
    """Return each kind of store, empty."""
    if request.param == "memory":
        yield MemoryStore()
        return
    async with SqliteStore(tmp_path / "deliveries.db") as store:
        yield store


class Consumer:
    """A consumer that takes note of what is asked of it."""

    def __init__(self, name: str = "orders") -> None:
        self.name = name
        self.queue = f"{name}-queue"
        self.asked: list[str] = []
        self.attempt_of = attempt_of

    @property
    def is_paused(self) -> bool:
        return self.asked[-1:] == ["pause"]

    async def pause(self, by: object = None) -> None:
        self.asked.append("pause")

    async def probe(self, by: object = None) -> None:
        self.asked.append("probe")

    async def resume(self, by: object = None) -> None:
        self.asked.append("resume")


@pytest.fixture
def consumer() -> Consumer:
    """Return a consumer."""
    return Consumer()


Contexts = Callable[..., ConsumeContext]


@pytest.fixture
def context(clock: TurnedClock, consumer: Consumer) -> Contexts:
    """Return what makes contexts of messages."""

    def make(*message_ids: str | None, of: Consumer = consumer) -> ConsumeContext:
        messages: list[Any] = [  # not messages: nothing has delivered these
            SimpleNamespace(
                body=b"secret",
                headers={"secret": "secret"},
                exchange="shop",
                routing_key="order.created",
                message_id=message_id,
                redelivered=False,
            )
            for message_id in message_ids or (None,)
        ]
        return ConsumeContext(messages, of, SimpleNamespace(clock=clock))

    return make


async def done(context: ConsumeContext) -> str:
    """Handle without a fault."""
    return "result"


async def fail(context: ConsumeContext) -> str:
    """Fail."""
    raise ValueError("secret")
