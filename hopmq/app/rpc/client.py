"""Calling endpoints: any number of calls at once, each with a reply or an error in time."""

import secrets
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from hopmq.app.clock import Clock, LoopTime
from hopmq.app.deadline import Deadline
from hopmq.app.errors import CallError, CallNotSentError
from hopmq.app.header_names import ERROR
from hopmq.app.messaging import Messaging
from hopmq.app.rpc.call import Call, Interrupted, Outcome
from hopmq.app.rpc.lines import ReplyLines
from hopmq.app.rpc.remote_errors import RemoteErrors
from hopmq.client.message import Message
from hopmq.entities import Exchange, name_of
from hopmq.errors import HopMQError, UsageError
from hopmq.typedefs import Body, FieldTable
from hopmq.wire import Properties

_LONGEST: Final = 4_000_000.0
"""Seconds: RabbitMQ closes the channel for an expiration that does not fit 32 bits of milliseconds."""
_ID_SIZE: Final = 16
_FIRST_PAUSE: Final = 1.0
TRANSIENT: Final = 1
"""Delivery mode: a request is gone when its broker is."""


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
        self._lines = ReplyLines(messaging, LoopTime() if clock is None else clock)
        self._clock: Clock = self._lines.clock
        self._default_timeout = default_timeout
        self._errors = RemoteErrors() if errors is None else errors

    # --- beginning and ending ------------------------------------------------------------------

    async def start(self) -> None:
        """Have a channel ready; without it, the first call sees to that.

        Raises:
            HopMQError: There is no channel to be had.
        """
        await self._lines.open()

    async def close(self) -> None:
        """End every call under way, and give the channel back. Idempotent."""
        await self._lines.close()

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
        properties: Properties | None = None,
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
            properties: All properties, instead of the three above; expiration, `correlation_id`
                and `reply_to` are the call's own.
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
        if properties is None:
            properties = Properties(
                content_type=content_type,
                content_encoding=content_encoding,
                headers=headers,
                delivery_mode=TRANSIENT,
            )
        else:
            properties = replace(properties)
        name = exchange if type(exchange) is str else name_of(exchange)
        call = Call(
            secrets.token_hex(_ID_SIZE),
            name,
            routing_key,
            body,
            properties,
            self._clock.time() + timeout,
            timeout,
            idempotent,
        )
        lines = self._lines
        line = lines.current
        outcome: Outcome | None = None
        if line is not None and not lines.is_risky(call) and (line.is_proven or not idempotent):
            outcome = await line.ask(call, timeout)
        if not isinstance(outcome, Message):
            outcome = await self._persist(call, outcome)
        if ERROR in outcome.headers:
            raise self._errors.decode(outcome)
        return outcome

    # --- inside ----------------------------------------------------------------------------------

    async def _persist(self, call: Call, outcome: Outcome | None) -> Message:
        """Ask again, as far as the call allows, until it is answered or its time is up."""
        was_sent, pause = False, _FIRST_PAUSE
        try:
            async with Deadline(self._clock, call.deadline):
                while not isinstance(outcome, Message):
                    if isinstance(outcome, Interrupted) and outcome.was_sent:
                        was_sent = True
                        if not call.idempotent:
                            raise call.unknown(outcome.error)
                    elif isinstance(outcome, CallError):
                        raise outcome
                    if call.idempotent and self._lines.is_shaken:
                        outcome = await self._ask_for(call, pause)
                        pause *= 2
                    else:
                        outcome = await self._lines.ask(call)
                return outcome
        except TimeoutError:
            raise call.timed_out() from None
        except CallNotSentError as error:
            if not was_sent:
                raise
            raise call.unknown(error) from error

    async def _ask_for(self, call: Call, seconds: float) -> Outcome:
        """Ask, and stop waiting after so many seconds; the reply is welcome still.

        While RabbitMQ starts (seen on 4.0.5), it takes requests and loses the replies to them.
        """

        def stop_waiting() -> None:
            error = HopMQError(f"no answer within {seconds:g} seconds of a lost link")
            call.end(Interrupted(error, was_sent=True))

        timer = self._clock.call_at(self._clock.time() + seconds, stop_waiting)
        try:
            return await self._lines.ask(call)
        finally:
            timer.cancel()


def _check_timeout(timeout: object) -> None:
    if not isinstance(timeout, int | float) or not 0 < timeout <= _LONGEST:
        raise UsageError(
            f"a call has more than 0 and at most {_LONGEST:g} seconds, not {timeout!r}"
        )
