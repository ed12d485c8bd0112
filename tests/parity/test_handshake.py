"""Opening a connection: versions, mechanisms, credentials, virtual hosts, and steps out of turn."""

from collections.abc import Mapping
from typing import Any

import pytest
from pamqp.commands import Channel, Connection

from hopmq.typedefs import FieldTable
from parity.closed import Closed
from parity.driver import CAPABILITIES, Peer, amqplain, plain
from parity.endings import ending
from parity.peers import Peers

AMQP_0_9_1 = b"AMQP\x00\x00\x09\x01"
AMQP_1_0_SASL = b"AMQP\x03\x01\x00\x00"


def refused(mechanism: str) -> tuple[str, int, str]:
    """Return the answer to wrong credentials."""
    return (
        "connection",
        403,
        (
            f"ACCESS_REFUSED - Login was refused using authentication mechanism {mechanism}. "
            "For details see the broker logfile."
        ),
    )


# --- the protocol header -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "header, understood_by_newer",
    [
        pytest.param(b"AMQP\x00\x00\x09\x00", AMQP_0_9_1, id="0-9"),
        pytest.param(b"AMQP\x00\x00\x09\x02", AMQP_0_9_1, id="0-9-2"),
        pytest.param(b"AMQP\x00\x00\x0a\x00", AMQP_0_9_1, id="0-10"),
        pytest.param(b"AMQP\x00\x00\x08\x00", AMQP_1_0_SASL, id="0-8"),
        pytest.param(b"AMQP\x01\x01\x00\x0a", AMQP_1_0_SASL, id="0-10 in the old spelling"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", AMQP_1_0_SASL, id="HTTP"),
        pytest.param(b"\x00" * 8, AMQP_1_0_SASL, id="zeros"),
        pytest.param(b"XXXXXXXX", AMQP_1_0_SASL, id="noise"),
    ],
)
async def test_another_protocol_is_answered_by_a_header_and_hung_up_on(
    peers: Peers, release: str, header: bytes, understood_by_newer: bytes
) -> None:
    peer = await peers.dial()
    peer.write(header)
    await peer.until_dropped()
    assert peer.headers == [AMQP_0_9_1 if release == "3.10" else understood_by_newer]


@pytest.mark.parametrize("header", [AMQP_0_9_1, b"AMQP\x01\x01\x00\x09"], ids=["0-9-1", "old"])
async def test_amqp_0_9_1_is_spoken(peers: Peers, header: bytes) -> None:
    peer = await peers.dial()
    start = await peer.greet(header)
    assert (start.version_major, start.version_minor) == (0, 9)


async def test_a_header_may_come_in_pieces(peers: Peers) -> None:
    peer = await peers.dial()
    for octet in AMQP_0_9_1[:-1]:
        peer.write(bytes([octet]))
    await peer.greet(AMQP_0_9_1[-1:])


async def test_the_whole_handshake_may_be_sent_at_once(peers: Peers) -> None:
    peer = await peers.dial()
    peer.write(AMQP_0_9_1)
    peer.start_ok()
    peer.control.send(Connection.TuneOk, channel_max=2047, frame_max=131072)
    peer.control.send(Connection.Open, virtual_host="/")
    channel = peer.unopened(1)
    channel.send(Channel.Open)
    for reply in (Connection.Start, Connection.Tune, Connection.OpenOk):
        await peer.control.expect(reply)
    await channel.expect(Channel.OpenOk)


# --- connection.start --------------------------------------------------------------------------


async def test_the_broker_names_itself(peer: Peer) -> None:
    assert set(peer.server_properties) >= {
        "capabilities",
        "cluster_name",
        "copyright",
        "information",
        "platform",
        "product",
        "version",
    }


@pytest.mark.parametrize(
    "capability",
    [
        "authentication_failure_close",
        "basic.nack",
        "connection.blocked",
        "consumer_cancel_notify",
        "consumer_priorities",
        "direct_reply_to",
        "exchange_exchange_bindings",
        "per_consumer_qos",
        "publisher_confirms",
    ],
)
async def test_a_capability_is_announced(peer: Peer, capability: str) -> None:
    capabilities = peer.server_properties["capabilities"]
    assert isinstance(capabilities, Mapping)
    assert capabilities[capability] is True


