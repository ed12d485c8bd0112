"""Definitions: what a broker starts with and hands out, in the format of RabbitMQ's exports."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import hopmq
from hopmq.broker import Broker, User
from hopmq.broker.access import hash_password
from hopmq.broker.definitions import DefinitionsError
from hopmq.errors import UsageError

TIMEOUT = 20.0

QUEUE = {"name": "q", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}}
EXCHANGE = {
    "name": "e",
    "vhost": "/",
    "type": "topic",
    "durable": True,
    "auto_delete": False,
    "internal": False,
    "arguments": {},
}
BINDING = {
    "source": "e",
    "vhost": "/",
    "destination": "q",
    "destination_type": "queue",
    "routing_key": "a.#",
    "arguments": {},
}


def with_broker(definitions: Any, use: Callable[[Broker], Awaitable[None]], **options: Any) -> None:
    """Run a broker that starts with definitions."""

    async def run() -> None:
        async with asyncio.timeout(TIMEOUT), Broker(definitions=definitions, **options) as broker:
            await use(broker)

    asyncio.run(run())


def exported(definitions: Any, vhost: str | None = None) -> dict[str, Any]:
    """Return what a broker exports that was started with definitions."""
    found: dict[str, Any] = {}

    async def export(broker: Broker) -> None:
        found.update(broker.export_definitions(vhost))

    with_broker(definitions, export)
    return found


def test_queues_exchanges_and_bindings_route_after_loading() -> None:
    async def publish(broker: Broker) -> None:
        async with hopmq.connect(broker.url) as connection, connection.channel() as channel:
            await channel.publish(b"hello", exchange="e", routing_key="a.b", mandatory=True)
            message = await channel.get("q")
            assert message is not None
            assert message.body == b"hello"

    with_broker({"queues": [QUEUE], "exchanges": [EXCHANGE], "bindings": [BINDING]}, publish)


def test_an_export_loads_again_and_is_the_same() -> None:
    first = exported(
        {
            "vhosts": [
                {"name": "/"},
                {"name": "v", "metadata": {"description": "d", "tags": ["a", "b"]}},
            ],
            "users": [{"name": "u", "password_hash": hash_password("p"), "tags": ["monitoring"]}],
            "permissions": [
                {"user": "u", "vhost": "v", "configure": "^c", "write": "w", "read": ""}
            ],
            "policies": [
                {
                    "name": "p",
                    "vhost": "v",
                    "pattern": "^q",
                    "apply-to": "queues",
                    "definition": {"max-length": 3},
                    "priority": 2,
                }
            ],
            "parameters": [
                {
                    "component": "operator_policy",
                    "name": "o",
                    "vhost": "v",
                    "value": {"pattern": ".*", "definition": {"expires": 100_000}},
                }
            ],
            "queues": [{**QUEUE, "vhost": "v", "arguments": {"x-max-length": 5}}],
            "exchanges": [{**EXCHANGE, "vhost": "v"}],
            "bindings": [{**BINDING, "vhost": "v", "arguments": {"x": [1, "y", True, None]}}],
        }
    )
    assert len(first["bindings"]) == 1
    assert first["queues"][0]["arguments"] == {"x-max-length": 5}
    assert first["parameters"][0]["value"]["definition"] == {"expires": 100_000}
    assert exported(first) == first


def test_one_virtual_host_is_exported_without_users_and_without_naming_it() -> None:
    definitions = {
        "vhosts": [{"name": "v"}],
        "queues": [{**QUEUE, "vhost": "v"}, {**QUEUE, "name": "elsewhere"}],
    }
    found = exported(definitions, vhost="v")
    assert found["original_vhost_name"] == "v"
    assert "users" not in found
    assert [queue["name"] for queue in found["queues"]] == ["q"]
    assert "vhost" not in found["queues"][0]


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "definitions.json"
    path.write_text(json.dumps({"queues": [QUEUE]}))
    assert [queue["name"] for queue in exported(path)["queues"]] == ["q"]


def test_users_log_in_with_the_passwords_that_were_hashed_elsewhere() -> None:
    definitions = {
        "users": [
            {"name": "reader", "password_hash": hash_password("secret"), "tags": "management"}
        ],
        "permissions": [
            {"user": "reader", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
        ],
    }

    async def log_in(broker: Broker) -> None:
        url = broker.url.replace("reader@", "reader:secret@")
        async with hopmq.connect(url):
            assert [user.name for user in broker.state.access] == ["reader"]

    with_broker(definitions, log_in)


def test_without_users_guest_may_use_every_virtual_host() -> None:
    async def enter(broker: Broker) -> None:
        async with hopmq.connect(broker.url.replace("%2F", "v")):
            pass

    with_broker({"vhosts": [{"name": "v"}]}, enter)


def test_a_policy_counts_for_queues_of_the_same_export() -> None:
    policy = {"name": "p", "vhost": "/", "pattern": "q", "definition": {"max-length": 1}}

    async def look(broker: Broker) -> None:
        assert broker.state.vhosts["/"].queues["q"].settings.max_length == 1

    with_broker({"policies": [policy], "queues": [QUEUE]}, look)


def test_exclusive_queues_are_not_exported() -> None:
    async def look(broker: Broker) -> None:
        async with hopmq.connect(broker.url) as connection, connection.channel():
            await connection.declare(hopmq.Queue.temporary())
            assert broker.export_definitions()["queues"] == []

    with_broker({}, look)


def test_users_of_the_code_are_not_changed_by_definitions() -> None:
    user = User(name="u", permissions={})
    definitions = {
        "permissions": [{"user": "u", "vhost": "/", "configure": "", "write": "", "read": ""}]
    }

    async def look(broker: Broker) -> None:
        found = broker.state.access.user("u")
        assert found is not None
        assert "/" in found.permissions
        assert user.permissions == {}

    with_broker(definitions, look, users=[user])


@pytest.mark.parametrize(
    "definitions, fault",
    [
        ({"queues": {}}, "queues is not a list"),
        ({"queues": [QUEUE, 5]}, r"queues\[1\] is not an object"),
        (
            {"queues": [{**QUEUE, "vhost": 5}]},
            r"queues\[0\] 'q': vhost has to be a string, not '5'",
        ),
        ({"queues": [{"name": "q"}]}, r"queues\[0\] 'q': vhost is missing"),
        ({"queues": [{**QUEUE, "durable": "yes"}]}, r"queues\[0\] 'q': durable has to be true or"),
        ({"queues": [{**QUEUE, "name": "q" * 256}]}, "name is longer than 255 bytes"),
        ({"queues": [{**QUEUE, "name": "\ud800"}]}, "name is no text"),
        ({"queues": [{**QUEUE, "arguments": {"x": 2**70}}]}, "arguments cannot be sent by AMQP"),
        (
            {"users": [{"name": "u", "password_hash": "AAAA", "hashing_algorithm": "md5"}]},
            r"users\[0\] 'u': hashing_algorithm md5 is not supported",
        ),
        ({"users": [{"name": "u", "password_hash": "!"}]}, "password_hash is no base64"),
        (
            {"permissions": [{"user": "u", "vhost": "/", "configure": "("}]},
            r"permissions\[0\]: write is missing",
        ),
        (
            {"policies": [{"name": "p", "vhost": "/", "pattern": "q", "definition": {"a": 1}}]},
            r"(?s)policies\[0\] 'p': .*not recognised",
        ),
        ({"bindings": [{**BINDING, "destination_type": "user"}]}, "queue or exchange, not 'user'"),
    ],
)
def test_a_wrong_entry_is_named_before_anything_is_loaded(
    definitions: dict[str, Any], fault: str
) -> None:
    with pytest.raises(DefinitionsError, match=fault):
        Broker(definitions=definitions)


@pytest.mark.parametrize(
    "definitions, fault",
    [
        ({"queues": [{**QUEUE, "vhost": "v"}]}, r"queues\[0\] 'q': there is no virtual host 'v'"),
        (
            {
                "permissions": [
                    {"user": "u", "vhost": "/", "configure": "", "write": "", "read": ""}
                ]
            },
            r"permissions\[0\]: there is no user 'u'",
        ),
        ({"exchanges": [{**EXCHANGE, "type": "t"}]}, r"exchanges\[0\] 'e': .*exchange type 't'"),
        ({"bindings": [BINDING]}, r"bindings\[0\]: NOT_FOUND - no (exchange 'e'|queue 'q')"),
    ],
)
def test_an_entry_that_cannot_be_loaded_is_named_at_the_start(
    definitions: dict[str, Any], fault: str
) -> None:
    async def start() -> None:
        broker = Broker(definitions=definitions)
        with pytest.raises(DefinitionsError, match=fault):
            await broker.start()
        assert not broker.is_running

    asyncio.run(start())


def test_files_without_json_are_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{")
    with pytest.raises(DefinitionsError, match=r"broken\.json is no JSON"):
        Broker(definitions=path)
    path.write_text("[]")
    with pytest.raises(DefinitionsError, match=r"broken\.json holds no object"):
        Broker(definitions=path)


def test_a_virtual_host_that_is_not_there_is_not_exported() -> None:
    with pytest.raises(UsageError, match="no virtual host 'v'"):
        exported({}, vhost="v")


def test_metadata_of_virtual_hosts_is_kept() -> None:
    metadata = {"description": "d", "tags": ["t"], "default_queue_type": "quorum"}
    found = exported({"vhosts": [{"name": "/", "metadata": metadata}]})
    assert found["vhosts"] == [{"name": "/", "limits": {}, "metadata": metadata}]
