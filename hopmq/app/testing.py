"""Testing applications: on an embedded broker, in this process, at a time that is turned."""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType, UnionType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, get_origin, overload

from hopmq.app.context import CallNext, PublishContext
from hopmq.app.loop_calls import LoopCalls
from hopmq.app.published import Published, published_by
from hopmq.app.running.own_channels import OwnChannels
from hopmq.app.running.source import OwnPool
from hopmq.app.sending import Sender
from hopmq.app.turned_time import AtWork, WatchedClock
from hopmq.broker import Broker
from hopmq.client.connection import Connection
from hopmq.client.message import Message
from hopmq.core.pending import Receipt
from hopmq.entities import Exchange
from hopmq.errors import UsageError
from hopmq.resilience.connect import connect
from hopmq.testing.clock import TurnedClock
from hopmq.typedefs import FieldTable

if TYPE_CHECKING:
    from hopmq.app.app import App

__all__ = ["AppTest", "Published"]

T = TypeVar("T")

_SERIAL: Final = itertools.count(1)
_DELAYS: Final = "hopmq.delay."
_MOST_TURNS: Final = 10_000
_SHORT: Final = 0.1
"""Seconds that handlers have in the end when they are known to wait for what will not come."""


class AppTest:
    """An application on an embedded broker of its own: `async with app.test() as t:`.

    Everything is real but the network and the time: messages are routed, acknowledged, delivered
    again, delayed and parked as on RabbitMQ. Time stands still until it is turned, by `advance`, or
    by `drain` where something waits for it.

    Attributes:
        app: The application.
        broker: Its broker.
        clock: The time of both.
    """

    def __init__(
        self,
        app: "App",
        lend: Callable[..., Callable[[], None]],
        *,
        emulate: str | None,
        overrides: Mapping[Callable[..., Any], Callable[..., Any]],
        patience: float,
    ) -> None:
        """Test `app`; see `App.test`."""
        self.app: App = app
        self._lend = lend
        self.clock: TurnedClock = TurnedClock()
        name = f"app-test-{next(_SERIAL)}"
        options: dict[str, Any] = {} if emulate is None else {"emulate": emulate}
        self.broker: Broker = Broker(name=name, host=None, clock=self.clock, **options)
        self._at_work = AtWork()
        self._time = WatchedClock(self.clock, self._at_work)
        self._overrides = overrides
        self._patience = patience
        self._published: list[Published] = []
        self._restore: Callable[[], None] | None = None
        self._connection: Connection | None = None
        self._sender: Sender | None = None

    async def __aenter__(self) -> Self:
        """Start the broker, and the application on it.

        Raises:
            UsageError: The application runs already.
            DeclarationError: As from `App.start`.
        """
        await self.broker.start()
        url = f"{self.broker.url}?heartbeat=0"
        try:
            self._restore = self._lend(
                OwnPool(url, self.app.name),
                self._time,
                self._at_work,
                self._record,
                self._at_work.asking,
                self._overrides,
            )
            await self.app.start()
            self._connection = await connect(url, name="app test")
            outside = OwnChannels(self._connection)
            serialization = self.app.serialization
            self._sender = Sender(outside, serialization, (), self.clock, self.app, LoopCalls())
            await self.clock.settle()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drain the application and stop the broker; handlers that wait still are cut off."""
        waits = len(self._at_work) or self._time.sleeping
        try:
            await self.app.drain(_SHORT if waits else None)
        finally:
            await self._end()

    async def _end(self) -> None:
        if self._restore is not None:
            self._restore()
        if self._connection is not None:
            await self._connection.close()
        await self.broker.stop()

    # --- time ----------------------------------------------------------------------------------

    def now(self) -> datetime:
        """Return what time it is by the clock, in UTC; at first, the beginning of 2026."""
        return datetime.fromtimestamp(self.clock.wall(), UTC)

    async def advance(self, seconds: float) -> None:
        """Turn the clock on, and have all happen that falls due until then, each at its time."""
        until = self.clock.time() + seconds
        await self._rest()
        while (due := self.clock.next_deadline()) is not None and due <= until:
            await self.clock.advance_to(due)
            await self._rest()
        await self.clock.advance_to(until)
        await self._rest()

    async def drain(self) -> None:
        """Wait until nothing is left to do: turn the clock on as far as retries and delays need it.

        Messages that nobody consumes, and those that wait for a consumer that was paused, are left
        where they are. What was published with a delay is waited for as well.

        Raises:
            TimeoutError: A handler waits for something other than messages and this clock, for
                longer than `patience` seconds by the real one; or there is no end to it.
        """
        await self._rest()
        for _ in range(_MOST_TURNS):
            due = self.clock.next_deadline() if self._is_something_due() else None
            if due is None:
                return
            await self.clock.advance_to(due)
            await self._rest()
        raise TimeoutError(f"not at rest after {_MOST_TURNS} turns of the clock")

    async def _rest(self) -> None:
        """Let everything happen that needs no time by this clock.

        A handler that waits for the world (a thread, a socket) is given real time. When it has
        had enough of that, the time limits that stand around it are the next to happen, if any.
        """
        await self.clock.settle()
        while self._at_work.waits_for_the_world:
            if not await self._at_work.has_changed(self._patience):
                self._at_work.give_up()
            await self.clock.settle()
        given_up = self._at_work.given_up
        if given_up and not self._time.pending:
            raise TimeoutError(
                f"after {self._patience:g} seconds the handler of {', '.join(given_up)} still waits "
                "for something that neither messages nor the test's clock bring"
            )

    def _is_something_due(self) -> bool:
        queues = self.broker.state.vhosts["/"].queues.values()
        return (
            len(self._at_work) > 0
            or self._time.sleeping > 0
            or any(each.collected for each in self.app.consumers.values())
            or any(
                queue.delayed or (queue.name.startswith(_DELAYS) and queue.ready)
                for queue in queues
            )
        )

    # --- what goes in and comes out --------------------------------------------------------------

    async def publish(
        self,
        payload: object,
        *,
        exchange: Exchange | str = "",
        routing_key: str = "",
        headers: FieldTable | None = None,
        mandatory: bool = True,
        content_type: str | None = None,
        content_encoding: str | None = None,
        expiration: float | timedelta | None = None,
        priority: int | None = None,
        correlation_id: str | None = None,
        reply_to: str | None = None,
        message_id: str | None = None,
        delay: float | timedelta | None = None,
        at: datetime | None = None,
    ) -> Receipt:
        """Publish as somebody else, and let what follows happen; see `App.publish`.

        It is not among what `published` returns. By default a message that no queue takes is an
        error here, so that a misspelt key is found.
        """
        receipt = await self._outside().publish(
            payload,
            exchange=exchange,
            routing_key=routing_key,
            headers=headers,
            mandatory=mandatory and delay is None and at is None,
            content_type=content_type,
            content_encoding=content_encoding,
            expiration=expiration,
            priority=priority,
            correlation_id=correlation_id,
            reply_to=reply_to,
            message_id=message_id,
            delay=delay,
            at=at,
        )
        await self._rest()
        return receipt

    @overload
    async def request(
        self,
        endpoint: str,
        payload: object = ...,
        *,
        returns: type[T],
        exchange: Exchange | str = ...,
        headers: FieldTable | None = ...,
        content_type: str | None = ...,
        content_encoding: str | None = ...,
        timeout: float = ...,  # noqa: ASYNC109  # travels with the request
    ) -> T: ...

    @overload
    async def request(
        self,
        endpoint: str,
        payload: object = ...,
        *,
        returns: None = ...,
        exchange: Exchange | str = ...,
        headers: FieldTable | None = ...,
        content_type: str | None = ...,
        content_encoding: str | None = ...,
        timeout: float = ...,  # noqa: ASYNC109  # travels with the request
    ) -> Message: ...

    @overload
    async def request(
        self,
        endpoint: str,
        payload: object = ...,
        *,
        returns: UnionType,
        exchange: Exchange | str = ...,
        headers: FieldTable | None = ...,
        content_type: str | None = ...,
        content_encoding: str | None = ...,
        timeout: float = ...,  # noqa: ASYNC109  # travels with the request
    ) -> Any: ...

    async def request(
        self,
        endpoint: str,
        payload: object = None,
        *,
        returns: Any = None,  # a type, or a form of one
        exchange: Exchange | str = "",
        headers: FieldTable | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        timeout: float = 30.0,  # noqa: ASYNC109  # travels with the request
    ) -> Any:
        """Ask an endpoint of the application; see `App.request`.

        The clock is turned on as far as the answer needs it, or until `timeout` is over.
        """
        asking = asyncio.ensure_future(
            self.app.request(
                endpoint,
                payload,
                returns=returns,
                exchange=exchange,
                headers=headers,
                content_type=content_type,
                content_encoding=content_encoding,
                timeout=timeout,
            )
        )
        try:
            await self._rest()
            while not asking.done() and (due := self.clock.next_deadline()) is not None:
                await self.clock.advance_to(due)
                await self._rest()
            return await asking
        finally:
            asking.cancel()

    @overload
    def published(
        self, payload: type[T], *, exchange: str | None = ..., routing_key: str | None = ...
    ) -> list[T]: ...

    @overload
    def published(
        self, payload: None = ..., *, exchange: str | None = ..., routing_key: str | None = ...
    ) -> list[Published]: ...

    def published(
        self,
        payload: type[Any] | None = None,
        *,
        exchange: str | None = None,
        routing_key: str | None = None,
    ) -> list[Any]:
        """Return what the application has published, in order.

        Args:
            payload: Only payloads of this type, and these alone.
            exchange: Only what went there.
            routing_key: Only what went by this key.
        """
        found = [
            each
            for each in self._published
            if (exchange is None or each.exchange == exchange)
            and (routing_key is None or each.routing_key == routing_key)
        ]
        if payload is None:
            return found
        kind = get_origin(payload) or payload  # of `list[Order]`, a list
        return [each.payload for each in found if isinstance(each.payload, kind)]

    def waiting(self, queue: str) -> int:
        """Return how many messages wait in a queue for a consumer.

        Raises:
            UsageError: There is no such queue.
        """
        queues = self.broker.state.vhosts["/"].queues
        if queue not in queues:
            raise UsageError(f"there is no queue {queue!r}, only {', '.join(map(repr, queues))}")
        return queues[queue].ready

    # --- inside ------------------------------------------------------------------------------

    async def _record(
        self, context: PublishContext, call_next: CallNext[PublishContext], /
    ) -> Any:  # what publishing returns
        receipt = await call_next(context)
        if context.is_request:
            return receipt
        self._published.append(published_by(context))
        return receipt

    def _outside(self) -> Sender:
        if self._sender is None:
            raise UsageError("the test has not begun: async with app.test() as t")
        return self._sender
