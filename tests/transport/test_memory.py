"""Names within a process: who listens, who is started, and what each event loop sees of others."""

import asyncio
import gc
import sys
import types
import weakref
from collections.abc import Iterator

import pytest

from hopmq.errors import ConnectError
from hopmq.transport import memory
from hopmq.transport.dial import Target, dial
from hopmq.transport.memory import connect_memory, is_moving, listen

from .ends import SECONDS, Streaming
from .links import client_link


class Broker(types.ModuleType):
    """Stands in for the module that starts brokers.

    Attributes:
        started: The names that were asked for.
        may_go_on: Set when starting may be completed.
        error: What starting fails with.
        listens: Whether it listens once started.
    """

    def __init__(self) -> None:
        super().__init__("hopmq.broker.in_process")
        self.started: list[str] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.error: Exception | None = None
        self.listens = True
        self.ends: list[Streaming] = []

    async def start(self, name: str) -> None:
        self.started.append(name)
        await self.may_go_on.wait()
        if self.error is not None:
            raise self.error
        if self.listens:
            listen(name, self.accept)

    def accept(self) -> Streaming:
        self.ends.append(Streaming())
        return self.ends[-1]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """Return what is asked to start a broker."""
    stub = Broker()
    monkeypatch.setitem(sys.modules, stub.__name__, stub)
    return stub


@pytest.fixture(autouse=True)
def _no_names_left() -> Iterator[None]:
    yield
    memory._switchboards.clear()


async def connect(name: str) -> Streaming:
    end = Streaming()
    async with asyncio.timeout(SECONDS):
        await connect_memory(name, end)
    return end


# --- listening ---------------------------------------------------------------------------------


async def test_who_calls_reaches_who_listens() -> None:
    accepted: list[Streaming] = []

    def accept() -> Streaming:
        accepted.append(Streaming())
        return accepted[-1]

    listen("orders", accept)
    first, second = await connect("orders"), await connect("orders")
    first.transport.write(b"1")
    second.transport.write(b"2")
    assert await accepted[0].has(1) == b"1"
    assert await accepted[1].has(1) == b"2"


async def test_both_ends_are_told_who_the_other_is() -> None:
    far = Streaming()
    listen("orders", lambda: far)
    near = await connect("orders")
    await far.until(lambda: far.log == ["made"])
    assert near.transport.get_extra_info("peername") == "memory://orders"
    assert far.transport.get_extra_info("sockname") == "memory://orders"
    caller = far.transport.get_extra_info("peername")
    assert caller == near.transport.get_extra_info("sockname")
    assert caller.startswith("memory://orders#")
    assert near.transport.get_extra_info("socket") is None


async def test_callers_are_told_apart() -> None:
    listen("orders", Streaming)
    ends = [await connect("orders") for _ in range(3)]
    assert len({end.transport.get_extra_info("sockname") for end in ends}) == 3


async def test_both_ends_are_made_before_the_first_byte() -> None:
    far = Streaming()
    listen("orders", lambda: far)

    class Eager(Streaming):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.write(b"at once")

    await connect_memory("orders", Eager())
    await far.has(7)
    assert far.log == ["made", "read"]


async def test_a_name_is_taken_once() -> None:
    listen("orders", Streaming)
    with pytest.raises(OSError, match="in use"):
        listen("orders", Streaming)


async def test_a_name_is_free_again_after_close(broker: Broker) -> None:
    listener = listen("orders", Streaming)
    near = await connect("orders")
    listener.close()
    listener.close()
    successor = listen("orders", Streaming)
    listener.close()  # no longer its name
    await connect("orders")
    successor.close()
    assert broker.started == []
    near.transport.write(b"goes on")
    assert not near.transport.is_closing()


async def test_a_listener_may_refuse() -> None:
    def refuse() -> Streaming:
        raise ConnectionRefusedError("full")

    listen("orders", refuse)
    near = Streaming()
    with pytest.raises(ConnectionRefusedError, match="full"):
        await connect_memory("orders", near)
    assert near.log == []


# --- created on first use ----------------------------------------------------------------------


async def test_where_nobody_listens_a_broker_is_started(broker: Broker) -> None:
    near = await connect("orders")
    near.transport.write(b"hello")
    assert await broker.ends[0].has(5) == b"hello"
    await connect("orders")
    await connect("bills")
    assert broker.started == ["orders", "bills"]


async def test_simultaneous_first_connects_start_it_once(broker: Broker) -> None:
    broker.may_go_on.clear()
    waiting = [asyncio.ensure_future(connect("orders")) for _ in range(5)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert broker.started == ["orders"]
    broker.may_go_on.set()
    await asyncio.gather(*waiting)
    assert broker.started == ["orders"]
    assert len(broker.ends) == 5


async def test_a_cancelled_first_connect_leaves_the_start_to_the_next(broker: Broker) -> None:
    broker.may_go_on.clear()
    first = asyncio.ensure_future(connect("orders"))
    second = asyncio.ensure_future(connect("orders"))
    for _ in range(5):
        await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    broker.may_go_on.set()
    await second
    assert len(broker.ends) == 1


async def test_a_cancelled_connect_makes_no_link(broker: Broker) -> None:
    broker.may_go_on.clear()
    near = Streaming()
    connecting = asyncio.ensure_future(connect_memory("orders", near))
    await asyncio.sleep(0)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert near.log == []


async def test_nobody_there_is_refused(broker: Broker) -> None:
    broker.listens = False
    with pytest.raises(ConnectionRefusedError):
        await connect("orders")


async def test_a_start_that_fails_is_tried_again(broker: Broker) -> None:
    broker.error = OSError("no room")
    with pytest.raises(OSError, match="no room"):
        await connect("orders")
    broker.error = None
    await connect("orders")
    assert broker.started == ["orders", "orders"]


async def test_dialling_says_which_name_refused(broker: Broker) -> None:
    broker.listens = False
    with pytest.raises(ConnectError, match="memory://orders: cannot connect: Connection refused"):
        await dial(Target(memory="orders"), client_link())


# --- one loop and another ------------------------------------------------------------------------


async def connect_and_count(broker: Broker) -> int:
    await connect("orders")
    return len(broker.started)


def test_loops_do_not_meet(broker: Broker) -> None:
    assert asyncio.run(connect_and_count(broker)) == 1
    assert asyncio.run(connect_and_count(broker)) == 2


def test_the_names_of_a_closed_loop_are_forgotten(broker: Broker) -> None:
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def listener_that_holds_its_loop() -> None:
        loop = asyncio.get_running_loop()
        loops.append(weakref.ref(loop))
        listen("orders", lambda: Holding(loop))

    class Holding(Streaming):
        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            super().__init__()
            self.loop = loop

    for _ in range(3):
        asyncio.run(listener_that_holds_its_loop())
    gc.collect()
    assert [loop() is None for loop in loops] == [True, True, False]


async def test_what_is_on_its_way_is_told_per_loop(broker: Broker) -> None:
    loop = asyncio.get_running_loop()
    near = await connect("orders")
    far = broker.ends[0]
    await far.until(lambda: far.log == ["made"])
    assert not is_moving(loop)
    near.transport.write(b"x")
    assert is_moving(loop)
    await far.has(1)
    assert not is_moving(loop)
    far.transport.pause_reading()
    near.transport.write(b"x")
    assert not is_moving(loop)
    near.transport.abort()
    assert is_moving(loop)
    await near.is_lost()
    await far.is_lost()
    assert not is_moving(loop)
