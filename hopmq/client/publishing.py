"""The publishing half of a channel: what is written now, what is held back, and deadlines."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Final, TypeAlias

from hopmq.client.outcome import PublishHandle
from hopmq.core.channel import RETURN_TOKEN, ChannelCore
from hopmq.core.states import ChannelState
from hopmq.errors import (
    ClosedError,
    EncodeError,
    PublishNotSentError,
    PublishNotSentTimeoutError,
    UsageError,
)
from hopmq.typedefs import Body
from hopmq.wire import Properties

PERSISTENT_ONLY: Final = b"\x10\x00\x02"
"""An encoded property list that holds delivery mode 2 and nothing else."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Window:
    """Bounds on the unconfirmed messages of a channel.

    Attributes:
        messages: How many may be unconfirmed at once.
        size: Bytes of bodies that may be unconfirmed at once; a single message always fits.
    """

    messages: int = 1000
    size: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        """Refuse bounds that nothing could pass."""
        if self.messages < 1 or self.size < 1:
            raise UsageError("a window holds at least one message and one byte")


_Held: TypeAlias = tuple[PublishHandle, str, str, bool, Properties | bytes, Body]


class Publishing:
    """Write publishes in order, as soon as the window, the socket and the broker allow it.

    Attributes:
        outside_transaction: True between the transactions of a channel that has them.
    """

    __slots__ = (
        "_channel",
        "_held",
        "_held_back",
        "_loop",
        "_timer",
        "_timer_at",
        "_window",
        "outside_transaction",
    )

    def __init__(
        self,
        channel: ChannelCore,
        window: Window,
        held_back: Callable[[], str | None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Publish on `channel`; `held_back` says why its connection takes nothing now, if so."""
        self._channel = channel
        self._window = window
        self._held_back = held_back
        self._loop = loop
        self._held: deque[_Held] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self.outside_transaction: bool = False

    def start(
        self,
        exchange: str,
        routing_key: str,
        mandatory: bool,
        properties: Properties | bytes,
        body: Body,
        timeout: float,
    ) -> PublishHandle:
        """Write a message now, or hold it until there is room.

        Raises:
            EncodeError: A value cannot be encoded; nothing was sent.
            PublishNotSentError: The channel is closed.
            UsageError: The channel is transactional, and this is outside a transaction.
        """
        if self.outside_transaction:
            raise UsageError(
                "this channel has transactions: publish within `async with channel.transaction()`"
            )
        if not timeout > 0:
            raise PublishNotSentTimeoutError("not sent: its deadline had passed before")
        size = len(body) if type(body) is bytes else size_of(body)
        handle = PublishHandle(size, self._loop.time() + timeout)
        if not self._held and self._has_room(size):
            try:
                self._write(handle, exchange, routing_key, mandatory, properties, body)
            except ClosedError as error:
                raise PublishNotSentError(f"not sent: {error}") from error
        else:
            self._held.append((handle, exchange, routing_key, mandatory, properties, body))
            self._watch_room()
        if handle.deadline < self._timer_at and not handle.done():
            self._arm(handle.deadline)
        return handle

    def is_full(self, size: int) -> bool:
        """Return whether a message of `size` bytes would be held."""
        return bool(self._held) or not self._has_room(size)

    def why_held(self, size: int) -> str | None:
        """Say what a message of `size` bytes would wait for; None when nothing."""
        if not self.is_full(size):
            return None
        if not self._channel.flowing:
            return "the broker has stopped this channel (channel.flow)"
        return self._held_back() or (
            f"the window of {self._window.messages} messages or {self._window.size} bytes of "
            "unconfirmed messages is full"
        )

    def undecided(self) -> list[PublishHandle]:
        """Return the publishes that have no outcome yet, written or held, oldest first."""
        return [*self._written(), *(held[0] for held in self._held)]

    def withdraw(self, handle: PublishHandle) -> None:
        """Drop a message that is still held; one that was written is not affected."""
        held = deque(publish for publish in self._held if publish[0] is not handle)
        if len(held) < len(self._held):
            self._held = held
            handle.refused(PublishNotSentError("not sent: withdrawn by its publisher"))

    def resume(self) -> None:
        """Write what is held, as far as there is room now."""
        while self._held and self._has_room(self._held[0][0].size):
            publish = self._held.popleft()
            try:
                self._write(*publish)
            except (EncodeError, ClosedError) as error:
                publish[0].refused(error)
        self._watch_room()

    def end(self, error: ClosedError) -> None:
        """Tell the publishers of held messages that the channel has ended."""
        held, self._held = self._held, deque()
        for handle, *_ in held:
            not_sent = PublishNotSentError(f"not sent: {error}")
            not_sent.__cause__ = error
            handle.refused(not_sent)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- writing -----------------------------------------------------------------------------

    def _write(
        self,
        handle: PublishHandle,
        exchange: str,
        routing_key: str,
        mandatory: bool,
        properties: Properties | bytes,
        body: Body,
    ) -> None:
        channel = self._channel
        if mandatory and channel.confirms is not None:
            properties = _with_token(properties, channel.confirms.next_tag)
        tag = channel.publish(handle, exchange, routing_key, mandatory, properties, body)
        handle.delivery_tag = tag
        if not tag:
            handle.confirmed()

    def _watch_room(self) -> None:
        """Hear of confirms only while somebody waits for room."""
        confirms = self._channel.confirms
        if confirms is not None:
            confirms.on_room = self.resume if self._held else None

    def _has_room(self, size: int) -> bool:
        channel = self._channel
        if channel.state is not ChannelState.OPEN:
            return True  # so that writing raises what closed it
        if not channel.flowing or self._held_back() is not None:
            return False
        confirms = channel.confirms
        if not confirms:
            return True
        return (
            len(confirms) < self._window.messages
            and confirms.outstanding_bytes + size <= self._window.size
        )

    def _written(self) -> list[PublishHandle]:
        confirms = self._channel.confirms or ()
        return [publish for publish in confirms if isinstance(publish, PublishHandle)]

    # --- deadlines ---------------------------------------------------------------------------

    def _arm(self, deadline: float) -> None:
        """Have one timer per channel, at the earliest deadline of all its publishes."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = None if deadline == inf else self._loop.call_at(deadline, self._sweep)

    def _sweep(self) -> None:
        """End what is overdue."""
        now = self._loop.time()
        written = self._written()
        for handle in written:
            if handle.deadline <= now:
                handle.timed_out()
        overdue = [held[0] for held in self._held if held[0].deadline <= now]
        self._held = deque(held for held in self._held if held[0].deadline > now)
        for handle in overdue:
            handle.refused(self._too_late(handle.size))
        left = [handle.deadline for handle in written if not handle.done()]
        left += [held[0].deadline for held in self._held]
        self._timer = None
        self._arm(min(left, default=inf))

    def _too_late(self, size: int) -> PublishNotSentTimeoutError:
        reason = self.why_held(size) or "other messages went first"
        return PublishNotSentTimeoutError(
            f"not sent: the deadline passed while it was held back: {reason}"
        )


def size_of(body: Body) -> int:
    """Return how many bytes of the window a body takes."""
    if isinstance(body, memoryview):
        return body.nbytes
    try:
        return len(body)
    except TypeError:
        return 0  # the encoder will refuse it with a better message


def _with_token(properties: Properties | bytes, tag: int) -> Properties:
    """Return the properties with the header that a return is matched by."""
    if isinstance(properties, bytes):
        return Properties(delivery_mode=2, headers={RETURN_TOKEN: tag})
    return replace(properties, headers={**(properties.headers or {}), RETURN_TOKEN: tag})
