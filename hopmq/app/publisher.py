"""Publishers of one type of payload to one place."""

from datetime import datetime, timedelta
from typing import Generic, TypeVar

from hopmq.app.sending import Outlet
from hopmq.core.pending import Receipt
from hopmq.typedefs import FieldTable

T = TypeVar("T")


class Publisher(Generic[T]):
    """Publishes payloads of one type; made by `App.publisher` or `Router.publisher`."""

    def __init__(
        self,
        outlet: Outlet,
        payload: type[T],
        *,
        exchange: str,
        routing_key: str,
        mandatory: bool,
        content_type: str | None,
        content_encoding: str | None,
    ) -> None:
        """Publish by the application that `outlet` leads to."""
        self.payload: type[T] = payload
        self.exchange: str = exchange
        self.routing_key: str = routing_key
        self._outlet = outlet
        self._mandatory = mandatory
        self._content_type = content_type
        self._content_encoding = content_encoding

    def __repr__(self) -> str:
        """Show what goes where."""
        kind = getattr(self.payload, "__name__", repr(self.payload))
        return f"<Publisher of {kind} to {self.exchange or self.routing_key!r}>"

    async def publish(
        self,
        payload: T,
        *,
        routing_key: str | None = None,
        headers: FieldTable | None = None,
        persistent: bool = True,
        expiration: float | timedelta | None = None,
        priority: int | None = None,
        correlation_id: str | None = None,
        message_id: str | None = None,
        delay: float | timedelta | None = None,
        at: datetime | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # decides the outcome, not only the wait
    ) -> Receipt:
        """Publish a payload and wait until the broker has it; see `App.publish`.

        Args:
            payload: What to publish.
            routing_key: Instead of the publisher's own.
            headers: See `App.publish`.
            persistent: See `App.publish`.
            expiration: See `App.publish`.
            priority: See `App.publish`.
            correlation_id: See `App.publish`.
            message_id: See `App.publish`.
            delay: See `App.publish`.
            at: See `App.publish`.
            timeout: See `App.publish`.
        """
        return await self._outlet.sender().publish(
            payload,
            exchange=self.exchange,
            routing_key=self.routing_key if routing_key is None else routing_key,
            headers=headers,
            mandatory=self._mandatory,
            persistent=persistent,
            content_type=self._content_type,
            content_encoding=self._content_encoding,
            expiration=expiration,
            priority=priority,
            correlation_id=correlation_id,
            message_id=message_id,
            delay=delay,
            at=at,
            timeout=timeout,
        )
