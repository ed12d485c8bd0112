"""A broker that crashes, stops or halts under load costs nobody a message."""

import asyncio

from faults.outages.witness import Witness
from faults.traffic import Traffic
from hopmq.errors import ConnectionLostError
from hopmq.events import Recovered, Recovering
from hopmq.testing import RabbitMQ
from parity.restarts import ON_DISK

SECONDS = 90.0


async def test_a_crash(victim: RabbitMQ, witness: Witness, traffic: Traffic) -> None:
    await asyncio.to_thread(victim.evaluate, ON_DISK)
    await traffic.goes_on()
    await asyncio.to_thread(victim.kill)
    lost = await witness.until(Recovering)
    assert isinstance(lost.error, ConnectionLostError)
    await asyncio.to_thread(victim.start)
    await witness.until(Recovered)
    await traffic.goes_on()


async def test_a_stop_in_good_order(victim: RabbitMQ, witness: Witness, traffic: Traffic) -> None:
    await asyncio.to_thread(victim.shutdown)
    # Its word (320) is lost where it had not read all that we had sent: that is a reset.
    await witness.until(Recovering)
    await asyncio.to_thread(victim.start)
    await witness.until(Recovered)
    await traffic.goes_on()


async def test_a_halt_of_more_than_two_heartbeats(
    victim: RabbitMQ, witness: Witness, traffic: Traffic
) -> None:
    await asyncio.to_thread(victim.pause)
    lost = await witness.until(Recovering)
    assert "two heartbeat intervals" in str(lost.error)
    await asyncio.to_thread(victim.resume)
    await witness.until(Recovered)
    await traffic.goes_on()
