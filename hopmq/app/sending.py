"""Publishing by an application: encoded, through middleware, at once or later."""

import itertools
import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from hopmq.app.clock import Clock
from hopmq.app.context import PublishContext, PublishMiddleware
from hopmq.app.loop_calls import LoopCalls
from hopmq.app.messaging import Messaging
from hopmq.app.middleware.composition import compose
from hopmq.app.retry import publish_delayed, seconds_until
from hopmq.app.serialization import Serialization
from hopmq.client.draft import expiration_text
from hopmq.core.pending import Receipt
from hopmq.entities import Exchange, name_of
from hopmq.errors import UsageError
from hopmq.typedefs import FieldTable
from hopmq.wire import Properties

_TRANSIENT: Final = 1
_PERSISTENT: Final = 2


class Sender:
    """What publishes for an application while it runs."""

    def __init__(
        self,
        messaging: Messaging,
        serialization: Serialization,
        middleware: Iterable[PublishMiddleware],
        clock: Clock,
        app: Any,  # the application, which stands above this module
        loop_calls: LoopCalls,
    ) -> None:
        """Publish by `messaging`, through `middleware`, on the loop of `loop_calls`."""
        self._messaging = messaging
        self._serialization = serialization
        self._clock = clock
        self._app = app
        self._loop_calls = loop_calls
        self._ids = message_ids()
        self._chain = compose(tuple(middleware), self._publish)

    async def publish(
        self,
        payload: object,
        *,
        exchange: Exchange | str = "",
        routing_key: str = "",
        headers: FieldTable | None = None,
        mandatory: bool = False,
        persistent: bool = True,
        content_type: str | None = None,
        content_encoding: str | None = None,
        expiration: float | timedelta | None = None,
        priority: int | None = None,
        correlation_id: str | None = None,
        reply_to: str | None = None,
        message_id: str | None = None,
        delay: float | timedelta | None = None,
        at: datetime | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # decides the outcome, not only the wait
    ) -> Receipt:
        """Publish a payload and wait until the broker has it; see `App.publish`."""
        self._loop_calls.check_loop()
        encoded = self._serialization.encode(
            payload, content_type=content_type, content_encoding=content_encoding
        )
        properties = Properties(
            content_type=encoded.content_type,
            content_encoding=encoded.content_encoding,
            headers=headers,
            delivery_mode=_PERSISTENT if persistent else _TRANSIENT,
            priority=priority,
            correlation_id=correlation_id,
            reply_to=reply_to,
            expiration=None if expiration is None else expiration_text(expiration),
            message_id=message_id or next(self._ids),
        )
        context = PublishContext(
            payload=payload,
            body=encoded.body,
            exchange=exchange,
            routing_key=routing_key,
            properties=properties,
            mandatory=mandatory,
            delay=self._seconds_until(delay, at),
            timeout=timeout,
            app=self._app,
        )
        receipt: Receipt = await self._chain(context)
        return receipt

    async def _publish(self, context: PublishContext) -> Receipt:
        if context.delay:
            if context.mandatory:
                raise UsageError(
                    "mandatory= is about who takes the message now: with a delay it is routed later"
                )
            return await publish_delayed(
                self._messaging,
                context.delay,
                exchange=name_of(context.exchange),
                routing_key=context.routing_key,
                body=context.body,
                properties=context.properties,
                timeout=context.timeout,
            )
        return await self._messaging.publish(
            context.body,
            exchange=context.exchange,
            routing_key=context.routing_key,
            mandatory=context.mandatory,
            properties=context.properties,
            timeout=context.timeout,
        )

    def _seconds_until(self, delay: float | timedelta | None, at: datetime | None) -> float | None:
        if at is not None:
            if delay is not None:
                raise UsageError("delay= and at= say the same thing: give one of them")
            return seconds_until(at, self._clock)
        return delay.total_seconds() if isinstance(delay, timedelta) else delay


def message_ids() -> Iterator[str]:
    """Yield names for messages that nobody else gives, in any process."""
    ours = secrets.token_hex(8)
    return (f"{ours}-{number}" for number in itertools.count(1))


class Outlet:
    """Where the publishers of a router find the application that it is part of."""

    def __init__(self) -> None:
        """Belong to none."""
        self._outer: Outlet | None = None
        self._find: Callable[[], Sender] | None = None

    @property
    def is_joined(self) -> bool:
        """Whether it is part of another."""
        return self._outer is not None

    def join(self, outer: "Outlet") -> None:
        """Be part of another from now on."""
        self._outer = outer

    def opens_into(self, find: Callable[[], Sender]) -> None:
        """Be an application's: `find` returns what publishes, or raises while it does not run."""
        self._find = find

    def sender(self) -> Sender:
        """Return what publishes.

        Raises:
            UsageError: The router is part of no application, or that does not run.
        """
        if self._find is not None:
            return self._find()
        if self._outer is not None:
            return self._outer.sender()
        raise UsageError("this router is part of no application: app.include(router)")
