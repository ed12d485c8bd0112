"""Every method of AMQP 0-9-1 with RabbitMQ's extensions, in either direction, on an open channel.

Who may send what is written down here from the specification, not taken from the code.
"""

from typing import Any

import pytest
from pamqp.base import Frame
from pamqp.commands import INDEX_MAPPING, Basic, Channel, Confirm, Connection, Exchange, Queue, Tx

from hopmq.core.channel import ChannelCore
from hopmq.core.connection import ConnectionCore
from hopmq.core.events import (
    ChannelEnded,
    ChannelOpened,
    ConnectionBlocked,
    ConnectionEnded,
    ConnectionUnblocked,
    CoreEvent,
    FlowChanged,
    MessagePublished,
    MessageReturned,
    MessageSettled,
    MethodReceived,
    SecretUpdated,
)
from hopmq.core.states import ConnectionState
from hopmq.errors import (
    ChannelNumberError,
    CommandInvalidError,
    ConnectionClosed,
    ConnectionLostError,
    FramingError,
    MethodNotImplementedError,
    MethodSyntaxError,
    UnexpectedFrameError,
)
from hopmq.wire import new_method

from .actors import Waiting, frame, get_ok, method, methods, names, written
from .pair import START, ConnectionPair

EVERY = sorted(INDEX_MAPPING.values(), key=lambda kind: kind.index)


def listed(names: str) -> list[str]:
    return names.split()


BOTH_WAYS = listed(
    "Connection.Close Connection.CloseOk Channel.Flow Channel.FlowOk Channel.Close "
    "Channel.CloseOk Basic.Cancel Basic.CancelOk Basic.Ack Basic.Nack"
)
BY_CLIENTS = listed(
    "Connection.StartOk Connection.SecureOk Connection.TuneOk Connection.Open "
    "Connection.UpdateSecret Channel.Open Exchange.Declare Exchange.Delete Exchange.Bind "
    "Exchange.Unbind Queue.Declare Queue.Bind Queue.Purge Queue.Delete Queue.Unbind Basic.Qos "
    "Basic.Consume Basic.Publish Basic.Get Basic.Reject Basic.RecoverAsync Basic.Recover "
    "Tx.Select Tx.Commit Tx.Rollback Confirm.Select"
)
BY_SERVERS = listed(
    "Connection.Start Connection.Secure Connection.Tune Connection.OpenOk Connection.Blocked "
    "Connection.Unblocked Connection.UpdateSecretOk Channel.OpenOk Exchange.DeclareOk "
    "Exchange.DeleteOk Exchange.BindOk Exchange.UnbindOk Queue.DeclareOk Queue.BindOk "
    "Queue.PurgeOk Queue.DeleteOk Queue.UnbindOk Basic.QosOk Basic.ConsumeOk Basic.Return "
    "Basic.Deliver Basic.GetOk Basic.GetEmpty Basic.RecoverOk Tx.SelectOk Tx.CommitOk "
    "Tx.RollbackOk Confirm.SelectOk"
)
WITH_CONTENT = ("Basic.Publish", "Basic.Return", "Basic.Deliver", "Basic.GetOk")
OF_THE_HANDSHAKE = listed(
    "Connection.Start Connection.StartOk Connection.Secure Connection.SecureOk Connection.Tune "
    "Connection.TuneOk Connection.Open Connection.OpenOk"
)

HEADER = frame(2, 1, bytes.fromhex("003c 0000 0000000000000000 0000"))


def kinds(*lists: list[str]) -> list[Any]:
    wanted = {name for each in lists for name in each}
    return [pytest.param(kind, id=kind.name) for kind in EVERY if kind.name in wanted]


def on(kind: type[Frame]) -> int:
    """Return the channel that a method belongs on."""
    return 0 if kind.name.startswith("Connection.") else 1


