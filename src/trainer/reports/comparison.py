"""Comparison of the runs of a sweep: grouped by config, over seeds, against a baseline."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainer.artifacts.ledger_file import read_optimized_metrics
from trainer.artifacts.run_record import RunRecord, find_runs
from trainer.core.errors import UserError, did_you_mean
from trainer.core.lazy_imports import lazy_imports
from trainer.core.mappings import is_within
from trainer.core.metric_direction import UNKNOWN_DIRECTION_MESSAGE, Direction, as_list, base_name, infer_direction
from trainer.core.metric_name import MetricName, list_metrics
from trainer.reports.code_versions import assign_code_versions, describe_version_conflicts
from trainer.reports.grouping import (
    Group,
    PooledMetric,
    build_group,
    drop_redundant_keys,
    extract_configs,
    find_swept_keys,
    group_runs,
)
from trainer.reports.importance import compute_importances
from trainer.reports.statistics import compare_pairs, correct_p_values

DATASET_KEYS = ("data._target_", "data.path")
# they do not affect the validation loss
NON_LOSS_KEYS = ("objective.metrics", "objective.penalty", "objective.threshold")


@dataclass(frozen=True)
class Report:
    """Results of a sweep.

    Args:
        metric: Name of the compared metric.
        higher_is_better: Whether large values are good; None if unknown, and then no group is the best.
        groups: Groups, the best first; in the order of their runs if none is the best.
        baseline: Overrides of the group that the others are compared with.
        importances: Fraction of the variance that each swept parameter explains by itself.
        excluded_runs: Number of runs without the metric, by state.
        other_metrics: Further optimized metrics.
        incomparable_keys: Swept keys that change the meaning of the metric.
        version_conflicts: Lines about differences in code or data.
        pooled: Metrics of the test predictions of all folds together, of a cross-validation.
        pooling_notes: Configs that were chosen in each fold, and reasons why groups have no pooled metrics.
    """

    metric: str
    higher_is_better: bool | None
    groups: list[Group]
    baseline: str
    importances: dict[str, float]
    excluded_runs: dict[str, int]
    other_metrics: tuple[str, ...] = ()
    incomparable_keys: tuple[str, ...] = ()
    version_conflicts: tuple[str, ...] = ()
    pooled: tuple[PooledMetric, ...] = ()
    pooling_notes: tuple[str, ...] = ()

    @property
    def best(self) -> Group | None:
        """The best group; None if the direction of the metric is unknown."""
        return None if self.higher_is_better is None else self.groups[0]

    @property
    def best_run(self) -> RunRecord:
        """The run with the best value in the first group."""
        select = max if self.higher_is_better else min
        return select(self.groups[0].runs, key=lambda run: run.metrics[self.metric])

    @property
    def notes(self) -> list[str]:
        """Remarks that are necessary to interpret the groups, one line each."""
        notes = [folds.note for folds in sorted({group.folds for group in self.groups if group.folds})]
        notes += self.pooling_notes
        notes += [
            f"left out: {count} {state} run(s) without {self.metric}" for state, count in self.excluded_runs.items()
        ]
        if self.higher_is_better is None:
            hint = "to select the best config: --direction=min or --direction=max"
            notes.append(f"no config is the best: {UNKNOWN_DIRECTION_MESSAGE.format(self.metric)}; {hint}")
        if self.incomparable_keys:
            keys = ", ".join(self.incomparable_keys)
            notes.append(f"not comparable by {self.metric}: the configs differ in {keys}")
        if self.other_metrics:
            notes.append(f"compared by {self.metric} only, not by {', '.join(self.other_metrics)}")
        return notes

    @property
    def significance_notes(self) -> list[str]:
        """One line about the significance test, and one about differences that are not tested."""
        pairs = [group.comparison.pairs for group in self.groups if group.comparison]
        count = sum(number > 1 for number in pairs)
        correction = f", corrected for {count} comparisons (Holm-Bonferroni)" * (count > 1)
        notes = [f"verdicts: paired Student's t test at 5 %{correction}"] if count else []
        untested = "differences between single runs may be chance; to test them, repeat each config: seed=1,2,3"
        return notes + [untested] * (1 in pairs)


def build_report(
    directory: Path, metric: str | None = None, baseline: str | None = None, direction: str | None = None
) -> Report:
    """Group and compare all runs below a directory.

    Args:
        directory: Directory of one or several sweeps.
        metric: Name of the metric. Defaults to the sweep's `optimized_metric`, or else to a validation metric.
        baseline: Overrides of a group, e.g. `"optimizer.lr=0.1"`. Defaults to the first group.
        direction: `"min"` or `"max"`. Defaults to the direction of the sweep or of the metric.

    Raises:
        UserError: If there are no runs, or no such metric, group or direction.
    """
    if direction not in (None, "min", "max"):
        raise UserError(f"direction: '{direction}' is invalid; expected min or max")
    records = [*find_runs(directory)] if directory.is_dir() else []
    if not records:
        raise UserError(f"no runs below '{directory}'")
    finished = [record for record in records if record.state == "finished"]
    optimized = _collect_optimized_metrics(finished)
    metric = _validate_metric(metric or _default_metric(optimized, finished), finished)
    runs = [record for record in finished if metric in record.metrics]
    configs = extract_configs(runs)
    swept = find_swept_keys(configs)
    grouped = group_runs(runs, configs, swept)
    baseline = _find_baseline(grouped, baseline)
    numbers = assign_code_versions(runs)
    versions = {record.path: number for record, number in zip(runs, numbers, strict=True) if max(numbers) > 1}
    groups = [build_group(overrides, members, metric, swept, versions) for overrides, members in grouped.items()]
    groups = _compare_to_baseline(groups, baseline)
    higher = {"max": True, "min": False, None: None}[direction or _infer_direction(metric, optimized, runs)]
    if higher is not None:
        groups.sort(key=lambda group: group.estimate.mean, reverse=higher)
    pooled, pooling_notes = _pool_folds(groups, metric, higher, _find_incomparable_keys(swept, metric))
    settings = [{key: config.get(key) for key in drop_redundant_keys(configs, swept)} for config in configs]
    importances = compute_importances(settings, [record.metrics[metric] for record in runs]) if swept else {}
    return Report(
        metric,
        higher,
        groups,
        baseline,
        importances={key.removesuffix("._target_"): fraction for key, fraction in importances.items()},
        excluded_runs=Counter(record.state for record in records if record not in runs),
        other_metrics=tuple(name for name in optimized if name != metric) if metric in optimized else (),
        incomparable_keys=_find_incomparable_keys(swept, metric),
        version_conflicts=tuple(describe_version_conflicts(runs)),
        pooled=tuple(pooled),
        pooling_notes=tuple(pooling_notes),
    )


def _pool_folds(groups: Sequence[Group], *choice: Any) -> tuple[list[PooledMetric], list[str]]:
    """Return the result of `pool_folds`, which imports torch, if there are folds."""
    if not any(group.folds for group in groups):
        return [], []
    with lazy_imports():
        from trainer.reports.pooling import pool_folds
    return pool_folds(groups, *choice)


def _collect_optimized_metrics(records: Sequence[RunRecord]) -> dict[str, Direction | None]:
    """Return the optimized metrics of sweeps (from their ledgers) and of single runs, with their directions.

    The direction is None if it is not set, or if sweeps contradict each other.
    """
    sweeps = dict.fromkeys(record.path.parent for record in records)
    by_sweep = {sweep: read_optimized_metrics(sweep) for sweep in sweeps}
    merged: dict[str, Direction | None] = {}
    for record in records:
        metrics = by_sweep.get(record.path.parent) or _read_optimized_metrics(record)
        for metric, direction in metrics.items():
            merged[metric] = direction if merged.get(metric, direction) == direction else None
    return merged


def _default_metric(optimized: Mapping[str, Direction | None], finished: Sequence[RunRecord]) -> str | None:
    """Return the optimized metric if it is the same for all runs, else the most frequent validation metric."""
    # includes NaN: a diverged run does not change the metric of the others
    counts = Counter(name for record in finished for name in record.result.get("metrics", {}))
    first = next(iter(optimized), None)
    if first is not None and (len(optimized) == 1 or counts[first] == len(finished)):
        return first
    validation = list_metrics(counts, "val")
    preferred = sorted(
        validation, key=lambda name: (not name.endswith("_best"), MetricName.parse(name).metric != "loss")
    )
    return max(preferred, key=counts.__getitem__, default=None)


def _validate_metric(metric: str | None, finished: Sequence[RunRecord]) -> str:
    available = sorted({name for record in finished for name in record.metrics})
    if metric is None:
        raise UserError(f"metric: no run has a validation metric; expected one of {', '.join(available) or 'none'}")
    if metric not in available:
        raise UserError(f"metric: no finished run has '{metric}'{did_you_mean(metric, available)}")
    return metric


def _find_incomparable_keys(swept: Sequence[str], metric: str) -> tuple[str, ...]:
    """Return the swept keys that change the meaning of a metric: the data set, and for a loss the objective."""
    loss_keys = [key for key in swept if key.startswith("objective.") and not is_within(key, NON_LOSS_KEYS)]
    return (*(key for key in swept if key in DATASET_KEYS), *(loss_keys if "loss" in metric else []))


def _read_optimized_metrics(record: RunRecord) -> dict[str, Any]:
    metrics = as_list(record.nested_config.get("optimized_metric"))
    directions = as_list((record.nested_config.get("sweep") or {}).get("direction"))
    return dict(zip(metrics, directions if len(directions) == len(metrics) else [None] * len(metrics), strict=True))


def _infer_direction(
    metric: str, optimized: Mapping[str, Direction | None], records: Sequence[RunRecord]
) -> Direction | None:
    """Return the direction of a metric from its sweep, its name, or the checkpoint callback that monitors it."""
    base = base_name(metric)
    candidates = [optimized.get(metric), *(value for name, value in optimized.items() if base_name(name) == base)]
    direction = next((value for value in candidates if value), None) or infer_direction(metric)
    if direction:
        return direction
    callbacks = [(record.nested_config.get("callbacks") or {}).get("checkpoint") or {} for record in records]
    modes = {callback.get("mode") for callback in callbacks if base_name(str(callback.get("monitor"))) == base}
    return "min" if modes == {"min"} else "max" if modes == {"max"} else None


def _compare_to_baseline(groups: list[Group], baseline: str) -> list[Group]:
    """Compare each group with the baseline; p values are corrected for all comparisons."""
    baseline_values = next(group.values for group in groups if group.overrides == baseline)
    others = [group for group in groups if group.overrides != baseline]
    pairs = [compare_pairs(group.values, baseline_values, group.folds) for group in others]
    differences = iter(correct_p_values(pairs))
    return [group if group.overrides == baseline else replace(group, comparison=next(differences)) for group in groups]


def _find_baseline(grouped: dict[str, list[RunRecord]], baseline: str | None) -> str:
    if baseline is None or baseline in grouped:
        return next(iter(grouped)) if baseline is None else baseline
    expected = set(baseline.split())
    matches = [overrides for overrides in grouped if expected <= set(overrides.split())]
    if len(matches) != 1:
        reason = "several groups have" if matches else "no group has"
        raise UserError(f"baseline: {reason} '{baseline}'; there are: {'; '.join(grouped)}")
    return matches[0]
