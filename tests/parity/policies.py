"""Policies of whichever broker is the subject, set from beside the protocol."""

import asyncio
from collections.abc import Mapping

from broker.management.api import Api, quoted
from brokers.embedded import EmbeddedBroker
from conftest import RunningBroker
from hopmq.broker import Broker
from hopmq.broker.policy_rules import PolicyError, new_policy
from hopmq.broker.vhost import VirtualHost

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
            await asyncio.to_thread(_set_real, self._api, name, table)
        self._set.append(name)

    async def clear(self, name: str) -> None:
        """Clear a policy."""
        self._set.remove(name)
        if self._broker.embedded is not None:
            self._broker.embedded.call(lambda broker: _vhost_of(broker).clear_policy(name))
        else:
            await asyncio.to_thread(self._api.delete, _path(name))

    async def clear_all(self) -> None:
        """Clear what was set here."""
        for name in list(self._set):
            await self.clear(name)

    @property
    def _api(self) -> Api:
        assert self._broker.rabbitmq is not None
        return Api(self._broker.rabbitmq.management_url)


def _path(name: str) -> str:
    return f"/policies/{quoted(VHOST)}/{quoted(name)}"


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


def _set_real(api: Api, name: str, table: Mapping[str, object]) -> None:
    reply = api.request("PUT", _path(name), table)
    if reply.status == 400:
        raise RefusedError(reply.value["reason"])
    assert reply.status in {201, 204}, reply
