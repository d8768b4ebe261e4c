"""Pooled metrics of the configs that the folds choose by validation, which the choice does not bias."""

import json
from pathlib import Path
from statistics import fmean, stdev
from types import SimpleNamespace

import pytest
import torch
import yaml

from trainer.artifacts.stored_predictions import Predictions, write_predictions
from trainer.reports.comparison import build_report
from trainer.reports.formats import format_markdown
from trainer.reports.pooling import choose_per_fold

FOLDS = 3
SIZE = 20  # test examples of a fold


@pytest.fixture
def write_run(tmp_path):
    """Return a function that writes a run of one config and fold with predictions for two classes."""

    def write(lr, fold, preds, target, val, **changes):
        path = tmp_path / f"cv/{len([*tmp_path.glob('cv/*')])}"
        path.mkdir(parents=True)
        write_predictions(path, Predictions(preds, preds.float(), target), f"fold {fold}")
        metrics = {"val/accuracy": val, "test/accuracy": (preds == target).double().mean().item()}
        examples = {"train": SIZE, "val": (FOLDS - 2) * SIZE, "test": SIZE}
        result = {"state": "finished", "metrics": metrics, "seconds": 1.0, "examples": examples}
        (path / "result.json").write_text(json.dumps(result))
        data = {"folds": FOLDS, "fold": fold} | changes
        config = {"seed": 1, "data": data, "optimizer": {"lr": lr}, "model": {}, "trainer": {}}
        (path / "config.yaml").write_text(yaml.safe_dump(config))
        overrides = [f"optimizer.lr={lr}", *(f"data.{key}={value}" for key, value in data.items())]
        (path / "provenance.json").write_text(json.dumps({"overrides": overrides, "directory": str(tmp_path)}))

    return write


def make_preds(target, right):
    """Return predictions of which the first `right` ones are correct."""
    return torch.cat([target[:right], 1 - target[right:]])


TARGETS = [torch.arange(SIZE) % 2, torch.arange(SIZE) % 3 % 2, torch.arange(SIZE) % 5 % 2]
# (validation accuracy, correct test predictions) of each fold; the best validation is never the best test
RESULTS = {0.1: [(0.9, 11), (0.6, 18), (0.7, 19)], 0.2: [(0.8, 17), (0.7, 12), (0.9, 13)]}


def write_all(write_run, results=RESULTS, **changes):
    for lr, folds in results.items():
        for fold, (val, right) in enumerate(folds):
            write_run(lr, fold, make_preds(TARGETS[fold], right), TARGETS[fold], val, **changes)


def test_each_fold_is_tested_with_the_config_of_its_best_validation(write_run, tmp_path):
    write_all(write_run)
    report = build_report(tmp_path / "cv", "val/accuracy")
    values = {metric.config: metric.value for metric in report.pooled if metric.metric == "test/accuracy"}
    assert values == {
        "optimizer.lr=0.1": 48 / 60,
        "optimizer.lr=0.2": 42 / 60,
        "nested: chosen per fold": (11 + 12 + 13) / 60,
    }
    assert "nested: optimizer.lr=0.1 in fold 0; optimizer.lr=0.2 in folds 1, 2" in report.notes
    assert "config of its own best val/accuracy" in "".join(report.notes)
    assert f"| nested: chosen per fold | test/accuracy | {36 / 60:.4g} |" in format_markdown(report)


def test_the_first_of_equal_configs_is_chosen(write_run, tmp_path):
    """Not that with the better mean over the folds, which depends on examples of the test."""
    write_all(write_run, {0.1: [(0.5, 10), (0.4, 11), (0.4, 12)], 0.2: [(0.5, 20), (0.9, 13), (0.9, 14)]})
    report = build_report(tmp_path / "cv", "val/accuracy")
    assert report.groups[0].overrides == "optimizer.lr=0.2"
    assert "nested: optimizer.lr=0.1 in fold 0; optimizer.lr=0.2 in folds 1, 2" in report.notes


@pytest.mark.parametrize(
    ("metric", "extra", "problem"),
    [
        ("test/accuracy", {}, "configs are chosen by a metric of the validation, not by test/accuracy"),
        ("val/accuracy", {"data_seed": 3}, "the configs have different folds: they differ in data.data_seed"),
        ("val/accuracy", {"folds": 4}, "the configs have different numbers of folds"),
        ("val/accuracy", {"note": 1}, "the configs have different test examples in fold 0"),
    ],
)
def test_configs_that_cannot_be_compared_fold_by_fold_have_no_nested_result(
    metric, extra, problem, write_run, tmp_path
):
    write_all(write_run)
    for fold in range(FOLDS):
        write_run(0.3, fold, TARGETS[fold], 1 - TARGETS[fold], 0.1, **extra)
    report = build_report(tmp_path / "cv", metric)
    assert f"no nested metrics: {problem}" in report.notes
    assert not [pooled for pooled in report.pooled if "nested" in pooled.config]


def test_one_config_has_no_nested_result(write_run, tmp_path):
    write_all(write_run, {0.1: RESULTS[0.1]})
    assert "nested" not in format_markdown(build_report(tmp_path / "cv", "val/accuracy"))


def classify(inputs, targets, train, rows):
    """Return the classes (configs, rows) that each config predicts: from one feature, by the nearer class mean."""
    low, high = (inputs[train][targets[train] == label].mean(0) for label in (0, 1))
    return ((inputs[rows] - low).abs() > (inputs[rows] - high).abs()).long().T


def cross_validate(data_set, configs):
    """Return the accuracies (configs, folds) of validation and test, for classes that do not depend on the inputs."""
    random = torch.Generator().manual_seed(data_set)
    inputs = torch.randn(FOLDS * SIZE, configs, generator=random)
    targets = torch.randint(2, (FOLDS * SIZE,), generator=random)
    parts = torch.randperm(FOLDS * SIZE, generator=random).split(SIZE)
    accuracies = []
    for fold in range(FOLDS):
        test, val, train = (parts[(fold + shift) % FOLDS] for shift in range(3))
        right = classify(inputs, targets, train, torch.cat([val, test])) == targets[torch.cat([val, test])]
        accuracies.append(right.double().view(configs, 2, SIZE).mean(2))  # (configs, 2)
    return torch.stack(accuracies, 2).unbind(1)


def test_the_choice_among_many_configs_is_biased_and_the_nested_result_is_not():
    """The true accuracy of all 15 configs is 0.5. Validation examples of a fold are test examples of another one."""
    best_by_test, best_by_mean_validation, nested = [], [], []
    for data_set in range(300):
        val, test = cross_validate(data_set, configs=15)
        runs = [
            SimpleNamespace(path=Path(f"{config:02}/{fold}"), config={"data.fold": fold}, key=(config, fold))
            for config in range(15)
            for fold in range(FOLDS)
        ]
        chosen = choose_per_fold(runs, FOLDS, lambda run, val=val: val[run.key])
        nested.append(fmean(float(test[run.key]) for run in chosen))
        best_by_mean_validation.append(float(test.mean(1)[val.mean(1).argmax()]))
        best_by_test.append(float(test.mean(1).max()))
    standard_error = stdev(nested) / len(nested) ** 0.5  # 0.004
    assert abs(fmean(nested) - 0.5) < 2 * standard_error
    assert fmean(best_by_mean_validation) > 0.56
    assert fmean(best_by_test) > 0.6
