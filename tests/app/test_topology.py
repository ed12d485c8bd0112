"""What is declared at the start, and what is said of a plugin that is not there."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from hopmq import AccessRefusedError, Exchange, PreconditionFailedError
from hopmq.app.errors import DeclarationError
from hopmq.app.topology import Topology
from hopmq.errors import ClosedError, channel_closed, connection_closed

REFUSALS = {
    "3.10": connection_closed(503, "COMMAND_INVALID - unknown exchange type 'x-consistent-hash'"),
    "4.x": channel_closed(406, "PRECONDITION_FAILED - unknown exchange type 'x-consistent-hash'"),
}
"""As the tests of parity have them."""


class Refusing:
    """A broker that refuses to declare exchanges."""

    def __init__(self, error: ClosedError) -> None:
        self._error = error

    async def declare_exchange(self, exchange: Exchange) -> None:
        await asyncio.sleep(0)
        raise self._error


@pytest.mark.parametrize("release", REFUSALS)
async def test_a_missing_plugin_is_named_with_what_enables_it_and_a_way_without(
    release: str,
) -> None:
    broker: Any = Refusing(REFUSALS[release])
    topology = Topology(exchanges=(Exchange("orders.billing", "x-consistent-hash"),))
    with pytest.raises(DeclarationError) as raised:
        await topology.declare(broker)
    assert "rabbitmq-plugins enable rabbitmq_consistent_hash_exchange" in str(raised.value)
    assert "hashed_by='publisher'" in str(raised.value)
    assert raised.value.__cause__ is REFUSALS[release]


async def test_any_other_refusal_is_passed_on() -> None:
    error = channel_closed(406, "PRECONDITION_FAILED - inequivalent arg 'durable'")
    broker: Any = Refusing(error)
    topology = Topology(exchanges=(Exchange("orders.billing", "x-consistent-hash"),))
    with pytest.raises(PreconditionFailedError):
        await topology.declare(broker)


@dataclass
class Guarded:
    """A broker whose user may not configure."""

    exists: bool

    async def declare_exchange(self, exchange: Exchange | str, *, passive: bool = False) -> None:
        await asyncio.sleep(0)
        if not passive:
            raise channel_closed(
                403, "ACCESS_REFUSED - configure access to exchange 'news' refused"
            )
        if not self.exists:
            raise channel_closed(404, "NOT_FOUND - no exchange 'news' in vhost '/'")


async def test_an_exchange_that_is_only_named_need_not_be_the_users_to_declare() -> None:
    named = Topology(exchanges=(Exchange.topic("news"),), as_found=frozenset({"news"}))
    there: Any = Guarded(exists=True)
    await named.declare(there)
    not_there: Any = Guarded(exists=False)
    with pytest.raises(AccessRefusedError):
        await named.declare(not_there)
    with pytest.raises(AccessRefusedError):
        await Topology(exchanges=(Exchange.topic("news"),)).declare(there)
