"""Whether a message costs the same however many there are of everything else.

    python benchmarks/clients/scaling.py
    python benchmarks/clients/scaling.py --things channels,confirms --rounds 3
    python benchmarks/clients/scaling.py --things processes --rabbitmq 4.3.6

CPU microseconds of the client per message, with 1 to 1,000 channels on a connection, as many
connections in a process, 10 to 100,000 publishes that await their confirm, and 1 to 100,000
entries in what a recovery restores; and messages per second of one, two and more processes.
Publishes come a hundred at a time, whatever there is of the rest. Cases take turns in rounds.
"""

import argparse
import itertools
import json
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

from cores import client_and_peer, pinned
from synthetic_peer import synthetic_peer
from tables import machine

from brokers import rabbitmq

WORK = Path(__file__).parent / "scaling_work.py"
RESULTS = Path(__file__).parents[2] / "build" / "benchmarks" / "scaling.json"

SIZES = {
    "channels, publish": (1, 10, 100, 1000),
    "channels, consume": (1, 10, 100, 1000),
    "connections, publish": (1, 10, 100, 1000),
    "connections, consume": (1, 10, 100, 1000),
    "confirms": (10, 100, 1000, 10_000, 100_000),
    "ledger": (1, 10, 100, 1000, 10_000, 100_000),
    "processes": (1, 2, 4),
}


def worker(thing: str, size: int, url: str, count: int) -> "Popen[str]":
    """Start a process that measures once."""
    words = [sys.executable, str(WORK), thing, str(size), url, str(count)]
    return Popen(words, stdout=PIPE, stdin=PIPE, text=True)


def result(process: "Popen[str]") -> dict[str, float]:
    """Return what it has measured."""
    out, _ = process.communicate(timeout=600)
    if process.returncode:
        raise SystemExit(f"{process.args!r} failed")
    answer: dict[str, float] = json.loads(out.splitlines()[-1])
    return answer


def cost(thing: str, size: int, url: str, count: int) -> float:
    """Return the CPU microseconds of a message."""
    with pinned(client_and_peer()[0]):
        process = worker(thing, size, url, count)
    measured = result(process)
    return measured["cpu"] / measured["count"] * 1e6


def rate(urls: list[str], size: int, count: int, cores: list[int | None]) -> float:
    """Return the messages per second of several processes that begin together."""
    processes = []
    for url, core in zip(itertools.cycle(urls), itertools.islice(itertools.cycle(cores), size)):
        with pinned(core):
            processes.append(worker("processes", 1, url, count))
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()  # it is ready
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    found = [result(process) for process in processes]
    return sum(each["count"] / each["wall"] for each in found)


@contextmanager
def targets(given: argparse.Namespace) -> Iterator[tuple[list[str], list[int | None]]]:
    """Give what several processes talk to, and the core of each.

    On the synthetic peer each has one of its own, on the same core: what they share is the
    machine. A real broker is one for all, and nothing is bound to a core.
    """
    with ExitStack() as stack:
        if given.rabbitmq:
            yield [stack.enter_context(rabbitmq(given.rabbitmq))], [None]
            return
        cores = list(client_and_peer())
        yield [stack.enter_context(synthetic_peer(core)) for core in cores], cores


def measure(given: argparse.Namespace) -> dict[str, dict[int, list[float]]]:
    """Measure all cases in rounds."""
    chosen = [thing for thing in SIZES if thing.partition(",")[0] in given.things]
    found: dict[str, dict[int, list[float]]] = {
        thing: {size: [] for size in SIZES[thing]} for thing in chosen
    }
    with synthetic_peer(client_and_peer()[1]) as peer, targets(given) as (urls, cores):
        for number, (thing, sizes) in itertools.product(range(given.rounds), found.items()):
            print(f"round {number + 1} of {given.rounds}: {thing}", file=sys.stderr)
            for size, costs in sizes.items():
                if thing == "processes":
                    costs.append(rate(urls, size, given.count, cores))
                else:
                    costs.append(cost(thing, size, peer, given.count))
    return found


def table(thing: str, sizes: dict[int, list[float]]) -> str:
    """Return a table of one thing: each size, and how it compares with the smallest."""
    unit = "messages/s" if thing == "processes" else "CPU, µs per message"
    lines = [f"| {thing} | {unit} | to the first |", "|--:|--:|--:|"]
    first = statistics.median(next(iter(sizes.values())))
    for size, costs in sizes.items():
        median = statistics.median(costs)
        digits = ",.0f" if thing == "processes" else ".2f"
        spread = f"({min(costs):{digits}}-{max(costs):{digits}})"
        lines.append(f"| {size:,} | {median:{digits}} {spread} | {median / first:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Print tables, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    things = sorted({thing.partition(",")[0] for thing in SIZES})
    parser.add_argument("--things", type=lambda text: text.split(","), default=things)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=100_000, help="messages of each run")
    parser.add_argument("--rabbitmq", metavar="VERSION", help="for processes: a real broker")
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    found = measure(given)
    print("\n\n".join(table(thing, sizes) for thing, sizes in found.items()))
    given.json.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine(), "rabbitmq": given.rabbitmq, "results": found}
    given.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
