"""One run of an application: everything between its start and its end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from typing import Final

from hopmq.app.asking import Asker
from hopmq.app.injection import AppScope
from hopmq.app.loop_calls import LoopCalls
from hopmq.app.messaging import Messaging
from hopmq.app.rpc import RpcClient
from hopmq.app.running.consumer import RunningConsumer, consumer_at_work
from hopmq.app.running.hooks import Hooks
from hopmq.app.running.settings import RunSettings
from hopmq.app.running.threads import HandlerThreads
from hopmq.app.running.workshop import Workshop
from hopmq.app.sending import Sender

logger: logging.Logger = logging.getLogger("hopmq.app")

_LEAST: Final = 1.0
_MOST: Final = 5.0
"""Seconds that connections have to close, at least and at most: whatever handlers have used up, and
although messages are unsettled that nobody is left to settle."""


class Run:
    """What an application has and does from its start to its end.

    Attributes:
        hooks: What is called at its start and at its end.
        consumers: Its consumers and endpoints, by name.
        messaging: The pool or connection, once it is open.
        sender: What publishes, from then on.
        asker: What asks endpoints, from then on.
        loop_calls: What threads have done by its event loop.
    """

    messaging: Messaging
    sender: Sender
    asker: Asker

    def __init__(self, settings: RunSettings) -> None:
        """Prepare to run; handlers are looked at when it connects."""
        self._settings = settings
        self._scope = AppScope({type(settings.app): settings.app})
        self._threads = HandlerThreads(settings.threads, "hopmq handler")
        self._rpc: RpcClient | None = None
        self.loop_calls: LoopCalls = LoopCalls()
        self._askers: dict[str, set[RunningConsumer | None]] = {
            each.queue.name: set() for each in settings.endpoints
        }
        self._has_ended = asyncio.Event()
        self.hooks: Hooks = settings.hooks
        self.consumers: dict[str, RunningConsumer] = {}

    async def connect(self) -> None:
        """Look at the handlers, connect, and declare.

        Raises:
            DeclarationError: A handler or a dependency cannot work as it is declared.
            HopMQError: The broker cannot be connected to, or refused a declaration.
        """
        settings = self._settings
        workshop = Workshop(settings, self._scope, self._threads)
        messaging = self.messaging = await settings.source.open()
        self.sender = Sender(
            messaging,
            settings.serialization,
            settings.publish_middleware,
            settings.clock,
            settings.app,
            self.loop_calls,
        )
        self._rpc = RpcClient(
            messaging,
            clock=settings.clock,
            default_timeout=settings.request_timeout,
            errors=settings.errors,
        )
        self.asker = Asker(
            self._rpc,
            settings.serialization,
            settings.publish_middleware,
            settings.app,
            self.loop_calls,
            self._note_asker,
        )
        self.consumers = await workshop.consumers(messaging)

    async def open_dependencies(self) -> None:
        """Make what dependencies of scope `app` give; what they raise is raised."""
        await self._scope.open()

    async def consume(self) -> None:
        """Begin to consume.

        Raises:
            HopMQError: The broker refused.
        """
        for consumer in self.consumers.values():
            await consumer.start()

    async def wait_over(self) -> None:
        """Wait until it has ended; raise why it cannot go on, if that comes first.

        Raises:
            ConnectionClosed: The connection has ended for good.
        """
        failed = asyncio.create_task(self._settings.source.wait_ended())
        ended = asyncio.create_task(self._has_ended.wait())
        try:
            await asyncio.wait((failed, ended), return_when=asyncio.FIRST_COMPLETED)
            if failed.done() and not ended.done():
                raise failed.result().again()
        finally:
            failed.cancel()
            ended.cancel()

    def way_back_to(self, queue: str) -> str | None:
        """Return the exchange that gives messages back to a group's partitions or members; else None."""
        for each in self._settings.consumers:
            group, place = each.group, each.place
            if group is None or group.has_one_queue or place.queue.name != queue:
                continue
            assert place.exchange is not None
            return group.exchange_name(place.exchange.name)
        return None

    async def end(self, within: float) -> None:
        """Stop consumers, let handlers finish, leave what hooks have begun, and close.

        Each of these is done, in this order, whatever becomes of those before it: when `within`
        seconds are over, what is left has a second each.
        """
        deadline = asyncio.get_running_loop().time() + within
        async with AsyncExitStack() as last:
            last.callback(self._has_ended.set)
            last.callback(self._threads.shutdown, wait=False, cancel_futures=True)
            last.callback(self.loop_calls.close)
            last.push_async_callback(self._close, deadline)
            for step in reversed((*self.hooks.leaving(), self._scope.close)):
                last.push_async_callback(_bounded, step, deadline)
            await self._end_handlers(deadline, within)

    async def _end_handlers(self, deadline: float, within: float) -> None:
        try:
            for together in self._as_they_stop():
                await _stop(together, deadline, within)
                deadline = max(deadline, asyncio.get_running_loop().time() + _LEAST)
        except asyncio.CancelledError:
            await _cut_off(self.consumers.values())
            raise

    def _as_they_stop(self) -> Iterator[set[RunningConsumer]]:
        """Yield those that stop together: consumers, then endpoints, each behind those that ask it.

        Which these are, is what has been seen until then. Those that ask in a circle stop at once.
        """
        endpoints = {each for each in self.consumers.values() if each.queue in self._askers}
        if consumers := set(self.consumers.values()) - endpoints:
            yield consumers
        while endpoints:
            unasked = {
                each for each in endpoints if not self._askers[each.queue] & (endpoints - {each})
            }
            together = unasked or endpoints
            yield together
            endpoints = endpoints - together

    def _note_asker(self, endpoint: str) -> None:
        if endpoint in self._askers:
            self._askers[endpoint].add(consumer_at_work())

    async def _close(self, deadline: float) -> None:
        try:
            if self._rpc is not None:
                await self._rpc.close()
        finally:
            left = deadline - asyncio.get_running_loop().time()
            await self._settings.source.close(min(max(left, _LEAST), _MOST))


async def _stop(consumers: Iterable[RunningConsumer], deadline: float, within: float) -> None:
    """Have their handlers finish, or cut them off where the deadline comes first."""
    try:
        async with asyncio.timeout_at(deadline):
            await asyncio.gather(*(each.stop() for each in consumers))
    except TimeoutError:
        logger.warning("handlers have not finished within %g seconds: cut off", within)
        await _cut_off(consumers)


async def _cut_off(consumers: Iterable[RunningConsumer]) -> None:
    await asyncio.gather(*(each.cut_off(_LEAST) for each in consumers))


async def _bounded(step: Callable[[], Awaitable[None]], deadline: float) -> None:
    """Do a step of the user's until the deadline, or for a second where that is later."""
    now = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout_at(max(deadline, now + _LEAST)) as bound:
            await step()
    except TimeoutError:
        if not bound.expired():
            raise
        logger.warning("%r has not ended in time: cut off", step)
