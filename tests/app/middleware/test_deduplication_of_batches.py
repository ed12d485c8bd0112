"""Batches, of which each message is handled once."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from app.middleware.conftest import Consumer, done, fail
from app.settling import Settlements
from hopmq.app import App, Batch as BatchOf, BatchFailures
from hopmq.app.context import ConsumeContext
from hopmq.app.middleware import Claim, Deduplication, DeduplicationStore, MemoryStore
from hopmq.app.retry import Postpone
from hopmq.testing import TurnedClock

NOW = 1_000_000.0


class Batch:
    """A batch of messages, their ids as payloads."""

    def __init__(self, clock: TurnedClock, *message_ids: str) -> None:
        self.broker = Settlements()
        self.worked_on: list[Any] = []
        messages = [self.broker.deliver(message_id=each) for each in message_ids]
        consumer: Any = Consumer()
        self.context = ConsumeContext(messages, consumer, SimpleNamespace(clock=clock))
        self.context.payloads = message_ids

    async def handle(self, context: ConsumeContext) -> str:
        """Handle without a fault."""
        assert [each.message_id for each in context.messages] == context.payloads
        self.worked_on += context.payloads
        return "result"


async def state_of(store: DeduplicationStore, message_id: str) -> str:
    """Return what a store says of a message; one that was free is begun from now on."""
    claim = await store.begin(f"orders-queue:{message_id}", "t", now=NOW, until=NOW + 9)
    return claim.state


async def test_of_a_batch_what_was_done_is_acknowledged_and_the_rest_is_handled(
    clock: TurnedClock, store: DeduplicationStore
) -> None:
    once, first, second = Deduplication(store), Batch(clock, "1", "2"), Batch(clock, "2", "3", "1")
    assert await once(first.context, first.handle) == "result"
    assert (first.worked_on, first.broker.settled) == (["1", "2"], {})
    assert await once(second.context, second.handle) == "result"
    assert (second.worked_on, second.broker.settled) == (["3"], {1: "ack", 3: "ack"})
    third = Batch(clock, "3")
    assert await once(third.context, third.handle) is None
    assert (third.worked_on, third.broker.settled) == ([], {1: "ack"})


async def test_of_a_batch_what_is_singled_out_is_free_and_what_somebody_is_at_is_put_off(
    clock: TurnedClock, store: DeduplicationStore
) -> None:
    await store.done("orders-queue:done", now=NOW, until=clock.wall() + 100)
    await store.begin("orders-queue:busy", "t", now=NOW, until=clock.wall() + 10)
    batch, error = Batch(clock, "done", "good", "busy", "bad"), ValueError()

    async def handle(context: ConsumeContext) -> None:
        assert context.payloads == ["good", "bad"]
        raise BatchFailures({1: error})

    with pytest.raises(BatchFailures) as caught:
        await Deduplication(store)(batch.context, handle)
    failures = caught.value.failures
    assert failures.keys() == {2, 3}
    assert (type(failures[2]), failures[3]) == (Postpone, error)
    assert await state_of(store, "good") == "done"
    assert await state_of(store, "bad") == "begun"


async def test_a_batch_that_fails_of_one_error_fails_of_that_and_is_free(
    clock: TurnedClock, store: DeduplicationStore
) -> None:
    with pytest.raises(ValueError, match="secret"):
        await Deduplication(store)(Batch(clock, "1", "2").context, fail)
    assert [await state_of(store, each) for each in "12"] == ["begun", "begun"]


async def test_a_batch_that_is_cut_off_is_free(clock: TurnedClock) -> None:
    store, begun = MemoryStore(), asyncio.Event()

    async def hang(context: ConsumeContext) -> None:
        begun.set()
        await asyncio.Event().wait()

    handling = asyncio.create_task(Deduplication(store)(Batch(clock, "1", "2").context, hang))
    async with asyncio.timeout(10):
        await begun.wait()
        handling.cancel()
        await asyncio.wait([handling])
    assert handling.cancelled()
    assert clock.next_deadline() is None
    assert [await state_of(store, each) for each in "12"] == ["begun", "begun"]


async def test_a_batch_is_free_whose_store_fails_before_all_of_it_is_begun(
    clock: TurnedClock,
) -> None:
    class Full(MemoryStore):
        async def begin(self, key: str, token: str, *, now: float, until: float) -> Claim:
            if key.endswith("2"):
                raise OSError("no space left on device")
            return await super().begin(key, token, now=now, until=until)

    store = Full()
    with pytest.raises(OSError, match="no space"):
        await Deduplication(store)(Batch(clock, "1", "2").context, done)
    assert clock.next_deadline() is None
    assert await state_of(store, "1") == "begun"


async def test_an_application_has_its_batches_deduplicated() -> None:
    app, calls = App(middleware=[Deduplication(MemoryStore())]), list[list[int]]()

    @app.consumer("orders", batch=BatchOf(2))
    async def handle(orders: list[int]) -> None:
        calls.append(orders)

    async with app.test() as t:
        for order, message_id in [(1, "a"), (2, "b"), (1, "a"), (3, "c"), (2, "b")]:
            await t.publish(order, routing_key="orders", message_id=message_id)
        await t.drain()
        assert calls == [[1, 2], [3]]
        assert (t.waiting("orders"), t.waiting("orders.parked")) == (0, 0)
