"""Messages in the hands of plain handlers: what settles them is done in the event loop."""

import asyncio
import threading
from typing import Annotated, Any

import pytest

from app.delivered import context_of
from app.injection.conftest import Compile
from app.settling import Settlements
from hopmq import Message
from hopmq.app import ConsumeContext
from hopmq.app.injection import Depends
from hopmq.app.threadsafe import for_thread
from hopmq.client.message import DeliveredMessage, Settling
from hopmq.core.channel import Settlement
from hopmq.errors import AlreadySettledError


class Channel(Settlements):
    """Notes down by which threads it is asked to settle."""

    def __init__(self) -> None:
        """Have been asked nothing."""
        super().__init__()
        self.threads: set[threading.Thread] = set()

    def ack(self, tag: int, multiple: bool = False) -> Settlement:
        """Acknowledge once."""
        self.threads.add(threading.current_thread())
        if tag not in self.unsettled:
            raise AlreadySettledError("it was settled before")
        return super().ack(tag, multiple)

    def nack(self, tag: int, multiple: bool = False, requeue: bool = True) -> Settlement:
        """See `Settling`."""
        self.threads.add(threading.current_thread())
        return super().nack(tag, multiple, requeue)

    def reject(self, tag: int, requeue: bool = True) -> Settlement:
        """See `Settling`."""
        self.threads.add(threading.current_thread())
        return super().reject(tag, requeue)


def deliver(channel: Settlements) -> DeliveredMessage:
    """Return the next message of a channel."""
    message = channel.deliver(b"5")
    assert isinstance(message, DeliveredMessage)
    return message


@pytest.mark.parametrize(
    "settle, how",
    [
        (lambda message: message.ack(), "ack"),
        (lambda message: message.nack(), "nack"),
        (lambda message: message.nack(requeue=False), "drop"),
        (lambda message: message.reject(requeue=True), "reject"),
        (lambda message: message.reject(), "drop"),
    ],
)
async def test_a_thread_has_its_message_settled_by_the_event_loop(
    compiled: Compile, settle: Any, how: str
) -> None:
    channel = Channel()

    def handler(message: Message) -> tuple[bool, Settlement, bool]:
        return message.settled, settle(message), message.settled

    message = deliver(channel)
    assert await compiled(handler)(context_of(message)) == (False, Settlement.SENT, True)
    assert channel.settled == {message.delivery_tag: how}
    assert channel.threads == {threading.current_thread()}


async def test_the_message_may_come_by_the_context_or_a_dependency(compiled: Compile) -> None:
    channel = Channel()

    def same(message: Message) -> Message:
        return message

    def handler(context: ConsumeContext, message: Annotated[Message, Depends(same)]) -> None:
        context.state["seen"] = message.body
        context.message.ack()
        assert message.settled

    context = context_of(deliver(channel))
    await compiled(handler)(context)
    assert channel.threads == {threading.current_thread()}
    assert context.state == {"seen": b"5"}


async def test_all_messages_of_a_batch_are_settled_by_the_event_loop(compiled: Compile) -> None:
    channel = Channel()

    def handler(messages: list[Message]) -> None:
        for each in messages:
            each.ack()

    await compiled(handler, batch=True)(context_of(deliver(channel), deliver(channel)))
    assert list(channel.settled.values()) == ["ack", "ack"]
    assert channel.threads == {threading.current_thread()}


async def test_what_settling_raises_is_raised_in_the_thread(compiled: Compile) -> None:
    def handler(message: Message) -> str:
        message.ack()
        with pytest.raises(AlreadySettledError) as caught:
            message.ack()
        return str(caught.value)

    text = await compiled(handler)(context_of(deliver(Channel())))
    assert text == "it was settled before"


async def test_the_copy_is_what_the_message_is(compiled: Compile) -> None:
    message = Settlements().deliver(b"5", routing_key="key", headers={"x": 1})

    def handler(copy: Message) -> tuple[Any, ...]:
        return copy.body, copy.routing_key, copy.headers, copy.delivery_tag, type(copy)

    assert isinstance(message, DeliveredMessage)
    assert await compiled(handler)(context_of(message)) == (
        b"5",
        "key",
        {"x": 1},
        message.delivery_tag,
        type(message),
    )


async def test_a_message_whose_link_is_lost_meanwhile_is_settled_as_it_then_is(
    compiled: Compile,
) -> None:
    message, later = deliver(Channel()), Channel()
    later.unsettled.add(message.delivery_tag)
    at_work, may_settle = threading.Event(), threading.Event()

    def handler(message: Message) -> None:
        at_work.set()
        assert may_settle.wait(20)
        message.ack()

    handling = asyncio.ensure_future(compiled(handler)(context_of(message)))
    assert await asyncio.to_thread(at_work.wait, 20)
    instead: Settling = later
    message.context = instead
    may_settle.set()
    await asyncio.wait_for(handling, 20)
    assert later.settled == {message.delivery_tag: "ack"}


def test_when_the_loop_has_ended_nothing_is_sent() -> None:
    channel = Channel()

    async def context() -> ConsumeContext:
        return for_thread(context_of(deliver(channel)))

    message = asyncio.run(context()).message
    assert message.ack() is Settlement.STALE
    assert not channel.settled
