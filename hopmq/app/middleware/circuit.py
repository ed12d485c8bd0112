"""Consumers that pause while whatever their handler needs is broken."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal
from weakref import WeakKeyDictionary

from hopmq.app.clock import Clock
from hopmq.app.context import ConsumeContext, PausableConsumer
from hopmq.app.errors import PayloadError
from hopmq.app.middleware.outcomes import RecentOutcomes
from hopmq.app.middleware.ticking import Ticking
from hopmq.app.retry import Postpone, Verdict
from hopmq.errors import HopMQError, UsageError

logger: logging.Logger = logging.getLogger("hopmq.app")

CircuitState = Literal["closed", "open", "probing"]


class CircuitBreaker(Ticking):
    """Pause a consumer whose handler keeps failing, instead of failing every message it gets.

    Closed, messages pass and their outcomes are counted. When enough of those of the last `window`
    seconds have failed, the circuit opens: the consumer is paused, what it has not begun goes back
    to the queue, and what it is handed all the same is put off without counting as an attempt.
    After `pause` seconds the consumer takes one message at a time; the first that is handled well
    closes the circuit, and one that fails opens it again.

    Each consumer has a circuit of its own. Decisions of a handler, such as `Park`, and payloads
    that cannot be read are no failures: they say nothing about what the handler needs.
    """

    def __init__(
        self,
        *,
        failures: int = 5,
        ratio: float = 0.5,
        window: float = 30.0,
        pause: float = 30.0,
        on: tuple[type[BaseException], ...] = (Exception,),
        clock: Clock | None = None,
    ) -> None:
        """Describe it.

        Args:
            failures: How many messages must have failed, at least.
            ratio: Which part of all messages must have failed, at least.
            window: Seconds that an outcome counts.
            pause: Seconds until it is tried whether things are well again.
            on: Which exceptions count.
            clock: Where time comes from; the application's by default.

        Raises:
            UsageError: A bound that cannot be meant.
        """
        if not (failures >= 1 and 0 < ratio <= 1 and window > 0 and pause > 0):
            raise UsageError("failures >= 1, 0 < ratio <= 1, window > 0 and pause > 0")
        super().__init__(clock)
        self._failures = failures
        self._ratio = ratio
        self._window = window
        self._pause = pause
        self._on = on
        self._circuits: WeakKeyDictionary[PausableConsumer, _Circuit] = WeakKeyDictionary()

    def state_of(self, consumer: PausableConsumer) -> CircuitState:
        """Return how the circuit of a consumer stands: `closed`, `open` or `probing`."""
        circuit = self._circuits.get(consumer)
        return "closed" if circuit is None else circuit.state

    async def __call__(
        self, context: ConsumeContext, call_next: Callable[[ConsumeContext], Awaitable[Any]], /
    ) -> Any:
        """Handle, and count how it ended."""
        circuit = self._circuits.get(context.consumer)
        if circuit is None:
            circuit = self._circuits[context.consumer] = _Circuit(
                self.clock_of(context.app),
                RecentOutcomes(self._window),
                failures=self._failures,
                ratio=self._ratio,
                pause=self._pause,
            )
        circuit.admit()
        try:
            result = await call_next(context)
        except BaseException as error:
            if isinstance(error, self._on) and not isinstance(error, Verdict | PayloadError):
                circuit.failed(context.consumer)
            else:
                circuit.abstained()
            raise
        circuit.succeeded(context.consumer)
        return result


class _Circuit:
    """The circuit of one consumer, which it does not keep alive."""

    def __init__(
        self,
        clock: Clock,
        outcomes: RecentOutcomes,
        *,
        failures: int,
        ratio: float,
        pause: float,
    ) -> None:
        """Be closed."""
        self.state: CircuitState = "closed"
        self._clock = clock
        self._outcomes = outcomes
        self._failures = failures
        self._ratio = ratio
        self._pause = pause
        self._opened_at = 0.0
        self._has_probe = False
        self._turn = asyncio.Lock()
        self._steering: set[asyncio.Task[None]] = set()

    def admit(self) -> None:
        """Let a message pass.

        Raises:
            Postpone: Not now.
        """
        if self.state == "closed":
            return
        if self.state == "probing" and not self._has_probe:
            self._has_probe = True
            return
        left = self._opened_at + self._pause - self._clock.time()
        raise Postpone(max(left, 1.0), "the circuit breaker is open")

    def succeeded(self, consumer: PausableConsumer) -> None:
        """Count a message that was handled."""
        if self.state == "closed":
            self._outcomes.add(self._clock.time(), failed=False)
        elif self.state == "probing":
            self._close(consumer)

    def failed(self, consumer: PausableConsumer) -> None:
        """Count a message that failed."""
        if self.state == "probing":
            self._open(consumer)
            return
        if self.state == "open":
            return  # one of those that were at work when it opened
        self._outcomes.add(self._clock.time(), failed=True)
        failed, total = self._outcomes.counts()
        if failed >= self._failures and failed >= self._ratio * total:
            self._open(consumer)

    def abstained(self) -> None:
        """Learn nothing from a message."""
        self._has_probe = False

    # --- inside ------------------------------------------------------------------------------

    def _open(self, consumer: PausableConsumer) -> None:
        self.state = "open"
        self._has_probe = False
        self._opened_at = self._clock.time()
        self._outcomes.forget()
        logger.warning(
            "consumer %r pauses for %g seconds: its handler keeps failing",
            consumer.name,
            self._pause,
        )
        self._steer(consumer, consumer.pause)
        self._clock.call_at(self._opened_at + self._pause, partial(self._probe, consumer))

    def _probe(self, consumer: PausableConsumer) -> None:
        self.state = "probing"
        self._steer(consumer, consumer.probe)

    def _close(self, consumer: PausableConsumer) -> None:
        self.state = "closed"
        self._has_probe = False
        logger.info("consumer %r goes on: its handler works again", consumer.name)
        self._steer(consumer, consumer.resume)

    def _steer(
        self, consumer: PausableConsumer, change: Callable[[object], Awaitable[None]]
    ) -> None:
        """Have the consumer changed, when the change before is done: a handler must not wait for it."""
        steering = asyncio.get_running_loop().create_task(
            self._change(consumer, change), name=f"hopmq circuit of {consumer.name}"
        )
        self._steering.add(steering)
        steering.add_done_callback(self._steering.discard)

    async def _change(
        self, consumer: PausableConsumer, change: Callable[[object], Awaitable[None]]
    ) -> None:
        async with self._turn:
            try:
                await change(self)
            except HopMQError as error:
                logger.warning("consumer %r: %s", consumer.name, error)
                if self.state != "open":
                    self._open(consumer)
