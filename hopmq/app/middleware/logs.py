"""A line in the log for each message."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from hopmq.app.clock import Clock
from hopmq.app.context import ConsumeContext
from hopmq.app.middleware.ticking import Ticking
from hopmq.app.retry import Drop, Park, Postpone, RetryAfter

_DONE: Final = "done"
_VERDICTS: Final[dict[type[BaseException], str]] = {
    Drop: "dropped",
    Park: "parked",
    Postpone: "postponed",
    RetryAfter: "retried",
}


class Logging(Ticking):
    """Log each message when it has been handled: structured, without payload or headers.

    What stands in the record, for handlers and formatters of logging: `consumer`, `queue`,
    `exchange`, `routing_key`, `message_id`, `attempt`, `redelivered`, `messages` (of a batch),
    `seconds`, `outcome` and `error`, the exception's class: what an exception says may be a part
    of the payload. The outcome is `done`, `failed` or `cancelled`, or what the handler has decided:
    `dropped`, `parked`, `postponed` or `retried`.
    """

    def __init__(
        self,
        logger: logging.Logger | str = "hopmq.app.messages",
        *,
        level: int = logging.INFO,
        failure_level: int = logging.WARNING,
        clock: Clock | None = None,
    ) -> None:
        """Describe it.

        Args:
            logger: Where to, or its name.
            level: For what was handled.
            failure_level: For what failed or was cancelled.
            clock: Where time comes from; the application's by default.
        """
        super().__init__(clock)
        self._logger = logging.getLogger(logger) if isinstance(logger, str) else logger
        self._level = level
        self._failure_level = failure_level

    async def __call__(
        self, context: ConsumeContext, call_next: Callable[[ConsumeContext], Awaitable[Any]], /
    ) -> Any:
        """Handle, and log how it ended."""
        clock = self.clock_of(context.app)
        begun = clock.time()
        try:
            result = await call_next(context)
        except BaseException as error:
            outcome = _VERDICTS.get(type(error))
            level = self._failure_level if outcome is None else self._level
            if outcome is None:
                outcome = "cancelled" if isinstance(error, asyncio.CancelledError) else "failed"
            self._log(level, context, clock.time() - begun, outcome, error)
            raise
        self._log(self._level, context, clock.time() - begun, _DONE)
        return result

    def _log(
        self,
        level: int,
        context: ConsumeContext,
        seconds: float,
        outcome: str,
        error: BaseException | None = None,
    ) -> None:
        if not self._logger.isEnabledFor(level):
            return
        message, consumer = context.message, context.consumer
        kind = "" if error is None else type(error).__name__
        self._logger.log(
            level,
            "%s: %s after %.3f s%s",
            consumer.name,
            outcome,
            seconds,
            f" ({kind})" if kind else "",
            extra={
                "consumer": consumer.name,
                "queue": consumer.queue,
                "exchange": message.exchange,
                "routing_key": message.routing_key,
                "message_id": message.message_id,
                "attempt": context.attempt,
                "redelivered": message.redelivered,
                "messages": len(context.messages),
                "seconds": seconds,
                "outcome": outcome,
                "error": kind or None,
            },
        )
