"""Metrics of torchmetrics that the config names by `_target_`, against values computed by hand."""

import json

import pytest
import torch
import torchmetrics.classification as classification
import torchmetrics.regression as regression
from torchmetrics import Metric, MetricCollection

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.task.custom_metrics import validate_custom_metrics
from trainer.task.objective import make_objective

TWO = DataSpec("two", "vector", (2,), "classification", output_size=1, class_names=("no", "yes"))
PAIR = DataSpec("pair", "vector", (2,), "classification", output_size=2, class_names=("no", "yes"))
THREE = DataSpec("three", "vector", (2,), "classification", output_size=3, class_names=("a", "b", "c"))
VALUES = DataSpec("values", "vector", (2,), "regression", output_size=1)
KAPPA = "{_target_: torchmetrics.classification.MulticlassCohenKappa, num_classes: 10}"
NAME = "expected a name without '/' and '.' that is neither 'loss' nor a method of PyTorch's modules"
SHORT = ("data=digits", "model=linear", "trainer.max_epochs=1")
# classes 0 0 1 2 are predicted, and 0 1 1 2 are right
OUTPUTS = torch.tensor([[9.0, 0.0, 0.0], [9.0, 8.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]])
TARGETS = torch.tensor([0, 1, 1, 2])


def compute(spec, metrics, outputs, targets):
    """Return the values by name, like `MetricAccumulator`, over two batches."""
    objective = make_objective(spec, metrics=metrics)
    validate_custom_metrics(spec, objective.metrics(), objective.scores)
    collection = objective.metrics()
    for batch, true in zip(outputs.split(3), targets.split(3), strict=True):
        collection.update(preds=objective.predictions(batch), scores=objective.scores(batch), target=true)
    return {name: value.item() for name, value in collection.compute().items()}


class ZeroFraction(Metric):
    """Fraction of predictions of class 0: a custom metric without targets."""

    def __init__(self):
        super().__init__()
        self.add_state("zeros", torch.tensor(0))
        self.add_state("all", torch.tensor(0))

    def update(self, preds):
        self.zeros += (preds == 0).sum()
        self.all += len(preds)

    def compute(self):
        return self.zeros / self.all


def test_a_metric_replaces_the_accuracy():
    # agreement 3/4; by chance 1/4 * 2/4 + 2/4 * 1/4 + 1/4 * 1/4 = 5/16
    values = compute(THREE, [classification.MulticlassCohenKappa(num_classes=3)], OUTPUTS, TARGETS)
    assert values == {"MulticlassCohenKappa": pytest.approx(7 / 11)}


def test_names_and_classes_can_be_mixed_in_a_list():
    # one of the two best classes is correct in all rows
    best_two = classification.MulticlassAccuracy(num_classes=3, top_k=2, average="micro")
    assert compute(THREE, ["accuracy", best_two], OUTPUTS, TARGETS) == {"accuracy": 0.75, "MulticlassAccuracy": 1.0}


def test_the_keys_of_a_mapping_are_the_names_of_metrics():
    metrics = {
        "share": "accuracy",
        "kappa": classification.MulticlassCohenKappa(num_classes=3),
        "zeros": ZeroFraction(),
    }
    values = compute(THREE, metrics, OUTPUTS, TARGETS)
    assert values == {"share": 0.75, "kappa": pytest.approx(7 / 11), "zeros": 0.5}


def test_a_collection_is_a_mapping():
    kappa = classification.MulticlassCohenKappa(num_classes=3)
    assert compute(THREE, MetricCollection({"kappa": kappa}), OUTPUTS, TARGETS) == {"kappa": pytest.approx(7 / 11)}


@pytest.mark.parametrize(
    ("spec", "outputs"),
    [
        (TWO, torch.tensor([[3.0], [2.0], [1.0], [-1.0], [-2.0], [-3.0]])),
        (PAIR, torch.tensor([[0.0, 3.0], [0.0, 2.0], [0.0, 1.0], [0.0, -1.0], [0.0, -2.0], [0.0, -3.0]])),
    ],
    ids=["one output", "two outputs"],
)
def test_two_classes_support_metrics_for_two_and_for_several_classes(spec, outputs):
    metrics = {
        "area": classification.BinaryAUROC(),
        "f1": classification.BinaryF1Score(),
        "both": classification.MulticlassF1Score(num_classes=2),
    }
    values = compute(spec, metrics, outputs, torch.tensor([1, 0, 1, 1, 0, 1]))
    # 4 of 8 pairs are in order; class 1: precision 2/3, recall 2/4; class 0: 1/3 and 1/2
    assert values == pytest.approx({"area": 4 / 8, "f1": 4 / 7, "both": (4 / 7 + 2 / 5) / 2})


