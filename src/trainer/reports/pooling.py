"""Metrics of the test predictions of all folds of a cross-validation together."""

from collections.abc import Callable, Mapping, Sequence

import torch

from trainer.artifacts.run_record import RunRecord
from trainer.artifacts.stored_predictions import Predictions, read_predictions
from trainer.core.errors import UserError
from trainer.core.mappings import group_pairs
from trainer.reports.bootstrap import compute_interval
from trainer.reports.folds import FOLD_KEY
from trainer.reports.grouping import Group, PooledMetric
from trainer.reports.recomputed_metrics import compute_metric, describe_predictions, find_common_metrics

NESTED_NAME = "nested: chosen per fold"
SPLIT_KEYS = ("data.data_seed", "data.stratify", "data.group_column")  # configs that differ in them have other folds
NESTED_NOTE = (
    "nested: each fold is tested with the config of its own best {metric}, chosen without its test examples; "
    "unlike the best of {count} pooled metrics, these are not biased by the choice"
)


def pool_folds(
    groups: Sequence[Group], metric: str, higher_is_better: bool | None, incomparable_keys: Sequence[str] = ()
) -> tuple[list[PooledMetric], list[str]]:
    """Return the pooled metrics of each group of folds and of the config that is chosen in each fold, with remarks.

    Args:
        groups: Groups with different configs.
        metric: Metric that the configs are compared by.
        higher_is_better: Whether large values are good; None if unknown, and then no config is chosen.
        incomparable_keys: Keys that change the meaning of the metric; then no config is chosen. Defaults to none.
    """
    pooled, notes = _pool_groups(groups)
    if len(groups) > 1 and higher_is_better is not None and not incomparable_keys:
        try:
            chosen, choices = _pool_chosen_configs(groups, metric, higher_is_better)
        except UserError as error:
            notes.append(f"no nested metrics: {error}")
        else:
            pooled += chosen
            notes += choices
    return pooled, notes


def _pool_groups(groups: Sequence[Group]) -> tuple[list[PooledMetric], list[str]]:
    """Return the pooled metrics of each group of folds, and the reasons why others are missing."""
    pooled: list[PooledMetric] = []
    problems: list[str] = []
    for group in groups:
        runs_by_seed = _by_seed(group.runs if group.folds else ())
        for seed, runs in runs_by_seed.items():
            name = " ".join(filter(None, [group.overrides, f"seed={seed}" if len(runs_by_seed) > 1 else ""]))
            try:
                pooled += _pool(name, runs, group.folds.count if group.folds else 0)
            except UserError as error:
                problems.append(f"no pooled metrics of {name or 'all runs'}: {error}")
    return pooled, problems


def _pool_chosen_configs(
    groups: Sequence[Group], metric: str, higher_is_better: bool
) -> tuple[list[PooledMetric], list[str]]:
    """Return the pooled metrics of the config that each fold chooses by its validation, and the choices.

    This is a nested cross-validation, whose inner split is that of a fold into training and validation.

    Raises:
        UserError: If the configs were not tested on the same folds, or the metric is not one of the validation.

    Source:
        Varma and Simon 2006, Bias in error estimation when using cross-validation for model selection; Cawley and
        Talbot 2010, On over-fitting in model selection and subsequent selection bias in performance evaluation.
    """
    count = _require_comparable_folds(groups, metric)
    names = {run.path: group.overrides for group in groups for run in group.runs}
    runs_by_seed = _by_seed([run for group in groups for run in group.runs])
    sign = 1 if higher_is_better else -1
    pooled: list[PooledMetric] = []
    notes = [NESTED_NOTE.format(metric=metric, count=len(groups))]
    for seed, runs in runs_by_seed.items():
        suffix = f" seed={seed}" if len(runs_by_seed) > 1 else ""
        chosen = choose_per_fold(runs, count, lambda run: sign * run.metrics[metric])
        _require_equal_tests(runs)
        pooled += _pool(NESTED_NAME + suffix, chosen, count)
        notes.append(f"nested{suffix}: {_format_choices([names[run.path] for run in chosen])}")
    return pooled, notes


