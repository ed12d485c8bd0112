"""The scenarios as every client with coroutines does them; an adapter says how each step is done."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

from measuring import CALLS_AT_ONCE, Deliveries, Measurement, Options, print_report, unsupported


class AsyncClient(ABC):
    """One client on one connection and channel."""

    distribution: ClassVar[str]
    """Its name on PyPI."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.measurement = Measurement()
        self.answers: dict[str, asyncio.Future[object]] = {}

    # --- what an adapter says ----------------------------------------------------------------

    @abstractmethod
    def connected(self) -> AbstractAsyncContextManager[Any]:
        """Connect, open a channel and declare the queue; close at the end."""

    @abstractmethod
    def publishing(self) -> Coroutine[Any, Any, Any]:
        """Publish one message."""

    @abstractmethod
    async def round_trip(self) -> None:
        """Ask for something that is answered behind all that was published."""

    @abstractmethod
    async def consume_without_acks(self, delivered: Callable[[], None]) -> None:
        """Begin to consume, calling `delivered` for each message."""

    @abstractmethod
    async def consume_with_acks(self, delivered: Callable[[], None]) -> None:
        """Begin to consume, acking each message before `delivered` is called."""

    @abstractmethod
    async def listen_for_answers(self) -> None:
        """Begin to consume answers, setting the futures in `answers`."""

    @abstractmethod
    def calling(self, correlation_id: str) -> Coroutine[Any, Any, Any]:
        """Publish the request of one call."""

    # --- scenarios ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Do the scenario and print its line."""
        async with self.connected():
            match self.options.scenario:
                case "publish":
                    await self.measure(self.publish)
                case "confirm-each":
                    await self.measure(self.confirm_each)
                case "confirm-window":
                    await self.measure(self.confirm_window)
                case "consume":
                    await self.consume(self.consume_without_acks)
                case "consume-ack":
                    await self.consume(self.consume_with_acks)
                case "rpc-each":
                    await self.listen_for_answers()
                    await self.measure(self.rpc_each)
                case "rpc-many":
                    await self.listen_for_answers()
                    await self.measure(self.rpc_many)
                case other:
                    unsupported(f"no scenario {other}")
            print_report(self.measurement, self.distribution)

    async def measure(self, work: Callable[[int], Awaitable[None]]) -> None:
        """Do the work for the warm-up, then for all messages with the clock running."""
        await work(self.options.warm_up)
        self.measurement.start()
        await work(self.options.count)
        self.measurement.stop(self.options.count)

    async def publish(self, count: int) -> None:
        for _ in range(count):
            await self.publishing()
        await self.round_trip()

    async def confirm_each(self, count: int) -> None:
        for _ in range(count):
            await self.timed(self.publishing())

    async def confirm_window(self, count: int) -> None:
        for size in self.options.batches(count, self.options.window):
            await asyncio.gather(*[self.publishing() for _ in range(size)])

    async def consume(self, begin: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        done = asyncio.Event()
        deliveries = Deliveries(self.options, self.measurement, done.set)
        await begin(deliveries.add)
        await done.wait()

    async def rpc_each(self, count: int) -> None:
        for number in range(count):
            await self.timed(self.call(number))

    async def rpc_many(self, count: int) -> None:
        async def caller(first: int) -> None:
            for number in range(first, count, CALLS_AT_ONCE):
                await self.timed(self.call(number))

        await asyncio.gather(*[caller(first) for first in range(CALLS_AT_ONCE)])

    # --- steps -------------------------------------------------------------------------------

    async def call(self, number: int) -> object:
        correlation_id = str(number)
        answer = self.answers[correlation_id] = asyncio.get_running_loop().create_future()
        await self.calling(correlation_id)
        return await answer

    async def timed(self, waiting: Awaitable[object]) -> None:
        begun = time.perf_counter()
        await waiting
        self.measurement.waits.append(time.perf_counter() - begun)


def main(client: type[AsyncClient]) -> None:
    """Run the client on the event loop that the command line names."""
    options = Options.parse()
    factory = None
    if options.loop == "uvloop":
        import uvloop  # an optional package

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(client(options).run())
