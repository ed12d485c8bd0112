"""Definitions by the management API, and from one broker to another of the other make."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from broker.management.api import Api
from broker.management.conftest import Managed
from brokers.embedded import EmbeddedBroker
from hopmq.broker import Broker

QUEUES: dict[str, dict[str, object]] = {
    "classic": {"x-max-length": 10, "x-overflow": "reject-publish"},
    "quorum": {"x-queue-type": "quorum", "x-delivery-limit": 5},
    "stream": {"x-queue-type": "stream", "x-max-age": "7D"},
}
TOPOLOGY = ("queues", "exchanges", "bindings", "policies")


@pytest.fixture
def topology(api: Api, vhost: str) -> str:
    """Return the virtual host, filled with something of each kind."""
    for name, arguments in QUEUES.items():
        api.put(f"/queues/{vhost}/{name}", {"durable": True, "arguments": arguments})
    alternate = {"alternate-exchange": "amq.fanout"}
    api.put(f"/exchanges/{vhost}/e", {"type": "topic", "durable": True, "arguments": alternate})
    api.put(f"/exchanges/{vhost}/x", {"type": "headers", "auto_delete": True})
    api.post(f"/bindings/{vhost}/e/e/q/classic", {"routing_key": "a.*"}, status=201)
    api.post(f"/bindings/{vhost}/e/e/e/amq.fanout", {"routing_key": "#"}, status=201)
    headers = {"x-match": "any", "n": 1, "s": "text", "f": 1.5, "b": True}
    api.post(f"/bindings/{vhost}/e/x/q/quorum", {"arguments": headers}, status=201)
    policy = {"pattern": "^q", "definition": {"max-length": 7}, "apply-to": "queues"}
    api.put(f"/policies/{vhost}/p", policy)
    return vhost


def essence(definitions: dict[str, Any], vhost: str | None = None) -> dict[str, list[str]]:
    """Return what definitions say of the topology, in an order and without what releases add."""
    return {
        section: sorted(
            json.dumps(_plain(entry), sort_keys=True)
            for entry in definitions[section]
            if not str(entry.get("name", "")).startswith("amq.")
            and (vhost is None or entry["vhost"] == vhost)
        )
        for section in TOPOLOGY
    }


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    arguments = {k: v for k, v in entry.get("arguments", {}).items() if v != "classic"}
    # Not every release tells the kind of a queue beside its arguments.
    kind = "type" if entry.get("type") in QUEUES else ""
    left_out = ("vhost", "internal", kind)
    return {k: v for k, v in entry.items() if k not in left_out} | {"arguments": arguments}


def test_an_export_is_loaded_by_the_same_broker(api: Api, topology: str) -> None:
    exported = api.get(f"/definitions/{topology}")
    assert len(exported["queues"]) == len(QUEUES)
    assert len(exported["bindings"]) == 3
    api.delete(f"/vhosts/{topology}")
    api.put(f"/vhosts/{topology}")
    assert api.post(f"/definitions/{topology}", exported, status=204) is None
    assert essence(api.get(f"/definitions/{topology}")) == essence(exported)


def test_the_embedded_broker_starts_with_an_export_of_this_one(
    api: Api, topology: str, managed: Managed
) -> None:
    whole = api.get("/definitions")
    name = unquote(topology)
    embedded = EmbeddedBroker(managed.release, definitions=whole)
    try:
        loaded = embedded.call(Broker.export_definitions)
    finally:
        embedded.stop()
    assert essence(loaded, name) == essence(whole, name)
    users = [(user["name"], user["password_hash"]) for user in whole["users"]]
    assert [(user["name"], user["password_hash"]) for user in loaded["users"]] == users
    assert whole["permissions"] == [
        permission for permission in loaded["permissions"] if permission in whole["permissions"]
    ]


@pytest.fixture
def exported(managed: Managed, topology: str, api: Api) -> Iterator[dict[str, Any]]:
    """Return an export of an embedded broker that holds the same."""
    definitions = api.get("/definitions")
    embedded = EmbeddedBroker(managed.release, definitions=definitions)
    try:
        yield embedded.call(Broker.export_definitions)
    finally:
        embedded.stop()


def test_this_broker_loads_an_export_of_the_embedded_one(
    api: Api, topology: str, exported: dict[str, Any]
) -> None:
    before = essence(api.get(f"/definitions/{topology}"))
    api.delete(f"/vhosts/{topology}")
    assert api.post("/definitions", exported, status=204) is None
    assert essence(api.get(f"/definitions/{topology}")) == before


@pytest.mark.parametrize("body", [b"{x", b"[]"])
def test_what_is_no_json_is_refused(api: Api, body: bytes) -> None:
    refusal = (400, "bad_request", "failed_to_parse_json")
    assert api.refused("POST", "/definitions", body) == refusal


def test_what_cannot_be_loaded_is_refused(api: Api, vhost: str) -> None:
    queue = {"name": "q", "durable": True, "auto_delete": False, "arguments": {}}
    lost = {"queues": [{**queue, "vhost": "nope"}]}
    assert api.refused("POST", "/definitions", lost)[:2] == (400, "bad_request")
    assert api.request("POST", "/definitions/nope", {"queues": [queue]}).status == 404
    exchange = {**queue, "type": "nope", "internal": False}
    assert api.refused("POST", f"/definitions/{vhost}", {"exchanges": [exchange]})[0] == 400


def test_what_is_there_already_stays_as_it_is(api: Api, vhost: str) -> None:
    api.put(f"/queues/{vhost}/q", {"durable": True, "arguments": {"x-max-length": 1}})
    queue = {"name": "q", "durable": True, "auto_delete": False, "arguments": {"x-max-length": 9}}
    api.post(f"/definitions/{vhost}", {"queues": [queue]}, status=204)
    assert api.get(f"/queues/{vhost}/q")["arguments"]["x-max-length"] == 1
