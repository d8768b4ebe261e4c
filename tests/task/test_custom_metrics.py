"""Metrics of torchmetrics that the config names by `_target_`, against numbers worked out by hand."""

import json

import pytest
import torch
import torchmetrics.classification as of_classes
import torchmetrics.regression as of_values
from torchmetrics import Metric, MetricCollection

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.task.custom_metrics import try_custom_metrics
from trainer.task.objective import objective_for

TWO = DataSpec("two", "vector", (2,), "classes", output_size=1, class_names=("no", "yes"))
PAIR = DataSpec("pair", "vector", (2,), "classes", output_size=2, class_names=("no", "yes"))
THREE = DataSpec("three", "vector", (2,), "classes", output_size=3, class_names=("a", "b", "c"))
VALUES = DataSpec("values", "vector", (2,), "values", output_size=1)
KAPPA = "{_target_: torchmetrics.classification.MulticlassCohenKappa, num_classes: 10}"
NAME = "expected a name without '/' and '.' that is neither 'loss' nor a method of PyTorch's modules"
SHORT = ("data=digits", "model=linear", "trainer.max_epochs=1")
# classes 0 0 1 2 are predicted, and 0 1 1 2 are right
OUTPUTS = torch.tensor([[9.0, 0.0, 0.0], [9.0, 8.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]])
TARGETS = torch.tensor([0, 1, 1, 2])


def measured(spec, metrics, outputs, targets):
    """Values by name, as `Judge` computes them, in two batches."""
    objective = objective_for(spec, metrics=metrics)
    try_custom_metrics(spec, objective.metrics(), objective.scores)
    found = objective.metrics()
    for some, true in zip(outputs.split(3), targets.split(3), strict=True):
        found.update(preds=objective.predictions(some), scores=objective.scores(some), target=true)
    return {name: value.item() for name, value in found.compute().items()}


class ShareOfZeros(Metric):
    """How often class 0 is predicted: a metric of a user's own, which needs no targets."""

    def __init__(self):
        super().__init__()
        self.add_state("zeros", torch.tensor(0))
        self.add_state("all", torch.tensor(0))

    def update(self, preds):
        self.zeros += (preds == 0).sum()
        self.all += len(preds)

    def compute(self):
        return self.zeros / self.all


def test_a_metric_by_its_class_is_measured_in_place_of_the_accuracy():
    # agreement 3/4; by chance 1/4 * 2/4 + 2/4 * 1/4 + 1/4 * 1/4 = 5/16
    found = measured(THREE, [of_classes.MulticlassCohenKappa(num_classes=3)], OUTPUTS, TARGETS)
    assert found == {"MulticlassCohenKappa": pytest.approx(7 / 11)}


def test_names_and_classes_can_be_mixed_in_a_list():
    # of the two best classes of each row, one is right in all rows
    best_two = of_classes.MulticlassAccuracy(num_classes=3, top_k=2, average="micro")
    assert measured(THREE, ["accuracy", best_two], OUTPUTS, TARGETS) == {"accuracy": 0.75, "MulticlassAccuracy": 1.0}


def test_a_mapping_gives_metrics_the_names_that_they_are_logged_under():
    metrics = {"share": "accuracy", "kappa": of_classes.MulticlassCohenKappa(num_classes=3), "zeros": ShareOfZeros()}
    found = measured(THREE, metrics, OUTPUTS, TARGETS)
    assert found == {"share": 0.75, "kappa": pytest.approx(7 / 11), "zeros": 0.5}


def test_a_collection_is_a_mapping():
    kappa = of_classes.MulticlassCohenKappa(num_classes=3)
    assert measured(THREE, MetricCollection({"kappa": kappa}), OUTPUTS, TARGETS) == {"kappa": pytest.approx(7 / 11)}


@pytest.mark.parametrize(
    ("spec", "outputs"),
    [
        (TWO, torch.tensor([[3.0], [2.0], [1.0], [-1.0], [-2.0], [-3.0]])),
        (PAIR, torch.tensor([[0.0, 3.0], [0.0, 2.0], [0.0, 1.0], [0.0, -1.0], [0.0, -2.0], [0.0, -3.0]])),
    ],
    ids=["one output", "two outputs"],
)
def test_two_classes_are_judged_by_metrics_for_two_and_for_several_classes(spec, outputs):
    metrics = {
        "area": of_classes.BinaryAUROC(),
        "f1": of_classes.BinaryF1Score(),
        "both": of_classes.MulticlassF1Score(num_classes=2),
    }
    found = measured(spec, metrics, outputs, torch.tensor([1, 0, 1, 1, 0, 1]))
    # 4 of 8 pairs are in order; of 3 predicted 2 are right, of 4 there 2 are found; class 0: 1 of 3, and 1 of 2
    assert found == pytest.approx({"area": 4 / 8, "f1": 4 / 7, "both": (4 / 7 + 2 / 5) / 2})


