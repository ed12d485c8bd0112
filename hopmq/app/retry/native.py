"""Quorum queues that delay what is rejected by themselves: which do, and with which arguments.

RabbitMQ 4.3, quorum queues, delayed retry: a message that is rejected with requeue waits for
`x-delayed-retry-min` times the rejections there have been, and `x-delayed-retry-max` at most.
"""

import logging
import re
from typing import Final

from hopmq.app.messaging import Messaging
from hopmq.app.retry.backoff import Linear
from hopmq.app.retry.policy import Retry
from hopmq.entities import Queue
from hopmq.errors import PreconditionFailedError
from hopmq.resilience.backoff import Constant
from hopmq.typedefs import FieldTable

logger: logging.Logger = logging.getLogger("hopmq.app")

Release = tuple[int, ...]

DELIVERIES: Final = "x-delivery-count"
"""The header in which a quorum queue says how often a message was delivered and failed."""

_ARGUMENT: Final = "x-delayed-retry-"
_LIMIT: Final = "x-delivery-limit"
_FIRST_WITH_DELAYS: Final = (4, 3)
_FIRST_WITH_LIMIT: Final = (4, 0)
_DEFAULT_LIMIT: Final = 20


def release_of(server_properties: FieldTable) -> Release:
    """Return which release of RabbitMQ a broker is, or behaves like; empty when that is not known."""
    version = server_properties.get("emulates")
    if version is None and server_properties.get("product") == "RabbitMQ":
        version = server_properties.get("version")
    return tuple(map(int, re.findall(r"\d+", str(version or ""))[:3]))


def delivery_limit(queue: Queue, release: Release) -> int | None:
    """Return after how many deliveries a queue gives up on a message; None for never.

    A policy may set another limit, which nobody tells.
    """
    limit = queue.arguments.get(_LIMIT)
    if limit is None:
        return _DEFAULT_LIMIT if release >= _FIRST_WITH_LIMIT else None
    return limit if isinstance(limit, int) and limit >= 0 else None


def queue_that_delays(queue: Queue, retry: Retry, release: Release) -> Queue | None:
    """Return the queue with arguments for it to delay as `retry` says; None where it cannot."""
    backoff = retry.backoff
    if isinstance(backoff, Constant):
        shortest, longest = backoff.seconds, backoff.seconds
    elif isinstance(backoff, Linear):
        shortest, longest = backoff.step, backoff.cap
    else:
        return None
    limit = delivery_limit(queue, release)
    if (
        release < _FIRST_WITH_DELAYS
        or queue.kind != "quorum"
        or retry.attempts == 1
        or retry.at_once
        or shortest < 0.001
        or (limit is not None and retry.attempts > limit)
        or any(name.startswith(_ARGUMENT) for name in queue.arguments)
    ):
        return None
    arguments: FieldTable = {
        **queue.arguments,
        f"{_ARGUMENT}type": "failed",
        f"{_ARGUMENT}min": round(shortest * 1000),
        f"{_ARGUMENT}max": round(longest * 1000),
    }
    return Queue(queue.name, arguments=arguments)


async def declare(messaging: Messaging, queue: Queue, that_delays: Queue | None) -> bool:
    """Declare a queue, so that it delays if it can; return whether it does.

    One that exists keeps the arguments it has, with which it was declared for another `Retry`.

    Raises:
        PreconditionFailedError: It exists with other properties, and not for that reason.
    """
    if that_delays is not None:
        try:
            await messaging.declare_queue(that_delays)
        except PreconditionFailedError as error:
            logger.info("queue %r delays no retries: %s", queue.name, error)
        else:
            return True
    try:
        await messaging.declare_queue(queue)
    except PreconditionFailedError as error:
        if f"'{_ARGUMENT}" not in str(error):
            raise
        await messaging.declare_queue(queue.name, passive=True)
        logger.info("queue %r keeps the delays that it was declared with", queue.name)
    return False
