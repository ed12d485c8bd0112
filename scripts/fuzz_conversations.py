"""Conversations with a broker for fuzzing: what clients say, in an order that makes sense or not."""

import random
from typing import Any  # arguments of methods are of every type

from fuzz_frames import Generator, Mutator
from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Confirm, Connection, Exchange, Queue, Tx

from hopmq.core.sasl import Credentials, initial_response
from hopmq.wire import PURE, Properties, new_method

FRAME_MAX = 131_072
HEADER = PURE.PROTOCOL_HEADER
QUEUES = ("", "q0", "q1", "q2", "amq.rabbitmq.reply-to", "amq.gen-x", "no such queue")
EXCHANGES = ("", "amq.direct", "amq.fanout", "amq.topic", "amq.headers", "x0", "x1", "no such one")
TYPES = ("direct", "fanout", "topic", "headers", "x-consistent-hash", "x-random", "unknown")
KEYS = ("", "q0", "q1", "a.b", "a.*.#", "#.#", "1", "amq.rabbitmq.reply-to.guess")
ARGUMENTS: tuple[tuple[str, Any], ...] = (
    ("x-message-ttl", 0),
    ("x-message-ttl", 5),
    ("x-message-ttl", "no number"),
    ("x-expires", 50),
    ("x-expires", 0),
    ("x-max-length", 2),
    ("x-max-length", -1),
    ("x-max-length-bytes", 100),
    ("x-overflow", "reject-publish"),
    ("x-overflow", "drop-head"),
    ("x-dead-letter-exchange", ""),
    ("x-dead-letter-exchange", "x0"),
    ("x-dead-letter-routing-key", "q1"),
    ("x-max-priority", 3),
    ("x-single-active-consumer", True),
    ("x-queue-type", "quorum"),
    ("x-queue-type", "stream"),
    ("x-queue-type", "none of these"),
    ("x-delivery-limit", 1),
    ("x-stream-offset", "first"),
    ("x-match", "any-with-x"),
    ("x-priority", 5),
    ("alternate-exchange", "x1"),
)


