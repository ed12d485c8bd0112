"""Which channel a request goes by."""

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Any, Final

from hopmq.app.clock import Clock
from hopmq.app.errors import CallNotSentError, CallUnknownError, NoEndpointError
from hopmq.app.messaging import Messaging
from hopmq.app.rpc.call import Call, Outcome
from hopmq.app.rpc.line import ReplyLine
from hopmq.client.message import Message
from hopmq.client.window import size_of
from hopmq.errors import (
    ChannelClosed,
    ClosedError,
    ConnectError,
    HopMQError,
    NoChannelAvailableError,
    NotFoundError,
    PoolTimeoutError,
    RequestTimeoutError,
)
from hopmq.resilience.pool.isolation import Isolation

logger: logging.Logger = logging.getLogger("hopmq.rpc")

_NO_CHANNEL: Final = (
    ClosedError,
    ConnectError,
    NoChannelAvailableError,
    PoolTimeoutError,
    RequestTimeoutError,
)
_CLOSED: Final = "not sent: the client is closed"


class ReplyLines:
    """One channel for all requests, and others for those that may cost their channel.

    Attributes:
        clock: Where time comes from.
        current: The channel for all, while there is one.
    """

    def __init__(self, messaging: Messaging, clock: Clock) -> None:
        """Have none yet."""
        self.clock: Clock = clock
        self.current: ReplyLine | None = None
        self._messaging = messaging
        self._isolation = Isolation()
        self._opened: asyncio.Future[ReplyLine] | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._apart: set[ReplyLine] = set()
        self._trying = asyncio.Lock()
        self._was_lost = False
        self._is_closed = False

    @property
    def is_shaken(self) -> bool:
        """Whether no reply has come since the link was lost."""
        return self._was_lost if self.current is None else not self.current.is_proven

    def is_risky(self, call: Call) -> bool:
        """Return whether the broker might close the channel for a request."""
        properties = call.properties  # which has an expiration once it was asked
        return properties.user_id is not None or self._isolation.is_risky(
            call.exchange, size_of(call.body), properties.headers, None
        )

    async def open(self) -> ReplyLine:
        """Return the channel for all, as soon as there is one."""
        if self.current is not None:
            return self.current
        if self._is_closed:
            raise CallNotSentError(_CLOSED)
        if self._opened is None:
            self._opened = asyncio.get_running_loop().create_future()
            serving = asyncio.create_task(self._serve(self._opened), name="hopmq calls")
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)
        return await asyncio.shield(self._opened)

    async def close(self) -> None:
        """End every call under way, and give all channels back."""
        self._is_closed = True
        for line in [*self._apart, *([] if self.current is None else [self.current])]:
            line.end(CallUnknownError("the client was closed before an answer came"))
        if self._opened is not None:
            _fail(self._opened, CallNotSentError(_CLOSED))
            for task in self._serving:
                task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    async def ask(self, call: Call) -> Outcome:
        """Send a request by the right channel, and wait for its outcome.

        Raises:
            CallNotSentError: There is no channel to be had.
            EncodeError: A value has no AMQP form.
        """
        try:
            if self.is_risky(call):
                return await self._ask_apart(call)
            line = self.current or await self.open()
        except _NO_CHANNEL as error:
            raise call.not_sent(error) from error
        return await line.ask(call, self._left(call))

    def _left(self, call: Call) -> float:
        return call.deadline - self.clock.time()

    async def _ask_apart(self, call: Call) -> Outcome:
        """Ask on a channel of its own, which the request may cost."""
        async with AsyncExitStack() as borrowed:
            async with self._trying:
                is_known_by_now = not self.is_risky(call)
                if not is_known_by_now:
                    line = await self._borrow(borrowed)
                    accepted = await self._try(line, call)
            if is_known_by_now:
                return await self.ask(call)
            outcome = await line.wait(call)
        refusal = line.lost_by
        if accepted or isinstance(outcome, Message) or not isinstance(refusal, ChannelClosed):
            return outcome
        if isinstance(refusal, NotFoundError):
            return call.no_endpoint(refusal)
        return call.not_sent(refusal)

    async def _try(self, line: ReplyLine, call: Call) -> bool:
        """Send a request, and return whether the broker has taken it."""
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.on_confirmed = lambda: accepted.set_result(None)
        line.send(call, self._left(call))
        either: list[asyncio.Future[Any]] = [accepted, call.waiter]  # of both kinds
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        outcome = call.waiter.result() if call.waiter.done() else None
        # A reply may come before the confirm, and a return does.
        is_taken = accepted.done() or isinstance(outcome, Message | NoEndpointError)
        if is_taken:
            self._isolation.prove(call.exchange)
        return is_taken

    async def _borrow(self, borrowed: AsyncExitStack) -> ReplyLine:
        """Return a channel that is given back at the end of `borrowed`."""
        lending = self._messaging.channel(confirms=True, prefetch=0)
        line = ReplyLine(await borrowed.enter_async_context(lending), self.clock)
        self._apart.add(line)
        borrowed.callback(self._apart.discard, line)
        borrowed.callback(line.end, CallNotSentError(_CLOSED))
        await line.begin()
        return line

    async def _serve(self, opened: "asyncio.Future[ReplyLine]") -> None:
        """Keep a channel until it has ended."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def lost() -> None:
            self._was_lost = True
            self._isolation.forget()
            if line.is_over:
                self.current = self._opened = None
                if not over.done():
                    over.set_result(None)

        try:
            async with self._messaging.channel(confirms=False, prefetch=0) as channel:
                line = ReplyLine(channel, self.clock, is_proven=not self._was_lost)
                line.on_lost = lost
                await line.begin()
                self.current = line
                opened.set_result(line)
                await over
        except BaseException as error:
            if opened.done():
                logger.info("the channel for calls has ended: %r", error)
            else:
                self._opened = None
                _fail(opened, error)
            if not isinstance(error, HopMQError):
                raise


def _fail(opening: "asyncio.Future[ReplyLine]", error: BaseException) -> None:
    """Tell whoever waits for a channel, if there is anybody."""
    if not opening.done():
        opening.set_exception(error)
