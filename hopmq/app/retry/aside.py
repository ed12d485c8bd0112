"""Failed messages put aside: the copy is stored first, then the original is acknowledged."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import uuid4

from hopmq.app import header_names as names
from hopmq.app.clock import Clock, sleep
from hopmq.app.messaging import Messaging
from hopmq.app.retry.copies import copied
from hopmq.app.retry.delays import Delays
from hopmq.app.retry.ladder import delay_headers, entrance, steps_of
from hopmq.app.retry.parked import PARKING, parked_queue
from hopmq.app.retry.rooms import door_of
from hopmq.client.message import Message
from hopmq.entities import Queue
from hopmq.errors import HopMQError, UsageError
from hopmq.typedefs import FieldTable

logger: logging.Logger = logging.getLogger("hopmq.app")

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
"""Seconds between attempts to store a copy."""


class Aside:
    """Where the failed messages of one queue go, by copies that are confirmed.

    As long as a copy cannot be stored, the original stays unsettled, and the worker with it: the
    handler does not run again for it, nothing counts against the queue's delivery limit, and the
    broker delivers it again when this process ends.
    """

    def __init__(
        self,
        messaging: Messaging,
        clock: Clock,
        delays: Delays,
        queue: Queue,
        mend: Callable[[], Awaitable[None]] | None,
    ) -> None:
        """Put messages of `queue` aside.

        `mend` declares again what may have been deleted; None where others declare everything.
        """
        self._messaging = messaging
        self._clock = clock
        self._delays = delays
        self._queue = queue.name
        self._door = door_of(queue)[0]
        self._mend = mend
        self._parked = parked_queue(queue.name).name

    async def delay(self, message: Message, headers: FieldTable, seconds: float) -> None:
        """Have the message come again after `seconds`, with these headers."""
        logger.info("a message of queue %r is tried again in %g s", self._queue, seconds)
        steps = steps_of(seconds, message.properties.priority)
        headers = {**headers, **delay_headers(steps, self._door)}

        async def publish() -> None:
            if self._mend is not None:
                await self._delays.ensure(steps)
            await self._publish(message, entrance(steps), headers)

        await self._move(message, publish)

    async def park(self, message: Message, headers: FieldTable, *, is_acked: bool = False) -> None:
        """Put the message into the parking queue, with these headers; it may be acked before."""
        logger.warning(
            "a message of queue %r is parked after %s attempts: %s: %s",
            self._queue,
            headers[names.ATTEMPTS],
            headers[names.ERROR],
            headers[names.REASON],
        )
        headers = {**headers, names.PARK_TO: self._parked, names.PARKED_ID: uuid4().hex}
        await self._move(message, lambda: self._publish(message, PARKING, headers), is_acked)

    async def give_back_later(self, message: Message) -> None:
        """Return a message to its queue after a pause, so that it does not come again at once."""
        try:
            await sleep(self._clock, _FIRST_PAUSE)
        finally:
            give_back(message)

    async def _publish(self, message: Message, exchange: str, headers: FieldTable) -> None:
        await self._messaging.publish(
            message.body,
            exchange=exchange,
            routing_key=message.routing_key,
            properties=copied(message, headers),
            mandatory=True,
        )

    async def _move(
        self, message: Message, publish: Callable[[], Awaitable[None]], is_acked: bool = False
    ) -> None:
        pause = _FIRST_PAUSE
        while is_acked or not message.settled:
            try:
                await publish()
            except UsageError:
                raise  # it will be the same the next time
            except HopMQError as error:
                logger.warning(
                    "a failed message of queue %r is not stored yet; another attempt in %g s: %s",
                    self._queue,
                    pause,
                    error,
                )
                await sleep(self._clock, pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                await self._mend_if_possible()
            else:
                break
        if not message.settled:
            message.ack()

    async def _mend_if_possible(self) -> None:
        if self._mend is None:
            return
        self._delays.forget()
        try:
            await self._mend()
        except HopMQError as error:
            logger.warning("what queue %r needs cannot be declared: %s", self._queue, error)


def give_back(message: Message) -> None:
    """Return a message to its queue; a nack, since from RabbitMQ 4.3 on it is no failed attempt."""
    if not message.settled:
        message.nack(requeue=True)
