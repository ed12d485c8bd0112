"""Order by key and batches of applications whose link is lost now and then."""

import asyncio
from collections import defaultdict

from hopmq import Message, Pool, Properties, Queue, Recovery
from hopmq.app import App, Batch
from hopmq.resilience import Constant as ConstantBackoff
from hopmq.testing import FaultProxy

QUICKLY = Recovery(backoff=ConstantBackoff(0.01), refusal_delay=0.01)
KEYS = 5
EACH = 40


async def publish(url: str, queue: str) -> None:
    """Publish numbered messages of some keys."""
    async with Pool(url) as pool, pool.channel() as channel:
        await pool.declare_queue(Queue.quorum(queue))
        for number in range(1, EACH + 1):
            for key in range(KEYS):
                properties = Properties(headers={"key": f"key {key}"})
                channel.publish_nowait(b"%d" % number, routing_key=queue, properties=properties)


async def test_a_key_is_at_one_handler_at_a_time_and_in_order(amqp_url: str, cleaned: str) -> None:
    """Also while a handler goes on whose message is delivered again."""
    done: dict[str, int] = defaultdict(int)
    at_work: set[str] = set()
    faults: list[str] = []
    await publish(amqp_url, cleaned)
    async with FaultProxy(amqp_url) as proxy, Pool(proxy.url, recovery=QUICKLY) as pool:
        app = App(pool)

        @app.consumer(
            Queue.quorum(cleaned), order_by="header:key", concurrency=3, prefetch=20, name="ordered"
        )
        async def handle(message: Message) -> None:
            key, number = str(message.headers["key"]), int(message.body)
            if key in at_work or number > done[key] + 1:
                faults.append(f"{key} {number}, after {done[key]}, of {at_work}")
            at_work.add(key)
            await asyncio.sleep(0.001)
            at_work.discard(key)
            done[key] = number

        losses = 0
        async with app:
            while min(done.values(), default=0) < EACH:
                lost = proxy.cut("Basic.Ack", nth=12, direction="to_broker")
                while not lost.hits and min(done.values(), default=0) < EACH:
                    await asyncio.sleep(0.001)
                losses += lost.hits
    assert losses > 1
    assert faults == []
    assert set(done.values()) == {EACH}


async def test_batches_lose_nothing(amqp_url: str, cleaned: str) -> None:
    got: set[tuple[str, int]] = set()
    sizes: list[int] = []
    await publish(amqp_url, cleaned)
    async with FaultProxy(amqp_url) as proxy, Pool(proxy.url, recovery=QUICKLY) as pool:
        app = App(pool)

        @app.consumer(Queue.quorum(cleaned), batch=Batch(7, seconds=0.01), prefetch=30)
        async def handle(messages: list[Message]) -> None:
            await asyncio.sleep(0.001)
            sizes.append(len(messages))
            got.update((str(each.headers["key"]), int(each.body)) for each in messages)

        losses = 0
        async with app:
            while len(got) < KEYS * EACH:
                lost = proxy.cut("Basic.Ack", nth=5, direction="to_broker")
                while not lost.hits and len(got) < KEYS * EACH:
                    await asyncio.sleep(0.001)
                losses += lost.hits
    assert losses > 1
    assert max(sizes) == 7
