"""Calls under way while a broker restarts or dies."""

import asyncio
from collections.abc import Callable
from itertools import count

import pytest

from app.rpc.conftest import echo, opened, served
from hopmq import Pool
from hopmq.app.errors import CallNotSentError, CallTimeoutError, CallUnknownError
from hopmq.app.rpc import RpcClient
from hopmq.testing import RabbitMQ

ENOUGH = 80.0
"""Seconds that a broker may take to come back."""

LATE = 1.0
"""Seconds by which a call may end behind a timer of the event loop's own."""


async def callers(
    client: RpcClient, queue: str, over: asyncio.Event, *, within: float, idempotent: bool
) -> list[str]:
    """Call without end; return how all calls went that did not bring their reply."""
    loop, numbers, failed = asyncio.get_running_loop(), count(), []

    async def call_on() -> None:
        while not over.is_set():
            body, due = b"%d" % next(numbers), loop.time() + within
            turns: list[float] = []  # when a timer of that moment has its turn, if it has
            timer = loop.call_at(due, lambda turns=turns: turns.append(loop.time()))
            try:
                reply = await client.call(
                    body, routing_key=queue, timeout=within, idempotent=idempotent
                )
            except (CallUnknownError, CallNotSentError, CallTimeoutError) as error:
                failed.append(type(error).__name__)
            else:
                assert reply.body == body
            timer.cancel()
            assert loop.time() < max([due, *turns]) + LATE

    await asyncio.gather(*(call_on() for _ in range(20)))
    return failed


@pytest.mark.parametrize("how", [RabbitMQ.restart, lambda node: (node.kill(), node.start())])
async def test_every_call_ends_in_time_and_idempotent_ones_succeed(
    own_rabbitmq: RabbitMQ, name: str, how: Callable[[RabbitMQ], object]
) -> None:
    async with opened(own_rabbitmq.url) as worker, opened(own_rabbitmq.url) as pool:
        await worker.declare_queue(name)
        async with served(worker, name, echo), RpcClient(pool) as client:
            over = asyncio.Event()
            calling = [
                asyncio.create_task(callers(client, name, over, within=seconds, idempotent=is_))
                for seconds, is_ in ((ENOUGH, True), (10.0, False), (0.5, False))
            ]
            await client.call(b"", routing_key=name)
            await asyncio.to_thread(how, own_rabbitmq)
            assert (await client.call(b"x", routing_key=name, timeout=ENOUGH)).body == b"x"
            over.set()
            idempotent, patient, impatient = await asyncio.gather(*calling)
    assert idempotent == []
    # While 4.0.5 starts, it takes requests and loses the replies to them.
    assert set(patient) <= {"CallUnknownError", "CallTimeoutError"}
    assert "CallTimeoutError" in impatient


async def test_a_server_that_restarts_costs_no_call_more_than_its_time(
    own_rabbitmq: RabbitMQ, name: str
) -> None:
    """Requests that a worker had when it went are another's."""
    async with opened(own_rabbitmq.url) as pool, RpcClient(pool) as client:
        await pool.declare_queue(name)
        calls: list[asyncio.Task[object]] = []
        for _ in range(3):
            worker: Pool
            async with opened(own_rabbitmq.url) as worker:
                calls += [
                    asyncio.create_task(client.call(b"%d" % n, routing_key=name, timeout=ENOUGH))
                    for n in range(50)
                ]
                async with served(worker, name, echo, concurrency=1):
                    await calls[-40]
        async with opened(own_rabbitmq.url) as worker, served(worker, name, echo):
            await asyncio.gather(*calls)
