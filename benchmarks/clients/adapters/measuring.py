"""What the adapters in Python share: their options, the clock, and the line they print."""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

REPLY_TO = "amq.rabbitmq.reply-to"
CALLS_AT_ONCE = 100
"""Calls of rpc-many that wait for their answer."""

WARM_UP = 0.02
"""Share of the messages that pass before the clock starts."""

THREE: dict[str, Any] = {
    "delivery_mode": 2,
    "content_type": "application/json",
    "message_id": "1f0c9e3a77b1",
}
TEN: dict[str, Any] = THREE | {
    "correlation_id": "9a1d2f7c",
    "reply_to": "answers",
    "timestamp": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "type": "order.created",
    "app_id": "shop",
    "priority": 5,
    "headers": {
        "attempt": 3,
        "first-seen": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "replayed": False,
        "source": "checkout",
        "trace-id": "4bf92f3577b34da6a3ce929d0e0e4736",
    },
}
PROPERTIES: dict[str, dict[str, Any]] = {"none": {}, "three": THREE, "ten": TEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What one run is asked to do."""

    scenario: str
    url: str
    count: int
    body: bytes
    properties: Mapping[str, Any]
    window: int
    prefetch: int
    queue: str
    queue_type: str | None
    loop: str

    @classmethod
    def parse(cls) -> "Options":
        """Read the command line; options of other clients are ignored."""
        parser = argparse.ArgumentParser(allow_abbrev=False)
        parser.add_argument("scenario")
        parser.add_argument("--url", default="amqp://guest:guest@127.0.0.1:5672/")
        parser.add_argument("--count", type=int, default=10_000)
        parser.add_argument("--body", type=int, default=100)
        parser.add_argument("--properties", choices=PROPERTIES, default="none")
        parser.add_argument("--window", type=int, default=100)
        parser.add_argument("--prefetch", type=int, default=100)
        parser.add_argument("--queue", default="bench")
        parser.add_argument("--queue-type", choices=("classic", "quorum", "stream"))
        parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
        given, _ = parser.parse_known_args()
        return cls(
            scenario=given.scenario,
            url=given.url,
            count=given.count,
            body=b"x" * given.body,
            properties=MappingProxyType(PROPERTIES[given.properties]),
            window=given.window,
            prefetch=given.prefetch,
            queue=given.queue,
            queue_type=given.queue_type,
            loop=given.loop,
        )

    @property
    def warm_up(self) -> int:
        """Messages before the clock starts."""
        return max(1, int(self.count * WARM_UP))

    @property
    def queue_options(self) -> dict[str, Any]:
        """How the queue is declared: one of a named type outlives the broker."""
        if self.queue_type is None:
            return {"durable": False, "auto_delete": False}
        return {
            "durable": True,
            "auto_delete": False,
            "arguments": {"x-queue-type": self.queue_type},
        }

    @property
    def consume_arguments(self) -> dict[str, Any]:
        """Arguments of the consumer: a stream is read from its beginning."""
        return {"x-stream-offset": "first"} if self.queue_type == "stream" else {}

    def batches(self, count: int, size: int) -> Iterator[int]:
        """Yield the sizes of batches that make `count` together."""
        for done in range(0, count, size):
            yield min(size, count - done)


@dataclass(slots=True)
class Measurement:
    """Time and CPU of what happens between `start` and `stop`, and how long single waits took."""

    count: int = 0
    waits: list[float] = field(default_factory=list)
    _wall: float = 0.0
    _cpu: float = 0.0

    def start(self) -> None:
        """Begin; what was measured before is forgotten."""
        self.waits.clear()
        self._cpu = _cpu_seconds()
        self._wall = time.perf_counter()

    def stop(self, count: int) -> None:
        """End, after `count` messages."""
        self._wall = time.perf_counter() - self._wall
        self._cpu = _cpu_seconds() - self._cpu
        self.count = count

    def report(self, client: str) -> dict[str, Any]:
        """Return what the adapter prints about the run."""
        waits = sorted(self.waits)
        return {
            "count": self.count,
            "wall": self._wall,
            "cpu": self._cpu,
            "rss": peak_rss(),
            "p50": _percentile(waits, 0.50),
            "p99": _percentile(waits, 0.99),
            "client": client,
            "version": metadata.version(client),
        }


class Deliveries:
    """Counts deliveries, starts the clock after those of the warm-up and stops it at the last."""

    def __init__(self, options: Options, measurement: Measurement, done: Callable[[], Any]) -> None:
        """Call `done` at the last delivery; what comes behind it is not looked at."""
        self._left = options.count
        self._measured = options.count - options.warm_up
        self._measurement = measurement
        self._done = done

    def add(self) -> None:
        """One more was delivered."""
        self._left -= 1
        if self._left == self._measured:
            self._measurement.start()
        elif self._left == 0:
            self._measurement.stop(self._measured)
            self._done()


def peak_rss() -> int:
    """Return the peak of the resident memory in KiB; getrusage would count the parent's too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _percentile(waits: list[float], share: float) -> float | None:
    """Return a percentile of what was waited for, in microseconds."""
    return waits[int(len(waits) * share)] * 1e6 if waits else None


def unsupported(reason: str) -> None:
    """Say that the client cannot do the scenario, and end."""
    print(json.dumps({"unsupported": reason}))
    sys.exit(0)


def print_report(measurement: Measurement, client: str) -> None:
    """Print the line that the harness reads."""
    print(json.dumps(measurement.report(client)), flush=True)
