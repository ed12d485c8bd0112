"""The opening of a connection, both ends against each other."""

import pytest

from hopmq.core.channel import ChannelCore
from hopmq.core.events import (
    AuthenticationRequested,
    ChallengeAnswered,
    ConnectionOpened,
    ConnectionRefused,
    VhostRequested,
)
from hopmq.core.states import ConnectionState
from hopmq.errors import (
    AuthenticationError,
    ConnectionLimitError,
    HandshakeError,
    UsageError,
    VhostNotFoundError,
)
from hopmq.wire import Codec

from .actors import Waiting
from .pair import ConnectionPair, client_settings, server_settings

STEPS = [1, 2, 3, 7, 8, 64, None]


@pytest.mark.parametrize("step", STEPS)
def test_a_handshake_ends_open_however_its_bytes_are_split(codec: Codec, step: int | None) -> None:
    pair = ConnectionPair(codec, step=step).open()
    assert pair.of_client(ConnectionOpened) == [ConnectionOpened()]
    assert [type(event) for event in pair.server_events] == [
        AuthenticationRequested,
        VhostRequested,
    ]


def test_the_server_sees_who_comes_and_where_to(codec: Codec) -> None:
    settings = client_settings(virtual_host="/orders", properties={"product": "tested"})
    pair = ConnectionPair(codec, settings).open()
    login, vhost = pair.server_events
    assert isinstance(login, AuthenticationRequested)
    assert (login.mechanism, login.response) == ("PLAIN", b"\0guest\0s3cret-word")
    assert login.client_properties["product"] == "tested"
    assert vhost == VhostRequested("/orders")


def test_the_client_sees_what_the_server_is(codec: Codec) -> None:
    properties = {"product": "Broker", "capabilities": {"basic.nack": True}}
    pair = ConnectionPair(codec, server=server_settings(properties=properties)).open()
    assert pair.client.opening.handshake.server_properties == properties


def test_a_server_without_properties_and_capabilities_is_fine(codec: Codec) -> None:
    pair = ConnectionPair(codec, server=server_settings(properties={})).open()
    assert pair.client.opening.handshake.server_properties == {}


def test_a_challenge_is_passed_on_and_its_answer_comes_back(codec: Codec) -> None:
    pair = ConnectionPair(codec)
    pair.answers[AuthenticationRequested] = lambda _: pair.server.opening.challenge(b"2 + 2?")
    pair.exchange()
    # The client has no mechanism with a second step, and says so.
    (refused,) = pair.of_client(ConnectionRefused)
    assert isinstance(refused.error, AuthenticationError)
    assert not pair.of_server(ChallengeAnswered)


def test_refused_credentials_are_an_authentication_error(codec: Codec) -> None:
    pair = ConnectionPair(codec)
    pair.answers[AuthenticationRequested] = lambda _: pair.server.opening.reject(
        403, "ACCESS_REFUSED"
    )
    pair.exchange()
    (refused,) = pair.of_client(ConnectionRefused)
    assert isinstance(refused.error, AuthenticationError)
    assert "403 ACCESS_REFUSED" in str(refused.error)
    assert "'guest'" in str(refused.error)
    assert pair.client.state is pair.server.state is ConnectionState.CLOSED


def test_a_missing_virtual_host_is_an_error_of_its_own(codec: Codec) -> None:
    pair = ConnectionPair(codec, client_settings(virtual_host="nowhere"))
    pair.answers[VhostRequested] = lambda _: pair.server.opening.reject(530, "NOT_ALLOWED")
    pair.exchange()
    (refused,) = pair.of_client(ConnectionRefused)
    assert isinstance(refused.error, VhostNotFoundError)
    assert "'nowhere'" in str(refused.error)


@pytest.mark.parametrize(
    "text",
    [
        "connection refused for user 'guest': user connection limit (1) is reached",
        "access to vhost '/' refused for user 'guest': connection limit (1) is reached",
        "connection refused: node connection limit (2) is reached",
    ],
)
def test_a_limit_of_connections_is_not_a_missing_virtual_host(codec: Codec, text: str) -> None:
    pair = ConnectionPair(codec)
    pair.answers[VhostRequested] = lambda _: pair.server.opening.reject(
        530, f"NOT_ALLOWED - {text}"
    )
    pair.exchange()
    (refused,) = pair.of_client(ConnectionRefused)
    assert type(refused.error) is ConnectionLimitError
    assert text in str(refused.error)


def test_any_other_close_in_the_handshake_quotes_the_broker(codec: Codec) -> None:
    pair = ConnectionPair(codec)
    pair.answers[VhostRequested] = lambda _: pair.server.opening.reject(541, "INTERNAL_ERROR")
    pair.exchange()
    (refused,) = pair.of_client(ConnectionRefused)
    assert type(refused.error) is HandshakeError
    assert "541 INTERNAL_ERROR" in str(refused.error)


def test_a_verdict_on_a_client_that_has_gone_does_nothing(codec: Codec) -> None:
    pair = ConnectionPair(codec)
    pair.answers.clear()
    pair.exchange()
    pair.server.receive_eof(pair.now)
    pair.server.opening.accept_login()
    pair.server.opening.accept_vhost()
    pair.server.opening.reject(403, "late")
    assert pair.server.state is ConnectionState.CLOSED
    assert pair.server.data_to_send(pair.now) == []


def test_a_verdict_nobody_asked_for_is_refused(codec: Codec) -> None:
    pair = ConnectionPair(codec)
    with pytest.raises(UsageError):
        pair.server.opening.accept_login()
    pair.answers.clear()
    pair.exchange()
    with pytest.raises(UsageError):
        pair.server.opening.accept_vhost()


def test_nothing_can_be_asked_before_the_handshake_is_done(codec: Codec) -> None:
    pair = ConnectionPair(codec)
    with pytest.raises(UsageError):
        pair.client.open_channel(Waiting())
    pair.client.data_to_send(pair.now)
    assert pair.client.data_to_send(pair.now) == []


def test_both_ends_agree_once_they_are_open(codec: Codec) -> None:
    pair = ConnectionPair(codec).open()
    channel, theirs = pair.open_channel()
    assert isinstance(channel, ChannelCore)
    assert channel.channel_id == theirs.channel_id == 1
    assert pair.client.tuning == pair.server.tuning
