"""What of a connection's topology its link still lacks."""

from hopmq.bindings import Binding
from hopmq.entities import Exchange
from hopmq.resilience.ledger import TopologyLedger, WantedQueue


class MissingTopology:
    """The exchanges, queues and bindings that are wanted and not there, in the order to restore them.

    Attributes:
        exchanges: By name.
        queues: By the names that they have now.
        bindings: As keys.
    """

    def __init__(self, ledger: TopologyLedger) -> None:
        """Miss nothing yet."""
        self.exchanges: dict[str, Exchange] = {}
        self.queues: dict[str, WantedQueue] = {}
        self.bindings: dict[Binding, None] = {}
        self._ledger = ledger

    def __bool__(self) -> bool:
        """Return whether anything is missing."""
        return bool(self.exchanges or self.queues or self.bindings)

    def add_all(self) -> None:
        """Miss everything, and nothing that is not wanted any more."""
        self.exchanges = {exchange.name: exchange for exchange in self._ledger.exchanges()}
        self.queues = {queue.name: queue for queue in self._ledger.queues()}
        self.bindings = dict.fromkeys(self._ledger.bindings())

    def add_queue(self, name: str) -> None:
        """Miss a queue, and its bindings with it."""
        wanted = self._ledger.queue(name)
        if wanted is not None:
            self.queues[wanted.name] = wanted
            self.bindings.update(dict.fromkeys(self._ledger.bindings_to(name)))

    def add_end(self, binding: Binding, *, queue: bool) -> None:
        """Miss what a binding leads from or to, since the broker has not found its queue or exchange.

        RabbitMQ agrees to a declare of an exchange that is being deleted, and ignores it.
        """
        if queue:
            self.add_queue(binding.destination)
            return
        self._add_exchange(binding.source)
        if binding.kind == "exchange":
            self._add_exchange(binding.destination)

    def _add_exchange(self, name: str) -> None:
        wanted = self._ledger.exchange(name)
        if wanted is not None and name not in self.exchanges:
            self.exchanges[name] = wanted
            self.bindings.update(dict.fromkeys(self._ledger.bindings_of(name)))
