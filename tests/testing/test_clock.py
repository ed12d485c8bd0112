"""A turned clock: what is due happens in order, and each with all that follows from it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from hopmq.broker.clock import Clock
from hopmq.core.events import ConnectionEnded
from hopmq.errors import UsageError
from hopmq.testing.clock import TurnedClock
from hopmq.transport.link import Link
from hopmq.transport.memory import connect_memory, listen
from transport.ends import SECONDS, Streaming, connected
from transport.links import Server, client_link


@pytest.fixture
def clock() -> TurnedClock:
    """Return a clock at its beginning."""
    return TurnedClock()


@pytest.fixture(autouse=True)
async def _bounded(anyio_backend: object) -> AsyncIterator[None]:
    async with asyncio.timeout(4 * SECONDS):
        yield


class Log(list[str]):
    """What was called when."""

    def __init__(self, clock: TurnedClock) -> None:
        super().__init__()
        self.clock = clock
        self.start = clock.time()

    def at(self, seconds: float, name: str) -> None:
        """Note `name` in so many seconds."""
        self.clock.call_at(self.clock.time() + seconds, lambda: self.note(name))

    def note(self, name: str) -> None:
        self.append(f"{name} {self.clock.time() - self.start:g}")


async def test_it_is_a_clock_of_a_broker_and_stands_still(clock: TurnedClock) -> None:
    as_broker_sees_it: Clock = clock
    before = as_broker_sees_it.time(), as_broker_sees_it.wall()
    await asyncio.sleep(0.01)
    assert (clock.time(), clock.wall()) == before


async def test_both_times_are_turned_alike() -> None:
    clock = TurnedClock(wall=1_800_000_000.0)
    start = clock.time()
    await clock.advance(90.5)
    assert clock.time() - start == 90.5
    assert clock.wall() == 1_800_000_090.5
    await clock.advance_to(start + 100)
    assert clock.wall() == 1_800_000_100.0


async def test_what_is_due_is_called_in_order_each_at_its_time(clock: TurnedClock) -> None:
    log = Log(clock)
    for seconds, name in [(3, "c"), (1, "a"), (3, "d"), (2, "b"), (5.5, "later")]:
        log.at(seconds, name)
    await clock.advance(5)
    assert log == ["a 1", "b 2", "c 3", "d 3"]
    assert clock.next_deadline() == log.start + 5.5
    await clock.advance(0.5)
    assert log[-1] == "later 5.5"
    assert clock.next_deadline() is None


async def test_what_a_call_asks_for_is_called_if_due(clock: TurnedClock) -> None:
    log = Log(clock)
    clock.call_at(clock.time() + 1, lambda: log.at(1, "second"))
    clock.call_at(clock.time() + 1, lambda: log.at(0, "at once"))
    clock.call_at(clock.time() + 1, lambda: log.at(9, "later"))
    await clock.advance(3)
    assert log == ["at once 1", "second 2"]


async def test_a_cancelled_call_is_not_made(clock: TurnedClock) -> None:
    log = Log(clock)
    timer = clock.call_at(clock.time() + 2, lambda: log.note("cancelled"))
    clock.call_at(clock.time() + 2, lambda: log.note("made"))
    clock.call_at(clock.time() + 1, timer.cancel)
    assert timer.when() == clock.time() + 2
    await clock.advance(5)
    timer.cancel()
    assert log == ["made 2"]


async def test_a_cancelled_call_is_no_deadline(clock: TurnedClock) -> None:
    timer = clock.call_at(clock.time() + 2, bool)
    timer.cancel()
    assert clock.next_deadline() is None


async def test_what_is_due_already_is_called_soon_and_not_within(clock: TurnedClock) -> None:
    log = Log(clock)
    log.at(0, "now")
    log.at(-5, "before")
    assert log == []
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert log == ["before 0", "now 0"]


async def test_tasks_that_follow_from_a_call_come_before_the_next(clock: TurnedClock) -> None:
    log = Log(clock)
    first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def behind_a_future() -> None:
        await asyncio.wait_for(asyncio.gather(asyncio.shield(first)), 5)
        await queue.put("task")

    async def behind_a_queue() -> None:
        log.note(await queue.get())

    tasks = [asyncio.ensure_future(each) for each in (behind_a_future(), behind_a_queue())]
    clock.call_at(clock.time() + 1, lambda: first.set_result(None))
    log.at(2, "next")
    await clock.advance(2)
    assert log == ["task 1", "next 2"]
    await asyncio.gather(*tasks)


async def test_bytes_that_follow_from_a_call_come_before_the_next(clock: TurnedClock) -> None:
    log = Log(clock)
    ends = await connected(Streaming(), Streaming())
    body = bytes(20_000_000)

    def answer() -> None:
        if len(ends.far.received) == len(body):
            ends.far.transport.write(b"got it")

    ends.far.on_read = answer
    ends.near.on_read = lambda: log.note("answered")
    clock.call_at(clock.time() + 1, lambda: ends.near.transport.write(body))
    log.at(1, "next")
    await clock.advance(1)
    assert log == ["answered 1", "next 1"]


async def test_a_link_at_the_end_is_lost_before_the_next_call(clock: TurnedClock) -> None:
    log = Log(clock)
    ends = await connected(Streaming(), Streaming())
    clock.call_at(clock.time() + 1, ends.near.transport.close)
    clock.call_at(clock.time() + 1, lambda: log.note(ends.far.log[-1]))
    await clock.advance(1)
    assert log == ["lost 1"]


async def test_what_a_call_raises_reaches_the_test(clock: TurnedClock) -> None:
    start = clock.time()
    clock.call_at(start + 1, lambda: 1 // 0)
    log = Log(clock)
    log.at(2, "after")
    with pytest.raises(ZeroDivisionError):
        await clock.advance(5)
    assert clock.time() == start + 1
    await clock.advance(4)
    assert log == ["after 2"]


async def test_it_is_not_turned_back(clock: TurnedClock) -> None:
    with pytest.raises(UsageError, match="back"):
        await clock.advance(-1)
    with pytest.raises(UsageError, match="back"):
        await clock.advance(float("nan"))


async def test_it_is_turned_by_one_at_a_time(clock: TurnedClock) -> None:
    first = asyncio.ensure_future(clock.advance(1))
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="already"):
        await clock.advance(1)
    await first


async def test_a_program_that_never_rests_is_a_timeout(
    clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hopmq.testing.clock._MOST_TURNS", 200)

    async def restless() -> None:
        while True:
            clock.time()
            await asyncio.sleep(0)

    task = asyncio.ensure_future(restless())
    with pytest.raises(TimeoutError, match="200 turns"):
        await clock.advance(1)
    task.cancel()


# --- a link on it --------------------------------------------------------------------------------


async def over_memory(server: Server, client: Link) -> None:
    listener = listen("clock", lambda: server.link)
    await connect_memory("clock", client)
    listener.close()


async def over_tcp(server: Server, client: Link) -> None:
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: server.link, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    await loop.create_connection(lambda: client, "127.0.0.1", port)
    while not client.core.heartbeat.interval:
        await asyncio.sleep(0.001)
    listener.close()


@pytest.mark.parametrize("connect", [over_memory, over_tcp])
async def test_a_links_heartbeats_turn_with_its_clock(
    clock: TurnedClock, connect: Callable[[Server, Link], Awaitable[None]]
) -> None:
    server, client = Server(heartbeat=10, clock=clock), client_link(heartbeat=10)
    await connect(server, client)
    await clock.settle()
    arrived: list[float] = []
    received = client.core.received

    def note(nbytes: int, now: float) -> None:
        arrived.append(nbytes)
        received(nbytes, now)

    client.core.received = note  # type: ignore[method-assign]
    await clock.advance(4.9)
    assert arrived == []
    await clock.advance(0.1)
    assert arrived == [8]  # one heartbeat: it was there before advance returned
    await clock.advance(10)
    assert arrived == [8] * 3
    assert not server.saw(ConnectionEnded)
    await clock.advance(6)
    assert server.saw(ConnectionEnded)
    assert "20 seconds" in str(server.link.core.error)
    await asyncio.gather(server.link.lost, client.lost)
