"""Compare config, code, data, machine and results of two runs.

trainer compare RUN RUN [--json]
"""

import json
import math

from trainer.artifacts.run_diff import diff_runs
from trainer.artifacts.run_record import read_run
from trainer.cli.commands import parse_arguments, print_table
from trainer.core.formatting import SPARKLINE_CHARS, format_number, format_sparkline
from trainer.core.metric_name import MetricName, list_metrics


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
    rows = [_format_metric(name, *pair) for name, pair in metrics.items() if not MetricName.parse(name).label]
    if rows:
        print_table(["metric", *paths, "difference"], rows)
    series = [first.read_metric_series(), second.read_metric_series()]
    for name in [name for name in list_metrics(series[0], "val") if name in series[1]]:
        curves = [[value for _, value in run[name]] for run in series]
        values = [value for curve in curves for value in curve if math.isfinite(value)]
        low = min(values, default=0.0)
        high = max(values, default=0.0)
        for path, curve in zip(paths, curves, strict=True):
            print(f"  {name:20} {format_sparkline(curve, low, high):{SPARKLINE_CHARS}}  {path}")
    return 0


def _format_metric(name: str, first: float | None, second: float | None) -> list[str]:
    difference = "" if first is None or second is None else format_number(second - first, signed=True)
    return [name, format_number(first), format_number(second), difference]
