"""One call on its way to its reply."""

import asyncio
from dataclasses import dataclass, field
from typing import TypeAlias

from hopmq.app.errors import (
    CallError,
    CallNotSentError,
    CallTimeoutError,
    CallUnknownError,
    NoEndpointError,
)
from hopmq.client.message import Message
from hopmq.client.outcome import PublishHandle
from hopmq.errors import HopMQError
from hopmq.typedefs import Body
from hopmq.wire import Properties


@dataclass(slots=True, frozen=True, eq=False, repr=False)
class Interrupted:
    """A call has to be asked again, or given up.

    Attributes:
        error: What was in the way.
        was_sent: Whether its request was sent, so that only the reply cannot come any more.
    """

    error: HopMQError
    was_sent: bool


Outcome: TypeAlias = Message | CallError | Interrupted
"""How asking ends: with the reply, for good without one, or without for now."""


@dataclass(slots=True, eq=False, repr=False)
class Call:
    """A request, and whoever waits for its reply.

    Attributes:
        correlation_id: What the reply is known by.
        exchange, routing_key: Where the endpoint is.
        body: The request.
        properties: Of the request; the call's own, which completes them each time it is sent.
        deadline: When the caller stops waiting, on the application's clock.
        timeout: The seconds that it had at first.
        idempotent: Whether it may be asked more than once.
        waiter: Done with the outcome.
        handle: The publish, until it is known to be written.
    """

    correlation_id: str
    exchange: str
    routing_key: str
    body: Body
    properties: Properties
    deadline: float
    timeout: float
    idempotent: bool
    waiter: asyncio.Future[Outcome] = field(init=False)
    handle: PublishHandle | None = None

    def end(self, outcome: Outcome) -> None:
        """Tell the caller, unless it has gone."""
        if not self.waiter.done():
            self.waiter.set_result(outcome)

    @property
    def endpoint(self) -> str:
        """Name what is called, for errors."""
        if not self.exchange:
            return repr(self.routing_key)
        return f"{self.routing_key!r} of exchange {self.exchange!r}"

    def timed_out(self) -> CallTimeoutError:
        """Return the error of a call whose time is up."""
        return CallTimeoutError(
            f"no answer from {self.endpoint} within {self.timeout:g} seconds; it may have worked "
            "all the same"
        )

    def no_endpoint(self, cause: HopMQError | None = None) -> NoEndpointError:
        """Return the error of a call that nobody is there for."""
        reason = "no queue takes the request" if cause is None else str(cause)
        error = NoEndpointError(f"nobody serves {self.endpoint}: {reason}")
        error.__cause__ = cause
        return error

    def not_sent(self, cause: HopMQError) -> CallNotSentError:
        """Return the error of a call whose request was not sent."""
        text = str(cause).removeprefix("not sent: ")
        error = CallNotSentError(f"the request to {self.endpoint} was not sent: {text}")
        error.__cause__ = cause
        return error

    def unknown(self, cause: HopMQError) -> CallUnknownError:
        """Return the error of a call whose reply can no longer come."""
        error = CallUnknownError(
            f"the request to {self.endpoint} was sent, but no answer can come any more: {cause}. "
            "The endpoint may have worked; declare the call idempotent if that does no harm twice"
        )
        error.__cause__ = cause
        return error
