"""Messages in the hands of a thread: what settles them is done in the event loop."""

import asyncio
from collections.abc import Callable
from typing import Any

from hopmq.app.context import ConsumeContext
from hopmq.app.loop_calls import LoopClosedError, call_in, runs_here
from hopmq.client.message import Message
from hopmq.core.channel import Settlement


def for_thread(context: ConsumeContext) -> ConsumeContext:
    """Return the context with messages that a thread can settle; its state is the same."""
    loop = asyncio.get_running_loop()
    messages = [_copied(each, loop) for each in context.messages]
    return context.with_messages(messages)


def _copied(message: Message, loop: asyncio.AbstractEventLoop) -> Message:
    """Return a copy, as what is settled by is replaced while it is worked on (when links are lost)."""
    kind: Any = type(message)  # made by the codec, its fields in the order of its arguments
    made: Message = kind(*(getattr(message, name) for name in kind.__match_args__))
    made.admit(_InLoop(message, loop), None)
    return made


class _InLoop:
    """Settles a message by the original that it was copied from, in the event loop's thread.

    Cores and channels belong to that thread. Whoever settles waits until it is done there, so that
    what it raises is raised, and what comes after sees the message settled.
    """

    __slots__ = ("_loop", "_message")

    def __init__(self, message: Message, loop: asyncio.AbstractEventLoop) -> None:
        self._message = message
        self._loop = loop

    def is_unsettled(self, tag: int) -> bool:
        return not self._message.settled

    def ack(self, tag: int, multiple: bool = False) -> Settlement:
        return self._settle(lambda: self._message.ack(multiple=multiple))

    def nack(self, tag: int, multiple: bool = False, requeue: bool = True) -> Settlement:
        return self._settle(lambda: self._message.nack(multiple=multiple, requeue=requeue))

    def reject(self, tag: int, requeue: bool = True) -> Settlement:
        return self._settle(lambda: self._message.reject(requeue=requeue))

    def _settle(self, settle: Callable[[], Settlement]) -> Settlement:
        if runs_here(self._loop):
            return settle()
        try:
            return call_in(self._loop, settle)
        except LoopClosedError:
            return Settlement.STALE