def alone(kind: type[Frame], channel: int, **fields: object) -> bytes:
    """Return a method with the content that belongs to it."""
    data = method(channel, kind, **fields)
    return data + HEADER if kind.name in WITH_CONTENT else data


def outcome(core: ConnectionCore, data: bytes) -> list[CoreEvent]:
    core.receive_data(data, START)
    return core.events()


def ending(core: ConnectionCore, data: bytes) -> ConnectionClosed:
    """Feed what must end the connection; return why, and check that the peer is told the same."""
    (event,) = outcome(core, data)
    assert isinstance(event, ConnectionEnded)
    assert core.state is ConnectionState.CLOSING
    close = methods(written(core))[-1]
    assert isinstance(close, Connection.Close)
    assert close.reply_code == event.error.reply_code
    return event.error


@pytest.fixture
def server_channel(pair: ConnectionPair) -> ChannelCore:
    """Return an open channel, number 1, of the open connection's server."""
    return pair.open_channel()[1]


def test_the_lists_name_every_method_once() -> None:
    listed = BOTH_WAYS + BY_CLIENTS + BY_SERVERS
    assert sorted(listed) == sorted(kind.name for kind in EVERY)


# --- direction and channel ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", kinds(BY_CLIENTS))
def test_a_client_refuses_the_methods_of_clients(
    client: ConnectionCore, channel: ChannelCore, kind: type[Frame]
) -> None:
    assert isinstance(ending(client, alone(kind, on(kind))), CommandInvalidError)


@pytest.mark.parametrize("kind", kinds(BY_SERVERS))
def test_a_server_refuses_the_methods_of_servers(
    server: ConnectionCore, server_channel: ChannelCore, kind: type[Frame]
) -> None:
    error = ending(server, alone(kind, on(kind)))
    assert isinstance(error, CommandInvalidError if on(kind) else ChannelNumberError)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.name)
@pytest.mark.parametrize("role", ["client", "server"])
def test_a_method_on_the_wrong_kind_of_channel_is_invalid(
    pair: ConnectionPair, channel: ChannelCore, role: str, kind: type[Frame]
) -> None:
    core: ConnectionCore = getattr(pair, role)
    error = ending(core, method(1 - on(kind), kind))
    if role == "server" and on(kind):
        assert isinstance(error, ChannelNumberError)  # on channel 0, as RabbitMQ has it
    else:
        assert isinstance(error, CommandInvalidError)


UNKNOWN = [(10, 99), (20, 99), (60, 99), (30, 10), (0, 0)]


def unknown(class_and_method: tuple[int, int]) -> bytes:
    """Return a method of numbers that mean nothing."""
    return frame(1, 1, b"".join(number.to_bytes(2, "big") for number in class_and_method))


@pytest.mark.parametrize("class_and_method", UNKNOWN)
def test_an_unknown_method_is_a_540_to_a_client(
    client: ConnectionCore, channel: ChannelCore, class_and_method: tuple[int, int]
) -> None:
    assert isinstance(ending(client, unknown(class_and_method)), MethodNotImplementedError)


@pytest.mark.parametrize("class_and_method", UNKNOWN)
def test_a_server_hangs_up_on_an_unknown_method(
    server: ConnectionCore, server_channel: ChannelCore, class_and_method: tuple[int, int]
) -> None:
    (event,) = outcome(server, unknown(class_and_method))
    assert isinstance(event, ConnectionEnded)
    assert isinstance(event.error, ConnectionLostError)
    assert server.state is ConnectionState.CLOSED
    assert names(written(server)) == []


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.name)
@pytest.mark.parametrize("role", ["client", "server"])
def test_malformed_arguments_end_the_connection(
    pair: ConnectionPair, channel: ChannelCore, role: str, kind: type[Frame]
) -> None:
    core: ConnectionCore = getattr(pair, role)
    payload = method(on(kind), kind)[7:-1] + b"left over"
    error = ending(core, frame(1, on(kind), payload))
    assert isinstance(error, MethodSyntaxError if role == "client" else FramingError)


