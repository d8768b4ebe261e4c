"""Metrics of training examples, which are computed after each validation."""

import csv

import pytest
import torch

import trainer
from trainer.core.errors import UserError
from trainer.data.digits import Digits
from trainer.task.objective import make_objective

OVERRIDES = ["data=digits", "model=mlp", "model.net.hidden=[8]", "model.net.dropout=0.5", "trainer.max_epochs=2"]


def read_column(directory, name):
    with open(directory / "metrics.csv", newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


pytestmark = pytest.mark.usefixtures("restored_logging")


def test_training_accuracy_is_that_of_a_fixed_choice_without_dropout(tmp_path):
    run = trainer.train(*OVERRIDES, f"hydra.run.dir={tmp_path / 'run'}")
    logged = read_column(run.directory, "train/accuracy")
    assert len(logged) == 2
    data = Digits(batch_size=64)
    data.setup("fit")
    [(inputs, targets)] = data.sample_training_batches(1000)
    assert len(targets) == len(data.splits["val"].targets) == 180  # no more than validation examples
    [(again, _)] = data.sample_training_batches(1000)
    assert torch.equal(inputs, again)
    model = trainer.load(run.directory / "checkpoints" / "last.ckpt")
    expected = (model.outputs(inputs).argmax(1) == targets).double().mean().item()
    assert logged[-1] == pytest.approx(expected)
    assert run.metrics["train/accuracy"] == pytest.approx(expected)


def test_examples_are_drawn_from_the_whole_training_split():
    data = Digits(batch_size=64)
    data.setup("fit")
    data.splits["train"] = data.splits["train"]._replace(inputs=torch.arange(1257.0).view(-1, 1, 1, 1))
    data.prepare = lambda inputs: inputs
    [(inputs, _)] = data.sample_training_batches(50)
    assert len(inputs.unique()) == 50
    assert inputs.min() < 300
    assert inputs.max() > 900


def test_results_do_not_depend_on_the_number_of_training_examples(tmp_path):
    first = trainer.train(*OVERRIDES, f"hydra.run.dir={tmp_path / 'first'}")
    second = trainer.train(*OVERRIDES, "objective.training_examples=0", f"hydra.run.dir={tmp_path / 'second'}")
    assert "train/accuracy" not in second.metrics
    assert {name: value for name, value in first.metrics.items() if name in second.metrics} == second.metrics


def test_a_negative_number_of_training_examples_is_an_error():
    spec = Digits(batch_size=64).spec
    with pytest.raises(UserError, match=r"objective\.training_examples: -1 is negative; expected 0 \(none\) or more"):
        make_objective(spec, training_examples=-1)
