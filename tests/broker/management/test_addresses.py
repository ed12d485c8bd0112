"""Connections over everything that the embedded broker listens on, as the management API names them."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import hopmq
from broker.management.api import Api, quoted
from hopmq.broker import Broker
from hopmq.testing import Certificates


async def test_each_connection_has_a_name_of_its_own_and_is_closed_by_it(tmp_path: Path) -> None:
    certificates = Certificates.create(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.server, certificates.server_key)
    trust = ssl.create_default_context(cafile=str(certificates.authority))
    broker = Broker(tls=context, path=tmp_path / "socket", name="named", management_port=0)
    async with asyncio.timeout(30), broker:
        api = Api(broker.management_url)
        connections = [
            await hopmq.connect(broker.url, recovery=None, name="tcp"),
            await hopmq.connect(broker.tls_url, recovery=None, name="tls", ssl_context=trust),
            await hopmq.connect(broker.unix_url, recovery=None, name="unix-1"),
            await hopmq.connect(broker.unix_url, recovery=None, name="unix-2"),
            await hopmq.connect(broker.memory_url, recovery=None, name="memory-1"),
            await hopmq.connect(broker.memory_url, recovery=None, name="memory-2"),
        ]
        shown = await asyncio.to_thread(api.get, "/connections")
        assert len({each["name"] for each in shown}) == len(connections)
        by_name = {each["user_provided_name"]: each for each in shown}
        assert by_name["tcp"]["port"] == broker.port
        assert by_name["tls"]["port"] == broker.tls_port
        assert [name for name, each in by_name.items() if each["ssl"]] == ["tls"]
        assert protocols_of(await asyncio.to_thread(api.get, "/overview")) == {
            "amqp": broker.port,
            "amqp/ssl": broker.tls_port,
            "http": int(broker.management_url.split(":")[2].removesuffix("/api")),
        }
        for each in shown:
            await asyncio.to_thread(api.delete, f"/connections/{quoted(each['name'])}")
        for connection in connections:
            await connection.wait_closed()
        assert await asyncio.to_thread(api.get, "/connections") == []


def protocols_of(overview: dict[str, Any]) -> dict[str, int]:
    """Return the ports by protocol."""
    return {each["protocol"]: each["port"] for each in overview["listeners"]}
