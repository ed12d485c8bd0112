"""How an endpoint answers: to whom the request says, and to nobody where it does not."""

import logging
from typing import Final

from hopmq.app.header_names import ERROR
from hopmq.app.messaging import Messaging
from hopmq.app.rpc.remote_errors import CONTENT_TYPE, RemoteErrors
from hopmq.client.message import Message
from hopmq.errors import (
    PreconditionFailedError,
    PublishError,
    PublishNackedError,
    PublishUnknownError,
)
from hopmq.typedefs import Body, FieldTable
from hopmq.wire import Properties

logger: logging.Logger = logging.getLogger("hopmq.rpc")

_TRANSIENT: Final = 1
_MOST_ATTEMPTS: Final = 5
_MOST_REFUSALS: Final = 2
"""How often an answer's channel may be closed: the first may be for a message that shared it."""


async def answer(
    messaging: Messaging,
    request: Message,
    body: Body,
    *,
    content_type: str | None = None,
    content_encoding: str | None = None,
    headers: FieldTable | None = None,
    timeout: float | None = None,  # noqa: ASYNC109  # decides the outcome, not only the wait
) -> bool:
    """Send a reply to whoever made a request.

    That the caller has gone is no error: its reply is lost. Neither is an answer that cannot be
    sent in time: the work is done, and to do it again would not bring the caller back. An answer
    whose confirm was lost with the link is sent again, since a caller takes the first and drops
    the other.

    Args:
        messaging: What publishes.
        request: The request.
        body: The reply.
        content_type: MIME type of the reply.
        content_encoding: MIME encoding of the reply.
        headers: A table of headers.
        timeout: Seconds for it; by default those of `messaging`.

    Returns:
        Whether the broker has it; False also for a request that wants no reply.

    Raises:
        PublishError: The broker does not take it: it is too large, perhaps, or the caller's queue full.
    """
    asked = request.properties
    if not asked.reply_to:
        logger.debug("a request of %r wants no answer", request.routing_key)
        return False
    properties = Properties(
        content_type=content_type,
        content_encoding=content_encoding,
        headers=headers,
        delivery_mode=_TRANSIENT,
        correlation_id=asked.correlation_id,
    )
    attempts = 0
    while True:
        attempts += 1
        try:
            await messaging.publish(
                body, routing_key=asked.reply_to, properties=properties, timeout=timeout
            )
        except PublishError as error:
            if isinstance(error, PublishNackedError):
                raise
            if isinstance(error.__cause__, PreconditionFailedError) and attempts == _MOST_REFUSALS:
                raise
            was_cut_off = isinstance(error, PublishUnknownError)
            if was_cut_off and not isinstance(error, TimeoutError) and attempts < _MOST_ATTEMPTS:
                continue
            _log_loss(request, error)
            return False
        return True


async def answer_error(
    messaging: Messaging,
    request: Message,
    error: BaseException,
    errors: RemoteErrors,
    *,
    timeout: float | None = None,  # noqa: ASYNC109  # passed on
) -> bool:
    """Tell whoever made a request that it failed, as far as `errors` lets them know; see `answer`.

    Raises nothing: that the broker does not take it is no more than one that is lost.
    """
    if not request.reply_to:
        return await answer(messaging, request, b"")
    code, body = errors.encode(error)
    try:
        return await answer(
            messaging,
            request,
            body,
            content_type=CONTENT_TYPE,
            headers={ERROR: code},
            timeout=timeout,
        )
    except PublishError as refusal:
        _log_loss(request, refusal)
        return False


def _log_loss(request: Message, error: PublishError) -> None:
    logger.warning("the answer to a request of %r is lost: %s", request.routing_key, error)
