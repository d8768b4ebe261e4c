"""Report of a sweep as plain values for JSON."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.reports.comparison import Report
from trainer.reports.grouping import Group, PooledMetric
from trainer.reports.statistics import Difference, Estimate

Interval = tuple[float, float]  # lower and upper bound


@dataclass(frozen=True)
class ListedGroup:
    """Runs of a sweep with the same config.

    Args:
        config: Overrides that not all groups have; "" if there is a single group.
        settings: Values of the swept keys.
        runs: Run directories, one per seed or fold.
        mean: Mean of the metric.
        std: Standard deviation; null for one run.
        interval: 95 % interval of the mean, [lower, upper]; null for one run.
        difference: Mean difference from the baseline; null for the baseline, and without common seeds or folds.
        difference_interval: 95 % interval of the difference; null for fewer than two common seeds or folds.
        p: p value of the difference, corrected for all comparisons; null without an interval.
        verdict: Result of the comparison in words; null for the baseline.
        seconds: Total time of the runs.
    """

    config: str
    settings: dict[str, Any]
    runs: list[Path]
    mean: float
    std: float | None
    interval: Interval | None
    difference: float | None
    difference_interval: Interval | None
    p: float | None
    verdict: str | None
    seconds: float


@dataclass(frozen=True)
class SweepReport:
    """Comparison of the configs of a sweep.

    Args:
        metric: Name of the metric.
        higher_is_better: Whether large values are good; null if unknown, and then no group is the best.
        baseline: Config of the group that the others are compared with.
        groups: Groups, the best first.
        importances: Fraction of the variance that each swept key explains by itself.
        excluded_runs: Number of runs without the metric, by state.
        pooled: Metrics of the test predictions of all folds together, of a cross-validation.
        notes: Remarks that are necessary to interpret the groups.
    """

    metric: str
    higher_is_better: bool | None
    baseline: str
    groups: list[ListedGroup]
    importances: dict[str, float]
    excluded_runs: dict[str, int]
    pooled: list[PooledMetric]
    notes: list[str]


def build_document(report: Report) -> SweepReport:
    """Return a report as plain values."""
    return SweepReport(
        metric=report.metric,
        higher_is_better=report.higher_is_better,
        baseline=report.baseline,
        groups=[_list_group(group, report) for group in report.groups],
        importances=report.importances,
        excluded_runs={**report.excluded_runs},
        pooled=[*report.pooled],
        notes=[*report.version_conflicts, *report.significance_notes, *report.notes],
    )


def _list_group(group: Group, report: Report) -> ListedGroup:
    difference = group.comparison
    return ListedGroup(
        config=group.overrides,
        settings=group.settings,
        runs=[run.path for run in group.runs],
        mean=group.estimate.mean,
        std=group.estimate.std,
        interval=_get_interval(group.estimate),
        difference=difference.mean if difference else None,
        difference_interval=_get_interval(difference) if difference else None,
        p=difference.p if difference else None,
        verdict=difference.verdict(report.higher_is_better) if difference else None,
        seconds=group.seconds,
    )


def _get_interval(sample: Estimate | Difference) -> Interval | None:
    """Return the bounds of an interval; None if it is infinite."""
    if not math.isfinite(sample.half_width):
        return None
    return sample.mean - sample.half_width, sample.mean + sample.half_width