class Talker:
    """Says what clients say."""

    def __init__(self, rng: random.Random) -> None:
        """Draw everything from `rng`."""
        self.rng = rng
        self.generator = Generator(rng)
        self.mutator = Mutator(rng)

    def conversation(self, *, authenticated: bool) -> list[bytes]:
        """Return pieces to send, some of them altered; the handshake is whole if `authenticated`.

        What is altered before the login is the handshake itself, or what comes instead of it.
        """
        opening = [HEADER, *self.handshake()]
        if not authenticated:
            return self.spoilt(opening + self.talk(self.rng.randrange(3)))
        channels = [encode(number, new_method(Channel.Open)) for number in (1, 2)]
        return opening + self.spoilt(channels + self.talk(self.rng.randrange(1, 25)))

    def handshake(self) -> list[bytes]:
        """Return the frames that open a connection."""
        login = initial_response("PLAIN", Credentials("guest", "guest"))
        start = new_method(
            Connection.StartOk,
            client_properties={"capabilities": {"consumer_cancel_notify": True}},
            mechanism="PLAIN",
            response=login,
            locale="en_US",
        )
        tune = new_method(Connection.TuneOk, channel_max=10, frame_max=FRAME_MAX, heartbeat=0)
        opened = new_method(Connection.Open, virtual_host="/")
        return [encode(0, method) for method in (start, tune, opened)]

    def talk(self, count: int) -> list[bytes]:
        """Return the frames of some requests and messages."""
        frames: list[bytes] = []
        for _ in range(count):
            # Channel 3 was never opened: what uses it ends the connection.
            channel = self.rng.choices((1, 2, 3), (60, 39, 1))[0]
            if self.rng.random() < 0.1:
                frames += self.generator.group(channel)
            elif self.rng.random() < 0.5:
                frames += self.message(channel)
            else:
                frames.append(encode(channel, self.request()))
        return frames

    def spoilt(self, pieces: list[bytes]) -> list[bytes]:
        """Return the pieces with some of them altered, lost, doubled or out of place."""
        rng = self.rng
        spoilt = list(pieces)
        for _ in range(rng.choice((0, 1, 1, 2, 4))):
            if not spoilt:
                break
            at = rng.randrange(len(spoilt))
            way = rng.randrange(6)
            if way <= 2:
                spoilt[at] = self.mutator.mutate(spoilt[at])
            elif way == 3:
                del spoilt[at]
            elif way == 4:
                spoilt.insert(at, spoilt[at])
            else:
                spoilt.insert(rng.randrange(len(spoilt)), spoilt.pop(at))
        if spoilt and rng.random() < 0.2:
            spoilt[-1] = spoilt[-1][: rng.randrange(len(spoilt[-1]) + 1)]
        return spoilt

    # --- what makes sense --------------------------------------------------------------------

    def message(self, channel: int) -> list[bytes]:
        """Return a publish."""
        rng = self.rng
        properties = Properties(
            delivery_mode=rng.choice((None, 1, 2)),
            priority=rng.choice((None, 0, 3, 255)),
            expiration=rng.choice((None, None, "0", "5", "x", "99999999999")),
            reply_to=rng.choice((None, None, "amq.rabbitmq.reply-to")),
            user_id=rng.choice((None, None, "guest", "other")),
            headers=rng.choice(
                (None, {"CC": ["q1"]}, {"BCC": ["q0"]}, {"CC": 1}, self.generator.table())
            ),
        )
        out: list[bytes | memoryview] = []
        PURE.append_publish(
            out,
            channel,
            rng.choice(EXCHANGES),
            rng.choice(KEYS),
            rng.random() < 0.3,
            properties,
            rng.randbytes(rng.choice((0, 1, 100, 5000))),
            4096,
        )
        return [bytes(piece) for piece in out]

    def request(self) -> Frame:
        """Return a method that a client may send, with arguments that a client might give."""
        rng = self.rng
        kinds = (self.of_queue, self.of_exchange, self.of_basic, self.of_channel)
        return rng.choice(kinds)()

    def arguments(self) -> dict[str, Any]:
        """Return arguments of a declaration, a binding or a consumer."""
        return dict(self.rng.sample(ARGUMENTS, self.rng.choice((0, 0, 1, 1, 2, 4))))

    def flag(self) -> bool:
        """Return a flag, mostly off."""
        return self.rng.random() < 0.25

    def of_queue(self) -> Frame:
        """Return a method of class queue."""
        rng, queue = self.rng, self.rng.choice(QUEUES)
        exchange, key = rng.choice(EXCHANGES), rng.choice(KEYS)
        match rng.randrange(6):
            case 0 | 1:
                return new_method(
                    Queue.Declare,
                    queue=queue,
                    passive=self.flag(),
                    durable=self.flag(),
                    exclusive=self.flag(),
                    auto_delete=self.flag(),
                    nowait=self.flag(),
                    arguments=self.arguments(),
                )
            case 2:
                return new_method(
                    Queue.Bind,
                    queue=queue,
                    exchange=exchange,
                    routing_key=key,
                    arguments=self.arguments(),
                )
            case 3:
                return new_method(Queue.Unbind, queue=queue, exchange=exchange, routing_key=key)
            case 4:
                return new_method(Queue.Purge, queue=queue)
            case _:
                return new_method(Queue.Delete, queue=queue, if_unused=self.flag())

    def of_exchange(self) -> Frame:
        """Return a method of class exchange."""
        rng, name, other = self.rng, self.rng.choice(EXCHANGES), self.rng.choice(EXCHANGES)
        match rng.randrange(4):
            case 0 | 1:
                return new_method(
                    Exchange.Declare,
                    exchange=name,
                    exchange_type=rng.choice(TYPES),
                    passive=self.flag(),
                    auto_delete=self.flag(),
                    internal=self.flag(),
                    arguments=self.arguments(),
                )
            case 2:
                key = rng.choice(KEYS)
                return new_method(Exchange.Bind, source=name, destination=other, routing_key=key)
            case _:
                return new_method(Exchange.Delete, exchange=name, if_unused=self.flag())

    def of_basic(self) -> Frame:
        """Return a method of class basic that carries no message."""
        rng, queue, tag = self.rng, self.rng.choice(QUEUES), self.rng.choice((0, 1, 2, 3, 2**63))
        match rng.randrange(9):
            case 0 | 1:
                return new_method(
                    Basic.Consume,
                    queue=queue,
                    consumer_tag=rng.choice(("", "c0", "c1")),
                    no_ack=self.flag(),
                    exclusive=self.flag(),
                    nowait=self.flag(),
                    arguments=self.arguments(),
                )
            case 2:
                return new_method(Basic.Cancel, consumer_tag=rng.choice(("c0", "c1")))
            case 3:
                return new_method(Basic.Get, queue=queue, no_ack=self.flag())
            case 4:
                return new_method(Basic.Ack, delivery_tag=tag, multiple=self.flag())
            case 5:
                return new_method(
                    Basic.Nack, delivery_tag=tag, multiple=self.flag(), requeue=not self.flag()
                )
            case 6:
                return new_method(Basic.Reject, delivery_tag=tag, requeue=not self.flag())
            case 7:
                return new_method(Basic.Recover, requeue=not self.flag())
            case _:
                count = rng.choice((0, 1, 10))
                return new_method(Basic.Qos, prefetch_count=count, global_=self.flag())

    def of_channel(self) -> Frame:
        """Return a method about a channel's life, its confirms or its transactions."""
        kinds = (Confirm.Select, Confirm.Select, Tx.Select, Tx.Commit, Tx.Rollback)
        if self.rng.random() < 0.05:
            return new_method(self.rng.choice((Channel.Open, Channel.CloseOk)))
        if self.flag():
            return new_method(Channel.Close, reply_code=200)
        return new_method(self.rng.choice(kinds))


def encode(channel: int, method: Frame) -> bytes:
    """Return a method's frame."""
    return PURE.encode_method(channel, method, FRAME_MAX)
