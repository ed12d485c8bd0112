"""What a URL says, and what it may not say."""

import dataclasses
import traceback

import pytest

from hopmq import UsageError
from hopmq.url import Endpoint, parse_url

PASSWORD = "hush-hush"


def test_a_bare_scheme_means_the_defaults() -> None:
    assert parse_url("amqp://") == Endpoint(
        tls=False,
        host="localhost",
        port=5672,
        path=None,
        memory=None,
        username=None,
        password=None,
        vhost="/",
    )


@pytest.mark.parametrize(
    "url, tls, host, port",
    [
        ("amqp://broker", False, "broker", 5672),
        ("amqps://broker", True, "broker", 5671),
        ("amqp://broker:15", False, "broker", 15),
        ("amqps://broker:65535/", True, "broker", 65_535),
        ("AMQP://Broker.Example", False, "broker.example", 5672),
        ("amqp://10.1.2.3:5673", False, "10.1.2.3", 5673),
        ("amqp://[::1]", False, "::1", 5672),
        ("amqps://[2001:db8::7]:5000/x", True, "2001:db8::7", 5000),
        ("amqp://[fe80::1%25eth0]", False, "fe80::1%eth0", 5672),
        ("amqp://:5673", False, "localhost", 5673),
        ("amqp://user@", False, "localhost", 5672),
    ],
)
def test_scheme_host_and_port(url: str, tls: bool, host: str, port: int) -> None:
    endpoint = parse_url(url)
    assert (endpoint.tls, endpoint.host, endpoint.port) == (tls, host, port)


@pytest.mark.parametrize(
    "userinfo, username, password",
    [
        ("", None, None),
        ("ann@", "ann", None),
        ("ann:@", "ann", ""),
        ("ann:secret@", "ann", "secret"),
        ("ann:se:cret@", "ann", "se:cret"),
        (":secret@", "", "secret"),
        ("%61nn:p%40%3A%2F%23%3F@", "ann", "p@:/#?"),
        ("%C3%BCber:%E2%82%AC@", "über", "€"),
        ("a+b:c+d@", "a+b", "c+d"),
    ],
)
def test_credentials_are_percent_decoded(
    userinfo: str, username: str | None, password: str | None
) -> None:
    endpoint = parse_url(f"amqp://{userinfo}broker")
    assert (endpoint.username, endpoint.password) == (username, password)


@pytest.mark.parametrize(
    "path, vhost",
    [
        ("", "/"),
        ("/", "/"),
        ("/%2F", "/"),
        ("/%2f", "/"),
        ("/orders", "orders"),
        ("/team%2Fa", "team/a"),
        ("/%2Forders", "/orders"),
        ("/a%20b", "a b"),
        ("/%C3%BCber", "über"),
        ("/100%25", "100%"),
        ("/a+b", "a+b"),
    ],
)
def test_the_path_names_the_virtual_host(path: str, vhost: str) -> None:
    assert parse_url(f"amqp://broker{path}").vhost == vhost


@pytest.mark.parametrize("path", ["/a/b", "//", "/a/", "//a"])
def test_a_path_of_several_segments_is_refused_with_the_remedy(path: str) -> None:
    with pytest.raises(UsageError, match="%2F"):
        parse_url(f"amqp://broker{path}")


@pytest.mark.parametrize("name", ["heartbeat", "connection_timeout", "channel_max", "frame_max"])
def test_numbers_of_the_query_are_numbers(name: str) -> None:
    assert parse_url(f"amqp://broker?{name}=17").numbers == {name: 17}


@pytest.mark.parametrize("value", ["", "-1", "1.5", "ten", "0x10", "1_000", "٣", "9" * 5000])
def test_a_number_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="heartbeat"):
        parse_url(f"amqp://broker?heartbeat={value}")


@pytest.mark.parametrize(
    "name, value",
    [
        ("cacertfile", "/etc/ssl/authority.pem"),
        ("certfile", "client.pem"),
        ("keyfile", "client.key"),
        ("password", "of the key"),
        ("verify", "verify_none"),
        ("fail_if_no_peer_cert", "true"),
        ("server_name_indication", "broker.example"),
        ("name", "orders service"),
    ],
)
def test_texts_of_the_query_are_percent_decoded(name: str, value: str) -> None:
    encoded = "".join(f"%{octet:02X}" for octet in value.encode())
    assert parse_url(f"amqps://broker?{name}={encoded}").texts == {name: value}


def test_the_depth_of_a_certificate_chain_is_a_number() -> None:
    assert parse_url("amqps://broker?depth=2").numbers == {"depth": 2}


def test_mechanisms_keep_their_order() -> None:
    url = "amqps://broker?auth_mechanism=external&heartbeat=5&auth_mechanism=plain"
    assert parse_url(url).mechanisms == ("external", "plain")


def test_a_unix_socket_is_a_path_and_its_virtual_host_a_parameter() -> None:
    endpoint = parse_url("amqp+unix://ann:secret@/run/my%20broker.sock?vhost=team%2Fa&heartbeat=5")
    assert endpoint.path == "/run/my broker.sock"
    assert endpoint.vhost == "team/a"
    assert endpoint.username == "ann"
    assert endpoint.numbers == {"heartbeat": 5}


