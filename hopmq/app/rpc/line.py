"""A channel on which requests go out and replies come in (RabbitMQ, Direct Reply-to)."""

# ruff: noqa: SLF001  # a request is published as Channel.publish does it, without its coroutine

import asyncio
import logging
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

from hopmq.app.clock import Clock, Timer
from hopmq.app.errors import CallError
from hopmq.app.header_names import DEADLINE
from hopmq.app.rpc.call import Call, Interrupted, Outcome
from hopmq.client.channel import Channel
from hopmq.client.message import Message
from hopmq.client.outcome import PublishHandle
from hopmq.errors import (
    ClosedError,
    HopMQError,
    PublishNotSentError,
    PublishReturnedError,
    PublishUnknownError,
)
from hopmq.wire import Properties, Returned

logger: logging.Logger = logging.getLogger("hopmq.rpc")

REPLY_TO: Final = "amq.rabbitmq.reply-to"


class ReplyLine:
    """Ask on one channel, any number of calls at once, and pair replies with calls.

    Replies of direct reply-to come to the channel that the request was published on, by a consumer
    that was there before. They need no queue, and whoever is not told the channel's address, which
    ends in a random key, cannot send any. When the link is lost the address is lost with it, and
    every reply to what was asked there.

    Attributes:
        lost_by: What ended the channel, or its last link.
        is_over: Whether it has ended for good.
        is_proven: Whether a reply has come since the link was lost, if ever it was.
        on_lost: Called when it has, and when its link was lost.
        on_confirmed: Called when the broker has confirmed a request, if the channel has confirms.
    """

    def __init__(self, channel: Channel, clock: Clock, *, is_proven: bool = True) -> None:
        """Ask on `channel`, which is nobody else's."""
        self.is_proven: bool = is_proven
        self.on_lost: Callable[[], object] | None = None
        self.on_confirmed: Callable[[], object] | None = None
        self.lost_by: ClosedError | None = None
        self.is_over: bool = False
        self._channel = channel
        self._clock = clock
        self._calls: dict[str, Call] = {}
        self._timer: Timer | None = None
        self._timer_at = inf
        self._create_future = asyncio.get_running_loop().create_future

    def __len__(self) -> int:
        """Return how many calls are under way."""
        return len(self._calls)

    def __bool__(self) -> bool:
        """Return True: a line without calls is one."""
        return True

    async def begin(self) -> None:
        """Listen for replies; ask nothing before."""
        self._channel.on_return = self._returned
        self._channel.on_loss = self._lost
        self._channel.awaits_replies = lambda: bool(self._calls)
        await self._channel.consume(REPLY_TO, self._replied, no_ack=True)

    def ask(self, call: Call, left: float) -> Awaitable[Outcome]:
        """Send a request now, and return what waits for its outcome.

        Args:
            call: What to ask.
            left: Seconds until the caller stops waiting.

        Raises:
            EncodeError: A value has no AMQP form; nothing was sent.
        """
        self.send(call, left)
        return self.wait(call)

    async def wait(self, call: Call) -> Outcome:
        """Wait for the outcome of a request that was sent."""
        try:
            return await call.waiter
        finally:
            if call.correlation_id in self._calls:
                self._withdraw(call)

    def send(self, call: Call, left: float) -> None:
        """Write a request now, or as soon as there is room; its waiter is told the outcome.

        Raises:
            EncodeError: A value has no AMQP form; nothing was sent.
        """
        call.waiter = self._create_future()
        call.handle = None
        if not left > 0.0:
            call.end(call.timed_out())
            return
        publishing = self._channel._publishing
        properties = self._properties(call, left)
        request = (call.exchange, call.routing_key, True, properties, call.body, left)
        try:
            handle = publishing.start_now(*request)
            if handle is None:
                handle = publishing.hold(*request)
        except PublishNotSentError as error:
            call.end(call.not_sent(error))
            return
        self._calls[call.correlation_id] = call
        if not handle.done():
            call.handle = handle
            handle.wake(_Settling(self, call, handle))
        if call.deadline < self._timer_at:
            self._arm(call.deadline)
        budget = self._channel._session.budget
        if budget.paused:
            budget.awaiting()

    def end(self, error: CallError) -> None:
        """End every call that is under way."""
        self.is_over = True
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.end(error)
        self._tell_loss()

    def _tell_loss(self) -> None:
        if self.is_over and self._timer is not None:
            self._timer.cancel()
        if self.on_lost is not None:
            self.on_lost()

    # --- what comes back -----------------------------------------------------------------------

    def _replied(self, message: Message) -> None:
        call = self._calls.pop(message.correlation_id or "", None)
        if call is None:
            logger.debug("a reply came for nobody: its call has ended, or there was none")
            return
        self.is_proven = True
        call.end(message)
        self._channel._session.expect_output()  # the caller's next request, perhaps

    def _returned(self, message: Returned) -> None:
        call = self._calls.pop(message.properties.correlation_id or "", None)
        if call is not None:
            call.end(call.no_endpoint())

    def _lost(self, error: ClosedError) -> None:
        """End what was sent; what was not will be, if there is another link."""
        self.lost_by = error
        self.is_proven = False
        self.is_over = not self._channel.is_recovering
        calls, self._calls = self._calls, {}
        for call in calls.values():
            if call.handle is None or call.handle.done():
                call.end(Interrupted(error, was_sent=True))
            elif self.is_over:
                call.end(Interrupted(error, was_sent=False))
            else:
                self._calls[call.correlation_id] = call
        self._tell_loss()

    # --- inside ----------------------------------------------------------------------------------

    def _properties(self, call: Call, left: float) -> Properties:
        milliseconds = int(left * 1000) + 1
        properties = call.properties
        properties.headers = {
            **(properties.headers or {}),
            DEADLINE: int(self._clock.wall() * 1000) + milliseconds,
        }
        properties.correlation_id = call.correlation_id
        properties.reply_to = REPLY_TO
        properties.expiration = str(milliseconds)
        return properties

    def settle(self, call: Call, handle: PublishHandle) -> None:
        """Take note of what became of a request that was not written at once, or is confirmed."""
        if call.handle is not handle:
            return  # it was asked again
        call.handle = None
        outcome = handle.outcome
        if isinstance(outcome, HopMQError):
            self._calls.pop(call.correlation_id, None)
            call.end(_ending(call, outcome))
        elif self.on_confirmed is not None:
            self.on_confirmed()

    def _withdraw(self, call: Call) -> None:
        """Forget a call whose caller has gone."""
        del self._calls[call.correlation_id]
        handle, call.handle = call.handle, None
        if handle is not None:
            self._channel._publishing.withdraw(handle)

    # --- deadlines -------------------------------------------------------------------------------

    def _arm(self, deadline: float) -> None:
        """Have one timer, at the earliest deadline there was when it was set."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = None if deadline == inf else self._clock.call_at(deadline, self._sweep)

    def _sweep(self) -> None:
        """End what is overdue."""
        now = max(self._clock.time(), self._timer_at)  # a loop may call slightly early
        for call in [each for each in self._calls.values() if each.deadline <= now]:
            self._withdraw(call)
            call.end(call.timed_out())
        self._timer = None
        self._arm(min((call.deadline for call in self._calls.values()), default=inf))


class _Settling:
    """Tells a line what became of a publish."""

    __slots__ = ("_call", "_handle", "_line")

    def __init__(self, line: ReplyLine, call: Call, handle: PublishHandle) -> None:
        """Wait for `handle`."""
        self._line = line
        self._call = call
        self._handle = handle

    def done(self) -> bool:
        """Return False: it is told once."""
        return False

    def set_result(self, result: None, /) -> None:
        """Tell it."""
        self._line.settle(self._call, self._handle)

    def set_exception(self, error: BaseException, /) -> None:
        """Do nothing: outcomes of publishes are values."""


def _ending(call: Call, error: HopMQError) -> Outcome:
    """Return how a call ends whose request was not confirmed."""
    if isinstance(error, PublishReturnedError):
        return call.no_endpoint()
    if isinstance(error, TimeoutError):
        return call.timed_out()
    if isinstance(error, PublishNotSentError | PublishUnknownError):
        return Interrupted(error, was_sent=isinstance(error, PublishUnknownError))
    return call.unknown(error)
