"""What becomes of a message that failed: its handler's word, its retry, its headers."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app.retry.work import Work, always
from hopmq import Message
from hopmq.app.errors import PayloadError
from hopmq.app.header_names import (
    ATTEMPTS,
    ERROR,
    EXCHANGE,
    FIRST_FAILED,
    LAST_FAILED,
    QUEUE,
    REASON,
)
from hopmq.app.retry import Constant, Drop, Exponential, Park, Retry, RetryAfter
from hopmq.testing import TurnedClock
from hopmq.wire import Properties

FIVE = Retry(attempts=5, backoff=Exponential(1, 60))
LONG = 1000.0


class GoneError(Exception):
    """What no attempt mends."""


async def test_success_ends_it(work: Work, clock: TurnedClock) -> None:
    await work.fail(lambda _, attempt: GoneError() if attempt < 3 else None, FIVE)
    await work.publish()
    await clock.advance(LONG)
    assert [each.number for each in work.attempts] == [1, 2, 3]
    assert await work.parked() == []


@pytest.mark.parametrize(
    "error, retry, attempts",
    [
        (GoneError(), None, 1),
        (GoneError(), Retry(attempts=1), 1),
        (GoneError(), Retry(attempts=3), 3),
        (GoneError(), Retry(on=(KeyError, OSError)), 1),
        (KeyError(), Retry(on=(KeyError, OSError)), 5),
        (ConnectionError(), Retry(on=(KeyError, OSError)), 5),
        (ConnectionError(), Retry(on=(OSError,), give_up_on=(ConnectionError,)), 1),
        (PayloadError("no JSON"), Retry(), 1),
        (PayloadError("no JSON"), Retry(on=(PayloadError,)), 1),
        (Park("enough"), Retry(), 1),
        (asyncio.CancelledError(), Retry(), 5),
    ],
    ids=repr,
)
async def test_errors_are_worth_their_attempts_and_then_parked(
    work: Work, clock: TurnedClock, error: BaseException, retry: Retry | None, attempts: int
) -> None:
    await work.fail(always(error), retry)
    await work.publish()
    await clock.advance(LONG)
    assert len(work.attempts) == attempts
    (parked,) = await work.parked()
    assert parked.headers[ATTEMPTS] == attempts


async def test_a_dropped_message_is_gone(work: Work, clock: TurnedClock) -> None:
    await work.fail(always(Drop("nobody needs it")), FIVE)
    await work.publish()
    await clock.advance(LONG)
    assert len(work.attempts) == 1
    assert await work.parked() == []
    assert await work.pool.purge(work.queue) == 0


@pytest.mark.parametrize("backoff", [Exponential(1, 60), Constant(2)], ids=str)
async def test_a_handler_may_say_when(
    work: Work, clock: TurnedClock, backoff: Exponential | Constant
) -> None:
    wish = {1: 100.0, 2: 0.0, 3: 7.5}

    def fails(_: Message, attempt: int) -> BaseException:
        return RetryAfter(wish[attempt]) if attempt in wish else GoneError()

    await work.fail(fails, Retry(attempts=5, backoff=backoff))
    await work.publish()
    await clock.advance(LONG)
    last = backoff.delay(3 if isinstance(backoff, Exponential) else 0)
    assert work.when() == pytest.approx([0, 100, 100, 107.5, 107.5 + last])
    assert [each.number for each in work.attempts] == [1, 2, 3, 4, 5]
    assert len(await work.parked()) == 1


async def test_asking_for_more_attempts_than_there_are_parks(
    work: Work, clock: TurnedClock
) -> None:
    await work.fail(always(RetryAfter(1, "the bank is closed")), Retry(attempts=3))
    await work.publish()
    await clock.advance(LONG)
    (parked,) = await work.parked()
    assert (len(work.attempts), parked.headers[REASON]) == (3, "the bank is closed")


@pytest.mark.parametrize("backoff", [Exponential(10, 60), Constant(20)], ids=str)
async def test_headers_say_what_happened_and_when(
    work: Work, clock: TurnedClock, backoff: Exponential | Constant
) -> None:
    begin = datetime.fromtimestamp(clock.wall(), UTC)
    await work.fail(
        lambda _, attempt: ValueError(f"attempt {attempt}"), Retry(attempts=3, backoff=backoff)
    )
    await clock.advance(100)
    await work.publish(properties=Properties(message_id="m", headers={"shop": 3}))
    await clock.advance(LONG)
    (parked,) = await work.parked()
    elapsed = backoff.delay(0) + backoff.delay(1)
    headers = dict(parked.headers)
    assert headers[FIRST_FAILED] == begin + timedelta(seconds=100)
    assert headers[LAST_FAILED] == begin + timedelta(seconds=100 + elapsed)
    assert (headers[ERROR], headers[REASON]) == ("ValueError", "attempt 3")
    assert (headers[QUEUE], headers[EXCHANGE]) == (work.queue.name, "")
    assert headers["shop"] == 3


async def test_a_retried_message_is_what_it_was(work: Work, clock: TurnedClock) -> None:
    exchange = await work.pool.declare_exchange("orders", "topic")
    await work.fail(always(GoneError()), FIVE)
    await work.pool.bind(work.queue, exchange, "order.#")
    sent = Properties(
        content_type="text/plain",
        content_encoding="utf-8",
        headers={"CC": ["order.copy"], "x-death": [{"queue": "theirs", "reason": "rejected"}]},
        delivery_mode=1,
        correlation_id="c",
        reply_to="r",
        message_id="m",
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        type="t",
        user_id="guest",
        app_id="a",
        expiration="50",
    )
    await work.pool.publish(
        b"work", exchange=exchange, routing_key="order.eu.created", properties=sent
    )
    await clock.advance(LONG)
    assert work.when() == [0, 1, 3, 7, 15]
    (parked,) = await work.parked()
    for message in (work.attempts[1].message, work.attempts[4].message, parked):
        assert message.routing_key == "order.eu.created"
        properties = message.properties
        assert properties.headers is not None
        assert properties.headers["CC"] == ["order.copy"]
        assert properties.headers[EXCHANGE] == "orders"
        for field in (
            "content_type",
            "content_encoding",
            "correlation_id",
            "reply_to",
            "message_id",
        ):
            assert getattr(properties, field) == getattr(sent, field)
        assert (properties.timestamp, properties.type, properties.app_id) == (
            sent.timestamp,
            "t",
            "a",
        )
        assert (properties.delivery_mode, properties.expiration, properties.user_id) == (
            2,
            None,
            None,
        )


async def test_what_is_parked_does_not_expire(work: Work, clock: TurnedClock) -> None:
    await work.fail(always(GoneError()), None)
    await work.publish(expiration=0.05)
    await clock.advance(LONG)
    assert len(await work.parked()) == 1


async def test_a_settled_message_is_left_alone(work: Work, clock: TurnedClock) -> None:
    def fails(message: Message, _: int) -> BaseException:
        message.ack()
        return GoneError()

    await work.fail(fails, FIVE)
    await work.publish()
    await clock.advance(LONG)
    assert len(work.attempts) == 1
    assert await work.parked() == []


async def test_a_worker_that_is_told_to_end_gives_its_message_back(
    work: Work, clock: TurnedClock
) -> None:
    failures = await work.fail(lambda *_: None, FIVE)
    await work.stop()
    await work.publish()
    async with work.pool.channel() as channel:
        message = await channel.get(work.queue)
        assert message is not None

        async def settle() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError as error:
                await failures.settle(work.context(message), message, error)
                raise

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(settle())
        assert message.settled
    await work.fail(lambda *_: None, FIVE)
    await clock.advance(1)
    assert [(each.body, each.number) for each in work.attempts] == [(b"work", 1)]


async def test_a_reason_without_end_is_cut(work: Work, clock: TurnedClock) -> None:
    await work.fail(always(ValueError("x" * 100_000)), None)
    await work.publish()
    await clock.advance(1)
    (parked,) = await work.parked()
    assert parked.headers[REASON] == "x" * 1000


class SilentError(Exception):
    """What cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "error, reason",
    [
        (FileNotFoundError("tea\udce9.txt"), r"tea\udce9.txt"),
        (SilentError(), "(SilentError cannot be shown)"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("retry", [None, FIVE], ids=["no retry", "retry"])
async def test_a_failure_is_told_whatever_it_says(
    work: Work, clock: TurnedClock, error: Exception, reason: str, retry: Retry | None
) -> None:
    await work.fail(always(error), retry)
    await work.publish()
    await clock.advance(LONG)
    (parked,) = await work.parked()
    assert (parked.headers[REASON], len(work.attempts)) == (reason, 1 if retry is None else 5)


async def test_a_message_whose_headers_leave_no_room_for_more_is_parked_without_them(
    work: Work, clock: TurnedClock
) -> None:
    await work.fail(always(GoneError("no room")), None)
    await work.publish(b"body", properties=Properties(headers={"all": "x" * 130_950}))
    await clock.advance(1)
    (parked,) = await work.parked()
    assert (parked.body, parked.routing_key) == (b"body", work.queue.name)
    assert "all" not in parked.headers
    reason = "(parked without its own headers, with which it cannot be stored) no room"
    assert (parked.headers[REASON], parked.headers[QUEUE]) == (reason, work.queue.name)


@pytest.mark.parametrize("backoff", [Exponential(1, 60), Constant(2)], ids=str)
async def test_what_headers_tell_of_another_queue_does_not_count(
    work: Work, clock: TurnedClock, backoff: Exponential | Constant
) -> None:
    passed_on = {
        ATTEMPTS: 4,
        FIRST_FAILED: datetime(2020, 1, 1, tzinfo=UTC),
        QUEUE: "elsewhere",
        EXCHANGE: "amq.topic",
        "x-delivery-count": 4,
        "shop": 3,
    }
    await work.fail(always(GoneError()), Retry(attempts=5, backoff=backoff))
    await work.publish(properties=Properties(message_id="m", headers=passed_on))
    await clock.advance(LONG)
    assert [each.number for each in work.attempts] == [1, 2, 3, 4, 5]
    (parked,) = await work.parked()
    headers = parked.headers
    assert (headers[ATTEMPTS], headers[QUEUE], headers[EXCHANGE]) == (5, work.queue.name, "")
    assert headers[FIRST_FAILED] > datetime(2021, 1, 1, tzinfo=UTC)  # type: ignore[operator]
    assert headers["shop"] == 3


async def test_replicas_count_together(work: Work, clock: TurnedClock) -> None:
    for _ in range(3):
        await work.fail(always(GoneError()), FIVE)
    for number in range(20):
        await work.publish(b"%d" % number)
    await clock.advance(LONG)
    for number in range(20):
        body = b"%d" % number
        attempts = [each.number for each in work.attempts if each.body == body]
        assert attempts == [1, 2, 3, 4, 5]
    assert len(await work.parked()) == 20


async def test_counts_outlive_workers(work: Work, clock: TurnedClock) -> None:
    for _ in range(10):
        await work.fail(always(GoneError()), FIVE)
        if not work.attempts:
            await work.publish()
        await clock.advance(3)
        await work.stop()
        await clock.advance(3)
    assert [each.number for each in work.attempts] == [1, 2, 3, 4, 5]
    (parked,) = await work.parked()
    assert parked.headers[ATTEMPTS] == 5
