"""Queues, exchanges and bindings by the management API."""

import secrets
from urllib.parse import unquote

import pytest

from broker.management.api import Api
from broker.management.conftest import Managed

NOT_THERE = (404, "Object Not Found", "Not Found")
DECLARED = {"durable": True, "auto_delete": False, "arguments": {"x-max-length": 10}}


# --- queues ----------------------------------------------------------------------------------------


def test_a_queue_is_made_once_and_seen_as_it_was_declared(api: Api, vhost: str) -> None:
    path = f"/queues/{vhost}/q"
    api.put(path, DECLARED, status=201)
    api.put(path, DECLARED, status=204)
    counts = ("messages", "messages_ready", "messages_unacknowledged", "consumers")
    queue = api.soon(path, lambda queue: {"state", *counts} <= queue.keys())
    shown = {key: queue[key] for key in ("name", "vhost", "durable", "auto_delete", "exclusive")}
    assert shown == {
        "name": "q",
        "vhost": unquote(vhost),
        "durable": True,
        "auto_delete": False,
        "exclusive": False,
    }
    assert queue["arguments"]["x-max-length"] == 10
    assert (queue["state"], queue["type"]) == ("running", "classic")
    assert [queue[key] for key in counts] == [0, 0, 0, 0]
    api.delete(path)
    assert api.refused("GET", path) == NOT_THERE
    assert api.refused("DELETE", path) == NOT_THERE


def test_arguments_tell_the_kind_of_a_queue_since_4_0(
    api: Api, vhost: str, managed: Managed
) -> None:
    api.put(f"/queues/{vhost}/q", {})
    kind = {} if managed.release == "3.10" else {"x-queue-type": "classic"}
    assert api.get(f"/queues/{vhost}/q")["arguments"] == kind


def test_durable_queues_are_of_the_kind_that_their_virtual_host_prefers(
    api: Api, vhost: str, managed: Managed
) -> None:
    api.put(f"/vhosts/{vhost}", {"default_queue_type": "quorum"}, status=204)
    preferred = "classic" if managed.release == "3.10" else "quorum"
    for name, body, kind in (
        ("durable", {"durable": True}, preferred),
        ("transient", {"durable": False}, "classic"),
        ("other", {"durable": True, "arguments": {"x-queue-type": "classic"}}, "classic"),
    ):
        api.put(f"/queues/{vhost}/{name}", body, status=201)
        api.put(f"/queues/{vhost}/{name}", body, status=204)
        assert api.get(f"/queues/{vhost}/{name}")["type"] == kind


def test_a_queue_of_other_properties_is_refused_with_the_difference(api: Api, vhost: str) -> None:
    path = f"/queues/{vhost}/q"
    api.put(path, DECLARED)
    status, error, reason = api.refused("PUT", path, {**DECLARED, "auto_delete": True})
    assert (status, error) == (400, "bad_request")
    assert reason == (
        f"inequivalent arg 'auto_delete' for queue 'q' in vhost '{unquote(vhost)}': "
        "received 'true' but current is 'false'"
    )


def test_booleans_may_be_strings(api: Api, vhost: str) -> None:
    api.put(f"/queues/{vhost}/q", {"durable": "true", "auto_delete": "false"})
    assert api.get(f"/queues/{vhost}/q")["durable"] is True


@pytest.mark.parametrize(
    "body, reason",
    [
        (b"{bad", "not_json"),
        (b"[]", "not_json"),
        ({"durable": "maybe"}, ["not_boolean", "maybe"]),
    ],
)
def test_a_body_that_means_nothing_is_refused(
    api: Api, vhost: str, body: object, reason: object
) -> None:
    assert api.refused("PUT", f"/queues/{vhost}/q", body) == (400, "bad_request", reason)


def test_reserved_names_are_refused(api: Api, vhost: str) -> None:
    refusal = (401, "not_authorised", "Access refused.")
    assert api.refused("PUT", f"/queues/{vhost}/amq.q", {}) == refusal
    assert api.refused("PUT", f"/exchanges/{vhost}/amq.e", {"type": "topic"}) == refusal
    assert api.refused("DELETE", f"/exchanges/{vhost}/amq.topic") == refusal


def test_in_a_virtual_host_that_is_not_there_nothing_is_made(api: Api) -> None:
    refusal = (404, "not_found", "vhost_not_found")
    assert api.refused("PUT", "/queues/nope/q", {}) == refusal
    assert api.refused("PUT", "/exchanges/nope/e", {"type": "topic"}) == refusal
    assert api.refused("GET", "/queues/nope") == NOT_THERE


def test_lists_are_of_one_virtual_host_or_of_all(api: Api, vhost: str) -> None:
    api.put(f"/queues/{vhost}/q2", {})
    api.put(f"/queues/{vhost}/q1", {})
    assert [queue["name"] for queue in api.get(f"/queues/{vhost}")] == ["q1", "q2"]
    everywhere = [queue for queue in api.get("/queues") if queue["vhost"] == unquote(vhost)]
    assert [queue["name"] for queue in everywhere] == ["q1", "q2"]


def test_a_used_or_full_queue_is_deleted_only_without_conditions(api: Api, vhost: str) -> None:
    path = f"/queues/{vhost}/q"
    api.put(path, {})
    publish(api, vhost, "q", "x")
    reply = api.request("DELETE", f"{path}?if-empty=true")
    assert reply.status == 400
    api.delete(f"{path}?if-unused=true")


