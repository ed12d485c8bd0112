"""Pictures of results for the documentation, as SVG.

    python benchmarks/clients/plots.py        from build/benchmarks/*.json to docs/images

Each picture is drawn if its results are there: clients.json of run.py, scaling.json of scaling.py,
latency.json of latency.py, flame.json of flame.py. It needs matplotlib, which the environment `plots` of Hatch has.
"""

import argparse
import json
import statistics
import zlib
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from roster import SCENARIOS

mpl.use("svg")
mpl.rcParams.update(
    {
        "svg.hashsalt": "hopmq",  # the same picture is the same file
        "svg.fonttype": "none",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "build" / "benchmarks"
PICTURES = ROOT / "docs" / "images"
NARROWEST = 0.004
"""Share of the CPU below which a function is not drawn."""
LETTERS = 130
"""As many fit in the whole width."""
TICKS = (0.1, 1, 10, 100, 1000)
OURS, OTHERS = "#c2410c", "#94a3b8"

Content = dict[str, Any]  # Any: JSON


def costs(content: Content) -> dict[str, dict[str, float]]:
    """Return the best median of each client, by scenario: its best loop and way."""
    found: dict[str, dict[str, float]] = {name: {} for name in SCENARIOS}
    for entry in content["results"]:
        if not entry["samples"] or (entry["body"], entry["properties"]) != (100, "none"):
            continue
        scenario = entry["scenario"].partition(":")[0]
        cost = statistics.median(sample["cost"] for sample in entry["samples"])
        best = found[scenario]
        best[entry["client"]] = min(cost, best.get(entry["client"], cost))
    return {scenario: clients for scenario, clients in found.items() if clients}


def draw_clients(content: Content) -> Figure:
    """Draw bars: CPU of each client per message, scenario by scenario."""
    found = costs(content)
    figure, grid = plt.subplots((len(found) + 1) // 2, 2, squeeze=False, figsize=(9, 11))
    for axes, (scenario, clients) in zip(grid.flat, found.items(), strict=False):
        ordered = sorted(clients.items(), key=lambda item: -item[1])
        names, values = zip(*ordered, strict=True)
        colours = [OURS if name.startswith("hopmq") else OTHERS for name in names]
        bars = axes.barh(names, values, color=colours)
        axes.bar_label(bars, [f" {value:.3g}" for value in values])
        axes.set_xscale("log")
        axes.set_xlim(0.1, 3000)  # the same for all, so that lengths can be compared
        axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        axes.minorticks_off()
        axes.set_title(scenario)
    for axes in grid.flat[len(found) :]:
        axes.set_axis_off()
    figure.suptitle("CPU microseconds of the client per message, logarithmic\n")
    return figure


def draw_scaling(content: Content) -> Figure:
    """Draw lines: what a message costs, against how many there are of something."""
    figure, axes = plt.subplots(figsize=(8, 4.5))
    for thing, sizes in content["results"].items():
        if thing == "processes":
            continue
        medians = [statistics.median(values) for values in sizes.values()]
        axes.plot([int(size) for size in sizes], medians, marker="o", label=thing)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("how many")
    axes.set_ylabel("CPU microseconds per message")
    axes.legend(frameon=False)
    return figure


def draw_latency(content: Content) -> Figure:
    """Draw lines: percentiles of the time to a confirm, against the load."""
    figure, axes = plt.subplots(figsize=(8, 4.5))
    loads = content["loads"]
    for percentile in ("0.5", "0.99", "0.999"):
        values = [load[percentile] * 1e6 for load in loads]
        label = f"p{float(percentile) * 100:g}"
        axes.plot([load["part"] * 100 for load in loads], values, marker="o", label=label)
    axes.set_yscale("log")
    axes.set_xlabel(f"% of the rate of saturation ({content['saturated']:,.0f} messages/s)")
    axes.set_ylabel("microseconds from the time a publish was due to its confirm")
    axes.set_title(content["target"])
    axes.legend(frameon=False)
    return figure


def draw_flame(content: Content) -> Figure:
    """Draw stacks of functions as wide as the CPU time they take, callers below."""
    figure, rows = plt.subplots(len(content["results"]), 1, squeeze=False, figsize=(10, 14))
    for axes, (scenario, stacks) in zip(rows.flat, content["results"].items(), strict=True):
        total = sum(stacks.values())
        _draw_callees([(stack.split(";"), count) for stack, count in stacks.items()], axes, total)
        axes.set_title(f"{scenario}: CPU by Python function", loc="left")
        axes.set_xlim(0, 1)
        axes.set_axis_off()
    return figure


def _draw_callees(
    stacks: list[tuple[list[str], int]], axes: Axes, total: int, depth: int = 0, left: float = 0.0
) -> None:
    callees: dict[str, list[tuple[list[str], int]]] = {}
    for names, count in stacks:
        if names:
            callees.setdefault(names[0], []).append((names[1:], count))
    for name, inner in sorted(callees.items()):
        width = sum(count for _, count in inner) / total
        if width >= NARROWEST:
            colour = plt.get_cmap("YlOrBr")(0.15 + 0.5 * (hash_of(name) % 100) / 100)
            axes.barh(depth, width, left=left, height=0.95, align="edge", color=colour)
            shown = name if len(name) < width * LETTERS else name.rpartition(".")[2]
            if len(shown) < width * LETTERS:
                axes.text(left + 0.002, depth + 0.25, shown, fontsize=7)
            _draw_callees(inner, axes, total, depth + 1, left)
        left += width


def hash_of(name: str) -> int:
    """Return the same number for a name in each run."""
    return zlib.crc32(name.encode())


DRAWN = {
    "clients": draw_clients,
    "scaling": draw_scaling,
    "latency": draw_latency,
    "flame": draw_flame,
}


def main() -> None:
    """Draw what there are results of."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--pictures", type=Path, default=PICTURES)
    given = parser.parse_args()
    given.pictures.mkdir(parents=True, exist_ok=True)
    for name, draw in DRAWN.items():
        results = given.results / f"{name}.json"
        if not results.exists():
            print(f"{name}: {results} is not there")
            continue
        figure = draw(json.loads(results.read_text(encoding="utf-8")))
        figure.tight_layout()
        figure.savefig(given.pictures / f"{name}.svg", metadata={"Date": None})
        print(f"{name}: {given.pictures / f'{name}.svg'}")


if __name__ == "__main__":
    main()
