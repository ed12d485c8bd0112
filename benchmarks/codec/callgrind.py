"""Count the instructions of one message, with valgrind's callgrind, and compare with pamqp.

python benchmarks/codec/callgrind.py                 the main paths
python benchmarks/codec/callgrind.py --all
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "guard"))

from engines import engines
from marks import counted, mark
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


def run_here(engine_name: str, names: list[str]) -> None:
    """Do the works in this process, with a mark around each count of calls."""
    engine = next(engine for engine in engines() if engine.name == engine_name)
    for name in names:
        task = WORK[name].task(engine)
        for calls in (FEW, MANY):
            mark()
            for _ in range(calls):
                task()
            mark()


def per_message(engine: str, names: list[str]) -> list[float]:
    """Return the instructions of one message, ack or table, for each work."""
    # Calls and what lies between take turns.
    found = counted([sys.executable, str(Path(__file__).resolve()), "--here", engine, *names], 0)[
        ::2
    ]
    pairs = zip(found[::2], found[1::2], strict=True)
    return [(many - few) / (MANY - FEW) / BATCH for few, many in pairs]


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="every work, not the main paths alone")
    parser.add_argument("--here", nargs="+", metavar="ENGINE WORK", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        run_here(options.here[0], options.here[1:])
        return
    names = list(WORK if options.all else MAIN)
    found = [engine.name for engine in engines()]
    columns = {engine: per_message(engine, names) for engine in found}
    ours = [engine for engine in found if engine != "pamqp"]
    heads = [*(f"{engine}, instructions" for engine in found), *(f"pamqp : {e}" for e in ours)]
    lines = ["| work | " + " | ".join(heads) + " |", "|---|" + "--:|" * len(heads)]
    for position, name in enumerate(names):
        row = {engine: column[position] for engine, column in columns.items()}
        cells = [f"{count:,.0f}" for count in row.values()]
        cells += [f"{row['pamqp'] / row[engine]:.1f}x" for engine in ours]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
