"""The order in which an owner that is called at once sees what the peer sent."""

from collections.abc import Callable
from typing import Any

import pytest
from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Connection, Queue

from hopmq.core.channel import ChannelCore
from hopmq.core.connection import ConnectionCore
from hopmq.core.events import (
    AuthenticationRequested,
    ChannelOpened,
    CoreEvent,
    VhostRequested,
)
from hopmq.core.replies import NOBODY
from hopmq.core.states import ConnectionState
from hopmq.wire import Ack, Codec, Nack, Published, Reject

from .actors import Waiting, deliver, method, names, published, written
from .pair import START, client_settings, server_settings


class Owner:
    """An owner that notes what it is told, the moment it is told.

    Attributes:
        log: What came, in order.
        reactions: What is done about an entry of the log, by that entry.
    """

    def __init__(self) -> None:
        self.core: ConnectionCore
        self.log: list[str] = []
        self.reactions: dict[str, Callable[[], object]] = {}

    def note(self, entry: str) -> None:
        self.log.append(entry)
        self.reactions.get(entry, bool)()

    def on_event(self, event: CoreEvent) -> None:
        match event:
            case AuthenticationRequested():
                self.core.opening.accept_login()
            case VhostRequested():
                self.core.opening.accept_vhost()
            case ChannelOpened(channel=number):
                self.listen(self.core.channels[number])
        self.note(type(event).__name__)

    def listen(self, channel: ChannelCore) -> None:
        number = channel.channel_id

        def on_published(message: Published) -> None:
            self.note(f"{number} published {message.body!r}")

        def on_settled(settlement: Ack | Nack | Reject) -> None:
            self.note(f"{number} {type(settlement).__name__} {settlement.delivery_tag}")

        def on_method(method: Frame) -> None:
            self.note(f"{number} {method.name}")

        channel.on_published = on_published
        channel.on_settled = on_settled
        channel.on_method = on_method

    def told(self, data: bytes) -> list[str]:
        """Feed bytes in one piece; return what was told because of them."""
        self.log.clear()
        self.core.receive_data(data, START)
        assert self.core.events() == []
        return self.log


@pytest.fixture
def pair_of_owners(codec: Codec) -> tuple[Owner, Owner]:
    """Return the owners of an open client and an open server."""
    client, server = Owner(), Owner()
    client.core = ConnectionCore(client_settings(), START, codec=codec, on_event=client.on_event)
    server.core = ConnectionCore(server_settings(), START, codec=codec, on_event=server.on_event)
    while data := b"".join(client.core.data_to_send(START)):
        server.core.receive_data(data, START)
        client.core.receive_data(b"".join(server.core.data_to_send(START)), START)
    return client, server


@pytest.fixture
def client(pair_of_owners: tuple[Owner, Owner]) -> Owner:
    """Return the owner of the client."""
    return pair_of_owners[0]


@pytest.fixture
def server(pair_of_owners: tuple[Owner, Owner]) -> Owner:
    """Return the owner of the server, with channel 1 open."""
    owner = pair_of_owners[1]
    owner.told(method(1, Channel.Open))
    written(owner.core)
    return owner


def test_an_owner_may_answer_the_handshake_within_its_events(
    pair_of_owners: tuple[Owner, Owner],
) -> None:
    client, server = pair_of_owners
    assert client.core.state is server.core.state is ConnectionState.OPEN
    assert client.log == ["ConnectionOpened"]
    assert server.log == ["AuthenticationRequested", "VhostRequested"]


def test_a_servers_owner_acts_in_the_order_of_the_frames(server: Owner) -> None:
    frames = [
        (published(1, b"a"), "1 published b'a'"),
        (method(1, Queue.Declare, queue="q"), "1 Queue.Declare"),
        (method(1, Basic.Ack, delivery_tag=1), "1 Ack 1"),
        (method(2, Channel.Open), "ChannelOpened"),
        (published(2, b"b"), "2 published b'b'"),
        (method(1, Basic.Nack, delivery_tag=2), "1 Nack 2"),
        (method(1, Basic.Cancel, consumer_tag="c"), "1 Basic.Cancel"),
        (method(1, Basic.Reject, delivery_tag=3), "1 Reject 3"),
        (method(1, Channel.Flow, active=True), "1 Channel.Flow"),
        (published(1, b"c"), "1 published b'c'"),
        (method(1, Channel.Close), "ChannelEnded"),
        (published(2, b"d"), "2 published b'd'"),
        (method(0, Connection.Close), "ConnectionEnded"),
    ]
    assert server.told(b"".join(data for data, _ in frames)) == [entry for _, entry in frames]


