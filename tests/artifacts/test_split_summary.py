"""Line about the examples of a run."""

from types import SimpleNamespace

import pytest
import torch

from trainer.artifacts.split_summary import describe_epoch, describe_splits
from trainer.core.spec import DataSpec
from trainer.data.base import Split, TensorData


class Examples(TensorData):
    """Data with given splits."""

    spec = None  # set for each object

    def __init__(self, spec, splits):
        super().__init__(batch_size=1)
        self.spec = spec
        self.splits = splits

    def load(self):
        return self.splits


def make_data(counts, target="classification", names=()):
    """Return data whose splits have these numbers of examples of each class."""
    splits = {}
    for stage, numbers in counts.items():
        targets = torch.cat([torch.full((number,), index) for index, number in enumerate(numbers)])
        splits[stage] = Split(torch.zeros(len(targets), 1), targets)
    return Examples(DataSpec("x", "vector", (1,), target, max(1, len(names)), tuple(names)), splits)


def test_few_classes_are_named_once():
    data = make_data({"train": (2000, 16), "val": (6, 5)}, names=("cat", "dog"))
    assert describe_splits(data) == "train 2,016 (cat 2,000, dog 16), val 11 (6, 5)"


@pytest.mark.parametrize("names", [tuple("abcde"), ("a" * 21, "b" * 20)])
def test_many_or_long_names_are_a_range(names):
    data = make_data({"train": range(3, 3 + len(names)), "test": [1] * len(names)}, names=names)
    sizes = sum(range(3, 3 + len(names)))
    expected = f"train {sizes} (3 to {2 + len(names)} per class), test {len(names)} (1 to 1)"
    assert describe_splits(data) == expected


def test_a_class_without_examples_is_counted():
    assert describe_splits(make_data({"train": (3,)}, names=("cat", "dog"))) == "train 3 (cat 3, dog 0)"


def test_values_have_no_classes():
    data = make_data({"train": (7,)}, "regression")
    data.splits["train"] = Split(torch.zeros(7, 1), torch.zeros(7, 1))
    assert describe_splits(data) == "train 7"


def test_control_characters_of_names_are_escaped():
    assert describe_splits(make_data({"train": (1, 1)}, names=("\x1b[2J", "b"))) == r"train 2 (\x1b[2J 1, b 1)"


def test_foreign_data_have_no_known_splits():
    assert describe_splits(object()) == ""


@pytest.mark.parametrize(
    ("batches", "accumulated", "repeats", "expected"),
    [
        (20, 1, 1, "20 steps per epoch"),
        (1, 1, None, "1 step per epoch"),
        (5, 2, 1, "3 steps per epoch"),
        (1200, 1, 7, "1,200 steps per epoch (7 passes)"),
        (float("inf"), 1, 1, ""),
    ],
)
def test_steps_per_epoch(batches, accumulated, repeats, expected):
    data = SimpleNamespace(repeats=repeats)
    trainer = SimpleNamespace(num_training_batches=batches, accumulate_grad_batches=accumulated, datamodule=data)
    assert describe_epoch(trainer) == expected
