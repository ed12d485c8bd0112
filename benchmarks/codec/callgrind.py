"""Count the instructions of one message, with valgrind's callgrind.

Each work runs twice, with few and with many calls; the difference leaves the start of the
interpreter out. Instructions hardly vary from run to run, as times do.

    python benchmarks/codec/callgrind.py                 the main paths
    python benchmarks/codec/callgrind.py --all
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from engines import engines
from work import BATCH, WORK

MAIN = (
    "publish: 0 properties, 100 B",
    "publish: 10 properties, 1 KiB",
    "parse: 0 properties",
    "parse: 10 properties",
    "parse: 10 properties, properties read",
    "acks: encode",
    "acks: decode",
    "tables: encode, 5 entries",
    "tables: decode, 5 entries",
)
FEW, MANY = 3, 13


def run_here(name: str, engine_name: str, calls: int) -> None:
    """Do the work in this process."""
    engine = next(engine for engine in engines() if engine.name == engine_name)
    task = WORK[name].task(engine)
    for _ in range(calls):
        task()


def instructions(name: str, engine: str, calls: int) -> int:
    """Count what a process needs for so many calls."""
    run = subprocess.run(
        [
            "valgrind",
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            sys.executable,
            str(Path(__file__).resolve()),
            "--here",
            name,
            engine,
            str(calls),
        ],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode or not found:
        raise SystemExit(run.stderr)
    return int(found[1])


def per_message(name: str, engine: str) -> float:
    """Return the instructions of one message, ack or table."""
    more = instructions(name, engine, MANY) - instructions(name, engine, FEW)
    return more / (MANY - FEW) / BATCH


def show(line: str) -> None:
    """Print a line of the table as soon as it is known."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="every work, not the main paths alone")
    parser.add_argument("--here", nargs=3, metavar=("WORK", "ENGINE", "CALLS"))
    options = parser.parse_args()
    if options.here:
        name, engine, calls = options.here
        run_here(name, engine, int(calls))
        return
    if not shutil.which("valgrind"):
        raise SystemExit("valgrind is not installed")
    names = [engine.name for engine in engines() if engine.name != "pamqp"]
    show("| work | " + " | ".join(f"{name}, instructions" for name in names) + " |")
    show("|---|" + "--:|" * len(names))
    for work in WORK if options.all else MAIN:
        counts = " | ".join(f"{per_message(work, name):,.0f}" for name in names)
        show(f"| {work} | {counts} |")


if __name__ == "__main__":
    main()
