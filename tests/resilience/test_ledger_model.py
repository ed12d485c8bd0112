"""Topologies in any order of events, against a model that looks at everything each time."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hopmq import Exchange, Queue
from hopmq.resilience import Binding
from hopmq.resilience.ledger import TopologyLedger
from hopmq.typedefs import FieldTable
from trials import trials

exchange_names = st.sampled_from(["x1", "x2", "amq.topic"])
queue_names = st.sampled_from(["q1", "q2"])
arguments: st.SearchStrategy[FieldTable] = st.sampled_from(
    [{}, {"a": 1}, {"a": True}, {"a": [1, {"b": None}]}]
)
picks = st.integers(0, 2**16)


class Model:
    """Plain lists, searched from end to end."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.queues: list[tuple[str, Queue]] = []
        self.bindings: list[Binding] = []
        self.consumers: list[str] = []

    def drop_queue(self, name: str) -> None:
        """Remove a queue and what goes with it."""
        self.queues = [each for each in self.queues if each[0] != name]
        self.consumers = [each for each in self.consumers if each != name]
        self.drop_bindings(lambda each: (each.kind, each.destination) == ("queue", name))

    def drop_exchange(self, name: str) -> None:
        """Remove an exchange and what goes with it."""
        self.exchanges = [each for each in self.exchanges if each.name != name]
        self.bindings = [each for each in self.bindings if each.source != name]
        self.drop_bindings(lambda each: (each.kind, each.destination) == ("exchange", name))

    def drop_bindings(self, goes: Callable[[Binding], bool]) -> None:
        """Remove bindings, and each auto-delete exchange that had one of them and has none now."""
        sources = [each.source for each in self.bindings if goes(each)]
        self.bindings = [each for each in self.bindings if not goes(each)]
        for exchange in list(self.exchanges):
            left = any(each.source == exchange.name for each in self.bindings)
            if exchange.auto_delete and exchange.name in sources and not left:
                self.drop_exchange(exchange.name)


