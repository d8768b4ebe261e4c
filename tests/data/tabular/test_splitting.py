"""Splits of the rows of a table."""

import logging

import pytest
import torch

from trainer.core.errors import UserError
from trainer.data.loading.split import Split
from trainer.data.tabular.splitting import SplitSettings, cut_rows, split_rows, warn_of_missing_classes

VALUES = torch.zeros(50, 1)


def make_settings(val=0.2, test=0.2, seed=0, stratify=True):
    return SplitSettings({"val": val, "test": test}, seed, stratify)


def join(parts):
    return sorted(torch.cat([*parts.values()]).tolist())


@pytest.mark.parametrize("targets", [VALUES, torch.arange(50) % 3])
@pytest.mark.parametrize("groups", [(), [str(row % 17) for row in range(50)]])
def test_each_row_is_in_one_split(targets, groups):
    assert join(split_rows(targets, make_settings(), groups)) == [*range(50)]


def test_the_sizes_are_the_fractions_of_the_rows():
    sizes = {stage: len(part) for stage, part in split_rows(VALUES, make_settings(0.3, 0.1)).items()}
    assert sizes == {"train": 30, "val": 15, "test": 5}
    assert [len(part) for part in split_rows(VALUES, make_settings(0.001, 0.001)).values()] == [48, 1, 1]


@pytest.mark.parametrize("targets", [VALUES, torch.arange(50) % 3])
def test_only_the_seed_changes_a_split(targets):
    first, again, other = (split_rows(targets, make_settings(seed=seed))["val"].tolist() for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("seed", range(3))
def test_all_splits_have_the_same_proportions_of_classes(seed):
    targets = torch.tensor([0] * 600 + [1] * 300 + [2] * 100)[torch.randperm(1000)]
    parts = split_rows(targets, make_settings(0.2, 0.1, seed))
    counts = {stage: torch.bincount(targets[part], minlength=3).tolist() for stage, part in parts.items()}
    assert counts["train"] == pytest.approx([420, 210, 70], abs=2)
    assert counts["val"] == pytest.approx([120, 60, 20], abs=1)
    assert counts["test"] == pytest.approx([60, 30, 10], abs=1)


def test_stratification_can_be_disabled():
    targets = torch.tensor([0] * 500 + [1] * 500)
    counts = {
        int(targets[split_rows(targets, make_settings(seed=seed, stratify=False))["val"]].sum()) for seed in range(5)
    }
    assert counts != {100}


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_in_two_splits(seed):
    groups = [f"patient {row * row % 23}" for row in range(200)]
    parts = split_rows(torch.arange(200) % 2, make_settings(0.25, 0.25, seed), groups)
    names = [{groups[row] for row in part.tolist()} for part in parts.values()]
    assert sum(map(len, names)) == len({*groups})
    assert len(parts["val"]) >= 50 <= len(parts["test"])


@pytest.mark.parametrize("groups", [(), ["one"] * 50])
@pytest.mark.parametrize("fractions", [(0.0, 0.2), (0.5, 0.5), (0.9, 0.9)])
def test_an_empty_split_is_an_error(groups, fractions):
    with pytest.raises(
        UserError, match=r"^data: 50 examples( in 1 groups)? cannot be split into parts of \d+, \d+ and a rest"
    ):
        split_rows(torch.arange(50) % 2, make_settings(*fractions), groups)


def test_too_few_groups_are_an_error():
    with pytest.raises(UserError, match=r"^data: 50 examples in 2 groups cannot be split into parts"):
        split_rows(VALUES, make_settings(), ["a", "b"] * 25)


def test_rows_are_cut_with_their_targets():
    inputs = torch.arange(10.0)[:, None] * torch.tensor([1.0, 10.0])
    splits, order = cut_rows(Split(inputs.clone(), torch.arange(10)), split_rows(torch.zeros(10, 1), make_settings()))
    for split in splits.values():
        assert torch.equal(split.inputs, inputs[split.targets])
    assert torch.equal(torch.cat([split.targets for split in splits.values()]), order)


def test_a_class_that_is_missing_in_a_split_is_a_warning(caplog):
    inputs = torch.zeros(3, 1)
    splits = {"train": Split(inputs, torch.tensor([0, 1, 2])), "val": Split(inputs, torch.tensor([1, 1, 1]))}
    with caplog.at_level(logging.INFO):
        warn_of_missing_classes(splits, ["a", "b", "c"])
    assert caplog.messages == [
        "warning: no row of class a, c in the val split, so its metrics may mislead",
    ]
