"""In which turn of the event loop it is written what somebody has to send who was waiting."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hopmq import Channel, Connection, Message


class Look:
    """Looks, at the beginning of the next turn, at what has been left unwritten.

    Attributes:
        unwritten: What was there, when it has looked.
    """

    def __init__(self, connection: Connection) -> None:
        self._core = connection._core
        self.unwritten: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()

    def in_next_turn(self) -> None:
        asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        if not self.unwritten.done():
            self.unwritten.set_result([*self._core.out, *self._core._with_acks])


async def test_a_publish_after_an_awaited_confirm_leaves_in_its_turn(
    connection: Connection, channel: Channel, queue: str
) -> None:
    look = Look(connection)
    await channel.publish(b"1", routing_key=queue)
    look.in_next_turn()
    await channel.publish(b"2", routing_key=queue)
    assert look.unwritten.result() == []


def _callback(handle: Callable[[Message], None]) -> Callable[[Message], None]:
    return lambda message: handle(message)


def _coroutine(handle: Callable[[Message], None]) -> Callable[[Message], Awaitable[None]]:
    async def run(message: Message) -> None:
        handle(message)

    return run


@pytest.mark.parametrize("kind", [_callback, _coroutine])
async def test_an_ack_leaves_in_the_turn_in_which_its_handler_runs(
    connection: Connection,
    channel: Channel,
    other: Connection,
    queue: str,
    kind: Callable[[Callable[[Message], None]], Callable[[Message], Awaitable[None] | None]],
) -> None:
    look, begun = Look(connection), asyncio.Event()

    def handle(message: Message) -> None:
        if begun.is_set():
            look.in_next_turn()
        begun.set()
        message.ack()

    publisher = await other.channel()
    async with channel.consume(queue, kind(handle)):
        await publisher.publish(b"the tasks of a consumer begin with its first", routing_key=queue)
        await begun.wait()
        await publisher.publish(b"", routing_key=queue)
        assert await look.unwritten == []
