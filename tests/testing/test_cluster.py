"""Clusters of real nodes: formed, broken node by node, and whole again."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator

import pytest

import hopmq
from brokers.selection import BrokerChoice, chosen_clusters
from hopmq import Queue
from hopmq.errors import InternalBrokerError, UsageError
from hopmq.testing import BrokerError, ClusterNode, RabbitMQCluster

SECONDS = 180.0
NO_BROKER = BrokerChoice(label="no-broker")

CAN_PART = os.geteuid() == 0 and shutil.which("nft") is not None


@pytest.fixture(
    scope="module", params=chosen_clusters() or [NO_BROKER], ids=lambda each: each.label
)
def shared_cluster(request: pytest.FixtureRequest) -> Iterator[RabbitMQCluster]:
    """Return a cluster of three nodes."""
    with RabbitMQCluster(request.param.installation) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: RabbitMQCluster) -> RabbitMQCluster:
    """Return the cluster with all its nodes."""
    shared_cluster.start()
    return shared_cluster


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
async def _bounded(anyio_backend: object) -> AsyncIterator[None]:
    async with asyncio.timeout(SECONDS):
        yield


async def quorum_queue(cluster: RabbitMQCluster, name: str) -> tuple[Queue, ClusterNode]:
    """Declare a queue with a member on each node and a message in it; return its leader too."""
    queue = Queue.quorum(name)
    async with hopmq.connect(cluster.urls[0]) as connection, connection.channel() as channel:
        await connection.declare_queue(queue)
        await channel.publish(b"kept", routing_key=name)
    return queue, await asyncio.to_thread(cluster.leader_of, name)


async def first_in(queue: Queue, node: ClusterNode) -> bytes:
    """Read the first message of a queue by way of a node, and leave it there."""
    while True:
        try:
            async with (
                hopmq.connect(node.url, recovery=None) as connection,
                connection.channel() as channel,
            ):
                message = await channel.get(queue)
                if message is not None:
                    message.nack(requeue=True)
                    return bytes(message.body)
        except InternalBrokerError:
            pass  # nobody leads the queue right now
        await asyncio.sleep(0.1)


async def test_a_queue_is_the_same_at_each_node_and_has_one_leader(
    cluster: RabbitMQCluster, name: str
) -> None:
    queue, leader = await quorum_queue(cluster, name)
    assert leader in cluster.nodes
    assert len({node.address for node in cluster.nodes}) == 3
    for node in cluster.nodes:
        assert await first_in(queue, node) == b"kept"


async def test_when_the_leader_is_killed_another_leads(cluster: RabbitMQCluster, name: str) -> None:
    queue, leader = await quorum_queue(cluster, name)
    leader.kill()
    assert not leader.is_running
    other = next(node for node in cluster.nodes if node is not leader)
    assert await first_in(queue, other) == b"kept"
    assert await asyncio.to_thread(cluster.leader_of, name) is not leader
    await asyncio.to_thread(cluster.start)
    assert await first_in(queue, leader) == b"kept"


async def test_a_node_that_is_shut_down_tells_its_clients_and_starts_again(
    cluster: RabbitMQCluster, name: str
) -> None:
    node = cluster.nodes[2]
    connection = await hopmq.connect(node.url, recovery=None)
    await asyncio.to_thread(node.shutdown)
    assert (await connection.wait_closed()).reply_code == 320
    await asyncio.to_thread(node.start)
    await (await hopmq.connect(node.url)).close()


async def test_the_connections_of_one_node_are_closed(cluster: RabbitMQCluster) -> None:
    first, second = [await hopmq.connect(node.url, recovery=None) for node in cluster.nodes[:2]]
    await asyncio.to_thread(cluster.nodes[0].close_connections, '"on" purpose')
    error = await first.wait_closed()
    assert error.reply_code == 320
    assert '"on" purpose' in str(error)
    assert second.is_open
    await second.close()


async def test_a_memory_alarm_of_one_node_blocks_publishers_at_all(
    cluster: RabbitMQCluster, name: str
) -> None:
    async with hopmq.connect(cluster.urls[1]) as connection, connection.channel() as channel:
        await connection.declare_queue(name)
        await asyncio.to_thread(cluster.nodes[0].set_memory_alarm)
        publishes = []
        try:
            while not connection.is_blocked:  # the other nodes hear of it in their own time
                publish = channel.publish(b"", routing_key=name, timeout=60)
                publishes.append(asyncio.ensure_future(publish))
                await asyncio.sleep(0.02)
        finally:
            await asyncio.to_thread(cluster.nodes[0].clear_memory_alarm)
        await asyncio.gather(*publishes)
        assert not connection.is_blocked


@pytest.mark.skipif(not CAN_PART, reason="needs root and nft")
async def test_a_node_that_is_cut_off_confirms_nothing_until_it_is_back(
    cluster: RabbitMQCluster, name: str
) -> None:
    queue, leader = await quorum_queue(cluster, name)
    connection = await hopmq.connect(leader.url, recovery=None)
    channel = await connection.channel()
    await asyncio.to_thread(cluster.partition, leader)
    try:
        with pytest.raises(hopmq.PublishUnknownError):
            await channel.publish(b"", routing_key=name, timeout=2)
        other = next(node for node in cluster.nodes if node is not leader)
        assert await first_in(queue, other) == b"kept"
    finally:
        await asyncio.to_thread(cluster.heal)
        if cluster.version.startswith("3."):
            leader.kill()
            await asyncio.to_thread(leader.start)
    await connection.close()
    await asyncio.to_thread(cluster.wait_until_whole)
    assert await first_in(queue, leader) == b"kept"


def test_a_queue_that_is_not_there_has_no_leader(cluster: RabbitMQCluster) -> None:
    with pytest.raises(BrokerError, match="no-such-queue"):
        cluster.leader_of("no-such-queue")


@pytest.mark.parametrize("nodes", [0, 10])
def test_a_cluster_has_some_nodes_and_not_many(nodes: int) -> None:
    with pytest.raises(UsageError):
        RabbitMQCluster(nodes=nodes)
