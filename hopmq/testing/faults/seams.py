"""Where faults come between a broker and its clients; without a fault, nowhere."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakKeyDictionary

from pamqp.commands import Basic

from hopmq.broker.clock import Clock
from hopmq.broker.refusal import Refusal
from hopmq.broker.server import Broker
from hopmq.core.events import (
    AuthenticationRequested,
    ChallengeAnswered,
    ChannelOpened,
    CoreEvent,
    VhostRequested,
)
from hopmq.testing.faults.fault import Fault
from hopmq.testing.faults.publishing import Blocked, PublishFault, TamperedPublishing
from hopmq.testing.faults.requests import LOGIN, VHOST, Refused
from hopmq.testing.faults.selection import Selection
from hopmq.testing.faults.stream import Stream, StreamFault
from hopmq.testing.faults.streams import BlackHole
from hopmq.testing.faults.tap import Tap
from hopmq.wire import Published

if TYPE_CHECKING:
    from hopmq.broker.channel import BrokerChannel
    from hopmq.broker.peer import Peer

_FaultT = TypeVar("_FaultT", bound=Fault)

_STEPS: Final[dict[type, str]] = {
    AuthenticationRequested: LOGIN,
    ChallengeAnswered: LOGIN,
    VhostRequested: VHOST,
}


class Seams:
    """The faults of one broker, and what stands between it and its clients because of them.

    Attributes:
        broker: The broker.
        loop: The event loop that it runs on.
        faults: Those that were asked for and not cancelled, oldest first.
        stream_faults: Those among them that are of bytes and frames.
        is_stopping: Whether the broker says good-bye, which no fault holds up.
    """

    def __init__(self, broker: Broker) -> None:
        """Stand nowhere yet."""
        self.broker: Broker = broker
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.faults: list[Fault] = []
        self.stream_faults: list[StreamFault] = []
        self.is_stopping: bool = False
        self._taps: dict[Peer, Tap] = {}
        self._hooked: WeakKeyDictionary[Peer, None] = WeakKeyDictionary()
        self._hooks = False
        broker.interposer = self

    @property
    def clock(self) -> Clock:
        """The broker's clock."""
        return self.broker.state.clock

    # --- called by the broker --------------------------------------------------------------------

    def accept(self, peer: "Peer") -> asyncio.BaseProtocol:
        """Stand before a new client, as far as there are faults."""
        self.is_stopping = False
        if self._hooks:
            self._hook(peer)
        if not self.stream_faults:
            return peer.link
        tap = self._taps[peer] = Tap(peer, self)
        return tap

    def stopping(self) -> None:
        """Have no client stay because of a fault."""
        for fault in list(self.faults):
            fault.release()
        for tap in list(self._taps.values()):
            if self.hides(tap.to_broker) or self.hides(tap.to_client):
                tap.cut(reset=True)
            tap.let_go()
        self.is_stopping = True

    # --- faults ----------------------------------------------------------------------------------

    def add(self, fault: _FaultT) -> _FaultT:
        """Let a fault happen from now on."""
        self.faults.append(fault)
        fault.at_end(lambda: self._remove(fault))
        if isinstance(fault, StreamFault):
            self.stream_faults.append(fault)
            for peer in self.peers():
                self.tap(peer)
        else:
            self._hooks = True
            for peer in self.peers():
                self._hook(peer)
        return fault

    def _remove(self, fault: Fault) -> None:
        self.faults.remove(fault)
        if not isinstance(fault, StreamFault):
            self._hooks = len(self.faults) > len(self.stream_faults)
            return
        self.stream_faults.remove(fault)
        for tap in list(self._taps.values()):
            if isinstance(fault, BlackHole) and (tap.to_broker.has_lost or tap.to_client.has_lost):
                tap.cut(reset=True)
            elif not self.stream_faults:
                tap.step_aside()

    # --- connections -----------------------------------------------------------------------------

    def peers(self) -> "list[Peer]":
        """Return the connections there are, oldest first."""
        return list(self.broker.state.peers) if self.broker.is_running else []

    def channels(self, where: Selection) -> "Iterator[BrokerChannel]":
        """Iterate over the channels that are meant."""
        for peer in self.peers():
            for number, channel in list(peer.channels.items()):
                if where.has_channel(peer, number):
                    yield channel

    def tap(self, peer: "Peer") -> Tap:
        """Return what stands before a client."""
        tap = self._taps.get(peer)
        if tap is None:
            in_step = not peer.link.core.decoder.buffered
            tap = self._taps[peer] = Tap(peer, self, in_step=in_step)
            tap.step_in()
        return tap

    def forget(self, tap: Tap) -> None:
        """Take note that a tap stands before nobody any more."""
        if self._taps.get(tap.peer) is tap:
            del self._taps[tap.peer]

    def hides(self, stream: Stream) -> bool:
        """Return whether one end is not to know what the other does."""
        return stream.is_hidden

    # --- requests and publishes ------------------------------------------------------------------

    def refuse_request(self, channel: "BrokerChannel", method: str, queue: str | None) -> None:
        """Refuse a request, if a fault wants that.

        Raises:
            Refusal: It does.
        """
        for fault in list(self.faults):
            if isinstance(fault, Refused):
                fault.check(channel, method, queue)

    def publish_fault(self, channel: "BrokerChannel", queue: str | None) -> PublishFault | None:
        """Return what is to become of a publish; None for what always does."""
        for fault in list(self.faults):
            if not isinstance(fault, PublishFault):
                continue
            if fault.where.has_request(channel, queue) and fault.takes():
                return fault
        return None

    def _hook(self, peer: "Peer") -> None:
        """See what the client asks for before the broker does."""
        for channel in list(peer.channels.values()):
            self._hook_channel(channel)
        if peer in self._hooked:
            return
        self._hooked[peer] = None
        pass_on = peer.core.add_event

        def on_event(event: CoreEvent) -> None:
            if not self._refuses_step(peer, event):
                pass_on(event)
            if self._hooks and isinstance(event, ChannelOpened):
                self._hook_channel(peer.channels[event.channel])

        peer.core.add_event = on_event

    def _refuses_step(self, peer: "Peer", event: CoreEvent) -> bool:
        step = _STEPS.get(type(event))
        if step is None:
            return False
        for fault in list(self.faults):
            if isinstance(fault, Refused) and fault.check_handshake(peer, step):
                peer.core.opening.reject(fault.code, fault.text_for(None, None))
                return True
        return False

    def _hook_channel(self, channel: "BrokerChannel") -> None:
        if isinstance(channel.publishing, TamperedPublishing):
            return
        channel.publishing = TamperedPublishing(channel.publishing, channel, self)
        core = channel.connection.channels[channel.number]

        # Any: methods of pamqp and settlements of the codec have no common type.
        def before(pass_on: Any, index_of: Any) -> Any:
            def receive(request: Any) -> None:
                method, queue = index_of(request)
                try:
                    self.refuse_request(channel, method.name, queue)
                except Refusal as refusal:
                    channel.refuse(refusal, method.index)
                else:
                    pass_on(request)

            return receive

        take_published = core.on_published

        def on_published(message: Published) -> None:
            for fault in list(self.faults):
                if isinstance(fault, Blocked):
                    fault.block(channel.peer)
            if take_published is not None:
                take_published(message)

        core.on_published = on_published
        core.on_method = before(core.on_method, lambda method: (method, _queue(channel, method)))
        core.on_settled = before(core.on_settled, lambda event: (_settling(event), None))


def _queue(channel: "BrokerChannel", method: Any) -> str | None:  # Any: whichever method
    queue: str | None = getattr(method, "queue", None)
    return channel.last_queue if queue == "" else queue


def _settling(event: object) -> Any:  # a class of pamqp
    return getattr(Basic, type(event).__name__)
