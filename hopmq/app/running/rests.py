"""Waits between attempts at a message, which end with what they are for."""

import asyncio

from hopmq.app.clock import Clock, sleep


class Rests:
    """What the workers of one consumer wait for before they try again where a message is."""

    def __init__(self) -> None:
        """Let them wait."""
        self._resting: set[asyncio.Task[object]] = set()
        self._are_over = False

    async def sleep(self, clock: Clock, seconds: float) -> None:
        """Wait, by `clock`; the worker is cancelled when there is no next attempt to wait for."""
        worker = asyncio.current_task()
        assert worker is not None
        if self._are_over:
            worker.cancel()
        self._resting.add(worker)
        try:
            await sleep(clock, seconds)
        finally:
            self._resting.discard(worker)

    def end(self) -> None:
        """Cancel workers that wait, and from now on those that would: what they have goes back."""
        self._are_over = True
        for worker in self._resting:
            worker.cancel()
