"""The brokers that run for the whole test session, each started when a test first needs it."""

from brokers.embedded import HANDSHAKE_TIMEOUT, EmbeddedBroker
from hopmq.broker.emulation import Release
from hopmq.testing import Installation, RabbitMQ

PLUGINS = (
    "rabbitmq_auth_mechanism_ssl",
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_management",  # sets a policy in no time, where rabbitmqctl takes a second
)

CONFIG = f"""\
handshake_timeout = {HANDSHAKE_TIMEOUT * 1000:.0f}
management_agent.disable_metrics_collector = true
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = AMQPLAIN
auth_mechanisms.3 = EXTERNAL
ssl_cert_login_from = common_name
"""


START_TIMEOUT = 180.0
"""Seconds that a start may take beside all else that a check does."""


class SessionBrokers:
    """Shared brokers: tests leave them running and in good health."""

    def __init__(self) -> None:
        """Begin with none running."""
        self._running: dict[Installation, RabbitMQ] = {}
        self._embedded: dict[Release, EmbeddedBroker] = {}

    def get(self, installation: Installation) -> RabbitMQ:
        """Return the broker of that installation, started if need be."""
        if installation not in self._running:
            broker = new_broker(installation)
            broker.start()
            self._running[installation] = broker
        return self._running[installation]

    def embedded(self, release: Release) -> EmbeddedBroker:
        """Return the embedded broker that emulates that release, started if need be."""
        if release not in self._embedded:
            self._embedded[release] = EmbeddedBroker(release)
        return self._embedded[release]

    def stop(self) -> None:
        """Stop them all."""
        for embedded in self._embedded.values():
            embedded.stop()
        self._embedded.clear()
        for broker in self._running.values():
            broker.stop()
        self._running.clear()


def new_broker(installation: Installation) -> RabbitMQ:
    """Describe a broker with everything the client's tests use; not started yet."""
    return RabbitMQ(
        installation, tls=True, plugins=PLUGINS, config=CONFIG, start_timeout=START_TIMEOUT
    )
