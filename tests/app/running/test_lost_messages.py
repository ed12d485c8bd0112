"""Messages that are tried again in place, while the broker takes them back."""

import asyncio

import pytest

from app.running.in_place import handling
from app.settling import Settlements
from hopmq.app import Constant, Retry
from hopmq.app.context import ConsumeContext
from hopmq.client.message import Message


@pytest.mark.parametrize("backoff", [Constant(0), Constant(0.001)])
async def test_a_message_that_the_broker_took_back_is_not_tried_again(backoff: Constant) -> None:
    """Another member may be at work on it, or on those that follow it."""
    broker, attempts = Settlements(), 0

    async def call(context: ConsumeContext) -> None:
        nonlocal attempts
        attempts += 1
        broker.lose_link()
        raise LookupError

    await handling(call, Retry(attempts=5, backoff=backoff)).one(broker.deliver())
    assert attempts == 1


async def test_one_that_is_still_ours_is() -> None:
    broker, attempts = Settlements(), 0

    async def call(context: ConsumeContext) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise LookupError

    message: Message = broker.deliver()
    async with asyncio.timeout(10):
        await handling(call, Retry(attempts=5, backoff=Constant(0.001))).one(message)
    assert (attempts, broker.settled) == (3, {1: "ack"})
