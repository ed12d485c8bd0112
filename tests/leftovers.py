"""Tests that leave a task behind, or something that asyncio complains about, fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

_LOOKS = 2000


@asynccontextmanager
async def nothing_left_behind() -> AsyncIterator[None]:
    """Hold that the tasks of this loop are those of before, and that it had no complaints."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    known = set(asyncio.all_tasks())
    yield
    for _ in range(_LOOKS):
        if not _tasks(known):
            break
        await asyncio.sleep(0.005)  # a closing socket has something left to do
    loop.set_exception_handler(before)
    assert not _tasks(known)
    assert not complaints


def _tasks(known: set[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    """List the tasks of this loop that are not those of the test runner."""
    new = asyncio.all_tasks() - known
    return [task for task in new if "TestRunner" not in repr(task.get_coro())]