def choose_per_fold(runs: Sequence[RunRecord], folds: int, score: Callable[[RunRecord], float]) -> list[RunRecord]:
    """Return the run with the highest score in each fold; of equal ones the first by its path.

    Args:
        runs: Runs of different configs with the same seed.
        folds: Number of folds.
        score: Function of a run that returns its score.

    Raises:
        UserError: If a fold has no run.
    """
    ordered = sorted(runs, key=lambda run: run.path)
    by_fold = [[run for run in ordered if run.config[FOLD_KEY] == number] for number in range(folds)]
    if missing := [str(number) for number, candidates in enumerate(by_fold) if not candidates]:
        raise UserError(f"no finished run of fold {', '.join(missing)}")
    return [max(candidates, key=score) for candidates in by_fold]


def _require_equal_tests(runs: Sequence[RunRecord]) -> None:
    """Raise if runs of the same fold have different true values."""
    first: dict[int, torch.Tensor] = {}
    for run in runs:
        number = run.config[FOLD_KEY]
        target = read_predictions(run.path)[0].target
        if not torch.equal(first.setdefault(number, target), target):
            raise UserError(f"the configs have different test examples in fold {number}")


def _require_comparable_folds(groups: Sequence[Group], metric: str) -> int:
    """Return the number of folds; raise if the configs cannot be compared fold by fold, or not by validation."""
    if not metric.startswith("val/"):
        raise UserError(f"configs are chosen by a metric of the validation, not by {metric}")
    folds = {group.folds for group in groups}
    if len(folds) > 1:
        raise UserError("the configs have different numbers of folds")
    if keys := [key for key in SPLIT_KEYS if key in groups[0].settings]:
        raise UserError(f"the configs have different folds: they differ in {', '.join(keys)}")
    return next(group.folds.count for group in groups if group.folds)


def _format_choices(names: Sequence[str]) -> str:
    """Return the configs of the folds: `lr=0.1 in folds 0, 2; lr=0.2 in fold 1`."""
    parts = []
    for name in dict.fromkeys(names):
        numbers = [str(number) for number, other in enumerate(names) if other == name]
        parts.append(f"{name} in fold{'s' * (len(numbers) > 1)} {', '.join(numbers)}")
    return "; ".join(parts)


def _by_seed(runs: Sequence[RunRecord]) -> Mapping[object, list[RunRecord]]:
    return group_pairs((run.config.get("seed"), run) for run in runs)


def _pool(name: str, runs: Sequence[RunRecord], folds: int) -> list[PooledMetric]:
    """Return the pooled metrics of the folds of a config and seed; raise if not all examples are predicted once."""
    runs = _sort_by_fold(runs, folds)
    stored = [read_predictions(run.path) for run in runs]
    predictions = [part for part, _ in stored]
    if len({checksum for _, checksum in stored}) < folds:
        raise UserError("two folds have the same test examples")
    if len({part.scores.shape[1:] for part in predictions}) > 1:
        raise UserError("the networks of the runs have different numbers of outputs")
    predicted = sum(map(len, predictions))
    sizes = [sum(run.result.get("examples", {}).values()) for run in runs]
    for run, size in zip(runs, sizes, strict=True):
        examples = run.result.get("pooled_examples", size)
        if predicted != examples:
            raise UserError(f"'{run.path}' has {examples} examples, but all folds together have {predicted}")
    joined = Predictions(
        *(torch.cat([getattr(part, array) for part in predictions]) for array in ("preds", "scores", "target"))
    )
    spec = describe_predictions(joined)
    pooled = []
    for metric in find_common_metrics(runs, predictions):
        value = compute_metric(spec, metric, joined)
        interval = compute_interval(spec, metric, joined)
        pooled.append(PooledMetric(name, f"test/{metric}", value, interval, predicted, max(sizes), folds))
    return pooled


def _sort_by_fold(runs: Sequence[RunRecord], folds: int) -> list[RunRecord]:
    by_fold = {run.config[FOLD_KEY]: run for run in runs}
    if missing := [str(number) for number in range(folds) if number not in by_fold]:
        raise UserError(f"no finished run of fold {', '.join(missing)}")
    if len(runs) > folds:
        raise UserError(f"{len(runs)} runs of {folds} folds with the same seed")
    return [by_fold[number] for number in range(folds)]
