"""Brokers to measure, each in a process of its own, and what they cost."""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from hopmq.broker import Broker
from hopmq.testing import RabbitMQ, find_installation

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Served:
    """A broker that runs.

    Attributes:
        name: What it is.
        url: Where it is.
        pid: Its process.
    """

    name: str
    url: str
    pid: int

    def cpu(self) -> float:
        """Return the CPU seconds it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS

    def memory(self) -> int:
        """Return the bytes it has resident."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE


@contextmanager
def embedded(memory_limit: int = 8 * 1024**3) -> Iterator[Served]:
    """Run the embedded broker in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs, memory_limit), daemon=True
    )
    process.start()
    try:
        url = ours.recv()
        assert process.pid is not None
        yield Served("HopMQ embedded", url, process.pid)
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Connection, memory_limit: int) -> None:
    async def serve() -> None:
        async with Broker(memory_limit=memory_limit) as broker:
            pipe.send(broker.url)
            await asyncio.Event().wait()

    asyncio.run(serve())


@contextmanager
def rabbitmq(version: str | None = None) -> Iterator[Served]:
    """Run an installed RabbitMQ."""
    with RabbitMQ(find_installation(version)) as broker:
        yield Served(f"RabbitMQ {broker.version}", broker.url, broker.pid)


def stopwatch() -> tuple[float, float]:
    """Return the wall clock and this process's CPU seconds."""
    return time.perf_counter(), time.process_time()
