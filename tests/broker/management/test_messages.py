"""Messages published and taken by the management API."""

from typing import Any
from urllib.parse import unquote

import pytest

from broker.management.api import Api
from broker.management.conftest import Managed

PROPERTIES = {
    "delivery_mode": 2,
    "headers": {"a": 1, "b": "x", "t": True, "l": [1, "z"]},
    "content_type": "text/plain",
    "priority": 3,
    "timestamp": 1_700_000_000,
}


@pytest.fixture
def queue(api: Api, vhost: str) -> str:
    """Return the path of a queue."""
    path = f"/queues/{vhost}/q"
    api.put(path, {"durable": True})
    return path


def message(**changes: Any) -> dict[str, Any]:
    """Return a message for queue `q` as the API takes it."""
    return {
        "properties": {},
        "routing_key": "q",
        "payload": "hello",
        "payload_encoding": "string",
        **changes,
    }


def test_a_message_is_taken_as_it_was_published(api: Api, vhost: str, queue: str) -> None:
    publish = f"/exchanges/{vhost}/amq.default/publish"
    assert api.post(publish, message(properties=PROPERTIES)) == {"routed": True}
    taken = api.post(
        f"{queue}/get", {"count": 5, "ackmode": "ack_requeue_false", "encoding": "auto"}
    )
    assert taken == [
        {
            "exchange": "",
            "routing_key": "q",
            "redelivered": False,
            "message_count": 0,
            "payload": "hello",
            "payload_bytes": 5,
            "payload_encoding": "string",
            "properties": PROPERTIES,
        }
    ]
    assert api.post(f"{queue}/get", take()) == []


def take(**changes: Any) -> dict[str, Any]:
    """Return what takes one message and keeps it."""
    return {"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto", **changes}


def test_octets_travel_as_base64(api: Api, vhost: str, queue: str) -> None:
    octets = message(payload="/wA=", payload_encoding="base64")
    api.post(f"/exchanges/{vhost}/amq.default/publish", octets)
    [taken] = api.post(f"{queue}/get", take())
    assert (taken["payload"], taken["payload_encoding"]) == ("/wA=", "base64")
    assert taken["payload_bytes"] == 2


def test_a_message_that_goes_back_is_redelivered_and_cut_as_asked(
    api: Api, vhost: str, queue: str
) -> None:
    api.post(f"/exchanges/{vhost}/amq.default/publish", message())
    [first] = api.post(f"{queue}/get", take(ackmode="ack_requeue_true", truncate=2))
    [second] = api.post(f"{queue}/get", take(ackmode="reject_requeue_true", encoding="base64"))
    assert (first["payload"], first["payload_bytes"], first["redelivered"]) == ("he", 5, False)
    assert (second["payload"], second["payload_encoding"]) == ("aGVsbG8=", "base64")
    assert second["redelivered"] is True


def test_several_messages_go_back_to_their_places(api: Api, vhost: str, queue: str) -> None:
    publish = f"/exchanges/{vhost}/amq.default/publish"
    for payload in "123":
        api.post(publish, message(payload=payload))
    for _ in range(2):
        taken = api.post(f"{queue}/get", take(count=3, ackmode="ack_requeue_true"))
        assert [(each["payload"], each["message_count"]) for each in taken] == [
            ("1", 2),
            ("2", 1),
            ("3", 0),
        ]


def test_a_rejected_message_is_dead_lettered(api: Api, vhost: str) -> None:
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
    api.put(f"/queues/{vhost}/q", {"arguments": arguments})
    api.put(f"/queues/{vhost}/dead", {})
    api.post(f"/exchanges/{vhost}/amq.default/publish", message())
    api.post(f"/queues/{vhost}/q/get", take(ackmode="reject_requeue_false"))
    api.soon(f"/queues/{vhost}/dead", lambda queue: queue.get("messages") == 1)
    [dead] = api.post(f"/queues/{vhost}/dead/get", take())
    assert dead["properties"]["headers"]["x-death"][0]["reason"] == "rejected"


def test_a_message_for_nobody_is_not_routed(api: Api, vhost: str) -> None:
    publish = f"/exchanges/{vhost}/amq.default/publish"
    assert api.post(publish, message(routing_key="nope")) == {"routed": False}


def test_counts_and_purging(api: Api, vhost: str, queue: str) -> None:
    api.post(f"/exchanges/{vhost}/amq.default/publish", message())
    counts = {
        "messages": 1,
        "messages_ready": 1,
        "messages_unacknowledged": 0,
        "message_bytes": 5,
        "message_bytes_ready": 5,
    }
    api.soon(queue, lambda queue: counts.items() <= queue.items())
    api.delete(f"{queue}/contents")
    api.soon(queue, lambda queue: queue["messages"] == 0)
    assert api.refused("DELETE", f"/queues/{vhost}/nope/contents")[0] == 404


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"properties": {"priority": "a"}}, ["not_int", "priority"]),
        ({"payload_encoding": "nope"}, ["unsupported_encoding", "nope"]),
        ({"payload": "!!", "payload_encoding": "base64"}, ["not_base64", "!!"]),
    ],
)
def test_a_message_that_means_nothing_is_refused(
    api: Api, vhost: str, changes: dict[str, Any], reason: object
) -> None:
    refusal = api.refused("POST", f"/exchanges/{vhost}/amq.default/publish", message(**changes))
    assert refusal == (400, "bad_request", reason)


def test_what_lacks_in_a_body_is_named(api: Api, vhost: str, queue: str) -> None:
    body = message()
    del body["routing_key"]
    publish = f"/exchanges/{vhost}/amq.default/publish"
    assert api.refused("POST", publish, body) == (
        400,
        "bad_request",
        "[{key_missing,routing_key}]",
    )
    reason = "[{key_missing,ackmode},{key_missing,encoding}]"
    assert api.refused("POST", f"{queue}/get", {"count": 1}) == (400, "bad_request", reason)


def test_where_there_is_nothing_to_publish_to_or_take_from(
    api: Api, vhost: str, managed: Managed
) -> None:
    refusals = {
        True: (
            (400, "bad_request", "404 NOT_FOUND - no exchange 'nope' in vhost '{}'"),
            (404, "not_found", "NOT_FOUND - no queue 'nope' in vhost '{}'"),
        ),
        False: (
            (404, "not_found", "exchange_not_found"),
            (404, "not_found", "queue_not_found"),
        ),
    }[managed.release == "3.10"]
    publishing, taking = ((s, e, r.format(unquote(vhost))) for s, e, r in refusals)
    assert api.refused("POST", f"/exchanges/{vhost}/nope/publish", message()) == publishing
    assert api.refused("POST", f"/queues/{vhost}/nope/get", take()) == taking
