"""Handlers that begin at a bounded rate."""

import asyncio

import pytest

from app.middleware.conftest import Consumer, Contexts
from hopmq import UsageError
from hopmq.app.context import ConsumeContext
from hopmq.app.middleware import RateLimit
from hopmq.testing import TurnedClock


class Times:
    """Remembers when it was called, from the first time asked on."""

    def __init__(self, clock: TurnedClock) -> None:
        self._clock = clock
        self._begun = clock.time()
        self.at: list[float] = []

    async def __call__(self, context: ConsumeContext) -> None:
        self.at.append(self._clock.time() - self._begun)


async def handled(
    limit: RateLimit, contexts: list[ConsumeContext], clock: TurnedClock, times: Times
) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(limit(each, times)) for each in contexts]
    await clock.settle()
    return tasks


async def test_messages_pass_at_the_rate_and_in_order(
    context: Contexts, clock: TurnedClock
) -> None:
    times = Times(clock)
    tasks = await handled(RateLimit(2, per=1.0), [context() for _ in range(5)], clock, times)
    assert times.at == [0]
    await clock.advance(10)
    await asyncio.gather(*tasks)
    assert times.at == pytest.approx([0, 0.5, 1.0, 1.5, 2.0])


async def test_a_burst_passes_at_once_and_fills_up_again(
    context: Contexts, clock: TurnedClock
) -> None:
    times, limit = Times(clock), RateLimit(1, burst=3)
    await handled(limit, [context() for _ in range(5)], clock, times)
    await clock.advance(2)
    assert times.at == pytest.approx([0, 0, 0, 1, 2])
    await clock.advance(1.5)
    await handled(limit, [context() for _ in range(2)], clock, times)
    await clock.advance(10)
    assert times.at[5:] == pytest.approx([3.5, 4.0])


async def test_the_bucket_holds_no_more_than_a_burst(context: Contexts, clock: TurnedClock) -> None:
    times, limit = Times(clock), RateLimit(1, burst=2)
    await handled(limit, [context()], clock, times)
    await clock.advance(1000)
    await handled(limit, [context() for _ in range(4)], clock, times)
    await clock.advance(10)
    assert times.at[1:] == [1000, 1000, 1001, 1002]


async def test_one_limit_bounds_several_consumers_together(
    context: Contexts, clock: TurnedClock
) -> None:
    times = Times(clock)
    contexts = [context(of=Consumer(name)) for name in "ab"]
    await handled(RateLimit(1), contexts, clock, times)
    await clock.advance(1)
    assert times.at == [0, 1]


async def test_another_clock_starts_anew(context: Contexts, clock: TurnedClock) -> None:
    """An application that runs again, as in the next test, has another clock."""
    times, limit = Times(clock), RateLimit(1)
    await clock.advance(1000)
    await handled(limit, [context()], clock, times)
    later = context()
    later.app.clock = TurnedClock()
    await asyncio.wait_for(limit(later, times), 5)
    assert len(times.at) == 2


async def test_who_waits_can_be_cancelled(context: Contexts, clock: TurnedClock) -> None:
    times = Times(clock)
    tasks = await handled(RateLimit(1), [context() for _ in range(3)], clock, times)
    tasks[1].cancel()
    await clock.advance(10)
    await tasks[2]
    assert times.at == [0, 2]


@pytest.mark.parametrize(
    "messages, per, burst", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (float("nan"), 1, 1)]
)
def test_what_nothing_would_pass_is_refused(messages: float, per: float, burst: int) -> None:
    with pytest.raises(UsageError):
        RateLimit(messages, per=per, burst=burst)