class Topologies(RuleBasedStateMachine):
    """A connection that declares, binds, consumes and deletes as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = TopologyLedger()
        self.model = Model()
        self.serial = 0
        self.aliases: dict[str, str] = {}
        """Names that a program may still hold, each with the present one."""

    def a_queue(self, name: str, pick: int) -> tuple[str, str]:
        """Return a name that a program may use, and the present name of the same queue."""
        names = [name, *self.aliases]
        known_as = names[pick % len(names)]
        return known_as, self.aliases.get(known_as, known_as)

    @rule(name=exchange_names, auto_delete=st.booleans())
    def declare_exchange(self, name: str, auto_delete: bool) -> None:
        exchange = Exchange(name, auto_delete=auto_delete)
        self.ledger.declared(exchange)
        if name.startswith("amq."):
            return
        places = [each.name for each in self.model.exchanges]
        if name in places:
            self.model.exchanges[places.index(name)] = exchange
        else:
            self.model.exchanges.append(exchange)

    @rule(name=queue_names, auto_delete=st.booleans())
    def declare_queue(self, name: str, auto_delete: bool) -> None:
        queue = Queue(name, auto_delete=auto_delete)
        self.ledger.declared(queue, name)
        places = [each for each, _ in self.model.queues]
        if name in places:
            self.model.queues[places.index(name)] = (name, queue)
        else:
            self.model.queues.append((name, queue))

    @rule(auto_delete=st.booleans())
    def declare_unnamed(self, auto_delete: bool) -> None:
        self.serial += 1
        name, queue = f"amq.gen-{self.serial}", Queue("", auto_delete=auto_delete)
        self.ledger.declared(queue, name)
        self.model.queues.append((name, queue))
        self.aliases[name] = name

    @rule(source=exchange_names, name=queue_names, pick=picks, arguments=arguments)
    def bind(self, source: str, name: str, pick: int, arguments: FieldTable) -> None:
        known_as, now = self.a_queue(name, pick)
        binding = Binding(source, known_as, "queue", "", arguments)
        self.ledger.bound(binding)
        self.add(replace(binding, destination=now))

    @rule(source=exchange_names, name=exchange_names, key=st.sampled_from(["", "k"]))
    def bind_exchange(self, source: str, name: str, key: str) -> None:
        binding = Binding(source, name, "exchange", key)
        self.ledger.bound(binding)
        self.add(binding)

    def add(self, binding: Binding) -> None:
        if binding not in self.model.bindings:
            self.model.bindings.append(binding)

    @rule(pick=picks, name=queue_names)
    def unbind(self, pick: int, name: str) -> None:
        absent = Binding("x1", name, "queue", "of another")
        binding = [absent, *self.model.bindings][pick % (len(self.model.bindings) + 1)]
        self.ledger.unbound(binding)
        self.model.drop_bindings(lambda each: each == binding)

    @rule(name=queue_names, pick=picks)
    def consume(self, name: str, pick: int) -> None:
        known_as, now = self.a_queue(name, pick)
        self.ledger.consumer_started(known_as)
        self.model.consumers.append(now)

    @rule(name=queue_names, pick=picks)
    def cancel(self, name: str, pick: int) -> None:
        known_as, now = self.a_queue(name, pick)
        self.ledger.consumer_ended(known_as)
        if now not in self.model.consumers:
            return
        self.model.consumers.remove(now)
        is_auto_delete = any(each == now and queue.auto_delete for each, queue in self.model.queues)
        if is_auto_delete and now not in self.model.consumers:
            self.drop_queue(now)

    @rule(name=queue_names, pick=picks)
    def delete_queue(self, name: str, pick: int) -> None:
        known_as, now = self.a_queue(name, pick)
        self.ledger.queue_deleted(known_as)
        self.drop_queue(now)

    def drop_queue(self, now: str) -> None:
        self.model.drop_queue(now)
        self.aliases = {old: name for old, name in self.aliases.items() if name != now}

    @rule(name=exchange_names)
    def delete_exchange(self, name: str) -> None:
        self.ledger.exchange_deleted(name)
        self.model.drop_exchange(name)

    @rule(pick=picks)
    def rename(self, pick: int) -> None:
        if not self.aliases:
            return
        known_as = list(self.aliases)[pick % len(self.aliases)]
        old = self.aliases[known_as]
        self.serial += 1
        new = f"amq.gen-{self.serial}"
        self.ledger.renamed(known_as, new)
        model = self.model
        model.queues = [(new if name == old else name, queue) for name, queue in model.queues]
        model.consumers = [new if name == old else name for name in model.consumers]
        model.bindings = [
            replace(each, destination=new) if each.destination == old else each
            for each in model.bindings
        ]
        self.aliases = {name: new if now == old else now for name, now in self.aliases.items()}
        self.aliases[new] = new
        # The program may keep the name that it was given first, and the last few.
        held = [name for name, now in self.aliases.items() if now == new]
        for forgotten in held[1:-8]:
            del self.aliases[forgotten]

    # --- the rule ----------------------------------------------------------------------------

    @invariant()
    def both_want_the_same(self) -> None:
        assert self.ledger.exchanges() == self.model.exchanges
        assert [(each.name, each.queue) for each in self.ledger.queues()] == self.model.queues
        recorded = self.ledger.bindings()
        assert len(recorded) == len(self.model.bindings)
        assert set(recorded) == set(self.model.bindings)
        assert len(self.ledger) == len(list(self.ledger))
        for name, now in self.aliases.items():
            assert self.ledger.current_name(name) == now

    def teardown(self) -> None:
        for name, _ in list(self.model.queues):
            self.ledger.queue_deleted(name)
        for exchange in self.ledger.exchanges():
            self.ledger.exchange_deleted(exchange.name)
        for binding in self.ledger.bindings():
            self.ledger.unbound(binding)
        for name in list(self.model.consumers):
            self.ledger.consumer_ended(name)
        left = {name: kept for name, kept in vars(self.ledger).items() if kept}
        assert not left, "nothing is kept of what is gone"


TestTopologies = Topologies.TestCase
TestTopologies.settings = trials(150, steps=40)
