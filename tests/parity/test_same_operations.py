"""The embedded broker and a real RabbitMQ, driven by the same random operations: what can be seen
of one can be seen of the other.
"""

import asyncio
import itertools
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from brokers.embedded import RELEASES
from brokers.running import SessionBrokers
from hopmq.testing import RabbitMQ
from parity.driver import Peer
from parity.side import Side
from trials import trials

T = TypeVar("T")

QUEUES = ["q0", "q1", "q2"]
ALL = [*QUEUES, "dead"]
WITHIN = 5.0
STEP = 0.002
_runs = itertools.count()

queues = st.sampled_from(QUEUES)
exchanges = st.sampled_from(["topic", "direct", "fanout"])
keys = st.sampled_from(["", "a", "a.b", "b", "*", "#", "a.*", "#.b"])
verdicts = st.sampled_from(["ack", "ack", "nack", "drop", "reject", "reject-drop"])
places = st.integers(min_value=0, max_value=3)
limits = {
    "x-max-length": st.sampled_from([0, 1, 3]),
    "x-overflow": st.sampled_from(["drop-head", "reject-publish", "reject-publish-dlx"]),
    "x-max-length-bytes": st.sampled_from([3, 10]),
    "x-max-priority": st.sampled_from([1, 3]),
    "x-single-active-consumer": st.booleans(),
}
# RabbitMQ's queues are processes, and what two of them do at once has no order. So one queue alone
# has dead letters, and they go where nothing else goes.
arguments = st.fixed_dictionaries({}, optional=limits)
deadly = st.fixed_dictionaries(
    {"x-dead-letter-exchange": st.just(""), "x-dead-letter-routing-key": st.just("dead")},
    optional=limits,
)


