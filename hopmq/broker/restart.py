"""What is left of a broker's state after a restart (RabbitMQ, Durability)."""

import asyncio
from typing import Final

from hopmq.broker.peer import Peer
from hopmq.broker.state import BrokerState
from hopmq.broker.vhost import VirtualHost

_CLOSE_TIMEOUT: Final = 5.0
"""Seconds that clients get to answer when they are told that the broker goes away."""


async def end_connections(state: BrokerState, *, abrupt: bool) -> None:
    """Return once every client has gone; one that does not go within a while is dropped."""
    # Taken now: a connection that is being closed no longer counts as one of the broker's.
    peers = list(state.peers)
    if abrupt:
        for vhost in state.vhosts.values():
            for queue in vhost.queues.values():
                queue.forget_consumers()
    else:
        for peer in peers:
            peer.close()
        await _wait_for_ends(peers)
    for peer in peers:
        peer.link.abort()
    await _wait_for_ends(peers)


async def _wait_for_ends(peers: list[Peer]) -> None:
    if peers:
        await asyncio.wait([peer.link.lost for peer in peers], timeout=_CLOSE_TIMEOUT)


def go_away(state: BrokerState, *, abrupt: bool) -> None:
    """Lose what is not durable: every connection has ended already."""
    for vhost in state.vhosts.values():
        _lose_queues(vhost)
        if not vhost.emulation.exchanges_survive:
            _lose_exchanges(vhost)
        for queue in vhost.queues.values():
            queue.go_away(abrupt=abrupt)


def come_back(state: BrokerState) -> None:
    """Begin again with what is left: queues that nobody uses have their whole time again."""
    for vhost in state.vhosts.values():
        for queue in list(vhost.queues.values()):
            queue.touch()


def forget(state: BrokerState) -> None:
    """Lose everything, so that no timer keeps it or finds it."""
    for vhost in state.vhosts.values():
        for queue in list(vhost.queues.values()):
            queue.close()
        vhost.queues.clear()
        vhost.exchanges.clear()


def _lose_queues(vhost: VirtualHost) -> None:
    for queue in list(vhost.queues.values()):
        if queue.durable and queue.owner is None:
            continue
        if not vhost.emulation.exchanges_survive:
            vhost.detach(queue)
        vhost.delete_queue(queue)


def _lose_exchanges(vhost: VirtualHost) -> None:
    for exchange in list(vhost.exchanges.values()):
        if not exchange.durable:
            vhost.detach(exchange)
            vhost.delete_exchange(exchange)