# --- what reaches the owner of a server ----------------------------------------------------------

TO_SERVER: dict[str, CoreEvent] = {
    "Connection.UpdateSecret": SecretUpdated(b"", ""),
    "Channel.Flow": FlowChanged(1, False),
}
HANDLED_BY_SERVER = {
    "Connection.Close": ConnectionEnded,
    "Channel.Close": ChannelEnded,
    "Basic.Publish": MessagePublished,
    "Basic.Ack": MessageSettled,
    "Basic.Nack": MessageSettled,
    "Basic.Reject": MessageSettled,
}
UNEXPECTED_BY_SERVER = [
    name
    for name in BOTH_WAYS + BY_CLIENTS
    if name in {*OF_THE_HANDSHAKE, "Connection.CloseOk", "Channel.CloseOk"}
]
REACHING_THE_OWNER = [
    name for name in BOTH_WAYS + BY_CLIENTS if name not in {*UNEXPECTED_BY_SERVER, "Channel.Open"}
]


@pytest.mark.parametrize("kind", kinds(REACHING_THE_OWNER))
def test_every_method_of_a_client_reaches_the_servers_owner(
    server: ConnectionCore, server_channel: ChannelCore, kind: type[Frame]
) -> None:
    (event,) = outcome(server, alone(kind, on(kind)))
    if kind.name in TO_SERVER:
        assert event == TO_SERVER[kind.name]
    elif kind.name in HANDLED_BY_SERVER:
        assert type(event) is HANDLED_BY_SERVER[kind.name]
    else:
        assert isinstance(event, MethodReceived)
        assert event.channel == 1
        assert type(event.method) is kind


@pytest.mark.parametrize("kind", kinds(UNEXPECTED_BY_SERVER))
def test_methods_of_the_handshake_and_stray_close_oks_are_invalid_to_a_server(
    server: ConnectionCore, server_channel: ChannelCore, kind: type[Frame]
) -> None:
    error = ending(server, method(on(kind), kind))
    assert isinstance(error, CommandInvalidError if on(kind) else ChannelNumberError)


def test_channel_open_opens_a_channel(server: ConnectionCore) -> None:
    assert outcome(server, method(9, Channel.Open)) == [ChannelOpened(9)]
    assert names(written(server)) == ["Channel.OpenOk"]


def test_the_arguments_reach_the_servers_owner_unchanged(
    server: ConnectionCore, server_channel: ChannelCore
) -> None:
    data = method(1, Queue.Declare, queue="orders", durable=True, arguments={"x-max-length": 5})
    (event,) = outcome(server, data)
    assert isinstance(event, MethodReceived)
    declare = event.method
    assert isinstance(declare, Queue.Declare)
    assert (declare.queue, declare.durable, declare.exclusive) == ("orders", True, False)
    assert declare.arguments == {"x-max-length": 5}


# --- what a client does with what it did not ask for -----------------------------------------------

TO_CLIENT: dict[str, list[CoreEvent]] = {
    "Connection.Blocked": [ConnectionBlocked("")],
    "Connection.Unblocked": [ConnectionUnblocked()],
    "Channel.Flow": [FlowChanged(1, False)],
    "Basic.Cancel": [],
}
HANDLED_BY_CLIENT = {
    "Connection.Close": ConnectionEnded,
    "Channel.Close": ChannelEnded,
    "Basic.Return": MessageReturned,
}
ANSWERS = {
    "Channel.Flow": ["Channel.FlowOk"],
    "Channel.Close": ["Channel.CloseOk"],
    "Connection.Close": ["Connection.CloseOk"],
    "Basic.Cancel": ["Basic.CancelOk"],
}


