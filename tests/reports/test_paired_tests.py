"""Comparison of two runs on the same test examples."""

import json

import numpy as np
import pytest
import torch

from trainer.artifacts.run_record import RunRecord
from trainer.artifacts.stored_predictions import Predictions, read_predictions, write_predictions
from trainer.core.errors import UserError
from trainer.reports.paired_tests import compare_tests
from trainer.reports.statistics import compute_mcnemar_p


def write_run(directory, preds, target, *, scores=None, checksum="a", **metrics):
    """Write the files of a run that was tested."""
    directory.mkdir()
    scores = preds.float() if scores is None else scores
    write_predictions(directory, Predictions(preds, scores, target), checksum)
    recorded = {f"test/{name}": value for name, value in metrics.items()}
    (directory / "result.json").write_text(json.dumps({"state": "finished", "metrics": recorded}))
    return RunRecord(directory)


def accuracy(preds, target):
    return (preds == target).float().mean().item()


@pytest.fixture
def classifiers():
    """Return targets, and the predictions of two classifiers that are right for 80 and 60 of 100 examples."""
    target = torch.arange(100) % 2
    first = torch.where(torch.arange(100) < 80, target, 1 - target)
    second = torch.where((torch.arange(100) >= 30) & (torch.arange(100) < 90), target, 1 - target)
    return target, first, second


def test_accuracies_are_compared_by_the_examples_that_only_one_run_classifies_correctly(tmp_path, classifiers):
    target, before, after = classifiers
    runs = [
        write_run(tmp_path / name, preds, target, accuracy=accuracy(preds, target))
        for name, preds in (("a", before), ("b", after))
    ]
    [test] = compare_tests(*runs)
    assert test.metric == "test/accuracy"
    assert test.difference == pytest.approx(-0.2)
    assert test.p == compute_mcnemar_p(30, 10)  # 0 to 29, and 80 to 89
    # standard error of the difference: sqrt(40 - 20^2 / 100) / 100 = 0.06
    assert (test.low, test.high) == pytest.approx((-0.2 - 1.96 * 0.06, -0.2 + 1.96 * 0.06), abs=0.015)


def test_values_are_compared_in_pairs(tmp_path):
    random = torch.Generator().manual_seed(0)
    target = torch.randn(200, 1, generator=random)
    common = 10 * torch.randn(200, 1, generator=random).abs()  # errors that both runs have
    improvement = torch.rand(200, 1, generator=random)
    runs = []
    for name, error in (("a", common + 1), ("b", common + 1 - improvement)):
        runs.append(write_run(tmp_path / name, target + error, target, mae=error.mean().item(), other=1.0))
    [test] = compare_tests(*runs)
    assert test.difference == pytest.approx(-improvement.mean().item(), rel=1e-4)
    half_width = 1.96 * improvement.std().item() / 200**0.5  # not that of the errors, which is 20 times larger
    assert (test.high - test.low) / 2 == pytest.approx(half_width, rel=0.15)
    assert test.p == pytest.approx(2 / 1001)


def test_equal_runs_do_not_differ(tmp_path, classifiers):
    target, before, _ = classifiers
    values = {"accuracy": 0.8, "f1": 0.8}
    runs = [write_run(tmp_path / name, before, target, **values) for name in "ab"]
    tests = compare_tests(*runs)
    assert [(test.metric, test.difference, test.p) for test in tests] == [("test/accuracy", 0, 1), ("test/f1", 0, 1)]


def test_few_of_40_comparisons_of_equal_classifiers_are_significant(tmp_path):
    random = torch.Generator().manual_seed(0)
    significant = 0
    target = torch.zeros(200, dtype=torch.long)
    for number in range(40):
        runs = []
        for name in "ab":
            preds = (torch.rand(200, generator=random) < 0.2).long()
            run = write_run(tmp_path / f"{name}{number}", preds, target, accuracy=accuracy(preds, target))
            runs.append(run)
        significant += compare_tests(*runs)[0].p < 0.05
    assert significant <= 6  # at most 2 expected: 2 + 3 standard deviations of 1.4


def test_runs_with_other_examples_or_outputs_are_refused(tmp_path, classifiers):
    target, before, _ = classifiers
    run = write_run(tmp_path / "a", before, target, accuracy=0.8)
    other_data = write_run(tmp_path / "b", before, target, checksum="b", accuracy=0.8)
    other_targets = write_run(tmp_path / "c", before, 1 - target, accuracy=0.2)
    other_size = write_run(tmp_path / "d", before[:50], target[:50], accuracy=1.0)
    for other in (other_data, other_targets, other_size):
        with pytest.raises(UserError, match=r"^the runs were tested on different examples$"):
            compare_tests(run, other)
    both = write_run(tmp_path / "e", before, target, scores=torch.rand(100, 2), accuracy=0.8)
    with pytest.raises(UserError, match=r"^the networks of the runs have different numbers of outputs$"):
        compare_tests(run, both)
    (tmp_path / "f").mkdir()
    with pytest.raises(UserError, match=r"/f' has stored no test predictions$"):
        compare_tests(run, RunRecord(tmp_path / "f"))


def test_a_metric_with_the_name_of_another_one_is_not_compared(tmp_path, classifiers):
    target, before, after = classifiers
    runs = [
        write_run(tmp_path / name, preds, target, accuracy=accuracy(preds, target), f1=0.123)
        for name, preds in (("a", before), ("b", after))
    ]
    assert [test.metric for test in compare_tests(*runs)] == ["test/accuracy"]


def test_invalid_files_are_reported(tmp_path):
    (tmp_path / "test_predictions.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(UserError, match="cannot read"):
        read_predictions(tmp_path)
    np.savez(tmp_path / "test_predictions.npz", preds=np.array([object()], dtype=object))  # needs pickle
    with pytest.raises(UserError, match="cannot read"):
        read_predictions(tmp_path)
    np.savez(tmp_path / "test_predictions.npz", checksum="", preds=np.zeros(2), scores=np.zeros(3), target=np.zeros(2))
    with pytest.raises(UserError, match="of equal length"):
        read_predictions(tmp_path)
