"""Compare two runs: what differed in config, code, data and machine, and what came of it.

trainer compare RUN RUN [--json]
"""

import json
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trainer.artifacts.run_diff import causes
from trainer.artifacts.run_record import record_of
from trainer.core.errors import UserError

BARS, WIDTH = "▁▂▃▄▅▆▇█", 32


def main(words: list[str]) -> int:
    """Compare what stands behind `compare`; the exit status is 0."""
    named = [word for word in words if word != "--json"]
    if len(named) != 2:
        raise UserError("compare: name two run directories: trainer compare RUN RUN")
    first, second = (record_of(name) for name in named)
    differing = causes(first, second)
    names = [*first.metrics, *(name for name in second.metrics if name not in first.metrics)]
    metrics = {name: (first.metrics.get(name), second.metrics.get(name)) for name in names}
    if "--json" in words:
        told = {kind: {key: [*pair] for key, pair in pairs.items()} for kind, pairs in differing.items()}
        print(json.dumps({"differences": told, "metrics": metrics}, indent=2, default=str))
        return 0
    console = Console()
    for kind, pairs in differing.items():
        console.print(_table(kind, named, pairs))
    if not differing:
        print("no difference in config, code, data, packages and machine")
    of_all = {name: pair for name, pair in metrics.items() if name.count("/") < 2}  # those of single classes are many
    if of_all:
        console.print(_metrics(named, of_all))
    ours, theirs = first.series(), second.series()
    for name in [name for name in ours if name.startswith("val/") and name in theirs]:
        lines = [[value for _, value in series[name]] for series in (ours, theirs)]
        low, high = min(map(min, lines)), max(map(max, lines))
        for run, line in zip(named, lines, strict=True):
            print(f"  {name:20} {sparkline(line, low, high):{WIDTH}}  {run}")
    return 0


def sparkline(values: Sequence[float], low: float, high: float) -> str:
    """A curve in one line of text, at most 32 characters wide, between two ends that it may share with others."""
    step = max(1, -(-len(values) // WIDTH))
    means = [sum(part) / len(part) for start in range(0, len(values), step) if (part := values[start : start + step])]
    return "".join(BARS[int((mean - low) / ((high - low) or 1) * (len(BARS) - 1))] for mean in means)


def _table(kind: str, named: Sequence[str], pairs: dict[str, tuple[Any, Any]]) -> Table:
    table = Table(kind, *named, box=SIMPLE_HEAD)
    for key, pair in pairs.items():
        table.add_row(Text(key, overflow="fold"), *(Text(str(value), overflow="fold") for value in pair))
    return table


def _metrics(named: Sequence[str], metrics: dict[str, tuple[float | None, float | None]]) -> Table:
    table = Table("metric", *named, "difference", box=SIMPLE_HEAD)
    for name, (ours, theirs) in metrics.items():
        apart = "" if ours is None or theirs is None else f"{theirs - ours:+.4g}"
        table.add_row(name, *("" if value is None else f"{value:.4g}" for value in (ours, theirs)), apart)
    return table
