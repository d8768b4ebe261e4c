"""Disjoint test splits that contain all examples together, for a k-fold cross-validation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.loading.counter_rng import make_generator
from trainer.data.loading.split import Split, Stage, random_split, stratified_split


@dataclass(frozen=True)
class Fold:
    """One of several folds of a data set, which is the test split.

    Args:
        number: Number of the fold, from 0.
        count: Number of folds.
    """

    number: int
    count: int

    def scale(self, fraction: float) -> float:
        """Return the fraction of the other folds that is a fraction of all examples."""
        return fraction * self.count / (self.count - 1)


def make_fold(folds: int | None, fold: int) -> Fold | None:
    """Return the fold that is the test split; None without cross-validation.

    Args:
        folds: Number of folds; None without cross-validation.
        fold: Number of the fold, from 0.

    Raises:
        UserError: If a number is out of range.
    """
    if folds is None:
        if fold:
            raise UserError(f"data.fold: {fold} has no effect without folds\n  to use 5 folds: data.folds=5")
        return None
    if folds < 2:
        raise UserError(f"data.folds: {folds} is too small; expected null or at least 2")
    if not 0 <= fold < folds:
        raise UserError(f"data.fold: {fold} is out of range; expected 0 to {folds - 1} with data.folds={folds}")
    return Fold(fold, folds)


def refuse_own_splits(fold: Fold | None, stages: Iterable[Stage]) -> None:
    """Raise a `UserError` if a cross-validation is set, and the data set has splits of its own besides training."""
    names = " and ".join(stage for stage in stages if stage != "train")
    if fold and names:
        raise UserError(
            f"data.folds: the data have their own split for {names}; expected data that are split at random\n"
            "  leave out data.folds and sweep.folds"
        )


def assign_folds(
    targets: Tensor, count: int, seed: int, *, stratify: bool = False, groups: Sequence[str] = ()
) -> Tensor:
    """Return the number of the fold of each example (examples,).

    The sizes of the folds differ by at most one example. If they are stratified, so do the numbers of examples of each
    class. With groups, the largest group is added first, each to the smallest fold.

    Args:
        targets: Classes (examples,) or values (examples, values).
        count: Number of folds.
        seed: Seed of the shuffle.
        stratify: Whether all folds have the same proportions of classes, unless there are groups. Defaults to False.
        groups: Group of each example, whose examples are in the same fold. Empty if there are none.

    Raises:
        UserError: If there are fewer examples or groups than folds.
    """
    names = [*dict.fromkeys(groups)]
    units = len(names) if groups else len(targets)
    if units < count:
        unit = "groups" if groups else "examples"
        raise UserError(f"data.folds: {count} folds need at least {count} {unit}; there are {units}")
    order = torch.randperm(units, generator=make_generator("folds", seed))
    folds = torch.empty(len(targets), dtype=torch.int64)
    if groups:
        folds_by_name = _assign_groups([names[index] for index in order.tolist()], groups, count)
        return torch.tensor([folds_by_name[name] for name in groups])
    if stratify:
        order = order[targets[order].argsort(stable=True)]  # sorted by class, at random within a class
    folds[order] = torch.arange(units) % count
    return folds


def _assign_groups(names: Sequence[str], groups: Sequence[str], count: int) -> dict[str, int]:
    """Return the fold of each group; groups of equal size are added in the order of `names`."""
    group_sizes = dict.fromkeys(names, 0)
    for name in groups:
        group_sizes[name] += 1
    fold_sizes = [0] * count
    folds = {}
    for name in sorted(names, key=group_sizes.__getitem__, reverse=True):
        folds[name] = fold_sizes.index(min(fold_sizes))
        fold_sizes[folds[name]] += group_sizes[name]
    return folds


def separate_fold(
    targets: Tensor, fold: Fold, seed: int, *, stratify: bool = False, groups: Sequence[str] = ()
) -> tuple[Tensor, Tensor]:
    """Return the sorted indices of the examples in a fold, and of all others; see `assign_folds`."""
    is_test = assign_folds(targets, fold.count, seed, stratify=stratify, groups=groups) == fold.number
    return is_test.nonzero().flatten(), (~is_test).nonzero().flatten()


def random_fold_split(examples: Split, fold: Fold, val_size: int, *, seed: int) -> dict[Stage, Split]:
    """Return a fold as the test split, and a random part of the other examples as the validation split.

    Args:
        examples: All examples.
        fold: Fold for the test.
        val_size: Number of examples for validation.
        seed: Seed of both shuffles.

    Raises:
        UserError: If a split would be empty.
    """
    test, rest = separate_fold(examples.targets, fold, seed)
    val, train = random_split(Split(examples.inputs[rest], examples.targets[rest]), val_size, seed=seed)
    return {"train": train, "val": val, "test": Split(examples.inputs[test], examples.targets[test])}


def stratified_split_by_stage(
    targets: Tensor, fractions: Mapping[Stage, float], fold: Fold | None, *, seed: int, class_names: Sequence[str]
) -> dict[Stage, Tensor]:
    """Return the indices of the examples of each split, all with the same proportions of classes.

    Args:
        targets: Classes (examples,).
        fractions: Fraction of all examples of each split but the training split.
        fold: Fold that is the test split, whose fraction has no effect then; None without cross-validation.
        seed: Seed of the shuffles.
        class_names: Names of the classes, for messages.

    Raises:
        UserError: If a class has too few examples.
    """
    if fold is None:
        *others, train = stratified_split(targets, *fractions.values(), seed=seed, class_names=class_names)
        return {"train": train, **dict(zip(fractions, others, strict=True))}
    test, rest = separate_fold(targets, fold, seed, stratify=True)
    val, train = stratified_split(targets[rest], fold.scale(fractions["val"]), seed=seed, class_names=class_names)
    return {"train": rest[train], "val": rest[val], "test": test}
