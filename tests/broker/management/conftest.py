"""Brokers with a management API: embedded ones, and real ones with the plugin."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from broker.management.api import Api, quoted
from brokers.embedded import RELEASES, EmbeddedBroker
from brokers.running import START_TIMEOUT
from brokers.selection import BrokerChoice
from conftest import BROKERS, NO_BROKER
from flavours import Flavour, flavours
from hopmq.broker.emulation import Release
from hopmq.testing import RabbitMQ

CONFIG = """\
collect_statistics_interval = 500
management.sample_retention_policies.global.minute = 1
management.sample_retention_policies.basic.minute = 1
management.sample_retention_policies.detailed.10 = 1
"""
"""Statistics come and are gathered each second, instead of every five."""

MANAGED = [each for each in BROKERS if each.url is None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Managed:
    """A broker with a management API."""

    version: str
    url: str
    port: int
    management_url: str
    embedded: EmbeddedBroker | None = None

    @property
    def release(self) -> Release:
        """The release that it is, or behaves like."""
        return next(each for each in RELEASES if self.version.startswith(f"{each}."))


@pytest.fixture(scope="session")
def flavour() -> Flavour:
    """Return asyncio with the codec that users have."""
    return next(each for each in reversed(flavours()) if each.loop == "asyncio")


@pytest.fixture(scope="session")
def anyio_backend(flavour: Flavour) -> tuple[str, dict[str, bool]]:
    """Run on the loop of this flavour: pytest keeps what it made for another one's."""
    return flavour.backend


@pytest.fixture(scope="session", params=MANAGED or [NO_BROKER], ids=lambda choice: choice.label)
def managed(request: pytest.FixtureRequest) -> Iterator[Managed]:
    """Return each broker in turn."""
    choice: BrokerChoice = request.param
    if choice.emulate is not None:
        embedded = EmbeddedBroker(choice.emulate, management_port=0)
        broker = embedded.broker
        try:
            yield Managed(
                version=embedded.version,
                url=embedded.url,
                port=broker.port,
                management_url=broker.management_url,
                embedded=embedded,
            )
        finally:
            embedded.stop()
        return
    with RabbitMQ(
        choice.installation,
        plugins=["rabbitmq_management"],
        config=CONFIG,
        start_timeout=START_TIMEOUT,
    ) as real:
        Api(real.management_url).soon("/overview", bool)
        yield Managed(
            version=real.version,
            url=real.url,
            port=real.port,
            management_url=real.management_url,
        )


@pytest.fixture
def api(managed: Managed) -> Api:
    """Return the API as guest sees it, who may do everything."""
    return Api(managed.management_url)


@pytest.fixture
def vhost(api: Api, name: str) -> Iterator[str]:
    """Return a virtual host of the test's own, as a part of a path."""
    spelled = quoted(f"{name}/vhost")
    api.put(f"/vhosts/{spelled}")
    yield spelled
    api.request("DELETE", f"/vhosts/{spelled}")