def test_without_callbacks_a_channels_frames_become_events(server: Owner) -> None:
    channel = server.core.channels[1]
    channel.on_published = channel.on_settled = channel.on_method = None
    data = (
        published(1)
        + method(1, Basic.Ack, delivery_tag=1)
        + method(1, Basic.Reject, delivery_tag=2)
        + method(1, Queue.Declare)
    )
    assert server.told(data) == [
        "MessagePublished",
        "MessageSettled",
        "MessageSettled",
        "MethodReceived",
    ]


def test_a_channel_closed_within_a_callback_hears_nothing_of_the_same_read(server: Owner) -> None:
    server.told(method(2, Channel.Open))
    channel = server.core.channels[1]
    server.reactions["1 published b'bad'"] = lambda: channel.close(NOBODY, 404, "NOT_FOUND")
    data = (
        published(1, b"bad")
        + published(1, b"more")
        + method(1, Basic.Ack, delivery_tag=1)
        + method(1, Basic.Nack, delivery_tag=1)
        + method(1, Queue.Declare)
        + published(2, b"other")
    )
    assert server.told(data) == ["1 published b'bad'", "2 published b'other'"]


def test_a_connection_closed_within_a_callback_hears_nothing_of_the_same_read(
    server: Owner,
) -> None:
    server.reactions["1 Queue.Declare"] = lambda: server.core.close(541, "INTERNAL_ERROR")
    data = method(1, Queue.Declare) + published(1) + method(1, Basic.Ack, delivery_tag=1)
    assert server.told(data) == ["1 Queue.Declare", "ConnectionEnded"]
    assert names(written(server.core)) == ["Connection.Close"]


def test_flow_is_answered_by_the_owner_that_asked_for_methods(server: Owner) -> None:
    server.told(method(1, Channel.Flow, active=False))
    assert written(server.core) == []
    assert server.core.channels[1].flowing


def test_a_fault_of_the_peer_is_told_at_once(server: Owner) -> None:
    server.reactions["ConnectionEnded"] = lambda: server.note(server.core.state.value)
    assert server.told(published(9)) == ["ConnectionEnded", "closing"]


def test_a_clients_owner_sees_events_between_its_deliveries(client: Owner) -> None:
    channel = client.core.open_channel(Waiting())
    client.told(method(1, Channel.OpenOk))
    channel.consumers["c"] = lambda delivery: client.note(f"delivery {delivery.delivery_tag}")
    data = (
        deliver(1, "c", 1)
        + method(0, Connection.Blocked, reason="memory")
        + deliver(1, "c", 2)
        + method(0, Connection.Unblocked)
        + method(1, Basic.Cancel, consumer_tag="c")
        + method(1, Channel.Close, reply_code=404, reply_text="gone", class_id=0, method_id=0)
    )
    assert client.told(data) == [
        "delivery 1",
        "ConnectionBlocked",
        "delivery 2",
        "ConnectionUnblocked",
        "ConsumerCancelled",
        "ChannelEnded",
    ]


def test_the_end_of_the_link_is_told_at_once(client: Owner) -> None:
    client.log.clear()
    client.core.receive_eof(START)
    assert client.log == ["ConnectionEnded"]
    assert client.core.events() == []


def test_what_an_owner_passes_through_is_the_decoders_own(server: Owner, codec: Codec) -> None:
    seen: list[Any] = []
    server.core.channels[1].on_published = seen.append
    server.told(published(1, b"body"))
    (message,) = seen
    assert type(message) is codec.Published
