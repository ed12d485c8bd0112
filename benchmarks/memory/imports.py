"""What importing costs: CPU milliseconds of fresh processes, modules, and what takes them.

Each statement runs in a new interpreter, in turns, and is timed in it. asyncio, which every program that
connects runs on, is a row of its own, and a part of the last two. `--where` lists the modules that take
longest, by `-X importtime`. Bytecode is compiled before.
"""

import argparse
import compileall
import statistics
import subprocess
import sys
from pathlib import Path

import hopmq

STATEMENTS = {
    "asyncio": "import asyncio",
    "hopmq": "import hopmq",
    "what connects and consumes": (
        "from hopmq import Channel, Connection, Consumer, Message, Queue, connect"
    ),
    "all public names": "from hopmq import *",
}


TIMED = """
import sys, time
before, begun = len(sys.modules), time.process_time()
{}
print((time.process_time() - begun) * 1000, len(sys.modules) - before)
"""


def cost(statement: str) -> tuple[float, int]:
    """Return its CPU milliseconds in a new interpreter, and how many modules it loads."""
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(statement)],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    milliseconds, modules = done.stdout.split()
    return float(milliseconds), int(modules)


def slowest(statement: str, count: int) -> str:
    """Return the lines of `-X importtime` with the largest times of their own."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", statement],
        stderr=subprocess.PIPE,
        check=True,
        text=True,
    )
    lines = [
        line for line in done.stderr.splitlines() if line.partition("|")[0][12:].strip().isdigit()
    ]
    lines.sort(key=lambda line: int(line.partition("|")[0][12:]), reverse=True)
    return "\n".join(lines[:count])


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--where", type=int, default=0, help="slowest modules to show")
    options = parser.parse_args()
    compileall.compile_dir(Path(hopmq.__file__).parent, quiet=1)
    taken: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    modules: dict[str, int] = {}
    for _ in range(options.runs):
        for name, statement in STATEMENTS.items():
            milliseconds, modules[name] = cost(statement)
            taken[name].append(milliseconds)
    print("| import of | CPU ms | lowest | modules |")
    print("| --- | --: | --: | --: |")
    for name, times in taken.items():
        median, lowest = statistics.median(times), min(times)
        print(f"| {name} | {median:.1f} | {lowest:.1f} | {modules[name]} |")
    if options.where:
        print(slowest(STATEMENTS["hopmq"], options.where))


if __name__ == "__main__":
    main()
