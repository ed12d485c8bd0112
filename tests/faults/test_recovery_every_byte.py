"""A link may end behind any byte: of a handshake, a declare, a publish, a confirm, a deliver, an ack."""

import asyncio

import pytest

import hopmq
from flavours import Flavour, flavours
from hopmq import Channel, Message, Recovery
from hopmq.client.publishing import OnDisconnect
from hopmq.errors import ConnectError
from hopmq.resilience import Constant
from hopmq.testing import FaultProxy
from hopmq.testing.faults import Direction

from .ends import soon
from .links import PATIENCE, becomes, consumers_of, drained, lose, quick
from .promises import Promises

DIRECTIONS: tuple[Direction, ...] = ("to_broker", "to_client")
STRIDE = 4
"""A test takes every fourth byte; four tests take all."""

AT_ONCE = Recovery(backoff=Constant(0.0))


@pytest.fixture(scope="session", params=flavours()[-1:], ids=str)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Return one event loop: the others differ in nothing that is tested here."""
    chosen: Flavour = request.param
    return chosen


@pytest.fixture(scope="session")
def anyio_backend(flavour: Flavour) -> tuple[str, dict[str, bool]]:
    """Run on the loop of this flavour."""
    return flavour.backend


class Course:
    """One connection from its handshake to an ack.

    Attributes:
        handled: What its handler has received.
        promises: What it has published.
        publishing: Which bytes behind the handshake have to do with that.
    """

    def __init__(self, way: FaultProxy, policy: OnDisconnect, direction: Direction) -> None:
        self.handled: list[Message] = []
        self.promises = Promises()
        self.publishing = range(0)
        self._way = way
        self._policy = policy
        self._direction: Direction = direction

    async def run(self, cut_after: int | None = None) -> int:
        """Go through all of it, with a cut so many bytes behind the handshake.

        Returns:
            How many bytes there were behind the handshake.
        """
        way, direction = self._way, self._direction
        async with quick(
            way.url, name="course", on_disconnect=self._policy, recovery=AT_ONCE
        ) as connection:
            before = way.passed(direction)
            fault = None
            if cut_after is not None:
                fault = way.cut_after(cut_after, direction=direction, reset=cut_after % 2 > 0)
            await connection.declare_queue("filled")
            channel = await connection.channel(prefetch=10)
            await channel.consume("worked", self._handle, consumer_tag="c")
            begin = way.passed(direction) - before
            for _ in range(2):
                await self.promises.publish(channel, "filled", self._policy)
            self.publishing = range(begin, way.passed(direction) - before)
            async with asyncio.timeout(PATIENCE):
                while len({message.body for message in self.handled}) < 2:
                    await asyncio.sleep(0)
            # Its answer comes behind the acks; where the link ends before, they come again.
            await channel.flow(True)
            if fault is not None:
                assert fault.hits == 1
                fault.cancel()
            size = way.passed(direction) - before
            await channel.flow(True)
        return size

    def _handle(self, message: Message) -> None:
        self.handled.append(message)
        message.ack()


async def measured(way: FaultProxy, judge: Channel, course: Course) -> range:
    """Go through a course without a fault; return all its bytes."""
    await judge.declare_queue("worked")
    await judge.publish_many([b"1", b"2"], routing_key="worked")
    size = await course.run()
    assert await drained(judge, "filled") == [b"p 0", b"p 1"]
    assert size > 100
    assert len(course.publishing) > 20
    return range(size)


async def check_cut(way: FaultProxy, judge: Channel, course: Course, at: int) -> None:
    """Go through a course with a cut, and see that it makes no difference."""
    await judge.publish_many([b"1", b"2"], routing_key="worked")
    await course.run(at)
    course.promises.check(await drained(judge, "filled"))
    seen = set()
    for message in course.handled:
        assert message.redelivered or message.body not in seen
        seen.add(message.body)
    assert seen == {b"1", b"2"}
    assert await drained(judge, "worked") == []


@pytest.mark.parametrize("first", range(STRIDE))
@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_a_cut_behind_every_byte(
    way: FaultProxy, judge: Channel, direction: Direction, first: int
) -> None:
    for at in (await measured(way, judge, Course(way, "wait", direction)))[first::STRIDE]:
        await check_cut(way, judge, Course(way, "wait", direction), at)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("policy", ["raise", "resend"])
async def test_a_cut_behind_every_byte_of_publishes_and_confirms(
    way: FaultProxy, judge: Channel, policy: OnDisconnect, direction: Direction
) -> None:
    whole = Course(way, policy, direction)
    await measured(way, judge, whole)
    for at in whole.publishing:
        await check_cut(way, judge, Course(way, policy, direction), at)


async def handshake_sizes(way: FaultProxy) -> dict[Direction, int]:
    """Return how many bytes a handshake has each way."""
    before = {direction: way.passed(direction) for direction in DIRECTIONS}
    async with hopmq.connect(way.url, name="course"):
        return {direction: way.passed(direction) - before[direction] for direction in DIRECTIONS}


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_a_cut_behind_every_byte_of_the_first_handshake_is_an_error_of_connecting(
    way: FaultProxy, direction: Direction
) -> None:
    sizes = await handshake_sizes(way)
    for at in range(sizes[direction] - (direction == "to_broker")):
        with way.cut_after(at, direction=direction, reset=at % 2 > 0) as fault:
            with pytest.raises(ConnectError) as raised:
                await soon(hopmq.connect(way.url, name="course"))
            assert not isinstance(raised.value, hopmq.AuthenticationError)
            assert fault.hits == 1


@pytest.mark.parametrize("first", range(STRIDE))
@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_a_cut_behind_every_byte_of_a_later_handshake_and_of_what_is_restored(
    way: FaultProxy, judge: Channel, direction: Direction, first: int
) -> None:
    promises = Promises()
    async with quick(
        way.url, name="course", on_disconnect="resend", recovery=AT_ONCE
    ) as connection:
        await connection.declare_exchange("x", "fanout")
        await connection.declare_queue("filled")
        await connection.bind("filled", "x")
        await connection.declare_queue("worked")
        channel = await connection.channel()
        consumer = await channel.consume("worked")
        before = way.passed(direction)
        await lose(connection, way)
        await connection.wait_for("open", timeout=PATIENCE)
        size = way.passed(direction) - before
        for at in range(first, size, STRIDE):
            with way.cut_after(at, direction=direction, reset=at % 2 > 0) as fault:
                await lose(connection, way)
                publishing = asyncio.create_task(promises.publish(channel, "filled", "resend"))
                await fault.happened()
                await publishing
            await connection.wait_for("open", timeout=PATIENCE)
            assert consumer.is_active
        await becomes(1, lambda: consumers_of(judge, "worked"))
        assert connection.counters.entities_failed == 0
        assert connection.counters.consumers_lost == 0
    assert promises.outcomes() == {"Receipt": len(promises.all())}
    promises.check(await drained(judge, "filled"))
