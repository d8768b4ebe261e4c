"""Tests that folds are disjoint, complete, stratified or grouped, and equal for equal seeds."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from trainer.core.errors import UserError
from trainer.data.arrays import Arrays
from trainer.data.diabetes import Diabetes
from trainer.data.digits import Digits
from trainer.data.image_folder import ImageFolder
from trainer.data.loading.folds import assign_folds, make_fold
from trainer.data.table import Table
from trainer.data.tabular.splitting import SplitSettings, split_rows
from trainer.data.texts import Texts

VALUES = torch.zeros(23, 1)
GROUPS = [f"patient {row * row % 17}" for row in range(60)]


@pytest.mark.parametrize("count", [2, 3, 5, 23])
def test_sizes_are_those_of_scikit_learn(count):
    sizes = torch.bincount(assign_folds(VALUES, count, seed=0), minlength=count).tolist()
    assert sizes == [23 // count + (number < 23 % count) for number in range(count)]  # as KFold


def test_only_the_seed_changes_the_folds():
    first, again, other = (assign_folds(VALUES, 5, seed).tolist() for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("seed", range(3))
def test_stratified_folds_have_the_counts_of_scikit_learn(seed):
    classes = torch.tensor([0] * 31 + [1] * 12 + [2] * 7)[torch.randperm(50)]
    folds = assign_folds(classes, 4, seed, stratify=True)
    counts = [torch.bincount(classes[folds == number], minlength=3).tolist() for number in range(4)]
    # StratifiedKFold: fold i has the classes of every 4th example of the sorted ones, from the i-th
    assert counts == [torch.bincount(classes.sort().values[number::4], minlength=3).tolist() for number in range(4)]
    assert counts != [
        torch.bincount(classes[assign_folds(classes, 4, seed) == number], minlength=3).tolist() for number in range(4)
    ]


def test_groups_are_not_divided_and_are_balanced_as_in_scikit_learn():
    groups = [name for name, size in zip("abcde", (5, 4, 3, 2, 2), strict=True) for _ in range(size)]
    folds = assign_folds(torch.zeros(16, 1), 2, 0, groups=groups)
    assert all(len({*folds[[other == name for other in groups]].tolist()}) == 1 for name in "abcde")
    assert torch.bincount(folds).tolist() == [9, 7]  # GroupKFold: 5 + 2 + 2 and 4 + 3


@pytest.mark.parametrize("stratify", [False, True])
@pytest.mark.parametrize("groups", [(), GROUPS])
def test_each_row_of_a_table_is_tested_once(stratify, groups):
    targets = torch.arange(60) % 3
    tested = []
    for number in range(4):
        settings = SplitSettings({"val": 0.25, "test": 0.5}, 7, stratify, 4, number)
        parts = split_rows(targets, settings, groups)
        assert sorted(torch.cat([*parts.values()]).tolist()) == [*range(60)]
        if groups:
            names = [{groups[row] for row in part.tolist()} for part in parts.values()]
            assert sum(map(len, names)) == len({*groups})
        else:
            assert {stage: len(part) for stage, part in parts.items()} == {"train": 30, "val": 15, "test": 15}
        if stratify and not groups:
            assert torch.bincount(targets[parts["test"]]).tolist() == [5, 5, 5]
        tested += parts["test"].tolist()
    assert sorted(tested) == [*range(60)]


@pytest.fixture
def make_data(tmp_path):
    """Write small files in each format; return functions of folds that make a data set by its name."""
    numbers = np.random.default_rng(0).normal(size=(40, 3))
    np.savez(tmp_path / "my.npz", x=numbers, y=np.arange(40) % 2)
    lines = [f"{','.join(map(str, row))},{'ab'[index % 2]}" for index, row in enumerate(numbers)]
    (tmp_path / "my.csv").write_text("\n".join(["u,v,w,label", *lines]) + "\n")
    texts = [f"film{' really' * row},{'ab'[row % 2]}" for row in range(40)]
    (tmp_path / "texts.csv").write_text("\n".join(["text,label", *texts]) + "\n")
    for index in range(40):
        file = tmp_path / f"images/{'ab'[index % 2]}/{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 6 * index).save(file)
    root = str(tmp_path)
    return {
        "digits": lambda **folds: Digits(**folds),
        "diabetes": lambda **folds: Diabetes(synthetic=True, **folds),
        "table": lambda **folds: Table(path="my.csv", dir=root, **folds),
        "arrays": lambda **folds: Arrays(path="my.npz", dir=root, **folds),
        "texts": lambda **folds: Texts(path="texts.csv", dir=root, **folds),
        "image_folder": lambda **folds: ImageFolder(path="images", dir=root, size=8, workers=0, **folds),
    }


@pytest.mark.parametrize("name", ["digits", "diabetes", "table", "arrays", "texts", "image_folder"])
def test_the_test_splits_of_a_data_set_are_disjoint_and_complete(name, make_data):
    tested = []
    for number in range(3):
        data = make_data[name](folds=3, fold=number)
        data.setup("fit")
        splits = {stage: [*map(str, split.inputs.tolist())] for stage, split in data.splits.items()}
        everything = sorted(row for part in splits.values() for row in part)
        tested += splits["test"]
        assert 0.1 < len(splits["val"]) / len(everything) < 0.3
    assert sorted(tested) == everything
    if name in ("table", "texts", "image_folder"):
        assert all(abs(float(split.targets.float().mean()) - 0.5) < 0.1 for split in data.splits.values())


@pytest.mark.parametrize(
    ("folds", "fold", "message"),
    [
        (1, 0, "data.folds: 1 is too small; expected null or at least 2"),
        (5, 5, "data.fold: 5 is out of range; expected 0 to 4 with data.folds=5"),
        (5, -1, "data.fold: -1 is out of range; expected 0 to 4 with data.folds=5"),
        (None, 2, "data.fold: 2 has no effect without folds\n  to use 5 folds: data.folds=5"),
    ],
)
def test_a_fold_out_of_range_is_an_error(folds, fold, message):
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        make_fold(folds, fold)


def test_more_folds_than_examples_or_groups_are_an_error():
    with pytest.raises(UserError, match=r"^data.folds: 24 folds need at least 24 examples; there are 23$"):
        assign_folds(VALUES, 24, 0)
    with pytest.raises(UserError, match=r"^data.folds: 3 folds need at least 3 groups; there are 2$"):
        assign_folds(VALUES, 3, 0, groups=["a", "b"] * 11 + ["a"])


def test_data_with_own_splits_have_no_folds(make_data, tmp_path):
    (tmp_path / "images").rename(tmp_path / "train")
    (tmp_path / "images").mkdir()
    (tmp_path / "train").rename(tmp_path / "images/train")
    for label in "ab":
        (tmp_path / f"images/test/{label}").mkdir(parents=True)
        Image.new("L", (8, 8), 100).save(tmp_path / f"images/test/{label}/1.png")
    np.savez(tmp_path / "my.npz", x=np.zeros((9, 3)), y=np.arange(9) % 2, x_test=np.zeros((4, 3)), y_test=[0, 1, 0, 1])
    settings = {"dir": str(tmp_path), "folds": 2}
    for make, splits in (
        (lambda: Table(path="my.csv", test_path="my.csv", **settings).spec, "test"),
        (lambda: Texts(path="texts.csv", val_path="texts.csv", **settings), "val"),
        (lambda: Texts(path="texts.csv", synthetic=True, **settings), "val and test"),
        (lambda: make_data["arrays"](folds=2), "test"),
        (lambda: make_data["image_folder"](folds=2).setup("fit"), "test"),
    ):
        with pytest.raises(UserError, match=f"^data.folds: the data have their own split for {splits}; expected"):
            make()
