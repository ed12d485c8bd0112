"""Which SASL mechanism is chosen, what it sends, and that the password shows nowhere."""

import traceback

import pytest
from pamqp.commands import Connection

from hopmq.core.connection import ConnectionCore
from hopmq.core.events import ChallengeAnswered, ConnectionRefused, SecretUpdated
from hopmq.core.sasl import Credentials, check_mechanisms, initial_response
from hopmq.errors import AuthenticationError, EncodeError, UsageError
from hopmq.wire import Codec, new_method

from .actors import Waiting, method, methods, written
from .pair import START, ConnectionPair, client_settings

PASSWORD = "s3cret-word"


def start(mechanisms: str) -> bytes:
    return method(0, Connection.Start, version_minor=9, mechanisms=mechanisms)


def start_ok(codec: Codec, ours: tuple[str, ...], offered: str) -> Connection.StartOk:
    core = ConnectionCore(client_settings(mechanisms=ours), START, codec=codec)
    core.receive_data(start(offered), START)
    (reply,) = methods(written(core))
    assert isinstance(reply, Connection.StartOk)
    return reply


@pytest.mark.parametrize(
    "ours, offered, chosen",
    [
        (("PLAIN", "AMQPLAIN"), "AMQPLAIN PLAIN", "PLAIN"),
        (("PLAIN", "AMQPLAIN"), "AMQPLAIN", "AMQPLAIN"),
        (("EXTERNAL", "PLAIN"), "PLAIN AMQPLAIN EXTERNAL", "EXTERNAL"),
        (("EXTERNAL", "PLAIN"), "PLAIN AMQPLAIN", "PLAIN"),
        (("PLAIN",), "RABBIT-CR-DEMO  PLAIN", "PLAIN"),
    ],
)
def test_our_first_mechanism_that_is_offered_is_used(
    codec: Codec, ours: tuple[str, ...], offered: str, chosen: str
) -> None:
    assert start_ok(codec, ours, offered).mechanism == chosen


def test_plain_sends_the_names_between_nuls(codec: Codec) -> None:
    reply = start_ok(codec, ("PLAIN",), "PLAIN")
    assert reply.response == b"\0guest\0s3cret-word"


def test_amqplain_sends_a_table_without_its_length(codec: Codec) -> None:
    response = start_ok(codec, ("AMQPLAIN",), "AMQPLAIN").response
    assert isinstance(response, bytes)
    table = codec.decode_table(len(response).to_bytes(4, "big") + response)
    assert table == {"LOGIN": "guest", "PASSWORD": PASSWORD}


def test_external_sends_nothing(codec: Codec) -> None:
    assert start_ok(codec, ("EXTERNAL",), "EXTERNAL").response in {b"", ""}


def test_names_beyond_ascii_go_as_utf8() -> None:
    response = initial_response("PLAIN", Credentials("grüße", "pässwörd"))
    assert response == b"\0" + "grüße".encode() + b"\0" + "pässwörd".encode()


@pytest.mark.parametrize("offered", ["", "EXTERNAL", "plainer PLAINS", "SCRAM"])
def test_no_common_mechanism_names_both_sides(codec: Codec, offered: str) -> None:
    core = ConnectionCore(client_settings(), START, codec=codec)
    core.receive_data(start(offered), START)
    (refused,) = core.events()
    assert isinstance(refused, ConnectionRefused)
    assert isinstance(refused.error, AuthenticationError)
    assert "PLAIN AMQPLAIN" in str(refused.error)
    assert offered in str(refused.error)
    assert [type(event).__name__ for event in written(core)] == ["ProtocolHeader"]


def test_mechanisms_that_are_no_text_are_no_harm(codec: Codec) -> None:
    core = ConnectionCore(client_settings(), START, codec=codec)
    core.receive_data(method(0, Connection.Start, version_minor=9, mechanisms=b"\xff\xfe"), START)
    (refused,) = core.events()
    assert isinstance(refused, ConnectionRefused)


@pytest.mark.parametrize("names", [(), ("KERBEROS",), ("PLAIN", "NTLM")])
def test_mechanisms_that_we_do_not_have_are_refused_before_connecting(
    names: tuple[str, ...],
) -> None:
    with pytest.raises(UsageError):
        check_mechanisms(names)
    with pytest.raises(UsageError):
        client_settings(mechanisms=names)


@pytest.mark.parametrize("mechanism", ["PLAIN", "AMQPLAIN"])
def test_credentials_that_are_no_text_are_refused_before_connecting(mechanism: str) -> None:
    with pytest.raises(EncodeError) as caught:
        client_settings(credentials=Credentials("guest", "\ud800"), mechanisms=(mechanism,))
    assert "UnicodeEncodeError" not in "".join(traceback.format_exception(caught.value))


# --- secrets ---------------------------------------------------------------------------------


def test_no_repr_shows_the_password(codec: Codec) -> None:
    pair = ConnectionPair(codec)
    settings = pair.client.settings
    pair.open()
    shown = [repr(each) for each in (settings, settings.credentials, pair.client)]
    assert not any(PASSWORD in text for text in shown)
    assert "guest" in shown[0]


def test_no_error_of_a_refused_login_shows_the_password(codec: Codec) -> None:
    for close in (403, 530, 541):
        core = ConnectionCore(client_settings(), START, codec=codec)
        core.receive_data(start("PLAIN"), START)
        core.receive_data(method(0, Connection.Close, reply_code=close, reply_text="no"), START)
        (refused,) = core.events()
        assert isinstance(refused, ConnectionRefused)
        assert PASSWORD not in f"{refused.error} {refused!r}"


def test_no_event_of_the_server_shows_the_password(codec: Codec) -> None:
    pair = ConnectionPair(codec).open()
    update = new_method(Connection.UpdateSecret, new_secret=PASSWORD, reason="expiry")
    pair.client.request(Waiting(), update, Connection.UpdateSecretOk)
    pair.exchange()
    assert pair.server_events[-1] == SecretUpdated(PASSWORD.encode(), "expiry")
    assert PASSWORD not in repr(pair.server_events)
    assert PASSWORD not in repr(ChallengeAnswered(PASSWORD.encode()))
