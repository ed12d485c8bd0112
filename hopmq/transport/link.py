"""One socket and its core: read in place, write once per loop turn, keep the deadlines."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

from hopmq.core.connection import ConnectionCore
from hopmq.core.events import CoreEvent
from hopmq.core.states import ConnectionState
from hopmq.errors import ConnectionLostError
from hopmq.transport import inheritance
from hopmq.transport.timers import Timer, Timers
from hopmq.transport.trace import WireTrace, logger as trace_logger

_WRITE_BUFFER_HIGH: Final = 1024 * 1024
_WRITE_BUFFER_LOW: Final = 256 * 1024
_WRITELINES_NEVER_PAUSES: Final = (3, 12) <= sys.version_info[:3] < (3, 12, 9) or (
    (3, 13) <= sys.version_info[:3] < (3, 13, 2)
)
"""Whether asyncio's own `writelines` lets its buffer grow without bound (CVE-2024-12254)."""
_ABORT_AFTER: Final = 2.0
"""Seconds a closed link gets to hand its last bytes to the peer."""
_RECHECK: Final = 0.05
"""Seconds a late loop gets to read what the socket holds before the peer is declared dead."""


class Link(asyncio.BufferedProtocol):
    """Tie a `ConnectionCore` to an asyncio transport.

    No task, future or lock is made per frame: reads go straight into the decoder's buffer, and
    what the core wants sent in one turn of the loop leaves in one `writelines`.

    Attributes:
        core: The state machine.
        on_events: Called with what the core has found in what was read.
        on_writable: Called when the transport's buffer has room again.
        lost: Done when the socket is closed.
        write_paused: True while the transport's own buffer is full.
    """

    __slots__ = (
        "__weakref__",
        "_abort_timer",
        "_clock",
        "_flush_scheduled",
        "_has_woken",
        "_in_read",
        "_loop",
        "_on_made",
        "_read_paused",
        "_rechecking",
        "_socket",
        "_time",
        "_timer",
        "_timer_at",
        "_trace_in",
        "_trace_out",
        "_transport",
        "_was_open",
        "core",
        "get_buffer",
        "lost",
        "on_events",
        "on_writable",
        "write_paused",
    )

    def __init__(
        self,
        core: ConnectionCore,
        loop: asyncio.AbstractEventLoop,
        on_events: Callable[[list[CoreEvent]], None],
        on_writable: Callable[[], None],
        name: str = "hopmq",
        clock: Timers | None = None,
        on_made: Callable[[], None] | None = None,
    ) -> None:
        """Wait for the transport.

        With a `clock`, the core's heartbeats and deadlines follow it and not the loop's time.
        `on_made` is called when there is a transport: with TLS, that may never be.
        """
        self.core: ConnectionCore = core
        self.on_events: Callable[[list[CoreEvent]], None] = on_events
        self.on_writable: Callable[[], None] = on_writable
        self.lost: asyncio.Future[None] = loop.create_future()
        self.write_paused: bool = False
        self._loop = loop
        self._clock: Timers = clock or loop
        self._time: Callable[[], float] = self._clock.time
        self._on_made = on_made
        self._transport: asyncio.Transport | None = None
        self._flush_scheduled = False
        self._in_read = False
        self._has_woken = False
        self._read_paused = False
        self._was_open = False
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._abort_timer: asyncio.TimerHandle | None = None
        self._rechecking = False
        self._socket: tuple[int, int] | None = None
        self._trace_in: Callable[[int], None] | None = None
        self._trace_out: WireTrace | None = None
        # Reads go into the decoder's own buffer; its bound method saves a call per read.
        self.get_buffer: Callable[[int], memoryview] = core.get_buffer  # type: ignore[assignment]
        if trace_logger.isEnabledFor(logging.DEBUG):
            self._start_trace(name)

    @property
    def transport(self) -> asyncio.Transport:
        """The asyncio transport, once connected."""
        assert self._transport is not None
        return self._transport

    def exchange_transport(self, transport: asyncio.Transport) -> asyncio.Transport:
        """Write to `transport` from now on, and return the one so far; for tests that tap a link."""
        before, self._transport = self.transport, transport
        return before

    # --- called by the transport -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start talking."""
        # A cast: uvloop's transports have the methods and none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_WRITE_BUFFER_HIGH, low=_WRITE_BUFFER_LOW)
        self._socket = _socket_of(self._transport)
        inheritance.guard(self)
        self.core.on_output = self.request_flush
        self.core.on_woken = self.expect_output
        if self._on_made is not None:
            self._on_made()
        self.flush()

    def buffer_updated(self, nbytes: int) -> None:
        """Hand the bytes just read to the core."""
        if self._trace_in is not None:
            self._trace_in(nbytes)
        self._in_read = True
        try:
            self.core.received(nbytes, self._time())
            self._pass_on_events()
        finally:
            self._in_read = False
            if self._has_woken:
                self._has_woken = False
                self._flush_scheduled = True
                self._loop.call_soon(self.flush)
            elif self._flush_scheduled:
                self.flush()

    def eof_received(self) -> bool:
        """Close our half as well."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the core and whoever waits."""
        inheritance.release(self)
        reason = f"the link broke: {exc}" if exc else "the peer closed the link"
        self.core.receive_eof(self._time(), reason)
        self._pass_on_events()
        for timer in (self._timer, self._abort_timer):
            if timer is not None:
                timer.cancel()
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        """Take note that the socket does not keep up."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """Let publishers go on."""
        self.write_paused = False
        self.on_writable()

    # --- in a child of the process -----------------------------------------------------------

    def socket_number(self) -> int | None:
        """Return the number of the socket, unless that is closed and the number another's."""
        if self._socket is None:
            return None
        number, inode = self._socket
        try:
            return number if os.fstat(number).st_ino == inode else None
        except OSError:
            return None

    def disown(self) -> None:
        """Be closed; who waits is told by the loop, which a child is not likely to run."""
        was_open = self.core.disown(inheritance.forked())
        with suppress(RuntimeError):  # the loop is closed, or not this thread's
            if not self.lost.done():
                self.lost.set_result(None)
            if was_open:
                self._loop.call_soon(self._tell_child)

    def _tell_child(self) -> None:
        self.core.tell_end()
        self._pass_on_events()

    # --- writing -----------------------------------------------------------------------------

    def request_flush(self) -> None:
        """Write what the core has at the end of this turn of the loop, or of the read in it."""
        if not self._flush_scheduled:
            self._flush_scheduled = True
            if not self._in_read:
                self._loop.call_soon(self.flush)

    def expect_output(self) -> None:
        """Write at the end of the next turn: who has just been woken may send something in it.

        If they were to ask for it themselves, it would be a turn later.
        """
        if self._in_read:
            self._has_woken = True
        else:
            self.request_flush()

    def flush(self) -> None:
        """Write what the core has now."""
        self._flush_scheduled = False
        transport = self._transport
        if transport is None:
            return
        buffers = self.core.data_to_send(self._time())
        if buffers and not transport.is_closing():
            if self._trace_out is not None:
                for buffer in buffers:
                    self._trace_out.feed(buffer)
            if len(buffers) == 1:
                transport.write(buffers[0])
            elif _WRITELINES_NEVER_PAUSES:
                transport.write(b"".join(buffers))
            else:
                transport.writelines(buffers)
        if self.core.state is not ConnectionState.OPEN:
            self._finish()
        elif not self._was_open:
            self._was_open = True
            self._arm()  # heartbeats begin with the last word of the handshake

    def close(self) -> None:
        """Close in order; whoever waits is told now, not when the peer has answered."""
        self.core.close()
        self._pass_on_events()
        self.flush()
        self.resume_reading()  # unread messages must not stand before the answer

    def abort(self) -> None:
        """Drop the socket at once."""
        if self._transport is not None:
            self._transport.abort()

    def _finish(self) -> None:
        """Close the socket once the core is done with it."""
        self._arm()
        transport = self.transport
        if self.core.state is not ConnectionState.CLOSED or transport.is_closing():
            return
        if isinstance(self.core.error, ConnectionLostError):
            transport.abort()
            return
        transport.close()
        self._abort_timer = self._loop.call_later(_ABORT_AFTER, transport.abort)

    # --- reading -----------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """Leave bytes in the socket until the application has caught up."""
        if not self._read_paused and self._transport is not None:
            self._read_paused = True
            self._transport.pause_reading()
            self.core.heartbeat.watch(False, self._time())

    def resume_reading(self) -> None:
        """Read again."""
        if self._read_paused and self._transport is not None:
            self._read_paused = False
            self.core.heartbeat.watch(True, self._time())
            self._transport.resume_reading()
            self._arm()

    def _pass_on_events(self) -> None:
        events = self.core.events()
        if events:
            self.on_events(events)
        # A close-ok is no event: the close was one.
        if events or self.core.state is ConnectionState.CLOSED:
            self.flush()
            self._arm()

    def _start_trace(self, name: str) -> None:
        """Log every frame of this link (logger `hopmq.wire`, level DEBUG)."""
        self._trace_out = WireTrace(name, ">")
        trace_in = WireTrace(name, "<")
        view = memoryview(b"")

        def get_buffer(sizehint: int) -> memoryview:
            nonlocal view
            view = self.core.get_buffer(sizehint)
            return view

        def received(nbytes: int) -> None:
            trace_in.feed(bytes(view[:nbytes]))

        self.get_buffer = get_buffer
        self._trace_in = received

    # --- time --------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Wake up at the core's next deadline; an earlier wake-up than needed does no harm."""
        deadline = self.core.next_deadline()
        if deadline is None or self.lost.done():
            return
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._wake_at(deadline)

    def _wake_at(self, when: float) -> None:
        self._timer_at = when
        self._timer = self._clock.call_at(when, self._on_deadline)

    def _on_deadline(self) -> None:
        self._timer = None
        now = self._time()
        if self.core.heartbeat.is_dead(now) and not self._rechecking:
            # A loop that was blocked has not read yet what may prove the peer alive.
            self._rechecking = True
            self._wake_at(now + _RECHECK)
            return
        self._rechecking = False
        self.core.handle_deadline(now)
        self._pass_on_events()
        self.flush()
        self._arm()


def _socket_of(transport: asyncio.Transport) -> tuple[int, int] | None:
    """Return the number of a transport's socket, and what tells it from others by that number."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return None
    number: int = sock.fileno()
    return number, os.fstat(number).st_ino
