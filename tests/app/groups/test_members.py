"""Members of partitioned groups: shares, order and turns, whoever comes and goes."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from app.groups.conftest import Declaring
from app.groups.witness import Witness
from hopmq import Exchange, Message, Pool
from hopmq.app.clock import LoopTime
from hopmq.app.groups import Group, PartitionMember
from hopmq.testing import Fault, FaultProxy
from pool.conftest import QUICKLY, opened

HEARTBEAT = 0.2
"""Seconds between announcements: what would take half a minute is over in no time."""


class Setting:
    """An exchange, a group of eight partitions, publishers of numbered messages, and members."""

    def __init__(self, pool: Pool, url: str, name: str) -> None:
        self.pool = pool
        self.url = url
        self.exchange = Exchange.topic(name)
        self.group = Group("billing", partitions=8)
        self.witness = Witness()
        self.sent: Counter[str] = Counter()
        self.handled = 0
        self.faults: list[AssertionError] = []
        self.longest = 0.004

    async def publish(self, count: int, keys: int = 200) -> None:
        """Publish so many messages, of random keys, each with its number among those of its key."""
        async with self.pool.channel() as channel:  # which keeps the order
            for _ in range(count):
                key = f"key.{random.randrange(keys)}"  # nothing secret about it
                self.sent[key] += 1
                channel.publish_nowait(
                    b"%d" % self.sent[key], exchange=self.exchange, routing_key=key
                )

    @contextmanager
    def noting_faults(self) -> Iterator[None]:
        """Keep what the witness objects to: who handles a message must not raise."""
        try:
            yield
        except AssertionError as error:
            self.faults.append(error)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Look again and again; the test's own time limit ends it, or what the witness sees."""
        while True:
            for fault in self.faults:
                raise fault
            if is_so():
                return
            await asyncio.sleep(0.01)

    @asynccontextmanager
    async def never_idle(self, unread: int) -> AsyncIterator[None]:
        """Have so many messages or more that are not handled yet, until the end of a block."""
        over = False

        async def supply() -> None:
            while not over:
                missing = self.handled + unread - self.sent.total()
                if missing > 0:
                    await self.publish(missing + unread)
                await asyncio.sleep(0.01)

        await self.publish(2 * unread)
        async with asyncio.TaskGroup() as group:
            group.create_task(supply())
            yield
            over = True

    async def more_are_handled(self, count: int) -> None:
        """Wait until so many more messages are handled."""
        enough = self.handled + count
        await self.until(lambda: self.handled >= enough)

    @asynccontextmanager
    async def member(
        self, name: str, url: str | None = None, is_unaware: Callable[[], bool] = lambda: False
    ) -> AsyncIterator[PartitionMember]:
        """Have a member, on a connection of its own, until the end of a block.

        Nobody counts what it handles while it is unaware that its link is lost: by then the broker
        may have given that to another.
        """

        async def handle(message: Message) -> None:
            if is_unaware():
                return
            key, number = message.routing_key, int(message.body)
            with self.noting_faults():
                self.witness.begins(name, key, number)
            if self.longest:
                await asyncio.sleep(random.uniform(0, self.longest))
            with self.noting_faults():
                self.witness.ends(name, key, number)
            self.handled += 1
            message.ack()

        async with opened(url or self.url, recovery=QUICKLY) as pool:
            member = PartitionMember(
                pool,
                self.group,
                self.exchange,
                handle,
                clock=LoopTime(),
                member_id=name,
                heartbeat=HEARTBEAT,
            )
            await member.start()
            try:
                yield member
            finally:
                await member.stop()

    async def all_is_done(self) -> None:
        """Wait until everything that was sent is handled."""
        await self.until(lambda: self.witness.has_seen(self.sent))


@pytest.fixture
async def setting(pool: Pool, amqp_url: str, name: str, declare: Declaring) -> Setting:
    """Return a group that is declared, without members."""
    setting = Setting(pool, amqp_url, name)
    await declare(setting.group, setting.exchange, "#")
    return setting


async def balanced(setting: Setting, *members: PartitionMember) -> None:
    """Wait until each is at work on its share, and on nothing else, while messages come."""

    async def is_so() -> bool:
        await setting.publish(20)
        return all(
            each.members == {other.member_id for other in members} and each.active == each.assigned
            for each in members
        )

    while not await is_so():
        await setting.until(lambda: True)
        await asyncio.sleep(0.05)
    assert sorted(n for each in members for n in each.assigned) == list(range(8))


async def test_a_single_member_has_everything(setting: Setting) -> None:
    async with setting.member("a") as a:
        await setting.publish(100)
        await setting.all_is_done()
        assert a.assigned == set(range(8))
        assert a.active <= a.assigned


async def test_members_have_equal_shares_whoever_comes_and_goes(setting: Setting) -> None:
    async with setting.member("a") as a:
        async with setting.member("b") as b:
            await balanced(setting, a, b)
            assert len(a.assigned) == len(b.assigned) == 4
            async with setting.member("c") as c:
                await balanced(setting, a, b, c)
                assert sorted(len(each.assigned) for each in (a, b, c)) == [2, 3, 3]
            await balanced(setting, a, b)
        await balanced(setting, a)
    await setting.pool.publish(b"end", exchange=setting.exchange, routing_key="after")


async def test_every_key_keeps_its_order_and_is_at_one_member_at_a_time(setting: Setting) -> None:
    """Members come and go in good order all the time: nothing is even begun twice."""

    async def come_and_go(name: str) -> None:
        for turn in range(4):
            async with setting.member(f"{name}{turn}"):
                await setting.more_are_handled(80)

    async with setting.member("stays"):
        async with setting.never_idle(300):  # members have unread messages when one steps back
            await asyncio.gather(*(come_and_go(name) for name in "abc"))
        await setting.all_is_done()
    assert setting.witness.replays() == {}


async def test_a_lost_link_costs_no_order(setting: Setting) -> None:
    """Handlers are done at once: one that is at work when its link goes may meet another."""
    setting.longest = 0
    lost: Fault | None = None
    links = 0

    def is_unaware() -> bool:
        """Return whether the link is cut, and no other has come."""
        return lost is not None and lost.hits > 0 and proxy.accepted == links

    async with (
        FaultProxy(setting.url) as proxy,
        setting.member("a") as a,
        setting.member("b", proxy.url, is_unaware) as b,
    ):
        for _ in range(3):
            await balanced(setting, a, b)
            links = proxy.accepted
            lost = proxy.cut("Basic.Ack", nth=5, direction="to_broker")
            while not lost.hits:
                await setting.publish(20)
            await setting.all_is_done()
        await balanced(setting, a, b)
