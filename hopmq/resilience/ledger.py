"""What a connection has declared and still wants: what recovery has to restore."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, TypeAlias, TypeVar

from hopmq.bindings import Binding
from hopmq.entities import Exchange, Queue
from hopmq.typedefs import FieldTable, FieldValue
from hopmq.values import Value

K = TypeVar("K")

Entity: TypeAlias = Queue | Exchange | Binding
"""What can be restored, and what a filter is asked about."""

_RESERVED: Final = "amq."
_KEPT_NAMES: Final = 8
_KEPT_DOOMED: Final = 1000


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class WantedQueue(Value):
    """A queue to restore.

    Attributes:
        name: What it is called now.
        queue: How it was declared; without a name where the broker chooses it.
    """

    name: str
    queue: Queue

    @property
    def is_server_named(self) -> bool:
        """Whether the broker gives it another name each time it is declared."""
        return not self.queue.name


class TopologyLedger:
    """Exchanges, queues and bindings, in the order to restore them.

    It is told what the broker has agreed to and nothing else: not what was refused, nor what a
    passive declare found. It forgets what RabbitMQ deletes of its own: bindings with either of
    their ends, an auto-delete queue with its last consumer, an auto-delete exchange with the last
    binding from it. It knows only this connection's consumers and bindings; where others hold an
    entity, it is there without being restored. The end of a connection deletes things too, but
    that is what recovery undoes, and so nobody tells the ledger.

    Names may be those of earlier connections: a queue that the broker named is found by the name
    it had first and by its last few ones. Every operation costs the same however much is recorded.
    """

    def __init__(self, recover: Callable[[Entity], bool] | None = None) -> None:
        """Start empty.

        Args:
            recover: Whether an entity is to be restored; asked each time, for what is recorded.
        """
        self._recover = recover
        self._exchanges: dict[str, Exchange] = {}
        # Queues go by the name they had first, here and in the bindings recorded, so that a new
        # name is one entry to change however many bindings there are.
        self._queues: dict[str, Queue] = {}
        self._later_names: dict[str, dict[str, None]] = {}
        self._first_names: dict[str, str] = {}
        self._bindings_from: dict[str, dict[Binding, None]] = {}
        self._bindings_to: dict[tuple[str, str], dict[Binding, None]] = {}
        self._consumers: Counter[str] = Counter()
        self._doomed: dict[str, None] = {}

    # --- what is wanted ----------------------------------------------------------------------

    def __len__(self) -> int:
        """Count all that is recorded, whatever the filter says."""
        bindings = sum(map(len, self._bindings_from.values()))
        return len(self._exchanges) + len(self._queues) + bindings

    def __iter__(self) -> Iterator[Exchange | WantedQueue | Binding]:
        """Iterate over what to restore, each entity after those that it needs."""
        return chain(self.exchanges(), self.queues(), self.bindings())

    def __contains__(self, binding: Binding) -> bool:
        """Return whether a binding is recorded, by whichever name of its queue."""
        recorded = self._as_recorded(binding)
        return recorded in self._bindings_from.get(recorded.source, ())

    def exchanges(self) -> list[Exchange]:
        """Return the exchanges to restore, as they were declared."""
        return [each for each in self._exchanges.values() if self._wants(each)]

    def queues(self) -> list[WantedQueue]:
        """Return the queues to restore, in the order they were declared."""
        return [
            WantedQueue(self._last_name(first), queue)
            for first, queue in self._queues.items()
            if self._wants(queue)
        ]

    def bindings(self) -> list[Binding]:
        """Return the bindings to restore, with their queues' present names."""
        return self._wanted(chain.from_iterable(self._bindings_from.values()))

    def bindings_to(self, queue: str) -> list[Binding]:
        """Return the bindings of one queue."""
        return self._wanted(self._bindings_to.get(("queue", self._first_name(queue)), ()))

    def bindings_of(self, exchange: str) -> list[Binding]:
        """Return the bindings from one exchange, and those that lead to it."""
        to_it = self._bindings_to.get(("exchange", exchange), ())
        return self._wanted(chain(self._bindings_from.get(exchange, ()), to_it))

    def exchange(self, name: str) -> Exchange | None:
        """Return an exchange, if it is to be restored."""
        exchange = self._exchanges.get(name)
        return exchange if exchange is not None and self._wants(exchange) else None

    def queue(self, name: str) -> WantedQueue | None:
        """Return a queue, if it is to be restored."""
        first = self._first_name(name)
        queue = self._queues.get(first)
        if queue is None or not self._wants(queue):
            return None
        return WantedQueue(self._last_name(first), queue)

    def is_stream(self, queue: str) -> bool:
        """Return whether a queue was declared as a stream here, restored or not."""
        recorded = self._queues.get(self._first_name(queue))
        return recorded is not None and recorded.kind == "stream"

    def current_name(self, queue: str) -> str:
        """Return what a queue is called now; the name itself where it is not known."""
        return self._last_name(self._first_name(queue))

    # --- what happens ------------------------------------------------------------------------

    def declared(self, entity: Queue | Exchange, name: str = "") -> None:
        """Record a queue or exchange; one of the same name is replaced in its place.

        Args:
            entity: What was declared.
            name: What the broker calls the queue, where it chose the name.
        """
        if entity.name.startswith(_RESERVED):
            return
        entity = replace(entity, arguments=_own_table(entity.arguments))
        if isinstance(entity, Exchange):
            self._exchanges[entity.name] = entity
        else:
            self._queues[entity.name or name] = entity
            self._doomed.pop(entity.name or name, None)

    def bound(self, binding: Binding) -> None:
        """Record a binding."""
        binding = self._as_recorded(binding)
        self._bindings_from.setdefault(binding.source, {})[binding] = None
        self._bindings_to.setdefault(_end_of(binding), {})[binding] = None

    def unbound(self, binding: Binding) -> None:
        """Forget a binding, and an auto-delete exchange whose last one it was."""
        binding = self._as_recorded(binding)
        if binding in self._bindings_from.get(binding.source, ()):
            self._remove_binding(binding)
            self._drop_unused_exchanges([binding.source])

    def consumer_started(self, queue: str) -> None:
        """Count a consumer."""
        self._consumers[self._first_name(queue)] += 1

    def consumer_ended(self, queue: str) -> None:
        """Forget a consumer that was cancelled, and an auto-delete queue whose last one it was.

        One whose connection was lost has not ended: it will be restored with its queue.
        """
        first = self._first_name(queue)
        if first not in self._consumers:
            return
        self._consumers[first] -= 1
        if self._consumers[first]:
            return
        del self._consumers[first]
        recorded = self._queues.get(first)
        if recorded is not None and recorded.auto_delete:
            self._remove_queue(first)

    def queue_doomed(self, queue: str, doomed: bool) -> None:
        """Remember that a queue is being deleted from here, or that this was refused."""
        first = self._first_name(queue)
        self._doomed.pop(first, None)
        if doomed:
            self._doomed[first] = None
            if len(self._doomed) > _KEPT_DOOMED:
                del self._doomed[next(iter(self._doomed))]

    def is_doomed(self, queue: str) -> bool:
        """Return whether a queue is being deleted from here, or was lately."""
        return self._first_name(queue) in self._doomed

    def queue_deleted(self, queue: str) -> None:
        """Forget a queue, its bindings, and auto-delete exchanges that fed it alone."""
        self._remove_queue(self._first_name(queue))

    def exchange_deleted(self, exchange: str) -> None:
        """Forget an exchange, all its bindings, and auto-delete exchanges that fed it alone."""
        self._drop_unused_exchanges(self._remove_exchange(exchange))

    def renamed(self, old: str, new: str) -> None:
        """Let a queue and its bindings go by a new name, which the broker gave it."""
        first = self._first_name(old)
        if first not in self._queues or self._last_name(first) == new:
            return
        names = self._later_names.setdefault(first, {})
        names.pop(new, None)
        names[new] = None
        self._first_names[new] = first
        if len(names) > _KEPT_NAMES:
            oldest = next(iter(names))
            del names[oldest]
            self._first_names.pop(oldest, None)

    # --- inside ------------------------------------------------------------------------------

    def _wants(self, entity: Entity) -> bool:
        return self._recover is None or self._recover(entity)

    def _wanted(self, recorded: Iterable[Binding]) -> list[Binding]:
        return [each for each in map(self._as_named_now, recorded) if self._wants(each)]

    def _first_name(self, name: str) -> str:
        return self._first_names.get(name, name)

    def _last_name(self, first: str) -> str:
        names = self._later_names.get(first)
        return next(reversed(names)) if names else first

    def _as_recorded(self, binding: Binding) -> Binding:
        """Return the binding with the queue's first name, and arguments of its own."""
        destination = binding.destination
        if binding.kind == "queue":
            destination = self._first_name(destination)
        if destination == binding.destination and not binding.arguments:
            return binding
        arguments = _own_table(binding.arguments)
        return replace(binding, destination=destination, arguments=arguments)

    def _as_named_now(self, binding: Binding) -> Binding:
        if binding.kind == "queue" and binding.destination in self._later_names:
            return replace(binding, destination=self._last_name(binding.destination))
        return binding

    def _remove_binding(self, binding: Binding) -> None:
        _discard(self._bindings_from, binding.source, binding)
        _discard(self._bindings_to, _end_of(binding), binding)

    def _remove_bindings_to(self, kind: str, name: str) -> list[str]:
        """Remove the bindings to a queue or exchange; return where they came from."""
        removed = list(self._bindings_to.get((kind, name), ()))
        for binding in removed:
            self._remove_binding(binding)
        return [binding.source for binding in removed]

    def _remove_queue(self, first: str) -> None:
        self._queues.pop(first, None)
        self._consumers.pop(first, None)
        for name in self._later_names.pop(first, ()):
            self._first_names.pop(name, None)
        self._drop_unused_exchanges(self._remove_bindings_to("queue", first))

    def _remove_exchange(self, name: str) -> list[str]:
        """Remove an exchange with its bindings; return which others fed it."""
        self._exchanges.pop(name, None)
        for binding in list(self._bindings_from.get(name, ())):
            self._remove_binding(binding)
        return self._remove_bindings_to("exchange", name)

    def _drop_unused_exchanges(self, sources: list[str]) -> None:
        """Remove the auto-delete ones that have lost their last binding, and so on upwards."""
        while sources:
            exchange = self._exchanges.get(sources.pop())
            if exchange is None or not exchange.auto_delete:
                continue
            if exchange.name not in self._bindings_from:
                sources += self._remove_exchange(exchange.name)


def _end_of(binding: Binding) -> tuple[str, str]:
    return binding.kind, binding.destination


def _discard(index: dict[K, dict[Binding, None]], key: K, binding: Binding) -> None:
    """Remove a binding from an index, without leaving an empty entry behind."""
    entry = index[key]
    del entry[binding]
    if not entry:
        del index[key]


def _own_table(table: FieldTable) -> FieldTable:
    """Return a copy that a caller's later changes do not reach."""
    return {name: _own(value) for name, value in table.items()}


def _own(value: FieldValue) -> FieldValue:
    if isinstance(value, Mapping):
        return _own_table(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_own(each) for each in value]
    return value
