"""Training, validation and test splits of a data set."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from trainer.core.errors import UserError, did_you_mean
from trainer.data.loading.counter_rng import make_generator

Stage = Literal["train", "val", "test"]


class Split(NamedTuple):
    """Stored examples: inputs (examples, ...), and targets (examples,) as classes or (examples, values)."""

    inputs: Tensor
    targets: Tensor


def random_split(examples: Split, *sizes: int, seed: int) -> list[Split]:
    """Shuffle examples and split them into parts of the given sizes, and the rest.

    Args:
        examples: Examples to split.
        sizes: Number of examples in each part but the last.
        seed: Seed of the shuffle.

    Raises:
        UserError: If a part would be empty.
    """
    if min(sizes) < 1 or sum(sizes) >= len(examples.targets):
        raise UserError(
            f"data: {len(examples.targets)} examples cannot be split into parts of {', '.join(map(str, sizes))} and "
            "a rest for training; change the sizes or fractions of the splits"
        )
    order = torch.randperm(len(examples.targets), generator=make_generator("cut", seed))
    parts = torch.split(order, [*sizes, len(order) - sum(sizes)])
    return [Split(examples.inputs[rows], examples.targets[rows]) for rows in parts]


def stratified_split(targets: Tensor, *fractions: float, seed: int, class_names: Sequence[str]) -> list[Tensor]:
    """Split each class at random, so that every part has the same proportions of classes.

    Args:
        targets: Classes of the examples (examples,).
        fractions: Fraction of each class in each part but the last, rounded, at least one example.
        seed: Seed of the shuffle.
        class_names: Names of the classes, for messages.

    Returns:
        list[Tensor]: Sorted example indices of each part.

    Raises:
        UserError: If a class has too few examples.
    """
    parts: list[list[Tensor]] = [[] for _ in (*fractions, 1)]
    for index in sorted({*targets.tolist()}):
        rows = (targets == index).nonzero().flatten()
        sizes = [max(1, round(fraction * len(rows))) for fraction in fractions]
        if sum(sizes) >= len(rows):
            raise UserError(
                f"data: one class has only {len(rows)} examples, which cannot be split into parts of "
                f"{', '.join(map(str, sizes))} and a rest for training; add some, or leave out "
                f"'{class_names[index]}' by data.classes"
            )
        order = rows[torch.randperm(len(rows), generator=make_generator("cut", seed, index))]
        for part, class_rows in zip(parts, torch.split(order, [*sizes, len(rows) - sum(sizes)]), strict=True):
            part.append(class_rows)
    return [torch.cat(part).sort().values for part in parts]


def validate_classes(names: Sequence[str], available: Sequence[str]) -> tuple[str, ...]:
    """Return the class names as a tuple.

    Raises:
        UserError: If a name is unknown or a duplicate, or there are fewer than two.
    """
    for name in names:
        if name not in available:
            raise UserError(f"data.classes: no class '{name}'{did_you_mean(name, available)}")
    if len(names) < 2 or len({*names}) < len(names):
        raise UserError(f"data.classes: {[*names]} is invalid; expected two or more different classes")
    return tuple(names)


def select_classes(examples: Split, classes: Sequence[int]) -> Split:
    """Return the examples of some classes, in order; classes are renumbered as listed."""
    matches = examples.targets[:, None] == torch.tensor(classes)  # (examples, classes)
    is_selected = matches.any(1)
    inputs = examples.inputs if is_selected.all() else examples.inputs[is_selected]  # avoid a copy of all examples
    return Split(inputs, matches[is_selected].int().argmax(1))


def take_per_class(examples: Split, size: int, classes: int) -> Split:
    """Return the first `size` examples with equally many of each class.

    Args:
        examples: Examples, shuffled by `random_split`; a smaller size then returns a subset.
        size: Number of examples in all classes together.
        classes: Number of classes.

    Raises:
        UserError: If `size` is not a multiple of `classes`, or a class has too few examples.
    """
    if size < 1 or size % classes:
        raise UserError(f"data.train_size: {size} is not a multiple of the {classes} classes")
    per_class = size // classes
    counts = torch.stack([(examples.targets == index).cumsum(0) for index in range(classes)])  # (classes, examples)
    if (available := int(counts[:, -1].min())) < per_class:
        raise UserError(
            f"data.train_size: {size} needs {per_class} of each class, but one has only {available} for training; "
            f"use at most {available * classes}"
        )
    is_selected = counts.gather(0, examples.targets[None])[0] <= per_class
    return Split(examples.inputs[is_selected], examples.targets[is_selected])
