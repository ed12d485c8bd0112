"""Connections, channels and consumers as the management API shows and closes them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from broker.management.api import Api, quoted
from broker.management.conftest import Managed
from hopmq.wire import Properties
from parity.channel import ChannelDriver
from parity.driver import CAPABILITIES, Peer

TIME_LIMIT = 120.0
CONNECTION = "tester"


@pytest.fixture
async def peer(managed: Managed) -> AsyncIterator[Peer]:
    """Return a connection with a name."""
    properties = {**CAPABILITIES, "connection_name": CONNECTION}
    async with asyncio.timeout(TIME_LIMIT):
        peer = await Peer.open(managed.url, client_properties=properties)
        yield peer
        await peer.close()


def named(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those connections that have the tests' name."""
    return [each for each in items if each.get("user_provided_name") == CONNECTION]


async def soon(api: Api, path: str, is_right: Callable[[Any], object], **options: bool) -> Any:
    """Return what is there once it is right."""
    return await asyncio.to_thread(api.soon, path, is_right, **options)


async def connection_of(api: Api) -> dict[str, Any]:
    """Return the one connection that has the tests' name, once those of earlier tests are gone."""
    found = await soon(
        api, "/connections", lambda items: ["channels" in each for each in named(items)] == [True]
    )
    [connection] = named(found)
    return dict(connection)


async def consume(channel: ChannelDriver, queue: str, tag: str) -> None:
    """Subscribe with a prefetch of 2."""
    await channel.qos(2)
    await channel.consume(queue, tag=tag, arguments={"x-priority": 5})


async def test_a_connection_is_shown_with_its_names_and_limits(
    api: Api, peer: Peer, managed: Managed
) -> None:
    await peer.channel()
    shown = await connection_of(api)
    expected = {
        "vhost": "/",
        "user": "guest",
        "auth_mechanism": "PLAIN",
        "protocol": "AMQP 0-9-1",
        "type": "network",
        "state": "running",
        "host": "127.0.0.1",
        "port": managed.port,
        "peer_host": "127.0.0.1",
        "ssl": False,
        "channel_max": 2047,
        "frame_max": 131_072,
        "user_provided_name": CONNECTION,
    }
    assert {key: shown[key] for key in expected} == expected
    assert shown["name"] == f"127.0.0.1:{shown['peer_port']} -> 127.0.0.1:{managed.port}"
    assert shown["client_properties"]["connection_name"] == CONNECTION
    assert shown["client_properties"]["capabilities"]["basic.nack"] is True
    assert shown["connected_at"] > 1_700_000_000_000
    path = f"/connections/{quoted(shown['name'])}"
    one = await soon(api, path, lambda each: each.get("channels") == 1)
    assert one["name"] == shown["name"]
    [channel] = await soon(api, f"{path}/channels", bool)
    assert channel["number"] == 1


async def test_a_closed_connection_hears_the_reason(api: Api, peer: Peer) -> None:
    shown = await connection_of(api)
    path = f"/connections/{quoted(shown['name'])}"
    reply = await asyncio.to_thread(
        api.request, "DELETE", path, None, {"X-Reason": "because I say so"}
    )
    assert reply.status == 204
    closed = await peer.until_closed()
    assert (closed.code, closed.text) == (320, "CONNECTION_FORCED - because I say so")
    await soon(api, path, bool, missing=True)
    reply = await asyncio.to_thread(api.request, "DELETE", path)
    assert reply.status == 404


async def test_a_connection_is_closed_without_a_reason(api: Api, peer: Peer) -> None:
    shown = await connection_of(api)
    await asyncio.to_thread(api.delete, f"/connections/{quoted(shown['name'])}")
    closed = await peer.until_closed()
    assert (closed.code, closed.text) == (320, "CONNECTION_FORCED - Closed via management plugin")


