"""A request has one limit, however many links come and go until it is answered."""

import asyncio

import pytest

from faults.ends import soon, start
from hopmq.broker import Broker
from hopmq.errors import RequestTimeoutError
from hopmq.events import Recovered
from hopmq.testing.faults import Faults

from .witness import Witness, recovering

LIMIT = 0.5


async def cut_when_asked(faults: Faults, witness: Witness) -> None:
    """Never answer a declare, and cut the connection soon after each."""
    with faults.stall("Queue.DeclareOk", times=None) as stalled:
        for number in range(1, 100):
            await stalled.happened(number)
            await asyncio.sleep(0.6 * LIMIT)
            faults.disconnect(reset=True)
            await witness.until(Recovered, number)


async def test_links_that_come_and_go_do_not_prolong_the_wait_for_an_answer(
    embedded: Broker, faults: Faults
) -> None:
    async with recovering(embedded.url, request_timeout=LIMIT) as witness:
        await witness.connection.declare_queue("q")
        cutting = start(cut_when_asked(faults, witness))
        with pytest.raises(RequestTimeoutError, match="not answered within"):
            await soon(witness.connection.declare_queue("q"))
        cutting.cancel()
        await asyncio.wait([cutting])
        faults.clear()
        await soon(witness.connection.declare_queue("q"))


async def test_an_answer_that_does_not_come_is_named(embedded: Broker, faults: Faults) -> None:
    async with recovering(embedded.url, request_timeout=LIMIT) as witness:
        await witness.connection.declare_queue("q")
        with faults.stall("Queue.DeclareOk"), pytest.raises(RequestTimeoutError, match="Declare"):
            await soon(witness.connection.declare_queue("q"))
        await soon(witness.connection.declare_queue("q"))
