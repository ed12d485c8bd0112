"""What importing costs: CPU milliseconds of fresh processes, modules, and what takes them.

Each statement runs in a new interpreter, in turns; its row is what it takes beyond one that imports
nothing. asyncio, which every program on HopMQ runs on, is a row of its own, and part of the others.
`--where` lists the modules that take longest, by `-X importtime`. Bytecode is compiled before.
"""

import argparse
import compileall
import os
import statistics
import subprocess
import sys
from pathlib import Path

import hopmq

STATEMENTS = {
    "nothing": "pass",
    "asyncio": "import asyncio",
    "hopmq": "import hopmq",
    "what connects and consumes": (
        "from hopmq import Channel, Connection, Consumer, Message, Queue, connect"
    ),
    "all public names": "from hopmq import *",
}


def cpu(statement: str) -> float:
    """Return the CPU milliseconds of an interpreter that runs it."""
    child = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", statement])
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{statement!r} failed")
    return (used.ru_utime + used.ru_stime) * 1000


def modules(statement: str) -> int:
    """Return how many modules are loaded behind it."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys; print(len(sys.modules))"],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return int(done.stdout)


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
    for _ in range(options.runs):
        for name, statement in STATEMENTS.items():
            taken[name].append(cpu(statement))
    base, base_modules = statistics.median(taken["nothing"]), modules("pass")
    print("| import of | CPU ms | lowest | modules |")
    print("| --- | --: | --: | --: |")
    for name, times in taken.items():
        median, lowest = statistics.median(times), min(times)
        count = modules(STATEMENTS[name])
        if name != "nothing":
            median, lowest = median - base, lowest - min(taken["nothing"])
            count -= base_modules
        print(f"| {name} | {median:.1f} | {lowest:.1f} | {count} |")
    if options.where:
        print(slowest(STATEMENTS["hopmq"], options.where))


if __name__ == "__main__":
    main()
