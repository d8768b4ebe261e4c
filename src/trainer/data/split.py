"""Splits: the examples of training, validation and test, and how one set is cut into them."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from trainer.data.randomness import generator_for
from trainer.errors import UserError

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