async def test_a_channel_is_shown_with_what_it_has_and_owes(
    api: Api, peer: Peer, name: str
) -> None:
    channel = await peer.channel()
    await channel.declare(name, exclusive=True)
    await channel.confirm()
    await consume(channel, name, "tag")
    for _ in range(3):
        channel.publish(b"12345", routing_key=name, properties=Properties())
    path = f"/channels/{quoted((await connection_of(api))['name'] + ' (1)')}"
    shown = await soon(
        api,
        path,
        lambda each: (
            (each.get("messages_unacknowledged"), each.get("messages_unconfirmed")) == (2, 0)
        ),
    )
    expected = {
        "number": 1,
        "vhost": "/",
        "user": "guest",
        "state": "running",
        "confirm": True,
        "transactional": False,
        "consumer_count": 1,
    }
    assert {key: shown[key] for key in expected} == expected
    assert shown["connection_details"]["name"] == shown["name"].removesuffix(" (1)")
    counts = {
        "messages": 3,
        "messages_ready": 1,
        "messages_unacknowledged": 2,
        "message_bytes": 15,
        "message_bytes_ready": 5,
        "message_bytes_unacknowledged": 10,
        "consumers": 1,
        "exclusive": True,
    }
    queue = await soon(api, f"/queues/%2F/{name}", lambda each: counts.items() <= each.items())
    assert queue["owner_pid_details"]["name"] == shown["connection_details"]["name"]


async def test_a_consumer_is_shown_with_its_queue_and_its_channel(
    api: Api, peer: Peer, name: str, managed: Managed
) -> None:
    channel = await peer.channel()
    await channel.declare(name, exclusive=True)
    await consume(channel, name, f"{name}-tag")

    def mine(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [each for each in items if each["consumer_tag"] == f"{name}-tag"]

    [shown] = mine(await soon(api, "/consumers/%2F", mine))
    expected = {
        "ack_required": True,
        "active": True,
        "activity_status": "up",
        "exclusive": False,
        "prefetch_count": 2,
        "arguments": {"x-priority": 5},
        "queue": {"name": name, "vhost": "/"},
    }
    assert {key: shown[key] for key in expected} == expected
    since_4 = {"consumer_timeout": 1_800_000}
    timeout = {} if managed.release == "3.10" else since_4
    assert {key: shown[key] for key in since_4 if key in shown} == timeout
    details = shown["channel_details"]
    assert (details["number"], details["user"]) == (1, "guest")
    assert details["name"] == f"{details['connection_name']} (1)"
    queue = await soon(api, f"/queues/%2F/{name}", lambda each: each.get("consumer_details"))
    assert [each["consumer_tag"] for each in queue["consumer_details"]] == [f"{name}-tag"]


async def test_of_single_active_consumers_one_is_named(api: Api, peer: Peer, name: str) -> None:
    channel = await peer.channel()
    await channel.declare(name, exclusive=True, arguments={"x-single-active-consumer": True})
    await consume(channel, name, "one")
    await consume(channel, name, "two")
    queue = await soon(api, f"/queues/%2F/{name}", lambda each: each.get("consumers") == 2)
    assert queue["single_active_consumer_tag"] == "one"

    def mine(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [each for each in items if each["queue"]["name"] == name]

    shown = await soon(api, "/consumers", lambda items: len(mine(items)) == 2)
    states = {
        each["consumer_tag"]: (each["active"], each["activity_status"]) for each in mine(shown)
    }
    assert states == {"one": (True, "single_active"), "two": (False, "waiting")}


async def test_connections_of_others_are_seen_by_monitors_alone(
    api: Api, peer: Peer, name: str
) -> None:
    await connection_of(api)

    def as_user(tags: str) -> Api:
        user = f"{name}-{tags}"
        api.put(f"/users/{user}", {"password": "secret", "tags": tags})
        permissions = {"configure": ".*", "write": ".*", "read": ".*"}
        api.put(f"/permissions/%2F/{user}", permissions)
        return api.as_user(user, "secret")

    manager = await asyncio.to_thread(as_user, "management")
    monitor = await asyncio.to_thread(as_user, "monitoring")
    assert await asyncio.to_thread(manager.get, "/connections") == []
    assert named(await asyncio.to_thread(monitor.get, "/connections"))
    for tags in ("management", "monitoring"):
        await asyncio.to_thread(api.delete, f"/users/{name}-{tags}")


async def test_what_is_gone_is_not_shown(api: Api, peer: Peer, name: str) -> None:
    shown = await connection_of(api)
    await peer.close()
    await soon(api, f"/connections/{quoted(shown['name'])}", bool, missing=True)
    await soon(api, f"/channels/{quoted(shown['name'] + ' (1)')}", bool, missing=True)
