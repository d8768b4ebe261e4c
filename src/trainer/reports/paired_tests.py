"""Statistical tests of two runs on the same test examples."""

import torch

from trainer.artifacts.run_record import RunRecord
from trainer.artifacts.stored_predictions import Predictions, read_predictions
from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.reports.bootstrap import percentile_interval, resample_metric
from trainer.reports.paired_result import PairedTest
from trainer.reports.recomputed_metrics import compute_metric, describe_predictions, find_common_metrics
from trainer.reports.statistics import compute_mcnemar_p


def compare_tests(first: RunRecord, second: RunRecord) -> list[PairedTest]:
    """Compare two runs by each metric of this package that both have logged for the test.

    Raises:
        UserError: A run has stored no predictions, or the test examples or the outputs differ.
    """
    before, first_checksum = read_predictions(first.path)
    after, second_checksum = read_predictions(second.path)
    if first_checksum != second_checksum or not torch.equal(before.target, after.target):
        raise UserError("the runs were tested on different examples")
    if before.scores.shape != after.scores.shape:
        raise UserError("the networks of the runs have different numbers of outputs")
    spec = describe_predictions(before)
    names = find_common_metrics([first, second], [before, after])
    return [test for name in names for test in _compare(spec, name, before, after)]


def _compare(spec: DataSpec, name: str, before: Predictions, after: Predictions) -> list[PairedTest]:
    """Return the comparison by a metric; empty if it is not defined for many resamples."""
    differences = resample_metric(spec, name, after) - resample_metric(spec, name, before)
    interval = percentile_interval(differences)
    if interval is None:
        return []
    if name == "accuracy":
        is_right = [predictions.preds == predictions.target for predictions in (before, after)]
        p = compute_mcnemar_p(int((is_right[0] & ~is_right[1]).sum()), int((is_right[1] & ~is_right[0]).sum()))
        method = "McNemar, exact"
    else:
        tail = 1 + min(int((differences <= 0).sum()), int((differences >= 0).sum()))
        p = min(1.0, 2 * tail / (len(differences) + 1))
        method = f"paired bootstrap, {len(differences)} resamples"
    difference = compute_metric(spec, name, after) - compute_metric(spec, name, before)
    return [PairedTest(f"test/{name}", difference, *interval, p, method)]