async def test_mechanisms_and_locales_are_offered(peer: Peer) -> None:
    start: Any = peer.start  # Any: pamqp's types call these str, the codecs give bytes
    assert set(start.mechanisms.split()) == {b"PLAIN", b"AMQPLAIN"}
    assert start.locales == b"en_US"


async def test_limits_are_offered(peer: Peer) -> None:
    assert peer.tune is not None
    assert (peer.tune.channel_max, peer.tune.frame_max, peer.tune.heartbeat) == (2047, 131072, 60)


# --- connection.start-ok -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "mechanism, response",
    [
        ("PLAIN", plain("guest", "guest")),
        ("AMQPLAIN", amqplain({"LOGIN": "guest", "PASSWORD": "guest"})),
        ("AMQPLAIN", amqplain({"PASSWORD": "guest", "OTHER": 1, "LOGIN": "guest"})),
    ],
)
async def test_credentials_are_accepted(peers: Peers, mechanism: str, response: bytes) -> None:
    await peers.open(mechanism=mechanism, response=response)


@pytest.mark.parametrize(
    "mechanism, response",
    [
        pytest.param("PLAIN", plain("guest", "wrong"), id="PLAIN, password"),
        pytest.param("PLAIN", plain("nobody", "guest"), id="PLAIN, user"),
        pytest.param("PLAIN", plain("guest", ""), id="PLAIN, no password"),
        pytest.param("AMQPLAIN", amqplain({"LOGIN": "guest", "PASSWORD": "x"}), id="AMQPLAIN"),
    ],
)
async def test_wrong_credentials_are_refused_with_a_close(
    peers: Peers, mechanism: str, response: bytes
) -> None:
    with pytest.raises(Closed) as caught:
        await peers.open(mechanism=mechanism, response=response)
    assert caught.value.answer == refused(mechanism)
    assert caught.value.blamed == (0, 0)


@pytest.mark.parametrize("locale", ["", "de_DE", "en_US"])
async def test_any_locale_will_do(peers: Peers, locale: str) -> None:
    await peers.open(locale=locale)


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"capabilities": 1},
        {"product": "parity", "nested": {"list": [1, "two", None]}},
        {**CAPABILITIES, "connection_name": "x" * 300},
    ],
    ids=["none", "capabilities that are no table", "nested", "long name"],
)
async def test_any_client_properties_will_do(peers: Peers, properties: FieldTable) -> None:
    await peers.open(client_properties=properties)


# --- connection.open ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "vhost, text",
    [
        ("no-such-host", "NOT_ALLOWED - vhost no-such-host not found"),
        ("", "NOT_ALLOWED - vhost  not found"),
        ("x" * 255, "NOT_ALLOWED - vhost " + "x" * 232 + "..."),
    ],
    ids=["missing", "empty", "long"],
)
async def test_a_missing_virtual_host_is_refused(peers: Peers, vhost: str, text: str) -> None:
    with pytest.raises(Closed) as caught:
        await peers.open(vhost=vhost)
    assert caught.value.answer == ("connection", 530, text)
    assert caught.value.blamed == (10, 40)


async def test_a_connection_is_opened_once(peer: Peer) -> None:
    with pytest.raises(Closed) as caught:
        await peer.open_vhost()
    assert caught.value.answer == (
        "connection",
        504,
        "CHANNEL_ERROR - unexpected method in connection state running",
    )
    assert caught.value.blamed == (10, 40)


async def test_a_channel_before_the_connection_is_open_is_unexpected(
    peers: Peers,
) -> None:
    peer = await peers.dial()
    await peer.greet()
    peer.start_ok()
    await peer.await_tune()
    peer.tune_ok()
    peer.unopened(1).send(Channel.Open)
    assert await ending(peer) == (
        "connection",
        505,
        "UNEXPECTED_FRAME - type 1, all octets = <<0,20,0,10,0>>",
    )
