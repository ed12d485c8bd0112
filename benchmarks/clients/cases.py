"""One run of one adapter: what is asked of it, and what it answers."""

import json
import os
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cores import pinned
from description import Client

SYNTHETIC = "synthetic peer"
CALIBRATION = 1000
"""Messages of the run that finds out how many take the time wanted."""
CALIBRATED_BYTES = 50 * 2**20
MOST = 3_000_000
TIMEOUT = 300.0


@dataclass(frozen=True, slots=True)
class Case:
    """One cell of a table: what is measured again in every round.

    Attributes:
        client: Whom.
        scenario: What it does, `SCENARIO` or `SCENARIO:VARIANT`.
        body: Bytes of a body.
        properties: Which set of properties.
        loop: On which event loop; empty where there is no choice.
        python: Version of an interpreter other than ours; empty for ours.
        interpreter: The program that stands for it; empty for ours.
        target: What it talks to, as tables name it.
        queue_type: The type of the queue; None for a plain transient one.
    """

    client: Client
    scenario: str
    body: int
    properties: str
    loop: str
    python: str
    interpreter: str
    target: str
    queue_type: str | None

    @property
    def queue(self) -> str:
        """The queue, by a name that tells the synthetic peer what to deliver."""
        kind = f"-{self.queue_type}" if self.queue_type else ""
        return f"bench-{self.body}-{self.properties}{kind}"

    def words(self, url: str, count: int, window: int, prefetch: int) -> list[str]:
        """Spell the command."""
        words = list(self.client.command)
        if self.interpreter:
            words[0] = self.interpreter
        words += [self.scenario, "--url", url, "--count", str(count)]
        words += ["--body", str(self.body), "--properties", self.properties]
        words += ["--window", str(window), "--prefetch", str(prefetch)]
        # The synthetic peer is told when to stop: what a client reads beyond would be counted.
        words += ["--queue", f"{self.queue}-{count}" if self.target == SYNTHETIC else self.queue]
        if self.loop:
            words += ["--loop", self.loop]
        if self.queue_type:
            words += ["--queue-type", self.queue_type]
        return words

    def environment(self) -> dict[str, str]:
        """Return what the adapter's environment is."""
        environment = {**os.environ, **self.client.environment}
        if self.interpreter:
            # The modules that are compiled in our tree are for our interpreter.
            environment.pop("PYTHONPATH", None)
        return environment


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run took.

    Attributes:
        count: Messages measured.
        wall: Seconds.
        cpu: CPU seconds of the client's process.
        rss: Its peak of resident memory, KiB.
        p50: Median time of one operation in microseconds, where single ones are timed.
        p99: Its 99th percentile.
        version: The client's release.
    """

    count: int
    wall: float
    cpu: float
    rss: int
    p50: float | None
    p99: float | None
    version: str

    @property
    def cost(self) -> float:
        """CPU microseconds of the client for each message."""
        return self.cpu / self.count * 1e6

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.count / self.wall


@dataclass(slots=True)
class Result:
    """What became of a case.

    Attributes:
        count: Messages of each run.
        samples: Its runs.
        problem: Why there are none.
    """

    count: int = 0
    samples: list[Sample] = field(default_factory=list)
    problem: str | None = None

    def median(self, name: str) -> float | None:
        """Return the median of an attribute over the runs."""
        values = self.values(name)
        return statistics.median(values) if values else None

    def values(self, name: str) -> Sequence[float]:
        """Return an attribute of all runs."""
        found = [getattr(sample, name) for sample in self.samples]
        return [value for value in found if value is not None]


def run_once(words: list[str], environment: dict[str, str], core: int | None) -> Sample | str:
    """Run an adapter; return its result, or why there is none."""
    with (
        pinned(core),
        subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            out, errors = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            return f"did not end within {TIMEOUT:g} seconds"
    lines = out.strip().splitlines()
    if process.returncode or not lines or not lines[-1].startswith("{"):
        said = (errors.strip() or out.strip()).splitlines()
        return f"failed with {process.returncode}: {said[-1] if said else 'nothing said'}"
    answer: dict[str, Any] = json.loads(lines[-1])  # Any: JSON
    if "unsupported" in answer:
        return f"unsupported: {answer['unsupported']}"
    names = Sample.__dataclass_fields__
    return Sample(**{name: value for name, value in answer.items() if name in names})


def suitable_count(sample: Sample, seconds: float) -> int:
    """Return how many messages take about that long."""
    count = int(seconds * sample.rate)
    return max(min(count, MOST) // 100 * 100, 200)
