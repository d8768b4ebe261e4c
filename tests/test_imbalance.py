"""Thresholds, class weights and intervals of whole runs: the same in training, test, prediction and comparison."""

import json

import pytest
import torch

import trainer
from trainer.artifacts.stored_predictions import read_predictions

RUN = ["data=diabetes", "data.synthetic=true", "model=mlp", "trainer.accelerator=cpu", "trainer.max_epochs=2"]
METRICS = "objective.metrics=[accuracy,balanced_accuracy,f1]"


def read_result(directory):
    return json.loads((directory / "result.json").read_text())


@pytest.fixture(scope="module")
def run(tmp_path_factory, restored_logging):
    """Return the directory of a run that has chosen a threshold and balanced its loss."""
    directory = tmp_path_factory.mktemp("runs") / "run"
    settings = ["objective.threshold=balanced_accuracy", "objective.class_weights=balanced", METRICS]
    trainer.train(*RUN, *settings, f"hydra.run.dir={directory}")
    return directory


def test_the_threshold_is_in_result_and_checkpoint(run):
    threshold = read_result(run)["threshold"]
    content = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    assert content["objective"]["threshold"] == threshold != 0.5
    assert len(content["objective"]["class_weights"]) == 2


def test_a_test_of_the_checkpoint_repeats_metrics_and_intervals(run):
    tested = read_result(trainer.test(run, f"hydra.run.dir={run.parent / 'tested'}").directory)
    result = read_result(run)
    for name in ("test/loss", "test/accuracy", "test/balanced_accuracy", "test/f1"):
        assert tested["metrics"][name] == result["metrics"][name], name
        interval = result["intervals"][name]
        assert tested["intervals"][name] == interval
        assert interval["low"] < result["metrics"][name] < interval["high"]
        assert interval["examples"] == 152
    assert tested["threshold"] == result["threshold"]


def test_another_threshold_can_be_tested(run):
    tested = trainer.test(run, "objective.threshold=0.999", f"hydra.run.dir={run.parent / 'fixed'}")
    result = read_result(tested.directory)
    assert result["metrics"]["test/f1"] == 0
    assert "threshold" not in result


def test_predictions_of_files_use_the_threshold(run):
    model = trainer.load(run)
    threshold = read_result(run)["threshold"]
    inputs = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    predictions = model.predict(inputs)
    names = model.spec.class_names
    assert [prediction.label for prediction in predictions] == [
        names[prediction.probabilities[names[1]] > threshold] for prediction in predictions
    ]
    # the test is useless if all scores are on the same side of both thresholds
    scores = [prediction.probabilities[names[1]] for prediction in predictions]
    assert any(min(threshold, 0.5) < score <= max(threshold, 0.5) for score in scores)


def test_stored_predictions_have_the_metrics_of_the_run(run):
    predictions, _ = read_predictions(run)
    accuracy = (predictions.preds == predictions.target).double().mean().item()
    assert accuracy == pytest.approx(read_result(run)["metrics"]["test/accuracy"])


def test_a_test_with_a_criterion_needs_a_chosen_threshold(command):
    assert command(*RUN, "hydra.run.dir=run").code == 0
    outcome = command("test", "run", "objective.threshold=f1")
    assert outcome.code == 1
    assert "error: objective.threshold: f1: no validation has chosen a threshold for these weights" in outcome.err


@pytest.mark.slow
def test_runs_are_compared_by_a_paired_test(command):
    for name, options in {"a": [], "b": ["model=linear"], "c": ["data.data_seed=1"]}.items():
        assert command(*RUN, *options, METRICS, f"hydra.run.dir={name}").code == 0
    outcome = command("compare", "a", "b", "--json")
    tests = {test["metric"]: test for test in json.loads(outcome.out)["paired_tests"]}
    assert [*tests] == ["test/accuracy", "test/balanced_accuracy", "test/f1"]
    metrics = [read_result(outcome.directory / name)["metrics"]["test/f1"] for name in "ab"]
    assert tests["test/f1"]["difference"] == pytest.approx(metrics[1] - metrics[0], abs=1e-6)
    assert "McNemar, exact" in command("compare", "a", "b").out


def test_a_metric_that_a_callback_logs_has_no_interval(command):
    arguments = ["data=stock", "data.synthetic=true", "model=lstm", "model.net.hidden=4", "trainer.max_epochs=1"]
    outcome = command(*arguments, "hydra.run.dir=run")
    assert outcome.code == 0
    intervals = read_result(outcome.directory / "run")["intervals"]
    assert {"low", "high"} <= intervals["test/r2"].keys()
    others = [name for name in intervals if name not in ("test/loss", "test/mae", "test/rmse", "test/r2")]
    assert others
    assert all(intervals[name] == {"reason": "it is not a metric of the objective"} for name in others)
