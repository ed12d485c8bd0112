"""Order by key: one at a time for each key, in order of arrival, keys beside each other."""

import asyncio
import logging
from collections.abc import Callable, Hashable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from app.delivered import delivered
from app.settling import Settlements
from hopmq.app.errors import DeclarationError
from hopmq.app.ordering import Lanes, key_of
from hopmq.client.message import Message
from trials import trials

TURNS = 10
"""Turns of the loop after which workers have done what they can."""


async def settle_down() -> None:
    """Let workers do what they can."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


class Handlers:
    """Handlers that end when the test says so.

    Attributes:
        at_work: What each works on.
        started: What was begun so far, in order.
    """

    def __init__(self) -> None:
        self.at_work: dict[Message, asyncio.Future[None]] = {}
        self.started: list[Message] = []

    async def work(self, message: Message) -> None:
        self.started.append(message)
        ending: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.at_work[message] = ending
        try:
            await ending
            if not message.settled:
                message.ack()
        finally:
            del self.at_work[message]

    def end(self, message: Message) -> None:
        self.at_work[message].set_result(None)

    def fail(self, message: Message, error: BaseException) -> None:
        self.at_work[message].set_exception(error)

    def bodies(self) -> set[bytes]:
        return {message.body for message in self.at_work}


def by_body(message: Message) -> Hashable:
    """Have the first letter of the body for a key."""
    return message.body[:1]


async def test_one_of_a_key_waits_for_the_one_before() -> None:
    broker, handlers = Settlements(), Handlers()
    lanes = Lanes(handlers.work, by_body, 4)
    first, second = broker.deliver(b"a1"), broker.deliver(b"a2")
    lanes(first)
    lanes(second)
    await settle_down()
    assert handlers.bodies() == {b"a1"}
    handlers.end(first)
    await settle_down()
    assert handlers.bodies() == {b"a2"}
    handlers.end(second)
    await lanes.join()


async def test_keys_are_worked_on_beside_each_other_up_to_a_bound() -> None:
    broker, handlers = Settlements(), Handlers()
    lanes = Lanes(handlers.work, by_body, 2)
    for body in (b"a1", b"b1", b"c1"):
        lanes(broker.deliver(body))
    await settle_down()
    assert handlers.bodies() == {b"a1", b"b1"}
    lanes.cancel()
    await lanes.join()


async def test_a_busy_key_does_not_keep_others_from_their_turn() -> None:
    broker, handlers = Settlements(), Handlers()
    lanes = Lanes(handlers.work, by_body, 1)
    first = broker.deliver(b"a1")
    lanes(first)
    for body in (b"a2", b"a3", b"b1"):
        lanes(broker.deliver(body))
    await settle_down()
    handlers.end(first)
    await settle_down()
    assert handlers.bodies() == {b"b1"}
    lanes.cancel()
    await lanes.join()


async def test_ending_finishes_what_is_worked_on_and_gives_back_the_rest() -> None:
    broker, handlers = Settlements(), Handlers()
    lanes = Lanes(handlers.work, by_body, 2)
    messages = [broker.deliver(body) for body in (b"a1", b"a2", b"b1", b"c1")]
    for message in messages:
        lanes(message)
    await settle_down()
    joining = asyncio.ensure_future(lanes.join())
    await settle_down()
    assert not joining.done()
    for message in list(handlers.at_work):
        handlers.end(message)
    await joining
    late = broker.deliver(b"d1")
    lanes(late)
    assert broker.settled == {1: "ack", 3: "ack", 2: "nack", 4: "nack", 5: "nack"}


async def test_a_handler_may_wait_for_the_end_itself() -> None:
    broker = Settlements()

    async def work(message: Message) -> None:
        await lanes.join()
        message.ack()

    lanes = Lanes(work, by_body, 1)
    lanes(broker.deliver(b"a1"))
    lanes(broker.deliver(b"a2"))
    await settle_down()
    assert broker.settled == {1: "ack", 2: "nack"}


async def test_what_raises_goes_back_and_its_key_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker, handlers = Settlements(), Handlers()
    lanes = Lanes(handlers.work, by_body, 1)
    first, second = broker.deliver(b"a1"), broker.deliver(b"a2")
    lanes(first)
    lanes(second)
    await settle_down()
    handlers.fail(first, LookupError("nothing there"))
    await settle_down()
    assert broker.settled == {1: "reject"}
    assert handlers.bodies() == {b"a2"}
    handlers.end(second)
    await lanes.join()
    assert "was not handled and goes back" in caplog.text


async def test_what_a_lost_link_has_left_is_passed_over() -> None:
    broker, handlers = Settlements(), Handlers()
    lanes = Lanes(handlers.work, by_body, 1)
    old = [broker.deliver(body) for body in (b"a1", b"a2", b"b1")]
    for message in old:
        lanes(message)
    await settle_down()
    broker.lose_link()
    again = broker.deliver(b"a1")
    lanes(again)
    await settle_down()
    assert handlers.at_work.keys() == {old[0]}, "its copy waits, as for any of its key"
    handlers.end(old[0])
    await settle_down()
    assert handlers.at_work.keys() == {again}
    handlers.end(again)
    await lanes.join()


# --- keys --------------------------------------------------------------------------------------


def test_the_key_may_be_the_routing_key() -> None:
    assert key_of("routing_key")(delivered(routing_key="order.7")) == "order.7"


def test_the_key_may_be_a_header() -> None:
    key = key_of("header:customer")
    assert key(delivered(headers={"customer": 7})) == 7
    assert key(delivered(headers={"customer": "seven"})) == "seven"
    assert key(delivered(headers={})) is None
    assert key(delivered()) is None


def test_a_header_that_has_no_hash_is_a_key_as_well() -> None:
    key = key_of("header:who")
    one, same, other = ({"who": [each]} for each in (1, 1, 2))
    assert hash(key(delivered(headers=one))) == hash(key(delivered(headers=same)))
    assert key(delivered(headers=one)) != key(delivered(headers=other))


def test_the_key_may_be_a_function() -> None:
    assert key_of(by_body)(delivered(b"xyz")) == b"x"


@pytest.mark.parametrize("order_by", ["customer", "header:", "", "Routing_key", 7])
def test_other_words_for_a_key_are_refused(order_by: Any) -> None:
    with pytest.raises(DeclarationError, match="order_by is 'routing_key'"):
        key_of(order_by)


@pytest.mark.parametrize("key", [lambda _: 1 / 0, lambda _: []], ids=["raises", "no hash"])
async def test_messages_without_a_key_keep_their_order(
    key: Callable[[Message], Any], caplog: pytest.LogCaptureFixture
) -> None:
    broker, handlers = Settlements(), Handlers()
    lanes = Lanes(handlers.work, key, 2)
    lanes(broker.deliver(b"1"))
    lanes(broker.deliver(b"2"))
    await settle_down()
    assert handlers.bodies() == {b"1"}
    assert "order_by failed" in caplog.text
    lanes.cancel()
    await lanes.join()


def test_a_concurrency_below_one_is_refused() -> None:
    with pytest.raises(DeclarationError, match="concurrency"):
        Lanes(Handlers().work, by_body, 0)


# --- whatever happens --------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.integers(0, 3)),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.tuples(st.just("fail"), st.integers(0, 9)),
        st.tuples(st.just("cancelled"), st.integers(0, 9)),
        st.tuples(st.just("lose"), st.just(0)),
    ),
    max_size=60,
)


class Model:
    """What lanes should do, the slow way."""

    def __init__(self, concurrency: int) -> None:
        self.broker, self.handlers = Settlements(), Handlers()
        self.lanes = Lanes(self.handlers.work, by_body, concurrency)
        self.concurrency = concurrency
        self.arrived: list[Message] = []
        self.given: list[Message] = []

    def do(self, step: str, number: int) -> None:
        if step == "deliver":
            message = self.broker.deliver(b"%d" % number)
            self.arrived.append(message)
            self.given.append(message)
            self.lanes(message)
        elif step == "lose":
            self.broker.lose_link()
            self.arrived = [m for m in self.arrived if m in self.handlers.started]
        elif self.handlers.at_work:
            at_work = list(self.handlers.at_work)
            message = at_work[number % len(at_work)]
            if step == "end":
                self.handlers.end(message)
            else:
                error = LookupError() if step == "fail" else asyncio.CancelledError()
                self.handlers.fail(message, error)

    def check(self) -> None:
        keys_at_work = [by_body(message) for message in self.handlers.at_work]
        assert len(set(keys_at_work)) == len(keys_at_work), "two of a key at once"
        for number in range(4):
            key = b"%d" % number
            started = [m for m in self.handlers.started if by_body(m) == key]
            arrived = [m for m in self.arrived if by_body(m) == key]
            assert started == arrived[: len(started)], "out of order"
        waiting = [m for m in self.arrived if m not in self.handlers.started]
        keys = {by_body(m) for m in waiting} | set(keys_at_work)
        assert len(keys_at_work) == min(self.concurrency, len(keys)), "idle without need"


@trials(150)
@given(steps=STEPS, concurrency=st.integers(1, 3), cut_off=st.booleans())
def test_whatever_happens_keys_keep_their_order_and_nothing_is_forgotten(
    steps: list[tuple[str, int]], concurrency: int, cut_off: bool
) -> None:
    logging.getLogger("hopmq.app").disabled = True

    async def run() -> None:
        model = Model(concurrency)
        for step, number in steps:
            model.do(step, number)
            await settle_down()
            model.check()
        if cut_off:
            model.lanes.cancel()
            await model.lanes.join()
        else:
            joining = asyncio.ensure_future(model.lanes.join())
            for message in model.handlers.at_work:
                model.handlers.end(message)
            await joining
        assert not model.handlers.at_work
        assert not model.broker.unsettled, "forgotten"
        assert all(model.handlers.started.count(message) <= 1 for message in model.given), (
            "worked on twice"
        )

    try:
        asyncio.run(run())
    finally:
        logging.getLogger("hopmq.app").disabled = False
