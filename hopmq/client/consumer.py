"""Consumers: by `async for`, by coroutine handler, or by plain callback."""

import asyncio
import logging
from collections.abc import Callable, Container, Coroutine, Iterable
from types import TracebackType
from typing import Any, Self

from pamqp.commands import Basic

from hopmq.client.ending import Ending
from hopmq.client.handlers import Handler, is_coroutine_function, refuse_coroutine
from hopmq.client.inbox import Inbox
from hopmq.client.message import Message, Settling
from hopmq.client.redelivery import HeldRedeliveries, RecognisedRedeliveries, Redeliveries
from hopmq.client.session import Session
from hopmq.client.stream_reading import StreamRedeliveries, StreamSettling, is_of_stream
from hopmq.client.subscription import Subscription
from hopmq.client.workers import Workers
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


class Consumer:
    """A subscription to one queue.

    Without a handler, iterate over it: `async for message in consumer`. The iteration goes on when
    the connection recovers. It ends when the consumer is cancelled, and raises when its channel
    ends, or when the broker cancels it and it is not brought back.

    Attributes:
        consumer_tag: Its name on the channel.
        queue: The queue it reads.
        no_ack: Whether its messages need no settling.
        prefetch: Unsettled messages it may have; 0 is no bound.
    """

    def __init__(
        self,
        wanted: Subscription,
        channel: ChannelCore,
        prefetch: int,
        session: Session,
        forget: Callable[["Consumer"], object],
    ) -> None:
        """Belong to `channel`; `forget` is called once everything has ended."""
        self.consumer_tag: str = wanted.consumer_tag
        self.queue: str = wanted.queue
        self.no_ack: bool = wanted.no_ack
        self.prefetch: int = prefetch
        self._wanted = wanted
        self._channel = channel
        self._settling: Settling = channel
        self._pass_on: Callable[[Any], None] = self._enqueue
        self._receive: Callable[[Any], None] = self._pass_on
        self._redeliveries: Redeliveries | None = None
        self._session = session
        self._is_live = False
        self._is_adopted = False
        self._inbox = Inbox(session.budget)
        self._forget = forget
        self._workers: Workers | None = None
        self._iterable = True
        self._cancelling = False
        self._ended: Ending[ClosedError | ConsumerCancelledError | None] = Ending()

    def __repr__(self) -> str:
        """Show tag, queue and whether it is active."""
        state = "active" if self.is_active else "ended"
        return f"<Consumer {self.consumer_tag} of queue {self.queue!r} {state}>"

    # --- for users ---------------------------------------------------------------------------

    @property
    def is_active(self) -> bool:
        """Whether the broker delivers to it; False also while it is brought back."""
        return self._is_live and not self._ended.done() and not self._cancelling

    @property
    def is_wanted(self) -> bool:
        """Whether it was started and has not ended, so that it is active or to be brought back."""
        return self._is_adopted and not self._ended.done() and not self._cancelling

    @property
    def is_brought_again(self) -> bool:
        """Whether the broker delivers again what was not settled; a stream's consumer reads on."""
        return not (self.no_ack or isinstance(self._redeliveries, StreamRedeliveries))

    @property
    def is_starting(self) -> bool:
        """Whether the broker has been asked to deliver to it and has not answered yet."""
        return not self._is_live and self.consumer_tag in self._channel.consumers

    @property
    def was_cancelled(self) -> bool:
        """Whether `cancel` has ended it."""
        return self._is_adopted and self._cancelling

    def __aiter__(self) -> Self:
        """Iterate over the messages."""
        if not self._iterable:
            raise UsageError("this consumer has a handler; iterate over one without")
        return self

    def __anext__(self) -> Coroutine[Any, Any, Message]:
        """Return the next message."""
        return self._inbox.get()

    async def wait_closed(self) -> None:
        """Wait until the consumer ends; raise why, unless it was cancelled here."""
        error = await self._ended.wait()
        if error is not None:
            raise error.again()

    async def cancel(self) -> None:
        """Stop deliveries, return unread messages to the queue and end the iteration.

        Handlers at work are waited for. Does nothing on a consumer that has ended.
        """
        if not self._ended.done() and not self._cancelling:
            self._cancelling = True
            try:
                await self._ask_to_stop()
            except ClosedError:
                pass  # the channel went first, and its end is the consumer's
            finally:
                self._give_back()
                self._end(None)
        if self._workers is not None:
            await self._workers.join()

    def cancel_handlers(self) -> None:
        """Cancel handlers that `cancel` waits for in vain; what they do not settle goes back to the queue.

        That happens when the channel ends. No handler is called any more.
        """
        if self._workers is not None:
            self._workers.cancel()

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

    def deliver_to(self, handler: Handler | None, concurrency: int) -> None:
        """Pass messages to `handler`, or to whoever iterates."""
        if handler is not None:
            self._iterable = False
            if is_coroutine_function(handler):
                self._workers = Workers(self, self._inbox, handler, concurrency)
            else:
                self._pass_on = self._callback(handler)
        self._receive = self._pass_on
        if self._wanted.may_read_stream:
            self._receive = self._receive_first
        else:
            self._watch_redeliveries()

    def begin_on(self, channel: ChannelCore, current_name: Callable[[str], str]) -> Basic.Consume:
        """Take what arrives on this channel; return the request that asks for it."""
        self._channel = channel
        self._settling = channel
        if isinstance(self._redeliveries, StreamRedeliveries):
            self._settling = StreamSettling(channel)
        channel.consumers[self.consumer_tag] = self._receive
        return self.request(current_name)

    def request(self, current_name: Callable[[str], str]) -> Basic.Consume:
        """Return what asks for it now."""
        self.queue = current_name(self._wanted.queue)
        arguments = self._wanted.arguments
        if isinstance(self._redeliveries, StreamRedeliveries):
            arguments = self._redeliveries.resumed(arguments)
        return self._wanted.request(self.queue, arguments)

    def started(self, channel: ChannelCore) -> None:
        """Take note of the broker's consume-ok."""
        if channel is self._channel:
            self._is_live = True

    def adopt(self) -> None:
        """Take note that somebody has it: from now on it is to be brought back."""
        self._is_adopted = True

    def suspend(self) -> None:
        """Wait to be brought back; the broker delivers again what was not settled."""
        self._is_live = False
        if not self.no_ack:
            self.requeued(self._channel.left_unsettled)

    def interrupt(self) -> None:
        """Wait to be brought back on the same channel; what was delivered stays readable."""
        self._is_live = False
        if isinstance(self._redeliveries, StreamRedeliveries):
            self.requeued(self._channel.deliveries.unsettled)
        elif self._redeliveries is not None:
            self._redeliveries.interrupted(self._handled())
            self._choose_receive()

    def begin_anew(self) -> None:
        """Forget how far a stream was read: it is gone, and the next by its name is another."""
        if isinstance(self._redeliveries, StreamRedeliveries):
            self._redeliveries.forget()

    def requeued(self, unsettled: Container[int]) -> None:
        """Drop what nobody has read; all that was not settled is delivered again."""
        unread = self._inbox.take_all()
        if self._redeliveries is not None:
            self._redeliveries.link_lost(self._handled(), set(unread), unsettled)
            self._choose_receive()

    def cancel_error(self) -> ConsumerCancelledError:
        """Say that the broker has cancelled it."""
        return ConsumerCancelledError(
            f"the broker cancelled consumer {self.consumer_tag} of queue {self.queue!r}: "
            "the queue was deleted or has moved",
            self.consumer_tag,
        )

    def cancelled_by_broker(self, error: ConsumerCancelledError) -> None:
        """End for the broker's basic.cancel; what was delivered stays readable."""
        self._end(error)

    def channel_ended(self, error: ClosedError) -> None:
        """End with the channel; what was delivered and needs settling is delivered again."""
        if not self.no_ack:
            self._inbox.take_all()
        self._end(error)

    def abandon(self) -> None:
        """Give up a consumer whose basic.consume was cancelled, timed out or refused.

        Its tag stays taken until the broker has answered, and what it gets goes back.
        """
        consumers = self._channel.consumers
        if self.consumer_tag in consumers:
            consumers[self.consumer_tag] = self._return_at_once
        self._give_back()
        self._end(None)

    def stop_unwanted(self, channel: ChannelCore) -> None:
        """Undo a basic.consume that nobody waits for any more."""
        if channel.state is not ChannelState.OPEN or self.is_wanted:
            return
        method = new_method(Basic.Cancel, consumer_tag=self.consumer_tag)
        channel.request(
            NOBODY, method, Basic.CancelOk, on_abandoned=lambda _: self._forget_tag(channel)
        )

    # --- inside ------------------------------------------------------------------------------

    def _forget_tag(self, channel: ChannelCore) -> None:
        channel.consumers.pop(self.consumer_tag, None)

    def _handled(self) -> list[Message]:
        """Return what handlers work on beside each other."""
        workers = self._workers
        return [] if workers is None or workers.concurrency == 1 else workers.at_work()

    def _watch_redeliveries(self) -> None:
        if self._wanted.recognise is not None:
            self._redeliveries = RecognisedRedeliveries(
                self._pass_on, self._admit, self._session.budget
            )
        elif self._workers is not None and self._workers.concurrency > 1 and not self.no_ack:
            self._redeliveries = HeldRedeliveries(self._pass_on, self._admit, self._session.budget)
        self._choose_receive()

    def _choose_receive(self) -> None:
        """Have deliveries pass through what looks after redeliveries only while it has to."""
        before, receive, work_ended = self._receive, self._pass_on, None
        if self._redeliveries is not None and self._redeliveries.is_needed:
            receive, work_ended = self._redeliveries.receive, self._work_ended
        if self._workers is not None:
            self._workers.on_work_ended = work_ended
        self._receive = receive
        consumers = self._channel.consumers
        if consumers.get(self.consumer_tag) == before:
            consumers[self.consumer_tag] = receive

    def _receive_first(self, message: Message) -> None:
        """Find out whether the queue is a stream."""
        if is_of_stream(message):
            self._settling = StreamSettling(self._channel)
            self._redeliveries = StreamRedeliveries(self._pass_on, self._admit)
            self._choose_receive()
        else:
            self._watch_redeliveries()
        self._receive(message)

    def _return_at_once(self, message: Message) -> None:
        if self._wanted.may_read_stream and is_of_stream(message):
            self._settling = StreamSettling(self._channel)
        self._admit(message)
        if not self.no_ack:
            message.nack(requeue=True)

    def _enqueue(self, message: Message) -> None:
        message.admit(self._settling, None if self.no_ack else self._channel.deliveries.unsettled)
        self._inbox.put(message)

    def _callback(self, handler: Callable[[Message], object]) -> Callable[[Any], None]:
        def receive(message: Message) -> None:
            message.admit(
                self._settling, None if self.no_ack else self._channel.deliveries.unsettled
            )
            try:
                result = handler(message)
                if result is not None:
                    refuse_coroutine(result)
            except (Exception, asyncio.CancelledError) as error:
                # The handler is the user's: nothing may pass the reader.
                self.handler_failed(message, error)

        return receive

    def _admit(self, message: Message) -> None:
        message.admit(self._settling, None if self.no_ack else self._channel.deliveries.unsettled)

    def _work_ended(self, message: Message) -> None:
        if self._redeliveries is not None:
            self._redeliveries.work_ended(message)
            self._choose_receive()

    def handler_failed(self, message: Message, error: BaseException) -> None:
        """Log what a handler raised, and give its message back."""
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
        channel = self._channel
        if self.consumer_tag not in channel.consumers:
            return  # the channel has ended, or the broker has cancelled it
        if not self.no_ack:
            channel.consumers[self.consumer_tag] = self._return_at_once
        waiter: asyncio.Future[Basic.CancelOk] = asyncio.get_running_loop().create_future()
        method = new_method(Basic.Cancel, consumer_tag=self.consumer_tag)
        channel.request(
            waiter, method, Basic.CancelOk, before_reply=lambda _: self._forget_tag(channel)
        )
        await self._session.wait(waiter, "Basic.Cancel")

    def _give_back(self) -> None:
        """Return what nobody has read to the queue; without acks it stays readable."""
        if self.no_ack:
            return
        _return(self._inbox.take_all())

    def _end(self, error: ClosedError | ConsumerCancelledError | None) -> None:
        if self._ended.done():
            return
        self._ended.come(error)
        if self._redeliveries is not None:
            _return(self._redeliveries.give_up())
        if error is None:
            self._inbox.close(StopAsyncIteration)
        else:
            self._inbox.close(error.again)
        if not self._workers:
            self._forget(self)

    def workers_ended(self) -> None:
        """Have no work left."""
        if self._ended.done():
            self._forget(self)


def _return(messages: Iterable[Message]) -> None:
    """Return messages to their queue that nobody has read.

    By `nack`: from RabbitMQ 4.3 on, quorum queues count each reject as a failed attempt.
    """
    for message in messages:
        if not message.settled:
            message.nack(requeue=True)
