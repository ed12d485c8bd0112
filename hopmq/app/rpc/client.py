"""Calling endpoints: any number of calls at once, each with a reply or an error in time."""

import asyncio
import logging
import secrets
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self

from hopmq.app.clock import Clock, LoopTime
from hopmq.app.deadline import Deadline
from hopmq.app.errors import CallError, CallNotSentError, CallUnknownError
from hopmq.app.header_names import ERROR
from hopmq.app.messaging import Messaging
from hopmq.app.rpc.call import Call, Interrupted, Outcome
from hopmq.app.rpc.line import ReplyLine
from hopmq.app.rpc.remote_errors import RemoteErrors
from hopmq.client.message import Message
from hopmq.client.publishing import size_of
from hopmq.entities import Exchange, name_of
from hopmq.errors import (
    ChannelClosed,
    ClosedError,
    ConnectError,
    HopMQError,
    NoChannelAvailableError,
    NotFoundError,
    PoolTimeoutError,
    RequestTimeoutError,
    UsageError,
)
from hopmq.resilience.pool.isolation import Isolation
from hopmq.typedefs import Body, FieldTable

logger: logging.Logger = logging.getLogger("hopmq.rpc")

_NO_CHANNEL: Final = (
    ClosedError,
    ConnectError,
    NoChannelAvailableError,
    PoolTimeoutError,
    RequestTimeoutError,
)

_LONGEST: Final = 4_000_000.0
"""Seconds: RabbitMQ closes the channel for an expiration that does not fit 32 bits of milliseconds."""

_ID_SIZE: Final = 16
_CLOSED: Final = "not sent: the client is closed"


