"""Splits of the rows of a table: at random, stratified by class, or by group."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.mappings import group_pairs
from trainer.data.loading.counter_rng import make_generator
from trainer.data.loading.folds import Fold, make_fold, separate_fold
from trainer.data.loading.split import Split, Stage

log = logging.getLogger(__name__)

MAX_LISTED = 5
STEPS_PER_EPOCH = 50


@dataclass(frozen=True)
class SplitSettings:
    """Settings of a split of the rows of a file.

    Args:
        fractions: Fraction of the rows of each split but the training split.
        seed: Seed of the shuffle.
        stratify: Whether all splits have the same proportions of classes, unless there are groups.
        folds: Number of folds of a cross-validation. Defaults to None: no cross-validation.
        fold: Number of the fold that is the test split. Defaults to 0.

    Raises:
        UserError: If a number of folds is out of range.
    """

    fractions: Mapping[Stage, float]
    seed: int
    stratify: bool
    folds: int | None = None
    fold: int = 0

    def __post_init__(self) -> None:
        make_fold(self.folds, self.fold)

    @property
    def test_fold(self) -> Fold | None:
        """The fold that is the test split; None without cross-validation."""
        return make_fold(self.folds, self.fold)

    def without(self, stages: Collection[Stage]) -> "SplitSettings":
        """Return settings without some splits."""
        fractions = {stage: fraction for stage, fraction in self.fractions.items() if stage not in stages}
        return replace(self, fractions=fractions)


def split_rows(targets: Tensor, settings: SplitSettings, groups: Sequence[str] = ()) -> dict[Stage, Tensor]:
    """Return the indices of the rows of each split.

    Args:
        targets: Classes (rows,) or values (rows, targets).
        settings: Fractions, seed and stratification.
        groups: Group of each row, whose rows are in the same split; empty if there are none.

    Raises:
        UserError: If a split would be empty.
    """
    if fold := settings.test_fold:
        return _split_with_fold(targets, settings, fold, groups)
    count = len(targets)
    sizes: dict[Stage, int] = {
        stage: max(1, round(fraction * count)) if fraction > 0 else 0 for stage, fraction in settings.fractions.items()
    }
    if groups:
        parts = _split_groups(groups, sizes, settings.seed)
    elif settings.stratify and targets.dim() == 1:
        parts = _split_classes(targets, sizes, settings.seed)
    else:
        parts = _cut(torch.randperm(count, generator=make_generator("cut", settings.seed)), sizes)
    if not all(len(part) for part in parts.values()):
        in_groups = f" in {len({*groups})} groups" if groups else ""
        raise UserError(
            f"data: {count} examples{in_groups} cannot be split into parts of {', '.join(map(str, sizes.values()))} "
            "and a rest for training; change the fractions of the splits"
        )
    return parts


def cut_rows(examples: Split, parts: Mapping[Stage, Tensor]) -> tuple[dict[Stage, Split], Tensor]:
    """Return the splits, and the row of each example in the order of the splits.

    The inputs are sorted in place, one column after the other, and the splits share their memory: large tables would
    otherwise be in memory twice.

    Args:
        examples: Inputs (rows, columns), which change, and targets.
        parts: Indices of the rows of each split; all rows are in one.
    """
    order = torch.cat([*parts.values()])
    for column in examples.inputs.T:
        column.copy_(column[order])
    sizes = [len(part) for part in parts.values()]
    inputs = torch.split(examples.inputs, sizes)
    targets = torch.split(examples.targets[order], sizes)
    return {stage: Split(*pair) for stage, pair in zip(parts, zip(inputs, targets, strict=True), strict=True)}, order


def _split_with_fold(
    targets: Tensor, settings: SplitSettings, fold: Fold, groups: Sequence[str]
) -> dict[Stage, Tensor]:
    """Return the rows of a fold for the test, and split the others."""
    is_stratified = settings.stratify and targets.dim() == 1
    test, rest = separate_fold(targets, fold, settings.seed, stratify=is_stratified, groups=groups)
    inner = replace(settings, fractions={"val": fold.scale(settings.fractions["val"])}, folds=None, fold=0)
    parts = split_rows(targets[rest], inner, [groups[row] for row in rest.tolist()] if groups else ())
    return {**{stage: rest[rows] for stage, rows in parts.items()}, "test": test}


def _cut(order: Tensor, sizes: dict[Stage, int]) -> dict[Stage, Tensor]:
    """Cut an order of rows into parts of the given sizes, and the rest for training."""
    rest = max(0, len(order) - sum(sizes.values()))
    lengths = [*sizes.values(), rest] if rest else [0] * (len(sizes) + 1)
    parts = torch.split(order[: sum(lengths)], lengths)
    return {"train": parts[-1], **dict(zip(sizes, parts, strict=False))}


def _split_classes(targets: Tensor, sizes: dict[Stage, int], seed: int) -> dict[Stage, Tensor]:
    """Cut the rows of each class in the same proportions; rows are rounded so that the sizes are exact."""
    order = torch.randperm(len(targets), generator=make_generator("cut", seed))
    by_class = order[targets[order].argsort(stable=True)]  # rows sorted by class, at random within a class
    parts: dict[Stage, Tensor] = {}
    rest = by_class
    for stage, size in sizes.items():
        positions = (2 * torch.arange(size) + 1) * len(rest) // max(1, 2 * size)  # evenly spaced over the classes
        is_taken = torch.zeros(len(rest), dtype=torch.bool)
        is_taken[positions] = True
        parts[stage], rest = rest[is_taken], rest[~is_taken]
    return {"train": rest, **parts}


def _split_groups(groups: Sequence[str], sizes: dict[Stage, int], seed: int) -> dict[Stage, Tensor]:
    """Add whole groups, in random order, to each split until it has at least its size."""
    rows = group_pairs((group, row) for row, group in enumerate(groups))
    names = [*rows]
    order = [names[index] for index in torch.randperm(len(names), generator=make_generator("cut", seed)).tolist()]
    parts: dict[Stage, list[int]] = {stage: [] for stage in (*sizes, "train")}
    for name in order:
        unfilled: list[Stage] = [stage for stage, size in sizes.items() if len(parts[stage]) < size]
        parts[unfilled[0] if unfilled else "train"] += rows[name]
    return {"train": torch.tensor(parts.pop("train")), **{stage: torch.tensor(part) for stage, part in parts.items()}}


def choose_repeats(rows: int, batch_size: int) -> int:
    """Return the number of passes over few training rows, so that an epoch has about `STEPS_PER_EPOCH` steps."""
    return min(max(1, round(STEPS_PER_EPOCH * batch_size / rows)), STEPS_PER_EPOCH)


def warn_of_missing_classes(splits: Mapping[Stage, Split], class_names: Sequence[str]) -> None:
    """Log a warning if a class is missing in a split.

    Args:
        splits: The splits.
        class_names: Class names; empty for regression.
    """
    for stage, split in splits.items():
        counts = torch.bincount(split.targets, minlength=len(class_names)) if class_names else torch.ones(1)
        missing = [class_names[index] for index in (counts == 0).nonzero().flatten().tolist()]
        if missing:
            listed = ", ".join(missing[:MAX_LISTED]) + (
                f", ... ({len(missing)} classes)" if len(missing) > MAX_LISTED else ""
            )
            log.warning(f"warning: no row of class {listed} in the {stage} split, so its metrics may mislead")