def test_equal_values_on_the_first_batch_do_not_merge_metrics():
    metrics = {
        "usual": classification.BinaryAccuracy(threshold=0.5),
        "sure": classification.BinaryAccuracy(threshold=0.9),
    }
    outputs = torch.tensor([[9.0], [9.0], [-9.0], [1.0]])  # a probability of 0.73 in the second batch
    assert compute(TWO, metrics, outputs, torch.tensor([1, 1, 0, 1])) == {"usual": 1.0, "sure": 0.75}


def test_regression_metrics_are_supported():
    outputs, targets = torch.tensor([[1.0], [2.0], [3.0], [5.0]]), torch.tensor([[1.0], [2.0], [4.0], [9.0]])
    metrics = ["mae", regression.MinkowskiDistance(p=2)]  # (1 + 16) ** 0.5; its parameter is `targets`
    expected = {"mae": 1.25, "MinkowskiDistance": pytest.approx(17**0.5)}
    assert compute(VALUES, metrics, outputs, targets) == expected


def test_two_objectives_do_not_share_the_state_of_a_metric():
    metric = ZeroFraction()
    assert compute(THREE, [metric], OUTPUTS, TARGETS) == {"ZeroFraction": 0.5}
    assert compute(THREE, [metric], OUTPUTS.roll(1, 1), TARGETS) == {"ZeroFraction": 0.25}


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (
            [classification.MulticlassCohenKappa(num_classes=7)],
            "MulticlassCohenKappa ('MulticlassCohenKappa') has num_classes=7; expected 3 for data 'three'",
        ),
        (
            {"area": classification.BinaryAUROC(validate_args=False)},
            "BinaryAUROC ('area') does not fit data 'three': the metric is for two classes, the data have 3",
        ),
        (
            [classification.MulticlassConfusionMatrix(num_classes=3)],
            "MulticlassConfusionMatrix ('MulticlassConfusionMatrix') does not return a single number; "
            "a callback can log other values",
        ),
        ({"loss": "accuracy"}, f"invalid name 'loss'; {NAME}"),
        ({"half": "accuracy"}, f"invalid name 'half'; {NAME}"),
        ({"a/b": "accuracy"}, f"invalid name 'a/b'; {NAME}"),
        (
            [ZeroFraction(), ZeroFraction()],
            "two metrics are called 'ZeroFraction'\n"
            "  give each a name: objective.metrics={first: {_target_: ...}, second: {_target_: ...}}",
        ),
        (
            [3],
            "3 is not a metric; expected a name, or a mapping with the _target_ of a torchmetrics.Metric",
        ),
        ({"acc": "acuracy"}, "no metric 'acuracy'; did you mean 'accuracy' or 'auroc'?"),
    ],
)
def test_metrics_that_do_not_fit_are_rejected(metrics, message):
    with pytest.raises(UserError) as error:
        compute(THREE, metrics, OUTPUTS, TARGETS)
    assert str(error.value) == f"objective.metrics: {message}"


@pytest.mark.slow
def test_a_metric_from_the_command_line_is_logged_and_selects_the_best_epoch(command):
    checkpoint = ("callbacks.checkpoint.monitor=val/kappa", "callbacks.checkpoint.mode=max")
    outcome = command(*SHORT, f"objective.metrics={{kappa: {KAPPA}, accuracy: accuracy}}", *checkpoint)
    assert outcome.code == 0, outcome.err
    metrics = json.loads((outcome.runs[0] / "result.json").read_text())["metrics"]
    assert metrics["val/kappa_best"] == metrics["val/kappa"]
    assert 0 < metrics["test/kappa"] < metrics["test/accuracy"]  # agreement by chance is subtracted
    test_outcome = command("test", str(outcome.runs[0]))
    assert test_outcome.code == 0, test_outcome.err
    test_metrics = json.loads((test_outcome.runs[-1] / "result.json").read_text())["metrics"]
    assert test_metrics["test/kappa"] == metrics["test/kappa"]


def test_a_metric_from_an_experiment_is_logged(command, tmp_path):
    (tmp_path / "experiments").mkdir()
    text = f"objective:\n  metrics: [accuracy, {KAPPA}]\n"
    (tmp_path / "experiments/own.yaml").write_text(text)
    outcome = command("experiment=own", *SHORT)
    assert outcome.code == 0, outcome.err
    metrics = json.loads((outcome.runs[0] / "result.json").read_text())["metrics"]
    assert {"val/accuracy", "test/accuracy", "val/MulticlassCohenKappa", "test/MulticlassCohenKappa"} <= {*metrics}


def test_a_metric_that_does_not_fit_is_reported_before_the_run(command):
    outcome = command(*SHORT, f"objective.metrics=[{KAPPA.replace('10', '4')}]")
    assert outcome.code == 1
    assert (
        "objective.metrics: MulticlassCohenKappa ('MulticlassCohenKappa') has num_classes=4; expected 10" in outcome.err
    )
    assert outcome.err.count("num_classes=4") == 1  # not once for the objective and once for the task
