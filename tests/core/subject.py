"""A core under attack: whatever is done to it, what must hold afterwards is checked."""

from typing import Any

from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Confirm, Connection, Queue

from hopmq.core.channel import ChannelCore
from hopmq.core.connection import ConnectionCore
from hopmq.core.events import ConnectionEnded, ConnectionOpened, ConnectionRefused
from hopmq.core.handshake import Step
from hopmq.core.replies import NOBODY
from hopmq.core.settings import Tuning
from hopmq.core.states import ChannelState, ConnectionState, Role
from hopmq.errors import ConnectError, FrameSyntaxError, HopMQError
from hopmq.wire import Codec, new_method

from .actors import NO_LIMIT, Publish, Waiting, method
from .conversation import (
    OPEN_FRAME,
    OPEN_OK_FRAME,
    PROTOCOL_HEADER,
    START_FRAME,
    START_OK_FRAME,
    tune,
    tune_ok,
)
from .pair import START, client_settings, server_settings

MAX_MESSAGE_SIZE = 2000
FRAME_MAX = 4096
LIMITS = Tuning(channel_max=8, frame_max=FRAME_MAX, heartbeat=10)
FAULTS = {
    "client": {501, 502, 503, 504, 505, 506, 540},
    "server": {501, 503, 504, 505, 506, 530, 541},
}

CLIENT_OPENING = [
    START_FRAME,
    tune(channel_max=8, frame_max=FRAME_MAX, heartbeat=10),
    OPEN_OK_FRAME,
]
SERVER_OPENING = [
    PROTOCOL_HEADER,
    START_OK_FRAME,
    tune_ok(channel_max=8, frame_max=FRAME_MAX, heartbeat=10),
    OPEN_FRAME,
]


