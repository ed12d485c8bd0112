"""py-amqp, which blocks: it publishes, and drains events when there is something to wait for."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import amqp
from measuring import (
    CALLS_AT_ONCE,
    REPLY_TO,
    Deliveries,
    Measurement,
    Options,
    print_report,
    unsupported,
)

PY_AMQP_NAMES = {"headers": "application_headers"}
"""Properties that py-amqp calls otherwise."""


class PyAmqp:
    """The scenarios on one channel."""

    def __init__(self, options: Options, connection: amqp.Connection) -> None:
        self.options = options
        self.connection = connection
        self.measurement = Measurement()
        self.channel: Any = connection.channel()
        self.properties = {
            PY_AMQP_NAMES.get(name, name): value for name, value in options.properties.items()
        }
        if "timestamp" in self.properties:
            self.properties["timestamp"] = int(self.properties["timestamp"].timestamp())
        self.published = 0
        self.unconfirmed: dict[int, None] = {}
        self.calls: dict[str, float] = {}

    def run(self) -> None:
        self.channel.queue_declare(self.options.queue, **self.options.queue_options)
        match self.options.scenario:
            case "publish":
                self.measure(self.publish)
            case "confirm-each":
                self.measure(self.confirm_each)
            case "confirm-window":
                self.channel.confirm_select()
                self.channel.events["basic_ack"].add(self.on_confirm)
                self.measure(self.confirm_window)
            case "consume":
                self.consume(no_ack=True)
            case "consume-ack":
                self.channel.basic_qos(0, self.options.prefetch, False)
                self.consume(no_ack=False)
            case "rpc-each" | "rpc-many" as scenario:
                self.channel.basic_consume(REPLY_TO, no_ack=True, callback=self.on_answer)
                at_once = 1 if scenario == "rpc-each" else CALLS_AT_ONCE
                self.measure(lambda count: self.call(count, at_once))
            case other:
                unsupported(f"no scenario {other}")
        print_report(self.measurement, "amqp")

    def measure(self, work: Callable[[int], None]) -> None:
        work(self.options.warm_up)
        self.measurement.start()
        work(self.options.count)
        self.measurement.stop(self.options.count)

    def publish_one(self) -> None:
        message = amqp.Message(self.options.body, **self.properties)
        self.channel.basic_publish(message, routing_key=self.options.queue)

    def publish(self, count: int) -> None:
        for _ in range(count):
            self.publish_one()
        self.channel.queue_declare(self.options.queue, passive=True)

    def confirm_each(self, count: int) -> None:
        for _ in range(count):
            begun = time.perf_counter()
            self.publish_one()
            self.measurement.waits.append(time.perf_counter() - begun)

    def confirm_window(self, count: int) -> None:
        for _ in range(count):
            self.published += 1
            self.unconfirmed[self.published] = None
            self.publish_one()
            while len(self.unconfirmed) >= self.options.window:
                self.connection.drain_events()
        while self.unconfirmed:
            self.connection.drain_events()

    def on_confirm(self, delivery_tag: int, multiple: bool) -> None:
        del self.unconfirmed[delivery_tag]
        if multiple:
            while self.unconfirmed and (first := next(iter(self.unconfirmed))) < delivery_tag:
                del self.unconfirmed[first]

    def consume(self, *, no_ack: bool) -> None:
        ended = False

        def end() -> None:
            nonlocal ended
            ended = True

        deliveries = Deliveries(self.options, self.measurement, end)

        def on_message(message: amqp.Message) -> None:
            if ended:
                return  # it comes while the connection closes
            if not no_ack:
                message.channel.basic_ack(message.delivery_tag)
            deliveries.add()

        self.channel.basic_consume(
            self.options.queue,
            no_ack=no_ack,
            callback=on_message,
            arguments=self.options.consume_arguments,
        )
        while not ended:
            self.connection.drain_events()

    def call(self, count: int, at_once: int) -> None:
        for number in range(count):
            self.calls[str(number)] = time.perf_counter()
            message = amqp.Message(self.options.body, correlation_id=str(number), reply_to=REPLY_TO)
            self.channel.basic_publish(message, routing_key=self.options.queue)
            while len(self.calls) >= at_once:
                self.connection.drain_events()
        while self.calls:
            self.connection.drain_events()

    def on_answer(self, message: amqp.Message) -> None:
        begun = self.calls.pop(message.properties["correlation_id"])
        self.measurement.waits.append(time.perf_counter() - begun)


def main() -> None:
    options = Options.parse()
    address = urlsplit(options.url)
    with amqp.Connection(
        f"{address.hostname}:{address.port}",
        address.username,
        address.password,
        confirm_publish=options.scenario == "confirm-each",
    ) as connection:
        PyAmqp(options, connection).run()


if __name__ == "__main__":
    main()
