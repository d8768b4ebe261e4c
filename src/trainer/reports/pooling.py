"""Metrics of the test predictions of all folds of a cross-validation together."""

from collections.abc import Sequence

import torch

from trainer.artifacts.run_record import RunRecord
from trainer.artifacts.stored_predictions import Predictions, read_predictions
from trainer.core.errors import UserError
from trainer.reports.bootstrap import compute_interval
from trainer.reports.grouping import FOLD_KEY, Group, PooledMetric
from trainer.reports.recomputed_metrics import compute_metric, describe_predictions, find_common_metrics


def pool_groups(groups: Sequence[Group]) -> tuple[list[PooledMetric], list[str]]:
    """Return the pooled metrics of each group of folds, and the reasons why others are missing."""
    pooled: list[PooledMetric] = []
    problems: list[str] = []
    for group in groups:
        runs_by_seed: dict[object, list[RunRecord]] = {}
        for run in group.runs if group.folds else ():
            runs_by_seed.setdefault(run.config.get("seed"), []).append(run)
        for seed, runs in runs_by_seed.items():
            name = " ".join(filter(None, [group.overrides, f"seed={seed}" if len(runs_by_seed) > 1 else ""]))
            try:
                pooled += _pool(name, runs, group.folds or 0)
            except UserError as error:
                problems.append(f"no pooled metrics of {name or 'all runs'}: {error}")
    return pooled, problems


def _pool(name: str, runs: Sequence[RunRecord], folds: int) -> list[PooledMetric]:
    """Return the pooled metrics of the folds of one config and seed; raise if not all examples are predicted once."""
    runs = _sort_by_fold(runs, folds)
    stored = [read_predictions(run.path) for run in runs]
    predictions = [part for part, _ in stored]
    if len({checksum for _, checksum in stored}) < folds:
        raise UserError("two folds have the same test examples")
    if len({part.scores.shape[1:] for part in predictions}) > 1:
        raise UserError("the networks of the runs have different numbers of outputs")
    predicted = sum(map(len, predictions))
    for run in runs:
        examples = sum(run.result.get("examples", {}).values())
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
        pooled.append(PooledMetric(name, f"test/{metric}", value, interval, predicted, folds))
    return pooled


def _sort_by_fold(runs: Sequence[RunRecord], folds: int) -> list[RunRecord]:
    by_fold = {run.config[FOLD_KEY]: run for run in runs}
    if missing := [str(number) for number in range(folds) if number not in by_fold]:
        raise UserError(f"no finished run of fold {', '.join(missing)}")
    if len(runs) > folds:
        raise UserError(f"{len(runs)} runs of {folds} folds with the same seed")
    return [by_fold[number] for number in range(folds)]
