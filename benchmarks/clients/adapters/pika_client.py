"""pika's asyncio adapter, in its callback style: its way to keep many messages on the way at once."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pika
from measuring import (
    CALLS_AT_ONCE,
    REPLY_TO,
    Deliveries,
    Measurement,
    Options,
    print_report,
    unsupported,
)
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.spec import Basic, BasicProperties

SLICE = 128 * 1024
"""Bytes that are published before the event loop may write them out."""

OVERHEAD = 64
"""Bytes of a message beside its body, roughly."""

Method = pika.frame.Method[Any]


class Pika:
    """Scenarios as chains of callbacks on one channel."""

    def __init__(self, options: Options, loop: asyncio.AbstractEventLoop) -> None:
        self.options = options
        self.loop = loop
        self.measurement = Measurement()
        self.channel: Any = None
        values = dict(options.properties)
        if "timestamp" in values:
            values["timestamp"] = int(values["timestamp"].timestamp())
        self.properties = BasicProperties(**values) if values else None
        self.measuring = False
        self.window = {"confirm-each": 1, "rpc-each": 1, "rpc-many": CALLS_AT_ONCE}.get(
            options.scenario, options.window
        )
        self.left = options.warm_up
        """Messages of the warm-up, and later of the measurement, that were not published yet."""
        self.published = 0
        self.unconfirmed: dict[int, float] = {}
        """Delivery tags in their order, with the time of their publish where it counts."""
        self.calls: dict[int, float] = {}
        """Calls that were not answered yet, with the time when they began."""

    # --- setting up --------------------------------------------------------------------------

    def start(self) -> None:
        self.connection = AsyncioConnection(
            pika.URLParameters(self.options.url),
            on_open_callback=lambda connection: connection.channel(
                on_open_callback=self.on_channel
            ),
            on_open_error_callback=self.on_end,
            on_close_callback=self.on_end,
            custom_ioloop=self.loop,
        )

    def on_end(self, connection: object, reason: BaseException) -> None:
        if not isinstance(reason, pika.exceptions.ConnectionClosedByClient):
            print(repr(reason))
        self.loop.stop()

    def on_channel(self, channel: Any) -> None:
        self.channel = channel
        channel.queue_declare(
            self.options.queue, **self.options.queue_options, callback=self.on_declared
        )

    def on_declared(self, declared: Method) -> None:
        match self.options.scenario:
            case "publish":
                self.publish_slice()
            case "confirm-each" | "confirm-window":
                self.channel.confirm_delivery(
                    self.on_confirm, callback=lambda _: self.fill_window()
                )
            case "consume":
                self.consume(auto_ack=True)
            case "consume-ack":
                self.channel.basic_qos(
                    prefetch_count=self.options.prefetch,
                    callback=lambda _: self.consume(auto_ack=False),
                )
            case "rpc-each" | "rpc-many":
                self.channel.basic_consume(
                    REPLY_TO, self.on_answer, auto_ack=True, callback=lambda _: self.call()
                )
            case other:
                unsupported(f"no scenario {other}")

    def passed(self, proceed: Callable[[], None]) -> None:
        """Go on with the measurement behind the warm-up, and end behind the measurement."""
        if not self.measuring:
            self.measuring = True
            self.left = self.options.count
            self.measurement.start()
            proceed()
        else:
            self.measurement.stop(self.options.count)
            self.finish()

    def finish(self) -> None:
        print_report(self.measurement, "pika")
        self.connection.close()

    # --- scenarios ---------------------------------------------------------------------------

    def publish(self) -> None:
        self.channel.basic_publish("", self.options.queue, self.options.body, self.properties)

    def publish_slice(self) -> None:
        size = min(SLICE // (len(self.options.body) + OVERHEAD) + 1, self.left)
        for _ in range(size):
            self.publish()
        self.left -= size
        if self.left:
            self.loop.call_soon(self.publish_slice)
        else:
            self.channel.queue_declare(
                self.options.queue,
                passive=True,
                callback=lambda _: self.passed(self.publish_slice),
            )

    def fill_window(self) -> None:
        size = min(self.window - len(self.unconfirmed), self.left)
        for _ in range(size):
            self.published += 1
            self.unconfirmed[self.published] = time.perf_counter() if self.window == 1 else 0.0
            self.publish()
        self.left -= size

    def on_confirm(self, confirm: Method) -> None:
        tag = confirm.method.delivery_tag
        begun = self.unconfirmed.pop(tag)
        if confirm.method.multiple:
            while self.unconfirmed and (first := next(iter(self.unconfirmed))) < tag:
                del self.unconfirmed[first]
        if self.window == 1:
            self.measurement.waits.append(time.perf_counter() - begun)
        if self.left:
            self.fill_window()
        elif not self.unconfirmed:
            self.passed(self.fill_window)

    def consume(self, *, auto_ack: bool) -> None:
        deliveries = Deliveries(self.options, self.measurement, self.finish)

        def on_message(
            channel: Any, method: Basic.Deliver, properties: BasicProperties, body: bytes
        ) -> None:
            if not auto_ack:
                channel.basic_ack(method.delivery_tag)
            deliveries.add()

        self.channel.basic_consume(
            self.options.queue,
            on_message,
            auto_ack=auto_ack,
            arguments=self.options.consume_arguments,
        )

    def call(self) -> None:
        size = min(self.window - len(self.calls), self.left)
        for _ in range(size):
            self.published += 1
            self.calls[self.published] = time.perf_counter()
            properties = BasicProperties(correlation_id=str(self.published), reply_to=REPLY_TO)
            self.channel.basic_publish("", self.options.queue, self.options.body, properties)
        self.left -= size

    def on_answer(
        self, channel: Any, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        begun = self.calls.pop(int(properties.correlation_id))
        self.measurement.waits.append(time.perf_counter() - begun)
        if self.left:
            self.call()
        elif not self.calls:
            self.passed(self.call)


def new_loop(name: str) -> asyncio.AbstractEventLoop:
    if name == "uvloop":
        import uvloop  # an optional package

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


if __name__ == "__main__":
    options = Options.parse()
    loop = new_loop(options.loop)
    Pika(options, loop).start()
    loop.run_forever()
