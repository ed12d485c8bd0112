"""Print the medians of a benchmark run as a Markdown table, with ratios to pamqp.

pytest benchmarks/codec --benchmark-only --benchmark-json=codec.json
python benchmarks/codec/summarise.py codec.json [MORE.json...]

Of several runs each time is the lowest median: what else the machine does only adds to a time.
"""

import json
import sys
from pathlib import Path

ENGINES = ("pamqp", "pure", "cython")


def medians(reports: list[Path]) -> dict[str, dict[str, float]]:
    """Return the median seconds of one message, by work and engine; the lowest of all reports."""
    found: dict[str, dict[str, float]] = {}
    for report in reports:
        for row in json.loads(report.read_text())["benchmarks"]:
            info = row["extra_info"]
            seconds = row["stats"]["median"] / info["batch"]
            times = found.setdefault(info["work"], {})
            times[info["engine"]] = min(seconds, times.get(info["engine"], seconds))
    return found


def table(found: dict[str, dict[str, float]]) -> list[str]:
    """Return the lines of the table."""
    names = [name for name in ENGINES if any(name in row for row in found.values())]
    others = [name for name in names if name != "pamqp"]
    heads = ["work", *(f"{name}, µs" for name in names), *(f"pamqp : {name}" for name in others)]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "--:|" * (len(heads) - 1)]
    for work, row in found.items():
        times = [f"{row[name] * 1e6:.2f}" for name in names]
        ratios = [f"{row['pamqp'] / row[name]:.1f}x" for name in others]
        lines.append("| " + " | ".join([work, *times, *ratios]) + " |")
    return lines


def lowest(found: dict[str, dict[str, float]]) -> list[str]:
    """Return the lowest ratio of each group and engine."""
    lines = []
    for group in dict.fromkeys(work.partition(":")[0] for work in found):
        rows = [row for work, row in found.items() if work.startswith(f"{group}:")]
        ratios = {
            name: min(row["pamqp"] / row[name] for row in rows)
            for name in ("pure", "cython")
            if all(name in row for row in rows)
        }
        shown = ", ".join(f"{name} {ratio:.1f}x" for name, ratio in ratios.items())
        lines.append(f"- {group}: at least {shown}")
    return lines


def main() -> None:
    """Read the reports named on the command line."""
    if len(sys.argv) < 2:
        raise SystemExit("usage: summarise.py REPORT.json...")
    found = medians([Path(name) for name in sys.argv[1:]])
    sys.stdout.write(
        "\n".join([*table(found), "", "Lowest ratios to pamqp:", "", *lowest(found)]) + "\n"
    )


if __name__ == "__main__":
    main()
