"""What becomes of a message whose handler failed: tried again, parked or dropped; never lost."""

import asyncio
import logging
from collections import OrderedDict
from typing import Final

from hopmq.app import header_names as names
from hopmq.app.clock import Clock
from hopmq.app.context import ConsumeContext
from hopmq.app.crew import PROGRAM_ENDS
from hopmq.app.messaging import Messaging
from hopmq.app.retry import native
from hopmq.app.retry.aside import Aside, give_back
from hopmq.app.retry.backoff import is_exact
from hopmq.app.retry.copies import bare, count_of, failed, is_copy, seconds_of, untried
from hopmq.app.retry.delays import Delays
from hopmq.app.retry.ladder import LONGEST, Step, steps_of, topology_of
from hopmq.app.retry.parked import parking_of
from hopmq.app.retry.policy import Retry
from hopmq.app.retry.rooms import door_of
from hopmq.app.retry.verdicts import Drop, Postpone, RetryAfter
from hopmq.app.topology import Topology
from hopmq.client.message import Message
from hopmq.entities import Queue

logger: logging.Logger = logging.getLogger("hopmq.app")

_NO_RETRY: Final = Retry(attempts=1)
_WITHOUT_HEADERS: Final = "(parked without its own headers, with which it cannot be stored) "
_MOST_REMEMBERED: Final = 10_000


