"""Count the instructions of five hot paths, and fail where one costs more than was committed.

    python benchmarks/guard/run.py              compare with expected.json
    python benchmarks/guard/run.py --update     write what is counted now into it

Counts depend on how the interpreter was built, so each build has counts of its own. For one that
has none, the guard says so and holds nothing, or fails with --require.
"""

import argparse
import asyncio
import gc
import json
import os
import platform
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from marks import counted, mark
from paths import FEW, MANY, PATHS, WARM_UP

import hopmq

EXPECTED = Path(__file__).parent / "expected.json"
TOLERANCE = 0.05
SEEDS = 2
"""Of a first look; more are tried where a path seems to cost too much."""
MOST_SEEDS = 8


def build() -> str:
    """Name what counts depend on: the interpreter, how it was compiled, the machine, the codec."""
    levels = [
        word for word in (sysconfig.get_config_var("PY_CFLAGS") or "").split() if word[:2] == "-O"
    ]
    guided = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    return ", ".join(
        (
            f"{platform.python_implementation()} {platform.python_version()}",
            f"{platform.python_compiler()} {levels[-1] if levels else ''}".rstrip(),
            "guided by a profile" if guided else "no profile",
            platform.machine(),
            "compiled codec" if hopmq.speedups_enabled else "pure codec",
        )
    )


def run_here() -> None:
    """Run every path in this process, with marks around few and many messages."""

    async def run(name: str) -> None:
        async with PATHS[name]() as work:
            await work(WARM_UP)
            # Whether a collection of everything falls between two marks depends on what else the
            # process holds, and costs up to a tenth of a path: what is there is not looked at again.
            gc.collect()
            gc.freeze()
            mark()
            await work(FEW)
            mark()
            await work(MANY)
            mark()

    for name in PATHS:
        asyncio.run(run(name))


def per_message(seeds: Iterable[int]) -> dict[str, int]:
    """Return the instructions of one message on each path, by the seed that they are fewest with.

    The interpreter finds attributes by a table of few places. Which of them share one depends on
    where their names lie in memory, and costs up to a tenth of a path.
    """
    command = [sys.executable, str(Path(__file__).resolve()), "--here"]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        runs = list(threads.map(lambda seed: counted(command, seed), seeds))
    return {
        name: min(round((run[3 * place + 1] - run[3 * place]) / (MANY - FEW)) for run in runs)
        for place, name in enumerate(PATHS)
    }


def held_or_fewest(expected: Mapping[str, int]) -> dict[str, int]:
    """Count until all is held, with one handful of seeds after the other."""
    counts: dict[str, int] = {}
    for first in range(0, MOST_SEEDS, SEEDS):
        found = per_message(range(first, first + SEEDS))
        counts = {name: min(count, counts.get(name, count)) for name, count in found.items()}
        if expected and comparison(expected, counts)[1]:
            break
    return counts


def comparison(expected: Mapping[str, int], counts: Mapping[str, int]) -> tuple[str, bool]:
    """Return a table of both, and whether no path costs too much."""
    lines = ["| path | expected | counted | change |", "|---|--:|--:|--:|"]
    held = True
    for name, count in counts.items():
        before = expected.get(name)
        if before is None:
            lines.append(f"| {name} | - | {count:,} | new |")
            held = False
            continue
        change = count / before - 1
        verdict = ""
        if change > TOLERANCE:
            verdict, held = f" above {TOLERANCE:+.0%}", False
        elif change < -TOLERANCE:
            verdict = ", write it down with --update"
        lines.append(f"| {name} | {before:,} | {count:,} | {change:+.1%}{verdict} |")
    return "\n".join(lines), held


def main() -> int:
    """Print the comparison; 0 when it holds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--update", action="store_true", help="write the counts down")
    parser.add_argument("--require", action="store_true", help="fail for a build without counts")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        run_here()
        return 0
    expected: dict[str, dict[str, int]] = json.loads(EXPECTED.read_text(encoding="utf-8"))
    counts = held_or_fewest({} if given.update else expected.get(build(), {}))
    print(f"instructions per message: {build()}\n")
    table, held = comparison(expected.get(build(), {}), counts)
    print(table)
    if given.update:
        expected[build()] = counts
        EXPECTED.write_text(json.dumps(expected, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return 0
    if build() not in expected:
        print(f"\nno counts of this build are in {EXPECTED.name}: nothing is held")
        return 1 if given.require else 0
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
