"""Two transports in one process that hand over each other's bytes, as a socket pair would."""

import asyncio
import errno
import os
from collections.abc import Callable, Iterable
from typing import Any, Final

from hopmq.transport.pipe import Pipe, Written

_TURN: Final = 256 * 1024
"""Bytes handed over in one turn of the loop, so that a large body does not hold up the others."""
_LEFT_BEHIND: Final = 64 * 1024
"""Bytes that a closed end may leave to be read, as a system's socket buffer would hold them."""
_DEFAULT_HIGH: Final = 64 * 1024


class Traffic:
    """What moves in one event loop, so that a turned clock can wait until nothing does.

    Attributes:
        due: Calls to protocols that the loop has been asked for and has not made yet.
    """

    __slots__ = ("due",)

    def __init__(self) -> None:
        """Begin with nothing on its way."""
        self.due: int = 0


class PairedTransport(asyncio.Transport):
    """One end of a pair.

    Bytes are handed over by the loop only, never within `write`, so no protocol is called while
    it calls. They are kept by reference and copied once, into the receiver's buffer. What is seen
    of an end is what a socket shows: after `close` the peer reads what was written, then the end;
    after `abort` it reads nothing more.
    """

    __slots__ = (
        "_closing",
        "_end_seen",
        "_get_buffer",
        "_high",
        "_incoming",
        "_loop",
        "_lost",
        "_low",
        "_outgoing",
        "_protocol",
        "_reading",
        "_scheduled",
        "_traffic",
        "_write_paused",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        traffic: Traffic,
        incoming: Pipe,
        outgoing: Pipe,
        extra: dict[str, Any],
    ) -> None:
        """Stand between two pipes, without a protocol yet; `extra` is for `get_extra_info`."""
        super().__init__(extra)
        self._loop = loop
        self._traffic = traffic
        self._incoming = incoming
        self._outgoing = outgoing
        self._end_seen = False
        self._scheduled = False
        self._reading = True
        self._closing = False
        self._lost = False  # connection_lost is called, or about to be
        self._write_paused = False
        self.set_write_buffer_limits()
        self.set_protocol(asyncio.BaseProtocol())
        incoming.on_arrival = self._schedule
        incoming.on_reset = self._reset
        outgoing.on_taken = self._drained

    def __repr__(self) -> str:
        """Show whom it talks to, and whether it still does."""
        state = "closed" if self._lost else "closing" if self._closing else "open"
        return f"<PairedTransport {self.get_extra_info('peername')} {state}>"

    # --- what a protocol may ask ---------------------------------------------------------------

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who reads here."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let `protocol` read from now on."""
        self._protocol = protocol
        # Any: a buffer of whatever kind the protocol has.
        self._get_buffer: Callable[[int], Any] | None = None
        if isinstance(protocol, asyncio.BufferedProtocol):
            self._get_buffer = protocol.get_buffer

    def is_closing(self) -> bool:
        """Return whether this end is closed, or about to be."""
        return self._closing

    def is_reading(self) -> bool:
        """Return whether this end takes bytes."""
        return self._reading and not self._closing

    def can_write_eof(self) -> bool:
        """Return True: either direction can end alone."""
        return True

    def get_write_buffer_size(self) -> int:
        """Return how many written bytes the peer has not read yet."""
        return self._outgoing.size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high mark, in bytes."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks in bytes at which the protocol is told to pause and to resume.

        Defaults are asyncio's: 64 KiB, or four times `low`; and a quarter of `high`.
        """
        if high is None:
            high = _DEFAULT_HIGH if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high}) must be at least low ({low}), and low at least 0")
        self._high = high
        self._low = low
        self._pause_writer()

    # --- writing -----------------------------------------------------------------------------

    def write(self, data: Written) -> None:
        """Let the peer have `data`, which must not change until it does."""
        self.writelines((data,))

    def writelines(self, list_of_data: Iterable[Written]) -> None:
        """Let the peer have all of `list_of_data`, in order."""
        outgoing = self._outgoing
        if self._closing:
            return
        if outgoing.ended:
            raise RuntimeError("cannot write after write_eof()")
        if outgoing.deaf:
            self._write_to_nobody()
            return
        for data in list_of_data:
            outgoing.put(data)
        outgoing.on_arrival()
        self._pause_writer()

    def write_eof(self) -> None:
        """Say that nothing more will be written; reading goes on."""
        self._outgoing.ended = True
        self._outgoing.on_arrival()

    def _write_to_nobody(self) -> None:
        # A socket's peer answers such bytes with a reset; what it wrote before is read first.
        if self._end_seen:
            self._lose(_reset_by_peer())

    def _pause_writer(self) -> None:
        if self._outgoing.size > self._high and not self._write_paused and not self._closing:
            self._write_paused = True
            self._protocol.pause_writing()

    def _drained(self) -> None:
        """Go on, or be done, now that the peer has read some of what was written."""
        if self._lost:
            return
        unread = self._outgoing.size
        if self._closing:
            if unread <= _LEFT_BEHIND:
                self._lose(None)
        elif self._write_paused and unread <= self._low:
            self._write_paused = False
            self._protocol.resume_writing()

    # --- reading -----------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """Take no bytes until `resume_reading`; the peer is held back at its high mark."""
        self._reading = False

    def resume_reading(self) -> None:
        """Take bytes again."""
        self._reading = True
        self._schedule()

    def _has_news(self) -> bool:
        incoming = self._incoming
        return incoming.size > 0 or (incoming.ended and not self._end_seen)

    def _schedule(self) -> None:
        """Have the loop hand over what there is, unless it will already or must not."""
        if not self._scheduled and self._reading and not self._closing and self._has_news():
            self._scheduled = True
            self._traffic.due += 1
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        """Give the protocol one turn's worth of bytes, or else the end."""
        self._scheduled = False
        self._traffic.due -= 1
        if not self.is_reading():
            return
        try:
            if self._incoming.size:
                self._read()
            else:
                self._read_end()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._fail(error)
            return
        self._schedule()
        self._incoming.on_taken()

    def _read(self) -> None:
        # Any: BaseProtocol does not have what its two subclasses are called with.
        protocol: Any = self._protocol
        budget = _TURN
        while self._incoming.size and budget > 0 and self.is_reading():
            if self._get_buffer is None:
                chunk = self._incoming.take(budget)
                budget -= len(chunk)
                protocol.data_received(bytes(chunk))
                continue
            view = memoryview(self._get_buffer(-1)).cast("B")
            if not view:
                raise RuntimeError("get_buffer() returned an empty buffer")
            filled = self._incoming.fill(view)
            budget -= filled
            protocol.buffer_updated(filled)

    def _read_end(self) -> None:
        self._end_seen = True
        protocol: Any = self._protocol  # as above
        if not protocol.eof_received():
            self.close()

    # --- ending ------------------------------------------------------------------------------

    def close(self) -> None:
        """Read no more, and end once the peer has what was written."""
        if self._closing:
            return
        self._closing = True
        self._stop_reading()
        self._loop.call_soon(self._incoming.on_taken)  # its protocol does not expect a call now
        self._outgoing.ended = True
        self._outgoing.on_arrival()
        self._drained()

    def abort(self) -> None:
        """End at once; what the peer has not read is lost."""
        self._break(None)

    def _stop_reading(self) -> None:
        self._incoming.deaf = True
        self._incoming.clear()

    def _fail(self, error: BaseException) -> None:
        """Break because the protocol raised: an error of the program, so it is reported."""
        self._loop.call_exception_handler(
            {
                "message": "a protocol raised while it was given bytes",
                "exception": error,
                "transport": self,
                "protocol": self._protocol,
            }
        )
        self._break(error)

    def _break(self, error: BaseException | None) -> None:
        if not self._lost:
            self._lose(error)
            self._outgoing.on_reset()

    def _reset(self) -> None:
        """Take note that the peer has broken the link."""
        if not self._lost:
            self._lose(_reset_by_peer())

    def _lose(self, error: BaseException | None) -> None:
        self._lost = True
        self._closing = True
        self._stop_reading()
        self._traffic.due += 1
        self._loop.call_soon(self._connection_lost, error)

    def _connection_lost(self, error: Any) -> None:  # asyncio says Exception, and gives any
        self._traffic.due -= 1
        protocol = self._protocol
        self.set_protocol(asyncio.BaseProtocol())  # so that no cycle keeps the protocol
        protocol.connection_lost(error)


def _reset_by_peer() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


def transport_pair(
    loop: asyncio.AbstractEventLoop,
    traffic: Traffic,
    extra: dict[str, Any],
    extra_of_other: dict[str, Any],
) -> tuple[PairedTransport, PairedTransport]:
    """Return both ends of a pair, without protocols yet."""
    there, back = Pipe(), Pipe()
    return (
        PairedTransport(loop, traffic, back, there, extra),
        PairedTransport(loop, traffic, there, back, extra_of_other),
    )
