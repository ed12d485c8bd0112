"""What is done with one message: the handler, and what its end means for the message."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from hopmq.app.batching import failures_of
from hopmq.app.clock import Clock
from hopmq.app.context import ConsumeContext, PausableConsumer
from hopmq.app.crew import PROGRAM_ENDS, give_back, is_cancelled
from hopmq.app.declarations import AckPolicy
from hopmq.app.errors import DeliveryLimitError, PayloadError
from hopmq.app.retry import Failures, Postpone, RetryAfter, Verdict
from hopmq.app.running.rests import Rests
from hopmq.client.message import Message
from hopmq.errors import HopMQError

logger: logging.Logger = logging.getLogger("hopmq.app")

_TOO_OFTEN: Final = (
    "it was delivered as often as its queue allows, and never settled: its workers have died, "
    "of it perhaps; at the next return the broker would drop it"
)

_EXPECTED: Final = (PayloadError, Verdict)
"""Failures that say all there is to say; of others, it takes the traceback to find the cause."""

Call = Callable[[ConsumeContext], Awaitable[Any]]
"""The handler, with all middleware around it."""


class Handling:
    """Calls a handler with messages, and settles these."""

    __slots__ = (
        "_ack_first",
        "_app",
        "_call",
        "_clock",
        "_consumer",
        "_decode",
        "_failures",
        "_has_told",
        "_in_place",
        "_rests",
        "_retry",
        "_settles",
    )

    def __init__(
        self,
        call: Call,
        decode: Callable[[Message], Any],
        consumer: PausableConsumer,
        app: Any,  # the application, which stands above this module
        *,
        ack: AckPolicy,
        failures: Failures,
        in_place: bool,
        rests: Rests,
        clock: Clock,
    ) -> None:
        """Call `call`; what fails is settled by `failures`, unless it is tried again in place."""
        self._call = call
        self._decode = decode
        self._retry = failures.retry
        self._consumer = consumer
        self._app = app
        self._ack_first = ack == "first"
        self._settles = ack == "auto"
        self._failures = failures
        self._in_place = in_place
        self._rests = rests
        self._clock = clock
        self._has_told = False

    async def one(self, message: Message) -> None:
        """Handle one message; raise nothing but the worker's own cancellation."""
        context = ConsumeContext((message,), self._consumer, self._app)
        if self._ack_first:
            message.ack()
        elif message.redelivered and await self._had_last_chance(message):
            return
        try:
            succeeded = await self._succeeds(context, message)
        except asyncio.CancelledError:
            give_back((message,))
            raise
        if succeeded and self._settles and not message.settled:
            message.ack()

    async def _succeeds(self, context: ConsumeContext, message: Message) -> bool:
        """Make the attempts that are made here; False where the last has failed and is settled."""
        while True:
            try:
                result = await self._call(context)
            except PROGRAM_ENDS:
                raise
            except BaseException as error:
                if is_cancelled():
                    raise
                pause = self._pause_before_next(context, error)
                if pause is None:
                    await self._give_up(context, message, error)
                    return False
                if pause:
                    await self._rests.sleep(self._clock, pause)
                if self._is_lost(message):
                    return False
                if not isinstance(error, Postpone):
                    context.retried += 1
            else:
                if result is not None and not self._has_told:
                    self._tell_of_request(message)
                return True

    async def many(self, messages: list[Message]) -> None:
        """Handle a batch: what cannot be decoded is settled by itself, the rest together."""
        good: list[ConsumeContext] = []
        if self._ack_first:
            _ack(messages)
        for message in messages:
            if message.redelivered and not self._ack_first and await self._had_last_chance(message):
                continue
            single = self._context([message])
            try:
                single.payloads = [self._decode(message)]
            except Exception as error:  # the decoder may be the user's
                await self._give_up(single, message, error)
            else:
                good.append(single)
        try:
            while good:
                good = await self._attempt(good)
        except asyncio.CancelledError:
            give_back(messages)
            raise

    async def _attempt(self, batch: list[ConsumeContext]) -> list[ConsumeContext]:
        """Handle messages together; return those that are to be tried again here, once it is time."""
        failures = await self._failures_of(batch)
        if self._settles:
            _ack([each.message for index, each in enumerate(batch) if index not in failures])
        again: list[ConsumeContext] = []
        longest = 0.0
        for index, error in sorted(failures.items()):
            single = batch[index]
            pause = self._pause_before_next(single, error)
            if pause is None:
                await self._give_up(single, single.message, error)
                continue
            longest = max(longest, pause)
            if not isinstance(error, Postpone):
                single.retried += 1
            again.append(single)
        if longest:
            await self._rests.sleep(self._clock, longest)
        return [each for each in again if not self._is_lost(each.message)]

    async def _failures_of(self, batch: list[ConsumeContext]) -> Mapping[int, BaseException]:
        """Call the handler with all of these; return what went wrong, by the index of each."""
        context = self._context([each.message for each in batch])
        context.payloads = [payload for each in batch for payload in each.payloads or ()]
        context.retried = batch[0].retried
        try:
            await self._call(context)
        except PROGRAM_ENDS:
            raise
        except BaseException as error:
            if is_cancelled():
                raise
            return failures_of(error, len(batch))
        return {}

    async def _had_last_chance(self, message: Message) -> bool:
        """Park a message that the broker would drop at its next return; return whether it did."""
        if not self._failures.last_chance(message):
            return False
        context = self._context([message])
        await self._failures.settle(context, message, DeliveryLimitError(_TOO_OFTEN))
        return True

    def _is_lost(self, message: Message) -> bool:
        """Return whether the broker has taken a message back, and may have given it to another."""
        is_lost = self._settles and message.settled
        if is_lost:
            logger.info(
                "consumer %r: a failed message is not tried again here: its channel is lost, or "
                "the handler has settled it",
                self._consumer.name,
            )
        return is_lost

    def _tell_of_request(self, message: Message) -> None:
        """Say once that somebody waits for what the handler returns, and does not get it."""
        try:
            is_request = message.reply_to is not None
        except HopMQError:
            return  # its properties cannot be read, and the handler did without
        if is_request:
            self._has_told = True
            logger.warning(
                "consumer %r: a request waits for an answer, and a consumer gives none; declare "
                "its handler with `@app.endpoint`",
                self._consumer.name,
            )

    def _context(self, messages: Sequence[Message]) -> ConsumeContext:
        return ConsumeContext(messages, self._consumer, self._app)

    def _pause_before_next(self, context: ConsumeContext, error: BaseException) -> float | None:
        """Return the seconds after which to try again right here; None for not here."""
        if self._ack_first:
            return None
        if self._in_place and isinstance(error, Postpone):
            return error.seconds
        retry = self._retry
        if not retry.should_retry(error, context.attempt):
            return None
        wished = error.seconds if isinstance(error, RetryAfter) else None
        if wished is None and context.attempt <= retry.at_once:
            return 0.0
        if not self._in_place:
            return None
        return retry.delay_before(context.attempt + 1) if wished is None else wished

    async def _give_up(
        self, context: ConsumeContext, message: Message, error: BaseException
    ) -> None:
        is_unread = self._ack_first and isinstance(error, PayloadError)
        if message.settled and not is_unread:
            logger.error(
                "consumer %r: the handler failed on a message that was settled before",
                self._consumer.name,
                exc_info=error,
            )
            return
        if not isinstance(error, _EXPECTED):
            logger.warning(
                "consumer %r: attempt %d at a message of %r failed",
                self._consumer.name,
                context.attempt,
                message.routing_key,
                exc_info=error,
            )
        await self._failures.settle(context, message, error, is_acked=is_unread)


def _ack(messages: Iterable[Message]) -> None:
    for message in messages:
        if not message.settled:
            message.ack()
