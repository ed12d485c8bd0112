"""Nodes of a cluster that die, restart in turn, or are cut off: nothing confirmed is lost."""

import asyncio
import os
import shutil

import pytest

from faults.outages.witness import Witness
from faults.traffic import Traffic
from hopmq.errors import PublishUnknownTimeoutError
from hopmq.events import Recovered
from hopmq.testing import BrokerError, RabbitMQCluster

SECONDS = 150.0

WAITS = "4.3"
"""Release whose nodes keep their connections, and confirm nothing, while they are cut off."""

CAN_PART = os.geteuid() == 0 and shutil.which("nft") is not None


async def others_go_on(cluster: RabbitMQCluster, traffic: Traffic) -> None:
    """See that messages come and go while a node is away."""
    # A channel of 3.10 that publishes before another leader is elected has every message refused
    # (basic.nack) from then on, until the old leader is back.
    if not cluster.version.startswith("3.10"):
        await traffic.goes_on()


async def test_the_leader_of_a_queue_is_killed(
    cluster: RabbitMQCluster, witness: Witness, traffic: Traffic
) -> None:
    leader = await asyncio.to_thread(cluster.leader_of, traffic.kept[0].name)
    await asyncio.to_thread(leader.kill)
    await others_go_on(cluster, traffic)
    assert await asyncio.to_thread(cluster.leader_of, traffic.kept[0].name) is not leader
    await asyncio.to_thread(leader.start)
    await asyncio.to_thread(cluster.wait_until_whole)
    await traffic.goes_on()


async def test_nodes_restart_one_after_the_other(
    cluster: RabbitMQCluster, witness: Witness, traffic: Traffic
) -> None:
    for node in cluster.nodes:
        await asyncio.to_thread(node.shutdown)
        await others_go_on(cluster, traffic)
        await asyncio.to_thread(node.start)
        await asyncio.to_thread(cluster.wait_until_whole)
    assert witness.of(Recovered), "at least one of them was ours"
    await traffic.goes_on()


@pytest.mark.skipif(not CAN_PART, reason="needs root and nft")
async def test_the_node_that_we_are_connected_to_is_cut_off(
    cluster: RabbitMQCluster, witness: Witness, traffic: Traffic
) -> None:
    node = next(node for node in cluster.nodes if node.address in repr(witness.connection))
    await asyncio.to_thread(cluster.partition, node)
    try:
        if cluster.version.startswith(WAITS):
            channel = await witness.connection.channel()
            promise = await traffic.promises.publish(
                channel, traffic.kept[0].name, producer="cut-off", timeout=3.0
            )
            assert isinstance(promise.outcome, PublishUnknownTimeoutError)
        else:
            await witness.until(Recovered)
            await others_go_on(cluster, traffic)
    finally:
        await asyncio.to_thread(cluster.heal)
        if cluster.version.startswith("3."):
            await asyncio.to_thread(node.kill)
            await asyncio.to_thread(node.start)
    await whole_again(cluster)
    await traffic.goes_on()


async def whole_again(cluster: RabbitMQCluster) -> None:
    """Return when all nodes take part; one that had paused itself knows nothing of it before."""
    while True:
        try:
            await asyncio.to_thread(cluster.wait_until_whole)
        except BrokerError:
            await asyncio.sleep(0.2)
        else:
            return
