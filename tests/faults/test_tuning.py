"""Limits and capabilities that both sides bring, and what is refused before anything is sent."""

from dataclasses import replace

import pytest

import hopmq
from hopmq.core.settings import Tuning
from hopmq.errors import HandshakeError
from scripted.server import ScriptedServer

from .ends import connected, soon
from .handshakes import refusal, tune

# --- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame_max", [1, 8, 4095])
async def test_a_frame_max_below_the_minimum_is_refused(
    server: ScriptedServer, frame_max: int
) -> None:
    server.gate.replace("Connection.Tune", tune(frame_max=frame_max))
    error = await refusal(server)
    assert type(error) is HandshakeError
    assert f"frame_max {frame_max} is below the minimum of 4096" in str(error)


@pytest.mark.parametrize("frame_max", [0, 4096, 131_072, 2**32 - 1])
async def test_the_lower_frame_max_holds_and_zero_means_none(
    server: ScriptedServer, frame_max: int
) -> None:
    server.settings = replace(server.settings, tuning=Tuning(frame_max=frame_max))
    server.gate.replace("Connection.Tune", tune(frame_max=frame_max))
    async with connected(server, frame_max=65_536) as ends:
        assert ends.connection.frame_max == min(frame_max or 65_536, 65_536)


async def test_a_channel_max_of_zero_leaves_it_to_us(server: ScriptedServer) -> None:
    server.gate.replace("Connection.Tune", tune(channel_max=0))
    async with connected(server, channel_max=3) as ends:
        assert ends.connection.channel_max == 3


async def test_a_broker_without_capabilities_or_properties_is_accepted(
    server: ScriptedServer,
) -> None:
    server.settings = replace(server.settings, properties={})
    async with connected(server) as ends:
        assert ends.connection.capabilities == frozenset()
        await ends.check_in_step()


@pytest.mark.parametrize("odd", [1, "yes", [], {"publisher_confirms": "yes"}, None])
async def test_capabilities_of_an_odd_type_count_as_none(
    server: ScriptedServer, odd: hopmq.FieldValue
) -> None:
    server.settings = replace(server.settings, properties={"capabilities": odd, "product": 7})
    async with connected(server) as ends:
        assert ends.connection.capabilities == frozenset()
        assert ends.connection.product == ""


# --- what we ourselves cannot send -----------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"vhost": "v" * 256},
        {"vhost": "\udc80"},
        {"password": "secret\udc80"},
        {"username": "\udc80"},
        {"client_properties": {"large": "x" * 140_000}},
        {"client_properties": {"odd": object()}},
        {"name": "\udc80"},
        {"password": "x" * 140_000},
    ],
    ids=["long-vhost", "vhost", "password", "user", "large", "odd", "name", "long-password"],
)
@pytest.mark.parametrize("mechanism", ["PLAIN", "AMQPLAIN"])
async def test_what_cannot_be_sent_is_refused_before_connecting(
    server: ScriptedServer, options: dict[str, object], mechanism: str
) -> None:
    with pytest.raises(hopmq.UsageError) as raised:
        await soon(
            hopmq.connect(server.url, auth_mechanisms=[mechanism], **options)  # type: ignore[arg-type]
        )
    assert server.peers == []
    assert "secret" not in repr(raised.value)
