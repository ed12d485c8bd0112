"""The faults that can be asked of an embedded broker."""

from dataclasses import replace
from types import TracebackType
from typing import Self

from hopmq.broker import Broker
from hopmq.broker.peer import Peer
from hopmq.broker.refusal import Refusal
from hopmq.errors import UsageError
from hopmq.testing.faults.fault import Fault
from hopmq.testing.faults.on_the_way import FaultsOnTheWay
from hopmq.testing.faults.publishing import (
    Blocked,
    Duplicated,
    Nacked,
    Reordered,
    Unroutable,
    Withheld,
)
from hopmq.testing.faults.requests import Locked, Refused, default_text
from hopmq.testing.faults.seams import Seams
from hopmq.testing.faults.selection import Selection


class Faults(FaultsOnTheWay):
    """What an embedded broker can do to its clients, for tests.

    Every method returns a `Fault`: it counts its `hits`, can be awaited (`happened`), and ends
    when it is cancelled, or with its `with` block. Faults that look for an occasion take the next
    one unless told otherwise: `nth` says which (1 is the next), and `times` how many in a row from
    there, None for all.

    Frames are named as in the specification, `Basic.Publish`, or `header`, `body`, `heartbeat`
    and `protocol-header`; `*` stands for any letters. Directions are `to_broker` and `to_client`,
    None for both.

    Use it on the broker's own event loop. As a context manager, it cancels all its faults at the
    end of the block.
    """

    def __init__(self, broker: Broker) -> None:
        """Have faults for every client of `broker`."""
        super().__init__()
        self._seams = _seams_of(broker)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clear()

    def on(
        self,
        *,
        connection: str | None = None,
        user: str | None = None,
        vhost: str | None = None,
        channel: int | None = None,
        queue: str | None = None,
    ) -> "Faults":
        """Return faults for some clients or queues only.

        Args:
            connection: Name that the client gave its connection, with `*` and `?`.
            user: Whom the client has logged in as.
            vhost: Virtual host.
            channel: Number of the channel.
            queue: Name of the queue, with `*` and `?`. Requests are meant that name it, and
                publishes to it by the default exchange.
        """
        faults = Faults(self._seams.broker)
        faults._mine = self._mine
        faults._where = Selection(
            connection=connection, user=user, vhost=vhost, channel=channel, queue=queue
        )
        return faults

    # --- connections -----------------------------------------------------------------------------

    def disconnect(self, *, reset: bool = False) -> Fault:
        """End connections now, without a word of AMQP.

        Args:
            reset: By a reset (RST) rather than by the end of the stream (FIN).
        """
        taps = [self._seams.tap(peer) for peer in self._peers()]
        for tap in taps:
            tap.cut(reset=reset)
        return self._done("disconnect", len(taps))

    def send_raw(self, data: bytes) -> Fault:
        """Send raw bytes to clients now."""
        peers = self._peers()
        for peer in peers:
            peer.core.write(data)
        return self._done("raw bytes", len(peers))

    # --- confirms --------------------------------------------------------------------------------

    def nack(self, *, nth: int = 1, times: int | None = 1) -> Fault:
        """Refuse publishes (basic.nack); their messages reach no queue."""
        return self._add(Nacked("nack", self._where, nth=nth, times=times))

    def withhold_confirms(
        self, *, nth: int = 1, times: int | None = None, seconds: float | None = None
    ) -> Fault:
        """Take publishes and do not confirm them until `release`.

        What is held when it is cancelled is never confirmed.

        Args:
            nth: From which publish on: 1 for the next.
            times: How many publishes; None for all.
            seconds: Confirm each by itself after that time, on the broker's clock.
        """
        return self._add(Withheld(self._where, nth=nth, times=times, seconds=seconds))

    def reorder_confirms(self, count: int, *, nth: int = 1) -> Fault:
        """Confirm `count` publishes of a channel one by one, the last of them first."""
        return self._add(Reordered(self._where, nth=nth, count=count))

    def duplicate_confirms(self, *, nth: int = 1, times: int | None = 1) -> Fault:
        """Confirm publishes twice."""
        return self._add(Duplicated("confirm twice", self._where, nth=nth, times=times))

    def unroutable(self, *, nth: int = 1, times: int | None = 1) -> Fault:
        """Have publishes reach no queue, as if none were bound; mandatory ones are returned."""
        return self._add(Unroutable("unroutable", self._where, nth=nth, times=times))

    # --- refusals --------------------------------------------------------------------------------

    def refuse(
        self,
        at: str,
        *,
        code: int,
        text: str | None = None,
        nth: int = 1,
        times: int | None = 1,
        closes_connection: bool | None = None,
    ) -> Fault:
        """Refuse a request, and close its channel or connection with a code.

        Args:
            at: The method, such as `Queue.Declare`; `Basic.Publish`, `Basic.Ack`,
                `Connection.StartOk` (the login) and `Connection.Open` (the virtual host) as well.
            code: Reply code.
            text: Reply text.
            nth: Which of them: 1 for the next.
            times: How many in a row; None for all.
            closes_connection: Whether the connection ends, or the channel alone; by default as
                AMQP has it for that code.
        """
        return self._add(
            Refused(
                self._where,
                at=(at,),
                code=code,
                text=default_text(code) if text is None else text,
                nth=nth,
                times=times,
                closes_connection=closes_connection,
            )
        )

    def lock_queue(self, queue: str, *, times: int | None = None) -> Fault:
        """Refuse a queue as if another connection had it for itself (405).

        Args:
            queue: Its name; it need not exist.
            times: How many requests; by default all, until it is cancelled.
        """
        return self._add(Locked(replace(self._where, queue=queue), times=times))

    # --- of the broker's own accord --------------------------------------------------------------

    def block(self, reason: str = "low on memory") -> Fault:
        """Block connections (connection.blocked), those to come when they publish, until cancelled."""
        blocked = self._add(Blocked(self._where, reason=reason))
        for peer in self._peers():
            blocked.block(peer)
        return blocked

    def cancel_consumers(self) -> Fault:
        """Cancel consumers (basic.cancel), as when their queue is gone; queues stay."""
        consumers = [
            consumer
            for channel in self._seams.channels(replace(self._where, queue=None))
            for consumer in list(channel.consumers.values())
            if self._where.has_queue(consumer.queue)
        ]
        for consumer in consumers:
            consumer.channel.cancel_consumer(consumer)
            consumer.queue.remove_consumer(consumer)
        return self._done("cancel consumers", len(consumers))

    def delete_queue(self, queue: str) -> Fault:
        """Delete queues of that name under their consumers, with `*` and `?`."""
        where = replace(self._where, queue=queue)
        queues = [
            each
            for vhost in self._seams.broker.state.vhosts.values()
            for each in list(vhost.queues.values())
            if where.has_queue(each)
        ]
        for each in queues:
            each.vhost.delete_queue(each)
        return self._done(f"delete queue {queue}", len(queues))

    def close_channel(self, code: int, text: str | None = None) -> Fault:
        """Close channels now, with a code."""
        channels = list(self._seams.channels(self._where))
        for channel in channels:
            refusal = Refusal(code, default_text(code) if text is None else text)
            refusal.closes_connection = False
            channel.refuse(refusal, 0)
        return self._done(f"close channel {code}", len(channels))

    def close_connection(self, code: int = 320, text: str | None = None) -> Fault:
        """Close connections now, with a code."""
        peers = self._peers()
        for peer in peers:
            peer.close(code, default_text(code) if text is None else text)
        return self._done(f"close connection {code}", len(peers))

    # --- inside ----------------------------------------------------------------------------------

    def _peers(self) -> list[Peer]:
        return [peer for peer in self._seams.peers() if self._where.has_peer(peer)]

    def _begin(self, fault: Fault) -> None:
        self._seams.add(fault)


def _seams_of(broker: Broker) -> Seams:
    present = broker.interposer
    if isinstance(present, Seams):
        return present
    if present is not None:
        raise UsageError("somebody else stands between this broker and its clients")
    return Seams(broker)
