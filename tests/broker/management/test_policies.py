"""Policies by the management API."""

from urllib.parse import unquote

import pytest

from broker.management.api import Api
from broker.management.conftest import Managed

NOT_THERE = (404, "Object Not Found", "Not Found")
POLICY = {
    "pattern": "^q",
    "definition": {"max-length": 5, "dead-letter-exchange": "dlx"},
    "priority": 1,
    "apply-to": "queues",
}


def test_a_policy_is_set_shown_and_cleared(api: Api, vhost: str) -> None:
    path = f"/policies/{vhost}/p"
    api.put(path, POLICY, status=201)
    api.put(path, {**POLICY, "priority": 2}, status=204)
    shown = {"vhost": unquote(vhost), "name": "p", **POLICY, "priority": 2}
    assert api.get(path) == shown
    assert api.get(f"/policies/{vhost}") == [shown]
    assert shown in api.get("/policies")
    api.delete(path)
    assert api.refused("GET", path) == NOT_THERE
    assert api.refused("DELETE", path) == NOT_THERE


def test_a_queue_names_its_policies_and_what_they_come_to(api: Api, vhost: str) -> None:
    api.put(f"/queues/{vhost}/q", {})
    api.put(f"/queues/{vhost}/other", {})
    api.put(f"/policies/{vhost}/p", POLICY)
    limits = {"pattern": ".*", "definition": {"max-length": 3, "expires": 1_000_000}}
    api.put(f"/operator-policies/{vhost}/o", limits)
    queue = api.soon(f"/queues/{vhost}/q", lambda queue: queue.get("operator_policy") == "o")
    assert queue["policy"] == "p"
    assert queue["effective_policy_definition"] == {
        "max-length": 3,
        "expires": 1_000_000,
        "dead-letter-exchange": "dlx",
    }
    other = api.soon(f"/queues/{vhost}/other", lambda queue: queue.get("operator_policy") == "o")
    assert other["effective_policy_definition"] == limits["definition"]
    assert not other["policy"]
    api.delete(f"/policies/{vhost}/p")
    api.soon(f"/queues/{vhost}/q", lambda queue: not queue["policy"])


def test_an_exchange_names_its_policy(api: Api, vhost: str) -> None:
    api.put(f"/exchanges/{vhost}/e", {"type": "fanout"})
    definition = {"alternate-exchange": "amq.fanout"}
    api.put(f"/policies/{vhost}/p", {"pattern": "^e$", "definition": definition})
    assert api.get(f"/exchanges/{vhost}/e")["policy"] == "p"
    assert "policy" not in api.get(f"/exchanges/{vhost}/amq.topic")


def test_operator_policies_know_limits_alone(api: Api, vhost: str) -> None:
    body = {"pattern": ".*", "definition": {"dead-letter-exchange": "a"}}
    status, error, reason = api.refused("PUT", f"/operator-policies/{vhost}/o", body)
    assert (status, error) == (400, "bad_request")
    assert "are not recognised policy settings" in reason


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"definition": {}}, "no policy provided"),
        ({"definition": {"max-length": -1}}, "-1 is not a valid maximum length"),
        ({"definition": {"max-length": True}}, "true is not a valid maximum length"),
        ({"definition": {"message-ttl": 1.5}}, "1.5 is not a valid message TTL"),
        ({"definition": {"overflow": 1}}, "1 is not a valid overflow value"),
        ({"pattern": 5}, "pattern should be a binary but was 5"),
        ({"priority": "a"}, 'priority should be a number, actually was <<"a">>'),
        ({"definition": {"overflow": "nope"}}, '<<"nope">> is not a valid overflow value'),
        (
            {"definition": {"a": 1, "b": 2}},
            '[{<<"a">>,1},{<<"b">>,2}] are not recognised policy settings',
        ),
    ],
)
def test_a_policy_that_means_nothing_is_refused_in_the_same_words(
    api: Api, vhost: str, managed: Managed, changes: dict[str, object], reason: str
) -> None:
    if managed.release != "4.3":  # where what a browser might take for markup is escaped
        reason = reason.replace("<", "&lt;").replace(">", "&gt;")
    refusal = api.refused("PUT", f"/policies/{vhost}/p", {**POLICY, **changes})
    assert refusal == (400, "bad_request", f"Validation failed\n\n{reason}\n")


def test_targets_of_policies(api: Api, vhost: str, managed: Managed) -> None:
    words = {
        True: "'queues', 'exchanges' or 'all'",
        False: "one of: 'queues', 'classic_queues',  'quorum_queues', 'streams', 'exchanges', "
        "or 'all'",
    }[managed.release == "3.10"]
    refusal = api.refused("PUT", f"/policies/{vhost}/p", {**POLICY, "apply-to": "nope"})
    reason = f"Validation failed\n\napply-to 'nope' unrecognised; should be {words}\n"
    assert refusal == (400, "bad_request", reason)


def test_a_pattern_has_to_be_a_regular_expression(api: Api, vhost: str) -> None:
    status, error, reason = api.refused("PUT", f"/policies/{vhost}/p", {**POLICY, "pattern": "("})
    assert (status, error) == (400, "bad_request")
    assert reason.startswith(
        'Validation failed\n\npattern should be regular expression but is invalid: {"'
    )


def test_what_a_policy_lacks_is_named(api: Api, vhost: str) -> None:
    refusal = api.refused("PUT", f"/policies/{vhost}/p", {"definition": {"max-length": 1}})
    assert refusal == (400, "bad_request", "[{key_missing,pattern}]")
