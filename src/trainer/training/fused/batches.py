"""Batches of a run, which are joined with those of other runs."""

import torch

from trainer.core.spec import Batch
from trainer.data.loading.tensor_loader import TensorLoader


def read_batches(loader: TensorLoader, count: int) -> Batch:
    """Return the examples of the next batches of an epoch in one batch, without moving the position of the loader.

    Args:
        loader: Loader of examples in memory.
        count: Number of batches.
    """
    rows = loader.epoch_indices()[loader.position * loader.batch_size :][: count * loader.batch_size]
    return loader.transform(loader.inputs[rows], rows), loader.targets[rows]


def count_examples(loader: TensorLoader, count: int) -> list[int]:
    """Return the numbers of examples in the next `count` batches of an epoch."""
    total = len(loader.targets) * loader.repeats
    starts = range(loader.position * loader.batch_size, total, loader.batch_size)
    return [min(loader.batch_size, total - start) for start in starts[:count]]


def share_examples(loader: TensorLoader, other: TensorLoader) -> bool:
    """Return whether two loaders without shuffling have equal examples; both use the same memory from then on."""
    if loader.inputs is not other.inputs or loader.targets is not other.targets:
        if not (torch.equal(loader.inputs, other.inputs) and torch.equal(loader.targets, other.targets)):
            return False
        loader.inputs, loader.targets = other.inputs, other.targets
    return torch.equal(read_batches(loader, 1)[0], read_batches(other, 1)[0])
