"""What goes by time in queues, on a clock that is turned by hand."""

from typing import Any

import pytest
from pamqp.commands import Basic

from broker.channels import RELEASES, Host
from hopmq.broker.message import OVERHEAD

AWAY = {"dead_letter_exchange": "", "dead_letter_routing_key": "dead"}
both_kinds = pytest.mark.parametrize("kind", ["classic", "quorum"])


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest) -> Host:
    """Return a virtual host of every release in turn."""
    return Host(str(request.param))


@pytest.fixture
def newest() -> Host:
    """Return a virtual host of the newest release."""
    return Host()


# --- messages ----------------------------------------------------------------------------------


@both_kinds
@pytest.mark.parametrize(
    "arguments, properties",
    [
        ({"message_ttl": 1000}, {}),
        ({}, {"expiration": "1000"}),
        ({"message_ttl": 9000}, {"expiration": "1000"}),
        ({"message_ttl": 1000}, {"expiration": "9000"}),
    ],
    ids=str,
)
def test_a_message_expires_at_the_earlier_of_both_times(
    host: Host, kind: str, arguments: dict[str, Any], properties: dict[str, Any]
) -> None:
    queue = host.channel().declare("q", kind, **arguments)
    host.publish("q", **properties)
    host.clock.turn(0.999)
    assert queue.ready == 1
    host.clock.turn(0.001)
    assert queue.ready == 0
    assert host.memory.used == 0


@both_kinds
def test_what_expires_is_dead_lettered_with_the_time_of_its_death(host: Host, kind: str) -> None:
    channel = host.channel()
    channel.declare("dead")
    channel.declare("q", kind, **AWAY)
    host.publish("q", expiration="1500")
    host.clock.turn(2)
    letter = channel.get("dead")
    assert letter is not None
    (death,) = letter.headers["x-death"]
    assert death["time"].timestamp() == int(host.clock.wall() - 0.5)
    assert letter.properties.expiration is None


def test_the_head_alone_expires(host: Host) -> None:
    channel = host.channel()
    queue = channel.declare("q")
    host.publish("q", b"slow", expiration="5000")
    host.publish("q", b"fast", expiration="1000")
    host.clock.turn(2)
    assert queue.ready == 2
    assert channel.get("q", no_ack=True) is not None
    assert queue.ready == 0


def test_an_unsettled_message_expires_once_it_is_back(host: Host) -> None:
    channel = host.channel()
    queue = channel.declare("q", message_ttl=1000)
    host.publish("q")
    message = channel.get("q")
    assert message is not None
    host.clock.turn(5)
    assert queue.unsettled == 1
    channel.end()
    assert (queue.ready, queue.unsettled) == (0, 0)


@both_kinds
def test_a_time_to_live_of_nothing_is_enough_for_a_consumer_that_waits(
    host: Host, kind: str
) -> None:
    channel = host.channel()
    queue = channel.declare("q", kind, message_ttl=0)
    assert host.publish("q")
    assert queue.ready == 0
    channel.consume("q", "tag")
    host.publish("q")
    assert len(channel.taken()) == 1


def test_no_timer_is_left_when_the_last_message_is_gone(host: Host) -> None:
    channel = host.channel()
    channel.declare("q", message_ttl=1000)
    for _ in range(100):
        host.publish("q")
    host.vhost.delete_queue(host.vhost.queues["q"])
    assert host.clock.pending == 0


# --- queues ------------------------------------------------------------------------------------


def test_an_unused_queue_goes_away(host: Host) -> None:
    channel = host.channel()
    channel.declare("q", expires=1000)
    host.clock.turn(0.9)
    channel.get("q")
    host.clock.turn(0.9)
    assert "q" in host.vhost.queues
    host.clock.turn(0.1)
    assert "q" not in host.vhost.queues


def test_a_consumer_keeps_it_and_its_time_begins_when_that_goes(host: Host) -> None:
    channel = host.channel()
    channel.declare("q", expires=1000)
    channel.consume("q", "tag")
    host.clock.turn(10)
    channel.cancel("tag")
    host.clock.turn(0.9)
    assert "q" in host.vhost.queues
    host.clock.turn(0.1)
    assert "q" not in host.vhost.queues


# --- retries of quorum queues ------------------------------------------------------------------


def test_a_failure_waits_longer_each_time_up_to_a_maximum(newest: Host) -> None:
    channel = newest.channel()
    queue = channel.declare(
        "q", "quorum", delayed_retry_type="all", delayed_retry_min=1000, delayed_retry_max=2500
    )
    newest.publish("q")
    for wait in (1.0, 2.0, 2.5, 2.5):
        message = channel.get("q")
        assert message is not None
        channel.reject(message.tag)
        newest.clock.turn(wait - 0.001)
        assert queue.ready == 0
        newest.clock.turn(0.001)
        assert queue.ready == 1


def test_without_a_maximum_every_wait_is_the_shortest(newest: Host) -> None:
    channel = newest.channel()
    queue = channel.declare("q", "quorum", delayed_retry_type="all", delayed_retry_min=1000)
    newest.publish("q")
    for _ in range(3):
        message = channel.get("q")
        assert message is not None
        channel.reject(message.tag)
        newest.clock.turn(1)
        assert queue.ready == 1


def test_a_purge_takes_what_waits_for_its_retry(newest: Host) -> None:
    channel = newest.channel()
    queue = channel.declare("q", "quorum", delayed_retry_type="all", delayed_retry_min=1000)
    newest.publish("q")
    message = channel.get("q")
    assert message is not None
    channel.reject(message.tag)
    assert queue.purge() == 1
    newest.clock.turn(2)
    assert queue.ready == 0
    assert newest.memory.used == 0