class RpcClient:
    """Calls endpoints over direct reply-to (RabbitMQ), all on one channel.

    Nothing is connected before `start` or the first call. When the link is lost, calls that were
    sent end as unknown, unless they are idempotent: these are sent again on the next link, and the
    others are not, since an endpoint may have worked for them.

    A correlation id is 128 random bits. An endpoint learns the channel's reply address with each
    request, and could answer, in another endpoint's name, calls whose ids it can guess; so one id
    must tell nothing about the next.
    """

    def __init__(
        self,
        messaging: Messaging,
        *,
        clock: Clock | None = None,
        default_timeout: float = 30.0,
        errors: RemoteErrors | None = None,
    ) -> None:
        """Describe a client; nothing happens yet.

        Args:
            messaging: What channels are borrowed from.
            clock: Where time comes from; the event loop's by default.
            default_timeout: Seconds that a call has, unless it says otherwise.
            errors: Which remote exceptions are raised as themselves; none by default.
        """
        _check_timeout(default_timeout)
        self._messaging = messaging
        self._clock: Clock = LoopTime() if clock is None else clock
        self._default_timeout = default_timeout
        self._errors = RemoteErrors() if errors is None else errors
        self._isolation = Isolation()
        self._line: ReplyLine | None = None
        self._opened: asyncio.Future[ReplyLine] | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._apart: set[ReplyLine] = set()
        self._trying = asyncio.Lock()
        self._is_closed = False

    # --- beginning and ending ------------------------------------------------------------------

    async def start(self) -> None:
        """Have a channel ready; without it, the first call sees to that.

        Raises:
            HopMQError: There is no channel to be had.
        """
        if self._line is None:
            await self._open()

    async def close(self) -> None:
        """End every call under way, and give the channel back. Idempotent."""
        self._is_closed = True
        for line in [*self._apart, *([] if self._line is None else [self._line])]:
            line.end(CallUnknownError("the client was closed before an answer came"))
        if self._opened is not None:
            _fail(self._opened, CallNotSentError(_CLOSED))
            for task in self._serving:
                task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    async def __aenter__(self) -> Self:
        """Have a channel ready."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End what is under way."""
        await self.close()

    # --- calling -------------------------------------------------------------------------------

    async def call(
        self,
        body: Body,
        *,
        exchange: Exchange | str = "",
        routing_key: str,
        content_type: str | None = None,
        content_encoding: str | None = None,
        headers: FieldTable | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # travels with the request
        idempotent: bool = False,
    ) -> Message:
        """Send a request and return the reply.

        The request expires when the time is up, so that nobody works on it in vain. A caller that
        is cancelled leaves nothing behind; a reply that comes too late is dropped.

        Args:
            body: The request.
            exchange: Where to; `""` is the default exchange, which routes by queue name.
            routing_key: What bindings are matched by.
            content_type: MIME type of the body.
            content_encoding: MIME encoding of the body.
            headers: A table of your own.
            timeout: Seconds for all of it; the client's `default_timeout` by default.
            idempotent: Whether the endpoint may work on it twice without harm, so that it is sent
                again where the link was lost.

        Raises:
            NoEndpointError: No queue takes the request.
            CallTimeoutError: No reply came in time.
            CallUnknownError: The link was lost after the request had been sent.
            CallNotSentError: It was not sent, and cannot be.
            RemoteError: The endpoint failed; what is registered is raised as itself.
            EncodeError: A value has no AMQP form.
        """
        if timeout is None:
            timeout = self._default_timeout
        else:
            _check_timeout(timeout)
        name = exchange if type(exchange) is str else name_of(exchange)
        call = Call(
            secrets.token_hex(_ID_SIZE),
            name,
            routing_key,
            body,
            content_type,
            content_encoding,
            headers,
            self._clock.time() + timeout,
            timeout,
        )
        line = self._line
        outcome: Outcome | None = None
        if line is not None and not self._is_risky(call):
            outcome = await line.ask(call, timeout)
        if not isinstance(outcome, Message):
            outcome = await self._persist(call, outcome, idempotent)
        if ERROR in outcome.headers:
            raise self._errors.decode(outcome)
        return outcome

    # --- inside ----------------------------------------------------------------------------------

    def _is_risky(self, call: Call) -> bool:
        """Return whether the broker might close the channel for a request."""
        return self._isolation.is_risky(call.exchange, size_of(call.body), call.headers, None)

    async def _persist(self, call: Call, outcome: Outcome | None, idempotent: bool) -> Message:
        """Ask again, as far as the call allows, until it is answered or its time is up."""
        was_sent = False
        try:
            async with Deadline(self._clock, call.deadline):
                while not isinstance(outcome, Message):
                    if isinstance(outcome, Interrupted) and outcome.was_sent:
                        was_sent = True
                        if not idempotent:
                            raise call.unknown(outcome.error)
                    elif isinstance(outcome, CallError):
                        raise outcome
                    outcome = await self._ask(call)
                return outcome
        except TimeoutError:
            raise call.timed_out() from None
        except CallNotSentError as error:
            if not was_sent:
                raise
            raise call.unknown(error) from error

    async def _ask(self, call: Call) -> Outcome:
        try:
            if self._is_risky(call):
                return await self._ask_apart(call)
            line = self._line or await self._open()
        except _NO_CHANNEL as error:
            raise call.not_sent(error) from error
        return await line.ask(call, self._left(call))

    def _left(self, call: Call) -> float:
        return call.deadline - self._clock.time()

    async def _ask_apart(self, call: Call) -> Outcome:
        """Ask on a channel of its own, which the request may cost."""
        async with AsyncExitStack() as borrowed:
            async with self._trying:
                is_known_by_now = not self._is_risky(call)
                if not is_known_by_now:
                    line = await self._borrow(borrowed)
                    accepted = await self._try(line, call)
            if is_known_by_now:
                return await self._ask(call)
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
        if accepted.done():
            self._isolation.prove(call.exchange)
        return accepted.done()

    async def _borrow(self, borrowed: AsyncExitStack) -> ReplyLine:
        """Return a channel that is given back at the end of `borrowed`."""
        lending = self._messaging.channel(confirms=True, prefetch=0)
        line = ReplyLine(await borrowed.enter_async_context(lending), self._clock)
        self._apart.add(line)
        borrowed.callback(self._apart.discard, line)
        borrowed.callback(line.end, CallNotSentError(_CLOSED))
        await line.begin()
        return line

    # --- the channel for all others --------------------------------------------------------------

    async def _open(self) -> ReplyLine:
        """Return the channel that requests go by, as soon as there is one."""
        if self._is_closed:
            raise CallNotSentError(_CLOSED)
        if self._opened is None:
            self._opened = asyncio.get_running_loop().create_future()
            serving = asyncio.create_task(self._serve(self._opened), name="hopmq calls")
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)
        return await asyncio.shield(self._opened)

    async def _serve(self, opened: "asyncio.Future[ReplyLine]") -> None:
        """Keep a channel until it has ended."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def forget() -> None:
            self._line = self._opened = None
            self._isolation.forget()
            if not over.done():
                over.set_result(None)

        try:
            async with self._messaging.channel(confirms=False, prefetch=0) as channel:
                line = ReplyLine(channel, self._clock)
                line.on_over = forget
                await line.begin()
                self._line = line
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
        opening.exception()


def _check_timeout(timeout: object) -> None:
    if not isinstance(timeout, int | float) or not 0 < timeout <= _LONGEST:
        raise UsageError(
            f"a call has more than 0 and at most {_LONGEST:g} seconds, not {timeout!r}"
        )
