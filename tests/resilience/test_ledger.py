"""What the ledger keeps and forgets: as RabbitMQ does, of its own accord or not."""

from collections.abc import Callable

import pytest

from hopmq import Exchange, Queue
from hopmq.resilience import Binding
from hopmq.resilience.ledger import Entity, TopologyLedger, WantedQueue


@pytest.fixture
def ledger() -> TopologyLedger:
    """Return an empty ledger."""
    return TopologyLedger()


def between(source: str, destination: str, routing_key: str = "") -> Binding:
    """Return a binding between two exchanges."""
    return Binding(source, destination, "exchange", routing_key)


def names(ledger: TopologyLedger) -> list[str]:
    """Return the names of exchanges and queues, in the order to restore them."""
    return [each.name for each in (*ledger.exchanges(), *ledger.queues())]


def test_entities_are_restored_after_those_they_need(ledger: TopologyLedger) -> None:
    binding, fed = Binding("events", "orders", "queue", "new"), between("events", "audit")
    events, audit, orders = Exchange("events"), Exchange("audit"), Queue("orders")
    ledger.declared(orders)
    ledger.declared(events)
    ledger.bound(binding)
    ledger.declared(audit)
    ledger.bound(fed)
    assert list(ledger) == [events, audit, WantedQueue("orders", orders), binding, fed]
    assert len(ledger) == 5


def test_what_is_declared_again_is_replaced_in_its_place(ledger: TopologyLedger) -> None:
    for queue in (Queue("a"), Queue("b"), Queue("a", durable=False, exclusive=True)):
        ledger.declared(queue)
    ledger.declared(Exchange("a", "topic"))
    ledger.declared(Exchange("a", "fanout"))
    assert [each.queue.durable for each in ledger.queues()] == [False, True]
    assert [each.type for each in ledger.exchanges()] == ["fanout"]


@pytest.mark.parametrize("entity", [Queue("amq.gen-x", exclusive=True), Exchange("amq.topic")])
def test_what_the_broker_reserves_is_not_recorded(
    ledger: TopologyLedger, entity: Queue | Exchange
) -> None:
    ledger.declared(entity, entity.name)
    assert not len(ledger)


def test_bindings_from_the_brokers_own_exchanges_are(ledger: TopologyLedger) -> None:
    ledger.bound(Binding("amq.topic", "orders", "queue", "#"))
    assert ledger.bindings() == [Binding("amq.topic", "orders", "queue", "#")]


def test_later_changes_of_arguments_reach_nothing(ledger: TopologyLedger) -> None:
    nested = {"a": [1]}
    arguments = {"x": nested}
    ledger.declared(Queue("orders", arguments=arguments))
    ledger.declared(Exchange("events", arguments=arguments))
    ledger.bound(Binding("events", "orders", arguments=arguments))
    nested["a"].append(2)
    arguments["y"] = {}
    exchange, queue, binding = ledger
    assert isinstance(queue, WantedQueue)
    for entity in (exchange, queue.queue, binding):
        assert not isinstance(entity, WantedQueue)
        assert entity.arguments == {"x": {"a": [1]}}


def test_a_binding_made_twice_is_one(ledger: TopologyLedger) -> None:
    for _ in range(2):
        ledger.bound(Binding("events", "orders", arguments={"b": [1], "a": None}))
    assert len(ledger) == 1
    ledger.unbound(Binding("events", "orders", arguments={"a": None, "b": [1]}))
    assert not len(ledger)


# --- what goes with what -------------------------------------------------------------------------


def test_a_queue_takes_its_bindings_along(ledger: TopologyLedger) -> None:
    ledger.declared(Exchange("events"))
    ledger.declared(Queue("orders"))
    ledger.bound(Binding("events", "orders"))
    ledger.bound(Binding("events", "other"))
    ledger.bound(between("events", "orders"))
    ledger.queue_deleted("orders")
    assert names(ledger) == ["events"]
    assert ledger.bindings() == [Binding("events", "other"), between("events", "orders")]


