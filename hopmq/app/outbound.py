"""What an application sends: messages, requests, and what was parked on its way back."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from types import UnionType
from typing import Any, TypeVar, overload

from hopmq.app.retry import Parking
from hopmq.app.running.run import Run
from hopmq.client.message import Message
from hopmq.core.pending import Receipt
from hopmq.entities import Exchange, Queue, name_of
from hopmq.errors import UsageError
from hopmq.typedefs import FieldTable

T = TypeVar("T")


class Outbound(ABC):
    """Publishing and asking by an application; also from within its handlers."""

    _asking: Callable[[], AbstractContextManager[None]]
    """What stands around each wait for an answer."""

    # --- publishing and asking -----------------------------------------------------------------

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
        """Publish a payload and wait until the broker has it.

        Args:
            payload: What to publish: bytes go as they are, anything else is encoded.
            exchange: Where to; `""` is the default exchange, which routes by queue name.
            routing_key: What bindings are matched by.
            headers: A table of your own.
            mandatory: Raise when no queue takes the message; not with a delay.
            persistent: Whether it survives a broker restart in a durable queue.
            content_type: How the payload is encoded; the application's default otherwise.
            content_encoding: `gzip` or `zstd`.
            expiration: Seconds it may wait in a queue.
            priority: 0 to 255.
            correlation_id: What request it answers.
            reply_to: Queue that replies go to.
            message_id: Your name for it; one that nobody else has by default.
            delay: Seconds, or a timedelta, after which the broker is to route it.
            at: When the broker is to route it, instead of `delay`; with a time zone. At once if
                that has passed.
            timeout: Seconds until the outcome is decided; the connection's by default.

        Raises:
            PublishReturnedError: Mandatory, and no queue took it.
            PublishNackedError: The broker refused it.
            PublishNotSentError: It was not sent; publishing again is safe.
            PublishUnknownError: It was sent and may have arrived.
            NotFoundError: There is no such exchange, or with a delay no such queue.
            EncodeError: The payload cannot be encoded.
            UsageError: The application does not run, or not in this event loop, or arguments
                contradict each other.
        """
        return await self._running().sender.publish(
            payload,
            exchange=exchange,
            routing_key=routing_key,
            headers=headers,
            mandatory=mandatory,
            persistent=persistent,
            content_type=content_type,
            content_encoding=content_encoding,
            expiration=expiration,
            priority=priority,
            correlation_id=correlation_id,
            reply_to=reply_to,
            message_id=message_id,
            delay=delay,
            at=at,
            timeout=timeout,
        )

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
        timeout: float | None = ...,  # noqa: ASYNC109  # travels with the request
        idempotent: bool = ...,
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
        timeout: float | None = ...,  # noqa: ASYNC109  # travels with the request
        idempotent: bool = ...,
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
        timeout: float | None = ...,  # noqa: ASYNC109  # travels with the request
        idempotent: bool = ...,
    ) -> Any: ...

    async def request(
        self,
        endpoint: str,
        payload: object = None,
        *,
        returns: Any = None,  # a type, or a form of one such as `list[Quote]`
        exchange: Exchange | str = "",
        headers: FieldTable | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # travels with the request
        idempotent: bool = False,
    ) -> Any:
        """Ask an endpoint and return its answer.

        Args:
            endpoint: Its queue, or with an exchange the routing key.
            payload: What the endpoint's handler gets.
            returns: The type that the answer is read as; by default the message itself is returned.
            exchange: Where to; the default exchange otherwise.
            headers: A table of your own.
            content_type: How the payload is encoded; the application's default otherwise.
            content_encoding: `gzip` or `zstd`.
            timeout: Seconds to wait for the answer, after which nobody works on the request any
                more that has not begun; the application's `request_timeout` by default.
            idempotent: Whether the endpoint may be asked again when the link is lost on the way.

        Raises:
            NoEndpointError: Nobody serves it.
            RemoteError: The endpoint failed; a registered exception is raised as itself.
            CallTimeoutError: There was no answer in time.
            CallUnknownError: The link was lost; the endpoint may have worked.
            CallNotSentError: There was no link, or a publish middleware has kept it.
            EncodeError: The payload cannot be encoded.
            PayloadError: The answer cannot be read.
        """
        with self._asking():
            return await self._running().asker.ask(
                endpoint,
                payload,
                returns=returns,
                exchange=exchange,
                headers=headers,
                content_type=content_type,
                content_encoding=content_encoding,
                timeout=timeout,
                idempotent=idempotent,
            )

    def from_thread(self, work: Coroutine[Any, Any, T]) -> T:
        """Have a coroutine run by the application's event loop, from another thread, and wait for it.

        For handlers that are plain functions, and whatever else runs in threads:
        `app.from_thread(app.publish(...))`.

        Args:
            work: What `publish`, `request` or a coroutine function of yours returns.

        Raises:
            UsageError: The application does not run, or ends before it is done; or this is the
                thread of the event loop, where it is awaited.
            BaseException: What the coroutine raises.
        """
        try:
            run = self._running()
        except UsageError:
            work.close()
            raise
        return run.loop_calls.run(work)

    def parking(self, queue: Queue | str) -> Parking:
        """Return what lists, requeues and drops what was parked of a queue.

        Args:
            queue: The queue of a consumer, or its name; of a group, what `queue_name` returns.
        """
        run = self._running()
        return Parking(run.messaging, queue, exchange=run.way_back_to(name_of(queue)))

    # --- inside ------------------------------------------------------------------------------

    @abstractmethod
    def _running(self) -> Run:
        """Return what is open for the time being; raise if nothing is."""
