"""xor, line and digits: what they hold, how they are cut, and what becomes of a broken promise."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from trainer.data.digits import Digits
from trainer.data.line import Line
from trainer.data.split import Split, cut
from trainer.data.xor import XOR
from trainer.errors import UserError

SETS = {"xor": partial(XOR, batch_size=4), "line": Line, "digits": Digits}


def ready(data):
    data.setup("fit")
    return data


def together(data):
    """All examples of the three splits, each as a tuple of numbers."""
    return [
        (*inputs.flatten().tolist(), *targets.flatten().tolist())
        for split in data.splits.values()
        for inputs, targets in zip(*split, strict=True)
    ]


@pytest.mark.parametrize("name", SETS)
def test_each_split_keeps_the_promise(name):
    data = ready(SETS[name]())
    assert list(data.splits) == ["train", "val", "test"]
    assert data.spec.name == name
    for batches in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        inputs, targets = next(iter(batches))
        assert inputs.dtype == torch.float32
        assert inputs.shape[1:] == data.spec.shape
        assert targets.dtype == (torch.int64 if data.spec.target == "classes" else torch.float32)


@pytest.mark.parametrize("name", SETS)
def test_the_seed_of_the_run_changes_the_order_and_not_the_cut(name):
    first, other = ready(SETS[name](seed=1)), ready(SETS[name](seed=2))
    assert first.checksum() == other.checksum()
    orders = [torch.cat([inputs for inputs, _ in data.train_dataloader()]) for data in (first, other)]
    assert not torch.equal(*orders)
    assert torch.equal(*(next(iter(data.val_dataloader()))[0] for data in (first, other)))


@pytest.mark.parametrize("name", ["line", "digits"])
def test_the_data_seed_changes_the_cut(name):
    assert ready(SETS[name](data_seed=0)).checksum() != ready(SETS[name](data_seed=1)).checksum()


def test_xor_is_its_truth_table_in_every_split():
    data = ready(XOR(batch_size=4))
    for inputs, targets in data.splits.values():
        table = [(*pair, answer) for pair, answer in zip(inputs.tolist(), targets.tolist(), strict=True)]
        assert table == [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)]


def test_the_splits_of_a_line_hold_each_point_once():
    data = ready(Line(points=50, slope=2, intercept=1, noise=0, x_min=-1, x_max=1, val_share=0.2))
    assert [len(split.targets) for split in data.splits.values()] == [30, 10, 10]
    x, y = torch.tensor(sorted(together(data))).T
    assert torch.allclose(x, torch.linspace(-1, 1, 50))
    assert torch.allclose(y, 2 * x + 1)


def test_the_noise_of_a_line_has_the_deviation_asked_for():
    inputs, targets = ready(Line(points=4000, slope=3, intercept=-1, noise=0.5, val_share=0)).splits["train"]
    noise = targets - (3 * inputs - 1)
    assert noise.std().item() == pytest.approx(0.5, rel=0.05)
    assert noise.mean().item() == pytest.approx(0, abs=0.03)


def test_a_line_that_is_not_cut_gives_every_split_all_points():
    data = ready(Line(points=3, val_share=0))
    assert [len(split.targets) for split in data.splits.values()] == [3, 3, 3]


def test_fewer_than_two_points_make_no_line():
    with pytest.raises(UserError, match=r"^data\.points: 1 points make no line"):
        Line(points=1)


def test_the_splits_of_digits_are_disjoint_and_together_the_whole_set():
    data = ready(Digits(val_size=180, test_size=360))
    assert [len(split.targets) for split in data.splits.values()] == [1257, 180, 360]
    whole = ready(Digits(val_size=1, test_size=1, data_seed=9))
    assert len(set(together(whole))) == 1797  # no two images are equal, so an image stands for its index
    assert sorted(together(data)) == sorted(together(whole))


def test_digits_are_those_of_the_uci_repository():
    data = ready(Digits())
    counts = sum(torch.bincount(split.targets, minlength=10) for split in data.splits.values())
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert sum(split.inputs.sum().item() for split in data.splits.values()) == 561718  # as scikit-learn ships them


def test_pixels_of_digits_are_scaled_to_one():
    images = next(iter(ready(Digits()).test_dataloader()))[0]
    assert (images.min().item(), images.max().item()) == (0, 1)


def test_digits_are_shifted_in_training_alone_and_only_if_asked():
    def sums(data):
        stages = (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
        return [torch.cat([inputs for inputs, _ in batches]).sum(0) for batches in stages]

    plain, shifted = sums(ready(Digits())), sums(ready(Digits(shift_pixels=2.0)))
    assert not torch.allclose(plain[0], shifted[0])
    assert torch.equal(plain[1], shifted[1])
    assert torch.equal(plain[2], shifted[2])
    assert torch.equal(Digits().augment(plain[1], torch.Generator()), plain[1])


def test_training_takes_batch_size_and_evaluation_eval_batch_size():
    data = ready(Digits(batch_size=50, eval_batch_size=100))
    sizes = [len(next(iter(some))[1]) for some in (data.train_dataloader(), data.val_dataloader())]
    assert sizes == [50, 100]
    assert len(next(iter(data.test_dataloader()))[1]) == 100


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"batch_size": 4, "eval_batch_size": 0}])
def test_a_batch_holds_at_least_one_example(wrong):
    with pytest.raises(UserError, match=r"^data\.batch_size and data\.eval_batch_size: must be at least 1"):
        XOR(**wrong)


def test_the_parts_of_a_cut_hold_each_example_once_with_its_target():
    parts = cut(Split(torch.arange(9), torch.arange(9) + 10), 2, 3, seed=1)
    assert [len(part.targets) for part in parts] == [2, 3, 4]
    assert sorted(torch.cat([part.inputs for part in parts]).tolist()) == list(range(9))
    assert all(torch.equal(part.inputs + 10, part.targets) for part in parts)


def breaking(inputs, targets, **promise):
    """A data set whose test split is not what it promised."""

    class Broken(XOR):
        spec = property(lambda self: replace(XOR.spec.fget(self), **promise))

        def load(self):
            return {"train": super().load()["train"], "test": Split(inputs, targets)}

    return Broken(batch_size=4)


ZEROS, BINARY = torch.zeros(3, 2), torch.tensor([0, 1, 0])
VALUES = {"target": "values", "output_size": 1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (breaking(torch.zeros(3, 5), BINARY), r"promised inputs of shape \(2,\), found \(5,\)"),
        (breaking(torch.zeros(3, 2, 1), BINARY), r"promised inputs of shape \(2,\), found \(2, 1\)"),
        (breaking(ZEROS, BINARY * 2), "promised classes 0 to 1, found 0 to 2"),
        (breaking(ZEROS, BINARY - 1), "promised classes 0 to 1, found -1 to 0"),
        (breaking(ZEROS[:0], BINARY[:0]), "it is empty; keep fewer examples for the other splits"),
    ],
)
def test_a_broken_promise_is_refused_with_the_split_and_both_sides(data, message):
    with pytest.raises(UserError, match=rf"^data 'xor', test split: {message}$"):
        data.setup("fit")


@pytest.mark.parametrize("targets", [torch.zeros(3), torch.zeros(3, 2)])
def test_values_of_another_shape_are_refused(targets):
    class Broken(Line):
        def load(self):
            return {"train": Split(torch.zeros(3, 1), targets)}

    with pytest.raises(UserError, match=r"line', train split: promised 1 values an example, found shape \(2?,?\)$"):
        Broken().setup("fit")


def test_the_checksum_tells_data_apart_by_their_numbers_types_and_split():
    points = Split(ZEROS, BINARY)
    some = [{"train": points}, {"val": points}, {"train": Split(ZEROS.double(), BINARY)}]
    some += [{"train": Split(ZEROS.view(2, 3), BINARY)}, {"train": Split(ZEROS, 1 - BINARY)}]
    sums = []
    for splits in some:
        data = XOR(batch_size=4)
        data.splits = splits
        sums.append(data.checksum())
    assert len(set(sums)) == 5
