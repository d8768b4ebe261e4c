"""Compare config, code, data, machine and results of two runs.

trainer compare RUN RUN [--json]

If both runs were tested on the same examples, each test metric is compared by a test of paired examples: McNemar's for
accuracy, a bootstrap for the others.
"""

import json
import math
from typing import TYPE_CHECKING

from trainer.artifacts.run_diff import diff_runs
from trainer.artifacts.run_record import RunRecord, read_run
from trainer.cli.commands import parse_arguments, print_table
from trainer.core.errors import UserError
from trainer.core.formatting import SPARKLINE_CHARS, format_number, format_sparkline
from trainer.core.lazy_imports import lazy_imports
from trainer.core.metric_name import MetricName, list_metrics

if TYPE_CHECKING:  # imports torch
    from trainer.reports.paired_tests import PairedTest


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    args = parse_arguments("compare", argv, "first", "second", json=False)
    paths = [args.first, args.second]
    first, second = map(read_run, paths)
    differences = diff_runs(first, second)
    names = dict.fromkeys([*first.metrics, *second.metrics])
    metrics = {name: (first.metrics.get(name), second.metrics.get(name)) for name in names}
    tests, problem = _compare_tests(first, second)
    if args.json:
        pairs_by_kind = {kind: {key: [*pair] for key, pair in pairs.items()} for kind, pairs in differences.items()}
        content = {"differences": pairs_by_kind, "metrics": metrics, "paired_tests": [vars(test) for test in tests]}
        print(json.dumps(content, indent=2, default=str))
        return 0
    for kind, pairs in differences.items():
        print_table([kind, *paths], [[key, *map(str, pair)] for key, pair in pairs.items()])
    if not differences:
        print("no difference in config, code, data, packages and machine")
    rows = [_format_metric(name, *pair) for name, pair in metrics.items() if not MetricName.parse(name).label]
    if rows:
        print_table(["metric", *paths, "difference"], rows)
    if tests:
        print_table(["paired test", "difference", "95 % interval", "p", "method"], map(_format_test, tests))
    elif problem:
        print(f"no paired tests: {problem}")
    series = [first.read_metric_series(), second.read_metric_series()]
    for name in [name for name in list_metrics(series[0], "val") if name in series[1]]:
        curves = [[value for _, value in run[name]] for run in series]
        values = [value for curve in curves for value in curve if math.isfinite(value)]
        low = min(values, default=0.0)
        high = max(values, default=0.0)
        for path, curve in zip(paths, curves, strict=True):
            print(f"  {name:20} {format_sparkline(curve, low, high):{SPARKLINE_CHARS}}  {path}")
    return 0


def _compare_tests(first: RunRecord, second: RunRecord) -> tuple[list["PairedTest"], str]:
    """Return the paired tests of two runs, and the reason if there are none; both empty if neither run was tested."""
    if not any(list_metrics(record.metrics, "test") for record in (first, second)):
        return [], ""
    with lazy_imports():
        from trainer.reports.paired_tests import compare_tests
    try:
        return compare_tests(first, second), "no metric in both runs that follows from the predictions"
    except UserError as error:
        return [], str(error)


def _format_test(test: "PairedTest") -> list[str]:
    bounds = " to ".join(format_number(bound, signed=True) for bound in (test.low, test.high))
    return [test.metric, format_number(test.difference, signed=True), bounds, format_number(test.p), test.method]


def _format_metric(name: str, first: float | None, second: float | None) -> list[str]:
    difference = "" if first is None or second is None else format_number(second - first, signed=True)
    return [name, format_number(first), format_number(second), difference]
