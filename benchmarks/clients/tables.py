"""Results as Markdown tables, and as JSON for other programs."""

import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from cases import Case, Result
from roster import SCENARIOS

Results = Mapping[Case, Result]

SHOWN: dict[str, tuple[str, Callable[[Result], str]]] = {
    "cpu": ("CPU microseconds of the client per message", lambda result: spread(result, "cost")),
    "rate": ("messages per second", lambda result: spread(result, "rate")),
    "latency": ("p50 / p99 of one operation in microseconds", lambda result: latency(result)),
    "rss": ("peak resident memory, MiB", lambda result: memory(result)),
}
"""Tables by the word that asks for them: title, and how a cell reads."""


def number(value: float) -> str:
    """Spell a number with about three digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(result: Result, name: str) -> str:
    """Spell the median, and between what the runs were."""
    median, values = result.median(name), result.values(name)
    if median is None:
        return "-"
    if len(values) == 1:
        return number(median)
    return f"{number(median)} ({number(min(values))}-{number(max(values))})"


def latency(result: Result) -> str:
    """Spell the medians of both percentiles."""
    p50, p99 = result.median("p50"), result.median("p99")
    return "-" if p50 is None or p99 is None else f"{number(p50)} / {number(p99)}"


def memory(result: Result) -> str:
    """Spell the largest peak of all runs."""
    values = result.values("rss")
    return f"{max(values) / 1024:,.0f}" if values else "-"


def row_name(case: Case) -> str:
    """Return the name of the row a case stands in; a variant is a row of its own."""
    variant = case.scenario.partition(":")[2]
    parts = [case.client.name, case.python, case.loop, variant]
    return ", ".join(part for part in parts if part)


def markdown(results: Results, shown: Iterable[str]) -> str:
    """Return the tables, one for each target, kind of queue, body and set of properties."""
    sections: dict[str, dict[Case, Result]] = {}
    for case, result in results.items():
        kind = f", {case.queue_type} queue" if case.queue_type else ""
        title = f"{case.target}{kind}: bodies of {case.body:,} B, properties: {case.properties}"
        sections.setdefault(title, {})[case] = result
    parts = []
    for title, section in sections.items():
        parts.append(f"## {title}")
        parts += [table(*SHOWN[word], section) for word in shown]
    problems = [
        f"- {row_name(case)}, {case.scenario}: {result.problem}"
        for case, result in results.items()
        if result.problem
    ]
    return "\n\n".join([*parts, *(["\n".join(problems)] if problems else [])]) + "\n"


def table(title: str, cell: Callable[[Result], str], section: Results) -> str:
    """Return one table: clients in rows, scenarios in columns."""
    rows: dict[str, dict[str, str]] = {}
    for case, result in section.items():
        scenario = case.scenario.partition(":")[0]
        rows.setdefault(row_name(case), {})[scenario] = cell(result)
    columns = [name for name in SCENARIOS if any(name in row for row in rows.values())]
    lines = [f"| {title} | " + " | ".join(columns) + " |", "|---|" + "--:|" * len(columns)]
    for name, row in rows.items():
        if any(text != "-" for text in row.values()):
            cells = [row.get(column, "") for column in columns]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def as_json(results: Results) -> str:
    """Return everything that was measured, and on what."""
    entries = [
        {
            "client": case.client.name,
            "scenario": case.scenario,
            "body": case.body,
            "properties": case.properties,
            "loop": case.loop,
            "python": case.python or platform.python_version(),
            "target": case.target,
            "queue_type": case.queue_type,
            "problem": result.problem,
            "samples": [
                {name: getattr(sample, name) for name in (*sample.__slots__, "cost", "rate")}
                for sample in result.samples
            ],
        }
        for case, result in results.items()
    ]
    return json.dumps({"machine": machine(), "results": entries}, indent=1) + "\n"


def machine() -> dict[str, object]:
    """Say what it was measured on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    commit = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "commit": commit.stdout.strip(),
    }
