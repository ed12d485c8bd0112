"""Measure clients side by side: CPU per message, rates, latencies and memory.

    python benchmarks/clients/run.py                                   everything installed
    python benchmarks/clients/run.py --clients hopmq,pika --scenarios consume:callback,rpc-each
    python benchmarks/clients/run.py --rabbitmq 4.3.6 --queue-types quorum --window 1000

By default they talk to the synthetic peer, clients on one core and the peer on another. All of
them take turns in every round, so that whatever else the machine does falls on each alike.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cases import (
    CALIBRATED_BYTES,
    CALIBRATION,
    SYNTHETIC,
    Case,
    Result,
    Sample,
    run_once,
    suitable_count,
)
from cores import client_and_peer
from description import Client
from interpreters import prepared
from roster import SCENARIOS, roster
from synthetic_peer import synthetic_peer
from tables import SHOWN, as_json, markdown

RESULTS = Path(__file__).parents[2] / "build" / "benchmarks" / "clients.json"
NOT_ON_STREAMS = ("consume", "rpc-each", "rpc-many")
"""Streams are read with acknowledgements, and are no place for requests."""

MOST_IN_BROKER = 200_000
"""Messages of one run against a real broker, which keeps them in memory."""


def listed(text: str) -> list[str]:
    """Split words at commas."""
    return [word for word in text.split(",") if word]


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--clients", type=listed, help="names, separated by commas; all that are installed")
    add("--scenarios", type=listed, help="SCENARIO or SCENARIO:VARIANT; all, in all variants")
    add("--bodies", type=listed, default=["100"], help="bytes; default: 100")
    add("--properties", type=listed, default=["none"], help="none, three, ten; default: none")
    add("--loops", type=listed, default=["asyncio"], help="asyncio, uvloop; default: asyncio")
    add("--pythons", type=listed, default=[], help="interpreters for HopMQ instead of this one")
    add("--queue-types", type=listed, default=[], help="classic, quorum, stream")
    add("--broker", metavar="URL", help="a broker that runs already")
    add("--rabbitmq", type=listed, default=[], help="releases of RabbitMQ to start, in turns")
    add("--window", type=int, default=100, help="unconfirmed at once; default: 100")
    add("--prefetch", type=int, default=100, help="unsettled at once; default: 100")
    add("--rounds", type=int, default=5)
    add("--seconds", type=float, default=1.0, help="that each run takes; default: 1")
    add("--count", type=int, help="messages of each run, instead of --seconds")
    add("--show", type=listed, default=list(SHOWN), help=f"tables: {','.join(SHOWN)}")
    add("--json", type=Path, default=RESULTS, help="where the results go")
    return parser.parse_args()


def chosen_clients(wanted: list[str] | None) -> list[Client]:
    """Return those that can be measured, and name the others."""
    known = {client.name: client for client in roster()}
    unknown = sorted(set(wanted or ()) - known.keys())
    if unknown:
        raise SystemExit(f"no client {', '.join(unknown)}; there are {', '.join(known)}")
    clients = [known[name] for name in wanted or known]
    for client in clients:
        if client.missing:
            print(f"left out: {client.name} ({client.missing})", file=sys.stderr)
    return [client for client in clients if not client.missing]


def ways(client: Client, scenarios: list[str] | None) -> Iterator[str]:
    """List what of the scenarios the client does, a variant as SCENARIO:VARIANT."""
    for scenario in SCENARIOS:
        every = [scenario, *(f"{scenario}:{each}" for each in client.variants.get(scenario, ()))]
        for way in every:
            if scenarios is None or way in scenarios or scenario in scenarios:
                yield way
        for asked in scenarios or ():
            # The usual way by its own name, such as confirm-window:gather.
            if client.variants and asked.startswith(f"{scenario}:") and asked not in every:
                yield asked


def cases(given: argparse.Namespace, clients: list[Client], target: str) -> list[Case]:
    """List what is measured in each round."""
    pythons = [prepared(python) for python in given.pythons] or [("", "")]
    kinds = given.queue_types if target != SYNTHETIC else []
    return [
        Case(client, way, int(body), properties, loop, python, interpreter, target, kind)
        for kind, body, properties in itertools.product(
            kinds or [None], given.bodies, given.properties
        )
        for client in clients
        for python, interpreter in (pythons if client.pythons else [("", "")])
        for loop in ([each for each in given.loops if each in client.loops] or client.loops[:1])
        for way in ways(client, given.scenarios)
        if kind != "stream" or way.partition(":")[0] not in NOT_ON_STREAMS
    ]


@contextmanager
def target_urls(given: argparse.Namespace, target: str) -> Iterator[str]:
    """Start what clients talk to, unless it runs already."""
    if target == SYNTHETIC:
        with synthetic_peer(client_and_peer()[1]) as url:
            yield url
    elif target == given.broker:
        yield target
    else:
        from brokers import rabbitmq  # HopMQ must be installed for it

        with rabbitmq(target.removeprefix("RabbitMQ ")) as url:
            yield url


def measure(case: Case, url: str, count: int, given: argparse.Namespace) -> Sample | str:
    """Run a case once, after making its queue ready where that is needed."""
    words = case.words(url, count, given.window, given.prefetch)
    if case.target == SYNTHETIC:
        return run_once(words, case.environment(), client_and_peer()[0])
    from brokers import make_ready, responder

    make_ready(url, case, count)
    with responder(url, case):
        return run_once(words, case.environment(), None)


def calibrate(case: Case, result: Result, url: str, given: argparse.Namespace) -> None:
    """Find out how many messages take the time wanted; a fast client needs a second look."""
    # Large bodies need fewer, and take long enough.
    result.count = given.count or max(min(CALIBRATION, CALIBRATED_BYTES // case.body), 100)
    for _ in range(1 if given.count else 2):
        sample = measure(case, url, result.count, given)
        if isinstance(sample, str):
            result.problem = sample
            return
        if not given.count:
            count = suitable_count(sample, given.seconds)
            result.count = count if case.target == SYNTHETIC else min(count, MOST_IN_BROKER)


def measure_all(
    given: argparse.Namespace, clients: list[Client], target: str
) -> dict[Case, Result]:
    """Measure every case of a target in rounds."""
    results = {case: Result() for case in cases(given, clients, target)}
    with target_urls(given, target) as url:
        for case, result in results.items():
            calibrate(case, result, url, given)
        for number in range(given.rounds):
            print(f"{target}: round {number + 1} of {given.rounds}", file=sys.stderr)
            for case, result in results.items():
                if result.problem:
                    continue
                sample = measure(case, url, result.count, given)
                if isinstance(sample, str):
                    result.problem = sample
                else:
                    result.samples.append(sample)
    return results


def main() -> None:
    """Measure, print the tables and write the results."""
    given = options()
    targets = [f"RabbitMQ {version}" for version in given.rabbitmq]
    targets += [given.broker] if given.broker else []
    clients = chosen_clients(given.clients)
    results: dict[Case, Result] = {}
    for target in targets or [SYNTHETIC]:
        results |= measure_all(given, clients, target)
    print(markdown(results, given.show))
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(as_json(results), encoding="utf-8")


if __name__ == "__main__":
    main()