def test_thresholds_that_agree_on_the_first_batch_are_counted_apart():
    metrics = {
        "usual": of_classes.BinaryAccuracy(threshold=0.5),
        "sure": of_classes.BinaryAccuracy(threshold=0.9),
    }
    outputs = torch.tensor([[9.0], [9.0], [-9.0], [1.0]])  # a probability of 0.73 in the second batch
    assert measured(TWO, metrics, outputs, torch.tensor([1, 1, 0, 1])) == {"usual": 1.0, "sure": 0.75}


def test_values_are_judged_by_their_metrics():
    outputs, targets = torch.tensor([[1.0], [2.0], [3.0], [5.0]]), torch.tensor([[1.0], [2.0], [4.0], [9.0]])
    metrics = ["mae", of_values.MinkowskiDistance(p=2)]  # (1 + 16) ** 0.5; it calls them `targets`
    expected = {"mae": 1.25, "MinkowskiDistance": pytest.approx(17**0.5)}
    assert measured(VALUES, metrics, outputs, targets) == expected


def test_a_metric_that_is_used_in_two_objectives_keeps_their_counts_apart():
    metric = ShareOfZeros()
    assert measured(THREE, [metric], OUTPUTS, TARGETS) == {"ShareOfZeros": 0.5}
    assert measured(THREE, [metric], OUTPUTS.roll(1, 1), TARGETS) == {"ShareOfZeros": 0.25}


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (
            [of_classes.MulticlassCohenKappa(num_classes=7)],
            "MulticlassCohenKappa ('MulticlassCohenKappa') has num_classes=7; expected 3 for data 'three'",
        ),
        (
            {"area": of_classes.BinaryAUROC(validate_args=False)},
            "BinaryAUROC ('area') does not fit data 'three': it is for two classes, not for 3",
        ),
        (
            [of_classes.MulticlassConfusionMatrix(num_classes=3)],
            "MulticlassConfusionMatrix ('MulticlassConfusionMatrix') does not give a single number; "
            "a callback can log what it gives",
        ),
        ({"loss": "accuracy"}, f"invalid name 'loss'; {NAME}"),
        ({"half": "accuracy"}, f"invalid name 'half'; {NAME}"),
        ({"a/b": "accuracy"}, f"invalid name 'a/b'; {NAME}"),
        (
            [ShareOfZeros(), ShareOfZeros()],
            "two metrics are called 'ShareOfZeros'\n"
            "  give each a name: objective.metrics={first: {_target_: ...}, second: {_target_: ...}}",
        ),
        (
            [3],
            "3 is no metric; expected a name, or a mapping with the _target_ of a torchmetrics.Metric",
        ),
        ({"acc": "acuracy"}, "no metric 'acuracy'; did you mean 'accuracy' or 'auroc'?"),
    ],
)
def test_what_is_no_fitting_metric_is_refused(metrics, message):
    with pytest.raises(UserError) as refusal:
        measured(THREE, metrics, OUTPUTS, TARGETS)
    assert str(refusal.value) == f"objective.metrics: {message}"


def test_a_run_logs_a_metric_from_the_command_line_and_chooses_the_best_epoch_by_it(command):
    keeper = ("callbacks.checkpoint.monitor=val/kappa", "callbacks.checkpoint.mode=max")
    done = command(*SHORT, f"objective.metrics={{kappa: {KAPPA}, accuracy: accuracy}}", *keeper)
    assert done.code == 0, done.err
    metrics = json.loads((done.runs[0] / "result.json").read_text())["metrics"]
    assert metrics["val/kappa_best"] == metrics["val/kappa"]
    assert 0 < metrics["test/kappa"] < metrics["test/accuracy"]  # an agreement by chance is taken off
    tested = command("test", str(done.runs[0]))
    assert tested.code == 0, tested.err
    again = json.loads((tested.runs[-1] / "result.json").read_text())["metrics"]
    assert again["test/kappa"] == metrics["test/kappa"]


def test_a_run_logs_a_metric_from_an_experiment(command, tmp_path):
    (tmp_path / "experiments").mkdir()
    text = f"objective:\n  metrics: [accuracy, {KAPPA}]\n"
    (tmp_path / "experiments/own.yaml").write_text(text)
    done = command("experiment=own", *SHORT)
    assert done.code == 0, done.err
    metrics = json.loads((done.runs[0] / "result.json").read_text())["metrics"]
    assert {"val/accuracy", "test/accuracy", "val/MulticlassCohenKappa", "test/MulticlassCohenKappa"} <= {*metrics}


def test_a_metric_that_does_not_fit_is_told_before_the_run(command):
    done = command(*SHORT, f"objective.metrics=[{KAPPA.replace('10', '4')}]")
    assert done.code == 1
    assert "objective.metrics: MulticlassCohenKappa ('MulticlassCohenKappa') has num_classes=4; expected 10" in done.err
    assert done.err.count("num_classes=4") == 1  # not once for the objective and once for the task
