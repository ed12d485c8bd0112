"""All that an application declares at its start, from what was declared on it."""

from collections import Counter
from collections.abc import Iterable

from hopmq.app.declarations import ConsumerDeclaration, EndpointDeclaration
from hopmq.app.errors import DeclarationError
from hopmq.app.retry import topology_of_failures
from hopmq.app.topology import Topology


def wanted_topology(
    consumers: Iterable[ConsumerDeclaration],
    endpoints: Iterable[EndpointDeclaration],
    destinations: Iterable[Topology],
) -> Topology:
    """Return exchanges, queues and bindings of all, and of retries.

    Raises:
        DeclarationError: Two declarations do not go together.
    """
    topology = Topology()
    for each in destinations:
        topology += each
    names: Counter[str] = Counter()
    queues: Counter[str] = Counter()
    for consumer in consumers:
        names[consumer.name] += 1
        if consumer.place.queue.kind != "stream":  # whose messages go to each of its consumers
            queues[consumer.place.queue.name] += 1
        topology += consumer.place.topology + failure_topology(consumer)
    for endpoint in endpoints:
        names[endpoint.name] += 1
        queues[endpoint.queue.name] += 1
        topology += endpoint.topology
    _check_single(queues, "declare one")
    _check_single(names, "declare one, or give consumers of different queues a name= each")
    return topology


def _check_single(counts: Counter[str], advice: str) -> None:
    for name, count in counts.items():
        if count > 1:
            raise DeclarationError(
                f"{name!r} has {count} handlers, and a message would go to any of them: {advice}"
            )


def failure_topology(consumer: ConsumerDeclaration) -> Topology:
    """Return what the retries and the parking of a consumer need."""
    return topology_of_failures(
        consumer.place.queue, consumer.retry, in_place=consumer.stays_in_place
    )
