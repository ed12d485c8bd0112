"""Failed messages whose copies cannot be stored at once: kept, tried again with pauses, never lost."""

import asyncio
from typing import Any

import pytest

from app.retry.work import Work, always
from hopmq import (
    Message,
    Pool,
    Properties,
    PublishNackedError,
    PublishUnknownError,
    UsageError,
)
from hopmq.app.retry import Constant, Failures, Park, Retry, RetryAfter
from hopmq.app.retry.ladder import END, exchange_of
from hopmq.core.pending import Receipt
from hopmq.testing import TurnedClock

RETRY = Retry(attempts=2, backoff=Constant(0.5))


class Unreliable:
    """A pool whose publishes fail at first."""

    def __init__(self, pool: Pool, clock: TurnedClock, *errors: Exception) -> None:
        """Raise these, one by one."""
        self._pool = pool
        self._clock = clock
        self._errors = list(errors)
        self.tried: list[float] = []

    def __getattr__(self, name: str) -> Any:  # whatever a pool has
        return getattr(self._pool, name)

    async def publish(self, body: bytes, **options: Any) -> Receipt:
        """Fail, or publish."""
        self.tried.append(self._clock.time())
        if self._errors:
            raise self._errors.pop(0)
        return await self._pool.publish(body, **options)


def nacked() -> Exception:
    """Return what a publish raises that the broker has refused."""
    return PublishNackedError("refused")


@pytest.mark.parametrize("error", [Park("enough"), RetryAfter(2)], ids=repr)
async def test_a_copy_is_tried_until_it_is_stored(
    work: Work, clock: TurnedClock, error: Exception
) -> None:
    unreliable: Any = Unreliable(work.pool, clock, *(nacked() for _ in range(7)))
    begin = clock.time()
    await work.fail(always(error), RETRY, pool=unreliable)
    await work.publish()
    await clock.advance(90)
    assert work.attempts == []  # the handler is not called again meanwhile
    assert await work.pool.purge(work.queue) == 0
    await clock.advance(10)
    times = [at - begin for at in unreliable.tried]
    assert times[:8] == [0, 1, 3, 7, 15, 31, 61, 91]
    assert len(await work.parked()) == 1


async def test_it_may_come_twice_where_nobody_knows(work: Work, clock: TurnedClock) -> None:
    unknown = PublishUnknownError("the link was lost")
    unreliable: Any = Unreliable(work.pool, clock, unknown)
    await work.fail(always(Park()), RETRY, pool=unreliable)
    await work.publish()
    await clock.advance(2)
    assert len(await work.parked()) == 1


async def test_what_can_never_be_published_is_parked_without_its_headers(
    work: Work, clock: TurnedClock
) -> None:
    unreliable: Any = Unreliable(work.pool, clock, UsageError("no"))
    await work.fail(always(Park()), RETRY, pool=unreliable)
    await work.publish(properties=Properties(headers={"shop": 3}))
    await clock.advance(3)
    (parked,) = await work.parked()
    assert "shop" not in parked.headers
    assert len(work.attempts) == 1


async def test_what_cannot_be_parked_even_so_is_given_back_after_a_pause(
    work: Work, clock: TurnedClock
) -> None:
    unreliable: Any = Unreliable(work.pool, clock, *[UsageError("no")] * 4)
    await work.fail(always(Park()), RETRY, pool=unreliable)
    begin = clock.time()
    await work.publish()
    await clock.advance(3)
    assert [each.at - begin for each in work.attempts] == [0, 1, 2]
    assert len(await work.parked()) == 1


async def test_what_was_deleted_is_declared_again(work: Work, clock: TurnedClock) -> None:
    for gone in ("parking queue", "parking exchange", "level", "end"):
        await work.fail(always(ValueError()), Retry(attempts=2, backoff=Constant(1)))
        if gone == "parking queue":
            await work.pool.delete_queue(f"{work.queue.name}.parked")
        else:
            exchange = {"level": exchange_of(3), "end": END}.get(gone, "hopmq.parking")
            await work.pool.delete_exchange(exchange)
        await work.publish(gone.encode())
        await clock.advance(10)
        await work.stop()
    await work.fail(always(ValueError()), Retry(attempts=2, backoff=Constant(1)))
    await clock.advance(200)  # a dead-lettering broker looks again after three minutes
    kept = [each.body for each in await work.parked()]
    assert sorted(kept) == [b"end", b"level", b"parking exchange", b"parking queue"]


async def test_a_worker_that_ends_meanwhile_gives_the_message_back(
    work: Work, clock: TurnedClock
) -> None:
    unreliable: Any = Unreliable(work.pool, clock, *(nacked() for _ in range(100)))
    failures = Failures(unreliable, work.queue, RETRY, clock)
    await failures.prepare()
    await work.publish()
    async with work.pool.channel() as channel:
        message = await channel.get(work.queue)
        assert message is not None
        settling = asyncio.create_task(failures.settle(work.context(message), message, Park()))
        await clock.advance(2)
        settling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await settling
        assert message.settled
        again = await channel.get(work.queue)
        assert again is not None
        again.ack()
    assert again.body == b"work"


async def test_a_message_that_is_not_ours_any_more_is_let_go(
    work: Work, clock: TurnedClock
) -> None:
    unreliable: Any = Unreliable(work.pool, clock, *(nacked() for _ in range(100)))
    failures = Failures(unreliable, work.queue, RETRY, clock)
    await failures.prepare()
    await work.publish()
    taken: list[Message] = []
    async with work.pool.channel() as channel:
        message = await channel.get(work.queue)
        assert message is not None
        taken.append(message)
        settling = asyncio.create_task(failures.settle(work.context(message), message, Park()))
        await clock.advance(0)
        await channel.close()
        await clock.advance(100)
        await settling
    assert len(unreliable.tried) == 1
    await work.fail(lambda *_: None, RETRY)
    await clock.advance(1)
    assert [each.body for each in work.attempts] == [b"work"]
