"""pika, the blocking client, on every broker."""

import time
from collections.abc import Iterator
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import (
    AMQPConnectionError,
    ChannelClosedByBroker,
    NackError,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
    UnroutableError,
)

PATIENCE = 10.0
SHORT = 0.01
PERSISTENT = pika.BasicProperties(delivery_mode=2)


def connect(url: str, **changes: Any) -> BlockingConnection:  # Any: parameters of pika's
    parameters = pika.URLParameters(url)
    parameters.socket_timeout = parameters.blocked_connection_timeout = PATIENCE
    for name, value in changes.items():
        setattr(parameters, name, value)
    return BlockingConnection(parameters)


@pytest.fixture
def connection(amqp_url: str) -> Iterator[BlockingConnection]:
    """Return an open connection."""
    opened = connect(amqp_url)
    yield opened
    if opened.is_open:
        opened.close()


@pytest.fixture
def channel(connection: BlockingConnection) -> BlockingChannel:
    """Return an open channel with confirms."""
    opened = connection.channel()
    opened.confirm_delivery()
    return opened


@pytest.fixture
def queue(connection: BlockingConnection, name: str) -> Iterator[str]:
    """Return the name of an empty durable queue."""
    channel = connection.channel()
    channel.queue_declare(name, durable=True)
    yield name
    other = connection.channel()
    other.queue_delete(name)
    other.close()


def bodies(channel: BlockingChannel, queue: str) -> list[bytes]:
    """Take everything that is ready."""
    found = []
    while True:
        method, _, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            return found
        found.append(body)