class SameOperations(RuleBasedStateMachine):
    """Does everything on both sides, the embedded one first."""

    loop: asyncio.AbstractEventLoop
    urls: tuple[str, str]

    @initialize(first=deadly, second=arguments, third=arguments, key=keys)
    def open(
        self, first: dict[str, Any], second: dict[str, Any], third: dict[str, Any], key: str
    ) -> None:
        """Connect to both; declare the exchanges and the queues."""
        self.peers = [self.run(Peer.open(url)) for url in self.urls]
        prefix = f"same-{next(_runs)}"
        self.sides = [Side(peer, prefix) for peer in self.peers]
        self.history: list[str] = []
        for side in self.sides:
            self.run(self._declare_exchanges(side))
        self.both("declare", "dead", {}, False)
        for queue, given in zip(QUEUES, (first, second, third), strict=True):
            self.both("declare", queue, given, False)
            self.both("bind", queue, "topic", key)

    async def _declare_exchanges(self, side: Side) -> None:
        channel = await side.channel()
        for kind in ("topic", "direct", "fanout"):
            await channel.exchange(f"{side.prefix}-{kind}", kind)

    def teardown(self) -> None:
        """Delete what there is, and hang up."""
        for side, peer in zip(getattr(self, "sides", []), self.peers, strict=True):
            self.run(self._clear_away(side))
            self.run(peer.close())

    async def _clear_away(self, side: Side) -> None:
        for queue in list(side.readers):
            await side.do("cancel", queue, True)
        for queue in ALL:
            await side.do("delete", queue, False)
        for kind in ("topic", "direct", "fanout"):
            await (await side.channel()).delete_exchange(f"{side.prefix}-{kind}")

    def run(self, operation: Coroutine[Any, Any, T]) -> T:
        """Run something to its end."""
        return self.loop.run_until_complete(asyncio.wait_for(operation, 20))

    def both(self, *operation: Any) -> None:
        """Do an operation on both sides and compare all there is to see."""
        self.history.append(repr(operation))
        ours, theirs = (self.run(side.do(*operation)) for side in self.sides)
        assert ours == theirs, self._told("answers differ", ours, theirs)
        self.run(self._compare())

    async def _compare(self) -> None:
        ours = await self.sides[0].look(ALL)
        theirs = await self.sides[1].look(ALL)
        deadline = self.loop.time() + WITHIN
        while ours != theirs and self.loop.time() < deadline:
            await asyncio.sleep(STEP)  # RabbitMQ's queues are processes: they catch up
            theirs = await self.sides[1].look(ALL)
        assert ours == theirs, self._told("what can be seen differs", ours, theirs)

    def _told(self, what: str, ours: object, theirs: object) -> str:
        steps = "\n  ".join(self.history)
        return f"{what}\n  embedded: {ours}\n  RabbitMQ: {theirs}\nafter\n  {steps}"

    # --- what may be done --------------------------------------------------------------------

    @rule(queue=queues, given=arguments, auto_delete=st.booleans())
    def declare(self, queue: str, given: dict[str, Any], auto_delete: bool) -> None:
        """Declare a queue, perhaps one that is there and is different."""
        self.both("declare", queue, given, auto_delete)

    @rule(queue=queues, key=keys, exchange=exchanges)
    def bind(self, queue: str, exchange: str, key: str) -> None:
        """Bind."""
        self.both("bind", queue, exchange, key)

    @rule(queue=queues, key=keys, exchange=exchanges)
    def unbind(self, queue: str, exchange: str, key: str) -> None:
        """Unbind."""
        self.both("unbind", queue, exchange, key)

    @rule(
        exchange=exchanges,
        key=keys,
        body=st.binary(max_size=4),
        priority=st.sampled_from([None, 0, 1, 2, 9]),
    )
    def publish(self, exchange: str, key: str, body: bytes, priority: int | None) -> None:
        """Publish through an exchange."""
        self.both("publish", exchange, key, body, priority, [])

    @rule(
        queue=queues,
        body=st.binary(max_size=4),
        priority=st.sampled_from([None, 0, 1, 2, 9]),
        copies=st.lists(queues, max_size=2),
    )
    def put(self, queue: str, body: bytes, priority: int | None, copies: list[str]) -> None:
        """Publish to a queue by its name, and to others."""
        self.both("publish", "", queue, body, priority, copies)

    @rule(queue=st.sampled_from(ALL))
    def get(self, queue: str) -> None:
        """Fetch a message."""
        self.both("get", queue)

    @rule(which=places, verdict=verdicts, multiple=st.booleans())
    def settle_fetched(self, which: int, verdict: str, multiple: bool) -> None:
        """Settle what was fetched."""
        self.both("settle_fetched", which, verdict, multiple)

    @rule(queue=st.sampled_from(ALL), prefetch=st.sampled_from([1, 2, 0]))
    def consume(self, queue: str, prefetch: int) -> None:
        """Read a queue."""
        self.both("consume", queue, prefetch)

    @rule(queue=queues, close=st.booleans())
    def cancel(self, queue: str, close: bool) -> None:
        """Stop reading."""
        self.both("cancel", queue, close)

    @rule(queue=queues, which=places, verdict=verdicts, multiple=st.booleans())
    def settle(self, queue: str, which: int, verdict: str, multiple: bool) -> None:
        """Settle what was delivered."""
        self.both("settle", queue, which, verdict, multiple)

    @rule()
    def recover(self) -> None:
        """Have everything fetched put back."""
        self.both("recover")

    @rule(queue=queues)
    def purge(self, queue: str) -> None:
        """Empty a queue."""
        self.both("purge", queue)

    @rule(queue=queues, if_unused=st.booleans())
    def delete(self, queue: str, if_unused: bool) -> None:
        """Delete a queue."""
        self.both("delete", queue, if_unused)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Return a loop of the machine's own: its rules are no coroutines."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def test_the_same_operations_show_the_same(
    rabbitmq: RabbitMQ, session_brokers: SessionBrokers, loop: asyncio.AbstractEventLoop
) -> None:
    release = max(each for each in RELEASES if rabbitmq.version.startswith(f"{each}."))
    embedded = session_brokers.embedded(release)

    class Machine(SameOperations):
        """The machine for these two."""

    Machine.loop = loop
    Machine.urls = (embedded.url, rabbitmq.url)
    run_state_machine_as_test(Machine, settings=trials(20, steps=30))  # type: ignore[no-untyped-call]
