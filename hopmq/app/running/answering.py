"""What is done with one request: the handler, and its answer."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from hopmq.app.clock import Clock
from hopmq.app.context import ConsumeContext, PausableConsumer
from hopmq.app.crew import PROGRAM_ENDS, give_back, is_cancelled
from hopmq.app.messaging import Messaging
from hopmq.app.rpc import RemoteErrors, answer, answer_error, is_overdue
from hopmq.app.rpc.remote_errors import INTERNAL
from hopmq.app.serialization import Encoded, Serialization
from hopmq.client.message import Message
from hopmq.errors import PublishError, UsageError

logger: logging.Logger = logging.getLogger("hopmq.app")


class Answering:
    """Calls a handler with requests, and publishes what it returns."""

    def __init__(
        self,
        call: Callable[[ConsumeContext], Awaitable[Any]],
        consumer: PausableConsumer,
        app: Any,  # the application, which stands above this module
        *,
        messaging: Messaging,
        serialization: Serialization,
        errors: RemoteErrors,
        content_type: str | None,
        ack_first: bool,
        clock: Clock,
    ) -> None:
        """Answer by `messaging`."""
        self._call = call
        self._consumer = consumer
        self._app = app
        self._messaging = messaging
        self._serialization = serialization
        self._errors = errors
        self._content_type = content_type
        self._ack_first = ack_first
        self._clock = clock

    async def one(self, request: Message) -> None:
        """Answer one request; raise nothing but the worker's own cancellation."""
        if self._ack_first:
            request.ack()
        if is_overdue(request, self._clock):
            logger.info("endpoint %r: a request came too late", self._consumer.name)
        else:
            await self._work(request)
        if not request.settled and not self._ack_first:
            request.ack()

    async def _work(self, request: Message) -> None:
        context = ConsumeContext((request,), self._consumer, self._app)
        try:
            result = await self._call(context)
            encoded = self._serialization.encode(result, content_type=self._content_type)
        except PROGRAM_ENDS:
            raise
        except BaseException as error:
            if is_cancelled():
                give_back((request,))
                raise
            self._log(error)
            await answer_error(self._messaging, request, error, self._errors)
        else:
            await self._answer(request, encoded)

    async def _answer(self, request: Message, encoded: Encoded) -> None:
        try:
            await answer(
                self._messaging,
                request,
                encoded.body,
                content_type=encoded.content_type,
                content_encoding=encoded.content_encoding,
            )
        except (UsageError, PublishError) as error:
            # It has no AMQP form, or the broker does not take it: the work is done, the caller is told.
            self._log(error)
            await answer_error(self._messaging, request, error, self._errors)

    def _log(self, error: BaseException) -> None:
        """Tell of a failure that the caller will not be told of."""
        code, _ = self._errors.code_of(error)
        if code == INTERNAL:
            logger.error("endpoint %r: a request failed", self._consumer.name, exc_info=error)
        else:
            logger.debug("endpoint %r: a request failed: %s", self._consumer.name, code)
