"""Where HopMQ spends its CPU: stacks of Python functions, sampled by CPU time.

    python benchmarks/clients/flame.py
    python benchmarks/clients/flame.py --scenarios publish,consume-ack:callback --count 1000000

What compiled code takes counts for the function that calls it. `plots.py` draws the result.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, MappingProxyType

sys.path.insert(0, str(Path(__file__).parent / "adapters"))

from cores import client_and_peer, pinned
from hopmq_client import SCENARIOS, WAYS
from measuring import Measurement, Options
from synthetic_peer import BUILD, synthetic_peer

DEFAULT = "publish,confirm-window:many,consume-ack:coroutine,rpc-many"
EACH = 0.001
"""Seconds of CPU between samples; the kernel may round them up to its own clock."""


@contextmanager
def sampled() -> Iterator[Counter[str]]:
    """Count the stacks of this thread while a block runs."""
    stacks: Counter[str] = Counter()

    def take(_: int, frame: FrameType | None) -> None:
        names = []
        while frame is not None:
            names.append(frame.f_code.co_qualname)
            frame = frame.f_back
        stacks[";".join(reversed(names))] += 1

    before = signal.signal(signal.SIGPROF, take)
    signal.setitimer(signal.ITIMER_PROF, EACH, EACH)
    try:
        yield stacks
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def profile(named: str, url: str, count: int) -> Counter[str]:
    """Return the stacks of one scenario."""
    scenario, _, way = named.partition(":")
    options = Options(
        scenario=scenario,
        url=url,
        count=count,
        body=b"x" * 100,
        properties=MappingProxyType({}),
        window=100,
        prefetch=100,
        queue=f"bench-100-none-{count}",
        queue_type=None,
        loop="asyncio",
    )
    work = SCENARIOS[scenario](options, Measurement(), way or WAYS[scenario][0])
    with sampled() as stacks:
        asyncio.run(work)
    return stacks


def main() -> None:
    """Write stacks and how often each was seen, by scenario."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenarios", default=DEFAULT)
    parser.add_argument("--count", type=int, default=2_000_000)
    parser.add_argument("--json", type=Path, default=BUILD / "flame.json")
    given = parser.parse_args()
    client, peer = client_and_peer()
    with synthetic_peer(peer) as url, pinned(client):
        results = {named: profile(named, url, given.count) for named in given.scenarios.split(",")}
    given.json.write_text(json.dumps({"results": results}), encoding="utf-8")
    for named, stacks in results.items():
        print(f"{named}: {sum(stacks.values())} samples")


if __name__ == "__main__":
    main()
