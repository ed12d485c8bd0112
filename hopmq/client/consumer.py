"""Consumers: by `async for`, by coroutine handler, or by plain callback."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from types import CoroutineType, TracebackType
from typing import Any, Self

from pamqp.commands import Basic

from hopmq.client.inbox import Inbox, ReadingBudget
from hopmq.client.message import DeliveredMessage, Message
from hopmq.core.channel import ChannelCore
from hopmq.core.replies import NOBODY
from hopmq.core.states import ChannelState
from hopmq.errors import (
    ClosedError,
    ConsumerCancelledError,
    RequestTimeoutError,
    UsageError,
)
from hopmq.wire import new_method

logger: logging.Logger = logging.getLogger("hopmq.client")

Handler = Callable[[Message], Awaitable[None] | None]
"""Called with each message; a coroutine function, or a plain one that must not block."""


class Consumer:
    """A subscription to one queue.

    Without a handler, iterate over it: `async for message in consumer`. The iteration ends when
    the consumer is cancelled, and raises when the broker cancels it or the channel ends.

    Attributes:
        consumer_tag: Its name on the channel.
        queue: The queue it reads.
        no_ack: Whether its messages need no settling.
    """

    def __init__(
        self,
        channel: ChannelCore,
        queue: str,
        consumer_tag: str,
        no_ack: bool,
        budget: ReadingBudget,
        wait: Callable[[asyncio.Future[Any], str], Awaitable[Any]],
        forget: Callable[[str], object],
    ) -> None:
        """Belong to `channel`; `forget` is called with the tag once everything has ended."""
        self.consumer_tag: str = consumer_tag
        self.queue: str = queue
        self._channel = channel
        self.no_ack: bool = no_ack
        self._inbox = Inbox(budget)
        self._wait = wait
        self._forget = forget
        self._workers: set[asyncio.Task[None]] = set()
        self._iterable = True
        self._cancelling = False
        self._ended: asyncio.Future[ClosedError | ConsumerCancelledError | None] = (
            asyncio.get_running_loop().create_future()
        )

    def __repr__(self) -> str:
        """Show tag, queue and whether it is active."""
        state = "active" if self.is_active else "ended"
        return f"<Consumer {self.consumer_tag} of queue {self.queue!r} {state}>"

    # --- for users ---------------------------------------------------------------------------

    @property
    def is_active(self) -> bool:
        """Whether the broker delivers to it."""
        return not self._ended.done() and not self._cancelling

    def __aiter__(self) -> Self:
        """Iterate over the messages."""
        if not self._iterable:
            raise UsageError("this consumer has a handler; iterate over one without")
        return self

    async def __anext__(self) -> Message:
        """Return the next message."""
        return await self._inbox.get()

    async def wait_closed(self) -> None:
        """Wait until the consumer ends; raise why, unless it was cancelled here."""
        error = await asyncio.shield(self._ended)
        if error is not None:
            raise error.again()

    async def cancel(self) -> None:
        """Stop deliveries, return unread messages to the queue and end the iteration.

        Handlers at work are waited for. Does nothing on a consumer that has ended.
        """
        if self.is_active:
            self._cancelling = True
            try:
                await self._ask_to_stop()
            except ClosedError:
                pass  # the channel went first, and its end is the consumer's
            finally:
                self._give_back()
                self._end(None)
        await self._join_workers()

    async def __aenter__(self) -> Self:
        """Use it."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cancel it; an error on its way is not replaced by a cancel that is not answered."""
        try:
            await self.cancel()
        except RequestTimeoutError:
            if error is None:
                raise

    # --- for the channel ---------------------------------------------------------------------

    def deliver_to(self, handler: Handler | None, concurrency: int) -> Callable[[Any], None]:
        """Return what the core calls with each delivery."""
        if handler is None:
            return self._enqueue
        self._iterable = False
        if not _is_coroutine_function(handler):
            return self._callback(handler)
        for number in range(concurrency):
            name = f"hopmq consumer {self.consumer_tag} worker {number}"
            worker = asyncio.create_task(self._work(handler), name=name)
            self._workers.add(worker)
            worker.add_done_callback(self._worker_ended)
        return self._enqueue

    def cancelled_by_broker(self) -> None:
        """Take note of the broker's basic.cancel; what was delivered stays readable."""
        self._end(
            ConsumerCancelledError(
                f"the broker cancelled consumer {self.consumer_tag} of queue {self.queue!r}: "
                "the queue was deleted or has moved",
                self.consumer_tag,
            )
        )

    def discard_unread(self) -> None:
        """Drop what nobody has read; the broker takes it back."""
        self._inbox.take_all()

    def channel_ended(self, error: ClosedError) -> None:
        """Take note that the channel is gone; what was delivered will be delivered again."""
        self.discard_unread()
        self._end(error)

    def abandon(self) -> None:
        """Give up a consumer whose basic.consume was cancelled, timed out or refused.

        Its tag stays taken until the broker has answered, and what it gets goes back.
        """
        if self.consumer_tag in self._channel.consumers:
            self._channel.consumers[self.consumer_tag] = self._return_at_once
        self._give_back()
        self._end(None)

    def stop_unwanted(self) -> None:
        """Undo a basic.consume that nobody waits for any more."""
        channel = self._channel
        if channel.state is not ChannelState.OPEN:
            return
        method = new_method(Basic.Cancel, consumer_tag=self.consumer_tag)
        channel.request(NOBODY, method, Basic.CancelOk, on_abandoned=lambda _: self._forget_tag())

    # --- inside ------------------------------------------------------------------------------

    def _forget_tag(self) -> None:
        self._channel.consumers.pop(self.consumer_tag, None)

    def _return_at_once(self, message: DeliveredMessage) -> None:
        self._admit(message)
        if not self.no_ack:
            message.reject(requeue=True)

    def _enqueue(self, message: DeliveredMessage) -> None:
        self._admit(message)
        self._inbox.put(message)

    def _callback(self, handler: Callable[[Message], object]) -> Callable[[Any], None]:
        def receive(message: DeliveredMessage) -> None:
            self._admit(message)
            try:
                _refuse_coroutine(handler(message))
            except (Exception, asyncio.CancelledError) as error:
                # The handler is the user's: nothing may pass the reader.
                self._failed(message, error)

        return receive

    def _admit(self, message: DeliveredMessage) -> None:
        message.context = self._channel
        if not self.no_ack:
            self._channel.deliveries.unsettled.add(message.delivery_tag)

    async def _work(self, handler: Callable[[Message], Any]) -> None:
        """Run the handler on one message after the other, in one long-lived task."""
        while True:
            try:
                message = await self._inbox.get()
            except (ClosedError, ConsumerCancelledError, StopAsyncIteration):
                return
            try:
                await handler(message)
            except asyncio.CancelledError as error:
                if _is_cancelled():
                    raise
                self._failed(message, error)  # of something that the handler awaited
            except Exception as error:  # the handler is the user's: the worker goes on
                self._failed(message, error)

    def _failed(self, message: Message, error: BaseException) -> None:
        logger.error(
            "handler of consumer %s (queue %r) failed on delivery %s; the message goes back",
            self.consumer_tag,
            self.queue,
            message.delivery_tag,
            exc_info=error,
        )
        if not message.settled:
            message.reject(requeue=True)

    async def _ask_to_stop(self) -> None:
        """Send basic.cancel; what still comes before cancel-ok goes back."""
        if self._channel.state is not ChannelState.OPEN:
            return
        if not self.no_ack:
            self._channel.consumers[self.consumer_tag] = self._return_at_once
        waiter: asyncio.Future[Basic.CancelOk] = asyncio.get_running_loop().create_future()
        method = new_method(Basic.Cancel, consumer_tag=self.consumer_tag)
        self._channel.request(
            waiter, method, Basic.CancelOk, before_reply=lambda _: self._forget_tag()
        )
        await self._wait(waiter, "Basic.Cancel")

    def _give_back(self) -> None:
        """Return what nobody has read to the queue; without acks it stays readable."""
        if self.no_ack:
            return
        for message in self._inbox.take_all():
            if not message.settled:
                message.reject(requeue=True)

    def _end(self, error: ClosedError | ConsumerCancelledError | None) -> None:
        if self._ended.done():
            return
        self._ended.set_result(error)
        if error is None:
            self._inbox.close(StopAsyncIteration)
        else:
            self._inbox.close(error.again)
        if not self._workers:
            self._forget(self.consumer_tag)

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if self._ended.done() and not self._workers:
            self._forget(self.consumer_tag)

    async def _join_workers(self) -> None:
        current = asyncio.current_task()
        others = [worker for worker in self._workers if worker is not current]
        if others:
            await asyncio.wait(others)


def _is_cancelled() -> bool:
    """Return whether the task that runs was itself told to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _is_coroutine_function(handler: object) -> bool:
    """Return whether calling `handler`, a function or an object, makes a coroutine."""
    call = getattr(handler, "__call__", None)  # noqa: B004  # not whether, but what is called
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)


def _refuse_coroutine(outcome: object) -> None:
    """Raise for a plain handler, such as a lambda, that made a coroutine nobody would run."""
    if isinstance(outcome, CoroutineType):
        outcome.close()
        raise UsageError("the handler returned a coroutine; pass the coroutine function itself")
