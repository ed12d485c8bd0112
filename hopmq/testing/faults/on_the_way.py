"""The faults of bytes and frames: the same for whoever stands between a client and its broker."""

from abc import ABC, abstractmethod
from random import Random
from typing import TypeVar

from hopmq.errors import UsageError
from hopmq.testing.faults.fault import Fault
from hopmq.testing.faults.pacing import Pace, Retransmissions
from hopmq.testing.faults.selection import Direction, Selection
from hopmq.testing.faults.streams import (
    BlackHole,
    Cut,
    CutAtByte,
    Hold,
    Injection,
    Place,
    Slow,
    Stall,
)

_FaultT = TypeVar("_FaultT", bound=Fault)


class FaultsOnTheWay(ABC):
    """What can happen to bytes and frames between a client and its broker."""

    def __init__(self) -> None:
        """Have faults for everybody."""
        self._where = Selection()
        self._mine: list[Fault] = []

    def clear(self) -> None:
        """Cancel every fault that was asked for here."""
        for fault in list(self._mine):
            fault.cancel()
        self._mine.clear()

    def cut(
        self,
        at: str,
        *,
        nth: int = 1,
        times: int | None = 1,
        direction: Direction | None = None,
        reset: bool = False,
        let_through: int | None = 0,
    ) -> Fault:
        """End the connection at a frame.

        Args:
            at: The frame.
            nth: Which of them: 1 for the next.
            times: How many in a row, of other connections then; None for all.
            direction: Which way the frame goes.
            reset: By a reset (RST) rather than by the end of the stream (FIN).
            let_through: Bytes of the frame that still arrive; None for all of it.
        """
        return self._add(
            Cut(
                self._where,
                at=at,
                nth=nth,
                times=times,
                direction=direction,
                reset=reset,
                let_through=let_through,
            )
        )

    def cut_after(
        self,
        size: int,
        *,
        direction: Direction = "to_broker",
        times: int | None = 1,
        reset: bool = False,
    ) -> Fault:
        """End connections once `size` bytes have passed since now, in that direction.

        Args:
            size: How many bytes still arrive.
            direction: Which bytes count.
            times: How many connections; None for all.
            reset: By a reset (RST) rather than by the end of the stream (FIN).
        """
        return self._add(
            CutAtByte(self._where, byte=size, direction=direction, times=times, reset=reset)
        )

    def black_hole(self, direction: Direction | None = None) -> Fault:
        """Swallow everything, closes included, while connections look open.

        When it is cancelled, connections that have lost bytes are reset.
        """
        return self._add(BlackHole(self._where, direction=direction))

    def hold(self, direction: Direction | None = None) -> Fault:
        """Keep everything back, closes included, until `release` or `cancel`.

        Then it arrives in order, as after a partition that healed before anybody gave up.
        """
        return self._add(Hold(self._where, direction=direction))

    def delay(self, seconds: float, *, direction: Direction | None = None) -> Fault:
        """Have bytes arrive later, by the broker's clock."""
        pace = Pace(delay=seconds)
        return self._add(Slow("delay", self._where, pace=pace, direction=direction))

    def throttle(self, rate: float, *, direction: Direction | None = None) -> Fault:
        """Let `rate` bytes per second through, by the broker's clock."""
        pace = Pace(rate=rate)
        return self._add(Slow("throttle", self._where, pace=pace, direction=direction))

    def split(self, size: int = 1, *, direction: Direction | None = None) -> Fault:
        """Have bytes arrive in pieces of `size`, each in a turn of the event loop of its own."""
        pace = Pace(size=size)
        return self._add(Slow("split", self._where, pace=pace, direction=direction))

    def lose(
        self,
        share: float,
        *,
        direction: Direction | None = None,
        retransmit: float = 0.2,
        seed: int | None = None,
    ) -> Fault:
        """Imitate a network that loses packets, as the ends of a TCP connection see it.

        Each segment of 1,460 bytes may come late, and with it everything behind it.

        Args:
            share: Chance of a segment to be lost, from 0 to less than 1.
            direction: Which way.
            retransmit: Seconds until it is sent again, doubled each time that it is lost anew.
            seed: Makes the same segments be lost every time.
        """
        if not 0 <= share < 1:
            raise UsageError("a share of lost packets is 0 or more, and less than 1")
        pace = Pace(lag=Retransmissions(share, retransmit, Random(seed)))
        return self._add(Slow("loss", self._where, pace=pace, direction=direction))

    def stall(
        self,
        at: str,
        *,
        nth: int = 1,
        times: int | None = 1,
        direction: Direction | None = "to_client",
        seconds: float | None = None,
    ) -> Fault:
        """Hold a frame back, and what follows it on its channel, until `release` or `cancel`.

        Args:
            at: The frame.
            nth: Which of them: 1 for the next.
            times: How many in a row; None for all.
            direction: Which way the frame goes.
            seconds: Let go by itself after that time, on the broker's clock.
        """
        return self._add(
            Stall(self._where, at=at, nth=nth, times=times, direction=direction, seconds=seconds)
        )

    def inject(
        self,
        data: bytes,
        *,
        at: str,
        place: Place = "instead",
        nth: int = 1,
        times: int | None = 1,
        direction: Direction | None = "to_client",
    ) -> Fault:
        """Send raw bytes, such as malformed frames, around a frame or in its place.

        Without any `data`, the frame is lost.

        Args:
            data: The bytes.
            at: The frame.
            place: `before` it, `after` it, or `instead`.
            nth: Which of them: 1 for the next.
            times: How many in a row; None for all.
            direction: Which way the frame goes.
        """
        return self._add(
            Injection(
                self._where,
                data=data,
                at=at,
                place=place,
                nth=nth,
                times=times,
                direction=direction,
            )
        )

    # --- inside ----------------------------------------------------------------------------------

    @abstractmethod
    def _begin(self, fault: Fault) -> None:
        """Let a fault happen from now on."""

    def _add(self, fault: _FaultT) -> _FaultT:
        self._mine.append(fault)
        self._begin(fault)
        return fault

    def _done(self, what: str, hits: int) -> Fault:
        """Return what has happened already."""
        fault = Fault(what, self._where)
        for _ in range(hits):
            fault.hit()
        return fault
