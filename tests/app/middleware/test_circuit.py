"""Circuit breakers: closed, open, probing."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.middleware.conftest import Consumer, Contexts, done, fail
from hopmq import ConnectionLostError, UsageError
from hopmq.app.context import ConsumeContext
from hopmq.app.errors import PayloadError
from hopmq.app.middleware import CircuitBreaker
from hopmq.app.retry import Park, Postpone
from hopmq.testing import TurnedClock

Handler = Callable[[ConsumeContext], Awaitable[object]]


@pytest.fixture
def breaker() -> CircuitBreaker:
    """Return a breaker that opens at the third failure of four messages or more."""
    return CircuitBreaker(failures=3, ratio=0.5, window=10.0, pause=30.0)


@pytest.fixture
def handle(breaker: CircuitBreaker, context: Contexts) -> Callable[[Handler], Awaitable[str]]:
    """Return what handles one message, and says how."""

    async def handle(handler: Handler) -> str:
        try:
            await breaker(context(), handler)
        except Exception as error:
            return type(error).__name__
        return "done"

    return handle


Handle = Callable[[Handler], Awaitable[str]]


async def opened(handle: Handle, clock: TurnedClock) -> None:
    for _ in range(3):
        assert await handle(fail) == "ValueError"
    await clock.settle()


async def test_enough_failures_pause_the_consumer(
    handle: Handle, clock: TurnedClock, consumer: Consumer, breaker: CircuitBreaker
) -> None:
    assert breaker.state_of(consumer) == "closed"
    await opened(handle, clock)
    assert breaker.state_of(consumer) == "open"
    assert consumer.asked == ["pause"]


async def test_what_comes_while_it_is_open_is_put_off_untried(
    handle: Handle, clock: TurnedClock, breaker: CircuitBreaker, context: Contexts
) -> None:
    await opened(handle, clock)
    await clock.advance(10)

    async def never(context: ConsumeContext) -> None:
        raise AssertionError

    with pytest.raises(Postpone) as caught:
        await breaker(context(), never)
    assert caught.value.seconds == 20


async def test_a_probe_that_succeeds_closes_it(
    handle: Handle, clock: TurnedClock, consumer: Consumer, breaker: CircuitBreaker
) -> None:
    await opened(handle, clock)
    await clock.advance(29)
    assert consumer.asked == ["pause"]
    await clock.advance(1)
    assert consumer.asked == ["pause", "probe"]
    assert breaker.state_of(consumer) == "probing"
    assert await handle(done) == "done"
    await clock.settle()
    assert consumer.asked == ["pause", "probe", "resume"]
    assert breaker.state_of(consumer) == "closed"
    assert await handle(fail) == "ValueError"
    assert breaker.state_of(consumer) == "closed"


async def test_a_probe_that_fails_opens_it_again(
    handle: Handle, clock: TurnedClock, consumer: Consumer
) -> None:
    await opened(handle, clock)
    await clock.advance(30)
    assert await handle(fail) == "ValueError"
    await clock.settle()
    assert consumer.asked == ["pause", "probe", "pause"]
    assert await handle(done) == "Postpone"
    await clock.advance(30)
    assert consumer.asked == ["pause", "probe", "pause", "probe"]


async def test_what_was_at_work_when_it_opened_does_not_prolong_the_pause(
    handle: Handle, clock: TurnedClock, consumer: Consumer
) -> None:
    go_on = asyncio.Event()

    async def fail_later(context: ConsumeContext) -> None:
        await go_on.wait()
        raise ValueError

    at_work = [asyncio.ensure_future(handle(fail_later)) for _ in range(5)]
    await clock.settle()
    await opened(handle, clock)
    await clock.advance(20)
    go_on.set()
    await asyncio.gather(*at_work)
    await clock.settle()
    assert consumer.asked == ["pause"]
    await clock.advance(10)
    assert consumer.asked == ["pause", "probe"]


async def test_failures_from_before_do_not_count_when_it_has_closed(
    context: Contexts, clock: TurnedClock, consumer: Consumer
) -> None:
    breaker = CircuitBreaker(failures=3, window=1000, pause=30)
    for _ in range(3):
        with pytest.raises(ValueError, match="secret"):
            await breaker(context(), fail)
    await clock.advance(30)
    await breaker(context(), done)
    with pytest.raises(ValueError, match="secret"):
        await breaker(context(), fail)
    await clock.settle()
    assert breaker.state_of(consumer) == "closed"


async def test_a_consumer_that_takes_long_to_pause_is_probed_afterwards(
    handle: Handle, clock: TurnedClock, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()

    async def pause(by: object) -> None:
        await go_on.wait()
        consumer.asked.append("pause")

    monkeypatch.setattr(consumer, "pause", pause)
    await opened(handle, clock)
    await clock.advance(30)
    assert consumer.asked == []
    go_on.set()
    await clock.settle()
    assert consumer.asked == ["pause", "probe"]


async def test_a_consumer_that_cannot_probe_is_asked_again_later(
    handle: Handle, clock: TurnedClock, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(by: object) -> None:
        consumer.asked.append("refused")
        raise ConnectionLostError

    with monkeypatch.context() as patch:
        patch.setattr(consumer, "probe", refuse)
        await opened(handle, clock)
        await clock.advance(30)
    assert consumer.asked == ["pause", "refused", "pause"]
    await clock.advance(30)
    assert consumer.asked[3:] == ["probe"]


async def test_a_consumer_that_cannot_be_resumed_is_asked_again_later(
    handle: Handle, clock: TurnedClock, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(by: object) -> None:
        raise ConnectionLostError

    await opened(handle, clock)
    await clock.advance(30)
    with monkeypatch.context() as patch:
        patch.setattr(consumer, "resume", refuse)
        assert await handle(done) == "done"
        await clock.settle()
    assert consumer.asked == ["pause", "probe", "pause"]
    await clock.advance(30)
    assert await handle(done) == "done"
    await clock.settle()
    assert consumer.asked[3:] == ["probe", "resume"]


async def test_there_is_one_probe_at_a_time(
    handle: Handle, clock: TurnedClock, consumer: Consumer
) -> None:
    go_on = asyncio.Event()

    async def wait(context: ConsumeContext) -> None:
        await go_on.wait()

    await opened(handle, clock)
    await clock.advance(30)
    probe = asyncio.ensure_future(handle(wait))
    await clock.settle()
    assert await handle(done) == "Postpone"
    go_on.set()
    assert await probe == "done"
    await clock.settle()
    assert consumer.asked[-1] == "resume"


@pytest.mark.parametrize("error", [Park("decided"), PayloadError("unreadable")])
async def test_decisions_and_unreadable_payloads_say_nothing(
    handle: Handle,
    clock: TurnedClock,
    consumer: Consumer,
    breaker: CircuitBreaker,
    error: Exception,
) -> None:
    async def decide(context: ConsumeContext) -> None:
        raise error

    for _ in range(10):
        assert await handle(decide) == type(error).__name__
    assert breaker.state_of(consumer) == "closed"
    await opened(handle, clock)
    await clock.advance(30)
    assert await handle(decide) == type(error).__name__
    assert breaker.state_of(consumer) == "probing"
    assert await handle(done) == "done"
    await clock.settle()
    assert breaker.state_of(consumer) == "closed"


async def test_a_cancelled_probe_leaves_room_for_the_next(
    handle: Handle, clock: TurnedClock, consumer: Consumer
) -> None:
    async def hang(context: ConsumeContext) -> None:
        await asyncio.Event().wait()

    await opened(handle, clock)
    await clock.advance(30)
    probe = asyncio.ensure_future(handle(hang))
    await clock.settle()
    probe.cancel()
    await asyncio.wait([probe])
    assert await handle(done) == "done"
    await clock.settle()
    assert consumer.asked[-1] == "resume"


async def test_failures_among_many_messages_do_not_open_it(
    handle: Handle, consumer: Consumer, breaker: CircuitBreaker
) -> None:
    for _ in range(20):
        assert await handle(done) == "done"
        assert await handle(done) == "done"
        assert await handle(fail) == "ValueError"
    assert breaker.state_of(consumer) == "closed"


async def test_failures_are_forgotten_after_the_window(
    handle: Handle, clock: TurnedClock, consumer: Consumer, breaker: CircuitBreaker
) -> None:
    for _ in range(10):
        await handle(fail)
        await clock.advance(5.5)
    assert breaker.state_of(consumer) == "closed"


async def test_each_consumer_has_its_own_circuit(
    handle: Handle, clock: TurnedClock, breaker: CircuitBreaker, context: Contexts
) -> None:
    await opened(handle, clock)
    other = Consumer("other")
    assert await breaker(context(of=other), done) == "result"
    assert other.asked == []


async def test_only_the_exceptions_that_count_count(
    context: Contexts, consumer: Consumer, clock: TurnedClock
) -> None:
    breaker = CircuitBreaker(failures=1, on=(ConnectionError,))

    async def lose(context: ConsumeContext) -> None:
        raise ConnectionResetError

    with pytest.raises(ValueError, match="secret"):
        await breaker(context(), fail)
    assert breaker.state_of(consumer) == "closed"
    with pytest.raises(ConnectionResetError):
        await breaker(context(), lose)
    assert breaker.state_of(consumer) == "open"
    await clock.settle()


@pytest.mark.parametrize(
    "options", [{"failures": 0}, {"ratio": 0}, {"ratio": 1.1}, {"window": 0}, {"pause": 0}]
)
def test_bounds_that_cannot_be_meant_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        CircuitBreaker(**options)  # type: ignore[arg-type]  # what a program might do
