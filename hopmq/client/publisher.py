"""Publishing as users meet it: one message, a pipeline, or many."""

import asyncio
from collections.abc import AsyncIterable, Iterable
from datetime import timedelta

from hopmq.client.draft import message_properties
from hopmq.client.outcome import PublishHandle
from hopmq.client.pipeline import Pipeline
from hopmq.client.publishing import PERSISTENT_ONLY, Publishing
from hopmq.client.session import Session
from hopmq.client.window import size_of
from hopmq.core.channel import ChannelCore
from hopmq.core.pending import Receipt
from hopmq.core.states import ChannelState
from hopmq.entities import Exchange, name_of
from hopmq.errors import PublishNotSentError, UsageError
from hopmq.typedefs import Body, FieldTable
from hopmq.wire import Properties


class PublishOperations:
    """What a channel offers for publishing; each message ends in exactly one of five ways."""

    _session: Session
    _core: ChannelCore
    _publishing: Publishing
    _publish_timeout: float

    @property
    def has_room(self) -> bool:
        """Whether a message would be written now, and not be held or refused."""
        return self._core.state is ChannelState.OPEN and not self._publishing.is_full(0)

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
        """Publish a message and wait until the broker has it.

        Waits first while the window of unconfirmed messages is full, the socket does not keep
        up, or the broker has blocked the connection. Cancelling withdraws a message that was
        not written yet; one that was written may arrive.

        Args:
            body: The payload.
            exchange: Where to; `""` is the default exchange, which routes by queue name.
            routing_key: What bindings are matched by.
            headers: A table of your own.
            mandatory: Raise when no queue takes the message.
            persistent: Whether it survives a broker restart in a durable queue.
            content_type: MIME type of the body.
            expiration: Seconds it may wait in a queue.
            priority: 0 to 255.
            correlation_id: What request it answers.
            reply_to: Queue that replies go to.
            message_id: Your name for it.
            properties: All properties at once, instead of the keywords above.
            timeout: Seconds until the outcome is decided; the channel's `publish_timeout` by
                default. With none left, nothing is sent.

        Returns:
            The receipt of the broker's confirm.

        Raises:
            PublishReturnedError: Mandatory, and no queue took it.
            PublishNackedError: The broker refused it.
            PublishNotSentError: It was not sent; publishing again is safe.
            PublishUnknownError: It was sent and may have arrived.
            EncodeError: A value has no AMQP form.
            UsageError: Both `properties` and keywords for them were given.
        """
        encodable: Properties | bytes = PERSISTENT_ONLY
        if not (
            headers is None
            and persistent
            and content_type is None
            and expiration is None
            and priority is None
            and correlation_id is None
            and reply_to is None
            and message_id is None
        ):
            encodable = message_properties(
                headers=headers,
                persistent=persistent,
                content_type=content_type,
                expiration=expiration,
                priority=priority,
                correlation_id=correlation_id,
                reply_to=reply_to,
                message_id=message_id,
            )
        if properties is not None:
            if encodable is not PERSISTENT_ONLY:
                raise UsageError("properties= stands for all of them: give it or the keywords")
            encodable = properties
        if type(exchange) is not str:
            exchange = name_of(exchange)
        if timeout is None:
            timeout = self._publish_timeout
        publishing = self._publishing
        handle = publishing.start_now(exchange, routing_key, mandatory, encodable, body, timeout)
        if handle is None:
            handle = publishing.hold(exchange, routing_key, mandatory, encodable, body, timeout)
        session = self._session
        try:
            if session.flushed_early:
                # Without confirms nothing else would let other tasks run.
                session.flushed_early = False
                await asyncio.sleep(0)
            if not handle.done():
                if session.budget.paused:
                    session.budget.awaiting()
                await handle.waiter()
        except asyncio.CancelledError:
            publishing.withdraw(handle)
            raise
        return handle.result()

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
        """Write a message now and return a handle to await; for pipelines.

        Args:
            body: See `publish`.
            exchange: See `publish`.
            routing_key: See `publish`.
            mandatory: See `publish`.
            properties: All properties; by default the message is persistent and has no others.
            timeout: See `publish`.

        Raises:
            PublishNotSentError: There is no room now (await an earlier handle), the broker has
                blocked the connection, or the channel is closed.
            EncodeError: A value has no AMQP form.
        """
        handle = self._publishing.start_now(
            exchange if type(exchange) is str else name_of(exchange),
            routing_key,
            mandatory,
            PERSISTENT_ONLY if properties is None else properties,
            body,
            self._publish_timeout if timeout is None else timeout,
        )
        if handle is None:
            reason = self._publishing.why_held(size_of(body))
            raise PublishNotSentError(f"not sent: {reason}; await an earlier handle, or publish()")
        budget = self._session.budget
        if budget.paused:
            budget.awaiting()
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
        """Publish messages as fast as the window allows and wait for every confirm.

        Args:
            bodies: The payloads; read as there is room.
            exchange: See `publish`.
            routing_key: See `publish`.
            mandatory: See `publish`.
            properties: Those of every message; by default persistent and no others.
            timeout: Seconds for each message, from when its turn comes.

        Returns:
            One receipt per message, in order.

        Raises:
            PublishManyError: Some did not end confirmed; it has all outcomes, in order.
        """
        pipeline = Pipeline(
            self._publishing,
            self._session,
            (
                name_of(exchange),
                routing_key,
                mandatory,
                PERSISTENT_ONLY if properties is None else properties,
            ),
            self._publish_timeout if timeout is None else timeout,
        )
        if isinstance(bodies, AsyncIterable):
            async for body in bodies:
                await pipeline.publish_all((body,))
        else:
            await pipeline.publish_all(bodies)
        return await pipeline.receipts()

    async def wait_for_confirms(self) -> None:
        """Wait until every publish so far has its outcome; each has a deadline."""
        for publish in self._publishing.undecided():
            await publish.wait()
