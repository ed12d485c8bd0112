"""A connection outlives its tokens, on a RabbitMQ that believes in nothing else."""

import asyncio
import importlib.util
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

import hopmq
from conftest import INSTALLED, NO_BROKER
from hopmq.resilience.credentials import CredentialsProvider
from hopmq.testing import RabbitMQ

from .tokens import Issuer, TokenEndpoint, broker_with_tokens

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/oauth2.py"
SAID = 4
"""Seconds for which a token is said to be good."""

LIFE = 7
"""Seconds for which it is."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop is enough for what the broker decides."""
    return "asyncio"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    """Return the example, whose provider is under test here."""
    spec = importlib.util.spec_from_file_location("oauth2", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Backend(NamedTuple):
    """A broker, and who issues the tokens that it takes."""

    broker: RabbitMQ
    issuer: Issuer


@pytest.fixture(
    scope="module", params=INSTALLED or [NO_BROKER], ids=lambda choice: str(choice.label)
)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Return each release with tokens in turn."""
    installation = request.param.installation
    with installation.new_folder() as folder:
        Path(folder).chmod(0o755)  # the broker reads the public key as its own user
        issuer = Issuer(Path(folder))
        with broker_with_tokens(installation, installation.inside(issuer.public)) as broker:
            yield Backend(broker, issuer)


@pytest.fixture
async def endpoint(backend: Backend) -> AsyncIterator[TokenEndpoint]:
    """Return an endpoint that gives out tokens of a short life."""
    async with TokenEndpoint(backend.issuer, SAID, LIFE) as listening:
        yield listening


def provider(example: ModuleType, endpoint: TokenEndpoint) -> CredentialsProvider:
    asks: CredentialsProvider = example.ClientCredentials(
        endpoint.url, "orders", "s3cret/of the client", scope="rabbitmq"
    )
    return asks


async def test_a_connection_is_used_far_beyond_the_life_of_its_first_token(
    backend: Backend, example: ModuleType, endpoint: TokenEndpoint, name: str
) -> None:
    url = f"amqp://127.0.0.1:{backend.broker.port}/%2F"
    async with hopmq.connect(url, credentials=provider(example, endpoint)) as connection:
        links = connection.counters.links
        for _ in range(2):
            endpoint.fails = 1  # and each renewal comes off at its second attempt only
            given = len(endpoint.requests)
            while len(endpoint.requests) < given + 2:
                await asyncio.sleep(0.05)
        await asyncio.sleep(max(endpoint.expiries[0] + 1 - time.time(), 0))
        await connection.declare_queue(name, exclusive=True)  # the broker looks at the token anew
        assert connection.counters.links == links
    assert "updated secret" in backend.broker.log
    assert "s3cret" not in backend.broker.log
    assert all("grant_type=client_credentials&scope=rabbitmq" in each for each in endpoint.requests)


async def test_each_new_link_has_a_token_of_its_own(
    backend: Backend, example: ModuleType, endpoint: TokenEndpoint
) -> None:
    url = f"amqp://127.0.0.1:{backend.broker.port}/%2F"
    recovery = hopmq.Recovery(backoff=hopmq.resilience.Constant(0.1))
    credentials = provider(example, endpoint)
    async with hopmq.connect(url, credentials=credentials, recovery=recovery) as connection:
        await asyncio.to_thread(backend.broker.restart)
        await connection.wait_for("open")
        assert connection.counters.links == 2
        assert len(endpoint.requests) >= 2
