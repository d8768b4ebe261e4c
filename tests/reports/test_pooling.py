"""Groups of folds in reports, and metrics of the predictions of all folds together."""

import json
import math

import pytest
import torch
import yaml
from scipy import stats

from trainer.artifacts.stored_predictions import Predictions, write_predictions
from trainer.reports.comparison import build_report
from trainer.reports.folds import Folds
from trainer.reports.formats import format_markdown
from trainer.reports.render import render_html
from trainer.reports.statistics import compare_pairs, estimate, wilson_interval
from trainer.reports.sweep_page import build_sweep_page

SIZES = (30, 30, 29)


@pytest.fixture
def write_fold(tmp_path):
    """Return a function that writes a run of one fold of 3, and returns its predictions."""

    def write(number, fold, *, lr=0.1, seed=1, examples=89, checksum=None, noise=1.0):
        path = tmp_path / f"cv/{number}"
        path.mkdir(parents=True)
        random = torch.Generator().manual_seed(10 * fold + seed)
        target = torch.randint(2, (SIZES[fold],), generator=random)
        scores = (target + noise * torch.randn(SIZES[fold], generator=random)).mul(4).round().div(4)  # with ties
        predictions = Predictions((scores > 0.5).long(), scores, target)
        write_predictions(path, predictions, checksum or f"fold {fold}")
        accuracy = (predictions.preds == target).double().mean().item()
        metrics = {"val/loss": 1 - accuracy, "test/accuracy": accuracy, "test/auroc": compute_auroc(scores, target)}
        result = {"state": "finished", "metrics": metrics, "seconds": 1.0}
        result["examples"] = {"train": examples - 40, "val": 40 - SIZES[fold], "test": SIZES[fold]}
        (path / "result.json").write_text(json.dumps(result))
        config = {"seed": seed, "data": {"folds": 3, "fold": fold}, "optimizer": {"lr": lr}}
        (path / "config.yaml").write_text(yaml.safe_dump(config | {"model": {}, "trainer": {}}))
        overrides = [f"optimizer.lr={lr}", "data.folds=3", f"data.fold={fold}", f"seed={seed}"]
        (path / "provenance.json").write_text(json.dumps({"overrides": overrides, "directory": str(tmp_path)}))
        return predictions

    return write


def compute_auroc(scores, target):
    """Return the AUROC by the statistic of Mann and Whitney."""
    positive, negative = scores[target == 1].numpy(), scores[target == 0].numpy()
    return float(stats.mannwhitneyu(positive, negative).statistic / (len(positive) * len(negative)))


def test_pooled_metrics_are_those_of_all_predictions_together(write_fold, tmp_path):
    parts = [write_fold(fold, fold) for fold in range(3)]
    report = build_report(tmp_path / "cv", "test/accuracy")
    target = torch.cat([part.target for part in parts])
    scores = torch.cat([part.scores for part in parts])
    right = int((torch.cat([part.preds for part in parts]) == target).sum())
    accuracy, auroc = report.pooled
    assert (accuracy.metric, accuracy.examples, accuracy.folds) == ("test/accuracy", 89, 3)
    assert accuracy.value == right / 89
    assert accuracy.interval == wilson_interval(right, 89)
    assert (auroc.metric, auroc.value) == ("test/auroc", pytest.approx(compute_auroc(scores, target), abs=1e-7))
    assert auroc.value != pytest.approx(sum(run.metrics["test/auroc"] for run in report.groups[0].runs) / 3, abs=1e-6)
    assert auroc.interval[0] < auroc.value < auroc.interval[1]
    assert f"| (all) | test/accuracy | {right / 89:.4g} |" in format_markdown(report)
    assert "All folds together" in render_html(build_sweep_page(tmp_path / "cv"))


def test_the_folds_of_a_config_are_one_group_that_is_compared_fold_by_fold(write_fold, tmp_path):
    for number, (lr, fold) in enumerate((lr, fold) for lr in (0.1, 0.2) for fold in range(3)):
        write_fold(number, fold, lr=lr, noise=lr * 10)
    report = build_report(tmp_path / "cv", "test/accuracy")
    assert [(group.overrides, group.estimate.count, group.folds.count) for group in report.groups] == [
        ("optimizer.lr=0.1", 3, 3),
        ("optimizer.lr=0.2", 3, 3),
    ]
    values = {group.overrides: [*group.values.values()] for group in report.groups}
    differences = [b - a for a, b in zip(values["optimizer.lr=0.1"], values["optimizer.lr=0.2"], strict=True)]
    comparison = report.groups[1].comparison
    assert (comparison.pairs, comparison.mean) == (3, pytest.approx(sum(differences) / 3))
    assert comparison.additional_seeds is None or comparison.is_significant
    assert [metric.config for metric in report.pooled] == ["optimizer.lr=0.1"] * 2 + ["optimizer.lr=0.2"] * 2
    assert "means over 3 folds; folds share training examples" in "".join(report.notes)


def test_each_seed_is_pooled_by_itself(write_fold, tmp_path):
    for number, (seed, fold) in enumerate((seed, fold) for seed in (1, 2) for fold in range(3)):
        write_fold(number, fold, seed=seed)
    report = build_report(tmp_path / "cv")
    assert [(metric.config, metric.examples) for metric in report.pooled[::2]] == [("seed=1", 89), ("seed=2", 89)]
    assert report.groups[0].estimate.count == 6


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ([{}, {}], "no finished run of fold 2"),
        ([{}, {}, {"checksum": "fold 0"}], "two folds have the same test examples"),
        ([{}, {}, {"examples": 90}], "/2' has 90 examples, but all folds together have 89"),
        ([{}, {}, {}, {}], "4 runs of 3 folds with the same seed"),
    ],
)
def test_metrics_are_pooled_only_if_each_example_is_predicted_once(changes, problem, write_fold, tmp_path):
    for number, change in enumerate(changes):
        write_fold(number, number % 3, **change)
    report = build_report(tmp_path / "cv")
    assert not report.pooled
    assert problem in report.pooling_notes[0]
    assert report.pooling_notes[0] in report.notes


def test_runs_without_predictions_are_not_pooled(write_fold, tmp_path):
    for fold in range(3):
        write_fold(fold, fold)
    (tmp_path / "cv/1/test_predictions.npz").unlink()
    [problem] = build_report(tmp_path / "cv").pooling_notes
    assert problem.endswith("/1' has stored no test predictions")


def test_the_variance_over_folds_is_corrected_for_their_common_training_examples():
    values = [0.7, 0.75, 0.8, 0.72, 0.78]
    variance = torch.tensor(values, dtype=torch.float64).var().item()
    result = estimate(values, folds=Folds(5))
    assert result.error == pytest.approx(math.sqrt((1 / 5 + 1 / 4) * variance))  # test / other examples = 1 / 4
    assert result.half_width == pytest.approx(stats.t.ppf(0.975, 4) * result.error)
    difference = compare_pairs(dict(enumerate(values)), dict.fromkeys(range(5), 0.65), folds=Folds(5))
    assert difference.p == pytest.approx(2 * stats.t.sf((sum(values) / 5 - 0.65) / result.error, 4))
    assert difference.p > compare_pairs(dict(enumerate(values)), dict.fromkeys(range(5), 0.65)).p
    assert compare_pairs({0: 1.0}, {1: 1.0}, folds=Folds(5)).verdict(True) == "no common fold"
