"""Compare config, code, data, machine and results of two runs.

trainer compare RUN RUN [--json]

If both runs were tested on the same examples, each test metric is compared by a test of paired examples: McNemar's for
accuracy, a bootstrap for the others.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainer.artifacts.learning_curves import Series
from trainer.artifacts.run_diff import ValuePairs, diff_runs
from trainer.artifacts.run_record import RunRecord, read_run
from trainer.cli.commands import parse_arguments, print_table
from trainer.cli.json_output import JsonOutputs, print_json
from trainer.core.errors import UserError
from trainer.core.formatting import SPARKLINE_CHARS, format_number, format_sparkline
from trainer.core.lazy_imports import lazy_imports
from trainer.core.metric_name import MetricName, list_metrics
from trainer.reports.paired_result import PairedTest


@dataclass(frozen=True)
class Comparison:
    """Comparison of two runs. Pairs of values are lists of two items, first that of the first run.

    Args:
        differences: Pairs by key, by kind: config, code, data, environment or hardware; "-" if a value is absent.
        metrics: Pairs by metric; null if a run has no such metric.
        paired_tests: Tests of each metric of the same test examples.
        problem: Reason if there are no paired tests; "" if neither run was tested.
    """

    differences: dict[str, ValuePairs]
    metrics: dict[str, tuple[float | None, float | None]]
    paired_tests: list[PairedTest]
    problem: str


JSON_OUTPUTS: JsonOutputs = {"compare": (Comparison, "The comparison.")}


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
        print_json(Comparison(differences, metrics, tests, problem="" if tests else problem))
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
    _print_curves(paths, [first.read_metric_series(), second.read_metric_series()])
    return 0


def _print_curves(paths: Sequence[str], series: Sequence[Mapping[str, Series]]) -> None:
    """Print the validation metrics that were logged by all runs as sparklines with a common scale."""
    for name in [name for name in list_metrics(series[0], "val") if name in series[1]]:
        curves = [[value for _, value in run[name]] for run in series]
        values = [value for curve in curves for value in curve if math.isfinite(value)]
        low = min(values, default=0.0)
        high = max(values, default=0.0)
        for path, curve in zip(paths, curves, strict=True):
            print(f"  {name:20} {format_sparkline(curve, low, high):{SPARKLINE_CHARS}}  {path}")


def _compare_tests(first: RunRecord, second: RunRecord) -> tuple[list[PairedTest], str]:
    """Return the paired tests of two runs, and the reason if there are none; both empty if neither run was tested."""
    if not any(list_metrics(record.metrics, "test") for record in (first, second)):
        return [], ""
    with lazy_imports():
        from trainer.reports.paired_tests import compare_tests  # imports torch

    try:
        return compare_tests(first, second), "no metric in both runs that follows from the predictions"
    except UserError as error:
        return [], str(error)


def _format_test(test: PairedTest) -> list[str]:
    bounds = " to ".join(format_number(bound, signed=True) for bound in (test.low, test.high))
    return [test.metric, format_number(test.difference, signed=True), bounds, format_number(test.p), test.method]


def _format_metric(name: str, first: float | None, second: float | None) -> list[str]:
    difference = "" if first is None or second is None else format_number(second - first, signed=True)
    return [name, format_number(first), format_number(second), difference]