def eventually(channel: BlockingChannel, queue: str) -> tuple[Any, Any, bytes]:
    """Return the next message of a queue, once there is one."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        if method is not None:
            return method, properties, body
        channel.connection.process_data_events(SHORT)
    pytest.fail(f"nothing came to {queue}")


def test_confirmed_messages_arrive_in_order(channel: BlockingChannel, queue: str) -> None:
    for number in range(50):
        channel.basic_publish("", queue, b"%d" % number, PERSISTENT)
    assert bodies(channel, queue) == [b"%d" % number for number in range(50)]


def test_a_mandatory_message_without_a_queue_comes_back(channel: BlockingChannel) -> None:
    with pytest.raises(UnroutableError) as caught:
        channel.basic_publish("", "no such queue", b"body", mandatory=True)
    returned = caught.value.messages[0]
    assert (returned.method.reply_code, returned.method.reply_text) == (312, "NO_ROUTE")
    assert returned.body == b"body"


def test_a_full_queue_nacks(channel: BlockingChannel, name: str) -> None:
    arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}
    channel.queue_declare(name, exclusive=True, arguments=arguments)
    channel.basic_publish("", name, b"fits")
    with pytest.raises(NackError):
        channel.basic_publish("", name, b"does not")


def test_consumed_messages_are_acknowledged_and_requeued(
    channel: BlockingChannel, queue: str
) -> None:
    for body in (b"one", b"two", b"three"):
        channel.basic_publish("", queue, body)
    channel.basic_qos(prefetch_count=2)
    seen: list[tuple[bytes, bool]] = []
    for method, _, body in channel.consume(queue, inactivity_timeout=PATIENCE):
        assert method is not None, seen
        seen.append((body, method.redelivered))
        if body == b"two" and not method.redelivered:
            channel.basic_nack(method.delivery_tag, requeue=True)
        else:
            channel.basic_ack(method.delivery_tag)
        if len(seen) == 4:
            break
    channel.cancel()
    assert seen.count((b"two", False)) == seen.count((b"two", True)) == 1
    assert {body for body, _ in seen} == {b"one", b"two", b"three"}
    assert bodies(channel, queue) == []


def test_rejected_messages_go_to_the_dead_letter_exchange(
    channel: BlockingChannel, name: str
) -> None:
    dead = f"{name}-dead"
    channel.queue_declare(dead, exclusive=True)
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    channel.queue_declare(name, exclusive=True, arguments=arguments)
    channel.basic_publish("", name, b"refused")
    method, _, _ = channel.basic_get(name)
    channel.basic_reject(method.delivery_tag, requeue=False)
    method, properties, body = eventually(channel, dead)
    assert body == b"refused"
    death = properties.headers["x-death"][0]
    assert (death["reason"], death["queue"], death["count"]) == ("rejected", name, 1)
    assert method.routing_key == dead


def test_expired_messages_go_there_too(channel: BlockingChannel, name: str) -> None:
    dead = f"{name}-dead"
    channel.queue_declare(dead, exclusive=True)
    channel.exchange_declare(name, "fanout", auto_delete=True)
    channel.queue_bind(dead, name)
    arguments = {"x-dead-letter-exchange": name, "x-message-ttl": 20}
    channel.queue_declare(f"{name}-short", exclusive=True, arguments=arguments)
    channel.basic_publish("", f"{name}-short", b"late")
    _, properties, body = eventually(channel, dead)
    assert body == b"late"
    assert properties.headers["x-first-death-reason"] == "expired"


def test_a_refused_declare_closes_the_channel_alone(
    connection: BlockingConnection, queue: str
) -> None:
    with pytest.raises(ChannelClosedByBroker) as caught:
        connection.channel().queue_declare(queue, durable=False)
    assert caught.value.reply_code == 406
    assert "inequivalent arg 'durable'" in caught.value.reply_text
    with pytest.raises(ChannelClosedByBroker, match="no queue"):
        connection.channel().queue_declare("no such queue", passive=True)
    assert connection.channel().queue_declare(queue, passive=True).method.message_count == 0


def test_exchanges_of_all_types_route(channel: BlockingChannel, name: str) -> None:
    cases = [
        ("direct", "key", None, "key", None),
        ("fanout", "", None, "anything", None),
        ("topic", "a.*.#", None, "a.b.c.d", None),
        ("headers", "", {"x-match": "any", "n": 1, "s": "x"}, "", {"s": "x"}),
    ]
    for kind, binding_key, arguments, key, headers in cases:
        exchange, queue = f"{name}-{kind}", f"{name}-{kind}-queue"
        channel.exchange_declare(exchange, kind, auto_delete=True)
        channel.queue_declare(queue, exclusive=True)
        channel.queue_bind(queue, exchange, binding_key, arguments)
        channel.basic_publish(exchange, key, b"in", pika.BasicProperties(headers=headers))
        assert bodies(channel, queue) == [b"in"], kind
        channel.queue_unbind(queue, exchange, binding_key, arguments)


def test_a_transaction_is_committed_or_rolled_back(
    connection: BlockingConnection, queue: str
) -> None:
    channel = connection.channel()
    channel.tx_select()
    channel.basic_publish("", queue, b"undone")
    channel.tx_rollback()
    channel.basic_publish("", queue, b"done")
    assert bodies(channel, queue) == []
    channel.tx_commit()
    assert bodies(channel, queue) == [b"done"]


def test_replies_come_without_a_queue(connection: BlockingConnection, queue: str) -> None:
    caller, answerer = connection.channel(), connection.channel()
    answers: list[bytes] = []

    def take(_channel: object, _method: object, _properties: object, body: bytes) -> None:
        answers.append(body)

    caller.basic_consume("amq.rabbitmq.reply-to", take, auto_ack=True)
    caller.basic_publish(
        "", queue, b"question", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to")
    )
    _, properties, _ = eventually(answerer, queue)
    assert properties.reply_to.startswith("amq.rabbitmq.reply-to.")
    answerer.basic_publish("", properties.reply_to, b"answer")
    connection.process_data_events(PATIENCE)
    assert answers == [b"answer"]


def test_a_cancelled_consumer_is_told(connection: BlockingConnection, name: str) -> None:
    channel, other = connection.channel(), connection.channel()
    channel.queue_declare(name)
    told: list[object] = []
    channel.add_on_cancel_callback(told.append)
    channel.basic_consume(name, lambda *_: None)
    other.queue_delete(name)
    connection.process_data_events(PATIENCE)
    assert len(told) == 1


def test_a_wrong_password_and_a_missing_vhost_are_refused(amqp_url: str) -> None:
    with pytest.raises(ProbableAuthenticationError):
        connect(amqp_url, credentials=pika.PlainCredentials("guest", "wrong"))
    with pytest.raises((ProbableAccessDeniedError, AMQPConnectionError)):
        connect(amqp_url, virtual_host="no such vhost")


def test_a_dropped_client_loses_nothing_that_it_had_not_settled(
    amqp_url: str, channel: BlockingChannel, queue: str
) -> None:
    channel.basic_publish("", queue, b"unsettled", PERSISTENT)
    with connect(amqp_url) as dropped:
        method, _, body = dropped.channel().basic_get(queue)
        assert (method.redelivered, body) == (False, b"unsettled")
    method, _, body = eventually(channel, queue)
    assert (method.redelivered, body) == (True, b"unsettled")
