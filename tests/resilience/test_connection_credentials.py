"""A connection asks its provider for each connect, and keeps the broker's copy fresh."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

import hopmq
from hopmq.broker import Broker
from hopmq.errors import CredentialsError, UsageError
from hopmq.testing import Faults

SECRET = "guest"
QUICK = hopmq.Recovery(backoff=hopmq.resilience.Constant(0.0), shuffle=False)


class Provider:
    """Gives the same password each time, and counts how often."""

    def __init__(self, life: float | None = None) -> None:
        self.life = life
        self.errors: list[Exception] = []
        self.asked = 0
        self.calls: asyncio.Queue[int] = asyncio.Queue()

    async def __call__(self) -> hopmq.resilience.Credentials:
        self.asked += 1
        self.calls.put_nowait(self.asked)
        if self.errors:
            raise self.errors.pop(0)
        return hopmq.resilience.Credentials(username="guest", password=SECRET, expires_in=self.life)

    async def was_asked(self, times: int) -> None:
        while await self.calls.get() < times:
            pass


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    """Return a broker on the test's own loop."""
    async with Broker() as running:
        yield running


def url(broker: Broker) -> str:
    """Return the broker's address without credentials."""
    return broker.url.replace("guest:guest@", "nobody:nothing@")


def renewals() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if "renewal" in task.get_name()]


async def test_credentials_are_the_providers_and_not_the_urls(broker: Broker) -> None:
    async with hopmq.connect(url(broker), credentials=Provider()) as connection:
        assert connection.is_open
        assert not renewals()


async def test_fresh_secrets_reach_the_broker_again_and_again(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hopmq")
    provider = Provider(life=0.03)
    async with hopmq.connect(url(broker), credentials=provider, name="orders") as connection:
        await provider.was_asked(4)
        assert connection.counters.links == 1
    assert not renewals()
    assert caplog.text.count("user guest updated secret: refresh") >= 2
    assert caplog.text.count("orders: credentials renewed") >= 2


async def test_every_link_is_asked_for_anew_and_renewed_from_its_beginning(
    broker: Broker,
) -> None:
    provider = Provider(life=3600.0)
    async with hopmq.connect(url(broker), credentials=provider, recovery=QUICK) as connection:
        for times in (1, 2, 3):
            assert provider.asked == times
            assert len(renewals()) == 1
            Faults(broker).disconnect(reset=True)
            await connection.wait_for("recovering")
            await connection.wait_for("open")
    assert not renewals()


async def test_a_provider_that_fails_while_connecting_again_is_asked_again(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hopmq")
    provider = Provider()
    async with hopmq.connect(url(broker), credentials=provider, recovery=QUICK) as connection:
        provider.errors = [OSError("vault is sealed") for _ in range(3)]
        Faults(broker).disconnect(reset=True)
        await connection.wait_for("recovering")
        await connection.wait_for("open")
        assert provider.asked == 5
        assert connection.counters.attempts_failed == 3
    assert caplog.text.count("vault is sealed") == 1


async def test_a_provider_that_fails_at_first_fails_the_connect(broker: Broker) -> None:
    provider = Provider()
    provider.errors = [OSError("vault is sealed")]
    with pytest.raises(CredentialsError, match="vault is sealed"):
        await hopmq.connect(url(broker), credentials=provider)


async def test_a_connection_that_does_not_recover_renews_all_the_same(broker: Broker) -> None:
    provider = Provider(life=3600.0)
    connection = await hopmq.connect(url(broker), credentials=provider, recovery=None)
    assert len(renewals()) == 1
    Faults(broker).disconnect(reset=True)
    await connection.wait_closed()
    await connection.close()
    await asyncio.sleep(0)
    assert not renewals()


@pytest.mark.parametrize(
    "options",
    [
        {"credentials": "guest"},
        {"credentials": Provider, "password": "guest"},
        {"credentials": Provider, "username": "guest"},
    ],
)
def test_credentials_that_cannot_be_meant_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="credentials"):
        hopmq.connect(**options)
