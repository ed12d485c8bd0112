"""Policies of whichever broker is the subject, set from beside the protocol."""

import asyncio
import json
from collections.abc import Mapping

from brokers.embedded import EmbeddedBroker
from conftest import RunningBroker
from hopmq.broker import Broker
from hopmq.broker.policy_rules import PolicyError, new_policy
from hopmq.broker.vhost import VirtualHost
from hopmq.testing import BrokerError, RabbitMQ

VHOST = "/"


class RefusedError(AssertionError):
    """The broker has refused a policy; the message is its answer."""


class Policies:
    """The policies that one test sets, which are gone after it."""

    def __init__(self, broker: RunningBroker) -> None:
        self._broker = broker
        self._set: list[str] = []

    async def set(
        self,
        name: str,
        pattern: str,
        definition: Mapping[str, object],
        *,
        apply_to: str = "all",
        priority: int = 0,
    ) -> None:
        """Set a policy; it counts when this returns.

        Raises:
            RefusedError: The broker does not take it.
        """
        table = {
            "pattern": pattern,
            "definition": definition,
            "apply-to": apply_to,
            "priority": priority,
        }
        if self._broker.embedded is not None:
            _set_embedded(self._broker.embedded, name, table)
        else:
            await asyncio.to_thread(_set_real, self._real, name, table)
        self._set.append(name)

    async def clear(self, name: str) -> None:
        """Clear a policy."""
        self._set.remove(name)
        if self._broker.embedded is not None:
            self._broker.embedded.call(lambda broker: _vhost_of(broker).clear_policy(name))
        else:
            await asyncio.to_thread(self._real.ctl, "clear_policy", "-p", VHOST, name)

    async def clear_all(self) -> None:
        """Clear what was set here."""
        for name in list(self._set):
            await self.clear(name)

    @property
    def _real(self) -> RabbitMQ:
        assert self._broker.rabbitmq is not None
        return self._broker.rabbitmq


def _vhost_of(broker: Broker) -> VirtualHost:
    return broker.state.vhosts[VHOST]


def _set_embedded(embedded: EmbeddedBroker, name: str, table: Mapping[str, object]) -> None:
    def set_policy(broker: Broker) -> None:
        policy = new_policy(name, table, broker.state.emulation)
        _vhost_of(broker).set_policy(policy)

    try:
        embedded.call(set_policy)
    except PolicyError as error:
        raise RefusedError(error.reason) from error


def _set_real(broker: RabbitMQ, name: str, table: Mapping[str, object]) -> None:
    options = ["--priority", str(table["priority"]), "--apply-to", str(table["apply-to"])]
    try:
        broker.ctl(
            "set_policy",
            "-p",
            VHOST,
            *options,
            name,
            str(table["pattern"]),
            json.dumps(table["definition"]),
        )
    except BrokerError as error:
        raise RefusedError(str(error)) from error
