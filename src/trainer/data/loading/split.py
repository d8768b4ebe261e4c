"""Splits: the examples of training, validation and test, and how one set is cut into them."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from trainer.core.errors import UserError, did_you_mean
from trainer.data.loading.counter_rng import generator_for

Stage = Literal["train", "val", "test"]


class Split(NamedTuple):
    """Examples as stored: inputs (examples, ...), targets (examples,) classes or (examples, values)."""

    inputs: Tensor
    targets: Tensor


def cut(examples: Split, *sizes: int, seed: int) -> list[Split]:
    """Shuffle examples once and cut them: one part for each of `sizes`, and the rest last.

    Args:
        examples: What to cut.
        sizes: Number of examples in each part but the last.
        seed: Of the shuffle; the same cut for every run, so that runs compare.

    Raises:
        UserError: A part would be empty, or there are too few examples; says how many there are.
    """
    if min(sizes) < 1 or sum(sizes) >= len(examples.targets):
        raise UserError(
            f"data: {len(examples.targets)} examples cannot be cut into parts of {', '.join(map(str, sizes))} and "
            "a rest to train on; change the sizes or shares of the splits"
        )
    order = torch.randperm(len(examples.targets), generator=generator_for("cut", seed))
    parts = torch.split(order, [*sizes, len(order) - sum(sizes)])
    return [Split(examples.inputs[rows], examples.targets[rows]) for rows in parts]


def cut_each(targets: Tensor, *shares: float, seed: int) -> list[Tensor]:
    """Cut each class as `cut` does all examples, so that it has its share of every part.

    Args:
        targets: Classes of the examples (examples,).
        shares: Of each class, rounded, but one example at least; the rest comes last.
        seed: Of the shuffle.

    Returns:
        list[Tensor]: Numbers of the examples of each part, in their order.

    Raises:
        UserError: A class has too few examples.
    """
    parts: list[list[Tensor]] = [[] for _ in (*shares, 1)]
    for number in sorted({*targets.tolist()}):
        rows = (targets == number).nonzero().flatten()
        sizes = [max(1, round(share * len(rows))) for share in shares]
        if sum(sizes) >= len(rows):
            raise UserError(
                f"data: one class has {len(rows)} examples alone, which cannot be cut into parts of "
                f"{', '.join(map(str, sizes))} and a rest to train on; add some, or leave that class out"
            )
        order = rows[torch.randperm(len(rows), generator=generator_for("cut", seed, number))]
        for part, piece in zip(parts, torch.split(order, [*sizes, len(rows) - sum(sizes)]), strict=True):
            part.append(piece)
    return [torch.cat(part).sort().values for part in parts]


def chosen(names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The names of classes, if they can stand together.

    Raises:
        UserError: One is not known or comes twice, or there are fewer than two.
    """
    for name in names:
        if name not in known:
            raise UserError(f"data.classes: no class '{name}'{did_you_mean(name, known)}")
    if len(names) < 2 or len({*names}) < len(names):
        raise UserError(f"data.classes: {[*names]} is not a list of two classes or more, each named once")
    return tuple(names)


def of_classes(examples: Split, classes: Sequence[int]) -> Split:
    """The examples of these classes alone, in their order; the classes are numbered anew, as they are listed."""
    same = examples.targets[:, None] == torch.tensor(classes)  # (examples, classes)
    kept = same.any(1)
    inputs = examples.inputs if kept.all() else examples.inputs[kept]  # all of them need no copy
    return Split(inputs, same[kept].int().argmax(1))


def first_of_each(examples: Split, size: int, classes: int) -> Split:
    """The first examples, equally many of each class: few labels, fairly dealt.

    Args:
        examples: Shuffled, as `cut` leaves them; a smaller size then takes some of what a larger one takes.
        size: How many in all.
        classes: Number of classes.

    Raises:
        UserError: `size` cannot be dealt out evenly, or a class has too few examples.
    """
    if size < 1 or size % classes:
        raise UserError(f"data.train_size: {size} is not a multiple of the {classes} classes")
    each = torch.stack([(examples.targets == number).cumsum(0) for number in range(classes)])  # (classes, examples)
    if each[:, -1].min() < size // classes:
        raise UserError(
            f"data.train_size: {size} needs {size // classes} of each class, but of one there are "
            f"{int(each[:, -1].min())} to train on; take fewer"
        )
    rank = each.gather(0, examples.targets[None])[0]  # how many of its class there are up to each example
    return Split(examples.inputs[rank <= size // classes], examples.targets[rank <= size // classes])
