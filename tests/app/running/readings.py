"""Readings that take nothing, for consumers without a broker."""

import asyncio


class Reading:
    """Takes nothing, and ends when it is told to."""

    def __init__(self, probes: bool) -> None:
        self.probes = probes
        self.is_started = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    collected = 0

    async def start(self) -> None:
        self.is_started = True

    async def stop(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    async def wait_stopped(self) -> None:
        await asyncio.shield(self.ended)

    def cut_off(self) -> None:
        """Nothing is at work."""


class Readings:
    """Makes them, and keeps them."""

    def __init__(self) -> None:
        self.made: list[Reading] = []
        self.may_prepare = asyncio.Event()
        self.may_prepare.set()
        self.refusals: list[Exception] = []

    def __call__(self, probes: bool) -> Reading:
        self.made.append(Reading(probes))
        return self.made[-1]

    async def prepare(self) -> None:
        await self.may_prepare.wait()
        if self.refusals:
            raise self.refusals.pop()