def test_a_unix_socket_has_the_default_virtual_host() -> None:
    assert parse_url("amqp+unix:///run/broker.sock").vhost == "/"


@pytest.mark.parametrize(
    "url, name, vhost",
    [
        ("memory://orders", "orders", "/"),
        ("memory://orders/", "orders", "/"),
        ("memory://orders/team%2Fa", "orders", "team/a"),
        ("memory://Orders", "Orders", "/"),
        ("MEMORY://orders", "orders", "/"),
        ("memory://a%3A%40%2F%C3%BC", "a:@/ü", "/"),
        ("memory://", "default", "/"),
        ("memory:///shop", "default", "shop"),
    ],
)
def test_a_broker_in_the_process_has_a_name_and_virtual_hosts(
    url: str, name: str, vhost: str
) -> None:
    endpoint = parse_url(url)
    assert (endpoint.memory, endpoint.vhost) == (name, vhost)
    assert (endpoint.path, endpoint.tls) == (None, False)


def test_a_broker_in_the_process_takes_credentials_and_parameters() -> None:
    endpoint = parse_url("memory://ann:s%40cret@orders?heartbeat=0&name=test&auth_mechanism=PLAIN")
    assert (endpoint.username, endpoint.password) == ("ann", "s@cret")
    assert (endpoint.memory, endpoint.numbers) == ("orders", {"heartbeat": 0})
    assert (endpoint.texts, endpoint.mechanisms) == ({"name": "test"}, ("PLAIN",))


@pytest.mark.parametrize(
    "url, complaint",
    [
        ("", "scheme"),
        ("localhost", "scheme"),
        ("localhost:5672", "scheme"),
        ("http://localhost", "scheme 'http'"),
        ("amqp://broker:0", "port 0"),
        ("amqp://broker:65536", "port"),
        ("amqp://broker:-1", "port"),
        ("amqp://broker:five", "port"),
        ("amqp://[::1", "host"),
        ("amqp+unix://", "path"),
        ("memory://orders:5672", "no port"),
        ("memory://orders:", "no port"),
        ("memory://orders/a/b", "%2F"),
        ("memory://orders?vhost=a", "'vhost'"),
        ("amqp://broker?hartbeat=5", "'hartbeat'"),
        ("amqp://broker?vhost=orders", "'vhost'"),
        ("amqp://broker?verify=maybe", "verify_peer"),
        ("amqp://broker/orders#fragment", "#"),
    ],
)
def test_what_is_no_amqp_url_is_refused_with_the_reason(url: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse_url(url)


@pytest.mark.parametrize(
    "url",
    [
        f"amqp://ann:{PASSWORD}@broker:five",
        f"amqp://ann:{PASSWORD}@broker:70000",
        f"amqp://ann:{PASSWORD}@broker:0",
        f"amqp://ann:{PASSWORD}@broker/a/b",
        f"amqp://ann:{PASSWORD}@broker?nonsense=1",
        f"amqp://ann:{PASSWORD}@broker?heartbeat=no",
        f"amqp://ann:{PASSWORD}@[::1",
        f"http://ann:{PASSWORD}@broker",
        f"amqp://ann:{PASSWORD}@broker#x",
        f"amqp://ann:{PASSWORD}/x@broker",
        f"amqp://ann:12/{PASSWORD}@broker",
        f"amqp://ann:12?{PASSWORD}@broker",
        f"amqp://ann:12?{PASSWORD}=1@broker",
        f"amqp://ann:12#{PASSWORD}@broker",
        f"amqp://ann:{PASSWORD}#x@broker",
        f"amqp://ann:{PASSWORD}?x@broker",
        f"amqps://broker?password={PASSWORD}&verify=maybe",
        f"memory://ann:{PASSWORD}@broker:5672",
    ],
)
def test_an_error_never_repeats_the_password(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(url)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_the_representation_hides_every_password() -> None:
    endpoint = parse_url(f"amqps://ann:{PASSWORD}@broker?password={PASSWORD}-of-key")
    assert endpoint.password == PASSWORD
    assert PASSWORD not in repr(endpoint)
    assert PASSWORD not in endpoint.address


@pytest.mark.parametrize(
    "url, address",
    [
        ("amqp://ann:secret@broker", "amqp://ann@broker:5672"),
        ("amqps://[::1]/orders", "amqps://[::1]:5671/orders"),
        ("amqp://broker/team%2Fa", "amqp://broker:5672/team%2Fa"),
        ("amqp+unix:///run/broker.sock?vhost=a", "amqp+unix:///run/broker.sock/a"),
        ("memory://ann:secret@Or%2Fders/team%2Fa", "memory://ann@Or%2Fders/team%2Fa"),
        ("memory://", "memory://default"),
    ],
)
def test_the_address_for_logs_says_where_to(url: str, address: str) -> None:
    assert parse_url(url).address == address


def test_an_endpoint_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse_url("amqp://").port = 1  # type: ignore[misc]
