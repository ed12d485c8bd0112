"""Publishing by a pool: on which of the shared channels, and what is done when none has room."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Iterable
from datetime import timedelta

from hopmq.client.outcome import PublishHandle
from hopmq.client.window import size_of
from hopmq.core.pending import Receipt
from hopmq.entities import Exchange, name_of
from hopmq.errors import PublishNotSentError
from hopmq.resilience.pool.engine import Engine
from hopmq.resilience.pool.isolation import LARGE, Isolation
from hopmq.typedefs import Body, FieldTable
from hopmq.wire import Properties


class PooledPublishing(ABC):
    """What a pool offers for publishing; each message ends in exactly one of five ways.

    Messages of one publisher are in order as long as it awaits each, or gives them to one
    `publish_many`. Between others there is no order: they may go by different channels.
    """

    def __init__(self, publish_timeout: float) -> None:
        """Have published nothing."""
        self._engine: Engine | None = None
        self._publish_timeout = publish_timeout
        self._trials: dict[str, PublishHandle] = {}

    @abstractmethod
    def _check_publishing(self) -> Engine:
        """Return what the pool has; raise unless it takes messages."""

    async def publish(
        self,
        body: Body,
        *,
        exchange: Exchange | str = "",
        routing_key: str = "",
        headers: FieldTable | None = None,
        mandatory: bool = False,
        persistent: bool = True,
        content_type: str | None = None,
        expiration: float | timedelta | None = None,
        priority: int | None = None,
        correlation_id: str | None = None,
        reply_to: str | None = None,
        message_id: str | None = None,
        properties: Properties | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # decides the outcome, not only the wait
    ) -> Receipt:
        """Publish a message and wait until the broker has it; see `Channel.publish`.

        Waits also while there is no connection. A message that waited in the line of a channel
        which ended goes by another one.

        Raises:
            PublishError: By outcome, as of a channel.
            EncodeError: A value has no AMQP form.
            UsageError: Both `properties` and keywords for them were given, or the pool is not
                open yet.
        """
        name = exchange if type(exchange) is str else name_of(exchange)
        engine = self._engine or self._check_publishing()
        # The commonest case is told at a glance: a small message by way of the default exchange.
        is_risky = (
            name != ""
            or headers is not None
            or properties is not None
            or type(body) is not bytes
            or len(body) > LARGE
        ) and engine.isolation.is_risky(name, size_of(body), headers, properties)
        shared = engine.isolated if is_risky else engine.shared
        deadline: float | None = None
        while True:
            chosen = shared.current
            if chosen is None or not chosen.channel.has_room:
                self._check_publishing()
                now = asyncio.get_running_loop().time()
                if deadline is None:
                    deadline = now + (self._publish_timeout if timeout is None else timeout)
                chosen = await shared.wait(deadline - now)
                timeout = deadline - asyncio.get_running_loop().time()
            chosen.published += 1
            try:
                receipt = await chosen.channel.publish(
                    body,
                    exchange=name,
                    routing_key=routing_key,
                    headers=headers,
                    mandatory=mandatory,
                    persistent=persistent,
                    content_type=content_type,
                    expiration=expiration,
                    priority=priority,
                    correlation_id=correlation_id,
                    reply_to=reply_to,
                    message_id=message_id,
                    properties=properties,
                    timeout=timeout,
                )
            except PublishNotSentError as error:
                # It waited in the line of a channel that has ended: there are others.
                if isinstance(error, TimeoutError) or not chosen.has_ended():
                    raise
            else:
                break
        if is_risky:
            engine.isolation.prove(name)
        return receipt

    def publish_nowait(
        self,
        body: Body,
        *,
        exchange: Exchange | str = "",
        routing_key: str = "",
        mandatory: bool = False,
        properties: Properties | None = None,
        timeout: float | None = None,
    ) -> PublishHandle:
        """Write a message now and return a handle to await; see `Channel.publish_nowait`.

        Raises:
            PublishNotSentError: There is no room on any channel now (await an earlier handle),
                or no connection.
            EncodeError: A value has no AMQP form.
            UsageError: The pool is not open yet.
        """
        engine = self._check_publishing()
        name = name_of(exchange)
        self._look_at_trial(engine.isolation, name)
        is_risky = engine.isolation.is_risky(name, size_of(body), None, properties)
        shared = engine.isolated if is_risky else engine.shared
        chosen = shared.current
        if chosen is None or not chosen.channel.has_room:
            chosen = shared.choose()
        if chosen is None:
            shared.open()
            raise PublishNotSentError("not sent: no channel is open for it yet; await publish()")
        chosen.published += 1
        handle = chosen.channel.publish_nowait(
            body,
            exchange=name,
            routing_key=routing_key,
            mandatory=mandatory,
            properties=properties,
            timeout=timeout,
        )
        if is_risky:
            self._trials[name] = handle
        return handle

    async def publish_many(
        self,
        bodies: Iterable[Body] | AsyncIterable[Body],
        *,
        exchange: Exchange | str = "",
        routing_key: str = "",
        mandatory: bool = False,
        properties: Properties | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # decides the outcome, not only the wait
    ) -> list[Receipt]:
        """Publish messages as fast as the window of one channel allows, in their order.

        See `Channel.publish_many`.

        Raises:
            PublishManyError: Some did not end confirmed; it has all outcomes, in order.
            PublishNotSentError: There was no connection in time; none was sent.
        """
        engine = self._check_publishing()
        name = name_of(exchange)
        is_risky = engine.isolation.is_risky(name, 0, None, properties)
        shared = engine.isolated if is_risky else engine.shared
        chosen = await shared.wait(self._publish_timeout if timeout is None else timeout)
        chosen.published += 1
        chosen.batches += 1
        try:
            receipts = await chosen.channel.publish_many(
                bodies,
                exchange=name,
                routing_key=routing_key,
                mandatory=mandatory,
                properties=properties,
                timeout=timeout,
            )
        finally:
            chosen.batches -= 1
        if is_risky and receipts:
            engine.isolation.prove(name)
        return receipts

    # --- inside ------------------------------------------------------------------------------

    def _look_at_trial(self, isolation: Isolation, exchange: str) -> None:
        """Learn from the last message that was published without waiting."""
        trial = self._trials.get(exchange)
        if trial is not None and trial.done():
            del self._trials[exchange]
            if isinstance(trial.outcome, Receipt):
                isolation.prove(exchange)
