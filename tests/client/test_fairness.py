"""A busy publisher leaves the event loop to others."""

import asyncio

import pytest

from hopmq import Connection


@pytest.mark.parametrize("many", [False, True], ids=["publish", "publish_many"])
async def test_a_publisher_without_confirms_lets_other_tasks_run(
    connection: Connection, queue: str, many: bool
) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with connection.channel(confirms=False) as channel:
        counting = asyncio.create_task(count_turns())
        if many:
            await channel.publish_many([b"x" * 1024] * 3000, routing_key=queue)
        else:
            for _ in range(3000):
                await channel.publish(b"x" * 1024, routing_key=queue)
        counting.cancel()
    # 3 MB are a dozen times what one turn of the loop may queue.
    assert turns >= 10
