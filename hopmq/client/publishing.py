"""The publishing half of a channel: what is written now, what is held back, and deadlines."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf
from typing import Any, Final, Literal, TypeAlias, get_args

from hopmq.client.carrier import Carrier
from hopmq.client.outcome import HANDED_OVER, PublishHandle
from hopmq.client.resending import Content, LastingHandle, MessageIds
from hopmq.client.run import END, FLUSH_AT, Alike, Run
from hopmq.client.window import Window, size_of
from hopmq.core.channel import RETURN_TOKEN, ChannelCore
from hopmq.core.states import CHANNEL_OPEN
from hopmq.errors import (
    ClosedError,
    EncodeError,
    HopMQError,
    PublishNotSentError,
    PublishNotSentTimeoutError,
    UsageError,
)
from hopmq.typedefs import Body
from hopmq.wire import Properties

OnDisconnect: TypeAlias = Literal["wait", "raise", "resend"]
"""What a publish does while the connection recovers; see `connect`."""

PERSISTENT_ONLY: Final = b"\x10\x00\x02"
"""An encoded property list that holds delivery mode 2 and nothing else."""

_Held: TypeAlias = tuple[PublishHandle, Content]


class Publishing:
    """Write publishes in order, as soon as the link, the window and the broker allow it.

    Attributes:
        outside_transaction: Makes the error of whoever publishes on a channel that has
            transactions while none is under way; None when that is no mistake.
    """

    __slots__ = (
        "_carrier",
        "_channel",
        "_has_transactions",
        "_held",
        "_ids",
        "_loop",
        "_lost",
        "_on_disconnect",
        "_suspended",
        "_time",
        "_timer",
        "_timer_at",
        "_window",
        "outside_transaction",
    )

    def __init__(
        self,
        channel: ChannelCore,
        window: Window,
        carrier: Carrier,
        loop: asyncio.AbstractEventLoop,
        on_disconnect: OnDisconnect = "wait",
    ) -> None:
        """Publish on `channel`, which `carrier` is the connection of."""
        self._channel = channel
        self._window = window
        self._carrier = carrier
        self._loop = loop
        self._time = loop.time
        self._held: deque[_Held] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._on_disconnect = on_disconnect
        self._ids = MessageIds() if on_disconnect == "resend" else None
        self._suspended: ClosedError | None = None
        self._lost: list[LastingHandle] = []
        self.outside_transaction: Callable[[], HopMQError] | None = None
        self._has_transactions = False

    def start_now(
        self,
        exchange: str,
        routing_key: str,
        mandatory: bool,
        properties: Properties | bytes,
        body: Body,
        timeout: float,
    ) -> PublishHandle | None:
        """Write a message now; None where it would have to be held.

        Raises:
            EncodeError: A value cannot be encoded; nothing was sent.
            PublishNotSentError: The channel is closed.
            UsageError: The channel is transactional, and this is outside a transaction.
        """
        if self.outside_transaction is not None:
            raise self.outside_transaction()
        if not timeout > 0.0:
            raise PublishNotSentTimeoutError("not sent: its deadline had passed before")
        size = len(body) if type(body) is bytes else size_of(body)
        if self._held or not self._has_room(size):
            return None
        channel = self._channel
        confirms = channel.confirms
        handle: PublishHandle
        if self._ids is not None:
            handle = lasting = self._lasting(
                exchange, routing_key, mandatory, properties, body, timeout
            )
            properties, body = lasting.content[3:]
        elif confirms is None:
            handle = HANDED_OVER
        else:
            time = self._time
            handle = PublishHandle(size, time(), timeout)
        if mandatory and confirms is not None:
            properties = _with_token(properties, confirms.next_tag)
        try:
            tag = channel.publish(handle, exchange, routing_key, mandatory, properties, body)
        except ClosedError as error:
            raise PublishNotSentError(f"not sent: {error}") from error
        if tag:
            handle.delivery_tag = tag
            if handle.deadline < self._timer_at:
                self._arm(handle.deadline)
        else:
            handle.confirmed()
        carrier = self._carrier
        if carrier.core.out_size > FLUSH_AT:
            carrier.flush_early()
        return handle

    def write_run(
        self,
        last: PublishHandle,
        content: Alike,
        timeout: float,
        bodies: Iterator[Body],
        handles: list[PublishHandle],
    ) -> Any:
        """Write messages like the `last`, which `start_now` has just written, while there is room.

        What that looks at is not looked at again: nothing of it changes meanwhile, as `bodies`
        runs nobody's code. The messages share the time at which they were asked for.

        Returns:
            The first that was not written, or `END`.
        """
        run = Run(self._channel, self._carrier.core, content, bodies, handles)
        if last is HANDED_OVER:
            return run.hand_over()
        if self._ids is not None or content[2] or last.done():
            return next(bodies, END)
        return run.write(self._window, last.begun, timeout)

    def hold(
        self,
        exchange: str,
        routing_key: str,
        mandatory: bool,
        properties: Properties | bytes,
        body: Body,
        timeout: float,
    ) -> PublishHandle:
        """Hold a message that `start_now` has not written, until there is room."""
        if self._suspended is not None and self._on_disconnect == "raise":
            raise self._not_sent(self._suspended)
        size = len(body) if type(body) is bytes else size_of(body)
        if self._ids is None:
            handle = PublishHandle(size, self._time(), timeout)
            self._held.append((handle, (exchange, routing_key, mandatory, properties, body)))
        else:
            lasting = self._lasting(exchange, routing_key, mandatory, properties, body, timeout)
            self._held.append((lasting, lasting.content))
            handle = lasting
        self._watch_room()
        if handle.deadline < self._timer_at:
            self._arm(handle.deadline)
        return handle

    def is_full(self, size: int) -> bool:
        """Return whether a message of `size` bytes would be held."""
        return bool(self._held) or not self._has_room(size)

    def why_held(self, size: int) -> str | None:
        """Say what a message of `size` bytes would wait for; None when nothing."""
        if not self.is_full(size):
            return None
        if self._suspended is not None:
            return f"the connection is recovering ({self._suspended})"
        if not self._channel.flowing:
            return "the broker has stopped this channel (channel.flow)"
        return self._carrier.held_back() or (
            f"the window of {self._window.messages} messages or {self._window.size} bytes of "
            "unconfirmed messages is full"
        )

    def undecided(self) -> list[PublishHandle]:
        """Return the publishes that have no outcome yet, written or held, oldest first."""
        return [*self._written(), *self._lost, *(held[0] for held in self._held)]

    def withdraw(self, handle: PublishHandle) -> None:
        """Drop a message that waits to be written; one that was written is not affected."""
        held = deque(publish for publish in self._held if publish[0] is not handle)
        lost = [publish for publish in self._lost if publish is not handle]
        if len(held) < len(self._held) or len(lost) < len(self._lost):
            self._held = held
            self._lost[:] = lost
            handle.refused(PublishNotSentError("not sent: withdrawn by its publisher"))

    def resume(self) -> None:
        """Write what is held, as far as there is room now."""
        while self._held and self._has_room(self._held[0][0].size):
            handle, content = self._held.popleft()
            try:
                self._write(handle, *content)
            except (EncodeError, ClosedError) as error:
                handle.refused(error)
        self._watch_room()

    def suspend(self, error: ClosedError) -> None:
        """Write nothing until there is another channel to write on."""
        self._suspended = error
        in_transaction = self._has_transactions and self.outside_transaction is None
        if in_transaction:
            self.outside_transaction = lambda: self._transaction_lost(error)
        if in_transaction or self._on_disconnect == "raise":
            self._refuse_held(error)

    def resume_on(self, channel: ChannelCore) -> None:
        """Write on this channel from now on, what was lost with the last one first."""
        self._channel = channel
        self._suspended = None
        again: list[_Held] = [(lost, lost.content) for lost in self._lost if not lost.done()]
        self._lost.clear()
        self._held.extendleft(reversed(again))
        self.resume()

    def end(self, error: ClosedError) -> None:
        """Tell the publishers of held messages that the channel has ended."""
        self._suspended = None
        lost = self._lost.copy()
        self._lost.clear()
        for handle in lost:
            handle.refused(error)
        self._refuse_held(error)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def begin_transaction(self) -> None:
        """Let publishes through."""
        self._has_transactions = True
        self.outside_transaction = None

    def end_transaction(self) -> None:
        """Refuse publishes: without a commit they would wait for ever."""
        self.outside_transaction = _outside_transaction

    def _refuse_held(self, error: ClosedError) -> None:
        held, self._held = self._held, deque()
        for handle, _ in held:
            handle.refused(self._not_sent(error))

    @staticmethod
    def _transaction_lost(error: ClosedError) -> PublishNotSentError:
        return PublishNotSentError(
            f"not sent: the broker has forgotten this transaction ({error}); begin it again"
        )

    @staticmethod
    def _not_sent(error: ClosedError) -> PublishNotSentError:
        not_sent = PublishNotSentError(f"not sent: {error}")
        not_sent.__cause__ = error
        return not_sent

    # --- writing -----------------------------------------------------------------------------

    def _lasting(
        self,
        exchange: str,
        routing_key: str,
        mandatory: bool,
        properties: Properties | bytes,
        body: Body,
        timeout: float,
    ) -> LastingHandle:
        """Return a publish that can be written again, under a message id."""
        assert self._ids is not None
        properties = self._ids.identified(properties, mandatory)
        body = bytes(body) if isinstance(body, bytearray | memoryview) else body
        content = (exchange, routing_key, mandatory, properties, body)
        size = len(body) if type(body) is bytes else size_of(body)
        return LastingHandle(size, self._time(), timeout, content, self._lost.append)

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
        if self._carrier.core.out_size > FLUSH_AT:
            self._carrier.flush_early()

    def _watch_room(self) -> None:
        """Hear of confirms only while somebody waits for room."""
        confirms = self._channel.confirms
        if confirms is not None:
            confirms.on_room = self.resume if self._held else None

    def _has_room(self, size: int) -> bool:
        channel = self._channel
        if channel.state is not CHANNEL_OPEN:
            return self._suspended is None  # so that writing raises what closed it
        carrier = self._carrier
        if not channel.flowing or carrier.blocked is not None or carrier.link.write_paused:
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
        for handle in self._lost:
            if handle.deadline <= now:
                handle.timed_out()
        self._lost[:] = [handle for handle in self._lost if not handle.done()]
        overdue = [held[0] for held in self._held if held[0].deadline <= now]
        self._held = deque(held for held in self._held if held[0].deadline > now)
        for handle in overdue:
            handle.refused(self._too_late(handle.size))
        left = [handle.deadline for handle in written if not handle.done()]
        left += [handle.deadline for handle in self._lost]
        left += [held[0].deadline for held in self._held]
        self._timer = None
        self._arm(min(left, default=inf))

    def _too_late(self, size: int) -> PublishNotSentTimeoutError:
        reason = self.why_held(size) or "other messages went first"
        return PublishNotSentTimeoutError(
            f"not sent: the deadline passed while it was held back: {reason}"
        )


def check_on_disconnect(policy: object) -> None:
    """Refuse a policy that is none."""
    if policy not in get_args(OnDisconnect):
        known = ", ".join(repr(each) for each in get_args(OnDisconnect))
        raise UsageError(f"on_disconnect is one of {known}, not {policy!r}")


def _outside_transaction() -> UsageError:
    return UsageError(
        "this channel has transactions: publish within `async with channel.transaction()`"
    )


def _with_token(properties: Properties | bytes, tag: int) -> Properties:
    """Return the properties with the header that a return is matched by."""
    if isinstance(properties, bytes):
        return Properties(delivery_mode=2, headers={RETURN_TOKEN: tag})
    return replace(properties, headers={**(properties.headers or {}), RETURN_TOKEN: tag})
