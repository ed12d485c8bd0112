"""Batches: handed over when they are full, or when their first message has waited long enough."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from app.settling import Settlements
from app.test_ordering import settle_down
from hopmq.app.batching import Batch, Batches, BatchFailures
from hopmq.app.errors import DeclarationError
from hopmq.client.message import Message
from hopmq.testing import TurnedClock


class Handlers:
    """Handlers of batches, that end when the test says so.

    Attributes:
        batches: The bodies that each was given, so far.
        at_work: What each of those at work waits for.
    """

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.at_work: list[asyncio.Future[None]] = []

    async def work(self, messages: list[Message]) -> None:
        self.batches.append([message.body for message in messages])
        ending: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.at_work.append(ending)
        try:
            await ending
            for message in messages:
                if not message.settled:
                    message.ack()
        finally:
            self.at_work.remove(ending)

    async def end(self) -> None:
        """Let the one that has worked for longest end."""
        self.at_work[0].set_result(None)
        await settle_down()


class Setting:
    """Batches of three, that wait for ten seconds unless told otherwise."""

    def __init__(self, *, concurrency: int = 1, seconds: float = 10.0) -> None:
        self.broker, self.handlers, self.clock = Settlements(), Handlers(), TurnedClock()
        self.batches = Batches(self.handlers.work, Batch(3, seconds), self.clock, concurrency)

    async def deliver(self, *bodies: bytes) -> None:
        for body in bodies:
            self.batches(self.broker.deliver(body))
        await settle_down()

    async def finish(self) -> None:
        joining = asyncio.ensure_future(self.batches.join())
        for ending in list(self.handlers.at_work):
            ending.set_result(None)
        await joining


async def test_a_full_batch_is_handed_over_at_once() -> None:
    setting = Setting()
    await setting.deliver(b"1", b"2")
    assert setting.handlers.batches == []
    await setting.deliver(b"3")
    assert setting.handlers.batches == [[b"1", b"2", b"3"]]
    await setting.finish()


async def test_a_partial_batch_is_handed_over_when_its_first_has_waited_long_enough() -> None:
    setting = Setting()
    await setting.deliver(b"1")
    await setting.clock.advance(6)
    await setting.deliver(b"2")
    await setting.clock.advance(3.9)
    assert setting.handlers.batches == []
    await setting.clock.advance(0.1)
    assert setting.handlers.batches == [[b"1", b"2"]]
    await setting.finish()


async def test_what_is_over_waits_from_when_it_came() -> None:
    setting = Setting(concurrency=2)
    await setting.deliver(b"1")
    await setting.clock.advance(6)
    await setting.deliver(b"2", b"3", b"4")
    await setting.clock.advance(9.9)
    assert setting.handlers.batches == [[b"1", b"2", b"3"]]
    await setting.clock.advance(0.1)
    assert setting.handlers.batches == [[b"1", b"2", b"3"], [b"4"]]
    await setting.finish()


async def test_while_nobody_is_free_batches_fill_up() -> None:
    setting = Setting()
    await setting.deliver(b"1", b"2", b"3", b"4")
    await setting.clock.advance(20)
    await setting.deliver(b"5", b"6", b"7")
    assert setting.handlers.batches == [[b"1", b"2", b"3"]]
    await setting.handlers.end()
    assert setting.handlers.batches[1:] == [[b"4", b"5", b"6"]]
    await setting.handlers.end()
    assert len(setting.handlers.batches) == 2, "the last has just come"
    await setting.clock.advance(10)
    assert setting.handlers.batches[2:] == [[b"7"]]
    await setting.finish()


async def test_one_that_is_due_goes_to_whoever_is_free_first() -> None:
    setting = Setting()
    await setting.deliver(b"1", b"2", b"3", b"4")
    await setting.clock.advance(20)
    await setting.handlers.end()
    assert setting.handlers.batches[1:] == [[b"4"]]
    await setting.finish()


async def test_several_are_worked_on_beside_each_other_up_to_a_bound() -> None:
    setting = Setting(concurrency=2)
    await setting.deliver(*[b"%d" % number for number in range(9)])
    assert len(setting.handlers.at_work) == 2
    await setting.handlers.end()
    assert setting.handlers.batches == [
        [b"0", b"1", b"2"],
        [b"3", b"4", b"5"],
        [b"6", b"7", b"8"],
    ]
    await setting.finish()


@pytest.mark.parametrize("how", ["cancel", "exit"])
async def test_a_worker_that_its_work_ends_is_replaced(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hopmq.app.crew._PAUSE", 0.01)
    broker, done = Settlements(), asyncio.Event()

    async def work(messages: list[Message]) -> None:
        if messages[0].body == b"last":
            messages[0].ack()
            done.set()
        elif how == "exit":
            raise GeneratorExit
        else:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

    batches = Batches(work, Batch(1), TurnedClock())
    for body in (b"1", b"2", b"last"):
        batches(broker.deliver(body))
    async with asyncio.timeout(20):
        await done.wait()
        await batches.join()
    assert list(broker.settled) == [1, 2, 3]
    assert broker.settled[3] == "ack"
    assert {broker.settled[1], broker.settled[2]} <= {"reject", "nack"}


async def test_no_time_to_wait_hands_over_what_there_is() -> None:
    setting = Setting(seconds=0)
    await setting.deliver(b"1")
    await setting.clock.advance(0)
    assert setting.handlers.batches == [[b"1"]]
    await setting.finish()


async def test_what_a_lost_link_has_left_is_left_out() -> None:
    setting = Setting()
    await setting.deliver(b"1", b"2")
    setting.broker.lose_link()
    await setting.deliver(b"1")
    await setting.clock.advance(9.9)
    assert setting.handlers.batches == []
    await setting.deliver(b"2", b"3")
    assert setting.handlers.batches == [[b"1", b"2", b"3"]]
    await setting.finish()


async def test_ending_finishes_what_is_worked_on_and_gives_back_the_rest() -> None:
    setting = Setting()
    await setting.deliver(b"1", b"2", b"3", b"4")
    await setting.finish()
    await setting.deliver(b"5")
    assert setting.broker.settled == {1: "ack", 2: "ack", 3: "ack", 4: "nack", 5: "nack"}
    assert setting.clock.next_deadline() is None


async def test_being_cut_off_gives_back_everything() -> None:
    setting = Setting()
    await setting.deliver(b"1", b"2", b"3", b"4")
    setting.batches.cancel()
    await setting.batches.join()
    assert setting.broker.settled == dict.fromkeys((1, 2, 3, 4), "nack")


async def test_what_raises_goes_back_and_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting()
    await setting.deliver(b"1", b"2", b"3")
    setting.handlers.at_work[0].set_exception(LookupError("nothing there"))
    await setting.deliver(b"4", b"5", b"6")
    assert setting.broker.settled == {1: "reject", 2: "reject", 3: "reject"}
    assert setting.handlers.batches[1:] == [[b"4", b"5", b"6"]]
    assert "was not handled and goes back" in caplog.text
    await setting.finish()


# --- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", [lambda: Batch(0), lambda: Batch(1, -1), lambda: Batch(1, float("nan"))]
)
def test_batches_of_nothing_are_refused(wrong: Callable[[], Batch]) -> None:
    with pytest.raises(DeclarationError, match="a batch"):
        wrong()


def test_a_prefetch_fills_all_batches() -> None:
    batch = Batch(10)
    batch.check_prefetch(10)
    batch.check_prefetch(0, 5)
    batch.check_prefetch(50, 5)
    with pytest.raises(DeclarationError, match="never fills 5 batches of 10: it has to be 50"):
        batch.check_prefetch(49, 5)


def test_a_concurrency_below_one_is_refused() -> None:
    with pytest.raises(DeclarationError, match="concurrency"):
        Setting(concurrency=0)


def test_failures_single_out_messages() -> None:
    wrong: Any = ValueError("no such customer")
    error = BatchFailures({3: wrong})
    assert error.failures == {3: wrong}
    assert str(error) == "failed in a batch: 3 (ValueError('no such customer'))"


def test_batches_are_values() -> None:
    assert Batch(10, 0.5) == Batch(10, 0.5)
    assert hash(Batch(10)) == hash(Batch(10, 1.0))
    assert Batch(10) != Batch(11)
