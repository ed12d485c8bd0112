"""Lists by pages, columns and order, and what tells of the broker as a whole."""

from typing import Any

import pytest

from broker.management.api import Api
from broker.management.conftest import Managed


@pytest.fixture
def queues(api: Api, vhost: str) -> str:
    """Return the path of a list of five queues."""
    for name in ("a1", "a2", "b1", "b2", "c"):
        api.put(f"/queues/{vhost}/{name}", {})
    return f"/queues/{vhost}"


def names(items: list[dict[str, Any]]) -> list[str]:
    """Return the names of what is listed."""
    return [item["name"] for item in items]


def test_pages(api: Api, queues: str) -> None:
    page = api.get(f"{queues}?page=2&page_size=2&columns=name")
    assert page == {
        "total_count": 5,
        "filtered_count": 5,
        "item_count": 2,
        "page": 2,
        "page_size": 2,
        "page_count": 3,
        "items": [{"name": "b1"}, {"name": "b2"}],
    }


@pytest.mark.parametrize(
    "query, found",
    [("name=b", ["b1", "b2"]), ("name=^.1$&use_regex=true", ["a1", "b1"]), ("name=nope", [])],
)
def test_pages_of_names(api: Api, queues: str, query: str, found: list[str]) -> None:
    page = api.get(f"{queues}?page=1&page_size=100&{query}")
    assert names(page["items"]) == found
    assert (page["total_count"], page["filtered_count"]) == (5, len(found))


@pytest.mark.parametrize(
    "query, refusal",
    [
        (
            "page=9&page_size=2",
            ("page_out_of_range", "Page out of range, page: 9 page size: 2, len: 5"),
        ),
        (
            "page=0",
            (
                "invalid_pagination_parameters",
                "Invalid pagination parameters: page number 0, page size undefined",
            ),
        ),
        (
            "page=1&page_size=501",
            (
                "invalid_pagination_parameters",
                "Invalid pagination parameters: page number 1, page size 501",
            ),
        ),
        ("page=a", ("bad_request", "Pagination parameters are invalid")),
    ],
)
def test_pages_that_are_not_there(
    api: Api, queues: str, query: str, refusal: tuple[str, str]
) -> None:
    assert api.refused("GET", f"{queues}?{query}") == (400, *refusal)


def test_order_and_columns(api: Api, queues: str) -> None:
    items = api.get(f"{queues}?sort=name&sort_reverse=true&columns=name,nope")
    assert items == [{"name": name} for name in ("c", "b2", "b1", "a2", "a1")]


def test_the_overview(api: Api, managed: Managed) -> None:
    overview = api.get("/overview")
    assert overview["rabbitmq_version"] == overview["management_version"] == managed.version
    assert {"channels", "connections", "consumers", "exchanges", "queues"} <= overview[
        "object_totals"
    ].keys()
    [listener] = [each for each in overview["listeners"] if each["protocol"] == "amqp"]
    assert (listener["ip_address"], listener["port"]) == ("127.0.0.1", managed.port)
    types = {each["name"] for each in overview["exchange_types"]}
    assert {"direct", "fanout", "headers", "topic"} <= types


def test_the_node(api: Api) -> None:
    [node] = api.get("/nodes")
    assert node["name"] == api.get("/overview")["node"]
    assert (node["running"], node["type"]) == (True, "disc")
    assert api.get(f"/nodes/{node['name']}")["name"] == node["name"]
    assert api.request("GET", "/nodes/nope").status in (404, 500)  # 3.10 stumbles
    assert api.get("/cluster-name")["name"]


@pytest.mark.parametrize(
    "check",
    [
        "alarms",
        "local-alarms",
        "virtual-hosts",
        "node-is-quorum-critical",
        "certificate-expiration/1/weeks",
        "protocol-listener/amqp091",
    ],
)
def test_health_checks_of_a_healthy_broker(api: Api, check: str) -> None:
    assert api.get(f"/health/checks/{check}")["status"] == "ok"


def test_health_checks_of_listeners(api: Api, managed: Managed) -> None:
    checks = "/health/checks"
    answer = api.get(f"{checks}/port-listener/{managed.port}")
    assert answer == {"status": "ok", "port": managed.port}
    reply = api.request("GET", f"{checks}/port-listener/1")
    assert (reply.status, reply.value["status"], reply.value["missing"]) == (503, "failed", 1)
    assert reply.value["reason"] == "No active listener"
    reply = api.request("GET", f"{checks}/protocol-listener/mqtt")
    missing = ["mqtt"] if managed.release == "4.3" else "mqtt"
    assert (reply.status, reply.value["missing"]) == (503, missing)


def test_a_virtual_host_is_alive(api: Api, vhost: str) -> None:
    assert api.get(f"/aliveness-test/{vhost}") == {"status": "ok"}
    assert api.refused("GET", "/aliveness-test/nope")[0] == 404


def test_methods_and_paths_that_are_not_there(api: Api) -> None:
    assert api.refused("GET", "/nosuch") == (404, "Object Not Found", "Not Found")
    reply = api.request("DELETE", "/overview")
    assert (reply.status, reply.value) == (405, None)
    assert reply.headers["allow"] == "HEAD, GET, OPTIONS"
    reply = api.request("OPTIONS", "/users/guest")
    assert (reply.status, reply.headers["allow"]) == (200, "HEAD, GET, PUT, DELETE, OPTIONS")
    reply = api.request("HEAD", "/overview")
    assert (reply.status, reply.value) == (200, None)
    assert int(reply.headers["content-length"]) > 100
