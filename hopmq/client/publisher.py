"""Publishing as users meet it: one message, a pipeline, or many."""

import asyncio
from collections.abc import AsyncIterable, Iterable
from datetime import timedelta

from hopmq.client.draft import message_properties
from hopmq.client.outcome import PublishHandle, Receipt
from hopmq.client.publishing import PERSISTENT_ONLY, Publishing, size_of
from hopmq.client.session import Session
from hopmq.core.channel import ChannelCore
from hopmq.core.states import ChannelState
from hopmq.entities import Exchange, name_of
from hopmq.errors import EncodeError, PublishManyError, PublishNotSentError, UsageError
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
        publishing = self._publishing
        handle = publishing.start(
            exchange if type(exchange) is str else name_of(exchange),
            routing_key,
            mandatory,
            encodable,
            body,
            self._publish_timeout if timeout is None else timeout,
        )
        session = self._session
        self._read_confirms()
        try:
            if session.flushed_early:
                # Without confirms nothing else would let other tasks run.
                session.flushed_early = False
                await asyncio.sleep(0)
            return await handle
        except asyncio.CancelledError:
            publishing.withdraw(handle)
            raise

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
        size = len(body) if type(body) is bytes else size_of(body)
        if self._publishing.is_full(size):
            reason = self._publishing.why_held(size)
            raise PublishNotSentError(f"not sent: {reason}; await an earlier handle, or publish()")
        handle = self._publishing.start(
            name_of(exchange),
            routing_key,
            mandatory,
            PERSISTENT_ONLY if properties is None else properties,
            body,
            self._publish_timeout if timeout is None else timeout,
        )
        self._read_confirms()
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
        publishing = self._publishing
        key = (name_of(exchange), routing_key, mandatory)
        encodable = PERSISTENT_ONLY if properties is None else properties
        seconds = self._publish_timeout if timeout is None else timeout
        handles: list[PublishHandle] = []
        oldest = 0
        async for body in _each(bodies):
            size = len(body) if type(body) is bytes else size_of(body)
            while oldest < len(handles) and publishing.is_full(size):
                await handles[oldest].wait()
                oldest += 1
            handles.append(_start(publishing, *key, encodable, body, seconds))
            self._read_confirms()
            if publishing.is_full(0):
                await self._let_others_run(handles[-1])
        for handle in handles[oldest:]:
            await handle.wait()
        outcomes = [handle.outcome for handle in handles]
        receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
        if len(receipts) < len(outcomes):
            raise PublishManyError(outcomes)
        return receipts

    async def wait_for_confirms(self) -> None:
        """Wait until every publish so far has its outcome; each has a deadline."""
        for publish in self._publishing.undecided():
            await publish.wait()

    def _read_confirms(self) -> None:
        """See to it that confirms are read, if unread messages have stopped the reading."""
        budget = self._session.budget
        if budget.paused:
            budget.awaiting()

    async def _let_others_run(self, handle: PublishHandle) -> None:
        """Wait while publishing is held back for another reason than the window."""
        if self._session.held_back() is not None:
            await handle.wait()


def _start(
    publishing: Publishing,
    exchange: str,
    routing_key: str,
    mandatory: bool,
    properties: Properties | bytes,
    body: Body,
    timeout: float,
) -> PublishHandle:
    """Start one of many publishes; an error is the outcome of that one alone."""
    try:
        return publishing.start(exchange, routing_key, mandatory, properties, body, timeout)
    except (EncodeError, PublishNotSentError) as error:
        handle = PublishHandle(0, 0.0, 0.0)
        handle.refused(error)
        return handle


async def _each(bodies: Iterable[Body] | AsyncIterable[Body]) -> AsyncIterable[Body]:
    if isinstance(bodies, AsyncIterable):
        async for body in bodies:
            yield body
    else:
        for body in bodies:
            yield body
