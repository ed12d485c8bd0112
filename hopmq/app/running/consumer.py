"""A consumer of an application while it runs: paused, resumed, and brought back when it ends."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final, Literal, Protocol

from hopmq.app.context import attempt_of
from hopmq.app.error_text import text_of
from hopmq.app.running.rests import Rests
from hopmq.client.message import Message
from hopmq.client.workers import is_worker
from hopmq.errors import HopMQError, UsageError
from hopmq.resilience.backoff import Backoff, Exponential

logger: logging.Logger = logging.getLogger("hopmq.app")

ConsumerState = Literal["new", "running", "probing", "paused", "restarting", "stopped"]

_BACKOFF: Final = Exponential(0.5, 30.0)


_of_worker: Final[ContextVar["RunningConsumer | None"]] = ContextVar("hopmq_consumer", default=None)
"""The consumer whose handler runs, or has begun what runs."""


def consumer_at_work() -> "RunningConsumer | None":
    """Return the consumer whose handler runs, or has begun what runs; None where it is no handler."""
    return _of_worker.get()


class Reading(Protocol):
    """What takes messages from the broker for a consumer, once."""

    @property
    def collected(self) -> int:
        """How many messages wait here for others to make a batch with."""

    @property
    def is_interrupted(self) -> bool:
        """Whether it waits to be restored, with a connection or a queue."""

    async def start(self) -> None:
        """Take messages from now on."""

    async def stop(self) -> None:
        """Take no more; return when what is in hand is finished."""

    def cut_off(self) -> None:
        """Cancel what is in hand, which `stop` waits for."""

    async def wait_stopped(self) -> None:
        """Wait until no more messages come; raise why, unless it was stopped."""


class RunningConsumer:
    """A consumer, or an endpoint, of an application that runs: `app.consumers["orders"]`.

    Attributes:
        attempt_of: Says which attempt a delivery is, from 1.
    """

    def __init__(
        self,
        name: str,
        queue: str,
        read: Callable[[bool], Reading],
        prepare: Callable[[], Awaitable[None]],
        attempt_of: Callable[[Message], int] = attempt_of,
        backoff: Backoff = _BACKOFF,
        handler: str | None = None,
        rests: Rests | None = None,
    ) -> None:
        """Read by what `read` returns, a new one each time; `prepare` what that needs before.

        `read` is told whether it shall take one message at a time. `handler` is what is shown of it.
        `rests` end when it has stopped.
        """
        self._name = name
        self._queue = queue
        self._read = read
        self._prepare = prepare
        self.attempt_of: Callable[[Message], int] = attempt_of
        self._rests = rests or Rests()
        self._backoff = backoff
        self._handler = handler
        self._why_ended = ""
        self._state: ConsumerState = "new"
        self._wishes: dict[object, ConsumerState] = {}
        self._probes = False
        self._is_over = False
        self._changing = asyncio.Lock()
        self._reading: Reading | None = None
        self._ending: set[Reading] = set()
        self._stopping: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        """Show name and state."""
        return f"<RunningConsumer {self._name!r} {self._state}>"

    @property
    def name(self) -> str:
        """What the application calls it."""
        return self._name

    @property
    def queue(self) -> str:
        """The queue it reads."""
        return self._queue

    @property
    def state(self) -> ConsumerState:
        """`new`, `running`, `probing`, `paused`, `restarting` or `stopped`."""
        return self._state

    @property
    def is_paused(self) -> bool:
        """Whether it takes no messages for now."""
        return self._state == "paused"

    @property
    def collected(self) -> int:
        """How many messages wait for others to make a batch with."""
        return 0 if self._reading is None else self._reading.collected

    @property
    def absence(self) -> str | None:
        """A sentence that says why it gets no messages although it should; None while it does."""
        if self._state == "restarting":
            return f"{self._shown()} has ended and is not back yet: {self._why_ended}"
        if self._reading is not None and self._reading.is_interrupted:
            return f"{self._shown()} is lost and being restored"
        return None

    async def start(self) -> None:
        """Take messages from now on.

        Raises:
            HopMQError: The broker refused.
        """
        async with self._changing:
            if self._state != "new":
                return
            if self._wanted == "paused":
                self._state = "paused"
            else:
                await self._begin()

    async def pause(self, by: object = None) -> None:
        """Take no more messages; those that handlers have are finished, the rest goes back.

        Does not wait for handlers, so that one may pause its own consumer. Idempotent.

        Args:
            by: Who wants it, where that is not the only one: the consumer goes on when each who
                has paused it has resumed it.
        """
        self._wishes[by] = "paused"
        if self.is_own_handler and self.is_paused:
            return  # whoever is about to resume it waits for this handler, and asks again then
        async with self._changing:
            if self._wanted == "paused" and not self._is_as_wanted:
                await self._end("paused")

    async def probe(self, by: object = None) -> None:
        """Take messages one at a time, until it is resumed or paused again; only while paused.

        Args:
            by: Who has paused it.

        Raises:
            UsageError: As of `resume`.
            HopMQError: The broker refused; the consumer is paused still.
        """
        self._check_caller()
        if by in self._wishes:
            self._wishes[by] = "probing"
            await self._comply()

    async def resume(self, by: object = None) -> None:
        """Take messages again, once handlers from before the pause have finished. Idempotent.

        Does nothing while somebody else wants a pause, such as a `CircuitBreaker`.

        Args:
            by: Who has paused it.

        Raises:
            UsageError: One of these handlers asks, which would wait for itself.
            HopMQError: The broker refused; the consumer is paused still.
        """
        if self._state != "running":
            self._check_caller()
        self._wishes.pop(by, None)
        if not self.is_own_handler:
            await self._comply()

    async def stop(self) -> None:
        """Take no more messages, for good; return when handlers have finished."""
        self._is_over = True
        async with self._changing:
            if self._state != "stopped":
                await self._end("stopped")
        self._rests.end()  # not before all else has gone back, which would overtake
        await self._stopped()

    async def cut_off(self, within: float) -> None:
        """Cancel handlers that `stop` waits for in vain; wait for their end, `within` so many seconds."""
        for reading in (*self._ending, self._reading):
            if reading is not None:
                reading.cut_off()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self.stop()  # which may have waited for its turn, behind a resume

    @property
    def is_own_handler(self) -> bool:
        """Whether it is one of its own handlers that asks."""
        return is_worker() and _of_worker.get() is self

    # --- inside ------------------------------------------------------------------------------

    def _shown(self) -> str:
        """Name it by all that its user may know it by."""
        queue = None if self._name == self._queue else f"queue {self._queue!r}"
        handler = None if self._handler is None else f"handler {self._handler}"
        details = ", ".join(filter(None, (queue, handler)))
        return f"consumer {self._name!r} ({details})" if details else f"consumer {self._name!r}"

    def _check_caller(self) -> None:
        if self.is_own_handler:
            raise UsageError(
                f"consumer {self._name!r} goes on once its handlers have finished, and one of them "
                "cannot wait for that: have a task of its own do it"
            )

    @property
    def _wanted(self) -> ConsumerState:
        """What all agree to: whoever wants the least has it."""
        wishes = self._wishes.values()
        return "paused" if "paused" in wishes else "probing" if wishes else "running"

    @property
    def _is_as_wanted(self) -> bool:
        if self._state == "restarting":
            return self._wanted != "paused"  # and it comes back as it is wanted
        return self._state in {self._wanted, "new", "stopped"}

    async def _comply(self) -> None:
        """Be as it is wanted, by those too who change their minds meanwhile; may wait for handlers."""
        async with self._changing:
            while not (self._is_as_wanted or self._is_over):
                if self._state == "paused":
                    await self._begin_again()
                else:
                    await self._end("paused")

    async def _begin_again(self) -> None:
        await self._stopped()
        if not (self._is_over or self._wanted == "paused"):
            await self._prepare()  # the queue may have gone, as one that lives by its consumers
            await self._begin()

    async def _begin(self) -> None:
        reading = await self._new_reading()
        self._has_begun(reading)
        self._watching = asyncio.create_task(
            self._watch(reading), name=f"hopmq consumer {self._name}"
        )

    async def _new_reading(self) -> Reading:
        self._probes = self._wanted == "probing"
        before = _of_worker.set(self)  # workers have the context in which their consumer begins
        try:
            reading = self._read(self._probes)
            await reading.start()
        finally:
            _of_worker.reset(before)
        return reading

    def _has_begun(self, reading: Reading) -> None:
        self._reading = reading
        self._state = "probing" if self._probes else "running"

    async def _end(self, state: ConsumerState) -> None:
        self._state = state
        reading, self._reading = self._reading, None
        if self._watching is not None:
            self._watching.cancel()
        if reading is not None:
            # All of it at once: whoever ends it may be cancelled from here on.
            self._ending.add(reading)
            self._stopping = asyncio.create_task(
                self._stop_after(self._watching, reading, self._stopping)
            )
            with contextlib.suppress(Exception):  # why it had ended counts no more
                await reading.wait_stopped()

    async def _stop_after(
        self,
        watching: asyncio.Task[None] | None,
        reading: Reading,
        before: asyncio.Task[None] | None,
    ) -> None:
        if watching is not None:
            await asyncio.wait([watching])
        await self._stop(reading)
        if before is not None:
            await asyncio.wait([before])

    async def _stop(self, reading: Reading) -> None:
        self._ending.add(reading)
        try:
            await reading.stop()
        except HopMQError as error:
            logger.info("consumer %r: %s", self._name, error)
        except Exception:  # whatever it is, it shall be told, and a task goes on
            logger.exception("consumer %r did not stop in order", self._name)
        finally:
            self._ending.discard(reading)

    async def _stopped(self) -> None:
        if self._stopping is not None:
            await asyncio.wait([self._stopping])

    async def _watch(self, reading: Reading) -> None:
        """Bring the consumer back whenever it has ended by itself."""
        failures = 0
        while True:
            try:
                await reading.wait_stopped()
                reason: Exception | str = "its connection is being drained"
            except Exception as error:  # whatever it is, the consumer is wanted
                reason = error
            self._why_ended = _said(reason)
            self._state = "restarting"
            await self._stop(reading)
            while True:
                pause = self._backoff.delay(failures) or 0.0
                logger.warning(
                    "consumer %r has ended and starts again in %.1f seconds: %s",
                    self._name,
                    pause,
                    self._why_ended,
                    exc_info=None if isinstance(reason, HopMQError | str) else reason,
                )
                await asyncio.sleep(pause)
                failures += 1
                try:
                    await self._prepare()
                    reading = await self._new_reading()
                except Exception as error:
                    reason = error
                    self._why_ended = _said(reason)
                else:
                    break
            failures = 0
            self._has_begun(reading)


def _said(reason: Exception | str) -> str:
    return reason if isinstance(reason, str) else text_of(reason)
