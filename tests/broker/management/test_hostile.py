"""Requests that mean harm to the management API of the embedded broker."""

import asyncio
import base64
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

import hopmq
from broker.management.api import Api, quoted
from brokers.embedded import EmbeddedBroker
from hopmq.broker import Broker
from hopmq.errors import UsageError


@pytest.fixture(scope="module")
def embedded() -> Iterator[EmbeddedBroker]:
    """Return a broker with a management API."""
    embedded = EmbeddedBroker("4.3", management_port=0)
    yield embedded
    embedded.stop()


@pytest.fixture
def api(embedded: EmbeddedBroker) -> Api:
    """Return the API as guest sees it."""
    return Api(embedded.broker.management_url)


def test_it_is_off_unless_asked_for() -> None:
    with pytest.raises(UsageError, match="the management API is off"):
        _ = Broker().management_url


def test_it_listens_on_the_same_port_after_a_restart() -> None:
    async def run() -> None:
        async with asyncio.timeout(20), Broker(management_port=0) as broker:
            url = broker.management_url
            await broker.restart()
            assert broker.management_url == url
            overview = await asyncio.to_thread(Api(url).get, "/overview")
            assert overview["object_totals"]["queues"] == 0

    asyncio.run(run())


def test_it_is_gone_with_the_broker() -> None:
    async def run() -> str:
        async with asyncio.timeout(20), Broker(management_port=0) as broker:
            return broker.management_url

    url = asyncio.run(run())
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{url}/overview", timeout=5)


def test_tools_that_wait_to_be_asked_for_credentials_log_in(embedded: EmbeddedBroker) -> None:
    url = embedded.broker.management_url
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, url, "guest", "guest")
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
    with opener.open(f"{url}/whoami", timeout=10) as reply:
        assert reply.status == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no-colon").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:guest").decode(),
        "Bearer Z3Vlc3Q6Z3Vlc3Q=",
        "Basic " + base64.b64encode(b"guest:" + b"x" * 8000).decode(),
    ],
)
def test_credentials_that_are_none_are_refused(api: Api, authorization: str) -> None:
    headers = {"Authorization": authorization}
    reply = api.request("GET", "/overview", headers=headers, anonymous=True)
    assert (reply.status, reply.value["error"]) == (401, "not_authorized")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"arguments":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"a":NaN}',
        b'{"a":' + b"9" * 10_000 + b"}",
        b"\xff\xfe{}",
        b"\x00",
    ],
)
def test_json_that_means_harm_is_refused(api: Api, body: bytes) -> None:
    status, error, _ = api.refused("PUT", "/queues/%2F/harm", body)
    assert (status, error) == (400, "bad_request")


@pytest.mark.parametrize(
    "arguments",
    [
        {"x": 2**70},
        {"x" * 256: 1},
        {"x": "\ud800"},
        {"x": {"y": [[[]]] * 3, "z": 10**30}},
        [1],
        "text",
    ],
)
def test_arguments_that_amqp_cannot_carry_are_refused(api: Api, arguments: object) -> None:
    body = {"durable": True, "arguments": arguments}
    assert api.refused("PUT", "/queues/%2F/harm", body)[:2] == (400, "bad_request")
    body = {"routing_key": "k", "arguments": arguments}
    refusal = api.refused("POST", "/bindings/%2F/e/amq.topic/q/harm", body)
    assert refusal[:2] == (400, "bad_request")


def test_names_and_keys_that_amqp_cannot_carry_are_refused(api: Api) -> None:
    long = "n" * 256
    for path in (f"/queues/%2F/{long}", f"/exchanges/%2F/{long}", f"/vhosts/{long}"):
        assert api.refused("PUT", path, {})[:2] == (400, "bad_request")
    assert api.refused("PUT", f"/users/{long}", {"tags": ""})[:2] == (400, "bad_request")
    body = {"routing_key": long}
    assert api.refused("POST", "/bindings/%2F/e/amq.topic/e/amq.fanout", body)[0] == 400
    message = {"properties": {}, "payload": "", "payload_encoding": "string"}
    publish = "/exchanges/%2F/amq.topic/publish"
    assert api.refused("POST", publish, {**message, "routing_key": long})[0] == 400
    assert api.refused("POST", publish, {**message, "routing_key": "\ud800"})[0] == 400


