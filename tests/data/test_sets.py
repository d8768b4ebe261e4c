"""Contents and splits of the data sets xor, line and digits."""

from functools import partial

import pytest
import torch

from trainer.core.errors import UserError
from trainer.data.digits import Digits
from trainer.data.line import Line
from trainer.data.loading.counter_rng import BatchRNG
from trainer.data.xor import XOR

SETS = {"xor": partial(XOR, batch_size=4), "line": Line, "digits": Digits}


def ready(data):
    data.setup("fit")
    return data


def collect_examples(data):
    """Return all examples of the three splits as tuples of numbers."""
    return [
        (*inputs.flatten().tolist(), *targets.flatten().tolist())
        for split in data.splits.values()
        for inputs, targets in zip(*split, strict=True)
    ]


@pytest.mark.parametrize("name", SETS)
def test_each_split_matches_its_spec(name):
    data = ready(SETS[name]())
    assert list(data.splits) == ["train", "val", "test"]
    assert data.spec.name == name
    for batches in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        inputs, targets = next(iter(batches))
        assert inputs.dtype == torch.float32
        assert inputs.shape[1:] == data.spec.shape
        assert targets.dtype == (torch.int64 if data.spec.target == "classification" else torch.float32)


@pytest.mark.parametrize("name", SETS)
def test_the_seed_of_the_run_changes_the_order_and_not_the_split(name):
    first, other = ready(SETS[name](seed=1)), ready(SETS[name](seed=2))
    assert first.checksum() == other.checksum()
    orders = [torch.cat([inputs for inputs, _ in data.train_dataloader()]) for data in (first, other)]
    assert not torch.equal(*orders)
    assert torch.equal(*(next(iter(data.val_dataloader()))[0] for data in (first, other)))


@pytest.mark.parametrize("name", ["line", "digits"])
def test_the_data_seed_changes_the_split(name):
    assert ready(SETS[name](data_seed=0)).checksum() != ready(SETS[name](data_seed=1)).checksum()


def test_xor_is_its_truth_table_in_every_split():
    data = ready(XOR(batch_size=4))
    for inputs, targets in data.splits.values():
        table = [(*pair, answer) for pair, answer in zip(inputs.tolist(), targets.tolist(), strict=True)]
        assert table == [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)]


def test_the_splits_of_a_line_contain_each_point_once():
    data = ready(Line(points=50, slope=2, intercept=1, noise=0, x_min=-1, x_max=1, val_fraction=0.2))
    assert [len(split.targets) for split in data.splits.values()] == [30, 10, 10]
    x, y = torch.tensor(sorted(collect_examples(data))).T
    assert torch.allclose(x, torch.linspace(-1, 1, 50))
    assert torch.allclose(y, 2 * x + 1)


def test_the_noise_of_a_line_has_the_configured_standard_deviation():
    inputs, targets = ready(Line(points=4000, slope=3, intercept=-1, noise=0.5, val_fraction=0)).splits["train"]
    noise = targets - (3 * inputs - 1)
    assert noise.std().item() == pytest.approx(0.5, rel=0.05)
    assert noise.mean().item() == pytest.approx(0, abs=0.03)


def test_without_a_split_every_split_of_a_line_has_all_points():
    data = ready(Line(points=3, val_fraction=0))
    assert [len(split.targets) for split in data.splits.values()] == [3, 3, 3]


def test_a_line_needs_two_points():
    with pytest.raises(UserError, match=r"^data\.points: 1 points make no line"):
        Line(points=1)


def test_the_splits_of_digits_are_disjoint_and_complete():
    data = ready(Digits(val_size=180, test_size=360))
    assert [len(split.targets) for split in data.splits.values()] == [1257, 180, 360]
    other = ready(Digits(val_size=1, test_size=1, data_seed=9))
    assert len(set(collect_examples(other))) == 1797  # no two images are equal, so an image stands for its index
    assert sorted(collect_examples(data)) == sorted(collect_examples(other))


def test_digits_are_those_of_the_uci_repository():
    data = ready(Digits())
    counts = sum(torch.bincount(split.targets, minlength=10) for split in data.splits.values())
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert sum(split.inputs.sum().item() for split in data.splits.values()) == 561718  # as scikit-learn ships them


def test_pixels_of_digits_are_scaled_to_one():
    images = next(iter(ready(Digits()).test_dataloader()))[0]
    assert (images.min().item(), images.max().item()) == (0, 1)


def test_digits_are_shifted_in_training_only():
    def sum_images(data):
        stages = (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
        return [torch.cat([inputs for inputs, _ in batches]).sum(0) for batches in stages]

    unchanged, shifted = (
        sum_images(ready(Digits())),
        sum_images(ready(Digits(augmentation=[{"affine": {"shift_pixels": 2.0}}]))),
    )
    assert not torch.allclose(unchanged[0], shifted[0])
    assert torch.equal(unchanged[1], shifted[1])
    assert torch.equal(unchanged[2], shifted[2])
    assert torch.equal(Digits().augment(unchanged[1], BatchRNG(torch.arange(len(unchanged[1])), 0)), unchanged[1])


def test_training_uses_batch_size_and_evaluation_eval_batch_size():
    data = ready(Digits(batch_size=50, eval_batch_size=100))
    sizes = [len(next(iter(loader))[1]) for loader in (data.train_dataloader(), data.val_dataloader())]
    assert sizes == [50, 100]
    assert len(next(iter(data.test_dataloader()))[1]) == 100


@pytest.mark.parametrize("settings", [{"batch_size": 0}, {"batch_size": 4, "eval_batch_size": 0}])
def test_a_batch_has_at_least_one_example(settings):
    with pytest.raises(UserError, match=r"^data\.batch_size, data\.eval_batch_size and data\.repeats: must be"):
        XOR(**settings)


@pytest.mark.parametrize(
    ("data", "sizes"),
    [
        (Line(points=10, val_fraction=0.5), "10 examples cannot be split into parts of 5, 5 and a rest"),
        (Line(points=10, val_fraction=0.9), "10 examples cannot be split into parts of 9, 9 and a rest"),
        (Digits(val_size=1437), "1797 examples cannot be split into parts of 1437, 360 and a rest"),
        (Digits(val_size=0), "1797 examples cannot be split into parts of 0, 360 and a rest"),
    ],
)
def test_splits_that_leave_no_training_examples_are_an_error(data, sizes):
    with pytest.raises(UserError, match=f"^data: {sizes} for training; change the sizes or fractions of the splits$"):
        data.setup("fit")


def test_a_line_needs_two_validation_points():
    with pytest.raises(UserError, match=r"^data 'line', val split: it has one example, but r2 needs two; use more"):
        Line(points=6).setup("fit")  # 0.2 of 6, rounded, is 1
