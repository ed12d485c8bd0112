"""What members say to each other and do about it, on a clock that is turned."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from hopmq import ConsumerCancelledError, Exchange, Message, NotFoundError, Pool, Queue
from hopmq.app.groups import Group, PartitionMember
from hopmq.app.groups.assignment import assign
from hopmq.bindings import Binding
from hopmq.broker import Broker
from hopmq.testing import TurnedClock

GROUP = Group("billing", partitions=4)
ORDERS = Exchange.topic("orders")
MEMBERS = GROUP.members_name("orders")


class Setting:
    """A broker and a member on one clock, and handlers that end when the test says so.

    Attributes:
        heard: What members have said, beside the strangers of the test.
        handled: Bodies of messages that were handled, in order.
        hold: Whether handlers wait for `released`.
    """

    def __init__(self, pool: Pool, clock: TurnedClock) -> None:
        self.pool, self.clock = pool, clock
        self.heard: list[tuple[str, str]] = []
        self.handled: list[bytes] = []
        self.hold = False
        self.released = asyncio.Event()
        self.member = PartitionMember(
            pool, GROUP, "orders", self.call, prefetch=5, clock=clock, member_id="me"
        )

    async def call(self, message: Message) -> None:
        await self.handle(message)

    async def handle(self, message: Message) -> None:
        if self.hold:
            await self.released.wait()
        self.handled.append(message.body)
        message.ack()

    def hear(self, message: Message) -> None:
        said = json.loads(message.body)
        self.heard.append((said["member"], said["says"]))

    async def say(self, member: str, says: str) -> None:
        """Have a stranger say something; the member has heard it."""
        await self.say_bytes(json.dumps({"member": member, "says": says}).encode())

    async def say_bytes(self, body: bytes) -> None:
        await self.pool.publish(body, exchange=MEMBERS)
        await self.clock.settle()

    async def publish(self, *bodies: bytes) -> None:
        """Publish to one partition after the other."""
        for body in bodies:
            await self.pool.publish(body, routing_key=f"orders.billing.{int(body) % 4}")
        await self.clock.settle()


@pytest.fixture
async def setting(anyio_backend: object, name: str) -> AsyncIterator[Setting]:
    """Return a member that has begun."""
    clock = TurnedClock()
    async with (
        Broker(host=None, name=name, clock=clock),
        Pool(f"memory://{name}", heartbeat=0) as pool,
    ):
        everything = [Binding("orders", "", routing_key="#")]
        await GROUP.topology(ORDERS, everything).declare(pool)
        setting = Setting(pool, clock)
        async with pool.channel(consuming=True) as channel:
            queue = await channel.declare_queue(Queue.temporary())
            await channel.bind(queue.name, MEMBERS)
            async with channel.consume(queue.name, setting.hear, no_ack=True):
                await setting.member.start()
                await clock.settle()
                try:
                    yield setting
                finally:
                    setting.released.set()
                    await setting.member.stop()


async def test_it_says_hello_then_that_it_is_there_and_bye_in_the_end(setting: Setting) -> None:
    assert setting.heard == [("me", "hello")]
    await setting.clock.advance(10)
    assert setting.heard[1:] == [("me", "here")] * 2
    await setting.member.stop()
    await setting.clock.settle()
    assert setting.heard[3:] == [("me", "bye")]


async def test_hellos_are_answered_together(setting: Setting) -> None:
    await setting.say("other", "hello")
    await setting.clock.advance(0.1)
    await setting.say("third", "hello")
    assert setting.heard[1:] == [("other", "hello"), ("third", "hello")]
    await setting.clock.advance(0.1)
    assert setting.heard[3:] == [("me", "here")]
    await setting.clock.advance(1)
    assert len(setting.heard) == 4


async def test_one_that_says_something_has_a_share_until_it_says_bye(setting: Setting) -> None:
    owners = assign(["me", "other"], 4)
    await setting.say("other", "here")
    assert setting.member.assigned == {n for n in range(4) if owners[n] == "me"}
    assert setting.member.members == {"me", "other"}
    await setting.say("other", "bye")
    assert setting.member.assigned == {0, 1, 2, 3}


async def test_one_that_falls_silent_loses_its_share(setting: Setting) -> None:
    await setting.say("other", "here")
    await setting.clock.advance(17.5)
    assert len(setting.member.assigned) == 2
    await setting.clock.advance(5)
    assert setting.member.assigned == {0, 1, 2, 3}


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"member": "other"}'])
async def test_what_is_no_announcement_is_passed_over(
    setting: Setting, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    setting.hear = lambda message: None  # type: ignore[method-assign]
    await setting.say_bytes(body)
    assert setting.member.members == {"me"}
    assert "does not understand" in caplog.text


# --- making way --------------------------------------------------------------------------------


async def consumers(setting: Setting) -> list[int]:
    """Return how many are in line for each partition."""
    queues = GROUP.partition_names("orders")
    return [
        (await setting.pool.declare_queue(each, passive=True)).consumer_count for each in queues
    ]


@pytest.mark.parametrize("was_active", [True, False])
async def test_it_goes_to_the_end_of_the_line_where_another_should_be_first(
    setting: Setting, was_active: bool
) -> None:
    """The other one is in line for all partitions, behind it, and gets those that it is to have."""
    got: list[bytes] = []
    if was_active:
        await setting.publish(b"0", b"1", b"2", b"3")
        assert setting.member.active == {0, 1, 2, 3}
        setting.handled.clear()
    async with setting.pool.channel(consuming=True) as channel:
        for queue in GROUP.partition_names("orders"):
            await channel.consume(queue, lambda message: got.append(message.body), no_ack=True)
        await setting.say("other", "hello")
        await setting.clock.advance(0.2)
        await setting.publish(b"4", b"5", b"6", b"7")
        assert {int(body) % 4 for body in setting.handled} == setting.member.assigned
        assert {int(body) % 4 for body in got} == {0, 1, 2, 3} - setting.member.assigned
        assert setting.member.active == setting.member.assigned
        await channel.close()
    await setting.clock.settle()
    await setting.publish(b"8", b"9", b"10", b"11")
    assert sorted(map(int, setting.handled[-4:])) == [8, 9, 10, 11], "it is in line still"


async def test_what_is_worked_on_is_finished_before_it_makes_way(setting: Setting) -> None:
    setting.hold = True
    await setting.publish(*(b"%d" % number for number in range(12)))
    await setting.say("other", "hello")
    await setting.clock.advance(0.2)
    assert setting.handled == []
    assert await consumers(setting) == [1, 1, 1, 1]
    setting.hold = False
    setting.released.set()
    await setting.clock.settle()
    by_partition = [[int(b) for b in setting.handled if int(b) % 4 == n] for n in range(4)]
    assert by_partition == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]


async def test_it_makes_way_again_where_it_is_active_and_the_owner_is_there(
    setting: Setting,
) -> None:
    await setting.say("other", "hello")
    await setting.clock.advance(0.2)
    others = {0, 1, 2, 3} - setting.member.assigned
    await setting.publish(b"0", b"1", b"2", b"3")
    assert others < setting.member.active, "the other one is in line for nothing"
    await setting.say("other", "here")
    await setting.clock.advance(5)
    assert setting.member.active == setting.member.assigned


async def test_it_stays_where_the_owner_may_be_dead(setting: Setting) -> None:
    await setting.say("other", "hello")
    await setting.clock.advance(6)
    await setting.publish(b"0", b"1", b"2", b"3")
    await setting.clock.advance(6)
    assert setting.member.members == {"me", "other"}
    assert setting.member.active == {0, 1, 2, 3}


# --- giving back -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["nack", "reject"])
async def test_nothing_overtakes_what_a_handler_gives_back(setting: Setting, how: str) -> None:
    refused: list[bytes] = []

    async def handle(message: Message) -> None:
        if message.body == b"4" and len(refused) < 3:
            refused.append(message.body)
            getattr(message, how)(requeue=True)
            assert message.settled
            return
        setting.handled.append(message.body)
        message.ack()

    setting.handle = handle  # type: ignore[method-assign]
    await setting.publish(b"0", b"4", b"8", b"12")
    assert setting.handled == [b"0", b"4", b"8", b"12"]
    assert len(refused) == 3


async def test_what_a_handler_drops_is_dropped(setting: Setting) -> None:
    async def handle(message: Message) -> None:
        setting.handled.append(message.body)
        message.reject()

    setting.handle = handle  # type: ignore[method-assign]
    await setting.publish(b"0", b"4")
    assert setting.handled == [b"0", b"4"]
    await setting.member.stop()
    assert await setting.pool.purge("orders.billing.0") == 0


# --- its end -----------------------------------------------------------------------------------


async def test_stopping_finishes_what_is_worked_on_and_gives_back_the_rest(
    setting: Setting,
) -> None:
    setting.hold = True
    await setting.publish(b"0", b"4", b"8")
    stopping = asyncio.create_task(setting.member.stop())
    await setting.clock.settle()
    assert not stopping.done()
    await setting.member.wait_stopped()  # which does not wait for handlers
    setting.released.set()
    await stopping
    assert setting.handled == [b"0"]
    assert setting.pool.statistics().consumers == 0, "it listens no more"
    info = await setting.pool.declare_queue("orders.billing.0", passive=True)
    assert (info.message_count, info.consumer_count) == (2, 0)
    await setting.member.stop()


async def test_one_whose_queue_is_deleted_has_ended(setting: Setting) -> None:
    waiting = asyncio.create_task(setting.member.wait_stopped())
    await setting.pool.delete_queue("orders.billing.2")
    with pytest.raises(ConsumerCancelledError, match=r"orders\.billing\.2"):
        await waiting
    await setting.member.stop()
    await GROUP.topology(ORDERS).declare(setting.pool)
    assert await consumers(setting) == [0, 0, 0, 0]


async def test_one_without_queues_does_not_begin(setting: Setting) -> None:
    member = PartitionMember(
        setting.pool, GROUP, "elsewhere", setting.handle, clock=setting.clock, member_id="other"
    )
    with pytest.raises(NotFoundError):
        await member.start()
    await member.stop()


async def test_one_that_never_began_may_be_stopped(setting: Setting) -> None:
    member = PartitionMember(
        setting.pool, GROUP, "orders", setting.handle, clock=setting.clock, member_id="other"
    )
    await member.stop()
    await member.wait_stopped()


async def test_a_start_that_is_cancelled_leaves_nothing(setting: Setting) -> None:
    await setting.member.stop()
    for turns in range(0, 60, 3):
        member = PartitionMember(
            setting.pool, GROUP, "orders", setting.handle, clock=setting.clock, member_id="other"
        )
        starting = asyncio.create_task(member.start())
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        await member.stop()
        await setting.clock.settle()
        assert await consumers(setting) == [0, 0, 0, 0]