@pytest.mark.parametrize(
    "properties",
    [
        {"headers": {"x": 2**70}},
        {"headers": "text"},
        {"content_type": "x" * 256},
        {"content_type": 5},
        {"priority": 256},
        {"priority": True},
        {"timestamp": 2**70},
        {"timestamp": -(2**70)},
        {"expiration": "x"},
        "text",
        5,
    ],
)
def test_properties_that_amqp_cannot_carry_are_refused(api: Api, properties: object) -> None:
    message = {"properties": properties, "routing_key": "", "payload": ""}
    body = {**message, "payload_encoding": "string"}
    assert api.refused("POST", "/exchanges/%2F/amq.topic/publish", body)[0] == 400


def test_a_path_that_is_no_utf_8_is_refused(api: Api) -> None:
    assert api.refused("GET", "/queues/%2F/%ff")[:2] == (400, "bad_request")
    assert api.refused("GET", "/queues/%2F/..%2F..%2Fetc")[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "//api/overview",
        "/",
        "/api",
        "/index.html",
        "/api/../overview",
        "/api/queues/%2F/",
        "/api/users/",
    ],
)
def test_other_paths_are_not_there(embedded: EmbeddedBroker, path: str) -> None:
    connection = HTTPConnection("127.0.0.1", int(embedded.broker.management_url.split(":")[2][:-4]))
    connection.request("GET", path, headers={"Authorization": "Basic Z3Vlc3Q6Z3Vlc3Q="})
    reply = connection.getresponse()
    assert (reply.status, reply.headers["content-type"]) == (404, "application/json")
    connection.close()


@pytest.mark.parametrize("query", ["&" * 1000, "a=%ff", "page=" + "9" * 1000, "sort=a.b.c.d"])
def test_parameters_that_mean_nothing_do_no_harm(api: Api, query: str) -> None:
    assert api.request("GET", f"/queues?{query}").status in (200, 400)


def test_an_alarm_fails_its_health_check_and_is_told_by_the_node() -> None:
    embedded = EmbeddedBroker("4.3", management_port=0, memory_limit=1000)
    api = Api(embedded.broker.management_url)
    try:
        api.put("/queues/%2F/q", {})
        message = {"properties": {}, "routing_key": "q", "payload": "x" * 2000}
        body = {**message, "payload_encoding": "string"}
        api.post("/exchanges/%2F/amq.default/publish", body)
        [node] = api.get("/nodes")
        assert node["mem_alarm"] is True
        assert node["mem_used"] > node["mem_limit"] == 1000
        refusal = (400, "bad_request", "publishing is blocked by an alarm")
        assert api.refused("POST", "/exchanges/%2F/amq.default/publish", body) == refusal
        reply = api.request("GET", "/health/checks/alarms")
        assert (reply.status, reply.value["status"]) == (503, "failed")
        assert reply.value["alarms"] == [{"node": node["name"], "resource": "memory"}]
        api.delete("/queues/%2F/q/contents")
        assert api.get("/health/checks/alarms") == {"status": "ok"}
    finally:
        embedded.stop()


def test_a_reason_is_cut_to_what_a_close_can_carry(embedded: EmbeddedBroker, api: Api) -> None:
    async def run() -> str:
        connection = await hopmq.connect(embedded.url, recovery=None)
        [shown] = await asyncio.to_thread(api.get, "/connections")
        path = f"/connections/{quoted(shown['name'])}"
        headers = {"X-Reason": "né".encode().decode("latin-1") + "x" * 2000}
        reply = await asyncio.to_thread(api.request, "DELETE", path, None, headers)
        assert reply.status == 204
        with pytest.raises(hopmq.errors.ConnectionClosed) as caught:
            async with asyncio.timeout(10):
                await connection.channel()
        await connection.close()
        return str(caught.value)

    text = asyncio.run(run())
    assert "CONNECTION_FORCED - néxxx" in text
    assert "xxx..." in text
