"""The starter of brokers: what its controls do to a real broker."""

import socket
import ssl

import pytest

from hopmq.errors import UsageError
from hopmq.testing import BrokerError, Installation, RabbitMQ, find_installation

PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
START = b"\x01\x00\x00"  # a method frame on channel 0
TIMEOUT = 60.0


def greeting(link: socket.socket) -> bytes:
    """Return the beginning of what a broker answers to the protocol header."""
    link.settimeout(TIMEOUT)
    link.sendall(PROTOCOL_HEADER)
    return link.recv(len(START))


def connect(port: int) -> socket.socket:
    """Open a connection to the loopback interface."""
    return socket.create_connection(("127.0.0.1", port), TIMEOUT)


def test_a_started_broker_speaks_amqp(rabbitmq: RabbitMQ) -> None:
    with connect(rabbitmq.port) as link:
        assert greeting(link) == START


def test_the_tls_listener_holds_a_certificate_of_its_own_authority(rabbitmq: RabbitMQ) -> None:
    context = ssl.create_default_context(cafile=str(rabbitmq.certificates.authority))
    with (
        connect(rabbitmq.tls_port) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as link,
    ):
        assert greeting(link) == START


def test_ctl_returns_what_rabbitmqctl_prints(rabbitmq: RabbitMQ) -> None:
    assert rabbitmq.version in rabbitmq.ctl("version")


def test_erlang_is_evaluated(rabbitmq: RabbitMQ) -> None:
    assert rabbitmq.evaluate("[1 + 1, {two}].") == "[2, {two}]"
    with pytest.raises(BrokerError, match="no_such_module"):
        rabbitmq.evaluate("no_such_module:function().")


def test_erlang_is_evaluated_without_erl_call(
    rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Installation, "erl_call", None)
    assert rabbitmq.evaluate("1 + 1.") == "2"


def test_ctl_of_an_unknown_command_fails_with_its_output(rabbitmq: RabbitMQ) -> None:
    with pytest.raises(BrokerError, match="no_such_command"):
        rabbitmq.ctl("no_such_command")


def test_data_outlives_a_restart_and_a_crash(own_rabbitmq: RabbitMQ) -> None:
    port = own_rabbitmq.port
    own_rabbitmq.ctl("add_vhost", "kept")
    own_rabbitmq.restart()
    own_rabbitmq.kill()
    assert not own_rabbitmq.is_running
    own_rabbitmq.start()
    assert "kept" in own_rabbitmq.ctl("list_vhosts")
    assert own_rabbitmq.port == port


def test_a_paused_broker_answers_nothing_until_it_is_resumed(own_rabbitmq: RabbitMQ) -> None:
    own_rabbitmq.pause()
    with connect(own_rabbitmq.port) as link:
        link.sendall(PROTOCOL_HEADER)
        link.settimeout(0.2)
        with pytest.raises(TimeoutError):
            link.recv(1)
        own_rabbitmq.resume()
        link.settimeout(TIMEOUT)
        assert link.recv(len(START)) == START


def test_a_setting_that_the_broker_refuses_is_quoted(rabbitmq: RabbitMQ) -> None:
    broken = RabbitMQ(find_installation(rabbitmq.version), config="no_such_setting = 1")
    with pytest.raises(BrokerError, match=r"(?s)ended with status.*no_such_setting"), broken:
        pass
    assert not broken.is_running


def test_a_start_that_takes_too_long_is_given_up(rabbitmq: RabbitMQ) -> None:
    slow = RabbitMQ(find_installation(rabbitmq.version), start_timeout=0.05)
    with pytest.raises(BrokerError, match="not ready within"), slow:
        pass
    assert not slow.is_running


def test_ctl_of_a_broker_that_is_down_is_refused(rabbitmq: RabbitMQ) -> None:
    down = RabbitMQ(find_installation(rabbitmq.version))
    with pytest.raises(UsageError, match="not running"):
        down.ctl("status")


def test_a_stopped_broker_leaves_no_listener_and_stops_again(own_rabbitmq: RabbitMQ) -> None:
    own_rabbitmq.stop()
    own_rabbitmq.stop()
    with pytest.raises(ConnectionRefusedError):
        connect(own_rabbitmq.port)