def test_at_least_once_tries_again_until_there_is_a_queue(newest: Host) -> None:
    channel = newest.channel()
    channel.declare(
        "q", "quorum", **AWAY, dead_letter_strategy="at-least-once", overflow="reject-publish"
    )
    newest.publish("q", b"kept", expiration="1000")
    newest.clock.turn(10)
    assert newest.memory.used > 0
    channel.declare("dead")
    newest.clock.turn(200)
    assert newest.bodies("dead") == [b"kept"]


# --- deliveries --------------------------------------------------------------------------------


HOUR = 3600.0


def test_a_delivery_that_is_not_settled_in_time_costs_the_channel() -> None:
    host = Host("4.0")
    channel = host.channel(consumer_timeout=HOUR)
    channel.declare("q")
    host.publish("q")
    channel.consume("q", "tag")
    host.clock.turn(HOUR)
    assert channel.refusal is None
    host.clock.turn(HOUR / 30)
    assert channel.refusal is not None
    assert channel.refusal.text.endswith(
        "channel 1 timed out. Timeout value used: 3600000 ms. This timeout value can be "
        "configured, see consumers doc guide to learn more"
    )
    assert host.bodies("q") == [b"body"]


def test_a_delivery_is_not_taken_for_older_than_it_is() -> None:
    host = Host("4.0")
    channel = host.channel(consumer_timeout=HOUR)
    channel.declare("q")
    channel.consume("q", "tag")
    for _ in range(100):
        host.publish("q")
        host.clock.turn(HOUR * 0.9)
        (delivery,) = channel.taken()
        channel.ack(delivery.tag)
    assert channel.refusal is None


def test_each_delivery_has_the_timeout_of_its_queue() -> None:
    host = Host("4.0")
    channel = host.channel(consumer_timeout=HOUR)
    channel.declare("patient", consumer_timeout=3 * HOUR * 1000)
    channel.declare("q")
    for queue in ("patient", "q"):
        host.publish(queue)
        channel.consume(queue, queue)
    channel.ack(2)
    host.clock.turn(2 * HOUR)
    assert channel.refusal is None
    host.clock.turn(1.1 * HOUR)
    assert channel.refusal is not None
    assert "10800000 ms" in channel.refusal.text


def test_the_newest_release_cancels_the_consumer_and_goes_on(newest: Host) -> None:
    channel = newest.channel(consumer_timeout=HOUR)
    channel.declare("q", "quorum")
    newest.publish("q", b"late")
    channel.qos(1)
    channel.consume("q", "tag")
    newest.clock.turn(2 * HOUR)
    cancel = channel.wire.methods[-1]
    assert isinstance(cancel, Basic.Cancel)
    assert cancel.consumer_tag == "tag"
    (late,) = channel.taken()
    channel.ack(late.tag)
    assert channel.refusal is None
    assert newest.bodies("q") == [b"late"]
    channel.end()
    assert newest.bodies("q") == [b"late"]


def test_time_is_not_watched_while_nothing_can_time_out(newest: Host) -> None:
    channel = newest.channel(consumer_timeout=HOUR)
    channel.declare("q", "quorum")
    channel.consume("q", "tag")
    newest.publish("q")
    channel.cancel("tag")
    channel.ack(1)
    newest.clock.turn(HOUR)
    assert newest.clock.pending == 0


# --- streams -----------------------------------------------------------------------------------


def segments_of_ten(host: Host, **arguments: Any) -> Any:
    """Return a stream that begins a new segment after every ten messages of 100 bytes."""
    return host.channel().declare(
        "s", "stream", stream_max_segment_size_bytes=9 * (100 + OVERHEAD), **arguments
    )


def test_a_stream_forgets_segments_by_age(newest: Host) -> None:
    stream = segments_of_ten(newest, max_age="1h")
    for _ in range(20):
        newest.publish("s", bytes(100))
    newest.clock.turn(2 * HOUR)
    assert stream.ready == 20
    for _ in range(10):
        newest.publish("s", bytes(100))
    assert [entry.position for entry in stream.entries()] == list(range(20, 30))
    assert newest.memory.used == 10 * (100 + OVERHEAD)


def test_a_stream_forgets_segments_by_size(newest: Host) -> None:
    stream = segments_of_ten(newest, max_length_bytes=20 * (100 + OVERHEAD))
    for _ in range(45):
        newest.publish("s", bytes(100))
    assert [entry.position for entry in stream.entries()] == list(range(20, 45))


def test_a_reader_that_is_overtaken_goes_on_with_what_there_is(newest: Host) -> None:
    segments_of_ten(newest, max_age="1h")
    channel = newest.channel()
    channel.qos(1)
    channel.consume("s", "tag", stream_offset="first")
    for _ in range(10):
        newest.publish("s", bytes(100))
    newest.clock.turn(2 * HOUR)
    for _ in range(10):
        newest.publish("s", bytes(100))
    (first,) = channel.taken()
    channel.ack(first.tag)
    (second,) = channel.taken()
    offsets = [each.headers["x-stream-offset"] for each in (first, second)]
    assert offsets == [0, 10]


@pytest.mark.parametrize("offset, expected", [("90m", 0), ("70m", 1), ("21m", 1), ("19m", None)])
def test_an_age_is_where_reading_begins(newest: Host, offset: str, expected: int | None) -> None:
    channel = newest.channel()
    channel.declare("s", "stream")
    newest.publish("s")
    newest.clock.turn(HOUR)
    newest.publish("s")
    newest.clock.turn(1200)
    channel.qos(1)
    channel.consume("s", "tag", stream_offset=offset)
    found = [each.headers["x-stream-offset"] for each in channel.taken()]
    assert found == ([] if expected is None else [expected])