class Subject:
    """One core, what it was asked for, and all it said.

    Attributes:
        core: The core under attack.
        waiters, publishes: Who must hear of the end.
        sent: What the core has written so far, as a peer would see it.
    """

    def __init__(self, codec: Codec, role: str, *, opened: bool) -> None:
        self.now = START
        settings = client_settings if role == "client" else server_settings
        chosen = settings(tuning=LIMITS, max_message_size=MAX_MESSAGE_SIZE)
        self.core = ConnectionCore(chosen, self.now, codec=codec)
        self.events: list[Any] = []
        self.waiters: list[Waiting] = []
        self.publishes: list[Publish] = []
        self.sent: list[Any] = []
        self._peer = codec.Decoder(frame_max=NO_LIMIT)
        if opened:
            for piece in CLIENT_OPENING if role == "client" else SERVER_OPENING:
                self.receive(piece)
            for channel in (1, 2):
                self._open_channel(role, channel)
            self.check()
            assert self.core.state is ConnectionState.OPEN

    def _open_channel(self, role: str, channel: int) -> None:
        if role == "server":
            self.receive(method(channel, Channel.Open))
            return
        self.open_channel()
        self.receive(method(channel, Channel.OpenOk))
        self.core.channels[channel].consumers["tag"] = lambda _: None
        if channel == 1:
            self.core.channels[1].select_confirms(NOBODY)
            self.receive(method(1, Confirm.SelectOk))

    # --- the peer --------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Hand over bytes, and answer as a server's owner does."""
        self.core.receive_data(data, self.now)
        self._take()
        if self.core.state is ConnectionState.HANDSHAKE:
            if self.core.opening.handshake.step is Step.LOGIN:
                self.core.opening.accept_login()
            elif self.core.opening.handshake.step is Step.VERDICT:
                self.core.opening.accept_vhost()

    def answer(self, pick: int) -> None:
        """Give the oldest request of a channel what it asked for, or open a channel."""
        channel = self._channel(pick)
        if channel is not None and (slots := channel.replies._slots):
            kind: Any = slots[0].replies[-1]
            self.receive(method(channel.channel_id, kind))

    def confirm(self, pick: int) -> None:
        """Confirm what was published on channel 1, one publish or all."""
        channel = self.core.channels.get(1)
        if channel is not None and (ledger := channel.confirms) is not None:
            tag = max(ledger.next_tag - 1 - pick // 2, 0)
            self.receive(self.core.codec.encode_ack(1, tag, pick % 2 == 1))

    def hang_up(self) -> None:
        """End the link."""
        self.core.receive_eof(self.now)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.core.handle_deadline(self.now)

    # --- the owner ---------------------------------------------------------------------------

    def open_channel(self) -> None:
        """Ask for a channel."""
        self._try(lambda waiter: self.core.open_channel(waiter))

    def ask(self, pick: int) -> None:
        """Ask something of a channel."""
        if channel := self._channel(pick):
            declare = new_method(Queue.Declare)
            self._try(lambda waiter: channel.request(waiter, declare, Queue.DeclareOk))

    def fetch(self, pick: int) -> None:
        """Ask a channel for a message."""
        if channel := self._channel(pick):
            replies = (self.core.codec.Fetched, Basic.GetEmpty)
            self._try(lambda waiter: channel.request(waiter, new_method(Basic.Get), *replies))

    def publish(self, pick: int) -> None:
        """Publish with confirms."""
        channel = self._channel(pick)
        if channel is None:
            return
        if channel.confirms is None:
            self._try(channel.select_confirms)
        publish = Publish()
        try:
            channel.publish(publish, "", "q", False, None, b"x")
        except HopMQError:
            return
        self.publishes.append(publish)

    def close_channel(self, pick: int) -> None:
        """Close a channel."""
        if channel := self._channel(pick):
            self._try(channel.close)

    def cancel(self) -> None:
        """Have the last waiter give up."""
        if self.waiters and not self.waiters[-1].done():
            self.waiters[-1].cancel()

    def close(self) -> None:
        """Close the connection."""
        self.core.close()

    def _channel(self, pick: int) -> ChannelCore | None:
        channels = list(self.core.channels.values())
        return channels[pick % len(channels)] if channels else None

    def _try(self, call: Any) -> None:
        waiter = Waiting()
        try:
            call(waiter)
        except HopMQError:
            return
        self.waiters.append(waiter)

    # --- what must hold ------------------------------------------------------------------------

    def _take(self) -> None:
        self.events += self.core.events()
        batch = self._peer.feed(b"".join(self.core.data_to_send(self.now)))
        while batch:
            self.sent += batch
            batch = self._peer.more()

    def check(self) -> None:
        """Check that the core is consistent, whatever has happened to it."""
        self._take()
        core = self.core
        self._check_what_was_said()
        self._check_what_was_sent()
        assert core.decoder.buffered < FRAME_MAX, core.decoder.buffered
        if core.state is ConnectionState.OPEN:
            core.check_open()
            assert core.next_deadline() is not None
            if core.role is Role.CLIENT:
                assert all(1 <= number <= 8 for number in core.channels)
            assert len(core.channels) <= 8
            states = {channel.state for channel in core.channels.values()}
            assert ChannelState.CLOSED not in states
        else:
            assert core.channels == {}
            assert len(core.replies) == 0
            assert all(waiter.done() for waiter in self.waiters)
            assert all(publish.outcome for publish in self.publishes)
        if core.state is ConnectionState.CLOSED:
            assert core.next_deadline() is None

    def _check_what_was_said(self) -> None:
        opened, refused, ended = (
            [event for event in self.events if isinstance(event, kind)]
            for kind in (ConnectionOpened, ConnectionRefused, ConnectionEnded)
        )
        state = self.core.state
        was_open = self.core.error is not None or state is ConnectionState.OPEN
        assert len(opened) <= 1
        assert len(ended) == (was_open and state is not ConnectionState.OPEN)
        assert len(refused) <= (state is ConnectionState.CLOSED and not was_open)
        assert all(isinstance(event.error, ConnectError) for event in refused)

    def _check_what_was_sent(self) -> None:
        assert not any(isinstance(event, FrameSyntaxError) for event in self.sent), self.sent
        methods: list[Frame] = [
            event.method for event in self.sent if type(event) is self.core.codec.Method
        ]
        closes = [each for each in methods if isinstance(each, Connection.Close)]
        assert len(closes) <= 1
        error = self.core.error
        if closes and error is not None:
            assert closes[0].reply_code == error.reply_code
            assert error.reply_code in {200, *FAULTS[self.core.role.value]}
        if closes:
            after = methods[methods.index(closes[0]) + 1 :]
            assert {each.name for each in after} <= {"Connection.CloseOk"}
