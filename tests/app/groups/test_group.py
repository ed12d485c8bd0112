"""Groups as values: names, what is declared, and what cannot be meant."""

from collections.abc import Callable

import pytest

from hopmq import Exchange, Queue, UsageError
from hopmq.app.errors import DeclarationError
from hopmq.app.groups import Group
from hopmq.app.groups.hashing import partition_of
from hopmq.bindings import Binding

ORDERS = Exchange.topic("orders")
ALL = [Binding("orders", "anything", routing_key="order.#")]


def test_a_group_shares_one_queue() -> None:
    group = Group("billing")
    topology = group.topology(ORDERS, ALL)
    assert group.queue_name("orders") == "orders.billing"
    assert topology.queues == (Queue.quorum("orders.billing"),)
    assert topology.bindings == (Binding("orders", "orders.billing", routing_key="order.#"),)
    assert topology.exchanges == (ORDERS,)


def test_a_group_may_have_other_queues() -> None:
    group = Group("billing", kind="classic", arguments={"x-max-length": 10})
    assert group.topology(ORDERS).queues == (Queue.classic("orders.billing", max_length=10),)


def test_partitions_are_queues_with_one_consumer_at_a_time() -> None:
    group = Group("billing", partitions=2, hash_on="customer")
    topology = group.topology(ORDERS, ALL)
    assert topology.queues == tuple(
        Queue.quorum(f"orders.billing.{number}", single_active_consumer=True, delivery_limit=1000)
        for number in range(2)
    )
    assert topology.exchanges == (
        ORDERS,
        Exchange("orders.billing", "x-consistent-hash", arguments={"hash-header": "customer"}),
        Exchange.fanout("orders.billing.members"),
    )


def test_no_message_comes_before_all_partitions_are_bound() -> None:
    topology = Group("billing", partitions=2).topology(ORDERS, ALL)
    assert topology.bindings == (
        Binding("orders.billing", "orders.billing.0", routing_key="1"),
        Binding("orders.billing", "orders.billing.1", routing_key="1"),
        Binding("orders", "orders.billing", kind="exchange", routing_key="order.#"),
    )


def test_publishers_may_choose_the_partition() -> None:
    group = Group("billing", partitions=2, hashed_by="publisher")
    topology = group.topology(ORDERS)
    assert topology.exchanges == (
        Exchange.direct("orders.billing"),
        Exchange.fanout("orders.billing.members"),
    )
    assert topology.bindings == (
        Binding("orders.billing", "orders.billing.0", routing_key="0"),
        Binding("orders.billing", "orders.billing.1", routing_key="1"),
    )
    assert group.exchange_name("orders") == "orders.billing"
    assert group.routing_key("customer 1") in {"0", "1"}
    assert group.is_bound is False


def test_where_publishers_choose_nothing_is_bound() -> None:
    with pytest.raises(DeclarationError, match="publishers publish to"):
        Group("billing", partitions=2, hashed_by="publisher").topology(ORDERS, ALL)


@pytest.mark.parametrize("group", [Group("billing"), Group("billing", partitions=2)])
def test_the_brokers_choice_is_not_known(group: Group) -> None:
    with pytest.raises(UsageError, match="hashed_by"):
        group.partition_of("customer 1")


def test_publishers_of_all_languages_choose_alike() -> None:
    """The check value of the CRC-32, and others that any implementation must give."""
    assert partition_of("123456789", 2**32) == 0xCBF43926
    assert partition_of("", 8) == 0
    assert [partition_of(f"customer {number}", 8) for number in range(8)] == [
        partition_of(f"customer {number}".encode(), 8) for number in range(8)
    ]
    assert partition_of("grün", 2**32) == partition_of(b"gr\xc3\xbcn", 2**32)


def test_a_broadcast_group_declares_no_queue_beforehand() -> None:
    group = Group.broadcast("caches")
    assert group.is_broadcast
    assert group.topology(ORDERS, ALL).queues == ()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Group(""),
        lambda: Group("billing", partitions=0),
        lambda: Group("billing", partitions=1025),
        lambda: Group("billing", hash_on="customer"),
        lambda: Group("billing", hashed_by="publisher"),
        lambda: Group("billing", partitions=2, hash_on="customer", hashed_by="publisher"),
        lambda: Group("billing", partitions=2, hashed_by="nobody"),  # type: ignore[arg-type]
        lambda: Group("billing", member="one"),
        lambda: Group("billing", is_broadcast=True, partitions=2),
    ],
)
def test_options_that_do_not_go_together_are_refused(wrong: Callable[[], Group]) -> None:
    with pytest.raises(DeclarationError):
        wrong()


def test_groups_are_values() -> None:
    assert Group("billing", partitions=2) == Group("billing", partitions=2)
    assert Group("billing") != Group.broadcast("billing")