# --- exchanges -------------------------------------------------------------------------------------


def test_an_exchange_is_made_once_and_seen_as_it_was_declared(api: Api, vhost: str) -> None:
    path = f"/exchanges/{vhost}/e"
    declared = {
        "type": "topic",
        "durable": True,
        "internal": True,
        "arguments": {"alternate-exchange": "amq.fanout"},
    }
    api.put(path, declared, status=201)
    api.put(path, declared, status=204)
    exchange = api.get(path)
    assert {key: exchange[key] for key in declared} == declared
    assert exchange["auto_delete"] is False
    api.delete(path)
    assert api.refused("GET", path) == NOT_THERE
    assert api.refused("DELETE", path) == NOT_THERE


def test_an_unknown_type_of_exchange_is_refused(api: Api, vhost: str) -> None:
    # A word that RabbitMQ has met elsewhere is no type either, but it says `invalid` then.
    unheard_of = secrets.token_hex(8)
    refusal = api.refused("PUT", f"/exchanges/{vhost}/e", {"type": unheard_of})
    assert refusal == (400, "bad_request", f"unknown exchange type '{unheard_of}'")


def test_every_virtual_host_has_its_exchanges(api: Api, vhost: str) -> None:
    names = [exchange["name"] for exchange in api.get(f"/exchanges/{vhost}")]
    assert names == [
        "",
        "amq.direct",
        "amq.fanout",
        "amq.headers",
        "amq.match",
        "amq.rabbitmq.trace",
        "amq.topic",
    ]
    assert api.get(f"/exchanges/{vhost}/amq.default")["name"] == ""


# --- bindings --------------------------------------------------------------------------------------


def test_bindings_are_named_by_their_keys(api: Api, vhost: str) -> None:
    api.put(f"/queues/{vhost}/q", {})
    between = f"/bindings/{vhost}/e/amq.topic/q/q"
    reply = api.request("POST", between, {"routing_key": "a.#", "arguments": {}})
    assert (reply.status, reply.headers["location"]) == (201, "q/a.%2523")
    reply = api.request("POST", between, {})
    assert (reply.status, reply.headers["location"]) == (201, "q/~")
    keyed = {
        "source": "amq.topic",
        "vhost": unquote(vhost),
        "destination": "q",
        "destination_type": "queue",
        "routing_key": "a.#",
        "arguments": {},
        "properties_key": "a.%23",
    }
    assert api.get(f"{between}/a.%23") == keyed
    assert sorted(each["properties_key"] for each in api.get(between)) == ["a.%23", "~"]
    api.delete(f"{between}/a.%23")
    assert api.refused("DELETE", f"{between}/a.%23") == NOT_THERE
    api.delete(f"{between}/~")
    assert api.get(between) == []


def test_a_binding_with_arguments_is_deleted_by_the_key_that_it_is_shown_with(
    api: Api, vhost: str
) -> None:
    api.put(f"/queues/{vhost}/q", {})
    between = f"/bindings/{vhost}/e/amq.headers/q/q"
    api.post(between, {"routing_key": "k", "arguments": {"x": 1, "x-match": "any"}}, status=201)
    [binding] = api.get(between)
    assert binding["arguments"] == {"x": 1, "x-match": "any"}
    assert binding["properties_key"].startswith("k~")
    api.delete(f"{between}/{binding['properties_key']}")
    assert api.get(between) == []


def test_bindings_are_listed_from_both_ends(api: Api, vhost: str) -> None:
    api.put(f"/queues/{vhost}/q", {})
    api.post(f"/bindings/{vhost}/e/amq.topic/e/amq.fanout", {"routing_key": "k"}, status=201)
    api.post(f"/bindings/{vhost}/e/amq.fanout/q/q", {}, status=201)

    def ends(path: str) -> list[tuple[str, str]]:
        return [(each["source"], each["destination"]) for each in api.get(path)]

    assert ends(f"/exchanges/{vhost}/amq.topic/bindings/source") == [("amq.topic", "amq.fanout")]
    assert ends(f"/exchanges/{vhost}/amq.fanout/bindings/destination") == [
        ("amq.topic", "amq.fanout")
    ]
    assert sorted(ends(f"/queues/{vhost}/q/bindings")) == [("", "q"), ("amq.fanout", "q")]
    assert sorted(ends(f"/bindings/{vhost}")) == [
        ("", "q"),
        ("amq.fanout", "q"),
        ("amq.topic", "amq.fanout"),
    ]
    assert ends(f"/bindings/{vhost}/e/amq.default/q/q") == [("", "q")]


def test_a_binding_needs_its_exchange(api: Api, vhost: str) -> None:
    api.put(f"/queues/{vhost}/q", {})
    status, error, reason = api.refused("POST", f"/bindings/{vhost}/e/nope/q/q", {})
    assert (status, error) == (404, "not_found")
    assert reason == f"no exchange 'nope' in vhost '{unquote(vhost)}'"


def publish(api: Api, vhost: str, queue: str, payload: str) -> None:
    """Publish a message to a queue."""
    message = {
        "properties": {},
        "routing_key": queue,
        "payload": payload,
        "payload_encoding": "string",
    }
    assert api.post(f"/exchanges/{vhost}/amq.default/publish", message) == {"routed": True}