def test_an_exchange_takes_bindings_from_it_and_to_it_along(ledger: TopologyLedger) -> None:
    ledger.declared(Exchange("events"))
    ledger.bound(Binding("events", "orders"))
    ledger.bound(between("source", "events"))
    ledger.bound(between("events", "events"))
    ledger.bound(Binding("source", "events"))
    ledger.exchange_deleted("events")
    assert list(ledger) == [Binding("source", "events")]


def test_an_auto_delete_queue_goes_with_its_last_consumer(ledger: TopologyLedger) -> None:
    ledger.declared(Queue("jobs", auto_delete=True))
    ledger.bound(Binding("events", "jobs"))
    ledger.consumer_ended("jobs")
    ledger.consumer_started("jobs")
    ledger.consumer_started("jobs")
    ledger.consumer_ended("jobs")
    assert names(ledger) == ["jobs"]
    ledger.consumer_ended("jobs")
    assert not len(ledger)


def test_another_queue_outlives_its_consumers(ledger: TopologyLedger) -> None:
    ledger.declared(Queue("jobs", exclusive=True))
    ledger.consumer_started("jobs")
    ledger.consumer_ended("jobs")
    assert names(ledger) == ["jobs"]


def test_consumers_are_counted_before_their_queue_is_declared(ledger: TopologyLedger) -> None:
    ledger.consumer_started("jobs")
    ledger.declared(Queue("jobs", auto_delete=True))
    ledger.consumer_ended("jobs")
    assert not len(ledger)


def test_consumers_of_a_deleted_queue_do_not_count_for_the_next(ledger: TopologyLedger) -> None:
    ledger.declared(Queue("jobs", auto_delete=True))
    ledger.consumer_started("jobs")
    ledger.queue_deleted("jobs")
    ledger.declared(Queue("jobs", auto_delete=True))
    ledger.consumer_ended("jobs")
    assert names(ledger) == ["jobs"]


def remove_by_unbind(ledger: TopologyLedger) -> None:
    """Remove the binding itself."""
    ledger.unbound(Binding("events", "orders"))


def remove_with_queue(ledger: TopologyLedger) -> None:
    """Remove the queue that it leads to."""
    ledger.queue_deleted("orders")


def remove_with_consumer(ledger: TopologyLedger) -> None:
    """Remove the last consumer of the queue that it leads to."""
    ledger.consumer_started("orders")
    ledger.consumer_ended("orders")


@pytest.mark.parametrize("remove", [remove_by_unbind, remove_with_queue, remove_with_consumer])
def test_an_auto_delete_exchange_goes_with_the_last_binding_from_it(
    ledger: TopologyLedger, remove: Callable[[TopologyLedger], None]
) -> None:
    ledger.declared(Queue("orders", auto_delete=True))
    ledger.declared(Exchange("events", auto_delete=True))
    ledger.bound(Binding("events", "orders"))
    ledger.bound(Binding("events", "other"))
    ledger.unbound(Binding("events", "other"))
    assert ledger.exchange("events") is not None
    remove(ledger)
    assert ledger.exchange("events") is None


def test_an_auto_delete_exchange_waits_for_its_first_binding(ledger: TopologyLedger) -> None:
    ledger.declared(Exchange("events", auto_delete=True))
    ledger.bound(between("source", "events"))
    ledger.unbound(between("source", "events"))
    ledger.unbound(Binding("events", "of others"))
    assert names(ledger) == ["events"]


def test_auto_deletes_run_through_a_chain_of_any_length(ledger: TopologyLedger) -> None:
    for number in range(10_000):
        ledger.declared(Exchange(f"{number}", auto_delete=True))
        ledger.bound(between(f"{number}", f"{number + 1}"))
    ledger.exchange_deleted("10000")
    assert not len(ledger)


# --- names ---------------------------------------------------------------------------------------


def test_a_queue_that_the_broker_named_keeps_its_declaration(ledger: TopologyLedger) -> None:
    ledger.declared(Queue.temporary(), "amq.gen-1")
    ledger.declared(Queue.temporary("mine"))
    given, mine = ledger.queues()
    assert (given.name, given.queue.name, given.is_server_named) == ("amq.gen-1", "", True)
    assert (mine.name, mine.queue.name, mine.is_server_named) == ("mine", "mine", False)


