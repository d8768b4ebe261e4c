"""Decision thresholds against a search over all thresholds."""

import pytest
import torch

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.task.metric_accumulator import MetricAccumulator
from trainer.task.metrics import make_metrics
from trainer.task.objective import make_objective
from trainer.task.threshold import CRITERIA, BestThreshold

TWO = DataSpec("two", "vector", (2,), "classification", output_size=1, class_names=("no", "yes"))
BOTH = DataSpec("both", "vector", (2,), "classification", output_size=2, class_names=("no", "yes"))
THREE = DataSpec("three", "vector", (2,), "classification", output_size=3)
VALUES = DataSpec("values", "vector", (2,), "regression", output_size=1)


def choose(criterion, scores, target):
    metric = BestThreshold(criterion)
    for part, true in zip(scores.split(7), target.split(7), strict=True):
        metric.update(part, true)
    return metric.compute().item()


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_is_better_than_the_chosen_one(criterion, seed):
    random = torch.Generator().manual_seed(seed)
    target = (torch.rand(60, generator=random) < 0.2).long()
    scores = (torch.rand(60, generator=random) + 0.3 * target).clamp(max=1).round(decimals=2)  # ties, some of 1

    def measure(threshold):
        metric = make_metrics(TWO, [criterion])[criterion]
        return metric(preds=(scores > threshold).long(), target=target).item()

    best = max(measure(threshold) for threshold in torch.linspace(-0.005, 1.005, 102).tolist())
    assert measure(choose(criterion, scores, target)) == pytest.approx(best)


def test_the_threshold_is_between_the_classes():
    assert choose("f1", torch.tensor([0.1, 0.2, 0.4, 0.8]), torch.tensor([0, 0, 1, 1])) == pytest.approx(0.3)


def test_neighboring_numbers_are_separated():
    low = torch.tensor(0.7)
    high = torch.nextafter(low, torch.tensor(1.0))
    threshold = choose("accuracy", torch.stack([low, high]), torch.tensor([0, 1]))
    assert [bool(low > threshold), bool(high > threshold)] == [False, True]


@pytest.mark.parametrize("spec", [TWO, BOTH], ids=["one logit", "two logits"])
def test_predictions_use_the_threshold(spec):
    objective = make_objective(spec, threshold=0.2)
    scores = torch.tensor([0.1, 0.3, 0.9])
    outputs = scores.logit()[:, None] if spec is TWO else torch.stack([1 - scores, scores], 1).log()
    assert objective.predictions(outputs).tolist() == [0, 1, 1]


def test_validation_chooses_the_threshold_before_its_metrics_are_computed():
    objective = make_objective(TWO, threshold="f1")
    validation = MetricAccumulator(objective, chooses_threshold=True)
    test = MetricAccumulator(objective)
    outputs = torch.tensor([[-4.0], [-3.0], [-2.0], [-1.0]])
    for part, true in zip(outputs.split(2), torch.tensor([0, 0, 1, 1]).split(2), strict=True):
        validation.update(part, true)
    assert validation.compute()["accuracy"] == 1
    assert objective.threshold.value == pytest.approx(outputs[1:3].sigmoid().mean().item())
    test.update(torch.tensor([[-2.9], [-2.1]]), torch.tensor([0, 1]))
    assert test.compute()["accuracy"] == 1


def test_a_number_in_the_config_replaces_the_threshold_of_a_checkpoint():
    trained = make_objective(TWO, threshold="f1")
    trained.threshold.choose(0.125)
    same, fixed = make_objective(TWO, threshold="f1"), make_objective(TWO, threshold=0.75)
    for objective in (same, fixed):
        objective.restore(trained.state())
    assert (same.threshold.value, fixed.threshold.value) == (0.125, 0.75)


@pytest.mark.parametrize(
    ("spec", "threshold", "message"),
    [
        (THREE, "f1", "only for two classes, but data 'three' has 3 classes; expected 0.5"),
        (VALUES, 0.3, "only for two classes, but data 'values' has values; expected 0.5"),
        (TWO, "auc", "'auc' is invalid; expected a number between 0 and 1, or one of accuracy, balanced_accuracy, f1"),
        (TWO, 1.0, "1.0 is invalid; expected a number between 0 and 1"),
    ],
)
def test_invalid_thresholds_are_rejected(spec, threshold, message):
    with pytest.raises(UserError, match=f"^objective.threshold: {message}"):
        make_objective(spec, threshold=threshold)
