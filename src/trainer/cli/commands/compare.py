"""Compare config, code, data, machine and results of two runs.

trainer compare RUN RUN [--json]
"""

import json
from collections.abc import Sequence

from trainer.artifacts.run_diff import diff_runs
from trainer.artifacts.run_record import read_run
from trainer.cli.commands import parse_arguments, print_table

SPARKLINE_BARS = "▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH = 32


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    args = parse_arguments("compare", argv, "first", "second", json=False)
    paths = [args.first, args.second]
    first, second = map(read_run, paths)
    differences = diff_runs(first, second)
    names = dict.fromkeys([*first.metrics, *second.metrics])
    metrics = {name: (first.metrics.get(name), second.metrics.get(name)) for name in names}
    if args.json:
        pairs_by_kind = {kind: {key: [*pair] for key, pair in pairs.items()} for kind, pairs in differences.items()}
        print(json.dumps({"differences": pairs_by_kind, "metrics": metrics}, indent=2, default=str))
        return 0
    for kind, pairs in differences.items():
        print_table([kind, *paths], [[key, *map(str, pair)] for key, pair in pairs.items()])
    if not differences:
        print("no difference in config, code, data, packages and machine")
    rows = [_format_metric(name, *pair) for name, pair in metrics.items() if name.count("/") < 2]  # no single classes
    if rows:
        print_table(["metric", *paths, "difference"], rows)
    series = [first.read_metric_series(), second.read_metric_series()]
    for name in [name for name in series[0] if name.startswith("val/") and name in series[1]]:
        curves = [[value for _, value in run[name]] for run in series]
        low = min(map(min, curves))
        high = max(map(max, curves))
        for path, curve in zip(paths, curves, strict=True):
            print(f"  {name:20} {format_sparkline(curve, low, high):{SPARKLINE_WIDTH}}  {path}")
    return 0


def format_sparkline(values: Sequence[float], low: float, high: float) -> str:
    """Return a curve as one line of text of at most 32 characters, scaled to the given range."""
    step = max(1, -(-len(values) // SPARKLINE_WIDTH))
    means = [sum(part) / len(part) for start in range(0, len(values), step) if (part := values[start : start + step])]
    scale = (len(SPARKLINE_BARS) - 1) / ((high - low) or 1)
    return "".join(SPARKLINE_BARS[int((mean - low) * scale)] for mean in means)


def _format_metric(name: str, first: float | None, second: float | None) -> list[str]:
    difference = "" if first is None or second is None else f"{second - first:+.4g}"
    return [name, *("" if value is None else f"{value:.4g}" for value in (first, second)), difference]