def test_bindings_and_consumers_follow_a_new_name(ledger: TopologyLedger) -> None:
    ledger.declared(Queue(""), "amq.gen-1")
    ledger.declared(Queue("", auto_delete=True), "amq.gen-2")
    ledger.bound(Binding("events", "amq.gen-1"))
    ledger.bound(between("events", "amq.gen-1"))
    ledger.consumer_started("amq.gen-2")
    ledger.renamed("amq.gen-1", "amq.gen-3")
    ledger.renamed("amq.gen-2", "amq.gen-4")
    assert names(ledger) == ["amq.gen-3", "amq.gen-4"]
    assert ledger.bindings() == [Binding("events", "amq.gen-3"), between("events", "amq.gen-1")]
    assert ledger.bindings_to("amq.gen-3") == [Binding("events", "amq.gen-3")]
    ledger.consumer_ended("amq.gen-4")
    assert names(ledger) == ["amq.gen-3"]


def test_old_names_lead_to_the_present_one(ledger: TopologyLedger) -> None:
    ledger.declared(Queue(""), "amq.gen-1")
    ledger.renamed("amq.gen-1", "amq.gen-2")
    ledger.renamed("amq.gen-2", "amq.gen-3")
    ledger.bound(Binding("events", "amq.gen-1"))
    ledger.bound(Binding("events", "amq.gen-2", "queue", "key"))
    assert [ledger.current_name(f"amq.gen-{number}") for number in (1, 2, 3)] == ["amq.gen-3"] * 3
    assert {each.destination for each in ledger.bindings()} == {"amq.gen-3"}
    found = ledger.queue("amq.gen-2")
    assert found is not None
    assert found.name == "amq.gen-3"
    ledger.unbound(Binding("events", "amq.gen-3"))
    ledger.queue_deleted("amq.gen-2")
    assert not len(ledger)
    assert ledger.current_name("amq.gen-1") == "amq.gen-1"


def test_names_do_not_pile_up(ledger: TopologyLedger) -> None:
    ledger.declared(Queue(""), "amq.gen-0")
    for number in range(1_000):
        ledger.renamed(f"amq.gen-{number}", f"amq.gen-{number + 1}")
    found = [n for n in range(1_001) if ledger.current_name(f"amq.gen-{n}") == "amq.gen-1000"]
    assert found == [0, *range(993, 1_001)]


def test_a_name_may_come_back(ledger: TopologyLedger) -> None:
    ledger.declared(Queue(""), "amq.gen-1")
    for number in (1, 2, 1, 3, 2, 1, 1, 2):
        ledger.renamed("amq.gen-1", f"amq.gen-{number}")
    assert names(ledger) == ["amq.gen-2"]
    ledger.queue_deleted("amq.gen-1")
    assert not len(ledger)
    assert ledger.current_name("amq.gen-3") == "amq.gen-3"


def test_what_is_not_recorded_has_no_new_name(ledger: TopologyLedger) -> None:
    ledger.renamed("amq.gen-1", "amq.gen-2")
    assert ledger.current_name("amq.gen-1") == "amq.gen-1"
    assert ledger.queue("amq.gen-1") is None


# --- the filter ----------------------------------------------------------------------------------


def test_a_filter_says_what_to_restore() -> None:
    asked: list[Entity] = []

    def recover(entity: Entity) -> bool:
        asked.append(entity)
        return isinstance(entity, Binding) or entity.durable

    ledger = TopologyLedger(recover)
    for name in ("kept", "left"):
        ledger.declared(Exchange(name, durable=name == "kept"))
        ledger.declared(Queue(name, durable=name == "kept", exclusive=name == "left"))
    ledger.bound(Binding("kept", "left"))
    assert not asked
    assert names(ledger) == ["kept", "kept"]
    assert ledger.bindings() == ledger.bindings_to("left") == [Binding("kept", "left")]
    assert ledger.queue("left") is ledger.exchange("left") is None
    assert len(ledger) == 5
