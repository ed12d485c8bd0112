"""The kinds of queues, by the argument x-queue-type."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from hopmq.broker.queues.classic import ClassicQueue
from hopmq.broker.queues.queue import Declaration, Queue
from hopmq.broker.queues.quorum import QuorumQueue
from hopmq.broker.queues.stream import StreamQueue

if TYPE_CHECKING:
    from hopmq.broker.peer import Peer
    from hopmq.broker.vhost import VirtualHost

KINDS: Final[dict[str, type[Queue]]] = {
    "classic": ClassicQueue,
    "quorum": QuorumQueue,
    "stream": StreamQueue,
}


def new_queue(
    kind: str,
    vhost: "VirtualHost",
    name: str,
    *,
    durable: bool,
    owner: "Peer | None",
    auto_delete: bool,
    arguments: Mapping[str, Any],
) -> Queue:
    """Return a new queue of that kind."""
    return KINDS[kind](
        Declaration(
            vhost=vhost,
            name=name,
            durable=durable,
            owner=owner,
            auto_delete=auto_delete,
            arguments=arguments,
            policy=vhost.policies.for_queue(name, kind),
        )
    )
