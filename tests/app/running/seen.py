"""What handlers have seen, to be awaited."""

import asyncio


class Seen:
    """A list that a test waits for."""

    def __init__(self) -> None:
        self.items: list[object] = []
        self._changed = asyncio.Condition()

    async def add(self, item: object) -> None:
        async with self._changed:
            self.items.append(item)
            self._changed.notify_all()

    async def count(self, count: int) -> list[object]:
        async with self._changed, asyncio.timeout(20):
            await self._changed.wait_for(lambda: len(self.items) >= count)
        return self.items
