"""Calls of an endpoint: HopMQ's application layer, aio-pika's RPC and FastStream's request.

    make bench-peers                      once, for the others
    python benchmarks/app/calls.py
    python benchmarks/app/calls.py --rabbitmq 3.10.8 --loops asyncio,uvloop --rounds 5

Each calls an endpoint of its own kind, which another process serves, on one RabbitMQ: one call after
the other, and by 100 callers at once. They take turns in rounds. CPU is that of the caller's
process and of the endpoint's, each for one call; times are those that a caller waits.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "clients"))

from cores import client_and_peer, pinned
from tables import machine

from brokers import rabbitmq

HERE = Path(__file__).parent
MEASURING = HERE.parent / "clients" / "adapters"
PEERS = str(Path(__file__).parents[2] / "build" / "benchmarks" / "peers" / "bin" / "python")
CLIENTS = {
    "hopmq.app": (sys.executable, HERE / "hopmq_calls.py"),
    "aio-pika": (PEERS, HERE / "aio_pika_calls.py"),
    "faststream": (PEERS, HERE / "faststream_calls.py"),
}
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is measured."""

    client: str
    loop: str
    at_once: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a call took, in microseconds."""

    caller: float
    endpoint: float
    p50: float
    p99: float


def words(case: Case, role: str, url: str) -> list[str]:
    """Return the command line of a process."""
    program, script = CLIENTS[case.client]
    queue = f"bench-calls-{case.client}"
    return [program, str(script), role, "--url", url, "--queue", queue, "--loop", case.loop]


@contextmanager
def endpoint(case: Case, url: str) -> Iterator[int]:
    """Serve the endpoint; give the process."""
    with pinned(client_and_peer()[1]):
        process = subprocess.Popen(
            words(case, "serve", url),
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
    finally:
        process.communicate(timeout=30)


def environment() -> dict[str, str]:
    """Return the variables of a process."""
    inherited = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(MEASURING), inherited]))}


def cpu_of(process: int) -> float:
    """Return the seconds of CPU that a process has had."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(case: Case, url: str, count: int) -> Cost:
    """Call, and return what a call took."""
    with endpoint(case, url) as process:
        before = cpu_of(process)
        with pinned(client_and_peer()[0]):
            done = subprocess.run(
                [
                    *words(case, "call", url),
                    "--count",
                    str(count),
                    "--at-once",
                    str(case.at_once),
                ],
                env=environment(),
                stdout=subprocess.PIPE,
                text=True,
                timeout=300,
                check=True,
            )
        served = cpu_of(process) - before
    report = json.loads(done.stdout.splitlines()[-1])
    warm = max(count // 20, case.at_once)
    return Cost(
        caller=report["cpu"] / count * 1e6,
        endpoint=served / (count + warm) * 1e6,
        p50=report["p50"],
        p99=report["p99"],
    )


def cell(values: Sequence[float]) -> str:
    """Return the median and the range."""
    return f"{statistics.median(values):.0f} ({min(values):.0f}-{max(values):.0f})"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rabbitmq", default="4.3.6", metavar="VERSION")
    parser.add_argument("--loops", default="asyncio,uvloop")
    parser.add_argument("--clients", default=",".join(CLIENTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=3000, help="calls of each run")
    asked = parser.parse_args()
    cases = [
        Case(client=client, loop=loop, at_once=at_once)
        for at_once in (1, 100)
        for client in asked.clients.split(",")
        for loop in asked.loops.split(",")
    ]
    costs: dict[Case, list[Cost]] = {case: [] for case in cases}
    with rabbitmq(asked.rabbitmq) as url:
        for number in range(asked.rounds):
            print(f"round {number + 1} of {asked.rounds}", file=sys.stderr)
            for case in cases:
                costs[case].append(measure(case, url, asked.count))
    print(f"{machine()}; RabbitMQ {asked.rabbitmq}; {asked.count:,} calls a run\n")
    print("| µs per call | loop | at once | CPU of caller | CPU of endpoint | p50 | p99 |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for case, found in costs.items():
        columns = ([getattr(each, name) for each in found] for name in Cost.__slots__)
        print(
            f"| {case.client} | {case.loop} | {case.at_once} | "
            + " | ".join(map(cell, columns))
            + " |"
        )


if __name__ == "__main__":
    main()