@pytest.mark.parametrize("kind", kinds(BOTH_WAYS, BY_SERVERS))
def test_a_client_handles_or_refuses_what_it_did_not_ask_for(
    client: ConnectionCore, channel: ChannelCore, kind: type[Frame]
) -> None:
    data = alone(kind, on(kind))
    if kind.name in TO_CLIENT:
        assert outcome(client, data) == TO_CLIENT[kind.name]
    elif kind.name in HANDLED_BY_CLIENT:
        (event,) = outcome(client, data)
        assert type(event) is HANDLED_BY_CLIENT[kind.name]
    else:
        assert isinstance(ending(client, data), UnexpectedFrameError)
        return
    assert names(written(client)) == ANSWERS.get(kind.name, [])


# --- requests and their replies --------------------------------------------------------------------

REQUESTS: list[tuple[type[Frame], type[Frame]]] = [
    (Exchange.Declare, Exchange.DeclareOk),
    (Exchange.Delete, Exchange.DeleteOk),
    (Exchange.Bind, Exchange.BindOk),
    (Exchange.Unbind, Exchange.UnbindOk),
    (Queue.Declare, Queue.DeclareOk),
    (Queue.Bind, Queue.BindOk),
    (Queue.Purge, Queue.PurgeOk),
    (Queue.Delete, Queue.DeleteOk),
    (Queue.Unbind, Queue.UnbindOk),
    (Basic.Qos, Basic.QosOk),
    (Basic.Consume, Basic.ConsumeOk),
    (Basic.Cancel, Basic.CancelOk),
    (Basic.Get, Basic.GetEmpty),
    (Basic.Recover, Basic.RecoverOk),
    (Tx.Select, Tx.SelectOk),
    (Tx.Commit, Tx.CommitOk),
    (Tx.Rollback, Tx.RollbackOk),
    (Confirm.Select, Confirm.SelectOk),
    (Channel.Flow, Channel.FlowOk),
]


@pytest.mark.parametrize("request_kind, reply_kind", REQUESTS, ids=lambda kind: kind.name)
def test_every_request_gets_its_reply(
    pair: ConnectionPair, request_kind: type[Frame], reply_kind: type[Frame]
) -> None:
    channel, theirs = pair.open_channel()
    waiter = Waiting()
    channel.request(waiter, new_method(request_kind), reply_kind)
    pair.to_server()
    if request_kind is not Channel.Flow:  # which the server's core answers by itself
        (received,) = pair.of_server(MethodReceived)
        assert type(received.method) is request_kind
        theirs.send(new_method(reply_kind))
    pair.to_client()
    assert type(waiter.result) is reply_kind
    assert len(channel.replies) == 0


def test_a_get_may_be_answered_with_a_message(client: ConnectionCore, channel: ChannelCore) -> None:
    waiter = Waiting()
    channel.request(waiter, new_method(Basic.Get), client.codec.Fetched, Basic.GetEmpty)
    assert outcome(client, get_ok(1, 5, b"found")) == []
    assert waiter.result.body == b"found"
    assert waiter.result.message_count == 7


def test_fresh_credentials_are_sent_and_acknowledged(pair: ConnectionPair) -> None:
    waiter = Waiting()
    update = new_method(Connection.UpdateSecret, new_secret=b"token", reason="expiry")
    pair.client.request(waiter, update, Connection.UpdateSecretOk)
    pair.exchange()
    assert pair.of_server(SecretUpdated) == [SecretUpdated(b"token", "expiry")]
    pair.server.send(new_method(Connection.UpdateSecretOk))
    pair.exchange()
    assert isinstance(waiter.result, Connection.UpdateSecretOk)


def test_a_server_may_ask_too(pair: ConnectionPair) -> None:
    _, theirs = pair.open_channel()
    waiter = Waiting()
    theirs.request(waiter, new_method(Channel.Flow, active=False), Channel.FlowOk)
    pair.exchange()
    assert isinstance(waiter.result, Channel.FlowOk)
    assert pair.of_client(FlowChanged) == [FlowChanged(1, False)]
    assert not pair.client.channels[1].flowing