class Failures:
    """The failures of one consumer.

    Call `prepare` once before consuming: it declares the consumer's queue, if that is the
    application's to declare, and everything in `topology`.
    """

    def __init__(
        self,
        messaging: Messaging,
        queue: Queue,
        retry: Retry | None,
        clock: Clock,
        *,
        declares: bool = True,
        in_place: bool = False,
    ) -> None:
        """Know what to do; nothing is declared yet.

        Args:
            messaging: What copies are published by.
            queue: What the consumer reads.
            retry: What to do; None parks what fails at the first attempt.
            clock: Where time is taken from.
            declares: Whether all of it is the application's to declare, and the queue may be given
                arguments.
            in_place: Whether attempts are made where the message is, so that what is settled
                here has had the last of them.
        """
        self.queue: Queue = queue
        self.retry: Retry = retry or _NO_RETRY
        self._messaging = messaging
        self._clock = clock
        self._declares = declares
        self._in_place = in_place
        mend = self._mend if declares else None
        self._aside = Aside(messaging, clock, Delays(messaging), queue, mend)
        self._is_native = False
        self._limit: int | None = None
        self._first_failed: OrderedDict[str, float] = OrderedDict()

    @property
    def topology(self) -> Topology:
        """What must exist beside the queue itself, as far as it is known before a failure."""
        return topology_of_failures(self.queue, self.retry, in_place=self._in_place)

    @property
    def is_native(self) -> bool:
        """Whether the queue itself delays, rather than the ladder; known once prepared."""
        return self._is_native

    async def prepare(self) -> None:
        """Find out by which means to delay, and declare them.

        Raises:
            PreconditionFailedError: The queue exists with other properties.
            NotFoundError: It does not exist, and is not ours to declare.
            AccessRefusedError: The user may not.
        """
        release = native.release_of(await self._messaging.server_properties())
        self._limit = native.delivery_limit(self.queue, release)
        if not self._declares:
            return
        if not self._in_place:
            wanted = native.queue_that_delays(self.queue, self.retry, release)
            self._is_native = await native.declare(self._messaging, self.queue, wanted)
        await self.topology.declare(self._messaging)

    # --- attempts ------------------------------------------------------------------------------

    def attempt_of(self, message: Message) -> int:
        """Return which attempt a delivery is, from 1; across restarts and replicas."""
        before = 0
        if is_copy(message, self.queue.name):
            before = count_of(message.headers.get(names.ATTEMPTS))
        return before + self._returns(message) + 1

    def _returns(self, message: Message) -> int:
        """Return how often a queue that delays has had a message back."""
        if not self._is_native or not message.redelivered:
            return 0
        return count_of(message.headers.get(native.DELIVERIES))

    def last_chance(self, message: Message) -> bool:
        """Return whether the broker would drop a message if its worker dies of it once more.

        To be asked where a message is `redelivered`, before it is handled; it is parked with
        `settle` and a `DeliveryLimitError`.
        """
        if self._limit is None:
            return False
        return count_of(message.headers.get(native.DELIVERIES)) >= self._limit

    # --- settling ------------------------------------------------------------------------------

    async def settle(
        self,
        context: ConsumeContext,
        message: Message,
        error: BaseException,
        *,
        is_acked: bool = False,
    ) -> None:
        """Settle a message whose handler failed of `error`; raises nothing but cancellation.

        One that was acknowledged before it was looked at, `is_acked`, is parked.
        """
        if message.settled and not is_acked:
            return
        if _is_stop(error):
            give_back(message)
            return
        try:
            await self._settle(context, message, error, is_acked)
        except asyncio.CancelledError:
            give_back(message)
            raise
        except Exception:  # whatever it is, the message has to be settled
            logger.exception("a message of queue %r cannot be put aside", self.queue.name)
            await self._park_bare(context, message, error, is_acked)

    async def _settle(
        self, context: ConsumeContext, message: Message, error: BaseException, is_acked: bool
    ) -> None:
        attempt = self.attempt_of(message) + context.retried
        if isinstance(error, Drop):
            logger.info("a message of queue %r is dropped: %s", self.queue.name, error.reason)
            if not is_acked:
                message.ack()
            return
        now = self._clock.wall()
        first = self._first_failure(message, now)
        if isinstance(error, Postpone) and not is_acked:
            headers = untried(message, attempts=attempt - 1, queue=self.queue.name, first=first)
            await self._aside.delay(message, headers, min(error.seconds, LONGEST))
            return
        elapsed = 0.0 if first is None else max(0.0, now - first)
        seconds = None if is_acked else self._seconds_to_next(error, attempt, elapsed)
        headers = failed(
            message, error, attempts=attempt, queue=self.queue.name, first=first, now=now
        )
        if seconds is None:
            await self._aside.park(message, headers, is_acked=is_acked)
        elif self._is_native and not isinstance(error, RetryAfter):
            self._remember(message, first)
            message.reject(requeue=True)
        else:
            await self._aside.delay(message, headers, seconds)

    async def _park_bare(
        self, context: ConsumeContext, message: Message, error: BaseException, is_acked: bool
    ) -> None:
        """Park a message without its headers: with them, it would come again and again."""
        try:
            now = self._clock.wall()
            attempts = self.attempt_of(message) + context.retried
            queue = self.queue.name
            headers = failed(message, error, attempts=attempts, queue=queue, first=None, now=now)
            headers = bare(headers, _WITHOUT_HEADERS)
            await self._aside.park(message, headers, is_acked=is_acked)
        except Exception:  # nothing is left to try
            logger.exception("a message of queue %r cannot be parked", self.queue.name)
            await self._aside.give_back_later(message)

    def _seconds_to_next(self, error: BaseException, attempt: int, elapsed: float) -> float | None:
        """Return the seconds until the next attempt; None when there is none."""
        if self._in_place or not self.retry.should_retry(error, attempt):
            return None
        if isinstance(error, RetryAfter):
            return min(error.seconds, LONGEST)
        seconds = self.retry.delay_before(attempt + 1, elapsed)
        return None if seconds is None else min(seconds, LONGEST)

    async def _mend(self) -> None:
        await self.topology.declare(self._messaging)

    def _first_failure(self, message: Message, now: float) -> float | None:
        """Return when the first attempt failed; None when nobody knows any more."""
        if is_copy(message, self.queue.name):
            told = seconds_of(message.headers.get(names.FIRST_FAILED))
            if told is not None:
                return told
        if self._returns(message):
            return self._first_failed.get(message.message_id or "")
        return now

    def _remember(self, message: Message, first: float | None) -> None:
        """Remember when a message failed first: a queue that delays counts, and no more."""
        name = message.message_id
        if name is None or first is None:
            return
        self._first_failed[name] = first
        if len(self._first_failed) > _MOST_REMEMBERED:
            self._first_failed.popitem(last=False)


def topology_of_failures(queue: Queue, retry: Retry | None, *, in_place: bool = False) -> Topology:
    """Return what must exist beside `queue` for what fails to be tried again and parked.

    Levels of the ladder for delays that are not known beforehand are declared when needed.
    """
    if in_place:
        return parking_of(queue.name)
    steps: set[Step] = set()
    if retry is not None and is_exact(retry.backoff):
        before = None
        for attempt in range(2 + retry.at_once, retry.attempts + 1):
            delay = min(retry.delay_before(attempt) or 0.0, LONGEST)
            if delay == before:
                break  # these waits only grow, and have come to their longest
            steps.update(steps_of(delay))
            before = delay
    return parking_of(queue.name) + topology_of(steps) + door_of(queue)[1]


def _is_stop(error: BaseException) -> bool:
    """Return whether the worker is told to end, rather than its handler having failed."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, PROGRAM_ENDS)
